"""A dry run through the door leaves no trace: not in the journal, not in memory, not in what follows."""

from __future__ import annotations

from referral_engine.flow.explaining import explain
from referral_engine.flow.inputs import Arrived
from tests.flow.stage import BOOKING, NOTE, ORDER, engine, sample

HERE = "127.0.0.1"


def test_what_was_explained_has_not_happened() -> None:
    asked, never_asked = engine(), engine()
    asked.receive(sample(ORDER))
    never_asked.receive(sample(ORDER))

    explain(asked.step, Arrived(raw=sample(BOOKING), peer=HERE))

    for one in (asked, never_asked):
        one.receive(sample(BOOKING))
    stories = [one.journal.read().story(one.journal.read().referrals(limit=1)[0].id) for one in (asked, never_asked)]
    assert stories[0] == stories[1]
    assert asked.journal.read().first_bad_audit_line() is None
    assert asked.journal.read().conservation().holds


def test_the_same_question_twice_has_the_same_answer() -> None:
    given = engine()
    given.receive(sample(ORDER))
    note = Arrived(raw=sample(NOTE), peer=HERE)

    first, second = explain(given.step, note), explain(given.step, note)

    assert first.touched == second.touched
    assert first.stored is not None
    assert first.stored.disposition == "applied"
    assert [send.purpose for send in first.touched[0].sends if send.recipient == "ehr"] != []


def test_a_message_that_came_before_would_get_its_first_answer_and_do_nothing() -> None:
    given = engine()
    receipt = given.receive(sample(ORDER))

    told = explain(given.step, Arrived(raw=sample(ORDER), peer=HERE))

    assert told.receipt.duplicate
    assert told.receipt.answer == receipt.answer
    assert told.touched == ()
    assert told.tasks == ()
