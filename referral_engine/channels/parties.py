"""Who sent this: a message header and the peer in, the party that is allowed to say it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.channels.feed import Feed
from referral_engine.channels.partner import Partner
from referral_engine.channels.peers import calls_from, shows
from referral_engine.hl7.message import Header

Misplaced = Literal["", "address", "certificate", "port"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A sender we know."""

    kind: Literal["ehr", "scanner", "specialist"]
    name: str
    feed: Feed
    channel: Channel | None = None  # of a specialist


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What a connection says of the one behind it, before any message."""

    peer: str  # the socket's address
    listener: str = ""  # the port it came to; "" is none that restricts anybody
    certificates: tuple[str, ...] = ()  # "DNS:gw.heart.example"


def party_for(book: Book, header: Header, caller: Caller) -> Party | None:
    """The sender of a message, or None when nobody allowed it to talk to us (answer AR).

    Senders that name nothing at all are asked last, and never about a message that bears another sender's name.
    """
    claimed = False
    for feed in book.senders:
        partner = book.partner_of(feed)
        if not _bears_the_name(feed, partner, header) or (claimed and book.is_anyone(feed)):
            continue
        if not _misplaced(book, feed, partner, caller):
            channel = book.channels[feed.name] if feed.party == "specialist" else None
            return Party(kind=feed.party, name=feed.name, feed=feed, channel=channel)
        claimed = claimed or _has_a_name(feed, partner)
    return None


def named_in(book: Book, header: Header) -> Feed | None:
    """The sender that MSH-3 and MSH-4 name, wherever it calls from; None when they name nobody.  For questions only."""
    return next((feed for feed in book.senders if _bears_the_name(feed, book.partner_of(feed), header)), None)


def impostor(book: Book, header: Header, caller: Caller) -> Misplaced:
    """What is wrong with the caller of a message that bears a sender's name; "" when it bears nobody's."""
    for feed in book.senders:
        partner = book.partner_of(feed)
        if _has_a_name(feed, partner) and _bears_the_name(feed, partner, header):
            wrong = _misplaced(book, feed, partner, caller)
            if wrong:
                return wrong
    return ""


def partners_of(book: Book, listener: str) -> tuple[str, ...]:
    """The partners a listener is for; none named is all of them."""
    return next((one.partners for one in book.engine.listeners if one.name == listener), ())


def _misplaced(book: Book, feed: Feed, partner: Partner, caller: Caller) -> Misplaced:
    """What of the caller is not this sender's; "" when address, certificate and port all hold."""
    for addresses in (feed.addresses, partner.addresses):
        if addresses and not calls_from(caller.peer, addresses):
            return "address"
    if partner.certificates and not shows(caller.certificates, partner.certificates):
        return "certificate"
    allowed = partners_of(book, caller.listener)
    return "port" if allowed and partner.name not in allowed else ""


def _has_a_name(feed: Feed, partner: Partner) -> bool:
    return bool(feed.applications or feed.facilities or partner.applications or partner.facilities)


def _bears_the_name(feed: Feed, partner: Partner, header: Header) -> bool:
    """Whether MSH-3 and MSH-4 are among those that the feed and its partner name; an empty list allows any."""
    application, facility = header.sending_application, header.sending_facility
    return (
        (not feed.applications or application in feed.applications)
        and (not feed.facilities or facility in feed.facilities)
        and (not partner.applications or application in partner.applications)
        and (not partner.facilities or facility in partner.facilities)
    )
