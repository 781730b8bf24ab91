"""Rows of a directory list to channel files that `check` has nothing against, and the refusals of all other rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from referral_engine.base.errors import ConfigError, Problem
from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.directory_list import Entry, Refusal
from referral_engine.channels.draft import DraftStep, DraftTest, write_draft
from referral_engine.channels.joining import clashes, new_problems
from referral_engine.channels.questions import Answers, prefixes_of
from referral_engine.cli.new_files import schema_for
from referral_engine.cli.trying import first_tests
from referral_engine.service.files import FILES_MAX

ROUNDS_MAX: Final = 5  # of taking out what `check` refuses; each takes out all it finds


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of a list."""

    written: Mapping[str, str]  # file to text
    refused: Sequence[Refusal]
    warnings: Sequence[Problem]


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """Channels on their way from the rows of one list."""

    files: Mapping[str, str]
    book: Book
    folder: Path
    samples: Path
    list_name: str
    usual: Answers
    today: date
    advance: Callable[[int], None]  # so many more rows have become a file or a refusal
    _tests: dict[str, tuple[str, tuple[DraftTest, ...]]] = field(default_factory=dict)  # of a specialty: an NPI, tests

    def of(self, rows: Sequence[Entry | Refusal]) -> Found:
        """Every row's file or refusal; the files pass `check` together with those there are.  Raises ConfigError."""
        refused = [row for row in rows if isinstance(row, Refusal)]
        entries: list[Entry] = []
        for row in rows:
            if isinstance(row, Entry):
                taken = self._taken(row)
                refused += [taken] if taken else []
                entries += [] if taken else [row]
        drafts = [self._answers(entry) for entry in entries]
        clashing = dict(clashes(self.book, drafts))
        for index, other in clashing.items():
            sentence = f'an order for it could also go to the channel "{other}"'
            refused.append(_refusal(entries[index], sentence, "exactly one channel may take an order"))
        self.advance(len(refused))
        made: dict[str, tuple[Entry, str]] = {}
        for index, (entry, answers) in enumerate(zip(entries, drafts, strict=True)):
            if index not in clashing:
                file = str(self.folder / f"{entry.name}.toml")
                made[file] = entry, self._text(entry, answers)
                self.advance(1)
        written, warnings = self._checked(made, refused)
        refused.sort(key=lambda one: one.row)
        return Found(written=written, refused=refused, warnings=warnings)

    def _checked(
        self, made: Mapping[str, tuple[Entry, str]], refused: list[Refusal]
    ) -> tuple[Mapping[str, str], Sequence[Problem]]:
        """Those that `check` has nothing against, beside what exists; the others become refusals.

        Raises ConfigError when the new files would spoil one that is there.
        """
        texts = {file: text for file, (_, text) in made.items()}
        errors: list[Problem] = []
        for _ in range(ROUNDS_MAX):
            problems = new_problems(self.files, texts, self.today) if texts else ()
            errors = [problem for problem in problems if not problem.warning]
            if not errors:
                return texts, problems
            wrong = {problem.file: problem for problem in reversed(errors)}
            for file in wrong.keys() & texts.keys():
                refused.append(_refusal(made[file][0], wrong[file].sentence, wrong[file].help))
                del texts[file]
            if not wrong.keys() & made.keys():
                break
        raise ConfigError(errors)

    def _taken(self, entry: Entry) -> Refusal | None:
        """A file of that name that is there already, or too many files."""
        file = self.folder / f"{entry.name}.toml"
        if entry.name in self.book.channels or file.exists():
            return _refusal(entry, f"{file} is there already, and a file is never overwritten")
        if len(self.files) + entry.row > FILES_MAX:
            return _refusal(entry, f"a site has at most {FILES_MAX} files")
        return None

    def _answers(self, entry: Entry) -> Answers:
        """The row as the answers of `channel new`."""
        answers = {
            **self.usual,
            "channel.name": entry.name,
            "channel.title": entry.title,
            "channel.npi": entry.npi,
            "channel.specialty": entry.specialty,
            "match.codes": prefixes_of(self.book, entry.specialty),
            "transport.kind": "fax",
            "transport.number": entry.fax,
            "replies.notes": True,
        }
        return {**answers, "patient.address": entry.address} if entry.address else answers

    def _text(self, entry: Entry, answers: Answers) -> str:
        """The file; an order of each specialty is played once, and its tests go to all of them."""
        if entry.specialty not in self._tests:
            around = {name: text for name, text in self.files.items() if Path(name).parent.name != "channels"}
            try:
                book = read_book({**around, f"channels/{entry.name}.toml": write_draft(answers)})
                self._tests[entry.specialty] = entry.npi, first_tests(book, answers, self.samples, self.book)
            except ConfigError:
                return write_draft(answers)  # `check` says why
        npi, tests = self._tests[entry.specialty]
        phone = f" Telephone: {entry.phone}." if entry.phone else ""
        remarks = (f"From {self.list_name}, row {entry.row}.{phone}",)
        return write_draft(
            answers, list(_for_npi(tests, npi, entry.npi)), remarks=remarks, schema=schema_for(self.folder)
        )


def _for_npi(tests: Sequence[DraftTest], npi: str, other: str) -> Iterator[DraftTest]:
    """The tests of one specialist for another; one that means the other as a stranger is left out."""
    for test in tests:
        if npi != other and any(other in step.overrides.values() for step in test.steps):
            continue
        yield replace(test, steps=tuple(_step_for(step, npi, other) for step in test.steps))


def _step_for(step: DraftStep, npi: str, other: str) -> DraftStep:
    return replace(step, overrides={path: other if one == npi else one for path, one in step.overrides.items()})


def _refusal(entry: Entry, sentence: str, help_: str = "") -> Refusal:
    return Refusal(row=entry.row, title=entry.title, sentence=sentence, help=help_)
