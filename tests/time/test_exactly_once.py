"""Each deadline fires exactly once: killed at every commit, stored but never told, raced, moved and cancelled."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.base.errors import OutcomeUnknown
from referral_engine.flow.inputs import Input, Receipt, SweepMode, Ticked
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import DeadlineRow
from tests.flow.stage import BOOKING, ORDER, arrived, at, book, engine, sample, story
from tests.time.weeks import booking, fired, micros, missed, order, practice, states, swept

BACK = "2026-04-14 12:00"
KEY = bytes(range(32))


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class Machine:
    """Processes come and go; the files as a kill leaves them and the clock stay."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.clock = ManualClock(at("2026-03-02 09:00"))
        self.commits = 0
        self.kill_at = 0
        self.stored = False  # whether what is being committed when it dies reaches the disk
        self.start()

    def start(self) -> None:
        self.journal = Journal.open(str(self.folder / "journal.db"), KEY, node="RE", now=to_micros(self.clock.now()))
        self.step = Step(self.journal, book(), self.clock)
        really = self.journal._commit

        def commit() -> None:
            self.commits += 1
            if self.commits != self.kill_at:
                really()
                return
            if self.stored:
                really()
            raise Killed

        self.journal._commit = commit  # type: ignore[method-assign]  # the fault

    def die(self) -> None:
        """A kill closes nothing: what is on the disk at this moment is what the next process finds."""
        left = self.folder
        self.folder = left.with_name(f"{left.name}-")
        shutil.copytree(left, self.folder, ignore=shutil.ignore_patterns("*.lock", "*-shm"))
        self.journal._connection.close()

    def run(self, *inputs: Input) -> list[Receipt]:
        """Through the door; whoever is killed is started again, and whoever waited sends again."""
        while True:
            try:
                return self.step.run(inputs)
            except Killed:
                self.die()
                self.start()

    def catch_up(self) -> list[SweepMode]:
        """Every process hears the senders first; the modes of its ticks."""
        modes = []
        while True:
            (first,) = self.run(Ticked(staged=True))
            modes.append(swept(first).mode)
            if modes[-1] is SweepMode.NORMAL:
                return modes
            self.run(arrived(booking(0)))
            for _ in range(3):
                (receipt,) = self.run(Ticked(staged=True, drained=True, limit=4))
                modes.append(swept(receipt).mode)


