"""What is owed once evidence is undone: everyone who was told hears what holds, by one literal table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from referral_engine.loop.effects import ORDERS, CloseTasks, Effect, OpenTask, Purpose, Recipient, Send, TaskKind
from referral_engine.loop.events import EvidenceUndone
from referral_engine.loop.referral import Document, Finality, Referral
from referral_engine.loop.responses import to_ehr, to_patient, to_specialist
from referral_engine.loop.states import NOTE_IN, Appointment, Authorization, Closure, Dispatch, Note, Outreach

RE_OPENED: Final = "re-opened"  # the word of a status that takes an end back
TAKEN_BACK: Final = "taken back"  # the word of a notice that takes another back
UNDONE: Final = "undone"  # the word of a retraction that we, not the sender, have caused

Correction = Callable[[Referral, Referral, Send, EvidenceUndone], Iterator[Effect]]

# What an appointment message says where the track stands.
_CHANGES: Final[Mapping[Appointment, str]] = {
    Appointment.NONE: "voided",
    Appointment.BOOKED: "booked",
    Appointment.CANCELLED: "cancelled",
    Appointment.NO_SHOW: "no-show",
    Appointment.PASSED: "booked",
    Appointment.KEPT: "attended",
}
_AGREED: Final[Mapping[Dispatch, str]] = {Dispatch.RECEIVED: "received", Dispatch.ACCEPTED: "accepted"}
_FILED: Final = (Finality.FINAL, Finality.CORRECTED)


def corrections(before: Referral, event: EvidenceUndone) -> tuple[Effect, ...]:
    """What an undoing owes: `before` is the referral as it was believed to stand."""
    after = event.restored
    owed: dict[Effect, None] = {}
    if event.pointless:
        owed[CloseTasks(kinds=event.pointless)] = None
    for send in event.told:
        correct = _CORRECTIONS.get((send.to, send.purpose), _nobody_need_know)
        owed |= dict.fromkeys(correct(before, after, send, event))
    owed |= dict.fromkeys(_under_way(after, event))
    if not after.is_over:
        owed |= dict.fromkeys(event.wanted)
    return tuple(owed)


def speaks_of_what_was(send: Send) -> bool:
    """Whether a correction is written from the referral as it was: it names the document or the slot that is undone."""
    return send.purpose is Purpose.RETRACTION or (send.purpose is Purpose.APPOINTMENT and send.about == "voided")


def _note_taken_back(before: Referral, after: Referral, send: Send, event: EvidenceUndone) -> Iterator[Effect]:
    """A note that was filed in the EHR: it is retracted there, and the one that it had replaced is filed again."""
    if send.message not in event.taken_back:
        return
    yield to_ehr(Purpose.RETRACTION, UNDONE, send.message)
    if send.purpose is Purpose.CORRECTION and send.about != "addition":
        yield from _note_restored(before, after, send, event)


def _note_restored(_: Referral, after: Referral, __: Send, ___: EvidenceUndone) -> Iterator[Effect]:
    """A note that was retracted in the EHR by mistake: it is filed there once more."""
    newest = _newest_note(after)
    if newest is not None:
        yield to_ehr(Purpose.CLOSURE, "note", newest.message)


def _appointment(before: Referral, after: Referral, _: Send, __: EvidenceUndone) -> Iterator[Effect]:
    """The EHR's calendar: a time that was never ours is voided, the one in force is said again."""
    gone = before.slot is not None and before.slot not in after.slots
    same_number = after.slot is not None and before.slot is not None and bool(after.slot.appointment) and (
        after.slot.appointment == before.slot.appointment
    )  # fmt: skip
    change = _CHANGES[after.appointment]
    if change == "voided" or (gone and not same_number):
        yield to_ehr(Purpose.APPOINTMENT, "voided")
    if change == "booked" and len(after.slots) > 1:
        change = "moved"
    if change != "voided":
        yield to_ehr(Purpose.APPOINTMENT, change)


def _status(_: Referral, after: Referral, send: Send, __: EvidenceUndone) -> Iterator[Effect]:
    """The EHR's order: where it stands, unless that is what it was told."""
    word = status_of(after)
    if word != send.about:
        yield to_ehr(Purpose.STATUS, word)


def status_of(referral: Referral) -> str:
    """The word for the ordering side that holds now."""
    if referral.closure is Closure.ENDED:
        return referral.ending.value if referral.ending else "ended"
    if referral.note is Note.INTERIM:
        return "preliminary note"
    return _AGREED.get(referral.dispatch, RE_OPENED)


def _notice(_: Referral, after: Referral, send: Send, __: EvidenceUndone) -> Iterator[Effect]:
    """The ordering provider's in-basket: unless it is so all the same."""
    still = (
        (send.about == "no-show" and after.appointment is Appointment.NO_SHOW)
        or (send.about == "declined" and after.dispatch is Dispatch.DECLINED)
        or (send.about.startswith("authorization denied") and after.authorization is Authorization.DENIED)
    )
    if not still:
        yield to_ehr(Purpose.PROVIDER_NOTICE, TAKEN_BACK)


