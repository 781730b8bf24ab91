"""Quiet hours: an instant goes in, the first one at which a patient may be written to comes out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from referral_engine.flow.turn import Turn


def after_quiet_hours(turn: Turn, instant: datetime) -> datetime:
    """`instant` itself outside quiet hours, else the moment they end, UTC."""
    starts, ends = turn.book.engine.patients.quiet_from, turn.book.engine.patients.quiet_until
    local = instant.astimezone(turn.default_policy.calendar.zone)
    wall = local.time()
    quiet = starts <= wall < ends if starts <= ends else wall >= starts or wall < ends
    if not quiet:
        return instant
    opens = local.replace(hour=ends.hour, minute=ends.minute, second=0, microsecond=0)
    if wall >= ends:  # the evening before
        opens += timedelta(days=1)
    return opens.astimezone(UTC)
