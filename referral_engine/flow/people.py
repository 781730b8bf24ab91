"""What people do and say: tasks claimed and done with what was learned, and patients' replies; all through the door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from referral_engine.flow.apply import apply
from referral_engine.flow.holding import STAFF
from referral_engine.flow.inputs import PatientReplied, Receipt, TaskClaimed, TaskDone
from referral_engine.flow.poison import release
from referral_engine.flow.turn import Turn
from referral_engine.journal.rows import Disposition, TaskRow, TaskState
from referral_engine.loop.authorizing import was_denied
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.events import (
    Answer,
    AppointmentBooked,
    AuthorizationRecorded,
    CancelConfirmed,
    Event,
    HoldReleased,
    PatientAnswered,
    PatientAttended,
    PatientMissed,
    ReferralEnded,
    TaskClosed,
)
from referral_engine.loop.states import Authorization, Ending

_ENDINGS: Final = frozenset(ending.value for ending in Ending)


def claim_task(turn: Turn, claimed: TaskClaimed) -> Receipt:
    """A person takes a task."""
    row = turn.unit.claim_task(claimed.task, claimed.by)
    if row is None:
        return Receipt(refused=f"task {claimed.task} is unknown, done, or another's")
    turn.audit(f"user:{claimed.by}", "claimed", f"task {claimed.task}")
    return Receipt()


def finish_task(turn: Turn, done: TaskDone) -> Receipt:
    """A person did a task; what they learned becomes events of its referral."""
    if done.end and done.end not in _ENDINGS:
        return Receipt(refused=f"{done.end!r} is not one of {', '.join(sorted(_ENDINGS))}")
    if done.booked is not None and done.booked.tzinfo is None:
        return Receipt(refused="the appointment's time has no zone")
    learned = tuple(_learned(turn, done))
    open_row = turn.unit.task(done.task)
    if open_row is not None and (refused := _refused(turn, done, open_row)):
        return Receipt(refused=refused)
    if open_row is not None and learned and not open_row.referral:
        return Receipt(refused=f"task {done.task} belongs to a message, not to a referral: it has nothing to record")
    if open_row is not None and _is_undecided(turn, open_row):
        return Receipt(refused=f"task {done.task} is a review: bind the message, dismiss it, or say what else it is")
    row = turn.unit.finish_task(done.task, done.by, done.note, turn.now_micros)
    if row is None:
        return Receipt(refused=f"task {done.task} is unknown or done already")
    turn.audit(f"user:{done.by}", "done", f"task {done.task}", row.kind)
    if row.kind == TaskKind.QUARANTINE.value and row.message:
        release(turn, row.message)  # a person has seen it: what waits behind it may pass
    referral = turn.unit.referral(row.referral) if row.referral else None
    if referral is None:
        return Receipt()
    closed = TaskClosed(at=turn.now, by=done.by, kind=TaskKind(row.kind), reason=done.note)
    for event in (*learned, closed):
        referral = apply(turn, referral, event, reason=f"task {row.kind}, by {done.by}").referral
    return Receipt()


def _refused(turn: Turn, done: TaskDone, row: TaskRow) -> str:
    """Why what a person says of the payer cannot be so; "" when it can, or nothing is said."""
    lets_go = done.release or done.waive
    if bool(done.authorized) + done.denied + done.release + done.waive > 1:
        return "approved, denied, released or waived: say one of them"
    if done.waive and not done.note.strip():
        return "a denial is waived with a reason: say it in the note"
    if done.authorized and not any(map(str.isdigit, done.authorized)):
        return "an authorization has a number, and this has no digit: say the payer's number"
    begins_on, expires_on = done.authorization_begins_on, done.authorization_expires_on
    if begins_on is not None and expires_on is not None and expires_on < begins_on:
        return "the authorization would end before it begins"
    referral = turn.unit.referral(row.referral) if row.referral and (lets_go or done.authorized) else None
    if referral is None:
        return ""
    is_denied = referral.authorization is Authorization.DENIED
    if is_denied and done.authorized and was_denied(referral, done.authorized):
        return "the payer denied that number: only a new authorization answers a denial"
    if is_denied and done.release:
        return "the payer denied it: only a new authorization's number, or a waiver with its reason, lets the packet go"
    if done.waive and not is_denied:
        return "the payer has not denied it: there is nothing to waive"
    channel = turn.channel(referral.channel)
    if lets_go and channel is not None and channel.hold is not None and STAFF not in channel.hold.released_by:
        return f"released_by of {channel.name} does not name staff: only an authorization's number lets it go"
    return ""


def _is_undecided(turn: Turn, row: TaskRow) -> bool:
    """Whether a task asks which referral a message belongs to, and nobody has said: closed, it would be forgotten."""
    if row.kind != TaskKind.MATCH_REVIEW.value or row.referral or not row.message or row.state is TaskState.DONE:
        return False
    message = turn.unit.message(row.message)
    return message is not None and message.disposition is Disposition.NEEDS_HUMAN and not message.purged_at


def _learned(turn: Turn, done: TaskDone) -> Iterator[Event]:
    at, by = turn.now, done.by
    if done.authorized:
        yield AuthorizationRecorded(
            at=at,
            by=by,
            approved=True,
            number=done.authorized.strip(),
            begins_on=done.authorization_begins_on,
            expires_on=done.authorization_expires_on,
            visits=done.authorization_visits,
        )
    if done.denied:
        yield AuthorizationRecorded(at=at, by=by, approved=False)
    if done.release or done.waive:
        yield HoldReleased(at=at, by=by, reason="released by a person", waives_denial=done.waive)
    if done.patient_reached:
        yield PatientAnswered(at=at, by=by, answer=Answer.OTHER)
    if done.booked is not None:
        yield AppointmentBooked(at=at, by=by, starts_at=done.booked)
    if done.attended is not None:
        yield PatientAttended(at=at, by=by) if done.attended else PatientMissed(at=at, by=by)
    if done.cancel_confirmed:
        yield CancelConfirmed(at=at, by=by)
    if done.end:
        yield ReferralEnded(at=at, by=by, reason=done.note, ending=done.end)


def hear_patient(turn: Turn, replied: PatientReplied) -> Receipt:
    """A patient's reply: five words are understood, all else is read by a person."""
    referral = turn.unit.referral(replied.referral)
    if referral is None:
        return Receipt(refused=f"there is no referral {replied.referral}")
    word = replied.answer.strip().upper()
    answer = Answer(word) if word in Answer.__members__ else Answer.OTHER
    event = PatientAnswered(at=turn.now, by=replied.by, answer=answer)
    apply(turn, referral, event, reason="the patient replied")
    if answer is Answer.OTHER:
        task = OpenTask(kind=TaskKind.CALL_PATIENT, reason="the patient wrote something a person must read")
        turn.open_task(task, referral=referral.id, channel=referral.channel)
    turn.audit(replied.by, "replied", f"referral {referral.id}", answer.value)
    return Receipt()
