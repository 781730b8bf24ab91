"""A received header in, the bytes of its acknowledgment out; and an acknowledgment's bytes in, its verdict out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal

import msgspec

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.compose import Raw, segment, timestamp
from referral_engine.hl7.encoding import DEFAULT, Delimiters, escape
from referral_engine.hl7.message import Header, Message, find_header, read_head, read_header
from referral_engine.hl7.path import read_path
from referral_engine.hl7.tables import ERROR_TEXTS, AckCode, AckCondition, ErrorCode, lookup

Code = Literal["AA", "AE", "AR", "CA", "CE", "CR"]
Step = Literal["commit", "application"]

ECHO_BYTES_MAX: Final = 250  # stops a broken header from sending the whole payload back; MSH-10 has 199 at most
TEXT_LENGTH_MAX: Final = 80  # MSA-3 in every version
SENTENCE_LENGTH_MAX: Final = 250  # ERR-8
HEADER_SOUGHT_BYTES: Final = 4096  # stops the search for a header in a frame that has none
ERRORS_MAX: Final = 20  # stops one answer from growing longer than its question
_UNFRAMEABLE: Final = b"\x0b\x1c\r\n"  # no echo may break the frame or the segment
_ACK_CODES: Final = frozenset({"ACK", "NAK", "MCF"})
_RESPONSES: Final = frozenset({"ORR", "ORG", "RRI", "RPA"})
_WHEN_UNSAID: Final = b"2.3"  # the version to answer in when MSH-12 is empty


class AckError(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with the message, for ERR; no PHI in it."""

    path: str  # "PID-3", "MSH-9.1"; "" when the whole message is meant
    code: str  # table 0357
    sentence: str
    severity: str = "E"  # table 0516: E, W, I


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer answered. Source: HL7 v2.5.1 2.15.8, 2.15.5."""

    code: str  # MSA-1, one of the six of table 0008
    control_id: str  # MSA-2
    control_id_bytes: bytes  # MSA-2 exactly as received
    text: str  # MSA-3; written by the peer, so it may hold PHI
    error_code: str  # ERR-3.1, else ERR-1.4, else MSA-6.1; "" when none was given
    message_type: str  # "ACK^O01", or a query response or order response that carries MSA

    @property
    def accepted(self) -> bool:
        """Whether the peer took the message: AA or CA."""
        return self.code in ("AA", "CA")


def acknowledge(
    header: Header,
    delimiters: Delimiters,
    codec: str,
    *,
    code: Code,
    control_id: str,
    at: datetime,
    text: str = "",
    errors: Sequence[AckError] = (),
    sending_application: str = "",
    sending_facility: str = "",
) -> bytes:
    """The acknowledgment of one message, in the sender's delimiters, character set and version; unframed.

    header, delimiters, codec: of the received message (`Message.header`, `.delimiters`, `.charset`).
    control_id: our own MSH-10, letters and digits. at: MSH-7, aware. text: MSA-3, no PHI.
    sending_application, sending_facility: our names, where not those that the message was addressed to.
    MSA-2 is MSH-10 byte for byte; echoed fields end at ECHO_BYTES_MAX. ERR-1 and MSA-6 up to v2.4, ERR-2, 3, 4, 8
    from v2.5. Every segment ends with CR. Source: HL7 v2.5.1 2.9.2, 2.9.3, 2.15.5, 2.15.8; v2.4 2.16.5.
    """
    names = (sending_application, sending_facility)
    fields = header.raw_fields
    shape = _shape(fields[3:7], header.trigger, fields[11:13], fields[18:19], header.version, delimiters, codec, names)
    separator = delimiters.field.encode()
    made = (
        shape[0] + timestamp(at).encode() + shape[1] + control_id.encode("ascii") + shape[2]
        + b"\rMSA" + separator + code.encode() + separator + _echo(header, 10)
    )  # fmt: skip
    if not errors and not text:
        return (made if made[-1:] != separator else made.rstrip(separator)) + b"\r"
    return _with_errors(made, header.version, delimiters, codec, text, errors)


def application_after(commit: bytes, control_id: str) -> bytes:
    """The application acknowledgment that follows a commit acknowledgment of ours, with an MSH-10 of its own.

    It says the same of the message: CA becomes AA, CE AE, CR AR. Source: HL7 v2.5.1 2.9.3.2.
    """
    separator = commit[3:4]
    msh, _, rest = commit.partition(b"\r")
    fields = msh.split(separator)
    fields[9] = control_id.encode("ascii")
    code = b"A" + rest[5:6]  # MSA, the separator, C, then what it says
    return separator.join(fields) + b"\rMSA" + separator + code + rest[6:]


@lru_cache(maxsize=1024)
def _shape(  # everything of the header segment that is the same in every answer to one sender
    names: tuple[bytes, ...],
    trigger: str,
    processing_and_version: tuple[bytes, ...],
    charset: tuple[bytes, ...],
    version: str,
    delimiters: Delimiters,
    codec: str,
    ours: tuple[str, str],
) -> tuple[bytes, bytes, bytes]:
    """What stands before MSH-7, between MSH-7 and MSH-10, and behind MSH-10.

    names: MSH-3 to MSH-6 as received; charset: MSH-18 or nothing.
    """
    separator = delimiters.field.encode()
    theirs = [_safe(name) for name in names] + [b""] * 4
    processing, said = ([_safe(one) for one in processing_and_version] + [b"", b""])[:2]
    before = [
        b"MSH",
        delimiters.encoding_characters.encode(),
        _ours(ours[0], delimiters, codec) or theirs[2],
        _ours(ours[1], delimiters, codec) or theirs[3],
        theirs[0],
        theirs[1],
        b"",
    ]
    kind = _message_type(trigger, version, delimiters).encode(codec, "replace")
    behind = [b"", processing or b"P", said or _WHEN_UNSAID, *([b""] * 5), *map(_safe, charset)]
    return separator.join(before), separator.join([b"", b"", kind, b""]), _line(behind, separator)


def _with_errors(
    made: bytes, version: str, delimiters: Delimiters, codec: str, text: str, errors: Sequence[AckError]
) -> bytes:
    """The answer so far with MSA-3, and MSA-6 or ERR as its version has them."""
    separator = delimiters.field.encode()
    modern = at_least(version, (2, 5))
    msa = [made, _ours(text[:TEXT_LENGTH_MAX], delimiters, codec)]
    if errors and not modern:
        coded = _coded(errors[0].code)
        msa += [b"", b"", delimiters.component.join(escape(part, delimiters) for part in coded).encode()]
    segments = [_line(msa, separator).rstrip(separator)]
    segments += [line.encode(codec, "replace") for line in _error_segments(errors, delimiters, modern=modern)]
    return b"\r".join([*segments, b""])


def answer_for_unreadable(
    raw: bytes,
    *,
    control_id: str,
    at: datetime,
    error: AckError | None = None,
    sending_application: str = "",
    sending_facility: str = "",
) -> bytes | None:
    """The best AR that a frame without usable MSH allows: whatever of the header can be read is echoed.

    None when there is nothing to answer (blank), or when the frame looks like an acknowledgment itself.
    Never raises. Source: HL7 v2.5.1 2.9.2.1.
    """
    if not raw.strip(b"\r\n\x00 \xef\xbb\xbf"):
        return None
    start = find_header(raw)
    if raw[start : start + 3] != b"MSH":
        start = max(raw.find(b"MSH", 0, HEADER_SOUGHT_BYTES), 0)  # text before MSH: an echo helps the sender find it
    try:
        head, delimiters = read_head(raw, start)
    except MessageFault:
        head, delimiters = [], DEFAULT
    header = read_header(head, [field.decode("latin-1") for field in head], delimiters)
    if is_ack(header) or b"\rMSA" in raw or b"\nMSA" in raw or raw.startswith(b"MSA"):
        return None
    wrong = error or AckError(path="MSH", code=ErrorCode.SEGMENT_SEQUENCE, sentence="no usable MSH segment")
    return acknowledge(
        header,
        delimiters,
        "latin-1",
        code="AR",
        control_id=control_id,
        at=at,
        text=wrong.sentence,
        errors=(wrong,),
        sending_application=sending_application,
        sending_facility=sending_facility,
    )


def is_enhanced(header: Header) -> bool:
    """Whether the sender asks for enhanced mode: MSH-15 or MSH-16 says something. Source: HL7 v2.5.1 2.9.3."""
    return bool(header.accept_ack.strip('" ') or header.application_ack.strip('" '))


def wanted(header: Header, outcome: Code) -> tuple[Step, ...]:
    """Which acknowledgments the sender wants for this outcome: commit (CA CE CR), application (AA AE AR), both, none.

    outcome: any of the six codes; AA and CA are success. Original mode wants the application's. In enhanced mode an
    empty MSH-15 or MSH-16 says never, and a code outside table 0155 says always.
    Source: HL7 v2.5.1 2.9.2, 2.9.3, table 0155.
    """
    if not is_enhanced(header):
        return ("application",)
    asked: tuple[tuple[Step, str], ...] = (("commit", header.accept_ack), ("application", header.application_ack))
    return tuple(step for step, condition in asked if _is_due(condition.strip('" '), outcome))


def is_ack(header: Header) -> bool:
    """Whether the message is an acknowledgment by its type (ACK, NAK, MCF): it is recorded, never acknowledged."""
    return header.message_code.strip().upper() in _ACK_CODES


def carries_ack(message: Message) -> bool:
    """Whether the message is nothing but an answer to one of ours: an acknowledgment, or a response (RSP) with MSA.

    A response that speaks of an order (ORR, ORG, RRI with ORC-1 or RF1) is news of its own: it is read
    and acknowledged as every message; the acknowledgment of it is never answered, so that nothing goes round.
    """
    if is_ack(message.header):
        return True
    return message.first("MSA") is not None and not _brings_news(message)


def _brings_news(message: Message) -> bool:
    """Whether an application response says something of an order.  Source: HL7 v2.5.1 4.4.2 (ORR), 4.4.5, 11.3."""
    code = message.header.message_code.strip().upper()
    if code not in _RESPONSES:
        return False
    return message.value("ORC-1") != "" or (code in ("RRI", "RPA") and message.first("RF1") is not None)


def read_ack(raw: bytes) -> Ack:
    """Read a peer's answer: any message with MSA, whatever its type.

    Raises MessageFault when it cannot be parsed, has no MSA (100), or MSA-1 is not in table 0008 (103).
    """
    message = Message.parse(raw)
    msa = message.first("MSA")
    if msa is None:
        raise MessageFault("100", "MSA", "the answer has no MSA segment")
    code = lookup(AckCode, msa.text(1))
    if code is None:
        raise MessageFault("103", "MSA-1", "is not one of AA AE AR CA CE CR")
    return Ack(
        code=code,
        control_id=msa.whole(2),
        control_id_bytes=_raw_field(raw, b"MSA", 2, message.delimiters.field.encode()),
        text=msa.whole(3),
        error_code=message.value("ERR-3") or message.value("ERR-1.4") or msa.text(6),
        message_type=message.header.type,
    )


@lru_cache(maxsize=256)
def _ours(value: str, delimiters: Delimiters, codec: str) -> bytes:
    """A text of our own (short: names, numbers, fixed sentences), escaped for this sender."""
    return escape(value, delimiters).encode(codec, "replace")


def _echo(header: Header, number: int) -> bytes:
    """MSH-`number` as it came, without what would break the answer, and not endlessly."""
    if number >= len(header.raw_fields):
        return b""
    return _safe(header.raw_fields[number])


def _safe(field: bytes) -> bytes:
    """A field to echo, without what would break the answer, and not endlessly."""
    return field.translate(None, _UNFRAMEABLE)[:ECHO_BYTES_MAX]


def _line(fields: list[bytes], separator: bytes) -> bytes:
    """A segment's bytes, trailing empty fields left out."""
    while not fields[-1]:
        fields.pop()
    return separator.join(fields)


