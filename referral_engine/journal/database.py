"""Opens the journal's file: a path and a key go in, one checked and exclusively held connection comes out."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, cast

from sqlcipher3 import dbapi2

from referral_engine.base.errors import JournalError
from referral_engine.journal.anchor import look_at_files, sync_folder

Row = tuple[Any, ...]  # the columns in the order the statement names them
DriverError: Final = cast("type[Exception]", dbapi2.Error)
# What asking a file may raise: in a damaged plain one the driver may meet a text that is none.
ReadErrors: Final = (DriverError, UnicodeDecodeError)
ConstraintError: Final = cast("type[Exception]", dbapi2.IntegrityError)

IN_MEMORY: Final = ":memory:"
KEY_BYTES: Final = 32  # AES-256
# Measured with orders, alone and in groups of 16: every touched page is encrypted whole, so small pages win when the
# group is small and lose nothing when it is not.  It cannot change once a file exists.
PAGE_BYTES: Final = 4096
LOCK_TRIES: Final = 40  # two seconds: a writer that was killed in the middle of a flush ends when the disk answers
LOCK_PAUSE_SECONDS: Final = 0.05
FILE_MODE: Final = 0o600  # the owner alone
STATEMENTS_KEPT: Final = 512  # more than there are statements, so that none is compiled twice
CACHE_KIB: Final = 64 * 1024  # of decrypted pages
WAL_BYTES_KEPT: Final = 64 * 1024 * 1024  # what the log is cut to after a checkpoint
APPLICATION: Final = 0x5245464A  # "REFJ": what a journal says in its header
_PLAIN: Final = b"SQLite format 3\x00"

# Who wrote the file; 0 in a new one.
_APPLICATION = "PRAGMA application_id"
# How many things the file holds; also the first read, which proves the key.
_THINGS = "SELECT count(*) FROM sqlite_master"
# Log mode, asked for and answered.
_WAL = "PRAGMA journal_mode = WAL"


class Cursor(Protocol):
    """The part of a DB-API cursor the journal uses."""

    rowcount: int

    def execute(self, statement: str, values: Sequence[object] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, statement: str, values: Iterable[Sequence[object]], /) -> Cursor:
        """Run one statement for every row."""
        ...

    def fetchone(self) -> Row | None:
        """The next row."""
        ...

    def fetchall(self) -> list[Row]:
        """All rows left."""
        ...

    def __iter__(self) -> Iterator[Row]:
        """All rows left, one by one."""
        ...


class Connection(Protocol):
    """The part of a DB-API connection the journal uses."""

    def backup(self, target: Any, /) -> None:
        """Copy every page into another connection's file."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def cursor(self) -> Cursor:
        """A cursor of its own."""
        ...

    def execute(self, statement: str, values: Sequence[object] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def limit(self, out_of_time: Callable[[], bool] | None, steps: int) -> None:
        """Ask every so many steps of SQLite's machine whether to cut a statement off; None: never."""
        ...

    def close(self) -> None:
        """Close the file and let go of the lock."""
        ...

    def abandon(self) -> None:
        """Close the file as it is, and let go of the lock."""
        ...


class _Held(dbapi2.Connection):  # type: ignore[misc]  # the driver has no types
    """A connection that keeps the lock of its file until it is closed."""

    lock: int = -1
    path: str = IN_MEMORY

    def close(self) -> None:
        """Copy the log into the file and close it, then let another process have it."""
        super().close()
        _release(self.lock)
        self.lock = -1

    def limit(self, out_of_time: Callable[[], bool] | None, steps: int) -> None:
        """Ask every so many steps whether to cut a statement off."""
        self.set_progress_handler(out_of_time, steps)

    def abandon(self) -> None:
        """Close the file as it is: what a fault or a refusal leaves behind is what a person must look at.

        By itself SQLite would copy the log while closing, and remove it: an interrupt stops the copy, and a second name
        outlives the removal of the first.
        """
        log, kept = f"{self.path}-wal", f"{self.path}-wal.kept"
        with suppress(OSError):  # there is none, or nothing can be written: then SQLite removes nothing either
            os.link(log, kept)
        try:
            self.interrupt()
            super().close()
        finally:
            with suppress(OSError):
                os.rename(kept, log)  # noqa: PTH104  # a no-op while both names are the same file ...
            with suppress(OSError):
                os.unlink(kept)  # noqa: PTH108  # ... which leaves the second one
            _release(self.lock)
            self.lock = -1


def open_database(path: str, key: bytes | None) -> Connection:
    """Open the file at `path`, or create it; ":memory:" lives until it is closed.

    key: 32 bytes; None for a plain file.
    Raises JournalError with a sentence for the operator; it never shows the key.
    """
    _check_library(dbapi2.sqlite_version_info)
    if key is not None and len(key) != KEY_BYTES:
        raise JournalError(f"The journal's key must be {KEY_BYTES} bytes long, and this one has {len(key)}.")
    lock = -1
    if path != IN_MEMORY:
        try:
            lock = _take_lock(path)
            look_at_files(path)
            _look_at_file(path, encrypted=key is not None)
        except OSError as error:
            _release(lock)
            raise JournalError(f"{path}: {error.strerror}; the engine's user must be able to write there.") from error
        except JournalError:
            _release(lock)
            raise
    try:
        connection = cast(
            "_Held",
            dbapi2.connect(
                path,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=STATEMENTS_KEPT,
                factory=_Held,
            ),
        )
    except DriverError as error:
        _release(lock)
        raise JournalError(f"{path}: the file cannot be opened ({error}).") from error
    connection.lock = lock
    connection.path = path
    try:
        _set_up(connection, path, key)
    except JournalError:
        connection.abandon()
        raise
    except ReadErrors as error:
        connection.abandon()
        raise _refusal(path, error, encrypted=key is not None) from error
    return cast("Connection", connection)


def is_sound(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite is free of the WAL-reset corruption (present from 3.7.0, mended in three branches)."""
    major, minor, patch = version
    mended = {(3, 44): 6, (3, 50): 7, (3, 51): 3}
    if (major, minor) in mended:
        return patch >= mended[major, minor]
    return (major, minor) > (3, 51)


def _check_library(version: tuple[int, int, int]) -> None:
    if not is_sound(version):
        text = ".".join(map(str, version))
        raise JournalError(
            f"SQLite {text} can corrupt a journal (the WAL-reset bug); install sqlcipher3 with SQLite 3.51.3 or newer."
        )


def _release(lock: int) -> None:
    if lock >= 0:
        os.close(lock)


def _take_lock(path: str) -> int:
    """Hold PATH.lock for this process; the kernel lets go of it when the process ends, however it ends."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        _hold(lock)
    except BlockingIOError as error:
        os.close(lock)
        raise JournalError(
            f"{path} is in use by another process. Stop that engine first (systemctl stop referral-engine), "
            "or ask it through its control socket."
        ) from error
    return lock


def _hold(lock: int) -> None:
    """Take the lock; a process that was killed may take a moment to end.  Raises BlockingIOError."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            threading.Event().wait(LOCK_PAUSE_SECONDS)
        else:
            return
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _look_at_file(path: str, *, encrypted: bool) -> None:
    """Create the file where there is none, durably; say early what a key alone would say darkly."""
    if not os.path.exists(path):  # noqa: PTH110  # paths stay text here
        new = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fsync(new)
        finally:
            os.close(new)
        sync_folder(path)
        return
    os.chmod(path, FILE_MODE)  # noqa: PTH101  # paths stay text here
    with open(path, "rb") as file:  # noqa: PTH123  # before SQLite opens it: closing drops locks
        start = file.read(len(_PLAIN))
    if not start:
        return
    if encrypted and start == _PLAIN:
        raise JournalError(f"{path} is not encrypted, and a key is set. Take the key out, or encrypt the file first.")
    if not encrypted and start != _PLAIN:
        raise JournalError(f"{path} is encrypted or no journal at all. Set the journal's key, or correct the path.")


def _set_up(connection: _Held, path: str, key: bytes | None) -> None:
    if key is not None:
        connection.execute("PRAGMA cipher_log_level = NONE")  # its complaints go to our caller, not to stderr
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute(f"PRAGMA cipher_page_size = {PAGE_BYTES}")
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    # Nobody else opens the file while we have it; and the index of the log stays in memory, where a full disk cannot
    # look like a broken one (a shared index that cannot grow is SQLITE_IOERR).
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    things = connection.execute(_THINGS).fetchone()[0]
    application = connection.execute(_APPLICATION).fetchone()[0]
    if things and application != APPLICATION:
        raise JournalError(f"{path} is a database, but no journal of this engine. Correct the path.")
    for pragma in (
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "secure_delete = ON",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "mmap_size = 0",
        "busy_timeout = 0",
        f"journal_size_limit = {WAL_BYTES_KEPT}",
        "wal_autocheckpoint = 0",  # `journal.log` does it, and sees the disk's errors
        f"cache_size = -{CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    mode = connection.execute(_WAL).fetchone()[0]
    if path != IN_MEMORY and mode != "wal":
        raise JournalError(f"{path}: this file system cannot keep a write-ahead log. Use a local disk.")
    if not things:  # before the first table, so that a start that was cut short is known again
        connection.execute(f"PRAGMA application_id = {APPLICATION}")


def _refusal(path: str, error: Exception, *, encrypted: bool) -> JournalError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name == "SQLITE_NOTADB":
        if encrypted:
            return JournalError(
                f"The key does not open {path}: it is another journal's key, or the file is no journal. "
                "Check the credential journal-key and the path; nothing was changed."
            )
        return JournalError(f"{path} is not a database. Correct the path; nothing was changed.")
    if name.startswith("SQLITE_CORRUPT"):
        return JournalError(
            f"{path} is damaged or cut ({error}). Keep a copy of all files beside it, then restore a backup."
        )
    if name.startswith("SQLITE_BUSY"):
        return JournalError(f"{path} is open in another program. Close it: only the engine may have its journal open.")
    if name == "SQLITE_FULL":
        return JournalError(f"There is no room on the disk of {path}. Make room, then start again.")
    return JournalError(f"{path}: the file cannot be used ({error}).")
