"""[calendar.NAME] tables to opening hours, holidays and days of their own, and what runs out of holidays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time, timedelta
from itertools import pairwise
from typing import Final

from referral_engine.channels import words
from referral_engine.channels.clocks import rough_seconds
from referral_engine.channels.engine import default_engine
from referral_engine.channels.shape import Table
from referral_engine.loop.calendar import Calendar, Hours
from referral_engine.loop.policy import Clocks

LOOKED_AHEAD_SECONDS: Final = 60 * 86_400.0  # for holidays; a clock of a year would ask for those of next year in June
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def read_calendars(tables: Table | None) -> Mapping[str, Calendar]:
    """Every [calendar.NAME]."""
    return {name: _calendar(name, table) for name, table in named_tables(tables)}


def _calendar(name: str, table: Table) -> Calendar:
    """One clinic's hours; without `open` Monday to Friday 08:00 to 17:00."""
    base = default_engine().calendars["default"]
    zone = table.need("timezone", words.zone, base.zone)
    opening = table.table("open")
    hours = dict(base.hours) if opening is None else _hours(opening)
    if not hours:
        table.complain("open", "CH208", "the clinic is never open", "write the hours of at least one day")
    holidays = frozenset(table.several("holidays", words.day, ()))
    special = _special(table.table("special"), holidays)
    table.close()
    return Calendar(name=name, zone=zone, hours=hours, holidays=holidays, special=special)


def _special(table: Table | None, holidays: frozenset[date]) -> Mapping[date, Hours]:
    """{ 2026-12-24 = "08:00-12:00" }: days with hours of their own, whatever weekday they are."""
    special: dict[date, Hours] = {}
    for key in table.tree if table is not None else ():
        assert table is not None, "it has keys"
        spans = read_spans(table, key)
        try:
            day = date.fromisoformat(key)
        except ValueError:
            table.complain(key, "CH241", f'"{key}" is not a day', 'write it as 2026-12-24 = "08:00-12:00"')
            continue
        if day in holidays:
            table.complain(key, "CH331", f"{day} has hours here and is a holiday too", "take it out of one of the two")
        special[day] = spans
    if table is not None:
        table.close()
    return {day: spans for day, spans in special.items() if spans}


def warn_of_holidays(table: Table | None, clocks: Clocks, today: date | None) -> None:
    """A calendar whose holidays end before the clocks that start today do: what is due then falls on a closed day."""
    if today is None:
        return
    longest = max(rough_seconds(length) for row in clocks.values() for stages in row for length in stages)
    ahead = today + timedelta(seconds=min(longest, LOOKED_AHEAD_SECONDS))
    for name, one in named_tables(table):
        written = one.tree.get("holidays", ())
        days = [day for day in (written if isinstance(written, list) else [written]) if type(day) is date]
        last = max(days, default=ahead)
        if last < ahead:
            sentence = (
                f'calendar "{name}" has no holiday after {last}, and a clock that starts today runs until {ahead}'
            )
            one.page.warn((*one.place, "holidays"), "CHW12", sentence, "add the holidays of the coming year")


def _hours(table: Table) -> dict[int, Hours]:
    """{ mon = "08:00-17:00", tue = ["08:00-12:00", "13:00-17:00"] }."""
    hours: dict[int, Hours] = {}
    for number, weekday in enumerate(WEEKDAYS):
        spans = read_spans(table, weekday)
        if spans:
            hours[number] = spans
    table.close()
    return hours


def read_spans(table: Table, key: str) -> Hours:
    """One span of hours, or several that follow each other; none where one of them is unfit."""
    spans: tuple[tuple[time, time], ...] = table.several(key, words.opening_span, ())
    if any(one[1] > other[0] for one, other in pairwise(spans)):
        table.complain(key, "CH208", "the spans of one day must follow each other", "write the earlier first")
        return ()
    return spans


def named_tables(tables: Table | None) -> list[tuple[str, Table]]:
    """The tables [kind.NAME] under [kind]."""
    if tables is None:
        return []
    named = [(name, tables.table(name)) for name in tables.tree]
    tables.close()
    return [(name, table) for name, table in named if table is not None]
