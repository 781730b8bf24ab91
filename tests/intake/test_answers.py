"""What a specialist's order message means: every ORC-1 they send, with the ORC-5 that goes with it."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.tables import OrderControl
from referral_engine.loop.events import CancelConfirmed, ReferralAccepted, ReferralDeclined, ReportReceived
from referral_engine.loop.matching import About
from referral_engine.loop.referral import Finality, Identifier
from tests.intake.samples import NOW, PID, SPECIALIST, all_told, answer, header, segment, told

ACCEPTED, DECLINED, CONFIRMED = ReferralAccepted, ReferralDeclined, CancelConfirmed


@pytest.mark.parametrize(
    ("control", "status", "expected"),
    [
        ("OK", "", ACCEPTED), ("OK", "IP", ACCEPTED), ("ok", "", ACCEPTED),
        ("UA", "", DECLINED), ("OC", "", DECLINED), ("OC", "CA", DECLINED), ("OD", "", DECLINED),
        ("CA", "", DECLINED), ("DC", "", DECLINED),
        ("CR", "", CONFIRMED), ("CR", "CA", CONFIRMED), ("DR", "", CONFIRMED),
        ("SC", "IP", ACCEPTED), ("SC", "SC", ACCEPTED), ("SC", "A", ACCEPTED), ("SC", "ip", ACCEPTED),
        ("SC", "CA", DECLINED), ("SC", "DC", DECLINED),
        ("SC", "CM", None), ("SC", "", None), ("SC", "HD", None), ("SC", "ER", None), ("SC", "ZZ", None),
        ("SR", "IP", ACCEPTED), ("SR", "CA", DECLINED), ("XX", "SC", ACCEPTED), ("XX", "CA", DECLINED),
        ("XO", "CA", DECLINED), ("NA", "", None), ("NA", "IP", ACCEPTED),
        ("UC", "", None), ("UD", "", None), ("UX", "", None), ("DE", "", None), ("OH", "", None), ("OE", "", None),
        ("NW", "", None), ("RE", "CM", None), ("RP", "", None), ("RR", "", None), ("ZZ", "IP", None),
    ],
)  # fmt: skip
def test_an_answer_means_one_thing(control: str, status: str, expected: type | None) -> None:
    reading = told(answer(control, status), SPECIALIST)

    assert reading.about is About.ORDER
    assert not reading.is_new_order
    assert [type(event) for event in reading.events] == ([expected] if expected else [])
    assert bool(reading.events) or reading.note != ""


@pytest.mark.parametrize("control", list(OrderControl))
def test_every_order_control_is_readable(control: OrderControl) -> None:
    reading = told(answer(control.value), SPECIALIST)

    assert reading.about is About.ORDER
    assert len(reading.events) <= 1


def test_an_answer_carries_the_numbers_it_is_matched_by() -> None:
    reading = told(answer("OK"), SPECIALIST)

    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="ORD77", authority="EHR")
    assert reading.evidence.filler == Identifier(value="F1", authority="CENT")
    assert reading.evidence.patient.family.reveal() == "ROE"
    assert reading.event is not None
    assert (reading.event.at, reading.event.message, reading.event.by) == (NOW, 7, "heart-group")


def test_a_refusal_says_why() -> None:
    lines = "\n".join([header("ORM^O01"), PID, "ORC|UA|ORD77^EHR||||||||||||||FULL^Not taking patients"])

    event = told(lines, SPECIALIST).event

    assert isinstance(event, ReferralDeclined)
    assert event.reason == "Not taking patients"


def test_a_cancellation_that_was_refused_is_for_a_person() -> None:
    # F-H06
    assert told(answer("UC"), SPECIALIST).person == "the specialist could not cancel"


@pytest.mark.parametrize("lines", [PID, f"{PID}\nORC||ORD77"])
def test_an_answer_that_does_not_say_what_it_is_is_for_a_person(lines: str) -> None:
    with pytest.raises(MessageFault, match="ORC-1"):
        told(header("ORM^O01") + "\n" + lines, SPECIALIST)


def test_several_answers_in_one_message_are_each_read() -> None:
    first, second, third = all_told(answer("OK") + "\nORC|UA|ORD78^EHR\nORC||ORD79^EHR", SPECIALIST)

    assert isinstance(first.event, ReferralAccepted)
    assert isinstance(second.event, ReferralDeclined)
    assert second.evidence is not None
    assert second.evidence.placer.value == "ORD78"
    assert third.events == ()
    assert "ORC-1" in third.person


@pytest.mark.parametrize(
    ("control", "status"),
    [("OK", "CA"), ("OK", "DC"), ("UA", "IP"), ("OC", "CM"), ("CA", "IP"), ("CR", "CM"), ("DR", "A"), ("DC", "SC")],
)
def test_an_answer_that_contradicts_itself_is_for_a_person(control: str, status: str) -> None:
    # reference, 10.1: ORC-1 and ORC-5 are read together
    reading = told(answer(control, status), SPECIALIST)

    assert reading.events == ()
    assert reading.person == "ORC-1 and ORC-5 of the specialist's answer contradict each other"


@pytest.mark.parametrize("kind", ["OSU^O51", "OMG^O19", "ORM^O01", "ORR^O02", "ORG^O20", "OSU^O51^RUBBISH"])
@pytest.mark.parametrize(
    ("control", "status", "expected"),
    [
        ("SC", "IP", ACCEPTED), ("OK", "IP", ACCEPTED), ("SC", "CA", DECLINED), ("UA", "CA", DECLINED),
        ("DC", "CA", DECLINED), ("SC", "SC", ACCEPTED), ("CR", "CA", CONFIRMED), ("SC", "CM", None), ("RE", "CM", None),
    ],
)  # fmt: skip
def test_the_same_pair_means_the_same_whatever_message_carries_it(
    kind: str, control: str, status: str, expected: type | None
) -> None:
    lines = answer(control, status).replace("ORM^O01", kind).replace("|M1|P|2.5.1", "|M1|P|2.5.1|||NE|NE")

    reading = told(lines, SPECIALIST)

    assert [type(event) for event in reading.events] == ([expected] if expected else [])
    assert reading.person == ""


def test_an_oid_in_the_order_number_is_its_authority() -> None:
    lines = answer("OK", "IP").replace("ORD77^EHR", "RE-0042^^2.16.840.1.113883.19.5^ISO")

    evidence = told(lines, SPECIALIST).evidence

    assert evidence is not None
    assert evidence.placer == Identifier(value="RE-0042", authority="2.16.840.1.113883.19.5")


def outcome(status: str, obx3: str = "11488-4^Consult note^LN", obx11: str = "F", obx2: str = "ED") -> str:
    """An OMG^O19 that carries a document, as 360X recipients send the outcome or an interim note."""
    lines = answer("SC", status, segment("OBR", f1="1", f3="DOC9^CENT", f7="202603160910")).replace(
        "ORM^O01", "OMG^O19"
    )
    data = "^application^pdf^Base64^JVBERi0xLjQK"
    return lines + "\n" + segment("OBX", f1="1", f2=obx2, f3=obx3, f5=data, f11=obx11)


@pytest.mark.parametrize(
    ("status", "obx11", "finality"),
    [("CM", "F", Finality.FINAL), ("CM", "", Finality.FINAL), ("CM", "P", Finality.PRELIMINARY),
     ("IP", "F", Finality.PRELIMINARY), ("CM", "C", Finality.CORRECTED), ("CM", "W", Finality.RETRACTED)],
)  # fmt: skip
def test_a_consult_note_inside_an_answer_is_as_finished_as_the_answer_says(
    status: str, obx11: str, finality: Finality
) -> None:
    *first, report = all_told(outcome(status, obx11=obx11), SPECIALIST)

    assert report.about is About.REPORT
    assert isinstance(report.event, ReportReceived)
    assert report.event.finality is finality
    assert report.event.document == Identifier(value="DOC9", authority="CENT")
    assert [type(one.event) for one in first] == ([ReferralAccepted] if status == "IP" else [])


@pytest.mark.parametrize("lines", [outcome("CM", obx3="57133-1^Referral note^LN"), outcome("SC"), outcome("")])
def test_any_other_document_inside_an_answer_is_for_a_person(lines: str) -> None:
    (reading,) = all_told(lines, SPECIALIST)

    assert reading.person == "the specialist's answer carries a document"


def test_lines_of_text_inside_an_answer_are_an_echo_of_our_order() -> None:
    reading = told(outcome("CM", obx2="TX"), SPECIALIST)

    assert reading.about is About.ORDER
    assert (reading.events, reading.person) == ((), "")
