"""`reload` and the versions of the configuration: take up the files, look back, go back, move running clocks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from referral_engine.base.errors import ConfigError
from referral_engine.cli.asking import by_option
from referral_engine.cli.reload_report import STAGES, as_lines
from referral_engine.cli.shared import (
    FOUND_PROBLEMS,
    ask_daemon,
    conf_option,
    json_option,
    print_json,
    print_table,
    refuse_configuration,
    visible,
)
from referral_engine.cli.version_files import Exchange, Site, kept_copies, one_at_a_time

Row = Mapping[str, Any]
LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 1000
NUMBER: Final = click.IntRange(1, 2**63 - 1)
AS_THEY_WERE: Final = "the files on disk are as they were"
_COLOURS: Final = (("refused: ", "red"), ("  FAIL  ", "red"), ("configuration ", "green"))

reason_option = click.option("--reason", default="", metavar="WHY", help="Kept with the version; --force needs one.")


@click.command(name="reload")
@click.option("--force", is_flag=True, help="Although tests fail; with --reason.")
@reason_option
@by_option
@conf_option
@json_option
def reload_(*, force: bool, reason: str, by: str, conf: str, as_json: bool) -> None:
    """Take up the files as they are now, without a restart; or keep the old ones and say what is wrong.

    Everything is checked and the tests in the files are played before anything changes. Open connections stay, and
    running referrals keep the clocks of the configuration they began under. Exit status 1 when the files were refused.

    \b
    Example:
      referral-engine reload
      referral-engine reload --force --reason "the office moved; its test follows tomorrow"
    """
    if force and not reason.strip():
        raise click.UsageError("--force needs --reason: it is kept with the version")
    told = _carry_out(conf, {"by": by, "reason": reason, "force": force})
    _tell(told, as_json=as_json)
    sys.exit(FOUND_PROBLEMS if told["outcome"] == "refused" else 0)


def _carry_out(conf: str, words: Mapping[str, object], *, taken: Callable[[], object] = lambda: None) -> Row:
    """Give the order, and wait behind a progress line until it is done; `taken` is called once the engine has it."""
    with _progress() as (progress, task):
        told = cast("Row", ask_daemon(conf, "reload", words))
        taken()
        while not told["done"]:
            progress.update(
                task, description=STAGES.get(told["stage"], ""), completed=told["steps"], total=told["of"] or None
            )
            told = cast("Row", ask_daemon(conf, "reload-look", {"ticket": told["ticket"]}))
    return told


@contextmanager
def _progress() -> Iterator[tuple[Progress, TaskID]]:
    """A line on a terminal, which goes when it is over."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task("", total=None)


def _tell(told: Row, *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    for line in as_lines(told):
        colour = next((colour for start, colour in _COLOURS if line.startswith(start)), None)
        click.secho(visible(line), fg=colour)


@click.command()
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=LIMIT_DEFAULT, show_default=True)
@conf_option
@json_option
def history(limit: int, conf: str, *, as_json: bool) -> None:
    """List the configurations that were in force, the newest first: who, when, why.

    \b
    Example:
      referral-engine config history
    """
    rows = cast("list[Row]", ask_daemon(conf, "versions", {"limit": limit}))
    if as_json:
        print_json(rows)
        return
    shown = [
        (row["number"], row["at"], row["by"], row["action"], "forced" if row["forced"] else "", row["config"],
         row["reason"])
        for row in rows
    ]  # fmt: skip
    print_table(
        ("number", "since", "by", "action", "", "version", "reason"), shown, "no configuration is stored yet", under=1
    )


@click.command(name="show")
@click.argument("number", type=NUMBER)
@click.option("--diff", "diff", is_flag=True, help="Only what differs from the version before.")
@conf_option
@json_option
def show_version(number: int, conf: str, *, diff: bool, as_json: bool) -> None:
    """Show a configuration that was in force: every file, or what it changed.

    \b
    Example:
      referral-engine config show 3
      referral-engine config show 3 --diff
    """
    row = cast("Row", ask_daemon(conf, "version", {"version": number}))
    if as_json:
        print_json(row)
        return
    why = f": {row['reason']}" if row["reason"] else ""
    forced = ", forced" if row["forced"] else ""
    head = f"configuration {number} ({row['config']}), {row['action']} by {row['by']}{forced}{why}"
    click.secho(visible(head), bold=True)
    click.echo(f"in force since {row['at']}")
    if diff:
        first = f"configuration {number} is the first: nothing stands before it"
        click.echo(visible(first if number == 1 else row["difference"] or "nothing differs from the version before"))
        return
    for name, text in sorted(row["files"].items()):
        click.echo(visible(f"\n==> {name} <==\n{text.rstrip()}"))


