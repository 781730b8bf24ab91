"""One frame's bytes in, a message out that is read only where it is asked; its bytes are kept as they came."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import repeat
from operator import itemgetter
from typing import Final

import msgspec

from referral_engine.base.errors import MessageFault
from referral_engine.hl7 import overwrite
from referral_engine.hl7.encoding import DEFAULT, Delimiters, decode, refuse_wide, unescape
from referral_engine.hl7.path import Path, read_path
from referral_engine.hl7.segment import FIELDS_KNOWN, HEADERS, NO_FIELDS, SPLITS_MAX, Segment, split_fields, text_in

SEGMENTS_MAX: Final = 200_000  # stops a frame of nothing but segment ends; leaves room for a report of one OBX a line
CHOICES_MAX: Final = 1_000  # segments of one name asked about a path's condition; stops 200,000 OBX from being read
HEADER_FIELDS_MAX: Final = 64  # stops a header of a million separators; MSH has 28 fields at most

_HEADER_FIELDS: Final = [""] * 18
_USUAL_HEAD: Final = b"MSH|^~\\&|"
_UTF_8_BOM: Final = b"\xef\xbb\xbf"
_LEADING_MAX: Final = 64  # stops the search for MSH behind blank lines


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What MSH says: decoded texts, "" when absent. Source: HL7 v2.5.1 2.15.9."""

    sending_application: str  # MSH-3.1, else MSH-3.2: a namespace, or an OID alone as 360X has it
    sending_facility: str  # MSH-4.1, else MSH-4.2
    receiving_application: str  # MSH-5.1, else MSH-5.2
    receiving_facility: str  # MSH-6.1, else MSH-6.2
    timestamp: str  # MSH-7.1
    message_code: str  # MSH-9.1
    trigger: str  # MSH-9.2
    control_id: str  # MSH-10 as a whole
    control_id_bytes: bytes  # MSH-10 exactly as received, for MSA-2
    processing_id: str  # MSH-11.1
    version: str  # MSH-12.1
    accept_ack: str  # MSH-15
    application_ack: str  # MSH-16
    declared_charset: str  # MSH-18, first repetition
    raw_fields: tuple[bytes, ...]  # exact bytes; raw_fields[9] is MSH-9

    @property
    def type(self) -> str:
        """Message code and trigger, "ORM^O01" whatever the delimiters; "ACK" where there is no trigger."""
        return f"{self.message_code}^{self.trigger}" if self.trigger else self.message_code


