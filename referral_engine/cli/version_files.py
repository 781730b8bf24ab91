"""The files of a stored configuration put back on disk, whole or not at all; and what was there kept until then."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from referral_engine.service.files import file_folders, listed_files

PART: Final = ".part"  # behind a file's hidden name while it is written


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the running engine reads its files; names are as it knows them."""

    root: Path
    engine_file: str
    in_force: Mapping[str, str]  # name to text

    def path(self, name: str) -> Path:
        """Where a file of this name is."""
        return Path(os.path.normpath(self.root / name))

    def on_disk(self) -> dict[Path, bytes | None]:
        """What the engine would read now; None for what is no file that can be read.  Raises ConfigError."""
        return {path: _bytes(path) for path in listed_files(str(self.path(self.engine_file)))}

    def edited(self) -> list[Path]:
        """The files that are not those in force: changed, new or gone.  Raises ConfigError."""
        there = self.on_disk()
        wanted = {self.path(name): text for name, text in self.in_force.items()}
        return sorted(
            path for path in there.keys() | wanted.keys() if _text(there.get(path)) != wanted.get(path, _NO_TEXT)
        )

    def strangers(self, files: Mapping[str, str]) -> list[str]:
        """The names that do not lie where this engine reads.  Raises ConfigError."""
        engine = self.path(self.engine_file)
        folders = {Path(os.path.normpath(one)) for one in file_folders(str(engine))}
        alone = {engine, engine.parent / "preauth.toml"}
        return [name for name in files if self.path(name) not in alone and self.path(name).parent not in folders]


@contextmanager
def one_at_a_time(site: Site) -> Iterator[None]:
    """While somebody writes the files.  Raises BlockingIOError where another one does: two would leave a mixture."""
    folder = os.open(site.path(site.engine_file).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(folder)


_NO_TEXT: Final = "\0"  # no file has it: for one that is not there


@dataclass(slots=True)
class Exchange:
    """Files on their way to another version; `undo` puts everything back."""

    before: dict[Path, bytes | None] = field(default_factory=dict)  # as it was; None where there was nothing
    owners: dict[Path, os.stat_result] = field(default_factory=dict)  # whose it was, and who might read it

    def put(self, site: Site, files: Mapping[str, str]) -> list[Path]:
        """Let these be the files on disk: written beside, then all renamed; what they lack is removed.  Raises OSError.

        The paths that changed. A file keeps its owner and mode, a new one gets those of the engine's own file.
        """
        wanted = {site.path(name): text.encode() for name, text in files.items()}
        there = site.on_disk()
        changed = [path for path, raw in wanted.items() if there.get(path) != raw]
        gone = [path for path in there if path not in wanted]
        model = site.path(site.engine_file).stat()
        self.owners = {path: path.stat() for path in {*changed, *gone} if path.exists()}
        parts: list[tuple[Path, Path]] = []
        try:
            for path in changed:
                part = _write_beside(path, wanted[path], self.owners.get(path, model))
                parts.append((part, path))  # one by one: those before a failure are removed again
        except OSError:
            for part, _ in parts:
                part.unlink(missing_ok=True)
            raise
        try:
            for part, path in parts:
                self.before[path] = there.get(path)
                part.replace(path)
        finally:
            for part, _ in parts:  # of those that were not renamed
                part.unlink(missing_ok=True)
        for path in gone:
            self.before[path] = there[path]
            path.unlink()
        return sorted([*changed, *gone])

    def undo(self) -> None:
        """Put back what was there.  Raises OSError."""
        for path, raw in self.before.items():
            if raw is None:
                with suppress(FileNotFoundError):
                    path.unlink()
            elif _bytes(path) != raw:
                _write_beside(path, raw, self.owners[path]).replace(path)
        self.before.clear()


def kept_copies(paths: list[Path], number: int) -> Iterator[Path]:
    """Copy each file that is there beside itself, under a name nobody reads; the copies.  Raises OSError."""
    for path in paths:
        raw = _bytes(path)
        if raw is None:
            continue
        copy = path.with_name(f"{path.name}.before-rollback-{number}")
        attempt = 1
        while copy.exists():
            attempt += 1
            copy = path.with_name(f"{path.name}.before-rollback-{number}-{attempt}")
        _write_beside(copy, raw, path.stat()).replace(copy)
        yield copy


def _write_beside(path: Path, raw: bytes, found: os.stat_result) -> Path:
    """A finished file under a hidden name, on disk, readable by whom a file with `found` is readable by."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}{PART}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            _give(descriptor, found)
            os.fchmod(descriptor, found.st_mode & 0o666)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    return part


def _give(descriptor: int, found: os.stat_result) -> None:
    """Let a new file be whose the old one was, or at least of its group.

    Raises PermissionError where whoever could read the old one could not read this one: the engine would not start.
    """
    try:
        os.fchown(descriptor, found.st_uid, found.st_gid)
    except PermissionError:  # only root may give a file away
        if found.st_mode & stat.S_IROTH:
            return
        if os.fstat(descriptor).st_gid != found.st_gid:
            os.fchown(descriptor, -1, found.st_gid)  # to a group that one belongs to
        if not found.st_mode & stat.S_IRGRP:
            raise


def _bytes(path: Path) -> bytes | None:
    """What a plain file holds; None for anything else."""
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None


def _text(raw: bytes | None) -> str:
    """The text as the engine reads it; one that no file has where there is none."""
    try:
        return _NO_TEXT if raw is None else raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _NO_TEXT + "?"
