"""Who may say what here: every restriction holds in both directions, alone and together."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import msgspec
import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.channels.admission import Admission, admit, partner_of_connection
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.engine import Listener, default_engine
from referral_engine.channels.feed import Feed
from referral_engine.channels.partner import ANYONE, Framing, Partner
from referral_engine.hl7.message import Header
from tests.channels.shipped import order, shipped_files

HERE = "10.20.30.40"
CERTIFICATE = ("DNS:gw.heart.example", "CN:Heart Group Gateway")
HEART = Partner(
    name="heart",
    certificates=("DNS:gw.heart.example",),
    addresses=("10.20.0.0/16",),
    applications=("CENTRICITY",),
    facilities=("HEARTGRP",),
    receiving_applications=("REFERRAL_ENGINE",),
    receiving_facilities=("SPRINGFIELD",),
    message_types=("ORM^O01", "SIU^*"),
)


def book_of(*partners: Partner, feeds: tuple[Feed, ...] = (), listeners: tuple[Listener, ...] = ()) -> Book:
    """A book of one feed for every partner, which only bears the partner's name."""
    named = feeds or tuple(Feed(name=partner.name) for partner in partners)
    engine = replace(default_engine(), listeners=listeners or default_engine().listeners)
    return Book(
        engine=engine,
        partners={partner.name: partner for partner in partners},
        feeds={feed.name: feed for feed in named},
    )


def header(**fields: str) -> Header:
    """The header of an order from the Heart Group's gateway, with some fields changed."""
    usual = order("REFCARD", "1234567893", sender="CENTRICITY|HEARTGRP").header
    return msgspec.structs.replace(usual, **fields)


def admitted(book: Book, *, listener: str = "default", **fields: Any) -> Admission:
    """The verdict on a message that comes as it should, but for what is given."""
    peer, certificates = fields.pop("peer", HERE), fields.pop("certificates", CERTIFICATE)
    return admit(book, header(**fields), peer=peer, listener=listener, certificates=certificates)


def fault_of(admission: Admission) -> MessageFault:
    assert admission.fault is not None
    assert admission.code == "AR"
    assert admission.fault.reject
    return admission.fault


def test_a_message_that_keeps_every_restriction_is_admitted() -> None:
    admission = admitted(book_of(HEART))

    assert admission.fault is None
    assert admission.code == ""
    assert not admission.security
    assert admission.party is not None
    assert (admission.party.name, admission.partner) == ("heart", HEART)


# F-E13
@pytest.mark.parametrize(
    "fields",
    [
        {"peer": "10.21.30.40"},
        {"peer": "?"},
        {"certificates": ()},
        {"certificates": ("DNS:gw.heart.example.evil.example",)},
        {"certificates": ("CN:gw.heart.example",)},
        {"certificates": ("DNS:gw.northside.example",)},  # the right authority, the wrong partner
        {"sending_application": "RIS"},
        {"sending_facility": "NORTHSIDE"},
        {"sending_application": "centricity"},
        {"sending_application": ""},
    ],
    ids=str,
)
def test_one_part_of_an_identity_that_is_missing_makes_a_stranger(fields: dict[str, Any]) -> None:
    admission = admitted(book_of(HEART), **fields)

    assert fault_of(admission).code == "207"
    assert admission.security
    assert admission.party is None
    assert admission.partner == ANYONE


def test_each_part_of_an_identity_is_asked_for_alone() -> None:
    parts: dict[str, tuple[str, ...]] = {
        "certificates": HEART.certificates,
        "addresses": HEART.addresses,
        "applications": HEART.applications,
        "facilities": HEART.facilities,
    }
    wrong: dict[str, Any] = {
        "certificates": {"certificates": ("DNS:other.example",)},
        "addresses": {"peer": "192.0.2.1"},
        "applications": {"sending_application": "OTHER"},
        "facilities": {"sending_facility": "OTHER"},
    }

    for asked, broken in product(parts, wrong):
        book = book_of(Partner(name="heart", **{asked: parts[asked]}))  # type: ignore[arg-type]  # lists of texts only
        admission = admitted(book, **wrong[broken])
        assert (admission.party is None) == (asked == broken), (asked, broken)


# F-E13: a message's own words never grant anything to a partner that has to show a certificate.
def test_no_header_whatever_stands_in_for_a_certificate() -> None:
    book = book_of(HEART)
    values = ("", "CENTRICITY", "HEARTGRP", "REFERRAL_ENGINE", "DNS:gw.heart.example")

    for application, facility, certificates in product(values, values, [(), ("DNS:other.example",)]):
        fields = {"sending_application": application, "sending_facility": facility}
        assert admitted(book, certificates=certificates, **fields).party is None


