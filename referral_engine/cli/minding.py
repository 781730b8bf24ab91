"""What an operator asks of the running engine: wait with the clocks or go on, and look at every stored row."""

from __future__ import annotations

import sys
from typing import Final, cast

import click
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from referral_engine.cli.asking import by_option
from referral_engine.cli.shared import FOUND_PROBLEMS, ask_daemon, conf_option, json_option, print_json

DECISIONS: Final = {
    "pause": "no deadline fires until somebody says resume",
    "resume": "deadlines fire again",
    "now": "what was missed fires without waiting for the senders",
    "confirm": "the machine's clock is right: deadlines fire again",
}


@click.command()
@click.argument("decision", type=click.Choice(list(DECISIONS)))
@by_option
@conf_option
def sweep(decision: str, by: str, conf: str) -> None:
    """Decide about the deadlines: pause or resume them, catch up now, or confirm the machine's clock.

    After a long silence the engine first lets in what waits at the senders, so that a reply can stop the clock that
    waits for it; `now` does not wait. While the machine's clock is not believed nothing fires; `confirm` says that it
    is right. `referral-engine status` shows how it stands.

    \b
    Example:
      referral-engine sweep pause
      referral-engine sweep now
    """
    answer = cast("dict[str, str]", ask_daemon(conf, "sweep", {"decision": decision, "by": by}))
    if answer["refused"]:
        click.echo(f"referral-engine: {answer['refused']}", err=True)
        sys.exit(FOUND_PROBLEMS)
    click.echo(f"{decision}: {DECISIONS[decision]}")


@click.command()
@conf_option
@json_option
def verify(conf: str, *, as_json: bool) -> None:
    """Hold every stored row against its hash, its number and the audit; exit 1 when one is not what was stored.

    The running engine does it, a little between two batches at a time, so that nothing stops; it also does so by itself
    once a week. What it finds stops the engine: nothing is answered from a journal that was altered.

    \b
    Example:
      referral-engine verify
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.completed} rows looked at"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        shown = progress.add_task("rows")
        found = cast("dict[str, object]", ask_daemon(conf, "verify"))
        while not found["done"]:
            progress.update(shown, completed=cast("int", found["rows"]))
            found = cast("dict[str, object]", ask_daemon(conf, "verify"))
        progress.update(shown, completed=cast("int", found["rows"]))
    if as_json:
        print_json(found)
    else:
        findings = cast("dict[str, list[str]]", found["findings"])
        for name, places in findings.items():
            for place in places:
                click.echo(f"{name}: {place}")
        click.echo(f"{found['rows']} rows: {'whole' if found['whole'] else 'NOT WHOLE: restore a backup'}")
    sys.exit(0 if found["whole"] else FOUND_PROBLEMS)
