"""`diff` without its socket: a journal of a week replayed twice, each in a process of its own, and compared."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from benchmarks.processes import ROOT
from referral_engine.base.clock import ManualClock, from_micros, to_micros
from referral_engine.flow.inputs import Arrived
from referral_engine.flow.replaying import Version, World
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.journal.traffic import Came, TrafficPage
from referral_engine.service.files import read_files
from referral_engine.service.two_worlds import TwoWorlds
from referral_engine.stories.places import site_of
from referral_engine.stories.script import Line
from referral_engine.stories.traffic import Plan, traffic

SECONDS_MAX: Final = 60.0  # the promise, for 100,000 messages
NOISE: Final = 0.95  # of all messages: about nobody we track
MESSAGES_A_STORY: Final = 2.4  # within the week
DAYS: Final = 7
PAGE: Final = 400
DOOR_SAMPLE: Final = 5_000  # messages the door alone is measured with
BEGINS: Final = date(2026, 3, 2)
CHANGED: Final = ('schedule = { routine = "7 days"', 'schedule = { routine = "5 days"')
CHANNEL: Final = "channels/cardiology-heart-group.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one comparison took."""

    messages: int
    seconds: float
    cpu_seconds: float  # of the two replays together: what a busy machine changes least
    door_us: float  # processor time of a message through the door alone, one a transaction, in memory
    ratio: float  # of one replay to the door
    differences: int


def week(count: int, seed: int, files: Mapping[str, str], days: int = DAYS, noise: float = NOISE) -> list[Came]:
    """About `count` messages of a week, or of so many days, as a journal would tell them."""
    stories = max(round(count * (1 - noise) / MESSAGES_A_STORY), 1)
    plan = Plan(begins=BEGINS, days=days, stories=stories, noise=noise)
    site = site_of(Version.read(files).book, "ehr")
    return [
        Came(
            sequence=number, at=to_micros(item.at), partner=item.feed, peer="127.0.0.1", type=item.type,
            raw=item.write(), disposition="no-op", level=-1, referral="", answer_code="AA", reduced=False,
        )
        for number, item in enumerate(_lines(traffic(site, plan, random.Random(seed)), count, days), 1)
    ]  # fmt: skip


def _lines(items: Iterator[object], count: int, days: int) -> Iterator[Line]:
    """At most so many, of the first days."""
    first = None
    for item in items:
        if isinstance(item, Line):
            first = first or item.at
            if item.at >= first + timedelta(days=days) or not count:
                return
            count -= 1
            yield item


def pages(came: list[Came]) -> Iterator[TrafficPage]:
    """The same as pages of the journal."""
    for start in range(0, len(came), PAGE):
        part = tuple(came[start : start + PAGE])
        yield TrafficPage(messages=part, after=part[-1].sequence, at=part[-1].at, more=start + PAGE < len(came))


def door_us(came: list[Came], version: Version) -> float:
    """Microseconds a message through the door, one a transaction, no clocks and no couriers."""
    sample = came[:DOOR_SAMPLE]
    step = Step(Journal.open(":memory:", None, node="RE"), version.book, ManualClock(from_micros(sample[0].at)))
    began_at = time.process_time()
    for one in sample:
        step.clock.move_to(from_micros(one.at))  # type: ignore[attr-defined]  # a clock that is moved by hand
        step.run([Arrived(raw=one.raw, peer=one.peer)])
    spent = time.process_time() - began_at
    step.journal.close()
    return spent / len(sample) * 1e6


def measure(count: int, seed: int, days: int = DAYS, noise: float = NOISE) -> Cost:
    """One comparison of a changed clock."""
    files = read_files(str(ROOT / "conf" / "engine.toml"))
    files = {name.removeprefix(f"{ROOT}/"): text for name, text in files.items()}
    changed = dict(files) | {CHANNEL: files[CHANNEL].replace(*CHANGED)}
    before, after = Version.read(files), Version.read(changed)
    came = week(count, seed, files, days, noise)
    alone = door_us(came, before)
    began_at, used = time.perf_counter(), _of_children()
    with TwoWorlds(came[0].at, before, after) as worlds:
        worlds.adopt(came[0].at)
        for page in pages(came):
            worlds.take(page)
        _, _, differences = worlds.compare(came[-1].at, 0)
    seconds = time.perf_counter() - began_at
    cpu = _of_children() - used
    return Cost(
        messages=len(came),
        seconds=round(seconds, 2),
        cpu_seconds=round(cpu, 2),
        door_us=round(alone, 1),
        ratio=round(cpu * 1e6 / (2 * len(came) * alone), 2),
        differences=len(differences),
    )


def _of_children() -> float:
    """Processor seconds of processes that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def profile(count: int, seed: int) -> None:
    """One replay in this process, under a profiler."""
    import cProfile  # only here
    import pstats  # only here

    files = read_files(str(ROOT / "conf" / "engine.toml"))
    version = Version.read({name.removeprefix(f"{ROOT}/"): text for name, text in files.items()})
    came = week(count, seed, version.files)
    recorder = cProfile.Profile()
    recorder.enable()
    world = World(came[0].at, version)
    for page in pages(came):
        world.take(page)
    world.bring_to(came[-1].at)
    recorder.disable()
    pstats.Stats(recorder, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(45)


def main() -> None:
    """Measure and print one JSON document; exit 1 when the promise for this many messages is broken."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.diff", description=main.__doc__)
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--profile", action="store_true")
    given = options.parse_args()
    if given.profile:
        profile(given.count, given.seed)
        return
    found = measure(given.count, given.seed)
    shown = {name: getattr(found, name) for name in Cost.__slots__}
    print(json.dumps({"cores": os.cpu_count(), "seconds_max": SECONDS_MAX, "diff": shown}, indent=1))
    sys.exit(found.seconds > SECONDS_MAX * max(found.messages / 100_000, 0.01))


if __name__ == "__main__":
    main()
