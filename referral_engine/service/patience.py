"""The clocks of one connection: when what happened, in reactor seconds, and which limit is over by now."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from referral_engine.service.terms import Terms

HANDSHAKE_SECONDS_MAX: Final = 10.0  # stops a peer that opens TLS and says nothing
WRITE_STALL_SECONDS_MAX: Final = 60.0  # stops a peer that sends and never reads its answers
CLOSE_SECONDS_MAX: Final = 5.0  # from our close to the peer's; then the connection is cut
SLOW_START_SECONDS: Final = 5.0  # of an open frame, before its rate counts: a peer may think before it goes on


class Overdue(StrEnum):
    """What took too long; the counter's word."""

    NOTHING = ""
    CLOSE = "close-timeout"
    HANDSHAKE = "tls-handshake-timeout"
    ANSWERS = "answers-not-read"
    FRAME = "frame-timeout"
    RATE = "frame-too-slow"
    IDLE = "idle"


SENTENCES: Final = {
    Overdue.FRAME: "a frame was begun and did not end in time",
    Overdue.RATE: "a frame came in more slowly than the minimum rate",
}


class Patience:
    """Remembers instants; time in which we ourselves did not read is not held against the peer."""

    __slots__ = (
        "_unread_since", "closed_at", "frame_since", "handshaking", "opened_at", "seen_at", "stalled_since",
    )  # fmt: skip

    def __init__(self, now: float, *, handshaking: bool) -> None:
        """The connection opens now."""
        self.opened_at = now
        self.seen_at = now  # the newest byte
        self.handshaking = handshaking
        self.frame_since: float | None = None  # the open frame's first byte
        self.stalled_since: float | None = None  # the transport takes no more
        self.closed_at: float | None = None  # our close
        self._unread_since: float | None = None

    def stop_reading(self, now: float) -> None:
        """The peer cannot send from now on."""
        self._unread_since = now

    def start_reading(self, now: float) -> None:
        """It can again: the open frame gets the time in between on top."""
        if self._unread_since is not None and self.frame_since is not None:
            self.frame_since += now - self._unread_since
        self._unread_since = None
        self.seen_at = now

    def overdue(self, now: float, terms: Terms, *, buffered_bytes: int, owing: bool) -> Overdue:
        """The first limit that is over; `buffered_bytes` of the open frame, `owing` while answers are to come."""
        if self.closed_at is not None:
            return Overdue.CLOSE if now - self.closed_at > CLOSE_SECONDS_MAX else Overdue.NOTHING
        if self.handshaking:
            return Overdue.HANDSHAKE if now - self.opened_at > HANDSHAKE_SECONDS_MAX else Overdue.NOTHING
        if self.stalled_since is not None and now - self.stalled_since > WRITE_STALL_SECONDS_MAX:
            return Overdue.ANSWERS
        if self._unread_since is not None:
            return Overdue.NOTHING
        if self.frame_since is not None:
            open_seconds = now - self.frame_since
            if open_seconds > terms.frame_seconds_max:
                return Overdue.FRAME
            if buffered_bytes < (open_seconds - SLOW_START_SECONDS) * terms.bytes_per_second_min:
                return Overdue.RATE
        if now - self.seen_at > terms.idle_timeout_seconds and not owing:
            return Overdue.IDLE
        return Overdue.NOTHING
