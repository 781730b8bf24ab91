"""Texts to patients: consent, sense and the caps, asked when a courier claims them."""

from __future__ import annotations

from referral_engine.base.values import replace
from referral_engine.flow.scenario import read_scenario
from referral_engine.flow.story import Story
from tests.flow.stage import book, sample

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
