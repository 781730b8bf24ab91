"""The reactor's clock is nobody's to set: a real reactor in a process of its own, whose wall clock steps."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The wall clock is stepped a moment after the start; then a short timer ends it, and a long one says it fired.
SCRIPT = """
import sys, time
real, shift = time.time, [0.0]
time.time = lambda: real() + shift[0]
from twisted.internet import reactor
from referral_engine.service.clock import install_monotonic
if sys.argv[2] == "repaired":
    install_monotonic(reactor)
reactor.callLater(0.01, shift.__setitem__, 0, float(sys.argv[1]))
reactor.callLater(30.0, print, "the long one fired")
reactor.callLater(0.3, lambda: (print("the short one fired"), reactor.stop()))
reactor.run()
"""


def _fired(step_seconds: int, how: str) -> list[str]:
    command = [sys.executable, "-c", SCRIPT, str(step_seconds), how]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


@pytest.mark.parametrize("step_seconds", [3_600, -7_200, 10 * 365 * 86_400, -1_700_000_000])
def test_a_step_of_the_wall_clock_fires_no_timer_and_freezes_none(step_seconds: int) -> None:  # F-C01, F-C02
    assert _fired(step_seconds, "repaired") == ["the short one fired"]


def test_without_the_repair_an_hour_forward_fires_what_is_far_away() -> None:
    assert "the long one fired" in _fired(3_600, "as it comes")
