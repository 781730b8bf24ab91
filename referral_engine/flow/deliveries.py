"""Couriers at the door: work is leased with a fencing token, and each attempt's outcome is an event."""

from __future__ import annotations

from typing import Final

from referral_engine.base.clock import MICROSECONDS, from_micros, to_micros
from referral_engine.channels.channel import way_of_lane
from referral_engine.flow.apply import apply
from referral_engine.flow.consent import may_leave
from referral_engine.flow.hours import channel_of_lane, is_in_hours, may_leave_at
from referral_engine.flow.inputs import Claim, OutboxDecision, Receipt, Settled
from referral_engine.flow.lanes import lanes_of
from referral_engine.flow.replies import heed
from referral_engine.flow.turn import Turn
from referral_engine.journal.outbox import UNSETTLED
from referral_engine.journal.rows import EffectRow, EffectState
from referral_engine.loop.effects import HEARD, ORDERS, WITH_ORDER, Purpose, Recipient
from referral_engine.loop.events import DeliverySettled, Outcome
from referral_engine.loop.states import Authorization, Closure, Dispatch

_STATES: Final = {
    Outcome.DELIVERED: EffectState.DELIVERED,
    Outcome.HANDED_OVER: EffectState.DELIVERED,
    Outcome.RETRY: EffectState.QUEUED,
    Outcome.FAILED: EffectState.FAILED,
    Outcome.UNKNOWN: EffectState.UNKNOWN,
}
LOST_MAX: Final = 64  # sendings of unknown fate that one claim hands to people; stops a transaction without end
STRANDED_AT_ONCE: Final = 50  # in memory; the last file of a channel may go while much waits
OTHER_WAY: Final = "the channel sends another way now; these bytes were made for the way before"
LEFT: Final = "withdrawn: the packet goes, or went, another way"
STOPPED: Final = "the referral is cancelled, or ended"
HELD: Final = "the packet waits for the payer"
NOBODY: Final = "no channel of this name sends any more"
_WITH_ORDER: Final = frozenset(purpose.value for purpose in WITH_ORDER)
_ENDING: Final = frozenset({Closure.CANCEL_REQUESTED, Closure.ENDED})
_PACKETS: Final = frozenset(purpose.value for purpose in ORDERS)
ARRIVED: Final = frozenset({Outcome.DELIVERED, Outcome.HANDED_OVER})
DECISIONS: Final = frozenset({"retry", "park", "cancel"})


def claim(turn: Turn, asked: Claim) -> Receipt:
    """Lease the next work of a lane; a patient who said STOP is checked here, in the transaction that claims.

    What comes back unsent is owed again first, as if it had never been leased.
    """
    for effect, token in asked.back:
        turn.unit.release(effect, token)
    if not asked.limit:
        return Receipt()
    for row in turn.unit.lost(asked.lane, LOST_MAX, asked.transport):
        _to_people(turn, row, Outcome.UNKNOWN, UNSETTLED)
    leaving: list[EffectRow] = []
    while len(leaving) < asked.limit:  # what may not leave must not hide the work behind it
        left = asked.limit - len(leaving)
        rows = turn.unit.claim(asked.lane, turn.now_micros, asked.lease_seconds, left, asked.transport)
        leaving += [row for row in rows if _may_go(turn, row, asked.transport)]
        if not rows or leaving:
            break
    return Receipt(effects=tuple(leaving), oldest_at=turn.unit.oldest(asked.lane))


def hand_over_stranded(turn: Turn) -> int:
    """What waits in a lane that no file describes any more goes to people; how many there were.

    What its courier is sending just now is not theirs yet: the courier says what becomes of it.
    """
    number = 0
    while rows := turn.unit.stranded(lanes_of(turn.book), STRANDED_AT_ONCE):
        number += len(rows)
        for row in rows:
            if row.reason == UNSETTLED:  # it may have arrived: nobody may hear that it did not
                _to_people(turn, row, Outcome.UNKNOWN, UNSETTLED)
            else:
                _to_people(turn, row, Outcome.FAILED, NOBODY)
    return number


def _may_go(turn: Turn, row: EffectRow, transport: str) -> bool:
    """Whether a leased sending leaves now; one that does not is settled or owed again."""
    return (
        _goes_this_way(turn, row, transport)
        and _is_wanted(turn, row)
        and is_in_hours(turn, row)
        and may_leave(turn, row)
    )


