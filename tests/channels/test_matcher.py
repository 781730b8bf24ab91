from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.channels.book import read_book
from referral_engine.channels.matcher import Condition, Matcher, OneOf, Present, StartsWith, Test, holds, wanted
from referral_engine.channels.overlap import overlap, overlapping, witness
from tests.channels.shipped import order, shipped_files


def one(path: str, test: Test) -> Matcher:
    return Matcher(conditions=(Condition(path=path, test=test, line=1),))


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        (OneOf(("A", "B")), "B", True),
        (OneOf(("A", "B")), "AB", False),
        (OneOf(("A",)), "", False),
        (StartsWith(("REF", "X")), "XYZ", True),
        (StartsWith(("REF",)), "RE", False),
        (Present(True), "x", True),
        (Present(True), "", False),
        (Present(False), "", True),
        (Present(False), "x", False),
    ],
)
def test_a_test_holds_for_these_values_only(test: Test, value: str, expected: bool) -> None:
    assert holds(test, value) is expected


def test_the_message_type_is_compared_as_people_write_it() -> None:
    assert one("MSH-9", OneOf(("ORM^O01",))).matches(order("REFCARD", "1"))
    assert one("MSH-9.1", OneOf(("ORM",))).matches(order("REFCARD", "1"))


def test_a_long_list_is_cut_in_the_sentence() -> None:
    assert wanted(OneOf(tuple("ABCDEFGHI"))) == "one of A, B, C, D, E, F and 3 more"


def test_consent_is_found_in_any_one_segment_but_never_put_together_from_two() -> None:
    feed = read_book(shipped_files()).feeds["ehr"]
    assert feed.sms_consent is not None
    assert feed.portal is not None
    portal_only = order("REFCARD", "1", more=("CON|1|PORTAL|||||||||A", "CON|2|SMS|||||||||R"))
    second = order("REFCARD", "1", more=("CON|1|OTHER|||||||||A", "CON|2|SMS|||||||||A"))

    assert not feed.sms_consent.matches(portal_only)
    assert feed.portal.matches(portal_only)
    assert feed.sms_consent.matches(second)
    assert not feed.sms_consent.matches(order("REFCARD", "1"))


TESTS = st.one_of(
    st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3).map(lambda values: OneOf(tuple(values))),
    st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3).map(
        lambda values: StartsWith(tuple(values))
    ),
    st.booleans().map(Present),
)
VALUES = ["", *(a + b + c + d for a in "ab" for b in ["", "a", "b"] for c in ["", "a", "b"] for d in ["", "a", "b"])]


@given(TESTS, TESTS)
def test_two_tests_overlap_exactly_when_some_value_passes_both(first: Test, second: Test) -> None:
    shared = [value for value in VALUES if holds(first, value) and holds(second, value)]

    found = witness(first, second)

    assert (found is not None) == bool(shared)
    if found is not None:
        assert holds(first, found)
        assert holds(second, found)


def test_matchers_that_differ_in_one_path_do_not_overlap() -> None:
    first = Matcher(
        conditions=(Condition(path="OBR-4.1", test=OneOf(("A",))), Condition(path="OBR-28.1", test=OneOf(("1",))))
    )
    second = Matcher(
        conditions=(Condition(path="OBR-4.1", test=StartsWith(("A",))), Condition(path="OBR-28.1", test=OneOf(("2",))))
    )

    assert overlap(first, second) is None
    assert overlap(first, one("OBR-4.1", StartsWith(("A", "B")))) == {"OBR-4.1": "A", "OBR-28.1": "1"}


@given(st.lists(st.tuples(TESTS, TESTS), max_size=6))
def test_buckets_find_the_same_pairs_as_comparing_all(tests: list[tuple[Test, Test]]) -> None:
    matchers = [
        Matcher(conditions=(Condition(path="OBR-4.1", test=first), Condition(path="OBR-28.1", test=second)))
        for first, second in tests
    ]

    found = [(first, second) for first, second, _ in overlapping(matchers)]

    pairs = [(a, b) for a in range(len(matchers)) for b in range(a + 1, len(matchers))]
    assert found == [(a, b) for a, b in pairs if overlap(matchers[a], matchers[b]) is not None]
