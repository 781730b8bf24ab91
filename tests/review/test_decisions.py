"""A message that no level may attach by itself waits for a person, whose word is done, kept and can be taken back."""

from __future__ import annotations

import pytest

from referral_engine.flow.inputs import EvidenceConfirmed, EvidenceUnbound, Receipt, ReviewDecided, TaskDone
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.codec import decode_decision
from referral_engine.journal.rows import Disposition, MessageRow
from tests.flow.stage import (
    BOOKING,
    HEART,
    NOTE,
    ORDER,
    at,
    engine,
    kinds,
    sample,
    sent,
    story,
    tasks,
    tick,
    tracks,
    wall,
    whole,
)

UNNUMBERED = {"TXA-14": "", "ORC-2": "", "OBR-2": "", "ORC-3": "", "OBR-3": ""}
SECOND = {"ORC-2.1": "P-1009", "OBR-2.1": "P-1009", "MSH-10": "EHR1009"}
OTHERS = {"PID-3": "", "PID-3.1": "700999", "PID-3.4": "SPRINGFIELD", "PID-3.5": "MR", "PID-5.1": "Stranger",
          "PID-5.2": "Sam", "PID-7": "19910203"}  # fmt: skip


def in_review() -> tuple[Rehearsal, Receipt]:
    """Amelia's order is out, and a final note came that names no order."""
    stage = engine()
    stage.receive(sample(ORDER))
    note = stage.receive(sample(NOTE, UNNUMBERED))
    assert row(stage, note).disposition is Disposition.NEEDS_HUMAN
    return stage, note


def row(stage: Rehearsal, receipt: Receipt) -> MessageRow:
    """The message of a receipt."""
    found = stage.journal.read().message(receipt.sequence)
    assert found is not None
    return found


def decided(stage: Rehearsal, decision: str, reason: str = "both charts looked at", **words: object) -> Receipt:
    """A coordinator decides the one open review."""
    (task,) = tasks(stage, "match-review")
    told = {"task": task.id, "decision": decision, "by": "jane", "reason": reason} | words
    return stage.put(ReviewDecided(**told))  # type: ignore[arg-type]  # the test names fields of ReviewDecided


def hers(stage: Rehearsal, placer: str = "P-1001") -> str:
    """The referral of an order number."""
    return story(stage, placer).line.id


# --------------------------------------------------------------------------------------------- bind


def test_a_note_that_a_person_binds_closes_the_loop_with_level_and_name() -> None:
    stage, note = in_review()

    assert decided(stage, "bind", referral=hers(stage)).refused == ""

    assert tracks(stage)["closure"] == "closed"
    (document,) = story(stage).referral.documents
    assert (document.message, document.provisional) == (note.sequence, False)
    (decision,) = stage.journal.read().decisions(note.sequence)
    assert (decision.referral, decision.level, decision.by) == (hers(stage), 3, "user:jane")
    assert decision.reason == "both charts looked at"
    assert row(stage, note).disposition is Disposition.APPLIED
    assert row(stage, note).referral == hers(stage)
    assert "match-review" not in kinds(stage)


def test_the_reason_stays_in_the_journal_and_out_of_the_timeline() -> None:
    stage, _ = in_review()

    decided(stage, "bind", "her daughter confirmed it", referral=hers(stage))

    assert all("daughter" not in event.summary + event.reason for event in story(stage).events)
    assert any("bound by a person" in event.reason for event in story(stage).events)
    (task,) = [one for one in stage.journal.read().tasks(done=True) if one.kind == "match-review"]
    assert (task.note, task.claimed_by) == ("her daughter confirmed it", "jane")
    assert stage.journal.read().first_bad_audit_line() is None


def test_of_two_candidates_the_one_that_is_named_gets_it() -> None:  # H125
    stage = engine()
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-20 09:00"))  # beyond the days in which a second order is a duplicate
    stage.receive(sample(ORDER, SECOND))
    stage.receive(sample(NOTE, UNNUMBERED))

    assert decided(stage, "bind", referral=hers(stage, "P-1009")).refused == ""

    assert (tracks(stage, "P-1009")["note"], tracks(stage)["note"]) == ("final", "none")


