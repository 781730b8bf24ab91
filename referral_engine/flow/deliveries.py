"""Couriers at the door: work is leased with a fencing token, and each attempt's outcome is an event."""

from __future__ import annotations

from typing import Final

from referral_engine.base.clock import MICROSECONDS, from_micros
from referral_engine.flow.apply import apply
from referral_engine.flow.consent import may_leave
from referral_engine.flow.inputs import Claim, OutboxDecision, Receipt, Settled
from referral_engine.flow.turn import Turn
from referral_engine.journal.rows import EffectRow, EffectState
from referral_engine.loop.effects import HEARD, Purpose, Recipient
from referral_engine.loop.events import DeliverySettled, Outcome

_STATES: Final = {
    Outcome.DELIVERED: EffectState.DELIVERED,
    Outcome.HANDED_OVER: EffectState.DELIVERED,
    Outcome.RETRY: EffectState.QUEUED,
    Outcome.FAILED: EffectState.FAILED,
    Outcome.UNKNOWN: EffectState.UNKNOWN,
}
ARRIVED: Final = frozenset({Outcome.DELIVERED, Outcome.HANDED_OVER})
DECISIONS: Final = frozenset({"retry", "park", "cancel"})


def claim(turn: Turn, asked: Claim) -> Receipt:
    """Lease the next work of a lane; a patient who said STOP is checked here, in the transaction that claims.

    What comes back unsent is owed again first, as if it had never been leased.
    """
    for effect, token in asked.back:
        turn.unit.release(effect, token)
    leaving: list[EffectRow] = []
    while len(leaving) < asked.limit:  # what may not leave must not hide the work behind it
        rows = turn.unit.claim(asked.lane, turn.now_micros, asked.lease_seconds, asked.limit - len(leaving))
        if not rows:
            break
        leaving += [row for row in rows if may_leave(turn, row)]
    return Receipt(effects=tuple(leaving))


def settle(turn: Turn, settled: Settled) -> Receipt:
    """Record one attempt; a stale token changes nothing, a retry waits, all else is an event of the referral.

    The work that is asked for in the same trip is leased after that, so it may be what stood behind this sending.
    """
    state = _STATES[settled.outcome]
    next_at = turn.now_micros + int(settled.retry_in_seconds * MICROSECONDS) if state is EffectState.QUEUED else 0
    row = turn.unit.settle(
        settled.effect, settled.token, state, turn.now_micros, next_at, settled.reason, settled.reply
    )
    if row is None:
        return Receipt(refused="the lease was no longer held")
    if settled.outcome is not Outcome.RETRY:
        _tell(turn, row, settled.outcome, settled.reason, f"courier:{row.lane}")
    return claim(turn, settled.claim) if settled.claim is not None else Receipt()


def decide(turn: Turn, decision: OutboxDecision) -> Receipt:
    """A person retries, parks or cancels one owed sending."""
    if decision.decision not in DECISIONS:
        return Receipt(refused=f"{decision.decision!r} is not one of {', '.join(sorted(DECISIONS))}")
    row = turn.unit.decide_effect(decision.effect, decision.decision, turn.now_micros)
    if row is None:
        return Receipt(refused=f"sending {decision.effect} is not in a state that allows {decision.decision}")
    turn.audit(f"user:{decision.by}", decision.decision, f"effect {decision.effect}")
    if decision.decision == "retry":
        turn.lanes.add(row.lane)
    return Receipt()


def _tell(turn: Turn, row: EffectRow, outcome: Outcome, reason: str, by: str) -> None:
    """Let the loop hear of an outcome that concerns it; what merely arrived stands in the outbox and the audit."""
    turn.audit(by, str(outcome), f"effect {row.id}", row.purpose)
    purpose = Purpose(row.purpose)
    if purpose not in HEARD and outcome in ARRIVED:
        return
    referral = turn.unit.referral(row.referral)
    assert referral is not None, "a sending belongs to a stored referral"
    event = DeliverySettled(
        at=turn.now,
        by=by,
        to=Recipient(row.recipient),
        purpose=purpose,
        outcome=outcome,
        owed_at=from_micros(row.created_at),
        reason=reason,
    )
    why = f"{row.wire_id}, attempt {row.attempts}" + (f": {reason}" if reason else "")
    apply(turn, referral, event, reason=why)
