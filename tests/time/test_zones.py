"""Zones and odd times: no due time moves by itself, wall times survive the changes, a strange time breaks nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given

from referral_engine.base.clock import to_micros
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.flow.inputs import Ticked
from referral_engine.flow.step import Step
from referral_engine.loop.calendar import Calendar, add_days, clinic_time, instant_of
from referral_engine.loop.clocks import due_at
from referral_engine.loop.policy import Duration, Unit
from tests.builders import a_calendar
from tests.flow.stage import (
    BOOKING,
    ORDER,
    at,
    book,
    engine,
    owed,
    said,
    sample,
    story,
    wall,
)
from tests.time.weeks import order

ZONES = (
    "America/Chicago", "America/St_Johns", "America/Sao_Paulo", "America/Phoenix", "Africa/Casablanca",
    "Africa/Cairo", "Asia/Gaza", "Asia/Kathmandu", "Asia/Tehran", "Australia/Lord_Howe", "Europe/Dublin",
    "Europe/London", "Pacific/Apia", "Pacific/Chatham", "Antarctica/Troll", "UTC",
)  # fmt: skip


def _changes() -> list[tuple[ZoneInfo, date]]:
    """Every day of some years on which a zone's clocks change."""
    found = []
    for zone in map(ZoneInfo, ZONES):
        last = None
        for number in range(3_650):
            day = date(2020, 1, 1) + timedelta(days=number)
            offset = datetime.combine(day, time(12), zone).utcoffset()
            if last not in (None, offset):
                found += [(zone, day), (zone, day - timedelta(days=1))]
            last = offset
    return found


ANY = st.tuples(st.sampled_from(ZONES).map(ZoneInfo), st.dates(date(2015, 1, 1), date(2040, 12, 31)))
places = st.sampled_from(_changes()) | ANY  # a zone and a day
NIGHT = [time(hour, minute) for hour in range(4) for minute in (0, 15, 30, 45)]  # when clocks are changed
walls = st.sampled_from(NIGHT) | st.times().map(lambda one: one.replace(microsecond=0))
lengths = st.builds(Duration, st.integers(0, 40), st.sampled_from(list(Unit)))


# -- due times over zones and years


@given(places, walls)
def test_a_skipped_wall_time_is_the_next_valid_one_and_a_doubled_one_the_first(
    place: tuple[ZoneInfo, date], at_wall: time
) -> None:  # F-C04, H115
    zone, day = place
    calendar = a_calendar(zone=zone)

    instant = instant_of(calendar, day, at_wall)

    shown = instant.astimezone(zone).replace(tzinfo=None)
    meant = datetime.combine(day, at_wall)
    assert shown >= meant  # after a gap the clock shows later, never earlier
    if shown == meant:
        hours = [timedelta(minutes=minutes) for minutes in (30, 60, 120)]
        assert all((instant - back).astimezone(zone).replace(tzinfo=None) != meant for back in hours)
    else:
        before = (instant - timedelta(days=1)).astimezone(zone).utcoffset()
        assert before != (instant + timedelta(days=1)).astimezone(zone).utcoffset()  # near a change, nowhere else


@given(places, walls, st.integers(1, 400))
def test_days_keep_the_clinics_wall_time_in_every_zone(
    place: tuple[ZoneInfo, date], at_wall: time, number: int
) -> None:  # F-C04, H115
    zone, day = place
    calendar = a_calendar(zone=zone)
    start = instant_of(calendar, day, at_wall)
    begun = clinic_time(calendar, start)

    due = add_days(calendar, start, number)

    shown = clinic_time(calendar, due)
    skipped = shown - (begun + timedelta(days=number))
    assert timedelta() <= skipped <= timedelta(days=1)  # Samoa once skipped a whole day
    assert skipped == timedelta() or instant_of(calendar, shown.date(), shown.time()) == due


@given(places, walls, lengths)
def test_the_same_start_and_length_are_always_due_at_the_same_instant(
    place: tuple[ZoneInfo, date], at_wall: time, length: Duration
) -> None:  # F-C04
    zone, day = place
    start = instant_of(a_calendar(zone=zone), day, at_wall)
    again = ZoneInfo.no_cache(zone.key)  # another process, the same rules

    due = due_at(start, length, a_calendar(zone=zone))

    assert due == due_at(start, length, a_calendar(zone=again))
    assert due.tzinfo is UTC or due.utcoffset() == timedelta()
    assert due >= start


def test_a_reminder_that_falls_before_opening_leaves_when_patients_may_be_written_to() -> None:  # H116
    stage = engine()
    stage.receive(sample(ORDER))
    early = "20260310070000-0500"  # Tuesday 07:00: the day before at 07:00 is quiet
    changes = {"SCH-11.4": early, "TQ1-7": early, "AIS-4": early, "AIL-6": early, "AIP-6": early}
    stage.receive(sample(BOOKING, changes))

    stage.move_to(at("2026-03-09 12:00"))

    (reminder,) = [row for row in owed(stage) if row.about == "24 hours"]
    assert wall(reminder.created_at) == "2026-03-09 07:00"
    assert wall(reminder.settled_at) == "2026-03-09 08:00"


# -- the zone database is updated


def _book_in(zone: ZoneInfo) -> Book:
    """What the project ships, with its clinics in a zone of these rules."""
    shipped = book()

    def moved(calendar: Calendar) -> Calendar:
        return replace(calendar, zone=zone) if calendar.zone.key == "America/Chicago" else calendar

    calendars = {name: moved(one) for name, one in shipped.engine.calendars.items()}
    channels = {
        name: replace(one, policy=replace(one.policy, calendar=moved(one.policy.calendar)))
        for name, one in shipped.channels.items()
    }
    return replace(shipped, engine=replace(shipped.engine, calendars=calendars), channels=channels)


