"""Room on the journal's disk: how much is free in, whether to take more work out; and a ballast to throw off."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from enum import Enum
from typing import Final

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
LOW_WATER_BYTES: Final = GIB
FRAMES_SHARE: Final = 1.5  # of the largest message of every connection at once: its row, and its pages in the log
DISK_SHARE: Final = 0.05  # the most of a disk that the default mark asks for: a small disk must not be shut by a rule
AMPLE_TIMES: Final = 2  # the low-water mark, before the doors open again
AMPLE_SECONDS: Final = 60.0  # so long must there be room: what is freed for a moment is filled the next
OUT_SHARE: Final = 0.25  # of the low-water mark: below it the ballast goes, before a commit fails
FILE_MODE: Final = 0o600  # the owner alone
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Water(Enum):
    """How the disk stands."""

    AMPLE = "ample"
    LOW = "low"  # nothing new is accepted or read; what is in the door is finished
    OUT = "out"  # the ballast is gone too


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Where the water stands when something must be done; bytes free for us."""

    low: int  # 0: never
    ballast: int  # 0: none

    @property
    def out(self) -> int:
        """Below this the ballast goes."""
        return min(int(self.low * OUT_SHARE), self.ballast)

    def ample(self, water: Water) -> int:
        """Above this there is room again; a ballast that is gone must fit in as well."""
        return self.low * AMPLE_TIMES + (self.ballast if water is Water.OUT else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How the disk stands, and since when there would be room again."""

    water: Water = Water.AMPLE
    ample_since: float | None = None


def marks_of(
    *, low_water: int | None, ballast: int, frame_bytes_max: int, connections_max: int, disk_bytes: int
) -> Marks:
    """The marks of one daemon; low_water: as configured, None for the rule.

    The rule: one GiB, or one and a half times the largest message of every connection where that is more, and at most a
    twentieth of the disk.  A mark that somebody wrote down is taken as it is.
    """
    if low_water is not None:
        return Marks(low=low_water, ballast=ballast)
    wanted = max(LOW_WATER_BYTES, int(FRAMES_SHARE * frame_bytes_max * connections_max))
    return Marks(low=min(wanted, int(disk_bytes * DISK_SHARE)), ballast=min(ballast, int(disk_bytes * DISK_SHARE)))


def next_level(level: Level, marks: Marks, *, free: int, seconds: float) -> Level:
    """How the disk stands after one more look; seconds: of any clock that only runs forward.

    It falls at once and rises only after a minute of ample room.
    """
    if free < marks.out:
        return Level(water=Water.OUT)
    if level.water is Water.AMPLE:
        return Level(water=Water.LOW) if free < marks.low else level
    if free <= marks.ample(level.water):
        return Level(water=level.water)
    since = seconds if level.ample_since is None else level.ample_since
    return Level() if seconds - since >= AMPLE_SECONDS else Level(water=level.water, ample_since=since)


class Ballast:
    """A file that holds room for the moment there is none: deleting rows frees nothing on a full disk, this does."""

    __slots__ = ("_path", "_size")

    def __init__(self, journal: str, size: int) -> None:
        """Keep `size` bytes beside the journal's file."""
        self._path = f"{journal}.ballast"
        self._size = size

    def make(self) -> bool:
        """Take the room; whether it is taken.  Raises OSError when the disk is wrong, not when it is full."""
        if not self._size:
            return False
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        try:
            os.ftruncate(file, min(os.fstat(file).st_size, self._size))
            os.posix_fallocate(file, 0, self._size)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
        else:
            return True
        finally:
            os.close(file)
        self.release()  # half a ballast only takes room away
        return False

    @property
    def held(self) -> bool:
        """Whether it holds any room: a former life of the daemon may have left it."""
        try:
            return os.stat(self._path).st_blocks > 0  # noqa: PTH116  # paths stay text here
        except OSError:
            return False

    def release(self) -> bool:
        """Give the room back; whether there was any to give."""
        held = self.held
        try:
            os.unlink(self._path)  # noqa: PTH108  # paths stay text here
        except OSError:  # it is gone already, or the disk is so wrong that the next commit says so
            return False
        return held


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What a look at a file system tells."""

    free_bytes: int  # for us, not for root
    all_bytes: int
    log_bytes: int = 0  # of the journal's write-ahead log


def look_at_disk(path: str) -> Disk:
    """The file system that holds the journal at `path`, and the length of its log.  Raises OSError."""
    there = os.statvfs(os.path.dirname(path) or ".")  # noqa: PTH120  # paths stay text here
    try:
        log_bytes = os.stat(f"{path}-wal").st_size  # noqa: PTH116  # paths stay text here
    except FileNotFoundError:
        log_bytes = 0
    return Disk(
        free_bytes=there.f_bavail * there.f_frsize, all_bytes=there.f_blocks * there.f_frsize, log_bytes=log_bytes
    )
