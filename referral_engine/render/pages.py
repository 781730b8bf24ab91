"""Blocks in, laid-out pages out, then the PDF's bytes: letter size, 12 point and up, made to survive a fax line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from referral_engine.render.barcode import code128
from referral_engine.render.fonts import BOLD, REGULAR, Font
from referral_engine.render.letters import Printer
from referral_engine.render.packet import Block, Choice, Fact, Heading, Paragraph
from referral_engine.render.sheet import PAGE_HEIGHT, PAGE_WIDTH, Sheet, pdf

MARGIN: Final = 54.0  # points; fax machines cut what stands closer to the edge
BODY_POINTS: Final = 12.0
LEADING: Final = 15.5
_FACT_POINTS: Final = 14.0  # on the cover
_LABEL_WIDTH: Final = 112.0
_TOP: Final = PAGE_HEIGHT - MARGIN - 40  # below the running head
_BOTTOM: Final = MARGIN + 26  # above the foot
_WIDTH: Final = PAGE_WIDTH - 2 * MARGIN
_LETTERS_MAX: Final = 2_000_000  # of one line of a text: more than fits on the longest packet, which is then cut
_LINES_KEPT_TOGETHER: Final = 3  # a heading is not left alone at a page's end
_BAR_HEIGHT: Final = 46.0
_BAR_WIDTH: Final = 1.6  # of one module: a scanner still reads it after two faxes


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a page; `height` is what it takes from the page."""

    text: str
    height: float = LEADING
    x: float = MARGIN
    font: Font = REGULAR
    points: float = BODY_POINTS
    label: str = ""  # stands at the margin, bold
    rule: bool = False  # a line across the page below
    box: bool = False  # an empty box before


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """The sheet on top; nothing on it is about a patient."""

    sheet: str  # what kind of paper it is: "FAX"
    title: str
    facts: tuple[tuple[str, str], ...]  # label and text; "{pages}" is filled in
    notes: tuple[str, ...]
    referral: str
    warning: str  # what a wrong recipient must do


def lines_of(blocks: list[Block], printer: Printer) -> Iterator[Line]:
    """Every line of the packet, one after another, broken at words."""
    for block in blocks:
        text = printer.printable(block.text) if "\n" not in block.text else ""
        match block:
            case Heading():
                yield Line("", height=10)
                yield Line(text, height=22, font=BOLD, points=14, rule=True)
                yield Line("", height=6)
            case Fact():
                label = printer.printable(block.label)
                if not _fits(label, BOLD, _LABEL_WIDTH - 8):
                    yield from (Line(broken, font=BOLD) for broken in _broken(label, printer, BOLD, _WIDTH))
                    label = ""
                for at, broken in enumerate(_broken(block.text, printer, REGULAR, _WIDTH - _LABEL_WIDTH)):
                    yield Line(broken, x=MARGIN + _LABEL_WIDTH, label=label if at == 0 else "")
            case Paragraph():
                font = BOLD if block.strong else REGULAR
                for broken in _broken(block.text, printer, font, _WIDTH):
                    yield Line(broken, font=font)
                yield Line("", height=5)
            case Choice():
                yield Line(text, height=26, x=MARGIN + 26, box=True)
            case _:
                assert_never(block)


def paged(lines: Iterator[Line], pages_max: int) -> tuple[list[list[Line]], bool]:
    """The lines on at most `pages_max` pages, and whether any were left over; the rest is not even laid out."""
    pages: list[list[Line]] = [[]]
    left = _TOP - _BOTTOM
    for line in lines:
        needed = line.height + (_LINES_KEPT_TOGETHER * LEADING if line.rule else 0)
        if needed > left:
            if len(pages) == pages_max:
                return pages, True
            pages.append([])
            left = _TOP - _BOTTOM
        if line.text or line.label or pages[-1]:
            pages[-1].append(line)
            left -= line.height
    return pages, False


def draw(cover: Cover, pages: list[list[Line]], head: str, printer: Printer) -> bytes:
    """The PDF: the cover sheet, then the pages with a running head and "referral - page k of n" below."""
    count = len(pages) + 1
    referral = printer.printable(cover.referral)
    running = next(_cut(printer.printable(head), BOLD, _WIDTH, BODY_POINTS))
    sheets = [_cover_sheet(cover, count, printer)]
    for page in pages:
        sheet = Sheet()
        _draw_head(sheet, running)
        y = _TOP
        for line in page:
            y -= line.height
            _draw_line(sheet, line, y)
        sheets.append(sheet)
    for at, sheet in enumerate(sheets, 1):
        _draw_foot(sheet, f"{referral} - page {at} of {count}")
    return pdf(sheets, f"Referral {referral}")


