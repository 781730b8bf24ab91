"""A referral as it would stand without what some messages said: its events are decided again, from the first.

Nothing is subtracted. The history is replayed twice, side by side, with the messages and without them; where the two
part is what has to be put right. A clock's generation and a slot's number stand for one thing for ever: what happens
in both histories keeps its number, and what happens only without the messages gets one that was never used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from referral_engine.base.values import replace
from referral_engine.loop.clocks import deadlines
from referral_engine.loop.effects import CloseTasks, Effect, OpenTask, Send, TaskKind
from referral_engine.loop.events import (
    ClocksMigrated,
    DeadlinePassed,
    Event,
    EvidenceUndone,
    ReferralOrdered,
    TaskClosed,
)
from referral_engine.loop.policy import Policy
from referral_engine.loop.referral import Referral, Rounds
from referral_engine.loop.rules import Decision, decide
from referral_engine.loop.states import Closure

# Tasks that no undoing opens or closes: they are about people, or about something that was sent.
_STAYS: Final = frozenset(
    {
        TaskKind.WRONG_PATIENT,
        TaskKind.MATCH_REVIEW,
        TaskKind.ANOMALY,
        TaskKind.QUARANTINE,
        TaskKind.UNDELIVERABLE,
        TaskKind.UNDELIVERABLE_EHR,
        TaskKind.UNKNOWN_DELIVERY,
        TaskKind.UNROUTABLE_ORDER,
        TaskKind.VERIFY_CONTACT,
    }
)
# The round a repeating clock counts its firings in; open-30 has one round only.
_COUNTED_IN: Final = (
    ("open_30", ""),
    ("hold_reminders", "hold"),
    ("closure_reminders", "closing"),
    ("cancel_reminders", "cancel"),
)
_ROUNDS: Final = tuple(
    field for field in Rounds.__struct_fields__ if field not in {counter for counter, _ in _COUNTED_IN}
)


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a history without some messages; positions are those of the events, from 0."""

    restored: Referral
    replayed: Referral  # with them, by the rules in force now; not the stored one where the rules have changed since
    sends: tuple[tuple[Send, ...], ...]  # what each event owed
    wrong: tuple[tuple[Send, ...], ...]  # those among them that it would not have owed
    closed: tuple[int, ...]  # events that closed tasks which would be open
    wanted: tuple[OpenTask, ...]  # tasks that would be open, and are not
    pointless: frozenset[TaskKind]  # tasks that are open, and would not be


PolicyOf = Callable[[Referral], Policy]  # the policy of a referral by the configuration it names


def first_of(event: ReferralOrdered, stored: Referral, events: Iterable[Event] = ()) -> Referral:
    """The referral as it stood before its first event.

    events: its history, which says under which configuration it began.
    """
    migrated = next((one.was for one in events if isinstance(one, ClocksMigrated)), stored.config)
    return Referral(
        id=stored.id,
        channel=stored.channel,
        patient=event.patient,
        order=event.order,
        hold=event.hold,
        duplicate_of=event.duplicate_of,
        watched=stored.watched,
        config=migrated,
    )


def replayed(first: Referral, events: Iterable[Event], policy: Policy | PolicyOf) -> Referral:
    """The referral after all its events, as they happened."""
    policy_of = always(policy)
    for event in events:
        first = decide(first, event, policy_of(first)).referral
    return first


def always(policy: Policy | PolicyOf) -> PolicyOf:
    """The policy at each point of a history: one for all of it, or as the configuration of that time says."""
    if not isinstance(policy, Policy):
        return policy
    return lambda _referral: policy


def standing(events: Sequence[Event], messages: Collection[int]) -> tuple[bool, ...]:
    """Which events still count once `messages` are undone; an undoing that is itself undone undoes nothing.

    What a message said after it was undone (a person bound it again) counts.
    """
    gone = set(messages)
    kept: list[bool] = []
    for event in reversed(events):
        counts = not event.message or event.message not in gone
        if counts and isinstance(event, EvidenceUndone):
            gone.update(event.taken_back)
        kept.append(counts)
    return tuple(reversed(kept))


