"""What a patient reads: short, plain, and nothing that would tell a stranger anything."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.channels.channel import PatientText
from referral_engine.channels.engine import Outreach, Practice
from referral_engine.loop.effects import TO_PATIENT, Purpose, Recipient
from referral_engine.render.patient import gsm, language_of
from referral_engine.render.render import render
from tests.render.given import CHANNEL, FAMILY, GIVEN, MRN, PATIENT, REFERRAL, engine_with, setting, to

GSM_7 = set(
    "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
SPANISH = replace(REFERRAL, patient=replace(PATIENT, language="SPA^Spanish"))
PORTAL = replace(REFERRAL, patient=replace(PATIENT, sms_consent=False, portal=True))


def said(purpose, referral=REFERRAL, **changes):
    sent = render(to(Recipient.PATIENT, purpose), referral, setting(**changes))
    assert (sent.lane, sent.transport) == ("patient", "spool")
    return json.loads(sent.body)


@pytest.mark.parametrize("purpose", sorted(TO_PATIENT))
@pytest.mark.parametrize("referral", [REFERRAL, SPANISH], ids=["en", "es"])
@pytest.mark.parametrize(
    "name", ["Springfield Clinic", "Clínica Ñandú — “San José” de la Providencia del Norte y del Sur"]
)
def test_a_text_is_one_segment_names_the_practice_and_shows_the_way_out(purpose, referral, name):
    text = said(purpose, referral, book=engine_with(practice=Practice(name=name, phone="217-555-0100")))["text"]

    assert len(text) <= 160
    assert set(text) <= GSM_7
    assert text.startswith(gsm(name)[:10])
    assert "STOP" in text
    assert "217-555-0100" in text


@pytest.mark.parametrize("purpose", sorted(TO_PATIENT))
@pytest.mark.parametrize("referral", [REFERRAL, SPANISH, PORTAL], ids=["en", "es", "portal"])
def test_no_message_tells_a_name_a_diagnosis_a_specialty_or_a_clinic(purpose, referral):
    text = said(purpose, referral)["text"].casefold()

    for canary in (
        FAMILY,
        GIVEN,
        MRN,
        "I48",
        "cardiolog",
        "Lakeside",
        "consult",
        "Harker",
        "RE-0042",
        "ORD-1001",
        "1958",
    ):
        assert canary.casefold() not in text


def test_a_prompt_carries_the_link_and_the_number():
    assert said(Purpose.PROMPT) == {
        "wire_id": "RE0000004201",
        "to": "+12175550147",
        "authority": "",
        "via": "sms",
        "language": "en",
        "text": "Springfield Clinic: please schedule the visit your provider asked for. https://book.example.org/s"
        " Call 217-555-0100. Reply STOP to opt out.",
    }


def test_a_reminder_shows_the_clinics_wall_time_and_what_to_bring():
    text = said(Purpose.REMINDER)["text"]

    assert "Tue Mar 10, 10:30 AM" in text
    assert "12 Shore Rd, Suite 4" in text
    assert "insurance card" in text


def test_the_portal_has_room_for_everything_and_is_addressed_by_the_ehrs_number():
    message = said(Purpose.REMINDER, PORTAL)

    assert (message["via"], message["to"], message["authority"]) == ("portal", MRN, "SPRINGFIELD")
    assert "Park in lot B." in message["text"]
    assert "insurance card" in message["text"]


def test_spanish_is_spanish():
    assert "martes 10 mar, 10:30 AM" in said(Purpose.REMINDER, SPANISH)["text"]
    assert "elija una nueva hora" in said(Purpose.RESCHEDULE_PROMPT, SPANISH)["text"]
    assert said(Purpose.ATTENDED_PROMPT, SPANISH)["language"] == "es"


def test_an_analysts_text_that_names_the_specialty_stays_unsaid():
    channel = replace(
        CHANNEL, patient=PatientText(address="Cardiology wing, 12 Shore Rd", parking="At LAKESIDE CARDIOLOGY")
    )

    for referral in (REFERRAL, PORTAL):
        assert "shore" not in said(Purpose.REMINDER, referral, channel=channel)["text"].casefold()


def test_the_question_names_the_day_and_how_to_answer():
    assert "on Tue Mar 10? Reply YES or NO." in said(Purpose.ATTENDED_PROMPT)["text"]
    assert "appointment? Reply YES" in said(Purpose.ATTENDED_PROMPT, replace(REFERRAL, slots=()))["text"]


def test_without_link_number_or_channel_there_is_still_a_whole_sentence():
    book = engine_with(practice=Practice(), patients=Outreach())

    assert said(Purpose.PROMPT, book=book, channel=None)["text"] == (
        "your clinic: please schedule the visit your provider asked for. Reply STOP to opt out."
    )


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("es", "es"),
        ("ES-MX", "es"),
        ("SPA", "es"),
        ("Spanish^x", "es"),
        ("", "en"),
        ("EST", "en"),
        ("fr", "en"),
        ("en", "en"),
    ],
)
def test_languages_are_read_as_feeds_write_them(text, language):
    assert language_of(text) == language


@given(name=st.text(max_size=80), address=st.text(max_size=200), phone=st.text("0123456789-+() ", max_size=20))
def test_whatever_the_files_say_a_text_is_one_segment(name, address, phone):
    book = engine_with(practice=Practice(name=name, phone=phone))
    channel = replace(CHANNEL, patient=PatientText(address=address))

    for referral in (REFERRAL, SPANISH):
        text = said(Purpose.REMINDER, referral, book=book, channel=channel)["text"]
        assert len(text) <= 160
        assert set(text) <= GSM_7
        assert "STOP" in text


def test_a_number_is_used_only_with_consent_and_when_it_is_a_mobile():
    for changes in ({"sms_consent": False}, {"phone_is_mobile": False}, {"phone": Phi("")}):
        referral = replace(REFERRAL, patient=replace(PATIENT, **changes))
        assert said(Purpose.PROMPT, referral)["via"] == "portal"
