"""The command: what it prints, what it compares, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.cli.side_by_side import Pair, pairs
from referral_engine.flow.figures import Figures, Measure
from tests.cli.terminal import ROOT, copied_site, rewrite, run

SMALL = ("simulate", "--days", "3", "--per-day", "2", "--seed", "7")


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files whose cardiology takes one code less, and whose imaging is off."""
    place = tmp_path_factory.mktemp("candidate")
    copied_site(place)
    rewrite(place / "channels" / "cardiology-heart-group.toml", '["REFCARD", "REFEP"]', '["REFEP"]')
    rewrite(place / "channels" / "imaging-northside.toml", 'network   = "out"', 'network   = "out"\nmode      = "off"')
    return place


def test_a_person_reads_the_work_of_the_weeks_and_how_to_play_it_again() -> None:
    said = run(*SMALL)

    assert said.exit_status == 0
    assert said.out.startswith("3 made-up days from 2026-03-02, 2 orders on a working day, seed 7")
    for head in ("Tasks: opened in the week", "Escalations:", "Sends", "Referrals at the end", "Measures"):
        assert head in said.out
    assert "one patient got at most" in said.out


def test_two_directories_are_played_apart_and_compared_number_by_number(candidate: Path) -> None:
    told = run(*SMALL, "--against", candidate, "--json").json

    here, against = told["sides"]
    assert (here["name"], against["name"]) == ("here", str(candidate))
    assert here["orders"] == against["orders"] == 6
    assert (here["unroutable"], against["unroutable"] > 0) == (0, True)
    assert [one["channel"] for one in against["left_out"]] == ["imaging-northside"]
    (lost,) = [one for one in told["compared"] if one["name"] == "no channel takes it"]
    assert (lost["difference"], lost["worse"]) == (against["unroutable"], True)


def test_a_directory_without_files_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    said = run(*SMALL, "--against", tmp_path)

    assert said.exit_status == 78
    assert "there is no configuration here" in said.err


def test_files_that_are_wrong_are_told_with_their_lines(candidate: Path, tmp_path: Path) -> None:
    copied_site(tmp_path)
    rewrite(tmp_path / "channels" / "imaging-northside.toml", 'network   = "out"', 'netwerk   = "out"')

    said = run(*SMALL, "--against", tmp_path)

    assert said.exit_status == 78
    assert 'did you mean "network"?' in said.err


def test_when_no_channel_can_get_an_order_each_is_named(tmp_path: Path) -> None:
    conf = copied_site(tmp_path)
    for name in ("cardiology-heart-group", "imaging-northside", "orthopaedics-lakeside"):
        place = tmp_path / "channels" / f"{name}.toml"
        lines = place.read_text().splitlines(keepends=True)
        at = next(number for number, line in enumerate(lines) if line.startswith("network"))
        place.write_text("".join([*lines[:at], 'mode = "off"\n', *lines[at:]]))

    said = run(*SMALL, "--conf", conf)

    assert said.exit_status == 2
    assert 'here: imaging-northside: [channel] mode = "off"' in said.err
    assert "there is nothing to play" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--days", "1", "--start", "2026-03-01"), "the clinic is closed on all of these days"),
        (("--days", "700", "--per-day", "400"), "9000 can be played"),
        (("--start", "soon"), '"soon" is not a day such as 2026-03-02'),
        (("--plot", "nowhere/at/all.svg"), "there is no directory"),
    ],
)
def test_what_cannot_be_played_is_a_sentence(words: tuple[str, ...], sentence: str) -> None:
    said = run("simulate", *words)

    assert said.exit_status == 2
    assert sentence in said.err


def test_a_number_is_worse_when_it_moved_the_wrong_way(played: Figures) -> None:
    from msgspec.structs import replace

    def with_measure(name: str, value: float | None) -> Figures:
        return replace(played, measures=(Measure(name=name, value=value, of=1, unit="%"),))

    def compared(name: str, here: float | None, against: float | None) -> Pair:
        found = pairs(with_measure(name, here), with_measure(name, against))
        return next(one for one in found if one.part == "measures")

    assert compared("exception rate", 10, 12).worse
    assert not compared("exception rate", 12, 10).worse
    assert compared("note return rate", 90, 80).worse
    assert not compared("note return rate", 80, 90).worse
    assert (compared("exception rate", None, 5).difference, compared("exception rate", None, 5).worse) == (None, False)


def test_a_directory_against_itself_differs_in_nothing(played: Figures) -> None:
    assert not [one for one in pairs(played, played) if one.difference or one.worse]
