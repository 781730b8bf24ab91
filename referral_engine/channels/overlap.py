"""Two matchers in, a message both would take out (as values by path), or None when no message can satisfy both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, assert_never

from referral_engine.channels import patterns
from referral_engine.channels.likely import Sharers, place_of
from referral_engine.channels.matcher import (
    MESSAGE_TYPE,
    REFERRED_TO,
    Condition,
    Matcher,
    Matches,
    OneOf,
    Present,
    StartsWith,
    Test,
    holds,
    wanted,
)
from referral_engine.channels.ranges import NUMERIC_STARTS, Range

ABSENT: Final = ""
_TYPE_PARTS: Final = ("MSH-9.1", "MSH-9.2")
ANYTHING: Final = "any value"
_REFERRED_TO: Final = ("OBR", 28, 1)  # where `referred_to` is unless a feed says otherwise
UNSURE: Final = "a value that may exist"  # neither an example nor a proof that there is none was found


def overlap(one: Matcher, other: Matcher) -> Mapping[str, str] | None:
    """Values by path that satisfy both; None when some path makes that impossible.

    Two ways to write one place (OBR-4 and OBR-4.1) are one place, told as it was written first. Of a segment that
    repeats (PRD) one repetition is looked at: an order for two specialists is a person's whatever the files say.
    """
    mine = {_spot(condition): condition for condition in one.conditions}
    both: dict[str, str] = {}
    for condition in mine.values():
        both[place_of(condition.path)] = witness(condition.test, condition.test) or ABSENT
    for condition in other.conditions:
        first = mine.get(_spot(condition), condition)
        value = witness(first.test, condition.test)
        if value is None:
            return None
        both[place_of(first.path)] = value
    return None if _types_apart(one, other) else both


def _types_apart(one: Matcher, other: Matcher) -> bool:
    """Whether one names whole message types (ORM^O01), and the other wants a part (MSH-9.1) that none of them has."""
    for whole, parts in ((one, other), (other, one)):
        types = whole.test_of(MESSAGE_TYPE)
        asked = [condition for condition in parts.conditions if condition.path in _TYPE_PARTS]
        if isinstance(types, OneOf) and not any(
            all(condition.passes(_part(value, condition)) for condition in asked) for value in types.values
        ):
            return True
    return False


def _part(value: str, condition: Condition) -> str:
    """ORM or O01 of ORM^O01."""
    return value.split("^")[_TYPE_PARTS.index(condition.path)]


def _spot(condition: Condition) -> tuple[str, int, int] | str:
    """What a condition looks at; a component that a path leaves out is the first."""
    return _REFERRED_TO if condition.path == REFERRED_TO else condition.spot or condition.path


def witness(one: Test, other: Test) -> str | None:
    """A value that passes both tests, "" for an absent one, UNSURE when there may be one, None when there is none."""
    match one, other:
        case OneOf(), OneOf():
            return next((value for value in one.values if value in other.accepted), None)
        case Present(first), Present(second):
            return (ANYTHING if first else ABSENT) if first == second else None
        case Present(wanted), _:
            return witness(other, other) if wanted else None
        case _, Present():
            return witness(other, one)
        case _:
            return _shared(one, other)


def _shared(one: Test, other: Test) -> str | None:
    """As `witness`, of two tests that ask for a value: the values one names are put to the other."""
    (mine, all_mine), (theirs, all_theirs) = _named(one), _named(other)
    found = next((value for value in mine if holds(other, value)), None)
    found = next((value for value in theirs if holds(one, value)), None) if found is None else found
    if found is not None:
        return found
    if one == other:
        return wanted(one)  # it has values, and no example is at hand
    return None if all_mine or all_theirs or _apart(one, other) else UNSURE


def _named(test: Test) -> tuple[Iterable[str], bool]:
    """Values that pass a test, and whether they are all that do."""
    match test:
        case OneOf(values):
            return values, True
        case StartsWith(prefixes):
            return prefixes, False
        case Range():
            return tuple(test.some()), False
        case Matches(pattern):
            return patterns.examples(pattern)
        case Present():
            return (), False
        case _:
            assert_never(test)


def _apart(one: Test, other: Test) -> bool:
    """Whether it is certain that no value passes both, where none that either names does."""
    match one, other:
        case StartsWith(), StartsWith():
            return True  # of two that meet, the longer prefix begins with the shorter
        case Range(), Range():
            return not one.may_meet(other)
        case Range(), StartsWith(prefixes):
            return not one.may_begin(prefixes)
        case Matches(pattern), StartsWith(prefixes):
            return not patterns.may_begin(pattern, prefixes)
        case Matches(pattern), Matches(second):
            return not patterns.may_meet(pattern, second)
        case Matches(pattern), Range():
            return not patterns.may_begin(pattern, NUMERIC_STARTS)
        case (StartsWith(), Range() | Matches()) | (Range(), Matches()):
            return _apart(other, one)
        case _:
            return False


def overlapping(matchers: Sequence[Matcher]) -> Iterator[tuple[int, int, Mapping[str, str]]]:
    """Every pair (by index, the smaller first) that can take one message, with the values that show it."""
    sharers = Sharers(matchers)
    kinds: dict[tuple[tuple[str, Test], ...], int] = {}  # copies of one file are compared once
    alike = [
        kinds.setdefault(tuple((one.path, one.test) for one in matcher.conditions), index)
        for index, matcher in enumerate(matchers)
    ]
    seen: dict[tuple[int, int], Mapping[str, str] | None] = {}
    for first, matcher in enumerate(matchers):
        for second in sharers.beside(matcher):
            pair = alike[first], alike[second]
            if second > first and pair not in seen:
                seen[pair] = overlap(matcher, matchers[second])
            both = seen[pair] if second > first else None
            if both is not None:
                yield first, second, both
