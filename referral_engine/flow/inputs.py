"""The four ways into the door, and the receipt that comes back: arrivals, ticks, outcomes, commands (and claims)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from referral_engine.journal.rows import Disposition, EffectRow
from referral_engine.loop.events import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One frame's content came in on a listener."""

    raw: bytes
    peer: str  # the socket's address, "127.0.0.1"
    listener: str = "default"
    certificate: str = ""  # subject of the client certificate, "" on plain connections


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A message whose handling broke twice: keep its bytes, tell a person, let the others go on."""

    arrived: Arrived
    reason: str  # the error's class name; never its text


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """The clock moved: fire what is due, in due order, at most `limit`."""

    limit: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A courier asks for work of its lane; it gets a lease with a fencing token."""

    lane: str
    limit: int = 1
    lease_seconds: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A courier says what became of one attempt."""

    effect: int
    token: int
    outcome: Outcome
    reason: str = ""  # a fixed sentence, no patient's value
    reply: bytes = b""  # the ACK as received
    retry_in_seconds: float = 0.0  # for Outcome.RETRY


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskClaimed:
    """A person takes a task."""

    task: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDone:
    """A person finished a task, and says what they learned doing it."""

    task: int
    by: str
    note: str
    booked: datetime | None = None  # the patient's appointment
    attended: bool | None = None
    authorized: str = ""  # the authorization's number
    authorization_expires_on: date | None = None
    release: bool = False  # let the packet go without an authorization
    patient_reached: bool = False
    cancel_confirmed: bool = False
    end: str = ""  # loop.states.Ending: close without a note, refused, not a referral


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientReplied:
    """A patient's reply reached us (a reply file, a portal, a coordinator)."""

    referral: str
    answer: str  # YES, NO, STOP, START; all else goes to a person
    by: str = "patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxDecision:
    """A person retries, parks or cancels one owed sending."""

    effect: int
    decision: str  # retry, park, cancel
    by: str


Input = Arrived | SetAside | Ticked | Claim | Settled | TaskClaimed | TaskDone | PatientReplied | OutboxDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the door committed for one input.

    answer: the ACK to send, unframed; b"" when nothing may be said.
    refused: a sentence for a person whose command could not be done; "" otherwise.
    """

    sequence: int = 0
    answer: bytes = b""
    disposition: Disposition | None = None
    duplicate: bool = False
    effects: tuple[EffectRow, ...] = ()  # for Claim
    fired: int = 0  # for Ticked
    more: bool = False  # for Ticked: more is due
    lanes: frozenset[str] = field(default_factory=frozenset)  # lanes that have new work
    refused: str = ""
