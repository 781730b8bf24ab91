"""New files before they come in force: read twice, made a book, their tests played, all in a process of its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.service import reader
from referral_engine.service.candidate import look
from referral_engine.service.files import read_files
from referral_engine.service.found import Found, GaveUp, Reached, Said, Wanted, pack, read_wanted, unpack, write
from referral_engine.service.reader import SILENT_SECONDS_MAX, NotRead, ProcessReader
from referral_engine.service.standing import standing
from referral_engine.service.trials import chosen
from tests.channels.shipped import ROOT, shipped_files

TODAY = date(2026, 3, 2)
HEART, LAKESIDE = "channels/cardiology-heart-group.toml", "channels/orthopaedics-lakeside.toml"
CASES = re.compile(r"(?m)^\[\[test\]\]$")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped files, each channel with the last of its tests only, around the working directory."""
    for name in ("conf", "channels"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "sample_messages").symlink_to(ROOT / "sample_messages")
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "channels").glob("*.toml"):
        head, *_, last = CASES.split(path.read_text())
        path.write_text(f"{head}[[test]]{last}")
    return tmp_path


def wanted() -> Wanted:
    """The files as they are now are in force."""
    files = read_files("conf/engine.toml")
    book = read_book(files)
    return Wanted(
        engine_file="conf/engine.toml", config=book.version, in_force=files, standing=standing(book.engine), today=TODAY
    )


def found(asked: Wanted, wait: Callable[[float], object] = lambda _seconds: None) -> tuple[Found, list[Reached]]:
    heard: list[Reached] = []
    return look(asked, heard.append, wait), heard


def edit(name: str, old: str, new: str) -> None:
    text = Path(name).read_text()
    assert old in text
    Path(name).write_text(text.replace(old, new, 1))


def test_a_book_survives_the_way_as_bytes_and_decides_as_before() -> None:
    book = read_book(shipped_files())

    arrived = unpack(pack(book))

    bare = {name: replace(one, tests=()) for name, one in book.channels.items()}
    assert arrived == replace(book, channels=bare, settings={}, warnings=())
    assert (arrived.version, arrived.senders) == (book.version, book.senders)
    assert _routes(arrived) == _routes(book)


def _routes(book: Book) -> list[list[str]]:
    """Which channels take each sample."""
    from referral_engine.hl7.message import Message

    orders = [Message.parse(path.read_bytes()) for path in sorted((ROOT / "sample_messages").glob("orm-o01-*.hl7"))]
    routed = [[name for name, one in sorted(book.channels.items()) if one.match.matches(order)] for order in orders]
    assert any(routed)
    return routed


def test_files_as_they_were_are_looked_at_and_no_test_is_played(site: Path) -> None:
    said, _ = found(wanted())

    assert (said.tests, said.failures) == (0, [])
    assert unpack(said.book).version == said.config


def test_an_edited_channel_plays_everybodys_tests_for_it_may_take_their_orders(site: Path) -> None:
    asked = wanted()
    edit(LAKESIDE, "# Lakeside", "# Our Lakeside")

    said, heard = found(asked)

    assert said.tests == 3
    assert [one.stage for one in heard] == ["files", "tests", "tests", "tests"]


def test_where_there_are_too_many_tests_an_edited_channel_plays_its_own_and_a_changed_calendar_all(site: Path) -> None:
    before = read_files("conf/engine.toml")
    edit(LAKESIDE, "# Lakeside", "# Our Lakeside")
    edited = read_files("conf/engine.toml")
    edit("conf/engine.toml", "[practice]", "# a remark\n[practice]")
    moved = read_files("conf/engine.toml")

    few, all_ = (chosen(read_book(files), before, files, all_max=2) for files in (edited, moved))

    assert [channel.name for channel, _ in few] == ["orthopaedics-lakeside"]
    assert len(all_) == 3


def test_a_test_that_fails_is_told_with_its_step_and_why(site: Path) -> None:
    asked = wanted()
    edit(LAKESIDE, "expect = { matches = false }", "expect = { matches = true }")

    said, _ = found(asked)

    (failed,) = said.failures
    assert (failed["file"], failed["channel"]) == (LAKESIDE, "orthopaedics-lakeside")
    assert {"what", "expected", "got", "why"} == failed["steps"][0]["differences"][0].keys()
    assert said.book


def test_where_no_sample_is_installed_the_tests_that_need_one_are_counted_and_not_failed(site: Path) -> None:
    asked = wanted()
    (site / "sample_messages").unlink()
    edit(LAKESIDE, "# Lakeside", "# Our Lakeside")

    said, _ = found(asked)

    assert (said.tests, said.unplayed, said.failures) == (0, 3, [])


def test_a_file_that_nobody_reads_is_named_and_keeps_nothing_out(site: Path) -> None:
    asked = wanted()
    edit(LAKESIDE, "# Lakeside", "# Our Lakeside")
    (site / "channels" / "new-office.toml.txt").write_text("[channel]")

    said, _ = found(asked)

    assert [one.code for one in said.problems if one.warning] == ["FILE10"]
    assert said.book


