"""Blocks in, laid-out pages out, then the PDF's bytes: letter size, 11 point and up, made to survive a fax line.

ReportLab is loaded here and nowhere else; its Vera fonts travel inside the file, so every machine prints the same.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, assert_never

from reportlab.graphics.barcode import code128
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from referral_engine.render.letters import Printer
from referral_engine.render.packet import Block, Choice, Fact, Heading, Paragraph

REGULAR: Final = "Vera"
BOLD: Final = "VeraBd"
PAGE_WIDTH: Final = 612.0  # points, letter
PAGE_HEIGHT: Final = 792.0
MARGIN: Final = 54.0  # fax machines cut what stands closer to the edge
BODY_POINTS: Final = 11.0
LEADING: Final = 15.5
_LABEL_WIDTH: Final = 112.0
_TOP: Final = PAGE_HEIGHT - MARGIN - 40  # below the running head
_BOTTOM: Final = MARGIN + 26  # above the foot
_WIDTH: Final = PAGE_WIDTH - 2 * MARGIN
_LETTERS_MAX: Final = 2_000_000  # of one line of a text: more than fits on the longest packet, which is then cut
_LINES_KEPT_TOGETHER: Final = 3  # a heading is not left alone at a page's end


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a page; `height` is what it takes from the page."""

    text: str
    height: float = LEADING
    x: float = MARGIN
    font: str = REGULAR
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


def load_fonts() -> Printer:
    """Register the fonts once, and say which letters they have."""
    for name in (REGULAR, BOLD):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
    both = [frozenset(pdfmetrics.getFont(name).face.charToGlyph) for name in (REGULAR, BOLD)]
    return Printer(letters=frozenset.intersection(*both) - {0xFFFF})


