"""Before the tables change: a copy of the whole journal beside it, opened and counted before anything is touched."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import Final

from referral_engine.base.errors import JournalError
from referral_engine.journal.anchor import sync_folder
from referral_engine.journal.database import Connection, ReadErrors, open_database

COPY: Final = ".before-upgrade"  # behind the journal's own name
SPARE_BYTES: Final = 16 * 1024 * 1024  # beside the copy: the upgrade writes as well

# Everything in the log goes into the file, and the log is emptied.
_INTO_THE_FILE = "PRAGMA wal_checkpoint(TRUNCATE)"
# The seals of an encrypted file's pages, or the order of a plain one's.
_SEALS = ("PRAGMA cipher_integrity_check", "PRAGMA quick_check(1)")
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"


def back_up(connection: Connection, path: str, key: bytes | None) -> str:
    """Copy the journal whole and make sure that the copy is one; a sentence for the operator.

    The connection has the file to itself and nothing open.  An earlier copy is replaced once the new one is good.
    Raises JournalError when there is no room for it, or the copy is not what it should be: then nothing was changed.
    """
    copy, part = path + COPY, path + COPY + ".part"
    try:
        wanted = os.stat(path).st_size  # noqa: PTH116  # paths stay text here
        free = shutil.disk_usage(os.path.dirname(path) or ".").free  # noqa: PTH120  # paths stay text here
        if free < wanted + SPARE_BYTES:
            raise JournalError(
                f"The upgrade first copies {path}, and there is no room: it needs {wanted + SPARE_BYTES} bytes and "
                f"{free} are free. Make room, then start again; nothing was changed."
            )
        _copy(connection, part, key)
        if _look_into(part, key) != _counts(connection):
            raise JournalError(f"The copy of {path} before the upgrade is not whole; nothing was changed. Try again.")
        os.replace(part, copy)  # noqa: PTH105  # paths stay text here
        sync_folder(path)
    except ReadErrors as error:
        raise JournalError(f"{path} cannot be copied before the upgrade ({error}); nothing was changed.") from error
    except OSError as error:
        raise JournalError(
            f"{path} cannot be copied before the upgrade ({error.strerror}); nothing was changed."
        ) from error
    finally:
        _clear(part)
    return f"The journal was upgraded; a copy from before lies at {copy}. Delete it when all is well."


def _copy(connection: Connection, part: str, key: bytes | None) -> None:
    """All pages, on disk; by the driver, for opening the file ourselves would let go of its locks."""
    _clear(part)
    copy = open_database(part, key)
    try:
        connection.backup(copy)
        copy.execute(_INTO_THE_FILE).fetchone()
    finally:
        copy.close()
    file = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _clear(part: str) -> None:
    """Take away what an earlier try, or this one, left."""
    for name in (part, part + ".lock", part + "-wal", part + "-shm"):
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108  # paths stay text here


def _look_into(part: str, key: bytes | None) -> dict[str, int]:
    """What the copy holds.  Raises JournalError when it cannot be opened, or a page of it is not sound."""
    connection = open_database(part, key)
    try:
        for question in _SEALS:
            bad = [row[0] for row in connection.execute(question).fetchall() if row[0] != "ok"]
            if bad:
                raise JournalError(f"The copy before the upgrade is damaged ({bad[0]}); nothing was changed.")
        return _counts(connection)
    finally:
        connection.close()


def _counts(connection: Connection) -> dict[str, int]:
    """Rows by table."""
    names = [row[0] for row in connection.execute(_TABLES).fetchall()]
    return {name: _rows(connection, name) for name in names}


def _rows(connection: Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  # a table of our own schema
    return int(row[0]) if row is not None else 0
