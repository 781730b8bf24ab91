"""A telephone number as people write it in, the one spelling that a channel file takes (E.164) out."""

from __future__ import annotations

import re
from typing import Final

NORTH_AMERICA: Final = "1"  # the country code of the United States, Canada and the islands
DIGITS_LEAST: Final = 7  # with the country; shorter numbers are short codes, which no fax machine has
DIGITS_MOST: Final = 15  # E.164

_PUNCTUATION: Final = re.compile(r"[\s().\-/\u2010-\u2014\u00a0]+")
_ELSEWHERE: Final = re.compile(r"[1-9][0-9]*")
_NANP: Final = re.compile(r"[2-9][0-9]{2}[2-9][0-9]{6}")  # area code and exchange never begin with 0 or 1


def as_e164(text: str, country: str = NORTH_AMERICA) -> str | None:
    """`text` as "+12175550142"; None when it is no number, is cut off, or has an extension.

    country: the country code of numbers that are written without one, digits only.
    Source: ITU-T E.164; for country code 1 the numbering plan of North America.
    """
    bare = _PUNCTUATION.sub("", text)
    if bare.startswith("00"):
        bare = f"+{bare[2:]}"
    if bare.startswith("+"):
        code = NORTH_AMERICA if bare.startswith(f"+{NORTH_AMERICA}") else ""
        number = bare[1 + len(code) :]
    elif country == NORTH_AMERICA:
        code, number = country, bare.removeprefix(NORTH_AMERICA) if len(bare) == 11 else bare
    else:
        code, number = country, bare.removeprefix("0")  # the digit that is dialled only inside the country
    fits = (_NANP if code == NORTH_AMERICA else _ELSEWHERE).fullmatch(number)
    whole = f"{code}{number}"
    return f"+{whole}" if fits and number.isascii() and DIGITS_LEAST <= len(whole) <= DIGITS_MOST else None
