"""The questions and commands of the control socket; each reads through the door or passes an input through it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final, cast

from twisted.internet.defer import Deferred

from referral_engine.base.errors import Refused
from referral_engine.flow.inputs import (
    ConfigMigrated,
    EvidenceConfirmed,
    EvidenceUnbound,
    Input,
    MergeUndone,
    MessageDecision,
    OutboxDecision,
    PatientReplied,
    Receipt,
    ReviewDecided,
    TaskClaimed,
    TaskDone,
)
from referral_engine.service.context import Answers, Context
from referral_engine.service.migration import migration, refuse_unknown
from referral_engine.service.readings import NO, word
from referral_engine.service.why_shapes import why

Words = dict[str, object]


def _looked(name: str) -> Answers:
    """A question that the journal answers by itself."""

    def ask(context: Context, words: Words) -> Deferred[object]:
        return context.door.look(name, **words)

    return ask


def status(context: Context, _words: Words) -> Deferred[object]:
    """Health, counters, queues and the clock."""
    known = context.status()
    return context.door.look("counts").addCallback(lambda counted: known | cast("Words", counted))


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
        authorization_begins_on=_day(word(words, "authorized_from", "")),
        authorization_visits=word(words, "visits", 0),
        denied=word(words, "denied", NO),
        release=word(words, "release", NO),
        waive=word(words, "waive", NO),
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


def decide_message(context: Context, words: Words) -> Deferred[object]:
    """A person says replay or skip of a message that was set aside."""
    decision = MessageDecision(
        message=word(words, "message", 0), decision=word(words, "decision", ""), by=word(words, "by", "")
    )
    return _put(context, decision)


def decide_review(context: Context, words: Words) -> Deferred[object]:
    """A person says which referral a message under review belongs to, if any."""
    decided = ReviewDecided(
        task=word(words, "task", 0),
        decision=word(words, "decision", ""),
        by=word(words, "by", ""),
        reason=word(words, "reason", ""),
        referral=word(words, "referral", ""),
        channel=word(words, "channel", ""),
        part=word(words, "part", -1),
        sure=word(words, "sure", NO),
    )
    return _put(context, decided)


def confirm_match(context: Context, words: Words) -> Deferred[object]:
    """A person says that a provisional match is right."""
    told = EvidenceConfirmed(
        message=word(words, "message", 0), by=word(words, "by", ""), reason=word(words, "reason", "")
    )
    return _put(context, told)


def undo_evidence(context: Context, words: Words) -> Deferred[object]:
    """A person takes what a message said off its referral."""
    undone = EvidenceUnbound(
        message=word(words, "message", 0),
        by=word(words, "by", ""),
        reason=word(words, "reason", ""),
        referral=word(words, "referral", ""),
    )
    return _put(context, undone)


def undo_merge(context: Context, words: Words) -> Deferred[object]:
    """A person says that two record numbers are not one patient's."""
    return _put(
        context, MergeUndone(merge=word(words, "merge", 0), by=word(words, "by", ""), reason=word(words, "reason", ""))
    )


def hear_patient(context: Context, words: Words) -> Deferred[object]:
    """A patient's reply, as somebody or something noted it."""
    return _put(context, PatientReplied(referral=word(words, "referral", ""), answer=word(words, "answer", "")))


def migrate_clocks(context: Context, words: Words) -> Deferred[object]:
    """A person gives open referrals of older configurations the clocks of the one in force; one portion."""
    refuse_unknown(context.book, words.get("channel"))
    moved = ConfigMigrated(
        by=word(words, "by", ""),
        reason=word(words, "reason", ""),
        channel=word(words, "channel", ""),
        after=word(words, "after", ""),
    )

    def told(receipt: Receipt) -> object:
        return {
            "refused": receipt.refused, "count": receipt.count, "more": receipt.more, "cursor": receipt.cursor,
        }  # fmt: skip

    return context.door.submit(moved).addCallback(told)


QUESTIONS: Final[Mapping[str, Answers]] = {
    "list": _looked("list"),
    "show": _looked("show"),
    "tasks": _looked("tasks"),
    "outbox": _looked("outbox"),
    "messages": _looked("messages"),
    "message": _looked("message"),
    "reviews": _looked("reviews"),
    "review": _looked("review"),
    "merges": _looked("merges"),
    "orders": _looked("orders"),
    "clocks": _looked("clocks"),
    "traffic": _looked("traffic"),
    "versions": _looked("versions"),
    "version": _looked("version"),
    "migration": migration,
    "why": why,
    "status": status,
    "task-claim": claim_task,
    "task-done": finish_task,
    "outbox-decide": decide_sending,
    "message-decide": decide_message,
    "review-decide": decide_review,
    "review-confirm": confirm_match,
    "review-undo": undo_evidence,
    "merge-undo": undo_merge,
    "reply": hear_patient,
    "config-migrate": migrate_clocks,
}
