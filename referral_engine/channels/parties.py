"""Who sent this: a message header and the peer's address in, the party that is allowed to say it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.channels.feed import Feed
from referral_engine.hl7.message import Header


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A sender we know."""

    kind: Literal["ehr", "scanner", "specialist"]
    name: str
    feed: Feed
    channel: Channel | None = None  # of a specialist


def party_for(book: Book, header: Header, peer_ip: str) -> Party | None:
    """The sender of a message, or None when nobody allowed it to talk to us (answer AR).

    Senders that name nothing at all are asked last.
    """
    for feed in book.senders:
        if _speaks_for(feed, header, peer_ip):
            channel = book.channels[feed.name] if feed.party == "specialist" else None
            return Party(kind=feed.party, name=feed.name, feed=feed, channel=channel)
    return None


def _speaks_for(feed: Feed, header: Header, peer_ip: str) -> bool:
    """Whether MSH-3, MSH-4 and the address are among those the feed names; an empty list allows any."""
    return (
        (not feed.applications or header.sending_application in feed.applications)
        and (not feed.facilities or header.sending_facility in feed.facilities)
        and (not feed.addresses or peer_ip in feed.addresses)
    )
