"""What becomes of a new order: on its way, held, a duplicate, known already, or a person's task."""

from __future__ import annotations

from referral_engine.base.values import replace
from referral_engine.flow.inputs import ConfigChanged, MessageDecision, Receipt
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import Disposition
from tests.flow.stage import (
    BOOKING,
    HEART,
    ORDER,
    book,
    book_with,
    engine,
    kinds,
    owed,
    row,
    said,
    sample,
    sent,
    story,
    tasks,
    tracks,
    whole,
)

DUPLICATE = "orm-o01-cardiology-duplicate.hl7"  # the same patient and specialty, P-1002


def test_an_order_that_no_channel_takes_is_a_task_with_the_reason_of_each_channel() -> None:
    stage = engine()

    receipt = stage.receive(sample("orm-o01-unroutable.hl7"))

    assert said(receipt) == "AA"
    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    (task,) = tasks(stage)
    assert task.kind == "unroutable-order"
    assert task.message == receipt.sequence
    assert "no channel takes it" in task.reason
    for name in book().channels:
        assert f"{name}: " in task.reason
    assert not owed(stage)


def test_an_order_that_two_channels_take_is_a_task_that_names_both() -> None:
    twin = replace(book().channels[HEART], name="heart-twin")
    stage = engine(other=book_with(twin))

    receipt = stage.receive(sample(ORDER))

    (task,) = tasks(stage, "unroutable-order")
    assert f"several channels take it: {HEART}, heart-twin" in task.reason
    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    assert not stage.journal.read().referrals()


def test_an_order_without_a_number_or_without_a_service_is_a_task() -> None:
    stage = engine()

    stage.receive(sample(ORDER, {"ORC-2": "", "OBR-2": ""}))

    (task,) = tasks(stage, "unroutable-order")
    assert "no number (ORC-2)" in task.reason
    assert not stage.journal.read().referrals()


def replay(stage: Rehearsal, receipt: Receipt) -> Receipt:
    return stage.step.run([MessageDecision(message=receipt.sequence, decision="replay", by="jane")])[0]


def test_an_order_that_no_channel_took_is_handled_again_once_the_files_take_it() -> None:
    stage = engine(other=replace(book(), channels={}, version="before"))
    receipt = stage.receive(sample(ORDER))
    stage.step.offer(book())
    stage.step.run([ConfigChanged(config=book().version, files={}, action="reload", by="jane")])

    decided = replay(stage, receipt)

    assert decided.refused == ""
    assert row(stage, receipt).disposition is Disposition.APPLIED
    assert not tasks(stage, "unroutable-order")
    assert [effect.lane for effect in owed(stage)] == [HEART]
    assert "was not set aside" in replay(stage, receipt).refused


def test_an_order_that_still_nobody_takes_stays_one_task() -> None:
    stage = engine()
    receipt = stage.receive(sample("orm-o01-unroutable.hl7"))

    replay(stage, receipt)

    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    assert kinds(stage) == ["unroutable-order"]


def test_an_order_when_no_channel_is_configured_says_so() -> None:
    stage = engine(other=replace(book(), channels={}))

    stage.receive(sample(ORDER))

    (task,) = tasks(stage, "unroutable-order")
    assert "no channel is configured" in task.reason


def test_the_number_of_another_patients_order_is_an_urgent_review_and_nothing_changes() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    before = story(stage), owed(stage)

    receipt = stage.receive(sample("orm-o01-electrophysiology-ppo.hl7", {"ORC-2.1": "P-1001", "OBR-2.1": "P-1001"}))

    (task,) = tasks(stage)
    assert (task.kind, task.urgent) == ("match-review", True)
    assert story(stage).line.id in task.reason
    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    assert row(stage, receipt).level == 0
    assert (story(stage), owed(stage)) == before
    assert len(stage.journal.read().referrals()) == 1


def test_a_known_order_number_of_the_same_patient_is_nothing_new() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    before = owed(stage)

    receipt = stage.receive(sample(ORDER, {"MSH-10": "EHR1001B"}))

    assert row(stage, receipt).disposition is Disposition.NO_OP
    assert row(stage, receipt).reason == "this order is known"
    assert row(stage, receipt).referral == story(stage).line.id
    assert owed(stage) == before


def test_a_second_order_for_an_open_referral_is_linked_and_nothing_is_sent_twice() -> None:
    stage = engine()
    stage.receive(sample(ORDER))

    stage.receive(sample(DUPLICATE))

    second = story(stage, "P-1002").referral
    assert second.duplicate_of == story(stage).line.id
    assert second.status.value == "ended"
    assert sent(stage).count("specialist order") == 1
    assert "ehr status duplicate" in sent(stage)


def test_evidence_under_the_second_number_moves_the_first_referral() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.receive(sample(DUPLICATE))

    receipt = stage.receive(sample(BOOKING, {"SCH-26.1": "P-1002"}))

    assert row(stage, receipt).referral == story(stage).line.id
    assert row(stage, receipt).level == 1
    assert tracks(stage)["appointment"] == "booked"
    assert tracks(stage, "P-1002")["appointment"] == "none"


def test_an_order_for_another_specialty_is_no_duplicate() -> None:
    stage = engine()
    stage.receive(sample(ORDER))

    stage.receive(
        sample(
            "orm-o01-orthopaedics.hl7",
            {"PID-3": "", "PID-3.1": "700101", "PID-3.4.1": "SPRINGFIELD", "PID-5.1": "Example", "PID-5.2": "Amelia"}
            | {"PID-7": "19580412", "PID-8": "F"},
        )
    )

    reading = stage.journal.read()
    assert [line.status.value for line in reading.referrals()] == ["ordered", "ordered"]


def test_a_held_order_owes_nothing_but_a_task_until_the_authorization_comes() -> None:
    stage = engine()

    stage.receive(sample("orm-o01-cardiology-hmo.hl7"))

    assert tracks(stage, "P-3001")["dispatch"] == "held"
    assert sent(stage) == []
    assert kinds(stage) == ["preauth"]

    stage.receive(sample("orm-o01-cardiology-auth.hl7"))

    assert tracks(stage, "P-3001")["dispatch"] == "received"
    assert "specialist order" in sent(stage)
    assert kinds(stage) == []


def test_an_order_that_is_no_referral_is_left_alone() -> None:
    stage = engine()

    receipt = stage.receive(sample("orm-o01-laboratory.hl7"))

    assert row(stage, receipt).disposition is Disposition.NO_OP
    assert row(stage, receipt).reason == "not a referral order"


def test_an_office_cannot_order() -> None:
    stage = engine()
    before = whole(stage)[1:]

    stage.receive(sample(ORDER, {"MSH-3": "CENTRICITY", "MSH-4": "HEARTGRP"}))

    assert whole(stage)[1:] == before
