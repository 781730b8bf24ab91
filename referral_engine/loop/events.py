"""Everything that can happen to a referral, as a closed union; how it was written stays outside."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import msgspec

from referral_engine.loop.effects import OpenTask, Purpose, Recipient, Send, TaskKind
from referral_engine.loop.policy import Kind
from referral_engine.loop.referral import Finality, Hold, Identifier, Order, Patient, Referral


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """What every event knows."""

    at: datetime  # when we learned it, UTC
    message: int = 0  # the journal sequence of the message that proves it; 0 for clocks and people
    by: str = ""  # the person, courier or party
    provisional: bool = False  # matched at level 3


class ReferralOrdered(Happened, frozen=True, kw_only=True):
    """The EHR ordered a referral.  Source: ORM^O01 NW or SN."""

    patient: Patient
    order: Order
    hold: Hold = msgspec.field(default_factory=Hold)
    duplicate_of: str = ""  # an open referral of the same patient and specialty
    found: bool = False  # known by its evidence only: the office has the patient already, and is sent nothing


class OrderChanged(Happened, frozen=True, kw_only=True):
    """The EHR changed the order.  Source: ORM^O01 XO or XX, REF^I13."""

    patient: Patient
    order: Order
    hold: Hold | None = None  # what the payer is asked now, where the order asks something else of it; None: as before


class CancelRequested(Happened, frozen=True, kw_only=True):
    """The EHR wants it stopped.  Source: ORM^O01 CA, DC, OC, OD."""

    reason: str = ""


class CancelConfirmed(Happened, frozen=True, kw_only=True):
    """The specialist agreed to the cancellation.  Source: ORM^O01 CR or DR, or staff."""


class ReferralAccepted(Happened, frozen=True, kw_only=True):
    """The specialist takes the patient.  Source: ORM^O01 OK or SC with ORC-5 IP, or staff."""


class ReferralDeclined(Happened, frozen=True, kw_only=True):
    """The specialist will not see the patient.  Source: ORM^O01 UA, OC from the specialist, ORC-5 CA; or staff."""

    reason: str = ""


class AppointmentBooked(Happened, frozen=True, kw_only=True):
    """The patient has a time, a first one or another.  Source: SIU^S12, S13, S14; SCH-11 or TQ1-7; or staff."""

    starts_at: datetime  # UTC
    appointment: Identifier = msgspec.field(default_factory=Identifier)


class AppointmentCancelled(Happened, frozen=True, kw_only=True):
    """The booked time was given up.  Source: SIU^S15, S16, SCH-25."""

    appointment: Identifier = msgspec.field(default_factory=Identifier)


class AppointmentVoided(Happened, frozen=True, kw_only=True):
    """The booking was an error.  Source: SIU^S17."""

    appointment: Identifier = msgspec.field(default_factory=Identifier)


class PatientMissed(Happened, frozen=True, kw_only=True):
    """The patient did not come.  Source: SIU^S26, SCH-25, the patient, or staff."""

    appointment: Identifier = msgspec.field(default_factory=Identifier)


class PatientAttended(Happened, frozen=True, kw_only=True):
    """The patient came.  Source: SCH-25 arrived or complete, ADT^A04, the patient, or staff."""

    appointment: Identifier = msgspec.field(default_factory=Identifier)


class ReportReceived(Happened, frozen=True, kw_only=True):
    """A consult note came, went forward or was taken back.  Source: ORU^R01, MDM^T02 to T11."""

    document: Identifier
    finality: Finality
    kind: str = ""  # TXA-2, OBR-4 or the CDA's code, as sent
    content: str = ""  # a hash of what it says, blanks and line ends aside: the same note by two ways is one note
    replaces: Identifier = msgspec.field(default_factory=Identifier)  # TXA-13 of a replacement or an addendum
    adds: bool = False  # an addendum: what it names in `replaces` stays as it is
    closes: bool = True  # a final document of a kind that may close a referral


class PatientUpdated(Happened, frozen=True, kw_only=True):
    """Demographics changed.  Source: ADT^A08."""

    patient: Patient


class PatientsMerged(Happened, frozen=True, kw_only=True):
    """The patient's number was retired into another.  Source: ADT^A40, PID-3 survives, MRG-1 retires."""

    patient: Patient


