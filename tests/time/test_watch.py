"""The watch over the machine's clock: what is believed, what is recorded meanwhile, and what falls due by it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from referral_engine.base.clock import MICROSECONDS, from_micros, to_micros
from referral_engine.base.watch import AHEAD, AWAY, BEHIND, DEAD, ClockWatch, Readings, Sanity
from referral_engine.service.clock import GuardedClock, MachineClock
from tests.builders import utc

NOON = utc("2026-03-02 12:00")


class Machine:
    """A machine whose three counters the test moves; the watch looks every four seconds while it runs."""

    def __init__(self, wall: datetime = NOON, *, recorded: datetime = NOON) -> None:
        self.wall, self.monotonic, self.boottime = to_micros(wall), 7_000_000, 9_000_000
        self.watch = ClockWatch(to_micros(recorded))
        self.given = [to_micros(recorded)]
        self.look()

    def look(self) -> datetime:
        self.given.append(self.watch.now(Readings(self.wall, self.monotonic, self.boottime)))
        return from_micros(self.given[-1])

    def runs(self, **length: float) -> Machine:
        """Time passes, and the watch looks now and then."""
        whole = timedelta(**length) // timedelta(microseconds=1)
        while whole > 0:
            part = min(whole, 4 * MICROSECONDS if whole < 600 * MICROSECONDS else 60 * MICROSECONDS)
            self.pass_by(part)
            self.look()
            whole -= part
        return self

    def pass_by(self, micros: int, *, asleep: bool = False) -> None:
        self.wall += micros
        self.boottime += micros
        self.monotonic += 0 if asleep else micros

    def sleeps(self, **length: float) -> Machine:
        self.pass_by(timedelta(**length) // timedelta(microseconds=1), asleep=True)
        self.look()
        return self

    def is_set(self, **by: float) -> Machine:
        self.wall += timedelta(**by) // timedelta(microseconds=1)
        self.look()
        return self

    def is_set_to(self, wall: datetime) -> Machine:
        self.wall = to_micros(wall)
        self.look()
        return self

    @property
    def recorded(self) -> datetime:
        return from_micros(self.watch.recorded)

    @property
    def due_by(self) -> datetime:
        return from_micros(self.watch.due_by)


def test_a_clock_that_runs_is_sane_and_is_what_is_recorded() -> None:
    machine = Machine().runs(hours=3)

    assert machine.watch.sanity is Sanity.SANE
    assert machine.recorded == machine.due_by == NOON + timedelta(hours=3)


def test_an_hour_forward_is_believed_and_shown_for_a_while() -> None:  # F-C01, H087
    machine = Machine().runs(minutes=1).is_set(hours=1)

    assert (machine.watch.sanity, machine.watch.steps, machine.watch.reason) == (Sanity.STEPPED, 1, "")
    assert machine.recorded == NOON + timedelta(minutes=61)
    assert machine.runs(hours=2).watch.sanity is Sanity.SANE


def test_ten_years_forward_are_not_believed_and_never_recorded() -> None:  # F-C01, H087
    machine = Machine().runs(minutes=1).is_set(days=3653).runs(hours=2)

    assert machine.watch.reason == AHEAD
    assert machine.recorded == NOON + timedelta(hours=2, minutes=1)
    assert machine.due_by == machine.recorded

    machine.is_set(days=-3653)  # somebody corrects it: no trace is left
    assert machine.watch.reason == ""
    assert machine.recorded == NOON + timedelta(hours=2, minutes=1)


def test_a_day_forward_that_a_person_confirms_is_believed_until_the_clock_is_set_again() -> None:
    machine = Machine().is_set(days=3)
    assert machine.watch.reason == AHEAD

    assert machine.watch.confirm() == ""
    assert machine.recorded == NOON + timedelta(days=3)
    assert machine.runs(minutes=5).watch.reason == ""
    assert machine.is_set(days=9).watch.reason == AHEAD


def test_two_hours_back_fence_until_the_clock_is_past_what_is_recorded() -> None:  # F-C02, H087
    machine = Machine().runs(hours=1).is_set(hours=-2)
    assert machine.watch.reason == BEHIND
    stepped = machine.recorded

    machine.runs(minutes=30)
    assert machine.recorded == stepped + timedelta(minutes=15)  # half speed: nothing stands still
    assert machine.due_by == machine.recorded - timedelta(hours=1, minutes=45)

    machine.runs(hours=4)
    assert machine.watch.reason == ""
    assert machine.recorded == machine.due_by == NOON + timedelta(hours=-1 + 4, minutes=30)


def test_two_hours_back_that_a_person_confirms_fire_by_the_wall_and_are_recorded_after_what_was() -> None:
    machine = Machine().runs(hours=1).is_set(hours=-2)

    assert machine.watch.confirm() == ""

    assert machine.watch.sanity is Sanity.STEPPED
    assert machine.due_by == NOON - timedelta(hours=1)
    assert machine.recorded == NOON + timedelta(hours=1)
    assert machine.runs(minutes=10).watch.reason == ""


def test_a_minute_back_is_nobodys_worry() -> None:
    machine = Machine().runs(hours=1).is_set(minutes=-1)

    assert machine.watch.sanity is Sanity.STEPPED
    assert machine.runs(minutes=3).recorded == machine.due_by


def test_an_empty_battery_is_not_believed_and_nothing_is_lost_when_the_time_server_answers() -> None:  # F-C02
    machine = Machine(utc("1970-01-01 00:00"), recorded=NOON).runs(minutes=2)
    assert machine.watch.reason == DEAD
    assert machine.watch.confirm() == DEAD
    assert machine.recorded == NOON + timedelta(minutes=2)

    machine.is_set_to(NOON + timedelta(days=3))  # it was off for three days
    assert machine.watch.reason == ""
    assert machine.recorded == NOON + timedelta(days=3)


def test_a_new_journal_on_a_dead_clock_believes_the_first_sane_time() -> None:
    born = utc("1970-01-01 00:00")
    machine = Machine(born, recorded=born).runs(minutes=2)
    assert machine.watch.reason == DEAD

    assert machine.is_set_to(NOON).watch.reason == ""
    assert machine.recorded == NOON


def test_a_battery_that_dies_for_days_while_running_leaves_no_jump_behind() -> None:
    machine = Machine().runs(minutes=1).is_set_to(utc("1970-01-01 00:00")).runs(days=3)

    machine.is_set_to(NOON + timedelta(days=3, minutes=1))

    assert machine.watch.reason == ""
    assert machine.recorded == NOON + timedelta(days=3, minutes=1)


def test_a_week_of_sleep_is_no_step() -> None:  # F-A13
    machine = Machine().runs(minutes=1).sleeps(days=7)

    assert (machine.watch.sanity, machine.watch.steps) == (Sanity.SANE, 0)
    assert machine.watch.asleep == timedelta(days=7) // timedelta(microseconds=1)
    assert machine.recorded == NOON + timedelta(days=7, minutes=1)


def test_a_virtual_machine_that_stood_for_a_week_waits_for_a_person() -> None:  # F-A13
    machine = Machine().runs(minutes=1).is_set(days=7)  # its own counters stood, too

    assert machine.watch.reason == AHEAD
    assert machine.watch.confirm() == ""
    assert machine.recorded == NOON + timedelta(days=7, minutes=1)


def test_a_week_of_downtime_is_believed_and_a_year_of_it_is_not() -> None:  # F-C08, H087
    assert Machine(NOON + timedelta(days=7), recorded=NOON).watch.reason == ""

    year = Machine(NOON + timedelta(days=365), recorded=NOON)
    assert year.watch.reason == AWAY
    assert year.runs(minutes=5).recorded == NOON + timedelta(minutes=5)
    assert year.watch.confirm() == ""
    assert year.recorded == NOON + timedelta(days=365, minutes=5)


@pytest.mark.parametrize("ppm", [500, -500])
def test_slewing_is_no_step(ppm: int) -> None:  # F-C03
    machine = Machine()
    for _ in range(10_000):
        machine.pass_by(4 * MICROSECONDS)
        machine.wall += 4 * ppm
        machine.look()

    assert (machine.watch.sanity, machine.watch.steps) == (Sanity.SANE, 0)
    assert machine.recorded == from_micros(machine.wall)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["runs", "sleeps", "set", "confirm"]),
        st.integers(-400 * 86_400, 400 * 86_400),
    ),
    max_size=30,
)


@given(MOVES)
def test_recorded_time_never_goes_back_never_stands_and_nothing_is_due_before_the_wall_says_so(
    moves: list[tuple[str, int]],
) -> None:
    machine = Machine()

    for what, seconds in moves:
        before, ran = machine.watch.recorded, abs(seconds) % 90_000 * MICROSECONDS
        if what == "set":
            machine.wall = max(machine.wall + seconds * MICROSECONDS, 0)
            ran = 0
        elif what == "confirm":
            machine.watch.confirm()
            ran = 0
        else:
            machine.pass_by(ran, asleep=what == "sleeps")
        machine.look()
        assert machine.watch.recorded >= before + ran // 2
        assert machine.watch.due_by <= max(machine.wall, 0)
        assert machine.watch.due_by <= machine.watch.recorded

    assert all(one <= other for one, other in pairwise(machine.given))


@given(st.lists(st.integers(25 * 3600, 400 * 86_400), min_size=1, max_size=10))
def test_no_wrong_year_is_ever_recorded_without_a_person(steps: list[int]) -> None:
    machine = Machine()

    for step in steps:
        machine.runs(seconds=8).is_set(seconds=step)

    assert machine.recorded == NOON + timedelta(seconds=8 * len(steps))


def test_the_machine_itself_is_read_in_order_and_runs() -> None:
    clock = GuardedClock(MachineClock().readings, high_water=0)

    first, second = clock.look(), clock.look()

    assert second.now >= first.now
    assert first.reason == ""
    assert clock.confirm()  # nothing is in doubt, says a sentence
