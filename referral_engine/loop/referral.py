"""The referral: what is known, when it was learned, and where each track stands; status is derived from it."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import msgspec

from referral_engine.base.ident import Phi
from referral_engine.loop.policy import Duration, HoldRule
from referral_engine.loop.states import (
    NOTE_IN,
    OVER,
    Appointment,
    Authorization,
    Closure,
    Dispatch,
    Ending,
    Network,
    Note,
    Outreach,
    Status,
    Urgency,
)


class Identifier(msgspec.Struct, frozen=True, kw_only=True):
    """A number somebody gave, compared as an exact string; authority says whose number it is."""

    value: str = ""
    authority: str = ""

    def __bool__(self) -> bool:
        """Whether there is a number at all."""
        return bool(self.value)


class PatientId(msgspec.Struct, frozen=True, kw_only=True):
    """One medical record number with the authority that assigned it."""

    value: Phi[str]
    authority: str


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """Who the referral is about; every value is Phi."""

    ids: tuple[PatientId, ...] = ()
    family: Phi[str] = msgspec.field(default_factory=lambda: Phi(""))
    given: Phi[str] = msgspec.field(default_factory=lambda: Phi(""))
    born_on: Phi[str] = msgspec.field(default_factory=lambda: Phi(""))  # YYYYMMDD, as far as known
    sex: Phi[str] = msgspec.field(default_factory=lambda: Phi(""))
    phone: Phi[str] = msgspec.field(default_factory=lambda: Phi(""))
    phone_is_mobile: bool = False
    language: str = ""
    sms_consent: bool = False
    portal: bool = False
    deceased: bool = False
    died_on: Phi[str] = msgspec.field(default_factory=lambda: Phi(""))  # PID-29 as YYYYMMDD, as far as known


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A clinician: the number in XCN.1 and the name."""

    number: str = ""
    family: str = ""
    given: str = ""


