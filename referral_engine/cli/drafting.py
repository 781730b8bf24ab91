"""`channel new` and `channel import`: channel files written from answers, or from a directory of fax numbers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import click

from referral_engine.base.errors import ConfigError, Problem
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.draft import DraftTest, write_draft
from referral_engine.channels.joining import complaints, new_problems, table_of
from referral_engine.channels.lint import render_problem
from referral_engine.channels.questions import Answers, Question, text_of, without_usual_clocks
from referral_engine.cli.importing import import_
from referral_engine.cli.interview import NoAnswers, interview, read_answers
from referral_engine.cli.new_files import place_files, schema_for
from referral_engine.cli.shared import FOUND_PROBLEMS, conf_option, refuse_configuration, visible
from referral_engine.cli.trying import first_tests
from referral_engine.service.clock import MachineClock
from referral_engine.service.files import channels_folder, folder_beside, read_files
from referral_engine.service.sample_files import FOLDER

ASKED_AGAIN: Final = {"match": frozenset(("channel.npi", "match.codes"))}  # for two channels that take one order
TAKEN: Final = "FILE4"  # beside those of service.files: the file is there already
ROUNDS_MAX: Final = 20  # of asking again; then a person gives up, or a script feeds us nonsense


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """A channel file that is not written yet."""

    path: Path
    text: str
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What must be mended first."""
        return tuple(problem for problem in self.problems if not problem.warning)

    def ask_again(self) -> frozenset[str]:
        """The tables and keys whose answers the errors are about."""
        tables = {"channel.name" if one.code == TAKEN else table_of(one, self.text) for one in self.errors}
        return frozenset(key for table in tables for key in ASKED_AGAIN.get(table, {table}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The configuration that a new channel is to join."""

    conf: str
    files: Mapping[str, str]
    book: Book
    folder: Path  # of the channels
    samples: Path
    today: date

    def judge(self, question: Question, answers: Answers) -> tuple[Problem, ...]:
        """What `check` says of one answer; and whether its file is there already.

        Only the engine's file and the senders' are looked at together with it: a person waits for each answer.
        """
        if question.key == "channel.name":
            taken = self.folder / f"{text_of(answers, 'channel.name')}.toml"
            if text_of(answers, "channel.name") in self.book.channels or taken.exists():
                return (taken_name(taken),)
        heard = {feed.file for feed in self.book.feeds.values() if feed.enabled}
        near = {name: text for name, text in self.files.items() if name == self.conf or name in heard}
        return complaints(question, answers, near, self.today)

    def without_channels(self) -> dict[str, str]:
        """The files that are not channels."""
        return {name: text for name, text in self.files.items() if Path(name).parent.name != "channels"}

    def drafted(self, answers: Answers) -> Drafted:
        """The whole file of these answers, and everything that is wrong once it is there."""
        path = self.folder / f"{text_of(answers, 'channel.name')}.toml"
        answers = without_usual_clocks(answers, self.book)
        text = write_draft(answers, self.tests_for(answers), schema=schema_for(self.folder))
        problems = new_problems(self.files, {str(path): text}, self.today)
        return Drafted(path=path, text=text, problems=(taken_name(path), *problems) if path.exists() else problems)

    def tests_for(self, answers: Answers) -> tuple[DraftTest, ...]:
        """The tests a draft should have; () while it cannot be read, or when no sample fits."""
        file = f"channels/{text_of(answers, 'channel.name')}.toml"
        try:
            book = read_book({**self.without_channels(), file: write_draft(answers)})
        except ConfigError:
            return ()
        return first_tests(book, answers, self.samples, self.book)


def taken_name(path: Path) -> Problem:
    """A file that would be written over."""
    sentence = f"{path} is there already, and a file is never overwritten"
    return Problem(file=str(path), line=0, column=1, code=TAKEN, sentence=sentence, help="give it another name")


@click.group()
def channel() -> None:
    """Write channel files: one from answers, or many from a directory list.

    \b
    First steps:
      referral-engine channel new
      referral-engine channel import directory.csv --dry-run
    """


@channel.command()
@click.option(
    "--answers",
    "answers_file",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Take the answers from a TOML file and ask nothing.",
)
@click.option("--print", "only_print", is_flag=True, help="Show the file and write nothing.")
@conf_option
def new(answers_file: str | None, conf: str, *, only_print: bool) -> None:
    """Ask about a specialist and write its channel file: commented, checked, with a test.

    Each answer is checked as `check` would, and asked again with what is wrong. An empty line takes the answer in
    brackets, "-" leaves it empty. Nothing is written before the last question is answered, and never over a file.
    A file of answers has the same names: [channel] title, name, npi, specialty, network, calendar; [match] codes;
    [transport] kind, host, port, ...; [fallback]; [message]; [replies]; [hold] plans; [sla]; [patient].

    \b
    Example:
      referral-engine channel new
      referral-engine channel new --answers prairie-neurology.answers.toml --print
    """
    site = _site(conf)
    try:
        answers = read_answers(Path(answers_file), site.book) if answers_file else interview(site.book, site.judge)
    except NoAnswers as error:
        for line in str(error).split("\n"):
            click.echo(visible(f"{answers_file}: {line}"), err=True)
        sys.exit(FOUND_PROBLEMS)
    drafted = site.drafted(answers)
    for _ in range(ROUNDS_MAX):
        if answers_file or not drafted.errors:
            break
        _tell(drafted.errors)
        answers = interview(site.book, site.judge, answers, drafted.ask_again())
        drafted = site.drafted(answers)
    click.echo(drafted.text, nl=False)
    _tell(drafted.problems)
    if drafted.errors:
        click.echo("\nnothing is written", err=True)
        sys.exit(FOUND_PROBLEMS)
    if not only_print:
        _write(drafted.path, drafted.text, sure=answers_file is not None)


channel.add_command(import_, "import")


def _site(conf: str) -> Site:
    """The configuration there is; one that is broken is mended first (exit 78)."""
    try:
        files = read_files(conf)
        book = read_book(files)
    except ConfigError as error:
        refuse_configuration(error)
    return Site(
        conf=str(Path(conf)),
        files=files,
        book=book,
        folder=channels_folder(conf),
        samples=folder_beside(conf, FOLDER),
        today=MachineClock().now().date(),
    )


def _tell(problems: tuple[Problem, ...]) -> None:
    for problem in problems:
        click.echo(visible("\n" + render_problem(problem)), err=True)


def _write(path: Path, text: str, *, sure: bool) -> None:
    """Ask once more, and write."""
    if not sure and not click.confirm(f"\nWrite {path}", default=True, err=True):
        click.echo("nothing is written", err=True)
        sys.exit(FOUND_PROBLEMS)
    try:
        place_files(path.parent, {path.name: text})
    except FileExistsError:
        raise click.ClickException(taken_name(path).sentence) from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}") from None
    click.echo(f"{path} is written; next: referral-engine check, referral-engine test {path}", err=True)
