"""The five rules of the pre-authorization gate, each as a story through the door.  Source: LOOP 3.5."""

from __future__ import annotations

import json

from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.channel import Channel
from referral_engine.loop.policy import Duration, Kind, Unit
from referral_engine.loop.states import Network
from tests.channels.shipped import shipped_files
from tests.flow.stage import (
    HEART,
    at,
    book,
    book_with,
    done,
    engine,
    kinds,
    owed,
    sample,
    sent,
    story,
    tasks,
    tracks,
    wall,
)

HMO = "orm-o01-cardiology-hmo.hl7"  # P-3001, ordered on Monday 2 March 09:00
ORTHO = "orm-o01-orthopaedics-hmo.hl7"
MRI = "orm-o01-imaging-mri.hl7"  # P-7001
PPO = "orm-o01-cardiology-ppo.hl7"  # P-1001


def under(rules: str, *channels: Channel) -> Book:
    """What the project ships, with another table, and these channels in the place of those of their name."""
    told = read_book({**shipped_files(), "conf/preauth.toml": rules})
    return replace(told, channels={**told.channels, **{one.name: one for one in channels}})


def heart(**more: object) -> Channel:
    """The heart group outside our network, without a [hold] of its own."""
    return replace(book().channels[HEART], hold=None, network=Network.OUT, **more)


def dues(stage: object, placer: str, kind: Kind) -> list[str]:
    return [wall(one.due_at) for one in story(stage, placer).deadlines if one.kind == kind.value]  # type: ignore[arg-type]  # a rehearsal


# ------------------------------------------------------------------------------------------------ hold, send


def test_a_held_packet_waits_and_its_desk_is_reminded_after_two_business_days() -> None:
    stage = engine(other=book_with(heart()))

    stage.receive(sample(PPO))
    stage.move_to(at("2026-03-04 09:00"))

    assert tracks(stage)["dispatch"] == "held"
    assert sent(stage) == []
    (task,) = tasks(stage)
    assert (task.kind, task.reason) == ("preauth", "still held: no authorization has come")


def test_inside_our_network_a_packet_is_sent_at_once() -> None:
    stage = engine(other=book_with(replace(heart(), network=Network.IN)))

    stage.receive(sample(PPO))

    assert tracks(stage)["authorization"] == "not-required"
    assert "specialist order" in sent(stage)


def test_after_five_days_billing_takes_up_what_is_still_held() -> None:
    stage = engine()
    stage.receive(sample(ORTHO))

    stage.move_to(at("2026-03-07 08:59"))
    assert kinds(stage) == ["preauth"]
    stage.move_to(at("2026-03-07 09:00"))

    assert kinds(stage) == ["billing", "preauth"]
    assert sent(stage) == ["billing billing-notice held without an authorization"]


def test_an_mri_is_held_and_its_ordering_provider_is_told() -> None:
    stage = engine()

    stage.receive(sample(MRI))

    assert sent(stage) == ["ehr provider-notice held"]
    assert kinds(stage) == ["preauth"]


# ------------------------------------------------------------------------------------------------ submit


SUBMIT = """
[[rule]]
specialty = "cardiology"
rule      = "submit"
"""


def test_a_request_to_the_payer_is_written_into_its_own_lane_and_the_task_has_it_filled_in() -> None:
    stage = engine(other=under(SUBMIT, heart()))

    stage.receive(sample(PPO))

    assert tracks(stage)["authorization"] == "pending"
    (request,) = [one for one in owed(stage) if one.recipient == "payer"]
    assert (request.lane, request.transport) == ("payer", "spool")
    body = json.loads(request.body)
    assert body["payer"] == {"id": "61001", "plan": "PPO", "name": "Sample Health Insurance"}
    assert body["service"]["code"] == "REFCARD"
    assert body["diagnosis"]["code"]
    assert body["specialist"]["npi"] == "1234567893"
    (task,) = tasks(stage, "preauth")
    for words in ("payer 61001", "plan PPO", "procedure REFCARD", "specialist 1234567893", "order P-1001"):
        assert words in task.reason
    assert body["subscriber"]["member_id"] not in task.reason  # nothing of the patient


