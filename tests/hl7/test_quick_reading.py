"""What is quick for most messages says the same as what is careful: fields, texts, names and instants."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.hl7 import types
from referral_engine.hl7.encoding import DEFAULT
from referral_engine.hl7.message import Message
from referral_engine.hl7.segment import FIELDS_KNOWN, FIELDS_MAX, Segment, text_in
from referral_engine.hl7.types import read_instant

CHICAGO = ZoneInfo("America/Chicago")
MSH = b"MSH|^~\\&|EHR|CLINIC|||20260302||ORM^O01|1|P|2.5.1"

FIELDS = (
    "", "A1", "P-1", "A^B", "^B", "A~B^C", "~B", "A&B^C&D~E", "&B", '""', '""^B', 'A^""', "A\\T\\B^C\\S\\D",
    " ", " A ^B", "^^", "~", "A^B&C~D^E&F", "\u00e9\u00df", "\u0661\u0662", "\\", "A\\",
)  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("component", [1, 2, 3])
def test_one_component_is_the_same_by_itself_and_by_its_place_in_a_segment(field: str, component: int) -> None:
    segment = Segment(f"ZZZ|{field}|next", DEFAULT)

    said = text_in(field, DEFAULT, component)

    repetition = segment.alone(1, field.split("~", 1)[0])
    parts = repetition.components(1)
    wanted = repetition.alone(1, field.split("~", 1)[0].split("^")[component - 1]) if component <= len(parts) else None
    assert said == segment.text(1, component)
    assert said == ("" if wanted is None else wanted.text(1, 1, 1))


def test_fields_of_a_message_are_those_of_its_first_segment_of_the_name() -> None:
    message = Message.parse(MSH + b"\rOBX|1|NM|8867-4^Heart rate\rOBX|2\rPID|" + b"|" * 60 + b"last\rZPDX|1\rPID2")

    assert (message.count("OBX"), message.count("PID"), message.count("ZPD"), message.count("ZPDX")) == (2, 1, 0, 1)
    assert message.fields("OBX")[:4] == ["OBX", "1", "NM", "8867-4^Heart rate"]
    assert message.fields("PV1")[0] == message.fields("PV1")[FIELDS_KNOWN] == ""
    assert message.text("OBX", 3, 2) == message.value("OBX-3.2") == "Heart rate"
    assert message.text("PID", 61) == message.value("PID-61") == "last"
    assert message.text("OBX", 0) == ""
    assert (message.text("MSH", 1), message.text("MSH", 2), message.text("MSH", 9, 2)) == ("|", "^~\\&", "O01")


def test_a_segment_that_was_handed_out_stays_the_same_one() -> None:
    message = Message.parse(MSH + b"\rOBX|1\rNTE|1\rOBX|2\r")

    first = message.first("OBX")

    assert first is not None
    assert message.segments[1] is first
    assert [segment.raw for segment in message.segments[1:]] == ["OBX|1", "NTE|1", "OBX|2"]
    assert all(one is other for one, other in zip(message.all("OBX"), message.segments[1::2], strict=True))
    assert message.first("NTE") is message.segments[2]
    assert message.first("ZZZ") is None
    assert message.all("ZZZ") == []


def test_too_many_fields_are_refused_by_the_quick_way_too() -> None:
    message = Message.parse(MSH + b"\rPID|" + b"|" * FIELDS_MAX + b"\r")

    with pytest.raises(MessageFault):
        message.fields("PID")


@pytest.mark.parametrize("digits", ["20260302090000", "202603020900", "20260308023000", "20261101013000",
    "20260302240000", "20260302235960", "20260230090000", "00000101000000", "99991231235959", "00010101000000",
    "20260302096000", "20261302090000", "2026030209000", "2026030209000x", "\u0662\u0660260302090000"])  # fmt: skip
@pytest.mark.parametrize(
    "offset", ["", "-0600", "+0530", "+1400", "-1430", "+1500", "-0075", "+0060", "Z", "-060", "+00:0"]
)
@pytest.mark.parametrize("header", ["", "+0200"])
def test_an_instant_is_read_alike_by_the_quick_and_by_the_careful_way(
    digits: str, offset: str, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = read_instant(digits + offset, CHICAGO, header)

    monkeypatch.setattr(types, "_usual_instant", lambda *_: None)
    careful = read_instant(digits + offset, CHICAGO, header)

    assert quick == careful
