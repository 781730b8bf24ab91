"""A charge in, the visit it proves out; a credit takes the proof back. Neither ever closes a referral."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.segment import Segment
from referral_engine.intake.adt import EARLY_MAX
from referral_engine.intake.patients import read_patient, read_visit
from referral_engine.intake.reading import Reading, joined, nothing
from referral_engine.intake.received import Received, number_in, text_of, traced_npi
from referral_engine.loop.events import PatientAttended
from referral_engine.loop.evidence import About, Evidence
from referral_engine.loop.referral import Identifier, Patient

CHARGES_MAX: Final = 500  # FT1 segments of one message; a long stay has that many, an office visit has five

_POSTINGS: Final = frozenset(("P03", "P11"))  # P11 is P03 with the diagnoses beside each charge
_VISIT_CODES: Final = ("99202", "99499")  # CPT evaluation and management: whoever bills one has seen the patient

Kind = Literal["charge", "credit", "other"]


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """One FT1 as far as it speaks of a visit."""

    kind: Kind
    number: Identifier  # FT1-2
    filler: Identifier  # FT1-23
    provider: str
    specialty: str
    day: datetime | None
    is_visit: bool
    fields: tuple[str, ...]


def read_charges(received: Received, trigger: str) -> tuple[Reading, ...]:
    """What a DFT^P03 says: one reading for each visit it charges, one for each charge it only credits.

    Lines of one order, day and clinician are one visit. A visit that is charged and credited in one message is charged
    anew, which is how a charge is corrected: the patient came.
    Source: HL7 v2.5.1 6.3.1 (P03), 6.5.1 (FT1). Raises MessageFault 102 beyond CHARGES_MAX lines, 205 for two patients.
    """
    if trigger not in _POSTINGS:
        return (nothing("this financial event says nothing of a visit"),)
    if received.party.kind == "scanner":
        return (nothing("a scanning station charges nothing"),)
    message = received.message
    segments = message.all("FT1")
    if len(segments) > CHARGES_MAX:
        raise MessageFault("102", "FT1", "more charges in one message than are looked at")
    pv1 = message.first("PV1")
    visits: dict[tuple[Identifier, str, datetime | None], list[_Line]] = {}
    for segment in segments:
        line = _line(received, segment, pv1)
        if line.kind != "other":
            visits.setdefault((line.filler, line.provider, line.day), []).append(line)
    if not visits:
        return (nothing("no charge: payments and adjustments say nothing of a visit"),)
    patient = read_patient(received)
    visit, in_visit = read_visit(received, pv1)
    found: list[Reading] = []
    for lines in visits.values():
        found += _of_visit(received, patient, lines, visit, in_visit)
    return tuple(found)


def _line(received: Received, ft1: Segment, pv1: Segment | None) -> _Line:
    provider, in_provider = traced_npi((ft1, 20), (pv1, 7))  # never FT1-21: who ordered has not seen the patient
    code = text_of(ft1, 25) or text_of(ft1, 7)
    number, filler = number_in(ft1, 2), number_in(ft1, 23)
    return _Line(
        kind=_kind(ft1),
        number=number,
        filler=filler,
        provider=provider,
        specialty=_specialty(received, ft1),
        day=received.day(text_of(ft1, 4)) or received.day(text_of(pv1, 44)),
        is_visit=len(code) == len(_VISIT_CODES[0]) and _VISIT_CODES[0] <= code <= _VISIT_CODES[1],
        fields=(*(("charge FT1-2",) if number else ()), *(("filler FT1-23",) if filler else ()), *in_provider),
    )


def _kind(ft1: Segment) -> Kind:
    """What FT1-6 says; a charge of less than nothing (FT1-10 to 12) is a credit.  Source: table 0017."""
    match text_of(ft1, 6).strip().upper():
        case "CG":
            is_less = any(text_of(ft1, field).lstrip().startswith("-") for field in (10, 11, 12))
            return "credit" if is_less else "charge"
        case "CD":
            return "credit"
        case _:
            return "other"


def _specialty(received: Received, ft1: Segment) -> str:
    """What the feed's codes say of the procedure, FT1-25 or FT1-7; "" when the feed names none."""
    feed = received.feed
    if not feed.specialties:
        return ""
    return feed.specialty_of(text_of(ft1, 25)) or feed.specialty_of(text_of(ft1, 7))


def _of_visit(
    received: Received, patient: Patient, lines: list[_Line], visit: Identifier, in_visit: tuple[str, ...]
) -> list[Reading]:
    """What the lines of one visit say together."""
    charges = [line for line in lines if line.kind == "charge"]
    if not charges:
        return [_credited(line, patient) for line in lines]
    first = next((line for line in charges if line.is_visit), charges[0])
    corrected = "charged and credited in one message: taken for a correction" if len(charges) < len(lines) else ""
    if first.day is None or first.day > received.at + EARLY_MAX:
        return [nothing("a charge without a day that has come proves no visit", corrected)]
    whose = first.provider or first.specialty or first.filler or visit
    if not whose and received.party.kind != "specialist":
        return [nothing("no visit to an office that could be named", corrected)]
    evidence = Evidence(
        about=About.APPOINTMENT,
        patient=patient,
        filler=first.filler,
        visit=visit,
        charge=first.number,
        provider=first.provider,
        specialty=first.specialty,
        happened_at=first.day,
        fields=first.fields + in_visit,
    )
    attended = PatientAttended(**received.stamp)
    note = joined("attendance by a charge", corrected)
    return [Reading(about=About.APPOINTMENT, evidence=evidence, events=(attended,), note=note)]


def _credited(line: _Line, patient: Patient) -> Reading:
    """A credit takes back its own charge.

    The visit's number is left out: by it, one corrected line would take back the registration and all other charges.
    """
    if not line.number:
        return nothing("a credit that does not say which charge it takes back")
    evidence = Evidence(
        about=About.APPOINTMENT,
        patient=patient,
        charge=line.number,
        retracts=True,
        fields=line.fields[:1],
    )
    return Reading(about=About.APPOINTMENT, evidence=evidence, withdraws=True, note="a charge is credited")
