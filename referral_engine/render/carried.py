"""The bytes of a message we pass on in, that message with the usual delimiters out, and the parts that are ours.

What is passed on keeps its characters: nothing here decodes and spells again what a clinician wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.encoding import DEFAULT, Delimiters, escape
from referral_engine.hl7.message import Message
from referral_engine.hl7.results import results_by_order
from referral_engine.hl7.segment import Segment
from referral_engine.render.segments import UTF_8

_LF_ENDS_SEGMENTS: Final = re.compile(rb"[^\r]\n[A-Z][A-Z0-9]{2}[^A-Za-z0-9 ]")
_SEQUENCE: Final = re.compile(  # what `hl7.encoding.unescape` knows; anything else is text
    r"[FSTREPHN]|X(?:[0-9A-Fa-f]{2})+|\.(?i:br|sp|sk|in|ti|fi|nf|ce)[+-]?[0-9]{0,9}"
)


def read_carried(raw: bytes) -> Message | None:
    """The message in `raw`, with the delimiters everyone expects; None when it is empty or not HL7 v2.

    A line feed ends a segment only where the sender ends segments with it; inside a field it stays what it is.
    """
    if not raw:
        return None
    lf_ends_segments = b"\n" in raw and (b"\r" not in raw or _LF_ENDS_SEGMENTS.search(raw) is not None)
    try:
        message = Message.parse(raw, lf_ends_segments=lf_ends_segments)
        if message.delimiters != DEFAULT:
            plain = _usual_delimiters(message).encode(message.charset)
            message = Message.parse(plain, charset=message.charset, lf_ends_segments=lf_ends_segments)
    except MessageFault:
        return None
    return message


def own_groups(segments: Iterable[Segment], placer: str) -> list[Segment]:
    """The segments without the order groups that name another order than `placer`.

    A group begins at an ORC or at an OBR without one. Nothing is left out when no group names `placer`: then the
    sender numbers in its own way, and all of it was matched to this referral.
    """
    kept = list(segments)
    names = [segment.name for segment in kept]
    if names.count("ORC") < 2 and names.count("OBR") < 2:  # most messages
        return kept
    starts = [segment for segment in kept if segment.name in ("ORC", "OBR")]
    if not placer or all(segment.text(2) != placer for segment in starts):
        return kept
    groups: list[list[Segment]] = [[]]
    for segment in kept:
        joins = [known.name for known in groups[-1] if known.name in ("ORC", "OBR", "TXA")] == ["ORC"]
        if segment.name in ("ORC", "TXA") or (segment.name == "OBR" and not joins):
            groups.append([])
        groups[-1].append(segment)
    return [segment for group in groups if not _others(group, placer) for segment in group]


def own_results(segments: Sequence[Segment], placer: str, document: str) -> Sequence[Segment]:
    """The segments without the results of other orders: those that are filed under `document`, else name `placer`.

    Nothing is left out when neither is named: then the sender numbers in its own way, and all of it was matched to
    this referral. In a message of several patients all of it is left out then.
    """
    names = [segment.name for segment in segments]
    patients = names.count("PID")
    if names.count("ORC") < 2 and names.count("OBR") < 2 and patients < 2:  # most messages
        return segments
    orders = results_by_order(segments)
    filed = [order for order in orders if document and document in order.fillers]
    ordered = [order for order in orders if placer and order.placer == placer]
    own = [order for order in filed if order in ordered] or filed or ordered
    if not own and patients < 2:
        return segments
    others = {id(segment) for order in orders if order not in own for segment in order.segments}
    return [segment for segment in segments if id(segment) not in others]


def _others(group: list[Segment], placer: str) -> bool:
    """Whether a group names an order, and only others than `placer`."""
    named = {segment.text(2) for segment in group if segment.name in ("ORC", "OBR")} - {""}
    return bool(named) and placer not in named


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A consult note as it came: its content, and what it says of itself."""

    message: Message
    first: Mapping[str, Segment]  # the first segment of each name, of this order where there are several
    remarks: list[Segment]  # NTE below OBR
    content: list[Segment]  # OBX, and the NTE below them

    @property
    def charset(self) -> str:
        """MSH-18 that is true of these bytes; "" for plain ASCII."""
        message = self.message
        if message.charset_flag or (message.charset == "utf-8" and not message.header.declared_charset):
            return UTF_8
        return "" if message.charset == "ascii" else message.segments[0].field(18)

    @property
    def codec(self) -> str:
        """The Python codec that keeps the bytes; UTF-8 where MSH-18 was no help to anyone."""
        return "utf-8" if self.charset == UTF_8 else self.message.charset

    def field(self, name: str, number: int) -> str:
        """A field of the first segment of that name, as received; "" when absent or the HL7 null."""
        segment = self.first.get(name)
        text = segment.field(number) if segment is not None else ""
        return "" if text == '""' else text

    @property
    def author(self) -> str:
        """Who wrote it, an XCN as received: TXA-9, TXA-5, OBX-16, or OBR-32 with its parts as components."""
        found = self.field("TXA", 9) or self.field("TXA", 5) or self.field("OBX", 16)
        return found or self.field("OBR", 32).split("~", 1)[0].split("^", 1)[0].replace("&", "^")

    @property
    def wrong_patient(self) -> bool:
        """Whether the sender says it was meant for another patient (OBX-11 W)."""
        return any(segment.field(11) == "W" for segment in self.content if segment.name == "OBX")


