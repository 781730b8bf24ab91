"""P4: what one message changes, disposition, state, clocks, sendings, tasks and audit, is stored whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlcipher3 import dbapi2

from referral_engine.base.errors import JournalError, OutcomeUnknown
from referral_engine.flow.inputs import Ticked
from tests.flow.stage import BOOKING, NOTE, ORDER, arrived, book, door, sample
from tests.simulation import checkers

STEPS_MAX = 40


class FailingCommit:
    """A connection whose COMMIT fails, after having worked or before."""

    def __init__(self, true: Any, *, works: bool) -> None:
        self._true = true
        self._works = works

    def __getattr__(self, name: str) -> Any:
        return getattr(self._true, name)

    def execute(self, statement: str, *values: Any) -> Any:
        if statement != "COMMIT":
            return self._true.execute(statement, *values)
        if self._works:
            self._true.execute("COMMIT")
        raise dbapi2.OperationalError("disk I/O error")


def _stored(path: Path) -> tuple[object, ...]:
    """Everything but the journal's row about itself."""
    _, journal = door(path)
    tables = ("messages", "events", "referrals", "bindings", "deadlines", "effects", "tasks", "audit", "parked")
    try:
        return tuple(
            journal._connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4").fetchall() if table != "parked"
            else journal._connection.execute("SELECT * FROM parked ORDER BY 1, 2").fetchall()
            for table in tables
        )  # fmt: skip
    finally:
        journal.close()


# Cut the transaction after more and more of SQLite's work, until it gets through.
@pytest.mark.parametrize("given", [ORDER, BOOKING, NOTE])
def test_wherever_a_transaction_breaks_nothing_of_it_is_stored(given: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    step, journal = door(path)
    if given != ORDER:
        step.run([arrived(sample(ORDER))])
    journal.close()
    before = _stored(path)
    broken = 0
    for cut in range(1, 100_000, 23):
        step, journal = door(path)
        connection = journal._connection
        left = [cut]

        def enough(left: list[int] = left) -> bool:
            left[0] -= 1
            return left[0] <= 0

        connection.set_progress_handler(enough, 10)  # type: ignore[attr-defined]  # the driver's
        try:
            step.run([arrived(sample(given))])
        except JournalError:
            broken += 1
        else:
            break
        finally:
            connection.set_progress_handler(None, 0)  # type: ignore[attr-defined]  # the driver's
            journal.close()
        assert _stored(path) == before

    assert broken >= 2, "the transaction was cut in several places"
    after = _stored(path)
    assert all(now != then for now, then in zip(after[:3], before[:3], strict=True)), "message, event and state"
    assert after[7] != before[7], "and the audit"


@pytest.mark.parametrize("works", [False, True])
def test_a_commit_that_fails_stores_all_or_nothing_and_nobody_is_told(
    works: bool, tmp_path: Path
) -> None:  # F-B01 F-B02
    path = tmp_path / "journal.db"
    step, journal = door(path)
    journal._connection = FailingCommit(journal._connection, works=works)  # type: ignore[assignment]  # it is one

    with pytest.raises(OutcomeUnknown):
        step.run([arrived(sample(ORDER))])
    with pytest.raises(JournalError):  # fail-stop: not even the next one
        step.run([arrived(sample(BOOKING))])
    journal.close()

    step, journal = door(path)
    assert len(journal.read().referrals()) == int(works)
    (receipt,) = step.run([arrived(sample(ORDER))])  # the sender, who heard nothing, sends it again
    assert receipt.duplicate is works
    assert receipt.answer
    assert len(journal.read().referrals()) == 1
    assert checkers.wrong_inside(journal.read(), book()) == []
    journal.close()


def test_a_deadline_fires_together_with_what_it_causes(tmp_path: Path) -> None:  # F-C09
    path = tmp_path / "journal.db"
    step, journal = door(path)
    step.run([arrived(sample(ORDER))])
    journal.close()
    step, journal = door(path, "2026-03-02 12:00")
    journal._connection = FailingCommit(journal._connection, works=False)  # type: ignore[assignment]  # it is one
    with pytest.raises(OutcomeUnknown):
        step.run([Ticked()])
    journal.close()

    step, journal = door(path, "2026-03-02 12:00")
    (first, second) = step.run([Ticked(), Ticked()])

    assert first.fired > 0
    assert second.fired == 0
    (story,) = checkers.all_stories(journal.read())
    assert checkers.wrong_firing(story) == []
    assert checkers.wrong_inside(journal.read(), book()) == []
    journal.close()
