"""A segment and a field number in, one plain value out: an instant, an identifier, a name, a code, a telephone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final, Literal, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from referral_engine.hl7.segment import Segment

Precision = Literal["year", "month", "day", "hour", "minute", "second"]
Value = TypeVar("Value")

_PRECISIONS: Final[dict[int, Precision]] = {
    4: "year",
    6: "month",
    8: "day",
    10: "hour",
    12: "minute",
    14: "second",
}
_INSTANT: Final = re.compile(r"([0-9]{4}(?:[0-9]{2}){0,5})(\.[0-9]{1,9})?([+-][0-9]{4})?")
_OFFSET: Final = re.compile(r"([+-])([0-9]{2})([0-9]{2})$")
_OFFSET_HOURS_MAX: Final = 14  # Kiribati
_USUAL: Final = re.compile(r"([0-9]{8})([0-9]{4}|[0-9]{6})([+-](?:0[0-9]|1[0-4])[0-5][0-9])?")
_INSTANT_LENGTH_MAX: Final = 32  # stops the whole payload from being read as a time
_MINUTES_IN_HOUR: Final = 60


class Instant(msgspec.Struct, frozen=True, kw_only=True):
    """A time as the sender wrote it and as we understand it. Source: HL7 v2.5.1 2.A.22 (DTM), 2.A.77 (TS)."""

    text: str  # as received
    at: datetime  # UTC; the beginning of the day, month or year when that is all that was said
    precision: Precision


def read_instant(text: str, zone: ZoneInfo, header_offset: str = "") -> Instant | None:
    """Read YYYY[MM[DD[HH[MM[SS[.S...]]]]]][+/-ZZZZ]; None when it is empty or not a time, never an exception.

    zone: whose wall clock a time without offset shows. header_offset: MSH-7, or only its offset, where the feed's
    times are to be read with it; used from hour precision on. 24:00 is the next midnight and :60 the next minute. A
    wall-clock time that a clock change skips moves forward by the change; one that happens twice is the first.
    """
    usual = _usual_instant(text, zone, header_offset)
    if usual is not None:
        return usual
    match = _INSTANT.fullmatch(text.split("^", 1)[0].strip()) if len(text) <= _INSTANT_LENGTH_MAX else None
    if match is None:
        return None
    digits, fraction, offset = match.groups(default="")
    if fraction and len(digits) < 14:
        return None
    clock: ZoneInfo | timezone | None = zone
    if offset or (header_offset and len(digits) > 8):
        clock = _read_offset(offset or header_offset, zone)
    if clock is None:
        return None
    try:
        local = _wall_clock(digits, fraction)
        at = None if local is None else local.replace(tzinfo=clock).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if at is None else Instant(text=text, at=at, precision=_PRECISIONS[len(digits)])


def _usual_instant(text: str, zone: ZoneInfo, header_offset: str) -> Instant | None:
    """`read_instant` of a time to the minute or second in the form nearly all have; None: look more carefully."""
    match = _USUAL.fullmatch(text)
    if match is None:
        return None
    day, clock, offset = match.groups("")
    if header_offset and not offset:
        return None
    try:
        local = datetime.fromisoformat(f"{day}T{clock}{offset}")
        at = (local if offset else local.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):  # 24:00 and :60 among them
        return None
    return Instant(text=text, at=at, precision="second" if len(clock) == 6 else "minute")


def read_date(text: str) -> date | None:
    """The calendar day as written, for births: times and offsets after it are ignored; None when there is none."""
    match = _INSTANT.fullmatch(text.split("^", 1)[0].strip()) if len(text) <= _INSTANT_LENGTH_MAX else None
    if match is None or len(match[1]) < 8:
        return None
    try:
        return date(int(match[1][:4]), int(match[1][4:6]), int(match[1][6:8]))
    except ValueError:
        return None


def _wall_clock(digits: str, fraction: str) -> datetime | None:
    """The naive time that the digits spell; ValueError or OverflowError when they spell none."""
    padded = digits + "00000101000000"[len(digits) :]
    year, month, day = int(padded[:4]), int(padded[4:6]), int(padded[6:8])
    hour, minute, second = int(padded[8:10]), int(padded[10:12]), int(padded[12:14])
    more = timedelta()
    if hour == 24 and minute == second == 0 and not fraction.strip(".0"):
        hour, more = 0, timedelta(days=1)
    elif second == 60:
        second, more = 0, timedelta(minutes=1)
        fraction = ""
    micros = int(fraction[1:7].ljust(6, "0")) if fraction else 0
    return datetime(year, month, day, hour, minute, second, micros) + more  # noqa: DTZ001  # the zone follows


def _read_offset(text: str, otherwise: ZoneInfo) -> ZoneInfo | timezone | None:
    """The offset at a text's end; `otherwise` when it has none; None when it is impossible."""
    match = _OFFSET.search(text)
    if match is None:
        return otherwise
    hours, minutes = int(match[2]), int(match[3])
    if hours > _OFFSET_HOURS_MAX or minutes >= _MINUTES_IN_HOUR:
        return None
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(ahead if match[1] == "+" else -ahead)


# ---------------------------------------------------------------------------------------------------------------------
# Composite types. All numbers count from 1. Texts are exact: nothing is trimmed, no zero is lost; "" is absent or null.


class Identifier(msgspec.Struct, frozen=True, kw_only=True):
    """CX, EI or the identifying part of XCN. Source: HL7 v2.5.1 2.A.14, 2.A.28, 2.A.88."""

    value: str
    authority_namespace: str = ""
    authority_oid: str = ""  # the universal id, whatever its type
    authority_type: str = ""  # "ISO", "DNS", "NPI"
    type: str = ""  # table 0203; "" for EI


