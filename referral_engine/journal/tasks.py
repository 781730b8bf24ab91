"""The work queue: tasks opened once, claimed, done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from referral_engine.journal.database import Connection, Row
from referral_engine.journal.rows import TaskRow, TaskState

TASKS_MAX: Final = 1_000  # of one referral

TASK_COLUMNS: Final = (
    "id, queue, kind, referral, message, opened_at, due_at, state, reason, urgent, claimed_by, closed_at, note, "
    "escalated_at"
)
# A new task.
_OPEN = """
INSERT INTO tasks (
    queue, kind, referral, message, opened_at, due_at, state, reason, urgent, claimed_by, closed_at, note)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
"""
# The same task again: the newest reason counts, and urgent stays urgent.
_REFRESH = """
UPDATE tasks SET reason = ?, urgent = max(urgent, ?), message = max(message, ?)
WHERE referral = ? AND kind = ? AND state <> 'done' AND referral <> ''
"""
# What happened made a task pointless.
_CLOSE = """
UPDATE tasks SET state = 'done', closed_at = ?, note = ?
WHERE referral = ? AND kind = ? AND state <> 'done' AND referral <> ''
"""
# The open tasks of one referral: most events find none.
_OPEN_OF = "SELECT kind FROM tasks WHERE referral = ? AND state <> 'done' AND referral <> ''"
# A person takes a task that is free, or theirs already.
_CLAIM = """
UPDATE tasks SET state = 'claimed', claimed_by = ?
WHERE id = ? AND (state = 'open' OR (state = 'claimed' AND claimed_by = ?))
"""
# A person did a task.
_FINISH = """
UPDATE tasks SET state = 'done', closed_at = ?, note = ?, claimed_by = ? WHERE id = ? AND state <> 'done'
"""
# A message's task is decided.
_CLOSE_OF_MESSAGE = """
UPDATE tasks SET state = 'done', closed_at = ?, note = ?
WHERE message = ? AND message > 0 AND kind = ? AND state <> 'done'
"""
# What was closed at one instant with one word, the first of each kind that has no open one: it is open again, with
# whoever had it.
_REOPEN = """
UPDATE tasks SET state = CASE claimed_by WHEN '' THEN 'open' ELSE 'claimed' END, closed_at = 0, note = ''
WHERE id IN (
    SELECT min(id) FROM tasks AS t
    WHERE referral = ?1 AND referral <> '' AND state = 'done' AND closed_at = ?2 AND note = ?3 AND NOT EXISTS (
        SELECT 1 FROM tasks AS o
        WHERE o.referral = ?1 AND o.referral <> '' AND o.kind = t.kind AND o.state <> 'done')
    GROUP BY kind)
