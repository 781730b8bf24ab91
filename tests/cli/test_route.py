"""`route`: which channel takes an order, and why each other one does not."""

from __future__ import annotations

from referral_engine.channels.routing import Answer, Routing
from referral_engine.cli.configuration import _outcome
from tests.cli.terminal import run

ORTHOPAEDICS = "sample_messages/orm-o01-orthopaedics.hl7"


def test_the_channel_that_takes_it_and_the_reason_of_every_other_one_are_shown() -> None:
    said = run("route", ORTHOPAEDICS)

    assert said.exit_status == 0
    rows = {line.split()[0]: line for line in said.out.splitlines()}
    assert "OBR-28.1 match" in said.out
    assert 'OBR-4.1 is "REFORTHKNEE", wanted one of REFCARD, REFEP' in rows["cardiology-heart-group"]
    assert "line 17" in rows["cardiology-heart-group"]
    assert said.out.endswith("orthopaedics-lakeside takes it\n")


def test_an_order_nobody_takes_exits_1_and_says_what_would_become_of_it() -> None:
    said = run("route", "sample_messages/orm-o01-unroutable.hl7")

    assert said.exit_status == 1
    assert "nobody takes it: the engine would open a task unroutable-order" in said.out


def test_an_order_two_channels_want_is_not_said_to_be_nobodys() -> None:
    both = tuple(Answer(name=name, yes=True, reason="", lines="") for name in ("east", "west"))

    sentence = _outcome(Routing(channel=None, candidates=both), "ORM^O01")

    assert sentence.startswith("several take it, so none gets it: east, west")


def test_a_message_that_is_no_order_is_not_routed() -> None:
    said = run("route", "sample_messages/siu-s12-imaging.hl7")

    assert said.exit_status == 1
    assert "this is SIU^S12: only orders are routed" in said.out


def test_json_tells_the_same() -> None:
    said = run("route", ORTHOPAEDICS, "--json")

    assert said.json["channel"] == "orthopaedics-lakeside"
    assert {one["channel"]: one["yes"] for one in said.json["answers"]} == {
        "cardiology-heart-group": False,
        "imaging-northside": False,
        "orthopaedics-lakeside": True,
    }
    assert all(one.keys() == {"channel", "yes", "reason", "lines"} for one in said.json["answers"])


def test_an_expectation_decides_the_exit_status() -> None:
    assert run("route", ORTHOPAEDICS, "--expect", "orthopaedics-lakeside").exit_status == 0
    assert run("route", ORTHOPAEDICS, "--expect", "imaging-northside").exit_status == 1


def test_a_file_that_is_no_message_is_refused_in_a_sentence() -> None:
    said = run("route", "sample_messages/bad/no-msh.hl7")

    assert said.exit_status == 1
    assert said.err.startswith("sample_messages/bad/no-msh.hl7: ")
    assert run("route", "README.md").exit_status == 1


def test_a_file_that_is_missing_is_misuse() -> None:
    assert run("route", "sample_messages/nothing.hl7").exit_status == 2
