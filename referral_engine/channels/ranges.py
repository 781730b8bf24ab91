"""What lies between two ends: numbers as numbers, dates and times as HL7 writes them; never compared as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

NUMBER_LETTERS_MAX: Final = 32  # of a value read as a number; stops a field of digits from costing anything
DATE_DIGITS_LEAST: Final = 8  # of an end: YYYYMMDD; a shorter one is a number

# HL7 v2.5.1 2.A.47 (NM) and 2.A.22 (DTM): YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ].
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_MOMENT: Final = re.compile(
    r"([0-9]{4}(?:[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:[0-9]{2})?)?)?)?)?)(?:\.[0-9]{1,4})?(?:[+-][0-9]{4})?"
)
_FIRST: Final = "00000101000000"  # what an unsaid month, day, hour, minute and second are at the earliest
_LAST: Final = "99991299235959"  # and at the latest; no month has a day 99, and none is needed to compare
_PIECES: Final = ((0, 4), (4, 2), (6, 2), (8, 2), (10, 2), (12, 2))  # of YYYYMMDDHHMMSS
_DATE_PRECISIONS: Final = (4, 6, 8, 10, 12, 14)  # digits of a date that could as well be a number
NUMERIC_STARTS: Final = ("+", "-", ".", *"0123456789")  # of every value that is a number or a date

RangeKind = Literal["number", "date"]


@dataclass(frozen=True, slots=True)
class Range:
    """The value is a number, or a date, between two ends, both included; an end that is "" is open."""

    kind: RangeKind
    low: str  # as the analyst wrote it
    high: str
    least: Decimal | int | None = field(init=False, repr=False, compare=False)
    most: Decimal | int | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the ends once; an end that names a day means its first and its last second."""
        if self.kind == "number":
            least: Decimal | int | None = number_of(self.low)
            most: Decimal | int | None = number_of(self.high)
        else:
            first, last = moment_of(self.low), moment_of(self.high)
            least, most = first[0] if first else None, last[1] if last else None
        object.__setattr__(self, "least", least)
        object.__setattr__(self, "most", most)

    def holds(self, value: str) -> bool:
        """Whether one value lies in it; a text that is no number, or no date, does not.

        A date is compared by its own wall clock, whatever zone it carries, from its first moment.
        """
        at: Decimal | int | None
        if self.kind == "number":
            at = number_of(value)
        else:
            moment = moment_of(value)
            at = moment[0] if moment else None
        if at is None:
            return False
        return (self.least is None or at >= self.least) and (self.most is None or at <= self.most)

    def words(self) -> str:
        """What it asks for: a number from 20 to 40, a date not before 20250101."""
        what = f"a {self.kind}"
        if self.low and self.high:
            return f"{what} from {self.low} to {self.high}"
        side = {("number", True): "not under", ("number", False): "not over", ("date", True): "not before"}
        return f"{what} {side.get((self.kind, bool(self.low)), 'not after')} {self.low or self.high}"

    def some(self) -> Iterator[str]:
        """A few values that lie in it: its ends."""
        yield from (end for end in (self.low, self.high) if end)

    def may_begin(self, prefixes: tuple[str, ...]) -> bool:
        """Whether some value in it could begin with one of these; False is certain."""
        return any(self._may_begin(prefix) for prefix in prefixes)

    def _may_begin(self, prefix: str) -> bool:
        if not prefix.isascii() or not prefix.startswith(NUMERIC_STARTS):
            return False
        if self.kind == "number":
            return self._may_begin_number(prefix)
        digits = re.split(r"[.+-]", prefix, maxsplit=1)[0]
        if not digits.isdigit() or len(digits) > len(_LAST):
            return False
        first, last = int(digits.ljust(len(_LAST), "0")), int(digits.ljust(len(_LAST), "9"))
        return (self.least is None or last >= self.least) and (self.most is None or first <= self.most)

    def _may_begin_number(self, prefix: str) -> bool:
        """Digits may follow: 2 begins 2, 2.5, 20 to 29, 200 to 299 and so on."""
        if not prefix.isdigit() or prefix.startswith("0"):
            return _NUMBER.fullmatch(prefix.rstrip("+-.") or "0") is not None
        shortest = int(prefix)
        return any(
            (self.most is None or shortest * 10**more <= self.most)
            and (self.least is None or (shortest + 1) * 10**more > self.least)
            for more in range(NUMBER_LETTERS_MAX - len(prefix) + 1)
        )

    def may_meet(self, other: Range) -> bool:
        """Whether a value could lie in both, where neither end of one lies in the other; False is certain."""
        if self.kind == other.kind:
            return False
        numbers, dates = (self, other) if self.kind == "number" else (other, self)
        earliest = str(dates.least if dates.least is not None else _FIRST).zfill(len(_FIRST))
        latest = str(dates.most if dates.most is not None else _LAST)
        return any(
            (numbers.most is None or int(earliest[:digits]) <= numbers.most)
            and (numbers.least is None or int(latest[:digits]) >= numbers.least)
            for digits in _DATE_PRECISIONS
        )


def number_of(text: str) -> Decimal | None:
    """A number as HL7 writes it (NM), or None."""
    if len(text) > NUMBER_LETTERS_MAX or _NUMBER.fullmatch(text) is None:
        return None
    return Decimal(text)


def moment_of(text: str) -> tuple[int, int] | None:
    """The first and the last second that a date or a time of HL7 (DTM) can mean, as YYYYMMDDHHMMSS; or None."""
    found = _MOMENT.fullmatch(text) if len(text) <= NUMBER_LETTERS_MAX else None
    if found is None:
        return None
    digits = found[1]
    first = digits + _FIRST[len(digits) :]
    year, month, day, hour, minute, second = (int(first[at : at + size]) for at, size in _PIECES)
    try:
        datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # only whether there is such a moment
    except ValueError:
        return None
    return int(first), int(digits + _LAST[len(digits) :])
