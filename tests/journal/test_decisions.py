"""Decisions are stored with their batch, superseded and undone by marks, and found by message and by referral.  # P22"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from referral_engine.base.errors import Altered, JournalError
from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.journal.codec import decode_decision, encode_decision, without_patient
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import BindingKind, DecisionRow, Disposition
from referral_engine.loop.matching import About, Evidence, Part, Verdict, Weighed
from referral_engine.loop.referral import Identifier, Patient
from tests.journal.made import (
    CANARY,
    KEY,
    a_message,
    a_referral,
    a_task,
    an_effect,
    an_event,
    in_memory,
    with_referral,
)

EVIDENCE = Evidence(
    about=About.REPORT,
    patient=Patient(family=Phi(CANARY)),
    document=Identifier(value="D-1", authority="LAB"),
    document_kind="CN",
    fields=("document TXA-12",),
)
WEIGHED = (Weighed(referral="K7QD-0001", score=7, parts=(Part(name="sex", verdict=Verdict.AGREES, points=7),)),)


def a_decision(message: int, part: int = 0, **changes: object) -> DecisionRow:
    row = DecisionRow(
        message=message,
        part=part,
        at=5,
        level=4,
        referral="",
        provisional=False,
        by="engine",
        reason="2 open referrals fit",
        body=encode_decision(EVIDENCE, WEIGHED),
    )
    return replace(row, **changes)


def decided(journal: Journal, *rows: DecisionRow, at: int = 5) -> None:
    """One message with these decisions, in one batch."""
    with journal.batch(at) as unit:
        sequence = unit.next_sequence()
        unit.add_message(a_message(sequence))
        for row in rows:
            unit.add_decision(replace(row, message=sequence))


def breaks(first: Callable[[], object]) -> None:
    """Do this, then break the batch."""
    first()
    raise JournalError("the batch ends here")


def test_what_was_decided_and_from_what_comes_back() -> None:
    journal = in_memory()
    decided(journal, a_decision(1, 0), a_decision(1, 1, level=1, referral="K7QD-0001", provisional=True))

    first, second = journal.read().decisions(1)

    assert decode_decision(first.body) == (EVIDENCE, WEIGHED)
    assert (second.part, second.level, second.referral, second.provisional) == (1, 1, "K7QD-0001", True)


def test_a_later_decision_supersedes_and_the_earlier_one_stays() -> None:
    journal = in_memory()
    decided(journal, a_decision(1))
    with journal.batch(6) as unit:
        unit.add_decision(a_decision(1, at=6, referral="K7QD-0001", by="user:jane"))
        within = unit.decisions(1)
    with journal.batch(7) as unit:
        unit.add_decision(a_decision(1, at=7, referral="K7QD-0002", by="user:joe"))

    assert [row.by for row in within] == ["user:jane"]
    assert [row.by for row in journal.read().decisions(1)] == ["user:joe"]
    kept = journal._connection.execute("SELECT number, made_by FROM decisions ORDER BY number").fetchall()
    assert kept == [(1, "engine"), (2, "user:jane"), (3, "user:joe")]


def test_two_decisions_of_one_batch_are_two_of_one_history() -> None:
    journal = in_memory()

    decided(journal, a_decision(1), a_decision(1, referral="K7QD-0001"), a_decision(1, 1))

    assert [(row.part, row.referral) for row in journal.read().decisions(1)] == [(0, "K7QD-0001"), (1, "")]


def test_a_batch_that_was_rolled_back_leaves_no_number_behind() -> None:
    journal = in_memory()
    decided(journal, a_decision(1))
    with pytest.raises(JournalError), journal.batch(6) as unit:
        breaks(lambda: unit.add_decision(a_decision(1, at=6)))
    with journal.batch(7) as unit:
        unit.add_decision(a_decision(1, at=7))

    kept = journal._connection.execute("SELECT number, at FROM decisions ORDER BY number").fetchall()
    assert kept == [(1, 5), (2, 7)]


def test_an_undone_decision_is_marked_once_and_stays_among_those_of_its_referral() -> None:
    journal = in_memory()
    decided(journal, a_decision(1, referral="K7QD-0001"))
    with journal.batch(8) as unit:
        unit.undo_decision(1, 0, "user:jane", "another patient")
    with journal.batch(9) as unit:
        unit.undo_decision(1, 0, "user:joe", "again")

    (row,) = journal.read().decisions_of("K7QD-0001")
    assert (row.undone_at, row.undone_by, row.undone_reason) == (8, "user:jane", "another patient")


def test_the_decisions_of_a_referral_come_oldest_first_and_each_part_once() -> None:
    journal = in_memory()
    decided(journal, a_decision(1, referral="K7QD-0001", reason="first"), at=5)
    decided(journal, a_decision(2, referral="K7QD-0001", at=6), at=6)
    with journal.batch(9) as unit:
        unit.add_decision(a_decision(1, at=9, referral="K7QD-0001", reason="confirmed"))
        unit.add_decision(a_decision(2, at=9, referral="K7QD-0002"))
        found = unit.decisions_of("K7QD-0001")

    assert [(row.message, row.reason) for row in found] == [(2, "2 open referrals fit"), (1, "confirmed")]
    assert journal.read().decisions_of("K7QD-0001") == found
    assert journal.read().decisions_of("") == ()


def test_nobody_can_undo_what_was_never_decided() -> None:
    journal = in_memory()

    with pytest.raises(AssertionError, match="nobody decided about part 3 of message 1"), journal.batch(5) as unit:
        unit.undo_decision(1, 3, "user:jane", "?")


def test_a_decision_is_never_removed() -> None:
    journal = in_memory()
    decided(journal, a_decision(1))

    with pytest.raises(dbapi2.IntegrityError, match="undone by a mark"):
        journal._connection.execute("DELETE FROM decisions")


def test_an_altered_decision_is_found_when_it_is_read() -> None:  # P16
    journal = in_memory()
    decided(journal, a_decision(1, referral="K7QD-0001"))

    journal._connection.execute("UPDATE decisions SET referral = 'K7QD-0002'")

    with pytest.raises(Altered, match="decision 0 of message 1"):
        journal.read().decisions(1)


def test_a_decision_outlives_a_restart_and_is_superseded_after_it(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    journal = Journal.open(path, KEY, node="K7QD", now=1)
    decided(journal, a_decision(1))
    journal.close()
    journal = Journal.open(path, KEY)
    with journal.batch(9) as unit:
        unit.add_decision(a_decision(1, at=9, referral="K7QD-0001"))

    assert [row.referral for row in journal.read().decisions(1)] == ["K7QD-0001"]
    journal.close()


def test_a_body_without_its_patient_says_what_kind_of_thing_it_was() -> None:  # P17
    body = without_patient(encode_decision(EVIDENCE, WEIGHED))

    assert CANARY.encode() not in body
    evidence, weighed = decode_decision(body)
    assert (evidence.about, evidence.document_kind, evidence.fields) == (About.REPORT, "CN", ("document TXA-12",))
    assert weighed == ()


def test_bytes_that_are_no_decision_are_refused_in_a_sentence() -> None:
    with pytest.raises(JournalError, match="A stored decision cannot be read"):
        decode_decision(b"{}")


def test_open_reviews_come_with_what_was_decided_urgent_ones_first() -> None:
    journal = in_memory()
    with_referral(journal)
    decided(journal, a_decision(1, 0, referral="K7QD-0001", level=1), a_decision(1, 1))
    message = journal.read().messages()[0].sequence
    with journal.batch(9) as unit:
        unit.open_task(a_task("match-review", "", message=message))
        unit.open_task(a_task("match-review", "K7QD-0001", urgent=True))
        unit.open_task(a_task("call-patient", "K7QD-0001"))

    urgent, asked = journal.read().reviews()

    assert (urgent.task.referral, urgent.decision) == ("K7QD-0001", None)
    assert [row.part for row in asked.decisions] == [0, 1]
    assert asked.decision is not None
    assert asked.decision.part == 1, "the part that nobody has decided"


# What an undo asks of the journal ------------------------------------------------------------------------------------


def test_events_and_sendings_of_a_referral_are_read_within_the_batch() -> None:
    journal = in_memory()
    with_referral(journal)
    with journal.batch(5) as unit:
        first, second = unit.next_sequence(), unit.next_sequence()
        unit.add_event(an_event(first))
        unit.add_event(an_event(second, "K7QD-0002"))
        unit.owe(an_effect(1, cause=first))

        assert [row.sequence for row in unit.events("K7QD-0001")] == [first]
        assert [row.wire_id for row in unit.effects_of("K7QD-0001")] == [f"W{first}-1"]
        assert unit.effects_of("K7QD-0002") == ()


def test_a_number_that_was_unbound_leads_nowhere_and_its_neighbours_stay() -> None:
    journal = in_memory()
    with_referral(journal)
    with_referral(journal, a_referral("K7QD-0002"))
    number = Identifier(value="A-1", authority="LAB")
    with journal.batch(5) as unit:
        unit.bind(BindingKind.APPOINTMENT, number, "K7QD-0001")
        unit.bind(BindingKind.APPOINTMENT, number, "K7QD-0002")
        unit.bind(BindingKind.VISIT, number, "K7QD-0001")
        unit.unbind(BindingKind.APPOINTMENT, number, "K7QD-0001")

        assert unit.bound(BindingKind.APPOINTMENT, "A-1", "LAB") == ("K7QD-0002",)
    with journal.batch(6) as unit:
        assert unit.bound(BindingKind.VISIT, "A-1") == ("K7QD-0001",)


@pytest.mark.parametrize("kind", list(BindingKind))
def test_one_look_finds_a_number_of_every_kind(kind: BindingKind) -> None:
    journal = in_memory()
    with_referral(journal)
    with journal.batch(5) as unit:
        unit.bind(kind, Identifier(value="X-1"), "K7QD-0001")
    with journal.batch(6) as unit:
        unit.look_ahead([], [(kind.value, "X-1"), (kind.value, "X-2")])
        assert unit.is_known((kind.value, "X-1"))
        assert not unit.is_known((kind.value, "X-2"))


def test_tasks_closed_at_that_instant_with_that_note_are_open_again_with_whoever_had_them() -> None:
    journal = in_memory()
    with_referral(journal)
    with journal.batch(5) as unit:
        claimed = unit.open_task(a_task("chase-note"))
        other = unit.open_task(a_task("schedule"))
        unit.claim_task(claimed, "jane")
        unit.finish_task(other, "joe", "done", 6)
        unit.close_tasks("K7QD-0001", ["chase-note"], 6, "no longer needed")

        assert unit.reopen_tasks("K7QD-0001", 6, "no longer needed") == 1
        assert unit.reopen_tasks("K7QD-0001", 6, "no longer needed") == 0
        states = {row.kind: (row.state.value, row.claimed_by) for row in unit.tasks_of_referral("K7QD-0001")}

        reopened = unit.task(claimed)

    assert states == {"chase-note": ("claimed", "jane"), "schedule": ("done", "joe")}
    assert reopened is not None
    assert (reopened.closed_at, reopened.note) == (0, "")


def test_a_task_whose_kind_is_open_by_now_stays_closed() -> None:
    journal = in_memory()
    with_referral(journal)
    with journal.batch(5) as unit:
        for _ in range(2):
            unit.open_task(a_task("chase-note"))
            unit.close_tasks("K7QD-0001", ["chase-note"], 6, "no longer needed")
        newest = unit.open_task(a_task("chase-note"))

        assert unit.reopen_tasks("K7QD-0001", 6, "no longer needed") == 0
        unit.close_tasks("K7QD-0001", ["chase-note"], 7, "no longer needed")
        assert unit.reopen_tasks("K7QD-0001", 6, "no longer needed") == 1, "one of the two: a kind is open once"

    assert [row.state.value for row in journal.read().tasks(done=True)] == ["done", "done", "open"]
    assert newest == 3


def test_a_decision_of_a_message_that_waits_for_a_person_is_counted_once() -> None:
    journal = in_memory()
    decided(journal, a_decision(1))
    with journal.batch(6) as unit:
        unit.change_disposition(1, Disposition.NEEDS_HUMAN, 4, "two fit", "")

    assert journal.read().books(deep=True).holds
