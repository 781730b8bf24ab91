"""What the ordering side gets: status, appointments and notices for the ordering provider."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.channels.engine import EhrSettings
from referral_engine.hl7.message import Message
from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.loop.referral import Identifier, PatientId, Slot
from referral_engine.render.render import render
from tests.render.given import AT, ORDER, PATIENT, REFERRAL, engine_with, setting, to


def told(purpose, about="", referral=REFERRAL, **changes):
    sent = render(to(Recipient.EHR, purpose, about), referral, setting(**changes))
    assert (sent.lane, sent.transport) == ("ehr", "mllp")
    return Message.parse(sent.body)


@pytest.mark.parametrize(
    ("about", "code"),
    [
        ("received", "IP"),
        ("accepted", "IP"),
        ("preliminary note", "A"),
        ("cancelled", "CA"),
        ("declined", "CA"),
        ("duplicate", "CA"),
        ("refused", "CA"),
        ("not-a-referral", "CA"),
        ("closed-without-note", "DC"),
        ("something new", "IP"),
    ],
)
def test_a_status_says_the_same_to_programs_and_to_people(about, code):
    message = told(Purpose.STATUS, about)

    assert (message.header.type, message.value("ORC-1"), message.value("ORC-5")) == ("ORM^O01", "SC", code)
    assert message.value("ORC-25") == about
    assert message.value("NTE-3")
    assert (message.value("ORC-2.1"), message.value("ORC-2.2")) == ("ORD-1001", "EHR")


def test_the_ehrs_own_record_number_comes_first_and_is_the_only_one_marked_mr():
    message = told(Purpose.STATUS, "accepted")

    assert (message.value("PID-3[1].1"), message.value("PID-3[1].4"), message.value("PID-3[1].5")) == (
        "MRN77001",
        "SPRINGFIELD",
        "MR",
    )
    assert (message.value("PID-3[2].1"), message.value("PID-3[2].5")) == ("S-9", "")


@pytest.mark.parametrize(
    ("about", "trigger", "state"),
    [
        ("booked", "S12", "Booked"),
        ("moved", "S13", "Booked"),
        ("attended", "S14", "Complete"),
        ("cancelled", "S15", "Cancelled"),
        ("voided", "S17", "Deleted"),
        ("no-show", "S26", "Noshow"),
    ],
)
def test_an_appointment_says_what_became_of_it_and_which_order_it_is_for(about, trigger, state):
    message = told(Purpose.APPOINTMENT, about)

    assert (message.header.type, message.value("SCH-25")) == (f"SIU^{trigger}", state)
    assert (message.value("SCH-2.1"), message.value("SCH-26.1"), message.value("SCH-26.2")) == (
        "A-31",
        "ORD-1001",
        "EHR",
    )


def test_times_are_the_clinics_with_the_offset_of_that_day():
    visits = datetime(2026, 7, 1, 14, tzinfo=UTC), datetime(2026, 1, 5, 14, tzinfo=UTC)

    shown = [
        told(Purpose.APPOINTMENT, "booked", replace(REFERRAL, slots=(Slot(number=1, starts_at=at, booked_at=AT),)))
        for at in visits
    ]

    assert [message.value("SCH-11.4") for message in shown] == ["20260701090000-0500", "20260105080000-0600"]
    assert [message.value("TQ1-7") for message in shown] == [message.value("AIS-4") for message in shown]


def test_an_appointment_without_a_number_gets_one_of_ours_that_stays():
    slot = Slot(number=2, starts_at=AT, booked_at=AT)

    first, second = (
        told(Purpose.APPOINTMENT, about, replace(REFERRAL, slots=(slot,))) for about in ("booked", "no-show")
    )

    assert first.value("SCH-2.1") == second.value("SCH-2.1") == "RE-0042-2"


def test_an_old_ehr_gets_only_what_its_version_knows():
    book = engine_with(ehr=EhrSettings(version="2.3"))

    appointment = told(Purpose.APPOINTMENT, "booked", book=book)
    status = told(Purpose.STATUS, "accepted", book=book)

    assert appointment.first("TQ1") is None
    assert (appointment.value("SCH-4.1"), appointment.value("SCH-26")) == ("ORD-1001", "")
    assert status.value("ORC-25") == ""
    assert status.header.version == "2.3"


def test_a_notice_goes_to_the_ordering_provider_and_never_completes_the_order():
    message = told(Purpose.TASK, "schedule", reason="The office was called twice.")

    assert message.header.type == "ORU^R01"
    assert (message.value("OBR-16.1"), message.value("OBR-16.2")) == ("1234567893", "Harker")
    assert {message.value("OBR-25"), *(line.text(11) for line in message.all("OBX"))} == {"P"}
    assert message.value("OBR-4.1") == "REFERRAL-NOTICE"
    said = [line.text(5) for line in message.all("OBX")]
    assert said[1] == "The referral was sent and no appointment has been booked."
    assert said[-1] == "The office was called twice."


def test_a_no_show_notice_names_the_time_at_the_clinic():
    assert "Appointment: 2026-03-10 10:30." in [
        line.text(5) for line in told(Purpose.PROVIDER_NOTICE, "no-show").all("OBX")
    ]


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ANY_WORD = ANY_TEXT.filter(bool)


@given(family=ANY_TEXT, given_name=ANY_WORD, number=ANY_WORD, placer=ANY_WORD, service=ANY_WORD, reason=ANY_TEXT)
@settings(max_examples=150)
def test_whatever_a_text_holds_it_reads_back_the_same_and_breaks_no_segment(
    family, given_name, number, placer, service, reason
):
    patient = replace(
        PATIENT,
        family=Phi(family),
        given=Phi(given_name),
        ids=(PatientId(value=Phi(number), authority="SPRINGFIELD"),),
    )
    order = replace(ORDER, placer=Identifier(value=placer, authority="A|B^C"), service_text=service)
    referral = replace(REFERRAL, patient=patient, order=order)

    for purpose, about, names in (
        (Purpose.STATUS, "accepted", "MSH PID ORC OBR NTE"),
        (Purpose.APPOINTMENT, "booked", "MSH SCH TQ1 PID RGS AIS AIP"),
        (Purpose.CLOSURE, "note", "MSH EVN PID PV1 ORC OBR TXA OBX"),
    ):
        message = told(purpose, about, referral, reason=reason)

        assert [segment.name for segment in message.segments] == names.split()
        assert message.value("PID-5.1") == family
        assert message.value("PID-5.2") == given_name
        assert message.value("PID-3.1") == number
        echoed = "SCH-26" if purpose is Purpose.APPOINTMENT else "ORC-2"
        assert (message.value(f"{echoed}.1"), message.value(f"{echoed}.2")) == (placer, "A|B^C")
        assert message.value("AIS-3.2" if purpose is Purpose.APPOINTMENT else "OBR-4.2") == service
