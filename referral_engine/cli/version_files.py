"""The files of a stored configuration put back on disk, whole or not at all; and what was there kept until then."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
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


_NO_TEXT: Final = "\0"  # no file has it: for one that is not there


@dataclass(slots=True)
class Exchange:
    """Files on their way to another version; `undo` puts everything back."""

    before: dict[Path, bytes | None] = field(default_factory=dict)  # as it was; None where there was nothing

    def put(self, site: Site, files: Mapping[str, str]) -> list[Path]:
        """Let these be the files on disk: written beside, then all renamed; what they lack is removed.  Raises OSError.

        The paths that changed. A file keeps its owner and mode, a new one gets those of the engine's own file.
        """
        wanted = {site.path(name): text.encode() for name, text in files.items()}
        there = site.on_disk()
        changed = [path for path, raw in wanted.items() if there.get(path) != raw]
        gone = [path for path in there if path not in wanted]
        model = site.path(site.engine_file)
        parts: list[tuple[Path, Path]] = []
        try:
            for path in changed:
                part = _write_beside(path, wanted[path], path if path.exists() else model)
                parts.append((part, path))  # one by one: those before a failure are removed again
        except OSError:
            for part, _ in parts:
                part.unlink(missing_ok=True)
            raise
        for part, path in parts:
            self.before[path] = there.get(path)
            part.replace(path)
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
                _write_beside(path, raw, path if path.exists() else path.parent).replace(path)
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
        _write_beside(copy, raw, path).replace(copy)
        yield copy


def _write_beside(path: Path, raw: bytes, model: Path) -> Path:
    """A finished file under a hidden name, on disk, readable by whom `model` is readable by."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}{PART}")
    found = model.stat()
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            with suppress(PermissionError):  # only root may give a file away; its mode is ours in any case
                os.fchown(descriptor, found.st_uid, found.st_gid)
            os.fchmod(descriptor, found.st_mode & 0o666)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    return part


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