@lru_cache(maxsize=256)
def at_least(version: str, wanted_version: tuple[int, int]) -> bool:
    """Whether MSH-12 names this version or a later one; False when it names none."""
    major, _, rest = version.strip().partition(".")
    minor = rest.split(".", 1)[0]
    if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        return False
    return len(major) + len(minor) <= ECHO_BYTES_MAX and (int(major), int(minor)) >= wanted_version


def _message_type(trigger: str, version: str, delimiters: Delimiters) -> str:
    """MSH-9 of the answer: ACK up to v2.2, ACK^O01 in v2.3, ACK^O01^ACK from v2.4."""
    trigger = trigger[:ECHO_BYTES_MAX]
    if not trigger or (version and not at_least(version, (2, 3))):
        return "ACK"
    parts = ["ACK", escape(trigger, delimiters)]
    return delimiters.component.join([*parts, "ACK"] if at_least(version, (2, 4)) else parts)


def _coded(code: str) -> tuple[str, str, str]:
    """A code of table 0357 with its text and table."""
    known = lookup(ErrorCode, code)
    return code, ERROR_TEXTS[known] if known else "", "HL70357"


def _error_segments(errors: Sequence[AckError], delimiters: Delimiters, *, modern: bool) -> list[str]:
    """One ERR a problem from v2.5, one ERR for all of them before; none when all is well."""
    shown = errors[:ERRORS_MAX]
    if not shown:
        return []
    if not modern:
        located = [(*_location(error.path, old=True), _coded(error.code)) for error in shown]
        return [segment("ERR", located, delimiters=delimiters)]
    return [
        segment(
            "ERR",
            None,
            _location(error.path, old=False) if error.path else None,
            _coded(error.code),
            error.severity,
            None,
            None,
            None,
            error.sentence[:SENTENCE_LENGTH_MAX],
            delimiters=delimiters,
        )
        for error in shown
    ]