class Insurance(msgspec.Struct, frozen=True, kw_only=True):
    """One insurance of the patient: everything that its payer and its plan are called by."""

    payers: tuple[str, ...] = ()  # IN1-3.1, IN1-4.1
    plans: tuple[str, ...] = ()  # IN1-15.1, IN1-2.1


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the ordering side asked for, as the newest order message says it."""

    placer: Identifier
    filler: Identifier = msgspec.field(default_factory=Identifier)
    ordered_at: datetime
    service_code: str = ""
    service_text: str = ""
    specialty: str = ""
    urgency: Urgency = Urgency.ROUTINE
    network: Network = Network.OUT
    ordering_provider: Provider = msgspec.field(default_factory=Provider)
    referred_to: str = ""  # the specialist's NPI as ordered
    payer: str = ""
    plan: str = ""
    diagnosis: str = ""
    insurances: tuple[Insurance, ...] = ()  # the one that pays first is the first
    authorization_number: str = ""
    authorization_begins_on: date | None = None
    authorization_expires_on: date | None = None  # its last day
    authorization_visits: int = 0  # that it covers; 0: nobody said
    authorization_provider: str = ""  # the NPI it is for; "": nobody said
    authorization_denied: bool = False  # this message says that the payer said no
    message: int = 0  # journal sequence of the order's bytes


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Why the packet waits, and who is to be told."""

    rule: HoldRule = HoldRule.SEND
    reason: str = ""
    billing: bool = False  # hold-billing runs
    notify: str = ""  # "ordering-provider" or nobody
    remind_after: Duration | None = None  # as the pre-authorization rule says; None: as the channel's clocks do
    billing_after: Duration | None = None  # the same


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One booked time; a referral remembers every one."""

    number: int  # from 1
    starts_at: datetime
    booked_at: datetime
    appointment: Identifier = msgspec.field(default_factory=Identifier)  # SCH-2
    message: int = 0
    provisional: bool = False  # matched at level 3
    given_up: bool = False  # cancelled, missed or never so: no visit took place


class Finality(StrEnum):
    """How finished a document is."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    RETRACTED = "retracted"


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One consult note we were sent, by the message that carries it."""

    document: Identifier  # TXA-12, OBR-3
    finality: Finality
    at: datetime
    message: int
    provisional: bool = False
    kind: str = ""
    content: str = ""  # a hash, see ReportReceived
    replaces: Identifier = msgspec.field(default_factory=Identifier)
    adds: bool = False  # an addendum to what it names in `replaces`


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """When each thing last began; clocks start here."""

    held_at: datetime | None = None
    released_at: datetime | None = None
    queued_at: datetime | None = None
    sent_at: datetime | None = None
    received_at: datetime | None = None
    unbooked_at: datetime | None = None
    walk_in_at: datetime | None = None  # attended without a booking in force
    no_show_at: datetime | None = None
    asked_at: datetime | None = None  # the "did you attend?" prompt
    note_reopened_at: datetime | None = None
    closing_at: datetime | None = None
    cancel_asked_at: datetime | None = None


class Rounds(msgspec.Struct, frozen=True, kw_only=True):
    """How often each thing began: the generation of the clocks that start there."""

    release: int = 0
    packet: int = 0
    unbooked: int = 0
    no_show: int = 0
    asked: int = 0
    note: int = 0
    closing: int = 0
    cancel: int = 0
    hold: int = 0
    open_30: int = 0
    hold_reminders: int = 0
    closure_reminders: int = 0
    cancel_reminders: int = 0


class Referral(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the engine knows of one referral; a value, replaced and never changed."""

    id: str
    channel: str
    patient: Patient
    order: Order
    hold: Hold = msgspec.field(default_factory=Hold)
    authorization: Authorization = Authorization.NOT_REQUIRED
    dispatch: Dispatch = Dispatch.HELD
    outreach: Outreach = Outreach.NOT_DUE
    appointment: Appointment = Appointment.NONE
    note: Note = Note.NONE
    closure: Closure = Closure.OPEN
    ending: Ending | None = None
    duplicate_of: str = ""
    slots: tuple[Slot, ...] = ()
    documents: tuple[Document, ...] = ()
    moments: Moments = msgspec.field(default_factory=Moments)
    rounds: Rounds = msgspec.field(default_factory=Rounds)
    authorization_ends_at: datetime | None = None  # the end of its last day at the clinic
    denied_numbers: tuple[str, ...] = ()  # what denials were about, "" for one without a number
    spent: Rounds | None = None  # the highest rounds ever begun, those of undone evidence too; None: these are
    spent_slots: int = 0  # the highest slot number ever given; a number stands for one thing for ever
    fallback_used: bool = False
    watched: bool = False  # ordered through a channel in shadow: followed, and nothing of it is ever sent
    rung: int = 0  # of the ladder of fallbacks; 0 in what was stored before there were several: see `way`
    config: str = ""  # the configuration version it was accepted under

    @property
    def slot(self) -> Slot | None:
        """The appointment in force, the newest one."""
        return self.slots[-1] if self.slots else None

    @property
    def way(self) -> int:
        """Which of the channel's ways the packet goes, or went: 0 is the first, 1 the first fallback."""
        return self.rung or int(self.fallback_used)

    @property
    def is_over(self) -> bool:
        """Closed or ended: no clock runs."""
        return self.closure in OVER

    @property
    def status(self) -> Status:
        """What a person calls it; the first that holds."""
        if self.closure is Closure.ENDED:
            return Status.ENDED
        if self.closure is Closure.CLOSED:
            return Status.CLOSED
        if self.note in NOTE_IN:
            return Status.NOTE_RECEIVED
        if self.appointment is Appointment.KEPT:
            return Status.ATTENDED
        if self.appointment in (Appointment.BOOKED, Appointment.PASSED):
            return Status.SCHEDULED
        if self.outreach in (Outreach.NOTIFIED, Outreach.ACKNOWLEDGED):
            return Status.PATIENT_NOTIFIED
        if self.dispatch is Dispatch.HELD:
            return Status.HELD
        return Status.ORDERED
