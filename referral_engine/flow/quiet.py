"""Quiet hours and caps: when and how often the patient of a referral may be written to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from referral_engine.channels.engine import Outreach
from referral_engine.flow.turn import Turn
from referral_engine.loop.referral import Referral


def courtesy(turn: Turn, referral: Referral) -> Outreach:
    """What is in force for this patient: the [patient] of the channel, else [patients] of the practice."""
    channel = turn.channel(referral.channel)
    own = channel.outreach if channel is not None else None
    return turn.book.engine.patients if own is None else own


def after_quiet_hours(turn: Turn, referral: Referral, instant: datetime) -> datetime:
    """`instant` itself outside quiet hours, else the moment they end, UTC.

    The patient's zone is what the files say, else that of the specialist's calendar: nobody is sent across the land.
    """
    rules = courtesy(turn, referral)
    starts, ends = rules.quiet_from, rules.quiet_until
    local = instant.astimezone(rules.zone or turn.policy_of(referral).calendar.zone)
    wall = local.time()
    quiet = starts <= wall < ends if starts <= ends else wall >= starts or wall < ends
    if not quiet:
        return instant
    opens = local.replace(hour=ends.hour, minute=ends.minute, second=0, microsecond=0)
    if wall >= ends:  # the evening before
        opens += timedelta(days=1)
    return opens.astimezone(UTC)
