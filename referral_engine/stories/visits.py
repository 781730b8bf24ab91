"""Scheduling, admission and charge messages about one visit, as bytes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from referral_engine.hl7.compose import Raw, segment
from referral_engine.stories.dialect import Envelope, message, pid
from referral_engine.stories.people import Person

_LASTS: Final = timedelta(minutes=30)


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One appointment as an office's scheduling system knows it."""

    number: tuple[str, str]  # SCH-2: number and authority
    starts_at: datetime
    person: Person
    npi: str
    office: str
    code: tuple[str, str]
    placer: tuple[str, str] = ("", "")  # SCH-26; ("", "") when it does not say which order
    parent: tuple[str, str] = ("", "")  # SCH-24: the appointment that this one takes the place of
    numberless: bool = False  # PID without any number


def scheduling(envelope: Envelope, trigger: str, slot: Slot, *, word: str = "", reason: str = "") -> bytes:
    """SIU^S12 to S26.  word: SCH-25. reason: SCH-6.  Source: HL7 v2.5.1 10.3, 10.6."""
    starts, ends = envelope.time(slot.starts_at), envelope.time(slot.starts_at + _LASTS)
    npi = Raw(f"{slot.npi}^Made-up office^^^^^^^NPI^L^^^NPI")
    return message(envelope, f"SIU^{trigger}^SIU_S12", (
        segment(
            "SCH", None, slot.number, None, None, None, reason or None, ("REFERRAL", "New patient, referred"),
            ("Normal", "Routine", "HL70277"), None, None, (None, None, "30", starts, ends), None, None, None, None,
            Raw(f"{slot.npi}^Front^Desk"), None, None, None, ("sched", "Scheduler", "Sample"), None, None, None,
            slot.parent if slot.parent[0] else None, (word, word, "HL70278") if word else None,
            slot.placer if slot.placer[0] else None,
        ),
        segment("TQ1", "1", None, None, None, None, None, starts, ends),
        pid(envelope, slot.person, numberless=slot.numberless),
        segment("PV1", "1", "O", ("HG2", None, None, envelope.sender.facility)),
        segment("RGS", "1", "A"),
        segment("AIS", "1", "A", (*slot.code, "99SPR"), starts, None, None, "30", ("min", "minute", "UCUM")),
        segment("AIP", "1", "A", npi, None, None, starts),
    ))  # fmt: skip


def admission(
    envelope: Envelope, trigger: str, one: Person, *, structure: str = "ADT_A01", npi: str = "", retired: str = ""
) -> bytes:
    """ADT: who came, what changed, which number is retired.

    npi: of the clinician seen, PV1-7. retired: MRG-1.  Source: HL7 v2.5.1 3.3, 3.4.
    """
    at = envelope.time(envelope.at)
    visit = (one.visit, None, None, envelope.sender.authority, "VN")
    seen = Raw(f"{npi}^Made-up office^^^^^^^NPI^L^^^NPI") if npi else None
    lines = [
        segment("EVN", trigger, at),
        pid(envelope, one),
        segment("PV1", "1", "O", ("CL1", None, None, envelope.sender.facility), *[None] * 3, seen, *[None] * 11, visit)
        + ("" if not npi else "|" * 25 + at),
    ]
    if retired:
        lines.insert(2, segment("MRG", [(retired, None, None, envelope.sender.authority, "MR")]))
    return message(envelope, f"ADT^{trigger}^{structure}", lines)


def linked(envelope: Envelope, one: Person, other: Person) -> bytes:
    """ADT^A24: two records are one person's; both go on.  Source: HL7 v2.5.1 3.3.24."""
    at = envelope.time(envelope.at)
    pids = (pid(envelope, one), pid(envelope, other))
    return message(envelope, "ADT^A24^ADT_A24", (segment("EVN", "A24", at), *pids))


def charge(envelope: Envelope, one: Person, *, number: str, seen_at: datetime, npi: str, kind: str = "CG") -> bytes:
    """DFT^P03: a visit was charged, or the charge is credited (CD).  Source: HL7 v2.5.1 6.3.1, 6.5.1 (FT1)."""
    at, day = envelope.time(envelope.at), envelope.day(seen_at)
    by = Raw(f"{npi}^Made-up office^^^^^^^NPI^L^^^NPI")
    return message(envelope, "DFT^P03^DFT_P03", (
        segment("EVN", "P03", at),
        pid(envelope, one),
        segment("PV1", "1", "O", *[None] * 16, (one.visit, None, None, envelope.sender.authority, "VN")),
        segment(
            "FT1", "1", number, None, day, day, kind, ("99203", "Office visit, new patient", "CPT"), *[None] * 12, by,
            *[None] * 4, ("99203", "Office visit, new patient", "CPT"),
        ),
    ))  # fmt: skip