def lines_of(blocks: list[Block], printer: Printer) -> Iterator[Line]:
    """Every line of the packet, one after another, broken at words."""
    for block in blocks:
        text = printer.printable(block.text) if "\n" not in block.text else ""
        match block:
            case Heading():
                yield Line("", height=10)
                yield Line(text, height=22, font=BOLD, points=13, rule=True)
                yield Line("", height=6)
            case Fact():
                label = printer.printable(block.label)
                if pdfmetrics.stringWidth(label, BOLD, BODY_POINTS) > _LABEL_WIDTH - 8:
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
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(PAGE_WIDTH, PAGE_HEIGHT), invariant=1, pageCompression=1)
    canvas.setTitle(f"Referral {printer.printable(cover.referral)}")
    canvas.setAuthor("")
    canvas.setSubject("")
    canvas.setCreator("referral-engine")
    _draw_cover(canvas, cover, count, printer)
    for at, page in enumerate(pages, 2):
        _draw_head(canvas, printer.printable(head))
        y = _TOP
        for line in page:
            y -= line.height
            _draw_line(canvas, line, y)
        _draw_foot(canvas, f"{cover.referral} - page {at} of {count}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _draw_cover(canvas: Canvas, cover: Cover, count: int, printer: Printer) -> None:
    """Page 1."""
    y = PAGE_HEIGHT - MARGIN - 26
    canvas.setFont(BOLD, 26)
    canvas.drawString(MARGIN, y, cover.sheet)
    canvas.setFont(BOLD, 18)
    canvas.drawRightString(PAGE_WIDTH - MARGIN, y, printer.printable(cover.title))
    y -= 14
    canvas.setLineWidth(2)
    canvas.line(MARGIN, y, PAGE_WIDTH - MARGIN, y)
    y -= 14
    for label, text in cover.facts:
        pieces = list(_broken(text.replace("{pages}", str(count)), printer, REGULAR, _WIDTH - _LABEL_WIDTH, 13))
        for at, piece in enumerate(pieces):
            y -= 21
            if at == 0:
                canvas.setFont(BOLD, 13)
                canvas.drawString(MARGIN, y, label)
            canvas.setFont(REGULAR, 13)
            canvas.drawString(MARGIN + _LABEL_WIDTH, y, piece)
    y = _draw_barcode(canvas, cover.referral, y - 24)
    for note in cover.notes:
        y -= 6
        for piece in _broken(note, printer, REGULAR, _WIDTH):
            y -= LEADING
            canvas.setFont(REGULAR, BODY_POINTS)
            canvas.drawString(MARGIN, y, piece)
    _draw_warning(canvas, cover.warning, printer)
    _draw_foot(canvas, f"{cover.referral} - page 1 of {count}")
    canvas.showPage()


def _draw_barcode(canvas: Canvas, referral: str, y: float) -> float:
    """The referral's number as Code 128 with wide bars, so that a scanner still reads it after two faxes."""
    if not referral.isascii():
        return y
    bars = code128.Code128(referral, barHeight=46, barWidth=1.6, quiet=False)
    y -= 46
    bars.drawOn(canvas, MARGIN, y)
    y -= 18
    canvas.setFont(BOLD, 13)
    canvas.drawString(MARGIN, y, referral)
    return y - 10


def _draw_warning(canvas: Canvas, warning: str, printer: Printer) -> None:
    """The box for whoever receives the fax by mistake."""
    pieces = list(_broken(warning, printer, REGULAR, _WIDTH - 24))
    height = (len(pieces) + 1) * LEADING + 20
    y = _BOTTOM + height
    canvas.setLineWidth(1.2)
    canvas.rect(MARGIN, _BOTTOM, _WIDTH, height)
    y -= 6 + LEADING
    canvas.setFont(BOLD, BODY_POINTS)
    canvas.drawString(MARGIN + 12, y, "CONFIDENTIAL HEALTH INFORMATION FOLLOWS")
    canvas.setFont(REGULAR, BODY_POINTS)
    for piece in pieces:
        y -= LEADING
        canvas.drawString(MARGIN + 12, y, piece)


def _draw_head(canvas: Canvas, head: str) -> None:
    """Whose page it is: sheets of a fax get separated."""
    y = PAGE_HEIGHT - MARGIN - 10
    canvas.setFont(BOLD, BODY_POINTS)
    canvas.drawString(MARGIN, y, next(_cut(head, BOLD, _WIDTH, BODY_POINTS)))
    canvas.setLineWidth(1)
    canvas.line(MARGIN, y - 8, PAGE_WIDTH - MARGIN, y - 8)


def _draw_line(canvas: Canvas, line: Line, y: float) -> None:
    """One line of the packet, its text standing on `y`."""
    if line.label:
        canvas.setFont(BOLD, BODY_POINTS)
        canvas.drawString(MARGIN, y, line.label)
    if line.box:
        canvas.setLineWidth(1.2)
        canvas.rect(MARGIN + 4, y - 1, 11, 11)
        end = line.x + pdfmetrics.stringWidth(line.text, line.font, line.points)
        if line.text.endswith(":"):
            canvas.line(end + 6, y - 2, PAGE_WIDTH - MARGIN, y - 2)
    if line.text:
        canvas.setFont(line.font, line.points)
        canvas.drawString(line.x, y, line.text)
    if line.rule:
        canvas.setLineWidth(0.8)
        canvas.line(MARGIN, y - 4, PAGE_WIDTH - MARGIN, y - 4)


def _draw_foot(canvas: Canvas, text: str) -> None:
    """The number of the referral and of the page."""
    canvas.setFont(REGULAR, BODY_POINTS)
    canvas.drawCentredString(PAGE_WIDTH / 2, MARGIN - 8, text)


def _broken(text: str, printer: Printer, font: str, width: float, points: float = BODY_POINTS) -> Iterator[str]:
    """The text's lines, each at most `width` points wide; its own line breaks are kept, long words are cut."""
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in printer.printable(paragraph[:_LETTERS_MAX]).split(" "):
            tried = f"{line} {word}" if line else word
            if pdfmetrics.stringWidth(tried, font, points) <= width:
                line = tried
                continue
            if line.strip():
                yield line
            *full, line = _cut(word, font, width, points)
            yield from full
        yield line


def _cut(word: str, font: str, width: float, points: float) -> Iterator[str]:
    """A word in pieces that fit."""
    if pdfmetrics.stringWidth(word, font, points) <= width:
        yield word
        return
    step = max(1, int(width / (points * 1.2)))  # no letter is wider
    marks = [*range(0, len(word), step), len(word)]
    for start, end in pairwise(marks):
        yield word[start:end]
