"""Many stories at once, in order of time: orders come in office hours, everybody else talks in between."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random  # noqa: TID251  # the type of what is handed in
from typing import Final

import msgspec

from referral_engine.loop.calendar import Calendar, instant_of
from referral_engine.stories.places import Site
from referral_engine.stories.plots import Plot, drawn, playable
from referral_engine.stories.script import Ended, Item, Line, Script
from referral_engine.stories.strangers import NOISE
from referral_engine.stories.teller import Teller

NOISE_MAX: Final = 0.99  # of all messages; more would never end
SEEDS: Final = 64  # bits of a story's own seed
# How busy an ordering practice is: the share of a week's orders by weekday, of a day's orders by the hour from 8 to 16.
_WEEKDAYS: Final = (24, 21, 20, 19, 14, 1, 0)
_HOURS: Final = (6, 14, 18, 16, 6, 12, 14, 10, 4)
_OPENS: Final = 8


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    begins: date  # the first day, clinic time
    days: int  # in which orders come; stories go on until they end
    stories: int
    noise: float = 0.0  # the share of all messages that is about nobody
    plots: tuple[Plot, ...] = ()  # (): all that the site has everything for
    before: int = 0  # the number of the story before the first; two plans far enough apart share nobody


def traffic(site: Site, plan: Plan, chance: Random) -> Iterator[Item]:
    """Every message and every ending, oldest first; no more is held than one message of each story under way.

    The same site, plan and seed give the same items, byte for byte. Noise has stories of one message, which end
    without an `Ended`.
    """
    told = _stories(site, plan, chance)
    if not plan.noise:
        yield from told
        return
    strangers = type(chance)(chance.getrandbits(SEEDS))
    yield from _among_strangers(told, site, min(plan.noise, NOISE_MAX), strangers)


def _stories(site: Site, plan: Plan, chance: Random) -> Iterator[Item]:
    """The stories alone, merged by time."""
    plots = plan.plots or playable(site)
    under_way: list[tuple[datetime, int, Item, Script]] = []
    begun = beginnings(site.calendar, plan, chance)
    number = plan.before
    upcoming = next(begun, None)
    while upcoming is not None or under_way:
        if upcoming is not None and (not under_way or upcoming <= under_way[0][0]):
            number += 1
            script = _begun(site, drawn(plots, chance), number, upcoming, chance)
            _push(under_way, number, script)
            upcoming = next(begun, None)
            continue
        _, of_story, item, script = heapq.heappop(under_way)
        yield item
        if not isinstance(item, Ended):
            _push(under_way, of_story, script)


def _push(under_way: list[tuple[datetime, int, Item, Script]], number: int, script: Script) -> None:
    item = next(script)
    heapq.heappush(under_way, (item.at, number, item, script))


def _begun(site: Site, plot: Plot, number: int, at: datetime, chance: Random) -> Script:
    own = type(chance)(chance.getrandbits(SEEDS))  # so that one story does not hang on how far the others are
    teller = Teller(
        story=f"S{number:06}", plot=plot.name, number=number, site=site, chance=own, now=at,
    )  # fmt: skip
    return plot.tell(teller)


def beginnings(calendar: Calendar, plan: Plan, chance: Random) -> Iterator[datetime]:
    """When each story begins, in order: by weekday and hour, busy as an ordering practice is."""
    days = [plan.begins + timedelta(days=number) for number in range(max(plan.days, 1))]
    weights = [0 if day in calendar.holidays else _WEEKDAYS[day.weekday()] for day in days]
    if not any(weights):
        weights = [1] * len(days)
    a_day = [0] * len(days)
    for index in chance.choices(range(len(days)), weights=weights, k=plan.stories):
        a_day[index] += 1
    for day, number in zip(days, a_day, strict=True):
        hours = chance.choices(range(len(_HOURS)), weights=_HOURS, k=number)
        seconds = sorted(hour * 3600 + chance.randrange(3600) for hour in hours)
        morning = instant_of(calendar, day, time(_OPENS))
        yield from (morning + timedelta(seconds=after) for after in seconds)


def _among_strangers(told: Iterator[Item], site: Site, share: float, chance: Random) -> Iterator[Item]:
    """The stories with strangers' messages in between, so many that they are that share of all."""
    weights = [weight for weight, _ in NOISE]
    owed, number = 0.0, 0
    before: datetime | None = None
    for item in told:
        if isinstance(item, Line):
            owed += share / (1.0 - share)
            since = before or item.at
            gaps = sorted(chance.random() for _ in range(int(owed)))
            owed -= len(gaps)
            for gap in gaps:
                number += 1
                teller = Teller(
                    story=f"N{number:07}", plot="noise", number=number, site=site, chance=chance,
                    now=since + (item.at - since) * gap,
                )  # fmt: skip
                yield chance.choices(NOISE, weights=weights)[0][1](teller)
        before = item.at
        yield item
