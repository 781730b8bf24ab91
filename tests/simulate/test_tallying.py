"""How tasks, sendings and clocks are counted, week by week."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from referral_engine.base.clock import to_micros
from referral_engine.channels.book import read_book
from referral_engine.channels.coverage import ClockCover, summed
from referral_engine.cli.quarter import Asked, setting_of
from referral_engine.flow.desks import Work
from referral_engine.flow.figures import Figures
from referral_engine.flow.tallying import Sent, Span, queue_weeks
from referral_engine.flow.workload import Workload
from referral_engine.journal import reading
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.calendar import Calendar
from referral_engine.loop.policy import Kind
from referral_engine.stories.cast import cast_of

MONDAY = date(2026, 3, 2)
SPAN = Span(Calendar(zone=ZoneInfo("America/Chicago")), MONDAY, 10)


def at(day: int, hour: int = 12) -> int:
    """Noon of a day of the span, from 0, in microseconds UTC."""
    return to_micros(SPAN.start + timedelta(days=day, hours=hour))


def work(number: int, opened: int, closed: int = 0, **more: object) -> Work:
    return Work(id=number, queue="desk", kind="schedule", referral="R", opened_at=opened, closed_at=closed, **more)  # type: ignore[arg-type]  # a queue and an instant


def sending(number: int, attempts: int = 1) -> EffectRow:
    return EffectRow(
        id=number, referral="R", cause=1, ordinal=number, lane="patient", transport="spool", recipient="patient",
        purpose="reminder", wire_id=str(number), body=b"", attempts=attempts,
    )  # fmt: skip


def test_a_task_is_open_in_each_week_until_it_is_done() -> None:
    works = [work(1, at(1), at(2)), work(2, at(5)), work(3, at(6), at(8))]

    first, second = queue_weeks(works, SPAN)

    assert (first.opened, first.done, first.open) == (3, 1, 2)
    assert (second.opened, second.done, second.open) == (0, 1, 1)
    assert first.median_age_hours == 23.0  # 35 and 11 hours: the clocks go forward on that Sunday
    assert second.median_age_hours == 4.5 * 24 - 1  # from noon of the sixth day to the end of the tenth


def test_a_task_that_was_escalated_is_the_work_of_the_other_queue_from_then_on() -> None:
    moved = work(1, at(1), escalated_at=at(8), moved_to="supervisor")

    weeks = {(one.queue, one.week): one for one in queue_weeks([moved], SPAN)}

    assert (weeks["desk", 1].opened, weeks["desk", 1].open) == (1, 1)
    assert (weeks["desk", 2].open, weeks["supervisor", 2].open) == (0, 1)
    assert (weeks["supervisor", 1].opened, weeks["supervisor", 2].opened) == (0, 1)


def test_a_week_begins_and_ends_at_the_clinics_midnight_also_when_the_clocks_change() -> None:
    spring = Span(SPAN.calendar, date(2026, 3, 2), 14)  # the clocks go forward on 8 March

    (begins, ends), _ = spring.bounds

    assert ends - begins == to_micros(datetime(1970, 1, 8, tzinfo=UTC)) - 3600 * 1_000_000


def test_what_is_tried_again_is_no_second_message() -> None:
    sent = Sent(SPAN)
    noon = SPAN.start + timedelta(hours=12)

    sent.note(sending(1), noon, "P1")
    sent.note(sending(1, attempts=2), noon, "P1")
    sent.note(sending(2), noon + timedelta(days=8), "P1")

    (one,) = sent.sendings()
    assert (one.weeks, one.again, one.total) == ((1, 1), 1, 2)
    assert (sent.patients().messages, sent.patients().most_in_a_day) == (2, 1)


@pytest.mark.parametrize(("days", "most"), [((0, 3, 6), 3), ((0, 3, 7), 2), ((0, 0, 9), 2)])
def test_the_most_a_patient_got_in_a_week_is_counted_over_any_seven_days(days: tuple[int, ...], most: int) -> None:
    sent = Sent(SPAN)
    for number, day in enumerate(days):
        sent.note(sending(number), SPAN.start + timedelta(days=day, hours=12), "P1")
    sent.note(sending(9), SPAN.start, "P2")  # somebody else's

    assert sent.patients().most_in_a_week == most


@pytest.fixture(scope="module")
def world(asked: Asked) -> Iterator[Workload]:
    """The small quarter once more, with its journal still open."""
    book = read_book(asked.sides[0])
    world = Workload(book, cast_of(book), setting_of([book], asked))
    world.play()
    yield world
    world.stage.close()


def test_the_same_seed_gives_the_same_quarter_to_the_last_number(world: Workload, played: Figures) -> None:
    assert msgspec.json.encode(world.figures()) == msgspec.json.encode(played)


def test_clocks_are_counted_the_same_on_one_page_or_on_many(
    world: Workload, played: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "REFERRALS_MAX", 7)

    again = world.figures()

    assert again.clocks == played.clocks
    assert again.escalations == played.escalations


def test_a_clock_counts_once_and_as_what_became_of_it(world: Workload) -> None:
    journal = world.stage.journal.read()
    stories = [journal.story(case.referral) for case in world.practice.cases.values()]

    rows = [(story.line.channel, row.kind, row.state) for story in stories if story for row in story.deadlines]

    assert rows
    for one in world.figures().clocks:
        ours = [state for channel, kind, state in rows if (channel, kind) == (one.channel, one.kind)]
        assert (one.ran, one.fired, one.cancelled) == (len(ours), ours.count("fired"), ours.count("cancelled"))


def test_the_same_clock_of_two_pages_is_one() -> None:
    pages = [
        ClockCover(channel="a", kind=Kind.CONFIRM, fired=1, running=2),
        ClockCover(channel="a", kind=Kind.SCHEDULE, fired=5),
        ClockCover(channel="a", kind=Kind.CONFIRM, cancelled=4),
    ]

    assert summed(pages) == (
        ClockCover(channel="a", kind=Kind.CONFIRM, fired=1, cancelled=4, running=2),
        ClockCover(channel="a", kind=Kind.SCHEDULE, fired=5),
    )
