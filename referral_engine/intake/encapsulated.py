"""OBX-5 that hold an attachment in, the attachments out: whole, of a known type, with a hash of their bytes.

Nothing is decoded but the beginning of an attachment, which tells its type, and a clinical document, which is read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from referral_engine.hl7.encoding import unescape
from referral_engine.hl7.segment import Segment
from referral_engine.intake.received import PARTS_MAX

ATTACHMENT_BYTES_MAX: Final = 16 * 1024 * 1024  # decoded; stops one attachment from filling memory when it is read
PIECES_MAX: Final = 10_000  # repetitions of one OBX-5 that are told apart as attachments
DECLARED_MAX: Final = 80  # characters of what an attachment calls itself
SNIFFED: Final = 1024  # bytes that tell a type: a PDF may begin with something else
CONTENT_BITS: Final = 256  # of BLAKE2b, which is quick on every processor, and a scanned letter is long

AttachmentKind = Literal[
    "text", "pdf", "tiff", "jpeg", "png", "rtf", "cda", "html", "pointer", "unknown"
]  # HL7 tables 0191 and 0291 are what senders write; this is what is there

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_BLANKS: Final = b" \t\r\n\v\f"
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_ENCODINGS: Final = frozenset(("BASE64", "HEX"))  # ED.4, table 0299; A is told by its place
BARE: Final = (  # how these types begin in base64: sent as text, without the ED around it
    "JVBERi0", "SUkqA", "TU0AK", "/9j/", "iVBORw0KGgo", "e1xydGY", "PENsaW5pY2Fs", "PD94bWwg",
)  # fmt: skip
_SIGNATURES: Final[tuple[tuple[bytes, AttachmentKind], ...]] = (
    (b"%PDF-", "pdf"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"{\\rtf", "rtf"),
)


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that came with a report, in one OBX-5 or in several that belong together.

    kind: by content; of a pointer only what it says. size: bytes, decoded; of a pointer 0.
    declared: ED.1 to ED.3 as sent. set_ids: OBX-1 of the segments it came in. content: a hash of what is there,
    equal for equal bytes however their base64 was broken into lines; "" for what is too large to look at.
    document: the bytes of a clinical document, for whoever reads it; None for any other type.
    """

    kind: AttachmentKind
    size: int
    declared: str = ""
    set_ids: tuple[str, ...] = ()
    content: str = ""
    is_broken: bool = False  # its base64 cannot be read
    document: bytes | None = None


class Piece(msgspec.Struct):
    """One repetition of an OBX-5 that holds an attachment, or a part of one."""

    key: tuple[str, str]  # OBX-3.1 and OBX-4: parts of one attachment share them
    set_id: str
    declared: str
    encoding: str  # "BASE64", "HEX", "A", or "" where nothing says it
    data: str  # unescaped, once


def is_encapsulated(kind: str, value: str, obx: Segment) -> bool:
    """Whether an OBX-5 is an attachment: by its type, by its ED.4, or by the beginning of base64 itself."""
    if kind == "ED":
        return True
    if value.startswith(BARE) and len(value) > 2 * len("JVBERi0"):
        return " " not in value[:64]
    component = obx.delimiters.component
    if component not in value:
        return False
    head = value.split(component, 5)[:5]
    return any(part.upper() in _ENCODINGS for part in head[1:])


def goes_on(last: Piece, obx: Segment, value: str) -> bool:
    """Whether a line of text is more of the base64 that began, without an ED around it, in the line before."""
    if last.encoding or last.key != (obx.text(3), obx.text(4)):
        return False
    return value.isascii() and not value.encode().translate(None, _BASE64)


def pieces_of(obx: Segment, value: str) -> Iterator[Piece]:
    """The repetitions of an ED, each with what it says of itself."""
    delimiters = obx.delimiters
    key, set_id = (obx.text(3), obx.text(4)), obx.text(1)
    repetitions = value.split(delimiters.repetition, PIECES_MAX) if delimiters.repetition in value else [value]
    for one in repetitions:
        if not one.strip():
            continue
        if delimiters.component not in one:
            yield Piece(key, set_id, "", "", unescape(one, delimiters))
            continue
        parts = one.split(delimiters.component, PARTS_MAX)
        at = next((at for at, part in enumerate(parts[:-1]) if part.strip().upper() in _ENCODINGS), -1)
        if at < 0 and len(parts) > 4 and parts[3].strip().upper() == "A":
            at = 3
        if at >= 0:
            data = delimiters.component.join(parts[at + 1 :]).rstrip(delimiters.component)
            encoding, head = parts[at].strip().upper(), parts[:at]
        else:  # ED.4 is missing: what is long is the data
            data = max(parts, key=len)
            head = parts[: parts.index(data)]
            encoding = ""
        declared = "/".join(part for part in head if part)[:DECLARED_MAX]
        if data.strip():
            yield Piece(key, set_id, unescape(declared, delimiters), encoding, unescape(data, delimiters))


def attachments_in(pieces: Iterable[Piece]) -> Iterator[Attachment]:
    """The attachments that these pieces make up, in order; empty ones are left out."""
    for group in _joined(pieces):
        found = _attachment(group)
        if found.size or found.is_broken:
            yield found


