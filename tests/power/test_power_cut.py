"""Power cuts at any syscall: what was acknowledged is there after the real recovery, and the chain is whole.

A recorded run of the real door is cut at random places, and every disk a cut may leave is opened again.
"""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from referral_engine.base.errors import JournalError
from referral_engine.journal.journal import Journal
from referral_engine.journal.scrub import scrub
from referral_engine.torture.checks import stored_messages
from tests.power.images import Disk, Image, images
from tests.power.recording import NEEDS_STRACE, STRACE, Op, record
from tests.power.upgrade import old_journal
from tests.power.writer import KEY, body, file_of, material
from tests.torture.budget import minutes

pytestmark = pytest.mark.skipif(STRACE is None, reason=NEEDS_STRACE)

MESSAGES = 50
IMAGES = 40
IMAGES_TORTURE = 1_500  # of ten minutes
RUNS = 5  # recordings that share them
SEED = int(os.environ.get("POWER_SEED") or random.SystemRandom().randrange(1_000_000))


def lost(image: Image, site: str, root: Path, *, key: bytes | None) -> list[str]:
    """What was said before the cut and does not hold after it: "ACK 17", "FILE 4", or what else is wrong."""
    image.lay_down(site, root)
    wrong = [f"{path}: half a file" for path in _halves(root)]
    said = [line.split() for line in image.said if line]
    wrong += [f"FILE {number}" for word, number in said if word == "FILE" and not _dropped(root, int(number))]
    acknowledged = {int(number) for word, number in said if word == "ACK"}
    if not (root / "journal.db").exists():
        return wrong + [f"ACK {number}" for number in sorted(acknowledged)]
    try:
        journal = Journal.open(str(root / "journal.db"), key)
    except JournalError as error:
        return [*wrong, f"refused: {error}"]
    try:
        return wrong + _missing(journal, acknowledged)
    finally:
        journal.close()


def _missing(journal: Journal, acknowledged: set[int]) -> list[str]:
    sound = journal._connection.execute("PRAGMA integrity_check").fetchall()
    wrong = [] if sound == [("ok",)] else [f"integrity: {sound}"]
    reading = journal.read()
    bad = reading.first_bad_audit_line()
    wrong += [] if bad is None else [f"audit line {bad}"]
    wrong += [] if reading.conservation().holds else ["conservation"]
    report = scrub(journal._connection)
    wrong += [] if report.whole else [f"scrub: {report}"]
    stored = {row.raw for row in stored_messages(reading)}
    return wrong + [f"ACK {number}" for number in sorted(acknowledged) if material(number) not in stored]


def _halves(root: Path) -> list[str]:
    """Files under their final name that are not whole."""
    spool = root / "spool" / "fax"
    names = [path for path in spool.iterdir() if not path.name.startswith(".")] if spool.exists() else []
    return [path.name for path in names if path.read_bytes() != body(int(path.stem[1:]))]


def _dropped(root: Path, number: int) -> bool:
    path = root / "spool" / "fax" / file_of(number)
    return path.exists() and path.read_bytes() == body(number)


@dataclass(frozen=True)
class Recorded:
    """One recorded run: what was done, on which site, what was there and had been said before."""

    ops: list[Op]
    site: Path
    key: bytes | None
    start: dict[str, bytes] = field(default_factory=dict)
    before: tuple[str, ...] = ()

    @property
    def begun(self) -> int:
        """The first moment at which anything had been said."""
        return next(number for number, op in enumerate(self.ops) if op.kind == "say")


def recorded(site: Path, count: int, *words: str) -> Recorded:
    """A run on a new site."""
    return Recorded(record(site, count, SEED, *words), site, None if "plain" in words else KEY)


def losses(run: Recorded, count: int, tmp_path: Path) -> dict[str, list[str]]:
    """What `count` cuts lose, by the image's description."""
    print(f"play it again with POWER_SEED={SEED}")
    chance = random.Random(SEED)
    first = 0 if run.before else run.begun
    found: dict[str, list[str]] = {}
    for number, image in enumerate(images(run.ops, count, chance, first=first, start=run.start, before=run.before)):
        root = tmp_path / f"image{number}"
        root.mkdir()
        if wrong := lost(image, str(run.site), root, key=run.key):
            found[f"op {image.cut}, writes {image.fate}, names {image.names}"] = wrong
        shutil.rmtree(root)
    return found


