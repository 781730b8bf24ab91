"""Minimum necessary: what concerns no referral is whole for its time, then its header; what may hold a finding is shown."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.base.errors import Altered
from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.keeping import Keeping
from referral_engine.flow import forgetting
from referral_engine.flow.forgetting import header_of
from referral_engine.flow.inputs import Ticked
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.step import Step
from referral_engine.hl7.message import Message
from referral_engine.journal.codec import encode_decision
from referral_engine.journal.journal import Journal
from referral_engine.journal.purging import Passed
from referral_engine.journal.rows import BindingKind, DecisionRow, Disposition, MergeRow, MessageRow
from referral_engine.journal.scrub import scrub
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Patient, PatientId
from tests.channels.shipped import shipped_files
from tests.flow.stage import (
    BOOKING,
    HEART,
    MONDAY,
    NOTE,
    ORDER,
    arrived,
    at,
    book,
    engine,
    kinds,
    row,
    sample,
    story,
    tasks,
    tick,
)
from tests.journal.made import a_task

STRANGER = sample("adt-a08-new-phone.hl7", {"PID-3.1": "770001", "PID-2": ""})  # about nobody
WINDOW = timedelta(hours=72)
START = at(MONDAY).astimezone(UTC)  # clocks change within the week


def keeping(words: str, seconds: float | None) -> Book:
    """What the project ships, keeping what concerns nobody for so long."""
    settings = replace(book().engine.journal, keep_unrelated=Keeping(words, seconds))
    return replace(book(), engine=replace(book().engine, journal=settings))


def forgetful() -> Book:
    """The ordering side's early evidence is forgotten, and no channel speaks."""
    return replace(book(), channels={name: one for name, one in book().channels.items() if name != HEART})


def ticked(stage: Rehearsal, instant: datetime) -> None:
    """The clock's message at an instant."""
    stage.move_to(instant)
    tick(stage)


def stored(stage: Rehearsal, sequence: int) -> MessageRow:
    found = stage.journal.read().message(sequence)
    assert found is not None
    return found


def purges(journal: Journal) -> list[tuple[str, str, str]]:
    """Who reduced what, and why."""
    return journal._connection.execute("SELECT actor, object, outcome FROM audit WHERE action = 'purged'").fetchall()


# The window ----------------------------------------------------------------------------------------------------------


def test_a_message_about_nobody_is_whole_for_its_time_and_its_header_after_it() -> None:
    stage = engine()
    receipt = stage.receive(STRANGER)

    ticked(stage, START + WINDOW - timedelta(seconds=1))
    before = row(stage, receipt)
    ticked(stage, START + WINDOW)
    after = row(stage, receipt)

    assert (before.raw, before.purged_at) == (STRANGER, 0)
    assert STRANGER.startswith(after.raw)
    assert after.raw.count(b"|") == 11, "MSH-1 to MSH-12"
    assert after.purged_at == to_micros(START + WINDOW)
    assert after.key.sha256 == hashlib.sha256(STRANGER).digest()
    assert (after.disposition, after.answer) == (before.disposition, before.answer)


def test_a_purge_stands_in_the_audit_once_and_the_chain_is_whole() -> None:
    stage = engine()
    numbers = [stage.receive(Message.parse(STRANGER).with_fields({"MSH-10": f"X{one}"})).sequence for one in range(3)]

    ticked(stage, START + WINDOW)
    ticked(stage, START + WINDOW + timedelta(hours=1))

    span = f"messages {numbers[0]}-{numbers[-1]} (3)"
    assert purges(stage.journal) == [("clock", span, "kept for 72 hours")]
    assert stage.journal.read().first_bad_audit_line() is None


def test_with_0_hours_the_next_tick_takes_it() -> None:
    stage = engine(other=keeping("0 hours", 0.0))
    receipt = stage.receive(STRANGER)
    whole_at_first = row(stage, receipt).raw

    tick(stage)

    assert whole_at_first == STRANGER
    assert row(stage, receipt).purged_at == to_micros(START)


def test_for_ever_nothing_is_reduced() -> None:
    stage = engine(other=keeping("for ever", None))
    receipt = stage.receive(STRANGER)

    ticked(stage, START + timedelta(days=400))

    assert row(stage, receipt).raw == STRANGER
    assert purges(stage.journal) == []


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("72 hours", 259_200.0), ("30 days", 2_592_000.0), ("0 hours", 0.0), ("0 days", 0.0), ("for ever", None)],
)
def test_the_engines_file_says_how_long(written: str, seconds: float | None) -> None:
    text = f'[journal]\nkeep_unrelated = "{written}"\n'

    kept = read_book({**shipped_files(), "conf/engine.toml": _with(text)}).engine.journal.keep_unrelated

    assert (kept.seconds, str(kept)) == (seconds, written)


