"""What an event teaches: the facts of a referral after it; tracks are moved elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar

from referral_engine.base.values import replace
from referral_engine.loop import authorizing
from referral_engine.loop.causes import counted, is_another, nothing_new, starts, way_of
from referral_engine.loop.clocks import times_over
from referral_engine.loop.effects import ORDERS, Purpose
from referral_engine.loop.events import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentVoided,
    AuthorizationRecorded,
    ClocksMigrated,
    DeadlinePassed,
    DeliverySettled,
    Event,
    MatchConfirmed,
    OrderChanged,
    Outcome,
    PatientAttended,
    PatientMissed,
    PatientsMerged,
    PatientUpdated,
    ReferralEnded,
    ReferralOrdered,
    ReportReceived,
)
from referral_engine.loop.policy import Kind, Policy
from referral_engine.loop.referral import Document, Identifier, Order, Patient, Referral, Slot
from referral_engine.loop.states import (
    UNBOOKED,
    Appointment,
    Authorization,
    Closure,
    Dispatch,
    Ending,
    Note,
    State,
)
from referral_engine.loop.tracks import Cause

SLOTS_MAX: Final = 200  # remembered a referral; a scheduling system gone mad must not grow it for ever
DOCUMENTS_MAX: Final = 200
ORDERED_BEFORE_MAX: Final = timedelta(days=366)  # an order dated 1900 must not start a thousand clocks

Fact = TypeVar("Fact", Slot, Document)

_ON_THE_WAY: Final = frozenset({Dispatch.QUEUED, Dispatch.SENT, Dispatch.UNDELIVERABLE})

Changes = dict[str, object]  # field name of Referral to its new value

_REPEATING: Final = {
    Kind.OPEN_30: "open_30",
    Kind.HOLD_REMIND: "hold_reminders",
    Kind.CLOSURE_ACCEPTED: "closure_reminders",
    Kind.CANCEL_CONFIRM: "cancel_reminders",
}


def learned(referral: Referral, event: Event, policy: Policy) -> Changes:
    """The fields of the referral that `event` changes, tracks apart."""
    match event:
        case ReferralOrdered():
            return _first_known(event, policy)
        case OrderChanged():
            return _changed(referral, event, policy)
        case AppointmentBooked() if not nothing_new(referral, event):
            return {"slots": _with_slot(referral, event)}
        case ReportReceived() if not nothing_new(referral, event):
            return {"documents": _with_document(referral, event)}
        case PatientUpdated() | PatientsMerged():
            return {"patient": _told(referral.patient, event.patient)}
        case AuthorizationRecorded() if authorizing.counts(referral, event, policy):
            return _authorized(referral, event, policy)
        case AuthorizationRecorded() if not event.approved:
            return {"denied_numbers": authorizing.denied_numbers(referral, event.number)}
        case AppointmentCancelled() | AppointmentVoided() | PatientMissed() if referral.slots:
            return _marked(referral, event.appointment, given_up=True)
        case PatientAttended() if referral.slots:
            return _marked(referral, event.appointment, given_up=False)
        case MatchConfirmed():
            return {
                "slots": tuple(_sure(slot, event.message) for slot in referral.slots),
                "documents": tuple(_sure(known, event.message) for known in referral.documents),
            }
        case ClocksMigrated():
            return {"config": event.config}
        case ReferralEnded():
            return {"ending": Ending(event.ending)}
        case DeliverySettled() if event.purpose in ORDERS:
            return _arrived(referral, event)
        case DeadlinePassed() if event.kind in _REPEATING:
            times = times_over(referral, policy, event.kind, event.at)
            return {"rounds": replace(referral.rounds, **{_REPEATING[event.kind]: times})}
        case _:
            return {}


def _marked(referral: Referral, appointment: Identifier, *, given_up: bool) -> Changes:
    """Whether a booked time counts as a visit; of an older time only where an authorization counts visits."""
    if is_another(referral, appointment) and not referral.order.authorization_visits:
        return {}
    slots = authorizing.marked(referral, appointment, given_up=given_up)
    return {} if slots == referral.slots else {"slots": slots}


def _arrived(referral: Referral, event: DeliverySettled) -> Changes:
    """The way that brought the packet: what follows an order goes the way the order went, also when that was late."""
    way = way_of(event)
    if event.outcome is not Outcome.DELIVERED or way == referral.way or referral.dispatch not in _ON_THE_WAY:
        return {}
    return {"rung": way, "fallback_used": way > 0}


def _sure(learned_from: Fact, message: int) -> Fact:
    """A slot or a document that is provisional no more, where it is of this message."""
    sure = learned_from.provisional and learned_from.message == message
    return replace(learned_from, provisional=False) if sure else learned_from


def _first_known(event: ReferralOrdered, policy: Policy) -> Changes:
    ordered_at = _sane(event.order.ordered_at, event.at)
    believed = ordered_at == event.order.ordered_at
    order = event.order if believed else replace(event.order, ordered_at=ordered_at)
    known: Changes = {"patient": event.patient, "order": order, "hold": event.hold, "duplicate_of": event.duplicate_of}
    if order.authorization_expires_on is not None:
        known["authorization_ends_at"] = authorizing.end_of(order.authorization_expires_on, event.at, policy)
    if order.authorization_denied:
        known["denied_numbers"] = (order.authorization_number,)
    return {**known, "ending": Ending.DUPLICATE} if event.duplicate_of else known


def _authorized(referral: Referral, event: AuthorizationRecorded, policy: Policy) -> Changes:
    """The payer's answer in the place of what the order said."""
    grant = authorizing.grant_in(event)
    return {
        "order": replace(referral.order, **authorizing.with_grant(grant)),
        "authorization_ends_at": authorizing.end_of(grant.expires_on, event.at, policy),
    }