# P1 P16 F-A04 H074 H088
def test_a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    run = recorded(tmp_path / "site", MESSAGES)

    found = losses(run, IMAGES, tmp_path)

    assert sum(op.kind == "say" and op.written.startswith(b"ACK") for op in run.ops) == MESSAGES
    assert found == {}


# P6
def test_a_power_cut_takes_no_file_with_the_directory_that_had_to_be_made_for_it(tmp_path: Path) -> None:
    run = recorded(tmp_path / "site", 10, "bare")

    found = losses(run, IMAGES // 2, tmp_path)

    assert found == {}


def test_a_journal_that_does_not_sync_each_commit_is_found_out(tmp_path: Path) -> None:
    run = recorded(tmp_path / "site", MESSAGES, "synchronous=NORMAL")

    found = losses(run, IMAGES // 2, tmp_path)

    assert any(wrong.startswith("ACK") for one in found.values() for wrong in one), "or the replayer proves nothing"


@pytest.mark.torture
@pytest.mark.parametrize("words", [(), ("plain",)], ids=["encrypted", "plain"])
def test_fifteen_hundred_power_cuts_lose_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    count = max(IMAGES_TORTURE, round(IMAGES_TORTURE * minutes() / 10)) // 2
    found: dict[str, list[str]] = {}
    for number in range(RUNS):
        run = recorded(tmp_path / f"site{number}", 3 * MESSAGES + number, *words)
        found |= losses(run, count // RUNS, tmp_path)

    assert found == {}


@pytest.mark.torture
def test_a_second_power_cut_after_the_recovery_from_the_first_loses_nothing(tmp_path: Path) -> None:
    first, chance = recorded(tmp_path / "site", MESSAGES), random.Random(SEED)
    found: dict[str, list[str]] = {}
    for number, image in enumerate(images(first.ops, RUNS, chance, first=first.begun)):
        again = tmp_path / f"again{number}"
        again.mkdir()
        image.lay_down(str(first.site), again)
        start = {str(path): path.read_bytes() for path in again.rglob("*") if path.is_file()}
        ops = record(again, MESSAGES, SEED + number, f"from={1000 * (number + 1)}")
        found |= losses(Recorded(ops, again, KEY, start, image.said), IMAGES, tmp_path)

    assert found == {}


# F-A14
@pytest.mark.torture
def test_a_power_cut_during_an_upgrade_leaves_the_old_journal_or_the_new_one(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    old_journal(site / "journal.db")
    start = {str(path): path.read_bytes() for path in site.iterdir() if path.is_file()}

    run = Recorded(record(site, 20, SEED), site, KEY, start, ("",))
    found = losses(run, 4 * IMAGES, tmp_path)

    assert found == {}


# -- the model of a disk


def test_what_was_synced_is_there_and_what_was_not_may_be_gone() -> None:
    disk, chance = Disk(), random.Random(1)
    for op in (
        Op("open", "/s/a"), Op("sync", "/s"), Op("write", "/s/a", 0, b"one"), Op("sync", "/s/a"),
        Op("write", "/s/a", 3, b"two"), Op("open", "/s/b"),
    ):  # fmt: skip
        disk.apply(op)

    assert disk.after_a_cut("none", "at once", chance) == {"/s/a": b"one", "/s/b": b""}
    assert disk.after_a_cut("all", "when synced", chance) == {"/s/a": b"onetwo"}


def test_a_torn_write_leaves_whole_sectors() -> None:
    disk = Disk()
    disk.apply(Op("open", "/s/a"))
    disk.apply(Op("write", "/s/a", 100, b"x" * 2000))

    left = {disk.after_a_cut("torn", "at once", random.Random(seed))["/s/a"] for seed in range(20)}

    assert len(left) > 5
    for start in range(512, 2048, 512):
        assert {bytes(one[start : start + 512]) for one in left} <= {
            b"",
            b"\0" * 512,
            b"x" * 512,
            b"x" * (2100 - start),
        }


def test_a_name_that_was_never_synced_may_be_missing_or_old() -> None:
    disk, chance = Disk(), random.Random(1)
    for op in (
        Op("open", "/s/a"), Op("write", "/s/a", 0, b"one"), Op("sync", "/s/a"), Op("sync", "/s"),
        Op("rename", "/s/a", other="/s/b"), Op("link", "/s/b", other="/s/c"), Op("unlink", "/s/b"),
    ):  # fmt: skip
        disk.apply(op)

    assert disk.after_a_cut("none", "at once", chance) == {"/s/c": b"one"}
    assert disk.after_a_cut("none", "when synced", chance) == {"/s/a": b"one"}
