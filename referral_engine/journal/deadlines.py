"""Deadlines: set, cancelled, found when due, and fired exactly once."""

from __future__ import annotations

from collections.abc import Sequence

from referral_engine.journal.database import Connection, Row
from referral_engine.journal.rows import DeadlineRow

# A new clock runs from now on.
_START = """
INSERT INTO deadlines (referral, kind, generation, due_at, state, event) VALUES (?, ?, ?, ?, 'pending', 0)
ON CONFLICT DO NOTHING
"""
# A clock that is known runs from now on, too; a cancelled one runs again, a fired one stays fired.
_SET = """
INSERT INTO deadlines (referral, kind, generation, due_at, state, event) VALUES (?, ?, ?, ?, 'pending', 0)
ON CONFLICT (referral, kind, generation) DO UPDATE SET due_at = excluded.due_at, state = 'pending'
WHERE state <> 'fired'
"""
# A clock is not needed any more.
_CANCEL = """
UPDATE deadlines SET state = 'cancelled' WHERE referral = ? AND kind = ? AND generation = ? AND state = 'pending'
"""
# The clocks that have run out, in the order in which they did.
_DUE = """
SELECT referral, kind, generation, due_at FROM deadlines WHERE state = 'pending' AND due_at <= ?
ORDER BY due_at, referral, kind, generation LIMIT ? + 0
"""
# A clock fires, if it still runs and was not moved since it was seen.
_FIRE = """
UPDATE deadlines SET state = 'fired', event = ?
WHERE referral = ? AND kind = ? AND generation = ? AND state = 'pending' AND due_at = ?
"""
# The clocks of one referral that have run out, in the order in which they did.
_DUE_OF = """
SELECT referral, kind, generation, due_at FROM deadlines WHERE referral = ? AND state = 'pending' AND due_at <= ?
ORDER BY due_at, kind, generation LIMIT ? + 0
"""
# How many have run out.
_OVERDUE = "SELECT count(*) FROM deadlines WHERE state = 'pending' AND due_at <= ?"
# The next clock.
_NEXT = "SELECT min(due_at) FROM deadlines WHERE state = 'pending'"
# Every clock one referral ever had.
_OF_REFERRAL = """
SELECT referral, kind, generation, due_at, state FROM deadlines WHERE referral = ? ORDER BY due_at, kind, generation
"""


class Deadlines:
    """The clocks of all referrals; those this batch starts are gathered and written at its end."""

    __slots__ = ("_cancelled", "_cursor", "_new", "_touched")

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor()
        self._new: list[Row] = []
        self._cancelled: list[Row] = []
        self._touched: set[Row] = set()  # referral, kind and generation of both

    def change(self, referral: str, added: Sequence[DeadlineRow], removed: Sequence[tuple[str, int]]) -> None:
        """Write the difference between the clocks that ran and those that should."""
        new = [(referral, str(row.kind), row.generation, row.due_at) for row in added]
        cancelled = [(referral, str(kind), generation) for kind, generation in removed]
        keys = {row[:3] for row in new} | set(cancelled)
        if not keys.isdisjoint(self._touched):
            self.flush()  # the same clock twice in one batch: its history keeps both
        self._touched |= keys
        self._cancelled += cancelled
        self._new += new

    def due(self, now: int, limit: int) -> list[DeadlineRow]:
        """At most `limit` clocks that have run out, oldest first."""
        self.flush()
        return [
            DeadlineRow(referral=row[0], kind=row[1], generation=row[2], due_at=row[3])
            for row in self._cursor.execute(_DUE, (now, limit)).fetchall()
        ]

    def due_of(self, referral: str, now: int, limit: int) -> list[DeadlineRow]:
        """At most `limit` clocks of one referral that have run out, oldest first."""
        self.flush()
        return [
            DeadlineRow(referral=row[0], kind=row[1], generation=row[2], due_at=row[3])
            for row in self._cursor.execute(_DUE_OF, (referral, now, limit)).fetchall()
        ]

    def overdue(self, now: int) -> int:
        """How many clocks have run out and not fired."""
        self.flush()
        row = self._cursor.execute(_OVERDUE, (now,)).fetchone()
        return row[0] if row is not None else 0

    def fire(self, row: DeadlineRow, sequence: int) -> bool:
        """Mark one as fired by event `sequence`; False when it did not run any more, or not to that instant."""
        self.flush()
        fired = self._cursor.execute(_FIRE, (sequence, row.referral, str(row.kind), row.generation, row.due_at))
        return fired.rowcount == 1

    def of_referral(self, referral: str) -> tuple[DeadlineRow, ...]:
        """Every clock one referral ever had, by due time."""
        self.flush()
        return tuple(map(_deadline, self._cursor.execute(_OF_REFERRAL, (referral,)).fetchall()))

    def next_due(self) -> int | None:
        """When the next clock runs out."""
        self.flush()
        row = self._cursor.execute(_NEXT).fetchone()
        return row[0] if row is not None else None

    def flush(self) -> None:
        """Write what was gathered into the open transaction."""
        if self._cancelled:
            self._cursor.executemany(_CANCEL, self._cancelled)
        if self._new and self._cursor.executemany(_START, self._new).rowcount != len(self._new):
            self._cursor.executemany(_SET, self._new)
        self.forget()

    def forget(self) -> None:
        """Drop what was gathered: the batch was rolled back, or it is written."""
        self._new.clear()
        self._cancelled.clear()
        self._touched.clear()


def _deadline(row: Row) -> DeadlineRow:
    return DeadlineRow(referral=row[0], kind=row[1], generation=row[2], due_at=row[3], state=row[4])
