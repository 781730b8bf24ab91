"""All that runs in a started daemon, and how it goes over to another book: prepared first, then at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from twisted.internet.defer import Deferred

from referral_engine.channels.book import Book
from referral_engine.channels.permissions import permissions
from referral_engine.loop.policy import Duration, Unit
from referral_engine.service.context import Context
from referral_engine.service.control import Control
from referral_engine.service.door import Door
from referral_engine.service.keeping import Keeping
from referral_engine.service.listening import Listening
from referral_engine.service.pulse import Pulse
from referral_engine.service.sweeper import Sweeper
from referral_engine.service.ways import Ways
from referral_engine.transports.lane_set import LaneSet

_SECONDS: Final = {
    Unit.SECONDS: 1.0, Unit.MINUTES: 60.0, Unit.HOURS: 3600.0, Unit.DAYS: 86400.0,
    Unit.BUSINESS_HOURS: 3600.0, Unit.BUSINESS_DAYS: 86400.0,
}  # fmt: skip

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Another book, prepared: carried out in one go, or given up as if nothing had been."""

    carry_out: Callable[[], None]
    abandon: Callable[[], None]


@dataclass(slots=True)
class Running:
    """What has been started; all of it is stopped in the other direction."""

    door: Door
    ways: Ways
    lanes: LaneSet
    sweeper: Sweeper
    pulse: Pulse
    control: Control
    keeping: Keeping
    listening: Listening
    context: Context
    tick_seconds: float | None  # None: as the book says
    stops: list[Callable[[], Deferred[None] | None]] = field(default_factory=list)

    def prepare(self, book: Book) -> Move:
        """Bind new ports, read certificates, build ways out.  Raises ConfigError; then nothing has changed."""
        lanes = self.ways.lanes(book)
        listeners = self.listening.prepare(book)

        def carry_out() -> None:
            self.context.book = book
            listeners.carry_out()
            self.lanes.follow(lanes)
            engine = book.engine
            self.sweeper.follow(
                every_seconds=tick_of(book, self.tick_seconds), quiet_seconds=engine.catch_up.quiet_seconds
            )
            self.keeping.follow(engine)
            warn_of_permissions(book)

        return Move(carry_out=carry_out, abandon=listeners.abandon)


def tick_of(book: Book, seconds: float | None) -> float:
    """How often deadlines are looked at: `seconds` where somebody says so, else as the book says."""
    return seconds_of(book.engine.journal.tick) if seconds is None else seconds


def seconds_of(duration: Duration) -> float:
    """A duration in seconds; a business day is a day here, where only ticks are timed."""
    return duration.amount * _SECONDS[duration.unit]


def warn_of_permissions(book: Book) -> None:
    """Say where MLLP leaves this machine without TLS."""
    for where, permission in permissions(book):
        _log.warning("MLLP leaves this machine without TLS, by permission.", where=where, reason=permission.reason)
