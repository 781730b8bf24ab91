"""Deadlines are derived: the set that should be running is a pure function of the referral and its policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from referral_engine.loop.calendar import Calendar, add_business_days, add_business_time, add_days, next_opening
from referral_engine.loop.policy import Duration, Kind, Policy, Unit
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import (
    NOTE_IN,
    SEEN,
    UNBOOKED,
    Appointment,
    Authorization,
    Closure,
    Dispatch,
    Note,
    Outreach,
)

STAGES_MAX: Final = 10  # of one clock; keeps generations of different slots apart
ROUNDS_APART: Final = 10_000  # keeps generations of different rounds of a repeating clock apart
SLOTS_APART: Final = 1_000_000  # keeps generations of different note rounds apart; no referral has as many slots


class Deadline(NamedTuple):
    """One clock that should be running; (kind, generation) fires once in a referral's life."""

    kind: Kind
    generation: int
    due_at: datetime


class Start(StrEnum):
    """Where a clock begins to count."""

    ORDER = "order"
    RELEASE = "order, or its release from a hold"
    PACKET_QUEUED = "packet queued"
    PACKET_SENT = "packet sent"
    PACKET_RECEIVED = "packet received"
    BEFORE_APPOINTMENT = "appointment minus"
    APPOINTMENT = "appointment"
    PROMPT_SENT = "prompt sent"
    NO_SHOW = "no-show"
    CLOSURE_QUEUED = "closure message queued"
    CANCEL_ASKED = "cancel asked"
    HELD = "held"
    AUTHORIZATION_ENDED = "end of the authorization's last day"


class Standing(NamedTuple):
    """Where the six tracks stand: all that a clock's "runs while" asks of a referral."""

    authorization: Authorization
    dispatch: Dispatch
    outreach: Outreach
    appointment: Appointment
    note: Note
    closure: Closure


@dataclass(frozen=True, slots=True, kw_only=True)
class While:
    """The states in which a clock runs; None means any. By default only while the loop is open."""

    authorization: frozenset[Authorization] | None = None
    dispatch: frozenset[Dispatch] | None = None
    outreach: frozenset[Outreach] | None = None
    appointment: frozenset[Appointment] | None = None
    note: frozenset[Note] | None = None
    closure: frozenset[Closure] = frozenset({Closure.OPEN})

    def holds(self, referral: Referral | Standing) -> bool:
        """Whether the clock runs where the tracks stand now."""
        return (
            referral.closure in self.closure
            and (self.dispatch is None or referral.dispatch in self.dispatch)
            and (self.appointment is None or referral.appointment in self.appointment)
            and (self.note is None or referral.note in self.note)
            and (self.outreach is None or referral.outreach in self.outreach)
            and (self.authorization is None or referral.authorization in self.authorization)
        )


@dataclass(frozen=True, slots=True)
class ClockRule:
    """One row of the clock table."""

    kind: Kind
    start: Start
    runs: While
    repeats: bool = False  # begins again each time it fires


_LEFT: Final = frozenset(Dispatch) - {Dispatch.HELD}
_HELD: Final = frozenset({Dispatch.HELD})
_UNDELIVERED: Final = frozenset({Dispatch.QUEUED, Dispatch.SENT})
_RECEIVED: Final = frozenset({Dispatch.RECEIVED})
_OPEN: Final = frozenset({Closure.OPEN})
_CLOSING: Final = frozenset({Closure.CLOSING})
_CANCELLING: Final = frozenset({Closure.CANCEL_REQUESTED})
_NOT_OVER: Final = _OPEN | _CLOSING | _CANCELLING
_NO_NOTE: Final = frozenset({Note.NONE, Note.INTERIM, Note.RETRACTED})
_NOT_FINAL: Final = frozenset(Note) - NOTE_IN
_NOT_DUE: Final = frozenset({Outreach.NOT_DUE})
# Who said STOP before the prompt left was told nothing: a person calls.
_UNTOLD: Final = frozenset({Outreach.NOT_DUE, Outreach.QUEUED, Outreach.OPTED_OUT})
_MAY_BE_TOLD: Final = frozenset(Outreach) - {Outreach.OPTED_OUT}
_BOOKED: Final = frozenset({Appointment.BOOKED})
_PASSED: Final = frozenset({Appointment.PASSED})
_MISSED: Final = frozenset({Appointment.NO_SHOW})
_WAITING: Final = frozenset({Authorization.REQUIRED, Authorization.PENDING, Authorization.DENIED})

