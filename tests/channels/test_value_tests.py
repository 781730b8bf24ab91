"""Ranges, patterns and names of codes: what each takes, that no pattern takes long, and what two of them share."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.errors import ConfigError
from referral_engine.channels import patterns
from referral_engine.channels.book import check_files, read_book
from referral_engine.channels.code_names import TABLES
from referral_engine.channels.matcher import Condition, Matcher, Matches, OneOf, StartsWith, Test, holds, wanted
from referral_engine.channels.overlap import UNSURE, overlap, witness
from referral_engine.channels.ranges import Range, RangeKind
from referral_engine.channels.routing import explain, route
from referral_engine.channels.value_tests import named_at, read_test
from tests.channels.shipped import SAMPLES, order, shipped_files


def numbers(low: str = "", high: str = "") -> Range:
    return Range("number", low, high)


def dates(low: str = "", high: str = "") -> Range:
    return Range("date", low, high)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, True) for value in ("20", "40", "33.5", "020", "+20", "20.")),
        *(
            (value, False)
            for value in ("9", "100", "40.1", "-30", "", "thirty", "3e1", "\uff12\uff15", "30 ", "3" * 40, ".")
        ),
    ],
)
def test_numbers_are_compared_as_numbers_and_never_as_text(value: str, expected: bool) -> None:
    assert holds(numbers("20", "40"), value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, True) for value in ("20250301", "20250331", "20250331235959.9999-0600", "202503")),
        *((value, False) for value in ("20250401", "20250228235959", "2025", "20250332", "2025033", "20250331240000")),
        *((value, False) for value in ("March", "", "20250331120")),
    ],
)
def test_a_day_at_the_end_of_a_range_is_in_it_to_its_last_second(value: str, expected: bool) -> None:
    assert holds(dates("20250301", "20250331"), value) is expected


def test_an_end_that_is_left_out_is_open() -> None:
    assert holds(numbers(low="65"), "1000000")
    assert not holds(numbers(low="65"), "64.999")
    assert holds(dates(high="20251231"), "19000101")
    assert (wanted(numbers(low="65")), wanted(dates(high="20251231"))) == (
        "a number not under 65",
        "a date not after 20251231",
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"range": ["20", "40"]}, numbers("20", "40")),
        ({"range": [20, 40.5]}, numbers("20", "40.5")),
        ({"range": {"from": 65}}, numbers(low="65")),
        ({"range": ["20250101", "202512312359"]}, dates("20250101", "202512312359")),
        ({"range": ["20000000", "20000001"]}, numbers("20000000", "20000001")),  # no such months: numbers
        ({"matches": "REF(CARD|EP)[0-9]*"}, Matches("REF(CARD|EP)[0-9]*")),
        ({"starts_with": "REF"}, StartsWith(("REF",))),
    ],
)
def test_a_test_is_read_as_it_is_written(value: object, expected: Test) -> None:
    assert read_test(value) == expected


def test_a_code_may_be_written_by_the_name_that_the_standard_gives_it() -> None:
    test = named_at("ORC-1")({"named": ["new", "Cancel"]})

    assert test == OneOf(("NW", "CA"))
    assert wanted(test) == "one of NW (new), CA (cancel)"
    assert named_at("OBX[3.1=NOTE]-11")({"named": "final"}) == OneOf(("F",))


def test_no_name_of_a_code_is_a_code_of_its_own_table() -> None:
    for table in TABLES.values():
        assert len(set(table.codes.values())) == len(table.codes)
        assert not {name.upper() for name in table.codes} & set(table.codes.values()), table.number
        assert all(name == name.lower() for name in table.codes)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "(a|b)*a(a|b){12}", "(.*)(.*)(.*)(.*)x"])
def test_a_pattern_that_explodes_elsewhere_is_answered_for_a_long_value(pattern: str) -> None:
    # Backtracking doubles its steps with every letter: such a test would not come back within the age of the universe.
    long_value = "a" * 100_000 + "!"

    assert not patterns.fits(pattern, long_value)


def test_a_pattern_means_the_whole_value_and_never_an_absent_one() -> None:
    assert patterns.fits("REF(CARD|EP)[0-9]*", "REFCARD12")
    assert not patterns.fits("REF(CARD|EP)[0-9]*", "REFCARD12X")
    assert not patterns.fits("[0-9]*", "")
    assert not patterns.fits(".*", "\udcff")  # a letter that no character set has
    assert patterns.fits("(?i)ref", "REF")


def test_what_a_pattern_compiles_to_is_no_part_of_what_is_in_force() -> None:
    files = shipped_files()
    name = "channels/cardiology-heart-group.toml"
    files[name] = files[name].replace('= ["REFCARD", "REFEP"]', '= { matches = "REF(CARD|EP)[0-9]*" }')
    book = read_book(files, SAMPLES)
    asked = order("REFEP7", "1234567893")
    taken = route(book, asked).channel
    assert taken is not None

    again = pickle.loads(pickle.dumps(taken.match))

    assert again == taken.match
    assert again.matches(asked, "1234567893")
    assert not again.matches(order("REFEPX", "1234567893"), "1234567893")
    reasons = {one.name: one.reason for one in explain(book, order("REFEPX", "1234567893")).candidates}
    assert reasons["cardiology-heart-group"] == 'OBR-4.1 is "REFEPX", wanted all of it to match REF(CARD|EP)[0-9]*'


def test_every_test_may_stand_wherever_conditions_are_asked() -> None:
    files = shipped_files()
    name = "channels/imaging-northside.toml"
    files[name] = files[name].replace(
        'final_when   = { "OBR-25" = ["F", "C"] }', 'final_when   = { "OBR-25" = { named = ["final", "corrected"] } }'
    )
    feed = "conf/feeds/ehr.toml"
    files[feed] = files[feed].replace(
        '"OBR-4.1" = { starts_with = "REF" }',
        '"OBR-4.1" = { matches = "REF.*" }\n"OBR-7" = { range = { from = 2025-01-01 } }',
    )

    book = read_book(files, SAMPLES)

    final, referral = book.channels["imaging-northside"].replies.final_when, book.feeds["ehr"].referral_when
    assert final is not None
    assert final.test_of("OBR-25") == OneOf(("F", "C"))
    assert referral is not None
    assert referral.test_of("OBR-7") == dates(low="20250101")


PIECES = st.sampled_from(["a", "b", "[ab]", "(a|bb)", "a?", "b*", "a+", "[ab]{2}", ".", "(?i)A"])
PATTERNS = st.lists(PIECES, min_size=1, max_size=3).map(lambda parts: Matches("".join(parts)))
LETTERS = st.text("ab", min_size=1, max_size=3)
ENDS = st.integers(0, 120).map(str)
DAYS = st.sampled_from(["20250101", "20250131", "20250201", "202502011200", "20251231"])


def _ordered(kind: RangeKind, low: str, high: str) -> Range:
    made = Range(kind, low, high)
    is_wrong = made.least is not None and made.most is not None and made.least > made.most
    return Range(kind, high, low) if is_wrong else made


TESTS = st.one_of(
    PATTERNS,
    st.lists(LETTERS | ENDS | DAYS, min_size=1, max_size=3).map(lambda values: OneOf(tuple(values))),
    st.lists(LETTERS | ENDS, min_size=1, max_size=2).map(lambda values: StartsWith(tuple(values))),
    st.builds(_ordered, st.just("number"), ENDS, ENDS),
    st.builds(_ordered, st.just("date"), DAYS, DAYS),
    ENDS.map(lambda low: Range("number", low, "")),
    DAYS.map(lambda high: Range("date", "", high)),
)
VALUES = [
    *(a + b + c + d for a in "ab" for b in ["", "a", "b"] for c in ["", "a", "b"] for d in ["", "a", "b"]),
    *map(str, range(130)),
    *("20250101", "20250115", "20250131", "20250201", "202502011200", "20250615120000", "20251231", "2025", "202501"),
]


@given(TESTS, TESTS)
def test_two_tests_are_said_to_be_apart_only_when_no_value_passes_both(first: Test, second: Test) -> None:
    shared = [value for value in VALUES if holds(first, value) and holds(second, value)]

    found = witness(first, second)

    assert (found is not None) or not shared
    if found not in (None, UNSURE) and first != second:
        assert holds(first, found)
        assert holds(second, found)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (numbers("20", "40"), numbers("41", "50"), None),
        (numbers("20", "40"), numbers(low="40"), "40"),
        (numbers("20", "40"), OneOf(("7", "33")), "33"),
        (numbers("20", "40"), OneOf(("7", "A33")), None),
        (numbers("20", "40"), StartsWith(("5",)), None),
        (numbers("20", "40"), StartsWith(("REF",)), None),
        (numbers("20", "40"), StartsWith(("2",)), "20"),
        (dates("20250101", "20250131"), dates("202501311200", "20250301"), "202501311200"),
        (dates("20250101", "20250131"), StartsWith(("202502",)), None),
        (numbers("20", "40"), dates("20250101", "20250131"), None),
        (Matches("REF(CARD|EP)"), OneOf(("REFORTH",)), None),
        (Matches("REF(CARD|EP)"), StartsWith(("REFORTH", "REFE")), "REFEP"),
        (Matches("REF(CARD|EP)[0-9]*"), StartsWith(("REFORTH",)), None),
        (Matches("REF(CARD|EP)[0-9]*"), Matches("REFMRI.*"), None),
        (Matches("REF(CARD|EP)[0-9]*"), Matches("REFEP.*"), "REFEP"),
        (Matches("REF[^A]+"), Matches("REF[^B]+"), UNSURE),
        (Matches("REF[0-9]+"), numbers("1", "9"), None),
    ],
)
def test_what_two_tests_share_is_shown_or_known_not_to_be(first: Test, second: Test, expected: str | None) -> None:
    assert witness(first, second) == witness(second, first) == expected


def test_two_channels_whose_patterns_share_a_code_are_an_error_that_shows_it() -> None:
    one = Matcher(conditions=(Condition(path="OBR-4.1", test=Matches("REF(CARD|EP)[0-9]{0,2}")),))
    other = Matcher(conditions=(Condition(path="OBR-4.1", test=StartsWith(("REFEP1",))),))

    assert overlap(one, other) == {"OBR-4.1": "REFEP1"}


def test_one_place_written_in_two_ways_is_one_place() -> None:
    def asking(path: str, value: str) -> Matcher:
        return Matcher(conditions=(Condition(path=path, test=OneOf((value,))),))

    assert overlap(asking("OBR-4", "A"), asking("OBR-4.1", "B")) is None
    assert overlap(asking("OBR-4", "A"), asking("OBR-4.1", "A")) == {"OBR-4": "A"}
    assert overlap(asking("OBR-4", "A"), asking("OBR-4.2", "B")) == {"OBR-4": "A", "OBR-4.2": "B"}
    assert overlap(asking("referred_to", "1"), asking("OBR-28", "2")) is None


@pytest.mark.parametrize("letters", ["(", "[", "(?<=a)b", "a{1001}", "\\1", "*", "[[:x:]]"])
def test_whatever_is_wrong_with_a_pattern_is_a_problem_at_its_line_and_never_an_exception(letters: str) -> None:
    files = shipped_files()
    name = "channels/imaging-northside.toml"
    files[name] = files[name].replace('{ starts_with = ["REFMRI", "REFCT"] }', f"{{ matches = '{letters}' }}")

    told = [(one.file, one.line, one.code) for one in check_files(files, SAMPLES) if one.code != "CH315"]

    assert told == [(name, 15, "CH224")]
    with pytest.raises(ConfigError):
        read_book(files)
