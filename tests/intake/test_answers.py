"""What a specialist's order message means: every ORC-1 they send, with the ORC-5 that goes with it."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.tables import OrderControl
from referral_engine.loop.events import CancelConfirmed, ReferralAccepted, ReferralDeclined
from referral_engine.loop.matching import About
from referral_engine.loop.referral import Identifier
from tests.intake.samples import NOW, PID, SPECIALIST, answer, header, told

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


def test_a_cancellation_that_was_refused_is_named() -> None:
    assert told(answer("UC"), SPECIALIST).note == "the specialist could not cancel"


@pytest.mark.parametrize("lines", [PID, f"{PID}\nORC||ORD77"])
def test_an_answer_that_does_not_say_what_it_is_is_for_a_person(lines: str) -> None:
    with pytest.raises(MessageFault, match="ORC-1"):
        told(header("ORM^O01") + "\n" + lines, SPECIALIST)


def test_several_answers_in_one_message_are_named() -> None:
    reading = told(answer("OK") + "\nORC|UA|ORD78^EHR", SPECIALIST)

    assert isinstance(reading.event, ReferralAccepted)
    assert "only the first was read" in reading.note
