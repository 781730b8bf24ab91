"""Writes the journal's anchor now and then, so that a journal that lost its end is known as one at the next start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from referral_engine.transports.reactor import Later, Timer

ANCHOR_SECONDS: Final = 30.0  # two syncs of a small file; what was acknowledged since the last one is not in it

_log = structlog.get_logger()


class Anchoring:
    """Anchors on the reactor's clock, between batches, one at a time."""

    def __init__(
        self, *, anchor: Callable[[], Deferred[None]], timer: Timer, every_seconds: float = ANCHOR_SECONDS
    ) -> None:
        """Anchor with `anchor`, usually the host's; `start` begins."""
        self._anchor = anchor
        self._timer = timer
        self._every_seconds = every_seconds
        self._later: Later | None = None
        self._stopped = False

    def start(self) -> None:
        """Anchor from now on; a start has just done it once."""
        self._later = self._timer.callLater(self._every_seconds, self._beat)

    def stop(self) -> None:
        """Anchor no more; closing the journal does it once again."""
        self._stopped = True
        if self._later is not None and self._later.active():
            self._later.cancel()

    def _beat(self) -> None:
        self._anchor().addCallbacks(lambda _none: self._again(), self._failed)

    def _again(self) -> None:
        if not self._stopped:
            self.start()

    def _failed(self, failure: Failure) -> None:
        """The journal has fenced itself, so the next batch says so to everybody."""
        _log.critical("The anchor could not be written.", error=failure.type.__name__ if failure.type else "")
