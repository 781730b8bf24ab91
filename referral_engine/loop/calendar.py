"""Clinic time: opening hours, holidays and zones; the only module where a zone matters to the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

OPEN_DAYS_SEARCHED_MAX = 3_700  # ten years without an open day is a calendar nobody can meet
OFFSETS_KEPT_MAX = 8_192  # days whose offset is remembered: the zone database is asked once a day and zone

Hours = tuple[tuple[time, time], ...]  # opening spans of one day, in order, clinic wall time


def office_hours() -> Mapping[int, Hours]:
    """Monday (0) to Friday (4), 08:00 to 17:00."""
    return {day: ((time(8), time(17)),) for day in range(5)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """When a clinic is open, in its own zone."""

    name: str = "default"
    zone: ZoneInfo
    hours: Mapping[int, Hours] = field(default_factory=office_hours)  # weekday (Monday is 0) to spans
    holidays: frozenset[date] = frozenset()
    special: Mapping[date, Hours] = field(default_factory=dict)  # days with hours of their own, such as a half day

    def open_spans(self, day: date) -> Hours:
        """The spans the clinic is open on `day`; none on a holiday."""
        if day in self.holidays:
            return ()
        own = self.special.get(day) if self.special else None
        return self.hours.get(day.weekday(), ()) if own is None else own


def instant_of(calendar: Calendar, day: date, wall: time) -> datetime:
    """The UTC instant of a clinic wall time.

    A time the spring change skips moves forward by what was skipped; a time the autumn change doubles is the first.
    """
    offset = _offset_on(calendar.zone, day)
    if offset is not None:
        return datetime.combine(day, wall, UTC) - offset
    return datetime.combine(day, wall, calendar.zone).replace(fold=0).astimezone(UTC)


def clinic_time(calendar: Calendar, instant: datetime) -> datetime:
    """What the clinic's clock shows at `instant`, without a zone."""
    universal = instant.astimezone(UTC)
    offset = _offset_during(calendar.zone, universal.date())
    if offset is not None:
        return universal.replace(tzinfo=None) + offset
    return universal.astimezone(calendar.zone).replace(tzinfo=None, fold=0)


def local_date(calendar: Calendar, instant: datetime) -> date:
    """The day it is at the clinic."""
    return clinic_time(calendar, instant).date()


def add_days(calendar: Calendar, start: datetime, days: int) -> datetime:
    """`days` calendar days later at the same clinic wall time (days may be negative)."""
    if days == 0:
        return start  # the second of two equal wall times stays the second
    offset = _offset_during(calendar.zone, start.date()) if start.tzinfo is UTC else None
    if offset is not None:
        later = start + (offset + timedelta(days=days))
        ahead = _offset_on(calendar.zone, later.date())
        if ahead is not None:
            return later - ahead  # both days are of one piece: no need to ask the zone
    local = clinic_time(calendar, start) + timedelta(days=days)
    return instant_of(calendar, local.date(), local.time())


def add_business_days(calendar: Calendar, start: datetime, days: int) -> datetime:
    """`days` open days later at the same wall time.

    A start outside opening hours counts from the next opening; so does an end outside them, on a shorter day.
    """
    local = clinic_time(calendar, next_opening(calendar, start))
    day = local.date()
    remaining = days
    for _ in range(OPEN_DAYS_SEARCHED_MAX):
        if remaining == 0:
            break
        day += timedelta(days=1)
        if calendar.open_spans(day):
            remaining -= 1
    return next_opening(calendar, instant_of(calendar, day, local.time()))


def add_business_time(calendar: Calendar, start: datetime, length: timedelta) -> datetime:
    """The instant at which `length` of opening time has gone by since `start`."""
    now = start
    remaining = length
    for _ in range(OPEN_DAYS_SEARCHED_MAX):
        now = next_opening(calendar, now)
        closes = _closing_after(calendar, now)
        if now + remaining <= closes or closes <= now:  # the second: it never opens again, so all time counts
            return now + remaining
        remaining -= closes - now
        now = closes
    return now


def next_opening(calendar: Calendar, instant: datetime) -> datetime:
    """`instant` itself while the clinic is open, else the next instant it opens, UTC."""
    day = clinic_time(calendar, instant).date()
    for _ in range(OPEN_DAYS_SEARCHED_MAX):
        for opens, closes in calendar.open_spans(day):
            begins, ends = instant_of(calendar, day, opens), instant_of(calendar, day, closes)
            if instant < ends and begins < ends:  # the spring change can swallow a span
                return max(instant, begins).astimezone(UTC)
        day += timedelta(days=1)
    return instant


def _closing_after(calendar: Calendar, instant: datetime) -> datetime:
    """When the span that contains `instant` (an open one) ends."""
    day = clinic_time(calendar, instant).date()
    for _, closes in calendar.open_spans(day):
        ends = instant_of(calendar, day, closes)
        if instant < ends:
            return ends
    return instant


@lru_cache(maxsize=OFFSETS_KEPT_MAX)
def _offset_on(zone: ZoneInfo, day: date) -> timedelta | None:
    """How far the clinic's clock is ahead of UTC all through its own `day`; None on a day it changes."""
    first = datetime.combine(day, time.min, zone).utcoffset()
    last = datetime.combine(day, time.max, zone).replace(fold=1).utcoffset()
    return first if first == last else None


@lru_cache(maxsize=OFFSETS_KEPT_MAX)
def _offset_during(zone: ZoneInfo, day: date) -> timedelta | None:
    """How far the clinic's clock is ahead of UTC all through the UTC `day`; None on a day it changes."""
    first = datetime.combine(day, time.min, UTC).astimezone(zone).utcoffset()
    last = datetime.combine(day, time.max, UTC).astimezone(zone).utcoffset()
    return first if first == last else None
