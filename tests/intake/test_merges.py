"""Merges, links, moves and new numbers: which records are one person from now on, pair by pair."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.intake import merges
from referral_engine.intake.interest import ABOUT_NUMBERS
from referral_engine.intake.reading import Identities, Reading
from referral_engine.loop.events import PatientsMerged
from referral_engine.loop.evidence import About
from referral_engine.loop.referral import PatientId
from tests.intake.samples import EHR, EHR_FEED, PID, SCANNER, SPECIALIST, all_told, header, told

OTHER_PID = PID.replace("MRN1001", "MRN1002").replace("JANE", "JUNE")


def adt(trigger: str, *lines: str) -> str:
    return "\n".join([header(f"ADT^{trigger}"), f"EVN|{trigger}", PID, *lines])


def numbers(ids: tuple[PatientId, ...]) -> list[str]:
    return [f"{known.value.reveal()}@{known.authority}" for known in ids]


def pair(reading: Reading) -> tuple[str, list[str], list[str]]:
    found = reading.identities
    assert isinstance(found, Identities)
    return found.change, numbers(found.survivor), numbers(found.retired)


@pytest.mark.parametrize("trigger", ["A18", "A30", "A34", "A36", "A39", "A40"])
def test_a_merge_names_the_survivor_first_and_the_retired_number_behind(trigger: str) -> None:
    reading = told(adt(trigger, "MRG|OLD5^^^SPRINGFIELD^MR"))

    assert reading.about is About.PATIENT
    assert pair(reading) == ("merge", ["MRN1001@SPRINGFIELD"], ["OLD5@SPRINGFIELD"])
    assert isinstance(reading.event, PatientsMerged)
    assert numbers(reading.event.patient.ids) == ["MRN1001@SPRINGFIELD", "OLD5@SPRINGFIELD"]
    assert numbers(reading.retired) == ["OLD5@SPRINGFIELD"]
    assert reading.evidence is not None
    assert reading.evidence.patient == reading.event.patient
    assert reading.note == ""


@pytest.mark.parametrize("trigger", ["A46", "A47"])
def test_a_number_written_anew_retires_the_old_one(trigger: str) -> None:
    reading = told(adt(trigger, "MRG|OLD5^^^SPRINGFIELD^MR"))

    assert pair(reading) == ("rename", ["MRN1001@SPRINGFIELD"], ["OLD5@SPRINGFIELD"])
    assert isinstance(reading.event, PatientsMerged)


def test_numbers_that_are_moved_make_nobody_one_person() -> None:
    reading = told(adt("A43", "MRG|OLD5^^^SPRINGFIELD^MR"))

    assert pair(reading) == ("move", ["MRN1001@SPRINGFIELD"], ["OLD5@SPRINGFIELD"])
    assert (reading.events, reading.retired) == ((), ())
    assert reading.evidence is not None
    assert numbers(reading.evidence.patient.ids) == ["MRN1001@SPRINGFIELD"]
    assert "two patients, not one" in reading.note


def test_a_link_joins_two_patients_and_leaves_the_demographics_alone() -> None:
    reading = told(adt("A24", "PV1|1|O", OTHER_PID))

    assert pair(reading) == ("link", ["MRN1001@SPRINGFIELD"], ["MRN1002@SPRINGFIELD"])
    assert isinstance(reading.event, PatientsMerged)
    assert numbers(reading.event.patient.ids) == ["MRN1001@SPRINGFIELD", "MRN1002@SPRINGFIELD"]
    assert not reading.event.patient.family
    assert reading.evidence is not None
    assert reading.evidence.patient.family.reveal() == "ROE"


def test_an_unlink_names_both_and_moves_nothing() -> None:
    reading = told(adt("A37", OTHER_PID))

    assert pair(reading) == ("unlink", ["MRN1001@SPRINGFIELD"], ["MRN1002@SPRINGFIELD"])
    assert (reading.events, reading.retired) == ((), ())


@pytest.mark.parametrize("trigger", ["A24", "A37"])
def test_a_link_of_one_patient_is_for_a_person(trigger: str) -> None:
    with pytest.raises(MessageFault, match="two patients"):
        told(adt(trigger))
    with pytest.raises(MessageFault, match="PID-3"):
        told(adt(trigger, "PID|1||"))
    with pytest.raises(MessageFault, match="PID-3"):
        told("\n".join([header(f"ADT^{trigger}"), "PID|1||", PID]))


def test_a_link_to_itself_is_nothing() -> None:  # H083
    assert told(adt("A24", PID)).note == "the link leads to where it begins"


@pytest.mark.parametrize("trigger", ["A18", "A24", "A37", "A40", "A43", "A47"])
@pytest.mark.parametrize("party", [SPECIALIST, SCANNER], ids=lambda party: party.kind)
def test_only_the_ordering_side_says_who_is_one_person(trigger: str, party: Party) -> None:
    reading = told(adt(trigger, "MRG|X2^^^SPRINGFIELD^MR"), party)

    assert (reading.about, reading.identities) == (None, None)
    assert "ordering side only" in reading.note


# ---------------------------------------------------------------------------------------------------------------------
# Which numbers


@pytest.mark.parametrize(
    ("merge", "retired"),
    [
        ("MRG|OLD5", ["OLD5@SPRINGFIELD"]),
        ("MRG|OLD5^^^^MR", ["OLD5@SPRINGFIELD"]),
        ("MRG|OLD5^^^COUNTY^PI~OLD6^^^SPRINGFIELD^MR", ["OLD6@SPRINGFIELD", "OLD5@COUNTY"]),
        ("MRG|OLD5^^^SPRINGFIELD^MR~900^^^SPRINGFIELD^AN", ["OLD5@SPRINGFIELD"]),
        ("MRG|00007", ["00007@SPRINGFIELD"]),
        ("MRG||||OLD5^^^SPRINGFIELD^PI", ["OLD5@SPRINGFIELD"]),
        ("MRG|OLD5^^^SPRINGFIELD^MR~MRN1001^^^SPRINGFIELD^MR", ["OLD5@SPRINGFIELD"]),
        ("MRG|OLD5^^^&2.16.1&ISO^MR", ["OLD5@SPRINGFIELD"]),
        ("MRG|OLD5\nMRG|OLD6", ["OLD5@SPRINGFIELD", "OLD6@SPRINGFIELD"]),
        ("MRG|OLD5^^^SPRINGFIELD^MR~OLD6^^^^PI", ["OLD5@SPRINGFIELD"]),
    ],
)
def test_the_retired_numbers_are_exact_and_have_an_authority(merge: str, retired: list[str]) -> None:
    party = replace(EHR, feed=replace(EHR_FEED, authority_names={"2.16.1": "SPRINGFIELD"}))

    assert pair(told(adt("A40", merge), party))[2] == retired


def test_a_number_that_survives_without_an_authority_makes_no_edge() -> None:
    pid = PID.replace("MRN1001^^^SPRINGFIELD^MR", "X9^^^^PI~MRN1001^^^SPRINGFIELD^MR")

    reading = told(adt("A40", "MRG|OLD5").replace(PID, pid))

    assert pair(reading)[1] == ["MRN1001@SPRINGFIELD"]
    assert reading.evidence is not None
    assert "X9@" in numbers(reading.evidence.patient.ids)


def test_a_merge_of_numbers_without_any_authority_is_nobodys() -> None:
    party = replace(EHR, feed=replace(EHR_FEED, patient_authority=""))

    reading = told(adt("A40", "MRG|OLD5"), party)

    assert (reading.about, reading.identities) == (None, None)
    assert "without an authority" in reading.note


@pytest.mark.parametrize("lines", [(), ("MRG|",), ("MRG|OLD5^^^SPRINGFIELD^AN",)])
def test_a_merge_without_a_retired_number_is_for_a_person(lines: tuple[str, ...]) -> None:  # H083
    with pytest.raises(MessageFault, match="MRG-1"):
        told(adt("A40", *lines))


@pytest.mark.parametrize("pid", ["PID|1||", "PV1|1|O"])
def test_a_merge_without_a_survivor_is_for_a_person(pid: str) -> None:
    with pytest.raises(MessageFault, match="PID-3"):
        told("\n".join([header("ADT^A40"), pid, "MRG|OLD5^^^SPRINGFIELD^MR"]))


def test_a_merge_of_a_number_with_itself_is_nothing() -> None:  # H083
    reading = told(adt("A40", "MRG|MRN1001^^^SPRINGFIELD^MR"))

    assert (reading.about, reading.identities) == (None, None)
    assert reading.note == "the merge retires the number that survives it"


# ---------------------------------------------------------------------------------------------------------------------
# Several pairs in one message


def test_every_pair_of_one_message_is_read_with_its_own_survivor() -> None:
    readings = all_told(adt("A40", "MRG|OLD5^^^SPRINGFIELD^MR", OTHER_PID, "PD1|", "MRG|OLD6^^^SPRINGFIELD^MR"))

    assert [pair(reading)[1:] for reading in readings] == [
        (["MRN1001@SPRINGFIELD"], ["OLD5@SPRINGFIELD"]),
        (["MRN1002@SPRINGFIELD"], ["OLD6@SPRINGFIELD"]),
    ]
    events = [reading.event for reading in readings]
    assert [one.patient.given.reveal() for one in events if isinstance(one, PatientsMerged)] == ["JANE", "JUNE"]


def test_a_chain_in_one_message_keeps_its_order() -> None:  # H083
    readings = all_told(adt("A40", "MRG|OLD5", PID.replace("MRN1001", "MRN2"), "MRG|MRN1001"))

    assert [pair(reading)[1:] for reading in readings] == [
        (["MRN1001@SPRINGFIELD"], ["OLD5@SPRINGFIELD"]),
        (["MRN2@SPRINGFIELD"], ["MRN1001@SPRINGFIELD"]),
    ]


def test_a_pair_that_merges_with_itself_leaves_the_others_alone() -> None:
    first, second = all_told(adt("A40", "MRG|MRN1001", OTHER_PID, "MRG|OLD6"))

    assert (first.about, second.about) == (None, About.PATIENT)


def test_a_pair_that_cannot_be_read_leaves_the_whole_message_to_a_person() -> None:
    with pytest.raises(MessageFault, match="MRG-1"):
        all_told(adt("A40", "MRG|OLD5", OTHER_PID))


def test_more_pairs_than_are_looked_at_are_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merges, "PAIRS_MAX", 2)

    for trigger in ("A40", "A24"):
        with pytest.raises(MessageFault, match="more pairs of records"):
            all_told(adt(trigger, "MRG|OLD5", OTHER_PID, "MRG|OLD6", PID.replace("1001", "1003"), "MRG|OLD7"))


def test_the_event_segment_that_contradicts_is_named_with_every_pair() -> None:
    lines = adt("A40", "MRG|OLD5", OTHER_PID, "MRG|OLD6").replace("EVN|A40", "EVN|A08")

    assert [reading.note for reading in all_told(lines)] == ["EVN-1 contradicts MSH-9.2"] * 2


def test_every_event_of_two_records_is_read_even_when_nobody_is_known() -> None:
    assert set(merges.CHANGES) == set(ABOUT_NUMBERS) - {""}
