"""Consult notes: how finished they are, whose they are, and that nothing closes without words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.channels.feed import DEFAULT_DOCUMENT_STATES
from referral_engine.loop.events import ReportReceived
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Finality, Identifier
from tests.intake.samples import (
    NOW,
    NPI,
    OTHER_NPI,
    PID,
    SCANNER,
    SPECIALIST,
    header,
    heart_group,
    matcher,
    mdm,
    oru,
    segment,
    told,
)

P, F, C, R = Finality.PRELIMINARY, Finality.FINAL, Finality.CORRECTED, Finality.RETRACTED
VISIT = datetime(2026, 3, 16, 14, 10, tzinfo=UTC)


def finality(lines: str) -> Finality | None:
    event = told(lines, SPECIALIST).event
    assert event is None or isinstance(event, ReportReceived)
    return event.finality if event else None


def evidence(lines: str) -> Evidence:
    found = told(lines, SPECIALIST).evidence
    assert found is not None
    return found


# ---------------------------------------------------------------------------------------------------------------------
# ORU


def test_a_result_says_which_document_of_which_order() -> None:
    reading = told(oru("F", "F"), SPECIALIST)

    document = Identifier(value="DOC9", authority="CENT")
    assert reading.about is About.REPORT
    assert reading.events == (ReportReceived(at=NOW, message=7, by="heart-group", document=document, finality=F),)
    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="ORD77", authority="EHR")
    assert (reading.evidence.document, reading.evidence.filler) == (document, document)
    assert reading.evidence.happened_at == VISIT
    assert reading.note == ""


@pytest.mark.parametrize(
    ("result", "observed", "expected"),
    [
        ("F", "F", F), ("F", "", F), ("", "F", F), ("f", "f", F), ("F", "U", F), ("", "U", F), ("F", "N", F), ("F", "O", F),
        ("C", "F", C), ("F", "C", C), ("C", "C", C), ("", "C", C), ("F", "F C", C), ("F", "F D", C),
        ("P", "P", P), ("", "P", P), ("F", "P", P), ("P", "F", P), ("A", "F", P), ("R", "R", P), ("I", "F", P), ("S", "S", P),
        ("F", "F P", P), ("C", "P", P), ("", "", P), ("ZZ", "ZZ", P), ("F", "F X", F), ("F", "ZZ F", F),
        ("X", "F", R), ("X", "", R), ("F", "W", R), ("F", "F W", R), ("F", "D", R), ("F", "D D", R), ("P", "W", R),
        ("", "X", R),
    ],
)  # fmt: skip
def test_the_least_finished_code_decides(result: str, observed: str, expected: Finality) -> None:
    assert finality(oru(result, *(observed.split() or ("",)))) is expected


def test_codes_that_contradict_each_other_are_named() -> None:
    assert "read as not final" in told(oru("F", "P"), SPECIALIST).note
    assert "read as taken back" in told(oru("F", "D"), SPECIALIST).note
    assert "no status the feed lists" in told(oru("", ""), SPECIALIST).note


def test_a_report_of_the_wrong_patient_is_a_retraction_and_says_so() -> None:
    found = evidence(oru("F", "F", "W"))

    assert found.wrong_patient
    assert found.retracts
    assert not evidence(oru("F", "F")).wrong_patient


@pytest.mark.parametrize("result", ["O", "I", "S", "P", "A", ""])
def test_a_status_without_words_is_no_document(result: str) -> None:
    reading = told(oru(result), SPECIALIST)

    assert (reading.about, reading.events) == (About.REPORT, ())
    assert reading.note == "a status without a document"


@pytest.mark.parametrize(
    "lines", [oru("F"), oru("C"), oru("F", "F").replace("A line.", ""), oru("F", "F").replace("A line.", '""')]
)
def test_a_final_report_that_carries_nothing_is_for_a_person(lines: str) -> None:
    with pytest.raises(MessageFault, match="OBX-5: a final report that carries nothing"):
        told(lines, SPECIALIST)


def test_a_retraction_needs_no_words() -> None:
    assert finality(oru("X")) is R


def test_a_result_without_an_order_segment_is_for_a_person() -> None:
    with pytest.raises(MessageFault, match="OBR: "):
        told(header("ORU^R01") + "\n" + PID, SPECIALIST)


def test_groups_of_one_order_are_one_report_and_others_are_counted() -> None:
    lines = oru("F", "F") + "\n" + "\n".join(
        ["OBR|2|ORD77^EHR|DOC9||EKG|||" + "|" * 17 + "P", "OBX|1|TX|||More.||||||P", "OBR|3|ORD78^EHR|DOC10", "OBX|1|TX|||Else.||||||F"]
    )  # fmt: skip

    reading = told(lines, SPECIALIST)

    assert isinstance(reading.event, ReportReceived)
    assert reading.event.finality is P
    assert "results of 1 other orders in the message were not read" in reading.note


def test_a_wrong_patient_anywhere_in_the_message_stops_it() -> None:
    lines = oru("F", "F") + "\nOBR|2|ORD78^EHR|DOC10\nOBX|1|TX|||Else.||||||W"

    assert evidence(lines).wrong_patient


def test_without_a_filler_number_the_order_segment_names_the_document() -> None:
    lines = oru("F", "F", obr={"f3": "", "f2": ""}).replace("OBR|", "ORC|RE|ORD77^EHR|F1^CENT\nOBR|", 1)

    found = evidence(lines)

    assert found.document == Identifier(value="F1", authority="CENT")
    assert found.placer == Identifier(value="ORD77", authority="EHR")


@pytest.mark.parametrize(
    ("obr", "expected"),
    [
        ({"f7": "20260316", "f22": "20260320090000"}, datetime(2026, 3, 16, 5, tzinfo=UTC)),
        ({"f7": "", "f22": "20260320090000"}, datetime(2026, 3, 20, 14, tzinfo=UTC)),
        ({"f7": "2026", "f22": ""}, None),
        ({"f7": "", "f22": ""}, None),
    ],
)
def test_the_visits_date_comes_before_the_results(obr: dict[str, str], expected: datetime | None) -> None:
    assert evidence(oru("F", "F", obr=obr)).happened_at == expected


def test_the_author_is_a_valid_npi_or_nobody() -> None:
    assert evidence(oru("F", "F", obr={"f32": f"{NPI}&DOE&DAN"})).provider == NPI
    assert evidence(oru("F", "F") + "|||||" + OTHER_NPI + "^DOE").provider == OTHER_NPI
    assert evidence(oru("F", "F", obr={"f16": NPI})).provider == ""  # the orderer is not the author


# ---------------------------------------------------------------------------------------------------------------------
# MDM


def test_a_document_says_which_it_is_and_for_which_order() -> None:
    reading = told(mdm("T02", f5=f"{NPI}^DOE", f15="F1^CENT"), SPECIALIST)

    document = Identifier(value="DOC9", authority="CENT")
    assert reading.events == (ReportReceived(at=NOW, message=7, by="heart-group", document=document, finality=F),)
    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="ORD77", authority="EHR")
    assert reading.evidence.filler == Identifier(value="F1", authority="CENT")
    assert (reading.evidence.document, reading.evidence.provider) == (document, NPI)
    assert reading.evidence.happened_at == VISIT


@pytest.mark.parametrize("trigger", ["T02", "T04"])
@pytest.mark.parametrize("completion", sorted(DEFAULT_DOCUMENT_STATES))
def test_txa_17_says_whether_a_document_is_final(trigger: str, completion: str) -> None:
    assert finality(mdm(trigger, completion)) is (F if completion in ("AU", "LA") else P)


@pytest.mark.parametrize("trigger", ["T06", "T08", "T10"])
def test_a_final_revision_is_a_correction_and_an_unfinished_one_is_not(trigger: str) -> None:
    assert finality(mdm(trigger, "AU")) is C
    assert finality(mdm(trigger, "DI")) is P


@pytest.mark.parametrize("trigger", ["T01", "T03", "T05", "T07", "T09"])
def test_a_notice_is_not_the_document(trigger: str) -> None:
    reading = told(mdm(trigger, "AU", "-"), SPECIALIST)

    assert (reading.about, reading.events) == (About.REPORT, ())
    assert reading.note == "a notice without the document"


def test_a_notice_that_carries_the_words_after_all_is_the_document() -> None:
    assert finality(mdm("T01", "AU")) is F
    assert finality(mdm("T09", "AU")) is C


def test_a_cancelled_document_is_taken_back() -> None:
    assert finality(mdm("T11", "AU", "-")) is R
    assert finality(mdm("T04", "AU", f19="CA")) is R
    assert evidence(mdm("T11", "AU", "-")).retracts


@pytest.mark.parametrize(
    ("completion", "observed", "expected"),
    [
        ("AU", "P", F),
        ("DI", "F", P),
        ("", "F", F),
        ("", "P", P),
        ("ZZ", "C", C),
        ("", "", P),
        ("AU", "W", R),
        ("AU", "D", R),
    ],
)
def test_txa_17_comes_before_obx_11(completion: str, observed: str, expected: Finality) -> None:
    assert finality(mdm("T02", completion, observed)) is expected


def test_a_document_of_the_wrong_patient_says_so() -> None:
    assert evidence(mdm("T02", "AU", "W")).wrong_patient


def test_a_revision_is_known_by_what_it_revises() -> None:
    reading = told(mdm("T10", "AU", f12="DOC10^CENT", f13="DOC9^CENT"), SPECIALIST)

    assert reading.evidence is not None
    assert isinstance(reading.event, ReportReceived)
    assert reading.evidence.document.value == "DOC9"
    assert reading.event.document.value == "DOC10"
    assert evidence(mdm("T02", "AU", f13="DOC8")).document.value == "DOC9"


def test_without_txa_14_the_order_segments_say_which_order() -> None:
    lines = mdm("T02", f14="").replace("TXA|", "ORC|RE|ORD79^EHR|F9\nOBR|1|||REFCARD\nTXA|")

    assert evidence(lines).placer == Identifier(value="ORD79", authority="EHR")


def test_a_final_document_that_carries_nothing_is_for_a_person() -> None:
    with pytest.raises(MessageFault, match="OBX-5"):
        told(mdm("T02", "AU", "-"), SPECIALIST)


def test_a_document_without_its_header_is_for_a_person() -> None:
    with pytest.raises(MessageFault, match="TXA: "):
        told(header("MDM^T02") + "\n" + PID, SPECIALIST)


def test_an_unknown_document_event_is_left_alone() -> None:
    assert told(mdm("T12"), SPECIALIST).about is None


def test_an_event_segment_that_contradicts_the_header_is_named_and_not_followed() -> None:
    reading = told(mdm("T02").replace("EVN|T02", "EVN|T11"), SPECIALIST)

    assert isinstance(reading.event, ReportReceived)
    assert reading.event.finality is F
    assert reading.note == "EVN-1 contradicts MSH-9.2"


def test_a_header_without_an_event_is_read_by_the_event_segment() -> None:
    assert finality(mdm("T02").replace("MDM^T02", "MDM")) is F
    with pytest.raises(MessageFault, match="the event is missing"):
        told(header("SIU") + "\nSCH|1", SPECIALIST)


def test_a_scanned_letter_is_a_report() -> None:
    reading = told(mdm("T02", f14=""), SCANNER)

    assert reading.about is About.REPORT
    assert reading.event is not None
    assert reading.event.by == "scanner"


# ---------------------------------------------------------------------------------------------------------------------
# The channel's own rule


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (mdm("T02", "DO"), F),
        (mdm("T02", "AU"), P),
        (mdm("T10", "DO"), C),
        (mdm("T10", "AU"), P),
        (mdm("T11", "DO", "-"), R),
        (mdm("T02", "DO", "W"), R),
    ],
)
def test_the_channel_may_say_itself_which_documents_are_final(lines: str, expected: Finality) -> None:
    event = told(lines, heart_group(matcher(TXA_17="DO"))).event

    assert isinstance(event, ReportReceived)
    assert event.finality is expected


def test_the_channels_rule_holds_for_results_too() -> None:
    party = heart_group(matcher(OBR_25="P"))

    final, interim = told(oru("P", "P"), party).event, told(oru("F", "F"), party).event

    assert isinstance(final, ReportReceived)
    assert isinstance(interim, ReportReceived)
    assert (final.finality, interim.finality) == (F, P)


def test_a_long_note_costs_one_line_a_line() -> None:
    lines = oru("F") + "\n" + "\n".join(segment("OBX", f1="1", f5="A line.", f11="F") for _ in range(5_000))

    assert finality(lines) is F
