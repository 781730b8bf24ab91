"""A tick is only a message from the clock: what is due becomes events, oldest first, through the same door."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from referral_engine.base.clock import from_micros
from referral_engine.flow.apply import apply
from referral_engine.flow.evidence import reconsider
from referral_engine.flow.inputs import Receipt, Ticked
from referral_engine.flow.turn import Turn
from referral_engine.flow.upkeep import escalate_reviews, review_directory
from referral_engine.journal.rows import BindingKind, DeadlineRow
from referral_engine.loop.events import DeadlinePassed
from referral_engine.loop.policy import Kind

LATE: Final = timedelta(minutes=1)  # a clock that fires within a tick or two is not worth a word


def tick(turn: Turn, ticked: Ticked) -> Receipt:
    """Fire what is due, at most `limit`; the receipt says whether more is."""
    escalate_reviews(turn)
    if turn.day_begins:
        review_directory(turn)
    rows = turn.unit.due(turn.now_micros, ticked.limit)
    fired = sum(_fire(turn, row) for row in rows)
    return Receipt(fired=fired, more=len(rows) == ticked.limit)


def _fire(turn: Turn, row: DeadlineRow) -> bool:
    """Fire one clock; False when an earlier one of this tick stopped it."""
    sequence = turn.unit.next_sequence()
    if not turn.unit.fire(row, sequence):
        return False
    referral = turn.unit.referral(row.referral)
    assert referral is not None, "a deadline belongs to a stored referral"
    due_at = from_micros(row.due_at)
    kind = Kind(row.kind)
    event = DeadlinePassed(at=turn.now, by="clock", kind=kind, generation=row.generation, due_at=due_at)
    late = turn.now - due_at
    reason = f"due {due_at:%Y-%m-%dT%H:%M:%SZ}" + (f", {late} late" if late > LATE else "")
    apply(turn, referral, event, reason=reason, sequence=sequence)
    turn.audit("clock", "fired", f"referral {row.referral}", f"{row.kind} {row.generation}")
    if kind is Kind.NOTE_WATCH:
        _match_again(turn, row.referral)
    return True


def _match_again(turn: Turn, identity: str) -> None:
    """The note is late: what waits for this patient's numbers is matched once more."""
    referral = turn.unit.referral(identity)
    if referral is None:
        return
    waiting: set[int] = set()
    for known in referral.patient.ids:
        waiting.update(turn.unit.parked(BindingKind.PATIENT, known.value, known.authority))
    for sequence in sorted(waiting):
        reconsider(turn, sequence)
