"""The machine's clock: the one place that reads it, the watch over it, and the repair of Twisted's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from referral_engine.base.clock import Clock, from_micros, to_micros
from referral_engine.base.watch import ClockWatch, Readings, Sanity

NANOSECONDS: Final = 1_000  # in a microsecond
APART_MAX: Final = 100_000_000  # nanoseconds from the first counter to the last; stops a pause from looking like a step


class MachineClock:
    """What time this machine thinks it is, and how long it has been running."""

    def now(self) -> datetime:
        """The present instant, aware, UTC; may be stepped by whoever sets the machine's clock."""
        return datetime.now(UTC)  # noqa: TID251  # this is the one place

    def seconds(self) -> float:
        """Seconds since an unknown moment; never steps, never runs backwards."""
        return time.monotonic()  # noqa: TID251  # this is the one place

    def readings(self) -> Readings:
        """The wall clock, and the two that nobody sets; read again when this process was stopped in between."""
        while True:
            before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            wall = time.time_ns()  # noqa: TID251  # this is the one place
            monotonic = time.monotonic_ns()  # noqa: TID251  # this is the one place
            after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            if after - before <= APART_MAX:
                return Readings(wall // NANOSECONDS, monotonic // NANOSECONDS, after // NANOSECONDS)


class Look(NamedTuple):
    """What a watched clock says at one moment; instants in microseconds UTC."""

    now: int  # to record
    due_by: int  # what is due by then may fire
    sanity: Sanity
    reason: str  # why it is not believed; "" while it is
    steps: int = 0  # how often it was set
    asleep: int = 0  # microseconds the machine slept


class WatchedClock(Protocol):
    """A clock that knows whether it can be believed."""

    def now(self) -> datetime:
        """The instant to record, aware, UTC; never goes back."""
        ...

    def look(self) -> Look:
        """The same, and how far it is believed."""
        ...

    def confirm(self) -> str:
        """A person says that the machine's clock is right; why that cannot be, or ""."""
        ...


class GuardedClock:
    """The machine's clock under watch; the reactor and the journal's thread may both ask."""

    def __init__(self, read: Callable[[], Readings], high_water: int) -> None:
        """Take readings from `read`; never be before `high_water`, microseconds UTC."""
        self._read = read
        self._watch = ClockWatch(high_water)
        self._one_at_a_time = threading.Lock()

    def now(self) -> datetime:
        """The instant to record."""
        with self._one_at_a_time:
            return from_micros(self._watch.now(self._read()))

    def look(self) -> Look:
        """The same, and how far it is believed."""
        with self._one_at_a_time:
            watch = self._watch
            now = watch.now(self._read())
            return Look(now, watch.due_by, watch.sanity, watch.reason, watch.steps, watch.asleep)

    def confirm(self) -> str:
        """A person says that the machine's clock is right; why that cannot be, or ""."""
        with self._one_at_a_time:
            return self._watch.confirm()


class TrustedClock:
    """A clock that is moved by whoever plays: it is always right."""

    def __init__(self, clock: Clock) -> None:
        """Say what `clock` says."""
        self._clock = clock

    def now(self) -> datetime:
        """What the clock says."""
        return self._clock.now()

    def look(self) -> Look:
        """What the clock says."""
        now = to_micros(self._clock.now())
        return Look(now, now, Sanity.SANE, "")

    def confirm(self) -> str:
        """There is nothing to confirm."""
        return "this clock is not in doubt"


def install_monotonic(reactor: object) -> None:
    """Give the reactor a clock that nobody sets; call this before anything else touches the reactor.

    Twisted times its delayed calls with the wall clock (its issue 2424): a step of +1 h fires every timer at once,
    -2 h freezes them all.
    """
    reactor.seconds = time.monotonic  # type: ignore[attr-defined]  # noqa: TID251  # any reactor has it
