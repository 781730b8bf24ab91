"""docs/channels.md cannot lie: its files are checked, its tables are what the readers and the loop hold."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest

from referral_engine.channels.book import check_files, read_book
from referral_engine.channels.code_names import places
from referral_engine.channels.effective import effective
from referral_engine.channels.matcher import Test, holds
from referral_engine.channels.value_tests import is_named, named_at, read_test
from referral_engine.loop.clocks import CLOCKS
from referral_engine.loop.policy import DEFAULT_CLOCKS
from tests.channels.shipped import ROOT, SAMPLES, shipped_files

TEXT = (ROOT / "docs" / "channels.md").read_text(encoding="utf-8")
WORD = re.compile(r"`((?:[^`\\]|\\.)+)`")


def fences() -> dict[str, str]:
    found = {}
    for body in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL):
        found[body.removeprefix("#").split(":", 1)[0].strip()] = body
    return found


def part(name: str) -> str:
    return TEXT.split(f"<!-- {name}:start -->", 1)[1].split(f"<!-- {name}:end -->", 1)[0].strip()


def rows(name: str) -> Iterator[list[str]]:
    for line in part(name).splitlines()[2:]:
        yield [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_every_file_it_shows_is_clean() -> None:
    assert len(fences()) == 2
    for shown in (fences(), {name: text for name, text in fences().items() if "_defaults" not in name}):
        assert check_files(shipped_files() | shown, SAMPLES) == ()


def read(written: str) -> Test:
    value = tomllib.loads(f"x = {written}")["x"]
    test = named_at("ORC-1")(value) if is_named(value) else read_test(value)
    assert test is not None
    return test


@pytest.mark.parametrize("row", list(rows("grammar")), ids=lambda row: row[0])
def test_each_example_of_the_grammar_takes_and_refuses_what_it_says(row: list[str]) -> None:
    written, takes, refuses = ((WORD.findall(cell) or [""])[0] for cell in row)

    assert holds(read(written), takes)
    assert not holds(read(written), refuses)


def test_every_place_that_has_names_is_listed() -> None:
    assert part("places") == places()


def test_the_clocks_are_those_of_the_loop() -> None:
    told = [
        [f"`{rule.kind}`", str(rule.start), *(", ".join(map(str, row)) for row in DEFAULT_CLOCKS[rule.kind])]
        for rule in CLOCKS
    ]

    assert list(rows("clocks")) == told


def test_what_config_is_said_to_print_is_what_it_prints() -> None:
    book = read_book(shipped_files() | fences(), SAMPLES)
    told = {key: (value, origin) for key, value, origin in effective(book, "cardiology-oak-street")}
    shown = TEXT.split("```text\n", 1)[1].split("```", 1)[0].splitlines()

    for line in shown:
        key, value, origin = re.split(r" {2,}", line)
        assert told[key][1] == origin, key
        assert told[key][0].startswith(value.removesuffix(" ...")), key
