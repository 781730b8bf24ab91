"""The lives of one clock in one referral: what started each round of it, what ended it, found by deciding again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from referral_engine.loop.clocks import (
    ROUNDS_APART,
    STAGES_MAX,
    Start,
    began,
    deadlines,
    lengths_of,
    rule_of,
    runs,
)
from referral_engine.loop.events import AppointmentBooked, DeadlinePassed, Event
from referral_engine.loop.policy import Duration, Kind, Policy
from referral_engine.loop.reckoning import Step, reckon, reckon_before, reckon_while
from referral_engine.loop.referral import Referral
from referral_engine.loop.rules import decide
from referral_engine.loop.undoing import PolicyOf, always

_TRACKS: Final = ("authorization", "dispatch", "outreach", "appointment", "note", "closure")
_VISITS: Final = frozenset({Start.APPOINTMENT, Start.BEFORE_APPOINTMENT})


class Life(NamedTuple):
    """One round or stage of a clock; positions are those of the events, from 0."""

    generation: int
    length: Duration
    times: int  # so many lengths after `since`; more than 1 in a repeating clock that has come round
    since: datetime  # where it counts from
    begun_by: int  # the event that this moment comes from
    set_by: int  # the event since which the clock runs
    steps: tuple[Step, ...]  # the last one is when it is due
    fired_by: int | None = None
    ended_by: int | None = None  # the event after which it ran no more, when it had not fired


def lives(first: Referral, events: Sequence[Event], policies: Policy | PolicyOf, kind: Kind) -> tuple[Life, ...]:
    """Every life of a clock, oldest first, by the policy at each point; the journal knows what was really set."""
    policy_of = always(policies)
    found: dict[int, Life] = {}
    state = first
    for at, event in enumerate(events):
        if isinstance(event, DeadlinePassed) and event.kind is kind and event.generation in found:
            life = found[event.generation]
            found[event.generation] = life._replace(fired_by=at if life.fired_by is None else life.fired_by)
        state = decide(state, event, policy_of(state)).referral
        policy = policy_of(state)
        running = {one.generation: one.due_at for one in deadlines(state, policy) if one.kind is kind}
        for generation, due_at in running.items():
            known = found.get(generation)
            if known is None or known.steps[-1].at != due_at:
                life = _life(state, events[: at + 1], policy, kind, generation)
                found[generation] = life if known is None else life._replace(set_by=known.set_by)
            elif known.ended_by is not None:
                found[generation] = known._replace(ended_by=None)
        for generation in found.keys() - running.keys():
            life = found[generation]
            if life.fired_by is None and life.ended_by is None:
                found[generation] = life._replace(ended_by=at)
    return tuple(found.values())


def _life(state: Referral, events: Sequence[Event], policy: Policy, kind: Kind, generation: int) -> Life:
    """A life as it begins, after the newest of `events`."""
    rule = rule_of(kind)
    begun = began(kind, state)
    assert begun is not None, "a clock that runs has begun"
    since = begun[0]
    all_lengths = lengths_of(kind, state, policy)
    stage, times = 0, 1
    if rule.repeats:
        times = generation % ROUNDS_APART + 1
    elif rule.start is not Start.BEFORE_APPOINTMENT:
        stage = generation % STAGES_MAX
    length = all_lengths[stage]
    sends = policy.sending(state.way) if kind is Kind.DELIVERED else None
    if rule.start is Start.BEFORE_APPOINTMENT:
        steps = reckon_before(since, length, policy.calendar)
    elif sends is not None:
        steps = reckon_while(sends, since, length, policy.calendar)
    else:
        steps = reckon(since, length, policy.calendar, times)
    begun_by = _begun_by(rule.start, since, events)
    return Life(generation, length, times, since, begun_by, len(events) - 1, steps)


def _begun_by(start: Start, since: datetime, events: Sequence[Event]) -> int:
    """The newest event that gave the moment: the order, the booking, or what happened then; else the newest of all."""
    if start is Start.ORDER:
        return 0
    last = len(events) - 1
    for at in range(last, -1, -1):
        event = events[at]
        booked = start in _VISITS and isinstance(event, AppointmentBooked) and event.starts_at == since
        if booked or event.at == since:
            return at
    return last


def why_not(kind: Kind, referral: Referral, policy: Policy) -> tuple[str, ...]:
    """Why such a clock does not run where the referral stands now; nothing while it runs."""
    if any(one.kind is kind for one in deadlines(referral, policy)):
        return ()
    if referral.is_over:
        return (f"the referral is over: closure is {referral.closure.value}, and no clock runs",)
    rule, sentences = rule_of(kind), []
    if kind in policy.off:
        sentences.append("it is off for this specialist, who answers no such question; a line in [sla] switches it on")
    if not runs(kind, referral):
        for track in _TRACKS:
            wanted, state = getattr(rule.runs, track), getattr(referral, track)
            if wanted is not None and state not in wanted:
                words = " or ".join(one.value for one in sorted(wanted))
                sentences.append(f"it runs while {track} is {words}; {track} is {state.value}")
    if began(kind, referral) is None:
        sentences.append(f"it counts from: {rule.start.value}, and that has not happened")
    elif kind is Kind.HOLD_BILLING and not referral.hold.billing:
        sentences.append("neither the pre-authorization rule nor the channel's [hold] asks for billing")
    elif rule.start is Start.BEFORE_APPOINTMENT and not sentences:
        sentences.append("the appointment was booked later than the reminder would have been due")
    return tuple(sentences)
