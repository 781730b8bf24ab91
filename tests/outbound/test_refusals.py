"""What a partner's no means: again, again but in front, or a person; and a passing no has a budget of its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from referral_engine.channels.naks import NakMeaning
from referral_engine.flow.inputs import Claim
from referral_engine.transports.transport import TRIES_MAX
from tests.outbound.site import CLEAN, LANE, Receiver, Site, accepts, total_queue
from tests.transports.peers import ack, framed

HOLD = NakMeaning(error="hold")


class Refusing:
    """Says no to these ids, so often; then yes."""

    def __init__(self, code: str, error: str = "", **times: int) -> None:
        self.code, self.error, self.times = code, error, Counter(times)

    def __call__(self, control_id: str) -> Any:
        if self.times[control_id] > 0:
            self.times[control_id] -= 1
            return framed(ack(self.code, control_id, error=self.error))
        return accepts(control_id)


# H042
def test_a_refusal_that_means_again_lets_the_others_pass() -> None:
    site = Site()
    office = Receiver(site.clock, Refusing("AE", M1=1))
    site.courier(office, nak=NakMeaning(error="retry"), first_seconds=10.0)
    site.owe("M1", "M2", "M3")

    site.start()
    site.run(20)

    assert office.arrivals == ["M1", "M2", "M3", "M1"]
    assert total_queue(site, office) == CLEAN


# H042
def test_a_refusal_that_holds_the_line_lets_nothing_of_its_lane_overtake_it() -> None:
    site = Site()
    offices = {"heart": Receiver(site.clock, Refusing("AE", M1=3)), "brain": Receiver(site.clock)}
    for lane, office in offices.items():
        site.courier(office, lane, nak=HOLD, first_seconds=10.0)
    site.owe("M1", "M2", "M3")
    site.owe("B1", lane="brain")

    site.start()
    site.owe("M4")
    site.run(120)

    assert offices["heart"].arrivals == ["M1", "M1", "M1", "M1", "M2", "M3", "M4"]
    assert offices["brain"].arrivals == ["B1"]
    assert total_queue(site, *offices.values()) == CLEAN


# H042
def test_a_held_line_stays_held_through_an_outage_and_a_restart() -> None:
    site = Site()
    office = Receiver(site.clock, Refusing("AE", M1=99))
    site.courier(office, nak=HOLD, first_seconds=10.0, longest_seconds=10.0)
    site.owe("M1", "M2", "M3")
    site.start()
    site.run(20)
    office.refuses = True
    office.lines[-1].end()
    site.run(60)
    assert site.couriers[LANE].status()["circuit"] != "closed"

    after = Site(journal=site.journal)
    after.step.journal._unit._outbox._holders.clear()  # as when the file is opened
    after.wall.move_to(site.wall.now())
    reborn = Receiver(after.clock, Refusing("AE", M1=2))
    after.courier(reborn, nak=HOLD, first_seconds=10.0, longest_seconds=10.0)
    after.start()
    after.run(120)

    assert set(office.arrivals) == {"M1"}
    assert reborn.arrivals == ["M1", "M1", "M1", "M2", "M3"]
    assert set(after.states().values()) == {"delivered"}


# H042
@pytest.mark.parametrize("decision", ["park", "cancel"])
def test_a_person_lets_the_others_pass_a_held_line(decision: str) -> None:
    site = Site()
    office = Receiver(site.clock, Refusing("AE", M1=99))
    site.courier(office, nak=HOLD, first_seconds=10.0, longest_seconds=10.0)
    site.owe("M1", "M2")
    site.start()
    site.run(20)
    assert "M2" not in office.arrivals

    receipt = site.decide(1, decision)
    site.run(20)

    assert receipt.refused == ""
    assert office.arrivals[-1] == "M2"
    assert site.states() == {"M1": "parked" if decision == "park" else "cancelled", "M2": "delivered"}


# H042
def test_a_persons_retry_of_what_holds_the_line_is_tried_at_once_and_still_holds_it() -> None:
    site = Site()
    site.owe("M1", "M2")
    office = Receiver(site.clock, Refusing("AE", M1=99))
    site.courier(office, nak=HOLD, first_seconds=300.0, longest_seconds=300.0)
    site.start()

    site.decide(1, "retry")
    (receipt,) = site.step.run([Claim(lane=LANE, transport="mllp", limit=8)])

    assert [row.wire_id for row in receipt.effects] == ["M1"]


# H042, P6
def test_a_line_is_not_held_for_ever() -> None:
    site = Site()
    office = Receiver(site.clock, Refusing("AE", M1=9999))
    site.courier(office, nak=HOLD, first_seconds=60.0, longest_seconds=60.0, give_up_after_seconds=3600.0)
    site.owe("M1", "M2")

    site.start()
    site.run(1.5 * 3600, step=5.0)

    assert site.states() == {"M1": "failed", "M2": "delivered"}
    assert "undeliverable" in {task.kind for task in site.tasks()}


# H042, F-G06
def test_a_refusal_that_is_for_a_person_is_a_task_at_once_and_is_not_tried_again() -> None:
    site = Site()
    office = Receiver(site.clock, Refusing("AR", error="103", M1=99))
    site.courier(office)
    site.owe("M1", "M2")

    site.start()
    site.run(3600, step=5.0)

    assert office.arrivals == ["M1", "M2"]
    assert site.states() == {"M1": "failed", "M2": "delivered"}
    assert [task.kind for task in site.tasks()] == ["undeliverable"]
    (failed,) = [row for row in site.rows() if row.wire_id == "M1"]
    assert failed.reason == "MSA-1 was AR, error 103"
    assert b"MSA|AR|M1" in failed.reply


# H043
def test_a_locked_record_is_asked_for_again_within_seconds() -> None:
    site = Site()
    office = Receiver(site.clock, Refusing("AR", error="206", M1=3))
    site.courier(office, first_seconds=600.0)
    site.owe("M1")

    site.start()
    site.run(20)

    assert site.states() == {"M1": "delivered"}
    assert len(office.arrivals) == 4


# H043
def test_a_record_that_is_never_unlocked_costs_its_own_small_budget_and_then_what_its_code_means() -> None:
    site = Site()
    office = Receiver(site.clock, Refusing("AR", error="206", M1=9999))
    site.courier(office)
    site.owe("M1")

    site.start()
    site.run(3600, step=5.0)

    assert len(office.arrivals) == TRIES_MAX + 1
    assert site.states() == {"M1": "failed"}


# H043
def test_a_passing_no_of_a_partner_that_holds_the_line_holds_it_too() -> None:
    site = Site()
    office = Receiver(site.clock, Refusing("AE", error="207", M1=2))
    site.courier(office, nak=HOLD)
    site.owe("M1", "M2")

    site.start()
    site.run(10)

    assert office.arrivals == ["M1", "M1", "M1", "M2"]


# H095: one stuck message, one open task
def test_one_stuck_message_is_one_task_however_often_it_is_refused() -> None:
    site = Site()
    office = Receiver(site.clock, Refusing("AR", M1=9999))
    site.courier(office)
    site.owe("M1")
    site.start()

    for _ in range(5):
        site.decide(1, "retry")
        site.run(10)

    assert len(office.arrivals) == 6
    assert [task.kind for task in site.tasks()] == ["undeliverable"]
