"""The work queue: one open task of a kind a referral."""

from __future__ import annotations

from referral_engine.journal.rows import TaskState
from tests.journal.made import a_task, in_memory


def test_the_same_task_twice_is_one_task_with_the_newest_reason() -> None:
    journal = in_memory()

    with journal.batch(1) as unit:
        assert unit.open_task(a_task(reason="first", message=4)) == 1
        assert unit.open_task(a_task(reason="second", urgent=True)) == 0
        assert unit.open_task(a_task(reason="third", urgent=False)) == 0
        task = unit.task(1)

    assert task is not None
    assert (task.reason, task.urgent, task.message) == ("third", True, 4)


def test_a_task_that_was_done_can_be_opened_again() -> None:
    journal = in_memory()

    with journal.batch(1) as unit:
        unit.open_task(a_task())
        unit.finish_task(1, "jane", "called", 5)
        assert unit.open_task(a_task()) == 2


def test_tasks_of_no_referral_are_never_the_same() -> None:
    journal = in_memory()

    with journal.batch(1) as unit:
        assert unit.open_task(a_task(referral="", message=1)) == 1
        assert unit.open_task(a_task(referral="", message=2)) == 2


def test_what_happened_closes_tasks_of_these_kinds_only() -> None:
    journal = in_memory()
    with journal.batch(1) as unit:
        for kind in ("schedule", "call-patient", "stale"):
            unit.open_task(a_task(kind))

    with journal.batch(2) as unit:
        assert (
            unit.close_tasks("K7QD-0001", frozenset({"schedule", "call-patient", "no-show-review"}), 7, "booked") == 2
        )
        assert unit.close_tasks("K7QD-0001", frozenset(), 7, "booked") == 0
        first, last = unit.task(1), unit.task(3)

    assert first is not None
    assert (first.state, first.closed_at, first.note) == (TaskState.DONE, 7, "booked")
    assert last is not None
    assert last.state is TaskState.OPEN


def test_a_claimed_task_is_not_given_to_another() -> None:
    journal = in_memory()

    with journal.batch(1) as unit:
        unit.open_task(a_task())
        mine = unit.claim_task(1, "jane")
        assert unit.claim_task(1, "joe") is None
        assert unit.claim_task(1, "jane") == mine

    assert mine is not None
    assert (mine.state, mine.claimed_by) == (TaskState.CLAIMED, "jane")


def test_a_task_is_done_once() -> None:
    journal = in_memory()

    with journal.batch(1) as unit:
        unit.open_task(a_task())
        done = unit.finish_task(1, "jane", "called", 9)
        assert unit.finish_task(1, "joe", "called too", 10) is None
        assert unit.claim_task(1, "joe") is None
        assert unit.finish_task(2, "jane", "", 9) is None

    assert done is not None
    assert (done.state, done.claimed_by, done.note, done.closed_at) == (TaskState.DONE, "jane", "called", 9)
