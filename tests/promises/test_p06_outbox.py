"""P6: whatever is owed is tried until it is confirmed, or goes to a person, or is cancelled by a recorded event."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.flow.inputs import Claim, OutboxDecision, Settled
from referral_engine.journal.rows import EffectState
from referral_engine.loop.events import Outcome
from tests.flow.stage import HEART, ORDER, arrived, door, engine, kinds, sample, story
from tests.simulation import checkers
from tests.simulation.options import Options
from tests.simulation.simulation import simulate

CANCEL = "orm-o01-cardiology-cancel.hl7"


def test_what_failed_for_good_goes_to_a_person() -> None:  # H042
    stage = engine(**{HEART: "AR"})
    stage.receive(sample(ORDER))

    (order,) = [row for row in checkers.all_effects(stage.journal.read()) if row.lane == HEART]
    assert order.state is EffectState.FAILED
    assert "undeliverable" in kinds(stage)


def test_what_nobody_answers_is_tried_again_and_never_forgotten() -> None:  # H037 F-G01
    stage = engine(**{HEART: "silent"})
    stage.receive(sample(ORDER))
    for _ in range(5):
        stage.move_to(stage.clock.now().replace(hour=(stage.clock.now().hour + 1) % 24))

    (order,) = [row for row in stage.journal.read().outbox() if row.lane == HEART]
    assert order.state is EffectState.QUEUED
    assert order.attempts > 3


def test_a_crash_with_a_sending_in_flight_does_not_lose_it(tmp_path: Path) -> None:  # F-G07 H073
    step, journal = door(tmp_path / "journal.db")
    step.run([arrived(sample(ORDER))])
    (first,) = step.run([Claim(lane=HEART, limit=1, lease_seconds=120)])[0].effects
    assert step.run([Claim(lane=HEART, limit=1)])[0].effects == ()
    journal.close()

    step, journal = door(tmp_path / "journal.db")
    (again,) = step.run([Claim(lane=HEART, limit=1)])[0].effects
    journal.close()

    assert (again.id, again.wire_id, again.body) == (first.id, first.wire_id, first.body)
    assert again.token != first.token


def test_what_is_cancelled_has_an_event_that_says_so() -> None:
    stage = engine()
    stage.step.run([arrived(sample(ORDER))])
    (order,) = [row for row in stage.journal.read().outbox() if row.lane == HEART]
    stage.step.run([OutboxDecision(effect=order.id, decision="park", by="ana")])
    stage.step.run([arrived(sample(CANCEL))])
    stage.step.run([OutboxDecision(effect=order.id, decision="cancel", by="ana")])

    lines = stage.journal._connection.execute(
        "SELECT actor, action FROM audit WHERE object = ?", (f"effect {order.id}",)
    )
    assert [tuple(line) for line in lines.fetchall()] == [("user:ana", "park"), ("user:ana", "cancel")]
    assert "CancelRequested" in [event.kind for event in story(stage).events]


def test_an_outcome_is_recorded_once() -> None:
    stage = engine()
    stage.step.run([arrived(sample(ORDER))])
    (order,) = stage.step.run([Claim(lane=HEART, limit=1)])[0].effects
    settled = Settled(effect=order.id, token=order.token, outcome=Outcome.DELIVERED)

    first, again = stage.step.run([settled, settled])

    assert not first.refused
    assert again.refused


# F-D14 F-G02 F-G03 F-G10 H034: receivers that are away, slow and wrong, and nothing else is wrong.
@pytest.mark.parametrize("seed", [1, 3])
def test_everything_owed_comes_to_its_end_once_the_world_is_well_again(seed: int) -> None:
    options = Options(
        seed=seed, liveness=True, seconds=40.0, orders=6, strangers=0, window=1, network_faults=0.5, absences=3
    )
    result = simulate(options)

    assert not result.findings, result.report()
    assert result.lives == 1
    assert result.received > result.referrals
