"""The machine's clock: the one place that reads it, and the repair of Twisted's."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class MachineClock:
    """What time this machine thinks it is, and how long it has been running."""

    def now(self) -> datetime:
        """The present instant, aware, UTC; may be stepped by whoever sets the machine's clock."""
        return datetime.now(UTC)  # noqa: TID251  # this is the one place

    def seconds(self) -> float:
        """Seconds since an unknown moment; never steps, never runs backwards."""
        return time.monotonic()  # noqa: TID251  # this is the one place


def install_monotonic(reactor: object) -> None:
    """Give the reactor a clock that nobody sets; call this before anything else touches the reactor.

    Twisted times its delayed calls with the wall clock (its issue 2424): a step of +1 h fires every timer at once,
    -2 h freezes them all.
    """
    reactor.seconds = time.monotonic  # type: ignore[attr-defined]  # noqa: TID251  # any reactor has it
