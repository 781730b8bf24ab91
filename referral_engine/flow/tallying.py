"""What a made-up quarter comes to: its tasks, sendings and clocks in, figures by week out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import Final

from referral_engine.base.clock import MICROSECONDS, to_micros
from referral_engine.channels.book import Book
from referral_engine.channels.coverage import ROUTINE, ClockCover, clocks_of, summed
from referral_engine.flow.desks import Work
from referral_engine.flow.figures import ClockFigures, PatientFigures, QueueWeek, Sendings
from referral_engine.flow.lanes import PATIENT
from referral_engine.journal.reading import Reading
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.calendar import Calendar, instant_of, local_date
from referral_engine.loop.policy import Kind

WEEK: Final = timedelta(days=7)
_HOUR_MICROS: Final = 3600 * MICROSECONDS
REVIEW_AGE: Final = "review-age"  # a review that nobody decided goes to the supervisor


@dataclass(frozen=True, slots=True)
class Span:
    """The days that are looked at, in weeks from the first day; the last may be short."""

    calendar: Calendar
    begins: date
    days: int

    @property
    def start(self) -> datetime:
        """The first midnight, UTC."""
        return instant_of(self.calendar, self.begins, time())

    @property
    def end(self) -> datetime:
        """The midnight after the last day, UTC."""
        return instant_of(self.calendar, self.begins + timedelta(days=self.days), time())

    @property
    def firsts(self) -> tuple[date, ...]:
        """The first day of each week."""
        return tuple(self.begins + timedelta(days=number) for number in range(0, self.days, 7))

    @property
    def bounds(self) -> tuple[tuple[int, int], ...]:
        """When each week begins and is over, microseconds UTC."""
        ends = (min(first + WEEK, self.begins + timedelta(days=self.days)) for first in self.firsts)
        return tuple(
            (to_micros(instant_of(self.calendar, first, time())), to_micros(instant_of(self.calendar, end, time())))
            for first, end in zip(self.firsts, ends, strict=True)
        )

    def week(self, instant: datetime) -> int:
        """Which week an instant is in, from 0; what happens at the very end belongs to the last."""
        days = (local_date(self.calendar, instant) - self.begins).days
        return max(0, min(days // 7, len(self.firsts) - 1))


@dataclass(slots=True)
class Sent:
    """What left, by lane and purpose, and what each patient got on which day."""

    span: Span
    _weeks: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _again: Counter[tuple[str, str]] = field(default_factory=Counter)
    _days: defaultdict[str, list[date]] = field(default_factory=lambda: defaultdict(list))

    def note(self, row: EffectRow, now: datetime, patient: str) -> None:
        """One attempt left; patient: whose referral it is about."""
        key = (row.lane, row.purpose)
        weeks = self._weeks.setdefault(key, [0] * len(self.span.firsts))
        if row.attempts > 1:
            self._again[key] += 1
            return
        weeks[self.span.week(now)] += 1
        if row.lane == PATIENT:
            self._days[patient].append(local_date(self.span.calendar, now))

    def sendings(self) -> tuple[Sendings, ...]:
        """Every lane and purpose."""
        return tuple(
            Sendings(lane=lane, kind=kind, weeks=tuple(weeks), again=self._again[lane, kind])
            for (lane, kind), weeks in sorted(self._weeks.items())
        )

    def patients(self) -> PatientFigures:
        """How much patients got."""
        all_days = self._days.values()
        return PatientFigures(
            messages=sum(map(len, all_days)),
            patients=len(self._days),
            most_in_a_day=max((max(Counter(days).values()) for days in all_days), default=0),
            most_in_a_week=max(map(_most_in_seven, all_days), default=0),
        )


def queue_weeks(works: Sequence[Work], span: Span) -> Iterator[QueueWeek]:
    """The work of every queue, week by week."""
    queues = sorted({one.queue for one in works} | {one.moved_to for one in works if one.moved_to})
    for queue in queues:
        ours = [one for one in works if queue in (one.queue, one.moved_to)]
        for week, (begins, ends) in enumerate(span.bounds, 1):
            ages = [ends - one.opened_at for one in ours if _queue_at(one, ends) == queue and _is_open(one, ends)]
            yield QueueWeek(
                queue=queue,
                week=week,
                opened=sum(1 for one in ours if begins <= _came_at(one, queue) < ends),
                done=sum(1 for one in ours if begins <= one.closed_at < ends and _queue_at(one, ends) == queue),
                open=len(ages),
                median_age_hours=round(median(ages) / _HOUR_MICROS, 1) if ages else None,
            )


def clock_figures(reading: Reading, book: Book) -> Iterator[ClockFigures]:
    """Every clock of every channel that is on, those that never ran too."""
    for one in clocks_of(book, summed(_counts(reading, 0))):
        yield ClockFigures(
            channel=one.channel, kind=one.kind.value, ran=one.ran, fired=one.fired, cancelled=one.cancelled
        )


def escalations(reading: Reading, works: Sequence[Work], span: Span) -> dict[str, tuple[int, ...]]:
    """What ran out and asked for somebody, by clock and week; those that never did are left out."""
    weeks = len(span.bounds)
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0] * weeks)
    for week, (begins, ends) in enumerate(span.bounds):
        for one in _counts(reading, begins, ends):
            if one.fired and one.kind not in ROUTINE:
                found[one.kind.value][week] += one.fired
        moved = sum(1 for work in works if begins <= work.escalated_at < ends)
        if moved:
            found[REVIEW_AGE][week] += moved
    return {kind: tuple(found[kind]) for kind in sorted(found)}


def _counts(reading: Reading, since: int, until: int = 2**62) -> Iterator[ClockCover]:
    """What clocks did, page by page."""
    before = 0
    while True:
        page = reading.clock_counts(since, until, before)
        for one in page.counts:
            yield ClockCover(
                channel=one.channel, kind=Kind(one.kind), fired=one.fired, cancelled=one.cancelled, running=one.pending
            )
        before = page.next
        if not before:
            return


def _came_at(work: Work, queue: str) -> int:
    return work.opened_at if queue == work.queue else work.escalated_at


def _queue_at(work: Work, instant: int) -> str:
    return work.moved_to if work.moved_to and work.escalated_at < instant else work.queue


def _is_open(work: Work, instant: int) -> bool:
    return work.opened_at < instant and (not work.closed_at or work.closed_at >= instant)


def _most_in_seven(days: Sequence[date]) -> int:
    """The most of these days that lie within any seven."""
    return max(sum(1 for other in days if one <= other < one + WEEK) for one in days)
