"""`generate`: made-up traffic of whole loops, with what each message must cause beside it."""

from __future__ import annotations

import json
import random  # noqa: TID251  # where the stories' chance gets its seed, which is printed and handed in from here
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from referral_engine.cli.shared import conf_option, day_of, json_option, load_book, print_json
from referral_engine.stories.ledger import file_name, plain_line, plain_standing
from referral_engine.stories.places import NoPlace, Site, site_of
from referral_engine.stories.script import Ended, Item, Line
from referral_engine.stories.traffic import NOISE_MAX, Plan, traffic

SEEDS: Final = 1_000_000
REFERRALS_MAX: Final = 1_000_000
DAYS_MAX: Final = 3_650
MESSAGES: Final = "messages"  # the directory of the messages
EXPECTED: Final = "expected.jsonl"
STORIES: Final = "stories.jsonl"
_PLOT: Final = "plot "
_OURS: Final = "[0-9]*-*Z-*.hl7"  # names that an earlier run gave


@click.command()
@click.option(
    "--to", "directory", required=True, type=click.Path(file_okay=False), metavar="DIR", help="Where it goes."
)
@click.option("--seed", type=click.IntRange(0), default=None, help="Make the same again; drawn and printed without it.")
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=30, show_default=True, help="In which orders come.")
@click.option(
    "--referrals", type=click.IntRange(1, REFERRALS_MAX), default=200, show_default=True, help="Stories to tell."
)
@click.option("--feed", default="ehr", show_default=True, metavar="NAME", help="The ordering side writes as this feed.")
@click.option(
    "--noise",
    type=click.FloatRange(0, NOISE_MAX),
    default=0.0,
    show_default=True,
    help="Share about nobody.",
)
@click.option("--start", default="2026-03-02", show_default=True, metavar="DATE", help="The first day, clinic time.")
@click.option("--expected", default="", metavar="FILE", help="The expected log; by default DIR/expected.jsonl.")
@click.option("--force", is_flag=True, help="Write over what an earlier run left in DIR.")
@conf_option
@json_option
def generate(
    directory: str,
    seed: int | None,
    days: int,
    referrals: int,
    feed: str,
    noise: float,
    start: str,
    expected: str,
    conf: str,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Write believable made-up traffic: whole loops, and what the engine must make of every message.

    Orders come in office hours and go to the channels of the configuration; bookings, no-shows, merges, notes,
    corrections, retractions, cancels, resends and odd encodings follow, and noise lies in between. DIR/messages holds
    one file a message, numbered in order of time. DIR/expected.jsonl says for each what it becomes (disposition,
    matching level, events by referral), DIR/stories.jsonl where each story stands in its middle and at
    its end. The same seed writes the same bytes.

    \b
    Example:
      referral-engine generate --seed 7 --days 30 --referrals 200 --to var/traffic
      referral-engine generate --seed 7 --referrals 50 --noise 0.95 --feed ehr --to var/firehose --json
    """
    chosen = random.SystemRandom().randrange(SEEDS) if seed is None else seed
    place = Path(directory)
    plan = Plan(begins=day_of(start, "--start"), days=days, stories=referrals, noise=noise)
    try:
        site = site_of(load_book(conf), feed)
    except NoPlace as error:
        raise click.UsageError(str(error)) from None
    chance = random.Random(chosen)  # noqa: S311  # to make it again, not to keep a secret
    log = Path(expected) if expected else place / EXPECTED
    try:
        _make_room(place, force=force)
        written = _write(place, log, traffic(site, plan, chance), referrals)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{named}cannot be written: {error.strerror or error}") from None
    except KeyboardInterrupt:
        raise click.ClickException(f"broken off: what is in {place} is not whole; --force begins again") from None
    summary = _summary(chosen, plan, feed, site, place, log, written)
    if as_json:
        print_json(summary)
    else:
        click.echo(f"{written['messages']} messages of {written['stories']} stories in {place}, seed {chosen}")
        click.echo(f"what they must cause is in {log}")


def _make_room(place: Path, *, force: bool) -> None:
    """An empty directory; one with something in it only when asked for, and then without an earlier run's messages."""
    if place.exists() and any(place.iterdir()):
        if not force:
            raise click.UsageError(f"{place} is not empty: name a directory that is new or empty, or say --force")
        for old in (place / MESSAGES).glob(_OURS):
            old.unlink()
    (place / MESSAGES).mkdir(parents=True, exist_ok=True)


def _write(place: Path, log: Path, items: Iterator[Item], stories: int) -> Counter[str]:
    """Every item into its file as it comes; how many of each there were."""
    written: Counter[str] = Counter()
    meter = Console(stderr=True)
    columns = (TextColumn("stories"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        log.open("w", encoding="utf-8") as expected,
        (place / STORIES).open("w", encoding="utf-8") as endings,
        Progress(*columns, console=meter, transient=True, disable=not meter.is_terminal) as progress,
    ):
        bar = progress.add_task("stories", total=stories)
        for item in items:
            if isinstance(item, Line):
                written["messages"] += 1
                number = written["messages"]
                (place / MESSAGES / file_name(number, item)).write_bytes(item.write())
                _put(expected, plain_line(number, item))
                continue
            _put(endings, plain_standing(item))
            if isinstance(item, Ended):
                written["stories"] += 1
                written[f"{_PLOT}{item.plot}"] += 1
                progress.update(bar, completed=written["stories"])
    return written


def _put(file: TextIO, value: dict[str, object]) -> None:
    file.write(f"{json.dumps(value, ensure_ascii=False)}\n")


def _summary(
    seed: int, plan: Plan, feed: str, site: Site, place: Path, log: Path, written: Counter[str]
) -> dict[str, object]:
    return {
        "seed": seed,
        "start": plan.begins.isoformat(),
        "days": plan.days,
        "feed": feed,
        "noise": plan.noise,
        "offices": [one.name for one in site.offices],
        "messages": written["messages"],
        "stories": written["stories"],
        "plots": {
            key.removeprefix("plot "): number for key, number in sorted(written.items()) if key.startswith("plot ")
        },
        "to": str(place),
        "expected": str(log),
    }
