"""Deadlines: in due order, once, never early."""

from __future__ import annotations

import pytest

from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import DeadlineRow
from tests.journal.made import a_deadline, a_referral, an_effect, in_memory, with_referral

ID = "K7QD-0001"


@pytest.fixture
def journal() -> Journal:
    journal = in_memory()
    with_referral(journal)
    return journal


def start(journal: Journal, *rows: DeadlineRow) -> None:
    with journal.batch(1) as unit:
        unit.change_deadlines(ID, rows, [])


def test_what_is_due_comes_in_due_order(journal: Journal) -> None:
    start(journal, a_deadline("b", 30), a_deadline("a", 30), a_deadline("c", 10), a_deadline("d", 31))

    with journal.batch(2) as unit:
        assert [row.kind for row in unit.due(30, 10)] == ["c", "a", "b"]
        assert [row.kind for row in unit.due(30, 2)] == ["c", "a"]
        assert unit.due(9, 10) == []


def test_a_deadline_fires_once(journal: Journal) -> None:
    start(journal, a_deadline())

    with journal.batch(2) as unit:
        (row,) = unit.due(100, 10)
        assert unit.fire(row, 5)
        assert not unit.fire(row, 6)
        assert unit.due(100, 10) == []


def test_a_fired_deadline_stays_fired_when_it_is_set_again(journal: Journal) -> None:
    start(journal, a_deadline())
    with journal.batch(2) as unit:
        unit.fire(a_deadline(), 5)

    start(journal, a_deadline(due_at=200))

    with journal.batch(3) as unit:
        assert unit.due(1000, 10) == []
        assert [row.state for row in unit.deadlines(ID)] == ["fired"]


def test_a_cancelled_deadline_runs_again_with_its_new_due_time(journal: Journal) -> None:
    start(journal, a_deadline(due_at=100))
    with journal.batch(2) as unit:
        unit.change_deadlines(ID, [], [("schedule", 1)])
        assert unit.due(1000, 10) == []

    start(journal, a_deadline(due_at=300))

    with journal.batch(3) as unit:
        assert [row.due_at for row in unit.due(1000, 10)] == [300]


def test_of_one_deadline_set_twice_in_one_batch_the_later_counts(journal: Journal) -> None:
    start(journal, a_deadline(due_at=100), a_deadline(due_at=200), a_deadline("stale", 50))

    with journal.batch(2) as unit:
        assert [row.due_at for row in unit.due(1000, 10)] == [50, 200]


def test_a_deadline_set_and_cancelled_in_one_batch_does_not_run(journal: Journal) -> None:
    with journal.batch(1) as unit:
        unit.change_deadlines(ID, [a_deadline()], [])
        unit.change_deadlines(ID, [], [("schedule", 1)])

    with journal.batch(2) as unit:
        assert unit.due(1000, 10) == []


def test_a_deadline_that_was_moved_does_not_fire_early(journal: Journal) -> None:
    start(journal, a_deadline(due_at=100))

    with journal.batch(2) as unit:
        (seen,) = unit.due(100, 10)
        unit.change_deadlines(ID, [a_deadline(due_at=500)], [])
        assert not unit.fire(seen, 5)
        assert [row.due_at for row in unit.due(500, 10)] == [500]


@pytest.mark.parametrize(
    "statement", ["UPDATE deadlines SET state = 'pending', event = 0", "UPDATE deadlines SET due_at = 1",
                  "DELETE FROM deadlines"],
)  # fmt: skip
def test_the_table_itself_refuses_to_change_a_fired_deadline(journal: Journal, statement: str) -> None:
    start(journal, a_deadline())
    with journal.batch(2) as unit:
        unit.fire(a_deadline(), 5)

    with pytest.raises(Exception, match="a fired deadline never changes"):
        journal._connection.execute(statement)


def test_the_next_due_instant_is_the_earliest_of_clocks_and_sendings(journal: Journal) -> None:
    with journal.batch(1) as unit:
        assert unit.next_due(50) is None
        unit.change_deadlines(ID, [a_deadline(due_at=300)], [])
        assert unit.next_due(50) == 300
        unit.owe(an_effect(1, next_at=200))
        assert unit.next_due(50) == 200
        assert unit.next_due(250) == 250


def test_clocks_of_several_referrals_share_one_order() -> None:
    journal = in_memory()
    with journal.batch(1) as unit:
        for number, due_at in ((1, 20), (2, 10)):
            unit.save_referral(a_referral(f"K7QD-{number}"), 1, new=True)
            unit.change_deadlines(f"K7QD-{number}", [a_deadline(due_at=due_at, referral=f"K7QD-{number}")], [])

        assert [row.referral for row in unit.due(50, 10)] == ["K7QD-2", "K7QD-1"]