def test_the_refusal_says_what_is_missing_and_never_a_value() -> None:
    book = book_of(HEART)

    assert fault_of(admitted(book, peer="192.0.2.1")).sentence == "this sender does not call from its own address"
    assert fault_of(admitted(book, certificates=())).sentence == "this sender did not show its own certificate"
    assert fault_of(admitted(book, sending_facility="SECRET")).sentence == "this sender is not allowed here"


def test_an_ipv4_peer_on_an_ipv6_socket_is_the_same_peer() -> None:  # F-D16
    book = book_of(HEART)

    assert admitted(book, peer="::ffff:10.20.30.40").party is not None
    assert admitted(book, peer="::ffff:10.21.30.40").party is None


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"receiving_application": "LAB"}, "207", "MSH-5"),
        ({"receiving_facility": "ELSEWHERE"}, "207", "MSH-6"),
        ({"receiving_facility": ""}, "207", "MSH-6"),
        ({"message_code": "ADT", "trigger": "A08"}, "200", "MSH-9.1"),
        ({"message_code": "ORM", "trigger": "O02"}, "201", "MSH-9.2"),
        ({"message_code": "ORM", "trigger": ""}, "201", "MSH-9.2"),
        ({"message_code": "orm", "trigger": "O01"}, "200", "MSH-9.1"),
        ({"message_code": "SI", "trigger": "S12"}, "200", "MSH-9.1"),
        ({"processing_id": "T"}, "202", "MSH-11"),  # F-E12
        ({"processing_id": ""}, "202", "MSH-11"),
        ({"version": "3.0"}, "203", "MSH-12"),
    ],
)
def test_what_a_known_sender_may_not_say_is_refused_with_its_place(
    fields: dict[str, str], code: str, path: str
) -> None:
    admission = admitted(book_of(HEART), **fields)

    fault = fault_of(admission)
    assert (fault.code, fault.path) == (code, path)
    assert not admission.security
    assert admission.party is not None


@pytest.mark.parametrize("trigger", ["S12", "S26", "", "ZZZ"])
def test_a_star_is_every_trigger_of_its_type_and_of_no_other(trigger: str) -> None:
    book = book_of(HEART)

    assert admitted(book, message_code="SIU", trigger=trigger).fault is None
    assert admitted(book, message_code="SRM", trigger=trigger).fault is not None


def test_a_test_message_is_refused_until_the_site_accepts_it() -> None:  # F-E12
    book = book_of(HEART)
    pilot = replace(book, engine=replace(book.engine, processing_ids=("P", "T")))

    assert fault_of(admitted(book, processing_id="T")).code == "202"
    assert admitted(pilot, processing_id="T").fault is None


def test_a_partner_that_names_nothing_restricts_nothing() -> None:
    book = book_of(feeds=(Feed(name="north", applications=("NORTH",)),))

    admission = admitted(book, sending_application="NORTH", receiving_application="X", message_code="ZZZ", peer="?")

    assert admission.fault is None
    assert admission.partner == ANYONE


# F-E13, rule 5 of the edge: two engines that answer each other would never stop.
@pytest.mark.parametrize(
    ("application", "facility"),
    [
        ("REFERRAL_ENGINE", "REFERRALS"),
        ("referral_engine", "Referrals"),  # a relay that changes the case
        (" REFERRAL_ENGINE ", "REFERRALS"),
    ],
)
def test_our_own_message_is_a_loop_whoever_brings_it(application: str, facility: str) -> None:
    anyone = Feed(name="anyone")
    fields = {"sending_application": application, "sending_facility": facility}

    admission = admitted(book_of(HEART, feeds=(Feed(name="heart"), anyone)), **fields)

    assert fault_of(admission).sentence == "our own message came back: a loop"
    assert admission.security
    assert admission.party is None


def test_a_sender_that_shares_only_half_of_our_name_is_no_loop() -> None:
    book = book_of(feeds=(Feed(name="anyone"),))

    assert admitted(book, sending_application="REFERRAL_ENGINE", sending_facility="ELSEWHERE").fault is None
    assert admitted(book, sending_application="ELSE", sending_facility="REFERRALS").fault is None


def test_a_false_ehr_gets_not_even_the_rights_of_anyone() -> None:
    feeds = (Feed(name="ehr", applications=("EHR",), addresses=("10.0.0.5",)), Feed(name="anyone"))
    book = book_of(feeds=feeds)

    true = admitted(book, sending_application="EHR", peer="10.0.0.5")
    false = admitted(book, sending_application="EHR", peer="10.0.0.6")
    stranger = admitted(book, sending_application="NEW", peer="10.0.0.6")

    assert [one.party and one.party.name for one in (true, false, stranger)] == ["ehr", None, "anyone"]