class Message:
    """One HL7 v2 message. Treat it as immutable.

    raw: the bytes as they came, never touched. delimiters: as MSH-1 and MSH-2 say.
    charset: the Python codec the text was read with. charset_flag: "" or how the bytes contradict MSH-18.
    Source: HL7 v2.5.1 2.6.
    """

    __slots__ = (
        "_by_name",
        "_fields",
        "_first_lines",
        "_head_fields",
        "_header",
        "_lf_ends_segments",
        "_lines",
        "_names",
        "_segments",
        "charset",
        "charset_flag",
        "delimiters",
        "raw",
    )

    def __init__(
        self,
        *,
        raw: bytes,
        delimiters: Delimiters,
        lines: list[str],
        head_fields: list[bytes],
        charset: str,
        charset_flag: str,
        lf_ends_segments: bool,
    ) -> None:
        """Use `Message.parse`."""
        self.raw = raw
        self.delimiters = delimiters
        self.charset = charset
        self.charset_flag = charset_flag
        self._lines = lines
        self._head_fields = head_fields
        self._lf_ends_segments = lf_ends_segments
        self._header: Header | None = None
        self._segments: list[Segment] | None = None
        self._names: list[str] = []  # of the segments, one for each line
        self._first_lines: dict[str, str] = {}  # of each name
        self._by_name: dict[str, list[Segment]] = {}  # of the names that were asked for
        self._fields: dict[str, list[str]] = {}  # of the first segment of a name, likewise

    @staticmethod
    def parse(raw: bytes, *, charset: str = "", lf_ends_segments: bool = True) -> Message:
        """Find the header, the delimiters, the character set and the segments; nothing else is looked at.

        raw: one frame's payload. Segments end with CR, LF, CRLF or doubled CR; a byte order mark or empty lines may
        come first, nothing else may.
        charset: the feed's own, used when MSH-18 is empty or wrong.
        lf_ends_segments: False when the feed puts LF inside fields.
        Raises MessageFault, asking for AR, when there is no usable MSH: none at all, text before it, delimiters that
        cannot work (100 to 103), no MSH-9 (101), UTF-16 (102, 103); 102 beyond SEGMENTS_MAX.
        """
        start = 0
        if raw[:3] != b"MSH":
            refuse_wide(raw)
            start = find_header(raw)
        head, delimiters = read_head(raw, start, lf_ends_segments=lf_ends_segments)
        code = head[8] if len(head) > 8 else b""
        if not code or code.startswith(delimiters.component.encode()):
            raise MessageFault("101", "MSH-9", "the message type is missing", reject=True)
        declared = ""
        if len(head) > 17 and head[17]:
            declared = head[17].decode("latin-1").split(delimiters.repetition, 1)[0]
        body = raw
        if start:
            body = (_UTF_8_BOM if _UTF_8_BOM in raw[:start] else b"") + raw[start:]
        text, codec, flag = decode(body, declared, charset)
        if lf_ends_segments and "\n" in text:
            text = text.replace("\n", "\r")
        if len(text) > SEGMENTS_MAX and text.count("\r") > SEGMENTS_MAX:
            raise MessageFault("102", "", f"more than {SEGMENTS_MAX} segments")
        return Message(
            raw=raw,
            delimiters=delimiters,
            lines=text.split("\r"),
            head_fields=head,
            charset=codec,
            charset_flag=flag,
            lf_ends_segments=lf_ends_segments,
        )

    def __repr__(self) -> str:
        """Type and size only: the rest is the patient's."""
        return f"<Message {len(self.raw)} bytes>"

    @property
    def header(self) -> Header:
        """MSH as text, read once."""
        if self._header is None:
            texts = self._lines[0].split(self.delimiters.field, HEADER_FIELDS_MAX)
            self._header = read_header(self._head_fields, texts, self.delimiters)
        return self._header

    @property
    def lines(self) -> list[str]:
        """The decoded text, one item a segment, some of them empty: for whoever wants a few fields of many messages."""
        return self._lines

    @property
    def segments(self) -> list[Segment]:
        """Every segment that is not empty, in order, unknown ones and Z-segments included."""
        if self._segments is None:
            segments = [Segment(line, self.delimiters) for line in self._texts() if line]
            if self._by_name:  # the ones that were handed out stay the same ones
                known = {name: iter(found) for name, found in self._by_name.items() if found}
                segments = [next(known[one.name]) if one.name in known else one for one in segments]
            self._segments = segments
        return self._segments

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        found = self._by_name.get(name) or self._named(name)
        return found[0] if found else None

    def all(self, name: str) -> list[Segment]:
        """Every segment of that name, in order; the caller's own list."""
        return list(self._by_name.get(name) or self._named(name))

    def count(self, name: str) -> int:
        """How many segments of that name there are."""
        return self._names.count(name) if name in (self._first_lines or self._index()) else 0

    def fields(self, name: str) -> list[str]:
        """`Segment.fields` of the first segment of that name; nothing but "" when there is none.

        Item 0 is the name, and so "" for a segment that is absent. The list is not the caller's own.
        """
        return self._fields.get(name) or self._split_first(name)

    def value(self, path: str) -> str:
        """The unescaped text at a path such as "OBR-4.1" or "PID-3[2].4.1", in the first segment of that name.

        "OBX[3.1=REFTO]-5.1" means the first OBX whose OBX-3.1 is REFTO. What the path leaves out is 1. "" when absent
        or the HL7 null. Raises AssertionError for a bad path and MessageFault beyond the segment's limits.
        """
        place = read_path(path) or Path.parse(path)
        if place.where is None and place.subcomponent < 2 and place.repetition < 2:
            return self.text(place.segment, place.field, place.component or 1)
        segment = next(iter(self.chosen(place)), None)
        if segment is None:
            return ""
        return segment.text(place.field, place.component or 1, place.subcomponent or 1, place.repetition or 1)

    def text(self, name: str, field: int, component: int = 1) -> str:
        """`Segment.text` of the first segment of that name; "" when there is none."""
        if name in HEADERS or not 0 < field <= FIELDS_KNOWN:
            segment = self.first(name)
            return "" if segment is None else segment.text(field, component)
        text = (self._fields.get(name) or self._split_first(name))[field]
        return text_in(text, self.delimiters, component) if text else ""

    def chosen(self, place: Path) -> list[Segment]:
        """Every segment that a path's name and condition mean, in order, among the first CHOICES_MAX of the name."""
        found = self._by_name.get(place.segment) or self._named(place.segment)
        where = place.where
        return list(found) if where is None else [one for one in found[:CHOICES_MAX] if where.picks(one)]

    def with_fields(self, changes: Mapping[str, str]) -> bytes:
        """A copy of the raw bytes with the places named overwritten, everything else byte for byte as it was.

        changes: {"IN1-15": "PPO", "PID-5.1": ...}: path to plain text, which is escaped here; "" empties the place. A
        path without component or repetition replaces the whole field. Missing fields are added; a missing segment is
        added at the end. The first segment of the name is meant.
        Raises MessageFault 102 when a text cannot be written in the message's character set; AssertionError for a
        bad path, one with a condition, MSH-1 or MSH-2.
        """
        return overwrite.overwrite(
            self.raw,
            {_place_to_write(path): text for path, text in changes.items()},
            self.delimiters,
            self.charset,
            lf_ends_segments=self._lf_ends_segments,
        )

    def _named(self, name: str) -> list[Segment]:
        """The segments of one name, made when they are first asked for: most of a message's never are."""
        count = self.count(name)
        if self._segments is not None:
            found = [segment for segment in self._segments if segment.name == name] if count else []
        elif count == 1:
            found = [Segment(self._first_lines[name], self.delimiters)]
        else:
            named = zip(self._names, self._texts(), strict=True)
            found = [Segment(line, self.delimiters) for one, line in named if one == name]
        self._by_name[name] = found
        return found

    def _split_first(self, name: str) -> list[str]:
        """The fields of the first segment of that name, split once: without a `Segment`, where nobody asked for one."""
        line = (self._first_lines or self._index()).get(name)
        if line is None:
            fields = NO_FIELDS
        elif name in self._by_name:
            fields = self._by_name[name][0].fields()
        else:
            separator = self.delimiters.field
            fields = line.split(separator, SPLITS_MAX)
            if len(fields) > SPLITS_MAX or name in HEADERS:
                fields = split_fields(line, separator)
            fields = fields + NO_FIELDS
        self._fields[name] = fields
        return fields

    def _index(self) -> dict[str, str]:
        """The first line of each name; and the name of every line. Done once, in C: it is done for every message."""
        lines = self._texts()
        self._names = names = list(map(itemgetter(0), map(str.partition, lines, repeat(self.delimiters.field))))
        self._first_lines = dict(zip(reversed(names), reversed(lines), strict=True))
        return self._first_lines

    def _texts(self) -> list[str]:
        """The segments' texts, some of them empty."""
        if self._lf_ends_segments:
            return self._lines
        return [line.removeprefix("\n") for line in self._lines]


