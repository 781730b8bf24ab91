"""What one listener has seen since the start, for `status`, the metrics and the tests."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

# Upper bounds of the answer times that are counted, in seconds; the last bucket takes the rest.
ANSWER_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class ListenerCounts:
    """Counters of one listener; they only grow."""

    accepted: int = 0  # connections
    frames: int = 0
    frame_bytes: int = 0
    empty_frames: int = 0
    answers: int = 0
    unanswered: int = 0  # the connection was gone before its answer
    unfinished: int = 0  # frames whose end never came
    junk_bytes: int = 0  # outside frames
    remnants: int = 0  # frames dropped because the next one began
    missing_crs: int = 0
    doubled_starts: int = 0
    idle_closes: int = 0
    pauses: int = 0  # how often reading was stopped
    refused: Counter[str] = field(default_factory=Counter)  # connections not taken, by reason
    errors: Counter[str] = field(default_factory=Counter)  # connections broken off, by reason
    last_error: str = ""
    last_error_at: float = 0.0  # reactor seconds
    answer_seconds: list[int] = field(default_factory=lambda: [0] * (len(ANSWER_SECONDS) + 1))

    def odd(self, before: tuple[int, int, int, int], now: tuple[int, int, int, int]) -> None:
        """Add what one connection's deframer has newly seen: junk bytes, remnants, missing CRs, doubled starts."""
        self.junk_bytes += now[0] - before[0]
        self.remnants += now[1] - before[1]
        self.missing_crs += now[2] - before[2]
        self.doubled_starts += now[3] - before[3]

    def broke(self, reason: str, now: float) -> None:
        """Count a connection that we broke off."""
        self.errors[reason] += 1
        self.last_error = reason
        self.last_error_at = now

    def answered(self, seconds: float) -> None:
        """Count an answer and the time it took, from the frame's last byte."""
        self.answers += 1
        self.answer_seconds[bisect_left(ANSWER_SECONDS, seconds)] += 1
