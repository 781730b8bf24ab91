"""Consult notes through the door: several in one message, one in several, the same by two ways, and none that harms."""

from __future__ import annotations

import base64

import pytest

from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import Disposition
from tests.flow.stage import ORDER, at, engine, owed, row, sample, sent, story, tasks, tracks

SECOND = {"ORC-2.1": "P-1009", "OBR-2.1": "P-1009", "MSH-10": "EHR1009"}
HEADER = "MSH|^~\\&|CENTRICITY|HEARTGRP|REFERRAL_ENGINE|SPRINGFIELD|20260312164000-0500||{kind}|{control}|P|2.5.1||||||UNICODE UTF-8"
PID = "PID|1||700101^^^SPRINGFIELD^MR||Example^Amelia^^^^^L||19580412|F"
WORDS = "REASON FOR VISIT: palpitations. PLAN: rate control as before."


def oru(*groups: str, control: str = "HG1") -> bytes:
    return written(HEADER.format(kind="ORU^R01^ORU_R01", control=control), PID, *groups)


def mdm(
    trigger: str, number: str, *content: str, parent: str = "", order: str = "P-1001^EHR", control: str = "HG2"
) -> bytes:
    txa = f"TXA|1|CN|TX|20260310103000-0500||||||||{number}^HEART|{parent}|{order}|||AU||AV"
    return written(HEADER.format(kind=f"MDM^{trigger}", control=control), f"EVN|{trigger}", PID, txa, *content)


def written(*lines: str) -> bytes:
    return ("\r".join(line for text in lines for line in text.split("\n")) + "\r").encode()


def group(order: str, number: str, words: str = WORDS, status: str = "F") -> str:
    obr = f"OBR|1|{order}|{number}^HEART|11488-4^Consult note^LN|||20260310103000-0500" + "|" * 18 + status
    return f"{obr}\nOBX|1|TX|11488-4^Consult note^LN||{words}||||||{status}"


def obx(value: str, kind: str = "TX", status: str = "F") -> str:
    return f"OBX|1|{kind}|11488-4^Consult note^LN||{value}||||||{status}"


def ordered(*, second: bool = False) -> Rehearsal:
    stage = engine("2026-02-10 09:00")
    stage.receive(sample(ORDER))
    if second:
        stage.move_to(at("2026-02-28 09:00"))  # after fourteen days it is no duplicate
        stage.receive(sample(ORDER, SECOND))
    stage.move_to(at("2026-03-12 16:40"))
    return stage


def closures(stage: Rehearsal) -> list[tuple[str, str, bytes]]:
    """What the EHR was to file, correct or take back: the order, how, and the message."""
    filing = ("closure", "correction", "retraction")
    return [
        (one.referral, f"{one.purpose} {one.about}".strip(), one.body) for one in owed(stage) if one.purpose in filing
    ]


# ---------------------------------------------------------------------------------------------- several in one


def test_one_message_with_results_of_two_orders_files_each_with_its_own() -> None:
    stage = ordered(second=True)

    receipt = stage.receive(oru(group("P-1001^EHR", "D-1"), group("P-1009^EHR", "D-2", "Second consult: all is well.")))

    assert row(stage, receipt).disposition is Disposition.APPLIED
    filed = {referral: body for referral, how, body in closures(stage) if how == "closure note"}
    assert set(filed) == {story(stage).line.id, story(stage, "P-1009").line.id}
    first, second = filed[story(stage).line.id], filed[story(stage, "P-1009").line.id]
    assert (WORDS.encode() in first, b"Second consult" in first) == (True, False)
    assert (WORDS.encode() in second, b"Second consult" in second) == (False, True)


def test_a_result_for_an_order_still_to_come_waits_while_its_neighbour_is_filed() -> None:
    stage = ordered()

    stage.receive(oru(group("P-1001^EHR", "D-1"), group("P-1009^EHR", "D-2", "Second consult: all is well.")))

    assert tracks(stage)["note"] == "final"
    assert [how for _, how, _ in closures(stage)] == ["closure note"]

    stage.receive(sample(ORDER, SECOND))

    assert tracks(stage, "P-1009")["note"] == "final"
    bodies = {referral: body for referral, _, body in closures(stage)}
    assert b"Second consult" in bodies[story(stage, "P-1009").line.id]
    assert WORDS.encode() not in bodies[story(stage, "P-1009").line.id]
    assert len(closures(stage)) == 2


# ---------------------------------------------------------------------------------------------- one in several


def test_a_second_final_result_under_the_same_number_replaces_the_first() -> None:
    stage = ordered()
    stage.receive(oru(group("P-1001^EHR", "D-1")))

    stage.receive(oru(group("P-1001^EHR", "D-1", "Both pages: palpitations, rate control."), control="HG2"))

    (_, how, body) = closures(stage)[-1]
    message = Message.parse(body)
    assert how == "correction replacement"
    assert (message.header.trigger, message.value("TXA-12.1"), message.value("TXA-13.1")) == ("T10", "D-1", "D-1")


