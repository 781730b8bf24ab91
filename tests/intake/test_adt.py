"""Admission messages: who came, what changed, which numbers are one person; and the types that say nothing."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.loop.events import PatientAttended, PatientsMerged, PatientUpdated
from referral_engine.loop.matching import About
from tests.intake.samples import EHR, NOW, NPI, PID, SCANNER, SPECIALIST, header, segment, told


def adt(trigger: str, *lines: str) -> str:
    return "\n".join([header(f"ADT^{trigger}"), f"EVN|{trigger}", PID, *lines])


def visit(**fields: str) -> str:
    return segment("PV1", **({"f2": "O", "f7": f"{NPI}^DOE^DAN", "f44": "202603020830"} | fields))


def test_a_registration_with_a_named_clinician_is_attendance_and_an_update() -> None:
    reading = told(adt("A04", visit()))

    assert reading.about is About.APPOINTMENT
    assert [type(event) for event in reading.events] == [PatientUpdated, PatientAttended]
    assert isinstance(reading.event, PatientAttended)
    assert reading.evidence is not None
    assert reading.evidence.provider == NPI
    assert reading.evidence.happened_at is not None
    assert reading.note == "attendance by registration"


def test_a_registration_at_the_specialists_own_desk_is_attendance() -> None:
    reading = told(adt("A04", visit(f7="")), SPECIALIST)

    assert reading.about is About.APPOINTMENT
    assert [type(event) for event in reading.events] == [PatientAttended]


def test_the_consulting_clinician_counts_and_the_referring_one_does_not() -> None:
    assert told(adt("A04", visit(f7="", f9=NPI))).about is About.APPOINTMENT
    assert told(adt("A04", visit(f7="", f8=NPI))).about is About.PATIENT


@pytest.mark.parametrize(
    "lines",
    [(), (visit(f7="LOCAL7"),), (visit(f2="I"),), (visit(f2="E"),), (visit(f2="P"),), (visit(f44="202603090830"),)],
)
def test_a_registration_that_proves_no_visit_only_updates(lines: tuple[str, ...]) -> None:
    reading = told(adt("A04", *lines))

    assert reading.about is About.PATIENT
    assert [type(event) for event in reading.events] == [PatientUpdated]


def test_a_visit_without_a_time_happened_when_the_message_came() -> None:
    reading = told(adt("A04", visit(f44="")))

    assert reading.evidence is not None
    assert reading.evidence.happened_at == NOW


@pytest.mark.parametrize("trigger", ["A08", "A28", "A31"])
def test_changed_demographics_update_the_patient(trigger: str) -> None:
    reading = told(adt(trigger))

    assert reading.about is About.PATIENT
    assert isinstance(reading.event, PatientUpdated)
    assert reading.event.patient.family.reveal() == "ROE"
    assert reading.event.message == 7


@pytest.mark.parametrize("party", [SPECIALIST, SCANNER])
@pytest.mark.parametrize("trigger", ["A08", "A40"])
def test_only_the_ordering_side_changes_patients(trigger: str, party: object) -> None:
    assert party in (SPECIALIST, SCANNER)
    reading = told(adt(trigger, "MRG|X2^^^SPRINGFIELD^MR"), SPECIALIST if party is SPECIALIST else SCANNER)

    assert reading.about is None
    assert "ordering side only" in reading.note


def test_a_merge_names_the_survivor_first_and_the_retired_number_behind() -> None:
    reading = told(adt("A40", "MRG|OLD5^^^SPRINGFIELD^MR"))

    assert reading.about is About.PATIENT
    assert isinstance(reading.event, PatientsMerged)
    assert [known.value.reveal() for known in reading.event.patient.ids] == ["MRN1001", "OLD5"]
    assert [known.value.reveal() for known in reading.retired] == ["OLD5"]
    assert reading.evidence is not None
    assert reading.evidence.patient == reading.event.patient
    assert reading.note == ""


def test_a_retired_number_without_authority_is_the_feeds() -> None:
    assert told(adt("A40", "MRG|OLD5")).retired[0].authority == "SPRINGFIELD"


@pytest.mark.parametrize("lines", [(), ("MRG|",), ("MRG|OLD5^^^SPRINGFIELD^AN",)])
def test_a_merge_without_a_retired_number_is_for_a_person(lines: tuple[str, ...]) -> None:
    with pytest.raises(MessageFault, match="MRG-1"):
        told(adt("A40", *lines))


def test_a_merge_without_a_survivor_is_for_a_person() -> None:
    with pytest.raises(MessageFault, match="PID-3"):
        told("\n".join([header("ADT^A40"), "PID|1||", "MRG|OLD5^^^SPRINGFIELD^MR"]))


def test_a_merge_of_a_number_with_itself_is_nothing() -> None:
    assert told(adt("A40", "MRG|MRN1001^^^SPRINGFIELD^MR")).note == "the merge retires the number that survives it"


def test_several_merges_in_one_message_are_named() -> None:
    reading = told(adt("A40", "MRG|OLD5^^^SPRINGFIELD^MR", PID.replace("1001", "1002"), "MRG|OLD6^^^SPRINGFIELD^MR"))

    assert [known.value.reveal() for known in reading.retired] == ["OLD5"]
    assert "only the first was read" in reading.note


@pytest.mark.parametrize("trigger", ["A01", "A02", "A03", "A11", "A13", "A24", "A41", "A43", "A60", "Z01"])
def test_other_events_say_nothing_and_say_why(trigger: str) -> None:
    reading = told(adt(trigger, visit()))

    assert (reading.about, reading.event) == (None, None)
    assert reading.note


def test_the_event_segment_of_an_admission_may_contradict() -> None:
    assert told(adt("A08").replace("EVN|A08", "EVN|A01")).note == "EVN-1 contradicts MSH-9.2"


@pytest.mark.parametrize(
    "kind", ["ACK", "ACK^A01", "ORR^O02", "DFT^P03", "RRI^I12", "QBP^Q22", "ZZZ^Z01", "MFN^M02", "SRM^S01"]
)
@pytest.mark.parametrize("party", [EHR, SPECIALIST, SCANNER], ids=lambda party: party.kind)
def test_other_message_types_say_nothing(kind: str, party: object) -> None:
    chosen = next(one for one in (EHR, SPECIALIST, SCANNER) if one is party)

    reading = told("\n".join([header(kind), PID]), chosen)

    assert (reading.about, reading.evidence, reading.events) == (None, None, ())
    assert reading.note == "this message type says nothing of a referral"


def test_a_referral_sent_as_ref_is_for_a_person_and_never_dropped() -> None:
    with pytest.raises(MessageFault, match="a referral sent as REF"):
        told("\n".join([header("REF^I12"), "RF1|P|R", PID]))
