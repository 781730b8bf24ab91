"""channels/_defaults/SPECIALTY.toml: lines lent to every channel of that specialty, and what is wrong with them, once.

A channel's own line wins over a lent one, key by key; what a key holds (a list, an inline table) is never mixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from referral_engine.base.errors import Problem
from referral_engine.base.values import replace
from referral_engine.channels.naming import file_stem
from referral_engine.channels.shape import Page, found, nearest, problem_at
from referral_engine.channels.source import Source

FOLDER: Final = "_defaults"  # below channels/

# What makes one office this office and no other: lent to several it would send one's orders to another.
OWN_TABLES: Final = frozenset({"match", "fallback", "test"})
OWN_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "channel": frozenset({"name", "title", "npi", "specialty", "verified_on"}),
    "transport": frozenset({"host", "port", "number", "directory"}),
    "replies": frozenset({"applications", "facilities", "addresses"}),
}
_DISAGREE: Final = ("CH3", "CH4", "CHW")  # codes of what depends on the rest of a channel's file
SHOWN_CHANNELS_MAX: Final = 3  # that a lent line is wrong for


class Lenders:
    """Every file of defaults by its specialty, and who read it."""

    def __init__(self, sources: Iterable[Source]) -> None:
        """Take the files; what may not stand in one is reported and lent to nobody."""
        self.problems: list[Problem] = []
        self._lent: dict[str, Source] = {}
        self._readers: dict[str, list[Page]] = {}
        for source in sources:
            specialty = file_stem(source.file)
            if specialty in self._lent:
                sentence = f'the specialty "{specialty}" has a file of defaults already: {self._lent[specialty].file}'
                self.problems.append(_whole(source, "CH405", sentence, "every name is used once"))
                continue
            self._lent[specialty] = _lendable(source, self.problems)
            self._readers[specialty] = []

    def lent_to(self, source: Source) -> Source | None:
        """What is lent to a channel's file, by the specialty it names."""
        head = source.tree.get("channel")
        specialty = head.get("specialty") if isinstance(head, dict) else None
        return self._lent.get(specialty) if isinstance(specialty, str) else None

    def read_by(self, page: Page) -> None:
        """Remember a channel's page that something was lent to."""
        if page.lent is not None:
            self._readers[file_stem(page.lent.file)].append(page)

    def told(self, specialties: Sequence[str]) -> Iterator[Problem]:
        """What the files say on their own: lines that may not stand there, that nobody reads, a file nobody uses."""
        yield from self.problems
        for specialty, source in self._lent.items():
            readers = self._readers[specialty]
            if not readers:
                near = nearest(specialty, specialties)
                known = ", ".join(sorted(set(specialties)))
                hint = f'did you mean "{near}"?' if near else f"channels have {known}" if known else ""
                sentence = f'no channel has the specialty "{specialty}", so nobody reads this file'
                yield replace(_whole(source, "CHW08", sentence, hint), warning=True)
            yield from _unread(readers)

    def once(self, told: Iterable[tuple[Problem, str]]) -> list[Problem]:
        """Problems with the channel they were found in, "" for none: one of a lent line is told once for all.

        What disagrees with the rest of a channel's file says which channel that is.
        """
        files = {source.file for source in self._lent.values()}
        kept: list[Problem] = []
        lent: dict[tuple[str, int, int, str, str], tuple[Problem, list[str]]] = {}
        for problem, channel in told:
            if problem.file not in files:
                kept.append(problem)
                continue
            spot = (problem.file, problem.line, problem.column, problem.code, problem.sentence)
            lent.setdefault(spot, (problem, []))[1].extend([channel] if channel else [])
        return kept + [_with_channels(problem, channels) for problem, channels in lent.values()]


def _lendable(source: Source, problems: list[Problem]) -> Source:
    """The file without what may not stand in it; each such line is a problem."""
    lent: dict[str, object] = {}
    for table, tree in source.tree.items():
        if table in OWN_TABLES:
            hint = "write it in each channel's own file"
            problems.append(problem_at(source, (table,), "CH226", f"[{table}] may not be lent: {_OWN}", hint))
        elif not isinstance(tree, dict):
            sentence = f'"{table}": expected a table, found {found(tree)}'
            problems.append(problem_at(source, (table,), "CH103", sentence, "a file of defaults has only tables"))
        else:
            barred = OWN_KEYS.get(table, frozenset()) & tree.keys()
            problems += (
                problem_at(
                    source, (table, key), "CH226", f'"{key}" of [{table}] may not be lent: {_OWN}',
                    "write it in each channel's own file",
                )
                for key in sorted(barred)
            )  # fmt: skip
            lent[table] = {key: value for key, value in tree.items() if key not in barred}
    return replace(source, tree=lent)


_OWN: Final = "every office has its own"


def _unread(readers: Sequence[Page]) -> Iterator[Problem]:
    """Lent keys that no channel has a use for; a channel whose table is in trouble anyway does not count."""
    for problem in dict.fromkeys(problem for page in readers for problem, _ in page.unread):
        asked = [
            any(problem == other for other, _ in page.unread)
            for page in readers
            if not page.troubled & {table for other, table in page.unread if other == problem}
        ]
        if asked and all(asked):
            yield problem


def _with_channels(problem: Problem, channels: Sequence[str]) -> Problem:
    """The problem, and for which channels it is one."""
    if not channels or not problem.code.startswith(_DISAGREE):
        return problem
    more = f" and {len(channels) - SHOWN_CHANNELS_MAX} more" if len(channels) > SHOWN_CHANNELS_MAX else ""
    named = ", ".join(f'"{channel}"' for channel in channels[:SHOWN_CHANNELS_MAX])
    return replace(problem, help="; ".join(part for part in (problem.help, f"found in {named}{more}") if part))


def _whole(source: Source, code: str, sentence: str, hint: str) -> Problem:
    """A problem of the file as a whole."""
    return Problem(file=source.file, line=0, column=1, code=code, sentence=sentence, help=hint)
