"""The ladder of ways at the door: leases, restarts and people's retries, and what may still arrive twice."""

from __future__ import annotations

from pathlib import Path

from referral_engine.base.clock import ManualClock
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.channel import FaxTransport, SpoolTransport, lane_of
from referral_engine.flow.inputs import Claim, OutboxDecision, Receipt, Settled, Ticked
from referral_engine.flow.lanes import lanes_of
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import EffectRow, EffectState
from referral_engine.loop.events import Outcome
from tests.flow.stage import HEART, ORDER, arrived, at, book, book_with, door, engine, kinds, owed, sample, story

FAX = FaxTransport(gateway="rightfax", number="+12175550199")
FILES = SpoolTransport(directory="var/spool/heart")
SECOND, THIRD = lane_of(HEART, 1), lane_of(HEART, 2)


def three_ways() -> Book:
    """What the project ships, the cardiologists with a fax and a folder behind their interface."""
    heart = book().channels[HEART]
    policy = replace(heart.policy, fallbacks=2)
    return book_with(replace(heart, fallbacks=(FAX, FILES), policy=policy))


def ordered() -> Rehearsal:
    """An order came in, and no courier has looked yet."""
    stage = engine(other=three_ways())
    stage.step.run([arrived(sample(ORDER))])
    return stage


def claim(stage: Rehearsal, lane: str = HEART) -> tuple[EffectRow, ...]:
    return stage.step.run([Claim(lane=lane, limit=4)])[0].effects


def settle(stage: Rehearsal, row: EffectRow, outcome: Outcome) -> Receipt:
    return stage.step.run([Settled(effect=row.id, token=row.token, outcome=outcome)])[0]


def packets(stage: Rehearsal) -> list[tuple[str, str]]:
    """Every packet ever owed: its lane and its state."""
    return [(row.lane, row.state.value) for row in owed(stage) if row.purpose in ("order", "fallback-order")]


def told_received(stage: Rehearsal) -> int:
    return sum((row.purpose, row.about) == ("status", "received") for row in owed(stage))


def test_every_way_has_a_lane_and_a_packet_takes_them_in_order() -> None:
    stage = ordered()
    for lane in (HEART, SECOND, THIRD):
        (row,) = claim(stage, lane)
        settle(stage, row, Outcome.FAILED)

    assert {HEART, SECOND, THIRD} <= lanes_of(three_ways())
    assert packets(stage) == [(HEART, "failed"), (SECOND, "failed"), (THIRD, "failed")]
    assert kinds(stage).count("undeliverable") == 1


def test_a_late_success_of_the_first_cancels_the_second_that_has_not_left() -> None:
    stage = _second_under_way()
    (first,) = _in_flight(stage, HEART)

    settle(stage, first, Outcome.DELIVERED)

    assert packets(stage) == [(HEART, "delivered"), (SECOND, "cancelled")]
    assert claim(stage, SECOND) == ()
    assert (story(stage).referral.dispatch.value, told_received(stage)) == ("received", 1)


def test_a_second_way_in_flight_cannot_be_called_back_and_is_told_once() -> None:
    stage = _second_under_way()
    (second,) = claim(stage, SECOND)
    (first,) = _in_flight(stage, HEART)

    settle(stage, first, Outcome.DELIVERED)
    settle(stage, second, Outcome.DELIVERED)

    assert packets(stage) == [(HEART, "delivered"), (SECOND, "delivered")]
    assert told_received(stage) == 1
    assert story(stage).referral.way == 0


def test_a_first_way_that_would_try_again_does_not_once_the_second_was_taken() -> None:
    stage = _second_under_way()
    (first,) = _in_flight(stage, HEART)
    settle(stage, first, Outcome.RETRY)

    assert claim(stage) == ()
    assert packets(stage)[0] == (HEART, "cancelled")
    assert len(claim(stage, SECOND)) == 1


def test_a_person_cannot_send_the_packet_twice_by_a_way_that_was_left_unless_all_ways_failed() -> None:
    stage = ordered()
    (first,) = claim(stage)
    settle(stage, first, Outcome.FAILED)

    (refused,) = stage.step.run([OutboxDecision(effect=first.id, decision="retry", by="coordinator")])
    assert "another way" in refused.refused

    for lane in (SECOND, THIRD):
        (row,) = claim(stage, lane)
        settle(stage, row, Outcome.FAILED)
    (retried,) = stage.step.run([OutboxDecision(effect=first.id, decision="retry", by="coordinator")])
    assert not retried.refused
    (again,) = claim(stage)
    settle(stage, again, Outcome.DELIVERED)
    assert (story(stage).referral.dispatch.value, story(stage).referral.way) == ("received", 0)


def test_after_a_restart_a_packet_in_flight_on_the_way_that_was_left_is_not_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    step, journal = _door(path, "2026-03-02 09:00")
    step.run([arrived(sample(ORDER))])
    (first,) = step.run([Claim(lane=HEART, limit=1)])[0].effects
    _ticked(step, "2026-03-02 13:00")  # the second way is taken while the first is still in flight
    journal.close()

    step, journal = _door(path, "2026-03-02 13:10")  # its lease is over; nobody knows what became of it
    (second,) = step.run([Claim(lane=SECOND, limit=1)])[0].effects
    step.run([Settled(effect=second.id, token=second.token, outcome=Outcome.DELIVERED)])
    again = step.run([Claim(lane=HEART, limit=1)])[0].effects

    assert again == () or all(row.id != first.id for row in again)
    states = {row.lane: row.state for row in journal.read().owed_after(0) if row.id in (first.id, second.id)}
    assert states == {HEART: EffectState.CANCELLED, SECOND: EffectState.DELIVERED}
    journal.close()


def test_a_file_with_fewer_ways_than_the_packet_took_still_reaches_the_office() -> None:
    stage = ordered()
    for lane in (HEART, SECOND):
        (row,) = claim(stage, lane)
        settle(stage, row, Outcome.FAILED)
    shorter = book_with(replace(three_ways().channels[HEART], fallbacks=(FAX,)))

    lanes = [lane for lane, _ in shorter.channels[HEART].lanes]

    assert story(stage).referral.way == 2
    assert lanes == [HEART, SECOND]


def _second_under_way() -> Rehearsal:
    """The first way has taken the packet and says nothing; the clock took the second one."""
    stage = engine(other=three_ways())
    stage.step.run([arrived(sample(ORDER))])
    assert len(claim(stage)) == 1
    _ticked(stage.step, "2026-03-02 13:00", stage)
    return stage


def _in_flight(stage: Rehearsal, lane: str) -> list[EffectRow]:
    return [row for row in owed(stage) if row.lane == lane and row.state is EffectState.IN_FLIGHT]


def _ticked(step: Step, wall: str, stage: Rehearsal | None = None) -> None:
    """Only the clocks: no courier works."""
    clock = stage.clock if stage is not None else step.clock
    assert isinstance(clock, ManualClock), "a test's clock is moved"
    clock.move_to(at(wall))
    while step.run([Ticked()])[0].more:
        pass


def _door(path: Path, start: str) -> tuple[Step, Journal]:
    """A door over a file, as the service opens it, with three ways."""
    _, journal = door(path, start)
    return Step(journal, three_ways(), ManualClock(at(start))), journal
