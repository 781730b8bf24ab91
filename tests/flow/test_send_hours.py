"""An office whose machine is off at night: what leaves waits for the morning, and the wait counts for nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given

from referral_engine.base.clock import from_micros
from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.channel import FaxTransport, sending_hours
from referral_engine.flow.hours import may_leave_at
from referral_engine.flow.inputs import Claim, Settled
from referral_engine.loop.calendar import Calendar
from referral_engine.loop.clocks import deadlines, due_while
from referral_engine.loop.events import Outcome
from referral_engine.loop.policy import Duration, Kind, Policy, Unit
from referral_engine.loop.reckoning import reckon_while
from tests.builders import a_calendar, a_policy, a_referral, span
from tests.channels.shipped import shipped_files
from tests.flow.stage import arrived, at, book, engine, kinds, owed, sample, wall

OFFICE = "orthopaedics-lakeside"
LAKESIDE = f"channels/{OFFICE}.toml"
ORTHO = "orm-o01-orthopaedics.hl7"
HOURS = (span("08:00", "17:00"),)
DAYTIME = FaxTransport(gateway="rightfax", number="+12175550142", send_hours=HOURS)


def sends(**calendar: object) -> Calendar:
    """When a daytime fax may leave for an office of this calendar."""
    found = sending_hours(DAYTIME, a_calendar(**calendar))  # type: ignore[arg-type]  # the test names parts of a calendar
    assert found is not None
    return found


def faxed_at(start: str, other: Book | None = None) -> list[str]:
    """When the fax of an order that comes in at `start` leaves, if every page goes through."""
    stage = engine(start, other=other)
    stage.receive(sample(ORTHO))
    stage.move_to(stage.start + timedelta(days=6))
    return [wall(row.settled_at) for row in owed(stage) if row.lane == OFFICE and row.purpose == "order"]


@pytest.mark.parametrize(
    ("ordered", "leaves"),
    [
        ("2026-03-03 09:00", "2026-03-03 09:00"),  # Tuesday, open
        ("2026-03-03 16:59", "2026-03-03 16:59"),
        ("2026-03-03 17:00", "2026-03-04 08:00"),  # the closing minute is the next day's
        ("2026-03-03 21:30", "2026-03-04 08:00"),
        ("2026-03-06 18:00", "2026-03-09 08:00"),  # Friday evening, over the night the clocks go forward
        ("2026-10-31 12:00", "2026-11-02 08:00"),  # Saturday, over the night they go back
        ("2026-07-02 18:00", "2026-07-06 08:00"),  # the 3rd is a holiday
    ],
)
def test_a_fax_leaves_in_the_hours_of_its_office_on_its_open_days(ordered: str, leaves: str) -> None:
    assert faxed_at(ordered) == [leaves]


def test_an_office_that_closes_for_lunch_gets_nothing_at_noon() -> None:
    files = shipped_files()
    files[LAKESIDE] = files[LAKESIDE].replace('"08:00-17:00"', '["08:00-12:00", "13:00-17:00"]')

    assert faxed_at("2026-03-03 12:10", read_book(files)) == ["2026-03-03 13:00"]


def test_what_has_no_hours_leaves_at_once_and_the_ehr_and_the_patient_have_none() -> None:
    files = shipped_files()
    files[LAKESIDE] = files[LAKESIDE].replace('send_hours = "08:00-17:00"', "")

    assert faxed_at("2026-03-03 21:30", read_book(files)) == ["2026-03-03 21:30"]
    night = at("2026-03-03 21:30").astimezone(UTC)
    assert [may_leave_at(book(), lane, night) for lane in ("ehr", "patient", "nobody-of-this-name")] == [night] * 3


def test_what_waits_for_the_morning_says_so_from_the_moment_it_is_owed() -> None:
    stage = engine("2026-03-03 21:30")
    stage.step.run([arrived(sample(ORTHO))])

    assert [wall(row.next_at) for row in owed(stage) if row.lane == OFFICE] == ["2026-03-04 08:00"]


def test_what_lay_in_the_outbox_until_the_night_waits_again_and_no_attempt_is_counted() -> None:
    stage = engine("2026-03-03 16:50")
    stage.step.run([arrived(sample(ORTHO))])  # nobody claims it by day: the machine stands still
    stage.clock.move_to(at("2026-03-03 18:00"))

    (receipt,) = stage.step.run([Claim(lane=OFFICE, limit=4)])

    (row,) = [row for row in owed(stage) if row.lane == OFFICE]
    assert receipt.effects == ()
    assert (row.state.value, row.attempts, wall(row.next_at)) == ("queued", 0, "2026-03-04 08:00")


def test_a_fax_that_fails_at_closing_time_is_tried_again_in_the_morning() -> None:
    stage = engine("2026-03-03 16:55")
    stage.step.run([arrived(sample(ORTHO))])
    (row,) = stage.step.run([Claim(lane=OFFICE, limit=1)])[0].effects

    stage.step.run([Settled(effect=row.id, token=row.token, outcome=Outcome.RETRY, retry_in_seconds=600.0)])

    (waiting,) = [one for one in owed(stage) if one.lane == OFFICE]
    assert wall(waiting.next_at) == "2026-03-04 08:00"


def test_a_fax_that_waits_for_the_morning_is_no_undelivered_one() -> None:
    stage = engine("2026-03-03 21:30")
    stage.partners[OFFICE] = "silent"
    stage.receive(sample(ORTHO))

    stage.move_to(at("2026-03-04 11:59"))  # 4 hours of its office's time are over at noon
    assert "undeliverable" not in kinds(stage)
    stage.move_to(at("2026-03-04 12:00"))
    assert "undeliverable" in kinds(stage)


def test_giving_up_counts_business_hours_where_the_file_says_so() -> None:
    retry = book().channels[OFFICE].transport.retry

    assert retry.gives_up_at(at("2026-03-03 21:30")) == at("2026-03-04 12:00")
    assert retry.gives_up_at(at("2026-03-06 16:00")) == at("2026-03-09 11:00")


def test_giving_up_after_hours_on_the_clock_counts_those_in_which_it_may_be_sent() -> None:
    files = shipped_files()
    files[LAKESIDE] = files[LAKESIDE].replace("4 business hours", "10 hours")

    retry = read_book(files).channels[OFFICE].transport.retry

    assert retry.gives_up_at(at("2026-03-03 16:00")) == at("2026-03-04 17:00")


# ---------------------------------------------------------------------------------------------- the clock


@pytest.mark.parametrize(
    ("queued", "length", "due"),
    [
        ("2026-03-03 09:00", Duration(4, Unit.HOURS), "2026-03-03 13:00"),
        ("2026-03-03 16:00", Duration(4, Unit.HOURS), "2026-03-04 11:00"),
        ("2026-03-03 21:30", Duration(90, Unit.MINUTES), "2026-03-04 09:30"),
        ("2026-03-03 21:30", Duration(1, Unit.DAYS), "2026-03-05 08:00"),  # a day from when it first may leave
        ("2026-03-06 18:00", Duration(1, Unit.BUSINESS_DAYS), "2026-03-10 08:00"),
        ("2026-03-06 18:00", Duration(2, Unit.BUSINESS_HOURS), "2026-03-09 10:00"),
    ],
)
def test_the_delivered_clock_stands_still_while_nothing_may_leave(queued: str, length: Duration, due: str) -> None:
    assert due_while(sends(), at(queued).astimezone(UTC), length, a_policy()) == at(due)


def test_each_way_has_hours_of_its_own() -> None:
    policy = replace(a_policy(fallbacks=1), sends=(sends(), None))
    night = at("2026-03-03 21:30").astimezone(UTC)
    base = a_referral()
    fax = replace(base, moments=replace(base.moments, queued_at=night))
    line = replace(fax, rung=1, fallback_used=True)

    assert _delivered(fax, policy) == at("2026-03-04 12:00")
    assert _delivered(line, policy) == at("2026-03-04 01:30")


def _delivered(referral: object, policy: Policy) -> datetime:
    (due,) = [one.due_at for one in deadlines(referral, policy) if one.kind is Kind.DELIVERED]  # type: ignore[arg-type]  # a referral
    return due


ZONES = [ZoneInfo(name) for name in ("America/Chicago", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")]
CALENDARS = [sends(zone=zone) for zone in ZONES] + [
    sends(holidays=frozenset({date(2026, 3, 4), date(2026, 11, 26)})),
    sends(hours={0: (span("10:00", "12:00"),), 5: (span("09:00", "13:00"),)}),
]
instants = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds the zone
lengths = st.builds(Duration, st.integers(1, 60), st.sampled_from(list(Unit)))


@given(st.sampled_from(CALENDARS), instants, lengths)
def test_it_is_never_due_before_anything_could_leave_and_why_tells_the_same_instant(
    hours: Calendar, start: datetime, length: Duration
) -> None:
    policy = a_policy(calendar=replace(hours, name="office"))

    due = due_while(hours, start, length, policy)

    assert due > start
    assert reckon_while(hours, start, length, policy.calendar)[-1].at == due
    elapsed = {Unit.SECONDS: 1, Unit.MINUTES: 60, Unit.HOURS: 3600}.get(length.unit)
    if elapsed is not None:
        assert due >= start + timedelta(seconds=elapsed * length.amount)


@given(st.sampled_from(ZONES), instants)
def test_what_may_leave_leaves_between_its_hours_by_the_offices_own_clock(zone: ZoneInfo, instant: datetime) -> None:
    lakeside = book().channels[OFFICE]
    policy = replace(lakeside.policy, calendar=replace(lakeside.policy.calendar, zone=zone))
    moved = replace(book(), channels={OFFICE: replace(lakeside, policy=policy)})

    leaves = may_leave_at(moved, OFFICE, instant)

    shown = leaves.astimezone(zone)
    assert leaves >= instant
    assert time(8) <= shown.time() < time(17)
    assert shown.weekday() < 5
    assert may_leave_at(moved, OFFICE, leaves) == leaves
    assert from_micros(0) < leaves