class Outcome(StrEnum):
    """What became of one attempt to deliver; unknown is a third answer, not a failure."""

    DELIVERED = "delivered"
    HANDED_OVER = "handed-over"  # left us, and the other side has yet to confirm
    RETRY = "retry"
    FAILED = "failed"
    UNKNOWN = "unknown"


class DeliverySettled(Happened, frozen=True, kw_only=True):
    """One attempt of one owed sending has an answer.  Source: a courier, or staff."""

    to: Recipient
    purpose: Purpose
    outcome: Outcome
    way: int = 0  # of a packet: which of the channel's ways it took, 0 being the first; see `causes.way_of`
    owed_at: datetime | None = None  # when it was owed: an older closure's answer does not close a newer one
    reason: str = ""  # a fixed sentence: "MSA-1 was AE", "connection refused"


class DeadlinePassed(Happened, frozen=True, kw_only=True):
    """A clock ran out."""

    kind: Kind
    generation: int
    due_at: datetime


class AuthorizationRecorded(Happened, frozen=True, kw_only=True):
    """The payer answered, or staff looked it up.  Source: RPA^I08 to I11 (AUT), or staff."""

    approved: bool
    number: str = ""
    expires_on: date | None = None  # its last day
    begins_on: date | None = None
    visits: int = 0  # that it covers; 0: nobody said
    provider: str = ""  # the NPI it is for; "": nobody said


class HoldReleased(Happened, frozen=True, kw_only=True):
    """A person let the packet go without an authorization."""

    reason: str = ""
    waives_denial: bool = False  # although the payer said no


class Answer(StrEnum):
    """The only words of a patient the engine reads; all else goes to a person."""

    YES = "YES"
    NO = "NO"
    STOP = "STOP"
    START = "START"
    OTHER = "OTHER"


class PatientAnswered(Happened, frozen=True, kw_only=True):
    """The patient replied, or was reached by telephone."""

    answer: Answer


class ReferralEnded(Happened, frozen=True, kw_only=True):
    """A person ended it without a closed loop."""

    reason: str
    ending: str  # loop.states.Ending


class TaskClosed(Happened, frozen=True, kw_only=True):
    """A person did a task."""

    kind: TaskKind
    reason: str = ""  # the note they left; free text, kept in the journal only


class MatchConfirmed(Happened, frozen=True, kw_only=True):
    """What a message said was matched provisionally, and a person has looked: it is this referral's."""


class EvidenceUndone(Happened, frozen=True, kw_only=True):
    """What some messages said of this referral was never so.  Source: a person, or a sender that takes it back.

    `message` is that sender's word. `restored` is the referral as it would stand without them (`loop.undoing`).
    """

    taken_back: tuple[int, ...]  # journal sequences of the messages; what they said before this event counts no more
    restored: Referral
    reason: str = ""  # free text of a person, kept in the journal only
    told: tuple[Send, ...] = ()  # what had left because of them, and is to be put right
    standing: tuple[Send, ...] = ()  # what has left, or will, and still holds
    wanted: tuple[OpenTask, ...] = ()  # tasks that would be open without them
    pointless: frozenset[TaskKind] = frozenset()  # tasks that are open because of them only


class ClocksMigrated(Happened, frozen=True, kw_only=True):
    """A person gave the referral the clocks of the configuration in force.  Source: staff."""

    config: str  # where its clocks come from now
    was: str  # where they came from before
    reason: str = ""  # free text of a person, kept in the journal only


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
    | MatchConfirmed
    | EvidenceUndone
    | ClocksMigrated
)
