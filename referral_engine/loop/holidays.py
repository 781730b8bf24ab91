"""What a closed day is called: the holidays of the United States, by their date; any other is "a holiday"."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

SATURDAY: Final = 5
SUNDAY: Final = 6
YEARS_KEPT_MAX: Final = 64  # years whose holidays are remembered

_ONE_DAY: Final = timedelta(days=1)
_BY_DATE: Final = (
    ((1, 1), "New Year's Day"),
    ((6, 19), "Juneteenth"),
    ((7, 4), "Independence Day"),
    ((11, 11), "Veterans Day"),
    ((12, 24), "Christmas Eve"),
    ((12, 25), "Christmas Day"),
    ((12, 31), "New Year's Eve"),
)
# Month, weekday (Monday is 0), which of them in the month (-1 is the last).  Source: 5 U.S.C. 6103.
_BY_WEEKDAY: Final = (
    (1, 0, 3, "Martin Luther King Jr. Day"),
    (2, 0, 3, "Presidents' Day"),
    (5, 0, -1, "Memorial Day"),
    (9, 0, 1, "Labor Day"),
    (10, 0, 2, "Columbus Day"),
    (11, 3, 4, "Thanksgiving"),
)
_EVES: Final = frozenset({"Christmas Eve", "New Year's Eve"})  # nobody observes them on another day


def holiday_name(day: date) -> str:
    """The name of a holiday, its observed day included; "a holiday" for a day only the calendar's file knows."""
    return _named(day.year).get(day, "a holiday")


@lru_cache(maxsize=YEARS_KEPT_MAX)
def _named(year: int) -> dict[date, str]:
    """Every day of a year that has a name; the day itself comes before an observed one."""
    names = dict(_days(year))
    observed = {}
    for day, name in [*names.items(), *(_days(year + 1) if year < date.max.year else ())]:
        if name in _EVES:
            continue
        if day.weekday() == SATURDAY:
            observed[day - _ONE_DAY] = f"{name} (observed)"
        elif day.weekday() == SUNDAY:
            observed[day + _ONE_DAY] = f"{name} (observed)"
    return observed | names  # 24 December may be both; its own name counts


def _days(year: int) -> Iterator[tuple[date, str]]:
    for (month, day), name in _BY_DATE:
        yield date(year, month, day), name
    for month, weekday, which, name in _BY_WEEKDAY:
        yield _nth(year, month, weekday, which), name
    yield _nth(year, 11, 3, 4) + _ONE_DAY, "the day after Thanksgiving"


def _nth(year: int, month: int, weekday: int, which: int) -> date:
    """The nth such weekday of a month; -1 is the last."""
    if which < 0:
        following = date(year + month // 12, month % 12 + 1, 1)
        last = following - _ONE_DAY
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))
