"""Every checker is silent about an honest journal, and speaks when the journal or a ledger is falsified."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from referral_engine.base.values import replace
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.answers import Story
from referral_engine.journal.rows import EffectRow, EffectState, MessageRow
from referral_engine.loop.states import Note
from tests.flow.stage import BOOKING, NOTE, ORDER, at, book, engine, sample
from tests.simulation import checkers
from tests.simulation.ledgers import Received, Told


@dataclass(slots=True)
class Honest:
    """A journal with one referral in it, and true ledgers."""

    stage: Rehearsal
    messages: list[MessageRow]
    effects: list[EffectRow]
    story: Story
    told: list[Told]
    received: list[Received]


@pytest.fixture
def honest() -> Iterator[Honest]:
    sent: list[EffectRow] = []
    stage = engine()
    stage.on_sent = sent.append
    told = []
    for name, next_at in (
        (ORDER, "2026-03-02 09:30"),
        (BOOKING, "2026-03-11 09:00"),
        (NOTE, "2026-03-20 09:00"),
        (ORDER, ""),
    ):
        raw = sample(name)
        told.append(Told(raw=raw, answer=stage.receive(raw).answer, code="AA"))
        if next_at:
            stage.move_to(at(next_at))
    reading = stage.journal.read()
    yield Honest(
        stage=stage,
        messages=checkers.all_messages(reading),
        effects=checkers.all_effects(reading),
        story=next(checkers.all_stories(reading)),
        told=told,
        received=[Received(lane=row.lane, wire_id=row.wire_id, body=row.body) for row in sent],
    )
    stage.close()


def test_an_honest_journal_and_true_ledgers_are_found_to_be_right(honest: Honest) -> None:
    reading = honest.stage.journal.read()

    assert checkers.wrong_inside(reading, book()) == []
    assert checkers.wrong_outside(reading, honest.told, honest.received) == []
    assert len(honest.effects) > 3
    assert len(honest.told) > len(honest.messages)


def _state(story: Story, **changes: Any) -> Story:
    return replace(story, referral=replace(story.referral, **changes))


def _wrong_state(story: Story) -> list[str]:
    channel = book().channels[story.line.channel]
    return checkers.wrong_state(story, book(), channel.policy)


def _fired(story: Story) -> int:
    """Where the first deadline that passed stands among the events."""
    return next(number for number, event in enumerate(story.events) if event.kind == "DeadlinePassed")


def _without(rows: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    return rows[:number] + rows[number + 1 :]


FALSIFIED: dict[str, Callable[[Honest], list[str]]] = {
    "a message that was answered is gone": lambda it: checkers.lost_acks(it.told, it.messages[1:]),
    "its bytes are others": lambda it: checkers.lost_acks(
        it.told, [replace(it.messages[0], raw=b"MSH|other"), *it.messages[1:]]
    ),
    "its answer was another": lambda it: checkers.lost_acks(
        it.told, [replace(it.messages[0], answer=b"MSH|other"), *it.messages[1:]]
    ),
    "the second answer differs": lambda it: checkers.changed_answers([*it.told, replace(it.told[0], answer=b"MSH|x")]),
    "a message is stored twice": lambda it: checkers.stored_twice([*it.messages, replace(it.messages[0], sequence=99)]),
    "a stored byte was changed": lambda it: checkers.broken_custody([replace(it.messages[0], raw=it.messages[0].raw + b"x")]),
    "something that happened was reduced": lambda it: checkers.reduced_wrongly(
        it.stage.journal.read(), [replace(it.messages[0], raw=b"MSH|", purged_at=9)]
    ),
    "a delivered sending never came": lambda it: checkers.wrong_queue(it.received[1:], it.effects),
    "a delivered sending was refused": lambda it: checkers.wrong_queue(
        [replace(it.received[0], taken=False), *it.received[1:]], it.effects
    ),
    "something came that nobody owed": lambda it: checkers.wrong_queue(it.received, it.effects[:-1]),
    "other bytes came": lambda it: checkers.wrong_queue([replace(it.received[0], body=b"x"), *it.received], it.effects),
    "it came to somebody else": lambda it: checkers.wrong_queue([replace(it.received[0], lane="x"), *it.received], it.effects),
    "two sendings share an id": lambda it: checkers.wrong_queue(it.received, [*it.effects, it.effects[0]]),
    "an effect is owed twice": lambda it: checkers.one_effect_a_cause([*it.effects, it.effects[0]]),
    "a sending is forgotten": lambda it: checkers.unfinished(
        [replace(it.effects[0], state=EffectState.QUEUED)], 2_000_000_000_000_000, 0
    ),
    "the state is another": lambda it: _wrong_state(_state(it.story, note=Note.NONE)),
    "an event is gone": lambda it: _wrong_state(replace(it.story, events=_without(it.story.events, 1))),
    "the first event is gone": lambda it: _wrong_state(replace(it.story, events=it.story.events[1:])),
    "a sending is gone": lambda it: _wrong_state(replace(it.story, effects=it.story.effects[1:])),
    "a sending came from nowhere": lambda it: _wrong_state(
        replace(it.story, effects=(*it.story.effects, replace(it.effects[0], cause=9_999)))
    ),
    "a fired clock's event is gone": lambda it: checkers.wrong_firing(
        replace(it.story, events=_without(it.story.events, _fired(it.story)))
    ),
    "a clock fired twice": lambda it: checkers.wrong_firing(
        replace(it.story, events=(*it.story.events, it.story.events[_fired(it.story)]))
    ),
    "a clock fired early": lambda it: checkers.wrong_firing(
        replace(
            it.story,
            events=tuple(replace(one, at=one.at - 3_600_000_000 * 24 * 40) for one in it.story.events),
        )
    ),
    "time went back": lambda it: checkers.out_of_order(
        [replace(one, at=-one.at) for one in it.story.events]
    ),
    "a message has no line in the audit": lambda it: checkers.unaudited(
        it.stage.journal.read(), [*it.messages, replace(it.messages[0], sequence=9_999)]
    ),
    "a log line names a patient": lambda _: checkers.spoken_of(["Zzcanary"], ["all is well", "cannot match Zzcanary7"]),
}  # fmt: skip


@pytest.mark.parametrize("what", FALSIFIED)
def test_what_was_falsified_is_found(what: str, honest: Honest) -> None:
    assert FALSIFIED[what](honest)


def test_a_forgotten_deadline_is_found(honest: Honest) -> None:
    story = replace(honest.story, deadlines=())
    open_again = _state(story, closure=type(story.referral.closure).OPEN)

    assert any("no clock runs" in one for one in _wrong_state(open_again))


def test_an_altered_audit_line_and_a_wrong_count_are_found(honest: Honest) -> None:
    connection = honest.stage.journal._connection
    connection.execute("DROP TRIGGER audit_is_final")
    connection.execute("UPDATE audit SET actor = 'nobody' WHERE sequence = 2")
    connection.execute("UPDATE tallies SET number = number + 1 WHERE noun = 'message'")
    reading = honest.stage.journal.read()

    assert any("audit" in one for one in checkers.unaudited(reading, []))
    assert checkers.broken_sums(reading)
    assert checkers.altered(reading)