def _changed(referral: Referral, event: OrderChanged, policy: Policy) -> Changes:
    """The order as the newest message says it, and what the payer is asked for it now."""
    order = _newer(referral.order, event.order)
    found: Changes = {"order": order, "patient": _told(referral.patient, event.patient)}
    if order.authorization_expires_on != referral.order.authorization_expires_on:
        found["authorization_ends_at"] = authorizing.end_of(order.authorization_expires_on, event.at, policy)
    if event.order.authorization_denied:
        found["denied_numbers"] = authorizing.denied_numbers(referral, event.order.authorization_number)
    if event.hold is not None:
        found["hold"] = event.hold
    return found


def _sane(ordered_at: datetime, at: datetime) -> datetime:
    return min(max(ordered_at, at - ORDERED_BEFORE_MAX), at)


def _newer(old: Order, new: Order) -> Order:
    """The changed order: its numbers and its date stay those of the first, an authorization once known stays."""
    kept = {
        "placer": old.placer,
        "filler": new.filler or old.filler,
        "ordered_at": old.ordered_at,
        "specialty": new.specialty or old.specialty,
        "payer": new.payer or old.payer,
        "plan": new.plan or old.plan,
        "insurances": new.insurances or old.insurances,
    }
    return replace(new, **kept, **authorizing.with_grant(authorizing.terms(old, new)))


def _told(old: Patient, new: Patient) -> Patient:
    """What is known of the patient after a message that may leave fields out; ids are gathered, never dropped."""
    kept = {
        "ids": (*new.ids, *(known for known in old.ids if known not in new.ids)),
        "family": new.family or old.family,
        "given": new.given or old.given,
        "born_on": new.born_on or old.born_on,
        "sex": new.sex or old.sex,
        "phone": new.phone or old.phone,
        "phone_is_mobile": new.phone_is_mobile if new.phone else old.phone_is_mobile,
        "language": new.language or old.language,
        "sms_consent": new.sms_consent or old.sms_consent,
        "portal": new.portal or old.portal,
        "deceased": new.deceased or old.deceased,
        "died_on": new.died_on or old.died_on,
    }
    return replace(new, **kept)


def _with_slot(referral: Referral, event: AppointmentBooked) -> tuple[Slot, ...]:
    known = referral.slots[-(SLOTS_MAX - 1) :]
    slot = Slot(
        number=max(known[-1].number if known else 0, referral.spent_slots) + 1,
        starts_at=starts(event),
        booked_at=event.at,
        appointment=event.appointment or (known[-1].appointment if known else event.appointment),
        message=event.message,
        provisional=event.provisional,
    )
    return (*known, slot)