def test_a_bind_against_everything_the_message_says_needs_to_be_sure() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    note = stage.receive(sample(NOTE, OTHERS))  # her order number, another patient: F-H02
    assert row(stage, note).level == 0
    before = whole(stage)

    refused = decided(stage, "bind", referral=hers(stage)).refused

    assert "say that you are sure" in refused
    assert "another" in refused or "differ" in refused
    assert whole(stage) == before
    assert decided(stage, "bind", referral=hers(stage), sure=True).refused == ""
    assert tracks(stage)["closure"] == "closed"


def test_a_note_whose_birth_date_differs_is_not_bound_by_a_slip() -> None:
    stage, _ = in_review()
    other = {"PID-3.1": "700202", "PID-5.1": "Other", "PID-7": "19700101", "ORC-2.1": "P-1009", "OBR-2.1": "P-1009"}
    stage.receive(sample(ORDER, other | {"MSH-10": "EHR1009"}))

    refused = decided(stage, "bind", referral=hers(stage, "P-1009")).refused

    assert refused.startswith("the family name and the birth date differ")


def test_what_was_bound_can_be_undone_and_bound_again() -> None:
    stage, note = in_review()
    decided(stage, "bind", referral=hers(stage))
    after = tracks(stage)

    assert stage.put(EvidenceUnbound(message=note.sequence, by="ana", reason="not hers")).refused == ""
    assert tracks(stage)["note"] == "none"
    assert decided(stage, "bind", "hers after all", referral=hers(stage)).refused == ""

    assert tracks(stage) == after
    assert row(stage, note).disposition is Disposition.APPLIED
    assert [one.purpose for one in story(stage).effects if one.purpose in ("closure", "retraction")] == [
        "closure", "retraction", "closure",
    ]  # fmt: skip


def test_whoever_takes_a_note_off_sees_every_candidate_it_had() -> None:  # H125
    stage = engine()
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-20 09:00"))
    stage.receive(sample(ORDER, SECOND))
    note = stage.receive(sample(NOTE, UNNUMBERED))
    decided(stage, "bind", referral=hers(stage))

    stage.put(EvidenceUnbound(message=note.sequence, by="ana", reason="of the other order"))

    (kept,) = stage.journal.read().decisions(note.sequence)
    assert [one.referral for one in decode_decision(kept.body)[1]] == [hers(stage), hers(stage, "P-1009")]


def test_what_is_bound_teaches_its_numbers() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-20 09:00"))
    stage.receive(sample(ORDER, SECOND))
    stage.receive(sample(NOTE, UNNUMBERED))
    decided(stage, "bind", referral=hers(stage, "P-1009"))

    corrected = stage.receive(sample("mdm-t11-cardiology-cancelled.hl7", {"TXA-12.1": "D-1001", "TXA-14": ""}))

    assert row(stage, corrected).level == 2
    assert tracks(stage, "P-1009")["note"] == "retracted"


def test_a_provisional_booking_is_confirmed_and_nothing_moves() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    booking = stage.receive(sample("siu-s12-cardiology-without-order.hl7"))
    assert story(stage).referral.slots[-1].provisional
    before = (tracks(stage), sent(stage))
    word = EvidenceConfirmed(message=booking.sequence, by="jane", reason="the office confirmed the time")

    assert stage.put(word).refused == ""

    assert not story(stage).referral.slots[-1].provisional
    assert (tracks(stage), sent(stage)) == before
    (decision,) = stage.journal.read().decisions(booking.sequence)
    assert (decision.provisional, decision.level, decision.by) == (False, 3, "user:jane")
    assert "provisionally to no referral" in stage.put(word).refused
    assert stage.put(EvidenceUnbound(message=booking.sequence, by="jane", reason="a slip")).refused == ""
    assert tracks(stage)["appointment"] == "none"


