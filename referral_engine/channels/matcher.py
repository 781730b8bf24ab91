"""One matcher grammar for every file: conditions over HL7 paths in, the first one that fails (and why) out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, assert_never

from referral_engine.hl7.message import Message
from referral_engine.hl7.path import Path
from referral_engine.hl7.segment import Segment

SHOWN_VALUES_MAX = 6  # a list of forty codes would hide the sentence around it
MESSAGE_TYPE: Final = "MSH-9"  # compared as "ORM^O01"
REPEATING: Final = ("CON",)  # any one of them may satisfy the lines about it; so may any Z-segment of one name


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of these, letter for letter."""

    values: tuple[str, ...]
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


Test = OneOf | StartsWith | Present


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One line of a matcher; its path is a good one."""

    path: str  # as the analyst wrote it: "OBR-4.1"
    test: Test
    line: int = 0  # in its file
    place: Path = field(init=False, repr=False, compare=False)  # the path, read once

    def __post_init__(self) -> None:
        """Read the path."""
        object.__setattr__(self, "place", Path.parse(self.path))

    @property
    def repeats(self) -> bool:
        """Whether the segment repeats and any repetition will do."""
        return self.place.segment in REPEATING or self.place.segment.startswith("Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """Conditions that must all hold; those about one repeating segment must hold in the same repetition."""

    conditions: tuple[Condition, ...] = ()
    single: tuple[Condition, ...] = field(init=False, repr=False, compare=False)
    together: tuple[tuple[Condition, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the conditions once: those about one place, and those about repeating segments by name."""
        names = dict.fromkeys(condition.place.segment for condition in self.conditions if condition.repeats)
        together = tuple(tuple(one for one in self.conditions if one.place.segment == name) for name in names)
        object.__setattr__(self, "single", tuple(one for one in self.conditions if not one.repeats))
        object.__setattr__(self, "together", together)

    def first_failure(self, message: Message) -> Condition | None:
        """The first condition `message` does not meet, or None when it meets them all."""
        for condition in self.single:
            if not holds(condition.test, value_at(message, condition)):
                return condition
        for conditions in self.together:
            segments = message.all(conditions[0].place.segment)
            failures = [_failure_in(segment, conditions) for segment in segments]
            if not segments:
                failures = [next((one for one in conditions if not holds(one.test, "")), None)]
            if None not in failures:
                return failures[0]
        return None

    def matches(self, message: Message) -> bool:
        """Whether `message` meets every condition."""
        return self.first_failure(message) is None

    def explain_failure(self, condition: Condition, message: Message) -> str:
        """Why, as: OBR-4.1 is "REFORTHKNEE", wanted one of REFCARD, REFEP."""
        value = value_at(message, condition)
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
        case StartsWith(prefixes):
            return value.startswith(prefixes)
        case Present(expected):
            return bool(value) is expected
        case _:
            assert_never(test)


def value_at(message: Message, condition: Condition) -> str:
    """The text a condition compares, in the first segment of that name; "" when absent."""
    place = condition.place
    if condition.path == MESSAGE_TYPE:
        return message.header.type
    segment = message.first(place.segment)
    return "" if segment is None else _text_at(segment, place)


def wanted(test: Test) -> str:
    """What a test asks for, in words."""
    match test:
        case OneOf(values):
            return f"one of {_listed(values)}" if len(values) > 1 else f'"{values[0]}"' if values else "nothing"
        case StartsWith(prefixes):
            return f"text that starts with {_listed(prefixes)}"
        case Present(True):
            return "a value"
        case Present():
            return "no value"
        case _:
            assert_never(test)


def _failure_in(segment: Segment, conditions: tuple[Condition, ...]) -> Condition | None:
    """The first condition one repetition does not meet."""
    return next((one for one in conditions if not holds(one.test, _text_at(segment, one.place))), None)


def _text_at(segment: Segment, place: Path) -> str:
    """The text at a place of one segment; what the path leaves out is 1."""
    return segment.text(place.field, place.component or 1, place.subcomponent or 1, place.repetition or 1)


def _listed(values: tuple[str, ...]) -> str:
    """The first few values, and how many more there are."""
    shown = ", ".join(values[:SHOWN_VALUES_MAX])
    rest = len(values) - SHOWN_VALUES_MAX
    return f"{shown} and {rest} more" if rest > 0 else shown
