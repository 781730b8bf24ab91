"""A disk that can be filled and freed at once: a small tmpfs for root, a limit on the size of files for others."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

MIB: Final = 1024 * 1024
AMPLE_BYTES: Final = 16 * 1024 * MIB  # what the tmpfs says it has; only what is written takes memory
LEFT_BYTES: Final = 64 * 1024  # when it is full: a commit or two fit in
GROWTH_BYTES: Final = 32 * 1024  # what a file may still grow by under the limit
TRIES_MAX: Final = 8
MOUNT_SECONDS_MAX: Final = 20


class Disk(Protocol):
    """Where the journal lies."""

    how: str  # for the ledger

    def fill(self, pids: Sequence[int], /) -> None:
        """Leave these processes of the daemon next to no room.  Raises OSError."""
        ...

    def free(self, pids: Sequence[int], /) -> None:
        """Give them room again.  Raises OSError."""
        ...


class Tmpfs:
    """A tmpfs whose size is changed while it is mounted: ENOSPC as on a full disk."""

    how = "a tmpfs made small"

    def __init__(self, path: Path) -> None:
        """Over a tmpfs that is mounted at `path`."""
        self._path = path

    def fill(self, _pids: Sequence[int], /) -> None:
        """Make it as small as what is in it, which may grow while we look."""
        for attempt in range(TRIES_MAX):
            seen = os.statvfs(self._path)
            used = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
            try:
                self._resize(used + LEFT_BYTES * (1 + attempt))
            except OSError:
                if attempt + 1 == TRIES_MAX:
                    raise
            else:
                return

    def free(self, _pids: Sequence[int], /) -> None:
        """Make it large."""
        self._resize(AMPLE_BYTES)

    def _resize(self, size: int) -> None:
        _mount("mount", "-o", f"remount,size={size}", str(self._path))


class SizeLimit:
    """RLIMIT_FSIZE of the daemon: no file of its processes may grow; the kernel says EFBIG."""

    how = "a limit on the size of files"

    def __init__(self, path: Path) -> None:
        """Over the directory that holds the journal."""
        self._path = path

    def fill(self, pids: Sequence[int], /) -> None:
        """Let no file of the daemon's outgrow the largest that is there."""
        largest = max((file.stat().st_size for file in self._path.iterdir() if file.is_file()), default=0)
        self._limit(pids, largest + GROWTH_BYTES)

    def free(self, pids: Sequence[int], /) -> None:
        """Let them grow again."""
        self._limit(pids, resource.RLIM_INFINITY)

    def _limit(self, pids: Sequence[int], soft: int) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def disk_at(path: Path) -> Iterator[Disk]:
    """A disk that can be filled, at the empty directory `path`; what is in it goes with it when it is a tmpfs."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        _mount("mount", "-t", "tmpfs", "-o", f"size={AMPLE_BYTES},mode=700", "tmpfs", str(path))
    except OSError:
        yield SizeLimit(path)
        return
    try:
        yield Tmpfs(path)
    finally:
        _mount("umount", "--lazy", str(path))


def _mount(*words: str) -> None:
    """Run mount or umount.  Raises OSError when it is not there or not allowed."""
    if os.geteuid() != 0:
        raise PermissionError("only root mounts")
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=MOUNT_SECONDS_MAX)  # noqa: S603  # our own words
    except subprocess.SubprocessError as error:
        raise OSError(f"{words[0]} failed ({type(error).__name__})") from error
