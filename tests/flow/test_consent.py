"""Texts to patients: consent, sense and the caps, asked when a courier claims them."""

from __future__ import annotations

from referral_engine.base.values import replace
from referral_engine.flow.inputs import Claim, Settled
from referral_engine.flow.lanes import PATIENT
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.scenario import read_scenario
from referral_engine.flow.story import Story
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from tests.flow.stage import BOOKING, ORDER, arrived, at, book, engine, owed, sample, tick

ORDER_THEN_MORE = """
[scenario]
name  = "caps"
title = "caps"
start = "2026-03-02 09:00"

[[step]]
at      = "2026-03-02 09:00"
receive = "orm-o01-cardiology-ppo.hl7"

[[step]]
at     = "2026-03-02 09:03"
expect = { status = "patient-notified" }

[[step]]
at      = "2026-03-02 10:00"
receive = "siu-s12-cardiology.hl7"
with    = { "SCH-11.4" = "20260305093000-0600", "TQ1-7" = "20260305093000-0600" }

[[step]]
at     = "2026-03-05 09:00"
"""


def texts_of(per_day: int, per_week: int) -> list[str]:
    """The patient's texts of a story, with their state, under these caps."""
    patients = replace(book().engine.patients, per_day=per_day, per_week=per_week)
    capped = replace(book(), engine=replace(book().engine, patients=patients))
    story = Story(scenario=read_scenario(ORDER_THEN_MORE, "caps.toml"), book=capped, samples=sample)
    list(story.play())
    return [f"{row.purpose} {row.state.value}" for row in story.ends()[0].effects if row.recipient == "patient"]


def test_a_patient_is_written_to_within_the_caps() -> None:
    assert texts_of(per_day=1, per_week=3) == ["prompt delivered", "reminder delivered"]


def test_a_text_beyond_the_cap_of_a_week_waits() -> None:
    assert texts_of(per_day=1, per_week=1) == ["prompt delivered", "reminder queued"]


def test_a_cap_of_none_sends_nothing_and_breaks_nothing() -> None:
    assert "prompt delivered" not in texts_of(per_day=0, per_week=3)


def reminding() -> tuple[Rehearsal, EffectRow]:
    """A reminder of the visit on 10 March at 10:30 that is on its way."""
    stage = engine()
    stage.receive(sample(ORDER))
    stage.receive(sample(BOOKING))
    stage.clock.move_to(at("2026-03-07 10:30"))
    tick(stage)
    (reminder,) = stage.step.run([Claim(lane=PATIENT, limit=4)])[0].effects
    return stage, reminder


def tried_again(stage: Rehearsal, row: EffectRow) -> list[str]:
    stage.step.run([Settled(effect=row.id, token=row.token, outcome=Outcome.RETRY)])
    stage.step.run([Claim(lane=PATIENT, limit=4)])
    return [one.state.value for one in owed(stage) if one.id == row.id]


def test_a_reminder_of_the_old_time_that_was_on_its_way_is_not_tried_again() -> None:
    stage, reminder = reminding()
    moved = {"MSH-10": "MOVED", "MSH-9.2": "S13", "SCH-11.4": "20260312103000-0600", "TQ1-7.1": "", "AIS-4.1": ""}
    stage.clock.move_to(at("2026-03-07 10:31"))
    stage.step.run([arrived(sample(BOOKING, moved))])

    assert tried_again(stage, reminder) == ["cancelled"]


def test_a_text_about_a_cancelled_referral_that_was_on_its_way_is_not_tried_again() -> None:
    stage, reminder = reminding()
    stage.step.run([arrived(sample(ORDER, {"MSH-10": "CANCEL", "ORC-1": "CA"}))])

    assert tried_again(stage, reminder) == ["cancelled"]


def test_a_reminder_that_still_holds_is_tried_again() -> None:
    assert tried_again(*reminding()) == ["in-flight"]


def test_a_reminder_that_was_put_off_until_the_visit_has_begun_is_not_sent() -> None:
    stage, reminder = reminding()

    stage.clock.move_to(at("2026-03-10 10:30"))

    assert tried_again(stage, reminder) == ["cancelled"]
