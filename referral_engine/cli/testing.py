"""`test`: the timetables in channel files, played through the real door in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from referral_engine.base.errors import ConfigError, Problem
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.channel import Channel
from referral_engine.channels.naming import file_stem
from referral_engine.channels.timetable import ChannelTest
from referral_engine.channels.timetable_file import TEST_SUFFIX
from referral_engine.cli.shared import (
    FOUND_PROBLEMS,
    conf_option,
    files_of,
    json_option,
    print_json,
    refuse_configuration,
    text_of,
    uncollected,
    visible,
)
from referral_engine.cli.testing_report import Result, as_json_value, as_junit, as_lines, summary
from referral_engine.flow.timetable import Bench
from referral_engine.service.clock import MachineClock
from referral_engine.service.files import read_files
from referral_engine.service.sample_files import SampleFiles

MISUSE: Final = 2
BAR_FROM: Final = 20  # tests; fewer are over before a bar is read

Case = tuple[Channel, ChannelTest]


@click.command(name="test")
@click.argument("paths", nargs=-1, type=click.Path())
@conf_option
@json_option
@click.option("-k", "wanted", metavar="TEXT", default="", help="Only tests with this text in their name.")
@click.option("--junit", metavar="FILE", type=click.Path(dir_okay=False), help="Write the results as JUnit XML, too.")
@click.option("--samples", metavar="DIR", default="", help="Where the messages lie; else sample_messages beside conf.")
def test_(paths: tuple[str, ...], conf: str, *, as_json: bool, wanted: str, junit: str | None, samples: str) -> None:
    """Play the [[test]] timetables of channel files through the real door; nothing is written, nothing is sent.

    Without PATHS: every channel. A file that is not in force is tested in the place of the channel of its name.

    \b
    Example:
      referral-engine test
      referral-engine test channels/cardiology-heart-group.toml -k "HMO"
      referral-engine test channels/ --junit results.xml
    """
    try:
        files, asked = _files(paths, read_files(conf) if paths else files_of(conf))
        sample_files = SampleFiles(conf, files, samples)
        with uncollected():
            book = read_book(files, sample_files.names())
    except ConfigError as error:
        refuse_configuration(error)
    cases = _chosen(book, asked, wanted)
    results = _play(book, cases, sample_files)
    if junit:
        _write(junit, as_junit(results))
    if as_json:
        print_json(as_json_value(results))
    else:
        colour = sys.stdout.isatty()
        for line in as_lines(results):
            click.echo(_coloured(visible(line)) if colour else visible(line))
        click.echo(summary(results))
    sys.exit(FOUND_PROBLEMS if any(one.played.failed for one in results) else 0)


def _files(paths: tuple[str, ...], files: dict[str, str]) -> tuple[dict[str, str], frozenset[str] | None]:
    """The configuration with the named files in their places, and the files that were asked for; None for all.

    A file that the configuration has keeps the name it has there. Raises ConfigError.
    """
    if not paths:
        return files, None
    known = {Path(name).resolve(): name for name in files}
    asked: set[str] = set()
    for place in (one for path in paths for one in _listed(Path(path))):
        name = known.get(place.resolve())
        if name is None:
            name = str(place)
            stem = file_stem(name)
            for other in [one for one in files if file_stem(one) == stem and Path(one).parent.name == "channels"]:
                del files[other]
            files[name] = text_of(place)
        asked.add(name)
    return files, frozenset(asked)


def _listed(place: Path) -> list[Path]:
    """The file itself, or the TOML files of a folder; misuse when there are none."""
    if not place.exists():
        raise click.BadParameter(f"there is no file {place}")
    if not place.is_dir():
        return [place]
    listed = sorted(place.glob("*.toml"))
    if not listed:
        raise click.BadParameter(f"there is no TOML file in {place}")
    return listed


def _chosen(book: Book, asked: frozenset[str] | None, wanted: str) -> list[Case]:
    """The tests that were asked for, in the order of files and lines; misuse when there are none."""
    cases = [
        (channel, test)
        for channel in book.channels.values()
        for test in channel.tests
        if asked is None or {channel.file, test.file} & asked
    ]
    chosen = [one for one in cases if wanted.casefold() in one[1].name.casefold()]
    if not chosen:
        what = f'no test has "{wanted}" in its name' if cases else "there is no [[test]] in these files"
        click.echo(what, err=True)
        _hint(asked, book.channels)
        sys.exit(MISUSE)
    return sorted(chosen, key=lambda one: (one[0].name, one[1].file.endswith(TEST_SUFFIX), one[1].line))


def _hint(asked: frozenset[str] | None, channels: Mapping[str, Channel]) -> None:
    """Name what was asked for and is no channel's file."""
    files = {channel.file for channel in channels.values()}
    others = sorted(one for one in asked or () if one not in files and not one.endswith(TEST_SUFFIX))
    if others:
        click.echo(f"no channel's file: {', '.join(others)}", err=True)


def _play(book: Book, cases: Sequence[Case], samples: SampleFiles) -> list[Result]:
    """Play every test; a feed that no file describes is told as a failure of the configuration."""
    bench = Bench(book, lambda test: samples.of(test.file))
    clock = MachineClock()
    results = []
    unknown = [
        Problem(file=test.file, line=test.line, column=1, code="CH413", sentence=f'no file describes the feed "{feed}"')
        for _, test in cases
        for feed in test.feeds
        if feed not in book.feeds
    ]
    if unknown:
        refuse_configuration(ConfigError(unknown))
    with _bar(cases) as progress:
        for channel, test in progress:
            before = clock.now()
            played = bench.play(channel, test)
            results.append(Result(played=played, seconds=(clock.now() - before).total_seconds()))
    return results


@contextmanager
def _bar(cases: Sequence[Case]) -> Iterator[Iterator[Case]]:
    """The cases one by one, behind a bar where a person waits for many."""
    if len(cases) < BAR_FROM or not sys.stderr.isatty():
        yield iter(cases)
        return
    with click.progressbar(cases, label=f"{len(cases)} tests", file=sys.stderr) as bar:
        yield iter(bar)


def _coloured(line: str) -> str:
    """The word a person looks for first, in its colour."""
    if line.startswith("  ok  "):
        return "  " + click.style("ok", fg="green") + line[4:]
    return "  " + click.style("FAIL", fg="red") + line[6:] if line.startswith("  FAIL") else line


def _write(path: str, text: bytes) -> None:
    """Put the report where it was asked for."""
    try:
        Path(path).write_bytes(text)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
