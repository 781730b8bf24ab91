"""What became of timetables, for a person, for a program and for a build server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Final
from xml.etree import ElementTree as ET  # we write it and never read it

from referral_engine.base.clock import rfc3339
from referral_engine.cli.shared import counted
from referral_engine.flow.expectations import Miss
from referral_engine.flow.timetable import StepPlayed, TimetablePlayed

NAME_WIDTH_MAX: Final = 78  # one long name must not push the lengths of all others out of sight
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One test as it went, and how long that took on this machine."""

    played: TimetablePlayed
    seconds: float


def as_lines(results: Sequence[Result]) -> Iterator[str]:
    """Every test by file, each failure with place, step, time, what was expected, what came, and why."""
    width = min(max((len(one.played.test.name) for one in results), default=0), NAME_WIDTH_MAX)
    for file, group in groupby(results, key=lambda one: one.played.test.file):
        yield file
        for one in group:
            word = "FAIL" if one.played.failed else "ok"
            yield f"  {word:<4}  {one.played.test.name:<{width}}  {_length(one.played)}".rstrip()
            for step in one.played.failed:
                yield from (f"        {line}" for line in _failure(one.played, step))
    yield ""


def summary(results: Sequence[Result]) -> str:
    """The last line: 5 tests, 4 passed, 1 failed."""
    failed = sum(bool(one.played.failed) for one in results)
    return f"{counted(len(results), 'test')}, {len(results) - failed} passed, {failed} failed"


def as_json_value(results: Sequence[Result]) -> dict[str, object]:
    """The same for a program."""
    failed = sum(bool(one.played.failed) for one in results)
    return {"tests": [_plain(one) for one in results], "passed": len(results) - failed, "failed": failed}


def as_junit(results: Sequence[Result]) -> bytes:
    """The same as JUnit XML: one suite a file, one case a test."""
    root = ET.Element("testsuites", _numbers(results))
    for file, group in groupby(results, key=lambda one: one.played.test.file):
        ours = list(group)
        suite = ET.SubElement(
            root, "testsuite", {"name": _clean(file), **_numbers(ours), "errors": "0", "skipped": "0"}
        )
        for one in ours:
            _case(suite, one)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _case(suite: ET.Element, result: Result) -> None:
    """One test of a suite."""
    played = result.played
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": _clean(played.channel),
            "name": _clean(played.test.name),
            "file": _clean(played.test.file),
            "line": str(played.test.line),
            "time": f"{result.seconds:.3f}",
        },
    )
    if played.failed:
        first = played.failed[0].misses[0]
        message = f"step {played.failed[0].number}: {first.what}: expected {first.expected}, got {first.got}"
        failure = ET.SubElement(case, "failure", {"type": first.what, "message": _clean(message)})
        failure.text = _clean("\n".join(line for step in played.failed for line in _failure(played, step)))


def _numbers(results: Sequence[Result]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(bool(one.played.failed) for one in results)),
        "time": f"{sum(one.seconds for one in results):.3f}",
    }


def _clean(text: str) -> str:
    """A text with nothing that XML cannot hold."""
    return _NOT_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _failure(played: TimetablePlayed, step: StepPlayed) -> Iterator[str]:
    """One step that went another way."""
    yield f"{played.test.file}:{step.line}: step {step.number}, {step.wall}"
    for miss in step.misses:
        yield f"  expected  {miss.what}  {miss.expected}"
        yield f"  got       {miss.what}  {miss.got}"
        yield f"  why       {miss.why}"


def _length(played: TimetablePlayed) -> str:
    """How many steps, and how much clinic time they take."""
    steps = counted(len(played.steps), "step")
    span = played.steps[-1].at - played.steps[0].at if played.steps else timedelta(0)
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        amount = round(span.total_seconds()) // size
        if amount:
            return f"{steps}, {counted(amount, unit)}"
    return steps


def _plain(result: Result) -> dict[str, object]:
    played = result.played
    return {
        "file": played.test.file,
        "line": played.test.line,
        "channel": played.channel,
        "name": played.test.name,
        "passed": not played.failed,
        "seconds": round(result.seconds, 3),
        "steps": [
            {
                "number": step.number,
                "line": step.line,
                "at": rfc3339(step.at),
                "local": step.wall,
                "differences": [_miss(miss) for miss in step.misses],
            }
            for step in played.steps
        ],
    }


def _miss(miss: Miss) -> dict[str, str]:
    return {"what": miss.what, "expected": miss.expected, "got": miss.got, "why": miss.why}
