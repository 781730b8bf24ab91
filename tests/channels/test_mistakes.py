"""Every file in mistakes/ holds one mistake; the text beside it is exactly what `check` says about it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from referral_engine.channels.book import check_files
from referral_engine.channels.codes import CODES
from referral_engine.channels.lint import render_report
from tests.channels.shipped import SAMPLES, shipped_files

MISTAKES = sorted((Path(__file__).parent / "mistakes").glob("*.toml"))
TODAY = date(2026, 3, 2)  # the day after a permission ended, a month before another will
NOT_ONE_LINE = {"CH003", "CH005"}  # a huge file and a second engine.toml: tested in test_source and test_book


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_a_mistake_is_told_in_exactly_these_words(path: Path) -> None:
    text = path.read_text()
    name = text.split("\n", 1)[0].removeprefix("# as ")

    problems = check_files({**shipped_files(), name: text}, SAMPLES, today=TODAY)

    assert render_report(problems, 1) + "\n" == path.with_suffix(".txt").read_text()


@pytest.mark.parametrize("path", [path for path in MISTAKES if path.stem != "six-at-once"], ids=lambda path: path.stem)
def test_one_mistake_is_one_message_with_the_code_of_its_file(path: Path) -> None:
    text = path.read_text()
    name = text.split("\n", 1)[0].removeprefix("# as ")

    problems = check_files({**shipped_files(), name: text}, SAMPLES, today=TODAY)

    assert [problem.code for problem in problems] == [path.stem.split("-", 1)[0]]


def test_every_code_has_a_mistake_that_shows_it() -> None:
    shown = {path.stem.split("-", 1)[0] for path in MISTAKES} - {"six"}

    assert shown | NOT_ONE_LINE == set(CODES)


def test_every_caret_stands_under_what_is_meant() -> None:
    for path in MISTAKES:
        text = path.read_text()
        name = text.split("\n", 1)[0].removeprefix("# as ")
        for problem in check_files({**shipped_files(), name: text}, SAMPLES, today=TODAY):
            end = problem.column - 1 + problem.width
            assert 0 < problem.width <= len(problem.source or " "), path.stem
            assert end <= len(problem.source) + 1, path.stem  # a missing quotation mark is behind the last letter
