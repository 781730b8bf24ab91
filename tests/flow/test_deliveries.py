"""Couriers at the door: leases, retries, what a partner's answer means, and what must not leave."""

from __future__ import annotations

from datetime import time

import pytest

from referral_engine.base.values import replace
from referral_engine.flow.inputs import Claim, OutboxDecision, PatientReplied, Settled, Ticked
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import EffectRow, EffectState
from referral_engine.loop.events import Outcome
from tests.flow.stage import (
    BOOKING,
    HEART,
    NOTE,
    ORDER,
    arrived,
    at,
    book,
    engine,
    kinds,
    owed,
    sample,
    sent,
    story,
    tracks,
    wall,
    whole,
)


def _quietly(name: str = ORDER, start: str = "2026-03-02 09:00") -> Rehearsal:
    """An order came in, and no courier has looked yet."""
    stage = engine(start)
    stage.step.run([arrived(sample(name))])
    return stage


def _claim(stage: Rehearsal, lane: str = HEART, limit: int = 1) -> tuple[EffectRow, ...]:
    return stage.step.run([Claim(lane=lane, limit=limit)])[0].effects


def _settled(row: EffectRow, outcome: Outcome, **more: object) -> Settled:
    return Settled(effect=row.id, token=row.token, outcome=outcome, **more)  # type: ignore[arg-type]  # fields of Settled


# ---------------------------------------------------------------------------------------------- leases


def test_a_stale_token_changes_nothing() -> None:
    stage = _quietly()
    (first,) = _claim(stage)
    stage.clock.move_to(at("2026-03-02 09:05"))  # the lease ran out
    (second,) = _claim(stage)
    before = whole(stage)

    (receipt,) = stage.step.run([_settled(first, Outcome.DELIVERED)])

    assert receipt.refused == "the lease was no longer held"
    assert whole(stage) == before
    assert second.token != first.token


def test_settling_twice_counts_once() -> None:
    stage = _quietly()
    (row,) = _claim(stage)
    stage.step.run([_settled(row, Outcome.DELIVERED)])
    before = whole(stage)

    (receipt,) = stage.step.run([_settled(row, Outcome.DELIVERED)])

    assert receipt.refused
    assert whole(stage) == before


def test_an_outcome_brings_the_next_work_in_the_same_transaction() -> None:
    stage = _quietly()
    (first,) = _claim(stage)

    (receipt,) = stage.step.run([_settled(first, Outcome.DELIVERED, claim=Claim(lane="ehr", limit=8))])

    assert [(row.recipient, row.state) for row in receipt.effects] == [("ehr", EffectState.IN_FLIGHT)]
    assert receipt.effects[0].cause > first.cause, "it was owed by the outcome itself"


def test_an_outcome_that_comes_too_late_brings_no_work() -> None:
    stage = _quietly()
    (first,) = _claim(stage)
    stage.step.run([_settled(first, Outcome.RETRY)])
    before = whole(stage)

    (receipt,) = stage.step.run([_settled(first, Outcome.DELIVERED, claim=Claim(lane=HEART, limit=8))])

    assert receipt.refused
    assert receipt.effects == ()
    assert whole(stage) == before


def test_a_lease_that_comes_back_unsent_leaves_no_trace() -> None:
    stage = _quietly()
    before = owed(stage)
    (row,) = _claim(stage)

    stage.step.run([Claim(lane=HEART, limit=0, back=((row.id, row.token),))])

    (after,) = owed(stage)
    assert replace(after, token=0) == replace(before[0], token=0)
    assert stage.journal.read().conservation().holds


def test_what_comes_back_can_be_leased_again_in_the_same_trip_and_its_old_token_is_stale() -> None:
    stage = _quietly()
    (first,) = _claim(stage)

    (again,) = stage.step.run([Claim(lane=HEART, limit=1, back=((first.id, first.token),))])[0].effects
    (receipt,) = stage.step.run([_settled(first, Outcome.DELIVERED)])

    assert (again.id, again.body, again.wire_id, again.attempts) == (first.id, first.body, first.wire_id, 1)
    assert again.token > first.token
    assert receipt.refused


def test_a_stale_token_gives_nothing_back() -> None:
    stage = _quietly()
    (first,) = _claim(stage)
    stage.step.run([_settled(first, Outcome.DELIVERED)])
    before = whole(stage)

    stage.step.run([Claim(lane=HEART, limit=0, back=((first.id, first.token), (first.id, first.token + 1)))])

    assert whole(stage) == before


