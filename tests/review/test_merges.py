"""Record numbers become one person's and are parted again: evidence follows, and nothing is guessed."""

from __future__ import annotations

import pytest

from referral_engine.flow.inputs import EvidenceUnbound, MergeUndone, Receipt, ReviewDecided
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import Disposition, MergeRow, MessageRow
from tests.flow.stage import BOOKING, NOTE, ORDER, engine, kinds, sample, story, tasks, tracks, whole

A40 = "adt-a40-merged.hl7"  # 700101 is retired into 700102
UNNUMBERED = {"TXA-14": "", "ORC-2": "", "OBR-2": "", "ORC-3": "", "OBR-3": ""}


def a_merge(retired: str, survivor: str, control_id: str, **changes: str) -> bytes:
    """One number is retired into another."""
    return sample(A40, {"MSH-10": control_id, "PID-3.1": survivor, "MRG-1.1": retired} | changes)


def a_link(one: str, other: str, trigger: str = "A24") -> bytes:
    """Two records that are one person, or no longer; both numbers go on."""
    raw = sample(A40, {"MSH-10": f"EHR{trigger}", "MSH-9.2": trigger, "EVN-1": trigger, "PID-3.1": one})
    lines = [line for line in raw.split(b"\r") if not line.startswith((b"MRG", b"PD1"))]
    pid = next(line for line in lines if line.startswith(b"PID"))
    return b"\r".join([*(line for line in lines if line), pid.replace(one.encode(), other.encode()), b""])


def row(stage: Rehearsal, receipt: Receipt) -> MessageRow:
    """The message of a receipt."""
    found = stage.journal.read().message(receipt.sequence)
    assert found is not None
    return found


def ordered() -> Rehearsal:
    """Amelia, 700101, has an order."""
    stage = engine()
    stage.receive(sample(ORDER))
    return stage


def numbers(stage: Rehearsal) -> list[str]:
    """The record numbers of Amelia's referral."""
    return sorted(
        known.value.reveal() for known in story(stage).referral.patient.ids if known.authority == "SPRINGFIELD"
    )


def edges(stage: Rehearsal) -> list[MergeRow]:
    """Every edge, the oldest first."""
    return list(reversed(stage.journal.read().merges()))


def parted(stage: Rehearsal, number: int = 1, reason: str = "two sisters") -> Receipt:
    """A coordinator takes a merge back."""
    return stage.put(MergeUndone(merge=number, by="jane", reason=reason))


# --------------------------------------------------------------------------------------------- learned


def test_after_a_merge_a_booking_under_either_number_finds_the_referral() -> None:  # H128
    stage = ordered()

    merge = stage.receive(sample(A40))
    booking = stage.receive(sample(BOOKING, {"PID-3": "", "PID-3.1": "700102", "PID-3.4": "SPRINGFIELD"}))

    assert row(stage, merge).disposition is Disposition.APPLIED
    assert (edges(stage)[0].kind, edges(stage)[0].survivor, edges(stage)[0].retired) == ("merge", "700102", "700101")
    assert numbers(stage) == ["700101", "700102"]
    assert row(stage, booking).disposition is Disposition.APPLIED


def test_a_chain_of_merges_that_came_before_the_patient_is_known_is_followed() -> None:  # H083
    stage = engine()
    for retired, survivor in (("700101", "700102"), ("700102", "700103")):
        merge = stage.receive(a_merge(retired, survivor, f"EHR{survivor}"))
        assert row(stage, merge).disposition is Disposition.NO_OP
    stage.receive(sample(ORDER))

    booking = stage.receive(sample(BOOKING, {"PID-3": "", "PID-3.1": "700103", "PID-3.4": "SPRINGFIELD"}))

    assert len(edges(stage)) == 2
    assert row(stage, booking).disposition is Disposition.APPLIED
    assert tracks(stage)["appointment"] == "booked"


