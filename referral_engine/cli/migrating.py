"""`config migrate`: the clocks of running referrals moved to the configuration in force, tried before it is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import click
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from referral_engine.cli.asking import by_option
from referral_engine.cli.shared import (
    FOUND_PROBLEMS,
    ask_daemon,
    conf_option,
    counted,
    json_option,
    print_json,
    print_table,
)

Row = Mapping[str, Any]
HEADS: Final = ("referral", "channel", "from", "clock", "due", "would be due", "")


@click.command()
@click.option("--channel", default="", metavar="NAME", help="Only referrals of this channel.")
@click.option("--dry-run", "dry_run", is_flag=True, help="Only say which clocks would move.")
@click.option("--apply", "for_good", is_flag=True, help="Move them; with --reason.")
@click.option("--reason", default="", metavar="WHY", help="Kept in each referral's history.")
@by_option
@conf_option
@json_option
def migrate(*, channel: str, dry_run: bool, for_good: bool, reason: str, by: str, conf: str, as_json: bool) -> None:
    """Give running referrals the clocks of the configuration in force; without it they keep those they began under.

    A clock that has fired never fires again. One that would have been due already fires at once: look with --dry-run.

    \b
    Example:
      referral-engine config migrate --dry-run
      referral-engine config migrate --channel orthopaedics-lakeside --apply --reason "they asked for ten days"
    """
    if dry_run == for_good:
        raise click.UsageError("say --dry-run or --apply")
    if for_good and not reason.strip():
        raise click.UsageError("--apply needs --reason: it is kept in each referral's history")
    if for_good:
        _apply(conf, {"channel": channel, "by": by, "reason": reason}, as_json=as_json)
    else:
        portions = _portions(conf, "migration", {"channel": channel})
        _show([row for part in portions for row in part["referrals"]], as_json=as_json)


def _portions(conf: str, question: str, words: Mapping[str, object]) -> Iterator[Row]:
    """One answer after the other until there are no more, behind a line that counts."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.completed} referrals"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        after, more = "", True
        while more:
            told = cast("Row", ask_daemon(conf, question, {**words, "after": after}))
            if told.get("refused"):
                click.echo(f"referral-engine: {told['refused']}", err=True)
                sys.exit(FOUND_PROBLEMS)
            yield told
            progress.advance(task, told["count"] if "count" in told else len(told["referrals"]))
            after, more = told["cursor"], told["more"]


def _apply(conf: str, words: Mapping[str, object], *, as_json: bool) -> None:
    moved = sum(part["count"] for part in _portions(conf, "config-migrate", words))
    if as_json:
        print_json({"referrals": moved})
    else:
        click.echo(f"{counted(moved, 'referral')} now {'runs' if moved == 1 else 'run'} on the clocks in force")


def _show(referrals: list[Row], *, as_json: bool) -> None:
    if as_json:
        print_json(referrals)
        return
    rows = [
        (one["referral"], one["channel"], one["configuration"] or one["config"], clock["kind"],
         clock["due_before"] or "-", clock["due_after"] or "-", "fires at once" if clock["fires_at_once"] else "")
        for one in referrals
        for clock in one["clocks"]
    ]  # fmt: skip
    print_table(HEADS, rows, "no running clock would move")
    for one in referrals:
        if one["stays"]:
            click.echo(f"{one['referral']}: {one['stays']}")
    at_once = sum(clock["fires_at_once"] for one in referrals for clock in one["clocks"])
    going_over = sum(not one["stays"] for one in referrals)
    click.echo(
        f"{counted(going_over, 'referral')} would go over to the clocks in force: "
        f"{counted(len(rows), 'clock')} would move, {at_once} of them fire at once"
    )
