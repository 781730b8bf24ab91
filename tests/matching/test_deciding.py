"""Why a message went where it went is kept with it: level, candidates, parts and fields; nothing of nobody is kept."""

from __future__ import annotations

from referral_engine.flow.inputs import Receipt
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.codec import decode_decision
from referral_engine.journal.rows import DecisionRow, Disposition
from referral_engine.loop.matching import Evidence, Weighed
from tests.flow.stage import BOOKING, MONDAY, NOTE, ORDER, engine, owed, row, sample, story, tasks, tracks

UNNUMBERED = "siu-s12-cardiology-without-order.hl7"
WITHOUT_NUMBER = {"TXA-14": "", "ORC-2": "", "OBR-2": "", "ORC-3": "", "OBR-3": ""}
STRANGER = {"PID-3": "", "PID-3.1": "799999", "PID-3.4": "SPRINGFIELD", "PID-5.1": "Nobody", "PID-7": "19990101"}


def decided(stage: Rehearsal, receipt: Receipt) -> tuple[DecisionRow, ...]:
    return stage.journal.read().decisions(receipt.sequence)


def behind(decision: DecisionRow) -> tuple[Evidence, tuple[Weighed, ...]]:
    return decode_decision(decision.body)


def _security(stage: Rehearsal) -> list[tuple[str, str]]:
    connection = stage.journal._connection  # the audit is written for auditors, the engine never asks it
    return connection.execute("SELECT actor, outcome FROM audit WHERE action = 'security'").fetchall()  # two texts


def _ordered(start: str = MONDAY) -> Rehearsal:
    stage = engine(start)
    stage.receive(sample(ORDER))
    return stage


# ---------------------------------------------------------------------------------------------- what is kept


def test_an_applied_booking_keeps_level_referral_parts_and_fields() -> None:
    stage = _ordered()

    receipt = stage.receive(sample(BOOKING))

    (decision,) = decided(stage, receipt)
    assert (decision.level, decision.referral, decision.by) == (1, story(stage).line.id, "engine")
    assert not decision.provisional
    evidence, (weighed,) = behind(decision)
    assert weighed.referral == story(stage).line.id
    assert weighed.score > 0
    assert {part.name for part in weighed.parts if part.points > 0} >= {"placer number", "record number", "birth date"}
    assert any(field.startswith("placer") for field in evidence.fields)
    assert stage.journal.read().decisions_of(decision.referral)[0].message == receipt.sequence


def test_a_provisional_booking_says_so() -> None:
    stage = _ordered()

    (decision,) = decided(stage, stage.receive(sample(UNNUMBERED)))

    assert (decision.level, decision.provisional) == (3, True)


def test_a_note_for_review_keeps_its_candidates_ranked_and_the_tasks_reason_names_no_patient() -> None:  # H125
    stage = _ordered("2026-02-02 09:00")
    stage.clock.move_to(stage.clock.now())
    stage.receive(sample(ORDER, {"ORC-2.1": "P-1009", "OBR-2.1": "P-1009", "OBR-4.1": "REFEP", "MSH-10": "EHR1009"}))

    receipt = stage.receive(sample(NOTE, WITHOUT_NUMBER))

    (decision,) = decided(stage, receipt)
    assert decision.referral == ""
    _, weighed = behind(decision)
    assert weighed[0].referral == story(stage).line.id
    (task,) = tasks(stage, "match-review")
    for value in ("Example", "Amelia", "700101", "19580412"):
        assert value not in task.reason
        assert value not in decision.reason


def test_both_charts_are_shown_where_an_order_number_comes_with_another_patient() -> None:  # F-H02
    stage = _ordered()
    other = {"PID-3": "", "PID-3.1": "700199", "PID-3.4": "SPRINGFIELD", "PID-5.1": "Other", "PID-7": "19900101"}
    stage.receive(sample(ORDER, other | {"ORC-2.1": "P-1077", "OBR-2.1": "P-1077", "MSH-10": "EHR1077"}))
    before = story(stage), story(stage, "P-1077"), owed(stage)

    receipt = stage.receive(sample(NOTE, other))

    (decision,) = decided(stage, receipt)
    assert decision.level == 0
    _, weighed = behind(decision)
    assert {one.referral for one in weighed} == {story(stage).line.id, story(stage, "P-1077").line.id}
    assert tasks(stage)[0].urgent
    assert (story(stage), story(stage, "P-1077"), owed(stage)) == before


def test_what_waits_keeps_the_candidates_it_did_not_fit() -> None:
    stage = _ordered()

    receipt = stage.receive(sample(UNNUMBERED, {"SCH-11.4": "20240317083000", "TQ1-7": "", "AIS-4": "", "AIL-6": "",
                                                "AIP-6": ""}))  # fmt: skip

    assert row(stage, receipt).disposition is Disposition.NO_OP
    (decision,) = decided(stage, receipt)
    assert (decision.level, decision.referral) == (6, "")
    assert [one.referral for one in behind(decision)[1]] == [story(stage).line.id]


def test_nothing_is_kept_of_messages_about_nobody() -> None:
    stage = _ordered()

    for name in (BOOKING, NOTE, "adt-a08-new-phone.hl7"):
        receipt = stage.receive(sample(name, STRANGER | {"SCH-26": "", "SCH-2": "", "TXA-14": "", "TXA-12": "",
                                                         "ORC-2": "", "OBR-2": ""}))  # fmt: skip
        assert decided(stage, receipt) == ()


def test_disputed_demographics_keep_whose_they_are() -> None:
    stage = _ordered()

    receipt = stage.receive(sample("adt-a08-new-phone.hl7", {"PID-5.1": "Stranger", "PID-7": "19990101"}))

    (decision,) = decided(stage, receipt)
    assert (decision.level, decision.referral) == (0, "")
    assert [one.referral for one in behind(decision)[1]] == [story(stage).line.id]


# ---------------------------------------------------------------------------------------------- the party rule


def test_an_office_that_speaks_of_anothers_referral_stands_in_the_audit_as_a_matter_of_security() -> None:  # F-H01
    stage = _ordered()
    before = story(stage), owed(stage)

    for name in (BOOKING, NOTE):
        receipt = stage.receive(sample(name, {"MSH-3": "RIS", "MSH-4": "NORTHSIDE"}))
        assert (row(stage, receipt).disposition, row(stage, receipt).level) == (Disposition.NEEDS_HUMAN, 0)

    lines = _security(stage)
    assert [actor for actor, _ in lines] == ["feed:imaging-northside"] * 2
    assert all("no party of that referral" in outcome for _, outcome in lines)
    assert all(task.urgent for task in tasks(stage))
    assert (story(stage), owed(stage)) == before


def test_the_scanner_and_the_ordering_side_speak_of_every_referral() -> None:
    for sender in ({"MSH-3": "SCANNER", "MSH-4": "SPRINGFIELD"}, {"MSH-3": "EHR", "MSH-4": "SPRINGFIELD"}):
        stage = _ordered()
        stage.receive(sample(NOTE, sender))
        assert tracks(stage)["note"] == "final"