def test_a_confirmation_needs_a_reason_and_a_provisional_match() -> None:
    stage, note = in_review()
    before = whole(stage)

    assert "needs a reason" in stage.put(EvidenceConfirmed(message=note.sequence, by="jane", reason="")).refused
    assert "to no referral" in stage.put(EvidenceConfirmed(message=note.sequence, by="jane", reason="so")).refused
    assert whole(stage) == before


# --------------------------------------------------------------------------------------------- bind as new


def stranger() -> tuple[Rehearsal, Receipt]:
    """A note about a patient with two referrals that it fits neither of: nobody ordered what it reports."""
    stage = engine()
    stage.receive(sample(ORDER))
    note = stage.receive(sample(NOTE, OTHERS))
    return stage, note


def test_a_referral_is_made_from_its_evidence_and_the_office_is_sent_nothing() -> None:
    stage, note = stranger()
    before = sent(stage)

    assert decided(stage, "new", "ordered by telephone", channel=HEART).refused == ""

    made = row(stage, note).referral
    found = stage.journal.read().story(made)
    assert found is not None
    assert found.referral.patient.family.agrees(type(found.referral.patient.family)("Stranger"))
    assert (found.referral.dispatch.value, found.referral.closure.value) == ("accepted", "closed")
    assert not [one for one in sent(stage)[len(before) :] if one.startswith(("specialist", "patient"))]
    assert sent(stage)[len(before) :] == ["ehr closure note"]
    assert tracks(stage)["note"] == "none"


def test_a_referral_made_from_a_booking_runs_its_clocks_and_asks_nobody_to_book() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    booking = stage.receive(sample(BOOKING, OTHERS))
    assert decided(stage, "new", channel=HEART).refused == ""
    made = row(stage, booking).referral

    stage.move_to(at("2026-03-09 09:00"))

    found = stage.journal.read().story(made)
    assert found is not None
    assert found.referral.appointment.value == "booked"
    running = {one.kind for one in found.deadlines if one.state == "pending"}
    assert {"visit-check", "open-30"} <= running
    assert not {"patient-prompt", "schedule", "delivered", "confirm"} & {one.kind for one in found.deadlines}


def test_what_was_made_can_be_undone_down_to_an_open_referral() -> None:
    stage, note = stranger()
    decided(stage, "new", channel=HEART)
    made = row(stage, note).referral

    assert stage.put(EvidenceUnbound(message=note.sequence, by="jane", reason="a slip")).refused == ""

    found = stage.journal.read().story(made)
    assert found is not None
    assert (found.referral.note.value, found.referral.closure.value) == ("none", "open")


def test_an_order_whose_number_another_patient_has_begins_a_loop_of_its_own() -> None:  # F-H03
    stage = engine()
    stage.receive(sample(ORDER))
    first = hers(stage)
    second = stage.receive(sample(ORDER, OTHERS | {"MSH-10": "EHR7777"}))
    assert row(stage, second).level == 0

    assert decided(stage, "new", "the numbers began anew", channel=HEART).refused == ""

    made = row(stage, second).referral
    assert made not in ("", first)
    found = stage.journal.read().referral(made)
    assert found is not None
    assert found.order.placer.value == "P-1001"
    assert sent(stage).count("specialist order") == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [({"channel": "nobody"}, "there is no channel nobody"), ({}, "there is no channel")],
)
def test_a_referral_of_no_channel_is_not_made(words: dict[str, str], sentence: str) -> None:
    stage, _ = stranger()
    before = whole(stage)

    assert sentence in decided(stage, "new", **words).refused
    assert whole(stage) == before


def test_a_referral_of_a_channel_that_did_not_send_the_message_is_not_made_by_a_slip() -> None:
    stage, _ = stranger()
    before = whole(stage)

    refused = decided(stage, "new", channel="imaging-northside").refused

    assert refused == f"the message came from channel {HEART}: say that you are sure that it is imaging-northside's"
    assert whole(stage) == before


