"""What a decision owes, in the fewest words, and events that say only what matters."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from referral_engine.loop.effects import CloseTasks, OpenTask, Purpose, Recipient, Send, TaskKind, Withdraw
from referral_engine.loop.events import (
    Answer,
    AppointmentBooked,
    AppointmentCancelled,
    AuthorizationRecorded,
    DeadlinePassed,
    DeliverySettled,
    Outcome,
    PatientAnswered,
    ReportReceived,
)
from referral_engine.loop.policy import Kind
from referral_engine.loop.referral import Finality, Identifier
from referral_engine.loop.rules import Decision
from tests.builders import ORDERED_AT, number

Owed = tuple[Recipient, Purpose, str]

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
VISIT_AT = ORDERED_AT + 9 * DAY


def sends(decision: Decision) -> list[Owed]:
    return [(one.to, one.purpose, one.about) for one in decision.effects if isinstance(one, Send)]


def purposes(decision: Decision) -> set[Purpose]:
    return {purpose for _, purpose, _ in sends(decision)}


def to_patient(decision: Decision) -> list[Purpose]:
    return [purpose for to, purpose, _ in sends(decision) if to is Recipient.PATIENT]


def opened(decision: Decision) -> set[TaskKind]:
    return {one.kind for one in decision.effects if isinstance(one, OpenTask)}


def closed(decision: Decision) -> set[TaskKind]:
    return {kind for one in decision.effects if isinstance(one, CloseTasks) for kind in one.kinds}


def withdrawn(decision: Decision) -> set[Purpose]:
    return {purpose for one in decision.effects if isinstance(one, Withdraw) for purpose in one.purposes}


def settled(
    purpose: Purpose,
    outcome: Outcome = Outcome.DELIVERED,
    *,
    to: Recipient = Recipient.SPECIALIST,
    at: datetime = ORDERED_AT,
) -> DeliverySettled:
    return DeliverySettled(at=at, to=to, purpose=purpose, outcome=outcome)


def closure_taken(at: datetime = ORDERED_AT) -> DeliverySettled:
    """The EHR's AA for the closure message."""
    return settled(Purpose.CLOSURE, to=Recipient.EHR, at=at)


def booked(
    starts_at: datetime = VISIT_AT, *, at: datetime = ORDERED_AT, appointment: str = "", message: int = 0
) -> AppointmentBooked:
    return AppointmentBooked(at=at, starts_at=starts_at, appointment=number(appointment), message=message)


def cancelled(appointment: str = "", *, at: datetime = ORDERED_AT) -> AppointmentCancelled:
    return AppointmentCancelled(at=at, appointment=number(appointment))


def passed(kind: Kind, *, at: datetime = ORDERED_AT, generation: int = 0) -> DeadlinePassed:
    return DeadlinePassed(at=at, kind=kind, generation=generation, due_at=at)


def note(finality: Finality = Finality.FINAL, *, at: datetime = ORDERED_AT, message: int = 50) -> ReportReceived:
    return ReportReceived(at=at, document=Identifier(value="DOC-1"), finality=finality, message=message)


def approved(
    auth: str = "AUTH-9", *, expires_on: date | None = None, at: datetime = ORDERED_AT
) -> AuthorizationRecorded:
    return AuthorizationRecorded(at=at, approved=True, number=auth, expires_on=expires_on)


def denied(*, at: datetime = ORDERED_AT) -> AuthorizationRecorded:
    return AuthorizationRecorded(at=at, approved=False)


def said(answer: Answer, *, at: datetime = ORDERED_AT) -> PatientAnswered:
    return PatientAnswered(at=at, answer=answer)
