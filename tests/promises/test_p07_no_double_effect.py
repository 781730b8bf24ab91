"""P7: whoever knows a message by its id sees it once; what cannot be known to have arrived is not sent blindly again."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.base.values import replace
from referral_engine.flow.inputs import Claim, OutboxDecision, Settled
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import EffectRow, EffectState
from referral_engine.loop.events import Outcome
from referral_engine.transports.spool import Occupied, file_name, publish
from tests.flow.stage import HEART, ORDER, arrived, engine, kinds, sample
from tests.simulation.faults import Rates
from tests.simulation.options import Options
from tests.simulation.simulation import simulate


def _order_in_hand() -> tuple[Rehearsal, EffectRow]:
    stage = engine()
    stage.step.run([arrived(sample(ORDER))])
    (order,) = stage.step.run([Claim(lane=HEART, limit=1, lease_seconds=120)])[0].effects
    return stage, order


def test_a_retry_is_the_same_message_with_the_same_id() -> None:  # F-G03
    stage, order = _order_in_hand()
    seen = {(order.wire_id, order.body)}
    for _ in range(4):
        stage.step.run([Settled(effect=order.id, token=order.token, outcome=Outcome.RETRY)])
        (order,) = stage.step.run([Claim(lane=HEART, limit=1)])[0].effects
        seen.add((order.wire_id, order.body))

    assert len(seen) == 1
    assert order.wire_id.encode() in order.body.split(b"\r")[0]
    assert len(order.wire_id) <= 20


def test_a_courier_that_was_away_too_long_can_say_nothing_more() -> None:  # F-G08
    stage, stale = _order_in_hand()
    stage.clock.move_to(stage.clock.now().replace(minute=30))
    (fresh,) = stage.step.run([Claim(lane=HEART, limit=1)])[0].effects
    assert fresh.token != stale.token

    said = stage.step.run([Settled(effect=stale.id, token=stale.token, outcome=Outcome.FAILED)])[0]

    assert said.refused
    row = stage.journal.read().effect(fresh.id)
    assert row is not None
    assert row.state is EffectState.IN_FLIGHT
    assert row.token == fresh.token


def test_what_is_unknown_waits_for_a_person() -> None:  # H109 H112 F-G17
    stage, order = _order_in_hand()
    stage.step.run([Settled(effect=order.id, token=order.token, outcome=Outcome.UNKNOWN, reason="nobody can say")])

    stage.move_to(stage.clock.now().replace(hour=23))
    row = stage.journal.read().effect(order.id)

    assert row is not None
    assert (row.state, row.attempts) == (EffectState.UNKNOWN, 1)
    assert "unknown-delivery" in kinds(stage)
    stage.step.run([OutboxDecision(effect=order.id, decision="retry", by="ana")])
    (again,) = stage.step.run([Claim(lane=HEART, limit=1)])[0].effects
    assert again.wire_id == order.wire_id


@pytest.mark.parametrize("transport", ["sms", "voice", "telephone fax"])
def test_a_lease_that_ran_out_is_not_taken_up_where_a_second_sending_would_be_a_second_effect(transport: str) -> None:
    stage, order = _order_in_hand()
    stage.journal._connection.execute("UPDATE effects SET transport = ? WHERE id = ?", (transport, order.id))
    stage.clock.move_to(stage.clock.now().replace(hour=22))

    assert stage.step.run([Claim(lane=HEART, limit=8)])[0].effects == ()


def test_a_file_is_written_once_however_often_it_is_tried(tmp_path: Path) -> None:  # F-G20
    _, order = _order_in_hand()
    name = file_name(order)

    assert publish(str(tmp_path), name, order.body)
    assert not publish(str(tmp_path), name, order.body)
    with pytest.raises(Occupied):
        publish(str(tmp_path), name, replace(order, body=b"other").body)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == order.body


# F-A01 F-G07: nothing fails but the engine, and it dies where it hurts most.
def test_a_receiver_that_knows_ids_sees_each_message_once_through_any_crash() -> None:
    rates = Rates(crash_before_commit=0.03, crash_after_commit=0.05, crash_while_speaking=0.1, crashes_a_minute=6)
    result = simulate(Options(seed=11, liveness=True, seconds=40.0, orders=6, strangers=0, window=1, rates=rates))

    assert not result.findings, result.report()
    assert result.lives > 3
