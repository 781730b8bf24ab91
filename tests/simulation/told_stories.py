"""The generator's traffic on the simulation's clock: whole stories in their order, squeezed into a minute."""

from __future__ import annotations

from datetime import datetime
from random import Random

from referral_engine.channels.book import Book
from referral_engine.hl7.message import Message
from referral_engine.stories.places import site_of
from referral_engine.stories.script import Line
from referral_engine.stories.strangers import NOISE
from referral_engine.stories.teller import Teller
from referral_engine.stories.traffic import Plan, traffic


def told_stories(book: Book, now: datetime, stories: int, span: float, chance: Random) -> list[tuple[float, Line]]:
    """Every message of some stories, with the second of the simulation in which its sender says it."""
    plan = Plan(begins=now.date(), days=3, stories=stories)
    lines = [one for one in traffic(site_of(book, "ehr"), plan, chance) if isinstance(one, Line)]
    moments = sorted(chance.random() * span for _ in lines)
    return list(zip(moments, lines, strict=True))


def stranger(book: Book, now: datetime, number: int, chance: Random) -> Line:
    """A message about nobody."""
    site = site_of(book, "ehr")
    teller = Teller(story=f"N{number:07}", plot="noise", number=number, site=site, chance=chance, now=now)
    return chance.choices([tell for _, tell in NOISE], weights=[weight for weight, _ in NOISE])[0](teller)


def family_in(raw: bytes) -> str:
    """What no log line may hold of a message's patient."""
    return Message.parse(raw).value("PID-5.1")


def placer_in(raw: bytes) -> bytes:
    """The order number a message names, as a partner would see it."""
    return Message.parse(raw).value("ORC-2.1").encode()
