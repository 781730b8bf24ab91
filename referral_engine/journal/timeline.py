"""Everything that happened to one referral, merged into one list in time order; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from referral_engine.journal.answers import MessageLine, Moment
from referral_engine.journal.rows import EffectRow, EffectState, EventRow, TaskRow, TaskState


def timeline(
    messages: Iterable[MessageLine], events: Iterable[EventRow], effects: Iterable[EffectRow], tasks: Iterable[TaskRow]
) -> tuple[Moment, ...]:
    """The moments of one referral; of one instant: the message, what it meant, what was owed, what people must do.

    A deadline that fired is the event it became.
    """
    moments = chain(_of_messages(messages), _of_events(events), _of_effects(effects), _of_tasks(tasks))
    return tuple(sorted(moments, key=lambda moment: moment.at))  # stable: the order above holds within an instant


def _of_messages(messages: Iterable[MessageLine]) -> Iterator[Moment]:
    for one in messages:
        yield Moment(
            at=one.received_at,
            source="message",
            kind=one.type,
            summary=f"message from {one.partner}: {one.disposition.value}, answered {one.answer_code or 'nothing'}",
            reason=one.reason,
            message=one.sequence,
            number=one.sequence,
        )


def _of_events(events: Iterable[EventRow]) -> Iterator[Moment]:
    for one in events:
        yield Moment(
            at=one.at,
            source="event",
            kind=one.kind,
            summary=one.summary,
            reason=one.reason,
            message=one.message,
            number=one.sequence,
        )


def _of_effects(effects: Iterable[EffectRow]) -> Iterator[Moment]:
    for one in effects:
        what = f"{one.purpose}{f' ({one.about})' if one.about else ''} to {one.recipient} by {one.lane}"
        yield Moment(at=one.created_at, source="effect", kind=one.purpose, summary=f"owed: {what}", number=one.id)
        if one.settled_at and one.state is not EffectState.QUEUED:
            tries = f"{one.attempts} attempt{'' if one.attempts == 1 else 's'}"
            yield Moment(
                at=one.settled_at,
                source="effect",
                kind=one.purpose,
                summary=f"{one.state.value}: {what}, {tries}",
                reason=one.reason,
                number=one.id,
            )


def _of_tasks(tasks: Iterable[TaskRow]) -> Iterator[Moment]:
    for one in tasks:
        yield Moment(
            at=one.opened_at,
            source="task",
            kind=one.kind,
            summary=f"task {one.kind} for {one.queue}",
            reason=one.reason,
            message=one.message,
            number=one.id,
        )
        if one.state is TaskState.DONE:
            by = f" by {one.claimed_by}" if one.claimed_by else ""
            yield Moment(
                at=one.closed_at,
                source="task",
                kind=one.kind,
                summary=f"task {one.kind} done{by}",
                reason=one.note,
                message=one.message,
                number=one.id,
            )
