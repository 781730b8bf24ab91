"""One turn of the door: the open batch, the configuration in force and the instant, shared by all that it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from referral_engine.base.clock import to_micros
from referral_engine.channels.admission import Admission
from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.journal.rows import AuditRow, BindingKind, TaskRow, TaskState
from referral_engine.journal.unit import Unit
from referral_engine.loop.calendar import Calendar
from referral_engine.loop.clocks import Deadline, due_at
from referral_engine.loop.effects import OpenTask
from referral_engine.loop.policy import Duration, Policy
from referral_engine.loop.policy import Unit as TimeUnit
from referral_engine.loop.referral import Identifier, PatientId, Referral

TASK_DUE = Duration(1, TimeUnit.BUSINESS_DAYS)
URGENT_TASK_DUE = Duration(4, TimeUnit.HOURS)


@dataclass(slots=True, kw_only=True)
class Turn:
    """What the steps of one batch hand to each other."""

    unit: Unit
    book: Book
    node: str
    now: datetime
    now_micros: int
    default_policy: Policy
    day_begins: bool = False  # no tick of this day has swept yet
    running: dict[str, tuple[Referral, Policy, tuple[Deadline, ...]]]  # the clocks last derived of a referral
    admissions: dict[tuple[object, ...], Admission]  # who may say what, remembered
    lanes: set[str] = field(default_factory=set)  # that have new work
    raws: dict[int, bytes] = field(default_factory=dict)  # bytes of messages this batch has in hand
    touched: dict[str, None] = field(default_factory=dict)  # referrals this batch had an event for, in order
    asked: list[TaskRow] = field(default_factory=list)  # what this batch asked of people
    # Numbers that lead to a referral since a moment ago: what waits for one is matched again.
    learned: list[tuple[BindingKind, Identifier | PatientId]] = field(default_factory=list)

    def channel(self, name: str) -> Channel | None:
        """A specialist's file; None once the file is gone."""
        return self.book.channels.get(name)

    def policy(self, name: str) -> Policy:
        """The policy of a channel; the site's own when the file is gone."""
        channel = self.book.channels.get(name)
        return channel.policy if channel else self.default_policy

    def calendar(self, name: str) -> Calendar:
        """The calendar that a channel's clocks and tasks count in."""
        return self.policy(name).calendar

    def raw(self, sequence: int) -> bytes:
        """The bytes of one received message; b"" when there is none of that number."""
        if sequence not in self.raws:
            row = self.unit.message(sequence) if sequence else None
            self.raws[sequence] = row.raw if row else b""
        return self.raws[sequence]

    def open_task(self, effect: OpenTask, *, referral: str = "", channel: str = "", message: int = 0) -> None:
        """Put a task in its queue: one open task of a kind a referral."""
        due = due_at(self.now, URGENT_TASK_DUE if effect.urgent else TASK_DUE, self.calendar(channel))
        row = TaskRow(
            id=0,
            queue=self.book.engine.queue_of(effect.kind.value),
            kind=effect.kind.value,
            referral=referral,
            message=message,
            opened_at=self.now_micros,
            due_at=to_micros(due),
            state=TaskState.OPEN,
            reason=effect.reason,
            urgent=effect.urgent,
        )
        self.asked.append(row)
        self.unit.open_task(row)

    def audit(self, actor: str, action: str, target: str, outcome: str = "") -> None:
        """One line of the audit chain, in this transaction."""
        self.unit.audit(AuditRow(at=self.now_micros, actor=actor, action=action, object=target, outcome=outcome))
