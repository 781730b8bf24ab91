"""What one listener has seen since the start, for `status`, the metrics and the tests."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from referral_engine.hl7.mllp import Deframer

# Upper bounds of the answer times that are counted, in seconds; the last bucket takes the rest.
ANSWER_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Oddly = tuple[int, int, int, int, int]  # junk bytes, blank bytes, remnants, missing CRs, doubled starts
NOTHING_ODD: Final[Oddly] = (0, 0, 0, 0, 0)


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
    busy: int = 0  # frames that could not be committed, whose sender was told to come again
    silent: int = 0  # connections that left without a byte: health checkers
    junk_bytes: int = 0  # outside frames
    blank_bytes: int = 0  # the same: white space and NULs
    remnants: int = 0  # frames dropped because the next one began
    missing_crs: int = 0
    doubled_starts: int = 0
    idle_closes: int = 0
    pauses: int = 0  # how often reading of one connection was stopped
    holds: int = 0  # how often the whole listener was paused
    bind_failures: int = 0  # ports that could not be bound again
    refused: Counter[str] = field(default_factory=Counter)  # connections not taken, by reason
    errors: Counter[str] = field(default_factory=Counter)  # connections broken off, by reason
    last_refusal: str = ""
    last_error: str = ""
    last_error_at: float = 0.0  # reactor seconds
    answer_seconds: list[int] = field(default_factory=lambda: [0] * (len(ANSWER_SECONDS) + 1))

    def odd(self, before: Oddly, deframer: Deframer) -> Oddly:
        """Add what one connection's deframer has newly seen; returns what it has seen so far."""
        junk, blank, remnants, missing, doubled = now = (
            deframer.junk_bytes,
            deframer.blank_bytes,
            deframer.remnants,
            deframer.missing_crs,
            deframer.doubled_starts,
        )
        self.junk_bytes += junk - before[0]
        self.blank_bytes += blank - before[1]
        self.remnants += remnants - before[2]
        self.missing_crs += missing - before[3]
        self.doubled_starts += doubled - before[4]
        return now

    def refuse(self, reason: str) -> None:
        """Count a connection that was not taken."""
        self.refused[reason] += 1
        self.last_refusal = reason

    def broke(self, reason: str, now: float) -> None:
        """Count a connection that we broke off."""
        self.errors[reason] += 1
        self.last_error = reason
        self.last_error_at = now

    def answered(self, seconds: float) -> None:
        """Count an answer and the time it took, from the frame's last byte."""
        self.answers += 1
        self.answer_seconds[bisect_left(ANSWER_SECONDS, seconds)] += 1

    def status(self) -> dict[str, object]:
        """What `status` shows of them."""
        return {
            "accepted": self.accepted,
            "frames": self.frames,
            "frame_bytes": self.frame_bytes,
            "empty_frames": self.empty_frames,
            "answers": self.answers,
            "busy": self.busy,
            "unanswered": self.unanswered,
            "unfinished": self.unfinished,
            "silent": self.silent,
            "idle_closes": self.idle_closes,
            "pauses": self.pauses,
            "holds": self.holds,
            "bind_failures": self.bind_failures,
            "refused": dict(self.refused),
            "last_refusal": self.last_refusal,
            "errors": dict(self.errors),
            "last_error": self.last_error,
            "oddities": {
                "junk_bytes": self.junk_bytes,
                "blank_bytes": self.blank_bytes,
                "remnants": self.remnants,
                "missing_crs": self.missing_crs,
                "doubled_starts": self.doubled_starts,
            },
        }
