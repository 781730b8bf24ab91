"""What files say about each other: channels that take one order, names and senders used twice, names nobody defines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from referral_engine.base.errors import Problem
from referral_engine.channels.channel import Channel
from referral_engine.channels.engine import Engine
from referral_engine.channels.feed import Feed
from referral_engine.channels.likely import Sharers
from referral_engine.channels.overlap import UNSURE, overlap, overlapping
from referral_engine.channels.partner import Partner
from referral_engine.channels.partner_agreement import partner_disagreements
from referral_engine.channels.preauth import Preauthorization
from referral_engine.channels.preauth_file import unused_rules
from referral_engine.channels.sender_agreement import sender_disagreements
from referral_engine.channels.shape import Page, nearest, problem_at

SHOWN_OVERLAPS_MAX = 3  # of one channel; a copied file would otherwise name every other


@dataclass(frozen=True, slots=True, kw_only=True)
class Everyone:
    """What all files define, each with the page it stands on."""

    engine: Engine
    channels: Sequence[tuple[Page, Channel]] = ()
    feeds: Sequence[tuple[Page, Feed]] = ()
    partners: Sequence[tuple[Page, Partner]] = ()
    preauth: tuple[Page, Preauthorization] | None = None


def disagreements(everyone: Everyone, engine_page: Page) -> Iterator[Problem]:
    """Every problem that no file has on its own."""
    channels, feeds = everyone.channels, everyone.feeds
    yield from _used_twice([(page, channel.name, "channel") for page, channel in channels])
    yield from _used_twice([(page, feed.name, "feed") for page, feed in feeds])
    yield from _used_twice([(page, partner.name, "partner") for page, partner in everyone.partners])
    on = [(page, channel) for page, channel in channels if channel.is_on]
    live = [one for one in on if one[1].mode == "live"]
    shadow = [one for one in on if one[1].mode == "shadow"]
    if everyone.preauth is not None:
        yield from unused_rules(*everyone.preauth, [one for _, one in channels], [one for _, one in feeds])
    yield from _shared_orders(live)
    yield from _shared_orders(shadow)
    yield from _watched_alone(shadow, live)
    heard = [(page, feed) for page, feed in feeds if feed.enabled]
    senders = [*heard, *((page, channel.feed()) for page, channel in on if channel.speaks)]
    yield from sender_disagreements(senders, everyone.partners, everyone.engine.listeners)
    yield from partner_disagreements(everyone.engine, [*feeds, *channels], everyone.partners, engine_page)
    yield from _unknown_specialties(on, heard)
    yield from _unknown_dialects(channels, feeds)
    names = tuple(channel.name for _, channel in channels)
    for index, name in enumerate(everyone.engine.pilot.channels):
        if channels and name not in names:
            near = nearest(name, names)
            hint = f'did you mean "{near}"?' if near else ""
            place = ("pilot", "channels", index)
            yield problem_at(engine_page.source, place, "CH408", f'there is no channel "{name}"', hint)


def _used_twice(named: Sequence[tuple[Page, str, str]]) -> Iterator[Problem]:
    """Two files with one name."""
    first: dict[str, str] = {}
    for page, name, what in named:
        if name in first:
            sentence = f'the {what} "{name}" is also in {first[name]}'
            yield problem_at(page.source, (what, "name"), "CH405", sentence, "every name is used once")
        first.setdefault(name, page.source.file)


def _shared_orders(channels: Sequence[tuple[Page, Channel]]) -> Iterator[Problem]:
    """Channels of one mode that could take one order: exactly one may."""
    sound = [one for one in channels if one[1].match.conditions and "match" not in one[0].troubled]
    others: dict[tuple[int, bool], list[str]] = {}
    examples: dict[tuple[int, bool], Mapping[str, str]] = {}
    for first, second, both in overlapping([channel.match for _, channel in sound]):
        key = second, UNSURE not in both.values()
        others.setdefault(key, []).append(f'"{sound[first][1].name}"')
        examples.setdefault(key, both)
    for (second, is_sure), names in others.items():
        more = f" and {len(names) - SHOWN_OVERLAPS_MAX} more" if len(names) > SHOWN_OVERLAPS_MAX else ""
        listed = f"{', '.join(names[:SHOWN_OVERLAPS_MAX])}{more}"
        page, both = sound[second][0], examples[second, is_sure]
        if is_sure:
            sentence, hint = f"this channel and {listed} can take the same order", f"both take {_example(both)}"
            yield page.problem(("match",), "CH401", sentence, hint)
            continue
        unsure = ", ".join(path for path, value in both.items() if value == UNSURE)
        sentence = f"this channel and {listed} may take the same order"
        hint = f"nothing shows whether one value of {unsure} fits both: list the values, or use starts_with"
        yield page.problem(("match",), "CHW07", sentence, hint, warning=True)


def _watched_alone(shadow: Sequence[tuple[Page, Channel]], live: Sequence[tuple[Page, Channel]]) -> Iterator[Problem]:
    """A shadow beside no live channel: its orders are followed, nobody is sent them, and each is a person's task."""
    sharers = Sharers([channel.match for _, channel in live])
    for page, channel in shadow:
        if any(overlap(channel.match, live[one][1].match) is not None for one in sharers.beside(channel.match)):
            continue
        sentence = f'"{channel.name}" watches orders that no live channel takes: nobody is sent them'
        hint = 'each opens a task unroutable-order, until you write mode = "live"'
        yield problem_at(page.source, ("channel", "mode"), "CHW19", sentence, hint, warning=True)


def _example(both: Mapping[str, str]) -> str:
    """A message both would take, in words."""
    return ", ".join(f"{path} {value}" if value else f"{path} empty" for path, value in both.items())


def _unknown_specialties(
    channels: Sequence[tuple[Page, Channel]], feeds: Sequence[tuple[Page, Feed]]
) -> Iterator[Problem]:
    """A specialty that no sender's codes lead to: duplicates and pre-authorization would never find it."""
    known = sorted({specialty for _, feed in feeds for specialty in feed.specialties.values()})
    for page, channel in channels if known else ():
        if channel.specialty and channel.specialty not in known:
            near = nearest(channel.specialty, known)
            hint = f'did you mean "{near}"?' if near else f"feeds know {', '.join(known)}"
            sentence = f'no feed gives an order the specialty "{channel.specialty}"'
            yield problem_at(page.source, ("channel", "specialty"), "CHW04", sentence, hint, warning=True)


def _unknown_dialects(
    channels: Sequence[tuple[Page, Channel]], feeds: Sequence[tuple[Page, Feed]]
) -> Iterator[Problem]:
    """A dialect that no file describes: their words would be read as the usual ones, and some not at all."""
    names = sorted(feed.name for _, feed in feeds)
    for page, channel in channels:
        dialect = channel.replies.dialect
        if dialect and dialect not in names:
            near = nearest(dialect, names)
            hint = f'did you mean "{near}"?' if near else f"there are {', '.join(names) or 'none'}"
            sentence = f'there is no feed "{dialect}"'
            yield page.problem(("replies", "dialect"), "CH413", sentence, hint)
