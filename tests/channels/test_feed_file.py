"""What a feed's file says is what the feed has; what it does not say is the default."""

from __future__ import annotations

from dataclasses import fields

import pytest

from referral_engine.channels.book import Book, check_files, read_book
from referral_engine.channels.feed import DEFAULT_STARTS, Feed
from referral_engine.channels.matcher import Condition, Matcher, OneOf
from referral_engine.channels.routing import explain, route
from referral_engine.hl7.message import Message
from tests.channels.shipped import order, shipped_files

HEART, LAKESIDE = "1234567893", "1987654328"
WRITTEN = """
[feed]
name            = "north"
applications    = ["NORTH", ""]
enabled         = false
offset          = "sender"
patient_numbers = ["PID-4", "PID-3"]
visit_numbers   = "PV1-50"
referred_to     = ["NTE[2=REFERTO]-3", "ZRF-3.1"]
starts          = ["AIS-4", "TQ1-7", "SCH-11.4", "ZAP-2[2].3"]
closing_documents = ["CN", "11488-4"]
notes_may_attach = true
typed_replies   = true
unmatched       = "review"
patient_authority = "NORTH"
[authorities]
"2.16.840.1.113883.19.5" = "NORTH"
NMC = "NORTH"
[physician_orders]
"ORC-29.1" = "PHYS"
[in_network]
"ZRF-4" = "IN"
[left_alone]
"EVN-5.1" = "US"
"""


def feed_of(text: str) -> Feed:
    files = {**shipped_files(), "conf/feeds/north.toml": text}
    return read_book(files).feeds["north"]


def message(*lines: str) -> Message:
    return Message.parse("\r".join(("MSH|^~\\&|NORTH|N|E|S|20260302||ORM^O01|1|P|2.5.1", *lines, "")).encode())


def test_every_key_of_a_feeds_file_reaches_the_feed() -> None:
    feed = feed_of(WRITTEN)

    assert feed.applications == ("NORTH", "")
    assert not feed.enabled
    assert feed.offset == "sender"
    assert feed.patient_numbers == ("PID-4", "PID-3")
    assert feed.visit_numbers == ("PV1-50",)
    assert feed.referred_to == ("NTE[2=REFERTO]-3", "ZRF-3.1")
    assert feed.starts == ("AIS-4.1", "TQ1-7.1", "SCH-11.4", "ZAP-2[2].3")
    assert feed.closing_documents == ("CN", "11488-4")
    assert feed.notes_may_attach
    assert feed.typed_replies
    assert feed.unmatched == "review"
    assert feed.authority_names == {"2.16.840.1.113883.19.5": "NORTH", "NMC": "NORTH"}
    for matcher, path in (
        (feed.physician_orders, "ORC-29.1"),
        (feed.in_network, "ZRF-4"),
        (feed.left_alone, "EVN-5.1"),
    ):
        assert matcher is not None
        assert list(matcher.paths()) == [path]


def test_a_feed_that_says_only_its_name_has_every_default() -> None:
    bare = feed_of('[feed]\nname = "north"\n')
    usual = Feed(name="north")

    differing = [one.name for one in fields(Feed) if getattr(bare, one.name) != getattr(usual, one.name)]

    assert differing == ["title", "file"]
    assert bare.enabled
    assert bare.starts == DEFAULT_STARTS


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("1234567893", HEART),
        ("Refer to NPI 1234567893, Heart Group", HEART),
        ("1234567893 or 1234567893", HEART),
        ("Dr Sample, (217)555-0100", ""),
        ("2175550100 1234567893", HEART),  # a telephone is no NPI
        ("call 1234567893 or 1987654328", ""),  # two are nobody: a person decides
        ("no. 91234567893", ""),  # ten digits of a longer number
        ("D4711", "D4711"),  # a number of the sender's own
        ("1234567890", "1234567890"),  # ten digits that are no NPI: shown as they are
        ("", ""),
    ],
)
def test_the_referred_to_provider_is_the_one_npi_of_a_text_or_nobody(text: str, who: str) -> None:
    feed = Feed(name="north", referred_to=("NTE[2=REFERTO]-3",))

    assert feed.referred_npi(message("ORC|NW|1", f"NTE|1|P|{LAKESIDE}", f"NTE|2|REFERTO|{text}")) == who


def test_the_first_place_that_names_somebody_counts() -> None:
    feed = Feed(name="north", referred_to=("NTE[2=REFERTO]-3", "OBX[3.1=REFTO]-5.1", "OBR-28[2].1"))
    copies = "OBR|1|||REFCARD" + "|" * 24 + f"D1~{HEART}"

    assert feed.referred_npi(message(copies, "NTE|1|REFERTO|whoever is free")) == HEART
    assert feed.referred_npi(message(copies, f"OBX|1|ST|REFTO||{LAKESIDE}")) == LAKESIDE


