"""Every vendor's samples are read as they are meant, in the dialect that is shipped for it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.hl7.message import Message
from referral_engine.hl7.types import read_instant
from referral_engine.intake.read import Reading, read
from referral_engine.journal.rows import MessageRow
from tests.feeds.vendors import HEART_NPI, VENDORS, feed, on, party
from tests.flow.stage import CLINIC, SAMPLES, book, engine, kinds, row, story, tracks

# What is sent, in its order: the file, the events it means, how sure the match is, what became of it.
# fmt: off
SENT = {
    "epic": [
        ("orm-o01-order.hl7",           "ReferralOrdered",                    1, "applied"),
        ("siu-s12-booked.hl7",          "AppointmentBooked",                  1, "applied"),
        ("siu-s14-no-show.hl7",         "PatientMissed",                      2, "applied"),
        ("siu-s12-rebooked.hl7",        "AppointmentBooked",                  1, "applied"),
        ("siu-s14-completed.hl7",       "PatientAttended",                    2, "applied"),
        ("mdm-t02-note.hl7",            "ReportReceived",                     1, "applied"),
    ],
    "oracle-health": [
        ("orm-o01-order-to-cancel.hl7", "ReferralOrdered",                    1, "applied"),
        ("orm-o01-order.hl7",           "ReferralOrdered",                    1, "applied"),
        ("orm-o01-cancel.hl7",          "CancelRequested",                    1, "applied"),
        ("siu-s12-booked.hl7",          "AppointmentBooked",                  1, "applied"),
        ("siu-s14-checked-out.hl7",     "PatientAttended",                    2, "applied"),
        ("oru-r01-note.hl7",            "ReportReceived",                     1, "applied"),
    ],
    "athenahealth": [
        ("orm-o01-order.hl7",           "ReferralOrdered",                    1, "applied"),
        ("siu-s12-booked.hl7",          "AppointmentBooked",                  1, "applied"),
        ("orm-o01-order-again.hl7",     "ReferralOrdered",                    1, "no-op"),  # the order is known
        ("siu-s14-checked-in.hl7",      "AppointmentBooked PatientAttended",  2, "applied"),
        ("oru-r01-note.hl7",            "ReportReceived",                     1, "applied"),
        ("oru-r01-note-again.hl7",      "ReportReceived",                     1, "no-op"),  # F-H04: the same note
    ],
    "eclinicalworks": [
        ("orm-o01-order.hl7",           "ReferralOrdered",                    1, "applied"),
        ("siu-s12-booked.hl7",          "AppointmentBooked",                  3, "applied"),  # 2.3 has no SCH-26
        ("siu-s13-moved.hl7",           "AppointmentBooked",                  2, "applied"),
        ("siu-s14-arrived.hl7",         "AppointmentBooked PatientAttended",  2, "applied"),
        ("oru-r01-note.hl7",            "ReportReceived",                     1, "applied"),
    ],
    "nextgen": [
        ("omg-o19-request.hl7",         "ReferralOrdered",                    1, "applied"),
        ("osu-o51-accepted.hl7",        "ReferralAccepted",                   1, "applied"),
        ("siu-s12-booked.hl7",          "AppointmentBooked",                  1, "applied"),
        ("siu-s26-no-show.hl7",         "PatientMissed",                      1, "applied"),
        ("mdm-t02-note.hl7",            "ReportReceived",                     1, "applied"),
    ],
    "veradigm": [
        ("orm-o01-order.hl7",           "ReferralOrdered",                    1, "applied"),
        ("siu-s12-booked.hl7",          "AppointmentBooked",                  1, "applied"),
        ("siu-s14-arrived.hl7",         "AppointmentBooked PatientAttended",  2, "applied"),
        ("mdm-t02-draft.hl7",           "ReportReceived",                     1, "applied"),
        ("mdm-t04-signed.hl7",          "ReportReceived",                     1, "applied"),
        ("mdm-t02-echo.hl7",            "",                                  -1, "no-op"),  # our own note came back
    ],
    "neutral": [
        ("orm-o01-order.hl7",           "ReferralOrdered",                    1, "applied"),
        ("siu-s12-booked.hl7",          "AppointmentBooked",                  1, "applied"),
        ("siu-s14-complete.hl7",        "PatientAttended",                    2, "applied"),
        ("mdm-t02-note.hl7",            "ReportReceived",                     1, "applied"),
    ],
}
ORDERS = {  # the order, and the message that cancels it
    "epic":           ("orm-o01-order.hl7", "orm-o01-cancel.hl7"),
    "oracle-health":  ("orm-o01-order-to-cancel.hl7", "orm-o01-cancel.hl7"),
    "athenahealth":   ("orm-o01-order.hl7", "orm-o01-cancel.hl7"),
    "eclinicalworks": ("orm-o01-order.hl7", "orm-o01-cancel.hl7"),
    "nextgen":        ("omg-o19-request.hl7", "osu-o51-cancel.hl7"),
    "veradigm":       ("orm-o01-order.hl7", "orm-o01-cancel.hl7"),
    "neutral":        ("orm-o01-order.hl7", "orm-o01-cancel.hl7"),
}
# fmt: on


def raw(vendor: str, name: str, changes: dict[str, str] | None = None) -> bytes:
    found = (SAMPLES / "feeds" / vendor / name).read_bytes()
    return Message.parse(found, charset=feed(vendor).charset).with_fields(changes) if changes else found


def sent_at(message: Message) -> datetime:
    instant = read_instant(message.header.timestamp, CLINIC)
    assert instant is not None
    return instant.at


def told(vendor: str, name: str) -> Reading:
    message = Message.parse(raw(vendor, name), charset=feed(vendor).charset)
    (reading,) = read(message, party(vendor, message), received_at=sent_at(message).astimezone(UTC), sequence=1)
    return reading


def receive(stage: Rehearsal, vendor: str, bytes_: bytes) -> MessageRow:
    """The message arrives when its MSH-7 says."""
    stage.move_to(sent_at(Message.parse(bytes_, charset=feed(vendor).charset)))
    return row(stage, stage.receive(bytes_))


def started(vendor: str, *, other: Book | None = None) -> Rehearsal:
    return engine("2026-03-02 07:55", other=other or on(vendor))


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_samples_are_read_as_they_are_meant_and_matched_as_surely_as_they_allow(vendor: str) -> None:
    stage = started(vendor)

    came = [receive(stage, vendor, raw(vendor, name)) for name, *_ in SENT[vendor]]

    events = [" ".join(type(event).__name__ for event in told(vendor, name).events) for name, *_ in SENT[vendor]]
    assert [
        (name, said, one.level, one.disposition.value)
        for (name, *_), said, one in zip(SENT[vendor], events, came, strict=True)
    ] == SENT[vendor]


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_cancel_in_the_vendors_own_words_asks_the_specialist_to_cancel(vendor: str) -> None:
    stage = started(vendor)
    order, cancel = ORDERS[vendor]
    number = Message.parse(raw(vendor, order)).value("ORC-2")

    receive(stage, vendor, raw(vendor, order))
    asked = receive(stage, vendor, raw(vendor, cancel))

    assert (asked.level, asked.disposition.value) == (1, "applied")
    assert tracks(stage, number)["closure"] == "cancel-requested"


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_referred_to_provider_is_found_where_the_vendor_puts_it(vendor: str) -> None:
    message = Message.parse(raw(vendor, ORDERS[vendor][0]), charset=feed(vendor).charset)

    assert feed(vendor).referred_npi(message) == HEART_NPI


@pytest.mark.parametrize(
    ("vendor", "emptied"),
    [
        ("epic", "OBX[3.1=REFTO]-5.1"),
        ("oracle-health", "ORC-19"),
        ("eclinicalworks", "NTE[2=REFERTO]-3"),
        ("veradigm", "ZRF-3"),
        ("nextgen", "OBR-28"),
    ],
)
def test_an_order_that_names_no_specialist_where_the_vendor_puts_it_goes_to_a_person(vendor: str, emptied: str) -> None:
    stage = started(vendor)
    text = raw(vendor, ORDERS[vendor][0])

    came = receive(stage, vendor, text.replace(HEART_NPI.encode(), b""))

    assert Message.parse(text).value(emptied) != ""
    assert came.disposition.value == "needs-human"
    assert kinds(stage) == ["unroutable-order"]


@pytest.mark.parametrize(
    ("vendor", "sms", "portal"),
    [
        ("epic", True, False),
        ("oracle-health", True, False),
        ("athenahealth", True, False),
        ("eclinicalworks", True, False),
        ("nextgen", False, True),
        ("veradigm", True, False),
        ("neutral", False, False),
    ],
)
def test_consent_is_found_where_the_vendor_puts_it_and_nowhere_else(vendor: str, sms: bool, portal: bool) -> None:
    patient = told(vendor, ORDERS[vendor][0]).events[0].patient  # type: ignore[union-attr]  # an order has one

    assert (patient.sms_consent, patient.portal) == (sms, portal)


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_record_number_is_ours_however_the_vendor_names_its_authority(vendor: str) -> None:
    evidence = told(vendor, ORDERS[vendor][0]).evidence

    assert evidence is not None
    assert evidence.patient.ids[0].authority == "SPRINGFIELD"


def test_an_order_that_the_patient_asked_for_is_left_alone() -> None:
    stage = started("oracle-health")

    came = receive(stage, "oracle-health", raw("oracle-health", "orm-o01-order.hl7", {"ZOR-2": "PATIENT"}))

    assert came.disposition.value == "no-op"
    assert stage.journal.read().referrals(limit=5) == ()
    assert kinds(stage) == []


def test_the_vendors_flag_says_whether_an_order_stays_in_the_network() -> None:
    inside, outside = started("veradigm"), started("veradigm")
    order = ORDERS["veradigm"][0]

    receive(inside, "veradigm", raw("veradigm", order))
    receive(outside, "veradigm", raw("veradigm", order, {"ZRF-5": "OUT"}))

    assert story(inside, "TW60101").referral.order.network == "in"
    assert story(outside, "TW60101").referral.order.network == "out"


def test_a_document_that_is_not_among_the_vendors_closing_ones_closes_nothing() -> None:
    stage = started("neutral", other=replace(on("neutral"), feeds=_strict("neutral", ("OP",))))
    for name, *_ in SENT["neutral"][:3]:
        receive(stage, "neutral", raw("neutral", name))

    receive(stage, "neutral", raw("neutral", "mdm-t02-note.hl7"))

    assert tracks(stage, "N-7701")["closure"] == "open"
    assert tracks(stage, "N-7701")["note"] == "interim"


def test_an_echo_is_matched_like_any_note_where_no_line_of_the_file_leaves_it_alone() -> None:
    veradigm = replace(on("veradigm").feeds["veradigm"], left_alone=None)
    stage = started("veradigm", other=replace(on("veradigm"), feeds={**book().feeds, "veradigm": veradigm}))
    for name, *_ in SENT["veradigm"][:-1]:
        receive(stage, "veradigm", raw("veradigm", name))

    came = receive(stage, "veradigm", raw("veradigm", "mdm-t02-echo.hl7"))

    assert came.level == 1


def test_a_specialist_may_speak_a_vendors_dialect() -> None:
    heart = book().channels["cardiology-heart-group"]
    speaking = replace(heart, replies=replace(heart.replies, dialect="eclinicalworks"))
    stage = started("neutral", other=replace(on("neutral"), channels={**book().channels, heart.name: speaking}))
    as_theirs = {"MSH-3": "CENTRICITY", "MSH-4": "HEARTGRP"}
    receive(stage, "neutral", raw("neutral", "orm-o01-order.hl7"))
    receive(stage, "neutral", raw("neutral", "siu-s12-booked.hl7", as_theirs))

    missed = {**as_theirs, "SCH-25": "N/S"}
    receive(stage, "neutral", raw("neutral", "siu-s14-complete.hl7", missed))

    assert tracks(stage, "N-7701")["appointment"] == "no-show"


def _strict(name: str, codes: tuple[str, ...]) -> dict[str, object]:
    """The shipped feeds, one of them switched on and with these closing documents only."""
    return {**book().feeds, name: replace(on(name).feeds[name], closing_documents=codes)}
