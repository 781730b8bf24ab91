"""Which referral a booking, a note or a registration belongs to, what it may do there, and what waits or is asked."""

from __future__ import annotations

import pytest

from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import Disposition
from tests.flow.stage import (
    BOOKING,
    MONDAY,
    NOTE,
    ORDER,
    arrived,
    at,
    engine,
    kinds,
    owed,
    row,
    sample,
    story,
    tasks,
    tracks,
    whole,
)

UNNUMBERED = "siu-s12-cardiology-without-order.hl7"  # 17 March 08:30
WITHOUT_NUMBER = {"TXA-14": "", "ORC-2": "", "OBR-2": "", "ORC-3": "", "OBR-3": ""}
SECOND = {"ORC-2.1": "P-1009", "OBR-2.1": "P-1009", "MSH-10": "EHR1009"}  # a second order for the same patient


def _ordered(start: str = MONDAY) -> Rehearsal:
    stage = engine(start)
    stage.receive(sample(ORDER))
    return stage


# ---------------------------------------------------------------------------------------------- applied


def test_a_booking_with_the_order_number_is_exact_and_certain() -> None:
    stage = _ordered()

    receipt = stage.receive(sample(BOOKING))

    assert (row(stage, receipt).disposition, row(stage, receipt).level) == (Disposition.APPLIED, 1)
    assert not story(stage).referral.slots[-1].provisional
    (booked,) = [event for event in story(stage).events if event.kind == "AppointmentBooked"]
    assert booked.message == receipt.sequence
    assert booked.reason.startswith("level 1: placer number")


def test_a_booking_under_its_own_number_is_linked_once_the_number_is_known() -> None:
    stage = _ordered()
    stage.receive(sample(BOOKING))

    receipt = stage.receive(sample("siu-s15-cardiology-cancelled.hl7", {"SCH-2.1": "A-1001", "SCH-26": ""}))

    assert row(stage, receipt).level == 2
    assert tracks(stage)["appointment"] == "cancelled"


def test_a_booking_without_a_number_is_applied_and_marked_provisional() -> None:
    stage = _ordered()

    receipt = stage.receive(sample(UNNUMBERED))

    assert row(stage, receipt).level == 3
    assert tracks(stage)["appointment"] == "booked"
    assert story(stage).referral.slots[-1].provisional


def test_a_note_without_a_number_goes_to_a_person_and_nothing_changes() -> None:
    stage = _ordered()
    before = story(stage), owed(stage)

    receipt = stage.receive(sample(NOTE, WITHOUT_NUMBER))

    assert (row(stage, receipt).disposition, row(stage, receipt).level) == (Disposition.NEEDS_HUMAN, 3)
    (task,) = tasks(stage)
    assert task.kind == "match-review"
    assert story(stage).line.id in task.reason
    assert (story(stage), owed(stage)) == before


def test_a_booking_that_fits_several_referrals_goes_to_a_person_with_the_candidates() -> None:
    stage = _ordered("2026-02-02 09:00")
    stage.move_to(at("2026-02-20 09:00"))
    stage.receive(sample(ORDER, SECOND))  # after fourteen days it is no duplicate
    before = story(stage), story(stage, "P-1009")

    receipt = stage.receive(sample(UNNUMBERED))

    assert row(stage, receipt).level == 4
    (task,) = tasks(stage, "match-review")
    assert story(stage).line.id in task.reason
    assert story(stage, "P-1009").line.id in task.reason
    assert (story(stage), story(stage, "P-1009")) == before


def test_our_number_on_another_patients_note_is_an_urgent_review_and_nothing_changes() -> None:
    stage = engine()
    stage.receive(sample("orm-o01-cardiology-stress-test.hl7"))
    before = story(stage, "P-9001"), owed(stage)

    receipt = stage.receive(sample("mdm-t02-cardiology-another-patient.hl7"))

    assert row(stage, receipt).level == 0
    (task,) = tasks(stage)
    assert (task.kind, task.urgent) == ("match-review", True)
    assert (story(stage, "P-9001"), owed(stage)) == before


def test_another_channels_specialist_cannot_speak_of_a_referral() -> None:
    stage = _ordered()
    before = story(stage), owed(stage)

    receipt = stage.receive(sample(BOOKING, {"MSH-3": "RIS", "MSH-4": "NORTHSIDE"}))

    assert row(stage, receipt).level == 0
    assert "no party of that referral" in row(stage, receipt).reason
    assert tasks(stage)[0].urgent
    assert (story(stage), owed(stage)) == before


