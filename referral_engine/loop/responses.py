"""What is owed: one small function for each state entered and each clock that passes, as two literal tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from referral_engine.loop import payer
from referral_engine.loop.causes import can_reach
from referral_engine.loop.effects import (
    NOTICES_TO_SPECIALIST,
    ORDERS,
    TO_PATIENT,
    WITH_ORDER,
    CloseTasks,
    Effect,
    OpenTask,
    Purpose,
    Recipient,
    Send,
    TaskKind,
    Withdraw,
)
from referral_engine.loop.policy import Kind, Policy
from referral_engine.loop.referral import Document, Finality, Referral
from referral_engine.loop.states import Appointment, Authorization, Closure, Dispatch, Ending, Note, Outreach, State
from referral_engine.loop.tracks import Cause

GAP: Final = "interoperability gap"  # how a task's reason begins where an office cannot, or does not, send notes
Effects = tuple[Effect, ...]
Entering = Callable[[Referral, Cause, Policy], Effects]
Passing = Callable[[Referral, int, Policy], Effects]  # the stage of the clock, from 0


def to_ehr(purpose: Purpose, about: str = "", message: int = 0) -> Send:
    """A message back to the ordering side."""
    return Send(to=Recipient.EHR, purpose=purpose, about=about, message=message)


def to_specialist(purpose: Purpose, message: int = 0) -> Send:
    """Something for the specialist's office, by the channel's own way."""
    return Send(to=Recipient.SPECIALIST, purpose=purpose, message=message)


def to_patient(purpose: Purpose, about: str = "") -> Send:
    """A text for the patient: no diagnosis, specialty or clinic name."""
    return Send(to=Recipient.PATIENT, purpose=purpose, about=about)


def task(kind: TaskKind, reason: str, *, urgent: bool = False) -> OpenTask:
    """Something only a person can do."""
    return OpenTask(kind=kind, reason=reason, urgent=urgent)


_WITHOUT_ORDERS: Final = Withdraw(purposes=ORDERS)
_WITHOUT_ORDER: Final = Withdraw(purposes=WITH_ORDER)
_WITHOUT_TEXTS: Final = Withdraw(purposes=TO_PATIENT)
_WITHOUT_QUESTION: Final = Withdraw(purposes=frozenset({Purpose.ATTENDED_PROMPT}))
_WITHOUT_CHASING: Final = Withdraw(purposes=NOTICES_TO_SPECIALIST | {Purpose.ATTENDED_PROMPT})
_WITHOUT_NOTE: Final = Withdraw(purposes=frozenset({Purpose.CLOSURE, Purpose.CORRECTION}))
_WITHOUT_NOTICES: Final = Withdraw(purposes=TO_PATIENT | NOTICES_TO_SPECIALIST)
_WITHOUT_ANYTHING: Final = Withdraw(purposes=TO_PATIENT | NOTICES_TO_SPECIALIST | WITH_ORDER)


def _done(*kinds: TaskKind) -> CloseTasks:
    return CloseTasks(kinds=frozenset(kinds))


def _done_but(*kinds: TaskKind) -> CloseTasks:
    return CloseTasks(kinds=frozenset(TaskKind) - frozenset(kinds))


_RELEASED: Final = _done(TaskKind.PREAUTH, TaskKind.BILLING, TaskKind.UNDELIVERABLE)
_DELIVERED: Final = _done(TaskKind.UNDELIVERABLE, TaskKind.UNKNOWN_DELIVERY)
_ANSWERED: Final = _done(TaskKind.CALL_SPECIALIST, TaskKind.UNDELIVERABLE, TaskKind.UNKNOWN_DELIVERY)
_SCHEDULED: Final = _done(
    TaskKind.SCHEDULE, TaskKind.CALL_SPECIALIST, TaskKind.NO_SHOW_REVIEW, TaskKind.STALE, TaskKind.CALL_PATIENT
)
_ATTENDED: Final = _done(TaskKind.CALL_PATIENT, TaskKind.NO_SHOW_REVIEW)
_NOTE_IN: Final = _done(TaskKind.CHASE_NOTE, TaskKind.RECORDS_REQUEST)  # a wrong patient is for a person to clear
_CLOSED: Final = _done_but(TaskKind.WRONG_PATIENT, TaskKind.MATCH_REVIEW, TaskKind.ANOMALY)
_ENDED: Final = _done_but(TaskKind.WRONG_PATIENT, TaskKind.MATCH_REVIEW, TaskKind.FIND_SPECIALIST, TaskKind.ANOMALY)


def _packet_queued(referral: Referral, cause: Cause, _: Policy) -> Effects:
    fallback = cause is Cause.FALLBACK
    purpose = Purpose.FALLBACK_ORDER if fallback else Purpose.ORDER
    order = to_specialist(purpose, referral.order.message)
    return (_WITHOUT_ORDERS, order, _RELEASED) if fallback else (order, _RELEASED)


def _packet_received(referral: Referral, cause: Cause, _: Policy) -> Effects:
    if cause is not Cause.PACKET_RECEIVED or referral.is_over:
        return ()
    return (to_ehr(Purpose.STATUS, "received"), _DELIVERED, _WITHOUT_ORDERS)  # the other way's packet, if it waits


def _accepted(referral: Referral, cause: Cause, _: Policy) -> Effects:
    if cause is not Cause.ACCEPTED or referral.is_over:
        return ()
    return (to_ehr(Purpose.STATUS, "accepted"), _ANSWERED)


def _declined(referral: Referral, _: Cause, __: Policy) -> Effects:
    if referral.ending is not Ending.DECLINED:
        return ()  # it came after the outcome, or after another end: an anomaly at most
    return (
        to_ehr(Purpose.PROVIDER_NOTICE, "declined"),
        task(TaskKind.FIND_SPECIALIST, "the specialist declined: choose another"),
    )


def _undeliverable(referral: Referral, _: Cause, __: Policy) -> Effects:
    told = task(TaskKind.UNDELIVERABLE, "the packet could not be delivered to the specialist")
    return () if referral.is_over else (told,)


def _held_again(_: Referral, cause: Cause, __: Policy) -> Effects:
    return (_WITHOUT_ORDER,) if cause is Cause.HELD_AGAIN else ()


def _unreachable(_: Referral, __: Cause, ___: Policy) -> Effects:
    return (task(TaskKind.CALL_PATIENT, "no consented number or portal, or the message bounced"),)


def _prompt_queued(_: Referral, cause: Cause, __: Policy) -> Effects:
    return (to_patient(Purpose.PROMPT),) if cause is Cause.PROMPT_QUEUED else ()


def _opted_out(_: Referral, cause: Cause, __: Policy) -> Effects:
    return (_WITHOUT_TEXTS,) if cause is Cause.OPTED_OUT else ()


def _booked(referral: Referral, _: Cause, __: Policy) -> Effects:
    change = "booked" if len(referral.slots) < 2 else "moved"  # the second slot is the first move
    return (_WITHOUT_TEXTS, to_ehr(Purpose.APPOINTMENT, change), _SCHEDULED)  # no prompt, no reminder of the old time


def _unbooked(_: Referral, cause: Cause, __: Policy) -> Effects:
    about = {Cause.UNBOOKED: "cancelled", Cause.VOIDED: "voided"}.get(cause)
    return (_WITHOUT_TEXTS, to_ehr(Purpose.APPOINTMENT, about)) if about else ()


def _no_show(referral: Referral, _: Cause, policy: Policy) -> Effects:
    told: Effects = (to_ehr(Purpose.APPOINTMENT, "no-show"), to_ehr(Purpose.PROVIDER_NOTICE, "no-show"))
    if referral.rounds.no_show <= policy.no_show_attempts and can_reach(referral):
        return (*told, to_patient(Purpose.RESCHEDULE_PROMPT))
    return (*told, task(TaskKind.NO_SHOW_REVIEW, "no-show: a clinical decision is needed"))


def _kept(_: Referral, __: Cause, ___: Policy) -> Effects:
    return (to_ehr(Purpose.APPOINTMENT, "attended"), _WITHOUT_QUESTION, _ATTENDED)


def _note_requested(_: Referral, __: Cause, policy: Policy) -> Effects:
    reason = "no note: request the records by fax or exchange"
    if not policy.capabilities.can_send_notes:
        reason = f"{GAP}: this office cannot send notes, request the records by fax or exchange"
    return (to_specialist(Purpose.RECORDS_REQUEST), task(TaskKind.RECORDS_REQUEST, reason))


def _interim(_: Referral, __: Cause, ___: Policy) -> Effects:
    return (to_ehr(Purpose.STATUS, "preliminary note"),)


def _note_in(referral: Referral, cause: Cause, _: Policy) -> Effects:
    """A finished note: closing sends it; after the closure was sent a further one goes out as a correction."""
    newest = referral.documents[-1]
    later = [known for known in referral.documents[:-1] if known.finality is not Finality.PRELIMINARY]
    informed_before = bool(later) and later[-1].finality is not Finality.RETRACTED
    if informed_before and referral.closure in (Closure.CLOSED, Closure.CLOSING):
        about = _stands(newest, later, cause)
        return (to_ehr(Purpose.CORRECTION, about, newest.message), _NOTE_IN, _WITHOUT_CHASING)
    return (to_ehr(Purpose.CLOSURE, "note", newest.message), _NOTE_IN, _WITHOUT_CHASING)


def _stands(newest: Document, earlier: list[Document], cause: Cause) -> str:
    """How a further note stands to those before it: beside them, in the place of one, or corrected."""
    if newest.adds:
        return "addition"
    if cause is not Cause.NOTE_FINAL:
        return "correction"
    same_number = bool(newest.document) and any(newest.document == known.document for known in earlier)
    return "replacement" if same_number else "addition"


def _retracted(referral: Referral, _: Cause, __: Policy) -> Effects:
    newest = referral.documents[-1].message
    alarm = task(TaskKind.WRONG_PATIENT, "the note was taken back: check both charts", urgent=True)
    return (_WITHOUT_NOTE, to_ehr(Purpose.RETRACTION, "retracted", newest), alarm)


def _closed(_: Referral, cause: Cause, __: Policy) -> Effects:
    if cause is not Cause.CLOSURE_ACCEPTED:
        return ()
    return (_CLOSED, _WITHOUT_NOTICES)


def _cancel_asked(_: Referral, cause: Cause, __: Policy) -> Effects:
    if cause is not Cause.CANCEL_ASKED:
        return ()
    return (_WITHOUT_ORDER, to_specialist(Purpose.CANCEL), _WITHOUT_TEXTS)


def _ended(referral: Referral, _: Cause, __: Policy) -> Effects:
    return (_WITHOUT_ANYTHING, to_ehr(Purpose.STATUS, referral.ending.value if referral.ending else "ended"), _ENDED)


ENTERING: Final[Mapping[str, Mapping[State, Entering]]] = {
    "authorization": {
        Authorization.NOT_REQUIRED: payer.not_required,
        Authorization.REQUIRED: payer.required,
        Authorization.PENDING: payer.pending,
        Authorization.APPROVED: payer.approved,
        Authorization.DENIED: payer.denied,
        Authorization.EXPIRED: payer.expired,
    },
    "dispatch": {
        Dispatch.HELD: _held_again,
        Dispatch.QUEUED: _packet_queued,
        Dispatch.RECEIVED: _packet_received,
        Dispatch.ACCEPTED: _accepted,
        Dispatch.DECLINED: _declined,
        Dispatch.UNDELIVERABLE: _undeliverable,
    },
    "outreach": {
        Outreach.QUEUED: _prompt_queued,
        Outreach.UNREACHABLE: _unreachable,
        Outreach.OPTED_OUT: _opted_out,
    },
    "appointment": {
        Appointment.BOOKED: _booked,
        Appointment.CANCELLED: _unbooked,
        Appointment.NONE: _unbooked,
        Appointment.NO_SHOW: _no_show,
        Appointment.KEPT: _kept,
    },
    "note": {
        Note.REQUESTED: _note_requested,
        Note.INTERIM: _interim,
        Note.FINAL: _note_in,
        Note.CORRECTED: _note_in,
        Note.RETRACTED: _retracted,
    },
    "closure": {
        Closure.CANCEL_REQUESTED: _cancel_asked,
        Closure.CLOSED: _closed,
        Closure.ENDED: _ended,
    },
}


def _reminder(hours: str) -> Passing:
    def remind(referral: Referral, _: int, __: Policy) -> Effects:
        return (to_patient(Purpose.REMINDER, hours),) if can_reach(referral) else ()

    return remind


def _confirm(referral: Referral, _: int, __: Policy) -> Effects:
    call = task(TaskKind.CALL_SPECIALIST, "the packet arrived and the office has not answered")
    if referral.authorization is Authorization.DENIED:
        return (call,)  # a second notice is the order once more
    return (to_specialist(Purpose.SECOND_NOTICE, referral.order.message), call)


def _schedule(_: Referral, __: int, ___: Policy) -> Effects:
    return (
        task(TaskKind.SCHEDULE, "the packet is out and nothing is booked"),
        to_ehr(Purpose.TASK, "schedule"),
        Send(to=Recipient.TEAM, purpose=Purpose.TEAM_POST, about="schedule"),
    )


def _visit_check(_: Referral, __: int, policy: Policy) -> Effects:
    return (to_specialist(Purpose.STATUS_CHECK),) if policy.capabilities.can_confirm else ()


def _attended(referral: Referral, _: int, __: Policy) -> Effects:
    if can_reach(referral):
        return (to_patient(Purpose.ATTENDED_PROMPT),)
    return (task(TaskKind.CALL_PATIENT, "ask whether the visit took place"),)


def _note_ping(_: Referral, stage: int, policy: Policy) -> Effects:
    if not policy.capabilities.can_send_notes:
        return ()  # moves the note track, which asks for the records
    ping: Effects = (to_specialist(Purpose.NOTE_PING),)
    return (*ping, task(TaskKind.CHASE_NOTE, "the visit is over and no note has come")) if stage else ping


def _note_physician(_: Referral, __: int, ___: Policy) -> Effects:
    gap = task(TaskKind.RECORDS_REQUEST, f"{GAP}: no note has come although the records were requested")
    return (to_ehr(Purpose.PROVIDER_NOTICE, "no note"), gap)


def _asks(kind: TaskKind, reason: str) -> Passing:
    return lambda _, __, ___: (task(kind, reason),)


# fmt: off
PASSING: Final[Mapping[Kind, Passing]] = {
    Kind.PATIENT_PROMPT:      lambda _, __, ___: (),  # moves outreach, which does the rest
    Kind.PATIENT_PROMPT_LATE: _asks(TaskKind.CALL_PATIENT, "the patient has not been notified"),
    Kind.DELIVERED:           _asks(TaskKind.UNDELIVERABLE, "the packet has not been delivered in time"),
    Kind.CONFIRM:             _confirm,
    Kind.SCHEDULE:            _schedule,
    Kind.OPEN_30:             _asks(TaskKind.STALE, "still open"),
    Kind.REMIND_72H:          _reminder("72 hours"),
    Kind.REMIND_24H:          _reminder("24 hours"),
    Kind.VISIT_CHECK:         _visit_check,
    Kind.ATTENDED:            _attended,
    Kind.ATTENDED_LATE:       _asks(TaskKind.CALL_PATIENT, "the patient has not said whether the visit took place"),
    Kind.NOTE_PING:           _note_ping,
    Kind.NOTE_WATCH:          lambda _, __, ___: (),  # the door matches parked messages again
    Kind.NOTE_REQUEST:        lambda _, __, ___: (),  # moves the note track, which does the rest
    Kind.NOTE_PHYSICIAN:      _note_physician,
    Kind.CLOSURE_ACCEPTED:    _asks(TaskKind.UNDELIVERABLE_EHR, "the EHR has not accepted the closure"),
    Kind.HOLD_REMIND:         payer.still_held,
    Kind.HOLD_BILLING:        payer.held_too_long,
    Kind.AUTHORIZATION_ENDS:  lambda _, __, ___: (),  # moves the authorization track, which does the rest
    Kind.CANCEL_CONFIRM:      _asks(TaskKind.CALL_SPECIALIST, "the office has not confirmed the cancellation"),
    Kind.REBOOK:              _asks(TaskKind.NO_SHOW_REVIEW, "no new appointment since the no-show"),
}
# fmt: on
