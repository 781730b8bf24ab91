"""`decide`: one referral and one event in; the referral after it, what is owed, and what was odd out.  Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from referral_engine.base.values import replace
from referral_engine.loop import authorizing
from referral_engine.loop.causes import causes, is_superseded, is_unheard_of
from referral_engine.loop.clocks import STAGES_MAX, runs
from referral_engine.loop.corrections import corrections
from referral_engine.loop.effects import (
    ORDERS,
    TO_PATIENT,
    Effect,
    OpenTask,
    Purpose,
    Recipient,
    Send,
    TaskKind,
    Withdraw,
)
from referral_engine.loop.events import (
    AppointmentCancelled,
    AppointmentVoided,
    CancelRequested,
    DeadlinePassed,
    DeliverySettled,
    Event,
    EvidenceUndone,
    OrderChanged,
    Outcome,
    PatientMissed,
    PatientsMerged,
    PatientUpdated,
    ReferralOrdered,
    ReportReceived,
)
from referral_engine.loop.policy import Kind, Policy
from referral_engine.loop.record import Changes, asked, begun, learned
from referral_engine.loop.referral import Referral
from referral_engine.loop.responses import ENTERING, PASSING, task, to_ehr, to_specialist
from referral_engine.loop.states import NOTE_IN, Appointment, Authorization, Closure, Dispatch, Ending, Outreach, State
from referral_engine.loop.tracks import CONCERNS, OFF_PATH, SILENT, TABLES, Cause


class Move(NamedTuple):
    """One track moved, or was entered again."""

    track: str
    source: State
    target: State
    cause: Cause


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What one event means: nothing here has happened yet."""

    referral: Referral
    moves: tuple[Move, ...]
    effects: tuple[Effect, ...]
    anomalies: tuple[str, ...]  # sentences for a person; the state did not follow, or followed off the path

    @property
    def changed(self) -> bool:
        """Whether the event taught or moved anything."""
        return bool(self.moves or self.effects)


_ENDINGS: Final = {
    Cause.DECLINED: Ending.DECLINED,
    Cause.CANCEL_CONFIRMED: Ending.CANCELLED,
    Cause.CANCELLED_UNSENT: Ending.CANCELLED,
}
_TRACKS_OF: Final = {
    cause: tuple((track, table) for track, table in TABLES.items() if cause in CONCERNS[track]) for cause in Cause
}
_REMINDERS: Final = frozenset({Kind.REMIND_72H, Kind.REMIND_24H})
_ARRIVED: Final = frozenset({Outcome.DELIVERED, Outcome.HANDED_OVER, Outcome.UNKNOWN})  # or it may have
_SILENT_OUTREACH: Final = frozenset({Outreach.UNREACHABLE, Outreach.OPTED_OUT})


def decide(referral: Referral, event: Event, policy: Policy) -> Decision:
    """What `event` means for `referral`.  Every event is legal; what no table foresees becomes an anomaly."""
    if isinstance(event, DeadlinePassed) and _too_late(referral, event, policy):
        return Decision(referral=referral, moves=(), effects=(), anomalies=())
    if isinstance(event, EvidenceUndone):
        return _undone(referral, event)
    found = causes(referral, event, policy)
    changes = learned(referral, event, policy)
    moves, anomalies = _move(referral, found, changes)
    if moves:
        changes |= begun(referral, moves, event.at)
    after = replace(referral, **changes) if changes else referral
    effects = _owed(after, moves, policy) + _answered(referral, after, event, found, policy)
    effects += authorizing.owed(referral, after, event, policy)
    if anomalies:
        effects += (task(TaskKind.ANOMALY, anomalies[0]),)
    if after.patient.deceased or after.closure is not Closure.OPEN:
        effects = tuple(effect for effect in effects if _still_wanted(effect, after))
    if isinstance(event, DeadlinePassed) and event.kind is Kind.ATTENDED:
        purposes = frozenset(effect.purpose for effect in effects if isinstance(effect, Send))
        after = replace(after, **asked(after, purposes, event.at))
    return Decision(referral=after, moves=moves, effects=effects, anomalies=anomalies)


