"""After a long silence: first the senders, then what was missed, in due order, one notice a recipient, none in a rush."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from referral_engine.base.clock import from_micros, to_micros
from referral_engine.channels.book import read_book
from referral_engine.channels.engine import CatchUp
from referral_engine.flow.catchup import NEWER
from referral_engine.flow.inputs import Claim, SweepDecided, SweepMode, Ticked
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.step import Step
from tests.channels.shipped import shipped_files
from tests.flow.stage import (
    BOOKING,
    CLINIC,
    NOTE,
    ORDER,
    arrived,
    at,
    engine,
    owed,
    sample,
    sent,
    story,
    tasks,
    tracks,
)
from tests.time.weeks import (
    a_minute,
    away,
    booking,
    caught_up,
    fired,
    lateness,
    micros,
    missed,
    newest,
    order,
    placer,
    practice,
    staged,
    swept,
    waiting,
)

RATES = CatchUp()


def _visited(stage: Rehearsal | None = None) -> Rehearsal:
    """A visit is booked for 10 March 10:30, and it is the day before it."""
    stage = stage or engine()
    stage.receive(sample(ORDER))
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-09 18:00"))
    return stage


def _quiet(stage: Rehearsal) -> None:
    """The day's last sweep, and the machine goes off."""
    stage.step.run([Ticked()])


# -- first the senders


def test_a_restart_waits_for_nobody() -> None:
    stage = practice(3)
    _quiet(stage)

    away(stage, "2026-03-02 10:09")

    assert swept(staged(stage)).mode is SweepMode.NORMAL


def test_after_a_long_silence_nothing_fires_before_the_senders_are_heard() -> None:  # F-C08, H126
    stage = practice(6)
    _quiet(stage)
    away(stage, "2026-03-10 12:00")

    first, second = staged(stage), staged(stage)

    assert (first.fired, swept(first).mode) == (0, SweepMode.WAITING)
    assert swept(first).overdue > 6
    assert swept(first).lag_seconds == timedelta(days=8, hours=2) // timedelta(seconds=1) - 3600  # clocks went forward
    assert (second.fired, swept(second).mode) == (0, SweepMode.WAITING)  # also after the first has been committed


def test_a_reply_that_waited_at_the_sender_stops_the_escalation_it_answers() -> None:  # F-C08
    stage = practice(4, cardiology=True)
    _quiet(stage)
    away(stage, "2026-03-10 12:00")
    staged(stage)

    for number in (0, 2):
        stage.receive(booking(number))
    caught_up(stage)

    escalated = {task.referral for task in tasks(stage, "schedule")}
    assert escalated == {story(stage, placer(number)).referral.id for number in (1, 3)}
    assert tracks(stage, placer(0))["appointment"] == "booked"


def test_a_new_process_still_knows_that_it_waits() -> None:
    stage = practice(3)
    _quiet(stage)
    away(stage, "2026-03-10 12:00")
    staged(stage)
    stage.receive(sample(ORDER))

    stage.step = Step(stage.journal, stage.book, stage.clock)

    assert swept(staged(stage)).mode is SweepMode.WAITING
    caught_up(stage)
    assert swept(staged(stage)).mode is SweepMode.NORMAL


# -- then what was missed


def test_six_hours_down_fire_what_is_overdue_once_each_with_its_true_lateness() -> None:  # H126
    stage = practice(6)
    _quiet(stage)
    before = len(fired(stage.journal))
    stage.move_to(at("2026-03-04 08:30"))
    _quiet(stage)
    away(stage, "2026-03-04 14:30")

    caught_up(stage)

    late = [one for one in fired(stage.journal)[before:] if one.at == micros(stage)]
    assert len(late) > 3
    assert {lateness(one) for one in late} == {timedelta(hours=5, minutes=30)}
    assert all(f"{timedelta(hours=5, minutes=30)} late" in one.reason for one in late)
    assert missed(stage.journal, micros(stage)) == []
    assert staged(stage).fired == 0


