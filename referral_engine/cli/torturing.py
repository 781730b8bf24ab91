"""`torture`: the real daemon on a scratch site, killed, starved and lied to; then its books are compared with ours."""

from __future__ import annotations

import asyncio
import json
import random  # noqa: TID251  # where the run's chance gets its seed, which is printed and handed in from here
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from referral_engine.base.errors import JournalError
from referral_engine.cli.shared import FOUND_PROBLEMS, json_option, print_json
from referral_engine.service.clock import MachineClock
from referral_engine.torture.checks import Findings
from referral_engine.torture.daemon import NotReady
from referral_engine.torture.ledger import SHOWN_MAX
from referral_engine.torture.report import DIFFERENCES, faults_of, summary, table_of
from referral_engine.torture.rounds import Plan, Torture
from referral_engine.torture.rounds import torture as run_torture

SEEDS: Final = 1_000_000
MINUTES_MAX: Final = 7 * 24 * 60.0


@click.command()
@click.option("--minutes", type=click.FloatRange(0.01, MINUTES_MAX), default=5.0, show_default=True, help="Of rounds.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Play the same chances again.")
@click.option("--keep", type=click.Path(file_okay=False), default=None, metavar="DIR", help="Leave everything there.")
@json_option
def torture(*, minutes: float, seed: int | None, keep: str | None, as_json: bool) -> None:
    """Prove on this machine that nothing acknowledged is lost and nothing is done twice.

    Starts the real daemon on a scratch site with made-up patients, an EHR and specialists on loopback ports. Round
    after round it is killed, stopped, paused and left without disk space, while a proxy before every port delays,
    cuts, resets, swallows and repeats what passes. Then the senders' and receivers' ledgers are compared with the
    journal. The live journal is never touched. As root the full disk is a small tmpfs, else a limit on file sizes.

    Exit status 0 when every difference is zero, 1 when one is not.

    \b
    Example:
      referral-engine torture --minutes 5
      referral-engine torture --minutes 60 --seed 7 --json --keep /var/tmp/torture
    """
    chosen = random.SystemRandom().randrange(SEEDS) if seed is None else seed
    if keep is not None and Path(keep).exists() and any(Path(keep).iterdir()):
        raise click.UsageError(f"{keep} is not empty: name a directory that is new or empty")
    scratch = Path(tempfile.mkdtemp(prefix="referral-torture-"))
    try:
        run, found = _run(scratch, minutes, chosen, keep=keep)
    except (NotReady, OSError, JournalError) as error:
        click.echo(f"referral-engine torture: seed {chosen}: {error}", err=True)
        sys.exit(FOUND_PROBLEMS)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if as_json:
        print_json(summary(run, found, chosen))
    else:
        _show(run, found, chosen)
    sys.exit(0 if found.clean else FOUND_PROBLEMS)


def _run(scratch: Path, minutes: float, seed: int, *, keep: str | None) -> tuple[Torture, Findings]:
    """All of it, with a bar on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("the daemon starts", total=1.0)

        def tell(share: float, what: str) -> None:
            progress.update(bar, completed=share, description=what)

        plan = Plan(
            root=scratch,
            seconds=minutes * 60.0,
            chance=random.Random(seed),  # noqa: S311  # to play it again, not to keep a secret
            began_at=MachineClock().now(),
            tell=tell,
            keep=Path(keep) if keep is not None else None,
        )
        return asyncio.run(run_torture(plan))


def _show(run: Torture, found: Findings, seed: int) -> None:
    console = Console(highlight=False)
    console.print(f"{run.rounds} rounds, seed {seed}\n")
    console.print(table_of(found))
    console.print()
    console.print(faults_of(run))
    for name, value in found.differences().items():
        if value:
            shown = json.dumps(value[:SHOWN_MAX])
            console.print(f"\n[bold red]{DIFFERENCES[name]}[/]: {shown}", markup=True)
    console.print("\n[green]nothing lost, nothing doubled[/]" if found.clean else "\n[bold red]see above[/]")
