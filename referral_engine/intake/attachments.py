"""The OBX segments of a report in, what they hold out: words, attachments by their true type, pointers, one hash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from referral_engine.hl7.encoding import unescape
from referral_engine.hl7.segment import NULL, Segment
from referral_engine.intake.encapsulated import (
    BARE,
    PIECES_MAX,
    Attachment,
    AttachmentKind,
    Piece,
    attachments_in,
    document_as_text,
    goes_on,
    hash_of,
    is_encapsulated,
    pieces_of,
)

OBSERVATIONS_MAX: Final = 20_000  # OBX that are looked at for what they say; a report of one line each has hundreds
_TEXT_TYPES: Final = frozenset(("TX", "FT", "ST", "VARIES", ""))
_DISCRETE: Final = frozenset(("NM", "SN", "CE", "CWE", "CNE", "DT", "TM", "TS", "DTM", "CX", "XCN", "ID", "IS"))
_CALLED: Final[dict[str, frozenset[AttachmentKind]]] = {  # a word of what it calls itself, and the types it may then be
    "pdf": frozenset(("pdf",)),
    "tif": frozenset(("tiff",)),
    "jpeg": frozenset(("jpeg",)),
    "jpg": frozenset(("jpeg",)),
    "png": frozenset(("png",)),
    "rtf": frozenset(("rtf",)),
    "html": frozenset(("html",)),
    "xml": frozenset(("cda", "html", "unknown")),
}


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """All that the OBX of one report hold.

    words: how many characters of text there are, blanks and line ends aside. content: a hash of all of it, texts and
    attachments, in 64 hexadecimal digits; "" when there is nothing, or too much to be compared.
    documents: the clinical documents among it. notes: what is odd, for a person, without values.
    """

    words: int = 0
    attachments: tuple[Attachment, ...] = ()
    content: str = ""
    documents: tuple[bytes, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is there: no word, no attachment, no pointer."""
        return not self.words and not self.attachments

    @property
    def readable(self) -> bool:
        """Whether any attachment or pointer can be made use of."""
        return any(not one.is_broken for one in self.attachments)

    @property
    def is_broken(self) -> bool:
        """Whether an attachment cannot be read."""
        return any(one.is_broken for one in self.attachments)


def read_contents(observations: Sequence[Segment]) -> Contents:
    """What the OBX say; never raises but MessageFault 102 beyond a segment's limits.

    OBX-2 ED, or an OBX-5 that is one whatever OBX-2 says, is an attachment; parts in several OBX with the same OBX-3
    and OBX-4, or in repetitions, are joined in order. RP is a pointer, which is never followed. All else is text.
    Source: HL7 v2.5.1 2.A.24 (ED), 2.A.64 (RP), 7.4.2.5 (OBX-5), table 0299.
    """
    lines: list[str] = []
    pieces: list[Piece] = []
    pointers: list[Attachment] = []
    component = observations[0].delimiters.component if observations else ""
    for obx in observations[:OBSERVATIONS_MAX]:
        value = obx.field(5)
        if not value or value == NULL:
            continue
        kind = obx.field(2)
        if kind in _TEXT_TYPES and component not in value and not value.startswith(BARE) and not pieces:
            lines.append(value)  # most lines
            continue
        kind = kind.strip().upper()
        if kind == "RP":
            pointers += _pointers(obx, value)
        elif is_encapsulated(kind, value, obx) or (pieces and goes_on(pieces[-1], obx, value)):
            pieces += pieces_of(obx, value)
        elif kind in _TEXT_TYPES:
            lines.append(value)
        elif value.strip(f"{component}{obx.delimiters.repetition} "):
            lines.append(f"{obx.text(3)}={value}" if kind in _DISCRETE else value)
    attachments = [*attachments_in(pieces), *pointers]
    text = _text(lines, observations[0]) if lines else ""
    if text.startswith("<") and "ClinicalDocument" in text[:4096]:
        raw = unescape("\n".join(lines), observations[0].delimiters).encode("utf-8", "replace")
        attachments.append(document_as_text(raw, observations[0].text(1)))
        text = ""
    cut = len(observations) > OBSERVATIONS_MAX
    return Contents(
        words=len(text) - text.count(" "),
        attachments=tuple(attachments),
        content="" if cut else _together(text, attachments),
        documents=tuple(one.document for one in attachments if one.document is not None),
        notes=tuple(dict.fromkeys(_notes(attachments, cut=cut))),
    )


def _pointers(obx: Segment, value: str) -> Iterator[Attachment]:
    """RP: where something lies; the text is kept and hashed, nothing is fetched."""
    for one in value.split(obx.delimiters.repetition, PIECES_MAX):
        if unescape(one, obx.delimiters).strip(obx.delimiters.component + obx.delimiters.subcomponent + " \n"):
            content = hash_of(one.encode("utf-8", "replace"))
            yield Attachment(kind="pointer", size=0, set_ids=(obx.text(1),), content=content)


def _text(lines: list[str], obx: Segment) -> str:
    """Text of many OBX and repetitions as one: escapes read, every run of blanks and line ends one blank."""
    delimiters = obx.delimiters
    text = "\n".join(lines)
    if delimiters.repetition in text:
        text = text.replace(delimiters.repetition, "\n")
    text = " ".join(unescape(text, delimiters).split())
    return text if text.strip(f"{delimiters.component}{delimiters.subcomponent} ") else ""


def _together(text: str, attachments: list[Attachment]) -> str:
    """One hash of all that is there; that of the attachment itself where it is all."""
    if not text and len(attachments) == 1:
        return attachments[0].content
    if any(not one.content for one in attachments):
        return ""
    words = [hash_of(text.encode("utf-8", "replace"))] if text else []
    parts = [*words, *(one.content for one in attachments)]
    if len(parts) == 1:
        return parts[0]
    return hash_of("".join(parts).encode()) if parts else ""


def _notes(attachments: list[Attachment], *, cut: bool) -> Iterator[str]:
    """What a person should know of the attachments; no values."""
    if cut:
        yield f"more than {OBSERVATIONS_MAX} lines: not compared with earlier ones"
    for one in attachments:
        if one.is_broken:
            yield "an attachment cannot be read"
        elif not one.content:
            yield "an attachment is too large to be looked into"
        elif one.kind != "pointer" and _is_misnamed(one):
            yield f"an attachment calls itself something else: it is {one.kind}"


def _is_misnamed(one: Attachment) -> bool:
    called = one.declared.lower()
    fitting = [kinds for word, kinds in _CALLED.items() if word in called]
    return bool(fitting) and all(one.kind not in kinds for kinds in fitting)
