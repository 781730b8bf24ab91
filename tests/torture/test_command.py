"""`torture`: what it prints, how it exits, and that it leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from referral_engine.cli import torturing
from referral_engine.journal.journal import Journal
from referral_engine.torture.checks import Findings
from referral_engine.torture.daemon import NotReady
from referral_engine.torture.report import DIFFERENCES
from referral_engine.torture.rounds import Plan, Torture

KEYS = {
    "seed", "clean", "rounds", "told", "stored", "made_up_frames_stored", "effects", "differences", "found", "faults",
    "notes", "slowest_answer_seconds", "slowest_start_seconds",
}  # fmt: skip


def command(monkeypatch: pytest.MonkeyPatch, found: Findings | Exception, *words: str) -> tuple[Result, list[Plan]]:
    """The command with a run that ends at once with this; what it said, and the plans it made."""
    plans: list[Plan] = []

    async def at_once(plan: Plan) -> tuple[Torture, Findings]:
        plans.append(plan)
        plan.tell(0.5, "round 1: kill")
        if isinstance(found, Exception):
            raise found
        run = Torture(plan)
        run.rounds = 1
        run.ledger.faults["kill"] = 1
        return run, found

    monkeypatch.setattr(torturing, "run_torture", at_once)
    return CliRunner().invoke(torturing.torture, list(words), catch_exceptions=False), plans


def test_no_difference_is_exit_status_0_and_a_table_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    said, (plan,) = command(monkeypatch, Findings(told=7, stored=7), "--minutes", "2", "--seed", "5")

    assert said.exit_code == 0
    assert "1 rounds, seed 5" in said.stdout
    assert all(words in said.stdout for words in DIFFERENCES.values())
    assert "nothing lost, nothing doubled" in said.stdout
    assert plan.seconds == 120
    assert not plan.root.exists(), "the scratch directory is gone"


def test_a_difference_is_exit_status_1_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said, _ = command(monkeypatch, Findings(told=7, stored=6, lost=["O17"]))

    assert said.exit_code == 1
    assert '["O17"]' in said.stdout


def test_json_has_the_keys_that_scripts_read(monkeypatch: pytest.MonkeyPatch) -> None:
    said, _ = command(monkeypatch, Findings(told=7, stored=6, lost=["O17"]), "--json", "--seed", "5")

    told = json.loads(said.stdout)
    assert set(told) == KEYS
    assert (told["seed"], told["clean"], told["told"], told["stored"]) == (5, False, 7, 6)
    assert told["differences"] == dict.fromkeys(DIFFERENCES, 0) | {"lost": 1}
    assert told["found"] == {"lost": ["O17"]}
    assert told["faults"] == {"kill": 1}


def test_a_daemon_that_does_not_start_is_exit_status_1_and_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    said, _ = command(monkeypatch, NotReady("exit status 78: the files are wrong"), "--seed", "5")

    assert said.exit_code == 1
    assert "seed 5: exit status 78" in said.stderr


def test_a_directory_that_is_in_use_is_misuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "journal.db").touch()

    said, plans = command(monkeypatch, Findings(), "--keep", str(tmp_path))

    assert said.exit_code == 2
    assert plans == []


@pytest.mark.torture
def test_a_minute_of_the_real_thing_keeps_its_site_on_request(tmp_path: Path) -> None:
    kept = tmp_path / "kept"

    said = CliRunner().invoke(torturing.torture, ["--minutes", "1", "--json", "--keep", str(kept)])

    assert said.exit_code == 0, said.stdout
    key = bytes.fromhex((kept / "var" / "journal.key").read_text())
    journal = Journal.open(str(kept / "var" / "journal.db"), key)
    assert journal.read().counts().received() == json.loads(said.stdout)["stored"]
    journal.close()
