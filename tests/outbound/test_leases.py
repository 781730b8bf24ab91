"""Leases: one holder at a time, no write on a stale one, and what cannot be repeated is a person's question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from referral_engine.base.clock import to_micros
from referral_engine.base.errors import Altered, JournalError
from referral_engine.flow.inputs import Claim, OutboxDecision, Settled
from referral_engine.journal.journal import Journal
from referral_engine.journal.outbox import REPEATS_SAFELY, UNSETTLED
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.transports.mllp import MllpPeer
from referral_engine.transports.spool import Spool
from referral_engine.transports.transport import NOT_LEASED, Attempt
from tests.outbound.site import CLEAN, LANE, START, Receiver, Site, body, total_queue


class Sms:
    """A gateway that knows no id of ours: the same text twice is two texts."""

    name = "sms"
    repeats_safely = False

    def __init__(self, *attempts: Attempt | None) -> None:
        self.attempts = list(attempts)
        self.sent: list[str] = []

    def deliver(self, effect: EffectRow, may_write: Any) -> Deferred[Attempt]:
        result: Deferred[Attempt] = Deferred()
        self.sent.append(effect.wire_id)
        attempt = self.attempts.pop(0) if self.attempts else Attempt(outcome=Outcome.DELIVERED)
        if attempt is not None:
            result.callback(attempt)
        return result

    def stop(self) -> None:
        """Nothing can be called back."""


def test_what_a_transport_says_of_itself_is_what_the_outbox_goes_by() -> None:
    for transport in (MllpPeer, Spool, Sms):
        assert transport.repeats_safely is (transport.name in REPEATS_SAFELY)


# H072, H077, F-G07
def test_after_a_crash_what_was_in_flight_goes_again_under_the_same_id_and_is_marked() -> None:
    site = Site()
    office = Receiver(site.clock, lambda _control_id: None)
    site.courier(office)
    site.owe("M1", "M2")
    site.start()
    assert office.arrivals == ["M1"]

    after = Site(journal=site.journal)  # the process is gone, and a new one looks at the same journal
    site.journal._connection.execute("UPDATE effects SET lease_until = 0 WHERE state = 'in-flight'")
    office.clock, office.answer = after.clock, Receiver(after.clock).answer
    after.courier(office)
    after.start()
    after.run(1)

    assert office.arrivals == ["M1", "M1", "M2"]
    assert total_queue(after, office) == CLEAN
    reasons = {row.wire_id: row.reason for row in after.rows()}
    assert reasons["M1"] == "MSA-1 was AA; an earlier attempt may have arrived too"


# H073, P7
def test_after_a_crash_a_text_of_unknown_fate_is_not_sent_again_but_asked_about() -> None:
    site = Site()
    sms = Sms(None)
    site.carry(sms, "texts")
    site.owe("T1", lane="texts", transport="sms", recipient="team")
    site.start()
    assert sms.sent == ["T1"]

    after, again = Site(journal=site.journal), Sms()
    site.journal._connection.execute("UPDATE effects SET lease_until = 0 WHERE state = 'in-flight'")
    after.carry(again, "texts")
    after.start()
    after.run(600)

    assert again.sent == []
    assert [(row.state.value, row.reason) for row in after.rows()] == [("unknown", UNSETTLED)]
    assert [task.kind for task in after.tasks()] == ["unknown-delivery"]


# P7
def test_a_person_who_asked_the_gateway_may_send_a_text_of_unknown_fate_again() -> None:
    site = Site()
    sms = Sms(Attempt(outcome=Outcome.UNKNOWN, reason="the gateway said nothing"))
    site.carry(sms, "team")
    site.owe("T1", lane="team", transport="sms", recipient="team")
    site.start()
    site.run(600)
    assert (sms.sent, site.states()) == (["T1"], {"T1": "unknown"})

    site.decide(1, "retry")
    site.run(6)

    assert sms.sent == ["T1", "T1"]
    assert site.states() == {"T1": "delivered"}


# F-G08
def test_a_courier_that_slept_writes_nothing_on_its_stale_lease() -> None:
    site = Site()
    office = Receiver(site.clock)
    office.swallows = True
    site.courier(office, first_seconds=1.0)
    site.owe("M1", "M2")
    site.start()
    dialling = site.couriers[LANE]._transport._line._owner._exchange  # type: ignore[attr-defined]

    site.wall.move_to(START.replace(hour=10))  # the machine slept for an hour, between the dial and the connection
    peer = site.couriers[LANE]._transport
    office._open(_factory_of(peer), Deferred())  # type: ignore[arg-type]
    site.settle()

    assert dialling.effect.wire_id == "M1"
    assert office.arrivals == ["M2"], "the other one, on a new lease"
    assert site.couriers[LANE].counts.last_reason == NOT_LEASED
    office.swallows = False
    site.run(10)
    assert sorted(office.arrivals) == ["M1", "M2"]
    assert total_queue(site, office) == CLEAN


def _factory_of(peer: Any) -> Any:
    from referral_engine.transports.line import Dial

    return Dial(peer._line)


# F-G08
def test_a_courier_that_slept_hands_back_what_it_had_leased_and_asks_anew() -> None:
    site = Site()
    answers: list[Any] = []
    office = Receiver(site.clock, lambda _control_id: None)
    site.courier(office)
    site.owe("M1", "M2", "M3")
    site.start()
    (held,) = [row for row in site.rows() if row.wire_id == "M2"]

    site.wall.move_to(START.replace(minute=3))
    site.decide(2, "cancel")  # refused, for it is leased
    office.answer = Receiver(site.clock).answer
    office._play(office.lines[0], office.answer("M1"))
    site.settle()
    answers += [row for row in site.rows() if row.wire_id == "M2"]

    assert held.state.value == "in-flight"
    assert answers[0].token > held.token, "a lease of its own, younger than the sleep"
    assert office.arrivals == ["M1", "M2", "M3"]


# F-G08, H077
def test_of_two_couriers_that_hold_one_sending_only_the_newer_lease_counts() -> None:
    site = Site()
    site.owe("M1")
    (first,) = site.step.run([Claim(lane=LANE, transport="mllp", limit=1, lease_seconds=60.0)])[0].effects
    site.wall.move_to(START.replace(minute=2))
    (second,) = site.step.run([Claim(lane=LANE, transport="mllp", limit=1, lease_seconds=60.0)])[0].effects

    (late, taken) = site.step.run(
        [
            Settled(effect=1, token=first.token, outcome=Outcome.FAILED),
            Settled(effect=1, token=second.token, outcome=Outcome.DELIVERED),
        ]
    )

    assert second.token > first.token
    assert (late.refused, taken.refused) == ("the lease was no longer held", "")
    assert site.states() == {"M1": "delivered"}


# H077
def test_recovery_and_a_courier_that_meet_on_one_sending_are_one_delivery() -> None:
    site = Site()
    site.owe("M1")
    claims = [Claim(lane=LANE, transport="mllp", limit=1), Claim(lane=LANE, transport="mllp", limit=1)]

    receipts = site.step.run(claims)

    assert [len(receipt.effects) for receipt in receipts] == [1, 0]


# H086
def test_clicking_retry_twice_is_one_more_sending_of_the_same_message() -> None:
    site = Site()
    office = Receiver(site.clock, lambda control_id: Receiver(site.clock).answer(control_id).replace(b"|AA|", b"|AR|"))
    site.courier(office)
    site.owe("M1")
    site.start()
    assert site.states() == {"M1": "failed"}
    office.answer = Receiver(site.clock).answer

    both = site.step.run([OutboxDecision(effect=1, decision="retry", by="jane")] * 2)
    site.couriers[LANE].poke()
    site.settle()
    third = site.decide(1, "retry")
    site.run(10)

    assert [receipt.refused for receipt in both] == ["", ""]
    assert "not in a state" in third.refused
    assert office.arrivals == ["M1", "M1"]
    assert len(office.copies["M1"]) == 1
    assert site.states() == {"M1": "delivered"}


# F-B10
@pytest.mark.parametrize("column", ["body", "wire_id"])
def test_what_was_altered_in_the_outbox_never_leaves_and_stops_the_engine(column: str, tmp_path: Path) -> None:
    journal = Journal.open(str(tmp_path / "journal.db"), None, node="RE", now=to_micros(START))
    site = Site(journal=journal)
    office = Receiver(site.clock)
    courier = site.courier(office)
    site.owe("M1", "M2")
    changed = {"body": body("M1", "JOAN"), "wire_id": "M1X"}[column]
    journal._connection.execute(f"UPDATE effects SET {column} = ? WHERE id = 1", (changed,))

    site.start()
    site.run(60)

    assert office.arrivals == []
    assert isinstance(site.failed, Altered)
    assert str(site.failed).startswith("sending 1 is not what was stored")
    assert journal.fenced
    assert courier.state == "stopped"
    with pytest.raises(JournalError):
        site.step.run([Claim(lane=LANE)])
    journal.close()


# F-G09
def test_a_sending_that_breaks_its_transport_is_set_aside_after_three_tries_and_the_others_go_on() -> None:
    class Broken(MllpPeer):
        def deliver(self, effect: EffectRow, may_write: Any) -> Deferred[Attempt]:
            if effect.wire_id == "POISON":
                raise KeyError("a patient's name")
            return super().deliver(effect, may_write)

    site = Site()
    office = Receiver(site.clock)
    site.carry(Broken(endpoint=office, timer=site.clock, peer="", ack_timeout_seconds=30.0))
    site.owe("M1", "POISON", "M2")
    site.start()
    site.run(120)

    rows = {row.wire_id: row for row in site.rows()}
    assert office.arrivals == ["M1", "M2"]
    assert (rows["POISON"].state.value, rows["POISON"].attempts) == ("unknown", 3)
    assert [task.kind for task in site.tasks()] == ["unknown-delivery"]
    assert "patient" not in rows["POISON"].reason
