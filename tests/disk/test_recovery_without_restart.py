"""A disk that fills up under the running door, and is emptied again: nothing is lost, nothing doubled, no restart.

F-B03; H026, H051.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from referral_engine.base.errors import JournalError, NoRoom
from referral_engine.flow.inputs import Receipt
from referral_engine.journal.room import AMPLE_SECONDS, MIB, Ballast, Marks, look_at_disk
from referral_engine.journal.scrub import scrub
from referral_engine.service.door import Door
from referral_engine.service.executor import SynchronousExecutor
from referral_engine.service.host import LocalHost
from referral_engine.service.room import RoomWatch
from referral_engine.service.sweeper import Sweeper
from tests.disk.given import small_disk
from tests.flow.stage import arrived, door, sample

ORDER = "orm-o01-cardiology-ppo.hl7"
SHARE = os.urandom(20_000).hex()  # a scanned letter


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "8m") as at:
        yield at


def a_message(number: int) -> bytes:
    return sample(ORDER, {"MSH-10": f"C{number}", "ORC-2.1": f"P-{number}", "OBR-2.1": f"P-{number}"}) + (
        b"OBX|1|TX|note||%d %b\r" % (number, SHARE.encode())
    )


class Senders:
    """What senders were told, and what they would send again."""

    def __init__(self, entrance: Door, clock: Clock) -> None:
        self._entrance = entrance
        self._clock = clock
        self.told: dict[int, bytes] = {}
        self.refused: dict[int, Exception | None] = {}

    def send(self, *numbers: int) -> None:
        for number in numbers:
            receipt = self._entrance.submit(arrived(a_message(number)))
            receipt.addCallbacks(self._told, self._refused, callbackArgs=(number,), errbackArgs=(number,))
        self._clock.advance(0)

    def _told(self, receipt: Receipt, number: int) -> None:
        self.told[number] = receipt.answer
        self.refused.pop(number, None)

    def _refused(self, failure: object, number: int) -> None:
        self.refused[number] = getattr(failure, "value", None)


def test_the_door_goes_on_by_itself_when_there_is_room_again(disk: Path) -> None:
    # given: a door on a small disk, with a ballast
    clock = Clock()
    step, journal = door(disk / "journal.db")
    entrance = Door(
        host=LocalHost(step=step, read=journal.read, executor=SynchronousExecutor(), journal=journal), clock=clock
    )
    watch = RoomWatch(
        look=lambda: look_at_disk(str(disk / "journal.db")),
        timer=clock,
        marks=Marks(low=MIB, ballast=MIB),
        ballast=Ballast(str(disk / "journal.db"), MIB),
        every_seconds=5,
    )
    entrance.make_room = watch.make_room
    shut: list[str] = []
    watch.on_low.append(lambda: shut.append("shut"))
    watch.on_ample.append(lambda: shut.append("open"))
    watch.start()
    senders = Senders(entrance, clock)
    senders.send(1, 2, 3)
    assert sorted(senders.told) == [1, 2, 3]

    # when: another program takes what is left, and nobody has looked yet
    other = disk / "other-program.log"
    with other.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    number = 4
    while not shut:
        senders.send(number)
        number += 1

    # then: the ballast carries the batch that met the full disk, and the doors are shut
    assert shut == ["shut"]
    assert sorted(senders.told) == list(range(1, number))
    assert not senders.refused
    assert entrance.counts.no_room == 1

    # and: what comes when the ballast is used up is refused without a word, and the door lives on
    while not senders.refused:
        senders.send(number)
        number += 1
    assert {type(error) for error in senders.refused.values()} == {NoRoom}
    assert not entrance.fenced
    clock.pump([5] * 60)
    assert shut == ["shut"], "there is no room yet"

    # when: the other program's file is gone
    other.unlink()
    clock.pump([5] * int(AMPLE_SECONDS / 5 + 3))
    assert shut == ["shut", "open"]
    again = sorted(senders.refused)
    senders.send(*again, 1, 2)

    # then: everything is told, stored once, and the same answer is given twice
    assert sorted(senders.told) == list(range(1, number))
    assert not senders.refused
    report = scrub(journal._connection)
    assert report.whole, report
    count = journal._connection.execute("SELECT count(*), count(DISTINCT control_id) FROM messages").fetchone()
    assert count == (number - 1, number - 1)
    watch.stop()
    journal.close()


def test_the_clock_goes_on_after_a_full_disk() -> None:
    # A tick the disk had no room for is the next tick's to make good; a fenced journal fires nothing more.
    answers: list[Exception] = [NoRoom("made up"), NoRoom("made up"), JournalError("made up")]
    clock, asked = Clock(), list[object]()

    def submit(given: object) -> Deferred[Receipt]:
        asked.append(given)
        return fail(answers[len(asked) - 1])

    sweeper = Sweeper(submit=submit, timer=clock, every_seconds=1)
    sweeper.start()
    clock.pump([1] * 20)

    assert len(asked) == 3