def test_the_numbers_of_one_provider_are_looked_through_but_never_those_of_the_next() -> None:
    feed = Feed(name="north", referred_to=("PRD[1.1=RT]-7.1",))
    copies = Feed(name="north")

    assert feed.referred_npi(message("PRD|RT||||||D1^LOCAL~1234567893^NPI")) == HEART
    assert copies.referred_npi(message("OBR|1|||REFCARD" + "|" * 24 + f"D1~{HEART}")) == "D1"


def test_conditions_about_one_chosen_segment_hold_in_that_segment() -> None:
    asked = Matcher(
        conditions=(
            Condition(path="OBX[3.1=TEXTOK]-5.1", test=OneOf(("Y",))),
            Condition(path="OBX[3.1=TEXTOK]-11", test=OneOf(("F",))),
        )
    )

    assert asked.matches(message("OBX|1|ST|TEXTOK||Y||||||P", "OBX|2|ST|TEXTOK||Y||||||F"))
    assert not asked.matches(message("OBX|1|ST|TEXTOK||Y||||||P", "OBX|2|ST|TEXTOK||N||||||F"))
    assert not asked.matches(message("OBX|1|ST|OTHER||Y||||||F"))
    assert not asked.matches(message("ORC|NW|1"))


@pytest.fixture(scope="module")
def book() -> Book:
    return read_book(shipped_files())


def test_a_channel_finds_its_orders_wherever_the_feed_says_the_provider_stands(book: Book) -> None:
    feed = Feed(name="north", referred_to=("NTE[2=REFERTO]-3",))
    noted = order("REFCARD", "", more=(f"NTE|1|REFERTO|to NPI {HEART} please",))

    by_feed, by_default = route(book, noted, feed), route(book, noted)

    assert by_feed.channel is not None
    assert by_feed.channel.name == "cardiology-heart-group"
    assert by_default.channel is None
    why = next(one for one in explain(book, noted).candidates if one.name == "cardiology-heart-group").reason
    assert why == f'referred_to is empty, wanted "{HEART}"'


def test_a_channel_that_asks_for_the_place_itself_is_found_whatever_the_feed_says(book: Book) -> None:
    feed = Feed(name="north", referred_to=("ZRF-3.1",))
    copied = order("REFORTH", LAKESIDE, more=("ZRF|1|2|D4711",))

    routing = route(book, copied, feed)

    assert routing.channel is not None
    assert routing.channel.name == "orthopaedics-lakeside"


def test_an_order_that_two_channels_take_by_two_places_goes_to_neither() -> None:
    files = shipped_files()
    path = "channels/orthopaedics-lakeside.toml"
    files[path] = files[path].replace('"OBR-4.1"  = { starts_with = "REFORTH" }', '"OBR-4.1"  = "REFCARD"')
    both = read_book(files)
    feed = Feed(name="north", referred_to=("ZRF-3.1",))

    routing = route(both, order("REFCARD", LAKESIDE, more=(f"ZRF|1|2|{HEART}",)), feed)

    assert routing.channel is None
    assert [one.name for one in routing.candidates] == ["cardiology-heart-group", "orthopaedics-lakeside"]


def test_two_channels_that_ask_for_one_provider_in_two_ways_compete() -> None:
    files = shipped_files()
    path = "channels/orthopaedics-lakeside.toml"
    changed = files[path].replace('"OBR-4.1"  = { starts_with = "REFORTH" }', '"OBR-4.1"  = "REFCARD"')
    files[path] = changed.replace(f'"OBR-28.1" = "{LAKESIDE}"', f'"OBR-28.1" = "{HEART}"')

    assert "CH401" in [problem.code for problem in check_files(files)]


def test_a_specialists_dialect_brings_its_words_and_never_says_who_speaks_or_whose_numbers_are_ours() -> None:
    files = shipped_files()
    path = "channels/cardiology-heart-group.toml"
    files[path] = files[path].replace("[replies]", '[replies]\ndialect = "north"', 1)
    files["conf/feeds/north.toml"] = WRITTEN
    files["conf/feeds/ehr.toml"] += '\n[authorities]\n"2.16.840.1.113883.19.9" = "SPRINGFIELD"\nSPR = "SPRINGFIELD"\n'

    heart = next(one for one in read_book(files).senders if one.name == "cardiology-heart-group")

    assert heart.party == "specialist"
    assert heart.applications == ("CENTRICITY",)
    assert heart.enabled
    assert heart.starts[0] == "AIS-4.1"
    assert heart.closing_documents == ("CN", "11488-4")
    assert heart.patient_authority == ""
    assert heart.referral_when is None
    assert heart.authority_names == {"2.16.840.1.113883.19.9": "SPRINGFIELD"}  # an OID is one everywhere, a name is not