def test_a_wrong_file_is_told_as_check_tells_it(site: Path) -> None:
    asked = wanted()
    edit(LAKESIDE, "title ", "tittle ")

    said, _ = found(asked)

    assert [(one.file, one.code, one.help) for one in said.problems] == [(LAKESIDE, "CH101", 'did you mean "title"?')]
    assert said.book == b""


def test_a_second_channel_of_one_name_is_refused(site: Path) -> None:
    asked = wanted()
    shutil.copy(HEART, "channels/again.toml")

    said, _ = found(asked)

    assert any(one.file == "channels/again.toml" and not one.warning for one in said.problems)
    assert said.book == b""


def test_a_file_that_is_another_one_a_moment_later_is_being_written(site: Path) -> None:
    asked = wanted()

    said, _ = found(asked, lambda _seconds: edit(LAKESIDE, "# Lakeside", "# Lake"))

    assert [(one.file, one.code, one.sentence) for one in said.problems] == [(LAKESIDE, "FILE6", "is being written")]


def test_what_needs_a_restart_is_named_with_its_line_and_value(site: Path) -> None:
    asked = wanted()
    edit("conf/engine.toml", '"var/journal.db"', '"var/other.db"')

    said, _ = found(asked)

    (problem,) = [one for one in said.problems if not one.warning]
    line = Path("conf/engine.toml").read_text().split("\n").index(problem.source) + 1
    assert (problem.file, problem.line, problem.code) == ("conf/engine.toml", line, "RUN3")
    assert problem.sentence == (
        '"journal.path" cannot change while the engine runs: it is "var/journal.db", not "var/other.db"'
    )
    assert "systemctl restart" in problem.help


# -- the process


class Speaker:
    """Stands for the process: says what the test says, and ends as it says."""

    def __init__(self) -> None:
        self.asked = b""
        self.status: int | None = 0
        self.at_once: bool | None = None

    def __call__(self, _reactor: object, _module: str, *, heard: Any, lost: Any, quiet: bool) -> Speaker:
        self._heard, self.lost = heard, lost
        return self

    def send(self, *pieces: bytes) -> None:
        self.asked = pieces[1]

    def say(self, said: Said) -> None:
        self._heard(write(said))

    def see_off(self, *, at_once: bool) -> int | None:
        self.at_once = at_once
        return self.status


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Speaker]:
    child = Speaker()
    monkeypatch.setattr(reader, "Child", child)
    return child  # type: ignore[return-value]  # pytest takes a value where a generator could stand


ASKED = Wanted(engine_file="conf/engine.toml", config="a", in_force={"x": "y"}, standing={}, today=TODAY)


def started(clock: Clock) -> tuple[list[Any], list[Reached]]:
    results: list[Any] = []
    heard: list[Reached] = []
    ProcessReader(None, clock).look(ASKED, heard.append).addBoth(results.append)  # type: ignore[arg-type]  # no reactor
    return results, heard


def test_the_reader_is_asked_and_answers_and_is_seen_off(speaker: Speaker) -> None:
    results, heard = started(Clock())

    speaker.say(Reached(stage="tests", done=1, of=2))
    speaker.say(Found(config="b"))

    assert read_wanted(speaker.asked) == ASKED
    assert heard == [Reached(stage="tests", done=1, of=2)]
    assert results == [Found(config="b")]
    assert speaker.at_once


def sentence(results: list[Any]) -> str:
    (failure,) = results
    assert failure.check(NotRead)
    return str(failure.value)


def test_a_reader_that_crashes_or_is_killed_is_a_refusal_with_a_sentence(speaker: Speaker) -> None:
    for status, words in ((-9, "was ended by SIGKILL"), (3, "ended without a word (exit status 3)")):
        results, _ = started(Clock())
        speaker.status = status

        speaker.lost()

        assert sentence(results) == f"the reader of the new files {words}"


def test_a_reader_that_stands_still_is_ended_but_one_that_gets_on_has_all_its_time(speaker: Speaker) -> None:
    clock = Clock()
    results, _ = started(clock)

    for done in range(3):
        clock.advance(SILENT_SECONDS_MAX - 1)
        speaker.say(Reached(stage="tests", done=done))
    assert results == []
    clock.advance(SILENT_SECONDS_MAX)

    assert sentence(results) == "reading the new files and playing their tests stood still for 120 s"
    assert speaker.at_once


def test_of_an_error_in_the_reader_only_the_name_travels_and_memory_has_its_own_sentence(speaker: Speaker) -> None:
    first, _ = started(Clock())
    speaker.say(GaveUp(kind="RecursionError"))
    second, _ = started(Clock())
    speaker.say(GaveUp(kind="MemoryError"))

    assert "RecursionError: this is a fault of the engine" in sentence(first)
    assert sentence(second) == "the new files need more memory than the engine may take for them"
