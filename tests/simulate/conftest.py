"""One small quarter that several tests look at: eight days, two channels, played once."""

from __future__ import annotations

from datetime import date

import pytest

from referral_engine.cli.quarter import Asked, play
from referral_engine.flow.figures import Figures
from referral_engine.stories.fates import Demand
from tests.simulate.site import two_channels

DEMAND = Demand(begins=date(2026, 3, 2), days=8, per_day=3)


@pytest.fixture(scope="session")
def asked() -> Asked:
    return Asked(sides=(two_channels(),), demand=DEMAND, seed=7, desk_hours=6.0)


@pytest.fixture(scope="session")
def played(asked: Asked) -> Figures:
    return play(asked, 0, lambda _day: None)
