"""What a message said is taken off its referral: all is as if it had never come, and everyone who was told hears it."""

from __future__ import annotations

import pytest

from referral_engine.flow.inputs import EvidenceUnbound, OutboxDecision, Receipt
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import Disposition, EffectState
from tests.flow.stage import (
    BOOKING,
    HEART,
    NOTE,
    ORDER,
    at,
    done,
    engine,
    kinds,
    owed,
    sample,
    sent,
    story,
    tasks,
    tick,
    tracks,
    whole,
)

ARRIVED = "siu-s14-cardiology-arrived.hl7"
CANCELLED = "siu-s15-cardiology-cancelled.hl7"
VOIDED = "siu-s17-cardiology-voided.hl7"
HERS = {"ORC-2.1": "P-1001", "OBR-2.1": "P-1001", "PID-3": "", "PID-3.1": "700101", "PID-3.4": "SPRINGFIELD",
        "PID-3.5": "MR", "PID-5.1": "Example", "PID-5.2": "Amelia", "PID-7": "19580412"}  # fmt: skip
AGAIN = {"MSH-10": "HG-AGAIN", "SCH-2.1": "A-2002", "SCH-11.4": "202603170900-0500", "TQ1-7": "", "AIS-4": ""}
HER_VISIT = {"SCH-2.1": "A-1001", "SCH-26.1": "P-1001", "SCH-26.2": "EHR"}


def undone(stage: Rehearsal, receipt: Receipt, reason: str = "it is another patient's") -> Receipt:
    """A coordinator takes a message off its referral."""
    return stage.put(EvidenceUnbound(message=receipt.sequence, by="jane", reason=reason))


def clocks(stage: Rehearsal) -> set[tuple[str, int]]:
    """The clocks that run, by kind and instant."""
    return {(one.kind, one.due_at) for one in story(stage).deadlines if one.state == "pending"}


def ordered() -> Rehearsal:
    """Amelia's order went out and the office accepted it."""
    stage = engine()
    stage.receive(sample(ORDER))
    return stage


def new(stage: Rehearsal, before: list[str]) -> list[str]:
    """What was owed since."""
    return sent(stage)[len(before) :]


# --------------------------------------------------------------------------------------------- bookings


def test_a_booking_that_was_never_hers_leaves_no_trace_in_tracks_clocks_and_slots() -> None:
    stage = ordered()
    stage.move_to(at("2026-03-04 09:00"))
    without = (tracks(stage), clocks(stage), kinds(stage))
    booking = stage.receive(sample(BOOKING))
    assert tracks(stage)["appointment"] == "booked"
    stage.move_to(at("2026-03-05 09:00"))

    assert undone(stage, booking).refused == ""

    assert (tracks(stage), clocks(stage)) == without[:2]
    assert story(stage).referral.slots == ()
    assert kinds(stage) == sorted([*without[2], "match-review"])
    assert any(f"Undone: what message {booking.sequence}" in one.summary for one in story(stage).timeline)


def test_the_ehr_that_was_told_of_the_booking_is_told_that_it_was_an_error() -> None:
    stage = ordered()
    booking = stage.receive(sample(BOOKING))
    before = sent(stage)

    undone(stage, booking)

    assert "ehr appointment voided" in new(stage, before)
    voided = Message.parse(next(row for row in reversed(owed(stage)) if row.about == "voided").body)
    booked = Message.parse(next(row for row in owed(stage) if row.about == "booked").body)
    assert voided.header.trigger == "S17"
    assert voided.value("SCH-2") == booked.value("SCH-2")  # the very appointment the EHR has


def test_a_task_that_the_booking_had_closed_is_open_again() -> None:
    stage = ordered()
    stage.move_to(at("2026-03-11 09:00"))  # seven days and nothing booked
    (before,) = tasks(stage, "schedule")
    booking = stage.receive(sample(BOOKING, {"SCH-11.4": "202603200900-0500", "TQ1-7": "", "AIS-4": ""}))
    assert "schedule" not in kinds(stage)
    stage.move_to(at("2026-03-12 09:00"))

    undone(stage, booking)

    (again,) = tasks(stage, "schedule")
    assert again.id == before.id