@pytest.fixture(scope="module")
def monday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four referrals on a Monday morning; then the machine goes off."""
    machine = Machine(tmp_path_factory.mktemp("monday"))
    machine.run(*(arrived(order(number)) for number in range(3)), arrived(sample(ORDER)), arrived(sample(BOOKING)))
    machine.clock.move_to(at("2026-03-02 09:03"))
    machine.run(Ticked())
    machine.die()
    return machine.folder


def _week(monday: Path, path: Path, kill_at: int = 0, *, stored: bool = False) -> tuple[Machine, list[SweepMode]]:
    """Six weeks of downtime, and a kill at one commit of the way back."""
    shutil.copytree(monday, path)
    machine = Machine(path)
    machine.commits = 0
    machine.kill_at, machine.stored = kill_at, stored
    machine.clock.move_to(at(BACK))
    return machine, machine.catch_up()


def _whole(machine: Machine) -> tuple[object, ...]:
    """What fired, what is owed and what people are asked, whoever was killed on the way."""
    reading = machine.journal.read()
    events = fired(machine.journal)
    return (
        Counter((one.referral, one.summary, one.reason.split(",")[0]) for one in events),
        Counter((one.referral, one.recipient, one.purpose, one.state.value) for one in reading.owed_after(0)),
        Counter((one.referral, one.kind) for one in reading.tasks(done=True)),
        states(machine.journal),
    )


@pytest.fixture(scope="module")
def undisturbed(monday: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[object, ...], int]:
    machine, modes = _week(monday, tmp_path_factory.mktemp("week") / "journal")
    assert modes[0] is SweepMode.WAITING
    assert modes.count(SweepMode.CATCHING_UP) > 3
    assert missed(machine.journal, to_micros(machine.clock.now())) == []
    assert sum(states(machine.journal)[one] for one in ["fired"]) == len(fired(machine.journal)) > 12
    return _whole(machine), machine.commits


@pytest.mark.parametrize("stored", [False, True], ids=["before-the-disk", "after-the-disk"])
def test_killed_at_any_commit_of_a_catch_up_every_deadline_fires_exactly_once(
    tmp_path: Path, monday: Path, undisturbed: tuple[tuple[object, ...], int], stored: bool
) -> None:  # F-C08, F-C09
    whole, commits = undisturbed

    for kill_at in range(1, commits + 1):
        machine, modes = _week(monday, tmp_path / f"{kill_at}", kill_at, stored=stored)
        assert _whole(machine) == whole, f"killed at commit {kill_at}"
        assert modes[-1] is SweepMode.NORMAL
        assert machine.journal.read().conservation().holds
        machine.journal._connection.close()


def test_a_commit_that_is_stored_and_says_it_failed_fires_nothing_twice(tmp_path: Path) -> None:  # F-C09
    machine = Machine(tmp_path / "journal")
    machine.run(arrived(sample(ORDER)))
    machine.clock.move_to(at("2026-03-02 09:02"))
    really = machine.journal._commit

    def commit() -> None:
        really()
        raise OutcomeUnknown("the disk said no and did it")

    machine.journal._commit = commit  # type: ignore[method-assign]  # the fault
    with pytest.raises(OutcomeUnknown):
        machine.step.run([Ticked(staged=True)])
    machine.die()
    machine.start()

    (again,) = machine.run(Ticked(staged=True))

    assert again.fired == 0
    assert len(fired(machine.journal)) == 1


def test_two_sweepers_at_one_journal_fire_each_deadline_once() -> None:  # F-C10
    stage = practice(6)
    stage.clock.move_to(at("2026-03-10 12:00"))
    other = Step(stage.journal, stage.book, stage.clock)  # it remembers other clocks than the first
    tick = Ticked(staged=True, drained=True, limit=3)

    number = 0
    for _ in range(20):
        number += sum(receipt.fired for step in (stage.step, other) for receipt in step.run([tick, tick]))

    events = fired(stage.journal)
    assert number == sum(one.at == micros(stage) for one in events) > 6
    assert missed(stage.journal, micros(stage)) == []
    assert states(stage.journal)["fired"] == len(events)


def test_a_deadline_that_is_moved_while_it_is_being_fired_does_not_fire() -> None:  # F-C11
    stage = engine()
    stage.receive(sample(ORDER))
    (prompt,) = [one for one in story(stage).deadlines if one.kind == "patient-prompt"]

    with stage.journal.batch(prompt.due_at) as unit:
        (seen,) = unit.due(prompt.due_at, 1)
        later = DeadlineRow(referral=seen.referral, kind=seen.kind, generation=seen.generation, due_at=seen.due_at + 1)
        unit.change_deadlines(seen.referral, [later], [])
        fired_as_seen = unit.fire(seen, unit.next_sequence())
        unit.change_deadlines(seen.referral, [], [(seen.kind, seen.generation)])
        fired_when_cancelled = unit.fire(later, unit.next_sequence())

    assert (fired_as_seen, fired_when_cancelled) == (False, False)


def test_a_booking_in_the_batch_of_the_tick_wins_or_loses_and_neither_happens_twice() -> None:  # F-C11
    for first in ("booking", "tick"):
        stage = practice(1, cardiology=True)
        stage.clock.move_to(at("2026-03-10 12:00"))
        inputs: list[Input] = [arrived(booking(0)), Ticked()]

        stage.step.run(inputs if first == "booking" else inputs[::-1])

        reading = stage.journal.read()
        escalations = [one for one in reading.tasks(done=True) if one.kind == "schedule"]
        assert [one.state.value for one in escalations] == ([] if first == "booking" else ["done"])
        assert sum("schedule ran out" in one.summary for one in fired(stage.journal)) == (first == "tick")


STEPS = st.lists(
    st.lists(
        st.one_of(
            st.integers(0, 2).map(lambda number: ("order", number)),
            st.integers(0, 2).map(lambda number: ("booking", number)),
            st.sampled_from([1, 2, 60, 1_500, 20_000]).map(lambda minutes: ("pass", minutes)),
            st.sampled_from([1, 2, 50]).map(lambda limit: ("tick", limit)),
            st.sampled_from([1, 2, 50]).map(lambda limit: ("staged", limit)),
        ),
        min_size=1,
        max_size=5,
    ),
    max_size=10,
)


@given(STEPS)
@settings(max_examples=15)
def test_whatever_meets_in_one_batch_nothing_fires_twice_early_or_never(steps: list[list[tuple[str, int]]]) -> None:
    stage = engine()  # F-C11
    for number in range(2):
        stage.receive(order(number, ORDER))

    for batch in steps:
        inputs: list[Input] = []
        for what, number in batch:
            match what:
                case "order":
                    inputs.append(arrived(order(number, ORDER)))
                case "booking":
                    inputs.append(arrived(booking(number)))
                case "pass":
                    stage.clock.move_to(stage.clock.now() + timedelta(minutes=number))
                case "tick":
                    inputs.append(Ticked(limit=number))
                case _:
                    inputs.append(Ticked(limit=number, staged=True, drained=True))
        if inputs:
            stage.step.run(inputs)
        events = fired(stage.journal)
        assert states(stage.journal)["fired"] == len(events)
        assert all(at_least(one.reason) <= one.at for one in events)
    while stage.step.run([Ticked()])[0].fired:  # a clock may start another that has run out, too
        pass

    assert missed(stage.journal, micros(stage)) == []
    assert stage.journal.read().conservation().holds


def at_least(reason: str) -> int:
    """The instant a clock was due, from its event's reason."""
    return to_micros(datetime.fromisoformat(reason.removeprefix("due ").split(",")[0]))