def test_evidence_that_waited_under_the_other_number_is_matched_when_the_merge_comes() -> None:
    stage = ordered()
    early = stage.receive(
        sample(
            BOOKING,
            {"PID-3": "", "PID-3.1": "700102", "PID-3.4": "SPRINGFIELD", "SCH-26": "", "PID-5.1": "Example-Roe"},
        )
    )
    assert tracks(stage)["appointment"] == "none"

    stage.receive(sample(A40))

    assert row(stage, early).referral == story(stage).line.id
    assert tracks(stage)["appointment"] == "booked"


def test_a_number_merged_into_itself_is_nothing() -> None:
    stage = ordered()

    merge = stage.receive(a_merge("700101", "700101", "EHRSELF"))

    assert (row(stage, merge).disposition, edges(stage), kinds(stage)) == (Disposition.NO_OP, [], [])


def test_a_merge_that_closes_a_circle_is_refused_and_shown() -> None:  # H083
    stage = ordered()
    stage.receive(a_merge("700101", "700102", "EHR1"))
    stage.receive(a_merge("700102", "700103", "EHR2"))

    circle = stage.receive(a_merge("700103", "700101", "EHR3"))

    assert row(stage, circle).disposition is Disposition.NEEDS_HUMAN
    assert len(edges(stage)) == 2
    (task,) = tasks(stage, "match-review")
    assert task.urgent
    assert "circle" in task.reason


def test_a_merge_of_two_people_changes_nothing_and_asks_at_once() -> None:  # F-E14
    stage = ordered()
    before = (numbers(stage), tracks(stage))

    merge = stage.receive(sample(A40, {"PID-5.1": "Different", "PID-7": "20010101"}))

    assert row(stage, merge).disposition is Disposition.NEEDS_HUMAN
    assert (numbers(stage), tracks(stage)) == before
    assert edges(stage) == []
    assert tasks(stage, "match-review")[0].urgent


def test_the_same_merge_again_is_known() -> None:
    stage = ordered()
    stage.receive(sample(A40))
    events = len(story(stage).events)

    again = stage.receive(sample(A40, {"MSH-10": "EHRAGAIN"}))

    assert row(stage, again).disposition is Disposition.NO_OP
    assert len(edges(stage)) == 1
    assert len(story(stage).events) == events


def test_only_the_ordering_side_merges() -> None:
    stage = ordered()

    merge = stage.receive(sample(A40, {"MSH-3": "CENTRICITY", "MSH-4": "HEARTGRP"}))

    assert row(stage, merge).disposition is Disposition.NO_OP
    assert edges(stage) == []


def test_a_link_joins_and_an_unlink_parts() -> None:
    stage = ordered()

    linked = stage.receive(a_link("700101", "700109"))
    assert row(stage, linked).disposition is Disposition.APPLIED
    assert numbers(stage) == ["700101", "700109"]

    stage.receive(a_link("700101", "700109", "A37"))

    assert numbers(stage) == ["700101"]
    assert edges(stage)[0].undone_by == "feed:ehr"
    lost = stage.receive(sample(BOOKING, {"PID-3": "", "PID-3.1": "700109", "PID-3.4": "SPRINGFIELD", "SCH-26": ""}))
    assert row(stage, lost).disposition is not Disposition.APPLIED


def test_a_number_moved_to_another_patient_merges_nobody() -> None:
    stage = ordered()

    moved = stage.receive(sample(A40, {"MSH-9.2": "A43", "EVN-1": "A43"}))

    assert row(stage, moved).disposition is Disposition.NEEDS_HUMAN
    assert numbers(stage) == ["700101"]
    assert edges(stage) == []


def test_a_number_written_anew_is_followed() -> None:
    stage = ordered()

    stage.receive(sample(A40, {"MSH-9.2": "A47", "EVN-1": "A47"}))

    assert edges(stage)[0].kind == "rename"
    assert numbers(stage) == ["700101", "700102"]


# --------------------------------------------------------------------------------------------- taken back


