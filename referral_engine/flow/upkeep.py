"""Clocks that belong to no referral: the age of open reviews and of what we know of a specialist; the machine's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from referral_engine.flow.turn import Turn
from referral_engine.loop.effects import OpenTask, TaskKind

REVIEW_AGE: Final = "review-age"  # the queue that gets reviews nobody took in time: the supervisor
ESCALATIONS_MAX: Final = 50  # in one tick


def escalate_reviews(turn: Turn) -> None:
    """A match review that is past its time moves to the supervisor, once: an unmatched report may hold a finding."""
    queue = turn.book.engine.queue_of(REVIEW_AGE)
    for row in turn.unit.overdue_tasks(TaskKind.MATCH_REVIEW.value, ESCALATIONS_MAX):
        turn.unit.escalate_task(row.id, queue, f"{row.reason}; nobody took it in time (was with {row.queue})")
        turn.audit("clock", "escalated", f"task {row.id}", queue)


def review_directory(turn: Turn) -> None:
    """A specialist whose numbers and addresses were verified too long ago: a task, once for each date in its file."""
    engine = turn.book.engine
    for channel in turn.book.channels.values():
        if not channel.is_on or channel.verified_on is None:
            continue
        today = turn.now.astimezone(channel.policy.calendar.zone).date()
        if today < channel.verified_on + timedelta(days=engine.directory_review_days):
            continue
        reason = f"{channel.name}: contact last verified on {channel.verified_on}; verify it, then change verified_on"
        if not turn.unit.asked_to_verify(reason):
            turn.open_task(OpenTask(kind=TaskKind.VERIFY_CONTACT, reason=reason), channel=channel.name)
            turn.audit("clock", "asked to verify", f"channel {channel.name}")


def tell_of_the_clock(turn: Turn, reason: str) -> None:
    """The machine's clock is not believed: one task for a person, urgent, while no such task is open."""
    if turn.unit.is_asked(TaskKind.ANOMALY.value, reason):
        return
    turn.open_task(OpenTask(kind=TaskKind.ANOMALY, reason=reason, urgent=True))
    turn.audit("clock", "not believed", "machine's clock")
