"""Two matchers in, a message both would take out (as values by path), or None when no message can satisfy both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

from referral_engine.channels.matcher import REFERRED_TO, Matcher, OneOf, Present, StartsWith, Test

ABSENT: Final = ""
ANYTHING: Final = "any value"
USUAL_PLACE: Final = "OBR-28.1"  # where `referred_to` is unless a feed says otherwise: both ask for the specialist


def overlap(one: Matcher, other: Matcher) -> Mapping[str, str] | None:
    """Values by path that satisfy both; None when some path makes that impossible."""
    tests = {_place(condition.path): condition.test for condition in one.conditions}
    both: dict[str, str] = {path: witness(test, test) or ABSENT for path, test in tests.items()}
    for condition in other.conditions:
        mine = tests.get(_place(condition.path), condition.test)
        value = witness(mine, condition.test)
        if value is None:
            return None
        both[_place(condition.path)] = value
    return both


def witness(one: Test, other: Test) -> str | None:
    """A value that passes both tests, "" for an absent one, None when there is none."""
    match one, other:
        case Present(first), Present(second):
            return (ANYTHING if first else ABSENT) if first == second else None
        case Present(wanted), _:
            return witness(other, other) if wanted else None
        case _, Present():
            return witness(other, one)
        case OneOf(), OneOf():
            return next((value for value in one.values if value in other.accepted), None)
        case OneOf(), StartsWith(prefixes):
            return next((value for value in one.values if value.startswith(prefixes)), None)
        case StartsWith(), OneOf():
            return witness(other, one)
        case StartsWith(), StartsWith():
            return next((longer for longer in _longer(one.prefixes, other.prefixes)), None)
    return None


def overlapping(matchers: Sequence[Matcher]) -> Iterator[tuple[int, int, Mapping[str, str]]]:
    """Every pair (by index, the smaller first) that can take one message, with the values that show it."""
    path = _most_pinned(matchers)
    buckets: dict[str, list[int]] = defaultdict(list)
    open_ended = []
    for index, matcher in enumerate(matchers):
        test = next((one.test for one in matcher.conditions if _place(one.path) == path), None)
        if isinstance(test, OneOf):
            for value in test.accepted:
                buckets[value].append(index)
        else:
            open_ended.append(index)
    pairs = {pair for bucket in buckets.values() for pair in combinations(bucket, 2)}
    pairs.update((min(a, b), max(a, b)) for a in open_ended for b in range(len(matchers)) if a != b)
    for first, second in sorted(pairs):
        both = overlap(matchers[first], matchers[second])
        if both is not None:
            yield first, second, both


def _most_pinned(matchers: Sequence[Matcher]) -> str:
    """The path with the most different values: only matchers that share one need to be compared."""
    values = {
        (_place(condition.path), value)
        for matcher in matchers
        for condition in matcher.conditions
        if isinstance(condition.test, OneOf)
        for value in condition.test.values
    }
    counted = Counter(path for path, _ in sorted(values))
    return max(counted, key=lambda path: (counted[path], path), default="")


def _place(path: str) -> str:
    """The path, or where `referred_to` usually is."""
    return USUAL_PLACE if path == REFERRED_TO else path


def _longer(prefixes: tuple[str, ...], others: tuple[str, ...]) -> Iterator[str]:
    """The longer of every two prefixes of which one begins with the other."""
    for prefix in prefixes:
        for other in others:
            if prefix.startswith(other) or other.startswith(prefix):
                yield max(prefix, other, key=len)
