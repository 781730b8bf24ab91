"""Files for another program to pick up: one owed sending in, one whole file with exactly its bytes out."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, TypeVar

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.transports.transport import Attempt, MayWrite, too_late

DIRECTORY_MODE: Final = 0o750
FILE_MODE: Final = 0o640  # the program that picks it up is in our group
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # no way out of the directory, no hidden file
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})  # file systems without them

WRITTEN: Final = "written to the spool directory"
BAD_NAME: Final = "the sending's id cannot be a file's name"
OTHER_BYTES: Final = "a file of that name with other bytes is there already"
NOT_WRITTEN: Final = "the spool directory could not be written"

T = TypeVar("T")

_log = structlog.get_logger()


class InThread(Protocol):
    """Runs work that blocks elsewhere: a thread pool, or the spot in tests."""

    def __call__(self, work: Callable[[], T]) -> Deferred[T]:
        """Fires with what `work` returns or raises."""
        ...


class Occupied(Exception):
    """A file of that name with other bytes is there already."""


class Spool:
    """A `Transport` that writes into one directory.

    Writing the same sending twice leaves one file; the name is the idempotency key for whoever picks it up.
    """

    name = "spool"
    repeats_safely = True  # by the file's name

    def __init__(self, *, directory: str, in_thread: InThread) -> None:
        """Write into `directory`, which is made when it is missing."""
        self._directory = directory
        self._in_thread = in_thread

    def deliver(self, effect: EffectRow, may_write: MayWrite) -> Deferred[Attempt]:
        """Write `effect.body`, whole or not at all."""
        name = file_name(effect)
        if not name:
            return succeed(Attempt(outcome=Outcome.FAILED, reason=BAD_NAME))
        if not may_write():
            return succeed(too_late())
        written = self._in_thread(lambda: publish(self._directory, name, effect.body))
        return written.addCallbacks(self._written, self._not_written)

    def stop(self) -> None:
        """A file is written in moments; nothing to end."""

    def _written(self, _new: bool) -> Attempt:  # noqa: FBT001  # a callback's only argument
        return Attempt(outcome=Outcome.DELIVERED, reason=WRITTEN)

    def _not_written(self, failure: Failure) -> Attempt:
        if failure.check(Occupied) is not None:
            return Attempt(outcome=Outcome.FAILED, reason=OTHER_BYTES)
        failure.trap(OSError)
        code = errno.errorcode.get(getattr(failure.value, "errno", None) or 0, "")
        _log.error("A spool directory could not be written.", path=self._directory, code=code)
        return Attempt(outcome=Outcome.RETRY, reason=NOT_WRITTEN, unreachable=True)


def file_name(effect: EffectRow) -> str:
    """The sending's id with the ending of its content; "" when the id is no safe name."""
    if _NAME.fullmatch(effect.wire_id) is None:
        return ""
    ending = ending_of(effect.body)
    return effect.wire_id if effect.wire_id.lower().endswith(ending) else effect.wire_id + ending


def ending_of(body: bytes) -> str:
    """.pdf, .hl7, .json or .txt, by how the content begins."""
    if body.startswith(b"%PDF"):
        return ".pdf"
    if body.startswith((b"MSH", b"FHS", b"BHS")):
        return ".hl7"
    if body.lstrip()[:1] in (b"{", b"["):
        return ".json"
    return ".txt"


def publish(directory: str, name: str, body: bytes) -> bool:
    """Let `name` appear in `directory` with all of `body`, on disk; False when it was there with the same bytes.

    Raises Occupied when it was there with other bytes, OSError when the disk will not.
    """
    make_directories(directory)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _is_there(folder, name, body):
            os.fsync(folder)  # whoever gave it its name may have died before this
            return False
        part = f".{name}.part"
        try:
            _write(folder, part, body)
            _reveal(folder, part, name, body)
        finally:
            _remove(folder, part)  # on a full disk it would keep smaller ones from leaving
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def make_directories(directory: str, mode: int = DIRECTORY_MODE) -> None:
    """Make a directory and those above it that are missing, each known to the one above it before it is used.

    Without that, a power cut can take a directory with everything that was synced in it.  Raises OSError.
    """
    missing: list[Path] = []
    place = Path(directory)
    while not place.is_dir():
        missing.append(place)
        place = place.parent
    for made in reversed(missing):
        with suppress(FileExistsError):  # somebody else made it just now
            made.mkdir(mode)
        above = os.open(made.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(above)
        finally:
            os.close(above)


def _write(folder: int, part: str, body: bytes) -> None:
    """Write and sync a new file; what a crash left under its name is removed first."""
    _remove(folder, part)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, flags, FILE_MODE, dir_fd=folder)
    try:
        view = memoryview(body)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reveal(folder: int, part: str, name: str, body: bytes) -> None:
    """Give the finished file its name, never over another."""
    try:
        os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        if not _is_there(folder, name, body):
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)  # nobody else makes our names; see _is_there


def _is_there(folder: int, name: str, body: bytes) -> bool:
    """Whether the file exists with these bytes.  Raises Occupied when it has others."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:  # a symbolic link is not ours
            raise Occupied from None
        raise
    with os.fdopen(descriptor, "rb") as there:
        if there.read(len(body) + 1) != body:
            raise Occupied
    return True


def _remove(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
