"""Which specialist gets this order: a book and a message in, the channel and every channel's reason out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.channels.feed import Feed
from referral_engine.hl7.message import Message

IN_SHADOW: Final = "in shadow: followed, and nothing is sent"
_IN_SHADOW: Final = f"; {IN_SHADOW}"
_USUAL: Final = Feed(name="usual")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one channel says to a message."""

    name: str
    yes: bool
    reason: str  # "OBR-4.1 is "REFORTHKNEE", wanted one of REFCARD, REFEP", or "MSH-9, OBR-4.1 match"
    lines: str  # "line 16" or "lines 11-14"


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Where an order goes; no channel when none or several want it."""

    channel: Channel | None
    candidates: tuple[Answer, ...]  # of route: those that said yes; of explain: every channel
    counted: tuple[str, ...] = ()  # shadow channels that would take it beside the live one, by name


def route(book: Book, message: Message, feed: Feed | None = None) -> Routing:
    """The one live channel that takes `message`; two that want it are both candidates and neither gets it.

    A channel in shadow is asked only where no live one wants the order; else it is counted.

    feed: the sender's, which says where the referred-to provider stands; None is a sender with the usual places.
    """
    provider = (feed or _USUAL).referred_npi(message)
    asked = (book.on[number] for number in book.takers.of(message, provider))
    wanting = [one for one in asked if one.match.matches(message, provider)]
    taking = [one for one in wanting if one.mode == "live"] or wanting
    return Routing(
        channel=taking[0] if len(taking) == 1 else None,
        candidates=tuple(_yes(channel) for channel in taking),
        counted=tuple(one.name for one in wanting if one not in taking) if len(taking) < len(wanting) else (),
    )


def explain(book: Book, message: Message, feed: Feed | None = None) -> Routing:
    """As `route`, with the reason of every channel, also of those that said no or are switched off."""
    provider = (feed or _USUAL).referred_npi(message)
    answers = tuple(_answer(book.channels[name], message, provider) for name in sorted(book.channels))
    return Routing(channel=route(book, message, feed).channel, candidates=answers)


def _answer(channel: Channel, message: Message, provider: str) -> Answer:
    """Yes, or the first line of [match] that says no."""
    if not channel.is_on:
        return Answer(name=channel.name, yes=False, reason='switched off: [channel] mode = "off"', lines="")
    failed = channel.match.first_failure(message, provider)
    if failed is None:
        return _yes(channel)
    reason = channel.match.explain_failure(failed, message, provider)
    return Answer(name=channel.name, yes=False, reason=reason, lines=f"line {failed.line}")


def _yes(channel: Channel) -> Answer:
    """All of [match] holds."""
    paths = list(channel.match.paths())
    first, last = channel.match_lines
    return Answer(
        name=channel.name,
        yes=True,
        reason=f"{', '.join(paths)} {'matches' if len(paths) == 1 else 'match'}"
        + _IN_SHADOW * (channel.mode == "shadow"),
        lines=f"line {first}" if first == last else f"lines {first}-{last}",
    )
