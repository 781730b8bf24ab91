"""What people do and say: tasks claimed and done with what was learned, and patients' replies; all through the door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from referral_engine.flow.apply import apply
from referral_engine.flow.inputs import PatientReplied, Receipt, TaskClaimed, TaskDone
from referral_engine.flow.poison import release
from referral_engine.flow.turn import Turn
from referral_engine.journal.rows import Disposition, TaskRow, TaskState
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
from referral_engine.loop.states import Ending

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
            at=at, by=by, approved=True, number=done.authorized, expires_on=done.authorization_expires_on
        )
    if done.release:
        yield HoldReleased(at=at, by=by, reason="released by a person")
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
