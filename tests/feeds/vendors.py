"""The shipped dialects: their names, their files, and their samples in the order in which they happen."""

from __future__ import annotations

from typing import Final

from referral_engine.channels.book import Book
from referral_engine.channels.feed import Feed
from referral_engine.channels.parties import Party
from referral_engine.hl7.message import Message
from tests.channels.shipped import ROOT
from tests.flow.stage import book

VENDORS: Final = ("epic", "oracle-health", "athenahealth", "eclinicalworks", "nextgen", "veradigm", "neutral")
HEART_NPI: Final = "1234567893"


def on(*names: str) -> Book:
    """What the project ships, with these dialects switched on."""
    return book().with_feeds(names)


def feed(name: str) -> Feed:
    """One shipped dialect."""
    return book().feeds[name]


def party(name: str, message: Message) -> Party:
    """Who sent a sample: the vendor's system, or the specialist who answers it."""
    if message.header.sending_application == "CENTRICITY":
        heart = next(one for one in book().senders if one.name == "cardiology-heart-group")
        return Party(kind="specialist", name=heart.name, feed=heart, channel=book().channels[heart.name])
    return Party(kind="ehr", name=name, feed=feed(name))


def text_of_file(name: str) -> str:
    """The text of one shipped dialect."""
    return (ROOT / "conf" / "feeds" / f"{name}.toml").read_text(encoding="utf-8")
