"""Why a step went another way than its file says: the line of a file, the clock or the event that decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from referral_engine.base.clock import from_micros
from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.channels.clocks import row_of
from referral_engine.channels.parties import named_in
from referral_engine.channels.routing import explain
from referral_engine.hl7.message import Message
from referral_engine.journal.answers import Story
from referral_engine.journal.reading import Reading
from referral_engine.journal.rows import DeadlineRow, EffectRow, EffectState, MessageRow, TaskRow
from referral_engine.loop.clocks import CLOCKS, STAGES_MAX, While, runs
from referral_engine.loop.effects import Effect, OpenTask, Purpose, Recipient, Send
from referral_engine.loop.events import DeadlinePassed
from referral_engine.loop.policy import Kind
from referral_engine.loop.referral import Referral
from referral_engine.loop.responses import PASSING
from referral_engine.loop.rules import decide
from referral_engine.loop.states import Dispatch

TRACKS: Final = ("authorization", "dispatch", "outreach", "appointment", "note", "closure")
_RULES: Final = {rule.kind: rule for rule in CLOCKS}
_TOLD_MAX: Final = 3  # sentences of one reason; more is a report


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """What can be asked of one moment of a timetable."""

    book: Book
    channel: Channel
    reading: Reading
    identity: str  # the referral a step is about; "" for none
    row: MessageRow | None  # the message the step received, else the last one

    def of_routing(self) -> str:
        """Why the channel took the message, or did not."""
        if self.row is None:
            return "no message has come in"
        message = Message.parse(self.row.raw)
        answers = explain(self.book, message, named_in(self.book, message.header)).candidates
        mine = next((one for one in answers if one.name == self.channel.name), None)
        others = ", ".join(one.name for one in answers if one.yes and one.name != self.channel.name)
        said = f"{mine.reason}{f', {mine.lines}' if mine.lines else ''}; " if mine is not None else ""
        taken = f"{others} takes it too; " if others and mine is not None and mine.yes else ""
        return f"{said}{taken}{self.row.reason}".rstrip("; ")

    def of_answer(self) -> str:
        """Why the message was answered so."""
        return self.row.reason if self.row is not None and self.row.reason else self.of_state()

    def of_state(self) -> str:
        """What moved the referral last, and the clock that runs out next."""
        story = self._story()
        if story is None:
            return self.of_routing()
        last = story.events[-1] if story.events else None
        said = f"{last.summary}: {last.reason}" if last and last.reason else last.summary if last else ""
        clocks = sorted(_pending(story), key=lambda one: one.due_at)
        return said + (f"; next {self.clock(clocks[0], story.referral)}" if clocks else "; no clock runs")

    def of_missing_task(self, meant: Callable[[str, str], bool]) -> str:
        """Why no such task is open; meant: whether a kind and its queue are the expected ones."""
        story = self._story()
        if story is None:
            return self.of_routing()
        done = next((one for one in reversed(story.tasks) if meant(one.kind, one.queue) and one.closed_at), None)
        if done is not None:
            return f"it was opened {self.time(done.opened_at)} and closed {self.time(done.closed_at)}: {done.note}"

        def opens(effect: Effect) -> bool:
            return isinstance(effect, OpenTask) and meant(
                effect.kind.value, self.book.engine.queue_of(effect.kind.value)
            )

        return self._clocks_that(opens, "would open it") or self.of_state()

    def of_task(self, task: TaskRow) -> str:
        """Why a task is open."""
        story = self.reading.story(task.referral) if task.referral else None
        return f"opened {self.time(task.opened_at)}: {task.reason}{self._by_clock(story, task.opened_at)}"

    def of_missing_sending(self, wanted: Callable[[Send], bool]) -> str:
        """Why nothing of that kind left: it waits, it is held, it failed, or its clock has not run out."""
        story = self._story()
        if story is None:
            return self.of_routing()
        if story.referral.dispatch is Dispatch.HELD:
            first = story.events[0].reason if story.events else ""
            return f"the packet is held: {story.referral.hold.reason}" + (f" ({first})" if first else "")

        def sends(effect: Effect) -> bool:
            return isinstance(effect, Send) and wanted(effect)

        waiting = [self._sending(row) for row in story.effects if self._is_told(row, wanted)]
        return "; ".join(waiting[-_TOLD_MAX:]) or self._clocks_that(sends, "would send it") or self.of_state()

    def of_sending(self, row: EffectRow) -> str:
        """What owed a sending that left."""
        story = self.reading.story(row.referral)
        cause = next((one for one in story.events if one.sequence == row.cause), None) if story else None
        again = f"attempt {row.attempts} of " if row.attempts > 1 else ""
        said = f"; {cause.summary}: {cause.reason}".rstrip(": ") if cause else ""
        return f"{again}{row.recipient} {row.purpose}{said}{self._by_clock(story, row.created_at)}"

    def of_clock(self, kind: str) -> str:
        """Why a clock runs, or does not."""
        story = self._story()
        if story is None:
            return self.of_routing()
        rows = [one for one in story.deadlines if one.kind == kind]
        pending = [one for one in rows if one.state == "pending"]
        if pending:
            return self.clock(pending[0], story.referral)
        fired = [one for one in rows if one.state == "fired"]
        rule = _RULES[Kind(kind)]
        if rule.kind in self.channel.policy.off:
            return f'the "{kind}" clock is off: this office answers no such question, and [sla] does not switch it on'
        if not runs(rule.kind, story.referral):
            return _does_not_hold(kind, rule.runs, story.referral)
        if fired:
            return f'the "{kind}" clock fired {self.time(fired[-1].due_at)}'
        return f'the "{kind}" clock starts at: {rule.start.value}, which has not happened'

    def clock(self, row: DeadlineRow, referral: Referral) -> str:
        """One clock with when it is due and the line of the policy that says so."""
        length = self._length(row, referral)
        origin = self._origin(row.kind, referral)
        return f'the "{row.kind}" clock is due {self.time(row.due_at)} ({length}, {origin})'

    def time(self, micros: int) -> str:
        """Clinic time with its zone."""
        return local(from_micros(micros), self.channel)

    def _story(self) -> Story | None:
        return self.reading.story(self.identity) if self.identity else None

    def _clocks_that(self, does: Callable[[Effect], bool], what: str) -> str:
        """The clock that will do it next; else those that could, and why they do not run; "" when none could."""
        story = self._story()
        assert story is not None, "asked for a stored referral only"
        for row in sorted(_pending(story), key=lambda one: one.due_at):
            if any(map(does, self._effects(row, story.referral))):
                return self.clock(row, story.referral)
        idle = [
            kind.value
            for kind in Kind
            if not any(one.kind == kind.value and one.state == "pending" for one in story.deadlines)
            and any(map(does, _if_it_ran(kind, story.referral, self.channel)))
        ]
        return "; ".join(f"{self.of_clock(kind)} (it {what})" for kind in idle[:_TOLD_MAX])

    def _effects(self, row: DeadlineRow, referral: Referral) -> tuple[Effect, ...]:
        """What a running clock will cause if nothing happens before."""
        due = from_micros(row.due_at)
        passed = DeadlinePassed(at=due, kind=Kind(row.kind), generation=row.generation, due_at=due)
        return decide(referral, passed, self.channel.policy).effects

    def _is_told(self, row: EffectRow, wanted: Callable[[Send], bool]) -> bool:
        """Whether a sending is of the wanted kind and has not simply arrived."""
        send = Send(to=Recipient(row.recipient), purpose=_purpose(row), about=row.about)
        return row.state is not EffectState.DELIVERED and wanted(send)

    def _by_clock(self, story: Story | None, at: int) -> str:
        """The clock that fired at an instant, and the line that says how long it runs; "" for none."""
        rows = [one for one in story.deadlines if one.state == "fired" and one.due_at == at] if story else []
        if story is None or not rows:
            return ""
        told = (
            f'"{one.kind}" ({self._length(one, story.referral)}, {self._origin(one.kind, story.referral)})'
            for one in rows
        )
        return f"; the clock {', '.join(told)}"

    def _sending(self, row: EffectRow) -> str:
        """Where one sending stands."""
        what = f"{row.recipient} {row.purpose}"
        reason = f": {row.reason}" if row.reason else ""
        match row.state:
            case EffectState.QUEUED if not row.attempts:
                return f"{what} leaves {self.time(row.next_at)}{reason}"
            case EffectState.QUEUED:
                return f"{what} is tried again {self.time(row.next_at)}{reason}"
            case EffectState.IN_FLIGHT:
                return f"{what} has left and waits for its answer (attempt {row.attempts})"
            case _:
                return f"{what} is {row.state.value}{reason}"

    def _length(self, row: DeadlineRow, referral: Referral) -> str:
        order = referral.order
        lengths = self.channel.policy.lengths(Kind(row.kind), order.urgency, order.network)
        stage = row.generation % STAGES_MAX if len(lengths) > 1 else 0
        return f"{lengths[min(stage, len(lengths) - 1)]}, {order.urgency.value}"

    def _origin(self, kind: str, referral: Referral) -> str:
        settings = self.book.settings.get(self.channel.file, ())
        found = row_of(settings, Kind(kind), referral.order.urgency, referral.order.network)
        return "a built-in default" if found is None or found.origin == "default" else found.origin


def local(instant: datetime, channel: Channel) -> str:
    """An instant in clinic time, with its zone: Mon 10 Mar 2025 17:00 CDT."""
    wall = instant.astimezone(channel.policy.calendar.zone)
    seconds = ":%S" if wall.second else ""
    return wall.strftime(f"%a %d %b %Y %H:%M{seconds} %Z")


def _purpose(row: EffectRow) -> Purpose:
    return Purpose(row.purpose)


def _pending(story: Story) -> Iterator[DeadlineRow]:
    return (one for one in story.deadlines if one.state == "pending")


def _if_it_ran(kind: Kind, referral: Referral, channel: Channel) -> tuple[Effect, ...]:
    """What a clock asks for when it runs out, wherever the tracks stand."""
    return PASSING[kind](referral, 0, channel.policy)


def _does_not_hold(kind: str, runs_while: While, referral: Referral) -> str:
    """The first track on which a clock's "runs while" fails."""
    for track in TRACKS:
        allowed = getattr(runs_while, track)
        state = getattr(referral, track)
        if allowed is not None and state not in allowed:
            words = ", ".join(str(one) for one in sorted(allowed))
            return f'the "{kind}" clock runs while {track} is {words}; it is {state}'
    return f'the "{kind}" clock does not run'
