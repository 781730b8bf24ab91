"""One turn of the door: the open batch, the configuration in force and the instant, shared by all that it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from referral_engine.base.clock import to_micros
from referral_engine.base.values import replace
from referral_engine.channels.admission import Admission
from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.flow.past import Past
from referral_engine.flow.pilot import NOT_ASKED
from referral_engine.journal.rows import AuditRow, BindingKind, TaskRow, TaskState
from referral_engine.journal.unit import Unit
from referral_engine.loop.calendar import Calendar
from referral_engine.loop.clocks import Deadline, due_at
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.policy import Duration, Policy
from referral_engine.loop.policy import Unit as TimeUnit
from referral_engine.loop.referral import Identifier, PatientId, Referral

TASK_DUE = Duration(1, TimeUnit.BUSINESS_DAYS)
URGENT_TASK_DUE = Duration(4, TimeUnit.HOURS)
_DUE: Final = (TASK_DUE, URGENT_TASK_DUE)  # of every task but a match review, whose age the files decide
_ASKED_ANYWAY: Final = frozenset({TaskKind.MATCH_REVIEW, TaskKind.WRONG_PATIENT})  # about a message, not the loop


@dataclass(slots=True, kw_only=True)
class Turn:
    """What the steps of one batch hand to each other."""

    unit: Unit
    book: Book
    node: str
    now: datetime
    now_micros: int
    default_policy: Policy
    past: Past  # the policies of older configurations
    day_begins: bool = False  # no tick of this day has swept yet
    running: dict[str, tuple[Referral, Policy, tuple[Deadline, ...]]]  # the clocks last derived of a referral
    admissions: dict[tuple[object, ...], Admission]  # who may say what, remembered
    lanes: set[str] = field(default_factory=set)  # that have new work
    raws: dict[int, bytes] = field(default_factory=dict)  # bytes of messages this batch has in hand
    touched: dict[str, None] = field(default_factory=dict)  # referrals this batch had an event for, in order
    asked: list[TaskRow] = field(default_factory=list)  # what this batch asked of people
    # Numbers that lead to a referral since a moment ago: what waits for one is matched again.
    learned: list[tuple[BindingKind, Identifier | PatientId]] = field(default_factory=list)
    offered: Book | None = None  # read beforehand, in case this batch puts it in force
    adopted: Book | None = None  # in force once this batch is committed

    def channel(self, name: str) -> Channel | None:
        """A specialist's file; None once the file is gone."""
        return self.book.channels.get(name)

    def policy_of(self, referral: Referral) -> Policy:
        """The policy of a referral: the clocks of the configuration it names, everything else as it is now.

        When the channel's file is gone, its last policy; when nobody knows the configuration, the one in force.
        """
        if referral.config != self.book.version:
            return self.past.policy(self.unit, referral.config, referral.channel)[0]
        channel = self.book.channels.get(referral.channel)
        return channel.policy if channel else self.default_policy

    def is_known(self, referral: Referral) -> bool:
        """Whether the configuration that a referral names still says what its clocks are."""
        if referral.config == self.book.version:
            return True
        return self.past.policy(self.unit, referral.config, referral.channel)[1]

    def calendar(self, name: str) -> Calendar:
        """The calendar that a channel's tasks count in; the site's own when its file is gone."""
        channel = self.book.channels.get(name)
        return channel.policy.calendar if channel else self.default_policy.calendar

    def raw(self, sequence: int) -> bytes:
        """The bytes of one received message; b"" when there is none of that number."""
        if sequence not in self.raws:
            row = self.unit.message(sequence) if sequence else None
            self.raws[sequence] = row.raw if row else b""
        return self.raws[sequence]

    def open_task(self, effect: OpenTask, *, referral: str = "", channel: str = "", message: int = 0) -> None:
        """Put a task in its queue: one open task of a kind a referral.

        What a referral in shadow asks of people is noted and done at once: it stands on no queue.
        """
        routine, urgent = _DUE if effect.kind is not TaskKind.MATCH_REVIEW else self.book.engine.review_age
        due = due_at(self.now, urgent if effect.urgent else routine, self.calendar(channel))
        row = TaskRow(
            id=0,
            queue=self._queue_of(effect.kind, channel),
            kind=effect.kind.value,
            referral=referral,
            message=message,
            opened_at=self.now_micros,
            due_at=to_micros(due),
            state=TaskState.OPEN,
            reason=effect.reason,
            urgent=effect.urgent,
        )
        if referral and effect.kind not in _ASKED_ANYWAY and self._is_watched(referral):
            row = replace(row, state=TaskState.DONE, closed_at=self.now_micros, note=NOT_ASKED)
        self.asked.append(row)
        self.unit.open_task(row)

    def _is_watched(self, identity: str) -> bool:
        """Whether a referral came through a channel in shadow."""
        referral = self.unit.referral(identity)
        return referral is not None and referral.watched

    def _queue_of(self, kind: TaskKind, channel: str) -> str:
        """The queue of a kind of task; what a channel's own [hold] holds back is in the queue that it names."""
        known = self.book.channels.get(channel) if kind is TaskKind.PREAUTH else None
        if known is not None and known.hold is not None:
            return known.hold.escalate_to
        return self.book.engine.queue_of(kind.value)

    def audit(self, actor: str, action: str, target: str, outcome: str = "") -> None:
        """One line of the audit chain, in this transaction."""
        self.unit.audit(AuditRow(at=self.now_micros, actor=actor, action=action, object=target, outcome=outcome))
