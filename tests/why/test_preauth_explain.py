"""`preauth explain`: every row of the table says why it fits or not, and what is shown is what the door would do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.channels.book import read_book
from referral_engine.channels.preauth import Asked, Preauthorization
from referral_engine.journal.codec import decode_referral, encode_referral
from referral_engine.loop.clocks import deadlines
from referral_engine.loop.policy import Kind
from referral_engine.loop.referral import Hold
from referral_engine.loop.states import Network
from tests.builders import a_policy, an_order, held, ordered, told, urgent, wall
from tests.channels.shipped import shipped_files
from tests.cli.terminal import ROOT, copied_site, rewrite, run
from tests.loop.reading import passed

SAMPLES = ROOT / "sample_messages"
SHIPPED = read_book(shipped_files()).preauth


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def explained(name: str) -> dict[str, Any]:
    said = run("preauth", "explain", SAMPLES / name, "--json")
    assert said.exit_status == 0
    (told_of,) = said.json
    return dict(told_of)


def test_the_narrowest_row_wins_and_every_other_one_says_why_not() -> None:
    answer = explained("orm-o01-orthopaedics-hmo.hl7")

    winners = [row for row in answer["rows"] if row["wins"]]
    assert [row["asks"] for row in winners] == [{"specialty": ["orthopaedics"], "plan": ["HMO"]}]
    assert answer["row"] == winners[0]["where"]
    assert [row["fits"] for row in answer["rows"]].count(True) == 2  # "inside our network" fits too, and is wider
    assert all(bool(row["misses"]) != row["fits"] for row in answer["rows"])
    assert "network is in, wanted out" in answer["rows"][3]["misses"]
    assert (answer["rule"], answer["channel"]) == ("hold", "orthopaedics-lakeside")
    assert [clock["kind"] for clock in answer["clocks"]] == ["hold-remind", "hold-billing"]


def test_what_was_found_is_shown_with_its_place_and_without_the_patient() -> None:
    said = run("preauth", "explain", SAMPLES / "orm-o01-orthopaedics-hmo.hl7")
    found = explained("orm-o01-orthopaedics-hmo.hl7")["found"]

    assert found["plan"] == {"value": "HMO", "place": "IN1-15.1"}
    assert found["diagnosis"]["place"] == "DG1-3.1"
    patient = (SAMPLES / "orm-o01-orthopaedics-hmo.hl7").read_text(encoding="utf-8").split("\rPID|")[-1].split("|")
    assert patient[4].split("^")[0]
    assert patient[4].split("^")[0] not in said.out


def test_a_channels_own_hold_is_said_to_decide_before_the_table() -> None:
    held_back, sent = explained("orm-o01-cardiology-hmo.hl7"), explained("orm-o01-cardiology-ppo.hl7")

    assert (held_back["channel_hold"]["applies"], held_back["rule"]) == (True, "hold")
    assert (sent["channel_hold"]["applies"], sent["rule"], sent["clocks"]) == (False, "send", [])
    assert "decides before the table" in run("preauth", "explain", SAMPLES / "orm-o01-cardiology-hmo.hl7").out


def test_each_length_of_a_hold_names_the_line_that_decides_it() -> None:
    ortho, heart = explained("orm-o01-orthopaedics-hmo.hl7"), explained("orm-o01-cardiology-hmo.hl7")

    remind, billing = ortho["lengths"]
    assert (remind["kind"], remind["length"], remind["decided_by"]) == ("hold-remind", "2 business days", "default")
    assert (billing["kind"], billing["length"], billing["decided_by"]) == ("hold-billing", "5 days", ortho["row"])
    (own,) = heart["lengths"]
    assert own["decided_by"].startswith("channels/cardiology-heart-group.toml:")
    assert explained("orm-o01-cardiology-ppo.hl7")["lengths"] == []


def test_what_the_payer_said_is_shown_without_the_number(tmp_path: Any) -> None:
    lines = (SAMPLES / "orm-o01-cardiology-hmo.hl7").read_bytes().replace(b"\n", b"\r").split(b"\r")
    lines.insert(
        1 + next(at for at, line in enumerate(lines) if line.startswith(b"IN1")), b"AUT||P|||20991231|PA-77||6|4"
    )
    order = tmp_path / "order.hl7"
    order.write_bytes(b"\r".join(lines))

    (told_of,) = run("preauth", "explain", order, "--json").json
    said = run("preauth", "explain", order).out

    assert told_of["payer_says"] == {
        "number": True, "denied": False, "begins_on": None, "expires_on": "2099-12-31", "visits": 4, "provider": None,
    }  # fmt: skip
    assert told_of["insurances"] == [{"payer": ["61002", "Sample Managed Care"], "plan": ["HMO", "HMO200"]}]
    assert "the order brings one until 2099-12-31 for 4 visits" in said
    assert "PA-77" not in said


def test_an_order_no_channel_takes_is_held_against_the_table_all_the_same() -> None:
    answer = explained("orm-o01-unroutable.hl7")

    assert (answer["channel"], answer["rule"]) == (None, None)
    assert any(row["wins"] for row in answer["rows"])
    assert "a person routes it first" in answer["does"]


def test_a_file_without_an_order_exits_1() -> None:
    said = run("preauth", "explain", SAMPLES / "mdm-t02-cardiology-final.hl7")

    assert (said.exit_status, "no new referral order" in said.out) == (1, True)


def test_without_a_file_the_built_in_table_answers(tmp_path: Any) -> None:
    conf = copied_site(tmp_path)
    (tmp_path / "conf" / "preauth.toml").unlink()

    said = run("preauth", "explain", SAMPLES / "orm-o01-orthopaedics-hmo.hl7", "--conf", conf)

    assert "built-in table" in said.out


@given(
    specialty=st.sampled_from(["cardiology", "orthopaedics", "mental-health", "imaging", ""]),
    plan=st.sampled_from(["HMO", "PPO", ""]),
    procedure=st.sampled_from(["REFMRI", "REFCT", "REFCARD", ""]),
    network=st.sampled_from(list(Network)),
    table=st.sampled_from([SHIPPED, Preauthorization()]),
)
def test_the_rows_and_the_verdict_never_disagree(
    specialty: str, plan: str, procedure: str, network: Network, table: Preauthorization
) -> None:
    asked = Asked(
        specialty=specialty,
        payers=frozenset({""}),
        plans=frozenset({plan}),
        procedure=procedure,
        diagnosis="",
        network=network,
    )
    verdict = table.rule_for(specialty=specialty, plan=plan, procedure=procedure, network=network)

    answers = table.answers(asked)

    assert [one.row.fits(asked) for one in answers] == [not one.misses for one in answers]
    assert [one.row.verdict for one in answers if one.wins] == [
        one for one in [verdict] if any(row.verdict is one for row in table.rows)
    ]
    assert all(
        one.specificity <= chosen.specificity for one in answers if not one.misses for chosen in answers if chosen.wins
    )


# ------------------------------------------------------------------------------------------- the rule's own clocks


TABLE = """
[[rule]]
specialty     = "cardiology"
rule          = "hold"
remind_after  = "1 business day"
billing_after = "3 days"