# --------------------------------------------------------------------------------------------- several things


def two_results() -> bytes:
    """Two results in one message, each of an order nobody knows, of a patient with two referrals."""
    raw = sample("oru-r01-cardiology-final.hl7", {"PID-3": "", "PID-3.1": "700101", "PID-3.4": "SPRINGFIELD",
        "PID-5.1": "Example", "PID-5.2": "Amelia", "PID-7": "19580412"})  # fmt: skip
    lines = [line for line in raw.split(b"\r") if line]
    group = lines[[line[:3] for line in lines].index(b"ORC") :]
    other = [
        line.replace(b"P-1010", b"P-1011").replace(b"N-1010", b"N-1011").replace(b"REASON", b"CAUSE") for line in group
    ]
    return b"\r".join([*lines, *other, b""])


def test_each_result_of_a_message_is_bound_by_itself() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-20 09:00"))
    stage.receive(sample(ORDER, SECOND))
    results = stage.receive(two_results())
    first, *_ = tasks(stage, "match-review")
    words = {"task": first.id, "decision": "bind", "by": "jane", "reason": "both charts looked at"}

    unsaid = stage.put(ReviewDecided(**words, referral=hers(stage)))  # type: ignore[arg-type]  # fields of ReviewDecided
    assert "say which part, one of 0, 1" in unsaid.refused
    assert stage.put(ReviewDecided(**words, referral=hers(stage), part=1)).refused == ""  # type: ignore[arg-type]  # the same
    assert row(stage, results).disposition is Disposition.NEEDS_HUMAN
    assert (tracks(stage)["note"], tracks(stage, "P-1009")["note"]) == ("final", "none")
    assert stage.put(ReviewDecided(**words, referral=hers(stage, "P-1009"))).refused == ""  # type: ignore[arg-type]  # the same

    assert tracks(stage, "P-1009")["note"] == "final"
    assert row(stage, results).disposition is Disposition.APPLIED
    assert tasks(stage, "match-review") == []
    assert {one.part: one.referral for one in stage.journal.read().decisions(results.sequence)} == {
        0: hers(stage, "P-1009"),
        1: hers(stage),
    }


# --------------------------------------------------------------------------------------------- not here


def test_a_message_that_is_no_referral_document_is_laid_aside_and_never_matched_again() -> None:
    stage, note = in_review()

    assert decided(stage, "dismiss", "a parking receipt").refused == ""

    assert row(stage, note).disposition is Disposition.NO_OP
    assert "by a person" in row(stage, note).reason
    assert kinds(stage).count("match-review") == 0
    (decision,) = stage.journal.read().decisions(note.sequence)
    assert (decision.referral, decision.by, decision.reason) == ("", "user:jane", "a parking receipt")
    stage.move_to(at("2026-03-20 09:00"))
    stage.receive(sample(ORDER, SECOND))  # would have had it matched again
    assert row(stage, note).disposition is Disposition.NO_OP
    assert tracks(stage)["note"] == "none"


def test_a_wrong_patient_is_set_aside() -> None:
    stage, note = in_review()

    assert decided(stage, "wrong-patient", "the letter is about her sister").refused == ""

    assert row(stage, note).disposition is Disposition.QUARANTINED
    assert tracks(stage)["note"] == "none"
    assert kinds(stage).count("match-review") == 0


