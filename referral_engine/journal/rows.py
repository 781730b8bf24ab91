"""The values that go into the journal and come out of it; instants are integer UTC microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Disposition(StrEnum):
    """What a received message became; exactly one of these, always."""

    APPLIED = "applied"
    NO_OP = "no-op"
    QUARANTINED = "quarantined"
    NEEDS_HUMAN = "needs-human"
    PENDING = "pending"


class EffectState(StrEnum):
    """Where one owed sending is."""

    QUEUED = "queued"
    IN_FLIGHT = "in-flight"
    DELIVERED = "delivered"
    FAILED = "failed"  # not delivered, will not be tried again by itself
    UNKNOWN = "unknown"  # may or may not have arrived; a person decides unless the transport can repeat safely
    PARKED = "parked"  # a person stopped it
    CANCELLED = "cancelled"  # a recorded event made it pointless


class TaskState(StrEnum):
    """Where one task is."""

    OPEN = "open"
    CLAIMED = "claimed"
    DONE = "done"


class BindingKind(StrEnum):
    """Whose number points at a referral."""

    REFERRAL = "referral"  # our own id
    PLACER = "placer"
    FILLER = "filler"
    APPOINTMENT = "appointment"
    DOCUMENT = "document"
    PATIENT = "patient"  # medical record number
    VISIT = "visit"  # PV1-19
    CHARGE = "charge"  # FT1-2
    PERSON = "person"  # family name and birth date, only ever enough for a person to look


class MessageKey(msgspec.Struct, frozen=True, kw_only=True):
    """What makes two arrivals the same message (with the bytes' hash)."""

    partner: str
    sending_application: str  # MSH-3
    sending_facility: str  # MSH-4
    control_id: bytes  # MSH-10 as received
    sha256: bytes


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """The first arrival of a message that came again."""

    sequence: int
    answer: bytes  # the ACK it got, unframed; b"" if none was due
    same_bytes: bool  # False: the control id was used again with other bytes


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One received message, its verdict and its answer."""

    sequence: int
    key: MessageKey
    received_at: int
    peer: str  # address, as the socket says
    type: str  # "ORM^O01"; "" when unreadable
    raw: bytes
    disposition: Disposition
    level: int  # matching level 0 to 6; -1 when no matching was due
    reason: str  # why, without a patient's value
    referral: str  # "" when none
    answer_code: str  # "AA"
    answer: bytes  # the ACK, unframed
    config: str  # configuration version that decided
    purged_at: int = 0  # when `raw` was reduced to the header, for it concerned nobody; 0 while it is whole


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event of one referral's timeline."""

    sequence: int
    at: int
    referral: str
    kind: str  # the event's class name
    summary: str  # for the timeline
    reason: str  # why it was matched or what decided
    message: int  # the message that caused it; 0 for clocks and people
    by: str
    body: bytes  # the event as JSON
    config: str


class DeadlineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One running, fired or cancelled clock."""

    referral: str
    kind: str
    generation: int
    due_at: int
    state: str = "pending"  # pending, fired, cancelled


class EffectRow(msgspec.Struct, frozen=True, kw_only=True):
    """One owed sending, with the exact bytes that go on the wire."""

    id: int  # 0 until stored
    referral: str
    cause: int  # event sequence
    ordinal: int  # within the cause
    lane: str  # one courier, one lane: a channel's name, "ehr", "patient", "team", "payer", "billing"
    transport: str  # "mllp", "spool"
    recipient: str
    purpose: str
    about: str = ""  # a status word, an appointment's change, a task's kind
    wire_id: str  # MSH-10 or the file's name; the same on every retry
    body: bytes
    state: EffectState = EffectState.QUEUED
    attempts: int = 0
    next_at: int = 0
    token: int = 0  # the lease's fencing token
    created_at: int = 0
    settled_at: int = 0
    reason: str = ""  # of the newest outcome
    reply: bytes = b""  # the ACK that settled it


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a person must do."""

    id: int  # 0 until stored
    queue: str
    kind: str
    referral: str  # "" for a message that belongs to none
    message: int
    opened_at: int
    due_at: int  # 0 when none
    state: TaskState
    reason: str
    urgent: bool = False
    claimed_by: str = ""
    closed_at: int = 0
    note: str = ""
    escalated_at: int = 0  # when its age moved it to another queue


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit chain, written in the transaction it speaks of."""

    at: int
    actor: str  # "feed:ehr", "clock", "courier:cardiology", "user:jane"
    action: str
    object: str  # "message 42", "referral K7QD-001A"
    outcome: str = ""


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """Why one reading of one message was matched as it was; kept for ever, undone by a mark, never by removal."""

    message: int
    part: int  # which reading of the message, from 0
    at: int
    level: int
    referral: str  # "" while nobody has decided
    provisional: bool
    by: str  # "engine", "user:jane", "feed:ehr"
    reason: str  # without a patient's value
    body: bytes  # `codec.encode_decision`: the evidence, its candidates and their parts
    undone_at: int = 0
    undone_by: str = ""
    undone_reason: str = ""


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration that came in force: every text of it, and how it differs from the one before."""

    number: int = 0  # from 1; 0 until stored
    at: int
    config: str  # the hash of its texts, as `Book.version` says it
    by: str
    action: str  # start, reload, rollback
    reason: str = ""
    forced: bool = False  # although a test of it fails
    difference: str = ""  # a unified diff of all files against the version before; "" in a list
    files: Mapping[str, str] = msgspec.field(default_factory=dict)  # name to text; empty in a list


class MergeRow(msgspec.Struct, frozen=True, kw_only=True):
    """Two record numbers that are one person, or linked, since a message said so; undone by a mark."""

    id: int  # 0 until stored
    kind: str  # merge, link, rename
    survivor: str
    survivor_authority: str
    retired: str
    retired_authority: str
    message: int
    at: int
    undone_at: int = 0
    undone_by: str = ""
    undone_reason: str = ""
