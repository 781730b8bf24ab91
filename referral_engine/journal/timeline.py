"""Everything that happened to one referral, merged into one list in time order; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from referral_engine.journal.answers import MessageLine, Moment
from referral_engine.journal.rows import EffectRow, EffectState, EventRow, TaskRow, TaskState

AFTER: Final = 0.5  # what an event owes stands behind it and before the next
LAST: Final = math.inf  # what carries no number of the journal's order stands at the end of its instant

Placed = tuple[float, Moment]  # its place within its instant


def timeline(
    messages: Iterable[MessageLine], events: Iterable[EventRow], effects: Iterable[EffectRow], tasks: Iterable[TaskRow]
) -> tuple[Moment, ...]:
    """The moments of one referral; within one instant causes stand before what they caused.

    A deadline that fired is the event it became.
    """
    placed = chain(_of_messages(messages), _of_events(events), _of_effects(effects), _of_tasks(tasks))
    return tuple(moment for _, moment in sorted(placed, key=lambda pair: (pair[1].at, pair[0])))


def _of_messages(messages: Iterable[MessageLine]) -> Iterator[Placed]:
    for one in messages:
        yield (
            one.sequence,
            Moment(
                at=one.received_at,
                source="message",
                kind=one.type,
                summary=f"message from {one.partner}: {one.disposition.value}, answered {one.answer_code or 'nothing'}",
                reason=one.reason,
                message=one.sequence,
                number=one.sequence,
            ),
        )


def _of_events(events: Iterable[EventRow]) -> Iterator[Placed]:
    for one in events:
        yield (
            one.sequence,
            Moment(
                at=one.at,
                source="event",
                kind=one.kind,
                summary=one.summary,
                reason=one.reason,
                message=one.message,
                number=one.sequence,
            ),
        )


def _of_effects(effects: Iterable[EffectRow]) -> Iterator[Placed]:
    for one in effects:
        what = f"{one.purpose}{f' ({one.about})' if one.about else ''} to {one.recipient} by {one.lane}"
        yield (
            one.cause + AFTER,
            Moment(at=one.created_at, source="effect", kind=one.purpose, summary=f"owed: {what}", number=one.id),
        )
        if one.settled_at and one.state is not EffectState.QUEUED:
            tries = f"{one.attempts} attempt{'' if one.attempts == 1 else 's'}"
            yield (
                LAST,
                Moment(
                    at=one.settled_at,
                    source="effect",
                    kind=one.purpose,
                    summary=f"{one.state.value}: {what}, {tries}",
                    reason=one.reason,
                    number=one.id,
                ),
            )


def _of_tasks(tasks: Iterable[TaskRow]) -> Iterator[Placed]:
    for one in tasks:
        yield (
            LAST,
            Moment(
                at=one.opened_at,
                source="task",
                kind=one.kind,
                summary=f"task {one.kind} for {one.queue}",
                reason=one.reason,
                message=one.message,
                number=one.id,
            ),
        )
        if one.state is TaskState.DONE:
            by = f" by {one.claimed_by}" if one.claimed_by else ""
            yield (
                LAST,
                Moment(
                    at=one.closed_at,
                    source="task",
                    kind=one.kind,
                    summary=f"task {one.kind} done{by}",
                    reason=one.note,
                    message=one.message,
                    number=one.id,
                ),
            )
