"""A zone's rules changed: clocks that still run move to what the new rules say, once, and the audit says so."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from referral_engine.base.clock import to_micros
from referral_engine.channels.book import Book
from referral_engine.flow.turn import Turn
from referral_engine.journal.rows import DeadlineRow
from referral_engine.journal.sweeping import Stand
from referral_engine.loop.clocks import deadlines

MOVED_AT_ONCE: Final = 200  # referrals a tick; stops the move from keeping messages waiting
FROM: Final = datetime(2026, 1, 1, tzinfo=UTC)
HALF_DAYS: Final = 2 * 365 * 10  # looked at from there on; no clock runs longer
ZONES_KEPT: Final = 64  # whose look is remembered


def follow_zones(turn: Turn, stand: Stand) -> bool:
    """Move the clocks of the next referrals, if the zones say something else than before; whether there are more.

    Only what is not due yet moves, and only the instant: which clocks run is for the next event to say.
    """
    zones = look_of(turn.book)
    sweeping = turn.unit.sweeping
    if zones == stand.zones and stand.moved_through is None:
        return False
    if not stand.zones:
        sweeping.follow_zones(zones, None)
        return False
    after = stand.moved_through or "" if zones == stand.zones else ""
    found = sweeping.running(after, MOVED_AT_ONCE)
    for identity in found:
        _move(turn, identity)
    more = len(found) == MOVED_AT_ONCE
    sweeping.follow_zones(zones, found[-1] if more else None)
    return more


def look_of(book: Book) -> bytes:
    """What all zones in use say about the coming years; 32 bytes."""
    policies = [channel.policy.calendar for channel in book.channels.values()]
    zones = {one.zone for one in [*book.engine.calendars.values(), *policies]}
    return hashlib.sha256(b"".join(sorted({_look(zone) for zone in zones}))).digest()


@lru_cache(maxsize=ZONES_KEPT)
def _look(zone: ZoneInfo) -> bytes:
    """The offset of every half day, and whose it is."""
    half = timedelta(hours=12)
    offsets = [(FROM + number * half).astimezone(zone).utcoffset() for number in range(HALF_DAYS)]
    return hashlib.sha256(f"{zone.key} {offsets}".encode()).digest()


def _move(turn: Turn, identity: str) -> None:
    referral = turn.unit.referral(identity)
    assert referral is not None, "a deadline belongs to a stored referral"
    said = {
        (str(one.kind), one.generation): to_micros(one.due_at) for one in deadlines(referral, turn.policy_of(referral))
    }
    for row in turn.unit.deadlines(identity):
        due_at = said.get((row.kind, row.generation), row.due_at)
        if row.state != "pending" or row.due_at <= turn.now_micros or due_at == row.due_at:
            continue
        moved = DeadlineRow(referral=identity, kind=row.kind, generation=row.generation, due_at=due_at)
        turn.unit.change_deadlines(identity, [moved], [])
        turn.audit("clock", "moved", f"referral {identity}", f"{row.kind} {row.generation}: the zone has new rules")
