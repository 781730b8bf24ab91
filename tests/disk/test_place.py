"""Where a journal may lie: a local disk, and nothing that only looks like one.  F-B15."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.base.errors import JournalError
from referral_engine.journal import place
from referral_engine.journal.place import judge, look_at_place, mount_of, mounts_in

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv/share rw,relatime - nfs4 files.example:/export rw,vers=4.2
31 22 0:41 / /srv/my\\040disk rw,relatime - xfs /dev/sdb1 rw
32 22 0:42 / /run rw,nosuid - tmpfs tmpfs rw,size=1k
33 22 0:43 / /box rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c
34 22 0:44 / /fast rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c,volatile
35 22 0:45 / /cloud rw,relatime - fuse.sshfs me@example:/ rw
36 30 8:2 / /srv/share/local rw,relatime - btrfs /dev/sdc1 rw
37 22 0:46 / /twice rw,relatime - cifs //example/a rw
38 37 8:3 / /twice rw,relatime - ext4 /dev/sdd1 rw
a line of another kind
"""


@pytest.mark.parametrize(
    ("folder", "refused", "warned"),
    [
        ("/var/lib/referral-engine", "", ""),
        ("/srv/my disk/deep", "", ""),
        ("/srv/shared", "", ""),  # its name begins like the share's
        ("/srv/share", "nfs4", "nfs4"),
        ("/srv/share/a/b", "nfs4", "nfs4"),
        ("/srv/share/local/a", "", ""),
        ("/cloud/x", "fuse.sshfs", "fuse.sshfs"),
        ("/fast", "ignores every sync", "ignores every sync"),
        ("/box/var", "", "gone with its container"),
        ("/run/x", "", "gone with the power"),
        ("/twice", "", ""),  # the later mount covers the share
    ],
)
def test_each_folder_is_judged_by_the_file_system_that_holds_it(folder: str, refused: str, warned: str) -> None:
    refusal, warning = judge(f"{folder}/journal.db", mount_of(folder, mounts_in(TABLE)))

    assert refused in refusal
    assert bool(refused) == bool(refusal)
    assert warned in warning
    assert bool(warned) == bool(warning)


def test_a_share_is_refused_with_what_to_do_unless_the_operator_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"30 22 0:40 / {tmp_path} rw - nfs4 files.example:/export rw\n")
    monkeypatch.setattr(place, "MOUNTS", str(table))
    path = str(tmp_path / "journal.db")

    with pytest.raises(JournalError, match=r"nfs4 file system.*Move it to a local disk; allow_file_system = true"):
        look_at_place(path)

    assert "nfs4" in look_at_place(path, allowed=True)


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    assert isinstance(look_at_place(str(tmp_path / "journal.db"), allowed=True), str)


def test_a_machine_without_the_table_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "MOUNTS", "/nowhere/mountinfo")

    assert look_at_place("/srv/share/journal.db") == ""
