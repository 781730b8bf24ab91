"""Referral messages: REF of the ordering side as an order, REF and RRI of an office as its answer."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.intake.reading import Reading
from referral_engine.loop.events import (
    CancelConfirmed,
    CancelRequested,
    OrderChanged,
    ReferralAccepted,
    ReferralDeclined,
    ReferralOrdered,
)
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
    SPECIALIST,
    header,
    matcher,
    segment,
    told,
)

REFERRING = f"PRD|RP^Referring provider^HL70286|DOE^DAN|1 Main St|||FAX|{OTHER_NPI}^NPI"
REFERRED = f"PRD|CP~RT^Referred to^HL70286|HEART GROUP|||^WPN^FX|FAX|LOCAL7^XX~{NPI}^NPI"
RF1 = {"f1": "P", "f2": "R", "f3": "MED", "f6": "REF77^EHR", "f7": "20260302085500-0600", "f10": "O^Second opinion"}


def ref(
    trigger: str = "I12", rf1: dict[str, str] | None = None, *more: str, kind: str = "REF", providers: bool = True
) -> str:
    """A referral message: RF1, the two providers, the patient, and what follows; PV1 comes last."""
    said = [REFERRING, REFERRED] if providers else []
    first = header(f"{kind}^{trigger}")
    return "\n".join([first, segment("RF1", **(RF1 | (rf1 or {}))), *said, PID, *more, "PV1|1|O"])


OBR = segment("OBR", f1="1", f4="REFCARD^Cardiology referral^L")
PR1 = "PR1|1||REFORTH^Orthopaedic referral^L"


def facts(lines: str) -> Order:
    event = told(lines).event
    assert isinstance(event, ReferralOrdered | OrderChanged)
    return event.order


def test_a_new_referral_becomes_a_referral_with_all_it_says() -> None:
    reading = told(
        ref("I12", {"f2": "S", "f11": "F1^LAB"}, "IN1|1|PLAN9|PAY1|PAYER ONE", "AUT|PLAN9|||20260301|20260630|AUT44",
            "DG1|1||I48.91^Atrial fibrillation^I10", OBR)
    )  # fmt: skip

    assert reading.about is About.ORDER
    assert reading.is_new_order
    assert isinstance(reading.event, ReferralOrdered)
    assert (reading.event.at, reading.event.message, reading.event.by) == (NOW, 7, "ehr")
    assert reading.event.patient.family.reveal() == "ROE"
    assert reading.event.order == Order(
        placer=Identifier(value="REF77", authority="EHR"),
        filler=Identifier(value="F1", authority="LAB"),
        ordered_at=datetime(2026, 3, 2, 14, 55, tzinfo=UTC),
        service_code="REFCARD",
        service_text="Cardiology referral",
        specialty="cardiology",
        urgency=Urgency.URGENT,
        network=Network.OUT,
        ordering_provider=Provider(number=OTHER_NPI, family="DOE", given="DAN"),
        referred_to=NPI,
        payer="PAY1",
        plan="PLAN9",
        diagnosis="I48.91",
        insurances=(Insurance(payers=("PAY1", "PAYER ONE"), plans=("PLAN9",)),),
        authorization_number="AUT44",
        authorization_begins_on=date(2026, 3, 1),
        authorization_expires_on=date(2026, 6, 30),
        message=7,
    )
    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="REF77", authority="EHR")
    assert reading.evidence.provider == NPI


@pytest.mark.parametrize(
    ("more", "code"), [((OBR, PR1), "REFCARD"), ((PR1,), "REFORTH"), ((), "MED")], ids=["OBR-4", "PR1-3", "RF1-3"]
)
def test_the_service_stands_in_the_first_of_three_places(more: tuple[str, ...], code: str) -> None:
    assert facts(ref("I12", None, *more)).service_code == code


def test_without_a_diagnosis_the_reason_of_the_referral_stands_for_it() -> None:
    assert facts(ref()).diagnosis == "Second opinion"


def test_a_referral_without_a_date_is_dated_by_its_header() -> None:
    assert facts(ref("I12", {"f7": ""})).ordered_at == datetime(2026, 3, 2, 14, 59, tzinfo=UTC)


def test_a_referral_that_names_nobody_is_still_one() -> None:
    found = facts(ref(providers=False))

    assert (found.referred_to, found.ordering_provider) == ("", Provider())


def test_a_referred_to_provider_stands_where_the_feed_says_when_no_prd_has_the_role() -> None:
    lines = ref("I12", None, segment("OBR", f4="REFCARD", f28=NPI), providers=False)

    assert facts(lines).referred_to == NPI


@pytest.mark.parametrize("number", ["00123", "11545596-0175", "a&b"])
def test_the_originating_number_is_kept_exactly_as_sent(number: str) -> None:
    assert facts(ref("I12", {"f6": number})).placer.value == number


def test_a_referral_without_a_number_says_so() -> None:
    reading = told(ref("I12", {"f6": ""}))

    assert reading.is_new_order
    assert reading.note == "no originating number in RF1-6"
    assert told("\n".join([header("REF^I12"), PID])).is_new_order


@pytest.mark.parametrize("kind", ["REF^I12", "REF^I12^REF_I12", "REF^I12^RUBBISH"])
def test_the_type_may_have_two_parts_or_three_and_the_version_may_be_missing(kind: str) -> None:
    lines = ref().replace("REF^I12", kind).replace("|P|2.5.1", "|P")

    assert told(lines).is_new_order


@pytest.mark.parametrize(
    ("trigger", "event"), [("I13", OrderChanged), ("I14", CancelRequested), ("I15", None), ("I99", None)]
)
def test_each_event_of_the_ordering_side_asks_one_thing(trigger: str, event: type | None) -> None:
    reading = told(ref(trigger, None, OBR))

    assert not reading.is_new_order
    assert [type(one) for one in reading.events] == ([event] if event else [])
    assert bool(reading.events) or reading.note != ""


def test_a_cancelled_referral_says_why() -> None:
    event = told(ref("I14")).event

    assert isinstance(event, CancelRequested)
    assert event.reason == "Second opinion"


@pytest.mark.parametrize(("state", "word"), [("R", "rejected"), ("e", "expired")])
def test_a_new_referral_that_is_over_already_is_for_a_person(state: str, word: str) -> None:
    with pytest.raises(MessageFault, match=f"RF1-1: a new referral that is already {word}"):
        told(ref("I12", {"f1": state}))


def test_the_feeds_rule_decides_where_it_can_be_asked() -> None:
    # the feed asks for OBR-4.1: a REF without OBR is a referral by its type
    assert told(ref("I12", None, segment("OBR", f4="CBC"))).note == "not a referral order"
    assert told(ref()).is_new_order
    nothing_named = replace(EHR, feed=replace(EHR_FEED, referral_when=None))
    assert told(ref(), nothing_named).is_new_order
    by_kind = replace(EHR, feed=replace(EHR_FEED, referral_when=matcher(RF1_3="PSY")))
    assert told(ref(), by_kind).about is None
    assert told(ref("I12", {"f3": "PSY"}), by_kind).is_new_order


def test_a_referral_that_no_physician_made_is_left_alone() -> None:
    party = replace(EHR, feed=replace(EHR_FEED, physician_orders=matcher(RF1_5="PHY")))

    assert told(ref(), party).note == "not ordered by a physician: left alone"
    assert told(ref("I12", {"f5": "PHYSICIAN"}), party).is_new_order


def test_the_feed_may_say_which_referrals_stay_in_the_network() -> None:
    party = replace(EHR, feed=replace(EHR_FEED, in_network=matcher(RF1_3="MED")))
    event = told(ref(), party).event

    assert isinstance(event, ReferralOrdered)
    assert event.order.network is Network.IN


# ---------------------------------------------------------------------------------------------------------------------
# From the office


def said(reading: Reading) -> list[type]:
    return [type(event) for event in reading.events]


@pytest.mark.parametrize("kind", ["REF", "RRI"])
@pytest.mark.parametrize(
    ("state", "event"), [("A", ReferralAccepted), ("R", ReferralDeclined), ("P", None), ("E", None), ("", None)]
)
def test_a_modified_referral_of_the_office_is_its_answer(kind: str, state: str, event: type | None) -> None:
    reading = told(ref("I13", {"f1": state}, kind=kind), SPECIALIST)

    assert said(reading) == ([event] if event else [])
    assert not reading.is_new_order
    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="REF77", authority="EHR")


def test_the_reply_to_a_new_referral_is_an_answer_too() -> None:
    assert said(told(ref("I12", {"f1": "A"}, kind="RRI"), SPECIALIST)) == [ReferralAccepted]
    reading = told(ref("I12", {"f1": "A"}, "MSA|AE|M1", kind="RRI"), SPECIALIST)
    assert (said(reading), reading.person) == ([], "the specialist's system refuses it; RF1-1 says accepted")


def test_a_cancelled_referral_of_the_office_is_a_decline_and_its_reply_a_confirmation() -> None:
    assert said(told(ref("I14"), SPECIALIST)) == [ReferralDeclined]
    assert said(told(ref("I14", kind="RRI"), SPECIALIST)) == [CancelConfirmed]
    assert told(ref("I14", {"f1": "R"}, kind="RRI"), SPECIALIST).person == "the specialist could not cancel"


def test_a_patient_whom_the_office_refers_to_us_is_for_a_person() -> None:
    reading = told(ref("I12"), SPECIALIST)

    assert (said(reading), reading.person) == ([], "the specialist refers a patient to us")


def test_what_says_nothing_is_left_alone() -> None:
    assert told(ref("I15", kind="RRI"), SPECIALIST).note == "a question or its answer: nothing follows"
    assert told("\n".join([header("RRI^I12"), "MSA|AA|M1", PID]), SPECIALIST).about is None
    assert told(ref(), SCANNER).about is None
    assert told(ref(kind="RRI")).about is None
