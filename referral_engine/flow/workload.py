"""A made-up quarter through the real door: a book and the orders in, the work it makes for everybody out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.engine import Pilot
from referral_engine.flow.desks import Desks
from referral_engine.flow.figures import Figures
from referral_engine.flow.inputs import Ticked
from referral_engine.flow.lines import Lines
from referral_engine.flow.measuring import MONTH, measures
from referral_engine.flow.practice import Practice
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.tallying import Sent, Span, clock_figures, escalations, queue_weeks
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.calendar import next_opening
from referral_engine.loop.referral import Referral
from referral_engine.stories.cast import Cast, Place
from referral_engine.stories.fates import Demand, Fate

HOUR: Final = timedelta(hours=1)
ORDERS_MAX: Final = 9_000  # of one run; a table of the journal answers 10,000 rows at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is the same for every configuration that is tried."""

    demand: Demand
    seed: int
    desk_hours: float  # of opening time until a person does a task, on average
    places: Mapping[str, Place]
    fates: Sequence[Fate]
    span: Span


@dataclass(slots=True)
class Workload:
    """One configuration on its way through the quarter."""

    book: Book
    cast: Cast
    setting: Setting
    stage: Rehearsal = field(init=False)
    practice: Practice = field(init=False)
    desks: Desks = field(init=False)
    sent: Sent = field(init=False)
    _open_at_month: list[bool] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Set the stage; a pilot's list or percentage does not hold here: every channel that is live is live."""
        setting = self.setting
        self.book = replace(self.book, engine=replace(self.book.engine, pilot=Pilot()))
        self.practice = Practice(book=self.book, cast=self.cast, places=setting.places, seed=setting.seed)
        self.sent = Sent(setting.span)
        lines = Lines(book=self.book, practice=self.practice)
        self.stage = Rehearsal(
            book=self.book, start=setting.span.start, scripted=lines, on_sent=partial(self._note_sent, lines)
        )
        self.practice.stage = self.stage
        self.desks = Desks(practice=self.practice, hours=setting.desk_hours)

    def run(self, on_day: Callable[[int], None] = lambda _: None) -> Figures:
        """Play it from the first midnight to the last; `on_day` hears of every day that is over, from 1."""
        try:
            self.play(on_day)
            return self.figures()
        finally:
            self.stage.close()

    def play(self, on_day: Callable[[int], None] = lambda _: None) -> None:
        """The same, with the journal still open at the end."""
        setting, span = self.setting, self.setting.span
        for fate in setting.fates:
            self.practice.at(fate.ordered_at, partial(self._order, fate))
        now, day = span.start, 1
        while now < span.end:
            now = min(now + HOUR, span.end)
            self.practice.play_until(now)
            self.stage.put(Ticked())
            if next_opening(self.practice.calendar, now) == now:
                self.desks.look()
            if now >= span.start + timedelta(days=day):
                on_day(day)
                day += 1
        self.desks.look()

    def _order(self, fate: Fate) -> None:
        self.practice.order(fate)
        ripe = fate.ordered_at + MONTH
        if ripe < self.setting.span.end:
            self.practice.at(ripe, partial(self._look_after_a_month, fate))

    def _look_after_a_month(self, fate: Fate) -> None:
        state = self.practice.state(self.practice.cases[fate.placer].referral)
        if state is not None:
            self._open_at_month.append(not state.is_over)

    def _note_sent(self, lines: Lines, row: EffectRow) -> None:
        lines.sent(row)
        case = self.practice.case_of(row.referral)
        patient = case.fate.person.record if case is not None else row.referral
        self.sent.note(row, self.stage.clock.now(), patient)

    def figures(self) -> Figures:
        """What it came to."""
        span, practice = self.setting.span, self.practice
        reading = self.stage.journal.read()
        works = sorted(self.desks.works.values(), key=lambda one: one.id)
        referrals = [state for case in practice.cases.values() if (state := practice.state(case.referral)) is not None]
        worked = frozenset(one.referral for one in works if one.referral)
        return Figures(
            version=self.book.version,
            weeks=tuple(first.isoformat() for first in span.firsts),
            days=span.days,
            orders=len(self.setting.fates),
            messages=practice.messages,
            refused=practice.refused,
            unroutable=practice.unroutable,
            queues=tuple(queue_weeks(works, span)),
            tasks=_sorted(Counter(one.kind for one in works)),
            escalations=escalations(reading, works, span),
            sendings=self.sent.sendings(),
            patients=self.sent.patients(),
            statuses=_sorted(Counter(_status(one) for one in referrals)),
            endings=_sorted(Counter(one.ending.value for one in referrals if one.ending is not None)),
            measures=measures(referrals, self._open_at_month, span.end, worked, len(works)),
            clocks=tuple(clock_figures(reading, self.book)),
            not_done=practice.not_done,
        )


def _status(one: Referral) -> str:
    return one.status.value


def _sorted(counted: Counter[str]) -> dict[str, int]:
    return {name: counted[name] for name in sorted(counted)}
