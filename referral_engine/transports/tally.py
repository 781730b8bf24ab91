"""What one lane has done since the start, and for how long the head of its queue has been waiting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from referral_engine.base.clock import MICROSECONDS, to_micros
from referral_engine.loop.events import Outcome

BEHIND_SECONDS: Final = 900.0  # an outage that only fills a queue is told of too

_log = structlog.get_logger()


@dataclass(slots=True)
class LaneCounts:
    """What one lane has done since the start."""

    attempts: int = 0
    delivered: int = 0
    retried: int = 0
    failed: int = 0
    unknown: int = 0
    last_reason: str = ""

    def count(self, outcome: Outcome, reason: str) -> bool:
        """One attempt has an outcome; False when it did not arrive."""
        match outcome:
            case Outcome.DELIVERED | Outcome.HANDED_OVER:
                self.delivered += 1
                return True
            case Outcome.RETRY:
                self.retried += 1
            case Outcome.FAILED:
                self.failed += 1
            case Outcome.UNKNOWN:
                self.unknown += 1
        self.last_reason = reason
        return False


@dataclass(slots=True)
class QueueHead:
    """Since when the head of a lane's queue has been waiting."""

    lane: str
    oldest_at: int = 0  # as the newest claim saw it; 0 when nothing has to wait
    _told: bool = False

    def seconds(self, now: datetime) -> float:
        """For how long it has been waiting."""
        return max(to_micros(now) - self.oldest_at, 0) / MICROSECONDS if self.oldest_at else 0.0

    def saw(self, oldest_at: int, now: datetime, reason: str) -> None:
        """A claim looked at the queue.  A head that waits too long is logged once, until it does not any more."""
        self.oldest_at = oldest_at
        waited = self.seconds(now)
        behind = waited >= BEHIND_SECONDS
        if behind and not self._told:
            _log.warning("A lane is behind.", lane=self.lane, seconds=round(waited), reason=reason)
        self._told = behind
