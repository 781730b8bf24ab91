"""Numbers given out again, the same note by two ways, visits taken back, and record numbers that merges joined."""

from __future__ import annotations

import pytest

from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import Disposition
from tests.flow.stage import BOOKING, MONDAY, NOTE, ORDER, at, engine, kinds, owed, row, sample, story, tasks, tracks

AGAIN = {"MSH-10": "EHR1001B"}
OTHER = {"PID-3": "", "PID-3.1": "700199", "PID-3.4": "SPRINGFIELD", "PID-5.1": "Other", "PID-5.2": "Otto",
         "PID-7": "19900101"}  # fmt: skip
BY_FAX = {"MSH-3": "SCANNER", "MSH-4": "SPRINGFIELD", "MSH-10": "SC1", "TXA-12": "", "TXA-12.1": "S-77"}
NO_ORDER = {"TXA-14": "", "ORC-2": "", "OBR-2": ""}
REGISTERED = "adt-a04-cardiology-registered.hl7"
MERGE = "adt-a40-merged.hl7"


def _ordered(start: str = MONDAY) -> Rehearsal:
    stage = engine(start)
    stage.receive(sample(ORDER))
    return stage


def _closures(stage: Rehearsal) -> list[str]:
    return [one.purpose for one in owed(stage) if one.purpose in ("closure", "correction", "retraction")]


# ---------------------------------------------------------------------------------------------- order numbers


def test_an_order_sent_again_is_known() -> None:
    stage = _ordered()

    receipt = stage.receive(sample(ORDER, AGAIN))

    assert (row(stage, receipt).disposition, row(stage, receipt).reason) == (Disposition.NO_OP, "this order is known")
    assert kinds(stage) == []


def test_an_order_number_given_out_again_to_another_patient_is_for_a_person() -> None:  # F-H03
    stage = _ordered()
    before = story(stage)

    receipt = stage.receive(sample(ORDER, AGAIN | OTHER))

    assert (row(stage, receipt).disposition, row(stage, receipt).level) == (Disposition.NEEDS_HUMAN, 0)
    (decision,) = stage.journal.read().decisions(receipt.sequence)
    assert (decision.level, decision.referral) == (0, "")
    (task,) = tasks(stage, "match-review")
    assert task.urgent
    assert before.line.id in task.reason
    assert story(stage) == before


@pytest.mark.parametrize(
    ("start", "later", "changes", "asked"),
    [
        (MONDAY, "2026-03-13 09:00", {"ORC-9": "20260313", "ORC-15": "20260313"}, False),  # inside the window
        (MONDAY, "2026-08-03 09:00", {"ORC-9": "20260803", "ORC-15": "20260803"}, True),
        (MONDAY, "2026-08-03 09:00", {}, False),  # the first order, sent again late
    ],
    ids=["days later", "months later", "the same day's, months later"],
)
def test_an_order_number_used_again_after_its_loop_is_over_is_no_silent_nothing(
    start: str, later: str, changes: dict[str, str], asked: bool
) -> None:  # F-H03, F-E09
    stage = _ordered(start)
    stage.move_to(at("2026-03-12 16:40"))
    stage.receive(sample(NOTE))
    assert story(stage).referral.is_over
    stage.move_to(at(later))

    receipt = stage.receive(sample(ORDER, AGAIN | changes))

    assert row(stage, receipt).disposition is (Disposition.NEEDS_HUMAN if asked else Disposition.NO_OP)
    assert bool(tasks(stage, "match-review")) is asked


def test_a_known_order_number_that_asks_for_another_service_is_for_a_person() -> None:
    stage = _ordered()

    receipt = stage.receive(sample(ORDER, AGAIN | {"OBR-4.1": "REFEP"}))

    assert (row(stage, receipt).disposition, row(stage, receipt).level) == (Disposition.NEEDS_HUMAN, 5)
    assert "another service" in tasks(stage, "match-review")[0].reason


# ---------------------------------------------------------------------------------------------- the same note again


