"""A small file beside the journal that says how far it had come, so that an older or a cut one is not taken for whole.

What goes in is only what is durable in the journal already, so it may be older than the journal, never newer.
"""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from typing import Final

import msgspec

from referral_engine.base.errors import JournalError

FILE_MODE: Final = 0o600  # the owner alone
FILE_BYTES_MAX: Final = 4096  # stops something else of that name from being read whole
LOG_BYTES_MIN: Final = 32 + 24 + 512  # a header and one page: less is no log of an engine that ran
_TITLE: Final = b"referral-engine journal anchor 1\n"
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """How far one journal had come."""

    node: str
    created_at: int
    epoch: int
    sequence: int
    effect: int
    audit: int
    audit_hash: bytes
    high_water: int
    file_bytes: int  # of the journal's file when it was last synced; it never shrinks
    closed: bool  # False while an engine runs: then there must be a log


class AnchorFile:
    """Where the anchor of one journal is written."""

    __slots__ = ("_path", "_written")

    def __init__(self, journal: str) -> None:
        """Keep the anchor beside the file at `journal`."""
        self._path = anchor_path(journal)
        self._written: Anchor | None = None

    def put(self, anchor: Anchor) -> None:
        """Replace the anchor, all or nothing; the same again costs nothing.

        A full disk leaves the old one in its place, which is as true as before.  Raises JournalError for any other
        error of the disk.
        """
        if anchor == self._written:
            return
        body = msgspec.json.encode(anchor) + b"\n"
        text = _TITLE + body + hashlib.sha256(_TITLE + body).hexdigest().encode() + b"\n"
        new = f"{self._path}.new"
        try:
            _write(new, text)
            os.replace(new, self._path)  # noqa: PTH105  # paths stay text here
            sync_folder(self._path)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise JournalError(f"{self._path} cannot be written ({error.strerror}).") from error
        else:
            self._written = anchor


def anchor_path(journal: str) -> str:
    """Where the anchor of a journal is."""
    return f"{journal}.anchor"


def read_anchor(journal: str) -> Anchor | None:
    """The anchor of a journal; None when there is none.  Raises JournalError when it cannot be read."""
    path = anchor_path(journal)
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # paths stay text here
            text = file.read(FILE_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"{path} cannot be read ({error.strerror}).") from error
    head, body, seal = text[: len(_TITLE)], *text[len(_TITLE) :].partition(b"\n")[::2]
    if head == _TITLE and hashlib.sha256(_TITLE + body + b"\n").hexdigest().encode() == seal.strip():
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(body, type=Anchor)
    raise JournalError(
        f"{path} is damaged, so nobody knows whether the journal beside it is whole. Verify the journal "
        f"(referral-engine verify, on a copy); when it is whole, delete {path} and start again."
    )


def look_at_files(journal: str) -> None:
    """Hold the sizes of the files against the anchor, before anything is opened.

    Raises JournalError when the journal is gone, cut, older than its anchor, or lacks its log.
    """
    anchor = read_anchor(journal)
    if anchor is None:
        return
    size = _size(journal)
    if size <= 0:
        raise JournalError(
            f"{journal} is {'missing' if size < 0 else 'empty'}, and {anchor_path(journal)} says that it held "
            f"{anchor.sequence} messages and events. Is its disk mounted? If it is lost, restore a backup."
        )
    if size < anchor.file_bytes:
        raise older(journal, anchor, f"it has {size} bytes and had {anchor.file_bytes}")
    if not anchor.closed and _size(f"{journal}-wal") < LOG_BYTES_MIN:
        raise JournalError(
            f"{journal}-wal, the journal's log, is missing or cut: the engine did not stop by itself, so what was "
            "acknowledged last is in it. Put it back beside the journal; if it is lost, restore a backup."
        )


def older(journal: str, anchor: Anchor, why: str) -> JournalError:
    """The refusal of a journal that had come further than it is."""
    return JournalError(
        f"{journal} or its log is from another moment, or cut: {why}, {anchor_path(journal)} says. What was "
        f"acknowledged up to number {anchor.sequence} is not all in it. Restore the newest backup; if this older "
        f"journal is meant, delete {anchor_path(journal)} and start again."
    )


def sync_folder(path: str) -> None:
    """Make the names in the folder of `path` durable; SQLite does not report when that fails.  Raises OSError."""
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120  # paths stay text here
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: str, text: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        if os.write(file, text) != len(text):
            raise OSError(errno.ENOSPC, "a short write")
        os.fsync(file)
    finally:
        os.close(file)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116  # paths stay text here
    except FileNotFoundError:
        return -1
    except OSError as error:
        raise JournalError(f"{path} cannot be looked at ({error.strerror}).") from error