class PersonName(msgspec.Struct, frozen=True, kw_only=True):
    """XPN, or the name in XCN. Source: HL7 v2.5.1 2.A.89, 2.A.88."""

    family: str
    given: str = ""
    middle: str = ""
    suffix: str = ""
    prefix: str = ""
    use: str = ""  # table 0200


class Coded(msgspec.Struct, frozen=True, kw_only=True):
    """CE, CWE. Source: HL7 v2.5.1 2.A.12, 2.A.13."""

    code: str
    text: str = ""
    system: str = ""  # table 0396
    alternate_code: str = ""
    alternate_text: str = ""
    alternate_system: str = ""
    original_text: str = ""  # CWE-9


class Telephone(msgspec.Struct, frozen=True, kw_only=True):
    """XTN, as written: no number is normalised here. Source: HL7 v2.5.1 2.A.90, v2.3 2.8.49 (all in the first)."""

    number: str  # XTN-1, else XTN-12, else country, area, local and extension joined
    use: str = ""  # XTN-2, table 0201
    equipment: str = ""  # XTN-3, table 0202; CP is a mobile
    email: str = ""  # XTN-4, or XTN-1 when that is an address


def read_cx(segment: Segment, field: int, repetition: int = 1) -> Identifier | None:
    """An identifier with check digit (PID-3); None when CX-1 is empty."""
    return _identifier(segment, field, repetition, value=1, authority=4, kind=5)


def read_ei(segment: Segment, field: int, repetition: int = 1) -> Identifier | None:
    """An entity identifier (ORC-2, SCH-1, TXA-12); None when EI-1 is empty."""

    def part(component: int) -> str:
        return segment.text(field, component, 1, repetition)

    if not part(1):
        return None
    return Identifier(value=part(1), authority_namespace=part(2), authority_oid=part(3), authority_type=part(4))


def read_xcn_identifier(segment: Segment, field: int, repetition: int = 1) -> Identifier | None:
    """A person's identifier (ORC-12, OBR-16); None when XCN-1 is empty."""
    return _identifier(segment, field, repetition, value=1, authority=9, kind=13)


def read_xpn(segment: Segment, field: int, repetition: int = 1) -> PersonName | None:
    """A person's name (PID-5); None when family and given name are empty."""
    return _name(segment, field, repetition, first=1, use=7)


def read_xcn(segment: Segment, field: int, repetition: int = 1) -> PersonName | None:
    """The name of a numbered person (ORC-12); None when family and given name are empty."""
    return _name(segment, field, repetition, first=2, use=10)


def read_coded(segment: Segment, field: int, repetition: int = 1) -> Coded | None:
    """A coded element (OBR-4, DG1-3); None when code, text and alternates are all empty."""

    def part(component: int) -> str:
        return segment.text(field, component, 1, repetition)

    coded = Coded(
        code=part(1),
        text=part(2),
        system=part(3),
        alternate_code=part(4),
        alternate_text=part(5),
        alternate_system=part(6),
        original_text=part(9),
    )
    said = coded.code or coded.text or coded.alternate_code or coded.alternate_text or coded.original_text
    return coded if said else None


def read_xtn(segment: Segment, field: int, repetition: int = 1) -> Telephone | None:
    """A telephone number or e-mail address (PID-13, PRD-5); None when there is neither."""

    def part(component: int) -> str:
        return segment.text(field, component, 1, repetition)

    number, email = part(1), part(4)
    if "@" in number:
        number, email = "", email or number
    if not number:
        number = part(12)
    if not number:
        number = " ".join(piece for piece in (part(5), part(6), part(7)) if piece)
        number += f" X{part(8)}" if number and part(8) else ""
    if not number and not email:
        return None
    return Telephone(number=number, use=part(2), equipment=part(3), email=email)


def read_each(
    read: Callable[[Segment, int], Value | None],
    segment: Segment,
    field: int,
) -> list[Value]:
    """Every repetition of a field through one of the readers above, empty ones left out, such as (read_cx, pid, 3).

    Raises MessageFault beyond the segment's limits.
    """
    values = (read(segment.alone(field, repetition), field) for repetition in segment.repetitions(field))
    return [value for value in values if value is not None]


def _identifier(
    segment: Segment,
    field: int,
    repetition: int,
    *,
    value: int,
    authority: int,
    kind: int,
) -> Identifier | None:
    """An identifier whose authority is one HD component."""
    text = segment.text(field, value, 1, repetition)
    if not text:
        return None
    return Identifier(
        value=text,
        authority_namespace=segment.text(field, authority, 1, repetition),
        authority_oid=segment.text(field, authority, 2, repetition),
        authority_type=segment.text(field, authority, 3, repetition),
        type=segment.text(field, kind, 1, repetition),
    )


def _name(segment: Segment, field: int, repetition: int, *, first: int, use: int) -> PersonName | None:
    """A name whose family name is component `first`."""
    name = PersonName(
        family=segment.text(field, first, 1, repetition),
        given=segment.text(field, first + 1, 1, repetition),
        middle=segment.text(field, first + 2, 1, repetition),
        suffix=segment.text(field, first + 3, 1, repetition),
        prefix=segment.text(field, first + 4, 1, repetition),
        use=segment.text(field, use, 1, repetition),
    )
    return name if name.family or name.given else None
