"""A tick is only a message from the clock: what is due becomes events, oldest first, through the same door."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from referral_engine.base.clock import MICROSECONDS, from_micros
from referral_engine.flow.apply import apply
from referral_engine.flow.catchup import Fired, catch_up
from referral_engine.flow.deliveries import hand_over_stranded
from referral_engine.flow.evidence import reconsider
from referral_engine.flow.forgetting import forget
from referral_engine.flow.inputs import Receipt, SweepDecided, SweepMode, Swept, Ticked
from referral_engine.flow.turn import Turn
from referral_engine.flow.upkeep import escalate_reviews, review_directory, tell_of_the_clock
from referral_engine.flow.zones import follow_zones
from referral_engine.journal.rows import BindingKind, DeadlineRow
from referral_engine.journal.sweeping import Stand
from referral_engine.loop.events import DeadlinePassed
from referral_engine.loop.policy import Kind

LATE: Final = timedelta(minutes=1)  # a clock that fires within a tick or two is not worth a word
LONG_MICROS: Final = 10 * 60 * MICROSECONDS  # without a sweep; a restart is shorter, and more is time to answer in
NOTED_MICROS: Final = 60 * MICROSECONDS  # how far the sweep has come; a tick a second need not write a row each
DECISIONS: Final = frozenset({"pause", "resume", "now", "confirm"})
_IDLE: Final = frozenset({SweepMode.WAITING, SweepMode.PAUSED, SweepMode.FENCED})


def tick(turn: Turn, ticked: Ticked) -> Receipt:
    """Fire what is due, at most `limit`; the receipt says whether more is."""
    until = min(turn.now_micros, ticked.due_by or turn.now_micros)
    stand = turn.unit.sweeping.stand()
    lag = max(until - stand.swept_at, 0)
    mode = mode_of(ticked, lag, paused=bool(stand.paused_by))
    if mode is SweepMode.FENCED:
        tell_of_the_clock(turn, ticked.fenced)
    fired = Fired() if mode in _IDLE else _sweep(turn, until, ticked.limit, mode, stand)
    if mode not in _IDLE and not fired.more and lag >= NOTED_MICROS:
        turn.unit.sweeping.swept(until)
    if mode is SweepMode.NORMAL:
        forget(turn, until)
    if not ticked.staged:
        return Receipt(fired=fired.number, more=fired.more)
    swept = Swept(
        mode=mode,
        overdue=0 if mode is SweepMode.NORMAL else turn.unit.overdue(until),
        late=fired.late,
        lag_seconds=lag // MICROSECONDS,
        paused_by=stand.paused_by,
    )
    return Receipt(fired=fired.number, more=fired.more, swept=swept)


def mode_of(ticked: Ticked, lag: int, *, paused: bool) -> SweepMode:
    """What a tick does, `lag` microseconds after the clocks were last swept to the end."""
    if not ticked.staged:
        return SweepMode.NORMAL
    if ticked.fenced:
        return SweepMode.FENCED
    if paused:
        return SweepMode.PAUSED
    if lag <= LONG_MICROS:
        return SweepMode.NORMAL
    return SweepMode.CATCHING_UP if ticked.drained else SweepMode.WAITING


def decide_sweep(turn: Turn, decided: SweepDecided) -> Receipt:
    """Keep what a person decided about the sweeping; a pause lasts through restarts."""
    if decided.decision not in DECISIONS:
        return Receipt(refused=f"{decided.decision!r} is not one of {', '.join(sorted(DECISIONS))}")
    if decided.decision in ("pause", "resume"):
        turn.unit.sweeping.pause((decided.by or "somebody") if decided.decision == "pause" else "")
    turn.audit(f"user:{decided.by}", decided.decision, "sweep")
    return Receipt()


def _sweep(turn: Turn, until: int, limit: int, mode: SweepMode, stand: Stand) -> Fired:
    if (turn.day_begins or stand.moved_through is not None) and follow_zones(turn, stand):
        return Fired(more=True)
    escalate_reviews(turn)
    if turn.day_begins:
        review_directory(turn)
        hand_over_stranded(turn)
        turn.day_begins = False
    if mode is SweepMode.CATCHING_UP:
        return catch_up(turn, until, limit, _fire)
    fired = Fired()
    rows = turn.unit.due(until, limit)
    for row in rows:
        fired.add(_fire(turn, row))
    fired.more = len(rows) == limit
    return fired


def _fire(turn: Turn, row: DeadlineRow) -> tuple[int, bool]:
    """Fire one clock: its event's sequence and whether it was late; 0 when an earlier one of this tick stopped it."""
    sequence = turn.unit.next_sequence()
    if not turn.unit.fire(row, sequence):
        return 0, False
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
    return sequence, late > LATE


def _match_again(turn: Turn, identity: str) -> None:
    """The note is late: what waits for this patient's numbers is matched once more."""
    referral = turn.unit.referral(identity)
    if referral is None:
        return
    waiting: set[int] = set()
    for known in referral.patient.ids:
        waiting.update(turn.unit.parked(BindingKind.PATIENT, known.value))
    for sequence in sorted(waiting):
        reconsider(turn, sequence)