def test_a_clock_that_ran_out_meanwhile_runs_out_at_once() -> None:
    stage = ordered()
    booking = stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-10 09:00"))  # the packet went out eight days ago; the booking had stopped the clock

    undone(stage, booking)
    stage.move_to(at("2026-03-10 09:01"))

    assert "schedule" in kinds(stage)


def test_what_a_clock_of_the_wrong_slot_did_did_not_happen_either() -> None:
    stage = ordered()
    booking = stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-12 12:00"))  # the visit has passed, the patient was asked about it
    assert tracks(stage)["appointment"] == "passed"

    undone(stage, booking)

    assert tracks(stage)["appointment"] == "none"
    assert "call-patient" in kinds(stage)  # somebody was asked about a visit that was not theirs


def test_of_two_bookings_the_one_that_stays_is_told_again() -> None:
    stage = ordered()
    stage.receive(sample(BOOKING))
    second = stage.receive(sample(BOOKING, AGAIN))
    assert len(story(stage).referral.slots) == 2
    before = sent(stage)

    undone(stage, second)

    (slot,) = story(stage).referral.slots
    assert (slot.number, slot.appointment.value) == (1, "A-1001")
    assert new(stage, before) == ["ehr appointment voided", "ehr appointment booked"]
    voided, booked = (Message.parse(one.body).value("SCH-2.1") for one in owed(stage)[-2:])
    assert (voided, booked) == ("A-2002", "A-1001")


def test_a_slot_number_is_never_used_again_and_its_clocks_run() -> None:
    stage = ordered()
    booking = stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-08 12:00"))  # 72 hours before the wrong slot
    undone(stage, booking)

    stage.receive(sample(BOOKING, AGAIN))

    (slot,) = story(stage).referral.slots
    assert slot.number == 2
    assert {"remind-72h", "remind-24h", "visit-check"} <= {kind for kind, _ in clocks(stage)}


def test_the_number_that_only_the_undone_booking_taught_leads_nowhere() -> None:
    stage = ordered()
    booking = stage.receive(sample(BOOKING))
    undone(stage, booking)

    cancelled = stage.receive(sample(CANCELLED, {"SCH-2.1": "A-1001"}))

    message = stage.journal.read().message(cancelled.sequence)
    assert message is not None
    assert message.level != 2
    assert tracks(stage)["appointment"] == "none"


@pytest.mark.parametrize("name", [CANCELLED, VOIDED, ARRIVED])
def test_a_word_about_the_visit_is_taken_back_and_the_booking_holds_as_before(name: str) -> None:
    stage = ordered()
    stage.receive(sample(BOOKING))
    before = (tracks(stage), clocks(stage), story(stage).referral.slots)
    said = stage.receive(sample(name, HER_VISIT))
    assert tracks(stage) != before[0]
    told = sent(stage)

    assert undone(stage, said).refused == ""

    assert (tracks(stage), clocks(stage), story(stage).referral.slots) == before
    assert new(stage, told) == ["ehr appointment booked"]


def test_a_no_show_that_was_not_is_taken_back_from_the_ehr_and_from_the_patient() -> None:
    stage = ordered()
    stage.receive(sample(BOOKING))
    missed = stage.receive(sample(ARRIVED, {"SCH-25.1": "Noshow", "SCH-25.2": "Noshow", "MSH-9.2": "S26"}))
    assert tracks(stage)["appointment"] == "no-show"
    before = sent(stage)
    assert "patient reschedule-prompt" in before

    undone(stage, missed)

    assert tracks(stage)["appointment"] == "booked"
    assert new(stage, before) == ["ehr appointment booked", "ehr provider-notice taken back"]
    assert "call-patient" in kinds(stage)


# --------------------------------------------------------------------------------------------- ends


def test_a_decline_that_was_meant_for_another_re_opens_the_referral() -> None:
    stage = ordered()
    declined = stage.receive(sample("orm-o01-specialist-declined.hl7", HERS))
    assert tracks(stage)["closure"] == "ended"
    assert "find-specialist" in kinds(stage)
    before = sent(stage)

    assert undone(stage, declined).refused == ""

    assert tracks(stage)["closure"] == "open"
    assert story(stage).referral.ending is None
    assert {"ehr provider-notice taken back"} <= set(new(stage, before))
    assert any(one.startswith("ehr status ") for one in new(stage, before))
    assert "find-specialist" not in kinds(stage)
    assert clocks(stage)


