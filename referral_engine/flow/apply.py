"""One event of one referral: decide, render, write; the only place where a referral changes."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from referral_engine.base.clock import from_micros, to_micros
from referral_engine.base.errors import MessageFault
from referral_engine.base.ident import control_id
from referral_engine.base.values import replace
from referral_engine.channels.channel import Channel
from referral_engine.flow.hours import may_leave_at
from referral_engine.flow.pilot import SHADOWED, WATCHED, is_live
from referral_engine.flow.quiet import after_quiet_hours
from referral_engine.flow.telling import summary
from referral_engine.flow.turn import Turn
from referral_engine.journal.codec import encode_event
from referral_engine.journal.rows import DeadlineRow, EffectRow, EffectState, EventRow
from referral_engine.loop.clocks import Deadline, deadlines
from referral_engine.loop.corrections import speaks_of_what_was
from referral_engine.loop.effects import CloseTasks, Effect, OpenTask, Recipient, Send, TaskKind, Withdraw
from referral_engine.loop.events import Event, EvidenceUndone
from referral_engine.loop.policy import Kind, Policy
from referral_engine.loop.referral import Referral
from referral_engine.loop.rules import Decision, decide
from referral_engine.render.render import Rendered, Setting, render

REMEMBERED_MAX: Final = 4_096  # referrals whose running clocks need not be derived again
POINTLESS: Final = "withdrawn: what happened made it pointless"
EFFECTS_MAX: Final = 30  # of one event; the ordinal in MSH-10 has two letters, and no rule owes more


def apply(
    turn: Turn, referral: Referral, event: Event, *, reason: str, new: bool = False, sequence: int = 0
) -> Decision:
    """Decide what `event` means for `referral` and write it all into the batch.

    reason: why it was matched, or which clock or person; for the timeline.
    sequence: of the event, when it was drawn already.
    """
    policy = turn.policy_of(referral)
    decision = decide(referral, event, policy)
    if decision.referral.config != turn.book.version:
        decision = _keeping_time(turn, decision)
    after = decision.referral
    turn.touched[after.id] = None
    sequence = sequence or turn.unit.next_sequence()
    turn.unit.add_event(_event_row(turn, decision, event, (reason, sequence), policy))
    if new or after is not referral:
        turn.unit.save_referral(after, turn.now_micros, new=new)
    before = () if new else _running_before(turn, referral, policy)
    _move_clocks(turn, before, after, policy if after.config == referral.config else turn.policy_of(after))
    ordinal = 0
    for effect in decision.effects:
        if not new or isinstance(effect, Send | OpenTask):  # a new referral has no task to close, nothing to withdraw
            ordinal = _carry_out(turn, _subject(referral, after, event, effect), effect, sequence, ordinal)
    return decision


def _subject(before: Referral, after: Referral, event: Event, effect: Effect) -> Referral:
    """The referral an effect is about: of a document or a slot that is undone only the one before knows the number."""
    if isinstance(event, EvidenceUndone) and isinstance(effect, Send) and speaks_of_what_was(effect):
        return before
    return after


def _keeping_time(turn: Turn, decision: Decision) -> Decision:
    """A referral names the configuration its clocks come from: one that nobody knows any more is the one in force."""
    after = decision.referral
    if after.is_over or turn.is_known(after):
        return decision
    return replace(decision, referral=replace(after, config=turn.book.version))


def _event_row(turn: Turn, decision: Decision, event: Event, why: tuple[str, int], policy: Policy) -> EventRow:
    reason, sequence = why
    return EventRow(
        sequence=sequence,
        at=turn.now_micros,
        referral=decision.referral.id,
        kind=type(event).__name__,
        summary=summary(event, decision, policy.calendar.zone),
        reason=reason,
        message=event.message,
        by=event.by,
        body=encode_event(event),
        config=turn.book.version,
    )


def _running_before(turn: Turn, referral: Referral, policy: Policy) -> tuple[Deadline, ...]:
    """The clocks that run now; those an older configuration started are asked from the journal."""
    known = turn.running.get(referral.id)
    if known is not None and known[0] is referral and known[1] is policy:
        return known[2]
    if referral.config == turn.book.version:
        return deadlines(referral, policy)
    return tuple(
        Deadline(Kind(row.kind), row.generation, from_micros(row.due_at))
        for row in turn.unit.deadlines(referral.id)
        if row.state == "pending"
    )


def _move_clocks(turn: Turn, before: tuple[Deadline, ...], after: Referral, policy: Policy) -> None:
    """Write the difference between the clocks that ran and those that should run."""
    running = deadlines(after, policy)
    assert running or after.is_over, "an open referral always owns a deadline"
    if len(turn.running) >= REMEMBERED_MAX:
        turn.running.clear()
    turn.running[after.id] = (after, policy, running)
    if running == before:
        return
    added = [
        DeadlineRow(referral=after.id, kind=str(one.kind), generation=one.generation, due_at=to_micros(one.due_at))
        for one in running
        if one not in before
    ]
    wanted = {(one.kind, one.generation) for one in running}
    removed = [(str(one.kind), one.generation) for one in before if (one.kind, one.generation) not in wanted]
    turn.unit.change_deadlines(after.id, added, removed)


def _carry_out(turn: Turn, referral: Referral, effect: Effect, sequence: int, ordinal: int) -> int:
    match effect:
        case Send():
            _owe(turn, referral, effect, sequence, ordinal)
            return ordinal + 1
        case OpenTask():
            turn.open_task(effect, referral=referral.id, channel=referral.channel)
        case CloseTasks():
            turn.unit.close_tasks(referral.id, effect.kinds, turn.now_micros, "no longer needed")
        case Withdraw():
            turn.unit.withdraw(
                referral.id, effect.purposes, turn.now_micros, "withdrawn: what happened made it pointless"
            )
    return ordinal


def _owe(turn: Turn, referral: Referral, send: Send, sequence: int, ordinal: int) -> None:
    """Make the bytes now, so that what is in the outbox is what goes on the wire."""
    assert ordinal < EFFECTS_MAX, "one event owes a handful of sendings"
    channel = turn.channel(referral.channel)
    wire_id = control_id(turn.node, sequence, ordinal)
    try:
        rendered = _rendered(turn, referral, send, channel, wire_id)
    except MessageFault as fault:
        reason = f"{send.purpose.value} cannot be written: {fault}"
        turn.open_task(OpenTask(kind=TaskKind.UNDELIVERABLE, reason=reason), referral=referral.id)
        return
    live = is_live(turn.book.engine.pilot, referral)
    turn.unit.owe(
        EffectRow(
            id=0,
            referral=referral.id,
            cause=sequence,
            ordinal=ordinal,
            lane=rendered.lane,
            transport=rendered.transport,
            recipient=str(send.to),
            purpose=str(send.purpose),
            about=send.about,
            wire_id=wire_id,
            body=rendered.body,
            next_at=to_micros(_not_before(turn, referral, send, rendered.lane)),
            created_at=turn.now_micros,
            state=EffectState.QUEUED if live else EffectState.CANCELLED,
            settled_at=0 if live else turn.now_micros,
            reason="" if live else SHADOWED if referral.watched else WATCHED,
        )
    )
    if live:
        turn.lanes.add(rendered.lane)


def _rendered(turn: Turn, referral: Referral, send: Send, channel: Channel | None, wire_id: str) -> Rendered:
    source = turn.raw(send.message) if send.message else b""
    setting = Setting(book=turn.book, channel=channel, at=turn.now, wire_id=wire_id, source=source)
    return render(send, referral, setting)


def _not_before(turn: Turn, referral: Referral, send: Send, lane: str) -> datetime:
    """Patients are written to between quiet hours only, a specialist in the hours of its way; the others at once."""
    match send.to:
        case Recipient.PATIENT:
            return after_quiet_hours(turn, referral, turn.now)
        case Recipient.SPECIALIST:
            return may_leave_at(turn.book, lane, turn.now)
        case _:
            return turn.now