# Runs held or not: a packet that waits for another reason needs an authorization that is still good.
_AUTHORIZED: Final = While(authorization=frozenset({Authorization.APPROVED}), appointment=UNBOOKED | _MISSED)


def _left(
    *,
    outreach: frozenset[Outreach] | None = None,
    appointment: frozenset[Appointment] | None = None,
    note: frozenset[Note] | None = None,
    closure: frozenset[Closure] = _OPEN,
) -> While:
    """While the packet is no longer held, and what else the row says."""
    return While(dispatch=_LEFT, outreach=outreach, appointment=appointment, note=note, closure=closure)


def _held(*, authorization: frozenset[Authorization] | None = None, closure: frozenset[Closure] = _OPEN) -> While:
    """While the packet is held, and what else the row says."""
    return While(dispatch=_HELD, authorization=authorization, closure=closure)


# fmt: off
CLOCKS: Final[tuple[ClockRule, ...]] = (
    ClockRule(Kind.PATIENT_PROMPT,      Start.RELEASE,            _left(outreach=_NOT_DUE, appointment=UNBOOKED)),
    ClockRule(Kind.PATIENT_PROMPT_LATE, Start.RELEASE,            _left(outreach=_UNTOLD, appointment=UNBOOKED)),
    ClockRule(Kind.DELIVERED,           Start.PACKET_QUEUED,      While(dispatch=_UNDELIVERED)),
    ClockRule(Kind.CONFIRM,             Start.PACKET_RECEIVED,    While(dispatch=_RECEIVED)),
    ClockRule(Kind.SCHEDULE,            Start.PACKET_SENT,        _left(appointment=UNBOOKED)),
    ClockRule(Kind.OPEN_30,             Start.ORDER,              _left(closure=_NOT_OVER), repeats=True),
    ClockRule(Kind.REMIND_72H,          Start.BEFORE_APPOINTMENT, _left(appointment=_BOOKED, outreach=_MAY_BE_TOLD)),
    ClockRule(Kind.REMIND_24H,          Start.BEFORE_APPOINTMENT, _left(appointment=_BOOKED, outreach=_MAY_BE_TOLD)),
    ClockRule(Kind.VISIT_CHECK,         Start.APPOINTMENT,        _left(appointment=_BOOKED)),
    ClockRule(Kind.ATTENDED,            Start.APPOINTMENT,        _left(appointment=_PASSED)),
    ClockRule(Kind.ATTENDED_LATE,       Start.PROMPT_SENT,        _left(appointment=_PASSED)),
    ClockRule(Kind.NOTE_PING,           Start.APPOINTMENT,        _left(appointment=SEEN, note=_NO_NOTE)),
    ClockRule(Kind.NOTE_WATCH,          Start.APPOINTMENT,        _left(appointment=SEEN, note=_NOT_FINAL)),
    ClockRule(Kind.NOTE_REQUEST,        Start.APPOINTMENT,        _left(appointment=SEEN, note=_NOT_FINAL)),
    ClockRule(Kind.NOTE_PHYSICIAN,      Start.APPOINTMENT,        _left(appointment=SEEN, note=_NOT_FINAL)),
    ClockRule(Kind.CLOSURE_ACCEPTED,    Start.CLOSURE_QUEUED,     While(closure=_CLOSING), repeats=True),
    ClockRule(Kind.REBOOK,              Start.NO_SHOW,            _left(appointment=_MISSED)),
    ClockRule(Kind.CANCEL_CONFIRM,      Start.CANCEL_ASKED,       While(closure=_CANCELLING), repeats=True),
    ClockRule(Kind.HOLD_REMIND,         Start.HELD,               _held(closure=_NOT_OVER), repeats=True),
    ClockRule(Kind.HOLD_BILLING,        Start.HELD,               _held(authorization=_WAITING)),
    ClockRule(Kind.AUTHORIZATION_ENDS,  Start.AUTHORIZATION_ENDED, _AUTHORIZED),
)
# fmt: on
_RULES: Final[Mapping[Kind, ClockRule]] = {rule.kind: rule for rule in CLOCKS}
STATES_KEPT_MAX: Final = 4_096  # combinations of states whose clocks are remembered; there are 45,360


