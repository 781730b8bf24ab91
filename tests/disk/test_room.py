"""Room on the disk: the doors are shut before it is full, and opened when there has been room for a minute.

P11; F-B03, F-B04; H026, H051.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from referral_engine.base.errors import JournalError, NoRoom
from referral_engine.base.values import replace
from referral_engine.channels.engine import default_engine
from referral_engine.channels.shape import Unfit
from referral_engine.channels.size import Size, read_size
from referral_engine.journal.room import (
    AMPLE_SECONDS,
    GIB,
    MIB,
    Ballast,
    Disk,
    Level,
    Marks,
    Water,
    look_at_disk,
    marks_of,
    next_level,
)
from referral_engine.service.anchoring import Anchoring
from referral_engine.service.room import LOG_BYTES_MAX, LOOK_SECONDS, RoomWatch, watch_of

MARKS = Marks(low=1000, ballast=100)


def levels(*looks: tuple[float, int], start: Level | None = None) -> list[str]:
    """How the disk stands after each look, (seconds, bytes free)."""
    level, told = start or Level(), []
    for seconds, free in looks:
        level = next_level(level, MARKS, free=free, seconds=seconds)
        told.append(level.water.value)
    return told


def test_water_falls_at_once() -> None:
    assert levels((0, 5000), (5, 1000), (10, 999), (15, 99)) == ["ample", "ample", "low", "out"]
    assert levels((0, 50)) == ["out"]


def test_water_rises_only_after_a_minute_of_ample_room() -> None:
    assert levels((0, 900), (5, 2001), (64, 2001), (65, 2001)) == ["low", "low", "low", "ample"]


def test_room_for_a_moment_is_no_room() -> None:
    looks = [(0, 900), (5, 3000), (60, 1999), (61, 3000), (119, 3000), (121, 3000)]

    assert levels(*looks) == ["low"] * 5 + ["ample"]


def test_between_the_marks_nothing_changes() -> None:
    assert levels((0, 1500), (5, 1500)) == ["ample", "ample"]
    assert levels((0, 900), (5, 1500), (500, 1999), (1000, 2000)) == ["low"] * 4


def test_a_ballast_that_was_thrown_off_must_fit_in_again() -> None:
    looks = [(0, 50), (5, 2050), (500, 2050), (505, 2101), (565, 2101)]

    assert levels(*looks) == ["out"] * 4 + ["ample"]


@pytest.mark.parametrize(
    ("low_water", "frame", "connections", "disk", "low"),
    [
        (None, MIB, 16, 10_000 * GIB, GIB),
        (None, 16 * MIB, 512, 10_000 * GIB, 12 * GIB),  # F-B04: one and a half times every connection's frame
        (None, 16 * MIB, 512, 40 * GIB, 2 * GIB),  # a small disk is not shut by a rule
        (None, MIB, 1, 0, 0),
        (5 * MIB, 16 * MIB, 512, 10_000 * GIB, 5 * MIB),  # what somebody wrote is taken
        (0, 16 * MIB, 512, GIB, 0),
    ],
)
def test_the_mark_follows_from_what_may_arrive_and_how_large_the_disk_is(
    low_water: int | None, frame: int, connections: int, disk: int, low: int
) -> None:
    marks = marks_of(
        low_water=low_water, ballast=64 * MIB, frame_bytes_max=frame, connections_max=connections, disk_bytes=disk
    )

    assert marks.low == low


def test_a_ballast_takes_room_and_gives_it_back(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    ballast = Ballast(path, 2 * MIB)
    before = look_at_disk(path).free_bytes

    assert ballast.make()
    assert ballast.make(), "again is once"
    held = (tmp_path / "journal.db.ballast").stat()
    assert (held.st_size, held.st_blocks * 512 >= 2 * MIB, held.st_mode & 0o777) == (2 * MIB, True, 0o600)
    assert ballast.held
    assert ballast.release()
    assert not ballast.held
    assert not ballast.release()
    assert not Ballast(path, 0).make()
    assert before > 0


class Given:
    """A disk whose free bytes a test decides, and what the watch did."""

    def __init__(self, tmp_path: Path, free: int, marks: Marks = MARKS) -> None:
        self.free: int | OSError = free
        self.log_bytes = 0
        self.clock = Clock()
        self.done: list[str] = []
        self.ballast = Ballast(str(tmp_path / "journal.db"), marks.ballast)
        self.watch = RoomWatch(look=self._look, timer=self.clock, marks=marks, ballast=self.ballast)
        self.watch.on_low.append(lambda: self.done.append("low"))
        self.watch.on_ample.append(lambda: self.done.append("ample"))
        self.watch.start()

    def _look(self) -> Disk:
        if isinstance(self.free, OSError):
            raise self.free
        return Disk(free_bytes=self.free, all_bytes=10**9, log_bytes=self.log_bytes)

    def after(self, seconds: float, free: int | OSError) -> None:
        self.free = free
        self.clock.pump([LOOK_SECONDS] * int(seconds / LOOK_SECONDS))


def test_the_doors_are_shut_once_and_opened_once(tmp_path: Path) -> None:
    given = Given(tmp_path, 5000)

    given.after(30, 900)
    given.after(30, 1500)
    given.after(30, 50)
    assert given.done == ["low"]
    assert not given.ballast.held
    given.after(AMPLE_SECONDS - LOOK_SECONDS, 5000)
    assert given.done == ["low"]
    given.after(2 * LOOK_SECONDS, 5000)

    assert given.done == ["low", "ample"]
    assert given.ballast.held
    assert given.watch.water is Water.AMPLE
    given.watch.stop()
    assert not given.clock.getDelayedCalls()


def test_a_start_on_a_disk_that_is_low_shuts_the_doors_at_once_and_takes_no_ballast(tmp_path: Path) -> None:
    given = Given(tmp_path, 900)

    assert given.done == ["low"]
    assert not given.ballast.held
    assert given.watch.status() == {
        "water": "low",
        "free_bytes": 900,
        "low_water_bytes": 1000,
        "ballast": False,
        "log_bytes": 0,
    }
    given.watch.stop()


def test_a_disk_that_cannot_be_looked_at_changes_nothing(tmp_path: Path) -> None:
    given = Given(tmp_path, 5000)

    given.after(60, OSError(5, "Input/output error"))

    assert given.done == []
    assert given.watch.status()["free_bytes"] is None
    given.watch.stop()


def test_a_log_that_is_not_copied_is_said_once(tmp_path: Path) -> None:
    # F-B19
    given = Given(tmp_path, 5000)
    with capture_logs() as said:
        given.log_bytes = LOG_BYTES_MAX + 1
        given.after(60, 5000)

    assert [line["event"] for line in said] == ["The journal's log is long: it cannot be copied into the file."]
    assert given.watch.status()["log_bytes"] == LOG_BYTES_MAX + 1
    given.watch.stop()


def test_a_refused_commit_throws_the_ballast_off_and_shuts_the_doors(tmp_path: Path) -> None:
    given = Given(tmp_path, 5000)

    assert given.watch.make_room(), "worth another try"
    assert not given.watch.make_room(), "but only one"

    assert given.done == ["low"]
    assert given.watch.water is Water.OUT
    given.watch.stop()


def test_the_watch_of_a_daemon_has_the_marks_of_its_files(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    engine = default_engine()
    written = replace(engine, journal=replace(engine.journal, low_water=Size(5), ballast=Size(0)))

    by_rule = watch_of(engine, path, Clock(), lambda _: Disk(free_bytes=0, all_bytes=40 * GIB))
    by_hand = watch_of(written, path, Clock(), lambda _: Disk(free_bytes=0, all_bytes=40 * GIB))

    assert by_rule.status()["low_water_bytes"] == 2 * GIB
    assert by_hand.status()["low_water_bytes"] == 5


def test_the_anchor_is_written_every_half_minute_and_never_twice_at_once() -> None:
    clock, asked = Clock(), list[Deferred[None]]()

    def anchor() -> Deferred[None]:
        asked.append(Deferred())
        return asked[-1]

    anchoring = Anchoring(anchor=anchor, timer=clock)
    anchoring.start()
    clock.pump([10.0] * 12)
    assert len(asked) == 1, "a slow disk is waited for"
    asked[0].callback(None)
    clock.advance(30)
    assert len(asked) == 2
    with capture_logs() as said:
        asked[1].errback(JournalError("made up"))

    assert [line["event"] for line in said] == ["The anchor could not be written."]
    assert not clock.getDelayedCalls()
    anchoring.stop()


def test_only_some_faults_of_the_journal_last() -> None:
    assert JournalError.lasting
    assert not NoRoom.lasting


@pytest.mark.parametrize(
    ("text", "size"),
    [("64 MiB", 64 * MIB), ("1 GiB", GIB), ("0 bytes", 0), ("1536 KiB", 1536 * 1024), ("2 TiB", 2 << 40)],
)
def test_a_size_is_read_as_it_is_written(text: str, size: int) -> None:
    assert read_size(text) == Size(size)
    assert read_size(str(Size(size))) == Size(size)


@pytest.mark.parametrize("text", ["64 MB", "64", "64MiB", "-1 GiB", "lots", "9999999 GiB", ""])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Unfit, match="is not a size"):
        read_size(text)


def test_other_files_change_the_marks_while_the_watch_goes_on_and_held_ballast_with_them(tmp_path: Path) -> None:
    given = Given(tmp_path, 5000)
    larger = Ballast(str(tmp_path / "journal.db"), 8192)

    given.watch.follow(Marks(low=6000, ballast=8192), larger)
    assert larger.held
    given.after(LOOK_SECONDS, 5000)

    assert given.done == ["low"]
    given.watch.stop()
