"""A traced run of the writer: strace's lines in, what it did to the disk and said, in order, out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

STRACE = shutil.which("strace")
NEEDS_STRACE = "strace is not here (Debian: apt install strace)"
CALLS = (
    "openat,open,creat,pwrite64,write,lseek,ftruncate,fallocate,fsync,fdatasync,sync_file_range,unlink,unlinkat,"
    "rename,renameat,renameat2,link,linkat,mkdir,mkdirat"
)
UNKNOWN = {"pwritev", "pwritev2", "writev", "mmap_write"}  # of which the writer must have made none
SECONDS_MAX = 120

_CALL = re.compile(rb"^(\w+)\((.*)\) += (-?\d+)(<.*>)?(?: .*)?$")
_STRING = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_FD = re.compile(rb"^(AT_FDCWD|\d+)<((?:[^>\\]|\\x[0-9a-f]{2})*)>")


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that was done: `kind` is open, write, cut, sync, unlink, link, rename, mkdir or say."""

    kind: str
    path: str = ""
    offset: int = 0
    written: bytes = b""
    other: str = ""  # where a link or a rename leads


def record(site: Path, count: int, seed: int, *words: str) -> list[Op]:
    """Run the writer on a site, a new one or one it finds, under strace; what it did there, and what it said."""
    assert STRACE is not None, NEEDS_STRACE
    lines = site.parent / f"{site.name}.trace"
    site.mkdir(exist_ok=True)
    done = subprocess.run(
        [
            STRACE, "-qq", "-y", "-xx", "-s", "4000000", "-o", str(lines), "-e", f"trace={CALLS},writev,pwritev,pwritev2",
            sys.executable, "-m", "tests.power.writer", str(site), str(count), str(seed), *words,
        ],
        cwd=site.parent, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=SECONDS_MAX,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return read(lines.read_bytes(), str(site))


def read(trace: bytes, site: str) -> list[Op]:
    """What a trace says was done below `site`, and said on standard output."""
    ops: list[Op] = []
    places: dict[tuple[bytes, str], int] = {}  # where an open file is written next
    for line in trace.splitlines():
        found = _CALL.match(line)
        if found is None or int(found[3]) < 0:
            continue
        call, words, result = found[1].decode(), found[2], int(found[3])
        ops += _ops(call, words, result, found[4] or b"", places)
    below = f"{site}/"
    return [op for op in ops if op.kind == "say" or op.path.startswith(below) or op.path == site]


def _ops(call: str, words: bytes, result: int, opened: bytes, places: dict[tuple[bytes, str], int]) -> list[Op]:
    texts = [bytes.fromhex(text.decode().replace("\\x", "")) for text, _ in _STRING.findall(words)]
    fd = _FD.match(words)
    number, path = (fd[1], _plain(fd[2])) if fd else (b"", "")
    assert call not in UNKNOWN or path.startswith("/dev/"), f"the writer called {call}, which is not recorded"
    match call:
        case "openat" | "open" | "creat":
            name = _plain(opened[1:-1])
            places[b"%d" % result, name] = 0
            made = b"O_CREAT" in words or call == "creat"
            ops = [Op("open", name)] if made else []
            return [*ops, Op("cut", name)] if b"O_TRUNC" in words else ops
        case "write" if number == b"1":
            return [Op("say", written=texts[0])]
        case "write":
            offset = places.get((number, path), 0)
            places[number, path] = offset + result
            return [Op("write", path, offset, texts[0][:result])]
        case "pwrite64":
            offset = int(words.rsplit(b", ", 1)[1])
            return [Op("write", path, offset, texts[0][:result])]
        case "lseek":
            places[number, path] = result
            return []
        case "ftruncate":
            return [Op("cut", path, int(words.rsplit(b", ", 1)[1]))]
        case "fsync" | "fdatasync":
            return [Op("sync", path)]
        case "unlink" | "unlinkat":
            return [Op("unlink", _join(words, texts, 0))]
        case "mkdir" | "mkdirat":
            return [Op("mkdir", _join(words, texts, 0))]
        case "rename" | "renameat" | "renameat2" | "link" | "linkat":
            kind = "rename" if call.startswith("rename") else "link"
            return [Op(kind, _join(words, texts, 0), other=_join(words, texts, 1))]
        case _:
            return []


def _join(words: bytes, texts: list[bytes], which: int) -> str:
    """The whole path of the `which`th name, with the directory it was looked up from."""
    folders = re.findall(rb"(?:AT_FDCWD|\d+)<((?:[^>\\]|\\x[0-9a-f]{2})*)>", words)
    name = texts[which].decode()
    if name.startswith("/") or not folders:
        return name
    return f"{_plain(folders[min(which, len(folders) - 1)])}/{name}"


def _plain(path: bytes) -> str:
    """A path as strace decorates a descriptor with it; the bytes may be hexadecimal."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda one: bytes.fromhex(one[1].decode()), path).decode()
