"""Many matchers in, the few out that a message or another matcher may agree with: an index, so that nothing is scanned.

Never a wrong no: what a test of an unknown kind means is not looked at, and its matcher stays among the likely ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from referral_engine.channels.matcher import REFERRED_TO, Condition, Matcher, OneOf, StartsWith, Test, value_at
from referral_engine.hl7.message import Message

USUAL_PLACE: Final = "OBR-28.1"  # where `referred_to` is unless a feed says otherwise: both ask for the specialist


def place_of(path: str) -> str:
    """The path, or where `referred_to` usually is."""
    return USUAL_PLACE if path == REFERRED_TO else path


class Terms:
    """What the tests of one path ask for, and who asks: whole texts, and what a text begins with."""

    def __init__(self) -> None:
        """Nobody asks yet."""
        self._whole: dict[str, list[int]] = {}
        self._begun: dict[str, list[int]] = {}
        self._lengths: tuple[int, ...] = ()  # of what texts begin with, each once
        self._sorted: list[tuple[str, list[int]]] | None = None  # both kinds, for what begins with a text

    def add(self, test: Test, who: int) -> bool:
        """Note who asks; False for a test that asks for no text in particular."""
        match test:
            case OneOf():
                for value in test.accepted:
                    self._whole.setdefault(value, []).append(who)
            case StartsWith():
                for prefix in _shortest(test.prefixes):
                    self._begun.setdefault(prefix, []).append(who)
                self._lengths = tuple(sorted({*self._lengths, *map(len, test.prefixes)}))
            case _:
                return False
        self._sorted = None
        return True

    def taking(self, value: str) -> Iterator[list[int]]:
        """Everybody whose test passes `value`, in groups, nobody twice."""
        whole = self._whole.get(value)
        if whole is not None:
            yield whole
        for length in self._lengths:
            begun = self._begun.get(value[:length]) if length <= len(value) else None
            if begun is not None:
                yield begun

    def meeting(self, test: Test) -> Iterator[list[int]]:
        """Everybody whose test some value passes that passes `test` too, in groups; some perhaps twice."""
        if isinstance(test, OneOf):
            for value in test.accepted:
                yield from self.taking(value)
        elif isinstance(test, StartsWith):
            for prefix in _shortest(test.prefixes):
                yield from self._around(prefix)

    def _around(self, prefix: str) -> Iterator[list[int]]:
        """Those whose text begins with `prefix`, and those whose own beginning `prefix` begins with."""
        if self._sorted is None:
            self._sorted = sorted([*self._whole.items(), *self._begun.items()])
        for text, who in islice(self._sorted, bisect_left(self._sorted, (prefix,)), None):
            if not text.startswith(prefix):
                break
            yield who
        for length in self._lengths:
            begun = self._begun.get(prefix[:length]) if length < len(prefix) else None
            if begun is not None:
                yield begun

    def crowd(self, test: Test) -> int:
        """The most askers, itself one of them, that one text of a test that was added finds here."""
        match test:
            case OneOf():
                return max((len(self._whole[value]) for value in test.accepted), default=0)
            case StartsWith():
                return max((len(self._begun[prefix]) for prefix in _shortest(test.prefixes)), default=0)
            case _:
                return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Takers:
    """Matchers by what tells them apart best, for one look-up a path and message."""

    by_path: Sequence[tuple[Condition, Terms]]  # a condition that stands for its path
    others: tuple[int, ...]  # have nothing to look up: each is asked about every message

    def of(self, message: Message, referred_to: str) -> list[int]:
        """The numbers, ascending, of all matchers that may take `message`; each other one does not."""
        found = list(self.others)
        for condition, terms in self.by_path:
            for who in terms.taking(value_at(message, condition, referred_to)):
                found += who
        found.sort()
        return found


def takers_of(matchers: Sequence[Matcher]) -> Takers:
    """The index of these matchers, which `Takers.of` names by their place here."""
    asked: dict[str, Terms] = defaultdict(Terms)
    users: Counter[str] = Counter()
    telling: list[list[Condition]] = []
    for number, matcher in enumerate(matchers):
        telling.append([one for one in matcher.single if asked[one.path].add(one.test, number)])
        users.update(one.path for one in telling[-1])
    chosen: dict[str, tuple[Condition, Terms]] = {}
    others = []
    for number, conditions in enumerate(telling):
        best = min(conditions, key=lambda one: (asked[one.path].crowd(one.test), -users[one.path]), default=None)
        if best is None:
            others.append(number)
        else:
            chosen.setdefault(best.path, (best, Terms()))[1].add(best.test, number)
    return Takers(by_path=tuple(chosen.values()), others=tuple(others))


@dataclass(slots=True)
class _Alike:
    """Matchers that ask for texts of the same paths."""

    numbers: list[int] = field(default_factory=list)
    terms: dict[str, Terms] = field(default_factory=lambda: defaultdict(Terms))


class Sharers:
    """Matchers by what they ask for, to be asked which of them may share a message with another."""

    def __init__(self, matchers: Iterable[Matcher]) -> None:
        """Index them; `beside` names them by their place here."""
        self._alike: dict[frozenset[str], _Alike] = defaultdict(_Alike)
        for number, matcher in enumerate(matchers):
            tests = _texts_of(matcher)
            alike = self._alike[frozenset(tests)]
            alike.numbers.append(number)
            for place, test in tests.items():
                alike.terms[place].add(test, number)

    def beside(self, matcher: Matcher) -> list[int]:
        """The numbers, ascending and each once, of all that may take a message that `matcher` takes."""
        tests = _texts_of(matcher)
        found: set[int] = set()
        for places, alike in self._alike.items():
            fewest: list[list[int]] = [alike.numbers]
            for place in places & tests.keys():
                groups = list(alike.terms[place].meeting(tests[place]))
                if sum(map(len, groups)) < sum(map(len, fewest)):
                    fewest = groups
            found.update(*fewest)
        return sorted(found)


def _texts_of(matcher: Matcher) -> Mapping[str, Test]:
    """The tests that ask for texts, by place; of two at one place the second, as everywhere."""
    tests = {place_of(condition.path): condition.test for condition in matcher.conditions}
    return {place: test for place, test in tests.items() if isinstance(test, OneOf | StartsWith)}


def _shortest(prefixes: Iterable[str]) -> tuple[str, ...]:
    """What a text may begin with, without what begins with another one of them."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return tuple(kept)
