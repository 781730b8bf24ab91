"""Texts, lines and boxes at places on sheets in, the bytes of a PDF out: the same bytes for the same sheets.

It writes the few kinds of objects that a packet needs, and no dates. Source: ISO 32000-1.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Final

from referral_engine.render.fonts import BOLD, EXTRA, FIRST_EXTRA, REGULAR, VERA_SIZE, Font, extra_font, runs

PAGE_WIDTH: Final = 612.0  # points, letter
PAGE_HEIGHT: Final = 792.0
_FONTS: Final = (REGULAR, BOLD)
_CATALOG, _PAGES, _INFO = 1, 2, 3  # numbers of the objects every file has
_FIRST_FREE: Final = 6  # after those and the two fonts
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "(": "\\(", ")": "\\)"})
_PACKING: Final = 6  # zlib's level: 9 saves nothing here, 1 costs a tenth more bytes
# What the codes of the extra letters mean, for whoever copies or searches the text.
_MEANINGS: Final = (
    "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
    "/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n"
    "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
    "1 begincodespacerange\n<00> <FF>\nendcodespacerange\n"
    f"{len(EXTRA)} beginbfchar\n"
    + "".join(f"<{at:02X}> <{ord(letter):04X}>\n" for at, letter in enumerate(EXTRA, FIRST_EXTRA))
    + "endbfchar\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
)


class Sheet:
    """One page under the pen. x and y are points from the lower left corner; texts are of the fonts' letters only."""

    __slots__ = ("_ink", "extra")

    def __init__(self) -> None:
        self._ink: list[str] = []
        self.extra: set[Font] = set()  # fonts whose extra letters it shows

    def write(self, x: float, y: float, text: str, font: Font, points: float) -> None:
        """A text standing on `y`."""
        shown = []
        for extra, piece in runs(text):
            said = piece.translate(_ESCAPED)
            if extra:
                self.extra.add(font)
                shown.append(f"/{font.extra_key} {points * VERA_SIZE:.2f} Tf ({said}) Tj")
            else:
                shown.append(f"/{font.key} {points:g} Tf ({said}) Tj")
        self._ink.append(f"BT {x:.2f} {y:.2f} Td {' '.join(shown)} ET")

    def line(self, x: float, y: float, to_x: float, width: float) -> None:
        """A level line."""
        self._ink.append(f"{width:g} w {x:.2f} {y:.2f} m {to_x:.2f} {y:.2f} l S")

    def box(self, x: float, y: float, width: float, height: float, line_width: float) -> None:
        """An empty box."""
        self._ink.append(f"{line_width:g} w {x:.2f} {y:.2f} {width:.2f} {height:.2f} re S")

    def bars(self, x: float, y: float, height: float, widths: Iterable[float]) -> None:
        """Bar, gap, bar, ... side by side."""
        for at, width in enumerate(widths):
            if at % 2 == 0:
                self._ink.append(f"{x:.2f} {y:.2f} {width:.2f} {height:.2f} re")
            x += width
        self._ink.append("f")

    def content(self) -> bytes:
        """PDF's content stream, packed."""
        return zlib.compress("\n".join(self._ink).encode("cp1252"), _PACKING)


def pdf(sheets: Sequence[Sheet], title: str) -> bytes:
    """The file."""
    fonts = [_font(font) for font in _FONTS]
    keys = [f"/{font.key} {number} 0 R" for number, font in enumerate(_FONTS, _INFO + 1)]
    first = _FIRST_FREE
    for font in _FONTS:
        if any(font in sheet.extra for sheet in sheets):
            keys.append(f"/{font.extra_key} {first} 0 R")
            extra = _extra_objects(font, first)
            fonts += extra
            first += len(extra)
    kids = " ".join(f"{first + 2 * at} 0 R" for at in range(len(sheets)))
    page_tree = (
        f"<</Type/Pages/Count {len(sheets)}/Kids[{kids}]/MediaBox[0 0 {PAGE_WIDTH:g} {PAGE_HEIGHT:g}]"
        f"/Resources<</ProcSet[/PDF/Text]/Font<<{''.join(keys)}>>>>>>"
    )
    objects = [
        b"<</Type/Catalog/Pages %d 0 R>>" % _PAGES,
        page_tree.encode("ascii"),
        b"<</Title%s/Creator(referral-engine)/Producer(referral-engine)>>" % _text_string(title),
        *fonts,
    ]
    for at, sheet in enumerate(sheets):
        objects.append(b"<</Type/Page/Parent %d 0 R/Contents %d 0 R>>" % (_PAGES, first + 2 * at + 1))
        objects.append(_stream(sheet.content()))
    return _file(objects)


def _file(objects: list[bytes]) -> bytes:
    """The objects, numbered from 1, with the table that says where each begins."""
    out = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"]
    length = len(out[0])
    table = [b"0000000000 65535 f \n"]
    for number, content in enumerate(objects, 1):
        out.append(b"%d 0 obj\n%s\nendobj\n" % (number, content))
        table.append(b"%010d 00000 n \n" % length)
        length += len(out[-1])
    trailer = b"trailer\n<</Size %d/Root %d 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    out += [b"xref\n0 %d\n" % len(table), *table, trailer % (len(table), _CATALOG, _INFO, length)]
    return b"".join(out)


def _stream(packed: bytes, entries: bytes = b"") -> bytes:
    """A stream that zlib packed."""
    return b"<</Length %d/Filter/FlateDecode%s>>\nstream\n%s\nendstream" % (len(packed), entries, packed)


def _text_string(text: str) -> bytes:
    """A text of the file's properties, in any letters."""
    return b"<%s>" % ("\ufeff" + text).encode("utf-16-be").hex().encode("ascii")


def _font(font: Font) -> bytes:
    """One of the fonts every reader has."""
    return b"<</Type/Font/Subtype/Type1/BaseFont/%s/Encoding/WinAnsiEncoding>>" % font.name.encode("ascii")


def _extra_objects(font: Font, first: int) -> list[bytes]:
    """The font of the extra letters, its descriptor, its program and what its codes mean, numbered from `first`."""
    extra = extra_font(font.vera)
    widths = " ".join(map(str, extra.widths))
    last = FIRST_EXTRA + len(EXTRA) - 1
    described = (
        f"<</Type/Font/Subtype/TrueType/BaseFont/{extra.name}/FirstChar {FIRST_EXTRA}/LastChar {last}"
        f"/Widths[{widths}]/FontDescriptor {first + 1} 0 R/ToUnicode {first + 3} 0 R>>"
    )
    return [
        described.encode("ascii"),
        f"<<{extra.descriptor}/FontFile2 {first + 2} 0 R>>".encode("ascii"),
        _stream(extra.program, b"/Length1 %d" % extra.program_length),
        _stream(zlib.compress(_MEANINGS.encode("ascii"), _PACKING)),
    ]
