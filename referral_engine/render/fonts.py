"""A letter in, its width out: Helvetica, which every printer has, and Vera for the letters Helvetica lacks.

Helvetica costs a packet nothing. Vera travels inside the file, all its extra letters at once and packed once: it is
ReportLab's, loaded when the first such letter is printed.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Final

EXTRA: Final = (
    "ĆćČčĎďĐđĞğİıŁłŞşˇ˘˙˚\u02db˝Ωπ\u2015\u2016\u2017\u201b\u201f\u2023\u2024\u2025"  # accents, bars, quotes, dots
    "\u2202\u2203\u2204\u2205\u2206\u220f\u2210\u2211\u2212\u2213\u2214\u2215\u2216\u2217\u2218\u2219"  # mathematics
    "\u221a\u221b\u221c\u221d\u221e\u222b\u2248\u2260\u2261\u2262\u2263\u2264\u2265\u25ca\ufb01\ufb02"
)
FIRST_EXTRA: Final = 33  # the code of the first extra letter; what stands below means something else to some readers
VERA_SIZE: Final = 0.95  # of Helvetica's: then both have small letters of one height
_CODES: Final = range(0x20, 0x100)  # of WinAnsi, which is cp1252
_NO_LETTER: Final = frozenset({0x7F, 0x81, 0x8D, 0x8F, 0x90, 0x9D})
_EXTRA_LETTERS: Final = frozenset(EXTRA)
_TO_CODES: Final = {ord(letter): FIRST_EXTRA + at for at, letter in enumerate(EXTRA)}
_SYMBOLIC: Final = 4  # flag of a font whose codes are its own

# Widths in thousandths of the size, from 0x20 to 0xFF: Adobe's metrics of the fonts every PDF reader has.
_HELVETICA: Final = """
278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278
278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722
667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556
556 333 500 278 556 500 722 500 500 500 334 260 334 584 0 556 350 222 556 333 1000 556 556 333 1000 667 333
1000 350 611 350 350 222 222 333 333 350 556 1000 333 1000 500 333 944 350 500 667 278 333 556 556 556 556 260
556 333 737 370 556 584 333 737 333 400 584 333 333 333 556 537 278 333 333 365 556 834 834 834 611 667 667
667 667 667 667 1000 722 667 667 667 667 278 278 278 278 722 722 778 778 778 778 778 584 778 722 722 722 722
667 667 611 556 556 556 556 556 556 889 500 556 556 556 556 278 278 278 278 556 556 556 556 556 556 556 584
611 556 556 556 556 500 556 500
"""
_HELVETICA_BOLD: Final = """
278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 333
333 584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 667 778 722 667 611 722
667 944 667 667 611 333 278 333 584 556 333 556 611 556 611 556 333 611 611 278 278 556 278 889 611 611 611
611 389 556 333 611 556 778 556 556 500 389 280 389 584 0 556 350 278 556 500 1000 556 556 333 1000 667 333
1000 350 611 350 350 278 278 500 500 350 556 1000 333 1000 556 333 944 350 500 667 278 333 556 556 556 556 280
556 333 737 370 556 584 333 737 333 400 584 333 333 333 611 556 278 333 333 365 556 834 834 834 611 722 722
722 722 722 722 1000 722 667 667 667 667 278 278 278 278 722 722 778 778 778 778 778 584 778 722 722 722 722
667 667 611 556 556 556 556 556 556 889 556 556 556 556 556 278 278 278 278 611 611 611 611 611 611 611 584
611 611 611 611 611 556 611 556
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraFont:
    """What a PDF must carry for the extra letters of one font."""

    name: str  # as PDF's BaseFont
    program: bytes  # TrueType, packed with zlib
    program_length: int  # before packing
    widths: tuple[int, ...]  # thousandths, from FIRST_EXTRA on
    descriptor: str  # the entries of PDF's FontDescriptor, without FontFile2


class _Widths(dict[str, int]):
    """Letter to width; an extra letter's is looked up when first asked for."""

    __slots__ = ("_vera",)

    def __init__(self, text: str, vera: str) -> None:
        widths = zip(_CODES, text.split(), strict=True)
        super().__init__({bytes([at]).decode("cp1252"): int(wide) for at, wide in widths if at not in _NO_LETTER})
        self._vera = vera

    def __missing__(self, letter: str) -> int:
        assert letter in _EXTRA_LETTERS, "only what is printable has a width"
        widths = extra_font(self._vera).widths
        self.update({known: round(wide * VERA_SIZE) for known, wide in zip(EXTRA, widths, strict=True)})
        return self[letter]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Font:
    """One weight."""

    name: str  # of the font every reader has
    key: str  # what a page calls it
    vera: str  # the file with its extra letters
    widths: _Widths = field(repr=False)

    @property
    def extra_key(self) -> str:
        """What a page calls the font of the extra letters."""
        return f"{self.key}X"

    def width(self, text: str) -> int:
        """How wide the text is, in thousandths of its size."""
        return sum(map(self.widths.__getitem__, text))


REGULAR: Final = Font(name="Helvetica", key="R", vera="Vera", widths=_Widths(_HELVETICA, "Vera"))
BOLD: Final = Font(name="Helvetica-Bold", key="B", vera="VeraBd", widths=_Widths(_HELVETICA_BOLD, "VeraBd"))
LETTERS: Final = frozenset({ord(letter) for letter in REGULAR.widths} | {ord(letter) for letter in EXTRA})


def runs(text: str) -> list[tuple[bool, str]]:
    """The text in pieces of one font each: whether it is the extra letters' font, and the piece in that font's codes.

    text: letters of LETTERS only.
    """
    if text.isascii() or _EXTRA_LETTERS.isdisjoint(text):
        return [(False, text)]
    pieces = ((extra, "".join(letters)) for extra, letters in groupby(text, _EXTRA_LETTERS.__contains__))
    return [(extra, piece.translate(_TO_CODES) if extra else piece) for extra, piece in pieces]


@cache
def extra_font(vera: str) -> ExtraFont:
    """The extra letters of Vera or VeraBd, the same bytes every time."""
    from reportlab.pdfbase.ttfonts import TTFontFace  # noqa: PLC0415  # takes 70 ms, and few packets need it

    face = TTFontFace(f"{vera}.ttf")
    codes = [ord(letter) for letter in EXTRA]
    program: bytes = face.makeSubset([0x20] * FIRST_EXTRA + codes)
    box = " ".join(str(round(side)) for side in face.bbox)
    return ExtraFont(
        name=f"REFENG+{vera}",
        program=zlib.compress(program, 9),
        program_length=len(program),
        widths=tuple(round(face.charWidths[code]) for code in codes),
        descriptor=(
            f"/Type/FontDescriptor/FontName/REFENG+{vera}/Flags {_SYMBOLIC}/FontBBox[{box}]/ItalicAngle 0"
            f"/Ascent {round(face.ascent)}/Descent {round(face.descent)}/CapHeight {round(face.capHeight)}"
            f"/StemV {round(face.stemV)}"
        ),
    )