def _location(path: str, *, old: bool) -> tuple[str | Raw, ...]:
    """ERR-1 (segment, sequence, field) or ERR-2 (and repetition, component, subcomponent)."""
    place = read_path(path)
    if place is None:
        return (path[:3], "", "") if old else (path[:3], "1")
    if old:
        return (place.segment, "1", str(place.field))
    numbers = [place.field, place.repetition or 1, place.component, place.subcomponent]
    return (place.segment, "1", *(str(number) if number else "" for number in numbers))


def _is_due(condition: str, outcome: Code) -> bool:
    """Whether MSH-15 or MSH-16 asks for an answer to this outcome."""
    known = lookup(AckCondition, condition)
    if not condition or known is AckCondition.NEVER:
        return False
    if known is AckCondition.ON_ERROR:
        return outcome not in ("AA", "CA")
    if known is AckCondition.ON_SUCCESS:
        return outcome in ("AA", "CA")
    return True


def _raw_field(raw: bytes, name: bytes, number: int, separator: bytes) -> bytes:
    """The exact bytes of one field of the first segment of that name."""
    for line in raw.replace(b"\n", b"\r").split(b"\r"):
        if line.startswith(name + separator):
            fields = line.split(separator, number + 1)
            return fields[number] if number < len(fields) else b""
    return b""
