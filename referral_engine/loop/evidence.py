"""What a message says about which referral it means, and the graded answer to that: values only."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum

import msgspec

from referral_engine.loop.referral import Identifier, Patient, Referral


class Level(IntEnum):
    """How sure a match is (LOOP section 5)."""

    STOP = 0
    EXACT = 1
    LINKED = 2
    SINGLE = 3
    SEVERAL = 4
    UNSURE = 5
    NOTHING = 6


class About(StrEnum):
    """What kind of thing the evidence is."""

    ORDER = "order"
    APPOINTMENT = "appointment"
    REPORT = "report"
    PATIENT = "patient"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one message says about which referral it means."""

    about: About
    patient: Patient
    placer: Identifier = msgspec.field(default_factory=Identifier)
    filler: Identifier = msgspec.field(default_factory=Identifier)
    appointment: Identifier = msgspec.field(default_factory=Identifier)
    parent: Identifier = msgspec.field(default_factory=Identifier)  # SCH-24, SCH-23: the appointment this one replaces
    document: Identifier = msgspec.field(default_factory=Identifier)
    visit: Identifier = msgspec.field(default_factory=Identifier)  # PV1-19: of a booking, a registration, a charge
    charge: Identifier = msgspec.field(default_factory=Identifier)  # FT1-2: of a charge or its credit
    provider: str = ""  # NPI of the specialist the message names
    providers: tuple[str, ...] = ()  # every NPI it names for the office, where the office itself does not say it
    specialty: str = ""
    happened_at: datetime | None = None  # the document's or the visit's own date
    wrong_patient: bool = False  # OBX-11 is W
    retracts: bool = False  # takes something back
    document_kind: str = ""  # TXA-2, OBR-4 or the CDA's code, as sent
    may_close: bool = True  # the feed's file lets a document of this kind close a referral
    conflict: str = ""  # why the message contradicts itself: "the document inside names another patient"
    fields: tuple[str, ...] = ()  # where each thing was found, without values: "placer SCH-26", "provider AIP-3"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A referral some number of the evidence points at."""

    referral: Referral
    by: str  # the surest: "placer", "referral", "filler", "appointment", "document", "visit", "charge", "patient", ...
    also: tuple[str, ...] = ()  # the other kinds of number that point at it
    npi: str = ""  # the NPI of its channel


class Verdict(StrEnum):
    """What one thing says of whether message and referral belong together."""

    AGREES = "agrees"
    DIFFERS = "differs"
    MISSING = "missing"  # one side does not say it


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a score: what was compared, what came of it, and what it counts; never a value."""

    name: str  # "placer number", "record number", "family name", "given name", "birth date", "sex", "office", "window"
    verdict: Verdict
    points: int = 0  # negative where it speaks against


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate and why it stands where it stands."""

    referral: str
    score: int = 0
    parts: tuple[Part, ...] = ()


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """The graded answer; `referral` is set only when the engine may act on it."""

    level: Level
    referral: str = ""
    reason: str = ""
    candidates: tuple[str, ...] = ()  # ids, best first, for a person
    weighed: tuple[Weighed, ...] = ()  # the candidates with their parts, best first
    provisional: bool = False
    security: bool = False  # the sender speaks of a referral it is no party of
