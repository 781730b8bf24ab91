"""The made-up sites of many channels are clean, go as their tests say, and are routed as a scan would."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import check, routing, timetables
from benchmarks.sites import SHAPES, channel, site, written
from referral_engine.channels.book import check_files


@pytest.mark.parametrize("shape", SHAPES)
def test_of_every_shape_many_channels_are_checked_without_a_word(shape: str) -> None:
    assert check_files(site(6, shapes={shape: 1})) == ()


def test_a_site_of_all_shapes_is_checked_without_a_word_and_always_the_same() -> None:
    assert check_files(site(40)) == ()
    assert site(40) == site(40)
    assert channel(7, "mllp") == channel(7, "mllp")


def test_the_timetables_of_a_site_go_as_they_say() -> None:
    assert timetables.play(12) == 0


def test_routing_by_the_index_finds_what_a_scan_finds() -> None:
    found = routing.measure(60, 1, seconds=0.001)

    assert {name: one["wrong"] for name, one in found.items()} == dict.fromkeys(found, 0)
    assert all(one["us"] > 0 for one in found.values())


def test_the_command_is_measured_and_finds_the_site_clean(tmp_path: Path) -> None:
    written(site(5), tmp_path)

    passed, busy, status = check.command(tmp_path)

    assert status == 0
    assert min(passed, busy) > 0
