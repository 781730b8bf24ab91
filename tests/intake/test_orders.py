"""Orders of the ordering side: what is a referral, what it asks for, and what ORC-1 does to it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.feed import DEFAULT_CONTROLS
from referral_engine.channels.parties import Party
from referral_engine.hl7.message import Message
from referral_engine.intake import order_groups
from referral_engine.loop.events import CancelRequested, OrderChanged, ReferralOrdered
from referral_engine.loop.matching import About
from referral_engine.loop.referral import Identifier, Insurance, Order, Provider
from referral_engine.loop.states import Network, Urgency
from tests.intake.samples import (
    EHR,
    EHR_FEED,
    NOW,
    NPI,
    OTHER_NPI,
    PID,
    SCANNER,
    all_told,
    header,
    matcher,
    order,
    segment,
    text,
    told,
)


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
        insurances=(Insurance(payers=("PAY1", "PAYER ONE"), plans=("HMO", "PLAN9")),),
        authorization_number="AUTH9",
        authorization_begins_on=date(2026, 3, 1),
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
    action = DEFAULT_CONTROLS[control] if control not in ("RP", "RU") else "hold"  # what replaces it is not said
    assert reading.about is About.ORDER
    assert reading.is_new_order is (action == "new")
    assert [type(event) for event in reading.events] == [kind for kind in [expected.get(action)] if kind]
    assert bool(reading.events) or reading.note != "" or reading.person != ""
    assert bool(reading.person) is (action in ("hold", "release"))


@pytest.mark.parametrize("control", ["PA", "CH", "DE", "RO", "pa"])
def test_an_order_control_that_says_what_the_engine_cannot_do_is_for_a_person(control: str) -> None:
    reading = told(order({"f1": control}))

    assert reading.about is About.ORDER
    assert (reading.events, reading.is_new_order) == ((), False)
    assert reading.person != ""


def test_a_number_that_the_ordering_side_assigned_is_learned_and_nothing_follows() -> None:
    reading = told("\n".join([header("ORM^O01"), PID, "ORC|NA|ORD77^EHR|F1^LAB"]))

    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="ORD77", authority="EHR")
    assert reading.evidence.filler == Identifier(value="F1", authority="LAB")
    assert (reading.events, reading.person) == ((), "")


@pytest.mark.parametrize("control", ["RR", "OK", "ZZ"])
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


@pytest.mark.parametrize(
    ("status", "word"),
    [("CA", "cancelled"), ("dc", "cancelled"), ("CM", "completed"), ("RP", "replaced"), ("HD", "on hold")],
)
def test_a_new_order_that_must_not_be_sent_is_for_a_person(status: str, word: str) -> None:
    with pytest.raises(MessageFault, match=f"ORC-5: a new order that is already {word}"):
        told(order({"f5": status}))


def test_an_order_that_no_physician_made_is_left_alone() -> None:
    party = replace(EHR, feed=replace(EHR_FEED, physician_orders=matcher(ORC_29="PHY")))

    left = told(order(), party)
    assert (left.about, left.note) == (None, "not ordered by a physician: left alone")
    assert told(order({"f29": "PHYSICIAN"}), party).is_new_order
    assert told(order({"f1": "CA"}), party).event is not None


def test_the_feed_may_say_which_orders_stay_in_the_network() -> None:
    party = replace(EHR, feed=replace(EHR_FEED, in_network=matcher(OBR_28="123")))

    assert facts(order(), party).network is Network.IN
    assert facts(order(None, {"f28": OTHER_NPI}), party).network is Network.OUT


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
    assert reading.person == "the ordering side asks to hold this order"
    assert told(order({"f1": "SC", "f5": "HD"})).person == reading.person


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
    assert reading.note == "1 of 3 orders in one message concern us"
    assert reading.alone is not None
    assert (reading.alone.value("OBR-4.1"), reading.alone.value("ORC-2.1")) == ("REFORTH", "ORD2")


def test_of_several_referrals_each_is_read_by_itself() -> None:
    first, second = all_told(several("REFCARD", "CBC", "REFORTH"))

    assert isinstance(first.event, ReferralOrdered)
    assert isinstance(second.event, ReferralOrdered)
    assert (first.event.order.specialty, second.event.order.specialty) == ("cardiology", "orthopaedics")
    assert (first.event.order.placer.value, second.event.order.placer.value) == ("ORD1", "ORD3")
    assert first.note == "2 of 3 orders in one message concern us"


def test_one_order_that_cannot_be_understood_does_not_stop_the_others() -> None:
    lines = several("REFCARD", "REFORTH").replace("ORC|NW|ORD1^EHR", "ORC||ORD1^EHR")

    first, second = all_told(lines)

    assert (first.about, first.person) == (None, "ORC-1: an order that does not say what is asked")
    assert second.is_new_order


def test_one_number_for_two_services_is_for_a_person() -> None:
    lines = several("REFCARD", "REFORTH").replace("ORD2", "ORD1")

    first, second = all_told(lines)

    assert first.is_new_order
    assert (second.events, second.is_new_order) == ((), False)
    assert "stands in the message twice" in second.person


def test_an_order_and_the_one_that_replaces_it_are_one_change_and_a_task() -> None:
    lines = several("REFCARD", "REFCARD").replace("NW|ORD1", "RP|ORD1").replace("NW|ORD2", "RO|ORD2")

    (reading,) = all_told(lines)

    assert isinstance(reading.event, OrderChanged)
    assert reading.evidence is not None
    assert reading.evidence.placer.value == "ORD1"  # found by the number that is known
    assert reading.event.order.placer.value == "ORD2"
    assert reading.event.order.diagnosis == "D2"
    assert "another number" in reading.person


def test_an_order_that_several_replace_is_for_a_person() -> None:
    lines = several("REFCARD", "REFCARD", "REFORTH").replace("NW|ORD1", "RP|ORD1")

    (reading,) = all_told(lines.replace("NW|ORD2", "RO|ORD2").replace("NW|ORD3", "RO|ORD3"))

    assert reading.events == ()
    assert "several others" in reading.person


def test_a_laboratory_order_that_is_replaced_is_left_alone() -> None:
    lines = several("CBC", "CBC").replace("NW|ORD1", "RP|ORD1").replace("NW|ORD2", "RO|ORD2")

    assert told(lines).about is None


def test_several_orders_without_a_referral_are_left_alone() -> None:
    assert told(several("CBC", "XRAY")).about is None


def test_an_obr_without_its_own_orc_has_the_one_before() -> None:
    reading = told("\n".join([header("ORM^O01"), PID, "ORC|NW|ORD1^EHR", "OBR|1|||CBC", "OBR|2|ORD2||REFCARD"]))

    assert reading.is_new_order
    assert isinstance(reading.event, ReferralOrdered)
    assert reading.event.order.service_code == "REFCARD"
    assert reading.event.order.placer.value == "ORD2"  # its own, not that of the ORC it borrows


def test_more_orders_than_are_looked_at_are_for_a_person() -> None:
    with pytest.raises(MessageFault, match="more orders in one message than are looked at"):
        told(several(*["CBC"] * order_groups.GROUPS_MAX, "REFCARD"))

    first, last = all_told(several("REFCARD", *["CBC"] * order_groups.GROUPS_MAX))
    assert first.is_new_order
    assert last.person == "orders of the message that were not looked at: 1"


def test_a_long_head_is_not_read_once_for_each_of_many_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_groups, "GROUPS_TEXT_MAX", 100)

    first, rest = all_told(several("REFCARD", "REFORTH"))
    assert first.is_new_order
    assert rest.person == "orders of the message that were not looked at: 1"
    with pytest.raises(MessageFault, match="more orders"):
        told(several("CBC", "REFORTH"))


def test_of_several_cancellations_without_codes_each_is_read() -> None:
    readings = all_told("\n".join([header("ORM^O01"), PID, "ORC|CA|ORD77^EHR", "ORC|CA|ORD78^EHR"]))

    assert [type(reading.event) for reading in readings] == [CancelRequested, CancelRequested]
    assert [reading.evidence.placer.value for reading in readings if reading.evidence] == ["ORD77", "ORD78"]


def test_a_message_with_one_order_is_its_own_only_group() -> None:
    message = Message.parse(text(order()))

    assert order_groups.order_groups(message) == [message]


def test_groups_keep_the_characters_of_the_message() -> None:
    lines = several("CBC", "REFCARD").replace("ROE^JANE", "MÜLLER^ŁUCJA")

    reading = told(lines)

    assert isinstance(reading.event, ReferralOrdered)
    assert reading.event.patient.family.reveal() == "MÜLLER"
    assert reading.event.patient.given.reveal() == "ŁUCJA"


def test_another_authorization_may_stand_in_the_second_insurance() -> None:
    lines = order(None, None, "IN1|1|PLAN9|PAY1", segment("IN1", f1="2", f14="AUTH2"))

    assert facts(lines).authorization_number == "AUTH2"