def read_note(raw: bytes, placer: str, document: str = "") -> Note | None:
    """The consult note in an ORU, an MDM or anything else with OBX; None when there is no message.

    placer: the EHR's order number. document: the number the note is filed under, OBR-3 where it came as a result.
    Of results of several orders only those of this order are taken.
    """
    message = read_carried(raw)
    if message is None:
        return None
    remarks: list[Segment] = []
    content: list[Segment] = []
    first: dict[str, Segment] = {}
    began = False
    for segment in own_results(message.segments, placer, document):
        first.setdefault(segment.name, segment)
        if segment.name == "OBX":
            content.append(segment)
        elif segment.name == "NTE" and began:
            (content or remarks).append(segment)
        began = began or segment.name in ("OBR", "TXA", "OBX")
    return Note(message=message, first=first, remarks=remarks, content=content)


def _usual_delimiters(message: Message) -> str:
    """The message's text written with the usual delimiters; every text in it reads the same as before."""
    source = message.delimiters
    lines = []
    for segment in message.segments:
        if segment.name == "MSH":
            rest = segment.raw.split(source.field, 2)[2:]
            lines.append("|".join(["MSH", DEFAULT.encoding_characters, *(respelled(text, source) for text in rest)]))
        else:
            lines.append(respelled(segment.raw, source))
    return "\r".join([*lines, ""])


def respelled(text: str, source: Delimiters) -> str:
    """A segment's text, or part of one, with the usual delimiters in place of `source`."""
    separators = {
        source.field: "|",
        source.component: "^",
        source.repetition: "~",
        source.subcomponent: "&",
    }
    letters = {
        "F": source.field,
        "S": source.component,
        "T": source.subcomponent,
        "R": source.repetition,
        "E": source.escape,
        "P": source.truncation,
    }
    pieces = text.split(source.escape)
    out: list[str] = []
    at, last = 0, len(pieces) - 1
    while at <= last:
        out += [separators.get(letter) or escape(letter, DEFAULT) for letter in pieces[at]]
        at += 1
        if at > last:
            break
        if at < last and _SEQUENCE.fullmatch(pieces[at]):
            meant = letters.get(pieces[at])
            out.append(f"\\{pieces[at]}\\" if not meant else escape(meant, DEFAULT))
            at += 1
        else:
            out.append(escape(source.escape, DEFAULT))
    return "".join(out)
