"""What people and patients did, out of the journal's events and decisions: acts that a replay does again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from referral_engine.base.values import replace
from referral_engine.flow.inputs import TaskDone
from referral_engine.journal.codec import decode_event
from referral_engine.journal.traffic import Ruled, Said
from referral_engine.loop.events import (
    Answer,
    AppointmentBooked,
    AuthorizationRecorded,
    CancelConfirmed,
    Event,
    EvidenceUndone,
    HoldReleased,
    MatchConfirmed,
    PatientAnswered,
    PatientAttended,
    PatientMissed,
    ReferralEnded,
    TaskClosed,
)

PATIENT: Final = "patient"
_USER: Final = "user:"


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A person did a task of a referral, and said what they learned; `done` names no task yet."""

    at: int
    referral: str
    kind: str
    done: TaskDone


class Replied(msgspec.Struct, frozen=True, kw_only=True):
    """A patient answered."""

    at: int
    referral: str
    by: str
    answer: str


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """A person confirmed a provisional match."""

    at: int
    message: int
    by: str
    reason: str


class TakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """A person took what messages said off a referral."""

    at: int
    referral: str
    messages: tuple[int, ...]
    by: str
    reason: str


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A person said whose message it is; referral "": nobody's."""

    at: int
    message: int
    part: int
    referral: str
    by: str
    reason: str


Act = Finished | Replied | Confirmed | TakenBack | Decided


def acts_of(said: Iterable[Said]) -> Iterator[tuple[int, Act]]:
    """The acts behind events, each with the number of the event that ends it.

    What a person learned doing a task stands before the event that closes it, at the same instant.
    """
    learned: list[tuple[Said, Event]] = []
    for one in said:
        if one.kind in _NO_ACTS:
            continue
        event = decode_event(one.kind, one.body)
        if isinstance(event, TaskClosed):
            mine = [each for row, each in learned if _same(row, one)]
            learned = [(row, each) for row, each in learned if not _same(row, one)]
            yield one.sequence, _finished(one, event, mine)
            continue
        if one.message and isinstance(event, MatchConfirmed):
            yield one.sequence, Confirmed(at=one.at, message=one.message, by=_name(one.by), reason="as confirmed then")
        elif isinstance(event, EvidenceUndone) and one.by.startswith(_USER):
            yield (
                one.sequence,
                TakenBack(
                    at=one.at, referral=one.referral, messages=event.taken_back, by=_name(one.by), reason="as then"
                ),
            )
        elif isinstance(event, PatientAnswered) and _by_itself(one, event):
            yield (
                one.sequence,
                Replied(at=one.at, referral=one.referral, by=one.by, answer=event.answer.value),
            )
        elif not one.message:
            learned.append((one, event))


_NO_ACTS: Final = frozenset({"ReferralOrdered", "DeliverySettled", "ClocksMigrated"})


def rulings_of(ruled: Iterable[Ruled]) -> Iterator[Decided]:
    """The acts behind decisions about messages."""
    for one in ruled:
        yield Decided(
            at=one.at, message=one.message, part=one.part, referral=one.referral, by=_name(one.by), reason=one.reason
        )


def _by_itself(one: Said, event: PatientAnswered) -> bool:
    """Whether the patient spoke, and not a person who reached them."""
    return not one.message and (one.by == PATIENT or event.answer is not Answer.OTHER)


def _same(one: Said, other: Said) -> bool:
    return (one.referral, one.at, one.by) == (other.referral, other.at, other.by)


def _name(by: str) -> str:
    return by.removeprefix(_USER)


def _finished(row: Said, closed: TaskClosed, learned: list[Event]) -> Finished:
    """One task with everything that was learned doing it."""
    facts: dict[str, object] = {}
    for event in learned:
        match event:
            case AuthorizationRecorded(approved=True):
                facts |= {
                    "authorized": event.number,
                    "authorization_begins_on": event.begins_on,
                    "authorization_expires_on": event.expires_on,
                    "authorization_visits": event.visits,
                }
            case AuthorizationRecorded():
                facts["denied"] = True
            case HoldReleased():
                facts["waive" if event.waives_denial else "release"] = True
            case PatientAnswered():
                facts["patient_reached"] = True
            case AppointmentBooked(starts_at=starts_at):
                facts["booked"] = starts_at
            case PatientAttended() | PatientMissed():
                facts["attended"] = isinstance(event, PatientAttended)
            case CancelConfirmed():
                facts["cancel_confirmed"] = True
            case ReferralEnded(ending=ending):
                facts["end"] = ending
            case _:
                pass  # nothing else is learned doing a task
    done = replace(TaskDone(task=0, by=row.by, note=closed.reason), **facts)
    return Finished(at=row.at, referral=row.referral, kind=closed.kind.value, done=done)
