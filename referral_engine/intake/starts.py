"""Where a scheduling message says when the appointment is: the feed's places in order, and what speaks against them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from referral_engine.base.values import replace
from referral_engine.hl7.path import Path, read_path
from referral_engine.hl7.types import read_instant
from referral_engine.intake.reading import joined
from referral_engine.intake.received import DAY_LENGTH, HOUR_LENGTH, Received

HOURS_REMEMBERED_MAX: Final = 1024  # hours of all senders; stops made-up clocks from filling memory

_NO_TIME_OF_DAY: Final = frozenset(("0000", "2359", "2400"))  # what is sent for "some time that day"
_COARSE: Final = frozenset(("Y", "L", "D"))  # TS.2 up to v2.5.1: the year, the month, the day; the rest is padding
_MINUTE_LENGTH: Final = len("YYYYMMDDHHMM")


def starts_at(received: Received, *, will_book: bool) -> tuple[datetime | None, str]:
    """The start, UTC, from the surest of `Feed.starts` with a readable time of day, and what makes it doubtful.

    will_book: the start is about to become an appointment's, so its time of day and its zone matter.
    Places that disagree are both named: the surer one is taken, and a person can see that there was another.
    Source: HL7 v2.5.1 4.5.4.7 (TQ1-7), 10.6.1.11 (SCH-11), 10.6.4 to 10.6.7 (AIS to AIP).
    """
    found: datetime | None = None
    taken = taken_from = doubt = ""
    for path, place, text in _texts(received):
        if text == taken:
            continue
        at = received.time(text)
        if at is None or _is_padded(received, place, text):
            continue
        if found is None:
            found, taken, taken_from = at, text, path
        elif at != found:
            doubt = f"{path} names another start than {taken_from}: {taken_from} was taken"
            break
    if found is None or not will_book:
        return found, doubt
    if taken[DAY_LENGTH:_MINUTE_LENGTH] in _NO_TIME_OF_DAY:
        doubt = joined(doubt, "the start's time of day is one that is sent when none is known")
    return found, joined(doubt, _zone_doubt(received, taken))


def _zone_doubt(received: Received, text: str) -> str:
    """A warning when a time is read in the feed's zone and the sender's clock runs in another."""
    sent = received.message.header.timestamp
    if received.feed.offset != "zone" or len(sent) < 13 or sent[-5] not in "+-" or text[-5:-4] in ("+", "-"):
        return ""
    return (
        "" if _runs_in(sent[:HOUR_LENGTH] + sent[-5:], received.feed.zone) else "MSH-7's offset is not the feed's zone"
    )


@lru_cache(maxsize=HOURS_REMEMBERED_MAX)
def _runs_in(hour: str, zone: ZoneInfo) -> bool:
    """Whether a clock of this hour and offset may stand in the zone; remembered, for a feed sends many in an hour.

    hour: YYYYMMDDHH+ZZZZ. True for what is no time: nothing can be said of it.
    """
    instant = read_instant(hour, zone)
    if instant is None or instant.precision != "hour":
        return True
    ahead = timedelta(hours=int(hour[-4:-2]), minutes=int(hour[-2:]))
    return instant.at.astimezone(zone).utcoffset() == (-ahead if hour[-5] == "-" else ahead)


def _texts(received: Received) -> Iterator[tuple[str, Path, str]]:
    """Every place that names a start, and what stands there, surest first."""
    message = received.message
    for path in received.feed.starts:
        place = read_path(path)
        if place is not None and (text := message.value(path)):
            yield _named(place), place, text


def _named(place: Path) -> str:
    """The place for a note: its field, and the component where it is not the first."""
    return f"{place.segment}-{place.field}" + (f".{place.component}" if place.component > 1 else "")


def _is_padded(received: Received, place: Path, text: str) -> bool:
    """Whether the sender says beside a midnight that only the day counts (TS.2)."""
    if place.component > 1 or text[DAY_LENGTH:_MINUTE_LENGTH] != "0000":
        return False
    return received.message.value(str(replace(place, component=2))).upper() in _COARSE
