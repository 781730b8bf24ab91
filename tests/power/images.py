"""What a power cut leaves: a recording and a moment in, the files a disk may hold then, out.

What was synced is there. What was not may be there, or not, or a part of it, or torn in the middle of a sector's
neighbours. A new name, a removed one and a changed one are there at once, or only once the directory was synced.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.power.recording import Op

SECTOR_BYTES = 512  # a disk writes these whole
FATES = ("none", "all", "some", "torn")  # of what was written and not synced
NAMES = ("at once", "when synced")  # when a directory's changes are there
NEAR_OPS = 8  # before and after
SHARED_MEMORY = "-shm"  # the index of the log: it is made anew after a crash


@dataclass(slots=True)
class _File:
    """The bytes of one file: what is safe, and what was done since."""

    safe: bytearray = field(default_factory=bytearray)
    since: list[Op] = field(default_factory=list)

    def sync(self) -> None:
        for op in self.since:
            _apply(self.safe, op)
        self.since.clear()

    def after_a_cut(self, fate: str, chance: random.Random) -> bytes:
        left = bytearray(self.safe)
        for op in self.since:
            if fate == "all" or (fate == "some" and chance.random() < 0.5):
                _apply(left, op)
            elif fate == "torn":
                for piece in _sectors(op):
                    if chance.random() < 0.5:
                        _apply(left, piece)
        return bytes(left)


@dataclass(slots=True)
class Disk:
    """A directory tree as a disk holds it while it is written to."""

    names: dict[str, _File] = field(default_factory=dict)  # as programs see them
    safe_names: dict[str, _File] = field(default_factory=dict)  # as the last sync of their directory left them
    new_folders: set[str] = field(default_factory=set)  # made, and the directory they are in not synced since

    @classmethod
    def holding(cls, files: dict[str, bytes]) -> Disk:
        """A disk on which these files have been for long."""
        safe = {path: _File(bytearray(content)) for path, content in files.items()}
        return cls(dict(safe), dict(safe))

    def apply(self, op: Op) -> None:
        """One thing happens."""
        match op.kind:
            case "mkdir":
                self.new_folders.add(op.path)
            case "open":
                self.names.setdefault(op.path, _File())
            case "write" | "cut":
                self._file(op.path).since.append(op)
            case "sync" if op.path in self.names:
                self.names[op.path].sync()
            case "sync":
                self._sync_folder(op.path)
            case "unlink":
                self.names.pop(op.path, None)
            case "rename":
                self.names[op.other] = self.names.pop(op.path)
            case "link":
                self.names[op.other] = self.names[op.path]
            case _:
                pass

    def after_a_cut(self, fate: str, names: str, chance: random.Random) -> dict[str, bytes]:
        """The files that are left, by their path."""
        left = self.names if names == "at once" else {
            path: file for path, file in self.safe_names.items() if not self._in_new_folder(path)
        }  # fmt: skip
        held: dict[int, bytes] = {}  # a file with two names has one content
        for file in left.values():
            if id(file) not in held:
                held[id(file)] = file.after_a_cut(fate, chance)
        return {path: held[id(file)] for path, file in left.items() if not path.endswith(SHARED_MEMORY)}

    def _file(self, path: str) -> _File:
        """The file behind an open descriptor: its name may be gone."""
        if path not in self.names:
            self.names[path] = _File()
        return self.names[path]

    def _in_new_folder(self, path: str) -> bool:
        return any(path.startswith(f"{folder}/") for folder in self.new_folders)

    def _sync_folder(self, folder: str) -> None:
        def inside(path: str) -> bool:
            return path.rpartition("/")[0] == folder

        kept = {path: file for path, file in self.safe_names.items() if not inside(path)}
        self.safe_names = kept | {path: file for path, file in self.names.items() if inside(path)}
        self.new_folders = {path for path in self.new_folders if not inside(path)}


@dataclass(frozen=True, slots=True)
class Image:
    """One possible disk after one possible cut."""

    cut: int  # before the op of this number
    fate: str
    names: str
    files: dict[str, bytes]
    said: tuple[str, ...]  # every line that was out before the cut

    def lay_down(self, site: str, root: Path) -> None:
        """Write the files of `site` below `root`."""
        for path, content in self.files.items():
            target = root / path.removeprefix(f"{site}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def images(
    ops: list[Op],
    count: int,
    chance: random.Random,
    *,
    first: int = 0,
    start: dict[str, bytes] | None = None,
    before: tuple[str, ...] = (),
) -> list[Image]:
    """So many images: cuts at or after the op `first`, half of them near a change of names or sizes, every fate in turn.

    start: the files that were there before, by their path. before: what had been said before.
    """
    rare = [number for number, op in enumerate(ops) if number >= first and op.kind not in ("write", "sync", "say")]
    near = [chance.choice(rare or [first]) + chance.randint(-NEAR_OPS, NEAR_OPS) for _ in range(count // 2)]
    anywhere = [chance.randrange(first, len(ops) + 1) for _ in range(count - len(near))]
    cuts = sorted(min(max(cut, first), len(ops)) for cut in near + anywhere)
    kinds = [(fate, names) for fate in FATES for names in NAMES]
    chance.shuffle(kinds)
    disk, said, done = Disk.holding(start or {}), list(before), 0
    found = []
    for number, cut in enumerate(cuts):
        for op in ops[done:cut]:
            disk.apply(op)
            if op.kind == "say":
                said += op.written.decode().splitlines()
        done = cut
        fate, names = kinds[number % len(kinds)]
        found.append(Image(cut, fate, names, disk.after_a_cut(fate, names, chance), tuple(said)))
    return found


def _apply(content: bytearray, op: Op) -> None:
    if op.kind == "cut":
        content[:] = content[: op.offset].ljust(op.offset, b"\0")
        return
    if len(content) < op.offset:
        content.extend(bytes(op.offset - len(content)))
    content[op.offset : op.offset + len(op.written)] = op.written


def _sectors(op: Op) -> list[Op]:
    """A write in pieces that a disk writes whole; a cut is one piece."""
    if op.kind == "cut":
        return [op]
    pieces, place = [], 0
    while place < len(op.written):
        size = SECTOR_BYTES - (op.offset + place) % SECTOR_BYTES
        pieces.append(Op("write", op.path, op.offset + place, op.written[place : place + size]))
        place += size
    return pieces
