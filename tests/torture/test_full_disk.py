"""The journal's disk fills up under the daemon: nothing is acknowledged that is not kept, and it goes on with room."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from referral_engine.torture.disk import Disk, Tmpfs, disk_at
from tests.e2e.support import Line, Site, an_order, control_id, eventually

FULL_SECONDS = 40.0  # until a commit no longer fits
AMPLE_SECONDS = 150.0  # there must have been room for a minute before the doors open again
ANSWER_SECONDS = 2.0


@dataclass
class Small:
    """A site whose var/ is a disk that can be filled."""

    site: Site
    disk: Disk


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """A running site with a small disk."""
    root = tmp_path_factory.mktemp("small")
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small tmpfs")
    with disk_at(root / "var") as disk:
        if not isinstance(disk, Tmpfs):
            pytest.skip("no tmpfs can be mounted here")
        made = Site(root)
        try:
            made.lay_out()
            made.lines_of("journal", 'low_water = "256 KiB"', 'ballast = "512 KiB"')
            made.start()
            yield Small(made, disk)
        finally:
            made.close()


def told(site: Site, message: bytes) -> bool:
    """Whether a message was acknowledged in time."""
    with suppress(OSError):
        line = Line(site.port)
        line._wire.settimeout(ANSWER_SECONDS)
        try:
            return line.exchange(message) == "AA"
        finally:
            line.close()
    return False


def filled(small: Small) -> tuple[list[bytes], list[bytes]]:
    """Send orders while the disk fills up, until one is not taken; those that were acknowledged, and those that were not."""
    acknowledged = [order for order in (an_order(f"A{number}") for number in range(3)) if told(small.site, order)]
    assert len(acknowledged) == 3
    small.disk.fill([small.site.pid])
    until = time.monotonic() + FULL_SECONDS
    for number in range(10_000):
        order = an_order(f"B{number}", OBR_13="Made-up words that take room. " * 200)
        if not told(small.site, order):
            return acknowledged, [order]
        acknowledged.append(order)
        assert time.monotonic() < until, "it acknowledges on a full disk"
    raise AssertionError("it acknowledges on a full disk")


def kept(site: Site) -> list[str]:
    """The control ids of all messages in the journal."""
    return sorted(row["control_id"] for row in site.ask_json("messages", "--limit", "10000"))


def check_kept(site: Site, acknowledged: list[bytes], others: list[bytes]) -> None:
    """Everything acknowledged is there once; what was not is taken now."""
    assert site.send(*others) == ["AA"] * len(others)
    assert kept(site) == sorted(control_id(one) for one in (*acknowledged, *others))
    assert site.send(acknowledged[-1]) == ["AA"]
    assert site.stop() == 0
    assert "Traceback" not in site.log


# F-B03 F-B04 H026 H051
def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_kept_and_the_daemon_lives(small: Small) -> None:
    acknowledged, (refused,) = filled(small)

    small.disk.free([])

    assert {control_id(one) for one in acknowledged} <= set(kept(small.site)), "acknowledged, and not kept"
    assert set(kept(small.site)) <= {control_id(one) for one in (*acknowledged, refused)}
    assert small.site.stop() == 0
    assert "Traceback" not in small.site.log


# F-B03
@pytest.mark.torture
def test_killed_on_a_full_disk_it_has_everything_that_was_acknowledged_when_there_is_room(small: Small) -> None:
    acknowledged, others = filled(small)

    small.site.kill()
    small.disk.free([])
    small.site.start()

    check_kept(small.site, acknowledged, others)


# F-B03 H026
@pytest.mark.torture
def test_when_there_is_room_again_it_goes_on_without_a_restart(small: Small) -> None:
    acknowledged, others = filled(small)
    pid = small.site.pid

    small.disk.free([])
    eventually(lambda: told(small.site, others[0]), "it takes messages again", AMPLE_SECONDS)

    assert small.site.pid == pid
    check_kept(small.site, acknowledged, others)


def test_the_disk_of_this_test_can_be_filled_and_freed(tmp_path: Path) -> None:
    with disk_at(tmp_path / "var") as disk:
        if not isinstance(disk, Tmpfs):
            pytest.skip("no tmpfs can be mounted here")
        (tmp_path / "var" / "first").write_bytes(b"x" * 100_000)
        disk.fill([])
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "var" / "second").write_bytes(b"x" * 200_000)

        disk.free([])

        (tmp_path / "var" / "second").write_bytes(b"x" * 200_000)
