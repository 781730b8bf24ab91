"""Whether the machine's clock can be believed: what its three counters say goes in, the instant to record comes out."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from referral_engine.base.clock import MICROSECONDS

MINUTE: Final = 60 * MICROSECONDS
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
STEP_LEAST: Final = MICROSECONDS  # of one reading to the next; stops slewing and scheduling from counting as steps
BEHIND_MAX: Final = 5 * MINUTE  # before the recorded time; what a time server corrects without a word
AHEAD_MAX: Final = DAY  # a jump while running; stops a wrong year from escalating every referral
AWAY_MAX: Final = 14 * DAY  # believed to be downtime; stops a wrong year at the start, when nothing can be compared
STEP_SHOWN: Final = HOUR  # how long a step that was believed is shown
SANE_FROM: Final = 1_767_225_600 * MICROSECONDS  # 2026-01-01 UTC, before this engine: an empty battery says 1970

DEAD: Final = "the machine's clock shows a year before this engine was made: set it; deadlines wait until then"
AHEAD: Final = (
    "the machine's clock jumped ahead by more than 24 hours while the engine was running: correct it, or confirm that "
    "it is right; deadlines wait until then"
)
AWAY: Final = (
    "the machine's clock is more than 14 days after the last thing recorded: correct it, or confirm that it is right; "
    "deadlines wait until then"
)
BEHIND: Final = (
    "the machine's clock is before the last thing recorded: correct it, or confirm that it is right; deadlines wait "
    "until then"
)


class Sanity(StrEnum):
    """How far the machine's clock is believed."""

    SANE = "sane"
    STEPPED = "stepped"  # it was set, by so little that it is believed
    FENCED = "fenced"  # it is not believed: nothing falls due by it


class Readings(NamedTuple):
    """The machine's three counters at one moment, integer microseconds."""

    wall: int  # since 1970 UTC; whoever sets the clock moves it
    monotonic: int  # since an unknown moment; stands while the machine sleeps
    boottime: int  # the same, and goes on while the machine sleeps


class ClockWatch:
    """Follows the wall clock as far as it can be believed; what it gives never goes back and never stands still.

    Between two readings the boot clock says how long it was. A wall clock that says more by a little is followed; one
    that says more than `AHEAD_MAX` is not, so that a wrong year is never recorded. One that was set back is waited for
    at half speed, so that leases and retries go on.
    """

    __slots__ = ("_first", "_guess", "_last", "_stepped_at", "_trusted", "asleep", "reason", "recorded", "steps")

    def __init__(self, high_water: int) -> None:
        """Never give an instant before `high_water`, the latest one recorded, microseconds UTC."""
        self.recorded = high_water
        self.reason = ""  # why it is not believed; "" while it is
        self.steps = 0  # how often somebody set it
        self.asleep = 0  # microseconds the machine slept in all
        self._guess = high_water  # what the wall clock should say: what it said when believed, and what ran since
        self._last: Readings | None = None
        self._stepped_at: int | None = None  # boot clock
        self._trusted: int | None = None  # wall minus boot clock, as a person confirmed it
        self._first = True

    def now(self, read: Readings) -> int:
        """The instant to record, microseconds UTC."""
        last = self._last if self._last is not None else read
        ran = max(read.boottime - last.boottime, 0)
        self.asleep += max(ran - max(read.monotonic - last.monotonic, 0), 0)
        if abs(read.wall - last.wall - ran) > STEP_LEAST:
            self.steps += 1
            self._stepped_at = read.boottime
        self._last = read
        self._guess += ran
        self.reason = self._doubt(read)
        if self.reason in (DEAD, AHEAD, AWAY):
            self.recorded = max(self.recorded + ran // 2, self._guess)
            return self.recorded
        if not self.reason:
            self._guess = read.wall
            self._first = False
        self.recorded = max(self.recorded + ran // 2, read.wall)
        return self.recorded

    @property
    def due_by(self) -> int:
        """What is due by this instant may fire: never later than the wall clock says it is."""
        return self.recorded if self._last is None else min(self.recorded, self._last.wall)

    @property
    def sanity(self) -> Sanity:
        """How far the clock is believed."""
        if self.reason:
            return Sanity.FENCED
        if self._last is None:
            return Sanity.SANE
        lately = self._stepped_at is not None and self._last.boottime - self._stepped_at <= STEP_SHOWN
        return Sanity.STEPPED if lately or self.recorded > self._last.wall else Sanity.SANE

    def confirm(self) -> str:
        """A person says that the clock is right as it is now; why that cannot be, or ""."""
        if self._last is None or not self.reason:
            return "the machine's clock is not in doubt"
        if self.reason == DEAD:
            return DEAD
        self._trusted = self._last.wall - self._last.boottime
        self.now(self._last)
        return ""

    def _doubt(self, read: Readings) -> str:
        """Why the wall clock is not believed; "" when it is."""
        if read.wall < SANE_FROM:
            return DEAD
        if self.recorded < SANE_FROM:
            return ""  # all that was recorded came from a clock that was dead
        offset = read.wall - read.boottime
        if self._trusted is not None:
            if abs(offset - self._trusted) <= BEHIND_MAX:
                self._trusted = offset
                return ""
            self._trusted = None  # it was set again after a person confirmed it
        if read.wall - self._guess > (AWAY_MAX if self._first else AHEAD_MAX):
            return AWAY if self._first else AHEAD
        return BEHIND if read.wall < self.recorded - BEHIND_MAX else ""