"""
# The tasks of one referral, the oldest first.
_OF_REFERRAL = f"""
SELECT {TASK_COLUMNS} FROM tasks WHERE referral = ? AND referral <> '' ORDER BY id LIMIT ? + 0
"""  # noqa: S608  # our own columns
# Open tasks of a kind that are past their time and were not passed on yet, the longest first.
_OVERDUE = f"""
SELECT {TASK_COLUMNS} FROM tasks
WHERE kind = ? AND state <> 'done' AND escalated_at = 0 AND due_at > 0 AND due_at <= ? ORDER BY due_at, id LIMIT ? + 0
"""  # noqa: S608  # our own columns
# A task grew too old where it was.
_ESCALATE = "UPDATE tasks SET queue = ?, urgent = 1, reason = ?, escalated_at = ? WHERE id = ?"
# A task must wait for something; its age begins anew.
_POSTPONE = "UPDATE tasks SET due_at = ?, note = ?, escalated_at = 0 WHERE id = ? AND state <> 'done'"
# Whether somebody was ever asked to verify this contact, done or not.
_EVER = "SELECT 1 FROM tasks WHERE kind = 'verify-contact' AND reason = ?"
# Whether a task of a kind with this reason is open.
_ASKED = "SELECT 1 FROM tasks WHERE kind = ? AND reason = ? AND state <> 'done'"
# One, whole.
ONE_TASK = f"SELECT {TASK_COLUMNS} FROM tasks WHERE id = ?"  # noqa: S608  # our own columns


class Tasks:
    """What people must do."""

    __slots__ = ("_cursor",)

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor()

    def open(self, row: TaskRow) -> int:
        """Open a task; its number, or 0 when that referral has one of the kind, which then says the newest reason."""
        kind = str(row.kind)
        if row.referral:
            newest = (row.reason, row.urgent, row.message, row.referral, kind)
            if self._cursor.execute(_REFRESH, newest).rowcount:
                return 0
        columns = (
            row.queue, kind, row.referral, row.message, row.opened_at, row.due_at, row.state.value, row.reason,
            row.urgent, row.claimed_by, row.closed_at, row.note,
        )  # fmt: skip
        opened = self._cursor.execute(_OPEN, columns).fetchone()
        assert opened is not None, "RETURNING returns"
        number: int = opened[0]
        return number

    def close(self, referral: str, kinds: Iterable[str], at: int, note: str) -> int:
        """Close the open tasks of these kinds; how many there were."""
        pointless = frozenset(kinds)
        open_now = [row[0] for row in self._cursor.execute(_OPEN_OF, (referral,)).fetchall() if row[0] in pointless]
        if open_now:
            self._cursor.executemany(_CLOSE, [(at, note, referral, kind) for kind in open_now])
        return len(open_now)

    def claim(self, number: int, by: str) -> TaskRow | None:
        """Let a person take a task; None when it is done, another's, or unknown."""
        taken = self._cursor.execute(_CLAIM, (by, number, by)).rowcount
        return self.task(number) if taken else None

    def finish(self, number: int, by: str, note: str, at: int) -> TaskRow | None:
        """Close a task with what the person learned; None when it is done already, or unknown."""
        done = self._cursor.execute(_FINISH, (at, note, by, number)).rowcount
        return self.task(number) if done else None

    def close_of_message(self, message: int, kind: str, at: int, note: str) -> int:
        """Close a message's open tasks of a kind; how many there were."""
        return self._cursor.execute(_CLOSE_OF_MESSAGE, (at, note, message, kind)).rowcount

    def reopen(self, referral: str, closed_at: int, note: str) -> int:
        """Open again what was closed at that instant with that note; how many there were.

        One task of a kind stays the one task: where another is open by now, it goes on in the place of the closed one.
        """
        return self._cursor.execute(_REOPEN, (referral, closed_at, note)).rowcount

    def of_referral(self, referral: str) -> tuple[TaskRow, ...]:
        """The tasks of one referral, open and done, the oldest first."""
        return tuple(map(task_of, self._cursor.execute(_OF_REFERRAL, (referral, TASKS_MAX)).fetchall()))

    def overdue(self, kind: str, now: int, limit: int) -> tuple[TaskRow, ...]:
        """Open tasks of a kind that are past their time and have not been escalated."""
        return tuple(map(task_of, self._cursor.execute(_OVERDUE, (kind, now, limit)).fetchall()))

    def escalate(self, number: int, queue: str, reason: str, at: int) -> None:
        """Move a task to another queue, urgent, once."""
        self._cursor.execute(_ESCALATE, (queue, reason, at, number))

    def postpone(self, number: int, due_at: int, note: str) -> None:
        """Give an open task more time, and say in its note why."""
        self._cursor.execute(_POSTPONE, (due_at, note, number))

    def asked_to_verify(self, reason: str) -> bool:
        """Whether a verify-contact task with this reason was ever opened."""
        return self._cursor.execute(_EVER, (reason,)).fetchone() is not None

    def is_asked(self, kind: str, reason: str) -> bool:
        """Whether a task of this kind with this reason is open."""
        return self._cursor.execute(_ASKED, (kind, reason)).fetchone() is not None

    def task(self, number: int) -> TaskRow | None:
        """One task."""
        row = self._cursor.execute(ONE_TASK, (number,)).fetchone()
        return task_of(row) if row is not None else None


def task_of(row: Row) -> TaskRow:
    """The task in a row of TASK_COLUMNS."""
    return TaskRow(
        id=row[0],
        queue=row[1],
        kind=row[2],
        referral=row[3],
        message=row[4],
        opened_at=row[5],
        due_at=row[6],
        state=TaskState(row[7]),
        reason=row[8],
        urgent=bool(row[9]),
        claimed_by=row[10],
        closed_at=row[11],
        note=row[12],
        escalated_at=row[13],
    )
