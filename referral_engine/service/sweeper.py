"""The clock's messenger: tells the door that time has passed, at once again while more is due, never twice at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from referral_engine.base.errors import JournalError
from referral_engine.flow.inputs import Input, Receipt, Ticked
from referral_engine.transports.reactor import Later, Timer

FIRED_MAX: Final = 200  # deadlines a tick; after a long downtime messages still get their turn in between

_log = structlog.get_logger()


class Sweeper:
    """Ticks every so many seconds of the reactor's clock."""

    def __init__(
        self,
        *,
        submit: Callable[[Input], Deferred[Receipt]],
        timer: Timer,
        every_seconds: float,
        limit: int = FIRED_MAX,
    ) -> None:
        """Tick through `submit`."""
        self._submit = submit
        self._timer = timer
        self._every_seconds = every_seconds
        self._limit = limit
        self._later: Later | None = None
        self._stopped = False
        self.fired = 0
        self.ticked_at = float("-inf")  # reactor seconds of the newest tick that was committed

    def start(self) -> None:
        """Tick now, and from now on."""
        self._tick()

    def stop(self) -> None:
        """Tick no more."""
        self._stopped = True
        if self._later is not None and self._later.active():
            self._later.cancel()

    def _tick(self) -> None:
        if not self._stopped:
            self._submit(Ticked(limit=self._limit)).addCallbacks(self._ticked, self._failed)

    def _ticked(self, receipt: Receipt) -> None:
        self.fired += receipt.fired
        self.ticked_at = self._timer.seconds()
        self._again_in(0.0 if receipt.more else self._every_seconds)

    def _failed(self, failure: Failure) -> None:
        """A fenced journal fires nothing more; any other fault is the next tick's to overcome."""
        if failure.check(JournalError) is not None:
            self._stopped = True
            return
        _log.error("A tick failed.", error=failure.type.__name__ if failure.type is not None else "")
        self._again_in(self._every_seconds)

    def _again_in(self, seconds: float) -> None:
        if not self._stopped:
            self._later = self._timer.callLater(seconds, self._tick)
