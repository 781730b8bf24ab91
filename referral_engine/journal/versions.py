"""Versions of the configuration: numbered from 1, added and never changed, each with the text of every file."""

from __future__ import annotations

import hashlib
import sys
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from referral_engine.base.errors import Altered
from referral_engine.base.values import replace
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.digests import version_digest
from referral_engine.journal.rows import VersionRow

VERSION_COLUMNS: Final = "number, at, config, made_by, action, reason, forced, sha256, digest"
# One version.
_ADD = f"INSERT INTO versions ({VERSION_COLUMNS}, difference, files) VALUES ({', '.join('?' * 11)})"  # noqa: S608  # our own columns
# The newest version, without its files.
_NEWEST_VERSION = f"SELECT {VERSION_COLUMNS} FROM versions ORDER BY number DESC LIMIT 1"  # noqa: S608  # our own columns
# The files of the newest version of a hash.
FILES_OF = f"""
SELECT {VERSION_COLUMNS}, difference, files FROM versions WHERE config = ? ORDER BY at DESC, number DESC LIMIT 1
"""  # noqa: S608  # our own columns
# The newest versions, without their files.
VERSIONS = f"SELECT {VERSION_COLUMNS} FROM versions ORDER BY number DESC LIMIT ? + 0"  # noqa: S608  # our own columns
# One version with its files.
ONE_VERSION = f"SELECT {VERSION_COLUMNS}, difference, files FROM versions WHERE number = ?"  # noqa: S608  # our own columns
# When each version came in force.
NUMBERS = "SELECT number, at, config FROM versions ORDER BY config, at, number LIMIT ? + 0"

_FILES: Final = msgspec.json.Decoder(dict[str, str])


class Numbering:
    """Which number a hash of the configuration had at an instant; the same texts may have come in force twice."""

    __slots__ = ("_all", "_known")

    def __init__(self, rows: Iterable[Row]) -> None:
        """From rows of NUMBERS: number, at, config."""
        self._known: dict[str, list[tuple[int, int]]] = {}
        for number, at, config in rows:
            self._known.setdefault(config, []).append((at, number))
        self._all = sorted(one for known in self._known.values() for one in known)

    def in_force(self, at: int) -> int | None:
        """The number by which something was decided that names no hash: a task, a match; None before there was any.

        What is of one instant with a version was decided before it, for a batch is handled under the old one.
        """
        place = bisect_left(self._all, (at, 0))
        return self._all[place - 1][1] if place else None

    def number(self, config: str, at: int) -> int | None:
        """The number in force at an instant that decided by this hash; None for one that is not stored."""
        known = self._known.get(config)
        if known is None:
            return None
        place = bisect_right(known, (at, sys.maxsize))
        return known[max(place - 1, 0)][1]

    def latest(self, config: str) -> int | None:
        """The newest number of a hash."""
        return self.number(config, sys.maxsize)


UNNUMBERED: Final = Numbering(())  # of a journal in memory: what is in force there was never stored


class Versions:
    """The versions as the open batch sees them: its own are written at once, for there are few."""

    __slots__ = ("_cursor",)

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor()

    def add(self, row: VersionRow) -> int:
        """Store one version under the next number; that number."""
        newest = self.newest()
        number = newest.number + 1 if newest is not None else 1
        self._cursor.execute(_ADD, _columns(replace(row, number=number)))
        return number

    def newest(self) -> VersionRow | None:
        """The newest version, without its files; None in a journal that has none."""
        row = self._cursor.execute(_NEWEST_VERSION).fetchone()
        return version_of(row) if row is not None else None

    def files(self, config: str) -> dict[str, str] | None:
        """Name to text of the newest version of a hash; None when that is not stored."""
        row = self._cursor.execute(FILES_OF, (config,)).fetchone()
        return dict(whole_version_of(row).files) if row is not None else None


def version_of(row: Row) -> VersionRow:
    """The version in a row of VERSION_COLUMNS, without files and difference.  Raises Altered when a byte of it was."""
    if version_digest(tuple(row[:8])) != row[8]:
        raise Altered(f"configuration {row[0]}")
    return VersionRow(
        number=row[0],
        at=row[1],
        config=row[2],
        by=row[3],
        action=row[4],
        reason=row[5],
        forced=bool(row[6]),
    )


def whole_version_of(row: Row) -> VersionRow:
    """The same of a row that ends with difference and files."""
    found, difference, files = version_of(row), row[9], row[10]
    if _sealed(difference, files) != row[7]:
        raise Altered(f"configuration {row[0]}")
    return replace(found, difference=difference, files=_FILES.decode(zlib.decompress(files)))


def _columns(row: VersionRow) -> Row:
    files = packed_files(row.files)
    columns = (
        row.number, row.at, row.config, row.by, row.action, row.reason, int(row.forced),
        _sealed(row.difference, files),
    )  # fmt: skip
    return (*columns, version_digest(columns), row.difference, files)


def packed_files(files: Mapping[str, str]) -> bytes:
    """The texts as they are stored: zlib over one JSON object, file to text."""
    return zlib.compress(msgspec.json.encode(dict(sorted(files.items()))))


def _sealed(difference: str, files: bytes) -> bytes:
    """SHA-256 of what a list of versions does not read."""
    return hashlib.sha256(difference.encode() + b"\x00" + files).digest()
