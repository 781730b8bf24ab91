"""Scheduling messages: what trigger and SCH-25 mean together, and when the appointment is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.feed import DEFAULT_SLOT_WORDS, Offset
from referral_engine.channels.parties import Party
from referral_engine.intake.appointments import PATIENTS_MAX
from referral_engine.loop.events import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentVoided,
    PatientAttended,
    PatientMissed,
)
from referral_engine.loop.evidence import About
from referral_engine.loop.referral import Identifier, Patient
from tests.intake.samples import (
    EHR,
    EHR_FEED,
    NOW,
    NPI,
    OTHER_NPI,
    PID,
    SPECIALIST,
    all_told,
    header,
    segment,
    siu,
    told,
)

BOOKED, CANCELLED, VOIDED, MISSED, ATTENDED = (
    AppointmentBooked, AppointmentCancelled, AppointmentVoided, PatientMissed, PatientAttended,
)  # fmt: skip
STARTS_AT = datetime(2026, 3, 16, 14, 0, tzinfo=UTC)


def in_zone(name: str) -> Party:
    return replace(EHR, feed=replace(EHR_FEED, zone=ZoneInfo(name)))


def start_of(lines: str, party: Party = EHR) -> datetime:
    booked = told(lines, party).events[0]
    assert isinstance(booked, AppointmentBooked)
    return booked.starts_at


def test_a_booking_says_when_whose_and_for_which_order() -> None:
    reading = told(siu("S12", "Booked", f"AIP|1||{NPI}^DOE^DAN", f27="F1^CENT"), SPECIALIST)

    assert reading.about is About.APPOINTMENT
    assert reading.events == (
        AppointmentBooked(
            at=NOW,
            message=7,
            by="heart-group",
            starts_at=STARTS_AT,
            appointment=Identifier(value="A100", authority="CENT"),
        ),
    )
    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="ORD77", authority="EHR")
    assert reading.evidence.filler == Identifier(value="F1", authority="CENT")
    assert reading.evidence.appointment == Identifier(value="A100", authority="CENT")
    assert (reading.evidence.provider, reading.evidence.happened_at) == (NPI, STARTS_AT)
    assert reading.note == ""


@pytest.mark.parametrize(
    ("trigger", "word", "expected"),
    [
        ("S12", "", [BOOKED]), ("S12", "Scheduled", [BOOKED]), ("S13", "BOOKED", [BOOKED]), ("S13", "", [BOOKED]),
        ("S12", "ARRIVED", [BOOKED, ATTENDED]), ("S12", "Complete", [BOOKED, ATTENDED]), ("S12", "Noshow", [MISSED]),
        ("S12", "Cancelled", [CANCELLED]), ("S13", "Deleted", [VOIDED]), ("S12", "Pending", []), ("S12", "Blocked", []),
        ("S12", "Purple", [BOOKED]),
        ("S14", "", [BOOKED]), ("S14", "Booked", [BOOKED]), ("S14", "ARRIVED", [BOOKED, ATTENDED]),
        ("S14", "Checked-In", [BOOKED, ATTENDED]), ("S14", "Started", [BOOKED, ATTENDED]),
        ("S14", "CHECKED-OUT", [ATTENDED]), ("S14", "Complete", [ATTENDED]), ("S14", "noshow", [MISSED]),
        ("S14", "NO SHOW", [MISSED]), ("S14", "Canceled", [CANCELLED]), ("S14", "Dc", [CANCELLED]),
        ("S14", "Deleted", [VOIDED]), ("S14", "Waitlist", []), ("S14", "Purple", []), ("S14", "^Noshow", [MISSED]),
        ("S14", "4^NOSHOW^L", [MISSED]),
        ("S15", "", [CANCELLED]), ("S15", "Cancelled", [CANCELLED]), ("S15", "Booked", [CANCELLED]),
        ("S15", "Noshow", [MISSED]), ("S15", "Deleted", [VOIDED]), ("S16", "", [CANCELLED]), ("S16", "Dc", [CANCELLED]),
        ("S17", "", [VOIDED]), ("S17", "Cancelled", [VOIDED]), ("S17", "Booked", [VOIDED]),
        ("S26", "", [MISSED]), ("S26", "Noshow", [MISSED]), ("S26", "Booked", [MISSED]), ("S26", "Arrived", [MISSED]),
    ],
)  # fmt: skip
def test_trigger_and_word_mean_one_thing_together(trigger: str, word: str, expected: list[type]) -> None:
    reading = told(siu(trigger, word), SPECIALIST)

    assert reading.about is About.APPOINTMENT
    assert [type(event) for event in reading.events] == expected
    assert bool(reading.events) or reading.note != ""


@pytest.mark.parametrize("word", sorted(DEFAULT_SLOT_WORDS))
@pytest.mark.parametrize("case", [str.lower, str.title, str.upper])
def test_every_word_of_the_table_is_understood_in_any_case(word: str, case: object) -> None:
    assert callable(case)
    reading = told(siu("S14", case(word)), SPECIALIST)

    kinds = {
        "booked": BOOKED,
        "arrived": ATTENDED,
        "kept": ATTENDED,
        "no-show": MISSED,
        "cancelled": CANCELLED,
        "void": VOIDED,
    }
    expected = kinds.get(DEFAULT_SLOT_WORDS[word])
    assert (type(reading.event) if reading.event else None) is expected
    assert "not list" not in reading.note


def test_a_feeds_own_word_is_understood() -> None:
    party = replace(EHR, feed=replace(EHR_FEED, slot_words={"LWBS": "no-show"}))

    assert isinstance(told(siu("S14", "lwbs"), party).event, PatientMissed)


def test_words_that_contradict_the_trigger_are_named() -> None:
    assert "MSH-9.2 was taken" in told(siu("S15", "Booked"), SPECIALIST).note
    assert "SCH-25 was taken" in told(siu("S12", "Cancelled"), SPECIALIST).note
    assert "a word the feed does not list" in told(siu("S12", "Purple"), SPECIALIST).note
    assert "Purple" not in told(siu("S12", "Purple"), SPECIALIST).note


def test_a_patient_who_came_at_a_moved_time_is_first_booked_then_there() -> None:
    booked, attended = told(siu("S14", "ARRIVED", start="20260316100000"), SPECIALIST).events

    assert isinstance(booked, AppointmentBooked)
    assert booked.starts_at == STARTS_AT + timedelta(hours=1)
    assert isinstance(attended, PatientAttended)


def test_a_change_after_the_visit_does_not_book_it_again() -> None:
    later = STARTS_AT + timedelta(days=1)

    reading = told(siu("S14", "Booked"), SPECIALIST, received_at=later)

    assert reading.events == ()
    assert reading.note == "a change to an appointment whose time has passed"
    assert told(siu("S12", "Booked"), SPECIALIST, received_at=later).events != ()


@pytest.mark.parametrize("trigger", ["S23", "S24", "S27", "S99"])
def test_other_scheduling_events_change_no_appointment(trigger: str) -> None:
    reading = told(siu(trigger), SPECIALIST)

    assert (reading.about, reading.events) == (None, ())
    assert ("blocked or freed" in reading.note) is (trigger in ("S23", "S24"))


@pytest.mark.parametrize("trigger", ["S18", "S19", "S20", "S21", "S22"])
@pytest.mark.parametrize(
    ("word", "doubtful"), [("", False), ("Booked", False), ("Purple", False), ("Cancelled", True), ("ARRIVED", True)]
)
def test_a_changed_service_or_resource_teaches_numbers_and_moves_nothing(
    trigger: str, word: str, doubtful: bool
) -> None:
    reading = told(siu(trigger, word, "AIS|1||OV|20260320090000||||||Cancelled"), SPECIALIST)

    assert (reading.about, reading.events) == (About.APPOINTMENT, ())
    assert reading.evidence is not None
    assert reading.evidence.appointment == Identifier(value="A100", authority="CENT")
    assert ("a change of services or resources does not bring" in reading.note) is doubtful


# ---------------------------------------------------------------------------------------------------------------------
# The state elsewhere than in SCH-25


@pytest.mark.parametrize(
    ("trigger", "reason", "expected"),
    [
        ("S14", "NO SHOW", [MISSED]), ("S14", "4^NOSHOW", [MISSED]), ("S14", "CANCELLED", [CANCELLED]),
        ("S14", "Patient asked", [BOOKED]), ("S14", "Booked", [BOOKED]),
        ("S15", "NO SHOW", [MISSED]), ("S15", "Patient asked", [CANCELLED]), ("S15", "Booked", [CANCELLED]),
        ("S12", "NO SHOW", [BOOKED]), ("S13", "CANCELLED", [BOOKED]), ("S13", "NO SHOW", [BOOKED]),
        ("S17", "NO SHOW", [VOIDED]), ("S26", "CANCELLED", [MISSED]),
    ],
)  # fmt: skip
def test_the_event_reason_is_the_state_where_it_can_be_nothing_else(
    trigger: str, reason: str, expected: list[type]
) -> None:
    reading = told(siu(trigger, f6=reason), SPECIALIST)

    assert [type(event) for event in reading.events] == expected


@pytest.mark.parametrize(
    ("trigger", "segments", "expected"),
    [
        ("S14", ("AIS|1||OV|||||||CHECKED-OUT",), [ATTENDED]),
        ("S14", ("AIG|1|||||||||||||NOSHOW",), [MISSED]),
        ("S14", ("AIL|1||ROOM|||||||||Cancelled",), [CANCELLED]),
        ("S14", ("AIP|1|||||||||||Cancelled",), [CANCELLED]),
        ("S14", ("AIS|1||OV|||||||ARRIVED", "AIP|1|||||||||||ARRIVED"), [BOOKED, ATTENDED]),
        ("S14", ("AIS|1||OV|||||||Booked", "AIP|1|||||||||||Cancelled"), [BOOKED]),
        ("S14", ("AIP|1|||||||||||Booked", "AIP|2|||||||||||Cancelled"), [BOOKED]),
        ("S14", ("AIS|1||OV|||||||Purple", "AIP|1|||||||||||NOSHOW"), [MISSED]),
        ("S12", ("AIS|1||OV|||||||Waitlist",), []),
        ("S12", ("AIS|1||OV|||||||Confirmed",), [BOOKED]),
        ("S15", ("AIS|1||OV|||||||NOSHOW",), [MISSED]),
        ("S17", ("AIS|1||OV|||||||NOSHOW",), [VOIDED]),
        ("S26", ("AIS|1||OV|||||||ARRIVED",), [MISSED]),
    ],
)  # fmt: skip
def test_without_sch_25_the_resources_say_the_state_together(
    trigger: str, segments: tuple[str, ...], expected: list[type]
) -> None:
    reading = told(siu(trigger, "", *segments), SPECIALIST)

    assert [type(event) for event in reading.events] == expected


def test_resources_that_disagree_are_named_and_none_is_taken() -> None:
    reading = told(siu("S14", "", "AIS|1||OV|||||||Booked", "AIP|1|||||||||||Cancelled"), SPECIALIST)

    assert reading.note == "the resources' states disagree: none was taken"


def test_sch_25_is_surer_than_the_resources() -> None:
    reading = told(siu("S14", "Booked", "AIS|1||OV|||||||Cancelled", f6="NO SHOW"), SPECIALIST)

    assert [type(event) for event in reading.events] == [BOOKED]


def test_a_state_from_another_place_says_so() -> None:
    assert told(siu("S15", f6="NO SHOW"), SPECIALIST).note == "the state was taken from SCH-6"
    assert told(siu("S14", "", "AIS|1||OV|||||||NOSHOW"), SPECIALIST).note == "the state was taken from the resources"


def test_a_retraction_says_that_it_is_one() -> None:
    reading = told(siu("S17"), SPECIALIST)

    assert reading.evidence is not None
    assert reading.evidence.retracts


# ---------------------------------------------------------------------------------------------------------------------
# When


ALL = (
    "TQ1|1||||||20260316090000",
    "AIS|1||OV|20260317090000",
    "AIL|1|||||20260318090000",
    "AIP|1|||||20260319090000",
    "AIG|1|||||||20260320090000",
)


@pytest.mark.parametrize(
    ("segments", "sch", "day"),
    [
        (ALL, "20260315090000", 16),
        (ALL[1:], "20260315090000", 15),
        (ALL[1:], "", 17),
        (ALL[2:], "", 18),
        (ALL[3:], "", 19),
        (ALL[4:], "", 20),
        (ALL[1:], "soon", 17),
        (ALL[1:], "20260315", 17),
    ],
)
def test_the_surest_place_with_a_readable_time_counts(segments: tuple[str, ...], sch: str, day: int) -> None:
    assert start_of(siu("S12", "Booked", *segments, start=sch)) == datetime(2026, 3, day, 14, 0, tzinfo=UTC)


def test_places_that_disagree_are_named() -> None:
    reading = told(siu("S12", "Booked", "AIS|1||OV|20260319090000"), SPECIALIST)

    assert reading.note == "AIS-4 names another start than SCH-11.4: SCH-11.4 was taken"
    assert told(siu("S12", "Booked", "AIS|1||OV|202603160900"), SPECIALIST).note == ""


def test_a_feed_says_which_place_is_surest() -> None:  # H122
    lines = siu("S12", "Booked", "AIS|1||OV|20260319090000", "AIP|1|||||20260320090000")
    trusts_people = replace(EHR, feed=replace(EHR_FEED, starts=("AIP-6.1", "AIS-4.1")))
    looks_nowhere = replace(EHR, feed=replace(EHR_FEED, starts=("ZAP-1",)))

    assert start_of(lines, trusts_people) == datetime(2026, 3, 20, 14, 0, tzinfo=UTC)
    assert told(lines, trusts_people).note == "AIS-4 names another start than AIP-6: AIP-6 was taken"
    with pytest.raises(MessageFault, match="without a readable day and time"):
        told(lines, looks_nowhere)


@pytest.mark.parametrize(
    ("offset", "expected"), [("zone", "2026-03-16T14:00"), ("sender", "2026-03-16T15:00"), ("utc", "2026-03-16T09:00")]
)
def test_a_feed_says_what_a_time_without_an_offset_means(offset: Offset, expected: str) -> None:
    party = replace(EHR, feed=replace(EHR_FEED, offset=offset))

    reading = told(siu("S12", "Booked"), party)

    assert start_of(siu("S12", "Booked"), party) == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert reading.note == ""


@pytest.mark.parametrize("start", ["20260316000000", "202603162359", "202603162400", "20260316235900-0500"])
def test_a_start_at_the_edge_of_a_day_is_booked_and_doubted(start: str) -> None:
    reading = told(siu("S12", "Booked", start=start), SPECIALIST)

    assert isinstance(reading.event, AppointmentBooked)
    assert "time of day is one that is sent when none is known" in reading.note
    assert "time of day" not in told(siu("S15", start=start), SPECIALIST).note


def test_a_midnight_that_says_it_is_only_a_day_is_no_time_of_day() -> None:
    lines = siu("S12", "Booked", "AIS|1||OV|20260316000000^D", "AIP|1|||||20260316090000", start="")

    assert start_of(lines) == STARTS_AT
    with pytest.raises(MessageFault, match="without a readable day and time"):
        told(siu("S12", "Booked", "AIS|1||OV|20260316000000^D", start=""))


@pytest.mark.parametrize(
    ("zone", "written", "expected"),
    [
        ("America/Chicago", "20260115090000", "2026-01-15T15:00"),
        ("America/Chicago", "20260715090000", "2026-07-15T14:00"),
        ("America/Phoenix", "20260715090000", "2026-07-15T16:00"),
        ("America/Chicago", "202607150900", "2026-07-15T14:00"),
        ("America/Chicago", "20260715090000-0400", "2026-07-15T13:00"),
        ("America/Chicago", "20260715090000.0000+0000", "2026-07-15T09:00"),
        ("America/Chicago", "20260308023000", "2026-03-08T08:30"),  # skipped by the clock change
        ("America/Chicago", "20261101013000", "2026-11-01T06:30"),  # happens twice: the first
        ("America/Chicago", "2026071509", "2026-07-15T14:00"),
    ],
)
def test_a_time_is_wall_clock_in_the_feeds_zone(zone: str, written: str, expected: str) -> None:
    at = start_of(siu("S12", "Booked", start=written), in_zone(zone))

    assert at == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_an_appointment_behind_the_clock_change_does_not_move_with_the_sending_offset() -> None:
    sent_in_winter = siu("S12", "Booked", start="20260316090000")
    assert "-0600" in sent_in_winter

    assert start_of(sent_in_winter) == STARTS_AT  # 09:00 in summer time


@pytest.mark.parametrize(("offset", "doubtful"), [("zone", True), ("sender", False), ("utc", False)])
def test_a_sender_whose_clock_runs_in_another_zone_is_named_where_the_zone_decides(
    offset: Offset, doubtful: bool
) -> None:
    eastern = in_zone("America/New_York")
    party = replace(eastern, feed=replace(eastern.feed, offset=offset))

    assert told(siu("S12", "Booked"), party).note == ("MSH-7's offset is not the feed's zone" if doubtful else "")
    assert told(siu("S12", "Booked", start="20260316090000-0500"), party).note == ""


@pytest.mark.parametrize("start", ["", "soon", "20260316", "202603", "20261301090000", '""'])
@pytest.mark.parametrize("trigger", ["S12", "S13"])
def test_a_booking_without_a_time_of_day_is_for_a_person(trigger: str, start: str) -> None:
    with pytest.raises(MessageFault) as fault:
        told(siu(trigger, start=start), SPECIALIST)

    assert (fault.value.code, fault.value.path) == ("102", "SCH-11.4")
    assert not start or start not in str(fault.value)


def test_a_change_without_a_time_books_nothing() -> None:
    reading = told(siu("S14", "Booked", start=""), SPECIALIST)

    assert (reading.about, reading.events, reading.note) == (About.APPOINTMENT, (), "no readable day and time")


def test_a_cancellation_needs_no_time() -> None:
    assert isinstance(told(siu("S15", start=""), SPECIALIST).event, AppointmentCancelled)


def test_a_scheduling_message_without_an_appointment_is_for_a_person() -> None:
    with pytest.raises(MessageFault, match="SCH: "):
        told(header("SIU^S12") + "\nPID|1", SPECIALIST)


# ---------------------------------------------------------------------------------------------------------------------
# Whose


def test_without_sch_2_the_placers_appointment_number_counts() -> None:
    reading = told(siu("S12", f2=""), SPECIALIST)

    assert reading.evidence is not None
    assert reading.evidence.appointment == Identifier(value="P1")


@pytest.mark.parametrize(
    ("sch", "expected"),
    [
        ({"f2": "A101^CENT", "f24": "A100^CENT"}, Identifier(value="A100", authority="CENT")),
        ({"f2": "A101^CENT", "f23": "P0"}, Identifier(value="P0")),
        ({"f2": "A101^CENT", "f23": "P0", "f24": "A100^CENT"}, Identifier(value="A100", authority="CENT")),
        ({"f24": "A100^CENT"}, Identifier()),
        ({}, Identifier()),
    ],
)
@pytest.mark.parametrize("trigger", ["S12", "S13"])
def test_a_move_to_a_new_number_names_the_one_it_replaces(
    trigger: str, sch: dict[str, str], expected: Identifier
) -> None:
    reading = told(siu(trigger, "Booked", **sch), SPECIALIST)  # H122

    assert reading.evidence is not None
    assert reading.evidence.parent == expected
    assert reading.evidence.appointment.value == ("A101" if "f2" in sch else "A100")
    assert isinstance(reading.event, AppointmentBooked)
    assert reading.event.appointment == reading.evidence.appointment


@pytest.mark.parametrize(("trigger", "word"), [("S15", ""), ("S17", ""), ("S26", ""), ("S14", "Cancelled")])
def test_the_end_of_an_unknown_child_does_not_lead_to_its_parents_appointment(trigger: str, word: str) -> None:
    reading = told(siu(trigger, word, f2="A102^CENT", f24="A100^CENT"), SPECIALIST)

    assert reading.evidence is not None
    assert reading.evidence.parent == Identifier()


def test_the_visits_number_stands_where_the_feed_says() -> None:
    lines = siu("S12", "Booked", segment("PV1", f2="O", f7=f"{NPI}^DOE", f19="00V9^^^CENT", f50="ALT7"))
    other = replace(EHR, feed=replace(EHR_FEED, visit_numbers=("PV1-50", "PV1-19")))

    ours, theirs = told(lines, SPECIALIST).evidence, told(lines, other).evidence

    assert ours is not None
    assert ours.visit == Identifier(value="00V9", authority="CENT")
    assert ours.provider == NPI
    assert theirs is not None
    assert theirs.visit == Identifier(value="ALT7")


def test_the_places_that_were_read_are_named_without_their_values() -> None:
    lines = siu("S13", "Booked", "PV1|1|O|||||||||||||||||V9", f"AIP|1||{NPI}^DOE", f24="A99^CENT", f27="F1")

    evidence = told(lines, SPECIALIST).evidence

    assert evidence is not None
    assert evidence.fields == (
        "placer SCH-26",
        "filler SCH-27",
        "appointment SCH-2",
        "parent SCH-24",
        "visit PV1-19",
        "provider AIP-3",
    )


# ---------------------------------------------------------------------------------------------------------------------
# Several patients, or none


TWINS = (
    "PV1|1|O|||||||||||||||||V1",
    "PID|2||MRN1002^^^SPRINGFIELD^MR||ROE^JACK||19800102|M",
    "PV1|1|O" + "|" * 17 + "V2",
)


def test_a_group_visit_is_read_once_for_each_patient() -> None:
    first, second = all_told(siu("S12", "Booked", *TWINS), SPECIALIST)

    assert first.evidence is not None
    assert second.evidence is not None
    assert [one.patient.given.reveal() for one in (first.evidence, second.evidence)] == ["JANE", "JACK"]
    assert [one.visit.value for one in (first.evidence, second.evidence)] == ["V1", "V2"]
    assert first.events == second.events


def test_the_numbers_of_a_group_visit_point_at_nobody() -> None:
    for reading in all_told(siu("S12", "Booked", *TWINS), SPECIALIST):
        evidence = reading.evidence
        assert evidence is not None
        assert (evidence.placer, evidence.appointment, evidence.parent) == (Identifier(), Identifier(), Identifier())
        assert "its numbers do not say whose it is" in reading.note


def test_consent_of_a_group_visit_is_nobodys() -> None:
    lines = siu("S12", "Booked", *TWINS, "CON|1|SMS|||||||||A")

    for reading in all_told(lines):
        assert reading.evidence is not None
        assert not reading.evidence.patient.sms_consent


def test_the_same_patient_twice_is_one() -> None:
    reading = told(siu("S12", "Booked", "PV1|1|O", PID, "PV1|2|O"), SPECIALIST)

    assert reading.evidence is not None
    assert reading.evidence.placer.value == "ORD77"


def test_more_patients_than_are_looked_at_are_for_a_person() -> None:
    crowd = [f"PID|1||MRN2{at:03}^^^SPRINGFIELD^MR" for at in range(PATIENTS_MAX)]

    with pytest.raises(MessageFault, match="more patients in one appointment"):
        all_told(siu("S12", "Booked", *crowd), SPECIALIST)


def test_a_booking_without_a_patient_is_known_by_its_numbers_only() -> None:
    reading = told(siu("S12", "Booked").replace(PID + "\n", "").replace(PID, ""), SPECIALIST)

    assert reading.evidence is not None
    assert reading.evidence.patient == Patient()
    assert reading.evidence.placer.value == "ORD77"
    assert isinstance(reading.event, AppointmentBooked)


# ---------------------------------------------------------------------------------------------------------------------
# One booking in the spelling of each version


@pytest.mark.parametrize(
    ("version", "segments", "sch"),
    [
        ("2.3", ("ORC|SC|ORD77^EHR|F1^CENT",), {"f11": "^^^20260316090000", "f26": ""}),
        ("2.3.1", ("ORC|SC|ORD77^EHR|F1^CENT",), {"f11": "1^^30^202603160900^202603160930", "f26": ""}),
        ("2.4", (), {"f11": "^^^20260316090000&S", "f27": "F1^CENT"}),
        ("2.5", ("TQ1|1||||||20260316090000^S",), {"f11": "", "f27": "F1^CENT"}),
        ("2.5.1", ("TQ1|1||||||20260316090000-0500",), {"f11": "", "f27": "F1^CENT"}),
        ("2.6", ("TQ1|1||||||202603160900",), {"f11": "", "f27": "F1^CENT"}),
        ("2.7", ("AIS|1||OV|20260316140000+0000",), {"f11": "", "f27": "F1^CENT"}),
        ("2.8.2", ("AIP|1|||||20260316090000.0000",), {"f11": "", "f27": "F1^CENT"}),
        ("9.9", ("TQ1|1||||||20260316090000",), {"f11": "", "f27": "F1^CENT"}),
        ("", ("TQ1|1||||||20260316090000",), {"f11": "", "f27": "F1^CENT"}),
    ],
)
def test_every_versions_spelling_of_one_booking_is_read_the_same(
    version: str, segments: tuple[str, ...], sch: dict[str, str]
) -> None:
    usual = told(siu("S12", "Booked", f27="F1^CENT"), SPECIALIST)  # F-E11

    reading = told(siu("S12", "Booked", *segments, **sch).replace("|2.5.1", f"|{version}"), SPECIALIST)

    assert reading.events == usual.events
    assert reading.evidence is not None
    assert usual.evidence is not None
    assert replace(reading.evidence, fields=()) == replace(usual.evidence, fields=())


def test_an_appended_order_says_which_one_it_is() -> None:
    reading = told(siu("S12", "", "ORC|SC|ORD78^EHR|F8", f26=""), SPECIALIST)

    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="ORD78", authority="EHR")
    assert reading.evidence.filler == Identifier(value="F8")


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ((f"AIP|1||{NPI}^DOE",), NPI),
        ((f"AIP|1||LOCAL7^DOE~{NPI}^DOE",), NPI),
        (("AIP|1||1234567890^DOE",), ""),
        (("AIP|1||LOCAL7", f"AIG|1||{OTHER_NPI}^DOE"), OTHER_NPI),
        ((), ""),
    ],
)
def test_the_provider_is_a_valid_npi_or_nobody(segments: tuple[str, ...], expected: str) -> None:
    reading = told(siu("S12", "Booked", *segments), SPECIALIST)

    assert reading.evidence is not None
    assert reading.evidence.provider == expected


def test_the_booked_service_names_the_specialty() -> None:
    reading = told(siu("S12", "Booked", "AIS|1||REFCARD^Cardiology|20260316090000"))

    assert reading.evidence is not None
    assert reading.evidence.specialty == "cardiology"