def test_a_cancel_that_was_not_asked_sends_the_packet_again_and_has_somebody_call() -> None:
    stage = ordered()
    asked = stage.receive(sample("orm-o01-cardiology-cancel.hl7"))
    assert tracks(stage)["closure"] == "cancel-requested"
    assert "specialist cancel" in sent(stage)
    before = sent(stage)

    assert undone(stage, asked).refused == ""

    assert tracks(stage)["closure"] == "open"
    assert "specialist order" in new(stage, before)
    assert "call-specialist" in kinds(stage)


def test_a_change_of_another_order_is_taken_back_from_the_office() -> None:
    stage = ordered()
    first = story(stage).referral.order
    changed = stage.receive(
        sample("orm-o01-cardiology-changed.hl7", {"OBR-4.1": "REFCARD2", "OBR-13": "Another reason"})
    )
    assert "specialist order-change" in sent(stage)
    before = sent(stage)

    assert undone(stage, changed).refused == ""

    assert story(stage).referral.order == first
    assert new(stage, before) == ["specialist order-change"]
    again = Message.parse(owed(stage)[-1].body)
    assert again.value("OBR-13") == Message.parse(sample(ORDER)).value("OBR-13")


def test_the_order_itself_is_not_undone() -> None:
    stage = engine()
    order = stage.receive(sample(ORDER))
    before = whole(stage)

    receipt = undone(stage, order)

    assert "end the referral instead" in receipt.refused
    assert whole(stage) == before


# --------------------------------------------------------------------------------------------- notes


def test_a_note_of_another_patient_is_retracted_in_the_ehr_that_had_accepted_it() -> None:  # F-H07
    stage = ordered()
    note = stage.receive(sample(NOTE))
    assert tracks(stage)["closure"] == "closed"
    before = sent(stage)

    assert undone(stage, note).refused == ""

    assert (tracks(stage)["note"], tracks(stage)["closure"]) == ("none", "open")
    assert new(stage, before) == ["ehr retraction undone", "ehr status received"]
    closure = Message.parse(next(row for row in owed(stage) if row.purpose == "closure").body)
    taken_back = Message.parse(next(row for row in owed(stage) if row.purpose == "retraction").body)
    assert taken_back.header.trigger == "T11"
    assert taken_back.value("TXA-12") == closure.value("TXA-12")
    assert not taken_back.all("OBX")
    assert clocks(stage), "an open referral owns a deadline"


def test_a_note_that_has_not_left_is_withdrawn_and_nobody_is_told() -> None:
    stage = ordered()
    stage.partners["ehr"] = "refused"
    note = stage.receive(sample(NOTE))
    (closure,) = [row for row in owed(stage) if row.purpose == "closure"]
    assert closure.state is EffectState.QUEUED

    undone(stage, note)

    (closure,) = [row for row in owed(stage) if row.purpose == "closure"]
    assert closure.state is EffectState.CANCELLED
    assert not [row for row in owed(stage) if row.purpose == "retraction"]
    assert tracks(stage)["closure"] == "open"


def test_what_the_ehr_had_refused_cannot_be_sent_any_more() -> None:
    stage = ordered()
    stage.partners["ehr"] = "AE"
    note = stage.receive(sample(NOTE))
    (closure,) = [one for one in owed(stage) if one.purpose == "closure"]
    assert closure.state is EffectState.FAILED

    undone(stage, note)

    assert "retraction" not in [one.purpose for one in owed(stage)]
    retried = stage.put(OutboxDecision(effect=closure.id, decision="retry", by="ana"))
    assert "not in a state" in retried.refused


def test_a_packet_that_a_person_has_parked_stays_parked() -> None:
    stage = engine()
    stage.partners[HEART] = "refused"
    stage.receive(sample(ORDER))
    (packet,) = [one for one in owed(stage) if one.purpose == "order"]
    stage.put(OutboxDecision(effect=packet.id, decision="park", by="ana"))
    booking = stage.receive(sample(BOOKING))

    undone(stage, booking)

    assert tracks(stage)["dispatch"] == "queued"
    assert sent(stage).count("specialist order") == 1


