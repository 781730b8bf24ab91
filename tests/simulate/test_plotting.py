"""The picture: it is there, it can be read by what reads such files, and the same figures give the same one."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import pytest

from referral_engine.cli import plotting
from referral_engine.cli.plotting import LAYERS_MAX, REST, draw, refuse_without_library
from referral_engine.cli.plotting import _layers as layers
from referral_engine.flow.figures import Figures
from tests.cli.terminal import run

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def drawing() -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")


@pytest.mark.usefixtures("drawing")
def test_a_png_has_its_size_and_something_in_it(
    played: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "work.png"
    monkeypatch.setattr(plotting, "DOTS_AN_INCH", 50)  # quickly drawn

    draw(str(place), "a title", [("here", played), ("against: there", played)])

    raw = place.read_bytes()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", raw[16:24])
    assert (width, height) == (640, 530)
    assert len(raw) > 10_000


@pytest.mark.usefixtures("drawing")
def test_an_svg_can_be_read_and_is_the_same_each_time(played: Figures, tmp_path: Path) -> None:
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    for place in (one, other):
        draw(str(place), "a title", [("here", played)])

    root = ET.fromstring(one.read_text())

    assert one.read_bytes() == other.read_bytes()
    assert root.tag == f"{SVG}svg"
    assert len(root.findall(f".//{SVG}path")) > 100
    assert b"dc:date" not in one.read_bytes()


@pytest.mark.usefixtures("drawing")
def test_a_picture_that_cannot_be_written_is_a_sentence(
    played: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plotting, "_fill", lambda *_: None)  # an empty sheet is quickly drawn

    with pytest.raises(click.ClickException, match="cannot be written"):
        draw(str(tmp_path / "nowhere" / "work.png"), "a title", [("here", played)])


def test_small_layers_are_one_and_the_largest_of_both_sides_is_first() -> None:
    many = {f"kind {number}": [number] for number in range(12)}

    names = layers([many, {"kind 1": [100]}])

    assert names[0] == "kind 1"
    assert names[-1] == REST
    assert len(names) == LAYERS_MAX
    assert layers([{"a": [1], "b": [0]}]) == ["a"]


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(click.ClickException, match=r'pip install "referral-engine\[plot\]"'):
        refuse_without_library()


def test_a_picture_of_another_kind_is_refused_before_anything_is_played() -> None:
    said = run("simulate", "--days", "1", "--plot", "work.gif")

    assert said.exit_status == 2
    assert "neither a .png nor a .svg" in said.err
