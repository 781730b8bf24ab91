"""A text in, the widths of its bars and gaps as Code 128 out."""

from __future__ import annotations

import re
from typing import Final

# One symbol each: bar, gap, bar, gap, bar, gap, in modules; the last is the stop symbol, which ends in a bar.
# Source: ISO/IEC 15417, table 1.
_SYMBOLS: Final = """
212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231
113222 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211
212123 212321 232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131
113123 113321 133121 313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111
314111 221411 431111 111224 111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211
241211 221114 413111 241112 134111 111242 121142 121241 114212 124112 124211 411212 421112 421211 212141
214121 412121 111143 111341 131141 114113 114311 411113 411311 113141 114131 311141 411131 211412 211214
211232 2331112
"""
_WIDTHS: Final = tuple(tuple(map(int, symbol)) for symbol in _SYMBOLS.split())
_TO_C: Final = 99
_START_B: Final = 104
_STOP: Final = 106
_CHECKED_BY: Final = 103
_DIGITS_AT_THE_END: Final = re.compile(r"(?:[0-9]{2}){2,}\Z")  # four and more are shorter two to a symbol


def code128(text: str) -> tuple[int, ...]:
    """Bar, gap, bar, ... in modules, beginning and ending with a bar; the quiet zones are the caller's.

    text: printable ASCII.
    """
    assert text.isascii(), "Code 128 has no other letters"
    assert text.isprintable(), "set A, for controls, is not drawn here"
    digits = _DIGITS_AT_THE_END.search(text)
    plain = text[: digits.start()] if digits else text
    codes = [_START_B, *(ord(letter) - 0x20 for letter in plain)]
    if digits:
        pairs = digits.group()
        codes += [_TO_C, *(int(pairs[at : at + 2]) for at in range(0, len(pairs), 2))]
    check = (codes[0] + sum(at * code for at, code in enumerate(codes))) % _CHECKED_BY
    return tuple(width for code in (*codes, check, _STOP) for width in _WIDTHS[code])
