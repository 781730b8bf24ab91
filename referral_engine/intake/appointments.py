"""A scheduling message in, what became of the appointment out: booked, moved, cancelled, kept, missed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, assert_never

from referral_engine.base.errors import MessageFault
from referral_engine.channels.feed import SlotMeaning
from referral_engine.hl7.message import Message
from referral_engine.hl7.segment import Segment
from referral_engine.intake.patients import read_patient
from referral_engine.intake.reading import Reading, joined, nothing
from referral_engine.intake.received import Received, first_npi, first_number
from referral_engine.loop.events import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentVoided,
    Event,
    PatientAttended,
    PatientMissed,
)
from referral_engine.loop.matching import About, Evidence

# What a trigger says before SCH-25 is looked at. Source: HL7 v2.5.1 10.4.
_TRIGGERS: Final[dict[str, SlotMeaning]] = {
    "S12": "booked",
    "S13": "booked",
    "S14": "ignore",  # modified: SCH-25 says how
    "S15": "cancelled",
    "S16": "cancelled",
    "S17": "void",
    "S26": "no-show",
}
_BOOKING: Final = ("S12", "S13")
# The words of SCH-25 that may say more than the trigger does; any other word beside it is an old one.
_STRONGER: Final[dict[str, tuple[SlotMeaning, ...]]] = {
    "S12": ("arrived", "kept", "no-show", "cancelled", "void", "pending", "ignore"),
    "S13": ("arrived", "kept", "no-show", "cancelled", "void", "pending", "ignore"),
    "S14": ("booked", "arrived", "kept", "no-show", "cancelled", "void", "pending", "ignore"),
    "S15": ("no-show", "void"),
    "S16": ("no-show", "void"),
}
# Where a start may stand, surest first. Source: HL7 v2.5.1 10.6.1 (SCH), 4.5.4 (TQ1), 10.6.4 to 10.6.7 (AIS to AIP).
_STARTS: Final = (("TQ1", 7, 1), ("SCH", 11, 4), ("AIS", 4, 1), ("AIL", 6, 1), ("AIP", 6, 1), ("AIG", 8, 1))


def read_appointment(received: Received, trigger: str) -> Reading:
    """What an SIU says.

    Raises MessageFault 101 without SCH; 102 for a booking (S12, S13) without a readable time of day.
    """
    if trigger not in _TRIGGERS:
        return nothing("this scheduling event changes no patient's appointment")
    message = received.message
    sch = message.first("SCH")
    if sch is None:
        raise MessageFault("101", "SCH", "a scheduling message without an appointment")
    meaning, note = _meaning(received, trigger, sch)
    starts_at, doubt = _starts_at(received, meaning)
    events, why = _events(received, trigger, meaning, starts_at, sch)
    orc, obr = message.first("ORC"), message.first("OBR")
    evidence = Evidence(
        about=About.APPOINTMENT,
        patient=read_patient(received),
        placer=first_number((sch, 26), (orc, 2), (obr, 2)),
        filler=first_number((sch, 27), (orc, 3), (obr, 3)),
        appointment=first_number((sch, 2), (sch, 1)),
        provider=first_npi((message.first("AIP"), 3), (message.first("AIG"), 3)),
        specialty=_specialty(received),
        happened_at=starts_at,
        retracts=meaning == "void",
    )
    return Reading(about=About.APPOINTMENT, evidence=evidence, events=events, note=joined(note, why, doubt))


def _meaning(received: Received, trigger: str, sch: Segment) -> tuple[SlotMeaning, str]:
    """What trigger and SCH-25 say together, and a warning where they do not fit."""
    said = _TRIGGERS[trigger]
    words = [word for word in (sch.text(25), sch.text(25, 2)) if word]
    if not words:
        return ("booked" if trigger == "S14" else said), ""
    meaning = next((found for word in words if (found := received.feed.slot_meaning(word))), None)
    if meaning is None:
        return said, "SCH-25 is a word the feed does not list"
    if meaning == said:
        return said, ""
    if meaning in _STRONGER.get(trigger, ()):
        contradicts = trigger in _BOOKING and meaning in ("no-show", "cancelled", "void")
        return meaning, "SCH-25 contradicts MSH-9.2: SCH-25 was taken" if contradicts else ""
    return said, "SCH-25 contradicts MSH-9.2: MSH-9.2 was taken"


def _events(
    received: Received, trigger: str, meaning: SlotMeaning, starts_at: datetime | None, sch: Segment
) -> tuple[tuple[Event, ...], str]:
    """The events of one meaning in order, or why there are none."""
    stamp = received.stamp
    appointment = first_number((sch, 2), (sch, 1))
    booked: tuple[Event, ...] = ()
    if starts_at is not None:
        booked = (AppointmentBooked(**stamp, starts_at=starts_at, appointment=appointment),)
    match meaning:
        case "booked":
            if starts_at is None and trigger in _BOOKING:
                raise MessageFault("102", "SCH-11.4", "a booking without a readable day and time")
            if starts_at is None:
                return (), "no readable day and time"
            if trigger == "S14" and starts_at < received.at:  # else it would take back that the patient came
                return (), "a change to an appointment whose time has passed"
            return booked, ""
        case "arrived":
            return (*booked, PatientAttended(**stamp, appointment=appointment)), ""
        case "kept":
            before = booked if trigger in _BOOKING else ()
            return (*before, PatientAttended(**stamp, appointment=appointment)), ""
        case "no-show":
            return (PatientMissed(**stamp, appointment=appointment),), ""
        case "cancelled":
            return (AppointmentCancelled(**stamp, appointment=appointment),), ""
        case "void":
            return (AppointmentVoided(**stamp, appointment=appointment),), ""
        case "pending":
            return (), "asked for, not booked"
        case "ignore":
            return (), "nothing follows from this change"
        case _:
            assert_never(meaning)


def _starts_at(received: Received, meaning: SlotMeaning) -> tuple[datetime | None, str]:
    """The start, UTC, from the surest place with a readable time; a warning when another place disagrees."""
    found: datetime | None = None
    taken = doubt = ""
    for place, text in _start_texts(received.message):
        if text == taken:
            continue
        at = received.time(text)
        if at is None:
            continue
        if found is None:
            found, taken = at, text
        elif at != found:
            doubt = f"{place} names another start than the one taken"
            break
    if found is not None and meaning in ("booked", "arrived", "kept"):
        doubt = joined(doubt, _zone_doubt(received, taken))
    return found, doubt


def _start_texts(message: Message) -> Iterator[tuple[str, str]]:
    """Every place that names a start, and what stands there, surest first."""
    for name, field, component in _STARTS:
        segment = message.first(name)
        if segment is None or segment.is_empty(field):
            continue
        text = segment.text(field, component)
        if text:
            yield f"{name}-{field}", text


def _zone_doubt(received: Received, text: str) -> str:
    """A warning when the sender's clock runs in another zone than the feed's file says."""
    sent = received.message.header.timestamp
    if len(sent) < 13 or sent[-5] not in "+-" or not sent[-4:].isdigit() or text[-5:-4] in ("+", "-"):
        return ""
    at = received.time(sent)
    if at is None:
        return ""
    offset = timedelta(hours=int(sent[-4:-2]), minutes=int(sent[-2:]))
    offset = -offset if sent[-5] == "-" else offset
    return "" if at.astimezone(received.feed.zone).utcoffset() == offset else "MSH-7's offset is not the feed's zone"


def _specialty(received: Received) -> str:
    """What the feed's codes say of the booked service, AIS-3; "" when the feed names none."""
    feed = received.feed
    service = received.message.first("AIS") if feed.specialties else None
    return "" if service is None else feed.specialty_of(service.text(3))
