"""A scheduling message in, what became of the appointment out: booked, moved, cancelled, kept, missed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, assert_never

import msgspec

from referral_engine.base.errors import MessageFault
from referral_engine.channels.feed import SlotMeaning
from referral_engine.hl7.message import Message, groups
from referral_engine.hl7.segment import Segment
from referral_engine.intake.patients import is_another, read_patient, read_visit
from referral_engine.intake.reading import Reading, joined, nothing
from referral_engine.intake.received import NO_NUMBER, Received, first_number, traced_npi, traced_number
from referral_engine.intake.starts import starts_at
from referral_engine.loop.events import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentVoided,
    Event,
    PatientAttended,
    PatientMissed,
)
from referral_engine.loop.evidence import About, Evidence
from referral_engine.loop.referral import Identifier, Patient

PATIENTS_MAX: Final = 50  # of a group visit; more is a mistake, and a person looks
RESOURCES_MAX: Final = 20  # of one appointment that are looked at

# What a trigger says before SCH-25 is looked at. Source: HL7 v2.5.1 10.4.
_TRIGGERS: Final[Mapping[str, SlotMeaning]] = {
    "S12": "booked",
    "S13": "booked",
    "S14": "ignore",  # modified: SCH-25 says how
    "S15": "cancelled",
    "S16": "cancelled",
    "S17": "void",
    "S18": "ignore",  # a service or a resource was added, modified, cancelled, discontinued or deleted
    "S19": "ignore",
    "S20": "ignore",
    "S21": "ignore",
    "S22": "ignore",
    "S26": "no-show",
}
_BLOCKS: Final = ("S23", "S24")
_BOOKING: Final = ("S12", "S13")
_OF_RESOURCES: Final = ("S18", "S19", "S20", "S21", "S22")
# The words that may say more than the trigger does; any other word beside it is an old one.
_STRONGER: Final[Mapping[str, tuple[SlotMeaning, ...]]] = {
    "S12": ("arrived", "kept", "no-show", "cancelled", "void", "pending", "ignore"),
    "S13": ("arrived", "kept", "no-show", "cancelled", "void", "pending", "ignore"),
    "S14": ("booked", "arrived", "kept", "no-show", "cancelled", "void", "pending", "ignore"),
    "S15": ("no-show", "void"),
    "S16": ("no-show", "void"),
}
_REASON_COUNTS: Final = ("S14", "S15", "S16")  # SCH-6 of a booking says why the earlier one was given up
_STATES: Final = (("AIS", 10), ("AIG", 14), ("AIL", 12), ("AIP", 12))  # each resource's own, table 0278
_STANDS: Final = ("booked", "arrived", "kept")  # what lets a new number stand for the one it replaces


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the message says of the appointment, whoever's it is."""

    events: tuple[Event, ...]
    meaning: SlotMeaning
    starts_at: datetime | None
    note: str


