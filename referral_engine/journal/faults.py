"""What an error of the driver means for the journal: go on, wait for room, or stop; decided in one place."""

from __future__ import annotations

from enum import Enum
from typing import Final

from sqlcipher3 import dbapi2

_PRIMARY: Final = 0xFF  # the low byte of an extended result code is its primary code
_NO_ROOM: Final = 13  # SQLITE_FULL
_CUT: Final = 9  # SQLITE_INTERRUPT
# SQLITE_ERROR, NOTFOUND, TOOBIG, CONSTRAINT, MISMATCH, MISUSE, RANGE: the statement or its values are at fault.
_OURS: Final = frozenset({1, 12, 18, 19, 20, 21, 25})
# Raised before SQLite is asked, so they carry no code: a value no column can hold, the wrong number of values.
_OURS_BY_KIND: Final = (
    dbapi2.InterfaceError, dbapi2.ProgrammingError, dbapi2.DataError, dbapi2.NotSupportedError, dbapi2.IntegrityError,
)  # fmt: skip


class Fault(Enum):
    """What to do about an error of the driver."""

    OURS = "ours"  # one input asked for what cannot be: nothing is stored, its neighbours go on
    NO_ROOM = "no room"  # the disk is full: nothing is stored, and what was stored is safe; go on when there is room
    CUT = "cut"  # a question ran out of its time: nothing is wrong
    DISK = "disk"  # the file, the disk or the lock is in doubt: write nothing more, stop


def fault_of(error: Exception) -> Fault:
    """The meaning of a driver's error, COMMIT's apart from SQLITE_FULL excepted: there whatever fails is in doubt.

    DISK is the answer for what nobody has thought of.  So it is for SQLITE_READONLY (remounted after an error, or the
    file was moved), SQLITE_CANTOPEN, SQLITE_PROTOCOL, SQLITE_BUSY (somebody else holds our lock), SQLITE_NOMEM, and
    for SQLITE_IOERR with a disk quota: SQLite calls only ENOSPC full.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(code, int):
        return Fault.OURS if isinstance(error, _OURS_BY_KIND) else Fault.DISK
    primary = code & _PRIMARY
    if primary == _NO_ROOM:
        return Fault.NO_ROOM
    if primary == _CUT:
        return Fault.CUT
    return Fault.OURS if primary in _OURS else Fault.DISK
