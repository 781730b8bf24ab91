"""The sweeper in a machine whose clock is set, sleeps, dies and comes back; and a week of downtime from end to end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from referral_engine.flow.inputs import SweepMode
from tests.flow.stage import ORDER
from tests.time.house import House
from tests.time.weeks import booking, fired, missed, order, placer, states


def _made(number: int = 2, folder: Path | None = None) -> House:
    house = House(folder)
    house.receive(*(order(one, ORDER) for one in range(number)))
    house.runs(minutes=3)
    assert (house.says("mode"), house.says("fired")) == ("normal", number)
    return house


# -- long and short silences


def test_a_restart_of_minutes_fires_at_once_what_fell_due() -> None:
    house = House()
    house.receive(order(1, ORDER))
    house.stop()
    house.off(minutes=5)

    house.open()

    assert (house.says("mode"), house.says("fired")) == ("normal", 1)


def test_after_a_week_off_the_listeners_are_up_for_fifteen_minutes_before_anything_fires() -> None:
    house = _made()  # F-C08
    house.stop()
    house.off(days=9)

    house.open()
    assert house.says("mode") == "waiting"
    assert house.says("overdue") >= 4
    assert "queued at the senders" in house.says("reason")
    assert house.says("downtime_seconds") >= 9 * 86_400
    house.runs(minutes=14)
    assert (house.says("mode"), house.says("fired")) == ("waiting", 0)

    house.runs(minutes=2)
    assert house.says("mode") == "normal"
    assert house.says("fired") == house.says("fired_late") >= 4
    assert house.says("overdue") == 0


def test_senders_that_still_bring_their_queue_are_waited_for() -> None:
    house = _made()
    house.stop()
    house.off(days=9)
    house.open()

    for _ in range(20):  # a hundred messages a minute
        house.came += 100
        house.runs(minutes=1)
    assert house.says("mode") == "waiting"

    house.runs(minutes=3)
    assert house.says("mode") == "normal"


def test_a_site_that_is_always_busy_is_waited_for_an_hour_at_most() -> None:
    house = _made()
    house.stop()
    house.off(days=9)
    house.open()

    for minute in range(62):
        house.came += 600
        house.runs(minutes=1)
        assert house.says("mode") == "waiting" or minute >= 59

    assert house.says("mode") == "normal"


def test_a_person_who_knows_that_the_senders_are_empty_need_not_wait() -> None:
    house = _made()
    house.stop()
    house.off(days=9)
    house.open()

    assert house.decide("now") == ""
    house.runs(seconds=30)

    assert (house.says("mode"), house.says("overdue")) == ("normal", 0)
    assert house.says("fired") >= 4


def test_a_pause_holds_through_a_restart_and_intake_goes_on() -> None:
    house = _made()
    assert house.decide("pause") == ""
    house.runs(hours=3)
    house.stop()
    house.open()
    house.runs(minutes=1)

    assert (house.says("mode"), house.says("paused_by"), house.says("fired")) == ("paused", "dana", 0)
    assert b"MSA|AA" in house.receive(order(7, ORDER))[0].answer
    assert house.decide("resume") == ""
    house.runs(minutes=20)
    assert house.says("mode") == "normal"
    assert house.says("fired") == 1


def test_a_word_nobody_knows_is_refused() -> None:
    house = _made(1)

    assert house.decide("panic").startswith("'panic' is not one of")
    assert house.decide("confirm") == "the machine's clock is not in doubt"


@pytest.mark.parametrize("how", ["sleeps", "stands"])
def test_a_machine_that_slept_or_a_process_that_stood_hears_the_senders_first(how: str) -> None:
    house = _made()  # F-A13

    getattr(house, how)(days=7, hours=1)
    house.runs(minutes=10)
    assert (house.says("mode"), house.says("fired")) == ("waiting", 2)
    house.runs(minutes=6)

    assert house.says("mode") == "normal"
    assert missed(house.journal, house.wall) == []
    assert states(house.journal)["fired"] == len(fired(house.journal)) > 2


# -- a clock that is set


def test_a_year_forward_fires_nothing_is_told_once_and_leaves_no_trace_when_it_is_corrected() -> None:
    house = _made()  # F-C01, H087

    house.is_set(days=366)
    house.runs(minutes=30)
    assert (house.says("mode"), house.says("fired")) == ("fenced", 2)
    assert "jumped ahead" in house.says("reason")
    assert house.sweeper.clock_status()["sanity"] == "fenced"
    assert b"MSA|AA" in house.receive(order(7, ORDER))[0].answer
    told = [task for task in house.journal.read().tasks() if "clock" in task.reason]
    assert len(told) == 1

    house.is_set(days=-366)
    house.runs(minutes=1)
    assert house.says("mode") in ("waiting", "normal")
    house.runs(minutes=20)
    assert (house.says("mode"), house.says("fired")) == ("normal", 3)  # the new order's prompt, and nothing else
    assert house.journal.high_water <= house.wall
    assert missed(house.journal, house.wall) == []


def test_a_year_forward_that_a_person_confirms_is_caught_up_like_a_downtime() -> None:
    house = _made()
    house.runs(minutes=20)
    house.is_set(days=40)
    house.runs(minutes=1)
    assert house.says("mode") == "fenced"

    assert house.decide("confirm") == ""
    house.runs(minutes=20)

    assert house.says("mode") == "normal"
    assert house.says("fired_late") >= 4


def test_an_hour_forward_freezes_and_doubles_nothing() -> None:  # F-C01, H087
    house = _made()

    house.is_set(hours=1)
    house.receive(order(7, ORDER))
    house.runs(minutes=20)

    assert house.says("mode") == "normal"
    assert states(house.journal)["fired"] == len(fired(house.journal)) == 3


def test_two_hours_back_fire_nothing_early_and_nothing_twice() -> None:  # F-C02, H087
    house = _made()
    house.receive(order(7, ORDER))  # its prompt is due in two minutes

    house.is_set(hours=-2)
    house.runs(minutes=30)
    assert (house.says("mode"), house.says("fired")) == ("fenced", 2)

    house.runs(hours=5)
    assert house.says("mode") == "normal"
    assert states(house.journal)["fired"] == len(fired(house.journal)) == 3


def test_a_start_in_1970_takes_messages_and_waits_for_the_time_server() -> None:  # F-C02
    house = _made()
    house.stop()
    wall = house.wall
    house.wall = 3_600_000_000

    house.open()
    house.runs(minutes=1)
    assert house.says("mode") == "fenced"
    assert b"MSA|AA" in house.receive(order(7, ORDER))[0].answer
    assert house.decide("confirm").startswith("the machine's clock shows a year")

    house.wall = wall + 90_000_000
    house.runs(minutes=3)
    assert (house.says("mode"), house.says("fired")) == ("normal", 1)


def test_a_start_a_year_late_waits_for_a_person_and_the_wrong_year_is_never_recorded() -> None:
    house = _made()  # H087
    house.stop()
    high = house.journal.high_water
    house.off(days=365)

    house.open()
    house.receive(order(7, ORDER))
    house.runs(minutes=5)

    assert (house.says("mode"), house.says("fired")) == ("fenced", 0)
    assert house.journal.high_water < high + 600_000_000


# -- a week from end to end


def test_a_week_off_with_replies_at_the_senders_and_kills_in_the_middle(tmp_path: Path) -> None:  # F-C08
    house = _made(120, tmp_path / "journal")
    house.kill()
    house.off(days=8)
    answered = range(0, 120, 2)
    replies = [booking(number) for number in answered]

    house.open()
    for _ in range(30):  # the senders bring what they kept, two at a time
        house.receive(*replies[:2])
        replies = replies[2:]
        house.runs(seconds=10)
    house.kill()  # while it still waits
    house.off(seconds=30)
    house.open()
    assert house.says("mode") == "waiting"
    kills = 0
    while house.says("mode") != "normal":
        house.runs(breaths=1, seconds=10)
        if kills < 2 and house.says("mode") == "catching-up":
            kills += 1
            house.kill()
            house.off(seconds=5)
            house.open()
            assert house.says("mode") == "waiting"
            assert house.says("overdue") > 0
    assert kills == 2

    reading = house.journal.read()
    escalated = {task.referral for task in reading.tasks(done=True) if task.kind == "schedule"}
    silent = {reading.find(placer(number)) for number in range(120) if number not in answered}
    assert escalated == silent
    once = Counter((one.referral, one.summary, one.reason.split(",")[0]) for one in fired(house.journal))
    assert set(once.values()) == {1}
    assert missed(house.journal, house.wall) == []
    notices = Counter(
        (row.referral, row.recipient)
        for row in reading.owed_after(0, limit=10_000)
        if row.state.value == "queued" and row.purpose in ("task", "team-post", "second-notice", "provider-notice")
    )
    assert set(notices.values()) == {1}
    assert reading.conservation().holds


def test_every_mode_has_its_words() -> None:
    from referral_engine.service.sweeper import REASONS

    assert set(REASONS) | {SweepMode.FENCED} == set(SweepMode)