def _with(journal: str) -> str:
    """The shipped engine.toml with another [journal]."""
    before, _, after = shipped_files()["conf/engine.toml"].partition("[journal]")
    return before + journal + "\n[" + after.partition("\n[")[2]


# What stays ----------------------------------------------------------------------------------------------------------


def test_what_happened_to_a_referral_is_kept_whole() -> None:  # P1, P22
    stage = engine()
    receipts = [stage.receive(sample(name)) for name in (ORDER, BOOKING, NOTE, ORDER)]

    ticked(stage, START + timedelta(days=90))

    assert [row(stage, one).purged_at for one in receipts] == [0, 0, 0, 0]
    assert story(stage).referral.documents[-1].message == receipts[2].sequence


def test_what_a_person_must_see_is_kept_whole() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    asked = stage.receive(sample(NOTE, {"PID-3.1": "900009", "PID-5.1": "Another"}))
    unreadable = stage.receive(b"no message at all")

    ticked(stage, START + timedelta(days=90))

    assert row(stage, asked).disposition is Disposition.NEEDS_HUMAN
    assert [row(stage, one).purged_at for one in (asked, unreadable)] == [0, 0]


@pytest.mark.parametrize("holds", ["a decision that names a referral", "a merge", "an event"])
def test_what_anything_cites_is_kept_whole_for_good(holds: str) -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    referral = story(stage).line.id
    receipt = stage.receive(STRANGER)
    with stage.journal.batch(to_micros(START)) as unit:
        if holds == "a merge":
            unit.add_merge(_merge("1", "2", receipt.sequence))
            unit.bind(BindingKind.PATIENT, PatientId(value=Phi("2"), authority="A"), referral)
        elif holds == "an event":
            event = unit.events(referral)[0]
            unit.add_event(replace(event, sequence=unit.next_sequence(), message=receipt.sequence))
        else:
            unit.add_decision(_decision(receipt.sequence, referral))
            unit.undo_decision(receipt.sequence, 0, "user:jane", "another patient")

    ticked(stage, START + timedelta(days=90))

    assert row(stage, receipt).raw == STRANGER


def test_a_merge_of_two_records_of_nobody_we_track_is_reduced_and_still_holds() -> None:
    stage = engine()
    receipt = stage.receive(STRANGER)
    with stage.journal.batch(to_micros(START)) as unit:
        unit.add_merge(_merge("1", "2", receipt.sequence))

    ticked(stage, START + timedelta(days=90))

    assert row(stage, receipt).purged_at
    with stage.journal.batch(to_micros(START)) as unit:
        assert [known.value.reveal() for known in unit.aliases(Phi("2"), "A")] == ["1"]


def _merge(survivor: str, retired: str, message: int) -> MergeRow:
    return MergeRow(
        id=0, kind="merge", survivor=survivor, survivor_authority="A", retired=retired, retired_authority="A",
        message=message, at=1,
    )  # fmt: skip


def _decision(message: int, referral: str = "") -> DecisionRow:
    return DecisionRow(
        message=message, part=0, at=1, level=5, referral=referral, provisional=False, by="engine", reason="",
        body=encode_decision(Evidence(about=About.PATIENT, patient=Patient(), provider="1234567893"), ()),
    )  # fmt: skip


def test_what_a_task_speaks_of_is_kept_until_the_task_is_done_and_its_time_has_passed_again() -> None:
    stage = engine()
    receipt = stage.receive(STRANGER)
    with stage.journal.batch(to_micros(START)) as unit:
        opened = unit.open_task(a_task("anomaly", "", message=receipt.sequence))

    ticked(stage, START + WINDOW)
    held = row(stage, receipt).purged_at
    with stage.journal.batch(to_micros(START + WINDOW)) as unit:
        unit.finish_task(opened, "jane", "seen", 1)
    ticked(stage, START + 2 * WINDOW - timedelta(minutes=1))
    early = row(stage, receipt).purged_at
    ticked(stage, START + 2 * WINDOW)

    assert (held, early) == (0, 0)
    assert row(stage, receipt).purged_at == to_micros(START + 2 * WINDOW)
    assert stage.journal._connection.execute("SELECT count(*) FROM put_off").fetchall() == [(0,)]


