"""Two people that one number, one name, one visit or one order number could make one; and what is only likely."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from referral_engine.flow.inputs import EvidenceConfirmed, ReviewDecided
from referral_engine.journal.rows import Disposition
from tests.flow.stage import engine, kinds, row, sent, story, tasks, tick, tracks
from tests.matching.making import Person
from tests.matching.saying import (
    ANN,
    EVA,
    adt,
    booking,
    note,
    order,
    replaced,
    review,
    said,
    two_orders,
)

# ---------------------------------------------------------------------------------------------- cancelled duplicates


def test_a_cancelled_duplicate_leaves_the_first_order_alone() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(order(ANN, "P-2"))
    assert story(stage, "P-2").referral.duplicate_of == story(stage, "P-1").line.id
    before = tracks(stage, "P-1")

    receipt = stage.receive(order(ANN, "P-2", control="CA"))

    assert tracks(stage, "P-1") == before
    assert "specialist cancel" not in sent(stage)
    assert row(stage, receipt).disposition is Disposition.NO_OP


def test_a_cancelled_first_order_whose_duplicate_stands_is_told_to_a_person() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(order(ANN, "P-2"))

    stage.receive(order(ANN, "P-1", control="CA"))

    assert tracks(stage, "P-1")["closure"] == "cancel-requested"
    assert any(story(stage, "P-2").line.id in task.reason for task in tasks(stage, "anomaly"))


# ---------------------------------------------------------------------------------------------- what is only likely


def test_what_a_likely_booking_taught_makes_nothing_sure() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    first = stage.receive(booking(ANN, "S1"))
    assert row(stage, first).level == 3

    moved = stage.receive(booking(ANN, "S2", trigger="S13", filler="F-9", visit="V-9"))
    (decision,) = stage.journal.read().decisions(moved.sequence)
    by_visit = stage.receive(note(ANN, "M1", visit="V-9"))
    by_filler = stage.receive(note(ANN, "M2", filler="F-9", document="D-2"))

    assert decision.provisional
    assert row(stage, by_visit).disposition is Disposition.NEEDS_HUMAN
    assert row(stage, by_filler).disposition is Disposition.NEEDS_HUMAN
    assert tracks(stage, "P-1")["note"] == "none"


def test_what_a_confirmed_booking_teaches_is_sure() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    first = stage.receive(booking(ANN, "S1"))
    stage.put(EvidenceConfirmed(message=first.sequence, by="jane", reason="asked the office"))

    moved = stage.receive(booking(ANN, "S2", trigger="S13", filler="F-9"))
    (decision,) = stage.journal.read().decisions(moved.sequence)
    stage.receive(note(ANN, "M2", filler="F-9"))

    assert (decision.level, decision.provisional) == (2, False)
    assert tracks(stage, "P-1")["note"] == "final"


# ---------------------------------------------------------------------------------------------- twins


def test_a_twins_note_is_not_bound_by_a_slip() -> None:  # H125
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    unnumbered = replace(EVA, mrn="")
    stage.receive(note(unnumbered, "M1", placer="P-1"))
    (task,) = tasks(stage, "match-review")
    words = {
        "task": task.id,
        "decision": "bind",
        "by": "jane",
        "reason": "charts",
        "referral": story(stage, "P-1").line.id,
    }

    refused = stage.put(ReviewDecided(**words))  # type: ignore[arg-type]  # fields of ReviewDecided
    assert "sure" in refused.refused
    assert tracks(stage, "P-1")["note"] == "none"


@pytest.mark.parametrize("other", [EVA, replace(ANN, mrn="700502", born_on="19710101")])
def test_a_number_that_two_people_share_confirms_neither(other: Person) -> None:
    stage = engine()
    shared = "55^^^LAKESIDE^MR"
    stage.receive(order(ANN, "P-1", ids=f"700501^^^SPRINGFIELD^MR~{shared}"))
    stage.receive(order(other, "P-2", ids=f"700502^^^SPRINGFIELD^MR~{shared}"))

    receipt = stage.receive(note(other, "M1", placer="P-1", ids=shared))

    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    assert (tracks(stage, "P-1")["note"], tracks(stage, "P-2")["note"]) == ("none", "none")


def test_a_mothers_number_on_her_baby_files_nothing_with_the_mother() -> None:
    stage = engine()
    baby = Person(mrn="700777", family="Example", given="BABY GIRL", born_on="20260101", sex="F")
    mother = replace(ANN, mrn="700778", given="Maren", born_on="19950505")
    both = "700777^^^SPRINGFIELD^MR~700778^^^SPRINGFIELD^MR"
    stage.receive(order(mother, "P-1"))
    stage.receive(order(baby, "P-2", ids=both))
    assert story(stage, "P-2").referral.duplicate_of == ""

    receipts = [stage.receive(note(baby, f"M{at}", placer=placer, ids=ids, document=f"D{at}"))
                for at, (placer, ids) in enumerate([("P-1", both), ("P-1", ""), ("", both), ("", "700778^^^SPRINGFIELD^MR")])]  # fmt: skip

    assert tracks(stage, "P-1")["note"] == "none"
    assert {row(stage, one).disposition for one in receipts} == {Disposition.NEEDS_HUMAN}


def test_a_twins_order_under_the_other_twins_number_is_no_silent_duplicate() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))

    stage.receive(order(replace(EVA, mrn=ANN.mrn), "P-2"))

    assert story(stage, "P-2").referral.duplicate_of == ""
    assert sent(stage).count("specialist order") == 2
    assert any(story(stage, "P-1").line.id in task.reason for task in tasks(stage, "anomaly"))


# ---------------------------------------------------------------------------------------------- visits of two offices


def test_one_office_takes_back_no_visit_of_another() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(booking(ANN, "S1", placer="P-1"))
    stage.clock.move_to(stage.clock.now().replace(day=10, hour=10, minute=40))
    came = stage.receive(
        adt(
            "A04",
            "V1",
            ANN.pid,
            "PV1|1|O|HG2||||1234567893^Office^^^^^^^NPI^L^^^NPI||||||||||||77",
            by="CENTRICITY|HEARTGRP",
        )
    )
    assert tracks(stage, "P-1")["appointment"] == "kept", row(stage, came)

    for sender in ("RIS|NORTHSIDE", "EHR|SPRINGFIELD"):
        stage.receive(adt("A11", "V2" + sender[:3], ANN.pid, "PV1|1|O|HG2||||||||||||||||77", by=sender))

    assert tracks(stage, "P-1")["appointment"] == "kept"


def test_one_office_credits_no_charge_of_another() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(booking(ANN, "S1", placer="P-1"))
    stage.clock.move_to(stage.clock.now().replace(day=10, hour=16))
    charge = "FT1|1|C-1||20260310||{k}|99204|||100||||||||||1234567893^Office^^^^^^^NPI^L^^^NPI"
    stage.receive(said("DFT^P03^DFT_P03", "C1", "EVN|P03|20260310", ANN.pid, charge.format(k="CG")))
    assert tracks(stage, "P-1")["appointment"] == "kept"

    stage.receive(said("DFT^P03^DFT_P03", "C2", "EVN|P03|20260310", ANN.pid, charge.format(k="CD"), by="RIS|NORTHSIDE"))
    assert tracks(stage, "P-1")["appointment"] == "kept"
    stage.receive(said("DFT^P03^DFT_P03", "C3", "EVN|P03|20260310", ANN.pid, charge.format(k="CD")))
    assert tracks(stage, "P-1")["appointment"] != "kept"


# ---------------------------------------------------------------------------------------------- words and numbers


def test_a_twins_note_that_nobody_claimed_is_not_bound_by_a_slip() -> None:  # H125
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    receipt = stage.receive(note(replace(EVA, mrn=""), "M1"))
    stage.move_to(stage.clock.now() + timedelta(hours=80))
    tick(stage)

    refused = review(stage, receipt.sequence, referral=story(stage, "P-1").line.id)

    assert "given name" in refused.refused
    assert tracks(stage, "P-1")["note"] == "none"


def test_what_is_bound_to_a_duplicate_belongs_to_the_first() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(order(ANN, "P-2"))
    receipt = stage.receive(note(ANN, "M1"))
    refused = review(stage, receipt.sequence, referral=story(stage, "P-2").line.id)
    assert story(stage, "P-1").line.id in refused.refused
    assert sent(stage).count("ehr closure note") == 0


def test_an_order_replaced_by_another_patients_number_takes_nothing_of_theirs() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(order(EVA, "P-2"))

    stage.receive(replaced(ANN, "P-1", "P-2", "RPRO1"))
    stage.receive(replaced(ANN, "P-1", "P-2", "RPRO2"))
    receipt = stage.receive(note(EVA, "M1", placer="P-2"))

    assert row(stage, receipt).level == 1
    assert (tracks(stage, "P-1")["note"], tracks(stage, "P-2")["note"]) == ("none", "final")
    assert "anomaly" in kinds(stage)


def test_an_order_replaced_twice_goes_on_under_every_number() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    for at, (old, new) in enumerate([("P-1", "P-2"), ("P-1", "P-2"), ("P-2", "P-3")]):
        stage.receive(replaced(ANN, old, new, f"RPRO{at}"))
    receipt = stage.receive(note(ANN, "M1", placer="P-3"))
    assert row(stage, receipt).referral == story(stage, "P-1").line.id
    assert sent(stage).count("specialist order") == 1


def test_a_number_assigned_to_the_wrong_order_moves_no_evidence() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(order(EVA, "P-2"))
    ack = "ORC|OK|{p}^EHR|{f}^CENTRICITY"
    stage.receive(said("ORM^O01^ORM_O01", "A1", ANN.pid, ack.format(p="P-1", f="F-1")))
    stage.receive(said("ORM^O01^ORM_O01", "A2", EVA.pid, ack.format(p="P-2", f="F-1").replace("OK", "NA")))
    for at, one in enumerate([EVA, ANN]):
        stage.receive(note(one, f"M{at}", filler="F-1", document=f"D-{at}"))

    assert tracks(stage, "P-2")["note"] == "none"


def test_one_result_of_several_that_is_the_wrong_patients_opens_its_own_loop_only() -> None:
    stage = two_orders()
    result = "ORC|RE|{p}^EHR|{f}^CENTRICITY\rOBR|1|{p}^EHR|{f}^CENTRICITY|11488-4^Consult note^LN|||20260210103000-0600||||||||||||||||||{s}\rOBX|1|TX|11488-4^Consult note^LN|1|{w}||||||{s}"
    both = [result.format(p="P-1", f="F-1", s="F", w="One."), result.format(p="P-2", f="F-2", s="F", w="Two.")]
    stage.receive(said("ORU^R01^ORU_R01", "R1", ANN.pid, *both))
    assert [tracks(stage, one)["closure"] for one in ("P-1", "P-2")] == ["closed", "closed"]
    stage.receive(said("ORU^R01^ORU_R01", "R2", ANN.pid, both[0], result.format(p="P-2", f="F-2", s="W", w="Two.")))
    assert [tracks(stage, one)["closure"] for one in ("P-1", "P-2")] == ["closed", "open"]


def test_a_strange_document_that_is_taken_back_is_a_persons() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(note(ANN, "M1", placer="P-1"))
    before = sent(stage)
    receipt = stage.receive(note(ANN, "M2", placer="P-1", document="D-9", trigger="T11"))
    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    assert tasks(stage, "match-review")[0].urgent
    assert (tracks(stage, "P-1")["closure"], sent(stage)) == ("closed", before)


def test_after_a_marriage_notes_under_the_record_number_are_filed_under_either_name() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(adt("A08", "U1", replace(ANN, family="Married").pid, "PV1|1|O"))
    stage.receive(note(ANN, "M1", placer="P-1", document="D-1", status="P").replace(b"|AU\r", b"|IP\r"))
    assert tracks(stage, "P-1")["note"] == "interim"
    stage.receive(note(replace(ANN, family="Married"), "M2", placer="P-1"))
    assert tracks(stage, "P-1")["note"] == "final"


@pytest.mark.parametrize("placer", ["p-1", "P-1 ", "P-01", "P-1\\T\\"])
def test_an_order_number_written_otherwise_is_another(placer: str) -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    receipt = stage.receive(note(ANN, "M1").replace(b"D-1^CENTRICITY||", f"D-1^CENTRICITY||{placer}^EHR".encode()))
    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    assert tracks(stage, "P-1")["note"] == "none"


def test_a_twins_number_beside_her_own_changes_and_files_nothing_with_her() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1", ids="700501^^^SPRINGFIELD^MR~700502^^^SPRINGFIELD^MR"))
    before = story(stage, "P-1").referral

    stage.receive(adt("A08", "U1", EVA.pid, "PV1|1|O"))
    receipt = stage.receive(note(EVA, "M1", placer="P-1"))

    assert story(stage, "P-1").referral == before
    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN


def test_a_newborn_who_gets_a_name_stays_the_same_patient() -> None:
    stage = engine()
    stage.receive(order(replace(ANN, given="BABY GIRL"), "P-1"))

    stage.receive(adt("A08", "U1", ANN.pid, "PV1|1|O"))

    assert story(stage, "P-1").referral.patient.given.reveal() == "Ann"
    assert kinds(stage) == []