def test_the_same_note_by_interface_and_by_fax_closes_once() -> None:  # F-H04
    stage = _ordered()
    first = stage.receive(sample(NOTE))
    closed = owed(stage)

    for changes in (BY_FAX, BY_FAX | NO_ORDER | {"MSH-10": "SC2"}, {"MSH-10": "HG2"}):
        again = stage.receive(sample(NOTE, changes))
        assert row(stage, again).disposition is Disposition.NO_OP
        assert row(stage, again).reason.startswith(f"the same note came before, by message {first.sequence}")
        assert row(stage, again).referral == story(stage).line.id
        (decision,) = stage.journal.read().decisions(again.sequence)
        assert decision.referral == story(stage).line.id

    assert owed(stage) == closed
    assert kinds(stage) == []


def test_another_patients_note_with_the_same_words_is_not_the_same_note() -> None:
    stage = _ordered()
    stage.receive(sample(NOTE))

    other = stage.receive(sample(NOTE, BY_FAX | NO_ORDER | OTHER))

    assert row(stage, other).referral == ""
    assert "the same note" not in row(stage, other).reason


def test_a_note_that_was_taken_back_counts_when_it_comes_again() -> None:  # F-H07
    stage = _ordered()
    stage.receive(sample(NOTE))
    stage.receive(sample("mdm-t11-cardiology-cancelled.hl7", {"TXA-12": "", "TXA-12.1": "D-1001",
                                                              "TXA-12.2": "CENTRICITY"}))  # fmt: skip
    assert tracks(stage)["note"] == "retracted"

    stage.receive(sample(NOTE, {"MSH-10": "HG3"}))

    assert tracks(stage)["note"] == "final"
    assert _closures(stage) == ["closure", "retraction", "closure"]


def test_a_retraction_goes_to_the_referral_that_holds_the_document() -> None:
    stage = _ordered("2026-02-02 09:00")
    stage.receive(sample(NOTE))
    stage.move_to(at("2026-03-20 09:00"))
    stage.receive(sample(ORDER, {"ORC-2.1": "P-1009", "OBR-2.1": "P-1009", "MSH-10": "EHR1009"}))

    back = {"TXA-12": "", "TXA-12.1": "D-1001", "TXA-12.2": "CENTRICITY", "TXA-14": "", "TXA-14.1": "P-1009"}
    receipt = stage.receive(sample("mdm-t11-cardiology-cancelled.hl7", back))

    assert row(stage, receipt).referral == story(stage).line.id
    assert tracks(stage)["note"] == "retracted"
    assert tracks(stage, "P-1009")["note"] == "none"


def test_a_late_note_after_the_referral_ended_is_applied_off_the_path_and_not_dropped() -> None:
    stage = _ordered()
    stage.receive(sample(BOOKING))
    stage.receive(sample("orm-o01-specialist-declined.hl7", {"PID-3": "", "PID-3.1": "700101", "PID-3.4": "SPRINGFIELD",
                                                             "PID-5.1": "Example", "PID-5.2": "Amelia",
                                                             "PID-7": "19580412", "ORC-2.1": "P-1001"}))  # fmt: skip
    assert story(stage).referral.is_over

    late = stage.receive(sample(NOTE))

    assert row(stage, late).disposition is Disposition.APPLIED
    assert len(story(stage).referral.documents) == 1


# ---------------------------------------------------------------------------------------------- visits


def test_a_registration_that_is_taken_back_takes_the_attendance_with_it() -> None:
    stage = _ordered()
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-10 10:20"))
    came = stage.receive(sample(REGISTERED, {"PV1-19": "V-1"}))
    assert tracks(stage)["appointment"] == "kept"

    back = sample(REGISTERED, {"PV1-19": "V-1", "MSH-9.2": "A11", "MSH-10": "HG1699", "EVN-1": "A11"})
    receipt = stage.receive(back)

    assert row(stage, receipt).disposition is Disposition.APPLIED
    assert tracks(stage)["appointment"] != "kept"
    (decision,) = stage.journal.read().decisions(came.sequence)
    assert decision.undone_at


