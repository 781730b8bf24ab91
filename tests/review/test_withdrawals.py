"""A sender takes back what it said of a visit: the attendance goes, and whoever was told hears it."""

from __future__ import annotations

from referral_engine.flow.inputs import EvidenceUnbound, Receipt
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import Disposition
from tests.flow.stage import BOOKING, ORDER, at, engine, sample, sent, story, tracks

A04 = "adt-a04-cardiology-registered.hl7"
VISIT = {"PV1-19.1": "V-5001"}


def seen() -> tuple[Rehearsal, Receipt]:
    """Amelia came on the day she was booked for, says the registration of visit V-5001."""
    stage = engine()
    stage.receive(sample(ORDER))
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-10 10:35"))
    came = stage.receive(sample(A04, VISIT))
    assert tracks(stage)["appointment"] == "kept"
    return stage, came


def taken_back(stage: Rehearsal, visit: str = "V-5001") -> Receipt:
    """The registration of a visit is cancelled."""
    return stage.receive(sample(A04, {"MSH-10": "EHR-A11", "MSH-9.2": "A11", "EVN-1": "A11", "PV1-19.1": visit}))


def test_a_cancelled_registration_takes_the_attendance_back() -> None:
    stage, came = seen()
    before = sent(stage)

    cancelled = taken_back(stage)

    assert tracks(stage)["appointment"] == "booked"
    assert sent(stage)[len(before) :] == ["ehr appointment booked"]
    reading = stage.journal.read()
    gone, word = reading.message(came.sequence), reading.message(cancelled.sequence)
    assert gone is not None
    assert word is not None
    assert gone.disposition is Disposition.NO_OP
    assert f"message {cancelled.sequence}" in gone.reason
    assert (word.disposition, word.referral) == (Disposition.APPLIED, story(stage).line.id)


def test_the_timeline_cites_the_message_that_took_it_back() -> None:
    stage, came = seen()

    cancelled = taken_back(stage)

    (undone,) = [event for event in story(stage).events if event.kind == "EvidenceUndone"]
    assert undone.message == cancelled.sequence
    assert f"message {came.sequence}" in undone.summary


def test_another_visit_of_the_patient_is_left_alone() -> None:
    stage, _ = seen()

    taken_back(stage, "V-6666")

    assert tracks(stage)["appointment"] == "kept"


def test_a_booking_that_names_the_same_visit_is_not_cancelled_by_it() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.receive(sample(BOOKING, VISIT))
    stage.move_to(at("2026-03-10 10:35"))
    stage.receive(sample(A04, VISIT))

    taken_back(stage)

    assert tracks(stage)["appointment"] == "booked"
    assert len(story(stage).referral.slots) == 1


def test_a_withdrawal_that_was_itself_a_mistake_is_undone_and_the_visit_counts_again() -> None:
    stage, _ = seen()
    cancelled = taken_back(stage)

    undone = stage.put(EvidenceUnbound(message=cancelled.sequence, by="jane", reason="cancelled by mistake"))

    assert undone.refused == ""
    assert tracks(stage)["appointment"] == "kept"
    assert sent(stage)[-1] == "ehr appointment attended"


def test_it_is_taken_back_once() -> None:
    stage, _ = seen()
    taken_back(stage)
    events = len(story(stage).events)

    stage.receive(sample(A04, {"MSH-10": "EHR-A23", "MSH-9.2": "A23", "EVN-1": "A23", "PV1-19.1": "V-5001"}))

    assert tracks(stage)["appointment"] == "booked"
    assert len(story(stage).events) == events