def _cover_sheet(cover: Cover, count: int, printer: Printer) -> Sheet:
    """Page 1."""
    sheet = Sheet()
    y = PAGE_HEIGHT - MARGIN - 26
    sheet.write(MARGIN, y, cover.sheet, BOLD, 26)
    title = printer.printable(cover.title)
    sheet.write(PAGE_WIDTH - MARGIN - BOLD.width(title) * 18 / 1000, y, title, BOLD, 18)
    y -= 14
    sheet.line(MARGIN, y, PAGE_WIDTH - MARGIN, 2)
    y -= 14
    for label, text in cover.facts:
        said = text.replace("{pages}", str(count))
        y -= 21
        sheet.write(MARGIN, y, label, BOLD, _FACT_POINTS)
        for at, piece in enumerate(_broken(said, printer, REGULAR, _WIDTH - _LABEL_WIDTH, _FACT_POINTS)):
            y -= 21 if at else 0
            sheet.write(MARGIN + _LABEL_WIDTH, y, piece, REGULAR, _FACT_POINTS)
    y = _draw_barcode(sheet, cover.referral, y - 24)
    for note in cover.notes:
        y -= 6
        for piece in _broken(note, printer, REGULAR, _WIDTH):
            y -= LEADING
            sheet.write(MARGIN, y, piece, REGULAR, BODY_POINTS)
    _draw_warning(sheet, cover.warning, printer)
    return sheet


def _draw_barcode(sheet: Sheet, referral: str, y: float) -> float:
    """The referral's number as Code 128 and in letters, below `y`; returns where there is room again."""
    if not (referral.isascii() and referral.isprintable()):
        return y
    y -= _BAR_HEIGHT
    sheet.bars(MARGIN, y, _BAR_HEIGHT, [modules * _BAR_WIDTH for modules in code128(referral)])
    y -= 18
    sheet.write(MARGIN, y, referral, BOLD, _FACT_POINTS)
    return y - 10


def _draw_warning(sheet: Sheet, warning: str, printer: Printer) -> None:
    """The box for whoever receives the fax by mistake."""
    pieces = list(_broken(warning, printer, REGULAR, _WIDTH - 24))
    height = (len(pieces) + 1) * LEADING + 20
    y = _BOTTOM + height
    sheet.box(MARGIN, _BOTTOM, _WIDTH, height, 1.2)
    y -= 6 + LEADING
    sheet.write(MARGIN + 12, y, "CONFIDENTIAL HEALTH INFORMATION FOLLOWS", BOLD, BODY_POINTS)
    for piece in pieces:
        y -= LEADING
        sheet.write(MARGIN + 12, y, piece, REGULAR, BODY_POINTS)


def _draw_head(sheet: Sheet, head: str) -> None:
    """Whose page it is: sheets of a fax get separated."""
    y = PAGE_HEIGHT - MARGIN - 10
    sheet.write(MARGIN, y, head, BOLD, BODY_POINTS)
    sheet.line(MARGIN, y - 8, PAGE_WIDTH - MARGIN, 1)


def _draw_line(sheet: Sheet, line: Line, y: float) -> None:
    """One line of the packet, its text standing on `y`."""
    if line.label:
        sheet.write(MARGIN, y, line.label, BOLD, BODY_POINTS)
    if line.box:
        sheet.box(MARGIN + 4, y - 1, 11, 11, 1.2)
        if line.text.endswith(":"):
            end = line.x + line.font.width(line.text) * line.points / 1000
            sheet.line(end + 6, y - 2, PAGE_WIDTH - MARGIN, 1.2)
    if line.text:
        sheet.write(line.x, y, line.text, line.font, line.points)
    if line.rule:
        sheet.line(MARGIN, y - 4, PAGE_WIDTH - MARGIN, 0.8)


def _draw_foot(sheet: Sheet, text: str) -> None:
    """The number of the referral and of the page."""
    width = REGULAR.width(text) * BODY_POINTS / 1000
    sheet.write((PAGE_WIDTH - width) / 2, MARGIN - 8, text, REGULAR, BODY_POINTS)


def _broken(text: str, printer: Printer, font: Font, width: float, points: float = BODY_POINTS) -> Iterator[str]:
    """The text's lines, each at most `width` points wide; its own line breaks are kept, long words are cut."""
    room = width * 1000 / points
    space = font.width(" ")
    for paragraph in text.splitlines() or [""]:
        line, used = "", 0
        for word in printer.printable(paragraph[:_LETTERS_MAX]).split(" "):
            wide = font.width(word)
            if not line and wide <= room:
                line, used = word, wide
            elif used + space + wide <= room:
                line, used = f"{line} {word}", used + space + wide
            else:
                if line.strip():
                    yield line
                line = ""
                for piece in _cut(word, font, width, points):
                    if line:
                        yield line
                    line = piece
                used = font.width(line)
        yield line


def _cut(word: str, font: Font, width: float, points: float) -> Iterator[str]:
    """A word in pieces that fit."""
    room = width * 1000 / points
    start = used = 0
    for at, letter in enumerate(word):
        wide = font.widths[letter]
        if used + wide > room and at > start:
            yield word[start:at]
            start, used = at, 0
        used += wide
    yield word[start:]


def _fits(text: str, font: Font, width: float, points: float = BODY_POINTS) -> bool:
    """Whether the text is at most `width` points wide."""
    return font.width(text) * points <= width * 1000
