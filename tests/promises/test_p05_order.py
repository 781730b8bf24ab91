"""P5: what concerns one referral happens one after the other, in the order of the journal, also outwards."""

from __future__ import annotations

from datetime import timedelta

from referral_engine.flow.inputs import Claim, OutboxDecision, Settled, TaskDone
from referral_engine.loop.events import Outcome
from tests.flow.stage import BOOKING, HEART, NOTE, ORDER, arrived, at, book, engine, sample, story, tasks
from tests.promises.clocks import set_clock
from tests.simulation import checkers

CHANGED = "orm-o01-cardiology-changed.hl7"


def test_the_stored_state_is_the_sum_of_the_events_in_the_journals_order() -> None:
    stage = engine()
    for name in (ORDER, BOOKING, CHANGED, NOTE):
        stage.receive(sample(name))
        stage.move_to(stage.clock.now() + timedelta(hours=30))
    for task in tasks(stage):
        stage.put(TaskDone(task=task.id, by="ana", note="done"))
    found = story(stage)

    assert len(found.events) > 6
    assert [one.sequence for one in found.events] == sorted({one.sequence for one in found.events})
    assert checkers.wrong_state(found, book(), book().channels[HEART].policy) == []


def test_a_clock_that_is_set_back_does_not_turn_the_order_round() -> None:  # F-C02 H087
    stage = engine()
    stage.receive(sample(ORDER))
    set_clock(stage, at("2026-03-01 09:00"))
    stage.receive(sample(BOOKING))
    set_clock(stage, at("2026-03-02 09:30"))
    stage.receive(sample(NOTE))

    assert checkers.out_of_order(story(stage).events) == []


def test_a_later_sending_never_overtakes_an_earlier_one_of_its_referral() -> None:  # H082
    stage = engine()
    for name in (ORDER, CHANGED):
        stage.step.run([arrived(sample(name))])

    claimed = stage.step.run([Claim(lane=HEART, limit=8)])[0].effects
    assert [one.purpose for one in claimed] == ["order"], "the change waits for the order"
    (order,) = claimed
    stage.step.run([Settled(effect=order.id, token=order.token, outcome=Outcome.RETRY, retry_in_seconds=60.0)])
    assert stage.step.run([Claim(lane=HEART, limit=8)])[0].effects == (), "also while the order is tried again"

    stage.clock.move_to(stage.clock.now() + timedelta(seconds=61))
    (again,) = stage.step.run([Claim(lane=HEART, limit=8)])[0].effects
    assert again.wire_id == order.wire_id
    stage.step.run([Settled(effect=again.id, token=again.token, outcome=Outcome.DELIVERED)])
    (change,) = stage.step.run([Claim(lane=HEART, limit=8)])[0].effects
    assert change.id > order.id


def test_a_person_who_cancels_the_first_lets_the_next_one_go() -> None:
    stage = engine()
    for name in (ORDER, CHANGED):
        stage.step.run([arrived(sample(name))])
    order, *_ = [row for row in stage.journal.read().outbox() if row.lane == HEART]

    stage.step.run([OutboxDecision(effect=order.id, decision="cancel", by="ana")])

    assert [one.id > order.id for one in stage.step.run([Claim(lane=HEART, limit=8)])[0].effects] == [True]
