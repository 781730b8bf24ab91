"""Who is live: the rest is watched by the same tables and clocks, and nothing of it is sent."""

from __future__ import annotations

import hashlib
from typing import Final

from referral_engine.channels.engine import Pilot
from referral_engine.loop.referral import Referral

WATCHED: Final = "pilot: watched, not sent"
SHADOWED: Final = "shadow: watched, not sent"
NOT_ASKED: Final = "shadow: watched, nobody is asked"


def is_live(pilot: Pilot, referral: Referral) -> bool:
    """Whether what this referral owes is really sent; the same answer for its whole life under the same settings.

    What was ordered through a channel in shadow stays watched, also when that channel goes live.
    """
    if referral.watched:
        return False
    if pilot.mode == "shadow":
        return False
    if pilot.channels and referral.channel not in pilot.channels:
        return False
    if pilot.providers and referral.order.ordering_provider.number not in pilot.providers:
        return False
    if pilot.percent >= 100:
        return True
    drawn = hashlib.sha256(referral.order.placer.value.encode()).digest()
    return int.from_bytes(drawn[:4]) % 100 < pilot.percent
