"""P19: an upgrade of the journal happens whole or not at all, whenever it is killed; and there is no way back by chance."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from referral_engine.base.errors import JournalError
from referral_engine.journal.database import open_database
from referral_engine.journal.journal import Journal
from tests.e2e.support import environment
from tests.power.writer import KEY
from tests.torture.budget import seconds

ROUNDS = 4
NEWER = (
    "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('journal', '9999-of-next-year', 'then')"
)


def upgrades(folder: Path, rounds: int) -> dict[str, Any]:
    """Upgrade and kill, `rounds` times, in a process of its own."""
    seed = int(os.environ.get("UPGRADE_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"play it again with UPGRADE_SEED={seed}")
    said = subprocess.run(
        [sys.executable, "-m", "tests.power.upgrade", str(folder), str(rounds), str(seed)],
        env=environment(), text=True, capture_output=True,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


# F-A14
def test_an_upgrade_killed_at_any_moment_leaves_everything_readable(tmp_path: Path) -> None:
    found = upgrades(tmp_path, ROUNDS)

    assert found["wrong"] == []
    assert found["killed"] > 0, "or it was never interrupted"


# F-A14
@pytest.mark.torture
def test_an_upgrade_killed_again_and_again_leaves_everything_readable(tmp_path: Path) -> None:
    first = upgrades(tmp_path, 1)
    rounds = round(seconds(1 / 12) / max(0.2, 2 * first["whole_seconds"]))

    more = tmp_path / "more"
    more.mkdir()
    found = upgrades(more, max(10, rounds))

    assert found["wrong"] == []
    assert found["killed"] > 0


def test_a_journal_of_a_newer_engine_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(str(path), KEY, node="UP").close()
    connection = open_database(str(path), KEY)
    connection.execute(NEWER)
    connection.close()
    before = path.read_bytes()

    with pytest.raises(JournalError, match=r"newer engine \(step 9999-of-next-year\)"):
        Journal.open(str(path), KEY)

    assert path.read_bytes() == before
