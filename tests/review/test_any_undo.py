"""Any history, any message: without it the referral stands as if it had never come, and with it again as before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import hypothesis.strategies as st
from hypothesis import given, settings

from referral_engine.base.values import replace
from referral_engine.loop.clocks import deadlines
from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.loop.events import (
    DeadlinePassed,
    DeliverySettled,
    Event,
    EvidenceUndone,
    Outcome,
    ReferralOrdered,
    ReportReceived,
)
from referral_engine.loop.policy import Kind, Policy
from referral_engine.loop.referral import Finality, Identifier, Referral
from referral_engine.loop.rules import decide
from referral_engine.loop.states import Urgency
from referral_engine.loop.undoing import Undone, first_of, replayed, without
from tests.builders import CHANNEL, ORDERED_AT, a_patient, a_policy, an_order, told
from tests.loop.test_any_history import events, lengths

POLICY = a_policy(fallbacks=1)
ORDERED = ReferralOrdered(at=ORDERED_AT, patient=a_patient(), order=an_order())
STORED = Referral(id="A-0001", channel=CHANNEL, patient=ORDERED.patient, order=ORDERED.order)
FIRST = first_of(ORDERED, STORED)
EXAMPLES = settings().max_examples // 2  # a few seconds in `make test`, minutes under `make torture`


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """An order, then what messages and people say, with clocks running out in between as they do."""
    now, history = ORDERED_AT, [ORDERED]
    referral = told(FIRST, ORDERED, policy=POLICY)
    fired: set[tuple[object, int]] = set()
    for _ in range(draw(st.integers(1, 12))):
        now += draw(lengths)
        said = draw(events(now, Urgency.ROUTINE))
        for event in (*_run_out(referral, fired, now), said):
            if isinstance(event, DeadlinePassed):
                if event is said:
                    continue  # a clock that never ran fires in no journal
                fired.add((event.kind, event.generation))
            history.append(event)
            referral = decide(referral, event, POLICY).referral
    return history


def _run_out(referral: Referral, fired: set[tuple[object, int]], now: datetime) -> list[Event]:
    """The clock that ran out first, if one has."""
    due = [one for one in deadlines(referral, POLICY) if one.due_at <= now and (one.kind, one.generation) not in fired]
    return [
        DeadlinePassed(at=now, kind=one.kind, generation=one.generation, due_at=one.due_at)
        for one in sorted(due, key=lambda one: one.due_at)[:1]
    ]


def undone(history: Sequence[Event], message: int) -> tuple[Undone, EvidenceUndone]:
    """The history without a message, and the event that says so."""
    found = without(FIRST, history, {message}, POLICY)
    at = history[-1].at + timedelta(minutes=1)
    return found, EvidenceUndone(at=at, taken_back=(message,), restored=found.restored)


def as_if_never(history: Sequence[Event], message: int, policy: Policy) -> Referral:
    """The same without a message, by the plainest reckoning: the others in order, and clocks that would have run."""
    referral = FIRST
    for event in history:
        runs = {(one.kind, one.due_at) for one in deadlines(referral, policy)}
        never = isinstance(event, DeadlinePassed) and (event.kind, event.due_at) not in runs
        if event.message != message and not never:
            referral = decide(referral, event, policy).referral
    return referral


def seen(referral: Referral) -> tuple[object, ...]:
    """What people see of a referral: not how its clocks and slots are numbered."""
    slots = tuple(replace(slot, number=0) for slot in referral.slots)
    tracks = (
        referral.authorization, referral.dispatch, referral.outreach, referral.appointment, referral.note,
        referral.closure, referral.ending,
    )  # fmt: skip
    return (*tracks, slots, referral.documents, referral.patient, referral.order, referral.moments)


def clocks(referral: Referral) -> set[tuple[object, datetime]]:
    """The clocks that run, by kind and instant; the repeating ones apart, which count their own firings."""
    repeating = {"open-30", "hold-remind", "closure-accepted", "cancel-confirm"}
    return {(one.kind, one.due_at) for one in deadlines(referral, POLICY) if one.kind.value not in repeating}


@settings(max_examples=EXAMPLES)
@given(histories(), st.integers(1, 9))
def test_without_a_message_the_referral_stands_as_if_it_had_never_come(history: list[Event], message: int) -> None:
    found, _ = undone(history, message)

    never = as_if_never(history, message, POLICY)

    assert seen(found.restored) == seen(never)
    assert clocks(found.restored) == clocks(never)
    assert found.replayed == replayed(FIRST, history, POLICY)


@settings(max_examples=EXAMPLES)
@given(histories(), st.integers(1, 9), st.integers(1, 9))
def test_two_messages_undone_one_after_the_other_are_both_undone(history: list[Event], one: int, other: int) -> None:
    _, first = undone(history, one)
    second, _ = undone([*history, first], other)

    both = without(FIRST, history, {one, other}, POLICY)

    assert seen(second.restored) == seen(both.restored)


@settings(max_examples=EXAMPLES)
@given(histories())
def test_the_last_message_undone_and_said_again_moves_the_tracks_as_it_did(history: list[Event]) -> None:
    last = history[-1]
    if not last.message or isinstance(last, DeadlinePassed):
        return
    earlier = [event for event in history[:-1] if event.message != last.message]
    history = [*earlier, last]
    before = replayed(FIRST, history, POLICY)

    _, event = undone(history, last.message)
    again = replayed(FIRST, [*history, event, last], POLICY)

    assert seen(again)[:7] == seen(before)[:7]
    assert {kind for kind, _ in clocks(again)} == {kind for kind, _ in clocks(before)}


def test_a_repeating_clock_goes_on_counting_where_a_wrong_retraction_had_let_it_run() -> None:
    note = ReportReceived(at=day(1), message=1, document=Identifier(value="D1"), finality=Finality.FINAL)
    taken = DeliverySettled(at=day(2), to=Recipient.EHR, purpose=Purpose.CLOSURE, outcome=Outcome.DELIVERED)
    gone = replace(note, at=day(3), message=2, finality=Finality.RETRACTED)
    history: list[Event] = [ORDERED, note, taken, gone]
    fired = [one for one in deadlines(replayed(FIRST, history, POLICY), POLICY) if one.kind is Kind.OPEN_30]
    history += [DeadlinePassed(at=day(31), kind=fired[0].kind, generation=fired[0].generation, due_at=fired[0].due_at)]

    _, event = undone(history, 2)
    closed = replayed(FIRST, [*history, event], POLICY)
    again = replayed(FIRST, [*history, event, replace(gone, at=day(40), message=3)], POLICY)

    assert closed.is_over
    (running,) = [one for one in deadlines(again, POLICY) if one.kind is Kind.OPEN_30]
    assert running.generation != fired[0].generation, "a clock that fired would never fire again"


def day(number: int) -> datetime:
    """So many days after the order."""
    return ORDERED_AT + timedelta(days=number)


@settings(max_examples=EXAMPLES)
@given(histories(), st.integers(1, 9))
def test_no_generation_is_handed_out_twice_after_an_undo(history: list[Event], message: int) -> None:
    fired = {(event.kind, event.generation): event.due_at for event in history if isinstance(event, DeadlinePassed)}
    found, event = undone(history, message)

    after = replayed(FIRST, [*history, event], POLICY)

    assert after == found.restored
    assert after.is_over or any((one.kind, one.generation) not in fired for one in deadlines(after, POLICY))
    for one in deadlines(after, POLICY):  # the packet's own clock is counted from its queueing until it is sent
        then = fired.get((one.kind, one.generation))
        assert then is None or one.kind is Kind.SCHEDULE or one.due_at <= then, "what begins anew has a new number"
