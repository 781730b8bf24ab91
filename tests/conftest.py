"""What every test gets: Hypothesis profiles, and the seeds in the report's head.

HYPOTHESIS_PROFILE chooses one of `here`, `ci`, `torture`; without it `ci` is taken where CI is set, `here` elsewhere.
"""

from __future__ import annotations

import os
import sys

from hypothesis import HealthCheck, settings

# Where nothing compiled may be kept, every one of the processes that are started here compiles the whole package anew,
# and pytest every test: a quarter of all the time. What is kept lies in __pycache__, which nobody adds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_SLOW_MACHINE = [HealthCheck.too_slow]  # a busy machine is no fault of the code's

# A person's machine looks at new examples every time, and remembers the failing ones.
settings.register_profile("here", deadline=None, print_blob=True, suppress_health_check=_SLOW_MACHINE)
# CI looks at the same examples every time, so that red means this change and not today's luck.
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, database=None)
# `make torture` looks long, and with new examples every time.
settings.register_profile("torture", settings.get_profile("here"), max_examples=5_000, stateful_step_count=200)

_PROFILE = os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "here")
settings.load_profile(_PROFILE)


def pytest_report_header() -> str:
    """Say how to see the same examples again; pytest-randomly prints its own seed."""
    again = "the same examples every time" if _PROFILE == "ci" else "a failure prints the line that reproduces it"
    return f"hypothesis: profile {_PROFILE}, {again}"
