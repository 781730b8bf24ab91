"""P14: a message that breaks its handling is set aside with its bytes and a task; what stands behind it goes on."""

from __future__ import annotations

from referral_engine.flow.inputs import SetAside
from referral_engine.journal.rows import Disposition
from tests.flow.stage import BOOKING, ORDER, arrived, engine, row, said, sample, tasks, tracks
from tests.simulation.options import Options
from tests.simulation.simulation import simulate


def test_a_message_set_aside_keeps_its_bytes_and_opens_a_task_and_its_sender_is_told_of_custody() -> None:
    stage = engine()
    raw = sample(ORDER)

    (receipt,) = stage.step.run([SetAside(arrived=arrived(raw), reason="ZeroDivisionError")])

    kept = row(stage, receipt)
    assert kept.raw == raw
    assert kept.disposition is Disposition.QUARANTINED
    assert "ZeroDivisionError" in kept.reason
    assert said(receipt) == "AA"
    assert [one.kind for one in tasks(stage)] == ["quarantine"]
    (again,) = stage.step.run([arrived(raw)])
    assert again.duplicate
    assert again.answer == receipt.answer


def test_its_neighbours_of_the_same_batch_go_on() -> None:
    stage = engine()
    stage.step.run(
        [arrived(sample(ORDER)), SetAside(arrived=arrived(b"MSH|^~\\&|broken"), reason="E"), arrived(sample(BOOKING))]
    )

    assert tracks(stage)["appointment"] == "booked"


def test_a_daemon_that_meets_an_error_in_its_own_code_sets_the_message_aside_and_goes_on() -> None:
    calm = Options(seed=3, liveness=True, seconds=30.0, orders=4, strangers=4, window=4, poisons=3)
    result = simulate(calm)

    assert not result.findings, result.report()
    assert result.lives == 1, "an error is no crash"
    assert result.referrals >= 4


def test_a_message_that_takes_the_engine_down_does_so_three_times_and_no_more() -> None:  # F-A07
    calm = Options(seed=3, liveness=True, seconds=40.0, orders=4, strangers=4, window=4, deadly=1)
    result = simulate(calm)

    assert not result.findings, result.report()
    assert sum("takes the engine down" in line for line in result.trace) == 3
    assert result.lives == 4
    assert result.referrals >= 4