def test_two_sendings_of_one_referral_are_never_leased_together() -> None:
    stage = _quietly()
    stage.partners["ehr"] = "silent"
    stage.receive(sample(NOTE))
    in_ehr = [row for row in owed(stage) if row.lane == "ehr"]
    stage.clock.move_to(at("2026-03-02 10:00"))

    (first,) = _claim(stage, "ehr", limit=8)
    ask = Claim(lane="ehr", limit=8)
    (later,) = stage.step.run([_settled(first, Outcome.RETRY, retry_in_seconds=30.0, claim=ask)])
    (after,) = stage.step.run([ask])

    assert len(in_ehr) > 1
    assert (later.effects, after.effects) == ((), ())


def test_a_retry_is_the_same_message_under_the_same_id() -> None:
    stage = _quietly()
    (first,) = _claim(stage)
    stage.step.run([_settled(first, Outcome.RETRY, reason="no answer in time", retry_in_seconds=30.0)])
    assert _claim(stage) == ()

    stage.clock.move_to(at("2026-03-02 09:01"))
    (second,) = _claim(stage)

    assert (second.id, second.wire_id, second.body) == (first.id, first.wire_id, first.body)
    assert second.attempts == 2


def test_wire_ids_are_unique_and_short_enough_for_msh_10() -> None:
    stage = engine(patient="silent")
    for name in (ORDER, "orm-o01-electrophysiology-ppo.hl7", "orm-o01-orthopaedics.hl7", BOOKING, NOTE):
        stage.receive(sample(name))
    stage.move_to(at("2026-03-02 11:00"))
    stage.partners["patient"] = "delivered"
    stage.move_to(at("2026-04-20 09:00"))

    ids = [row.wire_id for row in owed(stage)]

    assert len(ids) > 15
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 20


# ---------------------------------------------------------------------------------------------- what an answer means


def test_a_closure_the_ehr_accepted_closes_the_loop() -> None:
    stage = engine()
    stage.receive(sample(ORDER))

    stage.receive(sample(NOTE))

    assert tracks(stage)["closure"] == "closed"
    assert kinds(stage) == []


def test_a_closure_the_ehr_refused_does_not_close_and_is_a_task() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.partners["ehr"] = "AE"

    stage.receive(sample(NOTE))

    assert tracks(stage)["closure"] == "closing"
    assert story(stage).referral.status.value == "note-received"
    assert "undeliverable-ehr" in kinds(stage)
    assert any(one.state == "pending" for one in story(stage).deadlines)


def test_a_refused_closure_that_a_person_sends_again_closes() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.partners["ehr"] = "AE"
    stage.receive(sample(NOTE))
    stage.partners["ehr"] = "AA"
    (failed,) = [row for row in owed(stage) if row.purpose == "closure"]

    receipt = stage.put(OutboxDecision(effect=failed.id, decision="retry", by="coordinator"))

    assert receipt.refused == ""
    assert tracks(stage)["closure"] == "closed"
    (sent_again,) = [row for row in owed(stage) if row.purpose == "closure"]
    assert (sent_again.wire_id, sent_again.body) == (failed.wire_id, failed.body)
    assert kinds(stage) == []


def test_an_order_that_may_or_may_not_have_arrived_is_a_persons_question() -> None:
    stage = engine(**{HEART: "unknown"})

    stage.receive(sample(ORDER))

    assert tracks(stage)["dispatch"] == "sent"
    assert kinds(stage) == ["unknown-delivery"]
    assert owed(stage)[0].state is EffectState.UNKNOWN


def test_an_order_the_office_refused_is_undeliverable_and_a_task() -> None:
    stage = engine(**{HEART: "AR"})

    stage.receive(sample(ORDER))

    assert tracks(stage)["dispatch"] == "undeliverable"
    assert "undeliverable" in kinds(stage)


@pytest.mark.parametrize(
    ("decision", "effect", "sentence"),
    [("burn", 1, "is not one of"), ("retry", 999, "not in a state"), ("park", 1, "not in a state")],
)
def test_a_decision_that_cannot_be_done_says_why_and_changes_nothing(decision: str, effect: int, sentence: str) -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    before = whole(stage)

    receipt = stage.put(OutboxDecision(effect=effect, decision=decision, by="coordinator"))

    assert sentence in receipt.refused
    assert whole(stage) == before