@click.command()
@click.argument("number", type=NUMBER)
@click.option("--reason", required=True, metavar="WHY", help="Kept with the new version.")
@click.option("--discard", is_flag=True, help="Put edits that nobody took up aside, as *.before-rollback-NUMBER.")
@click.option("--force", is_flag=True, help="Although tests of that configuration fail.")
@by_option
@conf_option
@json_option
def rollback(number: int, reason: str, by: str, conf: str, *, discard: bool, force: bool, as_json: bool) -> None:
    """Put the files of an earlier configuration back on disk, and take them up.

    It comes in force under a new number, or the files are as they were before. Edits on disk that nobody has taken up
    are not thrown away: without --discard they stop it.

    \b
    Example:
      referral-engine config rollback 2 --reason "the new cardiology rules miss the HMO orders"
    """
    if not reason.strip():
        raise click.UsageError("--reason is empty: it is kept with the version")
    wanted = cast("Row", ask_daemon(conf, "version", {"version": number}))
    words = {"by": by, "reason": reason, "force": force, "action": "rollback", "config": wanted["config"]}
    place = cast("Row", ask_daemon(conf, "config-place"))
    site = Site(root=Path(place["root"]), engine_file=place["engine_file"], in_force=place["files"])
    try:
        with one_at_a_time(site):
            told = _exchanged(conf, site, wanted, words, lambda: _clear(site, wanted, place["number"], discard=discard))
    except BlockingIOError:
        _stop("another rollback is under way; nothing was changed")
    _tell(told, as_json=as_json)
    if told["outcome"] == "refused":
        click.echo(AS_THEY_WERE, err=True)
        sys.exit(FOUND_PROBLEMS)


def _exchanged(conf: str, site: Site, wanted: Row, words: Mapping[str, object], clear: Callable[[], None]) -> Row:
    """Write the files and have them taken up, or leave those that were there."""
    exchange = Exchange()
    try:
        clear()
        exchange.put(site, wanted["files"])
    except ConfigError as error:
        refuse_configuration(error)
    except OSError as error:
        _put_back(exchange)
        _stop(f"{error.filename}: cannot be written: {error.strerror}; the files are as they were")
    told = _roll_back(conf, words, exchange, wanted["number"])
    if told["outcome"] == "refused":
        _put_back(exchange)
    return told


def _roll_back(conf: str, words: Mapping[str, object], exchange: Exchange, number: int) -> Row:
    """Have the files taken up; where nobody took the order, they are put back before it ends as it would have."""
    taken: list[bool] = []
    try:
        return _carry_out(conf, words, taken=lambda: taken.append(True))
    except (SystemExit, KeyboardInterrupt):  # an order that comes late is refused: its files are gone again
        if not taken:
            _put_back(exchange)
            click.echo(AS_THEY_WERE, err=True)
        else:
            click.echo(
                f"the files on disk are those of configuration {number}; `referral-engine status` says", err=True
            )
            click.echo("whether they came in force; the next start takes them up", err=True)
        raise


def _put_back(exchange: Exchange) -> None:
    """Undo the exchange, or name what cannot be put back: the next start would read it."""
    try:
        exchange.undo()
    except OSError as error:
        left = ", ".join(str(path) for path in sorted(exchange.before))
        _stop(f"{error.filename}: cannot be put back: {error.strerror}; look at {left} before the next start")


def _clear(site: Site, wanted: Row, in_force: int, *, discard: bool) -> None:
    """Refuse what would lose somebody's work, or keep copies of it.  Raises ConfigError, OSError."""
    strangers = site.strangers(wanted["files"])
    if strangers:
        _stop(f"configuration {wanted['number']} was read from another place: {', '.join(strangers[:3])}")
    edited = site.edited()
    if edited and not discard:
        click.echo(f"these files are not those of configuration {in_force}, which is in force:", err=True)
        for path in edited:
            click.echo(visible(f"  {path}"), err=True)
        _stop("take them up with `referral-engine reload` first, or put them aside with --discard")
    for copy in kept_copies(edited, in_force):
        click.echo(visible(f"kept {copy}"), err=True)


def _stop(sentence: str) -> NoReturn:
    click.echo(f"referral-engine: {visible(sentence)}", err=True)
    sys.exit(FOUND_PROBLEMS)