def test_a_merge_taken_back_takes_its_number_out_and_leaves_everything_else() -> None:  # H128
    stage = ordered()
    stage.receive(sample(BOOKING))
    before = (numbers(stage), tracks(stage), story(stage).referral.slots)
    stage.receive(sample(A40))

    assert parted(stage).refused == ""

    assert (numbers(stage), tracks(stage), story(stage).referral.slots) == before
    assert kinds(stage) == []
    with stage.journal.batch(stage.journal.high_water) as unit:
        assert unit.patients("700102") == ()
        assert unit.patients("700101") == (story(stage).line.id,)
    (edge,) = edges(stage)
    assert (edge.undone_by, edge.undone_reason) == ("user:jane", "two sisters")
    again = stage.receive(
        sample(BOOKING, {"PID-3": "", "PID-3.1": "700102", "PID-3.4": "SPRINGFIELD", "SCH-26": "", "SCH-2.1": "A-9"})
    )
    assert row(stage, again).disposition is not Disposition.APPLIED


def test_what_was_decided_by_the_merge_is_asked_again_and_not_undone_by_itself() -> None:
    stage = ordered()
    stage.receive(sample(A40))
    sure = stage.receive(sample(BOOKING))
    note = stage.receive(sample(NOTE, {"PID-3": "", "PID-3.1": "700102", "PID-3.4": "SPRINGFIELD"}))
    assert tracks(stage)["note"] == "final"

    parted(stage)

    assert tracks(stage)["note"] == "final"
    (task,) = tasks(stage, "match-review")
    assert (task.message, task.urgent) == (note.sequence, True)
    assert task.message != sure.sequence
    refused = stage.put(ReviewDecided(task=task.id, decision="dismiss", by="jane", reason="not hers"))
    assert "undo that first" in refused.refused
    assert stage.put(EvidenceUnbound(message=note.sequence, by="jane", reason="not hers")).refused == ""
    assert tracks(stage)["note"] == "none"
    assert tracks(stage)["appointment"] == "booked"


def test_what_stays_all_the_same_is_confirmed_by_binding_it_where_it_is() -> None:
    stage = ordered()
    stage.receive(sample(A40))
    stage.receive(sample(NOTE, {"PID-3": "", "PID-3.1": "700102", "PID-3.4": "SPRINGFIELD"}))
    parted(stage)
    (task,) = tasks(stage, "match-review")
    before = (tracks(stage), len(story(stage).events))

    stays = ReviewDecided(task=task.id, decision="bind", referral=story(stage).line.id, by="jane", reason="hers")
    assert stage.put(stays).refused == ""

    assert (tracks(stage), len(story(stage).events)) == before
    assert kinds(stage) == []


def test_of_a_chain_only_the_edge_that_is_taken_back_parts() -> None:
    stage = ordered()
    stage.receive(a_merge("700101", "700102", "EHR1"))
    stage.receive(a_merge("700102", "700103", "EHR2"))
    assert numbers(stage) == ["700101", "700102", "700103"]

    parted(stage, edges(stage)[1].id)

    assert numbers(stage) == ["700101", "700102"]


@pytest.mark.parametrize(
    ("number", "reason", "sentence"),
    [(9, "two sisters", "there is no merge 9"), (1, " ", "needs a reason")],
)
def test_a_merge_that_cannot_be_taken_back_says_why(number: int, reason: str, sentence: str) -> None:
    stage = ordered()
    stage.receive(sample(A40))
    before = whole(stage)

    assert sentence in parted(stage, number, reason).refused
    assert whole(stage) == before


def test_a_merge_is_taken_back_once() -> None:
    stage = ordered()
    stage.receive(sample(A40))
    parted(stage)
    before = whole(stage)

    assert "undone already" in parted(stage).refused
    assert whole(stage) == before


def test_the_same_merge_after_it_was_taken_back_holds_again() -> None:
    stage = ordered()
    stage.receive(sample(A40))
    parted(stage)

    stage.receive(sample(A40, {"MSH-10": "EHRAGAIN"}))

    assert numbers(stage) == ["700101", "700102"]
    assert [bool(edge.undone_at) for edge in edges(stage)] == [True, False]


def test_a_merge_is_taken_back_by_its_number_and_not_by_its_message() -> None:
    stage = ordered()
    merge = stage.receive(sample(A40))
    before = whole(stage)

    refused = stage.put(EvidenceUnbound(message=merge.sequence, by="jane", reason="two sisters")).refused

    assert refused == f"message {merge.sequence} is a merge: take back merge 1 instead"
    assert whole(stage) == before
