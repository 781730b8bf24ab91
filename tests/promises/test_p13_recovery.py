"""P13: after a crash the daemon is ready soon, however long the journal, and goes on with what it owed, in order."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from referral_engine.journal.journal import Journal
from tests.e2e.support import Site, an_order, environment, eventually

CARDIOLOGY = "cardiology-heart-group"
ORDERS = 12
ROWS: Final = 1_000_000
READY_SECONDS_MAX: Final = 30.0  # with so many

# Fills the journal of a site whose daemon has been there once, and dies as a power cut would end it.
FILL = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from referral_engine.channels.book import read_book
from referral_engine.base.clock import ManualClock
from referral_engine.flow.inputs import Arrived
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.service.files import read_files
from referral_engine.torture.messages import registration
now = datetime.now(UTC)
journal = Journal.open("var/journal.db", bytes.fromhex(Path("var/journal.key").read_text()))
step = Step(journal, read_book(read_files("conf/engine.toml")), ManualClock(now))
wanted = int(sys.argv[1])
for start in range(0, wanted, 500):
    step.run([Arrived(raw=registration(40 * number, now), peer="127.0.0.1") for number in range(start, start + 500)])
os._exit(0)
"""


# Opens a journal and dies at once, as a process that is killed right after its start.
START_AND_DIE = """
import os, signal, sys
from referral_engine.journal.journal import Journal
journal = Journal.open(sys.argv[1], None)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose daemon the test starts and kills."""
    made = Site(tmp_path_factory.mktemp("recovery"))
    try:
        made.lay_out()
        yield made
    finally:
        made.close()


def waiting(site: Site) -> list[str]:
    """The MSH-10 of every packet that is owed, in the order of the journal."""
    rows = site.ask_json("outbox", "--limit", "10000")
    return [row["wire_id"] for row in rows if row["channel"] == CARDIOLOGY and row["kind"] == "order"]


def test_after_a_kill_what_was_owed_goes_out_in_the_order_it_was_owed_and_what_was_confirmed_does_not(
    site: Site,
) -> None:
    partner = site.partners[CARDIOLOGY]
    site.start()
    site.send(an_order("R0"))
    (confirmed,) = eventually(lambda: [number for number, _ in partner.ledger], "the first is confirmed")
    eventually(lambda: not waiting(site), "and that is known")
    partner.answers = "AE"  # from here on the specialist takes nothing
    site.send(*(an_order(f"R{number + 1}") for number in range(ORDERS)))
    owed = waiting(site)
    assert len(owed) == ORDERS

    site.kill()
    partner.ledger.clear()
    partner.answers = "AA"
    site.start()
    eventually(lambda: not waiting(site), "everything is delivered")

    came = [number for number, _ in partner.ledger]
    assert confirmed not in came
    assert list(dict.fromkeys(number for number in came if number in owed)) == owed


def test_killed_after_a_clean_stop_and_a_start_before_its_first_commit_it_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(str(path), None, node="RE").close()

    died = subprocess.run([sys.executable, "-c", START_AND_DIE, str(path)], env=environment())

    assert died.returncode == -signal.SIGKILL
    Journal.open(str(path), None).close()


@pytest.mark.torture
def test_with_a_million_rows_it_is_ready_in_thirty_seconds_after_a_kill(site: Site) -> None:
    site.start()
    site.stop()
    filled = subprocess.run([sys.executable, "-c", FILL, str(ROWS)], cwd=site.root, env=environment(), timeout=3600)
    assert filled.returncode == 0
    size = sum(path.stat().st_size for path in Path(site.var).iterdir() if path.is_file())

    begun = time.monotonic()
    site.start()
    took = time.monotonic() - begun

    print(f"{ROWS} messages, {size / 1e9:.1f} GB: ready after {took:.1f} s")
    assert took < READY_SECONDS_MAX
    assert site.ask_json("status")["journal"]["messages"] == ROWS
    assert site.send(an_order("M1")) == ["AA"]