def deadlines(referral: Referral, policy: Policy) -> tuple[Deadline, ...]:
    """Every clock that should be running in this referral, fired ones included; the journal knows which have fired."""
    if referral.is_over:
        return ()
    running: list[Deadline] = []
    off, order = policy.off, referral.order
    for rule in _running(
        referral.authorization,
        referral.dispatch,
        referral.outreach,
        referral.appointment,
        referral.note,
        referral.closure,
    ):
        kind = rule.kind
        begun = _STARTS[rule.start](referral)
        if begun is None or (kind == Kind.HOLD_BILLING and not referral.hold.billing) or kind in off:
            continue
        if referral.watched and kind == Kind.CLOSURE_ACCEPTED:
            continue  # nothing was sent that anybody could accept, and it would come round for ever
        start, generation = begun
        lengths = policy.lengths(kind, order.urgency, order.network)
        if rule.start == Start.HELD:
            lengths = _asked_by_payer(kind, referral) or lengths
        if rule.repeats:
            times = _TIMES_FIRED[kind](referral)
            due = due_at(start, lengths[0], policy.calendar, times + 1)
            running.append(Deadline(kind, generation * ROUNDS_APART + times, due))
        elif rule.start == Start.BEFORE_APPOINTMENT:
            due = start - _elapsed(lengths[0])
            slot = referral.slot
            if slot is None or due > slot.booked_at:  # who books inside the last day needs no reminder of it
                running.append(Deadline(kind, generation, due))
        else:
            sends = policy.sending(referral.way) if policy.sends and kind == Kind.DELIVERED else None
            for stage, length in enumerate(lengths):
                due = (
                    due_at(start, length, policy.calendar) if sends is None else due_while(sends, start, length, policy)
                )
                running.append(Deadline(kind, generation * STAGES_MAX + stage, due))
    return tuple(running)


def lengths_of(kind: Kind, referral: Referral, policy: Policy) -> tuple[Duration, ...]:
    """How long a clock of this referral runs, stage by stage: its own hold may say so, else its policy does."""
    order = referral.order
    return _asked_by_payer(kind, referral) or policy.lengths(kind, order.urgency, order.network)


def _asked_by_payer(kind: Kind, referral: Referral) -> tuple[Duration, ...]:
    """The length the pre-authorization rule of a hold gives a clock; none where it gives none."""
    hold = referral.hold
    own = hold.remind_after if kind == Kind.HOLD_REMIND else hold.billing_after if kind == Kind.HOLD_BILLING else None
    return () if own is None else (own,)


def began(kind: Kind, referral: Referral) -> tuple[datetime, int] | None:
    """Where such a clock counts from and which round that is; None while what starts it has not happened."""
    return _STARTS[_RULES[kind].start](referral)


def rule_of(kind: Kind) -> ClockRule:
    """The row of the clock table."""
    return _RULES[kind]


def runs(kind: Kind, referral: Referral) -> bool:
    """Whether such a clock may run where the tracks stand; one that ran out just before they moved says nothing."""
    return _RULES[kind].runs.holds(referral)


@lru_cache(maxsize=STATES_KEPT_MAX)
def _running(
    authorization: Authorization,
    dispatch: Dispatch,
    outreach: Outreach,
    appointment: Appointment,
    note: Note,
    closure: Closure,
) -> tuple[ClockRule, ...]:
    """The rows of the table that hold in these states."""
    states = Standing(authorization, dispatch, outreach, appointment, note, closure)
    return tuple(rule for rule in CLOCKS if rule.runs.holds(states))


def times_over(referral: Referral, policy: Policy, kind: Kind, at: datetime) -> int:
    """How often a repeating clock has come round by `at`: a week of downtime is one firing, not a burst."""
    rule = _RULES[kind]
    begun = _STARTS[rule.start](referral)
    times = _TIMES_FIRED[kind](referral) + 1
    if begun is None:
        return times
    length = lengths_of(kind, referral, policy)[0]
    while due_at(begun[0], length, policy.calendar, times + 1) <= at:
        times += 1
    return times


def due_at(start: datetime, length: Duration, calendar: Calendar, times: int = 1) -> datetime:
    """When `times` such lengths after `start` are over, UTC.

    Days keep the clinic's wall time, business units skip closed time, the others are elapsed time.
    """
    amount = length.amount * times
    match length.unit:
        case Unit.DAYS:
            return add_days(calendar, start, amount)
        case Unit.BUSINESS_DAYS:
            return add_business_days(calendar, start, amount)
        case Unit.BUSINESS_HOURS:
            return add_business_time(calendar, start, timedelta(hours=amount))
        case _:
            return start + _ELAPSED[length.unit] * amount


