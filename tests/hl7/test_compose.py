"""Writing: what goes in comes out again, for every text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.compose import NULL, Raw, msh, segment, timestamp, write
from referral_engine.hl7.encoding import DEFAULT, Delimiters
from referral_engine.hl7.message import Message

AT = datetime(2026, 3, 15, 9, 15, tzinfo=timezone(timedelta(hours=-5)))
ODD = Delimiters(field="#", component="!", repetition="@", escape="%", subcomponent="*", truncation="")
TEXTS = st.text() | st.text(alphabet='|^~\\&#!@%*\r\n\x0b\x1c"XE', max_size=12)


def test_every_shape_of_field_is_written() -> None:
    line = segment("PID", "1", None, ["a", ("b", None, ("c", "d"))], NULL, Raw("x^y"), ("k", "l^m"), "", None)

    assert line == 'PID|1||a~b^^c&d|""|x^y|k^l\\S\\m'


def test_trailing_empties_are_left_out_at_every_level() -> None:
    assert segment("PV1", ("a", None, ("b", None), (None, None)), [None, ""], None) == "PV1|a^^b"
    assert segment("PV1") == segment("PV1", None, "") == "PV1"


def test_the_header_is_numbered_as_in_the_standard() -> None:
    line = msh(
        message_type=("SIU", "S12", "SIU_S12"),
        control_id="RE1",
        at=AT,
        sending_application=("HUB", "1.2.3", "ISO"),
        receiving_facility="CLINIC",
        accept_ack="AL",
        application_ack="NE",
        country="USA",
    )

    message = Message.parse(write([line]))

    assert line.startswith("MSH|^~\\&|HUB^1.2.3^ISO||")
    assert message.header.type == "SIU^S12"
    assert message.value("MSH-3.2") == "1.2.3"
    assert (message.header.timestamp, message.header.control_id) == ("20260315141500+0000", "RE1")
    assert (message.header.processing_id, message.header.version) == ("P", "2.5.1")
    assert (message.header.accept_ack, message.header.application_ack) == ("AL", "NE")
    assert (message.value("MSH-17"), message.header.declared_charset) == ("USA", "UNICODE UTF-8")


def test_every_segment_ends_with_cr() -> None:  # H048
    assert write(["MSH|^~\\&", "PID|1"]) == b"MSH|^~\\&\rPID|1\r"
    assert write([]) == b""


def test_a_character_outside_the_receivers_set_is_a_fault_that_does_not_show_it() -> None:
    with pytest.raises(MessageFault) as caught:
        write([segment("PID", "Łódź")], "iso8859-1")

    assert caught.value.path == "PID"
    assert "Ł" not in str(caught.value)


@pytest.mark.parametrize("text", ["PID|a\rb", "PID|a\nb", "PID|\x0b", "PID|\x1c"])
def test_a_segment_that_would_break_the_frame_is_our_bug(text: str) -> None:
    with pytest.raises(AssertionError):
        write([text])
    with pytest.raises(AssertionError):
        segment("PID", Raw(text))


def test_an_instant_is_written_in_utc() -> None:
    assert timestamp(AT) == "20260315141500+0000"
    assert timestamp(datetime(33, 1, 2, tzinfo=UTC)) == "00330102000000+0000"
    with pytest.raises(AssertionError):
        timestamp(AT.replace(tzinfo=None))


@given(
    first=TEXTS,
    second=TEXTS,
    third=TEXTS,
    delimiters=st.sampled_from([DEFAULT, ODD]),
    codec=st.sampled_from(["utf-8", "gb18030"]),
)
def test_reading_gives_back_what_was_written_for_any_text(
    first: str,
    second: str,
    third: str,
    delimiters: Delimiters,
    codec: str,
) -> None:  # E15
    charset = "UNICODE UTF-8" if codec == "utf-8" else "GB 18030-2000"
    head = msh(
        message_type=("ORU", "R01"),
        control_id="1",
        at=AT,
        sending_application="A",
        delimiters=delimiters,
        charset=charset,
    )
    line = segment(
        "OBX", first, ("x", (second, third), first), [second, (first, third), "z"], "", delimiters=delimiters
    )

    message = Message.parse(write([head, line], codec))

    (obx,) = message.all("OBX")
    assert obx.text(1) == first
    assert (obx.text(2), obx.text(2, 2), obx.text(2, 2, 2), obx.text(2, 3)) == ("x", second, third, first)
    assert (obx.text(3), obx.text(3, 1, 1, 2), obx.text(3, 2, 1, 2), obx.text(3, 1, 1, 3)) == (
        second,
        first,
        third,
        "z",
    )
    assert obx.whole(1) == first
    assert not obx.is_null(1)
    assert [segment.name for segment in message.segments] == ["MSH", "OBX"]


@given(texts=st.lists(TEXTS, min_size=1, max_size=8))
def test_a_message_of_texts_survives_parse_and_write(texts: list[str]) -> None:
    lines = [msh(message_type=("ADT", "A01"), control_id="1", at=AT)] + [segment("NTE", text) for text in texts]

    message = Message.parse(write(lines))

    assert [note.text(1) for note in message.all("NTE")] == texts
    assert write(part.raw for part in message.segments) == message.raw