def test_a_partners_certificate_tells_its_feed_from_anyone() -> None:
    partner = Partner(name="beta", certificates=("DNS:beta.example",))
    book = book_of(partner, feeds=(Feed(name="alpha"), Feed(name="beta")))

    with_it = admitted(book, certificates=("DNS:beta.example",))
    without = admitted(book, certificates=())

    assert [one.party and one.party.name for one in (with_it, without)] == ["beta", "alpha"]


def test_a_message_never_counts_for_a_sender_of_another_port() -> None:  # H132
    listeners = (
        Listener(name="orders", port=2575, partners=("ehr",)),
        Listener(name="answers", port=2576, partners=("heart",)),
        Listener(name="open", port=2577),
    )
    ehr = Partner(name="ehr", applications=("CENTRICITY",))  # a filter that fits its neighbour's messages as well
    heart = Partner(name="heart", applications=("CENTRICITY",), facilities=("HEARTGRP",))
    book = book_of(ehr, heart, listeners=listeners)
    only_ehr = book_of(ehr, listeners=listeners)

    takers = {port: admitted(book, listener=port).party for port in ("orders", "answers", "open")}
    stray = admitted(only_ehr, listener="answers")

    assert {port: party and party.name for port, party in takers.items()} == {
        "orders": "ehr",
        "answers": "heart",
        "open": "ehr",
    }
    assert stray.security
    assert stray.party is None
    assert fault_of(stray).sentence == "this sender does not belong to this port"


def test_the_verdict_depends_on_nothing_else_than_the_header_fields_it_names() -> None:
    book = book_of(HEART)
    others = {
        "timestamp": "20260101000000",
        "control_id": "OTHER",
        "control_id_bytes": b"OTHER",
        "accept_ack": "NE",
        "application_ack": "NE",
        "declared_charset": "8859/1",
        "raw_fields": (),
    }

    assert admitted(book, **others) == admitted(book)


# partner_of_connection


def partner(name: str, **fields: Any) -> Partner:
    return Partner(name=name, **fields)


def test_a_connection_is_its_partners_before_it_has_said_anything() -> None:
    old = partner("old", addresses=("10.20.0.7",), framing=Framing(trailer=b"\x1c\x00"))
    book = book_of(old, HEART)

    assert partner_of_connection(book, listener="default", peer="::ffff:10.20.0.7") == old
    assert partner_of_connection(book, listener="default", peer="10.20.0.8", certificates=CERTIFICATE) == HEART
    assert partner_of_connection(book, listener="default", peer="10.20.0.8") == ANYONE
    assert partner_of_connection(book, listener="default", peer="192.0.2.1", certificates=CERTIFICATE) == ANYONE


def test_a_certificate_says_more_than_an_address_and_a_host_more_than_a_network() -> None:
    wide, narrow = partner("wide", addresses=("10.0.0.0/8",)), partner("narrow", addresses=("10.20.0.0/16",))
    shown = partner("shown", certificates=("DNS:gw.heart.example",))
    book = book_of(wide, narrow, shown)

    assert partner_of_connection(book, listener="", peer=HERE) == narrow
    assert partner_of_connection(book, listener="", peer="10.99.0.1") == wide
    assert partner_of_connection(book, listener="", peer=HERE, certificates=CERTIFICATE) == shown


def test_a_peer_that_two_partners_describe_equally_well_is_nobodys() -> None:
    book = book_of(partner("one", addresses=("10.20.30.40",)), partner("two", addresses=("10.20.30.40",)))

    assert partner_of_connection(book, listener="", peer=HERE) == ANYONE


def test_a_partner_that_says_nothing_of_its_peer_is_nobodys_connection_but_on_its_own_port() -> None:
    listeners = (Listener(name="open"), Listener(name="own", partners=("old",)))
    old = partner("old", framing=Framing(trailer=b"\x1c\x00"))
    book = book_of(old, partner("else", addresses=("10.20.0.0/16",)), listeners=listeners)

    assert partner_of_connection(book, listener="own", peer="192.0.2.1") == old
    assert partner_of_connection(book, listener="open", peer="192.0.2.1") == ANYONE
    assert partner_of_connection(book, listener="own", peer=HERE) == old


def test_the_shipped_partners_admit_the_shipped_senders() -> None:
    book = read_book(shipped_files())

    for sender in ("EHR|SPRINGFIELD", "CENTRICITY|HEARTGRP", "RIS|NORTHSIDE"):
        for peer in ("127.0.0.1", "::1", "10.0.0.7"):
            assert admit(book, order("REFCARD", "1", sender=sender).header, peer=peer).fault is None
        assert admit(book, order("REFCARD", "1", sender=sender).header, peer="192.0.2.1").security
    scanner = admit(book, order("REFCARD", "1", sender="SCANNER|").header, peer="127.0.0.1")
    assert fault_of(scanner).code == "200"
