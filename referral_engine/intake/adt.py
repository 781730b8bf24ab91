"""An admission message in, what it says of the patient out: came, changed, two numbers are one person."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.intake.patients import read_ids, read_patient
from referral_engine.intake.reading import Reading, nothing
from referral_engine.intake.received import Received, first_npi
from referral_engine.loop.events import Event, PatientAttended, PatientsMerged, PatientUpdated
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Patient

_REGISTRATIONS: Final = frozenset(("A04", "A10"))
_UPDATES: Final = frozenset(("A08", "A28", "A31"))
_MERGES: Final = frozenset(("A18", "A34", "A40"))
_TAKEN_BACK: Final = frozenset(("A11", "A13", "A23", "A32", "A38"))
_MOVES: Final = frozenset(("A24", "A35", "A36", "A37", "A39", "A41", "A42", "A43", "A44", "A45", "A47"))
_OFFICE_CLASSES: Final = frozenset(("", "O", "C", "R", "N", "U"))  # PV1-2, table 0004: not a bed, not an emergency
_EARLY_MAX: Final = timedelta(hours=12)  # a registration dated later than this is for another day


def read_registration(received: Received, trigger: str) -> Reading:
    """What an ADT says.  Source: HL7 v2.5.1 3.3.  Raises MessageFault 101 for a merge without its numbers."""
    if trigger in _REGISTRATIONS:
        return _came(received)
    if trigger in _UPDATES:
        return _changed(received)
    if trigger in _MERGES:
        return _merged(received)
    if trigger in _TAKEN_BACK:
        return nothing("a registration is taken back: an attendance read from it must be looked at by a person")
    if trigger in _MOVES:
        return nothing("numbers are moved or linked: not followed")
    return nothing("this event says nothing of a referral")


def _came(received: Received) -> Reading:
    """A registration proves a visit only when it says whose: a clinician's NPI, or it comes from the office itself."""
    visit = received.message.first("PV1")
    provider = first_npi((visit, 7), (visit, 9))
    from_office = received.party.kind == "specialist"
    when = None if visit is None else received.day(visit.text(44))
    in_office = visit is not None and visit.text(2).upper() in _OFFICE_CLASSES
    timely = when is None or when <= received.at + _EARLY_MAX
    if not in_office or not timely or not (provider or from_office):
        return _changed(received, "no visit to an office that could be named")
    patient = read_patient(received)
    attended = PatientAttended(**received.stamp)
    events: tuple[Event, ...] = (attended,)
    if received.party.kind == "ehr":
        events = (PatientUpdated(**received.stamp, patient=patient), attended)
    evidence = Evidence(about=About.APPOINTMENT, patient=patient, provider=provider, happened_at=when or received.at)
    return Reading(about=About.APPOINTMENT, evidence=evidence, events=events, note="attendance by registration")


def _changed(received: Received, note: str = "") -> Reading:
    """Demographics, which only the ordering side may change."""
    if received.party.kind != "ehr":
        return nothing("demographics are taken from the ordering side only", note)
    patient = read_patient(received)
    event = PatientUpdated(**received.stamp, patient=patient)
    return Reading(about=About.PATIENT, evidence=_of(patient), events=(event,), note=note)


def _merged(received: Received) -> Reading:
    """Two numbers are one person from now on: the survivor's in PID-3, the retired one in MRG-1."""
    if received.party.kind != "ehr":
        return nothing("merges are taken from the ordering side only")
    message = received.message
    merge = message.first("MRG")
    retired = () if merge is None else read_ids(received, merge, 1)
    if not retired:
        raise MessageFault("101", "MRG-1", "a merge that does not say which number is retired")
    survivor = read_patient(received)
    if not survivor.ids:
        raise MessageFault("101", "PID-3", "a merge that does not say which number survives")
    gone = tuple(known for known in retired if known not in survivor.ids)
    if not gone:
        return nothing("the merge retires the number that survives it")
    patient = replace(survivor, ids=(*survivor.ids, *gone))
    return Reading(
        about=About.PATIENT,
        evidence=_of(patient),
        events=(PatientsMerged(**received.stamp, patient=patient),),
        retired=gone,
        note="several merges in one message: only the first was read" if len(message.all("MRG")) > 1 else "",
    )


def _of(patient: Patient) -> Evidence:
    return Evidence(about=About.PATIENT, patient=patient)
