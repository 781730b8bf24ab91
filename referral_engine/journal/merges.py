"""Record numbers that are one person since a message said so: edges that are added and undone, never removed."""

from __future__ import annotations

from collections import deque
from typing import Final

from referral_engine.base.errors import Altered
from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.journal.codec import plain
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.digests import merge_digest
from referral_engine.journal.rows import MergeRow
from referral_engine.loop.referral import PatientId

ALIASES_MAX: Final = 50  # other numbers of one person; more is a number that means nothing
EDGES_MAX: Final = 200  # of one number, or of one message

MERGE_COLUMNS: Final = (
    "id, kind, survivor, survivor_authority, retired, retired_authority, message, at, undone_at, undone_by, "
    "undone_reason, digest"
)
# One edge.
_ADD = f"INSERT INTO merges ({MERGE_COLUMNS}) VALUES ({', '.join('?' * 12)})"  # noqa: S608  # our own columns
# The number of the next one.
_NEXT = "SELECT ifnull(max(id), 0) + 1 FROM merges"
# Whether there is any.
_ANY = "SELECT EXISTS (SELECT 1 FROM merges)"
# The edges that touch a number, the oldest first.
_OF_NUMBER = f"""
SELECT {MERGE_COLUMNS} FROM merges WHERE id IN (
    SELECT id FROM merges WHERE survivor = ?1 AND survivor_authority = ?2
    UNION SELECT id FROM merges WHERE retired = ?1 AND retired_authority = ?2)
ORDER BY id LIMIT ?3 + 0
"""  # noqa: S608  # our own columns
# The edges of one message.
_OF_MESSAGE = f"SELECT {MERGE_COLUMNS} FROM merges WHERE message = ? ORDER BY id LIMIT ? + 0"  # noqa: S608  # our own columns
# One edge.
_ONE = f"SELECT {MERGE_COLUMNS} FROM merges WHERE id = ?"  # noqa: S608  # our own columns
# An edge holds no more.
_MARK = "UPDATE merges SET undone_at = ?, undone_by = ?, undone_reason = ?, digest = ? WHERE id = ?"


class Merges:
    """The edges between record numbers; while there is none, nothing is asked."""

    __slots__ = ("_any", "_cursor")

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor()
        self._any: bool | None = None  # whether there is any; None while nobody knows

    def add(self, row: MergeRow) -> int:
        """Store one edge; its number."""
        given = self._cursor.execute(_NEXT).fetchone()
        assert given is not None, "a sum is one row"
        number: int = given[0]
        self._cursor.execute(_ADD, _columns(replace(row, id=number)))
        self._any = True
        return number

    def of_number(self, value: str | Phi[str], authority: str) -> tuple[MergeRow, ...]:
        """The edges that touch a number of an authority, undone ones included, the oldest first."""
        if not self._are_any():
            return ()
        return tuple(map(merge_of, self._cursor.execute(_OF_NUMBER, (plain(value), authority, EDGES_MAX)).fetchall()))

    def of_message(self, message: int) -> tuple[MergeRow, ...]:
        """The edges that one message made, undone ones included."""
        if not self._are_any():
            return ()
        return tuple(map(merge_of, self._cursor.execute(_OF_MESSAGE, (message, EDGES_MAX)).fetchall()))

    def merge(self, number: int) -> MergeRow | None:
        """One edge."""
        row = self._cursor.execute(_ONE, (number,)).fetchone()
        return merge_of(row) if row is not None else None

    def undo(self, number: int, at: int, by: str, reason: str) -> None:
        """Mark an edge; one that is marked keeps its mark."""
        row = self.merge(number)
        assert row is not None, f"there is no merge {number}"
        if not row.undone_at:
            marked = replace(row, undone_at=at, undone_by=by, undone_reason=reason)
            self._cursor.execute(_MARK, (at, by, reason, _columns(marked)[-1], number))

    def aliases(self, value: Phi[str], authority: str) -> tuple[PatientId, ...]:
        """Every other number that edges in force lead to, near ones first, at most ALIASES_MAX; itself not included."""
        if not self._are_any():
            return ()
        start = (plain(value), authority)
        seen: dict[tuple[str, str], None] = {start: None}
        ahead = deque([start])
        while ahead and len(seen) <= ALIASES_MAX:
            for edge in self.of_number(*ahead.popleft()):
                if edge.undone_at:
                    continue
                for end in ((edge.survivor, edge.survivor_authority), (edge.retired, edge.retired_authority)):
                    if end not in seen:
                        seen[end] = None
                        ahead.append(end)
        return tuple(PatientId(value=Phi(text), authority=whose) for text, whose in list(seen)[1 : ALIASES_MAX + 1])

    def forget(self) -> None:
        """The batch was rolled back: nobody knows whether there is an edge."""
        self._any = None

    def _are_any(self) -> bool:
        if self._any is None:
            row = self._cursor.execute(_ANY).fetchone()
            self._any = bool(row and row[0])
        return self._any


def merge_of(row: Row) -> MergeRow:
    """The edge in a row of MERGE_COLUMNS.  Raises Altered when a byte of it was."""
    if merge_digest(tuple(row[:11])) != row[11]:
        raise Altered(f"merge {row[0]}")
    return MergeRow(
        id=row[0],
        kind=row[1],
        survivor=row[2],
        survivor_authority=row[3],
        retired=row[4],
        retired_authority=row[5],
        message=row[6],
        at=row[7],
        undone_at=row[8],
        undone_by=row[9],
        undone_reason=row[10],
    )


def _columns(row: MergeRow) -> Row:
    columns = (
        row.id, row.kind, row.survivor, row.survivor_authority, row.retired, row.retired_authority, row.message, row.at,
        row.undone_at, row.undone_by, row.undone_reason,
    )  # fmt: skip
    return (*columns, merge_digest(columns))