def _undone(referral: Referral, event: EvidenceUndone) -> Decision:
    """The referral as it would stand without some evidence, and what those who were told must hear."""
    after = event.restored
    pairs = ((track, getattr(referral, track), getattr(after, track)) for track in TABLES)
    moves = tuple(Move(track, was, now, Cause.REOPENED) for track, was, now in pairs if was is not now)
    return Decision(referral=after, moves=moves, effects=corrections(referral, event), anomalies=())


def _too_late(referral: Referral, event: DeadlinePassed, policy: Policy) -> bool:
    """Whether a clock that ran out has nothing to say any more: the tracks moved on, or the visit has begun."""
    if event.kind in policy.off or not runs(event.kind, referral):
        return True
    slot = referral.slot
    return event.kind in _REMINDERS and slot is not None and event.at >= slot.starts_at


def _still_wanted(effect: Effect, after: Referral) -> bool:
    """Whether something is owed although the patient has died, or nobody waits for a visit any more."""
    match effect:
        case Send(to=Recipient.PATIENT):
            return False
        case OpenTask(kind=TaskKind.CALL_PATIENT):
            return False
        case OpenTask(kind=TaskKind.NO_SHOW_REVIEW):
            return after.closure is Closure.OPEN
        case _:
            return True


def _move(referral: Referral, found: tuple[Cause, ...], changes: Changes) -> tuple[tuple[Move, ...], tuple[str, ...]]:
    """Run each cause over every track that has an opinion on it; `changes` gets the new states."""
    moves: list[Move] = []
    anomalies: list[str] = []
    for cause in found:
        for track, table in _TRACKS_OF[cause]:
            state: State = changes.get(track) or getattr(referral, track)  # type: ignore[assignment]  # a track's field holds its state
            target = table.get((state, cause))
            if target is None:
                if (state, cause) not in SILENT:
                    anomalies.append(f"{cause.value} while {track} is {state.value}")
                continue
            if (state, cause) in OFF_PATH:
                anomalies.append(f"off the path: {cause.value} while {track} was {state.value}")
            changes[track] = target
            moves.append(Move(track, state, target, cause))
            if track == "dispatch" and target is Dispatch.QUEUED:
                way = referral.way + 1 if cause is Cause.FALLBACK else 0  # each once for each release
                changes |= {"rung": way, "fallback_used": way > 0}
    _finish(referral, changes, moves, anomalies)
    return tuple(moves), tuple(anomalies)


def _finish(referral: Referral, changes: Changes, moves: list[Move], anomalies: list[str]) -> None:
    """What follows from several tracks at once: the ending's name, and a note without a visit."""
    filed = any(move.track == "note" and move.target in NOTE_IN for move in moves)
    if filed and referral.appointment is Appointment.NO_SHOW:
        anomalies.append("off the path: a note came after a recorded no-show")
    closing = [move for move in moves if move.track == "closure"]
    last = closing[-1] if closing else None
    if last is None or last.target is not Closure.ENDED:
        changes.pop("ending", None)  # a person's wish to end what has an outcome is an anomaly, and names no ending
    elif last.cause in _ENDINGS:
        changes["ending"] = _ENDINGS[last.cause]
    if last and last.source is Closure.ENDED:
        changes["ending"] = None
    if last and last.source is Closure.CANCEL_REQUESTED and last.target is Closure.CLOSING:
        anomalies.append("off the path: the outcome came after a cancel was asked")


def _owed(after: Referral, moves: tuple[Move, ...], policy: Policy) -> tuple[Effect, ...]:
    owed: tuple[Effect, ...] = ()
    for move in moves:
        entering = ENTERING[move.track].get(move.target)
        if entering is not None:
            owed += entering(after, move.cause, policy)
    return owed


