"""Questions for people: lists, one referral's story, counts, and whether anything was lost."""

from __future__ import annotations

import pytest

from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import BindingKind, Disposition, EffectState
from referral_engine.loop.referral import Identifier
from referral_engine.loop.states import Closure, Dispatch, Status
from tests.journal.made import SECOND, a_deadline, a_message, a_referral, a_task, an_effect, an_event, in_memory

ID = "K7QD-0001"


@pytest.fixture
def journal() -> Journal:
    """An order with everything that follows from it, a settled sending and a finished task."""
    journal = in_memory()
    with journal.batch(1) as unit:
        unit.add_message(a_message(unit.next_sequence(), disposition=Disposition.APPLIED, referral=ID))
        unit.add_event(an_event(unit.next_sequence(), message=1))
        unit.save_referral(a_referral(), SECOND, new=True)
        unit.bind(BindingKind.PLACER, Identifier(value="P1"), ID)
        unit.change_deadlines(ID, [a_deadline(due_at=90), a_deadline("stale", 80)], [])
        unit.owe(an_effect(1, cause=2, created_at=2 * SECOND))
        unit.open_task(a_task(opened_at=3 * SECOND))
    with journal.batch(4 * SECOND) as unit:
        unit.claim("ehr", 4 * SECOND, 60, 1)
        unit.settle(1, 1, EffectState.DELIVERED, 5 * SECOND, 0, "accepted")
        unit.finish_task(1, "jane", "called", 6 * SECOND)
        unit.add_message(a_message(unit.next_sequence(), disposition=Disposition.QUARANTINED, reason="MSH-9: missing"))
        unit.add_message(a_message(unit.next_sequence()))
    return journal


def test_a_story_is_told_in_time_order(journal: Journal) -> None:
    story = journal.read().story(ID)

    assert story is not None
    assert [(moment.at // SECOND, moment.source, moment.summary) for moment in story.timeline] == [
        (1, "message", "message from ehr: applied, answered AA"),
        (2, "event", "ordered"),
        (2, "effect", "owed: status to ehr by ehr"),
        (3, "task", "task call-patient for front-desk"),
        (5, "effect", "delivered: status to ehr by ehr, 1 attempt"),
        (6, "task", "task call-patient done by jane"),
    ]
    assert [deadline.kind for deadline in story.deadlines] == ["stale", "schedule"]
    assert (story.line.status, story.referral, story.truncated) == (Status.HELD, a_referral(), False)
    assert [event.message for event in story.events] == [1]


def test_a_story_names_the_message_behind_an_event_even_if_it_was_matched_to_nobody(journal: Journal) -> None:
    with journal.batch(9) as unit:
        unit.add_event(an_event(unit.next_sequence(), message=4))

    story = journal.read().story(ID)

    assert story is not None
    assert [message.sequence for message in story.messages] == [1, 4]


def test_there_is_no_story_of_nobody(journal: Journal) -> None:
    assert journal.read().story("K7QD-NONE") is None
    assert journal.read().referral("K7QD-NONE") is None
    assert journal.read().message(99) is None
    assert journal.read().effect(99) is None
    assert journal.read().task(99) is None


def test_referrals_are_listed_newest_first_and_by_status(journal: Journal) -> None:
    with journal.batch(7) as unit:
        unit.save_referral(a_referral("K7QD-0002", dispatch=Dispatch.QUEUED), 7, new=True)
    reading = journal.read()

    assert [line.id for line in reading.referrals()] == ["K7QD-0002", ID]
    assert [line.id for line in reading.referrals(limit=1)] == ["K7QD-0002"]
    assert [line.id for line in reading.referrals(status=Status.HELD)] == [ID]
    assert reading.referrals(status=Status.CLOSED) == ()


def test_messages_are_listed_newest_first_and_by_disposition(journal: Journal) -> None:
    reading = journal.read()

    assert [line.sequence for line in reading.messages()] == [4, 3, 1]
    assert [line.sequence for line in reading.messages(limit=2)] == [4, 3]
    assert reading.messages(limit=-1) == ()
    (bad,) = reading.messages(disposition=Disposition.QUARANTINED)
    assert (bad.sequence, bad.reason, bad.control_id) == (3, "MSH-9: missing", b"MSG3")
    assert [line.sequence for line in reading.messages(disposition=Disposition.NO_OP)] == [4]
    stored = reading.message(3)
    assert stored is not None
    assert stored.raw == b"content"


def test_tasks_are_listed_urgent_ones_first(journal: Journal) -> None:
    with journal.batch(7) as unit:
        unit.open_task(a_task("stale", opened_at=1))
        unit.open_task(a_task("schedule", opened_at=2, urgent=True))
        unit.open_task(a_task("billing", opened_at=3, queue="billing"))
    reading = journal.read()

    assert [task.kind for task in reading.tasks()] == ["schedule", "stale", "billing"]
    assert [task.kind for task in reading.tasks(queue="billing")] == ["billing"]
    assert [task.kind for task in reading.tasks(done=True)] == ["billing", "schedule", "stale", "call-patient"]


def test_the_outbox_shows_what_is_owed_and_on_request_what_was(journal: Journal) -> None:
    with journal.batch(7) as unit:
        for ordinal, state in enumerate(EffectState):
            unit.owe(an_effect(ordinal, cause=9, state=state))
    reading = journal.read()

    assert [row.state.value for row in reading.outbox()] == ["queued", "in-flight", "failed", "unknown", "parked"]
    assert len(reading.outbox(settled=True)) == 1 + len(EffectState)
    assert len(reading.outbox(settled=True, limit=3)) == 3


def test_counts_agree_with_what_happened(journal: Journal) -> None:
    counts = journal.read().counts()

    assert {(one.partner, one.disposition.value, one.number) for one in counts.messages} == {
        ("ehr", "applied", 1), ("ehr", "quarantined", 1), ("ehr", "no-op", 1),
    }  # fmt: skip
    assert [(one.lane, one.state, one.number) for one in counts.effects] == [("ehr", EffectState.DELIVERED, 1)]
    assert (counts.received(), counts.owed(EffectState.QUEUED), counts.tasks_open) == (3, 0, 0)
    assert (counts.deadlines_pending, counts.oldest_deadline_at, counts.oldest_queued_at) == (2, 80, None)
    assert (counts.referrals_open, counts.sequence, counts.high_water) == (1, 4, 4 * SECOND)


def test_nothing_lost_is_seen_and_something_lost_too(journal: Journal) -> None:
    assert journal.read().conservation().holds

    journal._connection.execute("DELETE FROM messages WHERE sequence = 3")

    after = journal.read().conservation()
    assert (after.messages_counted, after.messages_stored, after.holds) == (3, 2, False)


def test_an_open_referral_that_no_clock_runs_for_is_named(journal: Journal) -> None:
    with journal.batch(7) as unit:
        unit.change_deadlines(ID, [], [("schedule", 1), ("stale", 1)])
        unit.save_referral(a_referral("K7QD-0002", closure=Closure.ENDED), 7, new=True)

    after = journal.read().conservation()

    assert after.open_without_deadline == (ID,)
    assert not after.holds


def test_a_referral_is_found_by_its_own_number_or_the_orders(journal: Journal) -> None:
    reading = journal.read()

    assert [reading.find(number) for number in (ID, "P1", "P9")] == [ID, ID, ""]


def test_what_is_owed_after_a_sending_comes_oldest_first(journal: Journal) -> None:
    with journal.batch(7) as unit:
        for ordinal in range(3):
            unit.owe(an_effect(ordinal, cause=9))

    assert [row.id for row in journal.read().owed_after(2)] == [3, 4]
