"""The spool: whole files or none, once, under names that say nothing."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute

from referral_engine.loop.events import Outcome
from referral_engine.transports import spool
from referral_engine.transports.spool import Spool, ending_of, file_name, publish
from referral_engine.transports.transport import NOT_LEASED, Attempt
from tests.channels.shipped import ROOT
from tests.transports.peers import effect


def _here(work: Callable[[], Any]) -> Deferred[Any]:
    return execute(work)


def _deliver(directory: Path, **changes: Any) -> Attempt:
    attempts: list[Attempt] = []
    Spool(directory=str(directory), in_thread=_here).deliver(effect(**changes), lambda: True).addCallback(
        attempts.append
    )
    return attempts[0]


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_sending_becomes_one_file_with_exactly_its_bytes(tmp_path: Path) -> None:
    attempt = _deliver(tmp_path, wire_id="RE0001", body=b"%PDF-1.7 \x00\xff")

    assert attempt.outcome is Outcome.DELIVERED
    assert _names(tmp_path) == ["RE0001.pdf"]
    assert (tmp_path / "RE0001.pdf").read_bytes() == b"%PDF-1.7 \x00\xff"


@pytest.mark.parametrize(
    ("body", "ending"),
    [(b"%PDF-1.7", ".pdf"), (b"MSH|^~\\&|", ".hl7"), (b'\n{"to": 1}', ".json"), (b"[1]", ".json"), (b"Dear", ".txt")],
)
def test_the_ending_is_that_of_the_content(body: bytes, ending: str) -> None:
    assert ending_of(body) == ending


def test_a_name_that_has_its_ending_already_keeps_it() -> None:
    assert file_name(effect(wire_id="RE0001.pdf", body=b"%PDF")) == "RE0001.pdf"


def test_the_same_sending_twice_is_one_file_and_both_times_delivered(tmp_path: Path) -> None:
    first, second = _deliver(tmp_path), _deliver(tmp_path)

    assert [first.outcome, second.outcome] == [Outcome.DELIVERED, Outcome.DELIVERED]
    assert len(_names(tmp_path)) == 1


def test_a_file_with_other_bytes_is_never_written_over(tmp_path: Path) -> None:
    _deliver(tmp_path, wire_id="RE0001", body=b"first")

    attempt = _deliver(tmp_path, wire_id="RE0001", body=b"other")

    assert (attempt.outcome, attempt.reason) == (Outcome.FAILED, spool.OTHER_BYTES)
    assert (tmp_path / "RE0001.txt").read_bytes() == b"first"


def test_what_a_crash_left_half_written_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".RE0001.txt.part").write_bytes(b"hal")

    attempt = _deliver(tmp_path, wire_id="RE0001", body=b"half and whole")

    assert attempt.outcome is Outcome.DELIVERED
    assert _names(tmp_path) == ["RE0001.txt"]
    assert (tmp_path / "RE0001.txt").read_bytes() == b"half and whole"


def test_no_moment_shows_a_file_that_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    write, link = os.write, os.link

    def slow_write(descriptor: int, piece: Any) -> int:
        seen.append([name for name in _names(tmp_path) if not name.startswith(".")])
        return write(descriptor, piece[:4])

    def watched_link(*paths: Any, **more: Any) -> None:
        seen.append([name for name in _names(tmp_path) if not name.startswith(".")])
        link(*paths, **more)

    monkeypatch.setattr(os, "write", slow_write)
    monkeypatch.setattr(os, "link", watched_link)
    publish(str(tmp_path), "RE0001.txt", b"a body of several writes")

    assert len(seen) > 3
    assert set(map(tuple, seen)) == {()}
    assert (tmp_path / "RE0001.txt").read_bytes() == b"a body of several writes"


def test_the_file_is_on_disk_before_its_name_and_the_name_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, link = os.fsync, os.link

    def watched_fsync(descriptor: int) -> None:
        steps.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def watched_link(*paths: Any, **more: Any) -> None:
        steps.append("name")
        link(*paths, **more)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "link", watched_link)
    publish(str(tmp_path), "RE0001.txt", b"body")

    assert steps == ["file", "name", "directory"]


def test_a_file_system_without_links_gets_its_file_by_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_paths: Any, **_more: Any) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", no_link)
    publish(str(tmp_path), "RE0001.txt", b"body")

    assert _names(tmp_path) == ["RE0001.txt"]


def test_a_full_disk_is_tried_again_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _piece: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    attempt = _deliver(tmp_path)

    assert (attempt.outcome, attempt.reason) == (Outcome.RETRY, spool.NOT_WRITTEN)
    assert not attempt.ambiguous
    assert [name for name in _names(tmp_path) if not name.startswith(".")] == []


@pytest.mark.parametrize("name", ["../escape", ".hidden", "", "a/b", "a b", "\x00", "x" * 101])
def test_a_name_that_would_leave_the_directory_or_hide_is_refused(tmp_path: Path, name: str) -> None:
    attempt = _deliver(tmp_path, wire_id=name)

    assert (attempt.outcome, attempt.reason) == (Outcome.FAILED, spool.BAD_NAME)
    assert _names(tmp_path) == []


def test_a_symbolic_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(b"precious")
    (tmp_path / "RE0001.txt").symlink_to(target)

    attempt = _deliver(tmp_path, wire_id="RE0001", body=b"body")

    assert attempt.outcome is Outcome.FAILED
    assert target.read_bytes() == b"precious"


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    assert _deliver(tmp_path / "fax" / "out").outcome is Outcome.DELIVERED
    assert len(_names(tmp_path / "fax" / "out")) == 1


# F-G20: a crash, or an fsync that failed, between the name and the directory
def test_a_file_that_is_there_already_is_made_durable_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, fails = os.fsync, [True]

    def failing_once(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) and fails:
            fails.clear()
            raise OSError(5, "Input/output error")
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", failing_once)
    first, second = _deliver(tmp_path), _deliver(tmp_path)

    assert [first.outcome, second.outcome] == [Outcome.RETRY, Outcome.DELIVERED]
    assert synced == [False, True]
    assert len(_names(tmp_path)) == 1


# F-G08
def test_a_courier_whose_lease_ran_out_writes_no_file(tmp_path: Path) -> None:
    attempts: list[Attempt] = []

    Spool(directory=str(tmp_path), in_thread=_here).deliver(effect(), lambda: False).addCallback(attempts.append)

    assert (attempts[0].outcome, attempts[0].reason) == (Outcome.RETRY, NOT_LEASED)
    assert _names(tmp_path) == []


_ON_A_SMALL_DISK = """
import json, os, sys
from referral_engine.transports.spool import publish
directory, said = sys.argv[1], []
for name, size in (("A.txt", 20_000), ("B.txt", 90_000), ("C.txt", 20_000), ("B.txt", 90_000)):
    try:
        said.append(publish(directory, name, b"x" * size))
    except OSError as error:
        said.append(error.errno)
    said.append({one: os.stat(os.path.join(directory, one)).st_size for one in sorted(os.listdir(directory))})
