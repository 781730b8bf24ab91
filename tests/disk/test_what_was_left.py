"""What lies on the disk at a start: whole is taken, cut, older, mixed or another's is refused with what to do.

F-A11, F-A12, F-B11, F-B12; H027, H088.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from referral_engine.base.errors import JournalError
from referral_engine.journal.anchor import anchor_path, read_anchor
from referral_engine.journal.journal import Journal
from referral_engine.journal.log import FRAME_BYTES, HEADER_BYTES, Log
from referral_engine.journal.scrub import scrub
from tests.disk.given import NODE, by_hand, copied, fill, filled, program, take
from tests.journal.made import KEY, messages_in

PAGE = 4096
FRAME = FRAME_BYTES + PAGE


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "journal.db")


def killed(path: str, to: Path, rows: int = 40, *, copied_at: int = 0) -> str:
    """The files of a journal that was not closed, as a kill leaves them; copied_at: the log was copied after so many."""
    journal = Journal.open(path, KEY, node=NODE, now=1)
    if copied_at:
        fill(journal, copied_at)
        journal._log.copy()
        for number in range(copied_at + 1, rows + 1):
            take(journal, number)
    else:
        fill(journal, rows)
    journal.anchor()
    there = copied(path, to)
    journal.close()
    return there


def edited(path: str, change: Callable[[bytearray], bytearray | None]) -> None:
    content = bytearray(Path(path).read_bytes())
    Path(path).write_bytes(change(content) or content)


def commits(log: bytes) -> list[int]:
    """Where the frames that end a transaction begin."""
    return [
        place
        for place in range(HEADER_BYTES, len(log) - FRAME + 1, FRAME)
        if log[place + 4 : place + 8] != bytes(4) and log[place + 8 : place + 16] == log[16:24]
    ]


def test_a_killed_journal_starts_with_all_it_had(path: str, tmp_path: Path) -> None:
    there = killed(path, tmp_path / "killed")

    journal = Journal.open(there, KEY)

    assert scrub(journal._connection).whole
    assert journal.note == ""
    journal.close()


def test_a_torn_last_transaction_is_dropped_and_said(path: str, tmp_path: Path) -> None:
    # H088: its bytes were on their way when the power went
    there = killed(path, tmp_path / "killed")
    log = Path(f"{there}-wal").read_bytes()
    Path(anchor_path(there)).unlink()  # it was written before that transaction began
    last = commits(log)[-1]
    edited(f"{there}-wal", lambda all_of_it: all_of_it[: last + 100])
    edited(f"{there}-wal", lambda all_of_it: all_of_it + log[last + 100 : last + FRAME - 1] + b"\xff")

    journal = Journal.open(there, KEY)

    assert "torn" in journal.note
    assert scrub(journal._connection).whole
    journal.close()


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_log_is_refused_wherever_it_is_damaged(path: str, tmp_path: Path, seed: int) -> None:
    # F-B10, F-B11: SQLite would end the log there without a word, and acknowledged messages with it
    there = killed(path, tmp_path / "killed")
    Path(anchor_path(there)).unlink()  # not even the anchor helps
    log = Path(f"{there}-wal").read_bytes()
    last_but_one = commits(log)[-2]
    at = random.Random(seed).randrange(0 if seed % 2 else HEADER_BYTES, last_but_one)
    at = seed if seed % 4 == 1 else at  # some of them in the header
    edited(f"{there}-wal", lambda all_of_it: flipped(all_of_it, at))

    with pytest.raises(JournalError, match=r"damaged before its end.*restore a backup"):
        Journal.open(there, KEY)


def flipped(content: bytearray, at: int) -> bytearray:
    content[at] ^= 1
    return content


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda there: Path(there).unlink(), r"journal\.db is missing.*Is its disk mounted"),  # H027
        (lambda there: Path(there).write_bytes(b""), r"is empty"),
        (lambda there: edited(there, lambda all_of_it: all_of_it[: PAGE * 3]), r"it has \d+ bytes and had \d+"),
        (lambda there: edited(there, lambda all_of_it: bytearray(len(all_of_it))), "The key does not open"),
        (lambda there: Path(f"{there}-wal").unlink(), "-wal, the journal's log, is missing or cut"),
        (lambda there: Path(f"{there}-wal").write_bytes(b""), "is missing or cut"),
        (lambda there: edited(f"{there}-wal", lambda log: log[:HEADER_BYTES]), "is missing or cut"),
        (lambda there: edited(f"{there}-wal", lambda log: bytearray(len(log))), "damaged before its end"),
        (lambda there: edited(f"{there}-wal", lambda log: log[: HEADER_BYTES + 10 * FRAME]), "from another moment"),
    ],
    ids=[
        "no file", "empty file", "cut file", "zeroed file", "no log", "empty log", "header only", "zeroed log", "cut log",
    ],
)  # fmt: skip
def test_what_is_missing_or_cut_is_refused(
    path: str, tmp_path: Path, spoil: Callable[[str], object], sentence: str
) -> None:
    # F-B11
    there = killed(path, tmp_path / "killed", copied_at=20)
    spoil(there)
    before = {file.name: file.stat().st_size for file in Path(there).parent.iterdir()}

    for _ in range(2):
        with pytest.raises(JournalError, match=sentence):
            Journal.open(there, KEY)

    after = {file.name: file.stat().st_size for file in Path(there).parent.iterdir() if file.suffix != ".lock"}
    assert after == before, "a refusal changes nothing"


def test_an_older_journal_is_refused_until_the_operator_says_that_it_is_meant(path: str, tmp_path: Path) -> None:
    # F-B12, F-J14
    filled(path, rows=20)
    older = copied(path, tmp_path / "older")
    journal = Journal.open(path, KEY)
    for number in range(21, 60):
        take(journal, number)
    journal.close()
    shutil.copy(older, path)

    with pytest.raises(JournalError, match=r"another moment.*delete .*journal\.db\.anchor and start again"):
        Journal.open(path, KEY)

    Path(anchor_path(path)).unlink()
    Journal.open(path, KEY).close()


def test_another_journal_in_its_place_is_refused(path: str, tmp_path: Path) -> None:
    filled(path, rows=4)
    other = str(tmp_path / "other.db")
    journal = Journal.open(other, KEY, node="ZZZZ", now=2)
    fill(journal, 40)
    journal.close()
    shutil.copy(other, path)

    with pytest.raises(JournalError, match="it is another journal"):
        Journal.open(path, KEY)


def test_a_history_that_was_written_anew_is_refused(path: str, tmp_path: Path) -> None:
    # F-J02, F-J14: an old copy that went on by itself is as long as the one it replaces
    filled(path, rows=8)
    fork = copied(path, tmp_path / "fork")
    for file, rows in ((path, 20), (fork, 30)):
        journal = Journal.open(file, KEY)
        for number in range(100, 100 + rows):
            take(journal, number, b"MSH|%d" % rows)
        journal.close()
    shutil.copy(fork, path)

    with pytest.raises(JournalError, match="of its audit is another one"):
        Journal.open(path, KEY)


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "plain"])
def test_a_file_with_the_log_of_another_moment_is_refused(path: str, tmp_path: Path, key: bytes | None) -> None:
    # F-B12: a backup that copied one after the other
    journal = Journal.open(path, key, node=NODE, now=1)
    fill(journal, 40)
    journal._log.copy()
    journal.anchor()
    early = copied(path, tmp_path / "early")
    for number in range(41, 200):
        take(journal, number)
    journal._log.copy()
    take(journal, 200)
    journal.anchor()
    late = copied(path, tmp_path / "late")
    journal.close()

    for main, log in ((early, late), (late, early)):
        mixed = copied(late, tmp_path / f"mixed-{Path(main).parent.name}")
        shutil.copy(main, mixed)
        shutil.copy(f"{log}-wal", f"{mixed}-wal")
        with pytest.raises(JournalError, match="another moment"):
            Journal.open(mixed, key)


def test_a_damaged_anchor_is_not_ignored(path: str) -> None:
    filled(path, rows=4)
    edited(anchor_path(path), lambda text: flipped(text, len(text) // 2))

    with pytest.raises(JournalError, match=r"Verify the journal.*delete"):
        Journal.open(path, KEY)


def test_a_journal_of_an_earlier_release_has_no_anchor_and_gets_one(path: str) -> None:
    filled(path, rows=4)
    Path(anchor_path(path)).unlink()

    journal = Journal.open(path, KEY)

    anchor = read_anchor(path)
    assert anchor is not None
    assert not anchor.closed
    journal.close()


def test_the_anchor_is_never_ahead_of_what_is_stored(path: str, tmp_path: Path) -> None:
    journal = Journal.open(path, KEY, node=NODE, now=1)

    for number in range(1, 30):
        with pytest.raises(RuntimeError), journal.batch(number) as unit:  # noqa: PT012  # it is rolled back
            unit.next_sequence()
            raise RuntimeError
        journal.anchor()
        anchor = read_anchor(path)
        assert anchor is not None
        assert anchor.sequence == number - 1
        take(journal, number)
    killed_here = copied(path, tmp_path / "killed")

    Journal.open(killed_here, KEY).close()
    journal.close()


def test_a_disk_that_is_wrong_for_the_anchor_is_wrong_for_the_journal(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(path, KEY, node=NODE, now=1)
    take(journal, 1)

    def broken(_file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(JournalError, match="Input/output error"):
        journal.anchor()

    assert journal.fenced
    journal.close()


def test_a_full_disk_leaves_the_old_anchor(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(path, KEY, node=NODE, now=1)
    before = read_anchor(path)
    take(journal, 1)

    def full(_file: int, _text: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        journal.anchor()

    assert read_anchor(path) == before
    assert not journal.fenced
    journal.close()


def test_the_log_is_kept_short(path: str) -> None:
    # F-B19: whatever reads in between
    journal = Journal.open(path, KEY, node=NODE, now=1)
    journal._log = Log(journal._connection, path, limit=100)

    for number in range(1, 200):
        take(journal, number, bytes(3000))
        journal.read().messages(limit=1)

    assert journal._log.bytes < 3 * 100 * FRAME
    assert not journal._log.crowded
    journal.close()
    assert not Path(f"{path}-wal").exists()


HOLDS = """
import sys, time
from referral_engine.journal.journal import Journal
journal = Journal.open(sys.argv[1], bytes(range(32)), node="K7QD", now=1)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_killed(path: str) -> None:
    # F-A11: the lock file stays, and holds nobody back
    first = program(HOLDS, path)
    assert first.stdout is not None
    assert first.stdout.readline() == "open\n"

    with pytest.raises(JournalError, match="in use by another process"):
        Journal.open(path, KEY)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=20)

    Journal.open(path, KEY).close()


def test_another_program_cannot_open_the_file_of_a_running_engine(path: str) -> None:
    # F-B06, F-J13: with the key and without our lock
    journal = Journal.open(path, KEY, node=NODE, now=1)
    take(journal, 1)

    with pytest.raises(Exception, match="locked"):
        by_hand(path, "SELECT count(*) FROM messages")

    take(journal, 2)
    journal.close()


def test_a_forked_process_is_refused(path: str) -> None:
    # F-A12
    journal = Journal.open(path, KEY, node=NODE, now=1)
    take(journal, 1)

    child = os.fork()
    if child == 0:  # pragma: no cover  # another process
        told = 1
        try:
            take(journal, 2)
        except JournalError as error:
            told = 0 if "fork" in str(error) else 2
        os._exit(told)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert take(journal, 3) == 2
    with journal.batch(9) as unit:
        assert messages_in(unit, 1, 2) == [True, True]
    journal.close()
