"""Evidence that came before what it needs: it waits, part by part, and is matched again when that has come."""

from __future__ import annotations

import pytest

from referral_engine.flow import rematching
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import Disposition
from tests.flow.stage import BOOKING, NOTE, ORDER, arrived, at, engine, kinds, owed, row, sample, story, tasks, tracks

SECOND = {"ORC-2.1": "P-1009", "OBR-2.1": "P-1009", "OBR-4.1": "REFEP", "MSH-10": "EHR1009"}
CANCEL = "orm-o01-cardiology-cancel.hl7"
NO_NUMBER = {"SCH-26": "", "SCH-26.1": ""}


def two_results(first: str = "P-1001", second: str = "P-1009") -> bytes:
    """One ORU with the results of two orders."""
    amelia = {"PID-3": "", "PID-3.1": "700101", "PID-3.4": "SPRINGFIELD", "PID-5.1": "Example", "PID-5.2": "Amelia",
              "PID-7": "19580412"}  # fmt: skip
    raw = sample("oru-r01-cardiology-final.hl7", amelia | {"ORC-2.1": first, "OBR-2.1": first})
    lines = raw.decode().rstrip("\r").split("\r")
    begins = next(at for at, line in enumerate(lines) if line.startswith(("ORC", "OBR")))
    again = [
        line.replace(f"|{first}^", f"|{second}^").replace("N-1010", "N-1011") for line in lines[begins:]
    ]  # the same words about both
    return ("\r".join([*lines, *again]) + "\r").encode()


# ---------------------------------------------------------------------------------------------- several parts


def test_of_two_results_in_one_message_one_is_applied_and_the_other_waits_for_its_order() -> None:
    stage = engine("2026-02-02 09:00")
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-12 09:00"))

    both = stage.receive(two_results())

    assert row(stage, both).disposition is Disposition.NEEDS_HUMAN  # the other might be of the only referral there is
    assert row(stage, both).referral == story(stage).line.id
    assert tracks(stage)["note"] == "final"
    told = [one for one in owed(stage) if one.purpose == "closure"]
    assert len(told) == 1

    stage.receive(sample(ORDER, SECOND))

    assert tracks(stage, "P-1009")["note"] == "final"
    assert len(story(stage).referral.documents) == len(story(stage, "P-1009").referral.documents) == 1
    decided = stage.journal.read().decisions(both.sequence)
    assert [(one.part, one.referral) for one in decided] == [
        (0, story(stage).line.id), (1, story(stage, "P-1009").line.id),
    ]  # fmt: skip


def test_a_part_that_found_its_referral_is_not_applied_again() -> None:
    stage = engine("2026-02-02 09:00")
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-12 09:00"))
    stage.receive(two_results())
    before = story(stage)

    stage.receive(sample(ORDER, SECOND))
    stage.receive(sample(ORDER, SECOND | {"MSH-10": "EHR1010", "ORC-2.1": "P-1010", "OBR-2.1": "P-1010"}))

    assert story(stage).events == before.events
    assert len(story(stage, "P-1009").referral.documents) == 1


# ---------------------------------------------------------------------------------------------- numbers that are learned


def test_a_cancellation_under_an_appointments_number_waits_for_the_booking_that_teaches_it() -> None:
    stage = engine()
    other_id = {"PID-3": "", "PID-3.1": "HG700101", "PID-3.4": "HEARTGRP", "PID-5.1": "Example-Roe"}
    stage.receive(sample(ORDER))
    early = stage.receive(sample("siu-s15-cardiology-cancelled.hl7", other_id | NO_NUMBER | {"SCH-2.1": "A-1001"}))
    assert row(stage, early).disposition is Disposition.NO_OP

    stage.receive(sample(BOOKING))

    assert row(stage, early).disposition is Disposition.NEEDS_HUMAN  # the number leads there, the patient is not sure
    assert tracks(stage)["appointment"] == "booked"


def test_a_message_without_a_record_number_is_shown_to_a_person_when_its_order_comes() -> None:
    stage = engine()
    letter = {"PID-3": "", "TXA-14": "", "ORC-2": "", "OBR-2": ""}
    early = stage.receive(sample(NOTE, letter))
    assert (row(stage, early).disposition, kinds(stage)) == (Disposition.NO_OP, [])

    stage.receive(sample(ORDER))

    assert (row(stage, early).disposition, row(stage, early).level) == (Disposition.NEEDS_HUMAN, 5)
    assert tracks(stage)["note"] == "none"
    assert kinds(stage) == ["match-review"]


def test_the_review_of_early_evidence_is_over_when_its_order_comes() -> None:
    stage = engine("2026-02-02 09:00")
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-02-20 09:00"))
    early = stage.receive(sample(NOTE, {"TXA-14.1": "P-1009", "ORC-2.1": "P-1009", "OBR-2.1": "P-1009"}))
    assert [one.message for one in tasks(stage, "match-review")] == [early.sequence]

    stage.receive(sample(ORDER, SECOND | {"OBR-4.1": "REFCARD"}))

    assert tracks(stage, "P-1009")["note"] == "final"
    assert tasks(stage, "match-review") == []


def test_early_evidence_is_read_again_in_the_character_set_of_its_sender() -> None:  # H065
    stage = engine()
    named = {"PID-5.1": "Ödman", "MSH-18": ""}
    early = stage.receive(sample(BOOKING, named | {"MSH-10": "HG1"}))

    stage.receive(sample(ORDER, named))

    assert row(stage, early).disposition is Disposition.APPLIED


# ---------------------------------------------------------------------------------------------- an order's own messages


def test_a_cancel_that_overtook_its_order_stops_it_before_anything_leaves() -> None:  # F-E10
    stage = engine()
    early = stage.receive(sample(CANCEL))
    assert row(stage, early).disposition is Disposition.NO_OP

    stage.step.run([arrived(sample(ORDER))])

    assert story(stage).referral.status.value == "ended"
    assert row(stage, early).disposition is Disposition.APPLIED
    assert [one.state.value for one in owed(stage) if one.purpose == "order"] == ["cancelled"]


# ---------------------------------------------------------------------------------------------- bounds


def test_one_event_looks_at_no_more_waiting_messages_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:  # F-H11
    monkeypatch.setattr(rematching, "REMATCHED_MAX", 5)
    stage = engine()
    early = [stage.receive(sample(BOOKING, {"MSH-10": f"E{at}", "SCH-2.1": f"A-{at}"})) for at in range(8)]

    stage.receive(sample(ORDER))

    applied = [one for one in early if row(stage, one).disposition is Disposition.APPLIED]
    assert applied == early[:5]


def test_a_thousand_updates_of_one_patient_change_the_referral_once_and_disturb_nothing() -> None:  # F-H11
    stage = engine()
    stage.receive(sample(ORDER))
    stage.receive(sample("mdm-t02-cardiology-final.hl7", {"TXA-14": "", "ORC-2": "", "OBR-2": "", "TXA-4": "20250101",
                                                          "TXA-6": ""}))  # fmt: skip
    update = Message.parse(sample("adt-a08-new-phone.hl7"))

    stage.step.run([arrived(update.with_fields({"MSH-10": f"U{number}"})) for number in range(1_000)])

    said = [one for one in story(stage).events if one.kind == "PatientUpdated"]
    assert len(said) == 1
    reading = stage.journal.read()
    assert reading.counts().received(Disposition.NO_OP) >= 999
    assert reading.conservation().holds
