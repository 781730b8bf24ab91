"""No silent end: what cannot be delivered goes to a person, who decides; and a changed configuration loses nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.flow.deliveries import NOBODY, OTHER_WAY
from referral_engine.flow.inputs import Claim, Ticked
from referral_engine.flow.lanes import lanes_of
from referral_engine.journal.outbox import UNSETTLED
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.transports.transport import Attempt
from tests.flow.stage import book
from tests.outbound.site import CLEAN, LANE, Receiver, Site, accepts, total_queue


# P6, F-G01
@pytest.mark.parametrize(
    ("answer", "state", "task"), [("refuses", "failed", "undeliverable"), ("silent", "unknown", "unknown-delivery")]
)
def test_what_is_tried_for_long_enough_goes_to_a_person(answer: str, state: str, task: str) -> None:
    site = Site()
    office = Receiver(site.clock, lambda _control_id: None)
    office.refuses = answer == "refuses"
    site.courier(office, first_seconds=60.0, longest_seconds=300.0, give_up_after_seconds=3600.0)
    site.owe("M1")

    site.start()
    site.run(1.5 * 3600, step=5.0)

    assert site.states() == {"M1": state}
    assert [one.kind for one in site.tasks()] == [task]


# P6, P7: doubt is not forgotten
def test_what_may_have_arrived_once_is_never_called_failed_because_the_door_is_shut_since() -> None:
    site = Site()
    office = Receiver(site.clock, lambda _control_id: None)
    site.courier(office, first_seconds=60.0, longest_seconds=300.0, give_up_after_seconds=3600.0)
    site.owe("M1")
    site.start()
    site.run(31)
    office.refuses = True
    office.lines[-1].end()

    after = Site(journal=site.journal)  # and a restart does not forget it either
    after.wall.move_to(site.wall.now())
    office.clock = after.clock
    after.courier(office, first_seconds=60.0, longest_seconds=300.0, give_up_after_seconds=3600.0)
    after.start()
    after.run(1.5 * 3600, step=5.0)

    (row,) = after.rows()
    assert len(office.arrivals) == 1
    assert (row.state.value, row.reason) == ("unknown", "the connection was refused; it may have arrived")
    assert [one.kind for one in after.tasks()] == ["unknown-delivery"]


# P6
def test_after_the_end_a_persons_retry_delivers_the_same_message() -> None:
    site = Site()
    office = Receiver(site.clock)
    office.refuses = True
    site.courier(office, first_seconds=60.0, longest_seconds=300.0, give_up_after_seconds=3600.0)
    site.owe("M1")
    site.start()
    site.run(1.5 * 3600, step=5.0)
    office.refuses = False

    receipt = site.decide(1, "retry")
    site.couriers[LANE].poke()
    site.run(120)

    assert receipt.refused == ""
    assert total_queue(site, office) == CLEAN
    assert site.states() == {"M1": "delivered"}


# P6
@pytest.mark.parametrize("decision", ["park", "cancel"])
def test_a_person_stops_what_is_tried_again_and_again(decision: str) -> None:
    site = Site()
    office = Receiver(site.clock)
    office.refuses = True
    site.courier(office)
    site.owe("M1")
    site.start()

    site.decide(1, decision)
    office.refuses = False
    site.run(3600, step=5.0)

    assert office.arrivals == []
    assert site.states() == {"M1": {"park": "parked", "cancel": "cancelled"}[decision]}


# H052, H037
def test_a_peer_that_never_answers_does_not_stop_the_lane_for_ever_and_silence_is_neither_yes_nor_no() -> None:
    site = Site()
    silent = {"M1": 2}

    def answer(control_id: str) -> Any:
        silent[control_id] = silent.get(control_id, 0) - 1
        return accepts(control_id) if silent[control_id] < 0 else None

    office = Receiver(site.clock, answer)
    site.courier(office, first_seconds=5.0)
    site.owe("M1", "M2")
    site.start()
    site.run(31)
    waiting = site.states()
    site.run(300)

    assert set(waiting.values()) <= {"queued", "in-flight"}
    assert total_queue(site, office) == CLEAN


# H028, H030
def test_a_stopped_lane_sends_nothing_more_even_when_its_peer_comes_back() -> None:
    site = Site()
    office = Receiver(site.clock)
    office.refuses = True
    courier = site.courier(office, first_seconds=300.0)
    site.owe("M1", "M2")
    site.start()
    stopped: list[object] = []

    courier.stop().addCallback(stopped.append)
    site.settle()
    office.refuses = False
    site.run(3600, step=5.0)

    assert stopped == [None], "in the middle of a five-minute pause"
    assert office.arrivals == []
    assert set(site.states().values()) == {"queued"}
    assert site.clock.getDelayedCalls() == []


# H028
def test_with_a_silent_peer_a_lane_stops_within_two_seconds_and_the_next_start_sends_the_same() -> None:
    site = Site()
    office = Receiver(site.clock, lambda _control_id: None)
    courier = site.courier(office)
    site.owe("M1", "M2")
    site.start()
    stopped: list[object] = []

    courier.stop().addCallback(stopped.append)
    site.run(2)
    office.answer = accepts
    site.courier(office)
    site.start()
    site.run(2)

    assert stopped == [None]
    assert sorted(office.arrivals) == ["M1", "M1", "M2"]
    assert total_queue(site, office) == CLEAN


# H078
def test_a_channel_that_is_added_later_gets_nothing_that_was_owed_before() -> None:
    site = Site()
    site.owe("M1", "M2")
    site.step.book = replace(book(), version="newer")

    receipts = site.step.run([Claim(lane=lane, limit=16) for lane in sorted(lanes_of(site.step.book))])

    assert all(receipt.effects == () for receipt in receipts)
    assert set(site.states().values()) == {"queued"}


# H079, F-G22
def test_what_waits_for_a_channel_whose_file_is_gone_goes_to_a_person_and_can_go_when_it_is_back() -> None:
    site = Site(book=Book())
    site.owe("M1", "M2")
    site.owe("E1", lane="ehr")

    site.step.run([Ticked()])  # the first of the day

    rows = {row.wire_id: (row.state.value, row.reason) for row in site.rows()}
    assert rows == {"M1": ("failed", NOBODY), "M2": ("failed", NOBODY), "E1": ("queued", "")}
    assert [task.kind for task in site.tasks()] == ["undeliverable", "undeliverable"]
    office = Receiver(site.clock)
    site.courier(office)
    assert site.decide(1, "retry").refused.startswith(NOBODY)
    after = Site(journal=site.journal)  # its file is back
    assert after.decide(1, "retry").refused == ""
    site.start()
    assert office.arrivals == ["M1"]


# P7, H023: what left is never called undeliverable because its channel's file went meanwhile
def test_what_is_on_its_way_when_its_channels_file_goes_is_its_couriers_to_settle() -> None:
    site = Site(book=Book())
    answers: list[Any] = [None]
    office = Receiver(site.clock, lambda control_id: answers.pop() if answers else accepts(control_id))
    site.courier(office, claimed_at_once=1)
    site.owe("M1", "M2")
    site.start()
    assert (office.arrivals, site.states()) == (["M1"], {"M1": "in-flight", "M2": "queued"})

    site.step.run([Ticked()])  # the first under files without this channel

    assert site.states() == {"M1": "in-flight", "M2": "failed"}
    after = Site(book=Book(), journal=site.journal)  # the engine was killed: nobody will ever hear the answer
    after.wall.move_to(site.wall.now() + timedelta(days=1))
    after.step.run([Ticked()])
    rows = {row.wire_id: (row.state.value, row.reason) for row in after.rows()}
    assert rows == {"M1": ("unknown", UNSETTLED), "M2": ("failed", NOBODY)}
    assert sorted(task.kind for task in after.tasks()) == ["undeliverable", "unknown-delivery"]


# F-G22
def test_bytes_made_for_a_line_are_no_file_once_the_channel_writes_files() -> None:
    class Files:
        name = "spool"
        repeats_safely = True
        sent: list[str] = []  # noqa: RUF012  # one of each

        def deliver(self, effect: EffectRow, may_write: Any) -> Deferred[Attempt]:
            self.sent.append(effect.wire_id)
            done: Deferred[Attempt] = Deferred()
            done.callback(Attempt(outcome=Outcome.DELIVERED))
            return done

        def stop(self) -> None:
            """Nothing to stop."""

    site = Site()
    files = Files()
    site.owe("M1")
    site.owe("F1", transport="spool")
    site.carry(files)

    site.start()
    site.run(1)

    assert files.sent == ["F1"]
    rows = {row.wire_id: (row.state.value, row.reason) for row in site.rows()}
    assert rows["M1"] == ("failed", OTHER_WAY)
    assert [task.kind for task in site.tasks()] == ["undeliverable"]


# H079
def test_files_read_in_another_order_leave_every_sending_in_its_lane() -> None:
    shipped = book()
    turned = replace(shipped, channels=dict(reversed(shipped.channels.items())))

    assert lanes_of(turned) == lanes_of(shipped)
    assert {*shipped.channels, "ehr", "patient", "team", "payer", "billing"} <= lanes_of(shipped)
