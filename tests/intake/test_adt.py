"""Admission messages: who came, what changed, what is taken back; and the types that say nothing."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.loop.events import PatientAttended, PatientUpdated
from referral_engine.loop.evidence import About
from referral_engine.loop.referral import Identifier
from tests.intake.samples import EHR, EHR_FEED, NOW, NPI, PID, SCANNER, SPECIALIST, all_told, header, segment, told


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


@pytest.mark.parametrize("trigger", ["A05", "A08", "A28", "A31"])
def test_changed_demographics_update_the_patient(trigger: str) -> None:
    reading = told(adt(trigger))

    assert reading.about is About.PATIENT
    assert isinstance(reading.event, PatientUpdated)
    assert reading.event.patient.family.reveal() == "ROE"
    assert reading.event.message == 7


@pytest.mark.parametrize("party", [SPECIALIST, SCANNER], ids=lambda party: party.kind)
def test_only_the_ordering_side_changes_patients(party: Party) -> None:
    reading = told(adt("A08"), party)

    assert reading.about is None
    assert "ordering side only" in reading.note


# ---------------------------------------------------------------------------------------------------------------------
# Every trigger


UPDATED, CAME = [PatientUpdated], [PatientUpdated, PatientAttended]


@pytest.mark.parametrize(
    ("trigger", "of_office", "of_bed"),
    [
        ("A01", CAME, UPDATED), ("A03", CAME, UPDATED), ("A04", CAME, UPDATED), ("A10", CAME, UPDATED),
        ("A05", UPDATED, UPDATED), ("A08", UPDATED, UPDATED), ("A28", UPDATED, UPDATED), ("A31", UPDATED, UPDATED),
        ("A02", None, None), ("A06", None, None), ("A07", None, None), ("A09", None, None), ("A12", None, None),
        ("A13", None, None), ("A16", None, None), ("A17", None, None), ("A20", None, None), ("A29", None, None),
        ("A35", None, None), ("A41", None, None), ("A42", None, None), ("A44", None, None), ("A45", None, None),
        ("A49", None, None), ("A50", None, None), ("A51", None, None), ("A60", None, None), ("Z01", None, None),
        ("A99", None, None), ("a04", None, None),
    ],
)  # fmt: skip
def test_every_event_says_one_thing_of_an_office_visit_and_one_of_a_bed(
    trigger: str, of_office: list[type] | None, of_bed: list[type] | None
) -> None:
    for patient_class, expected in (("O", of_office), ("I", of_bed)):
        reading = told(adt(trigger, visit(f2=patient_class, f19="V1")))

        assert [type(event) for event in reading.events] == (expected or [])
        assert (reading.about is None) is (expected is None)
        assert not reading.withdraws
        assert reading.note or reading.events


@pytest.mark.parametrize("trigger", ["A01", "A03"])
@pytest.mark.parametrize(
    ("patient_class", "came"), [("O", True), ("R", True), ("", False), ("C", False), ("I", False), ("E", False)]
)
def test_a_stay_is_a_visit_to_an_office_only_when_its_class_says_so(
    trigger: str, patient_class: str, came: bool
) -> None:
    reading = told(adt(trigger, visit(f2=patient_class)))

    assert any(isinstance(event, PatientAttended) for event in reading.events) is came


@pytest.mark.parametrize(
    ("trigger", "fields", "day"),
    [
        ("A04", {"f44": "20260302"}, "2026-03-02T06:00"),
        ("A04", {"f44": "20260301"}, "2026-03-01T06:00"),
        ("A03", {"f44": "", "f45": "202603020930"}, "2026-03-02T15:30"),
        ("A03", {"f44": "20260301", "f45": "20260302"}, "2026-03-01T06:00"),
        ("A01", {"f44": "", "f45": "20260301"}, NOW.isoformat()[:16]),
    ],
)
def test_a_visit_happened_when_it_began_else_when_it_ended(trigger: str, fields: dict[str, str], day: str) -> None:
    evidence = told(adt(trigger, visit(**fields))).evidence

    assert evidence is not None
    assert evidence.happened_at is not None
    assert evidence.happened_at.isoformat()[:16] == day


def test_an_attendance_names_its_visit() -> None:
    evidence = told(adt("A04", visit(f19="0012^^^SPRINGFIELD^VN"))).evidence

    assert evidence is not None
    assert evidence.visit == Identifier(value="0012", authority="SPRINGFIELD")
    assert evidence.fields == ("visit PV1-19", "provider PV1-7")


def test_a_death_told_by_a_discharge_is_known() -> None:
    event = told(adt("A03", visit(f2="I")).replace(PID, PID + "|" * 22 + "Y")).event

    assert isinstance(event, PatientUpdated)
    assert event.patient.deceased


# ---------------------------------------------------------------------------------------------------------------------
# What is taken back


@pytest.mark.parametrize("party", [EHR, SPECIALIST], ids=lambda party: party.kind)
@pytest.mark.parametrize("trigger", ["A11", "A23", "A32", "A38"])
def test_a_visit_that_is_cancelled_withdraws_what_its_number_proved(trigger: str, party: Party) -> None:
    reading = told(adt(trigger, visit(f19="V1^^^SPRINGFIELD^VN")), party)

    assert (reading.about, reading.events, reading.withdraws) == (About.APPOINTMENT, (), True)
    assert reading.evidence is not None
    assert reading.evidence.visit == Identifier(value="V1", authority="SPRINGFIELD")
    assert reading.evidence.retracts
    assert reading.evidence.patient.family.reveal() == "ROE"
    assert reading.note == "a visit is taken back"


def test_a_cancelled_visit_without_a_number_says_that_nothing_can_be_found_by_it() -> None:
    reading = told(adt("A11"))

    assert reading.withdraws
    assert "that has no number" in reading.note


def test_the_end_of_a_visit_that_is_taken_back_unproves_no_attendance() -> None:
    reading = told(adt("A13", visit(f19="V1")))

    assert (reading.about, reading.withdraws) == (None, False)
    assert "the patient came all the same" in reading.note


def test_the_same_visit_number_comes_with_the_registration_and_its_cancellation() -> None:
    came, gone = (told(adt(trigger, visit(f19="V1"))).evidence for trigger in ("A04", "A11"))

    assert came is not None
    assert gone is not None
    assert came.visit == gone.visit != Identifier()


@pytest.mark.parametrize(
    ("trigger", "merge", "renamed"),
    [
        ("A42", "MRG|OLD5||||OLDVISIT", "MRG-5"), ("A45", "MRG|OLD5||||OLDVISIT", "MRG-5"),
        ("A50", "MRG|||||OLDVISIT", "MRG-5"), ("A51", "MRG||||||OLDVISIT", "MRG-6"),
        ("A42", "MRG|OLD5||ACCT", ""), ("A45", "PD1|", ""), ("A41", "MRG|||ACCT||OLDVISIT", ""), ("A44", "MRG|||ACCT", ""),
    ],
)  # fmt: skip
def test_accounts_and_visits_that_move_leave_the_record_number_alone(trigger: str, merge: str, renamed: str) -> None:
    reading = told(adt(trigger, merge))

    assert (reading.about, reading.identities, reading.withdraws) == (None, None, False)
    assert reading.note.startswith("accounts or visits are merged or moved: the record number stays as it is")
    assert (f"a visit number is retired in {renamed}" in reading.note) is bool(renamed)


# ---------------------------------------------------------------------------------------------------------------------
# Two patients where one is meant, versions, and other types


def test_an_event_of_one_patient_that_names_two_is_for_a_person() -> None:
    with pytest.raises(MessageFault, match="names two patients"):  # F-E16
        told(adt("A08", PID.replace("1001", "1002")))


@pytest.mark.parametrize(
    ("version", "kind", "pid"),
    [
        ("2.1", "ADT", "PID||MRN1001|||ROE^JANE^Q||19800102|F"),
        ("2.2", "ADT^A04", "PID|||MRN1001||ROE^JANE^Q||19800102|F"),
        ("2.2", "ADT^A04", "PID||||MRN1001|ROE^JANE^Q||19800102|F"),
        ("2.3", "ADT^A04", "PID|1||MRN1001^^^SPRINGFIELD^MR||ROE^JANE^Q||19800102000000|F"),
        ("2.3.1", "ADT^A04^ADT_A01", "PID|1||MRN1001^^^SPRINGFIELD&2.16.1&ISO^MR||ROE^JANE^Q||19800102^D|F"),
        ("2.5", "ADT^A04^ADT_A01", "PID|1||MRN1001^^^&2.16.1&ISO^MR||ROE^JANE^Q^^^^L||19800102|F"),
        ("2.8.2", "ADT^A04^ADT_A01", "PID|1||MRN1001^^^SPRINGFIELD^MR||ROE^JANE^Q||198001020000|F"),
        ("3", "ADT^A04", "PID|1||MRN1001^^^SPRINGFIELD^MR||ROE^JANE^Q||1980-01-02|F"),
    ],
)
def test_every_versions_spelling_of_one_registration_is_read_the_same(version: str, kind: str, pid: str) -> None:
    feed = replace(  # F-E11
        EHR_FEED, patient_numbers=("PID-3", "PID-2", "PID-4"), authority_names={"2.16.1": "SPRINGFIELD"}
    )
    party = replace(EHR, feed=feed)
    usual = told(adt("A04", visit()), party)

    lines = adt("A04", visit()).replace(PID, pid).replace("ADT^A04", kind, 1).replace("|2.5.1", f"|{version}")

    assert told(lines, party) == usual


def test_the_event_segment_of_an_admission_may_contradict() -> None:
    assert told(adt("A08").replace("EVN|A08", "EVN|A01")).note == "EVN-1 contradicts MSH-9.2"


def test_an_admission_without_any_event_is_for_a_person() -> None:
    with pytest.raises(MessageFault, match="the event is missing"):
        told("\n".join([header("ADT"), PID]))


@pytest.mark.parametrize(
    "kind",
    ["ACK", "ACK^A01", "MCF", "ADR^A19", "QBP^Q22", "ZZZ^Z01", "MFN^M02", "SRM^S01", "BAR^P01", "RDE^O11", "VXU"],
)
@pytest.mark.parametrize("party", [EHR, SPECIALIST, SCANNER], ids=lambda party: party.kind)
@pytest.mark.parametrize("version", ["2.1", "2.9", "3.0", ""])
def test_other_message_types_say_nothing(kind: str, party: Party, version: str) -> None:
    reading = told("\n".join([header(kind).replace("2.5.1", version), PID, "ZZ1|anything"]), party)  # F-E11

    assert (reading.about, reading.evidence, reading.events) == (None, None, ())
    assert reading.note == "this message type says nothing of a referral"


@pytest.mark.parametrize(("first", "more"), [("A04", 1), ("A40", 1), ("Z01", 1)])
def test_a_message_is_never_without_a_reading(first: str, more: int) -> None:
    assert len(all_told(adt(first, visit(), "MRG|OLD5"))) == more
