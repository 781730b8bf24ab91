"""Made-up people: a number goes in, somebody who never lived comes out, with a name no other number has."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import msgspec

# Family names are a stem nobody bears and syllables that spell the number: two people never share one by chance, so
# that a note without a number finds nobody by accident. Source of the letters: names real interfaces stumble over.
_STEMS: Final = (
    "Example", "Specimen", "Notional", "Madeup", "Imaginary", "Mockford", "Sample", "Pretend", "Figment", "Placebo",
    "Müstermann", "Exèmple", "Beispiël", "Příklad", "Ejemplón", "O'Sample", "Mc Mock", "Fiktív", "Tänkt", "Påhitt",
)  # fmt: skip
_ONSETS: Final = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
_VOWELS: Final = ("a", "e", "i", "o", "u")
_GIVENS: Final = {
    "F": ("Amelia", "Clara", "Edith", "Greta", "Ida", "Klara", "Zoë", "Renée", "Mary-Ann", "Ana María", "Ngọc", "Jo"),
    "M": ("Bruno", "David", "Felix", "Hugo", "Jonas", "Lionel", "José", "Łukasz", "Jean-Luc", "Bo", "Søren", "D'Arcy"),
}
_SUFFIXES: Final = ("", "", "", "", "Jr", "Sr", "III")
_STREETS: Final = ("Sample Street", "Mockup Avenue", "Template Lane", "Stub Road", "Figment Square", "Pretend Blvd")
_OLDEST: Final = date(1931, 1, 1)
_BIRTHDAYS: Final = 28_000  # days; the youngest is grown up
RECORD_NUMBERS_FROM: Final = 1_000_000  # seven digits, as an index of a hospital hands out


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody made up; everything that PID says of them."""

    record: str  # the medical record number
    authority: str = ""  # who gave it; "" is the ordering side
    family: str
    given: str
    suffix: str = ""
    born_on: str  # YYYYMMDD
    sex: str
    phone: str  # seven digits behind the area code
    street: str
    visit: str  # PID-18, PV1-19


def person(number: int) -> Person:
    """The one person of this number."""
    sex = "FM"[number % 2]
    givens = _GIVENS[sex]
    stem = _STEMS[number * 7 % len(_STEMS)]
    hyphenated = f"{stem}-Double" if number % 11 == 0 else stem
    return Person(
        record=str(RECORD_NUMBERS_FROM + number),
        family=f"{hyphenated}{spelled(number)}",
        given=givens[number * 5 % len(givens)],
        suffix=_SUFFIXES[number % len(_SUFFIXES)] if sex == "M" else "",
        born_on=(_OLDEST + timedelta(days=number * 7_919 % _BIRTHDAYS)).strftime("%Y%m%d"),
        sex=sex,
        phone=f"555{1000 + number % 9000}",
        street=f"{1 + number % 999} {_STREETS[number % len(_STREETS)]}",
        visit=f"V{RECORD_NUMBERS_FROM + number}",
    )


def twin_of(one: Person, number: int) -> Person:
    """The other twin: same family, birth date, sex and house; a first name and a record number of their own."""
    givens = _GIVENS[one.sex]
    given = next(name for name in givens[number % len(givens) :] + givens if name != one.given)
    return msgspec.structs.replace(one, given=given, record=str(RECORD_NUMBERS_FROM + number), visit=f"V{number}")


def spelled(number: int) -> str:
    """A number as syllables that can be spoken, each number its own."""
    said = ""
    while True:
        number, digit = divmod(number, len(_ONSETS) * len(_VOWELS))
        said += _ONSETS[digit // len(_VOWELS)] + _VOWELS[digit % len(_VOWELS)]
        if not number:
            return said
