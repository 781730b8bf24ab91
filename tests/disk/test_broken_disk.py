"""A disk that fails to sync: nothing is acknowledged from then on, and the next start knows what to make of it.

F-B01, F-B02, F-B23, M3, M4.  The faults are real errors of the system calls, put there by strace.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from referral_engine.journal.journal import Journal
from referral_engine.journal.scrub import scrub
from tests.disk.given import NODE, program
from tests.journal.made import KEY, a_key, a_message

MESSAGES = 25
SYNCS = "fsync,fdatasync"  # which of them SQLite calls depends on how it was built

TAKES = """
import os, sys
from referral_engine.base.errors import JournalError, OutcomeUnknown
from referral_engine.journal.journal import Journal
from referral_engine.journal.log import Log
from tests.disk.given import take
try:
    journal = Journal.open(sys.argv[1], bytes(range(32)), node="K7QD", now=1)
    journal._log = Log(journal._connection, sys.argv[1], limit=60)
    print("open", flush=True)
    for number in range(1, int(sys.argv[2]) + 1):
        try:
            take(journal, number)
        except JournalError as error:
            print("refused", number, type(error).__name__, journal.fenced, flush=True)
        else:
            print("told", number, flush=True)
    journal.close()
except JournalError as error:
    print("no start:", error, flush=True)
    os._exit(74)
"""


@cache
def strace() -> str:
    """The program, where it may watch another one."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed (Debian: apt install strace)")
    if subprocess.run([found, "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("strace may not watch programs here")
    return found


def with_fault(path: str, nth: int, messages: int = MESSAGES) -> tuple[list[list[str]], int, bool]:
    """Take messages while the nth sync fails: what was said, the exit status, whether it did fail."""
    log = Path(f"{path}.strace")
    under = (
        strace(), "-f", "--seccomp-bpf", "-qq", "-y", "-o", str(log), "-e", f"trace={SYNCS}", "-e",
        f"inject={SYNCS}:error=EIO:when={nth}",
    )  # fmt: skip
    child = program(TAKES, path, str(messages), under=under)
    said, _ = child.communicate(timeout=120)
    return [line.split() for line in said.splitlines()], child.returncode, "INJECTED" in log.read_text()


def held(path: str, told: list[int], refused: list[int]) -> None:
    """What was told is there; what was refused is there or not, and sent again it is there once."""
    journal = Journal.open(path, KEY, node=NODE)
    for number in (*told, *refused):
        with journal.batch(1000 + number) as unit:
            key = a_key(b"MSG%d" % number, b"MSH|made up|%d" % number)
            known = unit.earlier(key)
            assert known is not None or number in refused, f"message {number} was acknowledged and is lost"
            if known is None:
                unit.add_message(a_message(unit.next_sequence(), key))
    report = scrub(journal._connection)
    assert report.whole, report
    count = journal._connection.execute("SELECT count(*), count(DISTINCT control_id) FROM messages").fetchone()
    assert count == (len(told) + len(refused),) * 2
    journal.close()


def one_fault(tmp_path: Path, nth: int) -> bool:
    """Whether there still was an nth sync to fail."""
    path = str(tmp_path / f"{nth}.db")
    said, status, failed = with_fault(path, nth)
    if not failed:
        assert [line[0] for line in said].count("told") == MESSAGES
        return False
    told = [int(line[1]) for line in said if line[0] == "told"]
    refused = [line for line in said if line[0] == "refused"]
    if said[0][0] == "no":
        assert status == 74
        assert not told
    elif refused:
        assert refused[0][2:] == ["OutcomeUnknown", "True"]
        first = int(refused[0][1])
        assert told == list(range(1, first)), "nothing is told after the first error"
        assert {line[3] for line in refused} == {"True"}, "a fenced journal stays fenced"
    else:
        assert len(told) == MESSAGES, "it failed while closing"
    held(path, told, [int(line[1]) for line in refused[:1]])
    return True


@pytest.mark.parametrize("nth", [6, 20, 30, 41])
def test_after_a_sync_that_failed_nothing_is_told(tmp_path: Path, nth: int) -> None:
    assert one_fault(tmp_path, nth)


@pytest.mark.torture
def test_after_any_sync_that_failed_nothing_is_told(tmp_path: Path) -> None:
    # F-B01 K = 1..N, until nothing fails any more
    nth = 1
    while one_fault(tmp_path, nth):
        nth += 1

    assert nth > MESSAGES


def test_a_copy_of_the_log_that_cannot_be_synced_is_seen(tmp_path: Path) -> None:
    # SQLite's own automatic copy hides it: a COMMIT that triggered one says OK
    path = str(tmp_path / "journal.db")
    with_fault(str(tmp_path / "dry.db"), 9999)
    order = re.findall(r"sync\(\d+<(.*)>\)", Path(tmp_path / "dry.db.strace").read_text())
    first_told = max(number for number, file in enumerate(order) if file.endswith(".anchor.new") and number < 40)
    copies = [number for number, file in enumerate(order, 1) if file.endswith("dry.db") and number > first_told]
    assert len(copies) >= 2, "the log was not copied while messages were taken"

    said, _, failed = with_fault(path, copies[0])

    assert failed
    refused = [line[2:] for line in said if line[0] == "refused"]
    assert refused[0] == ["OutcomeUnknown", "True"]


@pytest.mark.parametrize("nth", [1, 2])
def test_a_name_that_cannot_be_made_durable_is_refused_at_the_start(tmp_path: Path, nth: int) -> None:
    # F-B23, M4: SQLite itself reports nothing
    said, status, failed = with_fault(str(tmp_path / "journal.db"), nth, messages=1)

    assert failed
    assert (said[0][:2], status) == (["no", "start:"], 74)


def test_a_disk_that_went_read_only_fences(tmp_path: Path) -> None:
    # F-B13: the kernel does this after an error of its own
    path = str(tmp_path / "journal.db")
    log = Path(f"{path}.strace")
    under = (strace(), "-f", "--seccomp-bpf", "-qq", "-o", str(log), "-e", "trace=pwrite64",
             "-e", "inject=pwrite64:error=EROFS:when=330+")  # fmt: skip
    child = program(TAKES, path, str(MESSAGES), under=under)
    said = [line.split() for line in child.communicate(timeout=120)[0].splitlines()]

    refused = [line for line in said if line[0] == "refused"]
    told = [int(line[1]) for line in said if line[0] == "told"]
    assert refused[0][3] == "True"
    assert told == list(range(1, int(refused[0][1])))
    held(path, told, [int(refused[0][1])])
