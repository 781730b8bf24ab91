"""Deadlines fire once each, in due order, never early, however long nobody looked."""

from __future__ import annotations

import pytest

from referral_engine.base.clock import to_micros
from referral_engine.base.values import replace
from referral_engine.flow.inputs import Ticked
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.loop.policy import Duration, Kind, Unit
from tests.flow.stage import (
    BOOKING,
    HEART,
    ORDER,
    at,
    book,
    book_with,
    engine,
    kinds,
    owed,
    sample,
    sent,
    story,
    tick,
    wall,
)

OTHERS = ("orm-o01-electrophysiology-ppo.hl7", "orm-o01-orthopaedics.hl7", "orm-o01-imaging-mri.hl7")


def _fired(stage: Rehearsal) -> list[tuple[str, str, str]]:
    """Every clock that fired, in journal order, as (referral, kind, reason)."""
    reading = stage.journal.read()
    events = [event for line in reading.referrals() for event in reading.story(line.id).events]  # type: ignore[union-attr]  # listed just now
    passed = sorted((one for one in events if one.kind == "DeadlinePassed"), key=lambda one: one.sequence)
    return [(one.referral, one.summary, one.reason) for one in passed]


def _due(reason: str) -> str:
    return reason.removeprefix("due ").split(",")[0]


def _jump(stage: Rehearsal, when: str) -> None:
    """The machine was off until then: nothing on the way happened."""
    stage.clock.move_to(at(when))


def test_nothing_fires_a_moment_early() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    (prompt,) = [one for one in story(stage).deadlines if one.kind == "patient-prompt"]

    _jump(stage, "2026-03-02 09:01")
    assert tick(stage).fired == 0

    _jump(stage, "2026-03-02 09:02")
    assert prompt.due_at == to_micros(stage.clock.now())
    assert tick(stage).fired == 1


def test_two_ticks_after_one_deadline_fire_it_once() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    _jump(stage, "2026-03-02 09:02")

    first, second = stage.step.run([Ticked(), Ticked()])

    assert (first.fired, second.fired) == (1, 0)
    assert sent(stage).count("patient prompt") == 1


def test_after_a_week_of_downtime_every_deadline_fires_once_and_in_due_order() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    for name in OTHERS:
        stage.receive(sample(name))
    _jump(stage, "2026-03-09 12:00")

    tick(stage)
    assert tick(stage).fired == 0

    fired = _fired(stage)
    assert len(fired) > 6
    assert [_due(reason) for *_, reason in fired] == sorted(_due(reason) for *_, reason in fired)
    assert len(set(fired)) == len(fired)
    assert "late" in fired[0][2]
    reading = stage.journal.read()
    for line in reading.referrals():
        states = [one.state for one in reading.story(line.id).deadlines if one.due_at <= to_micros(stage.clock.now())]  # type: ignore[union-attr]  # listed just now
        assert "pending" not in states


def test_a_small_limit_says_that_there_is_more_and_loses_nothing() -> None:
    whole_week, bit_by_bit = engine(), engine()
    for stage in (whole_week, bit_by_bit):
        for name in (ORDER, *OTHERS):
            stage.receive(sample(name))
        _jump(stage, "2026-03-09 12:00")

    tick(whole_week)
    ticks = 0
    while tick(bit_by_bit, limit=2).more:
        ticks += 1

    assert ticks > 2
    assert [(what, why) for _, what, why in _fired(bit_by_bit)] == [(what, why) for _, what, why in _fired(whole_week)]
    assert sent(bit_by_bit) == sent(whole_week)


def test_a_tick_that_reaches_its_limit_exactly_asks_to_be_called_again() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    _jump(stage, "2026-03-02 09:02")

    first, second = tick(stage, limit=1), tick(stage, limit=1)

    assert (first.fired, first.more) == (1, True)
    assert (second.fired, second.more) == (0, False)


def test_a_clock_that_an_earlier_one_of_the_same_tick_stopped_does_not_fire() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.receive(sample(BOOKING))
    _jump(stage, "2026-04-02 09:00")

    tick(stage)

    assert "patient reminder 72 hours" not in sent(stage)  # the visit had begun when anybody looked
    assert "specialist status-check" in sent(stage)
    assert stage.journal.read().conservation().holds


def test_a_clock_that_runs_out_before_the_recorded_time_is_not_fired_twice_when_time_steps_back() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    _jump(stage, "2026-03-02 10:00")
    tick(stage)
    high = stage.journal.high_water

    stage.step.clock = type(stage.clock)(at("2026-03-02 09:01"))
    again = tick(stage)

    assert again.fired == 0
    assert stage.journal.high_water == high


def test_the_late_note_has_its_parked_letters_looked_at_again() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.receive(sample(BOOKING))
    stage.receive(sample("siu-s14-cardiology-arrived.hl7"))

    stage.move_to(at("2026-03-31 12:00"))

    assert any("note-watch" in what for _, what, _ in _fired(stage))
    assert stage.journal.read().conservation().holds


def test_a_changed_configuration_moves_the_clocks_of_open_referrals_at_the_next_event() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    heart = book().channels[HEART]
    clocks = dict(heart.policy.clocks)
    clocks[Kind.SCHEDULE] = ((Duration(2, Unit.DAYS),), (Duration(1, Unit.DAYS),))
    stage.step.book = replace(
        book_with(replace(heart, policy=replace(heart.policy, clocks=clocks))), version="the next one"
    )

    stage.move_to(at("2026-03-02 09:02"))

    (schedule,) = [one for one in story(stage).deadlines if one.kind == "schedule" and one.state == "pending"]
    assert wall(schedule.due_at) == "2026-03-04 09:00"
    stage.move_to(at("2026-03-04 09:00"))
    assert "schedule" in kinds(stage)
    assert stage.journal.read().conservation().holds


def test_moving_on_ends_although_a_sending_stands_behind_one_that_is_tried_again() -> None:
    stage = engine(ehr="silent")
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-02 09:01"))
    stage.receive(sample(BOOKING))

    stage.move_to(at("2026-03-02 09:20"))
    stage.partners["ehr"] = "AA"
    stage.move_to(at("2026-03-02 09:30"))

    assert [row.state.value for row in owed(stage) if row.lane == "ehr"] == ["delivered"] * 3


@pytest.mark.parametrize("name", [ORDER, *OTHERS])
def test_every_open_referral_owns_a_clock_for_half_a_year(name: str) -> None:
    stage = engine()
    stage.receive(sample(name))

    for when in ("2026-03-10 09:00", "2026-04-20 09:00", "2026-06-30 09:00", "2026-09-01 09:00"):
        stage.move_to(at(when))

        assert stage.journal.read().conservation().holds
        assert any(one.state == "pending" for one in _only(stage).deadlines)


def _only(stage: Rehearsal):
    reading = stage.journal.read()
    (line,) = reading.referrals()
    found = reading.story(line.id)
    assert found is not None
    return found
