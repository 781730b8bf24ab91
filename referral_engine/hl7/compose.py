"""Plain values in, segments and messages out, so exact that reading them back gives the same values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeAlias

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.encoding import DEFAULT, Delimiters, escape

_SEGMENT_NAME_LENGTH: Final = 3
_FORBIDDEN: Final = re.compile("[\r\n\x0b\x1c]")


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that is already encoded and goes out as it is; it holds no segment end and no frame byte."""

    text: str


NULL: Final = Raw('""')  # the HL7 null: "delete what you have"

Text: TypeAlias = str | Raw | None
Component: TypeAlias = Text | tuple[Text, ...]
Repetition: TypeAlias = Text | tuple[Component, ...]
Field: TypeAlias = Repetition | Sequence[Repetition]


def segment(name: str, *fields: Field, delimiters: Delimiters = DEFAULT) -> str:
    """One segment without its end; `fields` are numbers 1, 2, 3 and so on.

    A field is text (escaped here), None (empty), NULL, Raw (as it is), a tuple of components (a tuple within is
    subcomponents), or a list of repetitions of any of these. Trailing empties are left out at every level.
    Never for MSH: see `msh`. Source: HL7 v2.5.1 2.6.
    """
    assert len(name) == _SEGMENT_NAME_LENGTH, "a segment's name has three characters"
    return _joined([name, *(_field(value, delimiters) for value in fields)], delimiters.field)


def msh(
    *,
    message_type: tuple[str, ...],
    control_id: str,
    at: datetime,
    sending_application: Repetition = "",
    sending_facility: Repetition = "",
    receiving_application: Repetition = "",
    receiving_facility: Repetition = "",
    processing_id: Repetition = "P",
    version: Repetition = "2.5.1",
    accept_ack: str = "",
    application_ack: str = "",
    country: str = "",
    charset: str = "UNICODE UTF-8",
    delimiters: Delimiters = DEFAULT,
) -> str:
    """The header segment without its end.

    message_type: MSH-9, ("ORM", "O01") or ("SIU", "S12", "SIU_S12"). control_id: MSH-10. at: MSH-7, aware.
    applications, facilities: text or (namespace, universal id, its type). charset: MSH-18, table 0211; "" for ASCII.
    Source: HL7 v2.5.1 2.15.9.
    """
    rest = segment(
        "MSH",
        sending_application,
        sending_facility,
        receiving_application,
        receiving_facility,
        timestamp(at),
        None,
        message_type,
        control_id,
        processing_id,
        version,
        None,
        None,
        accept_ack,
        application_ack,
        country,
        charset,
        delimiters=delimiters,
    )
    return f"MSH{delimiters.field}{delimiters.encoding_characters}{rest[3:]}"


def write(segments: Iterable[str], codec: str = "utf-8") -> bytes:
    """The message's bytes: every segment ended by CR.

    codec: Python's name of the character set that MSH-18 announces.
    Raises MessageFault 102 when a character is outside it, naming the segment.
    """
    out = []
    for text in segments:
        assert not _FORBIDDEN.search(text), "a segment holds no segment end and no frame byte"
        try:
            out.append(text.encode(codec))
        except UnicodeEncodeError:
            sentence = "a character cannot be written in the receiver's character set"
            raise MessageFault("102", text[:3], sentence) from None
    return b"\r".join([*out, b""])


@lru_cache(maxsize=64)  # one batch of messages shares its instant
@lru_cache(maxsize=64)
def timestamp(at: datetime) -> str:
    """An instant as HL7 writes it: YYYYMMDDHHMMSS+0000, whole seconds, UTC. `at` is aware."""
    assert at.tzinfo is not None, "an instant knows its zone"
    utc = at.astimezone(UTC)
    return f"{utc.year:04}{utc.month:02}{utc.day:02}{utc.hour:02}{utc.minute:02}{utc.second:02}+0000"


def _field(value: Field, delimiters: Delimiters) -> str:
    """One field, encoded."""
    if isinstance(value, list):
        return _joined([_repetition(item, delimiters) for item in value], delimiters.repetition)
    assert value is None or isinstance(value, str | Raw | tuple), "a field is text, None, Raw, a tuple or a list"
    return _repetition(value, delimiters)


def _repetition(value: Repetition, delimiters: Delimiters) -> str:
    """One repetition, encoded."""
    if isinstance(value, tuple):
        return _joined([_component(item, delimiters) for item in value], delimiters.component)
    return _text(value, delimiters)


def _component(value: Component, delimiters: Delimiters) -> str:
    """One component, encoded."""
    if isinstance(value, tuple):
        return _joined([_text(item, delimiters) for item in value], delimiters.subcomponent)
    return _text(value, delimiters)


def _text(value: Text, delimiters: Delimiters) -> str:
    """One text, escaped unless it is encoded already."""
    if value is None:
        return ""
    if isinstance(value, Raw):
        assert not _FORBIDDEN.search(value.text), "encoded text holds no segment end and no frame byte"
        return value.text
    return escape(value, delimiters)


def _joined(pieces: list[str], separator: str) -> str:
    """Pieces with separators between them, trailing empty ones left out."""
    while pieces and not pieces[-1]:
        pieces.pop()
    return separator.join(pieces)