def test_a_visit_that_was_only_likely_can_be_taken_back_too_and_files_no_note() -> None:
    stage = _ordered()
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-10 10:20"))
    unknown = {"MSH-3": "EHR", "MSH-4": "SPRINGFIELD", "PV1-19": "V-1"}
    came = stage.receive(sample(REGISTERED, unknown))
    assert row(stage, came).level == 3
    assert tracks(stage)["appointment"] == "kept"

    note = stage.receive(sample(NOTE, NO_ORDER | {"PV1-19": "V-1"}))
    back = stage.receive(sample(REGISTERED, unknown | {"MSH-9.2": "A11", "MSH-10": "HG1699", "EVN-1": "A11"}))

    assert row(stage, note).disposition is Disposition.NEEDS_HUMAN  # a likely visit links nothing to the referral
    assert row(stage, back).disposition is Disposition.APPLIED
    assert tracks(stage)["appointment"] != "kept"


def test_taking_back_a_visit_nobody_read_is_nothing_and_bothers_nobody() -> None:
    stage = _ordered()
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-10 10:20"))
    stage.receive(sample(REGISTERED, {"PV1-19": "V-1"}))

    back = sample(REGISTERED, {"PV1-19": "V-2", "MSH-9.2": "A11", "MSH-10": "HG1699", "EVN-1": "A11"})
    receipt = stage.receive(back)

    assert row(stage, receipt).disposition is Disposition.NO_OP
    assert tracks(stage)["appointment"] == "kept"
    assert kinds(stage) == []


# ---------------------------------------------------------------------------------------------- merged numbers


def merged(survivor: str, retired: str, control_id: str) -> bytes:
    """An A40 of these two numbers."""
    raw = sample(MERGE, {"MSH-10": control_id})
    raw = raw.replace(b"700101", b"RETIRED").replace(b"700102", survivor.encode())
    return raw.replace(b"RETIRED", retired.encode())


def numbered(record: str) -> dict[str, str]:
    return {"PID-3": "", "PID-3.1": record, "PID-3.4": "SPRINGFIELD"}


def test_a_merge_before_the_patient_is_known_is_followed_when_the_order_comes() -> None:  # H128
    stage = engine()
    stage.receive(merged("700102", "700101", "M1"))  # nobody is known yet

    stage.receive(sample(ORDER))  # under the retired number
    receipt = stage.receive(sample(BOOKING, numbered("700102") | {"SCH-26": ""}))

    assert (row(stage, receipt).disposition, row(stage, receipt).level) == (Disposition.APPLIED, 3)
    assert tracks(stage)["appointment"] == "booked"


@pytest.mark.parametrize("first", ["order", "merges"])
def test_a_chain_of_merges_leads_from_any_of_its_numbers_to_the_referral(first: str) -> None:
    stage = engine()
    merges = (merged("700102", "700101", "M1"), merged("700103", "700102", "M2"))
    if first == "order":
        stage.receive(sample(ORDER))
    for raw in merges:
        stage.receive(raw)
    if first == "merges":
        stage.receive(sample(ORDER))

    receipt = stage.receive(sample(BOOKING, numbered("700103") | {"SCH-26": ""}))
    note = stage.receive(sample(NOTE, numbered("700103")))

    assert row(stage, receipt).level == 3
    assert row(stage, note).level == 1
    assert tracks(stage)["note"] == "final"
    assert kinds(stage) == []


def test_what_waited_under_the_retired_number_is_matched_when_the_order_comes_under_the_survivors() -> None:
    stage = engine()
    early = stage.receive(sample(BOOKING, numbered("700101") | {"SCH-26": ""}))
    stage.receive(merged("700102", "700101", "M1"))
    assert row(stage, early).disposition is Disposition.NO_OP

    stage.receive(sample(ORDER, numbered("700102")))

    assert row(stage, early).disposition is Disposition.APPLIED
    assert tracks(stage)["appointment"] == "booked"


def test_numbers_nobody_merged_stay_two_people() -> None:
    stage = _ordered()
    stage.receive(merged("700103", "700102", "M1"))

    receipt = stage.receive(sample(BOOKING, numbered("700102")))

    assert (row(stage, receipt).disposition, row(stage, receipt).level) == (Disposition.NEEDS_HUMAN, 0)
    assert tracks(stage)["appointment"] == "none"
