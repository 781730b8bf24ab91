"""Questions about configuration; nothing is written: check, route, config, rules."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from referral_engine.base.errors import ConfigError, MessageFault
from referral_engine.channels.book import check_files
from referral_engine.channels.codes import CODES
from referral_engine.channels.defaults import FOLDER
from referral_engine.channels.effective import effective
from referral_engine.channels.lint import annotation, render_report
from referral_engine.channels.parties import named_in
from referral_engine.channels.routing import IN_SHADOW, Routing, explain
from referral_engine.channels.shape import nearest
from referral_engine.cli.shared import (
    DEFAULT_CONF,
    FOUND_PROBLEMS,
    conf_option,
    did_you_mean,
    files_of,
    json_option,
    load_book,
    print_json,
    print_table,
    refuse_configuration,
    text_of,
    uncollected,
)
from referral_engine.hl7.message import Message
from referral_engine.service.clock import MachineClock
from referral_engine.service.files import passed_over, read_files
from referral_engine.service.sample_files import SampleFiles

LOOKS_BACK: Final = ("history", "show", "rollback", "migrate")  # beside `values`: `config hystory` means one of these
FORMATS: Final = ("text", "json", "github")
ORDERS: Final = ("ORM^", "OMG^", "OML^", "OMI^")  # MSH-9 of what may be a referral


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@conf_option
@json_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="json is --json; github annotates.")
@click.option("--strict", is_flag=True, help="Warnings are problems too.")
@click.option("--explain", "code", metavar="CODE", help="Say what one code means, as in --explain CH203.")
def check(paths: tuple[str, ...], conf: str, *, as_json: bool, form: str, strict: bool, code: str | None) -> None:
    """Find everything that is wrong in the files, at once.

    Without PATHS: the engine's file, feeds, partners, pre-authorization and channels together. A Markdown file has
    its TOML fences checked.

    \b
    Example:
      referral-engine check
      referral-engine check channels/cardiology-heart-group.toml
      referral-engine check --explain CH203
    """
    if code is not None:
        click.echo(CODES.get(code.upper()) or f"there is no code {code}")
        sys.exit(0 if code.upper() in CODES else FOUND_PROBLEMS)
    try:
        files = read_files(conf) if paths else files_of(conf)
        named = _named(paths, files)
    except ConfigError as error:
        refuse_configuration(error)
    texts = _surroundings(files, named, conf) | named
    with uncollected():
        problems = check_files(texts, SampleFiles(conf, texts).names(), today=MachineClock().now().date())
    if not paths:
        problems = (*problems, *passed_over(conf))
    else:
        beside = {Path(name).parent / FOLDER for name in named}  # what a named file is lent is its own, too
        wanted = {name for name in texts if name in named or Path(name).parent in beside}
        problems = tuple(problem for problem in problems if problem.file in wanted)
    wrong = [problem for problem in problems if strict or not problem.warning]
    if as_json or form == "json":
        print_json([_plain(problem) for problem in problems])
    elif form == "github":
        for problem in problems:
            click.echo(annotation(problem))
    else:
        click.echo(render_report(problems, len(named) if paths else len(files)))
    sys.exit(FOUND_PROBLEMS if wrong else 0)


def _plain(problem: object) -> dict[str, object]:
    names = ("file", "line", "column", "code", "sentence", "source", "help", "warning")
    return {name: getattr(problem, name) for name in names}


def _surroundings(files: dict[str, str], named: dict[str, str], conf: str) -> dict[str, str]:
    """What the named files are looked at together with: the configuration they belong to or were asked about.

    A file from elsewhere may use the calendars, gateways and partners of ours, unless it brings its own engine.toml.
    """
    if not named or conf != DEFAULT_CONF or named.keys() & files.keys():
        return files
    engine = files.get(conf)
    if engine is None or any(Path(name).name == "engine.toml" for name in named):
        return {}
    return {name: text for name, text in files.items() if name == conf or Path(name).parent.name == "partners"}


def _named(paths: tuple[str, ...], files: dict[str, str]) -> dict[str, str]:
    """The texts of the named files; folders give their TOML files, Markdown its TOML fences.

    A file of the configuration keeps the name it has there, however it was written.
    Raises ConfigError when one cannot be read.
    """
    known = {Path(name).resolve(): name for name in files} if paths else {}
    found: dict[str, str] = {}
    for path in paths:
        for one in _listed(Path(path)):
            text = text_of(one)
            name = known.get(one.resolve(), str(one))
            found.update(_fences(name, text) if one.suffix == ".md" else {name: text})
    return found


def _listed(place: Path) -> list[Path]:
    """The file itself, or the TOML files of a folder and of what lies in it; of a folder of documents the Markdown."""
    if not place.exists():
        raise click.BadParameter(f"there is no file {place}")
    if not place.is_dir():
        return [place]
    patterns = ("*.toml", f"{FOLDER}/*.toml", "feeds/*.toml", "partners/*.toml")
    listed = [path for pattern in patterns for path in sorted(place.glob(pattern))]
    if not listed:
        listed = sorted(place.glob("*.md"))
    if not listed:
        raise click.BadParameter(f"there is no TOML file in {place}, and no Markdown")
    return listed


def _fences(name: str, text: str) -> dict[str, str]:
    """TOML fences of a Markdown text, each under the file name its first line gives in a comment.

    Lines keep their numbers: everything outside the fence becomes an empty line.
    """
    found: dict[str, str] = {}
    lines = text.splitlines()
    start = -1
    for number, line in enumerate(lines):
        if line.strip() == "```toml":
            start = number + 1
        elif line.strip() == "```" and start >= 0:
            body = lines[start:number]
            told = body[0].removeprefix("#").split(":")[0].strip() if body and body[0].startswith("#") else ""
            file = told if told.endswith(".toml") else f"{name}#{start}.toml"
            found[file] = "\n" * start + "\n".join(body) + "\n"
            start = -1
    return found


@click.command(name="route")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@conf_option
@json_option
@click.option("--expect", metavar="NAME", help="Exit 1 unless this channel takes it.")
def route_(file: str, conf: str, *, as_json: bool, expect: str | None) -> None:
    """Say which channel takes an order, and why each other one does not.

    \b
    Example:
      referral-engine route sample_messages/orm-o01-orthopaedics.hl7
    """
    book = load_book(conf)
    try:
        message = Message.parse(Path(file).read_bytes())
    except MessageFault as fault:
        click.echo(f"{file}: {fault}", err=True)
        sys.exit(FOUND_PROBLEMS)
    routing = explain(book, message, named_in(book, message.header))
    taken = routing.channel.name if routing.channel else None
    if as_json:
        answers = [
            {"channel": one.name, "yes": one.yes, "reason": one.reason, "lines": one.lines}
            for one in routing.candidates
        ]
        print_json({"channel": taken, "answers": answers})
    else:
        rows = [(one.name, "yes" if one.yes else "no", one.reason, one.lines) for one in routing.candidates]
        print_table(("channel", "takes it", "why", "where"), rows, "no channel is configured")
        click.echo(_outcome(routing, message.header.type))
    sys.exit(0 if (taken == expect if expect else taken) else FOUND_PROBLEMS)


def _outcome(routing: Routing, kind: str) -> str:
    """What the engine would do with it, in one sentence."""
    if routing.channel is not None:
        shadow = f" {IN_SHADOW}; the engine would open a task unroutable-order" * (routing.channel.mode == "shadow")
        return f"{routing.channel.name} takes it{shadow}"
    takers = [one.name for one in routing.candidates if one.yes]
    if takers:
        return f"several take it, so none gets it: {', '.join(takers)}; the engine would open a task unroutable-order"
    if not kind.startswith(ORDERS):
        return f"this is {kind or 'no order'}: only orders are routed, other messages are matched to a referral"
    return "nobody takes it: the engine would open a task unroutable-order"


@click.command()
@click.argument("name", required=False)
@conf_option
@json_option
def values(name: str | None, conf: str, *, as_json: bool) -> None:
    """Show what is in force, and where each value comes from; `values` may be left out.

    \b
    Example:
      referral-engine config values
      referral-engine config values orthopaedics-lakeside
      referral-engine config values ehr
    """
    book = load_book(conf)
    names = [*sorted(book.channels), *sorted({*book.feeds, *book.partners} - book.channels.keys())]
    if name is not None and name not in names:
        command = nearest(name, LOOKS_BACK)
        meant = f'did you mean "config {command}"?' if command else did_you_mean(name, names)
        click.echo(f"there is no channel, feed or partner {name}; {meant}", err=True)
        sys.exit(FOUND_PROBLEMS)
    rows = effective(book, name)
    if as_json:
        print_json([{"key": key, "value": value, "origin": origin} for key, value, origin in rows])
    else:
        print_table(("key", "value", "from"), rows, "nothing is configured")


@click.command()
@click.option("--markdown", is_flag=True, help="For a README.")
@json_option
def rules(*, markdown: bool, as_json: bool) -> None:
    """Print the loop's tables: every track, every clock.

    \b
    Example:
      referral-engine rules
    """
    from referral_engine.cli.tables import as_markdown, rule_tables

    tables = rule_tables()
    if as_json:
        print_json([{"title": one.title, "heads": one.heads, "rows": one.rows} for one in tables])
    elif markdown:
        click.echo(as_markdown(tables), nl=False)
    else:
        for table in tables:
            click.secho(table.title, bold=True)
            print_table(table.heads, table.rows, "")
            click.echo()
