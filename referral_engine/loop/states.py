"""The six tracks a referral runs side by side, each a closed set of states, and the status people read off them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Authorization(StrEnum):
    """Whether the payer must agree, and whether it has."""

    NOT_REQUIRED = "not-required"
    REQUIRED = "required"
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


class Dispatch(StrEnum):
    """Where the packet for the specialist is."""

    HELD = "held"
    QUEUED = "queued"
    SENT = "sent"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    UNDELIVERABLE = "undeliverable"


class Outreach(StrEnum):
    """Whether the patient has been asked to book."""

    NOT_DUE = "not-due"
    QUEUED = "queued"
    NOTIFIED = "notified"
    ACKNOWLEDGED = "acknowledged"
    UNREACHABLE = "unreachable"
    OPTED_OUT = "opted-out"


class Appointment(StrEnum):
    """The visit: it may be booked any number of times, and every slot is remembered."""

    NONE = "none"
    BOOKED = "booked"
    CANCELLED = "cancelled"
    NO_SHOW = "no-show"
    PASSED = "passed"
    KEPT = "kept"


class Note(StrEnum):
    """The consult note."""

    NONE = "none"
    REQUESTED = "requested"
    INTERIM = "interim"
    FINAL = "final"
    CORRECTED = "corrected"
    RETRACTED = "retracted"


class Closure(StrEnum):
    """Whether the loop is closed: closed means the EHR accepted the closure message."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    CANCEL_REQUESTED = "cancel-requested"
    ENDED = "ended"


class Ending(StrEnum):
    """Why a referral ended without a closed loop."""

    CANCELLED = "cancelled"
    DECLINED = "declined"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    NOT_A_REFERRAL = "not-a-referral"
    CLOSED_WITHOUT_NOTE = "closed-without-note"


class Status(StrEnum):
    """What a person calls the referral; derived from the tracks, never stored as truth."""

    ENDED = "ended"
    CLOSED = "closed"
    NOTE_RECEIVED = "note-received"
    ATTENDED = "attended"
    SCHEDULED = "scheduled"
    PATIENT_NOTIFIED = "patient-notified"
    HELD = "held"
    ORDERED = "ordered"


class Urgency(StrEnum):
    """How soon: table 0485 S and A count as urgent, all else is routine."""

    ROUTINE = "routine"
    URGENT = "urgent"


class Network(StrEnum):
    """Whether the specialist belongs to the ordering side's network."""

    IN = "in"
    OUT = "out"


State = Authorization | Dispatch | Outreach | Appointment | Note | Closure

UNBOOKED: Final = frozenset({Appointment.NONE, Appointment.CANCELLED})
SEEN: Final = frozenset({Appointment.PASSED, Appointment.KEPT})
NOTE_IN: Final = frozenset({Note.FINAL, Note.CORRECTED})
OVER: Final = frozenset({Closure.CLOSED, Closure.ENDED})