def test_every_clock_of_one_referral_fires_in_due_order_and_referrals_take_turns_by_their_oldest() -> None:
    stage = practice(9)
    _quiet(stage)
    away(stage, "2026-04-10 12:00")
    before = len(fired(stage.journal))

    receipts = caught_up(stage, limit=5)

    events = fired(stage.journal)[before:]
    assert len(receipts) > 3
    assert sum(one.fired for one in receipts) == len(events)
    assert sum(swept(one).late for one in receipts) == len(events)
    heads = {}
    for event in events:
        heads.setdefault(event.referral, event.reason[:24])
    assert list(heads.values()) == sorted(heads.values())
    for referral in heads:
        dues = [event.reason[:24] for event in events if event.referral == referral]
        assert len(dues) == len(set(zip(dues, [e.summary for e in events if e.referral == referral], strict=True)))


def test_of_several_notices_for_one_recipient_only_the_newest_leaves() -> None:  # P8
    stage = _visited()
    _quiet(stage)
    before = newest(stage)
    away(stage, "2026-04-12 12:00")  # visit check, two pings and the request for records are due since

    caught_up(stage)

    rows = [row for row in owed(stage) if row.id > before]
    to_specialist = [(row.purpose, row.state.value, row.reason) for row in rows if row.recipient == "specialist"]
    assert to_specialist == [
        ("status-check", "cancelled", NEWER),
        ("note-ping", "cancelled", NEWER),
        ("note-ping", "cancelled", NEWER),
        ("records-request", "queued", ""),
    ]
    live = Counter(row.recipient for row in rows if row.state.value == "queued")
    assert max(live.values()) == 1
    names = [one.kind for one in story(stage).deadlines if one.state == "fired"]
    assert {"visit-check", "note-ping", "note-request", "attended?"} <= set(names)  # each has fired all the same
    assert stage.journal.read().conservation().holds


def test_an_order_that_goes_its_second_way_is_no_notice() -> None:
    stage = engine(**{"imaging-riverside": "silent", "orthopaedics-lakeside": "silent"})
    stage.receive(sample("orm-o01-orthopaedics.hl7"))
    stage.move_to(at("2026-03-02 09:30"))
    _quiet(stage)
    away(stage, "2026-03-12 12:00")

    caught_up(stage)

    orders = [row for row in owed(stage) if row.purpose in ("order", "fallback-order")]
    assert all(row.reason != NEWER for row in orders)


def test_a_letter_that_waited_is_filed_and_not_taken_for_a_notice() -> None:
    stage = _visited()
    _quiet(stage)
    away(stage, "2026-04-12 12:00")

    stage.receive(sample(NOTE))
    caught_up(stage)

    assert "ehr closure note" in sent(stage)
    assert "specialist records-request" not in sent(stage)


# -- none in a rush


