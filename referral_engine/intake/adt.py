"""An admission message in, what it says of the patient out: came, changed, did not come after all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from referral_engine.hl7.segment import Segment
from referral_engine.intake.merges import CHANGES, read_identities
from referral_engine.intake.patients import read_patient, read_visit
from referral_engine.intake.reading import Reading, nothing
from referral_engine.intake.received import Received, text_of, traced_npi
from referral_engine.loop.events import Event, PatientAttended, PatientUpdated
from referral_engine.loop.evidence import About, Evidence

EARLY_MAX: Final = timedelta(hours=12)  # a registration or a charge dated later than this is for another day

# Triggers by what follows. Source: HL7 v2.5.1 3.3.
_REGISTRATIONS: Final = frozenset(("A04", "A10"))
_STAYS: Final = frozenset(("A01", "A03"))  # the beginning and the end: a visit to an office when the class says so
_UPDATES: Final = frozenset(("A05", "A08", "A28", "A31"))  # A05 registers for a later day: nobody has come
_TAKEN_BACK: Final = frozenset(("A11", "A23", "A32", "A38"))  # visit, record of a visit, arrival, pre-admission
_ACCOUNTS: Final = {  # a merge or a move that leaves the record number as it is, and which visit number it renames
    "A35": "", "A41": "", "A42": "MRG-5", "A44": "", "A45": "MRG-5",
    "A49": "", "A50": "MRG-5", "A51": "MRG-6",
}  # fmt: skip
_NOT_FOLLOWED: Final = {
    "A13": "the end of a visit is taken back: the patient came all the same",
    "A29": "a person's record is deleted: what was read from it stays",
}

# PV1-2, table 0004. Not a bed (I, B), not an emergency (E), not a later day (P).
_OFFICE_CLASSES: Final = frozenset(("", "O", "C", "R", "N", "U"))
_OFFICE_STAYS: Final = frozenset(("O", "R"))  # an admission is one of an office only when it says so


def read_registration(received: Received, trigger: str) -> tuple[Reading, ...]:
    """What an ADT says: one reading, or one for each pair of records that a merge or a link names.

    Source: HL7 v2.5.1 3.3. Raises MessageFault 101 for a merge without its numbers, 205 for two patients where the
    event speaks of one.
    """
    if trigger in CHANGES:
        return read_identities(received, trigger)
    if trigger in _REGISTRATIONS:
        return (_came(received, _OFFICE_CLASSES, (44,)),)
    if trigger in _STAYS:
        return (_came(received, _OFFICE_STAYS, (44,) if trigger == "A01" else (44, 45)),)
    if trigger in _UPDATES:
        return (_changed(received),)
    if trigger in _TAKEN_BACK:
        return (_taken_back(received),)
    if trigger in _ACCOUNTS:
        return (nothing(_account_note(received, _ACCOUNTS[trigger])),)
    return (nothing(_NOT_FOLLOWED.get(trigger, "this event says nothing of a referral")),)


def _came(received: Received, classes: frozenset[str], dates: tuple[int, ...]) -> Reading:
    """A registration proves a visit only when it says whose: a clinician's NPI, or it comes from the office itself.

    classes: of PV1-2 that are a visit to an office. dates: the fields of PV1 that may say when.
    """
    pv1 = received.message.first("PV1")
    provider, in_provider = traced_npi((pv1, 7), (pv1, 9))
    when = _first_day(received, pv1, dates)
    in_office = pv1 is not None and text_of(pv1, 2).upper() in classes
    timely = when is None or when <= received.at + EARLY_MAX
    if not in_office or not timely or not (provider or received.party.kind == "specialist"):
        return _changed(received, "no visit to an office that could be named")
    patient = read_patient(received)
    visit, in_visit = read_visit(received, pv1)
    attended = PatientAttended(**received.stamp)
    events: tuple[Event, ...] = (attended,)
    if received.party.kind == "ehr":
        events = (PatientUpdated(**received.stamp, patient=patient), attended)
    evidence = Evidence(
        about=About.APPOINTMENT,
        patient=patient,
        visit=visit,
        provider=provider,
        happened_at=when or received.at,
        fields=in_visit + in_provider,
    )
    return Reading(about=About.APPOINTMENT, evidence=evidence, events=events, note="attendance by registration")


def _first_day(received: Received, pv1: Segment | None, fields: tuple[int, ...]) -> datetime | None:
    """The first of several dates of a visit, PV1-44 (it began) and PV1-45 (it ended)."""
    for field in fields:
        if day := received.day(text_of(pv1, field)):
            return day
    return None


def _changed(received: Received, note: str = "") -> Reading:
    """Demographics, which only the ordering side may change."""
    if received.party.kind != "ehr":
        return nothing("demographics are taken from the ordering side only", note)
    patient = read_patient(received)
    evidence = Evidence(about=About.PATIENT, patient=patient)
    event = PatientUpdated(**received.stamp, patient=patient)
    return Reading(about=About.PATIENT, evidence=evidence, events=(event,), note=note)


def _taken_back(received: Received) -> Reading:
    """A visit that is cancelled or deleted was no visit: what its own number proved is taken back, nothing else."""
    patient = read_patient(received)
    visit, in_visit = read_visit(received, received.message.first("PV1"))
    evidence = Evidence(about=About.APPOINTMENT, patient=patient, visit=visit, retracts=True, fields=in_visit)
    note = "a visit is taken back" if visit else "a visit is taken back that has no number: nothing can be found by it"
    return Reading(about=About.APPOINTMENT, evidence=evidence, withdraws=True, note=note)


def _account_note(received: Received, renamed_in: str) -> str:
    """Why nothing follows from an account's or a visit's merge, and whether a visit number has changed with it."""
    note = "accounts or visits are merged or moved: the record number stays as it is"
    merge = received.message.first("MRG") if renamed_in else None
    if merge is not None and not merge.is_empty(int(renamed_in[-1])):
        return f"{note}; a visit number is retired in {renamed_in}"
    return note
