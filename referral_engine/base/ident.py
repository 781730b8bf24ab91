"""Identifiers the engine makes or checks, and Phi, the wrapper that keeps patients out of logs."""

from __future__ import annotations

import re
import zlib
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_BASE32: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U to mishear on the telephone
_PAIRS: Final = tuple(first + second for first in _BASE32 for second in _BASE32)  # two digits at a time
CONTROL_ID_MAX: Final = 20  # MSH-10 in HL7 v2.1 to v2.5.1

_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,99})){1,40}")


class Phi(Generic[T]):
    """A patient's value: prints as <phi>; read with .reveal(), in intake, render and service.web only."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        """Wrap a value that must never reach a log, an error or a file name."""
        self._value = value

    def reveal(self) -> T:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        """Hide the value."""
        return "<phi>"

    __str__ = __repr__

    def __bool__(self) -> bool:
        """Whether there is a value to speak of."""
        return bool(self._value)

    def agrees(self, other: Phi[T]) -> bool:
        """Both are known, and equal but for case and surrounding blanks."""
        mine, theirs = self._value, other._value
        if mine == theirs:
            return bool(mine)  # as most that agree are written
        return bool(mine) and str(mine).strip().casefold() == str(theirs).strip().casefold()

    def begins_like(self, other: Phi[T]) -> bool:
        """Both are known, and one begins with the other: an initial, a middle name more; case and blanks aside."""
        one, another = str(self._value).strip().casefold(), str(other._value).strip().casefold()
        return bool(one) and bool(another) and (one.startswith(another) or another.startswith(one))

    def sorts_before(self, text: str) -> bool:
        """Whether the value is known and stands before `text`, as two dates of the form YYYYMMDD do."""
        return bool(self._value) and str(self._value) < text

    def __eq__(self, other: object) -> bool:
        """Compare the values within."""
        return isinstance(other, Phi) and self._value == other._value

    def __hash__(self) -> int:
        """Hash the value within."""
        return hash(self._value)


def mark_of(raw: bytes) -> int:
    """What a message is noted by while it is in hand, 63 bits: cheap, for it is made for every message.

    Two messages may share one: then both are handled with care, and nothing is lost but speed.
    """
    return zlib.crc32(raw) | (len(raw) & 0x7FFF_FFFF) << 32


def base32(number: int, width: int = 0) -> str:
    """`number` (>= 0) in Crockford base 32, padded with zeros to `width`."""
    digits = ""
    while number:
        number, digit = divmod(number, 32)
        digits = _BASE32[digit] + digits
    return digits.rjust(max(width, 1), "0")


def referral_id(node: str, sequence: int) -> str:
    """Our own number of a referral: the instance's letters, then the journal's sequence in base 32."""
    return f"{node}-{base32(sequence, 4)}"


def control_id(node: str, sequence: int, ordinal: int) -> str:
    """MSH-10 of the `ordinal`-th message that event `sequence` made; the same at every replay and retry."""
    high, low = divmod(sequence, 1024 * 1024)
    more, high = divmod(high, 1024 * 1024)
    digits = f"{_PAIRS[high >> 10]}{_PAIRS[high & 1023]}{_PAIRS[low >> 10]}{_PAIRS[low & 1023]}"
    made = f"{node}{base32(more) if more else ''}{digits}{base32(ordinal, 2)}"
    assert len(made) <= CONTROL_ID_MAX, "MSH-10 holds 20 characters"
    return made


def is_oid(text: str) -> bool:
    """Whether `text` is an object identifier, such as "2.16.840.1.113883.4.6"."""
    return _OID.fullmatch(text) is not None


def npi_check_digit(first_nine: str) -> int:
    """The tenth digit of a National Provider Identifier: Luhn over "80840" and the first nine."""
    total = 24  # what the prefix 80840 adds
    for position, letter in enumerate(reversed(first_nine)):
        digit = int(letter)
        if position % 2 == 0:
            digit = digit * 2 - 9 if digit > 4 else digit * 2  # Luhn's doubling
        total += digit
    return -total % 10


def is_npi(text: str) -> bool:
    """Whether `text` is ten digits with a right check digit."""
    return len(text) == 10 and text.isascii() and text.isdigit() and npi_check_digit(text[:9]) == int(text[9])
