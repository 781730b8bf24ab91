from __future__ import annotations

import pytest

from referral_engine.channels.book import Book, read_book
from referral_engine.channels.routing import explain, route
from tests.channels.shipped import order, shipped_files

CARDIOLOGY = "1234567893"
ORTHOPAEDICS = "1987654328"
IMAGING = "1666666668"


@pytest.fixture(scope="module")
def book() -> Book:
    return read_book(shipped_files())


@pytest.mark.parametrize(
    ("code", "npi", "name"),
    [
        ("REFCARD", CARDIOLOGY, "cardiology-heart-group"),
        ("REFEP", CARDIOLOGY, "cardiology-heart-group"),
        ("REFORTHKNEE", ORTHOPAEDICS, "orthopaedics-lakeside"),
        ("REFMRIBRAIN", IMAGING, "imaging-northside"),
        ("REFCT", IMAGING, "imaging-northside"),
    ],
)
def test_an_order_goes_to_the_one_channel_that_takes_it(book: Book, code: str, npi: str, name: str) -> None:
    routing = route(book, order(code, npi))

    assert routing.channel is not None
    assert routing.channel.name == name
    assert [answer.name for answer in routing.candidates] == [name]


@pytest.mark.parametrize(("code", "npi"), [("REFCARD", ORTHOPAEDICS), ("REFCARD", ""), ("LAB", CARDIOLOGY), ("", "")])
def test_an_order_nobody_takes_has_no_channel_and_no_candidate(book: Book, code: str, npi: str) -> None:
    routing = route(book, order(code, npi))

    assert routing.channel is None
    assert routing.candidates == ()


def test_every_other_channel_says_why_not(book: Book) -> None:
    answers = {answer.name: answer for answer in explain(book, order("REFORTHKNEE", ORTHOPAEDICS)).candidates}

    assert answers["cardiology-heart-group"].reason == 'OBR-4.1 is "REFORTHKNEE", wanted one of REFCARD, REFEP'
    assert answers["cardiology-heart-group"].lines == "line 17"
    assert answers["imaging-northside"].reason == 'OBR-4.1 is "REFORTHKNEE", wanted text that starts with REFMRI, REFCT'
    assert answers["orthopaedics-lakeside"].yes
    assert answers["orthopaedics-lakeside"].reason == "MSH-9, OBR-4.1, OBR-28.1 match"
    assert answers["orthopaedics-lakeside"].lines == "lines 14-16"


def test_an_empty_field_is_called_empty(book: Book) -> None:
    answers = {answer.name: answer for answer in explain(book, order("REFORTH", "")).candidates}

    assert answers["orthopaedics-lakeside"].reason == f'OBR-28.1 is empty, wanted "{ORTHOPAEDICS}"'


def test_two_channels_that_want_one_order_are_both_candidates_and_neither_gets_it(book: Book) -> None:
    twin = book.channels["cardiology-heart-group"]
    both = Book(channels={"a": twin, "b": twin})

    routing = route(both, order("REFCARD", CARDIOLOGY))

    assert routing.channel is None
    assert len(routing.candidates) == 2


def test_a_channel_that_is_switched_off_takes_nothing_and_says_so() -> None:
    files = shipped_files()
    name = "channels/cardiology-heart-group.toml"
    files[name] = files[name].replace("[match] ", 'mode = "off"\n\n[match] ', 1)

    book = read_book(files)

    assert route(book, order("REFCARD", CARDIOLOGY)).channel is None
    answer = next(one for one in explain(book, order("REFCARD", CARDIOLOGY)).candidates if one.name.startswith("card"))
    assert answer.reason.startswith("switched off")


def test_a_value_written_twice_does_not_make_a_channel_a_candidate_twice() -> None:
    files = shipped_files()
    name = "channels/cardiology-heart-group.toml"
    files[name] = files[name].replace('referred_to = "1234567893"', 'referred_to = ["1234567893", "1234567893"]')

    routing = route(read_book(files), order("REFCARD", CARDIOLOGY))

    assert routing.channel is not None
    assert len(routing.candidates) == 1


def test_the_index_and_a_full_scan_agree(book: Book) -> None:
    for code in ("REFCARD", "REFORTH", "REFMRI", "LAB", ""):
        for npi in (CARDIOLOGY, ORTHOPAEDICS, IMAGING, "9"):
            message = order(code, npi)
            scanned = [name for name, channel in sorted(book.channels.items()) if channel.match.matches(message, npi)]
            assert [answer.name for answer in route(book, message).candidates] == scanned
