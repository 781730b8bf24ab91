"""What a specialist's office gets on paper in, one PDF out: a cover sheet without a patient, then the packet."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from referral_engine.channels.channel import FaxTransport, SpoolTransport
from referral_engine.loop.effects import Purpose, Send
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import Urgency
from referral_engine.render.fonts import LETTERS
from referral_engine.render.letters import Printer
from referral_engine.render.packet import Block, Paragraph, packet, written_date
from referral_engine.render.pages import Cover, draw, lines_of, paged
from referral_engine.render.setting import Setting

PAGES_MAX: Final = 200  # of a packet for a folder; a fax has its channel's own limit
_PAGES_LEAST: Final = 2  # a cover sheet and one page
_TITLES: Final[Mapping[Purpose, str]] = MappingProxyType(
    {
        Purpose.ORDER: "Referral",
        Purpose.FALLBACK_ORDER: "Referral",
        Purpose.ORDER_CHANGE: "Changed referral",
        Purpose.SECOND_NOTICE: "SECOND NOTICE",
        Purpose.CANCEL: "Referral cancelled",
        Purpose.STATUS_CHECK: "Status request",
        Purpose.NOTE_PING: "Consult note request",
        Purpose.RECORDS_REQUEST: "Records request",
    }
)
_WARNING: Final = (
    "These pages are for the office named above only. If they reached you by mistake, do not read, copy or pass on what"
    " follows: call the sender now at the number above and destroy every page."
)
_REPLY: Final = "Please write the referral number on everything you send back, or put this page on top."
_LOST: Final = (
    "PLEASE NOTE: a name or text contains letters this fax cannot print; each is shown as [?]. Please call us."
)
_SIMPLIFIED: Final = "PLEASE NOTE: some letters are printed without their marks, because this fax cannot print them."


def fax_packet(send: Send, referral: Referral, setting: Setting, transport: FaxTransport | SpoolTransport) -> bytes:
    """The PDF; at most the channel's pages, cover included, and it says so on the cover and first of all when cut."""
    printer = Printer(letters=LETTERS)
    pages_max = max(transport.pages_max if isinstance(transport, FaxTransport) else PAGES_MAX, _PAGES_LEAST)
    head = _head(referral)
    blocks = packet(send, referral, setting)
    printer.printable(head)
    pages, cut = paged(lines_of(blocks, printer), pages_max - 1)
    notes = _notes(setting, lost=printer.lost, simplified=printer.simplified)
    if notes or cut:
        ending = _cut_notes(setting, pages_max) if cut else []
        pages, _ = paged(lines_of([*notes, *ending, *blocks], printer), pages_max - 1)
    cover = _cover(send, referral, setting, transport, cut=cut)
    return draw(cover, pages, head, printer)


def _cover(
    send: Send, referral: Referral, setting: Setting, transport: FaxTransport | SpoolTransport, *, cut: bool
) -> Cover:
    """The sheet on top."""
    channel, practice = setting.specialist(), setting.engine.practice
    facts = [("To", channel.title)]
    if isinstance(transport, FaxTransport):
        facts.append(("Fax", transport.number))
    facts += [
        ("From", practice.name),
        ("Telephone", practice.phone),
        ("Date", setting.at.astimezone(setting.zone).strftime("%Y-%m-%d %H:%M")),
        ("Pages", "{pages}, this sheet included"),
        ("Referral no.", referral.id),
    ]
    notes = [_REPLY]
    if cut:
        notes.append(f"This packet is longer than a fax may be here and was cut. {_call(setting)}")
    title = _TITLES[send.purpose]
    return Cover(
        title=f"URGENT - {title}" if referral.order.urgency is Urgency.URGENT else title,
        facts=tuple((label, text) for label, text in facts if text),
        notes=tuple(notes),
        sheet="FAX" if isinstance(transport, FaxTransport) else "REFERRAL PACKET",
        referral=referral.id,
        warning=_WARNING,
    )


def _notes(setting: Setting, *, lost: bool, simplified: bool) -> list[Block]:
    """What the reader must know of the print before reading it."""
    notes: list[Block] = []
    if lost:
        notes.append(Paragraph(f"{_LOST} {setting.engine.practice.phone}".rstrip(), strong=True))
    if simplified:
        notes.append(Paragraph(_SIMPLIFIED, strong=True))
    return notes


def _cut_notes(setting: Setting, pages_max: int) -> list[Block]:
    """That pages are missing, and how to get them."""
    sentence = f"PLEASE NOTE: this packet was cut at {pages_max} pages; its end is missing. {_call(setting)}"
    return [Paragraph(sentence, strong=True)]


def _call(setting: Setting) -> str:
    """How to ask for more."""
    phone = setting.engine.practice.phone
    return f"Call {phone} for the rest." if phone else "Call us for the rest."


def _head(referral: Referral) -> str:
    """Name, birth date and referral on every page of the packet."""
    person = referral.patient
    name = f"{person.family.reveal()}, {person.given.reveal()}".strip(", ")
    return f"{name}   born {written_date(person.born_on.reveal())}   {referral.id}"
