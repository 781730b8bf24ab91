"""Lanes: one dead destination delays nobody, a circuit asks with one sending, and an outage's backlog shares the way."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from referral_engine.loop.effects import Purpose
from referral_engine.transports.circuit import Circuit
from referral_engine.transports.tally import BEHIND_SECONDS
from tests.outbound.site import CLEAN, LANE, Receiver, Site, accepts, total_queue

LANES = ("heart", "brain", "bones", "lungs", "eyes")


# H034, H024, F-G02, P10
@pytest.mark.parametrize("dead", ["swallows connections", "accepts and never answers", "refuses"])
def test_with_one_dead_destination_among_five_the_other_four_keep_their_pace(dead: str) -> None:
    def seconds_for_all(broken: str) -> float:
        site = Site()
        offices = {lane: Receiver(site.clock) for lane in LANES}
        first = offices[LANES[0]]
        first.swallows, first.refuses = broken.startswith("swallows"), broken == "refuses"
        if broken.startswith("accepts"):
            first.answer = lambda _control_id: None
        for lane, office in offices.items():
            site.courier(office, lane)
            site.owe(*[f"{lane}{number}" for number in range(20)], lane=lane)
        site.start()
        for _ in range(100):
            if all(len(offices[lane].effects) == 20 for lane in LANES[1:]):
                return site.clock.seconds()
            site.run(0.5)
        raise AssertionError("the others did not get through")

    assert seconds_for_all(dead) == seconds_for_all("")


def test_an_outage_opens_the_circuit_one_sending_probes_it_and_its_end_closes_it() -> None:
    site = Site()
    office = Receiver(site.clock)
    office.refuses = True
    courier = site.courier(office, first_seconds=20.0)
    site.owe(*[f"M{number}" for number in range(8)])
    site.start()

    opened = courier.status()
    site.run(opened["next_attempt_in"] + 0.5)  # type: ignore[operator]  # status is made for JSON
    office.refuses, office.swallows = False, True
    site.run(40)
    probing = courier.status()
    in_flight = [row for row in site.rows() if row.state.value == "in-flight"]
    office.swallows = False
    site.run(120)
    closed = courier.status()

    assert (opened["circuit"], opened["state"], opened["next_attempt_in"]) == ("open", "paused", 10.0)
    assert opened["last_reason"] == "the connection was refused"
    assert len(in_flight) <= 1
    assert probing["circuit"] in ("open", "probing")
    assert probing["since"] == opened["since"] == "2026-01-05T09:00:00Z"
    assert probing["oldest_seconds"] >= 40.0  # type: ignore[operator]
    assert (closed["circuit"], closed["oldest_seconds"], closed["next_attempt_in"]) == ("closed", 0.0, 0.0)
    assert closed["since"] > opened["since"]  # type: ignore[operator]
    assert set(site.states().values()) == {"delivered"}


def test_while_the_other_side_is_away_no_more_than_one_sending_is_ever_leased() -> None:
    site = Site()
    office = Receiver(site.clock)
    office.swallows = True
    courier = site.courier(office, first_seconds=2.0, longest_seconds=4.0)
    site.owe(*[f"M{number}" for number in range(8)])
    site.start()
    site.run(11)
    leased: list[int] = []

    for _ in range(60):
        site.run(1)
        leased.append(sum(row.state.value == "in-flight" for row in site.rows()))

    assert max(leased) == 1
    assert courier.status()["circuit"] in ("open", "probing")


# F-G10
def test_after_an_outage_a_lane_starts_slowly() -> None:
    circuit = Circuit(window_max=16, since=0.0)
    circuit.missed(1.0)
    windows = [circuit.window]

    for second in range(2, 8):
        circuit.reached(float(second))
        windows.append(circuit.window)

    assert windows == [1, 2, 4, 8, 16, 16, 16]


# F-G10
def test_a_backlog_does_not_starve_new_work_and_new_work_does_not_starve_the_backlog() -> None:
    site = Site()
    office = Receiver(site.clock)
    office.refuses = True
    site.courier(office, first_seconds=1.0, longest_seconds=2.0)
    site.owe(*[f"OLD{number:03d}" for number in range(200)])
    site.start()
    site.run(600)

    site.owe(*[f"NEW{number:03d}" for number in range(20)])
    office.refuses = False
    site.run(600)

    first = office.effects[:80]
    assert sum(name.startswith("NEW") for name in first) == 20, "new work waited for the whole backlog"
    assert sum(name.startswith("OLD") for name in first) == 60
    assert total_queue(site, office) == CLEAN


def test_without_a_backlog_everything_leaves_in_the_order_it_was_owed() -> None:
    site = Site()
    office = Receiver(site.clock)
    site.courier(office)
    names = [f"M{number:03d}" for number in range(100)]
    site.owe(*names)

    site.start()
    site.run(5)

    assert office.arrivals == names


# H082, F-G10
@pytest.mark.parametrize("answer", ["away", "AE", "silent"])
def test_one_referrals_messages_keep_their_order_through_retries_and_through_a_backlog(answer: str) -> None:
    site = Site()
    asked: dict[str, int] = {}

    def stubborn(control_id: str) -> Any:
        asked[control_id] = asked.get(control_id, 0) + 1
        if asked[control_id] > 1:
            return accepts(control_id)
        return {"AE": accepts(control_id).replace(b"|AA|", b"|AE|"), "away": "cut", "silent": None}[answer]

    office = Receiver(site.clock, stubborn)
    site.courier(office, first_seconds=2.0, longest_seconds=2.0, ack_timeout_seconds=2.0)
    for number in range(6):
        for letter in "ABCDEFGHIJKL":
            site.owe(f"{letter}{number}", referral=f"RE-{letter}", purpose=Purpose.ORDER_CHANGE.value)
    site.run(300)  # a backlog
    site.start()
    site.run(3600)

    for letter in "ABCDEFGHIJKL":
        of_one = [name for name in office.effects if name.startswith(letter)]
        assert of_one == sorted(of_one)
        assert len(of_one) == 6
    assert total_queue(site, office) == CLEAN


# H036, F-G01
def test_a_night_of_time_outs_makes_few_copies_of_a_message_and_none_gets_lost() -> None:
    site = Site()
    office = Receiver(site.clock, lambda _control_id: None)
    courier = site.courier(office)
    names = [f"M{number}" for number in range(50)]
    site.owe(*names)
    site.start()

    site.run(8 * 3600, step=10.0)

    copies = {name: office.arrivals.count(name) for name in names}
    assert len(office.arrivals) < 8 * 60 * 2, "two a minute at the most, however much is queued"
    assert max(copies.values()) < 60
    assert set(site.states().values()) <= {"queued", "in-flight"}
    assert courier.status()["oldest_seconds"] >= 8 * 3600 - 120  # type: ignore[operator]


# H096
def test_a_queue_that_only_waits_is_told_of_once() -> None:
    site = Site()
    office = Receiver(site.clock)
    office.refuses = True
    site.courier(office)
    site.owe("M1", "M2")

    with structlog.testing.capture_logs() as logs:
        site.start()
        site.run(2 * BEHIND_SECONDS + 120)

    behind = [line for line in logs if line["event"] == "A lane is behind."]
    assert [(line["lane"], line["reason"]) for line in behind] == [(LANE, "the connection was refused")]
    assert behind[0]["seconds"] >= BEHIND_SECONDS


# H097
def test_every_time_out_in_the_log_names_the_message_and_the_peer() -> None:
    site = Site()
    office = Receiver(site.clock, lambda _control_id: None)
    site.courier(office)
    site.owe("M1")

    with structlog.testing.capture_logs() as logs:
        site.start()
        site.run(31)

    (late,) = [line for line in logs if line["event"] == "A peer let the time pass."]
    assert (late["wire_id"], late["peer"]) == ("M1", LANE)


# H081
def test_the_thousand_and_first_message_leaves_too() -> None:
    site = Site()
    office = Receiver(site.clock)
    site.courier(office)
    names = [f"M{number:04d}" for number in range(1001)]
    site.owe(*names)

    site.start()
    site.run(10)

    assert office.arrivals == names
    assert total_queue(site, office) == CLEAN


# H085
def test_five_hundred_large_messages_are_never_in_memory_together() -> None:
    site = Site()
    mib = 1024 * 1024
    large = bytes(3 * mib)
    site.owe(*[f"M{number}" for number in range(12)], body=large)

    with site.journal.batch(2_000_000_000_000_000) as unit:
        claimed = unit.claim(LANE, unit.now, 60.0, 16)

    assert sum(len(row.body) for row in claimed) <= 8 * mib + len(large)
    assert len(claimed) == 3
