"""What can never come to pass is told, and what can is not: the sites that would be wronged by a careless check."""

from __future__ import annotations

import pytest

from referral_engine.channels.book import check_files
from referral_engine.channels.feed import Feed
from referral_engine.channels.reachable import ORDER_CODES, RELEASING
from referral_engine.hl7.message import Message
from referral_engine.intake.authorizations import read_authorization
from tests.channels.shipped import SAMPLES, order, shipped_files

OAK = """
[channel]
name      = "oak"
npi       = "1555555550"
specialty = "cardiology"
calendar  = "chicago-clinic"

[match]
"MSH-9"     = "ORM^O01"
referred_to = "1555555550"

[transport]
kind    = "fax"
gateway = "rightfax"
number  = "+12175550188"

[[test]]
name  = "not ours"
steps = [{ receive = "orm-o01-cardiology-ppo.hl7", expect = { matches = false } }]
"""
HOLD = '\n[hold]\nwhen = { "IN1-15" = "HMO" }\nreleased_by = [RELEASED]\n'
AGAIN = '\n[[fallback]]\nkind = "fax"\ngateway = "rightfax"\nnumber = "+12175550199"\n'
FILE = '\n[[fallback]]\nkind = "spool"\ndirectory = "var/spool/oak"\n'


def told(text: str, more: dict[str, str] | None = None) -> list[str]:
    problems = check_files(shipped_files() | {"channels/oak.toml": text} | (more or {}), SAMPLES)
    return [one.code for one in problems]


@pytest.mark.parametrize(
    "line",
    [
        '"MSH-9" = { starts_with = "ORM" }',
        '"MSH-9" = { starts_with = "O" }',
        '"MSH-9.1" = ["REF", "SIU"]',
        '"MSH-9" = ["OMG^O19", "OSU^O51"]',
        '"MSH-9" = { matches = "OR[MU].O01" }',
        '"MSH-9" = { present = true }',
    ],
)
def test_a_match_that_some_order_satisfies_is_left_alone(line: str) -> None:
    assert told(OAK.replace('"MSH-9"     = "ORM^O01"', line)) == []


@pytest.mark.parametrize("line", ['"MSH-9" = ["SIU^S12", "MDM^T02"]', '"MSH-9" = { starts_with = "ADT" }'])
def test_a_match_of_what_brings_no_order_is_told(line: str) -> None:
    assert told(OAK.replace('"MSH-9"     = "ORM^O01"', line)) == ["CH323"]


@pytest.mark.parametrize("path", [*sorted(RELEASING), "staff"])
def test_what_releases_a_hold_is_left_alone(path: str) -> None:
    assert told(OAK + HOLD.replace("RELEASED", f'"{path}"')) == []


def test_every_place_that_releases_is_where_a_number_is_read_and_no_other_is() -> None:
    asked = order("REFCARD", "1555555550", more=("AUT|1|PLAN",))

    for path in (*sorted(RELEASING), "OBR-18", "IN1-15", "AUT-1"):
        written = Message.parse(asked.with_fields({path: "A1"}))
        number = read_authorization(written, Feed(name="usual"))["authorization_number"]
        assert number == ("A1" if path in RELEASING else ""), path


def test_ways_to_other_places_are_left_alone_and_the_one_behind_a_file_is_not() -> None:
    assert told(OAK + AGAIN) == []
    assert told(OAK + AGAIN + FILE) == []
    assert told(OAK + FILE + AGAIN) == ["CHW10"]
    assert told(OAK + AGAIN + AGAIN.replace("[[", "\n[[").replace("rightfax", "leftfax"))[0] == "CH403"


def test_a_clock_that_may_come_first_is_left_alone() -> None:
    slow = OAK.replace('number  = "+12175550188"', 'number  = "+12175550188"\nretry = { give_up_after = "4 hours" }')

    assert told(slow + '\n[sla]\ndelivered = "4 hours"\n') == []
    assert told(slow + '\n[sla]\ndelivered = { routine = "8 hours", urgent = "1 hour" }\n') == []
    assert told(slow + '\n[sla]\ndelivered = "8 hours"\n') == ["CHW09"]
    assert told(slow.replace('"4 hours"', '"4 business hours"') + '\n[sla]\ndelivered = "8 hours"\n') == []
    assert told(slow + FILE + '\n[sla]\ndelivered = "8 hours"\n') == []  # the second way tries for longer


def test_a_row_of_the_other_network_counts_where_a_feed_says_it_of_an_order() -> None:
    row = '\n[sla.in]\nschedule = "4 days"\n'
    feed = shipped_files()["conf/feeds/ehr.toml"] + '\n[in_network]\n"PV1-2" = "O"\n'

    assert told(OAK + row) == ["CHW09"]
    assert told(OAK + row, {"conf/feeds/ehr.toml": feed}) == []
    assert told(OAK.replace("calendar ", 'network   = "in"\ncalendar ') + row) == []


def test_orders_come_as_the_types_that_intake_reads() -> None:
    assert set(ORDER_CODES) == {"ORM", "OMG", "OSU", "REF"}
