"""What order messages do to referrals: several in one message, a cancel before its order, holds, replacements, answers."""

from __future__ import annotations

import pytest

from referral_engine.base.values import replace
from referral_engine.channels.feed import Feed
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import Disposition
from referral_engine.loop.states import Network
from tests.flow.stage import (
    HEART,
    ORDER,
    book,
    book_with,
    engine,
    kinds,
    owed,
    row,
    said,
    sample,
    sent,
    story,
    tasks,
    tracks,
    whole,
)
from tests.intake.samples import matcher

CANCEL = "orm-o01-cardiology-cancel.hl7"
ACCEPTED = "orm-o01-specialist-ok.hl7"


def segments_of(name: str) -> list[str]:
    return sample(name).decode().rstrip("\r").split("\r")


def two_referrals() -> bytes:
    """The cardiology order with an orthopaedic one behind it, and a laboratory order between them."""
    lines = segments_of(ORDER)
    ortho = next(line for line in segments_of("orm-o01-orthopaedics.hl7") if line.startswith("OBR"))
    lines += ["ORC|NW|L-1^EHR", "OBR|1|L-1^EHR||CBC^Blood count^L"]
    lines += ["ORC|NW|P-2002^EHR|||||||20260302090000-0600", ortho.replace(ortho.split("|")[2], "P-2002^EHR", 1)]
    return ("\r".join(lines) + "\r").encode()


def with_feed(**changes: object) -> Rehearsal:
    feeds = {**book().feeds, "ehr": replace(book().feeds["ehr"], **changes)}  # type: ignore[arg-type]  # a test names its fields
    assert isinstance(feeds["ehr"], Feed)
    return engine(other=replace(book(), feeds=feeds))


# ---------------------------------------------------------------------------------------------- several orders


def test_two_referrals_in_one_message_are_two_loops_each_with_its_own_channel() -> None:
    stage = engine()

    receipt = stage.receive(two_referrals())

    assert said(receipt) == "AA"
    assert row(stage, receipt).disposition is Disposition.APPLIED
    assert story(stage, "P-1001").referral.channel == "cardiology-heart-group"
    assert story(stage, "P-2002").referral.channel == "orthopaedics-lakeside"
    assert kinds(stage) == []
    (packet,) = [one for one in owed(stage) if one.lane == HEART]
    assert b"P-2002" not in packet.body
    assert b"L-1" not in packet.body


def test_a_referral_behind_a_laboratory_order_goes_where_its_own_code_says() -> None:
    stage = engine()
    lines = segments_of(ORDER)
    first = next(at for at, line in enumerate(lines) if line.startswith("ORC"))
    lines[first:first] = ["ORC|NW|L-1^EHR", "OBR|1|L-1^EHR||CBC^Blood count^L"]

    stage.receive(("\r".join(lines) + "\r").encode())

    assert story(stage).referral.channel == "cardiology-heart-group"


def test_one_order_that_cannot_be_read_is_a_task_and_the_other_is_on_its_way() -> None:
    stage = engine()

    receipt = stage.receive(two_referrals().replace(b"ORC|NW|P-2002", b"ORC||P-2002"))

    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    assert story(stage).referral.channel == "cardiology-heart-group"
    (task,) = tasks(stage, "quarantine")
    assert task.reason == "ORC-1: an order that does not say what is asked"


# ---------------------------------------------------------------------------------------------- cancel first


def test_a_cancel_that_comes_before_its_order_stops_it_before_it_is_sent() -> None:
    # F-H06
    stage = engine()
    early = stage.receive(sample(CANCEL))
    assert row(stage, early).disposition is Disposition.NO_OP
    assert not stage.journal.read().referrals()

    stage.receive(sample(ORDER))

    assert tracks(stage)["closure"] == "ended"
    assert [one for one in owed(stage) if one.recipient == "specialist" and one.state != "cancelled"] == []
    assert row(stage, early).disposition is Disposition.APPLIED


def test_a_change_that_comes_before_its_order_is_not_lost() -> None:
    stage = engine()
    stage.receive(sample(ORDER, {"ORC-1": "XO", "MSH-10": "EHR0999", "IN1-14": "AUTH77"}))

    stage.receive(sample(ORDER))

    assert story(stage).referral.order.authorization_number == "AUTH77"


def test_an_early_cancel_of_another_patients_order_goes_to_a_person() -> None:
    # F-H02
    stage = engine()
    stage.receive(sample(CANCEL, {"PID-3.1": "799999", "PID-5.1": "Stranger", "PID-7": "19900101", "PID-5.2": "Sam"}))

    stage.receive(sample(ORDER))

    assert tracks(stage)["closure"] == "open"
    assert kinds(stage) == ["match-review"]


# ---------------------------------------------------------------------------------------------- for a person


