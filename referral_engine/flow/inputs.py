"""The four ways into the door, and the receipt that comes back: arrivals, ticks, outcomes, commands (and claims)."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import msgspec

from referral_engine.journal.rows import Disposition, EffectRow
from referral_engine.loop.events import Outcome


class Arrived(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One frame's content came in on a listener."""

    raw: bytes
    peer: str  # the socket's address, "127.0.0.1"
    listener: str = "default"
    certificates: tuple[str, ...] = ()  # who the client's certificate says it is, "DNS:gw.heart.example"


class FrameBroken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A peer broke framing: nothing can be read or answered, a little of what it sent is kept."""

    evidence: bytes  # the beginning of the broken frame, a few KiB at most
    peer: str
    reason: str  # the counter's word, "frame-too-long"
    sentence: str  # the operator's sentence; never the peer's bytes
    listener: str = ""


class SetAside(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A message whose handling broke twice: keep its bytes, tell a person, let the others go on."""

    arrived: Arrived
    reason: str  # the error's class name; never its text


class Blamed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The engine stopped while it had these messages in hand; each is suspected until its handling ends."""

    marks: tuple[int, ...]


class MessageDecision(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person decides about a message that was set aside: handle it again, or let the others pass it."""

    message: int
    decision: str  # replay, skip
    by: str


class Ticked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The clock moved: fire what is due, in due order, at most `limit`.

    staged: after a long silence wait until `drained`, then catch up; without it whatever is due fires.
    """

    limit: int = 200
    due_by: int = 0  # microseconds UTC; what is due later does not fire, whatever time is recorded; 0 for no such bound
    staged: bool = False
    drained: bool = False  # what waited at the senders is in: what was missed may fire
    fenced: str = ""  # why the machine's clock is not believed: nothing fires


class SweepDecided(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person decided about the sweeping; the door keeps it, and for `pause` and `resume` does it."""

    decision: str  # pause, resume; now (wait for the senders no longer), confirm (the machine's clock is right)
    by: str