@pytest.mark.parametrize("decision", ["dismiss", "wrong-patient"])
def test_what_was_laid_aside_by_mistake_comes_up_again_with_its_candidates(decision: str) -> None:
    stage, note = in_review()
    decided(stage, decision, "a slip")

    assert stage.put(EvidenceUnbound(message=note.sequence, by="ana", reason="it is her note")).refused == ""

    assert row(stage, note).disposition is Disposition.NEEDS_HUMAN
    assert not tasks(stage, "match-review")[0].urgent
    (kept,) = stage.journal.read().decisions(note.sequence)
    assert (kept.undone_by, kept.undone_reason) == ("user:ana", "it is her note")
    assert [one.referral for one in decode_decision(kept.body)[1]] == [hers(stage)]
    again = stage.put(EvidenceUnbound(message=note.sequence, by="ana", reason="twice"))
    assert again.refused == f"message {note.sequence} is evidence of no referral"
    assert decided(stage, "bind", referral=hers(stage)).refused == ""
    assert tracks(stage)["note"] == "final"


def test_what_was_laid_aside_so_long_ago_that_it_was_reduced_is_asked_for_again() -> None:  # H128
    stage, note = in_review()
    decided(stage, "dismiss", "a slip")
    stage.move_to(at("2026-03-20 09:00"))  # beyond keep_unrelated
    assert row(stage, note).purged_at

    undone = stage.put(EvidenceUnbound(message=note.sequence, by="ana", reason="it is her note"))

    assert undone.refused == f"message {note.sequence} was reduced to its header: ask its sender for it again"
    assert kinds(stage).count("match-review") == 0


def test_a_review_that_waits_for_information_gets_another_business_day() -> None:
    stage, _ = in_review()
    (task,) = tasks(stage, "match-review")
    assert wall(task.due_at) == "2026-03-03 09:00"
    stage.move_to(at("2026-03-02 16:00"))

    assert decided(stage, "needs-info", "asked the office for the birth date").refused == ""
    assert decided(stage, "needs-info", "asked again").refused == ""

    (task,) = tasks(stage, "match-review")
    assert task.note == "asked the office for the birth date; asked again"
    assert wall(task.due_at) == "2026-03-03 16:00"
    stage.move_to(at("2026-03-03 15:59"))
    tick(stage)
    assert tasks(stage, "match-review")[0].escalated_at == 0
    stage.move_to(at("2026-03-03 16:01"))
    tick(stage)
    assert tasks(stage, "match-review")[0].escalated_at > 0


# --------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize("decision", ["bind", "new", "dismiss", "wrong-patient", "needs-info"])
@pytest.mark.parametrize("reason", ["", " "])
def test_every_decision_needs_a_reason(decision: str, reason: str) -> None:
    stage, _ = in_review()
    before = whole(stage)

    receipt = decided(stage, decision, reason, referral=hers(stage), channel=HEART)

    assert "needs a reason" in receipt.refused
    assert whole(stage) == before


def test_a_decision_that_cannot_be_done_says_why_and_changes_nothing() -> None:
    stage, _ = in_review()
    stage.move_to(at("2026-03-10 09:00"))
    (other,) = tasks(stage, "call-specialist")
    before = whole(stage)

    assert "is not one of bind, dismiss" in decided(stage, "guess").refused
    assert "there is no referral RE-9999" in decided(stage, "bind", referral="RE-9999").refused
    assert "does not wait" in decided(stage, "bind", referral=hers(stage), part=4).refused
    assert "no review of a message" in decided(stage, "dismiss", task=other.id).refused
    assert decided(stage, "dismiss", task=999).refused == "there is no review 999"
    assert whole(stage) == before


def test_a_review_is_not_closed_without_a_decision() -> None:
    stage, _ = in_review()
    (task,) = tasks(stage, "match-review")
    before = whole(stage)

    receipt = stage.put(TaskDone(task=task.id, by="jane", note="looked at it"))

    assert "is a review" in receipt.refused
    assert whole(stage) == before


def test_a_decision_is_made_once() -> None:
    stage, _ = in_review()
    (task,) = tasks(stage, "match-review")
    decided(stage, "bind", referral=hers(stage))
    before = whole(stage)

    again = stage.put(ReviewDecided(task=task.id, decision="dismiss", by="ana", reason="late"))

    assert "done already" in again.refused
    assert whole(stage) == before