def _answered(
    before: Referral, after: Referral, event: Event, found: tuple[Cause, ...], policy: Policy
) -> tuple[Effect, ...]:
    """What an event owes although it enters no state."""
    match event:
        case DeadlinePassed() if Cause.FALLBACK not in found:
            return PASSING[event.kind](after, event.generation % STAGES_MAX, policy)
        case ReferralOrdered() if after.patient.deceased:
            return _died()
        case OrderChanged() | PatientUpdated() | PatientsMerged() if _has_died(before, after):
            return _died()
        case OrderChanged() if not before.is_over and _may_have_order(before) and _may_have_order(after):
            return (to_specialist(Purpose.ORDER_CHANGE, event.message),)
        case CancelRequested() if before.closure in (Closure.CLOSING, Closure.CLOSED):
            return (to_ehr(Purpose.STATUS, "cancel came too late"),)
        case DeliverySettled():
            return _settled(before, event)
        case AppointmentCancelled() | AppointmentVoided() | PatientMissed() if is_unheard_of(before, event.appointment):
            return (
                task(TaskKind.ANOMALY, "an appointment we were never told of was given up or missed: which is it?"),
            )
        case ReportReceived() if is_superseded(before, event):
            return (task(TaskKind.ANOMALY, "a note that was replaced has been taken back: check the new one"),)
        case _:
            return ()


def _may_have_order(referral: Referral) -> bool:
    """Whether the office may know the order; a change tells it all of it, so none goes out for one that is held."""
    denied = referral.dispatch is Dispatch.UNDELIVERABLE and referral.authorization is Authorization.DENIED
    return referral.dispatch is not Dispatch.HELD and not denied


def _has_died(before: Referral, after: Referral) -> bool:
    return after.patient.deceased and not before.patient.deceased and not before.is_over


def _died() -> tuple[Effect, ...]:
    """Nobody writes to or calls the dead; a person decides what becomes of the referral."""
    return (
        Withdraw(purposes=TO_PATIENT),
        task(TaskKind.ANOMALY, "the patient has died: end the referral, or say why not"),
    )


def _settled(before: Referral, event: DeliverySettled) -> tuple[Effect, ...]:
    """What an attempt owes by itself: a cancel after a packet that outran its end, and a person for what failed."""
    outran = (
        before.closure is Closure.ENDED
        and before.dispatch in (Dispatch.HELD, Dispatch.QUEUED)
        and event.purpose in ORDERS
        and event.outcome in _ARRIVED
    )
    cancel = (to_specialist(Purpose.CANCEL),) if outran else ()
    if event.outcome not in (Outcome.FAILED, Outcome.UNKNOWN):
        return cancel
    again = event.purpose in ORDERS and before.dispatch is Dispatch.UNDELIVERABLE and not before.is_over
    if again and event.outcome is Outcome.FAILED:  # a person let it be tried once more
        return (task(TaskKind.UNDELIVERABLE, "the packet could not be delivered this time either"),)
    if event.outcome is Outcome.FAILED and event.to is Recipient.PATIENT and before.outreach in _SILENT_OUTREACH:
        return (task(TaskKind.CALL_PATIENT, "the message to the patient bounced"),)
    return cancel + _undelivered(event)


def _undelivered(event: DeliverySettled) -> tuple[Effect, ...]:
    """A person is told of what did not arrive; the order's own failure is told by its track."""
    if event.outcome is Outcome.UNKNOWN:
        return (task(TaskKind.UNKNOWN_DELIVERY, f"{event.purpose.value}: it may or may not have arrived"),)
    if event.to is Recipient.EHR:
        urgent = event.purpose in (Purpose.CLOSURE, Purpose.CORRECTION, Purpose.RETRACTION)
        return (task(TaskKind.UNDELIVERABLE_EHR, f"the EHR did not take: {event.purpose.value}", urgent=urgent),)
    if event.purpose in (Purpose.ORDER, Purpose.FALLBACK_ORDER) or event.to is Recipient.PATIENT:
        return ()
    return (task(TaskKind.UNDELIVERABLE, f"not delivered: {event.purpose.value}"),)
