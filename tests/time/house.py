"""A machine with a sweeper in it: three counters that the test moves, a reactor's clock, the real door and journal."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from referral_engine.base.clock import MICROSECONDS, from_micros, to_micros
from referral_engine.base.watch import Readings
from referral_engine.channels.engine import CatchUp
from referral_engine.flow.inputs import Receipt
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.service.clock import GuardedClock
from referral_engine.service.door import Door
from referral_engine.service.executor import SynchronousExecutor
from referral_engine.service.host import LocalHost
from referral_engine.service.sweeper import Sweeper
from tests.flow.stage import arrived, at, book

EVERY_SECONDS = 10.0
QUIET_SECONDS = CatchUp().quiet_seconds
BREATHS = 60
KEY = bytes(range(32))


class House:
    """Processes come and go; the files as a kill leaves them, and the machine, stay.  Without a folder: in memory."""

    def __init__(self, folder: Path | None = None, start: str = "2026-03-02 09:00") -> None:
        if folder is not None:
            folder.mkdir(exist_ok=True)
        self.folder = folder
        self.journal: Any = None
        self.wall = to_micros(at(start))
        self.monotonic = self.boottime = 5_000_000
        self.came = 0
        self.open()

    def open(self) -> None:
        """A process starts."""
        self.timer = Clock()
        self.timer.advance(self.monotonic / MICROSECONDS)
        if self.folder is not None:
            self.journal = Journal.open(str(self.folder / "journal.db"), KEY, node="RE", now=self.wall)
        elif self.journal is None:
            self.journal = Journal.open(":memory:", None, node="RE", now=self.wall)
        self.clock = GuardedClock(self.readings, self.journal.high_water)
        self.step = Step(self.journal, book(), self.clock)
        host = LocalHost(step=self.step, read=self.journal.read, executor=SynchronousExecutor())
        self.door = Door(host=host, clock=self.timer)
        self.came = 0
        self.sweeper = Sweeper(
            submit=self.door.submit,
            timer=self.timer,
            every_seconds=EVERY_SECONDS,
            clock=self.clock,
            backlog=lambda: self.door.backlog,
            arrivals=lambda: self.came,
            quiet_seconds=QUIET_SECONDS,
        )
        self.sweeper.start()
        self.timer.advance(0)

    def readings(self) -> Readings:
        return Readings(self.wall, self.monotonic, self.boottime)

    def kill(self) -> None:
        """A kill closes nothing: what is on the disk at this moment is what the next process finds."""
        assert self.folder is not None, "memory survives nothing"
        left = self.folder
        self.folder = left.with_name(f"{left.name}-")
        shutil.copytree(left, self.folder, ignore=shutil.ignore_patterns("*.lock", "*-shm"))
        self.journal._connection.close()

    def stop(self) -> None:
        """The process ends as it should."""
        self.sweeper.stop()
        if self.folder is not None:
            self.journal.close()

    def off(self, **length: float) -> None:
        """Nobody runs for so long."""
        self._pass(timedelta(**length).total_seconds())

    def runs(self, breaths: int = BREATHS, **length: float) -> House:
        """The process runs for so long; `breaths` of a catch-up at most after each tick."""
        left = timedelta(**length).total_seconds()
        while left > 0:
            part = min(left, EVERY_SECONDS)
            self._pass(part)
            self._turn(part, breaths)
            left -= part
        return self

    def sleeps(self, **length: float) -> None:
        """The lid is closed: the reactor's clock and the monotonic one stand."""
        seconds = timedelta(**length).total_seconds()
        self.wall += int(seconds * MICROSECONDS)
        self.boottime += int(seconds * MICROSECONDS)

    def stands(self, **length: float) -> None:
        """The process is stopped, and goes on later: every clock but ours has moved."""
        seconds = timedelta(**length).total_seconds()
        self._pass(seconds)
        self._turn(seconds)

    def _turn(self, seconds: float, breaths: int = BREATHS) -> None:
        self.timer.advance(seconds)
        for _ in range(breaths):  # whatever is due at once again, and the pauses of a catch-up
            if not any(call.getTime() <= self.timer.seconds() + 0.3 for call in self.timer.getDelayedCalls()):
                break
            self.timer.advance(0.3)
            self._pass(0.3)

    def is_set(self, **by: float) -> None:
        self.wall += timedelta(**by) // timedelta(microseconds=1)

    def _pass(self, seconds: float) -> None:
        micros = int(seconds * MICROSECONDS)
        self.wall += micros
        self.monotonic += micros
        self.boottime += micros

    def receive(self, *raws: bytes) -> list[Receipt]:
        """Messages come in through the door; their receipts."""
        self.came += len(raws)
        receipts: list[Receipt] = []
        for raw in raws:
            self.door.submit(arrived(raw)).addCallback(receipts.append)
        self.timer.advance(0)
        assert len(receipts) == len(raws)
        return receipts

    def says(self, what: str) -> Any:
        return self.sweeper.status()[what]

    @property
    def now(self) -> datetime:
        return from_micros(self.wall)

    def decide(self, decision: str) -> str:
        """A person's word; why it could not be done."""
        refused: list[str] = []
        self.sweeper.decide(decision, "dana").addCallback(refused.append)
        self.timer.advance(0)
        self.timer.advance(0)
        return refused[0]
