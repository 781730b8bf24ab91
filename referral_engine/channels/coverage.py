"""Orders that came and the channels in force in; which channels and conditions never, always or alone decided out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.channels.feed import Feed
from referral_engine.channels.matcher import REFERRED_TO, Condition, Matcher, value_at, wanted
from referral_engine.hl7.message import Message
from referral_engine.loop.policy import Kind

Often = Literal["never", "sometimes", "always"]


@dataclass(slots=True, kw_only=True)
class ConditionCover:
    """What one line of [match] did."""

    path: str
    wanted: str  # in words: one of REFCARD, REFEP
    line: int  # in the channel's file
    asked: int = 0  # orders
    met: int = 0
    alone: int = 0  # orders that only this line kept away: without it the channel would have taken them

    @property
    def often(self) -> Often:
        """How often it was met; "never" when nothing was asked."""
        return "never" if not self.met else "always" if self.met == self.asked else "sometimes"


@dataclass(slots=True, kw_only=True)
class ChannelCover:
    """What one channel did."""

    name: str
    file: str
    enabled: bool  # one that is switched off is told what it would have taken
    taken: int = 0
    conditions: tuple[ConditionCover, ...] = ()
    shared: Counter[str] = field(default_factory=Counter)  # orders that another enabled channel wanted too, by its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What all channels did with the orders."""

    orders: int
    taken: int  # by exactly one enabled channel
    unwanted: int  # by none
    contested: int  # by several: none of them got it
    channels: tuple[ChannelCover, ...]  # by name
    clocks_never: tuple[Kind, ...]  # that did not fire at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a person should look at."""

    channel: str  # "" for what concerns all
    place: str  # file:line, or the file
    sentence: str


@dataclass(slots=True)
class _Alike:
    """Orders that no condition can tell apart."""

    message: Message
    provider: str
    count: int = 0


def coverage(
    book: Book, orders: Iterable[tuple[Message, Feed | None]], fired: Mapping[Kind, int] | None = None
) -> Coverage:
    """What each channel and each line of its [match] made of the orders, each with its sender's feed.

    fired: how often each clock passed in the same time; None when that is not known, then no clock is named.
    """
    covers = {name: _cover_of(book.channels[name]) for name in sorted(book.channels)}
    takers_of: Counter[int] = Counter()
    seen = 0
    for alike in _alike(book, orders):
        seen += alike.count
        takers = [name for name in covers if _count(book.channels[name], covers[name], alike)]
        enabled = [name for name in takers if covers[name].enabled]
        takers_of[min(len(enabled), 2)] += alike.count
        for one, other in combinations(enabled, 2):
            covers[one].shared[other] += alike.count
            covers[other].shared[one] += alike.count
    return Coverage(
        orders=seen,
        taken=takers_of[1],
        unwanted=takers_of[0],
        contested=takers_of[2],
        channels=tuple(covers.values()),
        clocks_never=() if fired is None else tuple(kind for kind in Kind if not fired.get(kind)),
    )


def findings(covered: Coverage) -> Iterator[Finding]:
    """What never happened, what always did and so decides nothing, and what two channels wanted."""
    if not covered.orders:
        return
    of = f"{covered.orders} orders"
    for one in covered.channels:
        if not one.taken:
            off = "is switched off and would have taken" if not one.enabled else "took"
            yield Finding(channel=one.name, place=one.file, sentence=f"{off} none of {of}")
        for condition in one.conditions:
            place = f"{one.file}:{condition.line}" if condition.line else one.file
            said = f"{condition.path}, wanted {condition.wanted},"
            if condition.often == "never":
                yield Finding(channel=one.name, place=place, sentence=f"{said} was met by none of {of}")
            elif condition.often == "always":
                yield Finding(
                    channel=one.name, place=place, sentence=f"{said} was met by all of {of}: it decided nothing"
                )
        for other, count in sorted(one.shared.items()):
            if one.name < other:
                noun = "1 order was" if count == 1 else f"{count} orders were"
                yield Finding(
                    channel=one.name, place=one.file, sentence=f"{noun} wanted by {other} as well: nobody got it"
                )
    for kind in covered.clocks_never:
        yield Finding(channel="", place="", sentence=f"the clock {kind.value} never fired")


def _cover_of(channel: Channel) -> ChannelCover:
    lines = (ConditionCover(path=one.path, wanted=wanted(one.test), line=one.line) for one in channel.match.conditions)
    return ChannelCover(name=channel.name, file=channel.file, enabled=channel.enabled, conditions=tuple(lines))


def _alike(book: Book, orders: Iterable[tuple[Message, Feed | None]]) -> Iterable[_Alike]:
    """The orders by what channels ask of them: a thousand orders are often twenty kinds."""
    matchers = [channel.match for channel in book.channels.values()]
    asked = {one.path: one for matcher in matchers for one in matcher.single}
    repeating = any(matcher.together for matcher in matchers)
    found: defaultdict[tuple[str, ...], list[_Alike]] = defaultdict(list)
    usual = Feed(name="usual")
    for message, feed in orders:
        provider = (feed or usual).referred_npi(message)
        places = (value_at(message, one, provider) for path, one in asked.items() if path != REFERRED_TO)
        same = found[(provider, *places)]
        if repeating or not same:  # lines about repeating segments look at the whole message
            same.append(_Alike(message, provider))
        same[-1].count += 1
    return (one for same in found.values() for one in same)


def _count(channel: Channel, cover: ChannelCover, alike: _Alike) -> bool:
    """Count what every line says to these orders; whether the channel takes them."""
    missed: list[ConditionCover] = []
    for condition, line in zip(channel.match.conditions, cover.conditions, strict=True):
        line.asked += alike.count
        if _holds(condition, alike):
            line.met += alike.count
        else:
            missed.append(line)
    takes = not missed and channel.match.matches(alike.message, alike.provider)
    cover.taken += alike.count if takes else 0
    if len(missed) == 1:
        missed[0].alone += alike.count
    return takes


def _holds(condition: Condition, alike: _Alike) -> bool:
    """Whether one line is met by itself."""
    if condition.repeats:
        return Matcher(conditions=(condition,)).matches(alike.message, alike.provider)
    return condition.passes(value_at(alike.message, condition, alike.provider))
