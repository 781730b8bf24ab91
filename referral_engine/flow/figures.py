"""What a made-up quarter came to: the work of every queue and week, what was sent, what ran out, how loops ended."""

from __future__ import annotations

import msgspec


class QueueWeek(msgspec.Struct, frozen=True, kw_only=True):
    """One queue in one week."""

    queue: str
    week: int  # from 1; seven days from the first
    opened: int  # tasks
    done: int  # by a person, or pointless by then
    open: int  # when the week is over
    median_age_hours: float | None  # of those that are open then; None when there are none


class Sendings(msgspec.Struct, frozen=True, kw_only=True):
    """What left for somebody for one purpose."""

    lane: str  # a channel's name, "ehr", "patient", ...
    kind: str  # "order", "reminder", ...
    weeks: tuple[int, ...]  # in each week, without what was tried again
    again: int  # attempts after the first

    @property
    def total(self) -> int:
        """In all weeks."""
        return sum(self.weeks)


class ClockFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One clock of one channel."""

    channel: str
    kind: str
    ran: int
    fired: int
    cancelled: int  # what it waited for came first


class PatientFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What patients got."""

    messages: int
    patients: int  # who got any
    most_in_a_day: int  # that one patient got, clinic days
    most_in_a_week: int  # in any seven days


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One number of LOOP section 6; `of` is how many referrals it speaks about, None when there are none."""

    name: str
    value: float | None
    of: int
    unit: str  # "%", "days", "tasks"
    target: str = ""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer for one configuration."""

    version: str  # of the files
    weeks: tuple[str, ...]  # the first day of each
    days: int  # in all; the last week may be short
    orders: int
    messages: int  # that arrived
    refused: int  # of them, not answered AA
    unroutable: int  # orders that no channel took
    queues: tuple[QueueWeek, ...]
    tasks: dict[str, int]  # opened, by kind
    escalations: dict[str, tuple[int, ...]]  # by clock, in each week: what ran out and asked for somebody
    sendings: tuple[Sendings, ...]
    patients: PatientFigures
    statuses: dict[str, int]  # where referrals stand at the end
    endings: dict[str, int]  # why those that ended did
    measures: tuple[Measure, ...]
    clocks: tuple[ClockFigures, ...]
    not_done: int  # what a made-up person wanted to record and the engine refused; 0 unless something is wrong
