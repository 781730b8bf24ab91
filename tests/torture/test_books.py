"""The books of a short run agree; and when one of them is changed by hand, the comparison says so."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from referral_engine.journal.database import open_database
from referral_engine.torture.checks import Findings, check_site
from referral_engine.torture.ledger import Ledger
from referral_engine.torture.report import DIFFERENCES, faults_of, summary, table_of
from referral_engine.torture.rounds import Plan, Torture, torture

SECONDS = 2.0


@dataclass(frozen=True)
class Played:
    """A run that is over: its ledger, what was found, and where its site is kept."""

    run: Torture
    found: Findings
    root: Path
    seed: int


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A few seconds of rounds on a real daemon."""
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"play it again with seed {seed}")
    root, kept = tmp_path_factory.mktemp("torture"), tmp_path_factory.mktemp("kept")
    plan = Plan(root=root, seconds=SECONDS, chance=random.Random(seed), began_at=datetime.now(UTC), keep=kept)
    run, found = asyncio.run(torture(plan))
    return Played(run, found, kept, seed)


def differing(found: Findings) -> set[str]:
    """The kinds of difference that were found."""
    return {name for name, value in found.differences().items() if value}


def some_frames(ledger: Ledger) -> dict[bytes, Counter[bytes]]:
    """What one of the receivers got, which is not nothing."""
    frames = next((frames for frames in ledger.received.values() if frames), None)
    if frames is None:
        pytest.skip("the machine was so busy that nothing was delivered")
    return frames


@pytest.fixture
def ledger(played: Played) -> Ledger:
    """The ledger of the run, to be changed."""
    return deepcopy(played.run.ledger)


@pytest.fixture
def site(played: Played, tmp_path: Path) -> Path:
    """The site of the run, to be changed."""
    return shutil.copytree(played.root, tmp_path / "site")


# P1 P2 P3 P6 P7
def test_killed_starved_and_lied_to_it_loses_and_doubles_nothing(played: Played) -> None:
    assert played.found.clean, f"seed {played.seed}: {summary(played.run, played.found, played.seed)['found']}"
    assert played.found.told > 0
    assert played.found.told == len(played.run.ledger.sent), "in the end everything was acknowledged"
    assert played.run.rounds > 0


def test_the_kept_site_says_the_same_again(played: Played, ledger: Ledger, site: Path) -> None:
    again = check_site(site, ledger)

    assert again.clean
    assert (again.stored, again.owed) == (played.found.stored, played.found.owed)


def test_every_kind_of_difference_has_its_words(played: Played) -> None:
    assert set(DIFFERENCES) == set(played.found.differences())
    assert table_of(played.found).row_count == 6 + len(DIFFERENCES)
    assert faults_of(played.run).row_count > 0


def test_a_message_that_is_acknowledged_and_not_stored_is_lost(ledger: Ledger, site: Path) -> None:
    some = next(iter(ledger.sent.values()))
    other = ledger.send(some.message.replace(some.identity, b"NEVER1"))
    ledger.hear(other, some.answer.replace(some.identity, b"NEVER1"))

    found = check_site(site, ledger)

    assert differing(found) == {"lost"}
    assert found.lost == ["NEVER1"]


def test_other_bytes_than_were_sent_are_found(ledger: Ledger, site: Path) -> None:
    some = next(iter(ledger.sent.values()))
    some.message += b"NTE|1|P|one line more\r"

    assert differing(check_site(site, ledger)) == {"changed_bytes"}


def test_another_answer_than_is_stored_is_found(ledger: Ledger, site: Path) -> None:
    some = next(iter(ledger.sent.values()))

    ledger.hear(some, some.answer + b"NTE|1\r")

    assert differing(check_site(site, ledger)) == {"changed_answers"}


def test_a_refusal_and_a_silence_are_found(ledger: Ledger, site: Path) -> None:
    first, second = list(ledger.sent.values())[:2]
    first.answers, second.answers, second.answer = 0, 0, b""
    ledger.hear(first, first.answer.replace(b"|AA|", b"|AE|"))

    assert differing(check_site(site, ledger)) == {"refused", "changed_answers", "unanswered"}


def test_a_delivery_nobody_saw_is_lost_and_one_nobody_owed_is_found(ledger: Ledger, site: Path) -> None:
    frames = some_frames(ledger)
    wire_id = next(iter(frames))
    frames[b"NOBODYS1"] = frames.pop(wire_id)

    found = check_site(site, ledger)

    assert differing(found) == {"effects_lost", "effects_changed"}
    assert found.effects_lost == [wire_id.decode()]


def test_a_delivery_with_other_bytes_is_found(ledger: Ledger, site: Path) -> None:
    frames = some_frames(ledger)
    frames[next(iter(frames))] += Counter({b"another fingerprint": 1})

    assert differing(check_site(site, ledger)) == {"effects_changed"}


def test_a_file_that_is_gone_is_lost(ledger: Ledger, site: Path) -> None:
    files = list((site / "var" / "spool" / "fax").glob("*.pdf"))
    if not files:
        pytest.skip("the machine was so busy that nothing was faxed")
    files[0].unlink()

    assert differing(check_site(site, ledger)) == {"effects_lost"}


def test_a_row_that_is_taken_out_of_the_journal_is_missed(ledger: Ledger, site: Path) -> None:
    key = bytes.fromhex((site / "var" / "journal.key").read_text())
    connection = open_database(str(site / "var" / "journal.db"), key)
    connection.execute("DELETE FROM messages WHERE sequence = 1")
    connection.close()

    assert differing(check_site(site, ledger)) >= {"lost", "conservation"}