def test_the_payers_answer_to_a_request_lets_the_packet_go() -> None:
    stage = engine(other=under(SUBMIT, heart()))
    stage.receive(sample(PPO))

    done(stage, "preauth", authorized="AUTH-1")

    assert tracks(stage)["authorization"] == "approved"
    assert "specialist order" in sent(stage)
    assert kinds(stage) == []


# ------------------------------------------------------------------------------------------------ whose length counts


RULED = """
[[rule]]
specialty     = "cardiology"
rule          = "hold"
remind_after  = "3 business days"
billing_after = "6 days"
"""


def test_a_rules_own_lengths_run_the_clocks_of_its_hold() -> None:
    stage = engine(other=under(RULED, heart()))

    stage.receive(sample(PPO))

    assert dues(stage, "P-1001", Kind.HOLD_REMIND) == ["2026-03-05 09:00"]
    assert dues(stage, "P-1001", Kind.HOLD_BILLING) == ["2026-03-08 09:00"]


def test_a_channels_hold_goes_before_the_rule_and_the_rule_before_the_clock() -> None:
    ours = book().channels[HEART].hold
    assert ours is not None
    silent = replace(book().channels[HEART], hold=replace(ours, remind_after=None))
    said = replace(book().channels[HEART], hold=replace(ours, billing_after=Duration(4, Unit.DAYS)))

    by_rule, by_channel = engine(other=under(RULED, silent)), engine(other=under(RULED, said))
    for stage in (by_rule, by_channel):
        stage.receive(sample(HMO))

    assert dues(by_rule, "P-3001", Kind.HOLD_REMIND) == ["2026-03-05 09:00"]
    assert dues(by_rule, "P-3001", Kind.HOLD_BILLING) == ["2026-03-08 09:00"]
    assert dues(by_channel, "P-3001", Kind.HOLD_REMIND) == ["2026-03-04 09:00"]
    assert story(by_channel, "P-3001").referral.hold.billing_after is None  # the channel's clock counts


# ------------------------------------------------------------------------------------------------ payer and plan


def test_a_rule_may_name_the_payer_by_its_number_or_by_its_name_and_the_plan_by_either() -> None:
    for column in ('payer = "61001"', 'payer = "Sample Health Insurance"', 'plan = "PPO"', 'plan = "ppo100"'):
        stage = engine(other=under(f'[[rule]]\n{column}\nrule = "hold"\n', heart()))

        stage.receive(sample(PPO))

        assert tracks(stage)["dispatch"] == "held", column


def test_of_two_insurances_the_one_that_pays_first_counts_unless_the_rule_says_any() -> None:
    order = _with_a_second_insurance(sample(PPO))
    rule = '[[rule]]\npayer = "77001"\nrule = "hold"\n'
    primary, either = engine(other=under(rule, heart())), engine(other=under(f'{rule}insurance = "any"\n', heart()))

    primary.receive(order)
    either.receive(order)

    assert tracks(primary)["dispatch"] == "received"
    assert tracks(either)["dispatch"] == "held"


def test_a_second_insurance_that_stands_first_does_not_pay_first() -> None:
    order = _with_a_second_insurance(sample(PPO), before=True)
    stage = engine(other=under('[[rule]]\npayer = "61001"\nrule = "hold"\n', heart()))

    stage.receive(order)

    assert tracks(stage)["dispatch"] == "held"


def test_payer_and_plan_of_one_rule_are_met_by_one_insurance() -> None:
    order = _with_a_second_insurance(sample(PPO))
    rule = '[[rule]]\npayer = "77001"\nplan = "PPO"\ninsurance = "any"\nrule = "hold"\n'
    stage = engine(other=under(rule, heart()))

    stage.receive(order)

    assert tracks(stage)["dispatch"] == "received"


def _with_a_second_insurance(order: bytes, *, before: bool = False) -> bytes:
    second = b"IN1|2|MCD1|77001|Sample Medicaid|||||||||||MCD"
    lines = [line for line in order.split(b"\r") if line]
    at_line = next(number for number, line in enumerate(lines) if line.startswith(b"IN1"))
    lines.insert(at_line if before else at_line + 1, second)
    return b"\r".join(lines) + b"\r"