def test_a_parked_sending_does_not_leave() -> None:
    stage = _quietly()
    stage.step.run([OutboxDecision(effect=1, decision="park", by="coordinator")])

    assert _claim(stage) == ()


# ---------------------------------------------------------------------------------------------- consent and quiet hours


def test_stop_before_the_prompt_was_claimed_withdraws_it() -> None:
    stage = engine("2026-03-02 21:30")
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-02 21:40"))  # the prompt waits for the morning

    stage.put(PatientReplied(referral=story(stage).line.id, answer="stop"))
    stage.move_to(at("2026-03-03 12:00"))

    (prompt,) = [row for row in owed(stage) if row.recipient == "patient"]
    assert prompt.state is EffectState.CANCELLED
    assert tracks(stage)["outreach"] == "opted-out"


def test_a_prompt_that_its_courier_lost_is_not_leased_again_after_a_stop() -> None:
    stage = engine("2026-03-02 09:00", patient="silent")
    stage.step.run([arrived(sample(ORDER))])
    stage.clock.move_to(at("2026-03-02 09:02"))
    stage.step.run([Ticked()])
    (lost,) = _claim(stage, "patient")
    stage.step.run([PatientReplied(referral=story(stage).line.id, answer="STOP")])
    stage.clock.move_to(at("2026-03-02 09:30"))

    assert _claim(stage, "patient") == ()

    found = stage.journal.read().effect(lost.id)
    assert found is not None
    assert found.state is EffectState.CANCELLED
    assert "must not be written to" in found.reason


def test_what_may_not_leave_does_not_hide_the_work_behind_it() -> None:
    stage = engine()
    second = {
        "PID-3.1": "700777",
        "PID-5.1": "Sampleton",
        "ORC-2.1": "P-1777",
        "OBR-2.1": "P-1777",
        "MSH-10": "EHR1777",
    }
    stage.step.run([arrived(sample(ORDER)), arrived(sample(ORDER, second))])
    stage.clock.move_to(at("2026-03-02 09:02"))
    stage.step.run([Ticked()])
    (lost,) = _claim(stage, "patient")
    stage.step.run([PatientReplied(referral=lost.referral, answer="STOP")])
    stage.clock.move_to(at("2026-03-02 09:30"))

    (other,) = _claim(stage, "patient")

    assert other.referral != lost.referral


def test_a_prompt_that_falls_due_at_night_leaves_in_the_morning() -> None:
    stage = engine("2026-03-02 20:59")
    stage.receive(sample(ORDER))

    stage.move_to(at("2026-03-03 07:59"))
    (prompt,) = [row for row in owed(stage) if row.recipient == "patient"]
    assert prompt.state is EffectState.QUEUED
    assert wall(prompt.next_at) == "2026-03-03 08:00"

    stage.move_to(at("2026-03-03 08:00"))
    assert tracks(stage)["outreach"] == "notified"


def test_the_specialist_and_the_ehr_are_written_to_at_night() -> None:
    stage = engine("2026-03-02 23:00")

    stage.receive(sample(ORDER))

    assert sent(stage) == ["specialist order", "ehr status received"]
    assert tracks(stage)["dispatch"] == "received"


@pytest.mark.parametrize(
    ("hours", "now", "leaves"),
    [
        (("21:00", "08:00"), "2026-03-02 12:00", "2026-03-02 12:02"),
        (("21:00", "08:00"), "2026-03-02 06:00", "2026-03-02 08:00"),
        (("21:00", "08:00"), "2026-03-07 22:00", "2026-03-08 08:00"),  # the night the clocks go forward
        (("01:00", "06:00"), "2026-03-02 12:00", "2026-03-02 12:02"),
        (("01:00", "06:00"), "2026-03-02 03:00", "2026-03-02 06:00"),
        (("00:00", "08:00"), "2026-03-02 23:00", "2026-03-02 23:02"),
    ],
)
def test_patients_are_left_alone_in_quiet_hours_only(hours: tuple[str, str], now: str, leaves: str) -> None:
    start, end = map(time.fromisoformat, hours)
    quiet = replace(book().engine.patients, quiet_from=start, quiet_until=end)
    stage = engine(now, other=replace(book(), engine=replace(book().engine, patients=quiet)))
    stage.receive(sample(ORDER))

    stage.move_to(at(leaves))

    (prompt,) = [row for row in owed(stage) if row.recipient == "patient"]
    assert prompt.state is EffectState.DELIVERED
    assert wall(prompt.settled_at) == leaves
