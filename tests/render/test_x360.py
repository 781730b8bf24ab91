"""Orders and cancellations as IHE 360X has them: v2.5.1, everything by OID, no acknowledgment; and OSU for the EHR."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import ValidationError
from hl7apy.parser import parse_message, parse_segment

from referral_engine.base.values import replace
from referral_engine.channels.channel import MessageSettings, SpoolTransport
from referral_engine.channels.engine import EhrSettings
from referral_engine.channels.feed import Feed
from referral_engine.channels.pairs import ORDER_PAIRS, Pair
from referral_engine.hl7.message import Message
from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.loop.referral import Identifier
from referral_engine.loop.states import Urgency
from referral_engine.render.render import render
from tests.render.given import BOOK, CHANNEL, FAX, ORDER, ORM, REFERRAL, engine_with, setting, to

OURS = "1.2.840.114350.7"  # the oid of the book's [identity]
THEIRS = "2.16.840.1.113883.19.5"
SPRINGFIELD = "2.16.840.1.113883.19.7"
SPECIALIST, EHR = Recipient.SPECIALIST, Recipient.EHR

DIRECT = replace(
    CHANNEL,
    transport=SpoolTransport(directory="var/spool/direct"),
    message=MessageSettings(format="360x", receiving_facility=THEIRS),
)
NAMED = replace(
    BOOK,
    feeds={"ehr": Feed(name="ehr", patient_authority="SPRINGFIELD", authority_names={SPRINGFIELD: "SPRINGFIELD"})},
)
SOURCE = ORM.replace(b"ZPI|1|internal only\r", b"").replace(b"OBR|1", b"TQ1|1|||||||20260401|R\rOBR|1")


def sent(purpose: Purpose, source: bytes = SOURCE, **changes: object) -> Message:
    known = {"channel": DIRECT, "book": NAMED, "source": source, **changes}
    referral = known.pop("referral", REFERRAL)
    made = render(to(SPECIALIST, purpose), referral, setting(**known))  # type: ignore[arg-type]  # a test names its fields
    assert (made.transport, made.lane) == ("spool", "cardiology")
    return Message.parse(made.body)


@pytest.fixture
def conforms(tmp_path: Path):
    def check(message: Message) -> None:
        report = tmp_path / "report"
        with suppress(ValidationError):
            parse_message(message.raw.decode(), validation_level=VALIDATION_LEVEL.STRICT, find_groups=True).validate(
                report_file=str(report)
            )
        assert report.read_text().splitlines() == []

    return check


@pytest.fixture
def each_segment_conforms(tmp_path: Path):
    """hl7apy knows no OSU^O51: its segments are looked at one by one."""

    def check(message: Message) -> None:
        for at, segment in enumerate(message.segments[1:]):
            report = tmp_path / f"report-{at}"
            with suppress(ValidationError):
                parse_segment(segment.raw, version="2.5.1", validation_level=VALIDATION_LEVEL.STRICT).validate(
                    report_file=str(report)
                )
            assert report.read_text().splitlines() == [], segment.name

    return check


def test_the_header_names_both_sides_by_oid_and_asks_for_no_acknowledgment() -> None:
    # reference, 1.3
    message = sent(Purpose.ORDER)

    msh = message.first("MSH")
    assert msh is not None
    assert [msh.field(number) for number in (3, 4, 5, 6)] == ["", f"^{OURS}^ISO", "", f"^{THEIRS}^ISO"]
    assert msh.field(7) == "20260302150405+0000"
    assert [msh.field(number) for number in (9, 12, 15, 16, 18, 21)] == [
        "OMG^O19^OMG_O19", "2.5.1", "NE", "NE", "UNICODE UTF-8", "360X",
    ]  # fmt: skip


def test_an_order_says_who_how_soon_and_what_for() -> None:
    message = sent(Purpose.ORDER)

    assert message.value("ORC-1") == "NW"
    assert message.value("ORC-5") == ""
    assert message.value("TQ1-8") == "20260401"
    assert message.value("TQ1-9") == "R"
    assert message.first("OBR").field(4) == "57133-1^Referral note^LN^93000^Cardiology consult^L"  # type: ignore[union-attr]  # it is there
    assert message.value("OBR-31.2") == "Atrial fibrillation, café onset"
    assert message.first("OBR").field(16) == "1234567893^Harker^Mina^^^^^^NPI&2.16.840.1.113883.4.6&ISO^L^^^NPI"  # type: ignore[union-attr]  # it is there


def test_our_own_number_stands_in_orc_2_when_no_oid_says_whose_the_ehrs_is() -> None:
    message = sent(Purpose.ORDER)

    for name in ("ORC", "OBR"):
        assert message.first(name).field(2) == f"RE-0042^^{OURS}^ISO"  # type: ignore[union-attr]  # it is there


def test_the_ehrs_own_number_stands_there_when_it_has_an_oid() -> None:
    order = replace(ORDER, placer=Identifier(value="ORD-1001", authority="2.16.840.1.113883.19.9"))
    message = sent(Purpose.ORDER, referral=replace(REFERRAL, order=order))

    assert message.first("ORC").field(2) == "ORD-1001^^2.16.840.1.113883.19.9^ISO"  # type: ignore[union-attr]  # it is there


def test_every_number_of_the_patient_goes_along_with_its_oid_ours_first() -> None:
    pid = sent(Purpose.ORDER).first("PID")

    assert pid is not None
    assert pid.field(3) == f"MRN77001^^^SPRINGFIELD&{SPRINGFIELD}&ISO^MR~S-9^^^CARDIO^MR"
    assert pid.field(11) == "9 Elm St^^Springfield^IL^62701"  # demographics as the order had them


def test_an_authority_that_is_an_oid_needs_no_name() -> None:
    ids = (replace(REFERRAL.patient.ids[0], authority="2.16.840.1.113883.19.8"),)
    pid = sent(Purpose.ORDER, referral=replace(REFERRAL, patient=replace(REFERRAL.patient, ids=ids))).first("PID")

    assert pid is not None
    assert pid.field(3) == "S-9^^^&2.16.840.1.113883.19.8&ISO^MR"


def test_what_the_order_came_with_goes_along_as_it_came() -> None:
    message = sent(Purpose.ORDER)

    names = [segment.name for segment in message.segments]
    assert names == ["MSH", "PID", "PV1", "IN1", "ORC", "TQ1", "OBR", "NTE", "DG1", "OBX"]
    came = {segment.name: segment.raw for segment in Message.parse(SOURCE).segments}
    for name in ("PV1", "IN1", "NTE", "DG1", "OBX"):
        assert message.first(name).raw == came[name]  # type: ignore[union-attr]  # it is there


def test_a_segment_that_the_channel_drops_stays_here() -> None:
    channel = replace(DIRECT, message=replace(DIRECT.message, drop_segments=("IN1", "OBX")))

    assert not {"IN1", "OBX"} & {segment.name for segment in sent(Purpose.ORDER, channel=channel).segments}


def test_an_order_that_did_not_come_as_hl7_is_written_from_what_is_known(conforms) -> None:
    message = sent(Purpose.ORDER, b"", referral=replace(REFERRAL, order=replace(ORDER, urgency=Urgency.URGENT)))

    conforms(message)
    assert (message.value("TQ1-9"), message.value("DG1-3"), message.value("OBR-31")) == ("S", "I48.91", "I48.91")
    assert message.value("PID-13") == "+12175550147"


def test_a_cancellation_is_an_order_status_with_its_reason(each_segment_conforms) -> None:
    message = sent(Purpose.CANCEL, b"", reason="Patient request")

    assert message.header.type == "OSU^O51"
    assert [segment.name for segment in message.segments] == ["MSH", "PID", "ORC"]
    assert (message.value("ORC-1"), message.value("ORC-5"), message.value("ORC-16.2")) == ("CA", "", "Patient request")
    assert message.first("ORC").field(2) == f"RE-0042^^{OURS}^ISO"  # type: ignore[union-attr]  # it is there
    assert (message.header.accept_ack, message.header.application_ack) == ("NE", "NE")
    each_segment_conforms(message)


@pytest.mark.parametrize(
    ("purpose", "asking"), [(Purpose.ORDER, "new"), (Purpose.ORDER_CHANGE, "change"), (Purpose.CANCEL, "cancel")]
)
def test_the_pairs_are_the_channels_own(purpose: Purpose, asking: str) -> None:
    pairs = {**ORDER_PAIRS, asking: Pair("SC", "IP")}
    channel = replace(DIRECT, message=replace(DIRECT.message, pairs=pairs))
    message = sent(purpose, channel=channel)

    assert (message.value("ORC-1"), message.value("ORC-5")) == ("SC", "IP")


@pytest.mark.parametrize("purpose", [Purpose.ORDER, Purpose.ORDER_CHANGE])
def test_an_order_conforms(conforms, purpose: Purpose) -> None:
    conforms(sent(purpose))


@pytest.mark.parametrize("purpose", [Purpose.SECOND_NOTICE, Purpose.STATUS_CHECK, Purpose.NOTE_PING])
def test_a_question_is_asked_as_everywhere_and_waits_for_no_answer_on_the_wire(purpose: Purpose) -> None:
    message = sent(purpose, b"")

    assert (message.header.type, message.value("ORC-1")) == ("ORM^O01", "SS")
    assert (message.header.accept_ack, message.header.application_ack) == ("NE", "NE")


def test_the_second_way_of_such_a_channel_is_what_it_is() -> None:
    channel = replace(DIRECT, fallbacks=(FAX,))

    made = render(to(SPECIALIST, Purpose.FALLBACK_ORDER), REFERRAL, setting(channel=channel, book=NAMED, source=SOURCE))

    assert made.body.startswith(b"%PDF")


# ---------------------------------------------------------------------------------------------------------------------
# The EHR's own pairs


@pytest.mark.parametrize("about", ["received", "accepted", "declined", "preliminary note", "closed-without-note"])
def test_the_ehr_may_be_told_by_osu(each_segment_conforms, about: str) -> None:
    usual = Message.parse(render(to(EHR, Purpose.STATUS, about), REFERRAL, setting()).body)
    book = engine_with(ehr=EhrSettings(status="OSU^O51"))
    message = Message.parse(render(to(EHR, Purpose.STATUS, about), REFERRAL, setting(book=book)).body)

    assert message.header.type == "OSU^O51"
    assert [segment.name for segment in message.segments] == ["MSH", "NTE", "PID", "ORC"]
    assert message.first("ORC").raw == usual.first("ORC").raw  # type: ignore[union-attr]  # it is there
    each_segment_conforms(message)


@pytest.mark.parametrize("kind", ["ORM^O01", "OSU^O51"])
def test_the_ehrs_pairs_are_written_in_either_message(kind) -> None:
    book = engine_with(ehr=EhrSettings(status=kind, pairs={"declined": Pair("UA", "DC")}))

    declined = Message.parse(render(to(EHR, Purpose.STATUS, "declined"), REFERRAL, setting(book=book)).body)
    accepted = Message.parse(render(to(EHR, Purpose.STATUS, "accepted"), REFERRAL, setting(book=book)).body)

    assert (declined.value("ORC-1"), declined.value("ORC-5")) == ("UA", "DC")
    assert (accepted.value("ORC-1"), accepted.value("ORC-5")) == ("SC", "IP")