def test_of_two_notes_the_right_one_closes_the_loop_once_the_wrong_one_is_gone() -> None:
    stage = ordered()
    wrong = stage.receive(sample(NOTE))
    right = stage.receive(sample(NOTE, {"MSH-10": "HG-RIGHT", "TXA-12.1": "D-7777", "OBX-5": "Another text."}))
    before = sent(stage)

    assert undone(stage, wrong).refused == ""

    (document,) = story(stage).referral.documents
    assert document.message == right.sequence
    assert new(stage, before) == ["ehr retraction undone", "ehr closure note"]
    assert tracks(stage)["closure"] == "closed"  # the EHR accepted the closure that cites the right note


def test_of_two_notes_the_one_that_is_undone_is_the_one_that_is_retracted() -> None:
    stage = ordered()
    stage.receive(sample(NOTE))
    wrong = stage.receive(sample(NOTE, {"MSH-10": "HG-WRONG", "TXA-12.1": "D-7777", "OBX-5": "Another text."}))
    before = sent(stage)

    undone(stage, wrong)

    assert new(stage, before) == ["ehr retraction undone"]
    assert Message.parse(owed(stage)[-1].body).value("TXA-12.1") == "D-7777"
    assert (tracks(stage)["note"], tracks(stage)["closure"]) == ("final", "closed")


def test_a_retraction_that_was_a_mistake_files_the_note_again() -> None:
    stage = ordered()
    stage.receive(sample(NOTE))
    retracted = stage.receive(sample("mdm-t11-cardiology-cancelled.hl7", {"TXA-12.1": "D-1001"}))
    assert tracks(stage)["note"] == "retracted"
    before = sent(stage)

    assert undone(stage, retracted).refused == ""

    assert (tracks(stage)["note"], tracks(stage)["closure"]) == ("final", "closed")
    assert new(stage, before) == ["ehr closure note"]


# --------------------------------------------------------------------------------------------- the message


def test_the_message_is_for_a_person_again_with_a_review_whose_age_begins_now() -> None:
    stage = ordered()
    note = stage.receive(sample(NOTE))
    stage.move_to(at("2026-03-20 09:00"))

    undone(stage, note, "the picture is of another patient")

    row = stage.journal.read().message(note.sequence)
    assert row is not None
    assert (row.disposition, row.referral) == (Disposition.NEEDS_HUMAN, "")
    (task,) = tasks(stage, "match-review")
    assert task.message == note.sequence
    assert task.queue != "supervisor"
    stage.move_to(at("2026-03-24 09:00"))
    tick(stage)
    (task,) = tasks(stage, "match-review")
    assert task.escalated_at > 0, "a review nobody took in time moves on"


def test_the_decision_stays_and_is_marked_with_who_and_why() -> None:
    stage = ordered()
    note = stage.receive(sample(NOTE))

    undone(stage, note, "the picture is of another patient")

    (decision,) = stage.journal.read().decisions(note.sequence)
    assert decision.undone_at > 0
    assert (decision.undone_by, decision.undone_reason) == ("user:jane", "the picture is of another patient")
    assert stage.journal.read().first_bad_audit_line() is None
    assert all("picture" not in event.summary + event.reason for event in story(stage).events)


@pytest.mark.parametrize("reason", ["", "   "])
def test_an_undo_without_a_reason_is_refused(reason: str) -> None:
    stage = ordered()
    note = stage.receive(sample(NOTE))
    before = whole(stage)

    assert "reason" in undone(stage, note, reason).refused
    assert whole(stage) == before


def test_an_undo_of_what_was_undone_or_never_attached_is_refused() -> None:
    stage = ordered()
    note = stage.receive(sample(NOTE))
    stranger = stage.receive(sample("mdm-t02-cardiology-another-patient.hl7"))
    undone(stage, note)
    before = whole(stage)

    assert "evidence of no referral" in undone(stage, note).refused
    assert "evidence of no referral" in undone(stage, stranger).refused
    unknown = stage.put(EvidenceUnbound(message=9_999, by="jane", reason="why not"))
    assert "there is no message" in unknown.refused
    assert whole(stage) == before


def test_a_staff_word_in_between_stays() -> None:
    stage = ordered()
    stage.move_to(at("2026-03-11 09:00"))
    done(stage, "schedule", booked=at("2026-03-17 14:00"))
    note = stage.receive(sample(NOTE))

    undone(stage, note)

    assert tracks(stage)["appointment"] == "booked"
    assert tracks(stage)["note"] == "none"
