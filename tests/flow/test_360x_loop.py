"""A whole loop in the payloads of IHE 360X, as files by Direct mail: everything by OID, and nobody acknowledges anything.

Source: reference, 1.2 (the transactions) and 1.3 (the rules of identifiers and headers).
"""

from __future__ import annotations

import base64

import pytest

from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.channel import MessageSettings, SpoolTransport
from referral_engine.flow.inputs import Receipt
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import Disposition
from tests.flow.stage import HEART, ORDER, book, engine, owed, row, sample, story, tracks

OURS = "2.16.840.1.113883.19.1"
THEIRS = "2.16.840.1.113883.19.5"
SPRINGFIELD = "2.16.840.1.113883.19.7"


def direct() -> Book:
    """The heart group by Direct mail; the EHR's record numbers have an OID."""
    channel = book().channels[HEART]
    channel = replace(
        channel,
        transport=SpoolTransport(directory="var/spool/direct"),
        message=MessageSettings(format="360x", receiving_facility=THEIRS),
        replies=replace(channel.replies, applications=("",), facilities=(THEIRS,), received="sent"),
    )
    ehr = replace(book().feeds["ehr"], authority_names={SPRINGFIELD: "SPRINGFIELD"})
    identity = replace(book().engine.identity, oid=OURS)
    partner = replace(book().partner_of(book().channels[HEART].feed()), receiving_applications=("",))
    partner = replace(partner, receiving_facilities=(OURS,))
    return replace(
        book(),
        engine=replace(book().engine, identity=identity),
        channels={**book().channels, HEART: channel},
        feeds={**book().feeds, "ehr": ehr},
        partners={**book().partners, partner.name: partner},
    )


def sent_order(stage: Rehearsal) -> Message:
    """What the specialist got."""
    (packet,) = [one for one in owed(stage) if one.lane == HEART and one.purpose == "order"]
    return Message.parse(packet.body)


class Office:
    """The specialist: echoes the referral's number and both patient numbers, and asks for no acknowledgment."""

    def __init__(self, stage: Rehearsal) -> None:
        order = sent_order(stage)
        self._stage = stage
        self.number = order.first("ORC").field(2)  # type: ignore[union-attr]  # an order has one
        pid = order.first("PID")
        assert pid is not None
        fields = pid.raw.split("|")
        fields[3] = f"{pid.field(3)}~HG7001^^^&{THEIRS}&ISO^MR"
        self._pid = "|".join(fields[:9])
        self._count = 0

    def says(self, kind: str, *lines: str) -> Receipt:
        """One message; {number} is the referral's."""
        self._count += 1
        head = (
            f"MSH|^~\\&||^{THEIRS}^ISO||^{OURS}^ISO|20260303100000-0600||{kind}|HG{self._count}|P|2.5.1|||NE|NE"
            "||UNICODE UTF-8|||360X"
        )
        text = "\r".join([head, *lines]).replace("{number}", self.number).replace("{pid}", self._pid)
        receipt = self._stage.receive(text.encode() + b"\r")
        assert receipt.answer == b""
        return receipt

    def status(self, control: str, status: str) -> Receipt:
        return self.says("OSU^O51^OSU_O51", "{pid}", f"ORC|{control}|{{number}}|HG-1^^{THEIRS}^ISO||{status}")

    def books(self, start: str, trigger: str = "S12", word: str = "Booked") -> Receipt:
        return self.says(
            f"SIU^{trigger}^SIU_{trigger}",
            f"SCH||A-1^^{THEIRS}^ISO||||REFERRAL|||||||||||||||||||{word}|{{number}}",
            f"TQ1|1||||||{start}",
            "{pid}",
            "RGS|1|A",
        )

    def sends_note(self) -> Receipt:
        cda = (
            '<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3">'
            '<id root="2.16.840.1.113883.19.5" extension="D-1"/><code code="11488-4" codeSystem="2.16.840.1.113883.6.1"/>'
            '<effectiveTime value="20260310110000-0500"/><recordTarget><patientRole>'
            f'<id root="{SPRINGFIELD}" extension="700101"/><patient><name><given>Amelia</given><family>Example</family>'
            '</name><administrativeGenderCode code="F"/><birthTime value="19580412"/></patient></patientRole>'
            "</recordTarget></ClinicalDocument>"
        )
        data = base64.b64encode(cda.encode()).decode()
        return self.says(
            "MDM^T02^MDM_T02",
            "EVN|T02|20260311090000-0500",
            "{pid}",
            "PV1|1|O",
            "ORC|RE|{number}",
            "OBR|1|{number}||11488-4^Consult note^LN",
            f"TXA|1|CN|TX|20260310110000-0500||||||||D-1^^{THEIRS}^ISO||{{number}}|||AU||AV",
            f"OBX|1|ED|11488-4^Consult note^LN||^text^xml^Base64^{data}||||||F",
        )


def test_the_loop_goes_round_and_nobody_acknowledges() -> None:
    stage = engine(other=direct())

    stage.receive(sample(ORDER))

    order = sent_order(stage)
    assert (order.header.type, order.header.accept_ack) == ("OMG^O19", "NE")
    assert tracks(stage)["dispatch"] in ("sent", "received")
    office = Office(stage)
    assert office.number == f"{story(stage).referral.id}^^{OURS}^ISO"

    accepted = office.status("OK", "IP")
    assert (row(stage, accepted).disposition, row(stage, accepted).level) == (Disposition.APPLIED, 1)
    assert tracks(stage)["dispatch"] == "accepted"

    office.books("20260310103000-0500")
    assert tracks(stage)["appointment"] == "booked"

    office.books("20260310103000-0500", "S26", "Noshow")
    assert tracks(stage)["appointment"] == "no-show"

    office.books("20260317103000-0500", "S13")
    assert tracks(stage)["appointment"] == "booked"

    noted = office.sends_note()
    assert (row(stage, noted).disposition, row(stage, noted).level) == (Disposition.APPLIED, 1)
    assert tracks(stage)["note"] == "final"
    assert tracks(stage)["closure"] == "closed"
    assert story(stage).referral.status == "closed"


