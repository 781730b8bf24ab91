"""Which of a channel's ways something for its specialist takes: the lane of the outbox and the transport."""

from __future__ import annotations

from typing import Final

from referral_engine.channels.channel import Channel, Transport
from referral_engine.loop.effects import Purpose, Send
from referral_engine.loop.referral import Referral

_NEVER_THE_FIRST: Final = frozenset({Purpose.FALLBACK_ORDER, Purpose.RECORDS_REQUEST})


def way_taken(send: Send, referral: Referral, channel: Channel) -> tuple[str, Transport]:
    """What follows an order goes the way the order went; a records request goes by another way than the first."""
    way = 0 if send.purpose is Purpose.ORDER else referral.way
    if send.purpose in _NEVER_THE_FIRST:
        way = max(way, 1)
    lanes = channel.lanes
    return lanes[min(way, len(lanes) - 1)]  # a file may have fewer ways by now than the packet took