# ---------------------------------------------------------------------------------------------- early evidence


def test_a_booking_before_its_order_waits_and_is_applied_when_the_order_comes() -> None:
    stage = engine()
    early = stage.receive(sample(BOOKING))
    assert (row(stage, early).disposition, row(stage, early).level) == (Disposition.NO_OP, 6)
    assert kinds(stage) == []

    stage.receive(sample(ORDER))

    assert tracks(stage)["appointment"] == "booked"
    assert (row(stage, early).disposition, row(stage, early).level) == (Disposition.APPLIED, 1)
    assert row(stage, early).referral == story(stage).line.id
    assert stage.journal.read().conservation().holds


def test_early_evidence_is_applied_once() -> None:
    stage = engine()
    stage.receive(sample(BOOKING))
    stage.receive(sample(ORDER))
    before = whole(stage)[1:]

    stage.receive(sample(ORDER, {"MSH-10": "EHR1001B"}))
    stage.receive(sample("adt-a08-new-phone.hl7", {"PID-11": "", "PID-13": ""}))

    assert sum(event.kind == "AppointmentBooked" for event in story(stage).events) == 1
    assert len(story(stage).referral.slots) == 1
    assert owed(stage) == before[1]


def test_an_early_booking_in_the_same_batch_as_its_order_is_applied_too() -> None:
    stage = engine()

    stage.step.run([arrived(sample(BOOKING)), arrived(sample(ORDER))])

    assert tracks(stage)["appointment"] == "booked"
    assert stage.journal.read().counts().received(Disposition.APPLIED) == 2
    assert stage.journal.read().conservation().holds


def test_an_early_note_without_a_number_is_shown_to_a_person_when_the_order_comes() -> None:
    stage = engine()
    early = stage.receive(sample(NOTE, WITHOUT_NUMBER))
    assert kinds(stage) == []

    stage.receive(sample(ORDER))

    assert row(stage, early).disposition is Disposition.NEEDS_HUMAN
    (task,) = tasks(stage, "match-review")
    assert task.message == early.sequence
    assert tracks(stage)["note"] == "none"


def test_a_booking_for_an_order_still_to_come_does_not_move_the_patients_other_referral() -> None:
    stage = _ordered("2026-02-02 09:00")
    stage.move_to(at("2026-02-20 09:00"))
    early = stage.receive(sample(BOOKING, {"SCH-26.1": "P-1009"}))

    assert tracks(stage)["appointment"] == "none"
    assert row(stage, early).disposition is Disposition.NEEDS_HUMAN

    second = stage.receive(sample(ORDER, SECOND))

    assert row(stage, second).disposition is Disposition.APPLIED
    assert tracks(stage, "P-1009")["appointment"] == "booked"
    assert tracks(stage)["appointment"] == "none"
    assert row(stage, early).disposition is Disposition.APPLIED


def test_an_offices_own_number_does_not_speak_against_the_only_referral_that_fits() -> None:
    stage = _ordered()

    stage.receive(sample(BOOKING, {"SCH-26": "", "SCH-26.1": "77", "SCH-26.2": "CENTRICITY"}))

    assert tracks(stage)["appointment"] == "booked"
    assert story(stage).referral.slots[-1].provisional


def test_evidence_that_says_nothing_does_not_wait() -> None:
    stage = engine()

    receipt = stage.receive(sample(BOOKING, {"SCH-25": "", "SCH-25.1": "WAITLIST"}))
    stage.receive(sample(ORDER))

    assert tracks(stage)["appointment"] == "none"
    assert row(stage, receipt).disposition is Disposition.NO_OP


# ---------------------------------------------------------------------------------------------- merges and demographics


def test_after_a_merge_the_survivors_number_finds_the_referral() -> None:
    stage = _ordered()
    waits = stage.receive(sample("siu-s12-cardiology-survivor.hl7"))
    assert row(stage, waits).disposition is Disposition.NO_OP

    merge = stage.receive(sample("adt-a40-merged.hl7"))

    assert row(stage, merge).disposition is Disposition.APPLIED
    assert row(stage, waits).disposition is Disposition.APPLIED
    assert tracks(stage)["appointment"] == "booked"

    note = stage.receive(sample("mdm-t02-cardiology-after-merge.hl7"))

    assert row(stage, note).level == 1
    assert story(stage).referral.status.value == "closed"
    assert kinds(stage) == []


