"""What an event means for the tracks: an event and a referral in, the causes that may move it out, in order."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, assert_never

from referral_engine.loop import authorizing
from referral_engine.loop.effects import ORDERS, TO_PATIENT, Purpose, Recipient
from referral_engine.loop.events import (
    Answer,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentVoided,
    AuthorizationRecorded,
    CancelConfirmed,
    CancelRequested,
    ClocksMigrated,
    DeadlinePassed,
    DeliverySettled,
    Event,
    EvidenceUndone,
    HoldReleased,
    MatchConfirmed,
    OrderChanged,
    Outcome,
    PatientAnswered,
    PatientAttended,
    PatientMissed,
    PatientsMerged,
    PatientUpdated,
    ReferralAccepted,
    ReferralDeclined,
    ReferralEnded,
    ReferralOrdered,
    ReportReceived,
    TaskClosed,
)
from referral_engine.loop.policy import HoldRule, Kind, Policy
from referral_engine.loop.referral import Finality, Identifier, Referral
from referral_engine.loop.states import NOTE_IN, Appointment, Authorization, Closure, Dispatch, Outreach
from referral_engine.loop.tracks import Cause

NOTES: Final = {
    Finality.PRELIMINARY: Cause.NOTE_PRELIMINARY,
    Finality.FINAL: Cause.NOTE_FINAL,
    Finality.CORRECTED: Cause.NOTE_CORRECTED,
    Finality.RETRACTED: Cause.NOTE_RETRACTED,
}
_FINISHED: Final = (Finality.FINAL, Finality.CORRECTED)
_NOT_YET_RECEIVED: Final = frozenset({Dispatch.QUEUED, Dispatch.SENT, Dispatch.UNDELIVERABLE})
_NOT_YET_ACCEPTED: Final = _NOT_YET_RECEIVED | {Dispatch.RECEIVED}
_NOT_AUTHORIZED: Final = authorizing.WAITING | {Authorization.DENIED}
_SLOT_STANDS: Final = frozenset({Appointment.BOOKED, Appointment.PASSED, Appointment.KEPT, Appointment.NO_SHOW})
APPOINTMENT_APART_MAX: Final = timedelta(days=3_660)  # from today; a date beyond ten years overflows every clock

Causes = tuple[Cause, ...]


def causes(referral: Referral, event: Event, policy: Policy) -> Causes:
    """The causes in `event` for this referral; none when it changes facts only.  No I/O, no exceptions."""
    match event:
        case ReferralOrdered():
            return _ordered(referral, event, policy)
        case OrderChanged():
            return authorizing.changed(referral, event, policy)
        case CancelRequested():
            return (Cause.CANCELLED_UNSENT if _never_left(referral) else Cause.CANCEL_ASKED,)
        case CancelConfirmed():
            return (Cause.CANCEL_CONFIRMED,)
        case ReferralAccepted():
            return (Cause.ACCEPTED,)
        case ReferralDeclined():
            return (Cause.DECLINED,)
        case AppointmentBooked():
            return _booked(referral, event, policy)
        case AppointmentCancelled():
            return _unbooked(referral, event, Cause.UNBOOKED, policy)
        case AppointmentVoided():
            return _unbooked(referral, event, Cause.VOIDED, policy)
        case PatientMissed():
            return _unbooked(referral, event, Cause.MISSED, policy)
        case PatientAttended():
            return () if _is_older(referral, event.appointment) else (Cause.ATTENDED,)
        case ReportReceived():
            return _reported(referral, event)
        case DeliverySettled():
            return _settled(referral, event, policy)
        case DeadlinePassed():
            return _passed(referral, event, policy)
        case AuthorizationRecorded():
            return authorizing.recorded(referral, event, policy)
        case HoldReleased():
            return authorizing.let_go(referral, event)
        case PatientAnswered():
            return _answered(referral, event)
        case ReferralEnded():
            return (Cause.ENDED,)
        case (
            PatientUpdated() | PatientsMerged() | TaskClosed() | MatchConfirmed() | EvidenceUndone() | ClocksMigrated()
        ):
            return ()
        case _:
            assert_never(event)


def nothing_new(referral: Referral, event: Event) -> bool:
    """Whether the referral already knows all that `event` says: a booking sent again, a document sent again."""
    match event:
        case AppointmentBooked():
            slot = referral.slot
            return (
                slot is not None
                and referral.appointment in _SLOT_STANDS
                and slot.starts_at == starts(event)
                and slot.appointment.value == (event.appointment.value or slot.appointment.value)
            )
        case ReportReceived():
            return _is_known(referral, event) or is_superseded(referral, event)
        case _:
            return False


def _ordered(referral: Referral, event: ReferralOrdered, policy: Policy) -> Causes:
    if event.duplicate_of:
        return (Cause.ENDED,)
    if event.found:
        return (Cause.FOUND,)
    match event.hold.rule:
        case HoldRule.SEND:
            grant = authorizing.grant_of(event.order)
            if not grant.number or not authorizing.is_for(grant, event.order, policy):
                return authorizing.release(referral)
            ended = (Cause.AUTHORIZATION_EXPIRED,) if authorizing.is_over(grant.expires_on, event.at, policy) else ()
            return (Cause.AUTHORIZATION_APPROVED, *authorizing.release(referral), *ended)
        case HoldRule.HOLD:
            denied = (Cause.AUTHORIZATION_DENIED,) if event.order.authorization_denied else ()
            return (Cause.AUTHORIZATION_REQUIRED, *denied)
        case HoldRule.SUBMIT:
            return (Cause.AUTHORIZATION_REQUESTED,)
        case _:
            assert_never(event.hold.rule)


def _never_left(referral: Referral) -> bool:
    """Whether no packet can be at the specialist: one that waits for its fallback may have arrived the first way."""
    return referral.dispatch is Dispatch.HELD or (
        referral.dispatch is Dispatch.QUEUED and referral.moments.sent_at is None and not referral.way
    )


def starts(event: AppointmentBooked) -> datetime:
    """When the appointment is; "31 December 9999" means a date nobody knows, and is brought within reckoning."""
    if abs(event.starts_at - event.at) <= APPOINTMENT_APART_MAX:
        return event.starts_at
    return event.at + (APPOINTMENT_APART_MAX if event.starts_at > event.at else -APPOINTMENT_APART_MAX)


def _booked(referral: Referral, event: AppointmentBooked, policy: Policy) -> Causes:
    if nothing_new(referral, event):
        return ()
    found: list[Cause] = [Cause.BOOKED]
    if referral.dispatch in _NOT_YET_ACCEPTED:
        found.append(Cause.ACCEPTED)  # an office that books has accepted
    return (*found, *authorizing.booked(referral, starts(event), policy))


def _unbooked(
    referral: Referral,
    event: AppointmentCancelled | AppointmentVoided | PatientMissed,
    cause: Cause,
    policy: Policy,
) -> Causes:
    """The time in force was given up, or was none."""
    if is_another(referral, event.appointment):
        return ()
    return (cause, *authorizing.unbooked(referral, event.at, policy))


def counted(event: ReportReceived) -> Finality:
    """How finished a document counts: one of a kind that closes nothing is knowledge on the way, however final."""
    return Finality.PRELIMINARY if event.finality in _FINISHED and not event.closes else event.finality


def _is_known(referral: Referral, event: ReportReceived) -> bool:
    """Whether the same document came by the same message, or the same words in the same state by any other.

    Words that were taken back since are new when they come again.
    """
    finality = counted(event)
    for known in reversed(referral.documents):
        same_message = known.message == event.message and known.document == event.document
        if known.finality is finality and same_message:
            return True
        if known.finality is Finality.RETRACTED and known.message != event.message:
            return False
        if known.finality is finality and event.content and known.content == event.content:
            return True
    return False


def _reported(referral: Referral, event: ReportReceived) -> Causes:
    if nothing_new(referral, event):
        return ()
    finality = counted(event)
    if finality is Finality.PRELIMINARY and not event.closes and referral.note in NOTE_IN:
        return ()  # another kind of document beside the note: remembered, and nothing waits for it
    if finality is Finality.RETRACTED and referral.note in NOTE_IN and _was_never_finished(referral, event.document):
        return ()  # what stood beside the note is taken back: the note stands
    accepts = referral.dispatch in _NOT_YET_ACCEPTED and finality is not Finality.RETRACTED
    return (NOTES[finality], Cause.ACCEPTED) if accepts else (NOTES[finality],)


def _was_never_finished(referral: Referral, document: Identifier) -> bool:
    """Whether a document that is known here was on the way at most, and another is the note."""
    states = [known.finality for known in referral.documents if document and known.document.value == document.value]
    return Finality.PRELIMINARY in states and not any(state in _FINISHED for state in states)


def is_superseded(referral: Referral, event: ReportReceived) -> bool:
    """Whether what is taken back was replaced before by a document that stands: the note stays in, a person looks."""
    if event.finality is not Finality.RETRACTED or not event.document:
        return False
    number = event.document.value
    newest = next((known for known in reversed(referral.documents) if known.finality in _FINISHED), None)
    return (
        newest is not None
        and not newest.adds
        and newest.document.value != number
        and newest.replaces.value == number
        and referral.note in NOTE_IN
    )


def is_another(referral: Referral, appointment: Identifier) -> bool:
    """Whether an appointment message names another time than the one in force, an older one or one nobody told us."""
    slot = referral.slot
    if slot is None or not appointment or not slot.appointment:
        return False
    return slot.appointment.value != appointment.value


def is_unheard_of(referral: Referral, appointment: Identifier) -> bool:
    """Whether it is one that nobody told us: the office may have numbered anew, or mean another visit."""
    return is_another(referral, appointment) and not _is_older(referral, appointment)


def _is_older(referral: Referral, appointment: Identifier) -> bool:
    """Whether an appointment message speaks of an older slot than the one in force."""
    known = any(one.appointment.value == appointment.value for one in referral.slots)
    return known and is_another(referral, appointment)


_SETTLED: Final = {
    Outcome.DELIVERED: Cause.PACKET_RECEIVED,
    Outcome.HANDED_OVER: Cause.PACKET_SENT,
    Outcome.UNKNOWN: Cause.PACKET_SENT,
}


def _settled(referral: Referral, event: DeliverySettled, policy: Policy) -> Causes:
    if event.to is Recipient.SPECIALIST and event.purpose in ORDERS:
        return _packet(referral, event, policy)
    if event.to is Recipient.EHR and event.purpose is Purpose.CLOSURE:
        begun = referral.moments.closing_at
        newest = begun is None or event.owed_at is None or event.owed_at >= begun
        return (Cause.CLOSURE_ACCEPTED,) if newest and event.outcome is Outcome.DELIVERED else ()
    if event.to is Recipient.PATIENT and event.purpose in TO_PATIENT:
        return _prompted(event)
    return ()


def _packet(referral: Referral, event: DeliverySettled, policy: Policy) -> Causes:
    """What became of the packet on one way of the ladder: only the way in force can fail it, any may bring it."""
    if event.outcome is Outcome.FAILED:
        if way_of(event) != referral.way:
            return ()  # it failed for good on a way that was left already
        return (Cause.FALLBACK if _may_fall_back(referral, policy) else Cause.PACKET_FAILED,)
    if referral.dispatch is Dispatch.HELD and referral.moments.queued_at is not None and event.outcome in _SETTLED:
        return (Cause.OUTRAN_HOLD,)
    if event.outcome is Outcome.DELIVERED and referral.dispatch is Dispatch.RECEIVED:
        return ()  # it came by another way too, or once more: nobody is told twice
    return (_SETTLED[event.outcome],) if event.outcome in _SETTLED else ()


def way_of(event: DeliverySettled) -> int:
    """Which of the channel's ways a packet took: 0 is the first; what was told before there were several says 0."""
    return event.way or int(event.purpose is Purpose.FALLBACK_ORDER)


