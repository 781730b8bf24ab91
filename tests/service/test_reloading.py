"""A reload from the order to the last word: both halves go over or neither does, and the old files stay on any error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from referral_engine.base.clock import ManualClock
from referral_engine.base.errors import ConfigError, NoRoom, Problem, Refused, TookTooLong
from referral_engine.channels.book import Book, read_book
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.service.door import Door
from referral_engine.service.executor import SynchronousExecutor
from referral_engine.service.found import Found, Reached, Wanted, pack
from referral_engine.service.host import LocalHost
from referral_engine.service.notify import Notify
from referral_engine.service.reader import NotRead
from referral_engine.service.reload_shapes import InForce
from referral_engine.service.reloading import ANSWER_SECONDS, WAITING_MAX, Reloading
from referral_engine.service.running import Move
from tests.outbound.site import START

FIRST = {"conf/engine.toml": '[practice]\nname = "Springfield"\n'}
SECOND = {"conf/engine.toml": '[practice]\nname = "Springfield Clinic"\n'}
WRONG = Problem(file="channels/x.toml", line=3, column=1, code="CH101", sentence='unknown key "tittle" in [channel]')
WARNING = Problem(file="channels/x.toml", line=1, column=1, code="CHW01", sentence="there is no test", warning=True)
FAILED = {"file": "channels/x.toml", "line": 9, "channel": "x", "name": "an order is ours", "steps": []}


def read(files: dict[str, str], **changes: Any) -> Found:
    """What the reader says of good files."""
    book = read_book(files)
    return Found(config=book.version, files=files, book=pack(book), **changes)


class Engine:
    """Reloading over a real door and a real journal; the reader and the daemon's half are the test's."""

    def __init__(self, directory: Path) -> None:
        self.timer = Clock()
        self.clock = ManualClock(START)
        self.happened: list[str] = []
        self.asked: list[Wanted] = []
        self.reading: list[Deferred[Found]] = []
        self.said: list[str] = []
        self.refuses: ConfigError | None = None
        self.breaks: Exception | None = None
        book = read_book(FIRST)
        self.journal = Journal.open(str(directory / "journal.db"), None, node="RE", now=0)
        self.step = Step(self.journal, book, self.clock)
        self.host = LocalHost(
            step=self.step, read=self.journal.read, executor=SynchronousExecutor(), offer=self.step.offer
        )
        self.door = Door(host=self.host, clock=self.timer)
        self.reloading = Reloading(
            InForce(book=book, files=FIRST), door=self.door, reader=self, prepare=self.prepare, timer=self.timer,
            clock=self.clock, notify=Notify(lambda text: self.said.append(text.decode())), engine_file="conf/engine.toml",
            apart=lambda: self.happened.append("apart"),
        )  # fmt: skip
        Deferred.fromCoroutine(self.reloading.start())
        self.turn()

    def look(self, wanted: Wanted, heard: Any) -> Deferred[Found]:
        self.asked.append(wanted)
        self.heard = heard
        self.reading.append(Deferred())
        return self.reading[-1]

    def prepare(self, book: Book) -> Move:
        if self.refuses is not None:
            raise self.refuses
        self.happened.append("prepared")

        def carry_out() -> None:
            self.happened.append(f"carried out with the journal at {self.journal.read().versions(limit=1)[0].number}")
            assert self.step.book.version == book.version
            if self.breaks is not None:
                raise self.breaks

        return Move(carry_out=carry_out, abandon=lambda: self.happened.append("abandoned"))

    def turn(self) -> None:
        for _ in range(4):
            self.timer.advance(0)

    def ask(self, **words: object) -> int:
        ticket = self.reloading.questions()["reload"]({"by": "ana", **words})
        return int(ticket["ticket"])  # type: ignore[index,call-overload]  # it is a shape

    def told(self, ticket: int) -> dict[str, Any]:
        answers: list[dict[str, Any]] = []
        self.reloading.questions()["reload-look"]({"ticket": ticket}).addCallback(answers.append)  # type: ignore[union-attr]  # it is a Deferred
        self.timer.advance(ANSWER_SECONDS)
        return answers[0]

    def answer(self, found: Found | Exception) -> None:
        reading = self.reading.pop(0)
        if isinstance(found, Found):
            reading.callback(found)
        else:
            reading.errback(found)
        self.turn()

    def reload(self, found: Found | Exception, **words: object) -> dict[str, Any]:
        ticket = self.ask(**words)
        self.answer(found)
        return self.told(ticket)

    def audit(self) -> list[tuple[str, str, str]]:
        rows = self.journal._connection.execute("SELECT actor, action, outcome FROM audit ORDER BY rowid").fetchall()
        return [tuple(row) for row in rows if str(row[1]).startswith("config")]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path)
    yield made
    made.journal.close()


def in_force(engine: Engine) -> tuple[int, str]:
    """What `status`, the journal and the door agree on."""
    status = engine.reloading.status()
    newest = engine.journal.read().versions(limit=1)[0]
    assert (newest.number, newest.config) == (status["number"], status["version"])
    assert engine.step.book.version == engine.reloading.in_force.book.version == status["version"]
    return newest.number, newest.config


def test_a_start_numbers_the_files_and_says_who_since_when(engine: Engine) -> None:
    status = engine.reloading.status()

    assert in_force(engine)[0] == 1
    assert (status["by"], status["action"], status["refused"]) == ("engine", "start", None)
    assert status["since"] == "2026-01-05T09:00:00Z"


def test_new_files_are_in_the_journal_before_the_daemon_follows(engine: Engine) -> None:
    told = engine.reload(read(SECOND, problems=[WARNING], tests=4), reason="a new name")

    assert engine.happened == ["prepared", "carried out with the journal at 2"]
    assert (told["outcome"], told["configuration"]["number"], told["configuration"]["by"]) == ("active", 2, "ana")
    assert told["changed"]["files"] == {"added": [], "changed": ["conf/engine.toml"], "removed": []}
    assert [one["code"] for one in told["problems"]] == ["CHW01"]
    assert in_force(engine)[0] == 2


def test_the_reader_is_told_what_is_in_force_so_that_it_plays_the_right_tests(engine: Engine) -> None:
    engine.reload(read(SECOND))
    engine.ask()

    assert [one.in_force for one in engine.asked] == [FIRST, SECOND]
    assert engine.asked[1].config == in_force(engine)[1]
    assert engine.asked[0].standing["journal.path"] == "var/journal.db"


def test_files_that_did_not_change_get_no_number_but_certificates_are_read_again(engine: Engine) -> None:
    told = engine.reload(read(FIRST))

    assert (told["outcome"], in_force(engine)[0]) == ("unchanged", 1)
    assert engine.happened == ["prepared", "carried out with the journal at 1"]


# H100, F-J09
def test_wrong_files_are_refused_and_status_says_so_until_good_ones_come(engine: Engine) -> None:
    told = engine.reload(Found(files=SECOND, problems=[WARNING, WRONG]))

    assert (told["outcome"], in_force(engine)[0], engine.happened) == ("refused", 1, [])
    assert engine.reloading.status()["refused"] == {
        "at": "2026-01-05T09:00:00Z", "by": "ana", "problems": 1, "hint": "referral-engine check",
        "first": 'channels/x.toml:3:1: error[CH101]: unknown key "tittle" in [channel]',
    }  # fmt: skip
    assert engine.audit()[-1] == ("ana", "config refused", "CH101")

    engine.reload(read(SECOND))

    assert engine.reloading.status()["refused"] is None


def test_a_test_that_fails_keeps_the_files_out_unless_somebody_says_why(engine: Engine) -> None:
    refused = engine.reload(read(SECOND, failures=[FAILED], tests=3))
    status = engine.reloading.status()["refused"]
    forced = engine.reload(read(SECOND, failures=[FAILED], tests=3), force=True, reason="the test is wrong")

    assert (refused["outcome"], refused["failures"]) == ("refused", [FAILED])
    assert status["first"] == 'channels/x.toml:9: the test "an order is ours" fails'  # type: ignore[index]  # a shape
    assert (forced["outcome"], in_force(engine)[0]) == ("active", 2)
    newest = engine.journal.read().versions(limit=1)[0]
    assert (newest.forced, newest.reason) == (True, "the test is wrong")


def test_force_does_not_force_what_is_wrong(engine: Engine) -> None:
    told = engine.reload(Found(files=SECOND, problems=[WRONG]), force=True, reason="hurry")

    assert (told["outcome"], in_force(engine)[0]) == ("refused", 1)


@pytest.mark.parametrize(
    "words", [{"force": True}, {"force": True, "reason": "  "}, {"action": "rollback"}, {"action": "start"}, {"by": ""}]
)
def test_an_order_without_its_reason_or_its_person_is_refused(engine: Engine, words: dict[str, object]) -> None:
    with pytest.raises(Refused):
        engine.ask(**words)

    assert engine.asked == []


def test_a_port_that_cannot_be_bound_is_found_before_the_journal_goes_over(engine: Engine) -> None:
    engine.refuses = ConfigError([Problem(file="conf/engine.toml", line=0, column=1, code="RUN2", sentence="in use")])

    told = engine.reload(read(SECOND))

    assert (told["outcome"], told["problems"][0]["code"]) == ("refused", "RUN2")
    assert in_force(engine)[0] == 1


def test_a_full_disk_takes_back_what_was_prepared(engine: Engine) -> None:
    run = engine.host.run
    engine.host.run = lambda inputs: fail(NoRoom("full"))  # type: ignore[method-assign]

    told = engine.reload(read(SECOND))

    assert engine.happened == ["prepared", "abandoned"]
    assert (told["outcome"], told["sentence"]) == ("refused", "the journal did not take it (NoRoom)")
    engine.host.run = run  # type: ignore[method-assign]
    assert in_force(engine)[0] == 1


def test_a_journal_that_cannot_keep_the_book_aside_takes_back_what_was_prepared(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        engine.host, "prepare", lambda _book: fail(RuntimeError("the journal's process met MemoryError"))
    )

    told = engine.reload(read(SECOND))

    assert (told["outcome"], told["sentence"]) == ("refused", "the journal did not take it (RuntimeError)")
    assert engine.happened == ["prepared", "abandoned"]
    assert in_force(engine)[0] == 1


def test_what_is_in_force_is_never_told_as_refused_because_a_question_failed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.door, "look", lambda *_words, **_more: fail(TookTooLong("a question")))

    told = engine.reload(read(SECOND), by="ana")

    assert (told["outcome"], told["configuration"]["number"], told["configuration"]["by"]) == ("active", 2, "ana")
    assert in_force(engine)[0] == 2
    assert engine.reloading.status()["refused"] is None


def test_a_signal_behind_a_full_queue_is_covered_by_those_that_wait(engine: Engine) -> None:
    for _ in range(WAITING_MAX + 1):
        engine.ask()

    engine.reloading.hang_up()

    assert len(engine.asked) == 1


def test_a_reader_that_crashed_is_a_refusal_and_the_engine_goes_on(engine: Engine) -> None:
    told = engine.reload(NotRead("the reader of the new files was ended by SIGKILL"))

    assert (told["outcome"], told["sentence"]) == ("refused", "the reader of the new files was ended by SIGKILL")
    assert engine.reloading.status()["refused"]["hint"] == "journalctl -u referral-engine"  # type: ignore[index]  # a shape
    assert engine.reload(read(SECOND))["outcome"] == "active"


def test_a_daemon_that_cannot_follow_its_journal_starts_again(engine: Engine) -> None:
    engine.breaks = RuntimeError("a bug")

    engine.reload(read(SECOND))

    assert engine.happened[-1] == "apart"


def test_files_that_somebody_changed_during_a_rollback_are_not_taken_for_it(engine: Engine) -> None:
    told = engine.reload(read(SECOND), action="rollback", reason="back", config="another")

    assert (told["outcome"], in_force(engine)[0]) == ("refused", 1)
    assert told["sentence"] == "the files are not the ones that were put back: somebody changed them meanwhile"


def test_a_rollback_is_a_new_version_of_its_own(engine: Engine) -> None:
    engine.reload(read(SECOND))

    engine.reload(read(FIRST), action="rollback", reason="it was better", config=read(FIRST).config)

    rows = engine.journal.read().versions(limit=9)
    assert [(row.number, row.action) for row in rows] == [(3, "rollback"), (2, "reload"), (1, "start")]
    assert rows[0].config == rows[2].config


def test_one_at_a_time_and_whoever_comes_second_is_told_of_the_first(engine: Engine) -> None:
    first, second = engine.ask(), engine.ask()
    engine.heard(Reached(stage="tests", done=2, of=7))

    assert len(engine.reading) == 1
    assert [engine.told(first)[name] for name in ("stage", "steps", "of")] == ["tests", 2, 7]
    assert engine.told(second)["stage"] == "waiting"
    engine.answer(read(SECOND))
    engine.answer(read(SECOND))
    assert [engine.told(one)["outcome"] for one in (first, second)] == ["active", "unchanged"]


def test_two_signals_during_a_reload_are_one_more_reload(engine: Engine) -> None:
    engine.reloading.hang_up()
    engine.reloading.hang_up()
    engine.reloading.hang_up()

    engine.answer(read(SECOND))
    engine.answer(read(SECOND))

    assert engine.reading == []
    assert (len(engine.asked), engine.reloading.status()["by"]) == (2, "signal")


def test_a_caller_in_a_loop_is_refused_before_it_fills_anything(engine: Engine) -> None:
    for _ in range(WAITING_MAX + 1):
        engine.ask()

    with pytest.raises(Refused):
        engine.ask()


def test_an_engine_that_stops_takes_nothing_up(engine: Engine) -> None:
    ticket = engine.ask()
    engine.reloading.stop()
    engine.answer(read(SECOND))

    assert engine.happened == []
    assert not engine.told(ticket)["done"]


def test_a_reader_that_ends_with_the_engine_says_nothing_about_the_files(engine: Engine) -> None:
    ticket = engine.ask()
    engine.reloading.stop()

    engine.answer(NotRead("the reader of the new files was ended by SIGKILL"))

    assert engine.told(ticket)["outcome"] == ""
    assert engine.reloading.status()["refused"] is None


def test_systemd_hears_when_it_begins_and_what_is_in_force_after(engine: Engine) -> None:
    engine.timer.advance(12.5)
    engine.reload(read(SECOND))
    engine.reload(Found(problems=[WRONG]))

    assert engine.said[0] == "RELOADING=1\nMONOTONIC_USEC=12500000"
    assert engine.said[1] == "READY=1\nSTATUS=configuration 2"
    assert engine.said[3] == "READY=1\nSTATUS=configuration 2; a newer configuration was refused"
