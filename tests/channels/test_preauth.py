from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.errors import ConfigError
from referral_engine.channels.book import read_book
from referral_engine.channels.preauth import Preauthorization
from referral_engine.loop.policy import Duration, HoldRule, Unit
from tests.channels.shipped import shipped_files

TABLE = """
[[rule]]
specialty = "cardiology"
rule      = "hold"

[[rule]]
specialty = "cardiology"
payer     = ["Payer1", "PAYER2"]
rule      = "submit"

[[rule]]
plan = "HMO"
rule = "hold"
billing_after = "5 days"

[[rule]]
procedure = ["REF", "REFCARDECHO"]
rule      = "send"
"""


def table() -> Preauthorization:
    return read_book({"conf/preauth.toml": TABLE}).preauth


@pytest.mark.parametrize(
    ("specialty", "network", "rule"),
    [
        ("cardiology", "out", HoldRule.HOLD),
        ("cardiology", "in", HoldRule.SEND),
        ("orthopaedics", "out", HoldRule.HOLD),
        ("mental-health", "out", HoldRule.SUBMIT),
        ("imaging", "out", HoldRule.HOLD),
        ("dermatology", "out", HoldRule.SEND),
    ],
)
def test_the_built_in_table_and_the_shipped_file_decide_alike(specialty: str, network: str, rule: HoldRule) -> None:
    shipped = read_book(shipped_files()).preauth
    for preauth in (Preauthorization(), shipped):
        verdict = preauth.rule_for(specialty=specialty, network=network, procedure="REFMRI")
        assert verdict.rule is rule
        assert verdict.why


def test_orthopaedics_goes_to_billing_and_imaging_to_the_ordering_provider() -> None:
    preauth = read_book(shipped_files()).preauth

    assert preauth.rule_for(specialty="orthopaedics").billing_after == Duration(5, Unit.DAYS)
    assert preauth.rule_for(specialty="imaging", procedure="REFCT").notify == "ordering-provider"


def test_the_narrowest_rule_wins_whatever_the_order_in_the_file() -> None:
    preauth = table()

    assert preauth.rule_for(specialty="cardiology").rule is HoldRule.HOLD
    assert preauth.rule_for(specialty="cardiology", payer=("x", "payer1")).rule is HoldRule.SUBMIT
    assert preauth.rule_for(specialty="cardiology", payer="PAYER1", plan="hmo").billing_after is not None
    assert preauth.rule_for(specialty="cardiology", plan="HMO", procedure="REFX").rule is HoldRule.SEND


def test_the_verdict_names_its_line() -> None:
    verdict = table().rule_for(specialty="cardiology")

    assert verdict.line == 2
    assert verdict.why == "conf/preauth.toml:2"


def test_equal_rules_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        read_book({"conf/preauth.toml": TABLE + '\n[[rule]]\nplan = ["HMO", "EPO"]\nrule = "send"\n'})

    assert [problem.code for problem in caught.value.problems] == ["CH314"]


@given(
    st.sampled_from(["cardiology", "x"]),
    st.sampled_from(["PAYER1", ""]),
    st.sampled_from(["HMO", ""]),
    st.sampled_from(["REFCARDECHO", ""]),
)
def test_rows_in_any_order_decide_alike(specialty: str, payer: str, plan: str, procedure: str) -> None:
    preauth = table()
    turned = Preauthorization(rows=preauth.rows[::-1])

    verdicts = [
        one.rule_for(specialty=specialty, payer=payer, plan=plan, procedure=procedure) for one in (preauth, turned)
    ]

    assert verdicts[0] == verdicts[1]