def test_a_merge_after_the_closure_lets_a_correction_under_the_new_number_through() -> None:
    stage = _ordered()
    stage.receive(sample(NOTE))
    assert story(stage).referral.status.value == "closed"
    stage.receive(sample("adt-a40-merged.hl7"))

    stage.receive(
        sample("mdm-t06-cardiology-addendum.hl7", {"PID-3": "", "PID-3.1": "700102", "PID-3.4": "SPRINGFIELD"})
    )

    assert owed(stage)[-1].purpose == "correction"
    assert kinds(stage) == []


def test_new_demographics_reach_every_open_referral_and_no_task() -> None:
    stage = _ordered()

    receipt = stage.receive(sample("adt-a08-new-phone.hl7"))

    assert row(stage, receipt).disposition is Disposition.APPLIED
    assert story(stage).referral.patient.phone.reveal().endswith("5550131")
    assert kinds(stage) == []


def test_demographics_that_contradict_the_record_number_go_to_a_person_at_once() -> None:
    stage = _ordered()
    before = story(stage).referral

    receipt = stage.receive(sample("adt-a08-new-phone.hl7", {"PID-5.1": "Stranger", "PID-7": "19990101"}))

    assert (row(stage, receipt).disposition, row(stage, receipt).level) == (Disposition.NEEDS_HUMAN, 0)
    (task,) = tasks(stage)
    assert (task.urgent, task.message) == (True, receipt.sequence)
    assert story(stage).referral == before


@pytest.mark.parametrize("name", ["adt-a04-registered.hl7", "adt-a08-new-phone.hl7", "adt-a40-merged.hl7"])
def test_an_admission_message_about_nobody_opens_no_task(name: str) -> None:
    stage = engine()

    receipt = stage.receive(sample(name))

    assert row(stage, receipt).disposition is Disposition.NO_OP
    assert kinds(stage) == []


# ---------------------------------------------------------------------------------------------- attendance by registration

REGISTERED = "adt-a04-cardiology-registered.hl7"


def test_a_registration_on_the_day_of_the_visit_proves_it() -> None:
    stage = _ordered()
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-10 08:00"))

    stage.receive(sample(REGISTERED))

    assert tracks(stage)["appointment"] == "kept"


@pytest.mark.parametrize("day", ["2026-03-09 23:59", "2026-03-11 00:01"])
def test_a_registration_on_another_day_proves_nothing(day: str) -> None:
    stage = _ordered()
    stage.receive(sample(BOOKING))
    stage.move_to(at(day))
    before = tracks(stage), owed(stage)

    receipt = stage.receive(sample(REGISTERED, {"PV1-44": ""}))

    assert row(stage, receipt).disposition is Disposition.NO_OP
    assert row(stage, receipt).reason.startswith("no visit booked for that day")
    assert (tracks(stage), owed(stage)) == before


def test_a_registration_proves_nothing_without_a_booking_or_after_it_was_given_up() -> None:
    stage = _ordered()
    first = stage.receive(sample(REGISTERED, {"PV1-44": ""}))
    stage.receive(sample(BOOKING))
    stage.receive(sample("siu-s15-cardiology-cancelled.hl7", {"SCH-2.1": "A-1001"}))
    stage.move_to(at("2026-03-10 10:20"))

    second = stage.receive(sample(REGISTERED, {"MSH-10": "HG1612"}))

    assert row(stage, first).reason.startswith("no visit booked for that day")
    assert row(stage, second).reason.startswith("no visit booked for that day")
    assert tracks(stage)["appointment"] == "cancelled"


def test_a_registration_of_an_unbooked_patient_at_the_ehr_still_brings_the_new_telephone() -> None:
    stage = _ordered()
    office = {"MSH-3": "EHR", "MSH-4": "SPRINGFIELD", "PV1-44": ""}

    stage.receive(sample(REGISTERED, office | {"PID-13.7": "5550199"}))

    assert story(stage).referral.patient.phone.reveal().endswith("5550199")
    assert tracks(stage)["appointment"] == "none"
    assert kinds(stage) == []
