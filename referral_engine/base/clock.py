"""Time as a parameter: the protocol every clock fulfils, and instants as integer microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

MICROSECONDS = 1_000_000  # in a second
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = timedelta(microseconds=1)


class Clock(Protocol):
    """Something that knows what time it is."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...


class ManualClock:
    """A clock that stands until it is moved: simulations, rehearsals, tests."""

    def __init__(self, start: datetime) -> None:
        """Stand at `start` (aware)."""
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The instant it was last moved to."""
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Move forward to `instant`; never back."""
        self._now = max(self._now, instant.astimezone(UTC))


def to_micros(instant: datetime) -> int:
    """Integer microseconds since 1970-01-01 UTC: the journal's only form of an instant."""
    return (instant - EPOCH) // _ONE


def from_micros(micros: int) -> datetime:
    """The aware UTC instant that `to_micros` came from."""
    return EPOCH + timedelta(microseconds=micros)


def rfc3339(instant: datetime) -> str:
    """An instant for JSON: RFC 3339, UTC, "Z", whole seconds unless a fraction is known."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
