"""Clinic time: weekends, holidays, the hour that is skipped and the hour that is doubled."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given

from referral_engine.base.values import replace
from referral_engine.loop.calendar import (
    Calendar,
    add_business_days,
    add_business_time,
    add_days,
    clinic_time,
    instant_of,
    local_date,
    next_opening,
    office_hours,
)
from tests.builders import CHICAGO, a_calendar, span, utc, wall

OFFICE = a_calendar()
GOOD_FRIDAY = a_calendar(holidays=frozenset({date(2026, 4, 3), date(2026, 4, 6)}))
SHORT_FRIDAYS = a_calendar(hours={**office_hours(), 4: (span("08:00", "12:00"),)})
LUNCH = a_calendar(hours={day: (span("08:00", "12:00"), span("13:00", "17:00")) for day in range(5)})
NIGHTS = a_calendar(hours={day: (span("01:00", "04:00"),) for day in range(7)})
SWALLOWED = a_calendar(hours={day: (span("02:00", "03:00"),) for day in range(7)})
CALENDARS = [OFFICE, GOOD_FRIDAY, SHORT_FRIDAYS, LUNCH, NIGHTS, SWALLOWED]
CALENDARS += [a_calendar(zone=ZoneInfo(name)) for name in ("Australia/Lord_Howe", "Asia/Kathmandu", "UTC")]
# Christmas Eve until noon, and a Saturday morning in December.
HALF_DAYS = replace(
    LUNCH, special={date(2026, 12, 24): (span("08:00", "12:00"),), date(2026, 12, 19): LUNCH.hours[0][:1]}
)
CALENDARS.append(HALF_DAYS)
NEVER = Calendar(zone=CHICAGO, hours={})

instants = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds the zone
calendars = st.sampled_from(CALENDARS)


def is_open(calendar: Calendar, instant: datetime) -> bool:
    """Whether the clinic is open, its closing instant included; asked of the zone itself."""
    local = instant.astimezone(calendar.zone).replace(tzinfo=None)
    spans = calendar.open_spans(local.date())
    # A closing time that the spring change skips comes when the clock jumps.
    closing = {instant_of(calendar, local.date(), closes) for _, closes in spans}
    return instant in closing or any(opens <= local.time() <= closes for opens, closes in spans)


# ------------------------------------------------------------------------------------------------ wall time


def test_a_wall_time_the_spring_change_skips_moves_forward() -> None:
    assert instant_of(OFFICE, date(2026, 3, 8), time(2, 30)) == utc("2026-03-08 08:30")  # shown as 03:30


def test_a_wall_time_the_autumn_change_doubles_is_the_first() -> None:
    assert instant_of(OFFICE, date(2026, 11, 1), time(1, 30)) == utc("2026-11-01 06:30")


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        ("2026-03-07 10:00", 1, "2026-03-08 15:00"),  # 23 hours later
        ("2026-03-07 02:30", 1, "2026-03-08 08:30"),  # into the gap
        ("2026-10-31 10:00", 1, "2026-11-01 16:00"),  # 25 hours later
        ("2026-10-31 01:30", 1, "2026-11-01 06:30"),  # into the doubled hour
        ("2026-03-09 10:00", -1, "2026-03-08 15:00"),
        ("2026-03-09 10:00", -2, "2026-03-07 16:00"),
        ("2026-02-27 10:00", 1, "2026-02-28 16:00"),
        ("2028-02-28 10:00", 1, "2028-02-29 16:00"),
    ],
)
def test_days_keep_the_wall_time(start: str, days: int, due: str) -> None:
    assert add_days(OFFICE, wall(start), days) == utc(due)


def test_no_days_after_the_second_of_two_equal_wall_times_is_that_second() -> None:
    second = utc("2026-11-01 07:30")

    assert add_days(OFFICE, second, 0) == second


@pytest.mark.parametrize(
    ("zone", "start", "due"),
    [
        ("Europe/Berlin", "2026-03-28 09:00", "2026-03-29 08:00"),
        ("Australia/Lord_Howe", "2026-04-02 23:00", "2026-04-03 23:00"),
        ("Australia/Lord_Howe", "2026-04-03 23:00", "2026-04-04 23:30"),  # over a change of half an hour
        ("Asia/Kathmandu", "2026-03-28 09:00", "2026-03-29 09:00"),
        ("America/Phoenix", "2026-03-07 17:00", "2026-03-08 17:00"),
    ],
)
def test_each_zone_changes_its_clocks_on_its_own_day(zone: str, start: str, due: str) -> None:
    assert add_days(a_calendar(zone=ZoneInfo(zone)), utc(start), 1) == utc(due)


def test_the_day_at_the_clinic_is_not_the_day_in_utc() -> None:
    assert local_date(OFFICE, utc("2026-03-11 02:00")) == date(2026, 3, 10)


@given(calendars, instants)
def test_the_remembered_offsets_say_what_the_zone_says(calendar: Calendar, instant: datetime) -> None:
    assert clinic_time(calendar, instant) == instant.astimezone(calendar.zone).replace(tzinfo=None)


@given(calendars, st.dates(date(2026, 1, 1), date(2027, 12, 31)), st.times())
def test_an_instant_of_a_wall_time_is_what_the_zone_says(calendar: Calendar, day: date, at: time) -> None:
    assert instant_of(calendar, day, at) == datetime.combine(day, at, calendar.zone).astimezone(UTC)


@given(calendars, instants, st.integers(-400, 400))
def test_days_land_on_that_day(calendar: Calendar, start: datetime, days: int) -> None:
    assert local_date(calendar, add_days(calendar, start, days)) == local_date(calendar, start) + timedelta(days=days)


# ------------------------------------------------------------------------------------------------ opening hours


@pytest.mark.parametrize(
    ("instant", "opening"),
    [
        ("2026-03-06 08:00", "2026-03-06 08:00"),
        ("2026-03-06 16:59", "2026-03-06 16:59"),
        ("2026-03-06 17:00", "2026-03-09 08:00"),
        ("2026-03-06 07:59", "2026-03-06 08:00"),
        ("2026-03-07 12:00", "2026-03-09 08:00"),
    ],
)
def test_the_next_opening_is_now_while_open(instant: str, opening: str) -> None:
    assert next_opening(OFFICE, wall(instant)) == wall(opening)


def test_the_next_opening_skips_holidays() -> None:
    assert next_opening(GOOD_FRIDAY, wall("2026-04-02 18:00")) == wall("2026-04-07 08:00")


def test_a_day_with_hours_of_its_own_counts_by_them_whatever_weekday_it_is() -> None:
    afternoon = wall("2026-12-24 13:00")
    saturday = wall("2026-12-19 10:30")

    assert next_opening(HALF_DAYS, afternoon) == wall("2026-12-25 08:00")
    assert next_opening(HALF_DAYS, saturday) == saturday
    assert add_business_days(HALF_DAYS, wall("2026-12-18 10:00"), 1) == wall("2026-12-19 10:00")
    assert add_business_time(HALF_DAYS, wall("2026-12-24 11:00"), timedelta(hours=2)) == wall("2026-12-25 09:00")


def test_a_span_the_spring_change_swallows_is_no_opening() -> None:
    assert next_opening(SWALLOWED, wall("2026-03-07 12:00")) == wall("2026-03-09 02:00")


def test_a_calendar_without_an_open_day_answers_all_the_same() -> None:
    start = utc("2026-03-06 15:00")

    assert next_opening(NEVER, start) == start
    assert add_business_days(NEVER, start, 2) > start
    assert add_business_time(NEVER, start, timedelta(hours=1)) >= start


@pytest.mark.parametrize(
    ("calendar", "start", "days", "due"),
    [
        (OFFICE, "2026-03-05 15:00", 1, "2026-03-06 15:00"),
        (OFFICE, "2026-03-06 15:00", 1, "2026-03-09 15:00"),  # over the weekend and the change
        (OFFICE, "2026-03-07 15:00", 1, "2026-03-10 08:00"),  # counted from Monday's opening
        (OFFICE, "2026-03-06 20:00", 1, "2026-03-10 08:00"),
        (OFFICE, "2026-03-06 06:00", 1, "2026-03-09 08:00"),
        (OFFICE, "2026-03-06 15:00", 0, "2026-03-06 15:00"),
        (OFFICE, "2026-03-02 09:00", 10, "2026-03-16 09:00"),
        (GOOD_FRIDAY, "2026-04-02 15:00", 1, "2026-04-07 15:00"),
        (SHORT_FRIDAYS, "2026-03-05 10:00", 1, "2026-03-06 10:00"),
        (SHORT_FRIDAYS, "2026-03-05 15:00", 1, "2026-03-09 08:00"),  # closed at that hour of a Friday
        (LUNCH, "2026-03-05 12:30", 1, "2026-03-06 13:00"),
    ],
)
def test_business_days_keep_the_hour_and_skip_closed_days(calendar: Calendar, start: str, days: int, due: str) -> None:
    assert add_business_days(calendar, wall(start), days) == wall(due)


@pytest.mark.parametrize(
    ("calendar", "start", "hours", "due"),
    [
        (OFFICE, "2026-03-06 15:00", 1, "2026-03-06 16:00"),
        (OFFICE, "2026-03-06 15:00", 2, "2026-03-06 17:00"),  # due when it closes
        (OFFICE, "2026-03-06 15:00", 3, "2026-03-09 09:00"),
        (OFFICE, "2026-03-07 15:00", 3, "2026-03-09 11:00"),
        (OFFICE, "2026-03-06 15:00", 2 + 45, "2026-03-13 17:00"),
        (LUNCH, "2026-03-06 11:30", 1, "2026-03-06 13:30"),
        (NIGHTS, "2026-03-08 01:00", 2, "2026-03-08 04:00"),  # 02:00 to 03:00 was skipped
        (NIGHTS, "2026-11-01 01:00", 3, "2026-11-01 03:00"),  # 01:00 to 02:00 came twice
        (GOOD_FRIDAY, "2026-04-02 16:00", 2, "2026-04-07 09:00"),
    ],
)
def test_business_hours_count_open_time_only(calendar: Calendar, start: str, hours: int, due: str) -> None:
    assert add_business_time(calendar, wall(start), timedelta(hours=hours)) == wall(due)


@given(calendars, instants, st.integers(0, 30))
def test_business_days_never_end_in_closed_time(calendar: Calendar, start: datetime, days: int) -> None:
    due = add_business_days(calendar, start, days)

    assert is_open(calendar, due)
    assert due >= start


@given(calendars, instants, st.integers(0, 60 * 60))
def test_business_hours_never_end_in_closed_time(calendar: Calendar, start: datetime, minutes: int) -> None:
    due = add_business_time(calendar, start, timedelta(minutes=minutes))

    assert is_open(calendar, due)
    assert due >= start + timedelta(minutes=minutes)


@given(calendars, instants, instants, st.integers(0, 30))
def test_what_starts_later_is_never_due_earlier(
    calendar: Calendar, one: datetime, other: datetime, amount: int
) -> None:
    first, second = sorted((one, other))

    assert next_opening(calendar, first) <= next_opening(calendar, second)
    length = timedelta(hours=amount)
    assert add_business_time(calendar, first, length) <= add_business_time(calendar, second, length)


@given(calendars, instants, st.integers(0, 30))
def test_what_is_longer_is_due_later(calendar: Calendar, start: datetime, days: int) -> None:
    assert add_business_days(calendar, start, days) < add_business_days(calendar, start, days + 1)
    assert add_days(calendar, start, days) < add_days(calendar, start, days + 1)
