"""Orders that came and the channels in force in; which channels and conditions never, always or alone decided out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final, Literal

from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel, Mode
from referral_engine.channels.feed import Feed
from referral_engine.channels.matcher import REFERRED_TO, Condition, Matcher, value_at, wanted
from referral_engine.hl7.message import Message
from referral_engine.loop.policy import Kind

Often = Literal["never", "sometimes", "always"]
ALWAYS_LEAST: Final = 3  # times; once or twice is chance
# Clocks that are a part of a loop that goes well: they fire, and nobody is asked for.
ROUTINE: Final = frozenset(
    {Kind.PATIENT_PROMPT, Kind.REMIND_72H, Kind.REMIND_24H, Kind.VISIT_CHECK, Kind.ATTENDED, Kind.NOTE_WATCH}
)
_TOOK: Final[Mapping[Mode, str]] = {
    "live": "took",
    "shadow": "is in shadow and would have taken",
    "off": "is switched off and would have taken",
}


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
    mode: Mode  # one that is switched off or in shadow is told what it would have taken
    taken: int = 0
    conditions: tuple[ConditionCover, ...] = ()
    shared: Counter[str] = field(default_factory=Counter)  # orders that another live channel wanted too, by its name
    watched: int = 0  # of `taken`, for one in shadow: orders that no live channel took, so nobody was sent them


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockCover:
    """What one clock of one channel did."""

    channel: str
    kind: Kind
    fired: int = 0
    cancelled: int = 0  # what it waited for came first
    running: int = 0

    @property
    def ran(self) -> int:
        """How often it was started at all."""
        return self.fired + self.cancelled + self.running


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What all channels did with the orders."""

    orders: int
    taken: int  # by exactly one live channel
    unwanted: int  # by none that is live
    contested: int  # by several: none of them got it
    channels: tuple[ChannelCover, ...]  # by name
    clocks: tuple[ClockCover, ...]  # every clock of every channel that is on, by channel; () when that is not known


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
    book: Book, orders: Iterable[tuple[Message, Feed | None]], counted: Iterable[ClockCover] | None = None
) -> Coverage:
    """What each channel and each line of its [match] made of the orders, each with its sender's feed.

    counted: what clocks did in the same time; None when that is not known, then no clock is named.
    """
    covers = {name: _cover_of(book.channels[name]) for name in sorted(book.channels)}
    takers_of: Counter[int] = Counter()
    seen = 0
    for alike in _alike(book, orders):
        seen += alike.count
        takers = [name for name in covers if _count(book.channels[name], covers[name], alike)]
        live = [name for name in takers if covers[name].mode == "live"]
        takers_of[min(len(live), 2)] += alike.count
        for name in () if live else takers:
            covers[name].watched += alike.count if covers[name].mode == "shadow" else 0
        for one, other in combinations(live, 2):
            covers[one].shared[other] += alike.count
            covers[other].shared[one] += alike.count
    return Coverage(
        orders=seen,
        taken=takers_of[1],
        unwanted=takers_of[0],
        contested=takers_of[2],
        channels=tuple(covers.values()),
        clocks=() if counted is None else tuple(clocks_of(book, counted)),
    )


def findings(covered: Coverage) -> Iterator[Finding]:
    """What never happened, what always did and so decides nothing, and what two channels wanted."""
    if not covered.orders:
        return
    of = f"{covered.orders} orders"
    for one in covered.channels:
        if not one.taken:
            yield Finding(channel=one.name, place=one.file, sentence=f"{_TOOK[one.mode]} none of {of}")
        if one.watched:
            sentence = f"is in shadow, and no live channel took {one.watched} of the {one.taken} orders it watched"
            yield Finding(channel=one.name, place=one.file, sentence=sentence)
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


def clocks_of(book: Book, counted: Iterable[ClockCover]) -> Iterator[ClockCover]:
    """Every clock that a channel's policy has, one that never ran too."""
    known = {(one.channel, one.kind): one for one in counted}
    for name in sorted(book.channels):
        channel = book.channels[name]
        if channel.is_on:
            for kind in channel.policy.clocks:
                if kind not in channel.policy.off:
                    yield known.get((name, kind), ClockCover(channel=name, kind=kind))


def _added(one: ClockCover, other: ClockCover) -> ClockCover:
    """The same clock counted on two pages."""
    return ClockCover(
        channel=one.channel,
        kind=one.kind,
        fired=one.fired + other.fired,
        cancelled=one.cancelled + other.cancelled,
        running=one.running + other.running,
    )


def summed(pages: Iterable[ClockCover]) -> tuple[ClockCover, ...]:
    """Every clock once, however many pages it was counted on."""
    found: dict[tuple[str, Kind], ClockCover] = {}
    for one in pages:
        key = (one.channel, one.kind)
        found[key] = _added(found[key], one) if key in found else one
    return tuple(found.values())


def clock_findings(covered: Coverage) -> Iterator[Finding]:
    """What may be concluded from clocks that never started, that never fired, or that fired whenever they ran."""
    files = {one.name: one.file for one in covered.channels}
    for channel, file in files.items():
        ours = [one for one in covered.clocks if one.channel == channel]
        idle = [one.kind.value for one in ours if not one.ran]
        spare = [f"{one.kind.value} ({one.ran})" for one in ours if one.ran and not one.fired]
        always = [
            f"{one.kind.value} ({one.fired})"
            for one in ours
            if one.fired >= ALWAYS_LEAST and not one.cancelled and one.kind not in ROUTINE
        ]
        if ours and len(idle) == len(ours):
            idle = ["any clock"]
        for found, sentence in (
            (idle, "never ran: {}; nothing came to where they start, so their lengths are untried"),
            (spare, "ran and never fired: {}; all came in time, so a shorter length could warn earlier"),
            (always, "fired whenever it ended: {}; nothing ever came in time, so it tells nobody anything new"),
        ):
            if found:
                yield Finding(channel=channel, place=file, sentence=sentence.format(", ".join(found)))


def _cover_of(channel: Channel) -> ChannelCover:
    lines = (ConditionCover(path=one.path, wanted=wanted(one.test), line=one.line) for one in channel.match.conditions)
    return ChannelCover(name=channel.name, file=channel.file, mode=channel.mode, conditions=tuple(lines))


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
