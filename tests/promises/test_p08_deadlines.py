"""P8: each deadline fires exactly once, never early, in due order, and only after those who waited have been heard."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from referral_engine.base.clock import ManualClock
from referral_engine.base.errors import OutcomeUnknown
from referral_engine.flow.inputs import SweepMode, Ticked
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from tests.flow.stage import BOOKING, ORDER, arrived, at, book, door, engine, sample, story
from tests.promises.test_p04_atomic_effect import FailingCommit
from tests.simulation import checkers

ORDERS = (ORDER, "orm-o01-electrophysiology-ppo.hl7", "orm-o01-orthopaedics.hl7", "orm-o01-imaging-mri.hl7")

TICKS_MAX = 200  # for a handful of referrals


def test_each_fires_once_and_never_early_however_often_the_clock_looks() -> None:
    stage = engine()
    for name in ORDERS:
        stage.receive(sample(name))
    for _ in range(300):
        stage.clock.move_to(stage.clock.now() + timedelta(minutes=random.Random(_).randint(0, 600)))
        ticks = 0
        while stage.step.run([Ticked(limit=3), Ticked(limit=1)])[1].more:
            ticks += 1
            assert ticks < TICKS_MAX, "deadlines fire without end"
    stories = list(checkers.all_stories(stage.journal.read()))

    assert sum(event.kind == "DeadlinePassed" for one in stories for event in one.events) > 20
    assert [wrong for one in stories for wrong in checkers.wrong_firing(one)] == []


# F-A03 F-C08 F-C09 H126
@pytest.mark.parametrize("works", [False, True])
def test_after_a_week_of_downtime_and_a_crash_at_every_commit_each_has_fired_once_in_due_order(
    works: bool, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    step, journal = door(path)
    step.run([arrived(sample(name)) for name in ORDERS])
    journal.close()
    crashes = 0
    while True:
        step, journal = door(path, "2026-03-09 12:00")
        journal._connection = FailingCommit(journal._connection, works=works)  # type: ignore[assignment]  # it is one
        with pytest.raises(OutcomeUnknown):
            step.run([Ticked(limit=2)])
        journal.close()
        crashes += 1
        step, journal = door(path, "2026-03-09 12:00")
        (receipt,) = step.run([Ticked(limit=2)])
        stories = list(checkers.all_stories(journal.read()))
        journal.close()
        if not receipt.more:
            break
    passed = sorted(
        (event for one in stories for event in one.events if event.kind == "DeadlinePassed"),
        key=lambda one: one.sequence,
    )
    due = [event.reason.removeprefix("due ").split(",")[0] for event in passed]

    assert crashes > 2
    assert len(due) > 6
    assert due == sorted(due)
    assert [wrong for one in stories for wrong in checkers.wrong_firing(one)] == []


def test_after_a_long_silence_a_reply_that_waited_at_its_sender_comes_first() -> None:  # F-C08
    stage = engine()
    stage.receive(sample(ORDER))
    stage.step.run([Ticked(staged=True, drained=True)])
    stage.clock.move_to(at("2026-03-10 12:00"))  # "was a visit booked?" has been due since yesterday

    (waiting,) = stage.step.run([Ticked(staged=True)])
    assert waiting.fired == 0
    assert waiting.swept is not None
    assert waiting.swept.mode is SweepMode.WAITING

    stage.step.run([arrived(sample(BOOKING))])
    while stage.step.run([Ticked(staged=True, drained=True)])[0].more:
        pass

    fired = [one.kind for one in story(stage).deadlines if one.state == "fired"]
    assert "schedule" not in fired
    assert [wrong for one in checkers.all_stories(stage.journal.read()) for wrong in checkers.wrong_firing(one)] == []


def test_two_sweepers_fire_nothing_twice(tmp_path: Path) -> None:  # F-C10
    step, journal = door(tmp_path / "journal.db")
    step.run([arrived(sample(ORDER))])
    other = Step(journal, book(), ManualClock(at("2026-03-04 09:00")))
    step.clock.move_to(at("2026-03-04 09:00"))  # type: ignore[attr-defined]  # a ManualClock

    first, second = step.run([Ticked()])[0], other.run([Ticked()])[0]

    assert first.fired > 0
    assert second.fired == 0
    assert isinstance(journal, Journal)
    journal.close()
