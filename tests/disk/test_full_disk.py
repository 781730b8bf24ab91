"""A disk without room: nothing is acknowledged, nothing is lost, and it goes on by itself when there is room.

F-B03, F-B04, M5; H026, H051.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from referral_engine.base.errors import JournalError, NoRoom, OutcomeUnknown
from referral_engine.journal.faults import Fault, fault_of
from referral_engine.journal.journal import Journal
from referral_engine.journal.log import Log
from referral_engine.journal.room import Ballast
from referral_engine.journal.scrub import scrub
from tests.disk.given import NODE, small_disk, take
from tests.journal.made import KEY, in_memory, messages_in

LARGE = os.urandom(1500)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "6m") as at:
        yield at


def fill_up(at: Path) -> None:
    """Leave not a byte of room."""
    with (at / "other-program.log").open("ab", buffering=0) as other:
        try:
            while other.write(bytes(65536)):
                pass
        except OSError:
            pass


def until_full(journal: Journal, number: int) -> list[int]:
    """Messages taken until the disk is full; their sequences."""
    told = []
    for more in range(number, number + 100_000):
        try:
            told.append(take(journal, more, LARGE))
        except NoRoom:
            return told
    pytest.fail("the disk is larger than it should be")


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "plain"])
def test_a_full_disk_refuses_a_batch_and_the_journal_goes_on_when_there_is_room(disk: Path, key: bytes | None) -> None:
    # F-B03, H051
    path = str(disk / "journal.db")
    (disk / "other-program.log").write_bytes(bytes(2_000_000))
    journal = Journal.open(path, key, node=NODE, now=1)
    told = until_full(journal, 1)
    fill_up(disk)
    for number in range(900_000, 900_020):  # M5: what the log had taken already may hold a few more
        with suppress(NoRoom):
            told.append(take(journal, number, LARGE))
    with pytest.raises(NoRoom):
        take(journal, 940_000, LARGE * 20)
    assert not journal.fenced
    (disk / "other-program.log").unlink()
    told.append(take(journal, 950_000, LARGE))

    assert told == list(range(1, told[-1] + 1)), "a refused batch used up a number"
    journal.close()
    again = Journal.open(path, key)
    with again.batch(10**6) as unit:
        assert all(messages_in(unit, *told))
        assert not any(messages_in(unit, told[-1] + 1))
    assert scrub(again._connection).whole
    again.close()


def test_what_a_full_disk_refused_is_not_there_after_kill_9_either(disk: Path, tmp_path: Path) -> None:
    # F-B03: the refusal is knowledge, not "outcome unknown"
    path = str(disk / "journal.db")
    journal = Journal.open(path, KEY, node=NODE, now=1)
    told = until_full(journal, 1)

    for part in ("", "-wal", ".anchor"):  # as they lie there, without a close
        (tmp_path / f"journal.db{part}").write_bytes(Path(path + part).read_bytes())

    found = Journal.open(str(tmp_path / "journal.db"), KEY)
    with found.batch(10**6) as unit:
        assert messages_in(unit, told[-1], told[-1] + 1) == [True, False]
    found.close()
    journal.close()


def test_the_ballast_makes_room_for_what_is_in_the_door(disk: Path) -> None:
    # M5: deleting rows does not, on a full disk
    path = str(disk / "journal.db")
    journal = Journal.open(path, KEY, node=NODE, now=1)
    ballast = Ballast(path, 1024 * 1024)
    assert ballast.make()
    until_full(journal, 1)
    fill_up(disk)
    until_full(journal, 500_000)

    assert ballast.release()
    for number in range(900_000, 900_020):
        take(journal, number, LARGE)

    journal.close()


def test_a_ballast_that_does_not_fit_takes_nothing(disk: Path) -> None:
    free_before = os.statvfs(disk).f_bavail

    assert not Ballast(str(disk / "journal.db"), 64 * 1024 * 1024).make()

    assert os.statvfs(disk).f_bavail == free_before
    assert not (disk / "journal.db.ballast").exists()


def test_a_log_that_cannot_be_copied_for_want_of_room_keeps_everything(disk: Path) -> None:
    # The file cannot grow, the log still can: nothing is lost, and the copy is made when there is room.
    path = str(disk / "journal.db")
    journal = Journal.open(path, KEY, node=NODE, now=1)
    journal._log = Log(journal._connection, path, limit=500)
    told = [take(journal, number, LARGE) for number in range(1, 150)]
    fill_up(disk)
    last = until_full(journal, 200)
    journal._log.copy()

    assert journal._log.crowded
    (disk / "other-program.log").unlink()
    journal._log.copy()
    assert not journal._log.crowded

    with journal.batch(10**6) as unit:
        assert all(messages_in(unit, *told, *last))
    journal.close()


def test_a_start_on_a_full_disk_is_refused_with_what_to_do(disk: Path) -> None:
    path = str(disk / "journal.db")
    fill_up(disk)

    with pytest.raises(JournalError, match="no room on the disk"):
        Journal.open(path, KEY)

    (disk / "other-program.log").unlink()
    Journal.open(path, KEY).close()


def an_error(code: int | None, kind: type[Exception] = dbapi2.OperationalError) -> Exception:
    error = kind("made up")
    if code is not None:
        error.sqlite_errorcode = code  # type: ignore[attr-defined]  # as the driver sets it
    return error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (an_error(13), Fault.NO_ROOM),  # SQLITE_FULL
        (an_error(9), Fault.CUT),  # SQLITE_INTERRUPT
        (an_error(10), Fault.DISK),  # SQLITE_IOERR
        (an_error(10 | 4 << 8), Fault.DISK),  # SQLITE_IOERR_FSYNC
        (an_error(11), Fault.DISK),  # SQLITE_CORRUPT
        (an_error(26), Fault.DISK),  # SQLITE_NOTADB
        (an_error(8), Fault.DISK),  # SQLITE_READONLY: F-B13
        (an_error(8 | 4 << 8), Fault.DISK),  # SQLITE_READONLY_DBMOVED
        (an_error(14), Fault.DISK),  # SQLITE_CANTOPEN
        (an_error(15), Fault.DISK),  # SQLITE_PROTOCOL
        (an_error(5), Fault.DISK),  # SQLITE_BUSY: somebody else has our lock, F-B08
        (an_error(7), Fault.DISK),  # SQLITE_NOMEM
        (an_error(None), Fault.DISK),  # what nobody has thought of
        (an_error(19, dbapi2.IntegrityError), Fault.OURS),
        (an_error(18, dbapi2.DataError), Fault.OURS),  # SQLITE_TOOBIG: F-B18
        (an_error(None, dbapi2.InterfaceError), Fault.OURS),  # a value that no column can hold
    ],
)  # fmt: skip
def test_every_error_of_the_driver_has_one_meaning(error: Exception, fault: Fault) -> None:
    assert fault_of(error) is fault


def test_an_input_that_no_column_can_hold_is_our_error_and_its_neighbours_go_on() -> None:
    journal = in_memory()

    with pytest.raises(AssertionError, match="contradicts itself"), journal.batch(1) as unit:  # noqa: PT012  # bound at the end
        unit.next_sequence()
        raise an_error(None, dbapi2.InterfaceError)

    assert not journal.fenced
    assert take(journal, 2) == 1


@pytest.mark.parametrize("code", [8, 10, 14, 15])
def test_a_disk_in_doubt_fences_before_commit_and_at_commit(code: int) -> None:
    # F-B01, F-B13
    before, at_commit = in_memory(), in_memory()
    at_commit._connection = Refuses(at_commit._connection, code)

    with pytest.raises(JournalError) as told, before.batch(1):
        raise an_error(code)
    with pytest.raises(OutcomeUnknown):
        take(at_commit, 1)

    assert not isinstance(told.value, OutcomeUnknown)
    assert before.fenced
    assert at_commit.fenced


class Refuses:
    """A connection whose COMMIT fails."""

    def __init__(self, inner: object, code: int) -> None:
        self._inner, self._code = inner, code

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def execute(self, statement: str, *values: object) -> object:
        if statement == "COMMIT":
            raise an_error(self._code)
        return self._inner.execute(statement, *values)  # type: ignore[attr-defined]  # a connection
