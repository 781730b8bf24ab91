"""P9: whatever the machine's clock does, nothing freezes, nothing fires early or twice, and a wrong year is not believed."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from referral_engine.flow.inputs import Ticked
from referral_engine.service.clock import install_monotonic
from tests.flow.stage import ORDER, arrived, at, engine, sample, story
from tests.promises.clocks import set_clock
from tests.simulation import checkers
from tests.simulation.options import Options
from tests.simulation.simulation import simulate


class _Reactor:
    seconds = time.time


def test_the_reactors_timers_run_on_a_clock_that_nobody_sets() -> None:  # F-C01 F-C02
    reactor = _Reactor()
    install_monotonic(reactor)

    assert reactor.seconds is time.monotonic


@pytest.mark.parametrize("step", [timedelta(hours=-2), timedelta(days=-20_000), timedelta(hours=1)])
def test_recorded_time_never_goes_back_and_nothing_fires_twice(step: timedelta) -> None:  # F-C02 H087
    stage = engine()
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-05 09:00"))
    fired = [one for one in story(stage).deadlines if one.state == "fired"]

    set_clock(stage, stage.clock.now() + step)
    stage.step.run([Ticked(), arrived(sample("siu-s12-cardiology.hl7")), Ticked()])
    set_clock(stage, at("2026-03-05 12:00"))
    stage.step.run([Ticked()])
    found = story(stage)

    assert fired
    assert set(fired) <= {one for one in found.deadlines if one.state == "fired"}
    assert checkers.out_of_order(found.events) == []
    assert checkers.wrong_firing(found) == []


def test_what_is_due_by_a_recorded_time_the_clock_has_not_reached_again_waits() -> None:  # F-C01
    stage = engine()
    stage.receive(sample(ORDER))
    now = stage.clock.now()
    stage.clock.move_to(now + timedelta(days=30))

    (receipt,) = stage.step.run([Ticked(due_by=int(now.timestamp() * 1_000_000))])

    assert receipt.fired == 0


@pytest.mark.parametrize("seed", [2, 5])
def test_the_daemon_lives_through_a_clock_that_is_set_by_seconds_and_by_years(seed: int) -> None:
    options = Options(
        seed=seed, liveness=True, seconds=40.0, orders=5, strangers=3, window=1, clock_steps=8, guarded=True
    )
    result = simulate(options)

    assert not result.findings, result.report()
    assert sum("the clock is set" in line for line in result.trace) == 8