[[rule]]
specialty = "imaging"
rule      = "hold"
"""


def dues(hold: Hold, kind: Kind) -> list[str]:
    referral = ordered(hold=hold, order=an_order()).referral
    return [f"{one.due_at:%d %H:%M}" for one in deadlines(referral, a_policy()) if one.kind is kind]


def test_a_rules_own_lengths_run_its_reminder_and_its_billing_clock() -> None:
    table = read_book({"conf/preauth.toml": TABLE}).preauth
    own, none = table.rule_for(specialty="cardiology").hold(), table.rule_for(specialty="imaging").hold()

    assert (dues(own, Kind.HOLD_REMIND), dues(own, Kind.HOLD_BILLING)) == (["03 15:00"], ["05 15:00"])
    assert (dues(none, Kind.HOLD_REMIND), dues(none, Kind.HOLD_BILLING)) == (["04 15:00"], [])  # as [sla] says


def test_a_rule_without_a_reminder_leaves_an_urgent_referral_its_own() -> None:
    waiting = urgent(held())

    assert [f"{one.due_at:%d %H:%M}" for one in deadlines(waiting, a_policy())] == ["03 15:00"]


def test_the_rules_reminder_comes_round_in_its_own_length() -> None:
    hold = read_book({"conf/preauth.toml": TABLE}).preauth.rule_for(specialty="cardiology").hold()
    waiting = ordered(hold=hold, order=an_order()).referral

    again = told(waiting, passed(Kind.HOLD_REMIND, at=wall("2026-03-03 09:00")))

    assert [f"{one.due_at:%d %H:%M}" for one in deadlines(again, a_policy()) if one.kind is Kind.HOLD_REMIND] == [
        "04 15:00"
    ]


def test_a_hold_stored_before_rules_had_lengths_is_read_as_it_was() -> None:
    stored = encode_referral(held())
    before = stored.replace(b',"remind_after":null,"billing_after":null', b"")

    assert before != stored
    assert decode_referral(before) == held()


def test_a_typo_in_a_duration_of_a_rule_is_still_a_sentence(tmp_path: Any) -> None:
    conf = copied_site(tmp_path)
    rewrite(
        tmp_path / "conf" / "preauth.toml",
        'billing_after = "5 days"\n\n[[rule]]                                  # 1 to 3',
        'billing_after = "5 dayz"\n\n[[rule]]                                  # 1 to 3',
    )

    said = run("preauth", "explain", SAMPLES / "orm-o01-orthopaedics-hmo.hl7", "--conf", conf)

    assert said.exit_status == 78
    assert "5 dayz" in said.err
