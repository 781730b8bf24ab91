"""Everything that can happen to a referral, as a closed union; how it was written stays outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from referral_engine.loop.effects import Purpose, Recipient, TaskKind
from referral_engine.loop.policy import Kind
from referral_engine.loop.referral import Finality, Hold, Identifier, Order, Patient


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What every event knows."""

    at: datetime  # when we learned it, UTC
    message: int = 0  # the journal sequence of the message that proves it; 0 for clocks and people
    by: str = ""  # the person, courier or party
    provisional: bool = False  # matched at level 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralOrdered(Happened):
    """The EHR ordered a referral.  Source: ORM^O01 NW or SN."""

    patient: Patient
    order: Order
    hold: Hold = field(default_factory=Hold)
    duplicate_of: str = ""  # an open referral of the same patient and specialty


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChanged(Happened):
    """The EHR changed the order.  Source: ORM^O01 XO or XX."""

    patient: Patient
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested(Happened):
    """The EHR wants it stopped.  Source: ORM^O01 CA, DC, OC, OD."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelConfirmed(Happened):
    """The specialist agreed to the cancellation.  Source: ORM^O01 CR or DR, or staff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralAccepted(Happened):
    """The specialist takes the patient.  Source: ORM^O01 OK or SC with ORC-5 IP, or staff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralDeclined(Happened):
    """The specialist will not see the patient.  Source: ORM^O01 UA, OC from the specialist, ORC-5 CA; or staff."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentBooked(Happened):
    """The patient has a time, a first one or another.  Source: SIU^S12, S13, S14; SCH-11 or TQ1-7; or staff."""

    starts_at: datetime  # UTC
    appointment: Identifier = field(default_factory=Identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentCancelled(Happened):
    """The booked time was given up.  Source: SIU^S15, S16, SCH-25."""

    appointment: Identifier = field(default_factory=Identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentVoided(Happened):
    """The booking was an error.  Source: SIU^S17."""

    appointment: Identifier = field(default_factory=Identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientMissed(Happened):
    """The patient did not come.  Source: SIU^S26, SCH-25, the patient, or staff."""

    appointment: Identifier = field(default_factory=Identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientAttended(Happened):
    """The patient came.  Source: SCH-25 arrived or complete, ADT^A04, the patient, or staff."""

    appointment: Identifier = field(default_factory=Identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReceived(Happened):
    """A consult note came, went forward or was taken back.  Source: ORU^R01, MDM^T02 to T11."""

    document: Identifier
    finality: Finality


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientUpdated(Happened):
    """Demographics changed.  Source: ADT^A08."""

    patient: Patient


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientsMerged(Happened):
    """The patient's number was retired into another.  Source: ADT^A40, PID-3 survives, MRG-1 retires."""

    patient: Patient


class Outcome(StrEnum):
    """What became of one attempt to deliver; unknown is a third answer, not a failure."""

    DELIVERED = "delivered"
    HANDED_OVER = "handed-over"  # left us, and the other side has yet to confirm
    RETRY = "retry"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettled(Happened):
    """One attempt of one owed sending has an answer.  Source: a courier, or staff."""

    to: Recipient
    purpose: Purpose
    outcome: Outcome
    reason: str = ""  # a fixed sentence: "MSA-1 was AE", "connection refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed(Happened):
    """A clock ran out."""

    kind: Kind
    generation: int
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRecorded(Happened):
    """The payer answered, or staff looked it up."""

    approved: bool
    number: str = ""
    expires_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased(Happened):
    """A person let the packet go without an authorization."""

    reason: str = ""


class Answer(StrEnum):
    """The only words of a patient the engine reads; all else goes to a person."""

    YES = "YES"
    NO = "NO"
    STOP = "STOP"
    START = "START"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientAnswered(Happened):
    """The patient replied, or was reached by telephone."""

    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralEnded(Happened):
    """A person ended it without a closed loop."""

    reason: str
    ending: str  # loop.states.Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskClosed(Happened):
    """A person did a task."""

    kind: TaskKind
    reason: str = ""  # the note they left; free text, kept in the journal only


Event = (
    ReferralOrdered
    | OrderChanged
    | CancelRequested
    | CancelConfirmed
    | ReferralAccepted
    | ReferralDeclined
    | AppointmentBooked
    | AppointmentCancelled
    | AppointmentVoided
    | PatientMissed
    | PatientAttended
    | ReportReceived
    | PatientUpdated
    | PatientsMerged
    | DeliverySettled
    | DeadlinePassed
    | AuthorizationRecorded
    | HoldReleased
    | PatientAnswered
    | ReferralEnded
    | TaskClosed
)
