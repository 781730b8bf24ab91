"""A machine's clock that somebody sets: a `ManualClock` only ever goes forward."""

from __future__ import annotations

from datetime import UTC, datetime

from referral_engine.flow.rehearsal import Rehearsal


def set_clock(stage: Rehearsal, instant: datetime) -> None:
    """The machine now shows `instant`, be it in the past."""
    stage.clock._now = instant.astimezone(UTC)
    assert stage.clock.now() == instant
