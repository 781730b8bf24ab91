"""What questions to the journal are answered with: values for the command line, the web pages and the health page."""

from __future__ import annotations

from dataclasses import dataclass

from referral_engine.journal.rows import (
    DeadlineRow,
    DecisionRow,
    Disposition,
    EffectRow,
    EffectState,
    EventRow,
    TaskRow,
)
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import Status, Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralLine:
    """One referral in a list."""

    id: str
    status: Status
    channel: str
    specialty: str
    priority: Urgency
    ordered_at: int
    updated_at: int
    placer_number: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLine:
    """One received message in a list, without its bytes."""

    sequence: int
    control_id: bytes  # MSH-10 as received
    partner: str
    type: str
    received_at: int
    disposition: Disposition
    answer_code: str  # MSA-1
    referral: str
    level: int
    reason: str
    config: str = ""  # the configuration that decided
    purged_at: int = 0  # when it was reduced to its header, for it concerned nobody; 0 while it is whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One open match review: a message whose referral a person must name, or a referral somebody disputes."""

    task: TaskRow
    decisions: tuple[DecisionRow, ...] = ()  # the newest about each part of its message, first to last

    @property
    def decision(self) -> DecisionRow | None:
        """The one the person is asked about: the newest that names no referral, else the newest; None without any."""
        undecided = [one for one in self.decisions if not one.referral or one.undone_at]
        return max(undecided or self.decisions, key=lambda one: one.at, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a referral's timeline."""

    at: int
    source: str  # message, event, effect, deadline, task
    kind: str  # "ORM^O01", "ReferralOrdered", "order", "schedule", "call-patient"
    summary: str
    reason: str = ""
    message: int = 0  # the message behind it, 0 when none
    number: int = 0  # the row's own: sequence, effect, task


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything the journal holds of one referral, each list in time order and limited."""

    line: ReferralLine
    referral: Referral
    timeline: tuple[Moment, ...]
    messages: tuple[MessageLine, ...]
    events: tuple[EventRow, ...]
    effects: tuple[EffectRow, ...]
    deadlines: tuple[DeadlineRow, ...]
    tasks: tuple[TaskRow, ...]
    truncated: bool  # a list reached its limit


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCount:
    """How many messages of one partner became what."""

    partner: str
    disposition: Disposition
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectCount:
    """How many owed sendings of one lane are where."""

    lane: str
    state: EffectState
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The numbers of the status page."""

    messages: tuple[MessageCount, ...]
    effects: tuple[EffectCount, ...]
    tasks_open: int
    deadlines_pending: int
    oldest_deadline_at: int | None
    oldest_queued_at: int | None  # of what is owed, by when it may be tried
    referrals_open: int
    high_water: int
    sequence: int
    epoch: int

    def received(self, disposition: Disposition | None = None) -> int:
        """Messages of one disposition, or all."""
        return sum(one.number for one in self.messages if disposition in {None, one.disposition})

    def owed(self, state: EffectState) -> int:
        """Sendings in one state."""
        return sum(one.number for one in self.effects if one.state is state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conservation:
    """Whether nothing was lost: what was counted as it came against what is there."""

    messages_counted: int
    messages_stored: int
    effects_counted: int
    effects_stored: int
    open_without_deadline: tuple[str, ...]  # open referrals no clock runs for, the first few

    @property
    def holds(self) -> bool:
        """Whether the sums agree and every open referral owns a clock."""
        return (
            self.messages_counted == self.messages_stored
            and self.effects_counted == self.effects_stored
            and not self.open_without_deadline
        )
