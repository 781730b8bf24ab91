"""What came of a reload, for a person: problems as `check` tells them, failing tests as `test`, what is in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from referral_engine.base.errors import Problem
from referral_engine.channels.lint import render_problem
from referral_engine.cli.shared import counted

Row = Mapping[str, Any]
STAGES: Final = {
    "waiting": "another reload is under way",
    "files": "reading the files",
    "tests": "playing the tests",
    "going over": "taking them up",
}
_KINDS: Final = ("added", "changed", "removed")


def as_lines(told: Row) -> Iterator[str]:
    """Everything a finished reload has to say."""
    for problem in told["problems"]:
        yield render_problem(Problem(**problem)) + "\n"
    yield from _failures(told)
    if told["tests"]:
        failed = len(told["failures"])
        yield f"{counted(told['tests'], 'test')}, {told['tests'] - failed} passed, {failed} failed"
    if told["unplayed"]:
        tests = counted(told["unplayed"], "test")
        yield f"{tests} not played: the messages they receive are not installed on this machine"
    yield from _outcome(told)


def _failures(told: Row) -> Iterator[str]:
    """Each failed test by file, as `test` shows it."""
    for file, group in groupby(told["failures"], key=lambda one: str(one["file"])):
        yield file
        for test in group:
            yield f"  FAIL  {test['name']}"
            for step in test["steps"]:
                yield f"        {file}:{step['line']}: step {step['number']}, {step['local']}"
                for miss in step["differences"]:
                    yield f"          expected  {miss['what']}  {miss['expected']}"
                    yield f"          got       {miss['what']}  {miss['got']}"
                    yield f"          why       {miss['why']}"
        yield ""


def _outcome(told: Row) -> Iterator[str]:
    """What is in force now."""
    number, version = told["configuration"]["number"], told["configuration"]["version"]
    if told["outcome"] == "refused":
        yield f"refused: {told['sentence'] or _reasons(told)}"
        yield f"configuration {number} ({version}) stays in force"
    elif told["outcome"] == "unchanged":
        yield f"nothing in the files has changed: configuration {number} ({version}) stays in force"
        yield "certificates and keys were read again"
    else:
        yield f"configuration {number} ({version}) is in force"
        for what, kinds in told["changed"].items():
            named = [f"{kind} {', '.join(kinds[kind])}" for kind in _KINDS if kinds[kind]]
            yield f"  {what:<9} {'; '.join(named) or 'as before'}"
        if told["failures"]:
            yield f"  forced    although {counted(len(told['failures']), 'test')} failed"


def _reasons(told: Row) -> str:
    """How much is wrong."""
    problems = sum(not one["warning"] for one in told["problems"])
    failed = len(told["failures"])
    parts = [counted(problems, "problem")] if problems else []
    return ", ".join([*parts, counted(failed, "test") + " failed"] if failed else parts)
