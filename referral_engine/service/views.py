"""The questions and commands of the control socket; each reads through the door or passes an input through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final, TypeVar

from twisted.internet.defer import Deferred

from referral_engine.flow.inputs import Input, OutboxDecision, PatientReplied, Receipt, TaskClaimed, TaskDone
from referral_engine.journal.reading import ROWS_MAX, Reading
from referral_engine.journal.rows import Disposition, EffectState
from referral_engine.loop.states import Status
from referral_engine.service.context import Answers, Context
from referral_engine.service.control import Refused
from referral_engine.service.shapes import (
    shape_counts,
    shape_effect,
    shape_line,
    shape_message,
    shape_story,
    shape_task,
    shape_whole_message,
)

Words = dict[str, object]
T = TypeVar("T", str, int, bool)
S = TypeVar("S", bound=StrEnum)
NO: Final = False
LIMIT_DEFAULT: Final = 100


def word(words: Words, name: str, default: T) -> T:
    """One word of a question, of the default's type.  Raises Refused."""
    value = words.get(name, default)
    if not isinstance(value, type(default)):
        raise Refused(f"{name}: expected {type(default).__name__}")
    return value


def _asked(context: Context, question: Callable[[Reading], object]) -> Deferred[object]:
    return context.door.ask(question)


def list_referrals(context: Context, words: Words) -> Deferred[object]:
    """Referrals, newest first."""
    limit = word(words, "limit", LIMIT_DEFAULT)
    status = _state(Status, word(words, "status", ""))
    return _asked(context, lambda reading: [shape_line(line) for line in reading.referrals(status=status, limit=limit)])


def show_referral(context: Context, words: Words) -> Deferred[object]:
    """One referral's whole history."""
    number, with_bytes = word(words, "referral", ""), word(words, "bytes", NO)

    def look(reading: Reading) -> object:
        story = reading.story(reading.find(number))
        if story is None:
            raise Refused(f"there is no referral {number}")
        return shape_story(story, reading if with_bytes else None)

    return _asked(context, look)


def list_tasks(context: Context, words: Words) -> Deferred[object]:
    """The work queue."""
    queue, limit, done = word(words, "queue", ""), word(words, "limit", LIMIT_DEFAULT), word(words, "all", NO)
    return _asked(
        context, lambda reading: [shape_task(row) for row in reading.tasks(queue=queue, done=done, limit=limit)]
    )


def list_outbox(context: Context, words: Words) -> Deferred[object]:
    """What is owed or needs a person; with a state, everything in it."""
    limit, state = word(words, "limit", LIMIT_DEFAULT), _state(EffectState, word(words, "state", ""))
    everything = word(words, "all", NO) or state is not None

    def look(reading: Reading) -> object:
        rows = reading.outbox(settled=everything, limit=ROWS_MAX if state else limit)
        return [shape_effect(row) for row in rows if state in (None, row.state)][:limit]

    return _asked(context, look)


def list_messages(context: Context, words: Words) -> Deferred[object]:
    """What came in, newest first."""
    limit = word(words, "limit", LIMIT_DEFAULT)
    disposition = Disposition.QUARANTINED if word(words, "quarantined", NO) else None
    return _asked(
        context,
        lambda reading: [shape_message(line) for line in reading.messages(disposition=disposition, limit=limit)],
    )


def show_message(context: Context, words: Words) -> Deferred[object]:
    """One message with its bytes."""
    sequence = word(words, "message", 0)

    def look(reading: Reading) -> object:
        row = reading.message(sequence)
        if row is None:
            raise Refused(f"there is no message {sequence}")
        return shape_whole_message(row)

    return _asked(context, look)


def status(context: Context, _words: Words) -> Deferred[object]:
    """Health, counters, queues and the clock."""
    known = context.status()
    return _asked(context, lambda reading: known | shape_counts(reading.counts()))


def _state(kind: type[S], text: str) -> S | None:
    """A state by its name; None when none was named.  Raises Refused."""
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise Refused(f"{text!r} is not one of {', '.join(one.value for one in kind)}") from None


def _put(context: Context, one: Input) -> Deferred[object]:
    def told(receipt: Receipt) -> object:
        return {"refused": receipt.refused}

    return context.door.submit(one).addCallback(told)


def claim_task(context: Context, words: Words) -> Deferred[object]:
    """A person takes a task."""
    return _put(context, TaskClaimed(task=word(words, "task", 0), by=word(words, "by", "")))


def finish_task(context: Context, words: Words) -> Deferred[object]:
    """A person did a task."""
    attended = words.get("attended")
    done = TaskDone(
        task=word(words, "task", 0),
        by=word(words, "by", ""),
        note=word(words, "note", ""),
        booked=_wall(context, word(words, "booked", "")),
        attended=attended if isinstance(attended, bool) else None,
        authorized=word(words, "authorized", ""),
        authorization_expires_on=_day(word(words, "authorized_until", "")),
        release=word(words, "release", NO),
        patient_reached=word(words, "patient_reached", NO),
        cancel_confirmed=word(words, "cancel_confirmed", NO),
        end=word(words, "end", ""),
    )
    return _put(context, done)


def _wall(context: Context, text: str) -> datetime | None:
    """A clinic wall time, in the practice's zone."""
    if not text:
        return None
    calendars = context.book.engine.calendars
    calendar = calendars.get("default") or next(iter(calendars.values()))
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f'"{text}" is not a time such as "2026-03-10 09:30"') from None
    return (said if said.tzinfo else said.replace(tzinfo=calendar.zone)).astimezone(UTC)


def _day(text: str) -> date | None:
    """A day; None when none was said.  Raises Refused."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Refused(f'"{text}" is not a day such as 2026-06-30') from None


def decide_sending(context: Context, words: Words) -> Deferred[object]:
    """A person retries, parks or cancels one sending."""
    decision = OutboxDecision(
        effect=word(words, "effect", 0), decision=word(words, "decision", ""), by=word(words, "by", "")
    )
    return _put(context, decision)


def hear_patient(context: Context, words: Words) -> Deferred[object]:
    """A patient's reply, as somebody or something noted it."""
    return _put(context, PatientReplied(referral=word(words, "referral", ""), answer=word(words, "answer", "")))


QUESTIONS: Final[Mapping[str, Answers]] = {
    "list": list_referrals,
    "show": show_referral,
    "tasks": list_tasks,
    "outbox": list_outbox,
    "messages": list_messages,
    "message": show_message,
    "status": status,
    "task-claim": claim_task,
    "task-done": finish_task,
    "outbox-decide": decide_sending,
    "reply": hear_patient,
}