def _prompted(event: DeliverySettled) -> Causes:
    if event.outcome is Outcome.FAILED:
        return (Cause.NO_WAY_TO_REACH,)
    return (Cause.PROMPT_DELIVERED,) if event.outcome is Outcome.DELIVERED else ()


def _may_fall_back(referral: Referral, policy: Policy) -> bool:
    """Whether the next way is taken: never by a packet that the payer has denied, or must be asked about first."""
    waits = referral.dispatch in _NOT_YET_RECEIVED and referral.closure is Closure.OPEN
    return waits and referral.way < policy.fallbacks and referral.authorization not in _NOT_AUTHORIZED


def _passed(referral: Referral, event: DeadlinePassed, policy: Policy) -> Causes:
    match event.kind:
        case Kind.DELIVERED:
            return (Cause.FALLBACK,) if _may_fall_back(referral, policy) else ()
        case Kind.PATIENT_PROMPT:
            return (Cause.PROMPT_QUEUED if can_reach(referral) else Cause.NO_WAY_TO_REACH,)
        case Kind.VISIT_CHECK:
            return (Cause.VISIT_TIME_PASSED,)
        case Kind.NOTE_REQUEST:
            return (Cause.NOTE_REQUESTED,)
        case Kind.NOTE_PING if not policy.capabilities.can_send_notes:
            return (Cause.NOTE_REQUESTED,)  # nobody would answer a ping: the records are asked for at once
        case Kind.AUTHORIZATION_ENDS:
            return (Cause.AUTHORIZATION_EXPIRED,)
        case _:
            return ()


def can_reach(referral: Referral) -> bool:
    """Whether the engine itself may write to the patient: consent and a mobile number, or a portal."""
    patient = referral.patient
    if patient.deceased or referral.outreach is Outreach.OPTED_OUT:
        return patient.portal and not patient.deceased
    return (patient.sms_consent and patient.phone_is_mobile and bool(patient.phone)) or patient.portal


def _answered(referral: Referral, event: PatientAnswered) -> Causes:
    asked = referral.appointment is Appointment.PASSED
    match event.answer:
        case Answer.YES:
            return (Cause.PATIENT_REACHED, Cause.ATTENDED) if asked else (Cause.PATIENT_REACHED,)
        case Answer.NO:
            return (Cause.PATIENT_REACHED, Cause.MISSED) if asked else (Cause.PATIENT_REACHED,)
        case Answer.STOP:
            return (Cause.OPTED_OUT,)
        case Answer.START:
            return (Cause.OPTED_IN,)
        case Answer.OTHER:
            return (Cause.PATIENT_REACHED,)
        case _:
            assert_never(event.answer)