def _place_to_write(path: str) -> Path:
    """A path whose place can be made when it is missing."""
    place = Path.parse(path)
    assert place.where is None, "a place to write is named without a condition"
    return place


def write(message: Message) -> bytes:
    """The bytes of an untouched message: exactly those received."""
    return message.raw


def groups(message: Message, start: str | tuple[str, ...] = "OBR") -> list[list[Segment]]:
    """Segments grouped by position: each group begins at a segment named `start` and runs to the next such segment.

    start: one name, or several that may open a group together in that order: ("ORC", "OBR") keeps an OBR with the
    ORC before it, and begins a new group at an OBR that follows an OBR. What stands before the first group is left out.
    """
    names = (start,) if isinstance(start, str) else start
    found: list[list[Segment]] = []
    reached = len(names)  # how far the present group's opening has come
    for segment in message.segments:
        if segment.name in names:
            rank = names.index(segment.name)
            if not found or rank <= reached:
                found.append([])
            reached = rank
        if found:
            found[-1].append(segment)
    return found


def read_head(raw: bytes, start: int, *, lf_ends_segments: bool = True) -> tuple[list[bytes], Delimiters]:
    """The exact bytes of the header segment at `start`, split by MSH-1: item 8 is MSH-9; and the delimiters.

    Raises MessageFault as `Delimiters.from_msh` does.
    """
    end = raw.find(b"\r", start)
    if lf_ends_segments:
        line_end = raw.find(b"\n", start, end if end >= 0 else len(raw))
        end = line_end if line_end >= 0 else end
    head = raw[start : end if end >= 0 else len(raw)]
    delimiters = DEFAULT if head[:9] == _USUAL_HEAD else Delimiters.from_msh(head[:16])
    return head.split(delimiters.field.encode(), HEADER_FIELDS_MAX), delimiters


