"""What is looked at before a message is read: every number that matching may use, and no message that it may need."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from referral_engine.base.errors import MessageFault
from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.channels.feed import Feed
from referral_engine.channels.parties import Party
from referral_engine.flow.matching import numbers_of as numbers_matched
from referral_engine.flow.matching import patient_numbers_of
from referral_engine.hl7.message import Message
from referral_engine.intake.interest import ABOUT_KNOWN_ONLY, ABOUT_NUMBERS, NUMBERS_MAX, numbers_of, person_of
from referral_engine.intake.read import read
from referral_engine.journal.codec import plain
from referral_engine.journal.rows import Disposition
from referral_engine.loop.referral import Patient
from tests.flow.stage import BOOKING, MONDAY, NOTE, ORDER, book, engine, kinds, row, sample
from tests.matching.making import HEART, SCANNER, Maker
from tests.matching.near_misses import next_case

SAMPLES = Path(__file__).parents[2] / "sample_messages"
NOW = datetime(2026, 3, 12, tzinfo=UTC)


def _parties() -> list[Party]:
    channels = book().channels
    return [Party(kind=one.party, name=one.name, feed=one, channel=channels.get(one.name)) for one in book().senders]


def _needed(message: Message, party: Party) -> set[tuple[str, str]]:
    """Every number that matching would ask for, of everything the message says."""
    try:
        readings = read(message, party, received_at=NOW, sequence=1)
    except MessageFault:
        return set()
    needed: set[tuple[str, str]] = set()
    for reading in readings:
        evidence = reading.evidence
        if evidence is None:
            continue
        keys = [*numbers_matched(evidence, party), *patient_numbers_of(evidence.patient)]
        person = person_of(evidence.patient)
        asked = party.kind != "ehr" or not evidence.patient.ids
        if person is not None and asked and message.header.message_code not in ("ADT", "DFT"):
            needed.add(("person", plain(person.value)))
        needed.update((kind.value, plain(number.value)) for kind, number in keys)
    return needed


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.hl7")), ids=lambda path: path.stem)
def test_nothing_that_matching_uses_is_missing_from_the_first_look(path: Path) -> None:
    try:
        message = Message.parse(path.read_bytes())
    except MessageFault:
        return
    header = message.header
    if header.message_code not in ABOUT_KNOWN_ONLY or (header.message_code, header.trigger) in _WHOLE:
        return
    for party in _parties():
        looked_at = set(numbers_of(message, party.feed))
        missing = _needed(message, party) - looked_at if looked_at else set()
        assert not {kind for kind, _ in missing}, party.name


_WHOLE = {("ADT", trigger) for trigger in ABOUT_NUMBERS}


@given(st.integers(0, 400), st.sampled_from([HEART, SCANNER]))
def test_nothing_of_a_made_message_is_missing_either(number: int, office: tuple[str, str, str]) -> None:
    make = Maker(number)
    case = next_case(make)
    kind = "scanner" if office is SCANNER else "specialist"
    party = next(one for one in _parties() if one.kind == kind)
    message = Message.parse(case.message)

    assert {one for one, _ in _needed(message, party) - set(numbers_of(message, party.feed))} == set()


# ---------------------------------------------------------------------------------------------- name and birth date


@pytest.mark.parametrize(
    ("family", "same"),
    [("Example", True), ("EXAMPLE", True), ("Ex-ample", True), ("O'Example", False), ("Exámple", True), ("", False)],
)
def test_a_name_is_its_letters_without_accents_and_case(family: str, same: bool) -> None:
    one = Patient(family=Phi("Example"), born_on=Phi("19580412"))

    assert (person_of(replace(one, family=Phi(family))) == person_of(one)) is same


def test_a_person_is_nobody_without_the_day_of_birth() -> None:
    for born_on in ("", "1958", "195804"):
        assert person_of(Patient(family=Phi("Example"), born_on=Phi(born_on))) is None


def test_name_and_birth_date_are_looked_at_only_where_a_person_might_need_them() -> None:
    ehr, office = Feed(name="ehr"), Feed(name="office", party="specialist")
    unnumbered = {"PID-3": "", "PID-2": "", "PID-4": ""}

    def looks_at_names(raw: bytes, feed: Feed) -> bool:
        return any(kind == "person" for kind, _ in numbers_of(Message.parse(raw), feed))

    assert looks_at_names(sample(NOTE), office)
    assert not looks_at_names(sample(NOTE), ehr)
    assert looks_at_names(sample(NOTE, unnumbered), ehr)
    assert not looks_at_names(sample("adt-a08-new-phone.hl7", unnumbered), ehr)


# ---------------------------------------------------------------------------------------------- where numbers stand


def test_a_feed_may_keep_its_numbers_elsewhere() -> None:
    raw = sample(BOOKING, {"PID-18.1": "ACCOUNT-1", "PV1-50.1": "VISIT-2", "PV1-19.1": "VISIT-1"})
    feed = Feed(name="office", party="specialist", visit_numbers=("PID-18", "PV1-50.1"))

    found = set(numbers_of(Message.parse(raw), feed))

    assert {("visit", "ACCOUNT-1"), ("visit", "VISIT-2"), ("visit", "VISIT-1")} <= found
    assert ("visit", "ACCOUNT-1") not in numbers_of(Message.parse(raw))


def test_numbers_are_text_as_sent_and_never_counted_with() -> None:
    raw = sample(BOOKING, {"SCH-26.1": "0011545596-0175", "PID-3": "", "PID-3.1": "00700101"})

    found = numbers_of(Message.parse(raw))

    assert ("placer", "0011545596-0175") in found
    assert ("patient", "00700101") in found


def test_a_message_with_too_many_numbers_is_read_whole() -> None:
    many = "~".join(f"M{number}^^^SPRINGFIELD^MR" for number in range(20))
    raw = Message.parse(sample(BOOKING)).raw.replace(b"\rRGS", b"".join(
        f"\rPID|{at}||{many.replace('M', f'{at}M')}".encode() for at in range(5)) + b"\rRGS")  # fmt: skip

    assert NUMBERS_MAX < 5 * 20
    assert numbers_of(Message.parse(raw)) == ()


def test_a_clinical_document_that_may_name_what_the_message_does_not_is_read_whole() -> None:
    inside = {"OBX-2": "ED", "OBX-5.5": "PD94bWwgdmVyc2lvbj0iMS4wIj8+"}  # <?xml version="1.0"?>

    assert numbers_of(Message.parse(sample(NOTE, inside | {"TXA-14": "", "ORC-2": "", "OBR-2": ""}))) == ()
    assert numbers_of(Message.parse(sample(NOTE, inside | {"PID-3": ""}))) == ()
    assert numbers_of(Message.parse(sample(NOTE, inside))) != ()


# ---------------------------------------------------------------------------------------------- what is overlooked


@pytest.mark.parametrize("trigger", sorted(ABOUT_NUMBERS - {""}))
def test_a_merge_or_a_link_is_read_though_nobody_is_known(trigger: str) -> None:
    stage = engine(MONDAY)

    receipt = stage.receive(sample("adt-a40-merged.hl7", {"MSH-9.2": trigger, "EVN-1": trigger}))

    assert row(stage, receipt).reason not in ("", "no open referral of this patient")


def test_a_charge_of_nobody_is_answered_and_does_not_wait() -> None:
    stage = engine(MONDAY)
    stage.receive(sample(ORDER))
    stranger = "MSH|^~\\&|EHR|SPRINGFIELD|REFERRAL_ENGINE|SPRINGFIELD|20260310||DFT^P03^DFT_P03|D1|P|2.5.1\r"
    stranger += "PID|1||999999^^^SPRINGFIELD^MR||Nobody^Nora||19900101|F\rFT1|1|C-1||20260310||CG|99213\r"

    receipt = stage.receive(stranger.encode())

    assert row(stage, receipt).disposition is Disposition.NO_OP
    assert row(stage, receipt).reason == "no open referral of this patient"
    assert kinds(stage) == []
