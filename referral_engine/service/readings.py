"""What may be asked of the journal by name: words in, JSON out; asked between two batches, wherever the journal is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from referral_engine.base.errors import Refused
from referral_engine.journal.answers import Review
from referral_engine.journal.reading import ROWS_MAX, Reading
from referral_engine.journal.rows import Disposition, EffectState
from referral_engine.loop.effects import TaskKind
from referral_engine.loop.states import Status
from referral_engine.service.clock_counts import clock_counts
from referral_engine.service.order_facts import order_facts
from referral_engine.service.review_shapes import shape_merge, shape_review, shape_whole_review
from referral_engine.service.shapes import (
    shape_books,
    shape_counts,
    shape_effect,
    shape_line,
    shape_message,
    shape_story,
    shape_task,
    shape_whole_message,
)
from referral_engine.service.traffic import traffic_facts
from referral_engine.service.version_shapes import list_versions, migration_facts, show_version
from referral_engine.service.why_facts import clock_facts

Words = Mapping[str, object]
T = TypeVar("T", str, int, bool)
S = TypeVar("S", bound=StrEnum)
NO: Final = False
LIMIT_DEFAULT: Final = 100
QUESTION_SECONDS_MAX: Final = 2.0  # stops one person's question from keeping every sender waiting


def word(words: Words, name: str, default: T) -> T:
    """One word of a question, of the default's type.  Raises Refused."""
    value = words.get(name, default)
    if not isinstance(value, type(default)):
        raise Refused(f"{name}: expected {type(default).__name__}")
    return value


def list_referrals(reading: Reading, words: Words) -> object:
    """Referrals, newest first."""
    status = _state(Status, word(words, "status", ""))
    return [shape_line(line) for line in reading.referrals(status=status, limit=word(words, "limit", LIMIT_DEFAULT))]


def show_referral(reading: Reading, words: Words) -> object:
    """One referral's whole history."""
    number = word(words, "referral", "")
    story = reading.story(reading.find(number))
    if story is None:
        raise Refused(f"there is no referral {number}")
    return shape_story(story, reading if word(words, "bytes", NO) else None, reading.numbering())


def list_tasks(reading: Reading, words: Words) -> object:
    """The work queue."""
    queue, limit, done = word(words, "queue", ""), word(words, "limit", LIMIT_DEFAULT), word(words, "all", NO)
    return [shape_task(row) for row in reading.tasks(queue=queue, done=done, limit=limit)]


def list_outbox(reading: Reading, words: Words) -> object:
    """What is owed or needs a person; with a state, everything in it."""
    limit, state = word(words, "limit", LIMIT_DEFAULT), _state(EffectState, word(words, "state", ""))
    everything = word(words, "all", NO) or state is not None
    rows = reading.outbox(settled=everything, limit=ROWS_MAX if state else limit)
    return [shape_effect(row) for row in rows if state in (None, row.state)][:limit]


def list_messages(reading: Reading, words: Words) -> object:
    """What came in, newest first."""
    disposition = Disposition.QUARANTINED if word(words, "quarantined", NO) else None
    limit = word(words, "limit", LIMIT_DEFAULT)
    numbering = reading.numbering()
    return [shape_message(line, numbering) for line in reading.messages(disposition=disposition, limit=limit)]


def show_message(reading: Reading, words: Words) -> object:
    """One message with its bytes."""
    sequence = word(words, "message", 0)
    row = reading.message(sequence)
    if row is None:
        raise Refused(f"there is no message {sequence}")
    return shape_whole_message(row, reading.decisions(sequence), reading.numbering())


def list_reviews(reading: Reading, words: Words) -> object:
    """The messages whose referral a person must name, urgent ones first."""
    reviews = reading.reviews(limit=word(words, "limit", LIMIT_DEFAULT))
    return [shape_review(one, reading.message(one.task.message)) for one in reviews]


def show_review(reading: Reading, words: Words) -> object:
    """One review: the message's patient beside each candidate's."""
    number = word(words, "task", 0)
    task = reading.task(number)
    if task is None or task.kind != TaskKind.MATCH_REVIEW.value:
        raise Refused(f"task {number} is no review")
    review = Review(task=task, decisions=reading.decisions(task.message) if task.message else ())
    return shape_whole_review(review, reading.message(task.message), reading)


def list_merges(reading: Reading, words: Words) -> object:
    """Record numbers that are one person's, the newest first; undone ones too."""
    return [shape_merge(row) for row in reading.merges(limit=word(words, "limit", LIMIT_DEFAULT))]


def counts(reading: Reading, _words: Words) -> object:
    """The journal's part of `status`: received = applied + no-op + quarantined + needs-human + pending, by feed."""
    return shape_counts(reading.counts()) | shape_books(reading.books())


def lanes(reading: Reading, _words: Words) -> object:
    """Lane to how many sendings are still to leave there."""
    owed: dict[str, int] = {}
    for one in reading.counts().effects:
        if one.state in (EffectState.QUEUED, EffectState.IN_FLIGHT):
            owed[one.lane] = owed.get(one.lane, 0) + one.number
    return owed


def _state(kind: type[S], text: str) -> S | None:
    """A state by its name; None when none was named.  Raises Refused."""
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise Refused(f"{text!r} is not one of {', '.join(one.value for one in kind)}") from None


READINGS: Final[Mapping[str, Callable[[Reading, Words], object]]] = {
    "list": list_referrals,
    "show": show_referral,
    "tasks": list_tasks,
    "outbox": list_outbox,
    "messages": list_messages,
    "message": show_message,
    "reviews": list_reviews,
    "review": show_review,
    "merges": list_merges,
    "versions": list_versions,
    "version": show_version,
    "migration": migration_facts,
    "why": clock_facts,
    "orders": order_facts,
    "clocks": clock_counts,
    "traffic": traffic_facts,
    "counts": counts,
    "lanes": lanes,
}