def _order_again(_: Referral, after: Referral, __: Send, ___: EvidenceUndone) -> Iterator[Effect]:
    """The office was told to cancel: it gets the packet again, and somebody makes sure."""
    if after.closure is Closure.OPEN and after.dispatch is not Dispatch.HELD:
        yield _order(after)
        reason = "the office was told to cancel by mistake: make sure that it takes the patient all the same"
        yield OpenTask(kind=TaskKind.CALL_SPECIALIST, reason=reason, urgent=True)


def _change_again(_: Referral, after: Referral, __: Send, ___: EvidenceUndone) -> Iterator[Effect]:
    """The office was told of a change that was none: it gets the order as it stands."""
    if not after.is_over and after.dispatch is not Dispatch.HELD:
        yield to_specialist(Purpose.ORDER_CHANGE, after.order.message)


def _never_ours(_: Referral, after: Referral, send: Send, __: EvidenceUndone) -> Iterator[Effect]:
    """The office was sent what it should not have: a person tells it."""
    if after.dispatch is Dispatch.HELD or after.is_over:
        reason = f"{send.purpose.value} was sent because of evidence that is undone: tell the office"
        yield OpenTask(kind=TaskKind.CALL_SPECIALIST, reason=reason, urgent=True)


def _call(_: Referral, after: Referral, send: Send, __: EvidenceUndone) -> Iterator[Effect]:
    """The patient read something that was not so: only a person can put that right."""
    if not after.patient.deceased:
        reason = f"the patient was sent a {send.purpose.value} that was a mistake: call, and say what holds"
        yield OpenTask(kind=TaskKind.CALL_PATIENT, reason=reason)


def _tell(_: Referral, __: Referral, send: Send, ___: EvidenceUndone) -> Iterator[Effect]:
    """No message takes it back: a person does."""
    reason = f"{send.to.value} was sent a {send.purpose.value} because of evidence that is undone: tell them"
    yield OpenTask(kind=TaskKind.ANOMALY, reason=reason)


def _nobody_need_know(_: Referral, __: Referral, ___: Send, ____: EvidenceUndone) -> Iterator[Effect]:
    """A question, a reminder among offices, a post to the team: it says nothing that anyone acts on."""
    return iter(())


# fmt: off
_CORRECTIONS: Final[Mapping[tuple[Recipient, Purpose], Correction]] = {
    (Recipient.EHR,        Purpose.CLOSURE):               _note_taken_back,
    (Recipient.EHR,        Purpose.CORRECTION):            _note_taken_back,
    (Recipient.EHR,        Purpose.RETRACTION):            _note_restored,
    (Recipient.EHR,        Purpose.APPOINTMENT):           _appointment,
    (Recipient.EHR,        Purpose.STATUS):                _status,
    (Recipient.EHR,        Purpose.PROVIDER_NOTICE):       _notice,
    (Recipient.SPECIALIST, Purpose.CANCEL):                _order_again,
    (Recipient.SPECIALIST, Purpose.ORDER_CHANGE):          _change_again,
    (Recipient.SPECIALIST, Purpose.ORDER):                 _never_ours,
    (Recipient.SPECIALIST, Purpose.FALLBACK_ORDER):        _never_ours,
    (Recipient.PATIENT,    Purpose.PROMPT):                _call,
    (Recipient.PATIENT,    Purpose.REMINDER):              _call,
    (Recipient.PATIENT,    Purpose.ATTENDED_PROMPT):       _call,
    (Recipient.PATIENT,    Purpose.RESCHEDULE_PROMPT):     _call,
    (Recipient.PAYER,      Purpose.AUTHORIZATION_REQUEST): _tell,
    (Recipient.BILLING,    Purpose.BILLING_NOTICE):        _tell,
}
# fmt: on


def _under_way(after: Referral, event: EvidenceUndone) -> Iterator[Effect]:
    """What the restored state waits for, where what was undone had stopped it or put something else in its place."""
    standing = event.standing
    if (
        after.dispatch is Dispatch.QUEUED
        and after.closure is Closure.OPEN
        and not any(send.purpose in ORDERS for send in standing)
    ):
        yield _order(after)
    asks = after.outreach is Outreach.QUEUED and after.closure is Closure.OPEN and not after.patient.deceased
    if asks and not any(send.purpose is Purpose.PROMPT for send in standing):
        yield to_patient(Purpose.PROMPT)
    newest = _newest_note(after)
    if after.closure is Closure.CLOSING and newest is not None:
        closure = to_ehr(Purpose.CLOSURE, "note", newest.message)
        if not any(send.purpose is Purpose.CLOSURE and send.message == newest.message for send in standing):
            yield closure
    if after.closure is Closure.CANCEL_REQUESTED and not any(send.purpose is Purpose.CANCEL for send in standing):
        yield to_specialist(Purpose.CANCEL)


def _order(after: Referral) -> Send:
    return to_specialist(Purpose.FALLBACK_ORDER if after.way else Purpose.ORDER, after.order.message)


def _newest_note(after: Referral) -> Document | None:
    """The finished note in force; None when there is none."""
    if after.note not in NOTE_IN:
        return None
    return next((known for known in reversed(after.documents) if known.finality in _FILED), None)