def _is_wanted(turn: Turn, row: EffectRow) -> bool:
    """Whether a packet still goes, and this way; one that goes, or went, another way must not arrive twice.

    One that was on its way when it was stopped may have arrived: where nobody heard what became of it, a person asks.
    """
    stopped = _stopped(turn, row)
    if stopped and row.reason == UNSETTLED:
        _to_people(turn, row, Outcome.UNKNOWN, UNSETTLED)
        return False
    reason = f"withdrawn: {stopped}" if stopped else LEFT if _was_left(turn, row) else ""
    if not reason:
        return True
    turn.unit.settle(row.id, row.token, EffectState.CANCELLED, turn.now_micros, 0, reason)
    turn.audit("door", "withdrawn", f"effect {row.id}", reason)
    return False


def _stopped(turn: Turn, row: EffectRow) -> str:
    """Why an order, or its change, must not leave by any way, however it came to be owed again; "" when it may."""
    referral = turn.unit.referral(row.referral) if row.purpose in _WITH_ORDER else None
    if referral is None:
        return ""
    if referral.closure in _ENDING:
        return STOPPED
    waits = referral.dispatch is Dispatch.HELD
    denied = referral.dispatch is Dispatch.UNDELIVERABLE and referral.authorization is Authorization.DENIED
    return HELD if waits or denied else ""


def _was_left(turn: Turn, row: EffectRow) -> bool:
    """Whether a packet waits on a way that its referral takes no more; where all ways failed, a person may try any."""
    channel = channel_of_lane(turn.book, row.lane) if row.purpose in _PACKETS else None
    if channel is None or not channel.fallbacks:
        return False
    referral = turn.unit.referral(row.referral)
    if referral is None or referral.dispatch in (Dispatch.UNDELIVERABLE, Dispatch.HELD):
        return False
    return way_of_lane(row.lane) != referral.way


def _goes_this_way(turn: Turn, row: EffectRow, transport: str) -> bool:
    """Whether a sending was made for what its lane sends by; bytes for a line are no fax, and the other way round."""
    if transport in ("", row.transport):
        return True
    _to_people(turn, row, Outcome.FAILED, OTHER_WAY)
    return False


def _to_people(turn: Turn, row: EffectRow, outcome: Outcome, reason: str) -> None:
    """Settle a sending that its courier can do nothing about; the loop hears of it, and opens a task."""
    settled = turn.unit.settle(row.id, row.token, _STATES[outcome], turn.now_micros, 0, reason)
    assert settled is not None, "it was leased in this transaction"
    _tell(turn, settled, outcome, reason, "door")


def settle(turn: Turn, settled: Settled) -> Receipt:
    """Record one attempt; a stale token changes nothing, a retry waits, all else is an event of the referral.

    The work that is asked for in the same trip is leased after that, so it may be what stood behind this sending.
    """
    state = _STATES[settled.outcome]
    next_at = _again_at(turn, settled) if state is EffectState.QUEUED else 0
    row = turn.unit.settle(
        settled.effect,
        settled.token,
        state,
        turn.now_micros,
        next_at,
        settled.reason,
        settled.reply,
        hold=settled.hold,
    )
    if row is None:
        return Receipt(refused="the lease was no longer held")
    if settled.outcome is not Outcome.RETRY:
        _tell(turn, row, settled.outcome, settled.reason, f"courier:{row.lane}")
        heed(turn, row, settled.reply)
    return claim(turn, settled.claim) if settled.claim is not None else Receipt()


def _again_at(turn: Turn, settled: Settled) -> int:
    """When what did not arrive is tried again: after its pause, and inside the hours of its way."""
    again = turn.now_micros + int(settled.retry_in_seconds * MICROSECONDS)
    row = turn.unit.effect(settled.effect)
    return again if row is None else to_micros(may_leave_at(turn.book, row.lane, from_micros(again)))


def decide(turn: Turn, decision: OutboxDecision) -> Receipt:
    """A person retries, parks or cancels one owed sending."""
    if decision.decision not in DECISIONS:
        return Receipt(refused=f"{decision.decision!r} is not one of {', '.join(sorted(DECISIONS))}")
    known = turn.unit.effect(decision.effect) if decision.decision == "retry" else None
    if known is not None and known.lane not in lanes_of(turn.book):
        return Receipt(refused=f"{NOBODY}: put the file of {known.lane} back, or cancel sending {decision.effect}")
    stopped = _stopped(turn, known) if known is not None else ""
    if stopped:
        return Receipt(refused=f"sending {decision.effect} must not leave: {stopped}")
    if known is not None and _was_left(turn, known):
        return Receipt(refused=f"sending {decision.effect} is a packet that goes, or went, another way by now")
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
        way=way_of_lane(row.lane) if purpose in ORDERS else 0,
        owed_at=from_micros(row.created_at),
        reason=reason,
    )
    why = f"{row.wire_id}, attempt {row.attempts}" + (f": {reason}" if reason else "")
    apply(turn, referral, event, reason=why)
