"""The tests of new files before they come in force: a book and the files before it in, what went another way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from referral_engine.base.clock import rfc3339
from referral_engine.base.errors import Problem
from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.channels.timetable import ChannelTest
from referral_engine.service.files import CHANNELS
from referral_engine.service.sample_files import SampleFiles

if TYPE_CHECKING:
    from referral_engine.flow.timetable import TimetablePlayed

ALL_TESTS_MAX: Final = 300  # are played whatever changed, in a few seconds: a new channel may take another's orders

Case = tuple[Channel, ChannelTest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of the tests."""

    played: int = 0
    unplayed: int = 0  # their messages are not installed on this machine
    failures: tuple[dict[str, Any], ...] = ()  # in the shape of `test --json`
    problems: tuple[Problem, ...] = ()


def chosen(
    book: Book, before: Mapping[str, str], files: Mapping[str, str], *, all_max: int = ALL_TESTS_MAX
) -> list[Case]:
    """The tests that new files must pass, in the order of channels and lines: those of every channel that is on.

    With more than `all_max` of them, where only files of channels differ from those before, the tests of these.
    """
    differ = {file for file in before.keys() | files.keys() if before.get(file) != files.get(file)}
    cases = [(channel, test) for channel in book.channels.values() if channel.is_on for test in channel.tests]
    if differ and len(cases) > all_max and all(Path(file).parent.name == CHANNELS for file in differ):
        cases = [case for case in cases if {case[0].file, case[1].file} & differ]
    return sorted(cases, key=lambda case: (case[0].name, case[1].file, case[1].line))


def try_out(book: Book, cases: list[Case], samples: SampleFiles, told: Callable[[int], None]) -> Tried:
    """Play the tests through the door in memory; `told` hears how many are over."""
    unknown = tuple(
        Problem(file=test.file, line=test.line, column=1, code="CH413", sentence=f'no file describes the feed "{feed}"')
        for _, test in cases
        for feed in test.feeds
        if feed not in book.feeds
    )
    if unknown:
        return Tried(problems=unknown)
    installed = samples.names() is not None
    playable = [case for case in cases if installed or not any(step.receive for step in case[1].steps)]
    if not playable:
        return Tried(unplayed=len(cases))
    from referral_engine.flow.timetable import Bench  # brings the whole door along

    bench = Bench(book, lambda test: samples.of(test.file))
    failures = []
    for number, (channel, test) in enumerate(playable):
        told(number)
        played = bench.play(channel, test)
        if played.failed:
            failures.append(_shape(played))
    return Tried(played=len(playable), unplayed=len(cases) - len(playable), failures=tuple(failures))


def _shape(played: TimetablePlayed) -> dict[str, Any]:
    """A failed test as `test --json` shows it, with only the steps that went another way."""
    return {
        "file": played.test.file,
        "line": played.test.line,
        "channel": played.channel,
        "name": played.test.name,
        "steps": list(_steps(played)),
    }


def _steps(played: TimetablePlayed) -> Iterator[dict[str, Any]]:
    for step in played.failed:
        misses = [{"what": one.what, "expected": one.expected, "got": one.got, "why": one.why} for one in step.misses]
        yield {
            "number": step.number,
            "line": step.line,
            "at": rfc3339(step.at),
            "local": step.wall,
            "differences": misses,
        }