def without(first: Referral, events: Sequence[Event], messages: Collection[int], policy: Policy | PolicyOf) -> Undone:
    """The history of `events` without what `messages` said in it."""
    policy_of = always(policy)
    decisions = _decided(first, events, policy_of)
    spent, spent_slots = _spent(first, decisions)
    counts = standing(events, messages)
    state, before = first, first
    wrong: list[tuple[Send, ...]] = []
    open_with, open_without = _Tasks(), _Tasks()
    for at, (event, made) in enumerate(zip(events, decisions, strict=True)):
        open_with.hear(event, made.effects, at)
        again: tuple[Effect, ...] = ()
        if counts[at] and isinstance(event, EvidenceUndone):
            again = made.effects  # its corrections hold
        elif counts[at] and _happens(state, event, policy_of(state)):
            state = _numbered(state, before, made.referral, (spent, spent_slots))
            decision = decide(state, event, policy_of(state))
            state, again = decision.referral, decision.effects
        open_without.hear(event, again, at)
        wrong.append(tuple(one for one in made.effects if isinstance(one, Send) and one not in again))
        before = made.referral
    restored = replace(state, rounds=_counted(state.rounds, before.rounds), spent=spent, spent_slots=spent_slots)
    return Undone(
        restored=restored,
        replayed=before,
        sends=tuple(tuple(one for one in made.effects if isinstance(one, Send)) for made in decisions),
        wrong=tuple(wrong),
        **_difference(open_with, open_without, over=restored.closure in _NOTHING_TO_DO),  # type: ignore[arg-type]  # its keys are the fields
    )


_NOTHING_TO_DO: Final = frozenset({Closure.CLOSED, Closure.ENDED})


def _decided(first: Referral, events: Sequence[Event], policy_of: PolicyOf) -> list[Decision]:
    made: list[Decision] = []
    for event in events:
        decision = decide(first, event, policy_of(first))
        first = decision.referral
        made.append(decision)
    return made


def _happens(state: Referral, event: Event, policy: Policy) -> bool:
    """Whether an event happens in this history too; a clock runs out only where it ran.

    The same clock is the one of the same generation, or of the same instant.
    """
    if not isinstance(event, DeadlinePassed):
        return True
    return any(
        one.kind == event.kind and one.due_at <= event.at and event.generation == one.generation
        for one in deadlines(state, policy)
    ) or any(one.kind == event.kind and one.due_at == event.due_at for one in deadlines(state, policy))


class _Tasks:
    """The tasks that one history leaves open, as far as the loop opens and closes them."""

    def __init__(self) -> None:
        self.open: dict[TaskKind, OpenTask] = {}
        self.closed: dict[TaskKind, int] = {}  # by which event, the newest

    def hear(self, event: Event, effects: Iterable[Effect], at: int) -> None:
        """What one event opened and closed."""
        if isinstance(event, TaskClosed):
            self.open.pop(event.kind, None)
        for effect in effects:
            if isinstance(effect, OpenTask):
                self.open[effect.kind] = effect
            elif isinstance(effect, CloseTasks):
                for kind in effect.kinds & self.open.keys():
                    del self.open[kind]
                    self.closed[kind] = at
        if isinstance(event, EvidenceUndone):
            self.open |= {task.kind: task for task in event.wanted}


def _difference(with_them: _Tasks, without_them: _Tasks, *, over: bool) -> dict[str, object]:
    missing = [] if over else [kind for kind in without_them.open if kind not in with_them.open and kind not in _STAYS]
    return {
        "closed": tuple(sorted({with_them.closed[kind] for kind in missing if kind in with_them.closed})),
        "wanted": tuple(without_them.open[kind] for kind in missing),
        "pointless": frozenset(with_them.open) - frozenset(without_them.open) - _STAYS,
    }


class _Used(NamedTuple):
    """The highest numbers a history ever used."""

    rounds: Rounds
    slots: int


def _spent(first: Referral, decisions: Iterable[Decision]) -> _Used:
    highest = dict.fromkeys(_ROUNDS, 0)
    slots = 0
    for referral in (first, *(made.referral for made in decisions)):
        for rounds in (referral.rounds, referral.spent or referral.rounds):
            for name in _ROUNDS:
                highest[name] = max(highest[name], getattr(rounds, name))
        slots = max(slots, referral.spent_slots, referral.slots[-1].number if referral.slots else 0)
    return _Used(Rounds(**highest), slots)


def _numbered(state: Referral, before: Referral, after: Referral, used: tuple[Rounds, int]) -> Referral:
    """`state` made to give what the next event begins the number it got in the history that was.

    before, after: that history around the event. used: the highest numbers in it; what begins only here goes beyond.
    """
    spent, spent_slots = used
    begun = {
        name: getattr(after.rounds, name) - 1
        for name in _ROUNDS
        if getattr(after.rounds, name) > getattr(before.rounds, name)
    }
    slots = after.slots[-1].number - 1 if after.slots[-1:] != before.slots[-1:] and after.slots else spent_slots
    return replace(state, spent=replace(spent, **begun), spent_slots=slots)


def _counted(rounds: Rounds, were: Rounds) -> Rounds:
    """How often each repeating clock has come round: never less than it has fired in the round that still runs."""
    counted = {
        counter: max(getattr(rounds, counter), getattr(were, counter))
        for counter, within in _COUNTED_IN
        if not within or getattr(rounds, within) == getattr(were, within)
    }
    return replace(rounds, **counted)
