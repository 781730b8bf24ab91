"""Charges: which visit they prove, when they take it back, and what they never do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.intake import charges
from referral_engine.intake.reading import Reading
from referral_engine.loop.events import PatientAttended
from referral_engine.loop.evidence import About, Evidence
from referral_engine.loop.referral import Identifier
from tests.intake.samples import (
    EHR,
    EHR_FEED,
    NPI,
    OTHER_NPI,
    PID,
    SCANNER,
    SPECIALIST,
    all_told,
    header,
    segment,
    told,
)

NOBODY = Identifier()


def charge(**fields: str) -> str:
    usual = {
        "f1": "1",
        "f2": "C1^BILL",
        "f4": "20260301",
        "f6": "CG",
        "f7": "99203^Office visit^C4",
        "f20": f"{NPI}^DOE",
    }
    return segment("FT1", **(usual | fields))


def dft(*lines: str, trigger: str = "P03", visit: str = "V1") -> str:
    return "\n".join([header(f"DFT^{trigger}"), f"EVN|{trigger}", PID, segment("PV1", f2="O", f19=visit), *lines])


def said(reading: Reading) -> Evidence:
    assert reading.evidence is not None
    return reading.evidence


def test_a_charge_proves_that_the_patient_came_on_its_day() -> None:
    reading = told(dft(charge(f23="F1^CENT")))

    assert reading.about is About.APPOINTMENT
    assert reading.events == (PatientAttended(at=reading.events[0].at, message=7, by="ehr"),)
    evidence = said(reading)
    assert (evidence.visit, evidence.charge) == (Identifier(value="V1"), Identifier(value="C1", authority="BILL"))
    assert evidence.filler == Identifier(value="F1", authority="CENT")
    assert (evidence.provider, evidence.happened_at) == (NPI, datetime(2026, 3, 1, 6, 0, tzinfo=UTC))
    assert evidence.fields == ("charge FT1-2", "filler FT1-23", "provider FT1-20", "visit PV1-19")
    assert reading.note == "attendance by a charge"
    assert not reading.withdraws


@pytest.mark.parametrize("trigger", ["P03", "P11"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [("CG", "came"), ("cg", "came"), ("CD", "withdrawn"), ("PY", ""), ("AJ", ""), ("CO", ""), ("", ""), ("ZZ", "")],
)
def test_each_kind_of_transaction_says_one_thing(trigger: str, kind: str, expected: str) -> None:
    reading = told(dft(charge(f6=kind), trigger=trigger))

    assert bool(reading.events) is (expected == "came")
    assert reading.withdraws is (expected == "withdrawn")
    assert (reading.about is None) is (expected == "")
    assert reading.note


@pytest.mark.parametrize("trigger", ["P01", "P05", "P12", "Z03"])
def test_another_financial_event_says_nothing(trigger: str) -> None:
    assert told(dft(charge(), trigger=trigger)).about is None


@pytest.mark.parametrize(("field", "value"), [("f10", "-1"), ("f11", "-120.00&USD"), ("f12", " -120.00")])
def test_a_charge_of_less_than_nothing_is_a_credit(field: str, value: str) -> None:
    assert told(dft(charge(**{field: value}))).withdraws


def test_a_credit_takes_back_its_own_charge_and_not_the_whole_visit() -> None:
    reading = told(dft(charge(f6="CD")))

    evidence = said(reading)
    assert (reading.events, reading.withdraws, evidence.retracts) == ((), True, True)
    assert (evidence.charge, evidence.visit) == (Identifier(value="C1", authority="BILL"), NOBODY)
    assert evidence.patient.family.reveal() == "ROE"
    assert evidence.fields == ("charge FT1-2",)


def test_a_credit_that_names_no_charge_takes_nothing_back() -> None:
    reading = told(dft(charge(f6="CD", f2="")))

    assert (reading.about, reading.withdraws) == (None, False)
    assert "does not say which charge" in reading.note


def test_a_charge_and_its_credit_have_the_same_number() -> None:
    assert said(told(dft(charge()))).charge == said(told(dft(charge(f6="CD")))).charge


def test_a_visit_charged_and_credited_in_one_message_was_corrected() -> None:
    reading = told(dft(charge(f6="CD"), charge(f2="C2", f7="99204")))

    assert isinstance(reading.event, PatientAttended)
    assert said(reading).charge == Identifier(value="C2")
    assert "taken for a correction" in reading.note


# ---------------------------------------------------------------------------------------------------------------------
# Several lines


def test_the_lines_of_one_visit_are_one_reading_named_by_the_visit_itself() -> None:
    reading = told(dft(charge(f2="C1", f7="93000"), charge(f2="C2", f7="99203"), charge(f2="C3", f7="93015")))

    assert said(reading).charge == Identifier(value="C2")
    assert len(reading.events) == 1


def test_without_a_visit_code_the_first_line_names_the_charge() -> None:
    assert said(told(dft(charge(f7="93000"), charge(f2="C2", f7="LOCAL")))).charge.value == "C1"


def test_a_procedure_in_ft1_25_is_the_code() -> None:
    assert said(told(dft(charge(f7="LOCAL"), charge(f2="C2", f7="", f25="99213^Visit")))).charge.value == "C2"


@pytest.mark.parametrize(
    "other", [{"f4": "20260227"}, {"f20": f"{OTHER_NPI}^ROE"}, {"f23": "F2^CENT"}], ids=["day", "clinician", "order"]
)
def test_another_day_clinician_or_order_is_another_visit(other: dict[str, str]) -> None:
    readings = all_told(dft(charge(), charge(f2="C2", **other)))

    assert [said(reading).charge.value for reading in readings] == ["C1", "C2"]


def test_a_message_of_charges_and_credits_of_two_visits_is_read_for_each() -> None:
    charged, credited = all_told(dft(charge(), charge(f2="C2", f6="CD", f4="20260227"), charge(f2="C3", f6="PY")))

    assert (bool(charged.events), charged.withdraws) == (True, False)
    assert (bool(credited.events), credited.withdraws) == (False, True)


def test_several_credits_are_taken_back_one_by_one() -> None:
    readings = all_told(dft(charge(f6="CD"), charge(f2="C2", f6="CD")))

    assert [said(reading).charge.value for reading in readings] == ["C1", "C2"]
    assert all(reading.withdraws for reading in readings)


def test_more_charges_than_are_looked_at_are_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charges, "CHARGES_MAX", 2)

    with pytest.raises(MessageFault, match="more charges"):
        all_told(dft(charge(), charge(), charge()))


# ---------------------------------------------------------------------------------------------------------------------
# When, whose, and where from


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("20260301", "2026-03-01T06:00"),
        ("20260301093000", "2026-03-01T15:30"),
        ("20260301093000^20260301100000", "2026-03-01T15:30"),
        ("20260301093000-0500", "2026-03-01T14:30"),
    ],
)
def test_a_charge_happened_when_its_range_begins(written: str, day: str) -> None:
    at = said(told(dft(charge(f4=written)))).happened_at

    assert at == datetime.fromisoformat(day).replace(tzinfo=UTC)


@pytest.mark.parametrize("written", ["", "soon", "202603", "20260401"])
def test_a_charge_without_a_day_that_has_come_proves_nothing(written: str) -> None:
    reading = told(dft(charge(f4=written)))

    assert (reading.about, reading.events) == (None, ())
    assert "without a day that has come" in reading.note


def test_without_its_own_day_a_charge_has_the_visits() -> None:
    lines = dft(charge(f4="")).replace("PV1||O", "PV1||O").replace("|V1", "|V1" + "|" * 25 + "20260228")

    assert said(told(lines)).happened_at == datetime(2026, 2, 28, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "provider"),
    [
        ({"f20": f"LOCAL7^DOE~{NPI}^DOE"}, NPI),
        ({"f20": "", "f21": f"{OTHER_NPI}^ROE"}, ""),
        ({"f20": "1234567890^DOE"}, ""),
    ],
)
def test_who_performed_it_counts_and_who_ordered_it_does_not(fields: dict[str, str], provider: str) -> None:
    assert said(told(dft(charge(**fields)))).provider == provider


@pytest.mark.parametrize("place", ["f7", "f25"])
def test_the_feeds_codes_name_the_specialty(place: str) -> None:
    party = replace(EHR, feed=replace(EHR_FEED, specialties={"9300": "cardiology"}))

    assert said(told(dft(charge(**{"f7": "", place: "93000"})), party)).specialty == "cardiology"


def test_a_charge_that_names_no_office_proves_no_visit_to_one_unless_the_office_sends_it() -> None:
    lines = dft(charge(f20=""), visit="")

    assert "no visit to an office that could be named" in told(lines).note
    assert isinstance(told(lines, SPECIALIST).event, PatientAttended)


def test_a_scanning_station_charges_nothing() -> None:
    assert told(dft(charge()), SCANNER).about is None


@pytest.mark.parametrize("party", [EHR, SPECIALIST], ids=lambda party: party.kind)
def test_a_message_without_charges_says_nothing(party: Party) -> None:
    assert told(dft(), party).note == "no charge: payments and adjustments say nothing of a visit"


def test_charges_of_two_patients_in_one_message_are_for_a_person() -> None:
    with pytest.raises(MessageFault, match="names two patients"):  # F-E16
        told(dft(charge(), PID.replace("1001", "1002")))


@pytest.mark.parametrize("version", ["2.2", "2.3", "2.5.1", "2.8.2"])
def test_a_version_decides_nothing(version: str) -> None:
    assert told(dft(charge()).replace("2.5.1", version)) == told(dft(charge()))  # F-E11