def _joined(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Pieces of the same attachment together: a piece with no beginning of its own belongs to the one before it."""
    group: list[Piece] = []
    for piece in pieces:
        if group and piece.key == group[0].key and _continues(piece, group[0]):
            group.append(piece)
            continue
        if group:
            yield group
        group = [piece]
    if group:
        yield group


def _continues(piece: Piece, first: Piece) -> bool:
    same = piece.encoding in ("", first.encoding)
    return same and kind_of(_beginning(piece)) in ("unknown", "text")


def _beginning(piece: Piece) -> bytes:
    """The first bytes of one piece; b"" where they cannot be read."""
    if piece.encoding == "A":
        return piece.data[:SNIFFED].encode("utf-8", "replace")
    text = "".join(piece.data[: 2 * SNIFFED].split())
    try:
        if piece.encoding == "HEX":
            return bytes.fromhex(text[: len(text) // 2 * 2])
        return binascii.a2b_base64(text[: len(text) // 4 * 4])
    except ValueError:
        return b""


def _attachment(group: list[Piece]) -> Attachment:
    """One attachment, its type found by its content."""
    first = group[0]
    data, size = _read(group)
    if data is None:
        raw = "".join(piece.data for piece in group).encode("utf-8", "replace")
        kind, content, document = kind_of(b""), hash_of(raw), None
    else:
        kind = kind_of(binascii.a2b_base64(data[: SNIFFED // 3 * 4] + b"=="))
        small = size <= ATTACHMENT_BYTES_MAX
        content = hash_of(data) if small else ""
        document = binascii.a2b_base64(data + b"==") if small and kind == "cda" else None
    return Attachment(
        kind=kind,
        size=size,
        declared=first.declared,
        set_ids=tuple(dict.fromkeys(piece.set_id for piece in group)),
        content=content,
        is_broken=data is None,
        document=document,
    )


def _read(group: list[Piece]) -> tuple[bytes | None, int]:
    """The letters of an attachment's base64 and its size in bytes; (None, 0) when it cannot be read.

    Where nothing says how it is written, what reads as base64 is base64, and what has blanks in it may be words.
    """
    encoding = group[0].encoding
    if encoding in ("BASE64", ""):
        letters = _base64(group)
        spoken = not encoding and any(" " in piece.data for piece in group)
        if letters is not None and not (spoken and kind_of(_beginning(group[0])) == "unknown"):
            return letters, len(letters) * 3 // 4
        if not spoken:
            return None, 0
    decoded = _decoded(group)
    return (None, 0) if decoded is None else (base64.b64encode(decoded).rstrip(b"="), len(decoded))


def _base64(group: list[Piece]) -> bytes | None:
    """The letters of base64 and nothing else, unpadded; None when something in it cannot be read.

    Equal bytes have equal letters, whatever lines or segments they were broken into.
    """
    whole = _letters("".join(piece.data for piece in group))
    if whole is None:
        return None
    body = whole.rstrip(b"=")
    if b"=" not in body:
        return None if len(body) % 4 == 1 else body
    parts = [part for part in body.split(b"=") if part]  # every piece was padded by itself
    if any(len(part) % 4 == 1 for part in parts):
        return None
    decoded = b"".join(binascii.a2b_base64(part + b"==") for part in parts)
    return base64.b64encode(decoded).rstrip(b"=")


def _letters(text: str) -> bytes | None:
    """Base64 without blanks and line ends; the letters of its form for addresses are read, others are not."""
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError:
        return None
    odd = data.translate(None, _BASE64)
    if not odd:
        return data
    if odd.strip(_BLANKS + b"-_"):
        return None
    return data.translate(_URL_SAFE, _BLANKS)


def _decoded(group: list[Piece]) -> bytes | None:
    """The bytes of what was sent as hexadecimal digits or as it is; None when they cannot be read."""
    text = "".join(piece.data for piece in group)
    if group[0].encoding != "HEX":
        return text.encode("utf-8", "replace")
    try:
        return bytes.fromhex("".join(text.split()))
    except ValueError:
        return None


def kind_of(head: bytes) -> AttachmentKind:
    """The type of what begins so: by its signature, for XML by its root; "unknown" for what no signature tells."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if b"%PDF-" in head:
        return "pdf"
    start = head.lstrip(b"\xef\xbb\xbf" + _BLANKS)
    if start.startswith(b"<"):
        if b"ClinicalDocument" in start:
            return "cda"
        if start[:512].lower().startswith(b"<!doctype html") or b"<html" in start[:512].lower():
            return "html"
        return "unknown"
    if b"<ClinicalDocument" in head:
        return "cda"
    try:
        text = head[: SNIFFED - 4].decode()
    except UnicodeDecodeError:
        return "unknown"
    return "text" if text and all(letter.isprintable() or letter.isspace() for letter in text) else "unknown"


def document_as_text(raw: bytes, set_id: str) -> Attachment:
    """A clinical document that was sent as text."""
    small = len(raw) <= ATTACHMENT_BYTES_MAX
    content = hash_of(base64.b64encode(raw).rstrip(b"=")) if small else ""
    return Attachment(kind="cda", size=len(raw), set_ids=(set_id,), content=content, document=raw if small else None)


def hash_of(data: bytes) -> str:
    """Of bytes of any length, in hexadecimal digits."""
    return blake2b(data, digest_size=CONTENT_BITS // 8).hexdigest()
