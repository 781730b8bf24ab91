"""Scheduling messages: what trigger and SCH-25 mean together, and when the appointment is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.feed import DEFAULT_SLOT_WORDS
from referral_engine.channels.parties import Party
from referral_engine.loop.events import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentVoided,
    PatientAttended,
    PatientMissed,
)
from referral_engine.loop.matching import About
from referral_engine.loop.referral import Identifier
from tests.intake.samples import EHR, EHR_FEED, NOW, NPI, OTHER_NPI, SPECIALIST, header, siu, told

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


@pytest.mark.parametrize("trigger", ["S18", "S19", "S20", "S21", "S22", "S23", "S24", "S27", "S99"])
def test_other_scheduling_events_change_no_appointment(trigger: str) -> None:
    assert told(siu(trigger), SPECIALIST).about is None


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

    assert reading.note == "AIS-4 names another start than the one taken"
    assert told(siu("S12", "Booked", "AIS|1||OV|202603160900"), SPECIALIST).note == ""


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


def test_a_sender_whose_clock_runs_in_another_zone_is_named() -> None:
    reading = told(siu("S12", "Booked"), in_zone("America/New_York"))

    assert reading.note == "MSH-7's offset is not the feed's zone"


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
