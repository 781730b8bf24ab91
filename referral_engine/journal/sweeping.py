"""How far the clocks have been swept, who stopped the sweeping, and what a catch-up does with the sendings it owes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from referral_engine.journal.database import Connection
from referral_engine.journal.instance import Instance
from referral_engine.journal.rows import EffectState

# The row, when there is one.
_LOAD = "SELECT swept_at, paused_by, zones, moved_through FROM sweeping WHERE id = 1"
# The first row of a new journal.
_CREATE = "INSERT INTO sweeping (id, swept_at, paused_by, zones, moved_through) VALUES (1, ?, '', x'', NULL)"
# Everything due by then has fired.
_SWEPT = "UPDATE sweeping SET swept_at = ? WHERE id = 1"
# A person stops the sweeping, or lets it go on.
_PAUSE = "UPDATE sweeping SET paused_by = ? WHERE id = 1"
# What the zones say, and which referral was the last whose clocks were moved with them.
_ZONES = "UPDATE sweeping SET zones = ?, moved_through = ? WHERE id = 1"
# The next referrals in which a clock runs.
_RUNNING = """
SELECT DISTINCT referral FROM deadlines WHERE referral > ? AND state = 'pending' ORDER BY referral LIMIT ? + 0
"""
# What one referral owes since an event and has not sent.
_FRESH = """
SELECT id, cause, lane, recipient, purpose, next_at FROM effects
WHERE referral = ? AND state = 'queued' AND cause >= ? ORDER BY id LIMIT ? + 0
"""
# Something newer says it.
_SUPERSEDE = "UPDATE effects SET state = 'cancelled', settled_at = ?, reason = ? WHERE id = ? AND state = 'queued'"
# How many sendings of a lane may leave for the first time in a span of time.
_CROWD = "SELECT count(*) FROM effects WHERE lane = ? AND state = 'queued' AND next_at >= ? AND next_at < ?"
# It leaves later.
_PUT_OFF = "UPDATE effects SET next_at = ? WHERE id = ? AND state = 'queued'"


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """How far the clocks have been swept, and by which zones they run."""

    swept_at: int  # everything due by this instant has fired, or been cancelled
    paused_by: str = ""  # who stopped the sweeping; "" while it goes on
    zones: bytes = b""  # what the zones said when the clocks were set; b"" before anybody looked
    moved_through: str | None = None  # while clocks are moved: the last referral whose were; None when all are


class Fresh(msgspec.Struct, frozen=True, kw_only=True):
    """One sending that was just owed and has not left."""

    id: int
    cause: int  # event sequence
    lane: str
    recipient: str
    purpose: str
    next_at: int


class Sweeping:
    """The sweep's own row, and the sendings of a catch-up."""

    __slots__ = ("_cursor", "_flush", "_instance")

    def __init__(self, connection: Connection, instance: Instance, flush: Callable[[], None]) -> None:
        """Look at the sendings of the open batch, too: `flush` writes them."""
        self._cursor = connection.cursor()
        self._instance = instance
        self._flush = flush

    def stand(self) -> Stand:
        """Where the sweeping stands; a new journal begins at its newest commit."""
        row = self._cursor.execute(_LOAD).fetchone()
        if row is None:
            self._cursor.execute(_CREATE, (self._instance.high_water,))
            return Stand(swept_at=self._instance.high_water)
        return Stand(swept_at=row[0], paused_by=row[1], zones=row[2], moved_through=row[3])

    def swept(self, at: int) -> None:
        """Everything due by `at` has fired."""
        self._cursor.execute(_SWEPT, (at,))

    def pause(self, by: str) -> None:
        """Stop the sweeping, also through restarts; "" lets it go on."""
        self.stand()
        self._cursor.execute(_PAUSE, (by,))

    def follow_zones(self, zones: bytes, moved_through: str | None) -> None:
        """Clocks are by these zones: those of every referral up to `moved_through`; None for all."""
        self._cursor.execute(_ZONES, (zones, moved_through))

    def running(self, after: str, limit: int) -> list[str]:
        """The next referrals, by their numbers, in which a clock runs."""
        return [row[0] for row in self._cursor.execute(_RUNNING, (after, limit)).fetchall()]

    def fresh(self, referral: str, since: int, limit: int) -> list[Fresh]:
        """What one referral owes since event `since` and has not sent, the oldest first."""
        self._flush()
        return [
            Fresh(id=row[0], cause=row[1], lane=row[2], recipient=row[3], purpose=row[4], next_at=row[5])
            for row in self._cursor.execute(_FRESH, (referral, since, limit)).fetchall()
        ]

    def supersede(self, owed: Iterable[Fresh], at: int, reason: str) -> None:
        """Cancel what something newer says, before it leaves."""
        for one in owed:
            if self._cursor.execute(_SUPERSEDE, (at, reason, one.id)).rowcount == 1:
                self._instance.tally("effect", one.lane, EffectState.QUEUED, -1)
                self._instance.tally("effect", one.lane, EffectState.CANCELLED)

    def crowd(self, lane: str, since: int, until: int) -> int:
        """How many sendings of a lane are to leave in this span of time."""
        self._flush()
        row = self._cursor.execute(_CROWD, (lane, since, until)).fetchone()
        return row[0] if row is not None else 0

    def put_off(self, effect: int, until: int) -> None:
        """Let a sending leave at `until`, not before."""
        self._cursor.execute(_PUT_OFF, (until, effect))
