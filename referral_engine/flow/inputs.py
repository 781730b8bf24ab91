"""The four ways into the door, and the receipt that comes back: arrivals, ticks, outcomes, commands (and claims)."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from referral_engine.journal.rows import Disposition, EffectRow
from referral_engine.loop.events import Outcome


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """One frame's content came in on a listener."""

    raw: bytes
    peer: str  # the socket's address, "127.0.0.1"
    listener: str = "default"
    certificate: str = ""  # subject of the client certificate, "" on plain connections


class FrameBroken(msgspec.Struct, frozen=True, kw_only=True):
    """A peer broke framing: nothing can be read or answered, a little of what it sent is kept."""

    evidence: bytes  # the beginning of the broken frame, a few KiB at most
    peer: str
    reason: str  # the counter's word, "frame-too-long"
    sentence: str  # the operator's sentence; never the peer's bytes


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose handling broke twice: keep its bytes, tell a person, let the others go on."""

    arrived: Arrived
    reason: str  # the error's class name; never its text


class Ticked(msgspec.Struct, frozen=True, kw_only=True):
    """The clock moved: fire what is due, in due order, at most `limit`."""

    limit: int = 200


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A courier asks for work of its lane; each sending it gets is a lease with a fencing token.

    back: leases it hands back unsent, each an effect and its token, before it is given others.
    """

    lane: str
    limit: int = 1
    lease_seconds: float = 120.0
    back: tuple[tuple[int, int], ...] = ()


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """A courier says what became of one attempt, and may ask for its next work in the same trip."""

    effect: int
    token: int
    outcome: Outcome
    reason: str = ""  # a fixed sentence, no patient's value
    reply: bytes = b""  # the ACK as received
    retry_in_seconds: float = 0.0  # for Outcome.RETRY
    claim: Claim | None = None  # carried out after the attempt is recorded; not at all when the lease was lost


class TaskClaimed(msgspec.Struct, frozen=True, kw_only=True):
    """A person takes a task."""

    task: int
    by: str


class TaskDone(msgspec.Struct, frozen=True, kw_only=True):
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


class PatientReplied(msgspec.Struct, frozen=True, kw_only=True):
    """A patient's reply reached us (a reply file, a portal, a coordinator)."""

    referral: str
    answer: str  # YES, NO, STOP, START; all else goes to a person
    by: str = "patient"


class OutboxDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A person retries, parks or cancels one owed sending."""

    effect: int
    decision: str  # retry, park, cancel
    by: str


Input = (
    Arrived
    | FrameBroken
    | SetAside
    | Ticked
    | Claim
    | Settled
    | TaskClaimed
    | TaskDone
    | PatientReplied
    | OutboxDecision
)


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the door committed for one input.

    answer: the ACK to send, unframed; b"" when nothing may be said.
    refused: a sentence for a person whose command could not be done; "" otherwise.
    """

    sequence: int = 0
    answer: bytes = b""
    disposition: Disposition | None = None
    duplicate: bool = False
    effects: tuple[EffectRow, ...] = ()  # for Claim, and for the claim of a Settled
    fired: int = 0  # for Ticked
    more: bool = False  # for Ticked: more is due
    lanes: frozenset[str] = msgspec.field(default_factory=frozenset)  # lanes that have new work
    refused: str = ""
