"""Two patients that were one for a while, one note that came twice or answered two orders: all of it is taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from referral_engine.flow.inputs import Claim, EvidenceUnbound, MergeUndone, ReviewDecided, Settled
from referral_engine.journal.rows import Disposition, EffectRow
from referral_engine.loop.events import Outcome
from tests.flow.stage import engine, kinds, owed, row, sent, story, tasks, tracks
from tests.matching.making import NORTHSIDE
from tests.matching.saying import (
    ANN,
    EVA,
    adt,
    merge,
    note,
    order,
    two_orders,
    undone,
    with_ids,
)

# ---------------------------------------------------------------------------------------------- undone


def test_an_update_that_is_undone_leaves_no_referral_of_the_patient_with_it() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(order(ANN, "P-2", office=NORTHSIDE))
    update = stage.receive(adt("A08", "U1", replace(ANN, family="Wrong").pid, "PV1|1|O"))
    assert [story(stage, one).referral.patient.family.reveal() for one in ("P-1", "P-2")] == ["Wrong", "Wrong"]

    undone(stage, update)

    assert [story(stage, one).referral.patient.family.reveal() for one in ("P-1", "P-2")] == ["Example", "Example"]


def test_a_number_that_an_undone_update_brought_leads_nowhere() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    both = "700501^^^SPRINGFIELD^MR~700502^^^SPRINGFIELD^MR"
    update = stage.receive(adt("A08", "U1", with_ids(ANN, both), "PV1|1|O"))
    undone(stage, update)
    before = story(stage, "P-1").referral.patient

    stage.receive(adt("A08", "U2", EVA.pid, "PV1|1|O"))
    stage.receive(merge(replace(EVA, mrn="700503"), "700502", "G1"))

    assert story(stage, "P-1").referral.patient == before
    assert "match-review" not in [one.kind for one in tasks(stage) if one.message != update.sequence]


def test_of_two_copies_of_a_note_both_go_when_the_one_that_counted_is_taken_off() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    first = stage.receive(note(ANN, "M1", placer="P-1"))
    copy = stage.receive(note(ANN, "M2", placer="P-1", document="S-7", by="SCANNER|SPRINGFIELD"))
    assert "came before" in row(stage, copy).reason

    undone(stage, first)

    assert tracks(stage, "P-1")["note"] == "none"
    assert {row(stage, one).disposition for one in (first, copy)} == {Disposition.NEEDS_HUMAN}
    assert {task.message for task in tasks(stage, "match-review")} == {first.sequence, copy.sequence}


def test_the_second_copy_can_be_taken_off_by_itself() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(note(ANN, "M1", placer="P-1"))
    copy = stage.receive(note(ANN, "M2", placer="P-1", document="S-7", by="SCANNER|SPRINGFIELD"))

    undone(stage, copy)

    assert tracks(stage, "P-1")["closure"] == "closed"


# ---------------------------------------------------------------------------------------------- merged, and parted


def test_an_order_that_a_merge_made_a_duplicate_is_somebodys_when_the_merge_is_taken_back() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    aunt = replace(ANN, mrn="700502", born_on="19710101")
    stage.receive(merge(ANN, aunt.mrn, "G1"))
    second = stage.receive(order(aunt, "P-2"))
    assert story(stage, "P-2").referral.duplicate_of == story(stage, "P-1").line.id

    stage.put(MergeUndone(merge=1, by="jane", reason="two sisters"))

    (task,) = [one for one in tasks(stage, "match-review") if one.message == second.sequence]
    receipt = stage.put(
        ReviewDecided(task=task.id, decision="new", by="jane", reason="hers", channel="cardiology-heart-group")
    )
    assert receipt.refused == ""
    assert sent(stage).count("specialist order") == 2
    noted = stage.receive(note(aunt, "M1", placer="P-2"))
    assert tracks(stage, "P-1")["note"] == "none"
    assert row(stage, noted).disposition is Disposition.APPLIED


def test_after_a_merge_of_two_referred_patients_is_taken_back_each_has_their_own() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(order(EVA, "P-2"))
    before = [story(stage, one).referral.patient for one in ("P-1", "P-2")]
    stage.receive(merge(ANN, EVA.mrn, "G1"))
    stage.receive(note(EVA, "M1", placer="P-2"))
    assert tracks(stage, "P-1")["note"] == "none"

    stage.put(MergeUndone(merge=1, by="jane", reason="two sisters"))

    assert [story(stage, one).referral.patient for one in ("P-1", "P-2")] == before
    for placer, other in (("P-1", EVA), ("P-2", ANN)):
        receipt = stage.receive(note(other, f"M{placer}", placer=placer, document=f"D{placer}"))
        assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    assert tracks(stage, "P-1")["note"] == "none"


def test_a_new_number_that_is_anothers_already_joins_nobody() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(order(EVA, "P-2"))
    before = [story(stage, one).referral.patient for one in ("P-1", "P-2")]

    receipt = stage.receive(merge(replace(ANN, mrn=EVA.mrn), ANN.mrn, "G1", trigger="A47"))

    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    assert [story(stage, one).referral.patient for one in ("P-1", "P-2")] == before


# ---------------------------------------------------------------------------------------------- one document, two orders


@pytest.mark.parametrize("placer", ["P-1 P-2", ""])
def test_a_note_that_answers_two_orders_closes_both_and_is_taken_back_from_both(placer: str) -> None:
    stage = two_orders()

    stage.receive(note(ANN, "M1", placer="P-1 P-2"))
    assert [tracks(stage, one)["closure"] for one in ("P-1", "P-2")] == ["closed", "closed"]

    back = stage.receive(note(ANN, "M2", placer=placer, trigger="T11"))

    assert [tracks(stage, one)["closure"] for one in ("P-1", "P-2")] == ["open", "open"]
    assert sent(stage).count("ehr retraction retracted") == 2
    assert kinds(stage).count("match-review") == 0
    undone(stage, back)
    assert [tracks(stage, one)["note"] for one in ("P-1", "P-2")] == ["final", "final"]


def test_a_correction_of_a_note_that_answers_two_orders_reaches_both() -> None:
    stage = two_orders()
    stage.receive(note(ANN, "M1", placer="P-1 P-2"))

    stage.receive(
        note(ANN, "M2", placer="P-1 P-2", trigger="T10", document="D-2", words="Put right.").replace(
            b"D-2^CENTRICITY|", b"D-2^CENTRICITY|D-1^CENTRICITY"
        )
    )

    assert [tracks(stage, one)["note"] for one in ("P-1", "P-2")] == ["corrected", "corrected"]
    assert kinds(stage) == []


def test_another_document_that_is_taken_back_does_not_open_the_loop() -> None:
    stage = engine()
    stage.receive(order(ANN, "P-1"))
    stage.receive(note(ANN, "M0", placer="P-1", document="D-0", status="P").replace(b"|AU\r", b"|IP\r"))
    stage.receive(note(ANN, "M1", placer="P-1", document="D-1", words="All of it."))
    assert tracks(stage, "P-1")["closure"] == "closed"
    before = sent(stage)
    stage.receive(note(ANN, "M2", placer="P-1", document="D-0", trigger="T11"))
    assert tracks(stage, "P-1")["closure"] == "closed"
    assert sent(stage) == before


def test_a_note_undone_while_its_closure_is_on_the_way_leaves_the_loop_open() -> None:
    stage = engine(ehr="silent")
    stage.receive(order(ANN, "P-1"))
    first = stage.receive(note(ANN, "M1", placer="P-1"))
    lane = next(one.lane for one in owed(stage) if one.purpose == "closure")
    stage.partners.clear()
    stage.clock.move_to(stage.clock.now() + timedelta(hours=1))
    got: list[EffectRow] = []
    while not any(one.purpose == "closure" for one in got):
        got = list(stage.step.run([Claim(lane=lane, limit=10)])[0].effects)
        assert got
        for one in got:
            if one.purpose != "closure":
                stage.step.run([Settled(effect=one.id, token=one.token, outcome=Outcome.DELIVERED, reply=b"MSA|AA")])
    (closure,) = [one for one in got if one.purpose == "closure"]

    stage.step.run([EvidenceUnbound(message=first.sequence, by="jane", reason="not hers")])
    stage.put(Settled(effect=closure.id, token=closure.token, outcome=Outcome.DELIVERED, reply=b"MSA|AA"))

    assert tracks(stage, "P-1")["closure"] == "open"
    assert tracks(stage, "P-1")["note"] == "none"
    assert "ehr retraction undone" in sent(stage)
