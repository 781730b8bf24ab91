"""Who takes part in a made-up quarter: a book in; its offices with whoever can order from each, and who is left out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.loop.calendar import Calendar
from referral_engine.stories.dialect import Sender
from referral_engine.stories.places import Office, office_of, orderer_of, scanner_of, why_not


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One office, and the ordering side whose orders it gets."""

    office: Office
    orderer: Sender


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that gets no order, and why."""

    channel: str
    sentence: str
    where: str  # file and line; "" when nothing of a file is to blame


class Cast(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody of one configuration."""

    places: Mapping[str, Place]  # by channel
    left_out: tuple[LeftOut, ...]
    scanner: Sender | None
    calendar: Calendar  # of the practice


def cast_of(book: Book) -> Cast:
    """The offices of every live channel that an enabled feed of an ordering side can write an order for."""
    feeds = [one for one in book.feeds.values() if one.party == "ehr" and one.enabled]
    orderers = [orderer_of(book, feed) for feed in sorted(feeds, key=lambda one: one.name)]
    places: dict[str, Place] = {}
    left_out: list[LeftOut] = []
    for name in sorted(book.channels):
        found = _place(book, orderers, book.channels[name])
        if isinstance(found, Place):
            places[name] = found
        else:
            left_out.append(found)
    calendars = book.engine.calendars
    first = next((book.channels[name].policy.calendar for name in places), next(iter(calendars.values())))
    return Cast(places=places, left_out=tuple(left_out), scanner=scanner_of(book), calendar=first)


def joined(one: Cast, other: Cast) -> Mapping[str, Place]:
    """The places of both, those of `one` first; an office of both is ordered from with the codes of either."""
    places = dict(other.places) | dict(one.places)
    for name in one.places.keys() & other.places.keys():
        ours, theirs = one.places[name].office, other.places[name].office
        codes = tuple(dict.fromkeys((*ours.codes, *theirs.codes)))
        places[name] = msgspec.structs.replace(one.places[name], office=msgspec.structs.replace(ours, codes=codes))
    return {name: places[name] for name in sorted(places)}


def _place(book: Book, orderers: list[Sender], channel: Channel) -> Place | LeftOut:
    """Where the channel's orders come from, or why none does."""
    if channel.mode != "live":
        return LeftOut(channel=channel.name, sentence=f'[channel] mode = "{channel.mode}"', where=channel.file)
    for orderer in orderers:
        office = office_of(book, orderer, channel)
        if office is not None:
            return Place(office=office, orderer=orderer)
    if not orderers:
        sentence, where = "no feed of an ordering side is enabled", ""
    else:
        sentence, where = why_not(book, orderers[0], channel)
    return LeftOut(channel=channel.name, sentence=f"no order can be made for it: {sentence}", where=where)