print(json.dumps(said))
"""


# F-G20, F-B03
def test_on_a_disk_that_is_really_full_no_part_of_a_file_ever_shows_and_smaller_ones_still_fit(tmp_path: Path) -> None:
    mounted = f"mount -t tmpfs -o size=64k none {tmp_path}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mounted], capture_output=True, timeout=20).returncode:
        pytest.skip("this machine lets nobody mount a small file system of their own")

    script = f"{mounted} && exec {sys.executable} - {tmp_path}"
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        input=_ON_A_SMALL_DISK.encode(),
        capture_output=True,
        timeout=60,
        cwd=ROOT,
    )

    assert ran.returncode == 0, ran.stderr.decode()[-500:]
    whole = {"A.txt": 20_000}
    both = whole | {"C.txt": 20_000}
    assert json.loads(ran.stdout) == [True, whole, errno.ENOSPC, whole, True, both, errno.ENOSPC, both]


# F-G20: whatever stands in the message, the name is our own id
@given(wire_id=st.text(max_size=120))
def test_no_id_ever_names_a_file_outside_the_directory(wire_id: str) -> None:
    name = file_name(effect(wire_id=wire_id, body=b"Dear"))

    assert "/" not in name
    assert "\x00" not in name
    assert not name.startswith(".")
    assert name.isascii()