def test_no_lane_gets_more_than_its_share_a_minute() -> None:  # P8
    stage = practice(150, cardiology=True)
    _quiet(stage)
    before = newest(stage)
    away(stage, "2026-03-11 10:00")

    caught_up(stage)

    rows = waiting(stage, before)
    minutes = a_minute(rows)
    assert len(rows) >= 450
    assert max(minutes.values()) <= RATES.sends_per_minute
    this_minute = micros(stage) // 60_000_000
    assert min(row.next_at // 60_000_000 for row in rows) == this_minute + 1  # this one may have had its share already
    assert max(row.next_at // 60_000_000 for row in rows) <= this_minute + 5


def test_patients_get_ten_a_minute_and_none_in_quiet_hours() -> None:  # F-C12
    stage = engine()
    for number in range(90):
        stage.step.run([arrived(order(number, ORDER))])
    _quiet(stage)
    before = newest(stage)
    away(stage, "2026-03-03 20:56")

    caught_up(stage)

    texts = [row for row in waiting(stage, before) if row.recipient == "patient"]
    assert len(texts) == 90
    assert max(a_minute(texts).values()) <= RATES.texts_per_minute
    local = [from_micros(row.next_at).astimezone(CLINIC) for row in texts]
    assert {one.strftime("%d %H") for one in local} == {"03 20", "04 08"}
    assert max(local) < at("2026-03-04 08:10")


def test_a_catch_up_that_is_cut_into_small_ticks_keeps_the_same_pace() -> None:
    stage = practice(80, cardiology=True)
    _quiet(stage)
    before = newest(stage)
    away(stage, "2026-03-11 10:00")

    for _ in range(1_000):
        stage.step = Step(stage.journal, stage.book, stage.clock)  # nothing is remembered from tick to tick
        if not staged(stage, drained=True, limit=3).more:
            break

    assert max(a_minute(waiting(stage, before)).values()) <= RATES.sends_per_minute


def test_the_file_says_how_fast() -> None:
    files = shipped_files()
    files["conf/engine.toml"] = files["conf/engine.toml"].replace("texts_per_minute = 10", "texts_per_minute = 2")
    stage = engine(other=read_book(files))
    for number in range(8):
        stage.step.run([arrived(order(number, ORDER))])
    _quiet(stage)
    away(stage, "2026-03-03 10:00")

    caught_up(stage)

    texts = [row for row in waiting(stage, 0) if row.recipient == "patient"]
    assert sorted(a_minute(texts).values()) == [2, 2, 2, 2]


def test_what_was_paced_leaves_when_its_minute_comes_and_not_before() -> None:
    stage = practice(3, cardiology=True)
    _quiet(stage)
    away(stage, "2026-03-11 10:00")
    caught_up(stage)

    early = stage.step.run([Claim(lane="ehr", limit=64)])[0]
    stage.clock.move_to(stage.clock.now() + timedelta(minutes=2))
    later = stage.step.run([Claim(lane="ehr", limit=64)])[0]

    assert early.effects == ()
    assert len(later.effects) == 3


def test_a_text_owed_by_day_and_claimed_at_night_waits_for_the_morning() -> None:  # F-C12
    stage = engine()
    stage.receive(sample(ORDER))
    stage.clock.move_to(at("2026-03-02 20:59"))
    stage.step.run([Ticked()])  # the prompt is owed at once; then the machine goes off
    stage.clock.move_to(at("2026-03-02 23:30"))

    night = stage.step.run([Claim(lane="patient", limit=8)])[0]
    stage.clock.move_to(at("2026-03-03 08:00"))
    morning = stage.step.run([Claim(lane="patient", limit=8)])[0]

    assert night.effects == ()
    assert [row.purpose for row in morning.effects] == ["prompt"]


# -- a person, and a clock that is not believed


def test_a_person_stops_the_sweeping_and_it_stays_stopped_until_they_let_it_go_on() -> None:
    stage = practice(3)
    _quiet(stage)
    away(stage, "2026-03-10 12:00")

    stage.step.run([SweepDecided(decision="pause", by="dana")])
    stage.step = Step(stage.journal, stage.book, stage.clock)  # a new process
    paused = staged(stage, drained=True)
    stage.step.run([SweepDecided(decision="resume", by="dana")])
    resumed = staged(stage, drained=True)

    assert (paused.fired, swept(paused).mode, swept(paused).paused_by) == (0, SweepMode.PAUSED, "dana")
    assert resumed.fired > 0
    assert stage.step.run([SweepDecided(decision="stop", by="dana")])[0].refused.startswith("'stop' is not one of")


def test_while_the_clock_is_not_believed_nothing_fires_messages_come_in_and_one_task_says_so() -> None:  # F-C01
    stage = practice(3)
    _quiet(stage)
    stage.clock.move_to(at("2026-03-04 12:00"))

    for _ in range(3):
        receipt = staged(stage, drained=True, fenced="the machine's clock is a riddle")
        assert (receipt.fired, swept(receipt).mode) == (0, SweepMode.FENCED)
    answer = stage.receive(sample(ORDER))

    told = [task for task in tasks(stage) if task.reason == "the machine's clock is a riddle"]
    assert len(told) == 1
    assert told[0].urgent
    assert b"MSA|AA" in answer.answer


@pytest.mark.parametrize("is_staged", [True, False])
def test_nothing_fires_that_the_wall_clock_says_is_not_due_yet(is_staged: bool) -> None:  # F-C02
    stage = engine()
    stage.receive(sample(ORDER))
    stage.clock.move_to(at("2026-03-02 09:05"))

    early = stage.step.run([Ticked(staged=is_staged, due_by=to_micros(at("2026-03-02 09:01")))])[0]
    due = stage.step.run([Ticked(staged=is_staged, due_by=to_micros(at("2026-03-02 09:02")))])[0]

    assert (early.fired, due.fired) == (0, 1)


def test_the_look_at_addresses_is_not_lost_on_a_day_that_begins_with_waiting() -> None:
    stage = practice(1)
    _quiet(stage)
    assert not _day_is_new(stage)
    away(stage, "2026-03-10 08:00")

    staged(stage)
    assert _day_is_new(stage)
    caught_up(stage)
    assert not _day_is_new(stage)


def _day_is_new(stage: Rehearsal) -> bool:
    return stage.step._day != stage.clock.now().date()
