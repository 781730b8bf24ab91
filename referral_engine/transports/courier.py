"""One lane's courier: claims what is owed, delivers it, says what became of it; one at a time, for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from referral_engine.base.clock import MICROSECONDS, Clock, to_micros
from referral_engine.base.errors import JournalError
from referral_engine.channels.engine import Retry
from referral_engine.flow.inputs import Claim, Input, Receipt, Settled
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.transports.reactor import Later, Timer
from referral_engine.transports.transport import Attempt, Transport

POLL_SECONDS: Final = 5.0  # between two looks for retries that have become due
LEASE_SECONDS: Final = 120.0  # after a crash, how long until another run may take what was in flight
LANE_PAUSE_SECONDS_MAX: Final = 60.0  # while the other side is away: how long until it is tried again
PAUSE_SECONDS_MIN: Final = 0.1  # stops a lucky draw from becoming a loop
STOP_GRACE_SECONDS: Final = 1.0  # for an answer that is about to come; then its wait is cut short
ATTEMPTS_MIN: Final = 3  # what lay in the outbox through a long downtime still gets a fair chance
DOUBLINGS_MAX: Final = 32  # stops the pause from becoming a huge number before it is cut

Submit = Callable[[Input], "Deferred[Receipt]"]

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


class Courier:
    """Works one lane: at most one sending in flight, the rest waits in the journal."""

    def __init__(
        self,
        *,
        lane: str,
        transport: Transport,
        submit: Submit,
        timer: Timer,
        clock: Clock,
        chance: Callable[[], float],
        retry: Retry,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        """Serve `lane`; `chance` draws from [0, 1) and spreads retries; `lease_seconds` outlasts every attempt."""
        self.lane = lane
        self.counts = LaneCounts()
        self._transport = transport
        self._submit = submit
        self._timer = timer
        self._clock = clock
        self._chance = chance
        self._retry = retry
        self._lease_seconds = lease_seconds
        self._busy = False
        self._poked = False
        self._away = 0  # attempts in a row that did not reach the other side
        self._paused_until = float("-inf")
        self._later: Later | None = None
        self._stopping = False
        self._stopped: list[Deferred[None]] = []

    @property
    def state(self) -> str:
        """idle, sending, paused or stopped."""
        if self._stopping:
            return "stopped"
        if self._busy:
            return "sending"
        return "paused" if self._timer.seconds() < self._paused_until else "idle"

    def start(self) -> None:
        """Look for work, now and from now on."""
        self._claim()

    def poke(self) -> None:
        """The lane has new work."""
        if self._busy:
            self._poked = True
        elif self._timer.seconds() >= self._paused_until:
            self._claim()

    def give_up(self) -> None:
        """The journal takes nothing more: end what is in flight and say nothing."""
        self._stopping = True
        self._forget_timer()
        self._transport.stop()

    def stop(self) -> Deferred[None]:
        """Take no more work, end what is in flight, and say what became of it; fires when that is committed."""
        self._stopping = True
        self._forget_timer()
        if not self._busy:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        self._later = self._timer.callLater(STOP_GRACE_SECONDS, self._transport.stop)
        return stopped

    def _claim(self) -> None:
        if self._busy or self._stopping:
            return
        self._forget_timer()
        self._busy = True
        self._poked = False
        claim = Claim(lane=self.lane, limit=1, lease_seconds=self._lease_seconds)
        self._submit(claim).addCallback(self._claimed).addErrback(self._door_failed)

    def _claimed(self, receipt: Receipt) -> Deferred[None] | None:
        if not receipt.effects:
            self._rest(POLL_SECONDS)
            return None
        effect = receipt.effects[0]
        if self._stopping:
            return self._settle(Attempt(outcome=Outcome.RETRY, reason="the engine stopped before it was sent"), effect)
        self.counts.attempts += 1
        attempt = maybeDeferred(self._transport.deliver, effect)
        return attempt.addErrback(self._crashed, effect).addCallback(self._settle, effect)

    def _crashed(self, failure: Failure, effect: EffectRow) -> Attempt:
        """A transport that raises is our mistake; the sending is tried again, and nobody claims that it arrived."""
        error = failure.type.__name__ if failure.type is not None else ""
        _log.error("A transport failed.", lane=self.lane, effect=effect.id, error=error)
        return Attempt(outcome=Outcome.RETRY, reason="the transport failed", ambiguous=True)

    def _settle(self, attempt: Attempt, effect: EffectRow) -> Deferred[None]:
        settled = self._judge(attempt, effect)
        self._count(settled, effect)
        return self._submit(settled).addCallback(self._settled)

    def _settled(self, _receipt: Receipt) -> None:
        pause = self._paused_until - self._timer.seconds()
        if pause > 0:
            self._poked = False
            self._rest(pause)
        else:
            self._busy = False
            self._end_or(self._claim)

    def _judge(self, attempt: Attempt, effect: EffectRow) -> Settled:
        """What the door is told: the outcome, when to try again, or that it is enough."""
        outcome, pause = attempt.outcome, 0.0
        self._away = self._away + 1 if attempt.unreachable else 0
        if outcome is Outcome.RETRY and not self._stopping:
            if self._is_enough(effect):
                outcome = Outcome.UNKNOWN if attempt.ambiguous else Outcome.FAILED
            else:
                pause = self._pause(effect.attempts)
            if attempt.unreachable:
                self._paused_until = self._timer.seconds() + min(self._pause(self._away), LANE_PAUSE_SECONDS_MAX)
        return Settled(
            effect=effect.id,
            token=effect.token,
            outcome=outcome,
            reason=attempt.reason,
            reply=attempt.reply,
            retry_in_seconds=pause,
        )

    def _is_enough(self, effect: EffectRow) -> bool:
        """Whether it was tried for as long as the channel says, and more than once or twice."""
        age_seconds = (to_micros(self._clock.now()) - effect.created_at) / MICROSECONDS
        return age_seconds >= self._retry.give_up_after_seconds and effect.attempts >= ATTEMPTS_MIN

    def _pause(self, attempts: int) -> float:
        """Full jitter: anything up to a ceiling that doubles with each attempt."""
        doublings = min(max(attempts - 1, 0), DOUBLINGS_MAX)
        ceiling = min(self._retry.longest_seconds, self._retry.first_seconds * 2.0**doublings)
        return max(PAUSE_SECONDS_MIN, self._chance() * ceiling)

    def _count(self, settled: Settled, effect: EffectRow) -> None:
        counts = self.counts
        match settled.outcome:
            case Outcome.DELIVERED | Outcome.HANDED_OVER:
                counts.delivered += 1
                return
            case Outcome.RETRY:
                counts.retried += 1
            case Outcome.FAILED:
                counts.failed += 1
            case Outcome.UNKNOWN:
                counts.unknown += 1
        counts.last_reason = settled.reason
        _log.warning(
            "A sending did not arrive.",
            lane=self.lane,
            effect=effect.id,
            wire_id=effect.wire_id,
            attempt=effect.attempts,
            outcome=settled.outcome.value,
            reason=settled.reason,
        )

    def _door_failed(self, failure: Failure) -> None:
        """Without the journal there is nothing to do; any other fault is tried again later, under the same lease."""
        if failure.check(JournalError) is not None:
            self._stopping = True
        else:
            error = failure.type.__name__ if failure.type is not None else ""
            _log.error("A courier could not reach the journal.", lane=self.lane, error=error)
        self._rest(POLL_SECONDS)

    def _rest(self, seconds: float) -> None:
        """Wait for work or for time to pass."""
        self._busy = False
        if self._poked:
            self._end_or(self._claim)
        else:
            self._end_or(lambda: self._wake_in(seconds))

    def _wake_in(self, seconds: float) -> None:
        self._later = self._timer.callLater(seconds, self._claim)

    def _end_or(self, go_on: Callable[[], None]) -> None:
        """Go on, unless it is time to stop."""
        if not self._stopping:
            go_on()
            return
        self._forget_timer()
        stopped, self._stopped = self._stopped, []
        for waiting in stopped:
            waiting.callback(None)

    def _forget_timer(self) -> None:
        later, self._later = self._later, None
        if later is not None and later.active():
            later.cancel()