class Claim(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A courier asks for work of its lane; each sending it gets is a lease with a fencing token.

    transport: what the lane sends by; "" leaves that open.
    back: leases it hands back unsent, each an effect and its token, before it is given others.
    """

    lane: str
    transport: str = ""
    limit: int = 1
    lease_seconds: float = 120.0
    back: tuple[tuple[int, int], ...] = ()


class Settled(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A courier says what became of one attempt, and may ask for its next work in the same trip."""

    effect: int
    token: int
    outcome: Outcome
    reason: str = ""  # a fixed sentence, no patient's value
    reply: bytes = b""  # the ACK as received
    retry_in_seconds: float = 0.0  # for Outcome.RETRY
    hold: bool = False  # for Outcome.RETRY: nothing of its lane may overtake it until it is accepted or decided
    claim: Claim | None = None  # carried out after the attempt is recorded; not at all when the lease was lost


class TaskClaimed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person takes a task."""

    task: int
    by: str


class TaskDone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person finished a task, and says what they learned doing it."""

    task: int
    by: str
    note: str
    booked: datetime | None = None  # the patient's appointment
    attended: bool | None = None
    authorized: str = ""  # the authorization's number
    authorization_expires_on: date | None = None  # its last day
    authorization_begins_on: date | None = None
    authorization_visits: int = 0  # that it covers; 0: the payer did not say
    denied: bool = False  # the payer said no
    release: bool = False  # let the packet go without an authorization
    waive: bool = False  # the same, although the payer said no; the note says why
    patient_reached: bool = False
    cancel_confirmed: bool = False
    end: str = ""  # loop.states.Ending: close without a note, refused, not a referral


class PatientReplied(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A patient's reply reached us (a reply file, a portal, a coordinator)."""

    referral: str
    answer: str  # YES, NO, STOP, START; all else goes to a person
    by: str = "patient"


class OutboxDecision(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person retries, parks or cancels one owed sending."""

    effect: int
    decision: str  # retry, park, cancel
    by: str


class ReviewDecided(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person says which referral a message under review belongs to, if any, and why."""

    task: int
    decision: str  # bind, new, dismiss, wrong-patient, needs-info
    by: str
    reason: str
    referral: str = ""  # for bind
    channel: str = ""  # for new
    part: int = -1  # for bind and new: which of several things the message speaks of; -1 while it is one only
    sure: bool = False  # for bind: although something says that it is another patient's


class EvidenceConfirmed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person has looked at a provisional match, and says that it is right."""

    message: int
    by: str
    reason: str


class EvidenceUnbound(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person takes what a message said off its referral."""

    message: int
    by: str
    reason: str
    referral: str = ""  # of several that it is evidence of; "" for all of them


class MergeUndone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person says that two record numbers are not one patient's."""

    merge: int
    by: str
    reason: str


class ConfigChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Another configuration comes in force; everything was validated before, and is in `files`.

    The batch it is in is still handled under the old one.
    """

    config: str  # the hash of the texts, `Book.version`
    files: dict[str, str]  # name to text, as `read_book` is handed them
    action: str  # start, reload, rollback
    by: str  # "user:jane", "signal", "engine"
    reason: str = ""
    forced: bool = False  # although a test of it fails; needs a reason


class ConfigRefused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A candidate was not taken; the old configuration stays, and the audit remembers."""

    config: str  # the hash of the texts; "" when they could not be read
    by: str
    code: str  # of the first problem, "CH203"


class ConfigMigrated(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A person gives open referrals of older configurations the clocks of the one in force, a portion at a time.

    The receipt says how many moved, whether there are more, and the cursor to go on from.
    """

    by: str
    reason: str
    channel: str = ""  # of one channel only; "" for all
    after: str = ""  # the cursor of the receipt before; "" to begin
    limit: int = 200  # referrals moved by one input


Input = (
    Arrived
    | FrameBroken
    | SetAside
    | Blamed
    | MessageDecision
    | Ticked
    | SweepDecided
    | Claim
    | Settled
    | TaskClaimed
    | TaskDone
    | PatientReplied
    | OutboxDecision
    | ReviewDecided
    | EvidenceConfirmed
    | EvidenceUnbound
    | MergeUndone
    | ConfigChanged
    | ConfigRefused
    | ConfigMigrated
)


class SweepMode(StrEnum):
    """What a staged tick does."""

    NORMAL = "normal"
    WAITING = "waiting"  # nobody swept for long: first what waits at the senders comes in
    CATCHING_UP = "catching-up"
    PAUSED = "paused"  # a person stopped it
    FENCED = "fenced"  # the machine's clock is not believed


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """Where the sweeping stands after a staged tick."""

    mode: SweepMode
    overdue: int = 0  # clocks that have run out and not fired
    late: int = 0  # of those that fired in this tick, how many fired late
    lag_seconds: int = 0  # how long nobody has swept to the end
    paused_by: str = ""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the door committed for one input.

    answer: the ACK to send, unframed; b"" when nothing may be said. after: what follows it in a frame of its own.
    refused: a sentence for a person whose command could not be done; "" otherwise.
    """

    sequence: int = 0
    answer: bytes = b""
    after: bytes = b""
    disposition: Disposition | None = None
    duplicate: bool = False
    effects: tuple[EffectRow, ...] = ()  # for Claim, and for the claim of a Settled
    oldest_at: int = 0  # the same: since when the head of the lane's queue waits; 0 when nothing has to
    fired: int = 0  # for Ticked
    more: bool = False  # for Ticked: more is due; for ConfigMigrated: more referrals are to be looked at
    version: int = 0  # for ConfigChanged: the number it is in force under
    count: int = 0  # for ConfigMigrated: how many referrals moved
    cursor: str = ""  # the same: the last referral looked at
    swept: Swept | None = None  # for a staged Ticked
    lanes: frozenset[str] = msgspec.field(default_factory=frozenset)  # lanes that have new work
    refused: str = ""
