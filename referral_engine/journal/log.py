"""The write-ahead log: looked at before it is trusted, and kept short by our own hand: a disk's errors are seen."""

from __future__ import annotations

import os
import struct
from typing import Final

from referral_engine.base.errors import JournalError
from referral_engine.journal.database import IN_MEMORY, Connection, DriverError
from referral_engine.journal.faults import Fault, fault_of

CHECKPOINT_PAGES: Final = 8000  # 32 MiB of log; rarer checkpoints write hot pages once instead of many times
COMMITS_A_LOOK: Final = 8  # between two looks at its length
PAGES_A_COMMIT: Final = 1000  # more than a usual commit writes
CROWDED_PAGES: Final = 1000  # more of them before the next try, while the disk has no room for the file to grow
HEADER_BYTES: Final = 32
FRAME_BYTES: Final = 24  # before each page
TORN_MAX: Final = 1  # transactions behind the last good one: the one that was being written; each one before was synced
_MAGIC: Final = 0x377F0682  # and one more, for big-endian check sums
_WORD: Final = 0xFFFFFFFF

# How long the log is: busy, pages in it, pages of them that are in the file too; touches nothing.
_LENGTH = "PRAGMA wal_checkpoint(NOOP)"
# Copy the log into the file and sync both; the next commit begins the log anew.
_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"


class Log:
    """The log of one open journal.

    SQLite would copy it into the file by itself within a COMMIT, and say nothing when the disk refuses to sync.
    """

    __slots__ = ("_commits", "_connection", "_limit", "_path", "_retry_at", "crowded", "file_bytes", "pages")

    def __init__(self, connection: Connection, path: str, limit: int = CHECKPOINT_PAGES) -> None:
        """Watch over the log of `connection`; limit: pages at which it is copied."""
        self._connection = connection
        self._path = path
        self._limit = limit
        self._retry_at = 0
        self._commits = 0  # since its length was asked for
        self.pages = 0  # in the log after the newest commit
        self.crowded = False  # it could not be copied for want of room; nothing is lost by that
        self.file_bytes = 0  # of the file when it was last synced

    def keep_short(self) -> None:
        """Copy the log when it is long; after every commit.  Raises the driver's error when the disk is in doubt.

        Its length is asked for now and then: the question costs as much as a row.
        """
        self._commits += 1
        if self._commits < min(COMMITS_A_LOOK, self._limit // PAGES_A_COMMIT + 1):
            return
        self._commits = 0
        self.pages = self._connection.execute(_LENGTH).fetchone()[1]  # type: ignore[index]  # a pragma of one row
        if self.pages >= max(self._limit, self._retry_at):
            self.copy()

    def copy(self) -> None:
        """Copy the log into the file, durably.  Raises the driver's error when the disk is in doubt."""
        try:
            _, pages, copied = self._connection.execute(_CHECKPOINT).fetchone()  # type: ignore[misc]  # a pragma of one row
        except DriverError as error:
            if fault_of(error) is not Fault.NO_ROOM:
                raise
            self._retry_at = self.pages + CROWDED_PAGES
            self.crowded = True
            return
        self.crowded = copied < pages
        self._retry_at = pages + CROWDED_PAGES if self.crowded else 0
        if not self.crowded and self._path != IN_MEMORY:
            self.file_bytes = os.stat(self._path).st_size  # noqa: PTH116  # paths stay text here

    @property
    def bytes(self) -> int:
        """Of the log's file, for people who watch the disk."""
        try:
            return os.stat(f"{self._path}-wal").st_size  # noqa: PTH116  # paths stay text here
        except OSError:
            return 0


def look_at_log(connection: Connection, path: str) -> str:
    """Hold what SQLite trusts of the log against what is there; before the first write after opening.

    SQLite ends the log at its first bad check sum, without a word.  A cut in the power explains one transaction behind
    it, for each is synced before the next is written; more than that is damage, and they were acknowledged.
    Return a sentence for the operator when the last one was torn, "" otherwise.
    Raises JournalError when the log is damaged.
    """
    trusted = connection.execute(_LENGTH).fetchone()[1]  # type: ignore[index]  # a pragma of one row
    try:
        with open(f"{path}-wal", "rb") as file:  # noqa: PTH123  # no lock of SQLite's is on this one
            return _look(file.fileno(), trusted, path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise JournalError(f"{path}-wal cannot be read ({error.strerror}).") from error


def _look(file: int, trusted: int, path: str) -> str:
    size = os.fstat(file).st_size
    if size <= HEADER_BYTES:
        return ""
    header = os.pread(file, HEADER_BYTES, 0)
    magic, _, page_bytes, _, *salts = struct.unpack(">6I", header[:FRAME_BYTES])
    if magic & ~1 != _MAGIC or _check_sum(header[:FRAME_BYTES], magic) != struct.unpack(">2I", header[FRAME_BYTES:]):
        raise _damaged(path)  # it is synced before the first page is written behind it
    marks, whole, step = 0, 0, FRAME_BYTES + page_bytes
    for place in range(HEADER_BYTES + trusted * step, size - step + 1, step):
        _, pages_after, *its_salts = struct.unpack(">4I", os.pread(file, 16, place))
        if pages_after > 0 and its_salts == salts:
            marks += 1
            whole += _follows(file, place, step, magic)
    if whole > TORN_MAX:
        raise _damaged(path)
    return "The last transaction of the log was torn; it was never acknowledged, and is dropped." if marks else ""


def _follows(file: int, place: int, step: int, magic: int) -> bool:
    """Whether a frame's check sum goes on from that of the frame before it: then both were written as they stand.

    A torn one may bear the mark of a commit that was there before the log began anew.
    """
    before = place - step + 16 if place - step >= HEADER_BYTES else FRAME_BYTES  # the header's own, before the first
    seed = struct.unpack(">2I", os.pread(file, 8, before))
    frame = os.pread(file, step, place)
    said = struct.unpack(">2I", frame[16:FRAME_BYTES])
    return _check_sum(frame[:8] + frame[FRAME_BYTES:], magic, seed) == said


def _check_sum(words: bytes, magic: int, seed: tuple[int, ...] = (0, 0)) -> tuple[int, int]:
    """SQLite's check sum of the log.  Source: SQLite, WAL-mode file format, 4.2."""
    first, second = seed
    values = struct.unpack(f"{'>' if magic & 1 else '<'}{len(words) // 4}I", words)
    for even, odd in zip(values[::2], values[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second


def _damaged(path: str) -> JournalError:
    return JournalError(
        f"{path}-wal is damaged before its end: acknowledged messages would be lost. Keep a copy of all files beside "
        "it, then restore a backup; the senders' archives have what came after."
    )