def _with_document(referral: Referral, event: ReportReceived) -> tuple[Document, ...]:
    document = Document(
        document=event.document,
        finality=counted(event),
        at=event.at,
        message=event.message,
        provisional=event.provisional,
        kind=event.kind,
        content=event.content,
        replaces=event.replaces,
        adds=event.adds,
    )
    return (*referral.documents[-(DOCUMENTS_MAX - 1) :], document)


# Entering a state begins a moment and a round: the clocks that start there count from it.
# A repeating clock's own count of firings begins anew with its round.
_BEGINS: Final[Mapping[tuple[str, State], tuple[str, str, str]]] = {
    ("dispatch", Dispatch.QUEUED): ("queued_at", "packet", ""),
    ("appointment", Appointment.CANCELLED): ("unbooked_at", "unbooked", ""),
    ("appointment", Appointment.NONE): ("unbooked_at", "unbooked", ""),
    ("appointment", Appointment.NO_SHOW): ("no_show_at", "no_show", ""),
    ("closure", Closure.CLOSING): ("closing_at", "closing", "closure_reminders"),
    ("closure", Closure.CANCEL_REQUESTED): ("cancel_asked_at", "cancel", "cancel_reminders"),
    ("authorization", Authorization.REQUIRED): ("held_at", "hold", "hold_reminders"),
    ("authorization", Authorization.PENDING): ("held_at", "hold", "hold_reminders"),
    ("dispatch", Dispatch.HELD): ("held_at", "hold", "hold_reminders"),
    ("note", Note.RETRACTED): ("note_reopened_at", "note", ""),
}

Moved = tuple[str, State, State, Cause]  # the track, from, to, why


def begun(referral: Referral, moved: Iterable[Moved], at: datetime) -> Changes:
    """The moments and rounds that begin with these moves; the same state again begins nothing but a second sending."""
    moments: dict[str, object] = {}
    rounds: dict[str, object] = {}
    for track, source, entered, cause in moved:
        if source == entered and cause is not _FALLBACK:
            continue
        begins = _BEGINS.get((track, entered))
        if begins is not None:
            moment, number, reminders = begins
            moments[moment] = at
            rounds[number] = _next(referral, number)
            if reminders:
                rounds[reminders] = 0
        if track == "dispatch":
            _left(referral, (source, entered, cause), moments, rounds, at)
        elif entered is _KEPT and source in UNBOOKED:
            moments["walk_in_at"] = at
            rounds["note"] = _next(referral, "note")  # the wait for its note is a new one
    return _changes(referral, moments, rounds)


def _next(referral: Referral, number: str) -> int:
    """The next round of a kind: never one that evidence had begun that was undone since."""
    used: int = getattr(referral.rounds, number)
    return (used if referral.spent is None else max(used, getattr(referral.spent, number))) + 1


_FALLBACK: Final = Cause.FALLBACK
_KEPT: Final = Appointment.KEPT


def _left(
    referral: Referral,
    moved: tuple[State, State, Cause],
    moments: dict[str, object],
    rounds: dict[str, object],
    at: datetime,
) -> None:
    """The moments of the packet's way: let go, sent, received."""
    source, entered, cause = moved
    # Taken by an office we have sent nothing; one that was found at work is asked nothing either.
    unseen = source == Dispatch.HELD and entered == Dispatch.ACCEPTED and cause is not Cause.FOUND
    if unseen or (entered == Dispatch.QUEUED and cause is Cause.RELEASED):
        moments["released_at"] = at
        rounds["release"] = _next(referral, "release")
    if referral.moments.sent_at is None and (unseen or entered in (Dispatch.SENT, Dispatch.RECEIVED)):
        moments["sent_at"] = at
    if entered == Dispatch.RECEIVED:
        moments["received_at"] = at


def asked(referral: Referral, purposes: frozenset[Purpose], at: datetime) -> Changes:
    """The moment a "did you attend?" prompt was owed; its late clock starts there."""
    if Purpose.ATTENDED_PROMPT not in purposes:
        return {}
    return _changes(referral, {"asked_at": at}, {"asked": _next(referral, "asked")})


def _changes(referral: Referral, moments: dict[str, object], rounds: dict[str, object]) -> Changes:
    found: Changes = {}
    if moments:
        found["moments"] = replace(referral.moments, **moments)
    if rounds:
        found["rounds"] = replace(referral.rounds, **rounds)
    return found