def due_while(sends: Calendar, start: datetime, length: Duration, policy: Policy) -> datetime:
    """When `length` after `start` is over for something that may leave only while `sends` is open, UTC.

    Seconds, minutes and hours in which nothing may leave are not counted; days begin when it first may.
    """
    if length.unit in COUNTED_WHILE_SENDING:
        return add_business_time(sends, start, _elapsed(length))
    return due_at(next_opening(sends, start), length, policy.calendar)


COUNTED_WHILE_SENDING: Final = frozenset({Unit.SECONDS, Unit.MINUTES, Unit.HOURS})

# Elapsed time of one unit; a day is 24 hours here, business units count as clock units.
_ELAPSED: Final[Mapping[Unit, timedelta]] = {
    Unit.SECONDS: timedelta(seconds=1),
    Unit.MINUTES: timedelta(minutes=1),
    Unit.HOURS: timedelta(hours=1),
    Unit.DAYS: timedelta(days=1),
    Unit.BUSINESS_HOURS: timedelta(hours=1),
    Unit.BUSINESS_DAYS: timedelta(days=1),
}


def _elapsed(length: Duration) -> timedelta:
    return _ELAPSED[length.unit] * length.amount


Begun = tuple[datetime, int] | None


def _round(instant: datetime | None, number: int) -> Begun:
    return None if instant is None else (instant, number)


def _before_appointment(referral: Referral) -> Begun:
    slot = referral.slot
    return None if slot is None else (slot.starts_at, slot.number)


def _appointment(referral: Referral) -> Begun:
    """The visit, or when a note taken back re-opened the wait for another; each such wait counts as a new round."""
    slot, moments = referral.slot, referral.moments
    started = slot.starts_at if slot else moments.queued_at
    walked_in = moments.walk_in_at
    if walked_in and referral.appointment == Appointment.KEPT and (slot is None or slot.booked_at < walked_in):
        started = walked_in  # seen without a booking in force
    if started is None:
        return None
    number = (slot.number if slot else 0) + referral.rounds.note * SLOTS_APART
    reopened = moments.note_reopened_at
    return (started if reopened is None else max(started, reopened), number)


def _authorization_ended(referral: Referral) -> Begun:
    """The end of the authorization's last day; each day is a round of its own, and ends once."""
    last = referral.order.authorization_expires_on
    return None if last is None else _round(referral.authorization_ends_at, last.toordinal())


def _prompted(referral: Referral) -> Begun:
    """When the patient was asked about the visit in force; a question about an earlier one starts nothing."""
    asked_at, slot = referral.moments.asked_at, referral.slot
    if asked_at is None or (slot is not None and asked_at < slot.booked_at):
        return None
    return asked_at, referral.rounds.asked


def _unbooked(referral: Referral) -> Begun:
    moments = referral.moments
    starts = [instant for instant in (moments.sent_at or moments.queued_at, moments.unbooked_at) if instant]
    return (max(starts), referral.rounds.unbooked) if starts else None


_STARTS: Final[Mapping[Start, Callable[[Referral], Begun]]] = {
    Start.ORDER: lambda r: (r.order.ordered_at, 0),
    Start.RELEASE: lambda r: _round(r.moments.released_at, r.rounds.release),
    Start.PACKET_QUEUED: lambda r: _round(r.moments.queued_at, r.rounds.packet),
    Start.PACKET_SENT: _unbooked,
    Start.PACKET_RECEIVED: lambda r: _round(r.moments.received_at, r.rounds.packet),
    Start.BEFORE_APPOINTMENT: _before_appointment,
    Start.APPOINTMENT: _appointment,
    Start.PROMPT_SENT: _prompted,
    Start.NO_SHOW: lambda r: _round(r.moments.no_show_at, r.rounds.no_show),
    Start.CLOSURE_QUEUED: lambda r: _round(r.moments.closing_at, r.rounds.closing),
    Start.CANCEL_ASKED: lambda r: _round(r.moments.cancel_asked_at, r.rounds.cancel),
    Start.HELD: lambda r: (r.moments.held_at or r.order.ordered_at, r.rounds.hold),
    Start.AUTHORIZATION_ENDED: _authorization_ended,
}

_TIMES_FIRED: Final[Mapping[Kind, Callable[[Referral], int]]] = {
    Kind.OPEN_30: lambda r: r.rounds.open_30,
    Kind.HOLD_REMIND: lambda r: r.rounds.hold_reminders,
    Kind.CLOSURE_ACCEPTED: lambda r: r.rounds.closure_reminders,
    Kind.CANCEL_CONFIRM: lambda r: r.rounds.cancel_reminders,
}
