"""Virtual time: calls to come, in the order of their instants; nothing here knows the machine's clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from referral_engine.base.clock import MICROSECONDS, to_micros
from referral_engine.base.watch import Readings

START: Final = datetime(2026, 3, 2, 16, tzinfo=UTC)  # a Monday, 10:00 in Chicago: no quiet hours for a while


class Call:
    """One call to come, as Twisted's IDelayedCall."""

    __slots__ = ("_args", "_function", "_over", "at")

    def __init__(self, at: float, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.at = at
        self._function = function
        self._args = args
        self._over = False

    def cancel(self) -> None:
        """Forget it."""
        assert not self._over, "cancelled, or called already"
        self._over = True

    def active(self) -> bool:
        """Whether it is still to come."""
        return not self._over

    def getTime(self) -> float:
        """When it is due."""
        return self.at

    def make(self) -> None:
        """Call it, unless it was cancelled."""
        if not self._over:
            self._over = True
            self._function(*self._args)


class Scheduler:
    """A heap of calls and the instant that has been reached, in seconds since the simulation began."""

    def __init__(self) -> None:
        self.now = 0.0
        self.made = 0  # calls so far
        self._calls: list[tuple[float, int, Call]] = []
        self._number = count()

    def later(self, delay: float, function: Callable[..., object], *args: Any) -> Call:
        """Call it in `delay` seconds; calls of one instant are made in the order they were asked for."""
        call = Call(self.now + max(delay, 0.0), function, args)
        heapq.heappush(self._calls, (call.at, next(self._number), call))
        return call

    def run(self, until: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Make the calls up to that instant, or until it is enough."""
        while self._calls and self._calls[0][0] <= until and not enough():
            at, _, call = heapq.heappop(self._calls)
            self.now = max(self.now, at)
            self.made += 1
            call.make()
        if not enough():
            self.now = max(self.now, until)


class WallClock:
    """What the machine believes the time is: virtual time, and the steps somebody set it by."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.offset = 0.0  # seconds
        self.latest = START  # the latest instant it ever showed

    def now(self) -> datetime:
        """The instant it shows."""
        shown = START + timedelta(seconds=self._scheduler.now + self.offset)
        self.latest = max(self.latest, shown)
        return shown

    def seconds(self) -> float:
        """Virtual time, which nobody steps."""
        return self._scheduler.now

    def readings(self) -> Readings:
        """The machine's three counters; this machine never sleeps."""
        ran = int(self._scheduler.now * MICROSECONDS) + 1
        return Readings(to_micros(self.now()), ran, ran)

    def step(self, seconds: float) -> None:
        """Somebody sets it."""
        self.offset += seconds
