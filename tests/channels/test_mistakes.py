"""Every file in mistakes/ holds one mistake; the text beside it is exactly what `check` says about it."""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from referral_engine.base.errors import Problem
from referral_engine.channels.book import check_files
from referral_engine.channels.codes import CODES
from referral_engine.channels.lint import render_report
from tests.channels.shipped import ROOT, SAMPLES, shipped_files

MISTAKES = sorted((Path(__file__).parent / "mistakes").glob("*.toml"))
TODAY = date(2026, 3, 2)  # the day after a permission ended, a month before another will
NOT_ONE_LINE = {"CH003", "CH005"}  # a huge file and a second engine.toml: tested in test_source and test_book
ON_DISK = ("FILE", "KEY")  # what only the machine can say of a file: tested in tests/service/test_files.py


@cache
def _told(path: Path) -> tuple[Problem, ...]:
    """What `check` says about one of them."""
    text = path.read_text()
    name = text.split("\n", 1)[0].removeprefix("# as ")
    return check_files({**shipped_files(), name: text}, SAMPLES, today=TODAY)


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_a_mistake_is_told_in_exactly_these_words(path: Path) -> None:
    problems = _told(path)

    assert render_report(problems, 1) + "\n" == path.with_suffix(".txt").read_text()


@pytest.mark.parametrize("path", [path for path in MISTAKES if path.stem != "six-at-once"], ids=lambda path: path.stem)
def test_one_mistake_is_one_message_with_the_code_of_its_file(path: Path) -> None:
    problems = _told(path)

    assert [problem.code for problem in problems] == [path.stem.split("-", 1)[0]]


def test_every_code_has_a_mistake_that_shows_it() -> None:
    shown = {path.stem.split("-", 1)[0] for path in MISTAKES} - {"six"}

    assert shown | NOT_ONE_LINE == {code for code in CODES if not code.startswith(ON_DISK)}


def test_every_code_that_is_ever_told_is_explained() -> None:
    sources = (ROOT / "referral_engine").rglob("*.py")
    told = {code for path in sources for code in re.findall(r'"((?:CH[0-9W]|FILE|KEY)[0-9]+)"', path.read_text())}

    assert told == set(CODES)


def test_every_caret_stands_under_what_is_meant() -> None:
    for path in MISTAKES:
        for problem in _told(path):
            end = problem.column - 1 + problem.width
            assert 0 < problem.width <= len(problem.source or " "), path.stem
            assert end <= len(problem.source) + 1, path.stem  # a missing quotation mark is behind the last letter
