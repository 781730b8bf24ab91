"""One matcher grammar for every file: conditions over HL7 paths in, the first one that fails (and why) out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, assert_never

from referral_engine.channels import patterns
from referral_engine.channels.ranges import Range
from referral_engine.hl7.message import Message
from referral_engine.hl7.path import Path, Where
from referral_engine.hl7.segment import Segment

SHOWN_VALUES_MAX = 6  # a list of forty codes would hide the sentence around it
MESSAGE_TYPE: Final = "MSH-9"  # compared as "ORM^O01"
REFERRED_TO: Final = "referred_to"  # compared with the provider that the sender's feed finds
REPEATING: Final = frozenset({"CON", "ARV", "NTE", "PRD"})  # any one may satisfy the lines about it; or any Z-segment
_NOWHERE: Final = Path(segment="", field=0)  # no segment has such a name


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of these, letter for letter."""

    values: tuple[str, ...]
    names: tuple[str, ...] = field(default=(), compare=False)  # of the codes, where the analyst wrote names
    accepted: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Keep the values as a set, for one look-up a message."""
        object.__setattr__(self, "accepted", frozenset(self.values))


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The value begins with one of these."""

    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """The field has a value (True) or has none (False)."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class Matches:
    """The whole value is what a regular expression says; one that `patterns.refusal` refuses fits nothing."""

    pattern: str


Test = OneOf | StartsWith | Present | Range | Matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One line of a matcher; its path is a good one, or the word referred_to."""

    path: str  # as the analyst wrote it: "OBR-4.1"
    test: Test
    line: int = 0  # in its file
    place: Path = field(init=False, repr=False, compare=False)  # the path, read once
    numbers: tuple[int, int, int, int] = field(init=False, repr=False, compare=False)  # as `Segment.text` takes them
    spot: tuple[str, int, int] | None = field(init=False, repr=False, compare=False)  # as `Message.text` takes it
    passes: Callable[[str], bool] = field(init=False, repr=False, compare=False)  # `holds` with this test, quicker

    def __post_init__(self) -> None:
        """Read the path; what it leaves out is 1."""
        place = _NOWHERE if self.path == REFERRED_TO else Path.parse(self.path)
        numbers = (place.field, place.component or 1, place.subcomponent or 1, place.repetition or 1)
        object.__setattr__(self, "place", place)
        object.__setattr__(self, "numbers", numbers)
        is_plain = place is not _NOWHERE and self.path != MESSAGE_TYPE and place.where is None
        is_plain = is_plain and numbers[2:] == (1, 1)
        object.__setattr__(self, "spot", (place.segment, *numbers[:2]) if is_plain else None)
        object.__setattr__(self, "passes", _as_call(self.test))

    @property
    def repeats(self) -> bool:
        """Whether the segment repeats and any repetition will do; the path's own condition then chooses among them."""
        place = self.place
        return place.where is not None or place.segment in REPEATING or place.segment.startswith("Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """Conditions that must all hold; those about one repeating segment must hold in the same repetition."""

    conditions: tuple[Condition, ...] = ()
    single: tuple[Condition, ...] = field(init=False, repr=False, compare=False)
    together: tuple[tuple[Condition, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the conditions once: those about one place, and those about repeating segments by name."""
        groups: dict[tuple[str, Where | None], list[Condition]] = {}
        for condition in self.conditions:
            if condition.repeats:
                groups.setdefault((condition.place.segment, condition.place.where), []).append(condition)
        together = tuple(map(tuple, groups.values()))
        object.__setattr__(self, "single", tuple(one for one in self.conditions if not one.repeats))
        object.__setattr__(self, "together", together)

    def first_failure(self, message: Message, referred_to: str = "") -> Condition | None:
        """The first condition `message` does not meet, or None when it meets them all.

        referred_to: the provider that the sender's feed finds in the message; "" when it names none.
        """
        failed = _failure_at(message, self.single, referred_to)
        if failed is not None:
            return failed
        for conditions in self.together:
            place = conditions[0].place
            if place.where is None and message.count(place.segment) < 2:  # as nearly always: none to choose among
                failed = _failure_at(message, conditions)
            else:
                failed = _failure_in_all(message.chosen(place), conditions)
            if failed is not None:
                return failed
        return None

    def matches(self, message: Message, referred_to: str = "") -> bool:
        """Whether `message` meets every condition."""
        return self.first_failure(message, referred_to) is None

    def explain_failure(self, condition: Condition, message: Message, referred_to: str = "") -> str:
        """Why, as: OBR-4.1 is "REFORTHKNEE", wanted one of REFCARD, REFEP."""
        value = value_at(message, condition, referred_to)
        found = f'{condition.path} is "{value}"' if value else f"{condition.path} is empty"
        return f"{found}, wanted {wanted(condition.test)}"

    def paths(self) -> Iterator[str]:
        """Every path the matcher reads, in file order."""
        return (condition.path for condition in self.conditions)

    def test_of(self, path: str) -> Test | None:
        """What the matcher asks of one path, if it asks anything."""
        return next((condition.test for condition in self.conditions if condition.path == path), None)


def holds(test: Test, value: str) -> bool:
    """Whether one value ("" when absent) passes one test."""
    match test:
        case OneOf():
            return value in test.accepted
        case StartsWith():
            return value.startswith(test.prefixes)
        case Present():
            return bool(value) is test.wanted
        case Range():
            return test.holds(value)
        case Matches(pattern):
            return patterns.fits(pattern, value)
        case _:
            assert_never(test)


def _as_call(test: Test) -> Callable[[str], bool]:
    """`holds` with this test: what kind of test it is need not be asked for every message."""
    match test:
        case OneOf():
            return test.accepted.__contains__
        case _:
            return partial(holds, test)


def value_at(message: Message, condition: Condition, referred_to: str = "") -> str:
    """The text a condition compares, in the first segment that its path means; "" when absent."""
    if condition.spot is not None:
        return message.text(*condition.spot)
    path = condition.path
    if path == MESSAGE_TYPE:
        return message.header.type
    return referred_to if path == REFERRED_TO else message.value(path)


def wanted(test: Test) -> str:
    """What a test asks for, in words."""
    match test:
        case OneOf(values, names) if names:
            told = tuple(f"{value} ({name})" for value, name in zip(values, names, strict=True))
            return f"one of {_listed(told)}" if len(told) > 1 else told[0]
        case OneOf(values):
            return f"one of {_listed(values)}" if len(values) > 1 else f'"{values[0]}"' if values else "nothing"
        case StartsWith(prefixes):
            return f"text that starts with {_listed(prefixes)}"
        case Present(True):
            return "a value"
        case Present():
            return "no value"
        case Range():
            return test.words()
        case Matches(pattern):
            return f"all of it to match {pattern}"
        case _:
            assert_never(test)


def _failure_at(message: Message, conditions: tuple[Condition, ...], referred_to: str = "") -> Condition | None:
    """The first condition that the first segment of its name does not meet."""
    for condition in conditions:
        spot = condition.spot
        value = value_at(message, condition, referred_to) if spot is None else message.text(*spot)
        if not condition.passes(value):
            return condition
    return None


def _failure_in_all(segments: list[Segment], conditions: tuple[Condition, ...]) -> Condition | None:
    """None as soon as one repetition meets all conditions; else the first condition that the first one does not meet.

    Without a repetition every value is "".
    """
    if not segments:
        return next((one for one in conditions if not one.passes("")), None)
    first: Condition | None = None
    for segment in segments:
        failed = _failure_in(segment, conditions)
        if failed is None:
            return None
        first = first or failed
    return first


def _failure_in(segment: Segment, conditions: tuple[Condition, ...]) -> Condition | None:
    """The first condition one repetition does not meet."""
    for condition in conditions:
        field, component, subcomponent, repetition = condition.numbers
        if not condition.passes(segment.text(field, component, subcomponent, repetition)):
            return condition
    return None


def _listed(values: tuple[str, ...]) -> str:
    """The first few values, and how many more there are."""
    shown = ", ".join(values[:SHOWN_VALUES_MAX])
    rest = len(values) - SHOWN_VALUES_MAX
    return f"{shown} and {rest} more" if rest > 0 else shown
