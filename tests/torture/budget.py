"""How long a long test may take: `make torture MINUTES=10` hands its minutes to all of them, each takes a share."""

from __future__ import annotations

import os
from typing import Final

MINUTES_DEFAULT: Final = 10.0  # of the tests, when a test is asked for by hand
SECONDS_MIN: Final = 5.0  # below that a loop proves nothing


def minutes() -> float:
    """What TORTURE_MINUTES says; ten without it."""
    return float(os.environ.get("TORTURE_MINUTES") or MINUTES_DEFAULT)


def seconds(share: float = 1 / 6) -> float:
    """The part of those minutes that one test takes, in seconds.

    share: 0 to 1; the usual one is a sixth, for two test processes run side by side.
    """
    assert 0 < share <= 1, "a part of the whole"
    return max(SECONDS_MIN, minutes() * 60.0 * share)