def _without_summer_time() -> ZoneInfo:
    """Chicago, after a law that ends the changing of clocks."""
    with (resources.files("tzdata.zoneinfo.America") / "Regina").open("rb") as file:
        return ZoneInfo.from_file(file, key="America/Chicago")


def test_a_new_rule_moves_the_clocks_that_still_run_once_and_the_audit_says_so() -> None:  # F-C05
    stage = engine(start="2026-03-03 09:00")
    for number in range(3):
        stage.receive(order(number, ORDER))
    stage.move_to(at("2026-03-05 10:00"))
    placer = "P-5000"
    before = {(one.kind, one.generation): one for one in story(stage, placer).deadlines}
    schedule = before["schedule", 0]
    assert wall(schedule.due_at) == "2026-03-10 09:00"  # after the change of 8 March

    stage.step = Step(stage.journal, _book_in(_without_summer_time()), stage.clock)
    stage.step.run([Ticked()])
    after = {(one.kind, one.generation): one for one in story(stage, placer).deadlines}
    lines = _moved(stage)
    stage.step.run([Ticked()])

    assert after["schedule", 0].due_at == schedule.due_at + 3_600_000_000  # standard time goes on: an hour later in UTC
    fired = [key for key, one in before.items() if one.state == "fired"]
    assert fired
    assert all(after[key] == before[key] for key in fired)
    assert lines >= 3
    assert _moved(stage) == lines
    assert stage.journal.read().conservation().holds


def test_a_clock_that_has_run_out_is_not_moved_any_more() -> None:  # F-C05
    stage = engine(start="2026-03-03 09:00")
    stage.receive(order(0, ORDER))
    stage.move_to(at("2026-03-05 10:00"))
    stage.clock.move_to(at("2026-03-10 09:30"))  # half an hour late, and by the new rule half an hour early

    stage.step = Step(stage.journal, _book_in(_without_summer_time()), stage.clock)
    receipt = stage.step.run([Ticked()])[0]

    (schedule,) = [one for one in story(stage, "P-5000").deadlines if one.kind == "schedule"]
    assert receipt.fired >= 1
    assert (schedule.state, wall(schedule.due_at)) == ("fired", "2026-03-10 09:00")


def test_the_same_rules_move_nothing() -> None:  # F-C05
    stage = engine(start="2026-03-03 09:00")
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-05 10:00"))

    stage.step = Step(stage.journal, _book_in(ZoneInfo.no_cache("America/Chicago")), stage.clock)
    stage.step.run([Ticked()])

    assert _moved(stage) == 0


def _moved(stage: object) -> int:
    """How many lines of the audit say that a clock was moved."""
    rows = stage.journal._connection.execute("SELECT count(*) FROM audit WHERE action = 'moved'")  # type: ignore[attr-defined]  # a Rehearsal
    return int(rows.fetchone()[0])


# -- odd times from partners

ODD = (
    "20260630235960", "20260630235960+0000", "202606302400", "20260630240000.5", "000101010000", "00010101000000+1400",
    "99991231235959", "20260302090000-0000", "20260302090000+0000", "20260302090000+2500", "20260308023000",
    "20261101013000", "2026", "202602", "20260230", "20260302090000.123456789", "19000101", "20260302 0900", "now",
    '""', "0", "-1", "20260302090000-0600^S",
)  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_time_in_an_order_is_read_or_left_and_breaks_nothing(odd: str) -> None:  # F-C06
    stage = engine()

    receipt = stage.receive(sample(ORDER, {"MSH-7": odd, "ORC-9": odd, "ORC-15": odd}))
    stage.move_to(at("2026-04-02 09:00"))

    assert said(receipt) == "AA"
    referral = story(stage).referral
    assert referral.order.ordered_at <= at("2026-03-02 09:00")
    assert any(one.state == "pending" for one in story(stage).deadlines)
    assert stage.journal.read().conservation().holds


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_time_of_a_visit_is_read_or_left_to_a_person(odd: str) -> None:  # F-C06
    stage = engine()
    stage.receive(sample(ORDER))
    changes = {"SCH-11.4": odd, "TQ1-7": odd, "AIS-4": odd, "AIL-6": odd, "AIP-6": odd}

    receipt = stage.receive(sample(BOOKING, changes))
    stage.move_to(at("2026-04-02 09:00"))

    assert said(receipt) == "AA"
    assert stage.journal.read().conservation().holds
    assert stage.journal.read().story(stage.journal.read().find("P-1001")) is not None


@pytest.mark.parametrize("days_wrong", [-4_000, -400, -3, 3, 400, 4_000])
def test_a_partner_whose_clock_is_days_wrong_is_heard_in_the_order_of_arrival(days_wrong: int) -> None:  # F-C07
    stage = engine()
    wrong = (at("2026-03-02 09:00") + timedelta(days=days_wrong)).strftime("%Y%m%d%H%M%S%z")
    stage.receive(sample(ORDER))

    stage.receive(sample(BOOKING, {"MSH-7": wrong}))

    events = story(stage).events
    assert story(stage).referral.appointment.value == "booked"
    assert [one.sequence for one in events] == sorted(one.sequence for one in events)
    assert {one.at for one in events} == {to_micros(at("2026-03-02 09:00"))}
