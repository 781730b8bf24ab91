"""Consult notes: how finished they are, whose they are, and that nothing closes without words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.feed import DEFAULT_DOCUMENT_STATES
from referral_engine.hl7.encoding import DEFAULT
from referral_engine.hl7.segment import Segment
from referral_engine.intake.attachments import read_contents
from referral_engine.intake.reading import Reading
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
    all_told,
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
WORDS = read_contents([Segment("OBX|1|TX|||A line.", DEFAULT)]).content


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
    event = ReportReceived(
        at=NOW, message=7, by="heart-group", document=document, finality=F, kind="11488-4", content=WORDS
    )
    assert reading.events == (event,)
    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="ORD77", authority="EHR")
    assert (reading.evidence.document, reading.evidence.filler) == (document, document)
    assert reading.evidence.document_kind == "11488-4"
    assert reading.evidence.fields == ("placer OBR-2", "filler OBR-3")
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


# ---------------------------------------------------------------------------------------------------------------------
# Several results in one message


def results(*lines: str) -> tuple[Reading, ...]:
    """A result message of these segments; "OBR 77 D1" is short for a final result group of order 77, document D1."""
    return all_told("\n".join([header("ORU^R01"), PID, *lines]), SPECIALIST)


def obr(placer: str = "", filler: str = "", result: str = "F", **more: str) -> str:
    return segment("OBR", **({"f2": placer, "f3": filler, "f4": "11488-4", "f25": result} | more))


def obx(words: str, status: str = "F", code: str = "") -> str:
    return segment("OBX", f2="TX", f3=code, f5=words, f11=status)


def orders(readings: tuple[Reading, ...]) -> list[tuple[str, str, Finality | None]]:
    found = []
    for one in readings:
        assert one.evidence is not None
        event = one.event
        assert event is None or isinstance(event, ReportReceived)
        found.append((one.evidence.placer.value, one.evidence.document.value, event.finality if event else None))
    return found


def test_groups_of_one_order_are_one_report() -> None:
    readings = results(obr("O1", "D1"), obx("One."), obr("O1", "D2", "P"), obx("More.", "P"))

    assert orders(readings) == [("O1", "D1", P)]


def test_each_order_has_its_own_reading_with_its_own_words_date_and_finality() -> None:
    readings = results(
        obr("O1", "D1", f7="20260316"), obx("One."), obr("O2", "D2", "P", f7="20260317"), obx("Two.", "P"),
        obr("O3", "D3", "C"), obx("Three.", "C"), obr("O4", "D4", "I"),
    )  # fmt: skip

    assert orders(readings) == [("O1", "D1", F), ("O2", "D2", P), ("O3", "D3", C), ("O4", "D4", None)]
    dates = [one.evidence.happened_at for one in readings if one.evidence]
    assert dates[:3] == [datetime(2026, 3, 16, 5, tzinfo=UTC), datetime(2026, 3, 17, 5, tzinfo=UTC), None]
    contents = [one.event.content for one in readings if isinstance(one.event, ReportReceived)]
    assert len(set(contents)) == 3
    assert readings[3].note == "a status without a document"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # groups without a number belong to the one before, or to the one order there is
        ([obr("O1", "D1"), obx("1."), obr(), obx("2.")], [("O1", "D1", F)]),
        ([obr(), obx("1."), obr("O1", "D1"), obx("2.")], [("O1", "D1", F)]),
        ([obr("O1", "D1"), obx("1."), obr(), obx("2."), obr("O2", "D2"), obx("3.")], [("O1", "D1", F), ("O2", "D2", F)]),
        ([obr(), obx("1."), obr(), obx("2.")], [("", "", F)]),
        # by filler number where nobody says the order
        ([obr("", "D1"), obx("1."), obr("", "D2"), obx("2."), obr("", "D1"), obx("3.")], [("", "D1", F), ("", "D2", F)]),
        ([obr("O1", "D1"), obx("1."), obr("", "D1"), obx("2.")], [("O1", "D1", F)]),
        ([obr("", "D1"), obx("1."), obr("O1", "D1"), obx("2.")], [("O1", "D1", F)]),
        # ORC only at the first group; ORC for each; an ORC alone
        (["ORC|RE|O1|D1", obr(), obx("1."), obr(), obx("2.")], [("O1", "D1", F)]),
        (["ORC|RE|O1|D1", obr(), obx("1."), "ORC|RE|O2|D2", obr(), obx("2.")], [("O1", "D1", F), ("O2", "D2", F)]),
        (["ORC|RE|O1", "NTE|1", obr("", "D1"), obx("1.")], [("O1", "D1", F)]),
        (["ORC|RE|O9", "ORC|RE|O1", obr("", "D1"), obx("1.")], [("O1", "D1", F)]),
        # a child names its parent in OBR-29
        ([obr("O1", "D1"), obx("1."), obr("", "D2", f29="O1^D1"), obx("2.")], [("O1", "D1", F)]),
        ([obr("O1", "D1"), obx("1."), obr("", "D2", f29="^D1&CENT"), obx("2.")], [("O1", "D1", F)]),
        # OBX before any OBR
        ([obx("0."), obr("O1", "D1")], [("O1", "D1", F)]),
        ([obx("0."), obr("O1", "D1"), obr("O2", "D2"), obx("2.")], [("O1", "D1", F), ("O2", "D2", F)]),
    ],
)  # fmt: skip
def test_groups_are_told_apart_by_their_numbers(lines: list[str], expected: list[tuple[str, str, Finality]]) -> None:
    assert orders(results(*lines)) == expected


def test_a_wrong_patient_beside_another_result_stops_that_one_too() -> None:
    right, wrong = results(obr("O1", "D1"), obx("One."), obr("O2", "D2"), obx("Two.", "W"))

    assert right.evidence is not None
    assert wrong.evidence is not None
    assert (wrong.evidence.wrong_patient, wrong.evidence.retracts) == (True, True)
    assert (right.evidence.wrong_patient, right.evidence.retracts) == (False, False)
    assert right.evidence.conflict == "another result in the message is said to be of the wrong patient"


def test_an_order_segment_that_contradicts_its_request_is_a_conflict() -> None:
    (found,) = results("ORC|RE|O1", obr("O2", "D1"), obx("One."))
    (agreed,) = results("ORC|RE|O1^EHR", obr("O1", "D1"), obx("One."))

    assert found.evidence is not None
    assert agreed.evidence is not None
    assert found.evidence.conflict == "ORC-2 and OBR-2 name two orders"
    assert agreed.evidence.conflict == ""


OTHER_PID = "PID|1||MRN2002^^^SPRINGFIELD^MR||DOE^JOHN||19700101|M"


def test_results_of_two_patients_are_each_ones_own() -> None:
    first, second = results(obr("O1", "D1"), obx("One."), OTHER_PID, obr("O2", "D2"), obx("Two."))

    assert first.evidence is not None
    assert second.evidence is not None
    assert first.evidence.patient.family.reveal() == "ROE"
    assert second.evidence.patient.family.reveal() == "DOE"


@pytest.mark.parametrize(
    "lines", [[obr("O1"), obx("1."), OTHER_PID, obr("O2"), obx("2.")], [OTHER_PID, obr("O1", "D1"), obx("1.")]]
)
def test_results_of_two_patients_that_cannot_be_told_apart_are_for_a_person(lines: list[str]) -> None:  # F-E16
    with pytest.raises(MessageFault, match="PID: "):
        results(*lines)


def test_the_same_number_of_two_patients_stays_two_reports() -> None:
    assert len(results(obr("O1", "D1"), obx("1."), OTHER_PID, obr("O1", "D1"), obx("2."))) == 2


def test_the_channels_own_rule_is_asked_of_each_order_alone() -> None:
    lines = [header("ORU^R01"), PID, obr("O1", "D1", "P"), obx("1.", "P"), obr("O2", "D2", "F"), obx("2.")]

    readings = all_told("\n".join(lines), heart_group(matcher(OBR_25="P")))

    assert orders(readings) == [("O1", "D1", F), ("O2", "D2", P)]


def test_one_of_several_results_that_carries_nothing_stops_the_message() -> None:
    with pytest.raises(MessageFault, match="a final report that carries nothing"):
        results(obr("O1", "D1"), obx("One."), obr("O2", "D2"))


def test_a_message_of_very_many_orders_is_for_a_person() -> None:  # H070
    many = [line for at in range(201) for line in (obr(f"O{at}", f"D{at}"), obx("One."))]

    assert len(results(*many[:400])) == 200
    with pytest.raises(MessageFault, match="more than 200 orders"):
        results(*many)


def test_very_many_groups_of_one_order_are_one_report() -> None:  # H070
    assert orders(results(*[obr("O1", "D1"), obx("A line.")] * 5_000)) == [("O1", "D1", F)]


# ---------------------------------------------------------------------------------------------------------------------
# Which kinds of documents close


@pytest.mark.parametrize(
    ("closing", "lines", "closes"),
    [
        ((), mdm("T02", f2="LAB"), True),
        (("CN",), mdm("T02"), True),
        (("cn",), mdm("T02"), True),
        (("CN",), mdm("T02", f2="LAB"), False),
        (("11488-4",), mdm("T02", f2="LAB").replace("|TX|||", "|TX|11488-4^Note^LN||"), True),
        (("11488-4",), oru("F", "F"), True),
        (("11488-4",), oru("F", "F", obr={"f4": "57021-8^CBC^LN"}), False),
        (("11488-4",), oru("F", "F", obr={"f4": "57021-8"}).replace("|TX|||", "|TX|11488-4^Note^LN||"), True),
        (("11488-4", "CN"), oru("F", "F", obr={"f4": ""}), False),
    ],
)
def test_the_feeds_file_says_which_documents_close(closing: tuple[str, ...], lines: str, closes: bool) -> None:
    party = replace(SPECIALIST, feed=replace(SPECIALIST.feed, closing_documents=closing))

    reading = told(lines, party)

    assert isinstance(reading.event, ReportReceived)
    assert reading.evidence is not None
    assert (reading.event.closes, reading.evidence.may_close) == (closes, closes)
    assert reading.event.finality is F


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
    event = ReportReceived(at=NOW, message=7, by="heart-group", document=document, finality=F, kind="CN", content=WORDS)
    assert reading.events == (event,)
    assert reading.evidence is not None
    assert reading.evidence.placer == Identifier(value="ORD77", authority="EHR")
    assert reading.evidence.filler == Identifier(value="F1", authority="CENT")
    assert (reading.evidence.document, reading.evidence.provider) == (document, NPI)
    assert reading.evidence.happened_at == VISIT
    assert reading.evidence.fields == ("placer TXA-14", "filler TXA-15", "document TXA-12", "provider TXA-5")


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
    assert finality(mdm("T04", "AU", f19="OB")) is R
    assert finality(mdm("T04", "AU", f19="UN")) is F
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
        ("AU", "C", C),
        ("AU", "F D", C),
        ("AU", "W", R),
        ("AU", "F W", R),
        ("AU", "D", R),
        ("AU", "D D", R),
    ],
)
def test_txa_17_comes_before_obx_11(completion: str, observed: str, expected: Finality) -> None:
    assert finality(mdm("T02", completion, *(observed.split() or ("",)))) is expected


def test_a_document_of_the_wrong_patient_says_so() -> None:
    assert evidence(mdm("T02", "AU", "W")).wrong_patient


def test_a_revision_is_known_by_what_it_revises() -> None:
    reading = told(mdm("T10", "AU", f12="DOC10^CENT", f13="DOC9^CENT"), SPECIALIST)

    assert reading.evidence is not None
    assert isinstance(reading.event, ReportReceived)
    assert reading.evidence.document.value == "DOC9"
    assert (reading.event.document.value, reading.event.replaces.value) == ("DOC10", "DOC9")
    assert evidence(mdm("T02", "AU", f13="DOC8")).document.value == "DOC9"


@pytest.mark.parametrize(
    ("trigger", "adds", "replaces"),
    [("T02", False, ""), ("T04", False, ""), ("T06", True, "DOC8"), ("T08", False, "DOC8"), ("T10", False, "DOC8")],
)
def test_an_addendum_stands_beside_and_an_edit_or_a_replacement_in_place(
    trigger: str, adds: bool, replaces: str
) -> None:
    event = told(mdm(trigger, "AU", f13="DOC8"), SPECIALIST).event
    unnamed = told(mdm(trigger, "AU"), SPECIALIST).event

    assert isinstance(event, ReportReceived)
    assert isinstance(unnamed, ReportReceived)
    assert (event.adds, event.replaces.value) == (adds, replaces)
    assert unnamed.replaces.value == ("DOC9" if replaces else "")


@pytest.mark.parametrize("field", [5, 9, 10, 22])
def test_whoever_wrote_or_signed_it_is_its_author(field: int) -> None:
    assert evidence(mdm("T02", **{f"f{field}": f"99^Typist~{OTHER_NPI}^DOE"})).provider == OTHER_NPI


def test_a_document_that_answers_several_orders_is_read_once_for_each() -> None:
    several = all_told(mdm("T02", f14="ORD77^EHR~ORD78^EHR~ORD77^EHR"), SPECIALIST)
    grouped = all_told(
        mdm("T02", f14="").replace("TXA|", "ORC|RE|ORD77^EHR\nOBR|1\nORC|RE|ORD78^EHR\nOBR|2|ORD78^EHR\nTXA|"),
        SPECIALIST,
    )

    for readings in (several, grouped):
        assert [one.evidence.placer.value for one in readings if one.evidence] == ["ORD77", "ORD78"]
        assert readings[0].events == readings[1].events


def test_a_header_that_names_another_order_than_the_order_segments_is_a_conflict() -> None:
    other = mdm("T02").replace("TXA|", "ORC|RE|ORD79^EHR\nOBR|1\nTXA|")
    same = mdm("T02").replace("TXA|", "ORC|RE|ORD77\nOBR|1\nTXA|")

    assert evidence(other).conflict == "the document header and the order segments name two orders"
    assert evidence(same).conflict == ""


def test_a_document_of_two_patients_is_for_a_person() -> None:  # F-E16
    with pytest.raises(MessageFault, match="PID: "):
        told(mdm("T02") + "\n" + OTHER_PID, SPECIALIST)


def test_the_visits_number_links_too() -> None:
    found = evidence(mdm("T02").replace("TXA|", segment("PV1", f19="V55^^^CENT") + "\nTXA|"))

    assert found.visit == Identifier(value="V55", authority="CENT")
    assert "visit PV1-19" in found.fields


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
