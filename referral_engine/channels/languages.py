"""A simple regular expression in, values that it fits out, and whether these are all: for examples and for overlaps.

Only what analysts write is read: letters, [A-C0-9], (a|b), ?, *, +, {2,4}, an escaped sign and the class of digits. Of
anything else nothing is known.
"""

from __future__ import annotations

import string
from itertools import product
from typing import Final

SPELLED_MAX: Final = 300  # values of one pattern; of [0-9]{9} nobody needs them all
REPEATED_MAX: Final = 12  # of one piece; a longer example shows no more

Values = tuple[tuple[str, ...], bool]  # and whether these are all

_NOTHING: Final[Values] = (("",), True)
_DIGITS: Final = tuple(string.digits)
_SIGNS: Final = frozenset(r".^$|?*+()[]{}\ ")


class _UnknownError(Exception):  # never leaves this module: nothing is known of such a pattern
    """A piece that is not read here."""


def spelled(pattern: str) -> Values:
    """Some values the pattern fits, and whether they are all; none at all when it is not a simple one."""
    reader = _Reader(pattern)
    try:
        values = reader.choice()
    except _UnknownError:
        return (), False
    return values if reader.at == len(pattern) else ((), False)


class _Reader:
    """One pass over one pattern."""

    def __init__(self, pattern: str) -> None:
        """Stand before the first letter."""
        self.pattern = pattern
        self.at = 0

    def choice(self) -> Values:
        """a|b|c."""
        values, whole = self._sequence()
        while self._next("|"):
            more, more_whole = self._sequence()
            values, whole = (*values, *more), whole and more_whole
        return _cut(tuple(dict.fromkeys(values)), whole=whole)

    def _sequence(self) -> Values:
        """Pieces one after the other."""
        values = _NOTHING
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            values = _joined(values, self._piece())
        return values

    def _piece(self) -> Values:
        """One atom and how often."""
        atom = self._atom()
        least, most = self._times()
        once, whole = atom
        values: Values = ((), True)
        repeated = _NOTHING
        for count in range(most + 1 if most is not None else least + 2):
            if count >= least:
                values = (*values[0], *repeated[0]), values[1] and repeated[1]
            repeated = _joined(repeated, (once, whole))
        return _cut(tuple(dict.fromkeys(values[0])), whole=values[1] and most is not None)

    def _times(self) -> tuple[int, int | None]:
        """How often at least and at most; None: any number of times."""
        found: tuple[int, int | None] = (1, 1)
        for sign, times in (("?", (0, 1)), ("*", (0, None)), ("+", (1, None))):
            if self._next(sign):
                found = times
                break
        else:
            if self._next("{"):
                found = self._numbers()
        if self.pattern[self.at : self.at + 1] in set("?*+{"):
            raise _UnknownError
        if found[0] > REPEATED_MAX or (found[1] or 0) > REPEATED_MAX:
            raise _UnknownError
        return found

    def _numbers(self) -> tuple[int, int | None]:
        """2}, 2,} or 2,4}."""
        inside, closed, _ = self.pattern[self.at :].partition("}")
        least, comma, most = inside.partition(",")
        if not closed or not least.isdigit() or (most and not most.isdigit()):
            raise _UnknownError
        self.at += len(inside) + 1
        return int(least), int(most) if most else None if comma else int(least)

    def _atom(self) -> Values:
        """A letter, a class or a group."""
        letter = self.pattern[self.at]
        self.at += 1
        if letter == "(":
            if self._next("?") and not self._next(":"):
                raise _UnknownError
            values = self.choice()
            if not self._next(")"):
                raise _UnknownError
            return values
        if letter == "[":
            return self._class(), True
        if letter == ".":
            return ("A", "0"), False
        if letter == "\\":
            return self._escaped(), True
        if letter in _SIGNS - {" "}:
            raise _UnknownError
        return (letter,), True

    def _escaped(self) -> tuple[str, ...]:
        """Behind a backslash: the class of digits, or a sign that is meant as itself."""
        letter = self.pattern[self.at : self.at + 1]
        self.at += 1
        if letter == "d":
            return _DIGITS
        if letter and not letter.isalnum():
            return (letter,)
        raise _UnknownError

    def _class(self) -> tuple[str, ...]:
        """A-C0-9]."""
        inside, closed, _ = self.pattern[self.at :].partition("]")
        if not closed or not inside or set("^[\\") & set(inside) or not inside.isascii():
            raise _UnknownError
        self.at += len(inside) + 1
        letters: list[str] = []
        place = 0
        while place < len(inside):
            if inside[place + 1 : place + 2] == "-" and place + 2 < len(inside):
                letters += map(chr, range(ord(inside[place]), ord(inside[place + 2]) + 1))
                place += 3
            else:
                letters.append(inside[place])
                place += 1
        return tuple(letters)

    def _next(self, sign: str) -> bool:
        """Whether `sign` stands here; then move behind it."""
        if self.pattern[self.at : self.at + 1] != sign:
            return False
        self.at += 1
        return True


def _joined(one: Values, other: Values) -> Values:
    """Every value of the first before every value of the second."""
    pairs = (first + second for first, second in product(one[0], other[0]))
    values = tuple(value for value, _ in zip(pairs, range(SPELLED_MAX), strict=False))
    return values, one[1] and other[1] and len(one[0]) * len(other[0]) <= SPELLED_MAX


def _cut(values: tuple[str, ...], *, whole: bool) -> Values:
    """No more than SPELLED_MAX of them."""
    return values[:SPELLED_MAX], whole and len(values) <= SPELLED_MAX
