"""One lane's courier: leases a few sendings, delivers them one after the other, says what became of each; for ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from referral_engine.base.clock import Clock, rfc3339
from referral_engine.base.errors import JournalError
from referral_engine.base.values import replace
from referral_engine.channels.engine import Retry
from referral_engine.flow.deliveries import ARRIVED
from referral_engine.flow.inputs import Claim, Input, Receipt, Settled
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.transports.circuit import Circuit
from referral_engine.transports.patience import Patience
from referral_engine.transports.reactor import Later, Timer
from referral_engine.transports.tally import LaneCounts, QueueHead
from referral_engine.transports.transport import Attempt, Transport

POLL_SECONDS: Final = 5.0  # between two looks for retries that have become due
LEASE_SECONDS: Final = 120.0  # after a crash, how long until another run may take what was in flight
CLAIMED_AT_ONCE: Final = 16  # so that the next sendings are at hand while outcomes wait for their commit
CLAIM_SECONDS_MAX: Final = 5.0  # from a lease to its sending; older ones go back, for a person may decide on them
LANE_PAUSE_SECONDS_MAX: Final = 60.0  # while the other side is away: how long until it is tried again
STOP_GRACE_SECONDS: Final = 1.0  # for an answer that is about to come; then its wait is cut short
WRITE_SHARE_MAX: Final = 0.5  # of the lease may be over when the first byte leaves; the rest is for the answer
BROKEN_TRIES_MAX: Final = 2  # of a sending that breaks its transport; then a person looks

Submit = Callable[[Input], "Deferred[Receipt]"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Moment:
    """One instant by both clocks."""

    seconds: float  # of the timer, which nobody sets and which stops while the machine sleeps
    at: datetime  # of the wall, which goes on


class Courier:
    """Works one lane: at most one sending in flight, a few leased beside it, the rest waits in the journal.

    An outcome and the wish for more work are one trip through the door, and the next sending does not wait for it.
    No two of one referral are leased together, so what is at hand never overtakes what is tried again.
    """

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
        claimed_at_once: int = CLAIMED_AT_ONCE,
    ) -> None:
        """Serve `lane`; `chance` draws from [0, 1) and spreads retries.

        lease_seconds: outlasts every attempt that begins within CLAIM_SECONDS_MAX.
        """
        self.lane = lane
        self.counts = LaneCounts()
        self._transport = transport
        self._submit = submit
        self._timer = timer
        self._clock = clock
        self._patience = Patience(retry=retry, clock=clock, chance=chance)
        self._circuit = Circuit(window_max=claimed_at_once, since=timer.seconds())
        self._lease_seconds = lease_seconds
        self._held: deque[EffectRow] = deque()  # leased, and not sent yet
        self._held_since = _Moment(float("-inf"), clock.now())  # no lease among them is older
        self._sending: EffectRow | None = None
        self._sending_since = self._held_since
        self._trips = 0  # inputs without a receipt
        self._asking = False  # one of them asks for work
        self._asked_at = self._held_since
        self._look_again = False  # the newest claim may not have seen all there is
        self._head = QueueHead(lane)
        self._later: Later | None = None
        self._stopping = False
        self._stopped: list[Deferred[None]] = []

    @property
    def state(self) -> str:
        """idle, sending, paused or stopped."""
        if self._stopping:
            return "stopped"
        if self._sending is not None or self._trips:
            return "sending"
        return "paused" if self._circuit.pause_left(self._timer.seconds()) else "idle"

    def status(self) -> dict[str, object]:
        """What `status` shows of the lane.

        since: when its circuit last opened or closed, or the start. oldest_seconds: for how long the head of its queue
        has been waiting. next_attempt_in: seconds until anything is sent; 0 when nothing is in the way.
        """
        now, seconds = self._clock.now(), self._timer.seconds()
        counts = self.counts
        since = now - timedelta(seconds=seconds - self._circuit.since)
        return {
            "lane": self.lane,
            "state": self.state,
            "circuit": self._circuit.state(seconds),
            "since": rfc3339(since),
            "oldest_seconds": round(self._head.seconds(now), 1),
            "next_attempt_in": round(self._circuit.pause_left(seconds), 1),
            "attempts": counts.attempts,
            "delivered": counts.delivered,
            "retried": counts.retried,
            "failed": counts.failed,
            "unknown": counts.unknown,
            "last_reason": counts.last_reason,
        }

    def start(self) -> None:
        """Look for work, now and from now on."""
        self.poke()

    def poke(self) -> None:
        """The lane has new work."""
        self._look_again = True
        if not self._stopping:
            self._go_on()

    def give_up(self) -> None:
        """The journal takes nothing more: end what is in flight and say nothing."""
        self._stopping = True
        self._held.clear()
        self._forget_timer()
        self._transport.stop()

    def stop(self) -> Deferred[None]:
        """Take no more work, hand back what was not sent, end what is in flight, and say what became of it.

        Fires when that is committed.
        """
        self._stopping = True
        self._forget_timer()
        self._hand_back(self._let_go(self._held))
        if self._at_rest:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        if self._sending is not None:
            self._later = self._timer.callLater(STOP_GRACE_SECONDS, self._transport.stop)
        return stopped

    def retire(self) -> Deferred[None]:
        """Make room for another courier of this lane: as `stop`, but what is in flight gets all its time.

        Fires when that is committed and the connection is closed; after the lease nothing is waited for any more.
        """
        self._stopping = True
        self._forget_timer()
        self._hand_back(self._let_go(self._held))
        retired: Deferred[None] = Deferred()
        self._stopped.append(retired)
        if self._at_rest:
            self._end()
        else:
            self._later = self._timer.callLater(self._lease_seconds, self._abandon)
        return retired.addCallback(lambda _: self._transport.stop())

    def _abandon(self) -> None:
        """What is in flight outlived its lease: whoever leases it next holds a newer token."""
        _log.error("A sending outlived its lease; another courier takes the lane.", lane=self.lane)
        self._transport.stop()
        stopped, self._stopped = self._stopped, []
        for waiting in stopped:
            waiting.callback(None)

    @property
    def _at_rest(self) -> bool:
        return self._sending is None and not self._trips

    def _go_on(self) -> None:
        """Send what is at hand, or ask for more, or wait for work or for time to pass."""
        if self._stopping:
            self._end()
        elif self._sending is None and self._held:
            if self._is_older(self._held_since, CLAIM_SECONDS_MAX):  # this process slept: others may have decided
                self._look_again = True
                self._hand_back(self._let_go(self._held))
            else:
                self._send(self._held.popleft())
        elif self._sending is None and not self._asking:
            pause = self._circuit.pause_left(self._timer.seconds())
            if pause > 0:
                self._wake_in(pause)
            elif self._look_again:
                self._forget_timer()
                self._travel(self._claim(self._circuit.window))
            else:
                self._wake_in(POLL_SECONDS)

    # To the transport, and back.

    def _send(self, effect: EffectRow) -> None:
        self._sending = effect
        self._sending_since = self._held_since
        self.counts.attempts += 1
        attempt = maybeDeferred(self._transport.deliver, effect, self._may_write)
        attempt.addErrback(self._crashed).addCallback(self._attempted)

    def _crashed(self, failure: Failure) -> Attempt:
        """A transport that raises is our mistake; the sending is tried again, and nobody claims that it arrived."""
        error = failure.type.__name__ if failure.type is not None else ""
        effect = self._sending.id if self._sending is not None else 0
        _log.error("A transport failed.", lane=self.lane, effect=effect, error=error)
        broken = Attempt(outcome=Outcome.UNKNOWN, reason="the transport failed")
        return replace(broken, outcome=Outcome.RETRY, ambiguous=True, if_it_stays=broken, tries_max=BROKEN_TRIES_MAX)

    def _attempted(self, attempt: Attempt) -> None:
        """Say what became of it, and go on with the next before that is committed."""
        effect, self._sending = self._sending, None
        assert effect is not None, "an attempt is of a sending"
        settled = self._judge(attempt, effect)
        self._count(settled, effect)
        self._travel(replace(settled, claim=self._next_claim(settled.outcome, effect)))
        self._go_on()

    # To the door, and back.

    def _next_claim(self, outcome: Outcome, effect: EffectRow) -> Claim | None:
        """What to ask for, or hand back, in the trip that settles `effect`."""
        working = not self._stopping and not self._circuit.pause_left(self._timer.seconds())
        if not working or self._is_older(self._held_since, CLAIM_SECONDS_MAX):
            back = self._let_go(self._held)
        elif outcome is Outcome.RETRY and effect.referral:
            back = self._let_go(row for row in self._held if row.referral == effect.referral)
        else:
            back = ()
        few = len(self._held) <= self._circuit.window // 2
        wanted = working and not self._asking and (not self._held or (few and self._look_again))
        if wanted:
            return self._claim(max(self._circuit.window - len(self._held), 1), back)
        self._look_again = True  # what stood behind it is not looked for now
        return self._claim(0, back) if back else None

    def _claim(self, limit: int, back: tuple[tuple[int, int], ...] = ()) -> Claim:
        """The wish for `limit` sendings."""
        if limit:
            self._asking = True
            self._look_again = False
            self._asked_at = _Moment(self._timer.seconds(), self._clock.now())
        return Claim(
            lane=self.lane,
            transport=self._transport.name,
            limit=limit,
            lease_seconds=self._lease_seconds,
            back=back,
        )

    def _let_go(self, rows: Iterable[EffectRow]) -> tuple[tuple[int, int], ...]:
        """Hold these no more; their leases, to be handed back."""
        back = tuple((row.id, row.token) for row in rows)
        gone = {effect for effect, _ in back}
        self._held = deque(row for row in self._held if row.id not in gone)
        return back

    def _hand_back(self, back: tuple[tuple[int, int], ...]) -> None:
        if back:
            self._travel(self._claim(0, back))

    def _travel(self, given: Claim | Settled) -> None:
        self._trips += 1
        self._submit(given).addCallbacks(
            self._came_back, self._door_failed, callbackArgs=(given,), errbackArgs=(given,)
        )

    def _came_back(self, receipt: Receipt, given: Claim | Settled) -> None:
        self._trips -= 1
        claim = given if isinstance(given, Claim) else given.claim
        if receipt.refused:  # the lease was lost: the rest of the trip was not carried out, nor are the others to trust
            self._hand_back(self._let_go(self._held))
            if claim is not None:
                self._travel(claim)
                return
        elif claim is not None and claim.limit:
            self._asking = False
            self._look_again |= bool(receipt.effects)
            self._head.saw(receipt.oldest_at, self._clock.now(), self.counts.last_reason)
            self._take(receipt.effects)
        self._go_on()

    def _take(self, leased: tuple[EffectRow, ...]) -> None:
        """Hold what was leased; a lease that replaces an older one of ours, which ran out, takes its place."""
        if self._stopping or self._circuit.pause_left(self._timer.seconds()):
            self._hand_back(tuple((row.id, row.token) for row in leased))
            return
        if not self._held:
            self._held_since = self._asked_at
        for row in leased:
            if self._sending is not None and self._sending.id == row.id:
                self._sending = row
                self._sending_since = self._asked_at
                continue
            self._let_go(held for held in tuple(self._held) if held.id == row.id)
            self._held.append(row)

    def _judge(self, attempt: Attempt, effect: EffectRow) -> Settled:
        """What the door is told; the lane pauses while the other side is away, and while one sending holds it."""
        verdict = self._patience.judge(attempt, effect, stopping=self._stopping)
        now = self._timer.seconds()
        if attempt.unreachable:
            away = self._circuit.missed(now)
            self._circuit.pause(now, min(self._patience.again(away), LANE_PAUSE_SECONDS_MAX))
        elif attempt.reply or verdict.outcome in ARRIVED:  # anything else says nothing about the other side
            self._circuit.reached(now)
        if verdict.hold:
            self._circuit.pause(now, verdict.pause_seconds)
        return Settled(
            effect=effect.id,
            token=effect.token,
            outcome=verdict.outcome,
            reason=verdict.reason,
            reply=verdict.reply,
            retry_in_seconds=verdict.pause_seconds,
            hold=verdict.hold,
        )

    def _may_write(self) -> bool:
        """Asked by the transport right before the first byte: whether this courier's lease still holds."""
        share = self._lease_seconds * WRITE_SHARE_MAX
        return self._sending is not None and not self._is_older(self._sending_since, share)

    def _is_older(self, moment: _Moment, seconds: float) -> bool:
        """Whether more time has passed, or by the wall so much that the machine slept through half the lease."""
        slept = (self._clock.now() - moment.at).total_seconds() > self._lease_seconds * WRITE_SHARE_MAX
        return slept or self._timer.seconds() - moment.seconds > seconds

    def _count(self, settled: Settled, effect: EffectRow) -> None:
        if self.counts.count(settled.outcome, settled.reason):
            return
        _log.warning(
            "A sending did not arrive.",
            lane=self.lane,
            effect=effect.id,
            wire_id=effect.wire_id,
            attempt=effect.attempts,
            outcome=settled.outcome.value,
            reason=settled.reason,
        )

    def _door_failed(self, failure: Failure, given: Claim | Settled) -> None:
        """Without the journal there is nothing to do; any other fault is met again later, and leases run out."""
        self._trips -= 1
        claim = given if isinstance(given, Claim) else given.claim
        if claim is not None and claim.limit:
            self._asking = False
        if isinstance(failure.value, JournalError) and failure.value.lasting:
            self._stopping = True
            self._held.clear()
        else:
            error = failure.type.__name__ if failure.type is not None else ""
            _log.error("A courier could not reach the journal.", lane=self.lane, error=error)
            self._look_again = False
            if isinstance(given, Settled) and claim is not None:
                self._travel(replace(given, claim=None))  # what was asked for must not cost what is known
        self._go_on()

    # Time, and the end.

    def _wake_in(self, seconds: float) -> None:
        self._forget_timer()
        self._later = self._timer.callLater(seconds, self.poke)

    def _end(self) -> None:
        """Everything is said: tell whoever waits for the end."""
        if not self._at_rest:
            return
        self._forget_timer()
        stopped, self._stopped = self._stopped, []
        for waiting in stopped:
            waiting.callback(None)

    def _forget_timer(self) -> None:
        later, self._later = self._later, None
        if later is not None and later.active():
            later.cancel()