def test_a_message_that_a_person_says_concerns_nobody_is_kept_for_its_time_from_then_on() -> None:
    stage = engine()
    asked = stage.receive(sample(NOTE, {"PID-3.1": "900009", "PID-5.1": "Another", "TXA-14": "P-1001"}))
    with stage.journal.batch(to_micros(START)) as unit:
        unit.change_disposition(asked.sequence, Disposition.NEEDS_HUMAN, 5, "unsure", "")
        unit.add_decision(_decision(asked.sequence))
    ticked(stage, START + timedelta(days=30))
    with stage.journal.batch(to_micros(START + timedelta(days=30))) as unit:
        unit.change_disposition(asked.sequence, Disposition.NO_OP, 5, "not a referral document", "")

    ticked(stage, START + timedelta(days=33) - timedelta(minutes=1))
    before = row(stage, asked).purged_at
    ticked(stage, START + timedelta(days=33))

    assert before == 0
    assert row(stage, asked).purged_at > 0
    (decision,) = stage.journal.read().decisions(asked.sequence)
    assert b"1234567893" not in decision.body, "why it was asked stays, about whom does not"
    assert scrub(stage.journal._connection).whole


# Early evidence ------------------------------------------------------------------------------------------------------


def test_early_evidence_is_matched_one_minute_before_its_time_ends() -> None:
    stage = engine()
    early = stage.receive(sample(BOOKING))

    ticked(stage, START + WINDOW - timedelta(minutes=1))
    stage.receive(sample(ORDER))

    assert row(stage, early).disposition is Disposition.APPLIED
    assert story(stage).referral.slots


def test_early_evidence_that_is_forgotten_is_not_matched_after_its_time() -> None:
    stage = engine(other=_of_the_ehr("forget"))
    early = stage.receive(_said_by_the_ehr(BOOKING))

    ticked(stage, START + WINDOW)
    stage.receive(sample(ORDER))

    assert row(stage, early).purged_at > 0
    assert row(stage, early).disposition is Disposition.NO_OP
    assert not story(stage).referral.slots
    with stage.journal.batch(to_micros(START + WINDOW)) as unit:
        assert unit.parked(BindingKind.PLACER, "P-1001") == ()


def _said_by_the_ehr(name: str) -> bytes:
    return sample(name, {"MSH-3": "EHR", "MSH-4": "SPRINGFIELD"})


def _of_the_ehr(unmatched: str, words: str = "72 hours", seconds: float | None = 259_200.0) -> Book:
    """What becomes of the EHR's own evidence that finds no referral."""
    base = keeping(words, seconds)
    feeds = {name: replace(one, unmatched=unmatched) for name, one in base.feeds.items()}
    return replace(base, feeds=feeds)


@pytest.mark.parametrize(
    ("words", "seconds", "hours"),
    [("72 hours", 259_200.0, 72), ("24 hours", 86_400.0, 24), ("30 days", 2_592_000.0, 72), ("for ever", None, 72),
     ("0 hours", 0.0, 72)],
)  # fmt: skip
@pytest.mark.parametrize("sender", ["a specialist", "a feed that says so"])
def test_evidence_that_may_hold_a_finding_ages_into_review(
    sender: str, words: str, seconds: float | None, hours: int
) -> None:  # H125
    stage = engine(other=_of_the_ehr("review", words, seconds))
    early = stage.receive(sample(NOTE) if sender == "a specialist" else _said_by_the_ehr(NOTE))

    ticked(stage, START + timedelta(hours=hours) - timedelta(minutes=1))
    before = kinds(stage)
    ticked(stage, START + timedelta(hours=hours))
    ticked(stage, START + timedelta(days=90))

    assert before == []
    (asked,) = tasks(stage, "match-review")
    assert asked.reason.startswith(f"level 6: nothing has claimed it in {hours} hours")
    assert asked.message == early.sequence
    found = row(stage, early)
    assert (found.disposition, found.level, found.purged_at) == (Disposition.NEEDS_HUMAN, 6, 0)
    assert stage.journal.read().books(deep=True).holds


def test_a_feed_that_need_not_be_reviewed_any_more_is_forgotten_after_all() -> None:
    stage = engine(other=_of_the_ehr("review", "0 hours", 0.0))
    early = stage.receive(_said_by_the_ehr(NOTE))
    tick(stage)
    kept = row(stage, early).purged_at

    stage.step = Step(stage.journal, _of_the_ehr("forget", "0 hours", 0.0), stage.clock)
    ticked(stage, START + timedelta(hours=1))

    assert kept == 0
    assert row(stage, early).purged_at > 0


def test_evidence_that_aged_into_review_is_still_found_by_its_order() -> None:
    stage = engine()
    early = stage.receive(sample(BOOKING))
    ticked(stage, START + WINDOW)
    aged = row(stage, early).disposition

    stage.receive(sample(ORDER))

    assert aged is Disposition.NEEDS_HUMAN
    assert row(stage, early).disposition is Disposition.APPLIED


def test_a_specialists_registration_of_somebody_is_no_finding() -> None:
    stage = engine()
    receipt = stage.receive(sample("adt-a04-cardiology-registered.hl7", {"PID-3.1": "770001"}))

    ticked(stage, START + WINDOW)

    assert row(stage, receipt).purged_at > 0
    assert kinds(stage) == []


