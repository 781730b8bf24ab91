"""`shadow`: a candidate beside live traffic; nothing is sent, disagreements are counted as they come."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event
from typing import Final

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from referral_engine.base.clock import to_micros
from referral_engine.cli.diffing import candidate_option, channel_option, known_to_one, length, versions_of
from referral_engine.cli.diffing_report import (
    NOBODYS,
    Counts,
    print_differences,
    print_summary,
    shape_counts,
    shape_difference,
)
from referral_engine.cli.shared import FOUND_PROBLEMS, conf_option, control_socket, json_option, refused_by_daemon
from referral_engine.cli.traffic_pages import Engine
from referral_engine.flow.disagreement import CHANGES, KINDS, Difference, count
from referral_engine.flow.replaying import Version
from referral_engine.service.clock import MachineClock
from referral_engine.service.control_client import ControlError
from referral_engine.service.review_shapes import instant
from referral_engine.service.two_worlds import ReplayError, TwoWorlds

POLL_SECONDS: Final = 1.0  # between two looks at the journal
COMPARE_EVERY: Final = timedelta(seconds=5)  # between two comparisons: each looks at everything in both worlds
LAG: Final = timedelta(seconds=20)  # behind the engine: by then most deliveries have their answer
MESSAGES_MAX: Final = 20_000  # in memory; then both worlds begin anew, with the referrals that are open by then

_Show = Callable[[], None]


@click.command()
@candidate_option
@click.option("--for", "duration", default="", metavar="LENGTH", help="Such as 30m or 2h; until Ctrl-C without it.")
@channel_option
@click.option("--limit", default=10, show_default=True, type=click.IntRange(0), help="Differences shown at the end.")
@conf_option
@json_option
def shadow(candidate: str, duration: str, channel: str, limit: int, conf: str, *, as_json: bool) -> None:
    """Let a candidate decide beside the running engine, in memory, and count where the two disagree.

    Follows the engine's traffic some seconds behind it. The engine is asked one bounded question a second, and may be
    restarted meanwhile. With --json one object a line: each disagreement as it is found, the summary at the end. Exit
    status 0 without disagreement, 1 with some.

    \b
    Example:
      referral-engine shadow --candidate /tmp/next --for 2h
    """
    ends = MachineClock().now() + length(duration, "--for") if duration else None
    engine = Engine(control_socket(conf))
    try:
        before, after = versions_of(engine, conf, candidate)
        known_to_one(channel, before, after)
        follower = Follower(engine, before, after, channel)
        try:
            for fresh in follower.follow(ends, live=not as_json):
                for one in fresh if as_json else ():
                    click.echo(json.dumps({"difference": shape_difference(one)}, ensure_ascii=False))
        except KeyboardInterrupt:
            pass  # it is how one ends it
        finally:
            follower.close()
    except (ControlError, ReplayError) as error:
        refused_by_daemon(error)
    _sum_up(follower, limit, as_json=as_json)
    sys.exit(FOUND_PROBLEMS if follower.counts else 0)


class Follower:
    """Two worlds that live behind the engine."""

    def __init__(self, engine: Engine, before: Version, after: Version, channel: str) -> None:
        """Begin with the referrals that are open now; channel: only what concerns it is counted, "" for all."""
        self._engine = engine
        self._before, self._after = before, after
        self._channel = channel
        self._told: set[tuple[object, ...]] = set()
        self._past: Counts = Counter()  # of worlds that were given up
        self._now: Counts = Counter()
        self.found: list[Difference] = []
        self.messages = 0
        self.restarts = 0
        self.waits = ""  # why nothing is read; "" while all is well
        self.since = self._behind()
        self._worlds: TwoWorlds | None = None
        self._begin(self.since, engine.newest_before(self.since))

    @property
    def counts(self) -> Counts:
        """Every disagreement so far."""
        return self._past + self._now

    def close(self) -> None:
        """End both worlds."""
        if self._worlds is not None:
            self._worlds.close()
            self._worlds = None

    def follow(self, ends: datetime | None, *, live: bool) -> Iterator[list[Difference]]:
        """What is new with each comparison, until an instant or without end; live: show a table meanwhile."""
        clock, pause = MachineClock(), Event()
        compare_at = clock.now()
        with _board(self, live=live) as show:
            while True:
                now = clock.now()
                over = ends is not None and now >= ends
                self.read()
                if over or self.is_full or now >= compare_at:
                    yield self.compare()
                    compare_at = clock.now() + COMPARE_EVERY
                    show()
                if over:
                    return
                pause.wait(POLL_SECONDS)

    def _behind(self) -> int:
        return to_micros(MachineClock().now() - LAG)

    def _begin(self, start: int, through: int) -> None:
        """Both worlds from the referrals that were open at an instant, after whose newest message they go on.

        The old worlds end once the engine has told of those referrals.
        """
        history = self._engine.history(start, through)
        self.close()
        self._worlds = TwoWorlds(
            min([start, *(one.at for one in history.messages)]), self._before, self._after, fresh=True
        )
        self._worlds.take(history)
        self._worlds.adopt(start)
        self._cursor = self._since = through
        self._at = start
        self._held = 0
        self._told.clear()

    def read(self) -> None:
        """What came since; an engine that does not answer is waited for."""
        assert self._worlds is not None, "it was begun"
        try:
            if self._held >= MESSAGES_MAX:
                counts = self.counts
                self._begin(self._at, self._cursor)
                self._past, self._now = counts, Counter()
                self.restarts += 1
            for page in self._engine.pages(self._cursor, self._behind()):
                self._worlds.take(page)
                self._cursor = page.after
                self._at = max(page.at, self._at)
                self.messages += len(page.messages)
                self._held += len(page.messages)
                if self._held >= MESSAGES_MAX:
                    break  # compared before the worlds begin anew
        except ControlError as error:
            self.waits = str(error)
        else:
            self.waits = ""

    @property
    def is_full(self) -> bool:
        """Whether the worlds begin anew with the next look: they are compared before that."""
        return self._held >= MESSAGES_MAX

    def compare(self) -> list[Difference]:
        """What the two disagree about now, as far as it was not told before."""
        assert self._worlds is not None, "it was begun"
        _, _, differences = self._worlds.compare(self._at, self._since)
        mine = [one for one in differences if self._channel in ("", one.channel)]
        self._now = count(mine)
        fresh = [one for one in mine if _about(one) not in self._told]
        self._told.update(map(_about, fresh))
        self.found = mine
        return fresh


def _about(one: Difference) -> tuple[object, ...]:
    """What a disagreement is about: it is told once, although its instants move while a sending is still under way."""
    return one.kind, one.change, one.what, one.referral or one.placer, one.channel, one.message


@contextmanager
def _board(follower: Follower, *, live: bool) -> Iterator[_Show]:
    """A table on a terminal; a line each time something is new elsewhere."""
    console = Console()
    if not live:
        yield lambda: None
        return
    if console.is_terminal:
        with Live(_table(follower), console=console, auto_refresh=False) as shown:
            yield lambda: shown.update(_table(follower), refresh=True)
        return
    last = ""

    def line() -> None:
        nonlocal last
        total = sum(follower.counts.values())
        said = follower.waits or f"{follower.messages} messages, {total} disagreements"
        if said != last:
            click.echo(f"{instant(to_micros(MachineClock().now()))} {said}")
        last = said

    yield line


def _table(follower: Follower) -> Table:
    table = Table(title=follower.waits or f"{follower.messages} messages since {instant(follower.since)}")
    for head in ("channel", "what", *CHANGES):
        table.add_column(head)
    counts = follower.counts
    for channel in sorted({one[2] for one in counts}):
        for kind in KINDS:
            numbers = [counts[kind, change, channel] for change in CHANGES]
            if any(numbers):
                table.add_row(channel or NOBODYS, kind, *(str(number or "") for number in numbers))
    return table


def _sum_up(follower: Follower, limit: int, *, as_json: bool) -> None:
    """The end of it."""
    if as_json:
        summary = {
            "since": instant(follower.since),
            "messages": follower.messages,
            "restarts": follower.restarts,
            "summary": shape_counts(follower.counts),
        }
        click.echo(json.dumps({"summary": summary}, ensure_ascii=False))
        return
    print_summary(follower.counts)
    print_differences(follower.found, limit)
    again = f"; both worlds began anew {follower.restarts} times, for want of memory" if follower.restarts else ""
    click.echo(f"\n{follower.messages} messages since {instant(follower.since)}{again}")
    click.echo("a delivery that had no answer within 20 seconds is taken as delivered")
