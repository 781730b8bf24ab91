"""`diff`: the last days again, in memory, under a candidate configuration; what would have been different."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from referral_engine.base.clock import to_micros
from referral_engine.base.errors import ConfigError
from referral_engine.cli.diffing_report import (
    Scope,
    print_decisions,
    print_differences,
    print_honesty,
    print_summary,
    shape_whole,
)
from referral_engine.cli.shared import (
    FOUND_PROBLEMS,
    conf_option,
    control_socket,
    did_you_mean,
    json_option,
    print_json,
    refuse_configuration,
    refused_by_daemon,
)
from referral_engine.cli.traffic_pages import Engine
from referral_engine.flow.disagreement import Difference, count
from referral_engine.flow.replaying import Version
from referral_engine.flow.trace import Trace
from referral_engine.service.clock import MachineClock
from referral_engine.service.control_client import ControlError
from referral_engine.service.files import read_files
from referral_engine.service.two_worlds import ReplayError, TwoWorlds

_LENGTH: Final = re.compile(r"([1-9]\d{0,3})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

candidate_option = click.option(
    "--candidate",
    default="",
    metavar="DIR",
    help="A directory with conf/ and channels/, or an engine file; without it the files that are on disk now.",
)
channel_option = click.option("--channel", default="", metavar="NAME", help="Only what concerns this channel.")


@click.command(name="diff")
@candidate_option
@click.option("--since", default="7d", show_default=True, metavar="LENGTH", help="Such as 12h, 7d or 4w.")
@channel_option
@click.option("--limit", default=10, show_default=True, type=click.IntRange(0), help="Differences shown of each kind.")
@conf_option
@json_option
def diff_(candidate: str, since: str, channel: str, limit: int, conf: str, *, as_json: bool) -> None:
    """Say what the last days would have been under other files: nothing is changed, nothing is sent.

    Replays the running engine's messages in memory, once under the configuration in force and once under the
    candidate, with the decisions people made and the outcomes deliveries really had. Shows which messages would be
    answered, routed or matched otherwise, and which clocks, tasks and sends appear, vanish or move, each with its
    referral and the line of the file that decides. Exit status 0 without differences, 1 with some.

    \b
    Example:
      referral-engine diff
      referral-engine diff --candidate /tmp/next --since 14d --channel orthopaedics-lakeside
    """
    engine = Engine(control_socket(conf))
    try:
        back = length(since)
        before, after = versions_of(engine, conf, candidate)
        known_to_one(channel, before, after)
        scope, traces, differences = _replayed(engine, before, after, back)
    except (ControlError, ReplayError) as error:
        refused_by_daemon(error)
    told = [one for one in differences if channel in ("", one.channel)]
    counts = count(told)
    if as_json:
        print_json(shape_whole(scope, *traces, counts, told))
    else:
        print_summary(counts)
        print_decisions(told)
        print_differences(told, limit)
        print_honesty(scope, *traces)
    sys.exit(FOUND_PROBLEMS if told else 0)


def length(text: str, option: str = "--since") -> timedelta:
    """A length of time on the command line, such as 12h.  Raises click.BadParameter."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise click.BadParameter(f'"{text}" is not a length such as 30m, 12h, 7d or 4w', param_hint=option)
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def versions_of(engine: Engine, conf: str, candidate: str) -> tuple[Version, Version]:
    """What is in force, and the candidate."""
    there = engine.files_in_force()
    if there is None and not candidate:
        raise click.UsageError("this engine keeps no versions of its configuration: name a --candidate")
    try:
        files = read_files(_engine_file(candidate)) if candidate else read_files(conf)
        after = Version.read(files)
    except ConfigError as error:
        refuse_configuration(error, "the candidate")
    try:
        before = Version.read(there if there is not None else read_files(conf))
    except ConfigError as error:
        refuse_configuration(error)
    return before, after


def known_to_one(channel: str, before: Version, after: Version) -> None:
    """A channel that neither side has would differ in nothing, whatever changes.  Raises click.BadParameter."""
    known = sorted({*before.book.channels, *after.book.channels})
    if channel and channel not in known:
        sentence = f'there is no channel "{channel}" on either side; {did_you_mean(channel, known)}'
        raise click.BadParameter(sentence, param_hint="--channel")


def _engine_file(place: str) -> str:
    """The engine's file of a candidate.  Raises click.BadParameter."""
    found = Path(place)
    if found.is_file():
        return place
    if (found / "conf").is_dir() or (found / "channels").is_dir():
        return str(found / "conf" / "engine.toml")
    raise click.BadParameter(
        f"{place} holds neither conf/ nor channels/, and is no engine file", param_hint="--candidate"
    )


def _replayed(
    engine: Engine, before: Version, after: Version, back: timedelta
) -> tuple[Scope, tuple[Trace, Trace], list[Difference]]:
    """The window replayed twice."""
    now = to_micros(MachineClock().now())
    start = now - int(back / timedelta(microseconds=1))
    since = engine.newest_before(start)
    messages = 0
    with _progress() as progress:
        bar = progress.add_task("earlier messages", total=None)
        history = engine.history(start, since)
        begins = min([start, *(one.at for one in history.messages)])
        with TwoWorlds(begins, before, after) as worlds:
            worlds.take(history)
            worlds.adopt(start, now - start)
            at = start
            for page in engine.pages(since):
                worlds.take(page)
                messages += len(page.messages)
                at = max(page.at, at)
                progress.update(bar, description="messages", total=now - start, completed=max(at - start, 0))
            progress.update(bar, description="comparing", total=None)
            told, heard, differences = worlds.compare(at, since)
    scope = Scope(
        since=start,
        until=at,
        before=before.book.version,
        after=after.book.version,
        messages=messages,
        earlier=len(history.messages),
    )
    return scope, (told, heard), differences


def _progress() -> Progress:
    meter = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, console=meter, transient=True, disable=not meter.is_terminal)