def test_an_addendum_after_closure_stands_beside_the_note() -> None:
    stage = ordered()
    stage.receive(mdm("T02", "D-1", obx(WORDS)))

    stage.receive(mdm("T06", "D-2", obx("Addendum: Holter without findings."), parent="D-1^HEART", control="HG3"))

    (_, how, body) = closures(stage)[-1]
    message = Message.parse(body)
    assert how == "correction addition"
    assert (message.header.trigger, message.value("TXA-12.1"), message.value("TXA-13.1")) == ("T06", "D-2", "D-1")


def test_the_same_note_by_two_ways_closes_once() -> None:  # F-H04
    stage = ordered()
    stage.receive(oru(group("P-1001^EHR", "D-1")))
    before = story(stage).referral, sent(stage)

    again = stage.receive(mdm("T02", "FAX-78", *map(obx, WORDS.replace(". ", ".|").split("|")), control="HG3"))

    assert row(stage, again).disposition is Disposition.NO_OP
    assert (story(stage).referral, sent(stage)) == before


def test_other_words_by_another_way_are_another_note() -> None:
    stage = ordered()
    stage.receive(oru(group("P-1001^EHR", "D-1")))

    other = stage.receive(mdm("T02", "FAX-77", obx("No rhythm disorder found."), control="HG2"))

    assert row(stage, other).disposition is Disposition.APPLIED
    assert [how for _, how, _ in closures(stage)] == ["closure note", "correction addition"]


# ---------------------------------------------------------------------------------------------- what harms nobody


def enclosed(text: str) -> str:
    return obx("^text^xml^Base64^" + base64.b64encode(text.encode()).decode(), "ED")


def clinical(family: str, given: str, born: str, root: str = "9.9.9") -> str:
    return (
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3" extension="C9"/><code code="11488-4"/>'
        f'<recordTarget><patientRole><id root="{root}" extension="X1"/><patient><name><given>{given}</given>'
        f'<family>{family}</family></name><birthTime value="{born}"/></patient></patientRole></recordTarget>'
        "<component/></ClinicalDocument>"
    )


def test_a_document_about_somebody_else_inside_is_an_urgent_review_and_nothing_changes() -> None:  # H125
    stage = ordered()
    before = story(stage), owed(stage)

    receipt = stage.receive(mdm("T02", "D-1", enclosed(clinical("Sample", "Bertram", "19620101"))))

    assert (row(stage, receipt).disposition, row(stage, receipt).level) == (Disposition.NEEDS_HUMAN, 0)
    assert [one.urgent for one in tasks(stage, "match-review")] == [True]
    assert (story(stage), owed(stage)) == before


def test_a_document_about_the_same_patient_inside_closes() -> None:
    stage = ordered()

    receipt = stage.receive(mdm("T02", "D-1", enclosed(clinical("EXAMPLE", "Amelia", "19580412"))))

    assert row(stage, receipt).disposition is Disposition.APPLIED
    assert tracks(stage)["note"] == "final"


@pytest.mark.parametrize(
    "content",
    [
        obx("^application^pdf^Base64^JVBERi0xLjQK!!", "ED"),
        obx("^application^pdf^Base64^", "ED"),
        enclosed(clinical("Example", "Amelia", "19580412").replace("<C", '<!DOCTYPE c [<!ENTITY a "b">]><C', 1)),
        enclosed(clinical("Example", "Amelia", "19580412")[:150]),
    ],
    ids=["broken", "empty", "declares a type", "cut off"],
)
def test_a_final_note_that_cannot_be_read_is_kept_for_a_person_and_closes_nothing(content: str) -> None:
    stage = ordered()
    before = story(stage).referral, owed(stage)
    raw = mdm("T02", "D-1", content)

    receipt = stage.receive(raw)

    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    assert row(stage, receipt).raw == raw
    assert tasks(stage, "quarantine")
    assert (story(stage).referral, owed(stage)) == before


def test_an_older_version_that_is_taken_back_leaves_the_newer_one_filed() -> None:  # F-H07
    stage = ordered()
    stage.receive(mdm("T02", "D-1", obx(WORDS)))
    stage.receive(mdm("T10", "D-2", obx("New words."), parent="D-1^HEART", control="HG3"))

    stage.receive(mdm("T11", "D-1", control="HG4"))

    assert tracks(stage)["note"] == "corrected"
    assert not [how for _, how, _ in closures(stage) if how.startswith("retraction")]
    assert tasks(stage, "anomaly")


def test_the_newest_version_that_is_taken_back_opens_the_loop() -> None:  # F-H07
    stage = ordered()
    stage.receive(mdm("T02", "D-1", obx(WORDS)))
    stage.receive(mdm("T10", "D-2", obx("New words."), parent="D-1^HEART", control="HG3"))

    stage.receive(mdm("T11", "D-2", control="HG4"))

    assert (tracks(stage)["note"], tracks(stage)["closure"]) == ("retracted", "open")
    (_, how, body) = closures(stage)[-1]
    assert how == "retraction retracted"
    assert Message.parse(body).value("TXA-12.1") == "D-2"
    assert tasks(stage, "wrong-patient")[0].urgent