# How it is done ------------------------------------------------------------------------------------------------------


def test_a_duplicate_of_a_purged_message_gets_the_first_answer_byte_for_byte() -> None:  # P2, H069
    stage = engine()
    first = stage.receive(STRANGER)
    ticked(stage, START + WINDOW)

    again = stage.receive(STRANGER)

    assert row(stage, first).purged_at > 0
    assert (again.duplicate, again.sequence, again.answer) == (True, first.sequence, first.answer)
    assert stage.journal.read().counts().received() == 1


def test_the_purge_goes_on_where_it_stood_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "LOOKED_AT_MAX", 4)
    path = str(tmp_path / "journal.db")
    journal = Journal.open(path, None, node="RE", now=to_micros(START))
    messages = [Message.parse(STRANGER).with_fields({"MSH-10": f"X{number}"}) for number in range(10)]
    Step(journal, book(), ManualClock(START)).run([arrived(raw) for raw in messages])
    clock = ManualClock(START + WINDOW)
    Step(journal, book(), clock).run([Ticked()])
    journal.close()

    journal = Journal.open(path, None)
    reduced = []
    for _ in range(4):
        reduced.append(sum(bool(line.purged_at) for line in journal.read().messages()))
        Step(journal, book(), clock).run([Ticked()])

    assert reduced == [4, 8, 10, 10]
    assert [target for _, target, _ in purges(journal)] == ["messages 1-4 (4)", "messages 5-8 (4)", "messages 9-10 (2)"]
    assert scrub(journal._connection).whole
    journal.close()


def test_a_tick_reads_no_more_bytes_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "REDUCED_BYTES_MAX", len(STRANGER) + 1)
    stage = engine()
    for number in range(5):
        stage.receive(Message.parse(STRANGER).with_fields({"MSH-10": f"X{number}"}))

    ticked(stage, START + WINDOW)
    first = len(purges(stage.journal)), sum(bool(one.purged_at) for one in stage.journal.read().messages())
    for _ in range(3):
        tick(stage)

    assert first == (1, 2)
    assert all(one.purged_at for one in stage.journal.read().messages())


def test_an_altered_message_is_found_by_the_purge_and_not_made_good() -> None:  # P16
    stage = engine()
    receipt = stage.receive(STRANGER)
    stage.journal._connection.execute("UPDATE messages SET raw = CAST(raw || x'20' AS BLOB)")

    stage.clock.move_to(START + WINDOW)
    with pytest.raises(Altered, match=f"message {receipt.sequence}"):
        tick(stage)

    assert stage.journal.fenced


def test_a_flipped_byte_of_a_reduced_message_is_found() -> None:  # P16, F-B10
    stage = engine()
    receipt = stage.receive(STRANGER)
    ticked(stage, START + WINDOW)
    for change in ("raw = CAST(raw || x'20' AS BLOB)", "purged_at = purged_at + 1", "purged_at = 0", "raw = x''"):
        stage.journal._connection.execute("SAVEPOINT spoilt")
        stage.journal._connection.execute(f"UPDATE messages SET {change}")

        assert scrub(stage.journal._connection).bad == (f"message {receipt.sequence}",), change
        stage.journal._connection.execute("ROLLBACK TO spoilt")
        stage.journal._connection.execute("RELEASE spoilt")
    assert scrub(stage.journal._connection).whole


def test_a_tick_with_nothing_of_age_looks_at_one_message() -> None:
    stage = engine()
    for number in range(200):
        stage.receive(Message.parse(STRANGER).with_fields({"MSH-10": f"X{number}"}))
    looked: list[int] = []

    class Counted:
        def after(self, after: int, limit: int) -> list[Passed]:
            looked.append(limit)
            return unit.purging.after(after, limit)

    with stage.journal.batch(to_micros(START)) as unit:
        found = list(forgetting._of_age(Counted(), 0, to_micros(START) - 1))  # type: ignore[arg-type]  # it counts

    assert found == []
    assert looked == [1]


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        (b"MSH|^~\\&|A|B|C|D|20260302||ADT^A08|X1|P|2.5.1|9|||AL\rPID|1||1", b"MSH|^~\\&|A|B|C|D|20260302||ADT^A08|X1|P|2.5.1"),
        (b"MSH|^~\\&|A\nPID|1", b"MSH|^~\\&|A"),
        (b"\r\nMSH@^~\\&@A@B@@@@@ADT@1@P@2.3@@@\r", b"MSH@^~\\&@A@B@@@@@ADT@1@P@2.3"),
        (b"MSH", b"MSH"),
        (b"PID|1", b""),
        (b"", b""),
    ],
)  # fmt: skip
def test_the_header_that_is_left_ends_with_the_version(raw: bytes, left: bytes) -> None:
    assert header_of(raw) == left
