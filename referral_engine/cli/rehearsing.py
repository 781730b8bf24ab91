"""`rehearse`: a story through the real door, in memory, on a clock that is moved."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from referral_engine.base.clock import rfc3339
from referral_engine.base.errors import ConfigError, MessageFault, Problem
from referral_engine.channels.book import Book
from referral_engine.cli.asking import print_referral
from referral_engine.cli.shared import (
    FOUND_PROBLEMS,
    conf_option,
    json_option,
    load_book,
    print_json,
    refuse_configuration,
)
from referral_engine.flow.comparison import Played
from referral_engine.flow.lanes import lanes_of
from referral_engine.flow.scenario import Scenario, read_scenario, wall_time
from referral_engine.flow.story import Samples, Story
from referral_engine.hl7.path import read_path
from referral_engine.service.shapes import shape_story


@click.command()
@click.argument("scenarios", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--samples", default="", metavar="DIR", help="Where the messages lie; by default beside the scenarios.")
@click.option("--timeline", is_flag=True, help="Print each referral's timeline at the end.")
@conf_option
@json_option
def rehearse(scenarios: tuple[str, ...], samples: str, conf: str, *, timeline: bool, as_json: bool) -> None:
    """Play scenario files through the real door and compare every step; nothing is written, nothing is sent.

    \b
    Example:
      referral-engine rehearse sample_messages/scenarios/*.toml
      referral-engine rehearse sample_messages/scenarios/06-no-show-twice.toml --timeline
    """
    book = load_book(conf)
    told = []
    failed = 0
    for path in scenarios:
        scenario = _read(path)
        _look_over(scenario, book, path)
        story = Story(scenario=scenario, book=book, samples=_sample_reader(path, samples))
        try:
            played = list(story.play())
        except MessageFault as fault:
            raise click.ClickException(f"{path}: a message to receive cannot be changed: {fault}") from None
        wrong = [one for one in played if one.differences]
        failed += bool(wrong)
        told.append(_plain(scenario, story, played))
        if not as_json:
            _print(path, scenario, played, book)
            if timeline:
                for history in story.ends():
                    print_referral(shape_story(history))
    if as_json:
        print_json(told)
    else:
        noun = "scenario" if len(scenarios) == 1 else "scenarios"
        click.echo(f"{len(scenarios)} {noun}, {len(scenarios) - failed} as expected, {failed} not")
    sys.exit(FOUND_PROBLEMS if failed else 0)


def _read(path: str) -> Scenario:
    try:
        return read_scenario(Path(path).read_text(encoding="utf-8-sig"), path)
    except UnicodeDecodeError:
        problem = _problem(path, "is not UTF-8", "save the file as UTF-8 in the editor")
        refuse_configuration(ConfigError([problem]), "the scenario")
    except ConfigError as error:
        refuse_configuration(error, "the scenario")


def _look_over(scenario: Scenario, book: Book, path: str) -> None:
    """Refuse what would be played otherwise than it reads: steps out of order, unknown partners, no paths."""
    lanes = _lanes(book)
    problems = [_stranger(path, "partners", name, lanes) for name in sorted(scenario.partners.keys() - lanes)]
    problems += [
        _problem(path, f'scenario.feeds: there is no feed "{name}"', f"there are {', '.join(sorted(book.feeds))}")
        for name in scenario.scenario.feeds
        if name not in book.feeds
    ]
    before = scenario.scenario.start
    for number, moment in enumerate(scenario.step, 1):
        if wall_time(moment.at) < wall_time(before):
            problems.append(_problem(path, f"step {number}: at {moment.at} is before {before}", "put steps in order"))
        before = max(before, moment.at, key=wall_time)
        strangers = sorted(moment.partner.keys() - lanes)
        problems += [_stranger(path, f"step {number}: partner", name, lanes) for name in strangers]
        problems += [
            _problem(path, f'step {number}: with: "{place}" is no place in a message', "write it as in OBR-4.1")
            for place in moment.with_
            if (found := read_path(place)) is None or found.where is not None
        ]
    if problems:
        refuse_configuration(ConfigError(problems), "the scenario")


def _lanes(book: Book) -> frozenset[str]:
    """Everybody who can answer: the channels and their fallbacks, the EHR, patients, the desks."""
    return lanes_of(book)


def _stranger(path: str, where: str, name: str, lanes: frozenset[str]) -> Problem:
    return _problem(path, f'{where}: nobody is called "{name}"', f"known are {', '.join(sorted(lanes))}")


def _problem(path: str, sentence: str, help_: str) -> Problem:
    return Problem(file=path, line=0, column=1, code="SC002", sentence=sentence, help=help_)


def _sample_reader(path: str, samples: str) -> Samples:
    folder = Path(samples) if samples else Path(path).resolve().parent.parent

    def read(name: str) -> bytes:
        place = folder / name
        if not place.is_file():
            raise click.ClickException(f"{path} names {name}, which is not in {folder}")
        return place.read_bytes()

    return read


def _print(path: str, scenario: Scenario, played: list[Played], book: Book) -> None:
    wrong = [one for one in played if one.differences]
    days = (played[-1].at - played[0].at).days if played else 0
    word = click.style("FAIL", fg="red") if wrong else click.style("ok  ", fg="green")
    click.echo(f"{word}  {scenario.scenario.title}   {len(played)} steps, {days} days   {path}")
    calendar = next(iter(book.engine.calendars.values()))
    for one in wrong:
        click.echo(f"      step {one.number}, {one.at.astimezone(calendar.zone):%a %d %b %Y %H:%M %Z}   {one.say}")
        for difference in one.differences:
            click.echo(f"        {difference.what:10} expected  {difference.expected}")
            click.echo(f"        {'':10} got       {difference.got}")
        click.echo(f"        {'why':10} {one.why}")


def _plain(scenario: Scenario, story: Story, played: list[Played]) -> dict[str, object]:
    return {
        "name": scenario.scenario.name,
        "title": scenario.scenario.title,
        "steps": [
            {
                "number": one.number,
                "at": rfc3339(one.at),
                "say": one.say,
                "ack": one.answer,
                "sends": list(one.sends),
                "differences": [
                    {"what": each.what, "expected": each.expected, "got": each.got} for each in one.differences
                ],
                "why": one.why,
            }
            for one in played
        ],
        "referrals": [shape_story(history) for history in story.ends()],
    }
