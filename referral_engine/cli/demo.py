"""`demo`: the sample stories through real MLLP sockets, on free ports and a clock that is moved."""

from __future__ import annotations

import io
import random  # noqa: TID251  # where the demo draws chance, which is handed in from here
import sys
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import cast

import click
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from referral_engine.base.errors import ConfigError
from referral_engine.channels.book import Book
from referral_engine.channels.lint import render_problem
from referral_engine.cli.asking import print_referral
from referral_engine.cli.shared import FOUND_PROBLEMS, conf_option, load_book, refuse_configuration
from referral_engine.flow.comparison import Played
from referral_engine.flow.scenario import Scenario, read_scenario, wall_time
from referral_engine.journal.answers import Story
from referral_engine.service.clock import MachineClock, install_monotonic
from referral_engine.service.logs import start_logging
from referral_engine.service.shapes import shape_story
from referral_engine.service.stage import Set, Stage
from referral_engine.transports.reactor import MainReactor


@click.command()
@conf_option
@click.option("--samples", default="sample_messages", show_default=True, metavar="DIR", help="Messages and scenarios.")
@click.option("--days", type=click.IntRange(min=0), default=None, help="End each story after so many days.")
@click.option(
    "--stay", is_flag=True, help="Keep the last story's engine up until Ctrl-C; ask it from another terminal."
)
@click.option("--verbose", is_flag=True, help="The engine's own log too.")
def demo(conf: str, samples: str, days: int | None, *, stay: bool, verbose: bool) -> None:
    """Watch sample referrals go through the engine: made-up EHR, specialists, fax gateway and patients.

    Each story runs on a fresh engine with its own encrypted journal, on free loopback ports; nothing outside is
    touched. Exit status 1 when a story did not end as its file says.

    \b
    Example:
      referral-engine demo
      referral-engine demo --stay
    """
    book = load_book(conf)
    scenarios = _scenarios(samples)
    reactor = _reactor(verbose=verbose)
    show = _Show(book, Path(samples), reactor, days, stay=stay)
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(show.run(scenarios)).addBoth(show.over))
    reactor.run()
    sys.exit(show.exit_status)


def _reactor(*, verbose: bool) -> MainReactor:
    from twisted.internet import reactor as installed  # importing it installs it

    reactor = cast("MainReactor", installed)
    install_monotonic(reactor)
    start_logging(MachineClock(), sys.stderr if verbose else io.StringIO())
    return reactor


def _scenarios(samples: str) -> list[Scenario]:
    """Every scenario that is marked for the demo, in order of its file."""
    files = sorted((Path(samples) / "scenarios").glob("*.toml"))
    if not files:
        raise click.ClickException(f"there are no scenarios in {samples}/scenarios; name their folder with --samples")
    try:
        found = [read_scenario(file.read_text(encoding="utf-8-sig"), str(file)) for file in files]
    except ConfigError as error:
        refuse_configuration(error, "the scenario")
    marked = [one for one in found if one.scenario.demo]
    if not marked:
        raise click.ClickException(f"no scenario in {samples}/scenarios says demo = true")
    return marked