@pytest.mark.parametrize(("control", "words"), [("HD", "asks to hold"), ("RL", "releases"), ("DE", "reports an error")])
def test_what_the_engine_cannot_do_to_an_order_is_a_task_and_changes_nothing(control: str, words: str) -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    before = story(stage).referral

    receipt = stage.receive(sample(ORDER, {"ORC-1": control, "MSH-10": "EHR0999"}))

    assert said(receipt) == "AA"
    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    (task,) = tasks(stage, "anomaly")
    assert words in task.reason
    assert task.referral == before.id
    assert story(stage).referral == before


@pytest.mark.parametrize("control", ["HD", "RL", "DE", "PA", "CH", "RP"])
def test_the_same_of_an_order_known_by_its_number_only_is_a_task_where_we_know_the_number(control: str) -> None:
    stage = engine()
    patient = next(line for line in segments_of(ORDER) if line.startswith("PID"))
    head = segments_of(ORDER)[0].replace("|EHR1001|", "|EHR0999|")
    lines = [head, patient, f"ORC|{control}|P-1001^EHR"]

    of_a_ward = stage.receive("\r".join(lines).encode())
    assert row(stage, of_a_ward).disposition is Disposition.NO_OP
    assert tasks(stage) == []

    stage.receive(sample(ORDER))
    stage.receive("\r".join(lines).replace("|EHR0999|", "|EHR0998|").encode())
    assert kinds(stage) == ["anomaly"]


def replacement() -> bytes:
    """P-1001 is replaced by P-1777."""
    old = ["ORC|RP|P-1001^EHR", "OBR|1|P-1001^EHR||REFCARD^Referral to cardiology^99SPR"]
    lines = segments_of(ORDER)
    first = next(at for at, line in enumerate(lines) if line.startswith("ORC"))
    new = [line.replace("P-1001", "P-1777").replace("ORC|NW", "ORC|RO") for line in lines[first:]]
    return ("\r".join([*lines[:first], *old, *new]) + "\r").encode().replace(b"|EHR1001|", b"|EHR0999|")


def test_a_replaced_order_is_the_same_loop_under_two_numbers_and_a_person_tells_the_office() -> None:
    stage = engine()
    stage.receive(sample(ORDER))

    receipt = stage.receive(replacement())

    assert row(stage, receipt).referral == story(stage).referral.id
    assert [one.kind for one in tasks(stage)] == ["anomaly"]
    assert len(stage.journal.read().referrals()) == 1
    cancelled = stage.receive(sample(CANCEL, {"ORC-2.1": "P-1777", "OBR-2.1": "P-1777"}))
    assert row(stage, cancelled).referral == story(stage).referral.id
    assert tracks(stage)["closure"] == "cancel-requested"


# ---------------------------------------------------------------------------------------------- who ordered, which network


def test_an_order_that_no_physician_made_is_kept_and_left_alone() -> None:
    stage = with_feed(physician_orders=matcher(ORC_29="PHY"))

    receipt = stage.receive(sample(ORDER))

    assert said(receipt) == "AA"
    assert row(stage, receipt).disposition is Disposition.NO_OP
    assert "not ordered by a physician" in row(stage, receipt).reason
    assert not stage.journal.read().referrals()


def test_the_feeds_word_on_the_network_is_laid_over_the_channels() -> None:
    stage = with_feed(in_network=matcher(ORC_29="IN"))  # the shipped channel is in the network

    stage.receive(sample(ORDER))

    assert story(stage).referral.order.network is Network.OUT


def test_a_channels_lines_about_the_network_are_asked_for_each_order_and_again_when_it_changes() -> None:
    heart = replace(book().channels[HEART], in_network=matcher(IN1_15="PPO"), hold=None)
    stage = engine(other=book_with(heart))

    stage.receive(sample(ORDER))
    inside = story(stage).referral.order.network
    stage.receive(sample(ORDER, {"MSH-10": "EHR1099", "ORC-1": "XO", "IN1-15": "HMO"}))

    assert inside is Network.IN
    assert story(stage).referral.order.network is Network.OUT


# ---------------------------------------------------------------------------------------------- typed answers


def test_a_sender_that_wants_typed_answers_gets_them_and_the_same_bytes_again() -> None:
    # H069
    stage = with_feed(typed_replies=True)

    first = stage.receive(sample(ORDER))
    again = stage.receive(sample(ORDER))

    answer = Message.parse(first.answer)
    assert answer.header.type == "ORR^O02"
    assert (answer.value("MSA-1"), answer.value("MSA-2")) == ("AA", "EHR1001")
    assert (answer.value("ORC-1"), answer.value("ORC-2"), answer.value("ORC-2.2")) == ("OK", "P-1001", "EHR")
    assert again.duplicate
    assert again.answer == first.answer


