"""The arithmetic of one clock, step by step: closed hours, weekends, holidays, DST, and the instant it ends in.

The walk is its own, over the same calendar; that it ends where `clocks.due_at` does is a property that is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from referral_engine.loop.calendar import (
    OPEN_DAYS_SEARCHED_MAX,
    Calendar,
    clinic_time,
    instant_of,
    next_opening,
)
from referral_engine.loop.holidays import holiday_name
from referral_engine.loop.policy import Duration, Unit

STEPS_MAX: Final = 120  # told one by one; beyond, only the end is told, for nobody reads a year of weekends
SATURDAY: Final = 5
_MIDNIGHT: Final = time.min
_ZERO: Final = timedelta(0)
_ONE_DAY: Final = timedelta(days=1)
_CLOCK_UNITS: Final = {
    Unit.SECONDS: timedelta(seconds=1),
    Unit.MINUTES: timedelta(minutes=1),
    Unit.HOURS: timedelta(hours=1),
}


class StepKind(StrEnum):
    """What one step of the arithmetic does."""

    START = "start"
    COUNTED = "counted"  # time or days that count
    CLOSED = "closed"  # the clinic is closed: nothing counts
    CLOCK_CHANGE = "clock change"  # daylight saving begins or ends on the way
    SKIPPED = "and so on"  # more of the same than anybody reads
    DUE = "due"


class Step(NamedTuple):
    """One step: where the reckoning stands after it, and why."""

    kind: StepKind
    at: datetime  # UTC
    wall: datetime  # the clinic's wall time at `at`, without a zone
    sentence: str


def reckon(start: datetime, length: Duration, calendar: Calendar, times: int = 1) -> tuple[Step, ...]:
    """Every step from `start` to `times` such lengths later; the last one stands where `due_at` does."""
    amount = length.amount * times
    whole = Duration(amount, length.unit)
    told = str(whole) if times == 1 else f"{times} times {length}, {whole}"
    begin = _step(calendar, StepKind.START, start, f"starts at {_shown(calendar, start)}; {told} to count")
    middle: list[Step] = []
    match length.unit:
        case Unit.DAYS:
            due = _days_later(calendar, start, amount)
            sentence = f"{whole} later at the same clinic time"
        case Unit.BUSINESS_DAYS:
            middle, due = _business_days(calendar, start, amount)
            sentence = f"{whole} later"
        case Unit.BUSINESS_HOURS:
            middle, due = _business_hours(calendar, start, timedelta(hours=amount))
            sentence = f"{whole} of opening time later"
        case _:
            due = start + _CLOCK_UNITS[length.unit] * amount
            sentence = f"{whole} of elapsed time later, day and night alike"
    steps = sorted([*middle, *_changes(calendar, start, due, length.unit)], key=lambda step: step.at)
    end = _step(calendar, StepKind.DUE, due, f"due at {_shown(calendar, due)}: {sentence}")
    return (begin, *_bounded(steps), end)


def reckon_while(sends: Calendar, start: datetime, length: Duration, calendar: Calendar) -> tuple[Step, ...]:
    """The steps of a clock for what may leave only while `sends` is open; the last one stands where `due_while` does.

    Seconds, minutes and hours count in that time only; longer units begin when it first may leave.
    """
    if length.unit not in _CLOCK_UNITS:
        opens = next_opening(sends, start)
        steps = reckon(opens, length, calendar)
        return steps if opens == start else (*_closed_until(sends, start, opens), *steps)
    begin = _step(calendar, StepKind.START, start, f"starts at {_shown(calendar, start)}; {length} to count")
    middle, due = _business_hours(sends, start, _CLOCK_UNITS[length.unit] * length.amount)
    told = sorted([*middle, *_changes(calendar, start, due, Unit.BUSINESS_HOURS)], key=lambda step: step.at)
    sentence = f"due at {_shown(calendar, due)}: {length} of send_hours later"
    return (begin, *_bounded(told), _step(calendar, StepKind.DUE, due, sentence))


def reckon_before(start: datetime, length: Duration, calendar: Calendar) -> tuple[Step, ...]:
    """The steps of a reminder: so much elapsed time before `start`, a day being 24 hours."""
    elapsed = {
        **_CLOCK_UNITS,
        Unit.DAYS: _ONE_DAY,
        Unit.BUSINESS_DAYS: _ONE_DAY,
        Unit.BUSINESS_HOURS: timedelta(hours=1),
    }
    due = start - elapsed[length.unit] * length.amount
    begin = _step(calendar, StepKind.START, start, f"counts back from {_shown(calendar, start)}")
    end = _step(calendar, StepKind.DUE, due, f"due at {_shown(calendar, due)}: {length} of elapsed time before")
    return (begin, *_changes(calendar, due, start, Unit.HOURS), end)


def _bounded(steps: list[Step]) -> list[Step]:
    if len(steps) <= STEPS_MAX:
        return steps
    left = len(steps) - STEPS_MAX
    last = steps[-1]
    return [*steps[:STEPS_MAX], last._replace(kind=StepKind.SKIPPED, sentence=f"and so on, {left} steps more")]


def _days_later(calendar: Calendar, start: datetime, days: int) -> datetime:
    """The same wall time, days later; no day at all is the start itself."""
    if days == 0:
        return start
    later = clinic_time(calendar, start) + timedelta(days=days)
    return instant_of(calendar, later.date(), later.time())


def _business_days(calendar: Calendar, start: datetime, days: int) -> tuple[list[Step], datetime]:
    """Open days counted one by one, as runs; closed runs between them told with their reason."""
    steps: list[Step] = []
    opens = next_opening(calendar, start)
    if opens != start:
        steps += _closed_until(calendar, start, opens)
    local = clinic_time(calendar, opens)
    day, counted, searched = local.date(), 0, 0
    run: list[date] = []
    closed: list[date] = []
    while counted < days and searched < OPEN_DAYS_SEARCHED_MAX:
        searched += 1
        day += _ONE_DAY
        if calendar.open_spans(day):
            steps += _told_closed(calendar, closed, local)
            closed = []
            run.append(day)
            counted += 1
        else:
            steps += _told_run(calendar, run, counted, local)
            run = []
            closed.append(day)
    steps += [*_told_run(calendar, run, counted, local), *_told_closed(calendar, closed, local)]
    reached = instant_of(calendar, day, local.time())
    due = next_opening(calendar, reached)
    if due != reached:
        steps += _closed_until(calendar, reached, due)
    return steps, due


def _told_run(calendar: Calendar, run: list[date], counted: int, local: datetime) -> list[Step]:
    """Open days one after the other, as one step."""
    if not run:
        return []
    at = instant_of(calendar, run[-1], local.time())
    days = _day(run[0]) if len(run) == 1 else f"{_day(run[0])} to {_day(run[-1])}"
    number = "business day" if len(run) == 1 else "business days"
    return [_step(calendar, StepKind.COUNTED, at, f"{days}: {len(run)} {number}, {counted} in all")]


def _told_closed(calendar: Calendar, closed: list[date], local: datetime) -> list[Step]:
    """Closed days one after the other, as one step."""
    if not closed:
        return []
    at = instant_of(calendar, closed[-1], local.time())
    return [_step(calendar, StepKind.CLOSED, at, f"not counted: {_why_closed(calendar, closed)}")]


def _closed_until(calendar: Calendar, since: datetime, opens: datetime) -> list[Step]:
    """The clinic is closed from one instant to the next opening."""
    first, last = clinic_time(calendar, since), clinic_time(calendar, opens)
    days = [first.date() + timedelta(days=ahead) for ahead in range((last.date() - first.date()).days)]
    whole = [day for day in days if not calendar.open_spans(day)]
    why = f"; {_why_closed(calendar, whole)}" if whole else ""
    sentence = f"closed at {_shown(calendar, since)}, opens {_shown(calendar, opens)}{why}"
    return [_step(calendar, StepKind.CLOSED, opens, sentence)]


def _business_hours(calendar: Calendar, start: datetime, length: timedelta) -> tuple[list[Step], datetime]:
    """Opening spans used up one by one."""
    steps: list[Step] = []
    now, remaining = start, length
    for _ in range(OPEN_DAYS_SEARCHED_MAX):
        opens = next_opening(calendar, now)
        if opens != now:
            steps += _closed_until(calendar, now, opens)
        now = opens
        closes = _closing_after(calendar, now)
        used = min(remaining, closes - now)
        if used == remaining or closes <= now:  # the second: it never opens again, so all time counts
            steps.append(
                _step(calendar, StepKind.COUNTED, now + remaining, f"{_time(remaining)} count, nothing is left")
            )
            return steps, now + remaining
        remaining -= used
        now = closes
        sentence = f"open until {_shown(calendar, closes)}: {_time(used)} count, {_time(remaining)} left"
        steps.append(_step(calendar, StepKind.COUNTED, now, sentence))
    return steps, now


def _closing_after(calendar: Calendar, instant: datetime) -> datetime:
    """When the span that contains `instant` ends; `instant` itself where there is none."""
    day = clinic_time(calendar, instant).date()
    ends = (instant_of(calendar, day, closes) for _, closes in calendar.open_spans(day))
    return next((end for end in ends if instant < end), instant)


def _why_closed(calendar: Calendar, days: list[date]) -> str:
    """Closed days with their reason: weekends, holidays by name, days without opening hours."""
    return ", ".join(f"{_day(day)} ({_reason(calendar, day)})" for day in days)


def _reason(calendar: Calendar, day: date) -> str:
    if day in calendar.holidays:
        return holiday_name(day)
    return "weekend" if day.weekday() >= SATURDAY else "closed all day"


def _changes(calendar: Calendar, start: datetime, due: datetime, unit: Unit) -> Iterator[Step]:
    """The days between two instants on which the clinic's clock is put forward or back."""
    day, last = clinic_time(calendar, start).date(), clinic_time(calendar, due).date()
    while day <= last:
        shift = _shift(calendar, day)
        if shift and start < (at := _change_on(calendar, day)) <= due:
            yield _step(calendar, StepKind.CLOCK_CHANGE, at, f"{_day(day)}: {_in_words(shift, unit)}")
        day += _ONE_DAY


