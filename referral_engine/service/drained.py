"""Whether what waited at the senders has come in: listeners open long enough, the door idle, few arrivals a minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

BUSY_SECONDS: Final = 3600.0  # of waiting in all; stops a site that is always busy from never firing a deadline
MINUTE_SECONDS: Final = 60.0  # in which arrivals are counted
CALM_ARRIVALS_MAX: Final = 60  # in that minute: a day's work; a queue that empties brings more
CALM_BACKLOG_MAX: Final = 64  # inputs at the door: one batch


class Drained:
    """Looks at the arrivals after the listeners have opened; `hurried` says a person will not wait."""

    def __init__(self, *, backlog: Callable[[], int], arrivals: Callable[[], int], quiet_seconds: float) -> None:
        """`backlog` counts what waits at the door now, `arrivals` what ever came in."""
        self._backlog = backlog
        self._arrivals = arrivals
        self._quiet_seconds = quiet_seconds
        self._opened_at = 0.0
        self._counted_at = 0.0
        self._counted = 0
        self._calm = False
        self.hurried = False

    def follow(self, quiet_seconds: float) -> None:
        """The listeners must be open for so long from now on."""
        self._quiet_seconds = quiet_seconds

    def opened(self, now: float) -> None:
        """The listeners are open, or were unreachable until now; reactor seconds."""
        self._opened_at = self._counted_at = now
        self._counted = self._arrivals()
        self._calm = False
        self.hurried = False

    def look(self, now: float) -> bool:
        """Whether the backlog is in, `now` in reactor seconds; look often."""
        if now - self._counted_at >= max(min(MINUTE_SECONDS, self._quiet_seconds), 1.0):
            arrivals = self._arrivals()
            in_a_minute = (arrivals - self._counted) * MINUTE_SECONDS / (now - self._counted_at)
            self._calm = in_a_minute <= CALM_ARRIVALS_MAX
            self._counted_at, self._counted = now, arrivals
        waited = now - self._opened_at
        if self.hurried or waited >= max(BUSY_SECONDS, self._quiet_seconds):
            return True
        return waited >= self._quiet_seconds and self._calm and self._backlog() <= CALM_BACKLOG_MAX
