from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.channels.likely import Sharers, takers_of
from referral_engine.channels.matcher import (
    REFERRED_TO,
    Condition,
    Matcher,
    Matches,
    OneOf,
    Present,
    StartsWith,
)
from referral_engine.channels.overlap import overlap
from tests.channels.shipped import order

VALUES = ("1", "12", "123", "2", "", "1\U0010ffff2")
TEXTS = st.lists(st.sampled_from(VALUES), max_size=3).map(tuple)
WRITTEN = st.lists(st.sampled_from([value for value in VALUES if value]), min_size=1, max_size=3).map(tuple)
PATHS = ("OBR-4.1", "OBR-4.1", "OBR-28.1", REFERRED_TO, "ZRF-1", "PRD-1")  # the first is what most ask for


def matchers(texts: st.SearchStrategy[tuple[str, ...]]) -> st.SearchStrategy[Matcher]:
    tests = st.one_of(
        texts.map(OneOf),
        texts.map(StartsWith),
        st.booleans().map(Present),
        st.sampled_from(("[12]+", "1.*", "3?")).map(Matches),
    )
    return st.dictionaries(st.sampled_from(PATHS), tests, min_size=1, max_size=3).map(
        lambda found: Matcher(conditions=tuple(Condition(path=path, test=test) for path, test in found.items()))
    )


SEGMENTS = st.lists(st.sampled_from(("ZRF|1", "ZRF|2", "PRD|12", "PV1|1|3")), max_size=3).map(tuple)


@given(
    st.lists(matchers(TEXTS), max_size=8),
    st.sampled_from(VALUES),
    st.sampled_from(VALUES),
    st.sampled_from(VALUES),
    SEGMENTS,
)
def test_whoever_takes_a_message_is_among_those_that_are_asked(
    several: list[Matcher], code: str, copied_to: str, referred_to: str, more: tuple[str, ...]
) -> None:
    message = order(code, copied_to, more=more)

    asked = takers_of(several).of(message, referred_to)

    assert asked == sorted(set(asked))
    taking = [number for number, matcher in enumerate(several) if matcher.matches(message, referred_to)]
    assert [number for number in asked if several[number].matches(message, referred_to)] == taking


@given(st.lists(matchers(WRITTEN), max_size=6), matchers(WRITTEN))
def test_whoever_could_share_a_message_is_among_those_that_are_compared(several: list[Matcher], other: Matcher) -> None:
    beside = Sharers(several).beside(other)

    sharing = {number for number, matcher in enumerate(several) if overlap(matcher, other) is not None}
    assert beside == sorted(set(beside))
    assert sharing <= set(beside)


def _npi(number: int) -> Condition:
    return Condition(path=REFERRED_TO, test=OneOf((f"N{number}",)))


def _codes(number: int) -> Condition:
    return Condition(path="OBR-4.1", test=OneOf((f"A{number}", f"B{number}")))


def _begins(number: int) -> Condition:
    return Condition(path="OBR-4.1", test=StartsWith((f"A{number}.",)))


ORM = Condition(path="MSH-9", test=OneOf(("ORM^O01", "OMG^O19")))


@pytest.mark.parametrize(
    ("telling", "code", "provider"),
    [
        (lambda number: (_npi(number),), "X", "N7"),
        (lambda number: (_npi(0), _codes(number)), "B7", "N0"),
        (lambda number: (_codes(number),), "A7", ""),
        (lambda number: (_begins(number),), "A7.5", ""),
        (lambda number: (_npi(number), _begins(number % 2)), "A1.5", "N7"),
    ],
    ids=["each its NPI", "one NPI and codes", "codes", "what codes begin with", "an NPI and one of two codes"],
)
def test_of_a_thousand_channels_one_is_asked(telling, code: str, provider: str) -> None:
    takers = takers_of([Matcher(conditions=(ORM, *telling(number))) for number in range(1000)])

    assert takers.of(order(code, "", more=()), provider) == [7]
    assert takers.of(order("nobody's", "", more=()), "nobody") == []
    assert len(takers.by_path) == 1


def test_what_has_nothing_to_be_looked_up_by_is_asked_about_every_message() -> None:
    absent = Matcher(conditions=(Condition(path="PV1-2", test=Present(wanted=False)),))
    takers = takers_of([Matcher(conditions=(_npi(0),)), absent, Matcher(conditions=(_npi(1),)), Matcher()])

    assert takers.of(order("A", "", more=()), "N1") == [1, 2, 3]


def test_a_test_that_nothing_passes_is_asked_about_no_message() -> None:
    takers = takers_of([Matcher(conditions=(ORM, Condition(path="OBR-4.1", test=OneOf(()))))])

    assert takers.of(order("A", "", more=()), "N1") == []


def test_a_text_and_all_it_may_begin_with_are_asked_together() -> None:
    asked = [OneOf(("12",)), StartsWith(("1",)), StartsWith(("12",)), StartsWith(("123",)), StartsWith(("2", "1"))]
    several = [Matcher(conditions=(Condition(path="OBR-4.1", test=test),)) for test in asked]

    assert takers_of(several).of(order("12", ""), "") == [0, 1, 2, 4]
    assert Sharers(several).beside(several[0]) == [0, 1, 2, 4]
    assert Sharers(several).beside(several[1]) == [0, 1, 2, 3, 4]
    assert Sharers(several).beside(several[3]) == [1, 2, 3, 4]


def test_two_that_begin_alike_are_asked_once_each() -> None:
    both = Matcher(conditions=(Condition(path="OBR-4.1", test=StartsWith(("RE", "REF", "REFORTH"))),))
    takers = takers_of([both, both])

    assert takers.of(order("REFORTHKNEE", ""), "") == [0, 1]
