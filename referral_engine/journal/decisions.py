"""Why each message was matched as it was: decisions are added and undone, never changed and never removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from referral_engine.base.errors import Altered
from referral_engine.base.values import replace
from referral_engine.journal.codec import without_patient
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.digests import decision_digest
from referral_engine.journal.instance import Instance
from referral_engine.journal.rows import DecisionRow

FOUND_MAX: Final = 10_000  # decisions of one message or one referral; stops a sender gone mad from filling memory

DECISION_COLUMNS: Final = (
    "message, part, number, at, level, referral, provisional, made_by, reason, body, undone_at, undone_by, "
    "undone_reason, digest"
)
# One decision.
_ADD = f"INSERT INTO decisions ({DECISION_COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608  # our own columns
# How often was decided about one part of a message.
_NUMBER = "SELECT ifnull(max(number), 0) FROM decisions WHERE message = ? AND part = ?"
# All decisions about one message.
OF_MESSAGE = f"""
SELECT {DECISION_COLUMNS} FROM decisions WHERE message = ? ORDER BY part, number LIMIT ? + 0
"""  # noqa: S608  # our own columns
# All decisions that name one referral.
OF_REFERRAL = f"""
SELECT {DECISION_COLUMNS} FROM decisions WHERE referral = ? AND referral <> '' ORDER BY at, rowid LIMIT ? + 0
"""  # noqa: S608  # our own columns
# Another word about a decision: its mark, or what is left of its body.
_MARK = """
UPDATE decisions SET undone_at = ?, undone_by = ?, undone_reason = ?, body = ?, digest = ?
WHERE message = ? AND part = ? AND number = ?
"""


class Decisions:
    """The decisions of this batch and those stored before it."""

    __slots__ = ("_cursor", "_instance", "_new", "_numbers", "_stored_through")

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self._cursor = connection.cursor()
        self._instance = instance
        self._new: list[Row] = []
        self._numbers: dict[tuple[int, int], int] = {}  # of this batch: message and part to its newest number
        self._stored_through = instance.sequence  # messages behind this are of this batch: nobody decided before

    def add(self, row: DecisionRow) -> None:
        """Store one decision with this batch; it supersedes an earlier one about the same part."""
        place = row.message, row.part
        number = self._numbers[place] = self._newest(place) + 1
        self._new.append(_columns(number, row))

    def of_message(self, message: int) -> tuple[DecisionRow, ...]:
        """The newest decision about each part of a message, first to last, undone ones included."""
        return tuple(row for _, row in self._of_message(message))

    def of_referral(self, referral: str) -> tuple[DecisionRow, ...]:
        """The newest decision about each part of a message among those that name a referral, the oldest first."""
        self.flush()
        return newest(self._cursor.execute(OF_REFERRAL, (referral, FOUND_MAX)).fetchall())

    def undo(self, message: int, part: int, at: int, by: str, reason: str) -> None:
        """Mark the newest decision about a part of a message; one that is marked keeps its mark."""
        for number, row in self._of_message(message):
            if row.part == part:
                if not row.undone_at:
                    self._mark(number, replace(row, undone_at=at, undone_by=by, undone_reason=reason))
                return
        raise AssertionError(f"nobody decided about part {part} of message {message}")

    def reduce(self, message: int) -> None:
        """Take the patient out of the decisions about a message that concerns nobody."""
        for row in self._cursor.execute(OF_MESSAGE, (message, FOUND_MAX)).fetchall():
            found = decision_of(row)
            self._mark(row[2], replace(found, body=without_patient(found.body)))

    def flush(self) -> None:
        """Write what was gathered into the open transaction."""
        if self._new:
            self._cursor.executemany(_ADD, self._new)
            self._new.clear()

    def forget(self) -> None:
        """Drop what was gathered: the batch was rolled back, or written."""
        self._new.clear()
        self._numbers.clear()

    def settled(self) -> None:
        """The batch is stored, or the numbers were read again after one that was not."""
        self.forget()
        self._stored_through = self._instance.sequence

    def _newest(self, place: tuple[int, int]) -> int:
        known = self._numbers.get(place)
        if known is not None:
            return known
        if place[0] > self._stored_through:
            return 0
        row = self._cursor.execute(_NUMBER, place).fetchone()
        return row[0] if row is not None else 0

    def _of_message(self, message: int) -> list[tuple[int, DecisionRow]]:
        """The newest number and decision of each part."""
        self.flush()
        rows = self._cursor.execute(OF_MESSAGE, (message, FOUND_MAX)).fetchall()
        found = {row[1]: (row[2], decision_of(row)) for row in rows}
        return list(found.values())

    def _mark(self, number: int, row: DecisionRow) -> None:
        columns = _columns(number, row)
        marked = (row.undone_at, row.undone_by, row.undone_reason, row.body, columns[-1])
        self._cursor.execute(_MARK, (*marked, row.message, row.part, number))


def newest(rows: Iterable[Row]) -> tuple[DecisionRow, ...]:
    """The last of the rows about each part of each message, in their order."""
    found: dict[tuple[int, int], DecisionRow] = {}
    for row in map(decision_of, rows):
        found.pop((row.message, row.part), None)
        found[row.message, row.part] = row
    return tuple(found.values())


def decision_of(row: Row) -> DecisionRow:
    """The decision in a row of DECISION_COLUMNS.  Raises Altered when a byte of it was."""
    if decision_digest(tuple(row[:13])) != row[13]:
        raise Altered(f"decision {row[1]} of message {row[0]}")
    return DecisionRow(
        message=row[0],
        part=row[1],
        at=row[3],
        level=row[4],
        referral=row[5],
        provisional=bool(row[6]),
        by=row[7],
        reason=row[8],
        body=row[9],
        undone_at=row[10],
        undone_by=row[11],
        undone_reason=row[12],
    )


def out_of_order(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of DECISION_COLUMNS, by message, part and number, before which a number is missing."""
    place, number = (0, 0), 0
    for row in rows:
        number = number + 1 if place == (row[0], row[1]) else 1
        place = (row[0], row[1])
        if row[2] != number:
            yield row
            number = row[2] if isinstance(row[2], int) else number


def _columns(number: int, row: DecisionRow) -> Row:
    columns = (
        row.message, row.part, number, row.at, row.level, row.referral, int(row.provisional), row.by, row.reason,
        row.body, row.undone_at, row.undone_by, row.undone_reason,
    )  # fmt: skip
    return (*columns, decision_digest(columns))
