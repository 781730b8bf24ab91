"""The clock's messenger: tells the door that time has passed, at once again while more is due, never twice at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from referral_engine.base.clock import MICROSECONDS, from_micros, rfc3339
from referral_engine.base.errors import JournalError
from referral_engine.flow.inputs import Input, Receipt, SweepDecided, SweepMode, Swept, Ticked
from referral_engine.flow.sweep import LONG_MICROS
from referral_engine.service.clock import Look, WatchedClock
from referral_engine.service.drained import Drained
from referral_engine.transports.reactor import Later, Timer

FIRED_MAX: Final = 200  # deadlines a tick; after a long downtime messages still get their turn in between
CAUGHT_UP_MAX: Final = 25  # the same while catching up; stops a tick from keeping an ACK waiting
BREATH_SECONDS: Final = 0.25  # between two ticks of a catch-up; also the time in which a person can stop it

REASONS: Final = {
    SweepMode.NORMAL: "",
    SweepMode.WAITING: "nobody looked at the deadlines for long; they wait until what is queued at the senders is in",
    SweepMode.CATCHING_UP: "what was missed fires now, in due order; notices leave a few a minute",
    SweepMode.PAUSED: "a person stopped the deadlines",
}

_log = structlog.get_logger()


class Sweeper:
    """Ticks every so many seconds of the reactor's clock; with a watched clock its ticks are staged."""

    def __init__(
        self,
        *,
        submit: Callable[[Input], Deferred[Receipt]],
        timer: Timer,
        every_seconds: float,
        limit: int = FIRED_MAX,
        clock: WatchedClock | None = None,
        backlog: Callable[[], int] = lambda: 0,
        arrivals: Callable[[], int] = lambda: 0,
        quiet_seconds: float = 0.0,
    ) -> None:
        """Tick through `submit`.

        backlog: inputs that wait at the door now; arrivals: messages that ever came in.
        quiet_seconds: how long the listeners are up, at least, before what was missed in a long silence fires.
        """
        self._submit = submit
        self._timer = timer
        self._every_seconds = every_seconds
        self._limit = limit
        self._clock = clock
        self._drained = Drained(backlog=backlog, arrivals=arrivals, quiet_seconds=quiet_seconds)
        self._later: Later | None = None
        self._stopped = False
        self._look: Look | None = None
        self._swept = Swept(mode=SweepMode.NORMAL)
        self._since = 0  # of this mode, microseconds UTC
        self.fired = 0
        self.fired_late = 0
        self.ticked_at = float("-inf")  # reactor seconds of the newest tick that was committed

    def start(self) -> None:
        """Tick now, and from now on; the listeners are open."""
        self._drained.opened(self._timer.seconds())
        self._tick()

    def follow(self, *, every_seconds: float, quiet_seconds: float) -> None:
        """Tick so often from the next tick on."""
        self._every_seconds = every_seconds
        self._drained.follow(quiet_seconds)

    def stop(self) -> None:
        """Tick no more."""
        self._stopped = True
        if self._later is not None and self._later.active():
            self._later.cancel()

    def decide(self, decision: str, by: str) -> Deferred[str]:
        """A person pauses or resumes, waits for the senders no longer ("now"), or says the clock is right ("confirm").

        Fires with why it could not be done, "" when it is.
        """
        if decision == "confirm":
            refused = self._clock.confirm() if self._clock is not None else "this clock is not in doubt"
            if refused:
                return succeed(refused)
        return self._submit(SweepDecided(decision=decision, by=by)).addCallback(self._decided, decision)

    def status(self) -> dict[str, object]:
        """What `status` shows: the mode, and in any but "normal" why and how much waits."""
        mode = self._swept.mode
        fenced = self._look.reason if self._look is not None else ""
        return {
            "mode": mode.value,
            "since": rfc3339(from_micros(self._since)) if self._since else None,
            "reason": REASONS.get(mode, fenced),
            "overdue": self._swept.overdue,
            "fired": self.fired,
            "fired_late": self.fired_late,
            "downtime_seconds": 0 if mode is SweepMode.NORMAL else self._swept.lag_seconds,
            "paused_by": self._swept.paused_by or None,
        }

    def clock_status(self) -> dict[str, object]:
        """What `status` shows of the machine's clock."""
        if self._clock is None:
            return {}
        look = self._clock.look()
        return {
            "now": rfc3339(from_micros(look.now)),
            "sanity": look.sanity.value,
            "reason": look.reason,
            "steps": look.steps,
            "slept_seconds": look.asleep // MICROSECONDS,
        }

    def _tick(self) -> None:
        if not self._stopped:
            self._submit(self._what_time_it_is()).addCallbacks(self._ticked, self._failed)

    def _what_time_it_is(self) -> Ticked:
        if self._clock is None:
            return Ticked(limit=self._limit)
        seconds = self._timer.seconds()
        before, look = self._look, self._clock.look()
        self._look = look
        if before is not None and look.now - before.now > LONG_MICROS:
            self._drained.opened(seconds)  # the machine slept, or we did: senders connect again and have a queue
        return Ticked(
            limit=self._limit if self._swept.mode is SweepMode.NORMAL else CAUGHT_UP_MAX,
            due_by=look.due_by,
            staged=True,
            drained=self._drained.look(seconds),
            fenced=look.reason,
        )

    def _ticked(self, receipt: Receipt) -> None:
        self.fired += receipt.fired
        self.ticked_at = self._timer.seconds()
        if receipt.swept is not None:
            self._learn(receipt.swept)
        pause = BREATH_SECONDS if self._swept.mode is SweepMode.CATCHING_UP else 0.0
        self._again_in(pause if receipt.more else self._every_seconds)

    def _learn(self, swept: Swept) -> None:
        before, self._swept = self._swept, swept
        self.fired_late += swept.late
        if swept.mode is before.mode:
            return
        self._since = self._look.now if self._look is not None else 0
        if swept.mode is SweepMode.NORMAL:
            self._drained.hurried = False
        count = swept.overdue
        if swept.mode is SweepMode.FENCED:
            _log.critical("The machine's clock is not believed; deadlines wait.", state=swept.mode.value, count=count)
        else:
            _log.warning("The sweeping of deadlines changed.", state=swept.mode.value, count=count)

    def _decided(self, receipt: Receipt, decision: str) -> str:
        if not receipt.refused:
            if decision == "now":
                self._drained.hurried = True
            if self._later is not None and self._later.active():  # else a tick is under way, and another follows
                self._later.cancel()
                self._again_in(0.0)
        return receipt.refused

    def _failed(self, failure: Failure) -> None:
        """A fenced journal fires nothing more; any other fault is the next tick's to overcome."""
        if isinstance(failure.value, JournalError) and failure.value.lasting:
            self._stopped = True
            return
        _log.error("A tick failed.", error=failure.type.__name__ if failure.type is not None else "")
        self._again_in(self._every_seconds)

    def _again_in(self, seconds: float) -> None:
        if not self._stopped:
            self._later = self._timer.callLater(seconds, self._tick)
