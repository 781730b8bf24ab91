"""One message with all that is known of how it came; its times and numbers read as every reader here needs them."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final, TypedDict

import msgspec

from referral_engine.base.ident import is_npi
from referral_engine.channels.feed import Feed
from referral_engine.channels.parties import Party
from referral_engine.hl7.encoding import Delimiters, unescape
from referral_engine.hl7.message import Message
from referral_engine.hl7.segment import NULL, Segment
from referral_engine.hl7.types import read_instant
from referral_engine.loop.referral import Identifier, Provider

REPETITIONS_MAX: Final = 20  # of one patient's numbers, telephones or clinicians that are looked at; five is rare
HOUR_LENGTH: Final = len("YYYYMMDDHH")  # a shorter text names no time of day
DAY_LENGTH: Final = len("YYYYMMDD")
PARTS_MAX: Final = 30  # components that are told apart; no type has more
NPI_LENGTH: Final = 10
NPIS_REMEMBERED_MAX: Final = 4096  # stops made-up numbers from filling memory
PROVIDER_LENGTH_MAX: Final = 500  # characters; stops a letter in ORC-12 from being remembered
PROVIDERS_REMEMBERED_MAX: Final = 1024  # stops made-up clinicians from filling memory
NO_NUMBER: Final = Identifier()


class Stamp(TypedDict):
    """What every event of one message has in common."""

    at: datetime
    message: int
    by: str


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A message, who sent it, when it came (UTC), and its number in the journal."""

    message: Message
    party: Party
    at: datetime
    sequence: int

    @property
    def feed(self) -> Feed:
        """The sender's dialect."""
        return self.party.feed

    @property
    def stamp(self) -> Stamp:
        """The common part of its events."""
        return Stamp(at=self.at, message=self.sequence, by=self.party.name)

    def time(self, text: str) -> datetime | None:
        """The instant a text names to the hour or better, UTC; None when it names none.

        A time without an offset is read as the feed's file says: "zone" (usual) is wall clock in the feed's zone, for
        MSH-7's offset is that of the day of sending, and an appointment may lie behind the next clock change; "sender"
        is MSH-7's offset, and the zone's where MSH-7 has none; "utc" is UTC. A wall-clock time that a clock change
        skips moves forward by the change, one that happens twice is the first; 24:00 is the next midnight.
        """
        if len(text) < HOUR_LENGTH:
            return None
        instant = read_instant(text, self.feed.zone, self._assumed_offset())
        return None if instant is None or instant.precision == "day" else instant.at

    def day(self, text: str) -> datetime | None:
        """The instant a text names to the day or better, UTC: the day's beginning when that is all it says.

        A day is one of the feed's zone, whatever the rule for times.
        """
        if len(text) < DAY_LENGTH:
            return None
        instant = read_instant(text, self.feed.zone, self._assumed_offset())
        return None if instant is None or instant.precision in ("year", "month") else instant.at

    def _assumed_offset(self) -> str:
        """What stands in for an offset that a time does not have; "" for the zone's own."""
        rule = self.feed.offset
        if rule == "zone":
            return ""
        return "+0000" if rule == "utc" else self.message.header.timestamp


def text_of(segment: Segment | None, field: int, component: int = 1) -> str:
    """`Segment.text` of a segment that may be absent; quick where there is nothing to take apart."""
    if segment is None:
        return ""
    text = segment.field(field)
    if not text:
        return ""
    if text.isalnum():  # no delimiter is a letter or a digit
        return text if component == 1 else ""
    return segment.text(field, component)


def parts_of(segment: Segment, repetition: str) -> list[str]:
    """The components of one repetition as received, each unescaped; the HL7 null reads as ""."""
    return split_parts(repetition, segment.delimiters)


def split_parts(repetition: str, delimiters: Delimiters) -> list[str]:
    """`parts_of`, where the delimiters are at hand."""
    parts = repetition.split(delimiters.component, PARTS_MAX)
    if delimiters.escape in repetition:
        parts = [unescape(part, delimiters) for part in parts]
    return ["" if part == NULL else part for part in parts] if NULL in parts else parts


def repetitions_of(segment: Segment, field: int) -> list[str]:
    """The repetitions of a field as received, the first REPETITIONS_MAX of them, empty ones left out."""
    return split_repetitions(segment.field(field), segment.delimiters)


def split_repetitions(text: str, delimiters: Delimiters) -> list[str]:
    """`repetitions_of` a field as received."""
    separator = delimiters.repetition
    if separator not in text:
        return [text] if text else []
    return [one for one in text.split(separator, REPETITIONS_MAX)[:REPETITIONS_MAX] if one]