def test_a_commit_answer_stays_a_plain_one_and_the_application_answer_behind_it_is_typed() -> None:
    stage = with_feed(typed_replies=True)

    receipt = stage.receive(sample(ORDER, {"MSH-15": "AL", "MSH-16": "AL"}))

    assert Message.parse(receipt.answer).header.type == "ACK^O01"
    assert said(receipt) == "CA"
    second = Message.parse(receipt.after)
    assert (second.header.type, second.value("MSA-1")) == ("ORR^O02", "AA")
    assert stage.receive(sample(ORDER, {"MSH-15": "AL", "MSH-16": "AL"})).after == receipt.after


def test_a_refused_order_is_refused_in_its_own_type() -> None:
    stage = with_feed(typed_replies=True)

    receipt = stage.receive(sample(ORDER, {"MSH-11": "T"}))

    answer = Message.parse(receipt.answer)
    assert (answer.header.type, answer.value("MSA-1"), answer.first("ORC")) == ("ORR^O02", "AR", None)


# ---------------------------------------------------------------------------------------------- answers at the listener


def response(kind: str, msa: str = "MSA|AA|X1") -> bytes:
    """The office's acceptance as an application response."""
    lines = segments_of(ACCEPTED)
    fields = lines[0].split("|")
    fields[8] = kind
    own = {line[:3]: line for line in segments_of(ORDER)}
    lines = [own["PID"] if line.startswith("PID") else line for line in lines]
    number = next(line.split("|")[2] for line in lines if line.startswith("ORC"))
    return ("\r".join(["|".join(fields), msa, *lines[1:]]) + "\r").replace(number, "P-1001^EHR").encode()


def test_a_response_that_speaks_of_an_order_is_read_and_acknowledged() -> None:
    stage = engine()
    stage.receive(sample(ORDER))

    receipt = stage.receive(response("ORR^O02"))

    assert said(receipt) == "AA"
    assert row(stage, receipt).disposition is Disposition.APPLIED
    assert tracks(stage)["dispatch"] == "accepted"


@pytest.mark.parametrize("kind", ["ACK^O01", "MCF", "RSP^K11"])
def test_a_pure_acknowledgment_is_never_answered(kind: str) -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    before = whole(stage)[1]

    receipt = stage.receive(response(kind))

    assert receipt.answer == b""
    assert whole(stage)[1] == before


def test_a_response_without_an_order_is_never_answered() -> None:
    stage = engine()
    lines = response("ORR^O02").decode().split("\r")

    receipt = stage.receive("\r".join(line for line in lines if line[:3] not in ("ORC", "OBR")).encode())

    assert receipt.answer == b""
    assert sent(stage) == []


# ---------------------------------------------------------------------------------------------- REF


REFERRAL = "ref-i12-cardiology.hl7"  # R-2101, cardiology, providers in PRD


def test_a_referral_is_answered_in_its_own_type() -> None:
    stage = with_feed(typed_replies=True)

    receipt = stage.receive(sample(REFERRAL))

    answer = Message.parse(receipt.answer)
    assert (answer.header.type, answer.value("MSA-1")) == ("RRI^I12", "AA")
    assert (answer.value("RF1-1"), answer.value("RF1-6")) == ("P", "R-2101")
    assert story(stage, "R-2101").referral.channel == HEART


def test_a_referral_that_says_all_in_prd_and_pr1_is_routed_by_them() -> None:
    channel = replace(book().channels[HEART], match=matcher(PR1_3_1="REFCARD", MSH_9="REF"))
    stage = engine(other=book_with(channel))
    lines = [line.replace("OBR|1|||REFCARD", "PR1|1||REFCARD") for line in segments_of(REFERRAL)]

    stage.receive(("\r".join(lines) + "\r").encode())

    referral = story(stage, "R-2101").referral
    assert (referral.channel, referral.order.referred_to, referral.order.specialty) == (
        HEART,
        "1234567893",
        "cardiology",
    )


def test_a_referral_without_its_number_is_a_task() -> None:
    stage = engine()

    stage.receive(sample(REFERRAL, {"RF1-6": ""}))

    assert kinds(stage) == ["unroutable-order"]
    assert not stage.journal.read().referrals()


def test_a_referral_that_is_cancelled_before_it_comes_is_never_sent() -> None:
    # F-H06
    stage = engine()
    stage.receive(sample("ref-i14-cardiology-cancelled.hl7"))

    stage.receive(sample(REFERRAL))

    assert tracks(stage, "R-2101")["closure"] == "ended"
    assert [one.state for one in owed(stage) if one.lane == HEART] == ["cancelled"]


def test_the_same_referral_by_ref_and_by_order_message_is_one() -> None:
    stage = engine()
    stage.receive(sample(REFERRAL))
    number = {"ORC-2.1": "R-2101", "OBR-2.1": "R-2101", "PID-3.1": "702101"}
    person = {"PID-5.1": "Placeholder", "PID-5.2": "Petra", "PID-7": "19720305"}

    receipt = stage.receive(sample(ORDER, number | person))

    assert row(stage, receipt).disposition is Disposition.NO_OP
    assert len(stage.journal.read().referrals()) == 1