def _shift(calendar: Calendar, day: date) -> timedelta:
    """How far the clinic's clock is put forward on a day; negative when it is put back."""
    return _offset(calendar, instant_of(calendar, day + _ONE_DAY, _MIDNIGHT)) - _offset(
        calendar, instant_of(calendar, day, _MIDNIGHT)
    )


def _offset(calendar: Calendar, instant: datetime) -> timedelta:
    return instant.astimezone(calendar.zone).utcoffset() or _ZERO


def _change_on(calendar: Calendar, day: date) -> datetime:
    """The instant of the change, to the minute: the first at which the new offset holds."""
    early, late = instant_of(calendar, day, _MIDNIGHT), instant_of(calendar, day + _ONE_DAY, _MIDNIGHT)
    before = _offset(calendar, early)
    while late - early > timedelta(minutes=1):
        middle = early + timedelta(minutes=int((late - early) / timedelta(minutes=1)) // 2)
        if _offset(calendar, middle) == before:
            early = middle
        else:
            late = middle
    return late


def _in_words(shift: timedelta, unit: Unit) -> str:
    way = "forward" if shift > _ZERO else "back"
    amount = _time(abs(shift))
    if unit in _CLOCK_UNITS:
        effect = "elapsed time is not touched, the wall clock is"
    elif unit is Unit.BUSINESS_HOURS:
        effect = "only what is open is counted, as it passes"
    else:
        effect = f"the wall time stays, so this day has {_time(_ONE_DAY - shift)}"
    return f"the clocks go {way} by {amount}; {effect}"


def _step(calendar: Calendar, kind: StepKind, at: datetime, sentence: str) -> Step:
    return Step(kind, at, clinic_time(calendar, at), sentence)


def _shown(calendar: Calendar, instant: datetime) -> str:
    """An instant by the clinic's clock: "Fri 6 Mar 2026 09:00"; seconds only where there are some."""
    wall = clinic_time(calendar, instant)
    return f"{_day(wall.date())} {wall:%Y %H:%M:%S}".removesuffix(":00")


def _day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _time(length: timedelta) -> str:
    """A length of time as a person says it: "1 hour 30 minutes"."""
    seconds = int(length / timedelta(seconds=1))
    parts = ((seconds // 3600, "hour"), (seconds // 60 % 60, "minute"), (seconds % 60, "second"))
    words = [f"{count} {word}{'s' if count != 1 else ''}" for count, word in parts if count]
    return " ".join(words) or "0 hours"
