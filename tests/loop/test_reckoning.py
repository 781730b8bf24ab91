"""The arithmetic of a clock, step by step: it says why, and it ends where the clock does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from referral_engine.base.values import replace
from referral_engine.loop.calendar import Calendar, clinic_time, office_hours
from referral_engine.loop.clocks import due_at
from referral_engine.loop.holidays import holiday_name
from referral_engine.loop.policy import Duration, Unit
from referral_engine.loop.reckoning import STEPS_MAX, StepKind, reckon, reckon_before
from tests.builders import CHICAGO, a_calendar, span, utc, wall

OFFICE = a_calendar()
INDEPENDENCE = a_calendar(holidays=frozenset({date(2026, 7, 3), date(2026, 12, 25), date(2026, 4, 3)}))
LUNCH = a_calendar(hours={day: (span("08:00", "12:00"), span("13:00", "17:00")) for day in range(5)})
SHORT_FRIDAYS = a_calendar(hours={**office_hours(), 4: (span("08:00", "12:00"),)})
SWALLOWED = a_calendar(hours={day: (span("02:00", "03:00"),) for day in range(7)})
CALENDARS = [OFFICE, INDEPENDENCE, LUNCH, SHORT_FRIDAYS, SWALLOWED, Calendar(zone=CHICAGO, hours={})]
CALENDARS.append(replace(LUNCH, special={date(2026, 12, 24): (span("08:00", "12:00"),)}))
CALENDARS += [a_calendar(zone=ZoneInfo(name)) for name in ("Australia/Lord_Howe", "Asia/Kathmandu", "UTC")]

instants = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds the zone
lengths = st.builds(Duration, st.integers(0, 60), st.sampled_from(list(Unit)))


def told(start: datetime, length: Duration, calendar: Calendar = OFFICE, kind: StepKind | None = None) -> list[str]:
    return [step.sentence for step in reckon(start, length, calendar) if kind in {None, step.kind}]


@given(start=instants, length=lengths, calendar=st.sampled_from(CALENDARS), times=st.integers(1, 4))
@example(start=utc("2026-03-08 07:59"), length=Duration(1, Unit.DAYS), calendar=OFFICE, times=1)
@example(start=utc("2026-11-01 06:30"), length=Duration(0, Unit.DAYS), calendar=OFFICE, times=1)
def test_the_last_step_stands_where_the_clock_ends(
    start: datetime, length: Duration, calendar: Calendar, times: int
) -> None:
    steps = reckon(start, length, calendar, times)

    assert steps[-1].at == due_at(start, length, calendar, times)
    assert (steps[0].kind, steps[0].at, steps[-1].kind) == (StepKind.START, start, StepKind.DUE)
    assert all(one.at <= other.at for one, other in pairwise(steps))
    assert all(step.wall == clinic_time(calendar, step.at) for step in steps)
    assert len(steps) <= STEPS_MAX + 3


def test_business_days_tell_the_weekend_they_skip_and_the_clock_change_in_it() -> None:
    friday = wall("2026-03-06 10:00")

    assert told(friday, Duration(2, Unit.BUSINESS_DAYS)) == [
        "starts at Fri 6 Mar 2026 10:00; 2 business days to count",
        "Sun 8 Mar: the clocks go forward by 1 hour; the wall time stays, so this day has 23 hours",
        "not counted: Sat 7 Mar (weekend), Sun 8 Mar (weekend)",
        "Mon 9 Mar to Tue 10 Mar: 2 business days, 2 in all",
        "due at Tue 10 Mar 2026 10:00: 2 business days later",
    ]


def test_a_start_after_hours_counts_from_the_next_opening() -> None:
    night = wall("2026-03-06 20:15")

    assert told(night, Duration(1, Unit.BUSINESS_DAYS), kind=StepKind.CLOSED) == [
        "closed at Fri 6 Mar 2026 20:15, opens Mon 9 Mar 2026 08:00; Sat 7 Mar (weekend), Sun 8 Mar (weekend)"
    ]


def test_a_holiday_is_told_by_its_name() -> None:
    eve = wall("2026-07-02 09:00")

    assert told(eve, Duration(1, Unit.BUSINESS_DAYS), INDEPENDENCE, StepKind.CLOSED) == [
        "not counted: Fri 3 Jul (Independence Day (observed)), Sat 4 Jul (weekend), Sun 5 Jul (weekend)"
    ]


def test_business_hours_use_up_one_opening_after_the_other() -> None:
    afternoon = wall("2026-03-02 15:30")

    assert told(afternoon, Duration(4, Unit.BUSINESS_HOURS)) == [
        "starts at Mon 2 Mar 2026 15:30; 4 business hours to count",
        "open until Mon 2 Mar 2026 17:00: 1 hour 30 minutes count, 2 hours 30 minutes left",
        "closed at Mon 2 Mar 2026 17:00, opens Tue 3 Mar 2026 08:00",
        "2 hours 30 minutes count, nothing is left",
        "due at Tue 3 Mar 2026 10:30: 4 business hours of opening time later",
    ]


def test_hours_are_elapsed_time_and_days_keep_the_wall_time_over_a_clock_change() -> None:
    saturday = wall("2026-03-07 10:00")

    hours, days = (reckon(saturday, Duration(*length), OFFICE) for length in ((24, Unit.HOURS), (1, Unit.DAYS)))

    assert [step.kind for step in hours] == [step.kind for step in days] == [
        StepKind.START, StepKind.CLOCK_CHANGE, StepKind.DUE,
    ]  # fmt: skip
    assert hours[-1].wall.isoformat() == "2026-03-08T11:00:00"
    assert days[-1].wall.isoformat() == "2026-03-08T10:00:00"
    assert hours[1].at == days[1].at == utc("2026-03-08 08:00")
    assert hours[1].sentence.endswith("elapsed time is not touched, the wall clock is")


def test_the_clocks_going_back_are_told_too() -> None:
    assert told(wall("2026-10-31 09:00"), Duration(2, Unit.DAYS), kind=StepKind.CLOCK_CHANGE) == [
        "Sun 1 Nov: the clocks go back by 1 hour; the wall time stays, so this day has 25 hours"
    ]


def test_a_round_of_a_repeating_clock_says_how_often() -> None:
    steps = reckon(wall("2026-03-02 09:00"), Duration(30, Unit.DAYS), OFFICE, 3)

    assert steps[0].sentence == "starts at Mon 2 Mar 2026 09:00; 3 times 30 days, 90 days to count"


def test_a_reminder_counts_back_from_the_visit() -> None:
    visit = wall("2026-03-09 10:00")

    steps = reckon_before(visit, Duration(72, Unit.HOURS), OFFICE)

    assert steps[-1].wall.isoformat() == "2026-03-06T09:00:00"  # an hour is lost on the way
    assert [step.kind for step in steps] == [StepKind.START, StepKind.CLOCK_CHANGE, StepKind.DUE]


def test_years_of_weekends_are_not_told_one_by_one() -> None:
    steps = reckon(wall("2026-03-02 09:00"), Duration(1000, Unit.BUSINESS_DAYS), OFFICE)

    assert len(steps) == STEPS_MAX + 3
    assert steps[-2].kind is StepKind.SKIPPED
    assert steps[-1].at == due_at(wall("2026-03-02 09:00"), Duration(1000, Unit.BUSINESS_DAYS), OFFICE)


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("2026-01-01", "New Year's Day"),
        ("2026-01-19", "Martin Luther King Jr. Day"),
        ("2026-05-25", "Memorial Day"),
        ("2026-07-03", "Independence Day (observed)"),
        ("2026-09-07", "Labor Day"),
        ("2026-11-26", "Thanksgiving"),
        ("2027-12-24", "Christmas Eve"),
        ("2021-12-31", "New Year's Eve"),
        ("2022-12-26", "Christmas Day (observed)"),
        ("2026-04-03", "a holiday"),
    ],
)
def test_holidays_have_names(day: str, name: str) -> None:
    assert holiday_name(date.fromisoformat(day)) == name