def read_header(head: list[bytes], texts: list[str], delimiters: Delimiters) -> Header:
    """MSH by name, from its exact fields (`read_head`) and the same fields decoded; item 8 of both is MSH-9."""
    texts = texts + _HEADER_FIELDS
    code, _, rest = texts[8].split(delimiters.repetition, 1)[0].partition(delimiters.component)
    sides = "".join(texts[2:7])
    if delimiters.component in sides or delimiters.escape in sides:
        first = [_first(text, delimiters) or _universal(text, delimiters) for text in texts[2:6]]
        first.append(_first(texts[6], delimiters))
    else:  # as nearly everybody names himself
        first = texts[2:7]
    return Header(
        sending_application=first[0],
        sending_facility=first[1],
        receiving_application=first[2],
        receiving_facility=first[3],
        timestamp=first[4],
        message_code=code,
        trigger=rest.split(delimiters.component, 1)[0],
        control_id=unescape(texts[9], delimiters),
        control_id_bytes=head[9] if len(head) > 9 else b"",
        processing_id=_first(texts[10], delimiters),
        version=_first(texts[11], delimiters),
        accept_ack=texts[14],
        application_ack=texts[15],
        declared_charset=texts[17].split(delimiters.repetition, 1)[0],
        raw_fields=(b"", delimiters.field.encode(), *head[1:]),
    )


def _first(text: str, delimiters: Delimiters) -> str:
    """The first component of a header field, unescaped."""
    if delimiters.component in text:
        text = text[: text.index(delimiters.component)]
    return unescape(text, delimiters) if delimiters.escape in text else text


def _universal(text: str, delimiters: Delimiters) -> str:
    """The second component of a header field that has no first one."""
    if not text.startswith(delimiters.component):
        return ""
    return _first(text[1:], delimiters)


_LEADING: Final = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*(?:\xef\xbb\xbf)?")


def find_header(raw: bytes) -> int:
    """Where MSH begins behind a byte order mark or empty lines; where it should begin, when it does not."""
    match = _LEADING.match(raw, 0, _LEADING_MAX)
    return match.end() if match else 0
