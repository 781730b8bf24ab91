"""Opens the journal's file: a path and a key go in, one checked and exclusively held connection comes out."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, cast

from sqlcipher3 import dbapi2

from referral_engine.base.errors import JournalError

Row = tuple[Any, ...]  # the columns in the order the statement names them
DriverError: Final = cast("type[Exception]", dbapi2.Error)
ConstraintError: Final = cast("type[Exception]", dbapi2.IntegrityError)

IN_MEMORY: Final = ":memory:"
KEY_BYTES: Final = 32  # AES-256
# Measured with orders, alone and in groups of 16: every touched page is encrypted whole, so small pages win when the
# group is small and lose nothing when it is not.  It cannot change once a file exists.
PAGE_BYTES: Final = 4096
FILE_MODE: Final = 0o600  # the owner alone
STATEMENTS_KEPT: Final = 512  # more than there are statements, so that none is compiled twice
CACHE_KIB: Final = 64 * 1024  # of decrypted pages
WAL_BYTES_KEPT: Final = 64 * 1024 * 1024  # what the log is cut to after a checkpoint
CHECKPOINT_PAGES: Final = 8000  # 32 MiB of log; rarer checkpoints write hot pages once instead of many times
APPLICATION: Final = 0x5245464A  # "REFJ": what a journal says in its header
_PLAIN: Final = b"SQLite format 3\x00"
_CORRUPTING: Final = frozenset({10, 11, 26})  # SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB

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

    def close(self) -> None:
        """Close the file and let go of the lock."""
        ...


class _Held(dbapi2.Connection):  # type: ignore[misc]  # the driver has no types
    """A connection that keeps the lock of its file until it is closed."""

    lock: int = -1

    def close(self) -> None:
        """Close the file, then let another process have it."""
        super().close()
        if self.lock >= 0:
            os.close(self.lock)
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
    try:
        _set_up(connection, path, key)
    except JournalError:
        connection.close()
        raise
    except DriverError as error:
        connection.close()
        raise _refusal(path, error, encrypted=key is not None) from error
    return cast("Connection", connection)


def is_sound(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite is free of the WAL-reset corruption (present from 3.7.0, mended in three branches)."""
    major, minor, patch = version
    mended = {(3, 44): 6, (3, 50): 7, (3, 51): 3}
    if (major, minor) in mended:
        return patch >= mended[major, minor]
    return (major, minor) > (3, 51)


def is_corrupting(error: Exception) -> bool:
    """Whether the disk or the file itself is in doubt, so that nothing more may be written to it."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and (code & 0xFF) in _CORRUPTING


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
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise JournalError(
            f"{path} is in use by another process. Stop that engine first (systemctl stop referral-engine), "
            "or ask it through its control socket."
        ) from error
    return lock


def _look_at_file(path: str, *, encrypted: bool) -> None:
    """Create the file where there is none, durably; say early what a key alone would say darkly."""
    if not os.path.exists(path):  # noqa: PTH110  # paths stay text here
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        _sync_folder(path)
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


def _sync_folder(path: str) -> None:
    """Make the new name itself durable; SQLite does not report when that fails."""
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120  # paths stay text here
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _set_up(connection: _Held, path: str, key: bytes | None) -> None:
    if key is not None:
        connection.execute("PRAGMA cipher_log_level = NONE")  # its complaints go to our caller, not to stderr
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute(f"PRAGMA cipher_page_size = {PAGE_BYTES}")
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
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
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"cache_size = -{CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    mode = connection.execute(_WAL).fetchone()[0]
    if path != IN_MEMORY and mode != "wal":
        raise JournalError(f"{path}: this file system cannot keep a write-ahead log. Use a local disk.")


def _refusal(path: str, error: Exception, *, encrypted: bool) -> JournalError:
    if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
        if encrypted:
            return JournalError(
                f"The key does not open {path}: it is another journal's key, or the file is no journal. "
                "Check the credential journal-key and the path; nothing was changed."
            )
        return JournalError(f"{path} is not a database. Correct the path; nothing was changed.")
    return JournalError(f"{path}: the file cannot be used ({error}).")
