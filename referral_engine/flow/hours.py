"""When something may leave for a specialist: a lane and an instant in, the first instant at which it may out."""

from __future__ import annotations

from datetime import datetime

from referral_engine.base.clock import from_micros, to_micros
from referral_engine.channels.book import Book
from referral_engine.channels.channel import FALLBACK, Channel, sending_hours, way_of_lane
from referral_engine.flow.turn import Turn
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.calendar import next_opening


def channel_of_lane(book: Book, lane: str) -> Channel | None:
    """The specialist a lane leads to; None for the EHR, the patients, the desks and a file that is gone."""
    return book.channels.get(lane.partition(FALLBACK)[0])


def may_leave_at(book: Book, lane: str, instant: datetime) -> datetime:
    """`instant` itself inside the lane's `send_hours`, or where it has none; else when they begin, UTC."""
    channel = channel_of_lane(book, lane)
    if channel is None:
        return instant
    way = way_of_lane(lane)
    if way > len(channel.fallbacks):
        return instant
    transport = channel.fallbacks[way - 1] if way else channel.transport
    hours = sending_hours(transport, channel.policy.calendar) if transport.send_hours else None
    return instant if hours is None else next_opening(hours, instant)


def is_in_hours(turn: Turn, row: EffectRow) -> bool:
    """Whether a leased sending may leave now; one that may not is owed again, and no attempt is counted."""
    opens = to_micros(may_leave_at(turn.book, row.lane, turn.now))
    if opens <= turn.now_micros:
        return True
    turn.unit.release(row.id, row.token)
    turn.unit.sweeping.put_off(row.id, opens)
    turn.audit("door", "held back", f"effect {row.id}", f"until send_hours begin, {from_micros(opens):%Y-%m-%d %H:%M}Z")
    return False
