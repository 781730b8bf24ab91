from __future__ import annotations

import pytest

from referral_engine.channels.book import Book, read_book
from referral_engine.channels.parties import Caller, party_for
from tests.channels.shipped import order, shipped_files


@pytest.fixture(scope="module")
def book() -> Book:
    return read_book(shipped_files())


@pytest.mark.parametrize(
    ("sender", "kind", "name"),
    [
        ("EHR|SPRINGFIELD", "ehr", "ehr"),
        ("SCANNER|", "scanner", "scanner"),
        ("SCANNER|ANYWHERE", "scanner", "scanner"),
        ("CENTRICITY|HEARTGRP", "specialist", "cardiology-heart-group"),
        ("RIS|NORTHSIDE", "specialist", "imaging-northside"),
    ],
)
def test_a_sender_is_known_by_msh_3_and_msh_4(book: Book, sender: str, kind: str, name: str) -> None:
    party = party_for(book, order("REFCARD", "1", sender=sender).header, Caller(peer="127.0.0.1"))

    assert party is not None
    assert (party.kind, party.name) == (kind, name)
    assert (party.channel is not None) == (kind == "specialist")


@pytest.mark.parametrize("sender", ["STRANGER|SPRINGFIELD", "EHR|ELSEWHERE", "CENTRICITY|NORTHSIDE", "|"])
def test_a_sender_nobody_named_is_no_party(book: Book, sender: str) -> None:
    assert party_for(book, order("REFCARD", "1", sender=sender).header, Caller(peer="127.0.0.1")) is None


def test_an_address_can_be_asked_for() -> None:
    files = shipped_files()
    files["conf/feeds/ehr.toml"] = files["conf/feeds/ehr.toml"].replace("party ", 'addresses = ["10.0.0.5"]\nparty ', 1)
    book = read_book(files)
    header = order("REFCARD", "1").header

    assert party_for(book, header, Caller(peer="10.0.0.5")) is not None
    assert party_for(book, header, Caller(peer="10.0.0.6")) is None


def test_a_sender_that_is_anyone_is_asked_last() -> None:
    files = {**shipped_files(), "conf/feeds/any.toml": '[feed]\nname = "any"\n'}
    book = read_book(files)

    known = party_for(book, order("REFCARD", "1").header, Caller(peer="127.0.0.1"))
    stranger = party_for(book, order("REFCARD", "1", sender="NEW|NEW").header, Caller(peer="127.0.0.1"))

    assert known is not None
    assert stranger is not None
    assert (known.name, stranger.name) == ("ehr", "any")


def test_a_feed_knows_its_dialect(book: Book) -> None:
    feed = book.feeds["ehr"]
    message = order("REFORTHKNEE", "1987654328")

    assert feed.is_referral(message)
    assert not feed.is_referral(order("LAB", "1987654328"))
    assert feed.specialty_of("REFORTHKNEE") == "orthopaedics"
    assert feed.specialty_of("LAB") == ""
    assert feed.referred_npi(message) == "1987654328"
    assert [feed.action_of(code) for code in ("NW", "oc", "CA", "XX", "??")] == [
        "new",
        "cancel",
        "cancel",
        "change",
        "ignore",
    ]
    assert feed.slot_meaning("NoShow") == "no-show"
    assert feed.slot_meaning("unheard of") is None


def test_a_feed_lays_its_own_words_over_the_usual_ones() -> None:
    files = shipped_files()
    files["conf/feeds/ehr.toml"] += '\n[controls]\nZZ = "cancel"\n\n[appointment_words]\n"Dna" = "no-show"\n'

    feed = read_book(files).feeds["ehr"]

    assert feed.action_of("ZZ") == "cancel"
    assert feed.action_of("NW") == "new"
    assert feed.slot_meaning("DNA") == "no-show"