def number_in(segment: Segment | None, field: int) -> Identifier:
    """An EI, such as ORC-2: EI.1 exactly as sent, with its authority EI.2, else EI.3; empty when absent."""
    return NO_NUMBER if segment is None else read_number(segment.field(field), segment.delimiters)


def read_number(text: str, delimiters: Delimiters) -> Identifier:
    """`number_in` of a field as received."""
    if not text:
        return NO_NUMBER
    if text.isalnum():  # no delimiter is a letter or a digit
        return Identifier(value=text)
    if delimiters.repetition in text:
        text = next((one for one in text.split(delimiters.repetition, REPETITIONS_MAX)[:REPETITIONS_MAX] if one), "")
    value, namespace, universal, *_ = *split_parts(text, delimiters), "", ""
    if not value:
        return NO_NUMBER
    return Identifier(value=value, authority=namespace or universal)


def first_number(*places: tuple[Segment | None, int]) -> Identifier:
    """The first of several fields that holds a number; empty when none does."""
    for segment, field in places:
        number = number_in(segment, field)
        if number.value:
            return number
    return NO_NUMBER


def traced_number(what: str, *places: tuple[Segment | None, int]) -> tuple[Identifier, tuple[str, ...]]:
    """`first_number`, and where it stood as `Evidence.fields` says it, such as ("placer SCH-26",); () for nowhere."""
    for segment, field in places:
        if segment is not None:
            number = number_in(segment, field)
            if number.value:
                return number, (f"{what} {segment.name}-{field}",)
    return NO_NUMBER, ()


def traced_npi(*places: tuple[Segment | None, int]) -> tuple[str, tuple[str, ...]]:
    """`first_npi`, and where it stood, such as ("provider AIP-3",); () for nowhere."""
    for segment, field in places:
        if segment is not None:
            number = first_npi((segment, field))
            if number:
                return number, (f"provider {segment.name}-{field}",)
    return "", ()


def first_npi(*places: tuple[Segment | None, int]) -> str:
    """The first valid NPI among several fields' repetitions, in XCN.1, CE.1 or NDL.1.1; "" when there is none."""
    for segment, field in places:
        if segment is None:
            continue
        for repetition in repetitions_of(segment, field):
            number = _number_of(repetition, segment.delimiters)
            if is_valid_npi(number):
                return number
    return ""


def every_npi(received: Received, *places: tuple[Segment | None, int]) -> tuple[str, ...]:
    """Each valid NPI of several fields, once; () from an office itself, which is known by what it sends.

    A letter that came by fax names its author, and often the group or the supervising clinician beside.
    """
    if received.party.kind == "specialist":
        return ()
    found = (first_npi(place) for place in places)
    return tuple(dict.fromkeys(npi for npi in found if npi))


def provider_in(segment: Segment, field: int) -> Provider:
    """The clinician of an XCN: the repetition with a valid NPI, else the first."""
    return read_provider(segment.field(field), segment.delimiters)


def read_provider(text: str, delimiters: Delimiters) -> Provider:
    """`provider_in` of a field as received; remembered, for a site's clinicians are few and each orders often."""
    return _provider(text, delimiters) if len(text) <= PROVIDER_LENGTH_MAX else _provider.__wrapped__(text, delimiters)


@lru_cache(maxsize=PROVIDERS_REMEMBERED_MAX)
def _provider(text: str, delimiters: Delimiters) -> Provider:
    repetitions = split_repetitions(text, delimiters)
    if not repetitions:
        return Provider()
    chosen = repetitions[0]
    if len(repetitions) > 1:
        chosen = next((one for one in repetitions if is_valid_npi(_number_of(one, delimiters))), chosen)
    number, family, given, *_ = *split_parts(chosen, delimiters), "", ""
    return Provider(number=number, family=family.split(delimiters.subcomponent, 1)[0], given=given)


def is_valid_npi(text: str) -> bool:
    """`is_npi`, remembered: a site's clinicians are few and each is named in many messages."""
    return len(text) == NPI_LENGTH and _is_npi(text)


@lru_cache(maxsize=NPIS_REMEMBERED_MAX)
def _is_npi(text: str) -> bool:
    return is_npi(text)


def _number_of(repetition: str, delimiters: Delimiters) -> str:
    """What identifies a person in one repetition: component 1, subcomponent 1."""
    return repetition.split(delimiters.component, 1)[0].split(delimiters.subcomponent, 1)[0]
