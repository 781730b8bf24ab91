"""What an order message says of the payer: whose insurance, which number, for how long, and no."""

from __future__ import annotations

from datetime import date

import pytest

from referral_engine.channels.feed import Feed
from referral_engine.hl7.message import Message
from referral_engine.intake.authorizations import Stated, read_authorization, read_insurances
from referral_engine.loop.referral import Insurance

HEAD = "MSH|^~\\&|EHR|X|E|Y|20260302||ORM^O01|1|P|2.5.1"
NPI = "1234567893"


def message(*segments: str) -> Message:
    return Message.parse("\r".join((HEAD, *segments)).encode())


def said(*segments: str) -> Stated:
    return read_authorization(message(*segments), Feed(name="ehr"))


def insured(number: str) -> str:
    return "IN1|1|P|A|B" + "|" * 10 + number


def test_a_whole_authorization_is_read() -> None:
    found = said(insured(""), f"AUT|P|A|B|20260301|20260630|PA-7^PAYER||6|4{'|' * 15}{NPI}^Doe^Dan")

    assert found == Stated(
        authorization_number="PA-7",
        authorization_begins_on=date(2026, 3, 1),
        authorization_expires_on=date(2026, 6, 30),
        authorization_visits=4,
        authorization_provider=NPI,
        authorization_denied=False,
    )


def test_the_number_is_kept_exactly_as_it_is_sent() -> None:
    assert said(insured("000123"))["authorization_number"] == "000123"
    assert said(insured(" PA 7"))["authorization_number"] == " PA 7"


@pytest.mark.parametrize("remark", ["PENDING", "N/A", "NOT REQUIRED", "-", '""', "?"])
def test_a_remark_is_no_number(remark: str) -> None:
    found = said(insured(remark))

    assert (found["authorization_number"], found["authorization_denied"]) == ("", False)


@pytest.mark.parametrize(
    "segments",
    [
        (insured("DENIED"),),
        (insured("Denied "),),
        ("AUT||A||||PA-7||6|0",),
        ("AUT||A||||DENIED",),
        ("AUT||A" + "|" * 12 + "A3",),
        ("AUT||A" + "|" * 12 + "X^Not Certified",),
    ],
)
def test_a_denial_is_read_wherever_it_stands(segments: tuple[str, ...]) -> None:
    assert said(*segments)["authorization_denied"]


@pytest.mark.parametrize("count", ["", "x", "-1", "1.5", "99999999"])
def test_what_is_no_count_of_visits_bounds_nothing_and_denies_nothing(count: str) -> None:
    found = said(f"AUT||A||||PA-7||6|{count}")

    assert (found["authorization_visits"], found["authorization_denied"]) == (0, False)


def test_the_end_of_a_referral_is_the_end_of_its_authorization_where_that_says_none() -> None:
    rf1 = "RF1|A|||||R-1||20260401"

    assert said(rf1, insured("PA-7"))["authorization_expires_on"] == date(2026, 4, 1)
    assert said(rf1, "AUT||A|||20260630|PA-7")["authorization_expires_on"] == date(2026, 6, 30)
    assert said(rf1, insured(""))["authorization_expires_on"] is None


def test_the_insurance_that_pays_first_is_the_first() -> None:
    by_priority = read_insurances(message(f"IN1|1|P1|A1|B1{'|' * 18}2", f"IN1|2|P2|A2|B2{'|' * 18}1"))
    by_set_id = read_insurances(message("IN1|2|P2|A2|B2", "IN1|1|P1|A1|B1"))
    as_they_stand = read_insurances(message("IN1||P2|A2|B2", "IN1||P1|A1|B1"))

    assert [one.payers[0] for one in by_priority] == ["A2", "A1"]
    assert [one.payers[0] for one in by_set_id] == ["A1", "A2"]
    assert [one.payers[0] for one in as_they_stand] == ["A2", "A1"]


def test_a_payer_has_numbers_and_a_name_and_a_plan_a_kind_and_a_number() -> None:
    (found,) = read_insurances(message("IN1|1|HMO200^Plan|61002^^^X~M9^^^Y|Sample Care" + "|" * 11 + "HMO"))

    assert found == Insurance(payers=("61002", "M9", "Sample Care"), plans=("HMO", "HMO200"))


def test_no_insurance_is_none_and_a_long_text_is_read_all_the_same() -> None:
    assert read_insurances(message()) == ()
    (found,) = read_insurances(message(f"IN1|1|P|A|{'B' * 900}"))
    assert len(found.payers[1]) == 900
