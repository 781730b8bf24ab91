"""Orders of the ordering side: what is a referral, what it asks for, and what ORC-1 does to it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.feed import DEFAULT_CONTROLS
from referral_engine.channels.parties import Party
from referral_engine.hl7.message import Message
from referral_engine.intake import orders
from referral_engine.loop.events import CancelRequested, OrderChanged, ReferralOrdered
from referral_engine.loop.matching import About
from referral_engine.loop.referral import Identifier, Order, Provider
from referral_engine.loop.states import Network, Urgency
from tests.intake.samples import EHR, EHR_FEED, NOW, NPI, OTHER_NPI, PID, SCANNER, header, order, segment, text, told


def facts(lines: str, party: Party = EHR) -> Order:
    event = told(lines, party).event
    assert isinstance(event, ReferralOrdered | OrderChanged)
    return event.order


def test_a_new_order_of_a_referral_code_becomes_a_referral() -> None:
    reading = told(order())

    assert reading.about is About.ORDER
    assert reading.is_new_order
    assert isinstance(reading.event, ReferralOrdered)
    assert reading.events == (reading.event,)
    assert (reading.event.at, reading.event.message, reading.event.by) == (NOW, 7, "ehr")
    assert reading.note == ""
    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="ORD77", authority="EHR")


def test_the_order_holds_what_the_message_asks_for() -> None:
    lines = order(
        {"f3": "F1^LAB"},
        {"f31": "R00.2^Palpitations"},
        "IN1|1|PLAN9|PAY1|PAYER ONE||||||||||AUTH9|HMO",
        "DG1|1||I48.91^Atrial fibrillation^I10",
        "AUT|PLAN9|||20260301|20260630|AUT44",
    )

    assert facts(lines) == Order(
        placer=Identifier(value="ORD77", authority="EHR"),
        filler=Identifier(value="F1", authority="LAB"),
        ordered_at=datetime(2026, 3, 2, 14, 55, tzinfo=UTC),
        service_code="REFCARD",
        service_text="Cardiology referral",
        specialty="cardiology",
        urgency=Urgency.ROUTINE,
        network=Network.OUT,
        ordering_provider=Provider(number=NPI, family="DOE", given="DAN"),
        referred_to=NPI,
        payer="PAY1",
        plan="HMO",
        diagnosis="I48.91",
        authorization_number="AUTH9",
        authorization_expires_on=date(2026, 6, 30),
        message=7,
    )


def test_what_the_first_place_leaves_out_is_read_from_the_second() -> None:
    lines = order(
        {"f2": "", "f9": "", "f12": ""},
        {"f2": "000077^EHR", "f3": "F2", "f16": f"{OTHER_NPI}^ROE^RAY", "f31": "R00.2"},
        "IN1|1|PLAN9||PAYER ONE",
        "AUT|PLAN9|||||AUT44",
    )

    found = facts(lines)

    assert found.placer == Identifier(value="000077", authority="EHR")
    assert found.filler == Identifier(value="F2")
    assert found.ordered_at == datetime(2026, 3, 2, 14, 59, tzinfo=UTC)
    assert found.ordering_provider == Provider(number=OTHER_NPI, family="ROE", given="RAY")
    assert (found.payer, found.plan, found.diagnosis) == ("PAYER ONE", "PLAN9", "R00.2")
    assert (found.authorization_number, found.authorization_expires_on) == ("AUT44", None)


def test_an_order_without_any_time_is_dated_when_it_came() -> None:
    lines = order({"f9": "soon"}).replace("20260302085900-0600", "")

    assert facts(lines).ordered_at == NOW


@pytest.mark.parametrize("number", ["00123", "11545596-0175", " 77 ", "a&b", "ORD/77"])
def test_a_placer_number_is_kept_exactly_as_sent(number: str) -> None:
    lines = order({"f2": number + "^EHR"})

    assert facts(lines).placer == Identifier(value=number, authority="EHR")


def test_an_authority_may_be_an_oid_only() -> None:
    assert facts(order({"f2": "77^^2.16.840.1.113883.19^ISO"})).placer.authority == "2.16.840.1.113883.19"


def test_an_order_of_another_code_is_not_a_referral() -> None:
    reading = told(order(obr={"f4": "CBC^Blood count"}))

    assert (reading.about, reading.evidence, reading.events, reading.is_new_order) == (None, None, (), False)
    assert reading.note == "not a referral order"


def test_a_feed_that_calls_nothing_a_referral_has_none() -> None:
    party = replace(EHR, feed=replace(EHR_FEED, referral_when=None))

    assert told(order(), party).about is None


@pytest.mark.parametrize(
    ("place", "urgency"),
    [
        ({"TQ1": "TQ1|1||||||||S"}, Urgency.URGENT),
        ({"TQ1": "TQ1|1||||||||A^ASAP"}, Urgency.URGENT),
        ({"TQ1": "TQ1|1||||||||^Stat"}, Urgency.URGENT),
        ({"TQ1": "TQ1|1||||||||R"}, Urgency.ROUTINE),
        ({"ORC": "^^^^^S"}, Urgency.URGENT),
        ({"ORC": "^^^^^R"}, Urgency.ROUTINE),
        ({"OBR27": "^^^^^A"}, Urgency.URGENT),
        ({"OBR5": "stat"}, Urgency.URGENT),
        ({"OBR5": "ROUTINE"}, Urgency.ROUTINE),
        ({"TQ1": "TQ1|1||||||||R", "OBR5": "S"}, Urgency.URGENT),
    ],
)
def test_any_of_the_four_places_makes_an_order_urgent(place: dict[str, str], urgency: Urgency) -> None:
    more = [place["TQ1"]] if "TQ1" in place else []

    lines = order({"f7": place.get("ORC", "")}, {"f5": place.get("OBR5", ""), "f27": place.get("OBR27", "")}, *more)

    assert facts(lines).urgency is urgency


def test_of_a_clinicians_numbers_the_npi_is_taken() -> None:
    lines = order({"f12": f"LOCAL7^DOE^DAN~{NPI}^DOE^DAN^^^^^^NPI"})

    assert facts(lines).ordering_provider.number == NPI


def test_the_referred_to_provider_stands_where_the_feed_says() -> None:
    party = replace(EHR, feed=replace(EHR_FEED, referred_to=("ZRF-2", "OBR-28.1")))

    assert facts(order(None, {"f28": "A"}, f"ZRF|1|{OTHER_NPI}"), party).referred_to == OTHER_NPI
    assert facts(order(None, {"f28": NPI}), party).referred_to == NPI


# ---------------------------------------------------------------------------------------------------------------------
# ORC-1, as the ordering side says it


@pytest.mark.parametrize("control", sorted(DEFAULT_CONTROLS))
def test_every_order_control_of_the_ordering_side_does_what_the_feed_says(control: str) -> None:
    reading = told(order({"f1": control}))

    expected = {"new": ReferralOrdered, "change": OrderChanged, "cancel": CancelRequested, "stop": CancelRequested}
    action = DEFAULT_CONTROLS[control]
    assert reading.about is About.ORDER
    assert reading.is_new_order is (action == "new")
    assert [type(event) for event in reading.events] == [kind for kind in [expected.get(action)] if kind]
    assert bool(reading.events) or reading.note != ""


@pytest.mark.parametrize("control", ["NA", "PA", "CH", "DE", "RR", "OK", "ZZ"])
def test_an_order_control_nobody_listed_asks_nothing(control: str) -> None:
    reading = told(order({"f1": control}))

    assert reading.about is None
    assert reading.note == "ORC-1 asks nothing of the loop"


def test_a_feeds_own_dialect_decides() -> None:
    party = replace(EHR, feed=replace(EHR_FEED, controls={"XX": "cancel"}))

    assert isinstance(told(order({"f1": "xx "}), party).event, CancelRequested)


@pytest.mark.parametrize("control", ["XO", "SC", "XX", "SS"])
@pytest.mark.parametrize("status", ["CA", "DC", "ca"])
def test_a_change_to_cancelled_is_a_cancellation(control: str, status: str) -> None:
    reading = told(order({"f1": control, "f5": status}))

    assert isinstance(reading.event, CancelRequested)
    assert reading.note == "cancelled by ORC-5"


def test_a_new_order_that_is_already_cancelled_is_for_a_person() -> None:
    with pytest.raises(MessageFault, match="ORC-5: a new order that is already cancelled"):
        told(order({"f5": "CA"}))


def test_a_cancellation_says_why() -> None:
    event = told(order({"f1": "CA", "f16": "PR^Patient request"})).event

    assert isinstance(event, CancelRequested)
    assert event.reason == "Patient request"


def test_a_cancellation_without_a_code_is_known_by_its_number() -> None:
    reading = told("\n".join([header("ORM^O01"), PID, "ORC|CA|ORD77^EHR"]))

    assert isinstance(reading.event, CancelRequested)
    assert reading.evidence is not None
    assert reading.evidence.placer.value == "ORD77"
    assert reading.note == "no OBR-4: known by its number only"


def test_a_cancellation_of_another_code_is_left_alone() -> None:
    assert told(order({"f1": "CA"}, {"f4": "CBC"})).about is None


def test_a_hold_is_shown_and_moves_nothing() -> None:
    reading = told(order({"f1": "HD"}))

    assert reading.about is About.ORDER
    assert reading.events == ()
    assert "asks to hold" in reading.note


def test_a_referral_without_orc_is_for_a_person() -> None:
    with pytest.raises(MessageFault) as fault:
        told("\n".join([header("ORM^O01"), PID, "OBR|1|ORD77||REFCARD"]))

    assert (fault.value.code, fault.value.path, fault.value.reject) == ("101", "ORC-1", False)


def test_any_other_order_without_orc_is_left_alone() -> None:
    assert told("\n".join([header("ORM^O01"), PID, "OBR|1|LAB1||CBC"])).note == "not a referral order"


def test_a_referral_without_a_placer_number_says_so() -> None:
    reading = told(order({"f2": ""}, {"f2": ""}))

    assert reading.is_new_order
    assert reading.note == "no placer number in ORC-2 or OBR-2"


def test_a_scanning_station_orders_nothing() -> None:
    assert told(order(), SCANNER).about is None


@pytest.mark.parametrize("kind", ["ORM^O01", "OMG^O19", "ORM^O01^ORM_O01", "ORM^O01^RUBBISH", "ORM"])
def test_the_third_part_of_the_message_type_is_not_relied_on(kind: str) -> None:
    assert told(order().replace("ORM^O01", kind)).is_new_order


# ---------------------------------------------------------------------------------------------------------------------
# Several orders in one message


def several(*codes: str) -> str:
    lines = [header("ORM^O01"), PID, "NTE|1||About the patient"]
    for at, code in enumerate(codes, 1):
        lines += [f"ORC|NW|ORD{at}^EHR", f"OBR|1|ORD{at}^EHR||{code}", f"DG1|1||D{at}"]
    return "\n".join(lines)


def test_the_referral_among_other_orders_is_found_with_its_own_facts() -> None:
    reading = told(several("CBC", "REFORTH", "XRAY"))

    assert reading.is_new_order
    assert isinstance(reading.event, ReferralOrdered)
    assert reading.event.order.placer.value == "ORD2"
    assert reading.event.order.diagnosis == "D2"
    assert reading.event.patient.family.reveal() == "ROE"
    assert reading.note == "the only referral of 3 orders in one message"


def test_of_several_referrals_the_first_is_read_and_the_others_are_counted() -> None:
    reading = told(several("REFCARD", "REFORTH"))

    assert isinstance(reading.event, ReferralOrdered)
    assert reading.event.order.specialty == "cardiology"
    assert reading.note == "2 referrals in one message (2 orders): only the first was read"


def test_several_orders_without_a_referral_are_left_alone() -> None:
    assert told(several("CBC", "XRAY")).about is None


def test_an_obr_without_its_own_orc_has_the_one_before() -> None:
    reading = told("\n".join([header("ORM^O01"), PID, "ORC|NW|ORD1^EHR", "OBR|1|||CBC", "OBR|2|ORD2||REFCARD"]))

    assert reading.is_new_order
    assert isinstance(reading.event, ReferralOrdered)
    assert reading.event.order.service_code == "REFCARD"


def test_more_orders_than_are_looked_at_are_for_a_person() -> None:
    with pytest.raises(MessageFault, match="more orders in one message than are looked at"):
        told(several(*["CBC"] * orders.GROUPS_MAX, "REFCARD"))


def test_a_long_head_is_not_read_once_for_each_of_many_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "GROUPS_TEXT_MAX", 100)

    assert "only the first was read" in told(several("REFCARD", "REFORTH")).note
    with pytest.raises(MessageFault, match="more orders"):
        told(several("CBC", "REFORTH"))


def test_of_several_cancellations_without_codes_the_first_is_read_and_the_others_are_counted() -> None:
    reading = told("\n".join([header("ORM^O01"), PID, "ORC|CA|ORD77^EHR", "ORC|CA|ORD78^EHR"]))

    assert isinstance(reading.event, CancelRequested)
    assert "2 orders in one message: only the first was read" in reading.note


def test_a_message_with_one_order_is_its_own_only_group() -> None:
    message = Message.parse(text(order()))

    assert orders.order_groups(message) == [message]


def test_groups_keep_the_characters_of_the_message() -> None:
    lines = several("CBC", "REFCARD").replace("ROE^JANE", "MÜLLER^ŁUCJA")

    reading = told(lines)

    assert isinstance(reading.event, ReferralOrdered)
    assert reading.event.patient.family.reveal() == "MÜLLER"
    assert reading.event.patient.given.reveal() == "ŁUCJA"


def test_another_authorization_may_stand_in_the_second_insurance() -> None:
    lines = order(None, None, "IN1|1|PLAN9|PAY1", segment("IN1", f1="2", f14="AUTH2"))

    assert facts(lines).authorization_number == "AUTH2"
