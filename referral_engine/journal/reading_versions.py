"""The part of the reading that is about versions of the configuration, and how a reading asks anything at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from referral_engine.base.errors import JournalError, TookTooLong
from referral_engine.journal.database import Connection, ReadErrors, Row
from referral_engine.journal.deadlines import Deadlines
from referral_engine.journal.faults import Fault, fault_of
from referral_engine.journal.referrals import OPEN_AFTER, Portion, portion_of
from referral_engine.journal.rows import DeadlineRow, VersionRow
from referral_engine.journal.versions import (
    FILES_OF,
    NUMBERS,
    ONE_VERSION,
    VERSIONS,
    Numbering,
    version_of,
    whole_version_of,
)

ANSWER_ROWS_MAX: Final = 10_000  # one answer fits into memory, and never keeps the journal thread for long


class VersionReading:
    """Which configurations were in force, and whose clocks come from them; `Reading` adds everything else."""

    __slots__ = ("_connection", "_cursor")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()

    def versions(self, limit: int = 100) -> tuple[VersionRow, ...]:
        """The newest versions of the configuration, without their files."""
        return tuple(map(version_of, self._rows(VERSIONS, bounded(limit))))

    def version(self, number: int) -> VersionRow | None:
        """One version with its files and its difference to the one before."""
        row = self._row(ONE_VERSION, number)
        return whole_version_of(row) if row is not None else None

    def version_in_force(self) -> VersionRow | None:
        """The newest version, without its files; None in a journal that has none."""
        return next(iter(self.versions(1)), None)

    def version_files(self, config: str) -> Mapping[str, str] | None:
        """Name to text of the newest version of a hash; None when that is not stored."""
        row = self._row(FILES_OF, config)
        return whole_version_of(row).files if row is not None else None

    def numbering(self) -> Numbering:
        """Which number a hash had when."""
        return Numbering(self._rows(NUMBERS, ANSWER_ROWS_MAX))

    def open_referrals(self, after: str, looked_at: int) -> Portion:
        """The open ones among the referrals that follow a number, of so many that are looked at."""
        return portion_of(self._rows(OPEN_AFTER, after, bounded(looked_at)), after, bounded(looked_at))

    def deadlines(self, identity: str) -> tuple[DeadlineRow, ...]:
        """Every clock one referral ever had, by due time."""
        return Deadlines(self._connection).of_referral(identity)

    def _rows(self, statement: str, *values: object) -> list[Row]:
        try:
            return self._cursor.execute(statement, values).fetchall()
        except ReadErrors as error:
            if fault_of(error) is Fault.CUT:
                raise TookTooLong("The question took too long and was cut off; ask for less.") from error
            raise JournalError(f"The journal could not be read ({error}).") from error

    def _row(self, statement: str, *values: object) -> Row | None:
        rows = self._rows(statement, *values)
        return rows[0] if rows else None


def bounded(limit: int) -> int:
    """As many rows as asked for, and no more than one answer may have."""
    return max(0, min(limit, ANSWER_ROWS_MAX))
