"""What a reload was asked for, how far it is and what came of it, as values and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from referral_engine.base.errors import Problem
from referral_engine.channels.book import Book
from referral_engine.channels.lint import render_problem

CHECK: Final = "referral-engine check"
TEST: Final = "referral-engine test"
LOG: Final = "journalctl -u referral-engine"

Shape = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Somebody wants the files on disk to be in force."""

    by: str
    action: str = "reload"  # or rollback
    reason: str = ""
    force: bool = False  # although tests fail
    config: str = ""  # the version the files must be; "" takes whatever is there


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The configuration that decides now."""

    book: Book
    files: Mapping[str, str]
    number: int = 0  # 0 until the journal has said so
    since: str = ""  # RFC 3339
    by: str = ""
    action: str = ""

    def shape(self) -> Shape:
        """As `status` shows it."""
        return {
            "number": self.number,
            "version": self.book.version,
            "since": self.since or None,
            "by": self.by,
            "action": self.action,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why files did not come in force."""

    sentence: str = ""  # where it is no problem of one file
    problems: Sequence[Problem] = ()
    failures: Sequence[Mapping[str, Any]] = ()

    @property
    def code(self) -> str:
        """Of the first problem, for the audit."""
        if self.problems:
            return self.problems[0].code
        return "test" if self.failures else "reader"

    @property
    def first(self) -> str:
        """The first problem in one line."""
        if self.problems:
            return render_problem(self.problems[0]).splitlines()[0]
        if self.failures:
            failed = self.failures[0]
            return f'{failed["file"]}:{failed["line"]}: the test "{failed["name"]}" fails'
        return self.sentence

    @property
    def hint(self) -> str:
        """The command that says all of it."""
        if self.problems:
            return CHECK
        return TEST if self.failures else LOG

    def shape(self, at: str, by: str) -> Shape:
        """As `status` shows it."""
        count = len(self.problems) + len(self.failures) or 1
        return {"at": at, "by": by, "problems": count, "first": self.first, "hint": self.hint}


@dataclass(slots=True, kw_only=True)
class Ticket:
    """One order on its way: what `reload` is told until it is done."""

    number: int
    order: Order
    stage: str = "waiting"  # waiting, files, tests, going over, done
    steps: int = 0  # of the stage
    of: int = 0
    outcome: str = ""  # active, unchanged, refused
    version: Shape = field(default_factory=dict)
    sentence: str = ""
    problems: Sequence[Problem] = ()  # warnings too
    failures: Sequence[Mapping[str, Any]] = ()
    tests: int = 0
    unplayed: int = 0
    changed: Shape = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether nothing more will come of it."""
        return bool(self.outcome)

    def shape(self) -> Shape:
        """As JSON."""
        return {
            "ticket": self.number,
            "done": self.done,
            "stage": self.stage,
            "steps": self.steps,
            "of": self.of,
            "outcome": self.outcome,
            "configuration": self.version,
            "sentence": self.sentence,
            "problems": [plain_problem(one) for one in self.problems],
            "failures": list(self.failures),
            "tests": self.tests,
            "unplayed": self.unplayed,
            "changed": self.changed,
        }


def plain_problem(problem: Problem) -> Shape:
    """A problem as `check --json` shows it, with its width."""
    names = ("file", "line", "column", "width", "code", "sentence", "source", "help", "warning")
    return {name: getattr(problem, name) for name in names}


def changes(before: InForce, book: Book, files: Mapping[str, str]) -> Shape:
    """Which files and which channels differ."""
    return {
        "files": _differences(before.files, files),
        "channels": _differences(
            {name: one.version for name, one in before.book.channels.items()},
            {name: one.version for name, one in book.channels.items()},
        ),
    }


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> Shape:
    def named(names: Iterable[str]) -> list[str]:
        return sorted(names)

    both = before.keys() & after.keys()
    return {
        "added": named(after.keys() - before.keys()),
        "changed": named(name for name in both if before[name] != after[name]),
        "removed": named(before.keys() - after.keys()),
    }
