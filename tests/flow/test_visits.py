"""Visits as they are booked, moved, charged and taken back: one timeline, whatever the messages are."""

from __future__ import annotations

import pytest

from referral_engine.flow.inputs import Receipt
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import Disposition
from tests.flow.stage import BOOKING, ORDER, at, engine, kinds, row, said, sample, story, tasks, tracks

REGISTERED = "adt-a04-cardiology-registered.hl7"
OFFICE = r"MSH|^~\&|CENTRICITY|HEARTGRP|REFERRAL_ENGINE|SPRINGFIELD|20260310102000-0500||{kind}|{control}|P|2.5.1"
AMELIA = "PID|1||700101^^^SPRINGFIELD^MR||Example^Amelia||19580412|F"
BRUNO = "PID|2||700201^^^SPRINGFIELD^MR||Specimen^Bruno||19710903|M"


def message(kind: str, control: str, *lines: str) -> bytes:
    """A message of the cardiologists' own system."""
    return "\r".join([OFFICE.format(kind=kind, control=control), *lines, ""]).encode()


def siu(trigger: str, control: str, sch: str, *lines: str) -> bytes:
    return message(f"SIU^{trigger}", control, sch, *(lines or (AMELIA,)))


def sch(number: str, *, start: str = "202603101030-0500", parent: str = "", word: str = "Booked") -> str:
    fields = {2: f"{number}^CENTRICITY", 11: f"^^^{start}", 24: parent and f"{parent}^CENTRICITY", 25: word}
    return "SCH" + "".join("|" + fields.get(place, "") for place in range(1, 26))


def charge(number: str, kind: str = "CG", day: str = "20260310") -> bytes:
    lines = (f"PV1|1|O{'|' * 17}V77", f"FT1|1|{number}||{day}||{kind}|99203{'|' * 13}1234567893^Heart")
    return message("DFT^P03", f"{kind}{number}", "EVN|P03", AMELIA, *lines)


def ordered(*, booked: bool = True) -> Rehearsal:
    stage = engine()
    stage.receive(sample(ORDER))
    if booked:
        stage.receive(sample(BOOKING))
    return stage


def starts(stage: Rehearsal) -> list[str]:
    """The slots there were, as day and hour of UTC."""
    return [f"{slot.starts_at:%d %H:%M}" for slot in story(stage).referral.slots]


def accepted(stage: Rehearsal, raw: bytes) -> Receipt:
    receipt = stage.receive(raw)
    assert said(receipt) == "AA"
    return receipt


# ---------------------------------------------------------------------------------------------------------------------
# Moved


def test_a_booking_that_moves_to_a_new_number_stays_one_timeline() -> None:  # H122
    stage = ordered()
    stage.move_to(at("2026-03-04 09:00"))

    accepted(stage, siu("S13", "M1", sch("A-1002", start="202603121030-0500", parent="A-1001")))
    accepted(stage, siu("S15", "M2", sch("A-1001", word="Cancelled")))

    assert tracks(stage)["appointment"] == "booked"
    assert starts(stage) == ["10 15:30", "12 15:30"]
    assert kinds(stage) == []


def test_a_changed_resource_moves_nothing() -> None:
    stage = ordered()
    before = tracks(stage)

    for trigger in ("S18", "S19", "S20", "S21", "S22", "S23", "S24"):
        accepted(stage, siu(trigger, trigger, sch("A-1001", start="202603121030-0500", word="Cancelled")))

    assert (tracks(stage), starts(stage), kinds(stage)) == (before, ["10 15:30"], [])


def test_a_visit_of_several_patients_books_for_the_one_we_know() -> None:
    stage = ordered(booked=False)

    receipt = accepted(stage, siu("S12", "G1", sch("G-1"), AMELIA, "PV1|1|O", BRUNO, "PV1|2|O"))

    assert row(stage, receipt).disposition is Disposition.APPLIED
    assert tracks(stage)["appointment"] == "booked"
    assert kinds(stage) == []


# ---------------------------------------------------------------------------------------------------------------------
# Charged, and taken back


def test_a_charge_days_later_proves_the_visit_and_its_credit_takes_the_proof_back() -> None:
    stage = ordered()
    stage.move_to(at("2026-03-12 09:00"))
    before = tracks(stage)

    accepted(stage, charge("C1"))
    charged = tracks(stage)
    accepted(stage, charge("C1", "CD"))

    assert (before["appointment"], charged["appointment"]) == ("passed", "kept")
    assert tracks(stage)["appointment"] == "passed"
    assert charged["closure"] == "open"


@pytest.mark.parametrize("day", ["20260306", "20260313"])
def test_a_charge_of_another_day_proves_nothing(day: str) -> None:
    stage = ordered()
    stage.move_to(at("2026-03-14 09:00"))
    before = tracks(stage)

    accepted(stage, charge("C1", day=day))

    assert tracks(stage) == before
    assert "match-review" not in kinds(stage)


def test_charges_of_nobody_and_of_the_unbooked_bother_nobody() -> None:
    stage = ordered(booked=False)
    nobody = charge("C9").replace(b"700101", b"999999").replace(b"CGC9", b"CGX9")

    receipts = [accepted(stage, raw) for raw in (charge("C1"), nobody, charge("C8", "CD"), charge("C2", "PY"))]

    assert [row(stage, one).disposition for one in receipts] == [Disposition.NO_OP] * 4
    assert (tracks(stage)["appointment"], kinds(stage)) == ("none", [])


def test_a_registration_that_is_cancelled_was_no_visit() -> None:
    stage = ordered()
    stage.move_to(at("2026-03-10 10:20"))
    visit = {"PV1-19": "V77^^^HEARTGRP^VN"}

    accepted(stage, sample(REGISTERED, visit))
    came = tracks(stage)["appointment"]
    accepted(stage, sample(REGISTERED, visit | {"MSH-9.2": "A13", "MSH-10": "HGA13"}))
    ended = tracks(stage)["appointment"]
    accepted(stage, sample(REGISTERED, {"PV1-19": "V78^^^HEARTGRP^VN", "MSH-9.2": "A11", "MSH-10": "HGA11A"}))
    other = tracks(stage)["appointment"]
    accepted(stage, sample(REGISTERED, visit | {"MSH-9.2": "A11", "MSH-10": "HGA11B"}))

    assert (came, ended, other) == ("kept", "kept", "kept")
    assert tracks(stage)["appointment"] == "booked"


# ---------------------------------------------------------------------------------------------------------------------
# Two patients


def test_an_order_that_names_two_patients_waits_for_a_person() -> None:
    stage = engine()

    receipt = accepted(stage, sample(ORDER).replace(b"\rPD1|", b"\r" + BRUNO.encode() + b"\rPD1|"))  # F-E16

    assert row(stage, receipt).disposition is Disposition.NEEDS_HUMAN
    (task,) = tasks(stage)
    assert (task.kind, task.reason) == ("quarantine", "PID: the message names two patients")


def test_a_message_of_a_type_nobody_reads_is_kept_and_answered() -> None:
    stage = ordered()

    receipts = [
        accepted(stage, message(kind, f"U{place}", AMELIA, "ZZ9|anything").replace(b"2.5.1", version))
        for place, (kind, version) in enumerate([("VXU^V04", b"2.9"), ("ADT^Z77", b"2.1"), ("SIU^S99", b"2.3")])
    ]  # F-E11

    assert [row(stage, one).disposition for one in receipts] == [Disposition.NO_OP] * 3
    assert kinds(stage) == []
