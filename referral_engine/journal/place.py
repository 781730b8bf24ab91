"""Where the journal may lie: the table of mounts and a path in, a refusal, a warning or nothing out.

Source: proc(5), /proc/self/mountinfo.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final

from referral_engine.base.errors import JournalError

MOUNTS: Final = "/proc/self/mountinfo"
# Another machine answers there: locks, the order of writes and what a sync means are its business, not ours.
_REMOTE: Final = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
        "nfs", "nfs4", "ocfs2", "orangefs", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
    }
)  # fmt: skip
_FUSE: Final = "fuse"  # fuse, fuseblk, fuse.sshfs: a program of its own promises what it likes
_FLEETING: Final = frozenset({"ramfs", "tmpfs"})  # gone with the power
_REMEDY: Final = "Move it to a local disk; allow_file_system = true in [journal] takes it as it is."
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One file system in the tree of names."""

    point: str
    kind: str  # "ext4"
    options: frozenset[str]


def mounts_in(table: str) -> list[Mount]:
    """The lines of the kernel's table; one that reads differently is left out."""
    found = []
    for line in table.splitlines():
        own, dash, its = line.partition(" - ")
        fields, about = own.split(), its.split()
        if dash and len(fields) >= 6 and len(about) >= 3:
            options = frozenset([*fields[5].split(","), *about[2].split(",")])
            found.append(Mount(point=_plain(fields[4]), kind=about[0], options=options))
    return found


def mount_of(folder: str, mounts: list[Mount]) -> Mount | None:
    """The file system that holds a folder; of two in the same place the later one covers the other."""
    within = [one for one in mounts if folder == one.point or folder.startswith(one.point.rstrip("/") + "/")]
    return max(enumerate(within), key=lambda pair: (len(pair[1].point), pair[0]))[1] if within else None


def judge(path: str, mount: Mount | None) -> tuple[str, str]:
    """Why a journal must not lie there, and what to know when it does; "" for none."""
    if mount is None:
        return "", ""
    if mount.kind in _REMOTE or mount.kind.startswith(_FUSE):
        why = f"a {mount.kind} file system, which cannot promise that what is acknowledged survives."
        return f"{path} is on {why} {_REMEDY}", f"The journal is on {why}"
    if mount.kind == "overlay" and "volatile" in mount.options:
        why = "a volatile overlay file system, which ignores every sync."
        return f"{path} is on {why} {_REMEDY}", f"The journal is on {why}"
    if mount.kind == "overlay":
        return (
            "",
            "The journal is on an overlay file system: it is gone with its container. Give it a volume of its own.",
        )
    if mount.kind in _FLEETING:
        return "", f"The journal is on {mount.kind}, in memory: it is gone with the power."
    return "", ""


def look_at_place(path: str, *, allowed: bool = False) -> str:
    """A warning for the log about where the journal at `path` lies; "" when it is a local disk, or nobody knows.

    allowed: the operator takes any file system.
    Raises JournalError for a file system of another machine, or one that ignores a sync.
    """
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123  # the kernel's, no file
            table = file.read()
    except OSError:  # no such table here: the first commit says whether the disk can do what it must
        return ""
    folder = os.path.realpath(os.path.dirname(path) or ".")  # noqa: PTH120  # paths stay text here
    refusal, warning = judge(path, mount_of(folder, mounts_in(table)))
    if refusal and not allowed:
        raise JournalError(refusal)
    return warning


def _plain(name: str) -> str:
    """A name with its blanks, which the table writes as octal numbers."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), name)
