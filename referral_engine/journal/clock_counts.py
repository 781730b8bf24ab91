"""How often clocks ran, fired and were cancelled, by channel and kind: some referrals at a time."""

from __future__ import annotations

from typing import Final

import msgspec

# Clocks of the referrals of one page that were to run out in a time, counted.
COUNTS: Final = """
SELECT r.channel, d.kind, d.state, count(*)
FROM referrals AS r CROSS JOIN deadlines AS d ON d.referral = r.id
WHERE r.rowid > ?1 AND r.rowid <= ?2 AND d.due_at >= ?3 AND d.due_at < ?4
GROUP BY r.channel, d.kind, d.state ORDER BY r.channel, d.kind, d.state
"""
# The newest referral.
NEWEST: Final = "SELECT ifnull(max(rowid), 0) FROM referrals"
REFERRALS_MAX: Final = 2_000  # of one page; some twenty clocks each, a few milliseconds


class ClockCount(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of clock of one channel; a clock that is started again in the same round counts once."""

    channel: str
    kind: str
    pending: int = 0
    fired: int = 0
    cancelled: int = 0

    @property
    def ran(self) -> int:
        """All of them."""
        return self.pending + self.fired + self.cancelled


class ClockCounts(msgspec.Struct, frozen=True, kw_only=True):
    """One page."""

    counts: tuple[ClockCount, ...]
    next: int  # where the page of older referrals begins; 0 when there is none
    referrals: int  # that were looked at


def counted(rows: list[tuple[str, str, str, int]]) -> tuple[ClockCount, ...]:
    """The rows of COUNTS, one value a channel and kind."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for channel, kind, state, number in rows:
        found.setdefault((channel, kind), {})[state] = number
    return tuple(ClockCount(channel=channel, kind=kind, **states) for (channel, kind), states in found.items())
