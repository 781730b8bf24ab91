"""Whether the other side of one lane is there: closed, open while it is away, probing with one sending at a time."""

from __future__ import annotations

from typing import Literal

State = Literal["closed", "open", "probing"]


class Circuit:
    """One lane's circuit; every instant is handed in, in the seconds of a clock that nobody sets.

    After an outage the lane begins with one sending and doubles with each that reaches the other side.
    """

    __slots__ = ("_paused_until", "_window_max", "away", "since", "window")

    def __init__(self, *, window_max: int, since: float) -> None:
        """Closed; `window_max` sendings may be leased at once."""
        self._window_max = window_max
        self._paused_until = float("-inf")
        self.away = 0  # attempts in a row that did not reach the other side
        self.since = since  # when it last opened or closed
        self.window = window_max  # sendings that may be leased now

    def state(self, now: float) -> State:
        """Closed: work goes on. Open: nobody asks before the pause is over. Probing: one sending finds out."""
        if not self.away:
            return "closed"
        return "open" if now < self._paused_until else "probing"

    def pause_left(self, now: float) -> float:
        """Seconds for which nothing is sent; 0 when something may be."""
        return max(self._paused_until - now, 0.0)

    def missed(self, now: float) -> int:
        """An attempt did not reach the other side; how many in a row by now."""
        if not self.away:
            self.since = now
        self.away += 1
        self.window = 1
        return self.away

    def reached(self, now: float) -> None:
        """An attempt reached the other side, whatever it answered."""
        if self.away:
            self.since = now
            self.away = 0
        self.window = min(self.window * 2, self._window_max)

    def pause(self, now: float, seconds: float) -> None:
        """Send nothing for so long."""
        self._paused_until = now + seconds
