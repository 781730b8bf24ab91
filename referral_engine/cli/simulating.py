"""`simulate`: a made-up quarter over the files, or over two directories side by side; the work it makes."""

from __future__ import annotations

import random  # noqa: TID251  # where the quarter's chance gets its seed, which is printed and handed in from here
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from referral_engine.base.errors import ConfigError, Problem
from referral_engine.channels.book import read_book
from referral_engine.cli.quarter import Asked, Played, cast_for, play_all
from referral_engine.cli.shared import conf_option, day_of, json_option, print_json, refuse_configuration
from referral_engine.cli.side_by_side import pairs
from referral_engine.cli.simulating_report import print_one, print_two
from referral_engine.flow.workload import ORDERS_MAX
from referral_engine.service.files import read_files
from referral_engine.stories.cast import Cast
from referral_engine.stories.fates import Demand, orders_of

SEEDS: Final = 1_000_000
DAYS_MAX: Final = 730
PER_DAY_MAX: Final = 500
DESK_HOURS_MAX: Final = 500.0
PICTURES: Final = (".png", ".svg")


@click.command()
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=90, show_default=True, help="How long.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Play the same again; drawn and printed without it.")
@click.option(
    "--per-day", type=click.IntRange(1, PER_DAY_MAX), default=20, show_default=True, help="Orders on a working day."
)
@click.option(
    "--desk-hours",
    type=click.FloatRange(0.5, DESK_HOURS_MAX),
    default=6.0,
    show_default=True,
    help="Opening hours until a person does a task, on average.",
)
@click.option("--start", default="2026-03-02", show_default=True, metavar="DATE", help="The first day, clinic time.")
@click.option(
    "--against", default="", metavar="DIR", help="Play the same over conf/ and channels/ of DIR, and compare."
)
@click.option("--plot", default="", metavar="FILE", help="Draw it, too: FILE.png or FILE.svg.")
@conf_option
@json_option
def simulate(
    days: int,
    seed: int | None,
    per_day: int,
    desk_hours: float,
    start: str,
    against: str,
    plot: str,
    conf: str,
    *,
    as_json: bool,
) -> None:
    """Play made-up months over the files, and say what work they make; nothing is written, nothing is sent.

    Orders are made for each live channel from its own [match], and go through the real door in memory. Offices
    answer as [replies] says they can; some decline, some lines are busy, patients miss visits, notes come late or
    never, payers take their days, and people do every task after a while. How often is assumed, and the same for
    all files: compare numbers of two directories, do not take them for a forecast. A pilot does not hold here.

    \b
    Example:
      referral-engine simulate --days 90 --seed 7
      referral-engine simulate --days 30 --per-day 10 --plot var/work.svg
      referral-engine simulate --seed 7 --against ../candidate --plot var/work.png
    """
    _look_over(plot)
    sides = [_files(conf)] + ([_files(_engine_file(against))] if against else [])
    names = ["here", against] if against else ["here"]
    demand = Demand(begins=day_of(start, "--start"), days=days, per_day=per_day)
    chosen = random.SystemRandom().randrange(SEEDS) if seed is None else seed
    casts = [cast_for(files) for files in sides]
    _refuse_what_cannot_be_played(casts, names, demand)
    asked = Asked(sides=tuple(sides), demand=demand, seed=chosen, desk_hours=desk_hours)
    played = [
        Played(name=name, cast=cast, figures=one) for name, cast, one in zip(names, casts, play_all(asked), strict=True)
    ]
    if as_json:
        print_json(_plain(asked, conf, played))
    else:
        print_two(asked, *played) if len(played) == 2 else print_one(asked, played[0])
    if plot:
        _draw(plot, asked, played, quiet=as_json)


def _files(engine_file: str) -> dict[str, str]:
    """The texts of one side; prints every problem and exits 78 when there is one."""
    try:
        files = read_files(engine_file)
        read_book(files)
    except ConfigError as error:
        refuse_configuration(error)
    return files


def _engine_file(against: str) -> str:
    """The engine's file of a directory that holds conf/ and channels/; it may be named itself."""
    place = Path(against)
    if place.is_file():
        return str(place)
    if not (place / "conf").is_dir() and not (place / "channels").is_dir():
        help_ = "name a directory that holds conf/ and channels/, or its engine.toml"
        problem = Problem(
            file=against, line=0, column=1, code="FILE1", sentence="there is no configuration here", help=help_
        )
        refuse_configuration(ConfigError([problem]), "it")
    return str(place / "conf" / "engine.toml")


def _look_over(plot: str) -> None:
    """Before minutes are spent: a picture that could not be drawn in the end."""
    if not plot:
        return
    if Path(plot).suffix.lower() not in PICTURES:
        raise click.BadParameter(f'"{plot}" is neither a .png nor a .svg file', param_hint="--plot")
    if not Path(plot).absolute().parent.is_dir():
        raise click.BadParameter(f"there is no directory {Path(plot).parent}", param_hint="--plot")
    from referral_engine.cli.plotting import refuse_without_library

    refuse_without_library()


def _refuse_what_cannot_be_played(casts: Sequence[Cast], names: Sequence[str], demand: Demand) -> None:
    if not any(cast.places for cast in casts):
        for name, cast in zip(names, casts, strict=True):
            for one in cast.left_out:
                click.echo(f"{name}: {one.channel}: {one.sentence}  {one.where}", err=True)
        raise click.UsageError("no order can be made for any channel: there is nothing to play")
    orders = orders_of(casts[0].calendar, demand)
    if not orders:
        raise click.UsageError("the clinic is closed on all of these days: no order comes")
    if orders > ORDERS_MAX:
        raise click.UsageError(f"that is {orders} orders; {ORDERS_MAX} can be played: fewer --days or less --per-day")


def _draw(path: str, asked: Asked, played: Sequence[Played], *, quiet: bool) -> None:
    from referral_engine.cli.plotting import draw

    names = [
        one.name if number == 0 else f"against: {Path(one.name).resolve().name}" for number, one in enumerate(played)
    ]
    draw(path, asked.title, [(name, one.figures) for name, one in zip(names, played, strict=True)])
    if not quiet:
        click.echo(f"\nthe picture is in {path}")


def _plain(asked: Asked, conf: str, played: Sequence[Played]) -> dict[str, object]:
    """Everything as one JSON document; the same seed and files give the same text."""
    sides = [
        {"name": one.name, "left_out": msgspec.to_builtins(one.cast.left_out), **msgspec.to_builtins(one.figures)}
        for one in played
    ]
    compared = pairs(played[0].figures, played[1].figures) if len(played) == 2 else ()
    return {
        "seed": asked.seed,
        "start": asked.demand.begins.isoformat(),
        "days": asked.demand.days,
        "per_day": asked.demand.per_day,
        "desk_hours": asked.desk_hours,
        "conf": conf,
        "sides": sides,
        "compared": [msgspec.to_builtins(one) for one in compared],
    }