def test_once_the_office_has_said_its_own_number_it_gets_both_and_the_ehr_its_own_first() -> None:
    # reference, 1.3: after acceptance both sides' numbers stand in PID-3
    stage = engine(other=direct())
    stage.receive(sample(ORDER))
    Office(stage).status("OK", "IP")

    stage.receive(sample("orm-o01-cardiology-cancel.hl7"))

    (asked,) = [one for one in owed(stage) if one.lane == HEART and one.purpose == "cancel"]
    numbers = Message.parse(asked.body).first("PID").repetitions(3)  # type: ignore[union-attr]  # it is there
    assert numbers == [f"700101^^^SPRINGFIELD&{SPRINGFIELD}&ISO^MR", f"HG7001^^^&{THEIRS}&ISO^MR"]
    assert [one.value.reveal() for one in story(stage).referral.patient.ids] == ["700101", "HG7001"]


def test_a_second_number_of_ours_in_the_offices_answer_is_not_learned() -> None:
    # H125: what the office copies beside her number may be her sister's
    stage = engine(other=direct())
    stage.receive(sample(ORDER))
    office = Office(stage)
    office._pid = office._pid.replace("~", f"~700102^^^&{SPRINGFIELD}&ISO^MR~")

    accepted = office.status("OK", "IP")

    assert row(stage, accepted).disposition is Disposition.APPLIED
    assert [one.value.reveal() for one in story(stage).referral.patient.ids] == ["700101", "HG7001"]


@pytest.mark.parametrize(("control", "status"), [("UA", "CA"), ("SC", "CA"), ("DC", "CA")])
def test_a_decline_is_a_decline_whatever_stands_in_orc_1(control: str, status: str) -> None:
    stage = engine(other=direct())
    stage.receive(sample(ORDER))

    Office(stage).status(control, status)

    assert tracks(stage)["dispatch"] == "declined"


def test_a_cancel_is_asked_by_osu_and_ended_by_the_confirmation() -> None:
    # reference, 1.4, point 1; F-H06
    stage = engine(other=direct())
    stage.receive(sample(ORDER))
    office = Office(stage)

    stage.receive(sample("orm-o01-cardiology-cancel.hl7"))

    (asked,) = [one for one in owed(stage) if one.lane == HEART and one.purpose == "cancel"]
    assert b"HG7001" not in asked.body  # the office has not said its own number yet
    message = Message.parse(asked.body)
    assert (message.header.type, message.value("ORC-1")) == ("OSU^O51", "CA")
    assert tracks(stage)["closure"] == "cancel-requested"
    office.status("CR", "CA")
    assert tracks(stage)["closure"] == "ended"


def test_a_cancel_can_lose_the_race_against_the_outcome() -> None:
    # F-H06, H121
    stage = engine(other=direct())
    stage.receive(sample(ORDER))
    office = Office(stage)
    stage.receive(sample("orm-o01-cardiology-cancel.hl7"))

    office.sends_note()

    assert tracks(stage)["note"] == "final"
    assert tracks(stage)["closure"] == "closed"


def test_the_status_completed_closes_nothing_without_a_note() -> None:
    stage = engine(other=direct())
    stage.receive(sample(ORDER))

    Office(stage).status("SC", "CM")

    assert tracks(stage)["note"] == "none"
    assert tracks(stage)["closure"] == "open"


@pytest.mark.parametrize(("status", "note", "closure"), [("IP", "interim", "open"), ("CM", "final", "closed")])
def test_an_outcome_or_an_interim_note_may_come_inside_the_order_message(status: str, note: str, closure: str) -> None:
    # reference, 10.1: PCC-57 and PCC-59 are sent as OMG by some and as OSU by others
    stage = engine(other=direct())
    stage.receive(sample(ORDER))
    office = Office(stage)

    office.says(
        "OMG^O19^OMG_O19",
        "{pid}",
        f"ORC|SC|{{number}}|HG-1^^{THEIRS}^ISO||{status}",
        f"OBR|1|{{number}}|HG-1^^{THEIRS}^ISO|11488-4^Consult note^LN|||20260310103000-0500",
        "OBX|1|ED|11488-4^Consult note^LN||^application^pdf^Base64^JVBERi0xLjQK||||||F",
    )

    assert tracks(stage)["note"] == note
    assert tracks(stage)["closure"] == closure
    assert tracks(stage)["dispatch"] == "accepted"


def test_the_number_of_another_patient_is_no_answer_to_ours() -> None:
    # F-H02
    stage = engine(other=direct())
    stage.receive(sample(ORDER))
    office = Office(stage)

    receipt = office.says(
        "OSU^O51",
        f"PID|1||799999^^^&{SPRINGFIELD}&ISO^MR||Stranger^Sam||19900101|M",
        "ORC|OK|{number}|||IP",
    )

    assert (row(stage, receipt).disposition, row(stage, receipt).level) == (Disposition.NEEDS_HUMAN, 0)
    assert tracks(stage)["dispatch"] in ("sent", "received")


def test_our_own_order_that_comes_back_is_a_loop_and_nothing_is_read() -> None:
    stage = engine(other=direct())
    stage.receive(sample(ORDER))
    before = story(stage)

    receipt = stage.receive(sent_order(stage).raw)

    assert row(stage, receipt).disposition is Disposition.QUARANTINED
    assert row(stage, receipt).reason == "our own message came back: a loop"
    assert story(stage) == before