class _Show:
    """One evening: story after story."""

    def __init__(self, book: Book, samples: Path, reactor: MainReactor, days: int | None, *, stay: bool) -> None:
        self.exit_status = FOUND_PROBLEMS  # until every story has been told: Ctrl-C is no success
        self._book = book
        self._samples = samples
        self._reactor = reactor
        self._days = days
        self._stay = stay
        self._kept = ExitStack()  # what goes when the last story's engine goes

    async def run(self, scenarios: list[Scenario]) -> None:
        results: list[tuple[bool, str]] = []
        for number, scenario in enumerate(scenarios, 1):
            click.secho(f"\n{number}/{len(scenarios)}  {scenario.scenario.title}", bold=True)
            last = number == len(scenarios)
            results.append(await self._story(scenario, stay=self._stay and last))
        click.secho("\nWhat became of them", bold=True)
        for scenario, (good, line) in zip(scenarios, results, strict=True):
            click.echo(f"  {_verdict(good=good)}  {scenario.scenario.title}: {line}")
        ended_well = sum(one for one, _ in results)
        wrong = len(results) - ended_well
        click.echo(f"\n{len(results)} loops, {ended_well} closed or escalated as they should, {wrong} not")
        self.exit_status = 0 if ended_well == len(results) else FOUND_PROBLEMS

    def over(self, result: Failure | None) -> None:
        if isinstance(result, Failure):
            self._complain(result)
            self.exit_status = FOUND_PROBLEMS
        if not (self._stay and self.exit_status == 0):
            self._reactor.stop()

    def _complain(self, failure: Failure) -> None:
        """What a person can mend in a sentence; all else with the place it came from."""
        error = failure.value
        if isinstance(error, ConfigError):
            for problem in error.problems:
                click.echo(render_problem(problem), err=True)
        elif isinstance(error, FileNotFoundError) and error.filename is not None:
            click.echo(f"a story names {error.filename}, which is not there", err=True)
        else:
            click.echo(f"the demo broke: {failure.getTraceback()}", err=True)

    async def _story(self, scenario: Scenario, *, stay: bool) -> tuple[bool, str]:
        with ExitStack() as ending:
            scratch = ending.enter_context(tempfile.TemporaryDirectory(prefix="referral-demo-"))
            stage = Stage(_cut(scenario, self._days), self._set(scratch))
            try:
                ports = await stage.open()
                click.echo("  on 127.0.0.1: " + ", ".join(f"{name} {port}" for name, port in ports.items()))
                steps: list[Played] = []

                def tell(played: Played) -> None:
                    steps.append(played)
                    self._tell(played)

                stories = await stage.play(tell)
            finally:
                if not stay:
                    await stage.close()
            self._print(stories)
            if stay:
                self._kept = ending.pop_all()  # a journal that is in use stays until the process ends
                self._invite(stage)
            return not any(one.differences for one in steps), _outcome(stories)

    def _set(self, scratch: str) -> Set:
        def read(name: str) -> bytes:
            return (self._samples / name).read_bytes()

        chance = random.SystemRandom().random  # where the demo's chance is drawn and handed in
        return Set(book=self._book, samples=read, root=Path(scratch), reactor=self._reactor, chance=chance)

    def _tell(self, played: Played) -> None:
        calendars = self._book.engine.calendars
        zone = (calendars.get("default") or next(iter(calendars.values()))).zone
        answer = f"  [{played.answer}]" if played.answer else ""
        wall = f"{played.at.astimezone(zone):%a %d %b %H:%M}"
        click.echo(f"  {_verdict(good=not played.differences)} {wall}  {played.say}{answer}")
        for one in played.sends:
            click.secho(f"        -> {one}", fg="cyan")
        for difference in played.differences:
            click.secho(f"        {difference.what}: expected {difference.expected}; got {difference.got}", fg="red")
            click.echo(f"        why: {played.why}")

    def _print(self, stories: tuple[Story, ...]) -> None:
        for story in stories:
            click.echo()
            print_referral(shape_story(story))

    def _invite(self, stage: Stage) -> None:
        assert stage.daemon is not None, "it was opened"
        click.echo("\nThe last engine stays up; Ctrl-C ends it. In another terminal:")
        click.echo(f"  export REFERRAL_ENGINE_SOCKET={stage.daemon.control_path}\n  referral-engine list")


def _cut(scenario: Scenario, days: int | None) -> Scenario:
    """The story up to so many days after its start."""
    if days is None:
        return scenario
    end = wall_time(scenario.scenario.start) + timedelta(days=days)
    return Scenario(
        scenario=scenario.scenario,
        partners=scenario.partners,
        step=tuple(moment for moment in scenario.step if wall_time(moment.at) <= end),
    )


def _verdict(*, good: bool) -> str:
    return click.style("ok", fg="green") if good else click.style("FAIL", fg="red")


def _outcome(stories: tuple[Story, ...]) -> str:
    """One line a story: each referral's status and its open tasks."""
    parts = []
    for story in stories:
        tasks = [task.kind for task in story.tasks if task.state.value != "done"]
        parts.append(
            f"{story.referral.id} {story.referral.status.value}" + (f" (open: {', '.join(tasks)})" if tasks else "")
        )
    return "; ".join(parts) or "no referral"