class _Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What the message is known by, and where that stood."""

    placer: Identifier = NO_NUMBER
    filler: Identifier = NO_NUMBER
    appointment: Identifier = NO_NUMBER
    parent: Identifier = NO_NUMBER
    fields: tuple[str, ...] = ()


_SHARED: Final = _Numbers()


def read_appointment(received: Received, trigger: str) -> tuple[Reading, ...]:
    """What an SIU says: one reading for each patient it names, one when it names none.

    Raises MessageFault 101 without SCH; 102 for a booking (S12, S13) without a readable time of day, or for more
    patients than PATIENTS_MAX.
    """
    if trigger not in _TRIGGERS:
        of_nobody = "a time is blocked or freed: no patient's appointment"
        return (nothing(of_nobody if trigger in _BLOCKS else "this scheduling event changes no patient's appointment"),)
    message = received.message
    sch = message.first("SCH")
    if sch is None:
        raise MessageFault("101", "SCH", "a scheduling message without an appointment")
    said = _said(received, trigger, sch)
    if parted := _patients(received):
        return tuple(_reading(received, said, patient, visit, _SHARED) for patient, visit in parted)
    patient = read_patient(received)
    return (_reading(received, said, patient, message.first("PV1"), _numbers(message, sch, said.meaning)),)


def _said(received: Received, trigger: str, sch: Segment) -> _Said:
    """The meaning, the start and the events of one message."""
    meaning, note = _meaning(received, trigger, sch)
    start, doubt = starts_at(received, will_book=meaning in _STANDS)
    events, why = _events(received, trigger, meaning, start, sch)
    return _Said(events=events, meaning=meaning, starts_at=start, note=joined(note, why, doubt))


def _reading(received: Received, said: _Said, patient: Patient, pv1: Segment | None, numbers: _Numbers) -> Reading:
    """What the message says of one patient.  Source: HL7 v2.5.1 10.3 (SIU), 10.6.5 to 10.6.7 (AIG, AIL, AIP)."""
    message = received.message
    visit, in_visit = read_visit(received, pv1)
    people = [(one, 3) for one in message.all("AIP")[:RESOURCES_MAX]]
    things = [(one, 3) for one in message.all("AIG")[:RESOURCES_MAX]]
    provider, in_provider = traced_npi(*people, *things, (pv1, 7))
    evidence = Evidence(
        about=About.APPOINTMENT,
        patient=patient,
        placer=numbers.placer,
        filler=numbers.filler,
        appointment=numbers.appointment,
        parent=numbers.parent,
        visit=visit,
        provider=provider,
        specialty=_specialty(received),
        happened_at=said.starts_at,
        retracts=said.meaning == "void",
        fields=(*numbers.fields, *in_visit, *in_provider),
    )
    note = said.note
    if numbers is _SHARED:
        note = joined(note, "a visit of several patients: its numbers do not say whose it is")
    return Reading(about=About.APPOINTMENT, evidence=evidence, events=said.events, note=note)


def _numbers(message: Message, sch: Segment, meaning: SlotMeaning) -> _Numbers:
    """The numbers of an appointment of one patient.

    The parent's is looked up only while the new time stands: the end of a child that was never booked here must not
    end the appointment that its parent's number leads to.
    Source: HL7 v2.5.1 10.6.1.1, .2, .23, .24, .26, .27; an order that some senders append.
    """
    orc, obr = message.first("ORC"), message.first("OBR")
    placer, in_placer = traced_number("placer", (sch, 26), (orc, 2), (obr, 2))
    filler, in_filler = traced_number("filler", (sch, 27), (orc, 3), (obr, 3))
    appointment, in_appointment = traced_number("appointment", (sch, 2), (sch, 1))
    replaced = ((sch, 24), (sch, 23)) if meaning in _STANDS else ()
    parent, in_parent = traced_number("parent", *replaced)
    if parent.value == appointment.value:
        parent, in_parent = NO_NUMBER, ()
    return _Numbers(
        placer=placer,
        filler=filler,
        appointment=appointment,
        parent=parent,
        fields=in_placer + in_filler + in_appointment + in_parent,
    )


def _patients(received: Received) -> list[tuple[Patient, Segment | None]]:
    """Each patient of a group visit with the PV1 that follows; [] when the message names one patient or none.

    A PID that is sent again with its own PV1 is no other patient.
    """
    message = received.message
    named = len(message.all("PID"))
    if named < 2:
        return []
    if named > PATIENTS_MAX:
        raise MessageFault("102", "PID", "more patients in one appointment than are looked at")
    found: list[tuple[Patient, Segment | None]] = []
    for group in groups(message, "PID"):
        patient = read_patient(received, group[0])
        if all(is_another(patient, known) for known, _ in found):
            found.append((patient, next((segment for segment in group if segment.name == "PV1"), None)))
    return found if len(found) > 1 else []


def _meaning(received: Received, trigger: str, sch: Segment) -> tuple[SlotMeaning, str]:
    """What trigger, SCH-25 and what stands in its place say together, and a warning where they do not fit."""
    said = _TRIGGERS[trigger]
    words = [word for word in (sch.text(25), sch.text(25, 2)) if word]
    if not words:
        return _meaning_elsewhere(received, trigger, sch)
    meaning = _first_known(received, words)
    if trigger in _OF_RESOURCES:
        silent = meaning in (None, "booked", "pending", "ignore")
        return said, "" if silent else "SCH-25 names a state that a change of services or resources does not bring"
    if meaning is None:
        return said, "SCH-25 is a word the feed does not list"
    if meaning == said:
        return said, ""
    if meaning in _STRONGER.get(trigger, ()):
        contradicts = trigger in _BOOKING and meaning in ("no-show", "cancelled", "void")
        return meaning, "SCH-25 contradicts MSH-9.2: SCH-25 was taken" if contradicts else ""
    return said, "SCH-25 contradicts MSH-9.2: MSH-9.2 was taken"


def _meaning_elsewhere(received: Received, trigger: str, sch: Segment) -> tuple[SlotMeaning, str]:
    """What is said without SCH-25: by SCH-6, where some senders put the state, else by every resource alike."""
    said: SlotMeaning = "booked" if trigger == "S14" else _TRIGGERS[trigger]
    stronger = _STRONGER.get(trigger, ())
    if not stronger:
        return said, ""
    if trigger in _REASON_COUNTS:
        meaning = _first_known(received, [sch.text(6), sch.text(6, 2)])
        if meaning in stronger:
            return meaning, "" if meaning == said else "the state was taken from SCH-6"
    message = received.message
    found = {
        _first_known(received, [segment.text(field), segment.text(field, 2)])
        for name, field in _STATES
        for segment in message.all(name)[:RESOURCES_MAX]
        if not segment.is_empty(field)
    } - {None}
    if len(found) > 1:
        return said, "the resources' states disagree: none was taken"
    for meaning in found:
        if meaning in stronger and meaning != said:
            return meaning, "the state was taken from the resources"
    return said, ""


def _first_known(received: Received, words: list[str]) -> SlotMeaning | None:
    """What the first word that the feed lists means."""
    return next((found for word in words if word and (found := received.feed.slot_meaning(word))), None)


def _events(
    received: Received, trigger: str, meaning: SlotMeaning, start: datetime | None, sch: Segment
) -> tuple[tuple[Event, ...], str]:
    """The events of one meaning in order, or why there are none."""
    stamp = received.stamp
    appointment = first_number((sch, 2), (sch, 1))
    booked: tuple[Event, ...] = ()
    if start is not None:
        booked = (AppointmentBooked(**stamp, starts_at=start, appointment=appointment),)
    match meaning:
        case "booked":
            if start is None and trigger in _BOOKING:
                raise MessageFault("102", "SCH-11.4", "a booking without a readable day and time")
            if start is None:
                return (), "no readable day and time"
            if trigger == "S14" and start < received.at:  # else it would take back that the patient came
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


def _specialty(received: Received) -> str:
    """What the feed's codes say of the booked service, AIS-3; "" when the feed names none."""
    feed = received.feed
    service = received.message.first("AIS") if feed.specialties else None
    return "" if service is None else feed.specialty_of(service.text(3))
