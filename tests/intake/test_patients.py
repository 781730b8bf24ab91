"""Who the message is about: record numbers with their authority, telephones, consent."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.hl7.message import Message
from referral_engine.intake.patients import read_patient, to_e164
from referral_engine.intake.received import Received
from referral_engine.loop.referral import Patient
from tests.intake.samples import EHR, EHR_FEED, NOW, SCANNER, SPECIALIST, header, segment, text


def patient(*lines: str, party: Party = EHR) -> Patient:
    message = Message.parse(text("\n".join([header("ADT^A08"), *lines])))
    return read_patient(Received(message=message, party=party, at=NOW, sequence=7))


def ids(*lines: str, party: Party = EHR) -> list[tuple[str, str]]:
    return [(known.value.reveal(), known.authority) for known in patient(*lines, party=party).ids]


def test_every_record_number_is_kept_with_its_authority_our_own_first() -> None:
    found = ids("PID|1||X9^^^COUNTY^PI~00123^^^SPRINGFIELD^MR~7^^^&2.16.1&ISO^MR")

    assert found == [("00123", "SPRINGFIELD"), ("X9", "COUNTY"), ("7", "2.16.1")]


@pytest.mark.parametrize("kind", ["AN", "VN", "SS", "DL", "MB", "MC", "MA", "an"])
def test_a_number_that_names_no_record_is_left_out(kind: str) -> None:
    assert ids(f"PID|1||900^^^SPRINGFIELD^{kind}~00123^^^SPRINGFIELD^MR") == [("00123", "SPRINGFIELD")]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("00123^^^^MR", [("00123", "SPRINGFIELD")]),
        ("00123", [("00123", "SPRINGFIELD")]),
        ("00123~", [("00123", "SPRINGFIELD")]),
        ("00123~456", [("00123", ""), ("456", "")]),
        ("00123^^^^PT", [("00123", "")]),
        ("00123^^^OTHER^MR", [("00123", "OTHER")]),
        ('""', []),
        ("", []),
    ],
)
def test_only_a_number_that_must_be_ours_gets_the_feeds_authority(field: str, expected: list[tuple[str, str]]) -> None:
    assert ids(f"PID|1||{field}") == expected


def test_a_specialists_number_never_passes_for_ours() -> None:
    assert ids("PID|1||00123^^^^MR", party=SPECIALIST) == [("00123", "")]


def test_the_scanning_station_picks_from_our_own_index() -> None:
    assert ids("PID|1||00123^^^^MR", party=SCANNER) == [("00123", "SPRINGFIELD")]


def test_an_empty_pid_3_falls_back_to_pid_2() -> None:
    assert ids("PID|1|00123") == [("00123", "SPRINGFIELD")]


@pytest.mark.parametrize(
    ("fields", "pid", "expected"),
    [
        (("PID-3", "PID-2"), "PID|1|A2|A3|A4", ["A3"]),
        (("PID-2", "PID-3"), "PID|1|A2|A3|A4", ["A2"]),
        (("PID-3", "PID-2", "PID-4"), "PID|1|||A4", ["A4"]),
        (("PID-3", "PID-2"), "PID|1|||A4", []),
        (("PID-4", "PID-3"), "PID|1||A3|900^^^^AN", ["A3"]),
        (("ZPI-2", "PID-3"), "PID|1||A3\nZPI|1|Z9^^^SPRINGFIELD^MR", ["Z9"]),
        (("ZPI-2", "PID-3"), "PID|1||A3", ["A3"]),
        ((), "PID|1||A3", []),
    ],
)
def test_record_numbers_stand_where_the_feed_says(fields: tuple[str, ...], pid: str, expected: list[str]) -> None:
    party = replace(EHR, feed=replace(EHR_FEED, patient_numbers=fields))

    assert [value for value, _ in ids(*pid.splitlines(), party=party)] == expected


@pytest.mark.parametrize(
    ("assigner", "authority"),
    [
        ("SPRINGFIELD", "SPRINGFIELD"),
        ("&2.16.1&ISO", "SPRINGFIELD"),
        ("SPRINGFIELD&2.16.1&ISO", "SPRINGFIELD"),
        ("EPI", "SPRINGFIELD"),
        ("EPI&2.16.9&ISO", "SPRINGFIELD"),
        ("NEW NAME&2.16.1&ISO", "SPRINGFIELD"),
        ("COUNTY&2.16.1&ISO", "COUNTY"),
        ("&2.16.2&ISO", "COUNTY"),
        ("&2.16.77&ISO", "2.16.77"),
        ("OTHER&2.16.77&ISO", "OTHER"),
        ("epi", "epi"),
        ("2.16.1", "SPRINGFIELD"),
    ],
)
def test_an_authority_has_one_name_whichever_way_it_is_written(assigner: str, authority: str) -> None:
    names = {"2.16.1": "SPRINGFIELD", "EPI": "SPRINGFIELD", "2.16.2": "COUNTY"}
    party = replace(EHR, feed=replace(EHR_FEED, authority_names=names))

    assert ids(f"PID|1||00123^^^{assigner}^MR", party=party) == [("00123", authority)]


# ---------------------------------------------------------------------------------------------------------------------
# Two PID segments where one patient is meant


JANE = "PID|1||1^^^A^MR||ROE^JANE||19800102|F"


@pytest.mark.parametrize(
    "other",
    [
        "PID|2||2^^^A^MR||ROE^JANE||19800102|F",
        "PID|2||1^^^B^MR||ROE^JANE||19800102|F",
        "PID|2||01^^^A^MR||ROE^JANE||19800102|F",
        "PID|2||1^^^A^MR||DOE^JACK||19700101|M",
        "PID|2||||DOE^JACK||19800102|M",
        "PID|2||||ROE^JANE||19700101|F",
        "PID|2",
    ],
)
def test_a_message_that_names_two_patients_is_for_a_person(other: str) -> None:
    for lines in ((JANE, other), (other, JANE), (JANE, JANE, other)):
        with pytest.raises(MessageFault) as fault:  # F-E16
            patient(*lines)

        assert (fault.value.code, fault.value.path, fault.value.reject) == ("205", "PID", False)
        assert str(fault.value) == "PID: the message names two patients"


@pytest.mark.parametrize(
    "other",
    [
        JANE,
        "PID|2||1^^^A^MR",
        "PID|2||9^^^C^MR~1^^^A^MR||ROE^JANE||19800102|F",
        "PID|2||1^^^A^MR||ROE^JANET||19800102|F",
        "PID|2||||ROE^JANE||19800102|F",
    ],
)
def test_the_same_patient_twice_is_one(other: str) -> None:
    assert patient(JANE, other).given.reveal() == "JANE"


def test_more_pid_segments_than_are_compared_are_for_a_person() -> None:
    with pytest.raises(MessageFault, match="names two patients"):
        patient(*[JANE] * 30)


def test_the_same_number_twice_is_one() -> None:
    assert ids("PID|1||1^^^A^MR~1^^^A^MR") == [("1", "A")]


def test_a_message_without_a_patient_has_an_unknown_one() -> None:
    assert patient("PV1|1|O") == Patient()


@pytest.mark.parametrize(
    ("written", "expected"),
    [("19800102", "19800102"), ("19800102000000", "19800102"), ("1980-01-02", "19800102"), ("1980", "1980"),
     ("19800102120000-0600", "19800102"), ("unknown", ""), ('""', ""), ("", "")],
)  # fmt: skip
def test_a_birth_date_is_the_day_alone(written: str, expected: str) -> None:
    assert patient(segment("PID", f3="1", f7=written)).born_on.reveal() == expected


@pytest.mark.parametrize(
    ("field", "family", "given"),
    [("ROE^JANE^Q", "ROE", "JANE"), ("VAN ROE&VAN&ROE^JANE", "VAN ROE", "JANE"), ("ROE", "ROE", ""),
     ("DOE^JAY^^^^^A~ROE^JANE^^^^^L", "ROE", "JANE"), ("ROE^JANE~DOE^JAY", "ROE", "JANE"), ("O\\S\\ROE^J", "O^ROE", "J")],
)  # fmt: skip
def test_the_legal_name_is_taken(field: str, family: str, given: str) -> None:
    found = patient(segment("PID", f3="1", f5=field))

    assert (found.family.reveal(), found.given.reveal()) == (family, given)


@pytest.mark.parametrize(
    ("fields", "expected", "is_mobile"),
    [
        ({"f13": "(217)555-0142^PRN^CP"}, "+12175550142", True),
        ({"f13": "(217)555-0142^PRN^PH"}, "+12175550142", False),
        ({"f13": "(217)555-0142"}, "+12175550142", False),
        ({"f13": "2175550142^^MOB"}, "+12175550142", True),
        ({"f13": "2175550142^MOBILE"}, "+12175550142", True),
        ({"f13": "2175550141^PRN^PH~2175550142^PRN^CP"}, "+12175550142", True),
        ({"f13": "^PRN^CP^^1^217^5550142"}, "+12175550142", True),
        ({"f13": "^PRN^CP^^^217^5550142"}, "+12175550142", True),
        ({"f13": "^PRN^CP^^353^87^1234567"}, "+353871234567", True),
        ({"f13": "^PRN^CP^^^^^^^^^2175550142"}, "+12175550142", True),
        ({"f13": "(+353)87-123-4567^PRN^CP"}, "+353871234567", True),
        ({"f13": "^NET^Internet^jane@example.org", "f14": "2175550143^WPN^PH"}, "+12175550143", False),
        ({"f13": "jane@example.org"}, "", False),
        ({"f13": "2175550141^EMR^CP"}, "", False),
        ({"f13": "2175550141^PRN^FX"}, "", False),
        ({"f14": "2175550143^WPN^CP"}, "+12175550143", False),
        ({"f13": "2175550141^PRN^PH", "f40": "2175550142^PRS^CP"}, "+12175550142", True),
        ({"f13": "555-0142^PRN^CP"}, "555-0142", False),
        ({"f13": "999-999-9999^PRN^CP"}, "999-999-9999", False),
        ({}, "", False),
    ],
)
def test_only_a_number_known_to_be_a_mobile_may_be_texted(
    fields: dict[str, str], expected: str, is_mobile: bool
) -> None:
    found = patient(segment("PID", f3="1", **fields))

    assert (found.phone.reveal(), found.phone_is_mobile) == (expected, is_mobile)


@pytest.mark.parametrize(
    ("written", "expected"),
    [("(217)555-0142", "+12175550142"), ("1-217-555-0142", "+12175550142"), ("217.555.0142 x123", "+12175550142"),
     ("+1 217 555 0142", "+12175550142"), ("011 44 20 7946 0018", "+442079460018"), ("+44 20 7946 0018", "+442079460018"),
     ("555-0142", ""), ("none", ""), ("", ""), ("0000000000", ""), ("117-555-0142", ""), ("2" * 65, ""), ("+12", "")],
)  # fmt: skip
def test_a_number_becomes_e164_or_nothing(written: str, expected: str) -> None:
    assert to_e164(written) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("EN", "en"),
        ("ENG", "en"),
        ("en", "en"),
        ("EN^ENGLISH^HL70296", "en"),
        ("Spanish", "es"),
        ("xx", "xx"),
        ("", ""),
    ],
)
def test_the_language_is_named_one_way(said: str, expected: str) -> None:
    assert patient(segment("PID", f3="1", f15=said)).language == expected


def test_consent_must_stand_in_one_segment() -> None:
    agreed = patient("PID|1||1", "CON|1|SMS|||||||||A", "CON|2|PORTAL|||||||||X")
    split = patient("PID|1||1", "CON|1|SMS|||||||||X", "CON|2|OTHER|||||||||A")

    assert (agreed.sms_consent, agreed.portal) == (True, False)
    assert (split.sms_consent, split.portal) == (False, False)


def test_no_word_about_consent_is_no_consent() -> None:
    assert not patient("PID|1||1").sms_consent
    assert not patient("PID|1||1", "CON|1|SMS|||||||||A", party=SPECIALIST).sms_consent


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"f30": "Y"}, True),
        ({"f30": "y"}, True),
        ({"f29": "20260101"}, True),
        ({"f30": "N"}, False),
        ({"f29": '""'}, False),
    ],
)
def test_a_death_is_known_by_its_flag_or_its_date(fields: dict[str, str], expected: bool) -> None:
    assert patient(segment("PID", f3="1", **fields)).deceased is expected


def test_nothing_of_the_patient_shows_in_the_value() -> None:
    shown = repr(patient("PID|1||MRN1001^^^SPRINGFIELD^MR||ROE^JANE||19800102|F|||||2175550142^PRN^CP"))

    assert not any(word in shown for word in ("MRN1001", "ROE", "JANE", "1980", "217555"))
