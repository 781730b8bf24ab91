"""Messages: read lazily, kept exactly, bounded, and refused only with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.batch import BATCH_MESSAGES_MAX, split_batch, stated_count
from referral_engine.hl7.message import CHOICES_MAX, SEGMENTS_MAX, Message, groups, write
from referral_engine.hl7.path import REPETITIONS_LOOKED_AT, Path, read_path
from referral_engine.hl7.segment import COMPONENTS_MAX, FIELDS_MAX, REPETITIONS_MAX, Segment

MSH = b"MSH|^~\\&|EHR^1.2.3^ISO|CLINIC|HUB|CENTRE|20260315091500-0500||ORM^O01^ORM_O01|C1|P^T|2.5.1|||AL|NE||8859/1"
ORDER = (
    MSH + b"\r"
    b"PID|1||123^^^EHR&1.2.3&ISO^MR~0045^^^X^SS||DOE^JOHN^Q||19850622|M|||1 ELM ST\r"
    b'PV1|1|O||""\r'
    b"ORC|NW|77^EHR\rOBR|1|77^EHR||CARD^Cardiology \\T\\ vessels^L~SECOND^Other\r"
    b"NTE|1||a^b\\.br\\c\rORC|NW|78^EHR\rOBR|2|78^EHR||DERM\rZRF|x|y\r"
)


def _first(message: Message, name: str) -> Segment:
    """The first segment of that name, which is there."""
    segment = message.first(name)
    assert segment is not None
    return segment


def test_the_header_says_what_msh_says() -> None:
    header = Message.parse(ORDER).header

    assert (header.sending_application, header.sending_facility) == ("EHR", "CLINIC")
    assert (header.receiving_application, header.receiving_facility) == ("HUB", "CENTRE")
    assert (header.message_code, header.trigger, header.type) == ("ORM", "O01", "ORM^O01")
    assert (header.control_id, header.control_id_bytes) == ("C1", b"C1")
    assert (header.processing_id, header.version, header.timestamp) == ("P", "2.5.1", "20260315091500-0500")
    assert (header.accept_ack, header.application_ack, header.declared_charset) == ("AL", "NE", "8859/1")
    assert header.raw_fields[3] == b"EHR^1.2.3^ISO"


def test_fields_are_numbered_as_in_the_standard() -> None:
    message = Message.parse(ORDER)

    assert _first(message, "MSH").field(1) == "|"
    assert _first(message, "MSH").text(2) == "^~\\&"
    assert _first(message, "MSH").components(2) == _first(message, "MSH").repetitions(2) == ["^~\\&"]
    assert message.value("MSH-9.2") == "O01"
    assert message.value("PID-3[2]") == "0045"
    assert message.value("PID-3.4.2") == "1.2.3"
    assert message.value("OBR-4.2") == "Cardiology & vessels"
    assert message.value("OBR-4[2].2") == "Other"
    assert message.value("OBR-99") == message.value("ZZZ-1") == message.value("PID-3[9].4.7") == ""
    assert _first(message, "PID").components(5) == ["DOE", "JOHN", "Q"]
    assert _first(message, "PID").repetitions(3) == ["123^^^EHR&1.2.3&ISO^MR", "0045^^^X^SS"]
    assert _first(message, "NTE").whole(3) == "a^b\nc"


def test_empty_and_null_are_told_apart() -> None:
    visit = _first(Message.parse(ORDER), "PV1")

    assert (visit.is_null(4), visit.is_empty(4), visit.text(4), visit.field(4)) == (True, False, "", '""')
    assert (visit.is_null(3), visit.is_empty(3), visit.is_empty(99)) == (False, True, True)


def test_segments_are_found_by_name_and_z_segments_are_kept() -> None:
    message = Message.parse(ORDER)

    assert [segment.name for segment in message.segments] == "MSH PID PV1 ORC OBR NTE ORC OBR ZRF".split()
    assert [segment.text(1) for segment in message.all("OBR")] == ["1", "2"]
    assert message.value("ZRF-2") == "y"
    assert message.first("IN1") is None
    assert message.all("IN1") == []


def test_groups_follow_position() -> None:
    message = Message.parse(ORDER)

    assert [[part.name for part in group] for group in groups(message, "OBR")] == [
        ["OBR", "NTE", "ORC"],
        ["OBR", "ZRF"],
    ]
    assert [[part.name for part in group] for group in groups(message, ("ORC", "OBR"))] == [
        ["ORC", "OBR", "NTE"],
        ["ORC", "OBR", "ZRF"],
    ]


def test_an_order_without_its_own_orc_begins_a_group_too() -> None:
    message = Message.parse(MSH + b"\rORC|1\rOBR|1\rOBR|2\rOBX|1\rORC|2\r")

    found = [[part.name for part in group] for group in groups(message, ("ORC", "OBR"))]

    assert found == [["ORC", "OBR"], ["OBR", "OBX"], ["ORC"]]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\r\r", b"\r\r\n", b"\n\n"])
def test_every_segment_end_in_use_is_understood(end: bytes) -> None:  # H060, H061
    message = Message.parse(ORDER.replace(b"\r", end))

    assert [segment.name for segment in message.segments] == "MSH PID PV1 ORC OBR NTE ORC OBR ZRF".split()
    assert message.header.declared_charset == "8859/1"


def test_lf_inside_a_field_is_text_where_the_feed_says_so() -> None:  # H060
    raw = MSH + b"\r\nOBX|1|TX|||line one\nline two|x\r\nOBX|2|TX|||other\r\n"

    message = Message.parse(raw, lf_ends_segments=False)

    assert [segment.text(5) for segment in message.all("OBX")] == ["line one\nline two", "other"]
    assert _first(message, "OBX").text(6) == "x"


@pytest.mark.parametrize("front", [b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf\r\n", b"\n\xef\xbb\xbf"])
def test_a_byte_order_mark_or_empty_lines_before_msh_are_tolerated(front: bytes) -> None:  # H068
    message = Message.parse(front + ORDER)

    assert message.segments[0].name == "MSH"
    assert message.header.control_id == "C1"
    assert write(message) == front + ORDER


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"MSH",
        b"MSH|",
        b"MSH|^~\\&",
        b"MSH|^~\\&|A|B|C|D|2026||",
        b"MSH|^~\\&|A|B|C|D|2026||^A01|1",
        b"hello " + ORDER,
        b" " + ORDER,
        b"SH|^~\\&|A",
        b"PID|1||7\r" + ORDER,
        b"\x00" + ORDER,
    ],
)
def test_a_message_without_usable_msh_is_a_fault_that_asks_for_a_reject(raw: bytes) -> None:  # H068
    with pytest.raises(MessageFault) as caught:
        Message.parse(raw)

    assert caught.value.reject
    assert caught.value.path.startswith("MSH")


def test_a_missing_control_id_is_no_fault() -> None:  # H045
    assert Message.parse(b"MSH|^~\\&|A|B|C|D|2026||ADT^A01").header.control_id_bytes == b""


def test_the_control_id_is_kept_byte_for_byte() -> None:  # H047
    header = Message.parse(b"MSH|@~\\&|A|B|C|D|2026||ADT@A01| a^b\\T\\\xe9 |P|2.3\r").header

    assert header.control_id_bytes == b" a^b\\T\\\xe9 "
    assert header.control_id == " a^b&é "


def test_unusual_delimiters_are_honoured() -> None:  # H062
    message = Message.parse(b"MSH#!@%*#S#F#R#F#2026##ADT!A01#7#P#2.5\rPID#1##12345!!!M*1.2!MR@9##DOE!JO%T%HN\r")

    assert message.header.type == "ADT^A01"
    assert (message.value("PID-3.4.2"), message.value("PID-3[2]"), message.value("PID-5.2")) == ("1.2", "9", "JO*HN")


def test_what_a_person_may_see_of_a_message_holds_no_patient() -> None:
    message = Message.parse(ORDER)

    assert "DOE" not in repr(message) + repr(message.segments)


@given(raw=st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: MSH + b"\r" + tail))
def test_any_bytes_parse_or_are_a_fault_and_an_untouched_message_is_written_as_it_came(raw: bytes) -> None:  # H064
    try:
        message = Message.parse(raw)
    except MessageFault:
        return
    assert write(message) == raw
    assert message.value("PID-3[2].4.1") == message.value("PID-3[2].4")
    assert all(segment.raw for segment in message.segments)


def test_with_fields_changes_only_the_places_named() -> None:  # H064
    message = Message.parse(ORDER)

    changed = message.with_fields(
        {
            "PID-5.2": "JO|HN",
            "PID-3[2].1": "9",
            "PID-3.4.2": "9.9",
            "ORC-2": "Z",
            "OBR-30": "far",
            "MSH-5": "X",
            "IN1-15": "PPO",
        },
    )

    expected = (
        ORDER.replace(b"JOHN", b"JO\\F\\HN")
        .replace(b"~0045", b"~9")
        .replace(b"EHR&1.2.3&", b"EHR&9.9&")
        .replace(b"ORC|NW|77^EHR", b"ORC|NW|Z")
        .replace(b"L~SECOND^Other\r", b"L~SECOND^Other" + b"|" * 26 + b"far\r")
        .replace(b"|HUB|", b"|X|")
    )
    assert changed == expected + b"IN1" + b"|" * 15 + b"PPO\r"


@pytest.mark.parametrize(("end", "last"), [(b"\r", b""), (b"\n", b""), (b"\r\n", b"\r\n"), (b"\r", b"\r")])
def test_an_added_segment_ends_as_the_others_do(end: bytes, last: bytes) -> None:
    raw = MSH + end + b"PID|1" + last

    assert (
        Message.parse(raw).with_fields({"ZZ1-1": "a", "ZZ1-2.2": "b"}) == MSH + end + b"PID|1" + end + b"ZZ1|a|^b" + end
    )


def test_a_value_outside_the_messages_character_set_is_a_fault_and_not_a_question_mark() -> None:
    message = Message.parse(ORDER)

    with pytest.raises(MessageFault) as caught:
        message.with_fields({"PID-5.1": "Łódź"})

    assert "Ł" not in str(caught.value)


@given(
    path=st.builds(
        Path,
        segment=st.sampled_from(["PID", "OBR", "IN1", "ZZZ"]),
        field=st.integers(1, 40),
        repetition=st.integers(0, 4),
        component=st.integers(1, 6),
        subcomponent=st.integers(0, 4),
    ),
    text=st.text(),
)
def test_what_with_fields_writes_is_what_value_reads(path: Path, text: str) -> None:
    message = Message.parse(ORDER.replace(b"8859/1", b"UNICODE UTF-8"))

    changed = Message.parse(message.with_fields({str(path): text}))

    expected = text if path.subcomponent or "&" not in changed.value(str(path)) else changed.value(str(path))
    assert changed.value(str(path)) == expected
    assert [part.name for part in changed.segments][:9] == [part.name for part in message.segments]


@pytest.mark.parametrize(
    "text",
    ["OBR-4", "OBR-4.1", "PID-3[2]", "PID-3[2].4.1", "ZZ1-120.3", "OBX[3.1=REFTO]-5.1", "NTE[2=REFER TO]-3[2].1"],
)
def test_a_path_prints_as_it_was_read(text: str) -> None:
    assert str(Path.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "PID", "PID-0", "pid-3", "PID.3", "PID-3.", "PID-3[0]", "PID-3-1", "PID-3.1.1.1", "OBX[]-5", "OBX[3]-5"],
)
def test_what_is_no_path_is_none(text: str) -> None:
    assert read_path(text) is None
    with pytest.raises(AssertionError):
        Path.parse(text)


@pytest.mark.parametrize("where", ["3=", "=A", "3=A][4=B", "3.1.1.1=A", "3==A", "0=A"])
def test_a_condition_that_says_nothing_makes_no_path(where: str) -> None:
    assert read_path(f"OBX[{where}]-5") is None


def test_a_million_segments_are_refused() -> None:  # H070
    with pytest.raises(MessageFault, match=f"more than {SEGMENTS_MAX} segments"):
        Message.parse(MSH + b"\r" * 1_000_000)


def test_a_million_fields_are_refused_when_they_are_read() -> None:  # H070
    message = Message.parse(MSH + b"\rPID" + b"|" * 1_000_000 + b"\rPV1|1\r")

    assert message.value("PV1-1") == "1"
    with pytest.raises(MessageFault, match=f"more than {FIELDS_MAX} fields"):
        message.value("PID-3")


def test_a_million_repetitions_or_components_are_refused_and_the_first_is_still_read() -> None:  # H070
    pid = _first(Message.parse(MSH + b"\rPID|1||7" + b"~8" * 1_000_000 + b"|9" + b"^9" * 1_000_000 + b"\r"), "PID")

    assert (pid.text(3), pid.text(3, repetition=3), pid.text(4, 2)) == ("7", "8", "9")
    with pytest.raises(MessageFault, match=f"PID-3: more than {REPETITIONS_MAX} repetitions"):
        pid.repetitions(3)
    with pytest.raises(MessageFault, match=f"PID-4: more than {COMPONENTS_MAX} components"):
        pid.components(4)


def test_a_header_of_a_million_fields_is_bounded() -> None:  # H070
    message = Message.parse(MSH + b"|x" * 1_000_000 + b"\r")

    assert message.header.control_id == "C1"
    assert len(message.header.raw_fields) < 100


def test_one_plain_message_is_its_own_batch() -> None:
    assert split_batch(ORDER) == [ORDER]
    assert split_batch(b"no header") == [b"no header"]
    assert split_batch(b"") == [b""]


def test_several_headers_in_one_frame_are_several_messages() -> None:  # H058
    assert split_batch(ORDER + ORDER + ORDER[:-1]) == [ORDER, ORDER, ORDER[:-1]]
    assert split_batch((ORDER + ORDER).replace(b"\r", b"\r\n")) == [ORDER.replace(b"\r", b"\r\n")] * 2


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_a_batch_is_unwrapped_and_its_count_is_read(end: bytes) -> None:  # H058
    batch = b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + ORDER + ORDER + b"BTS|2\rBHS|^~\\&\r" + ORDER + b"BTS|1\rFTS|2\r"

    messages = split_batch(batch.replace(b"\r", end))

    assert messages == [ORDER.replace(b"\r", end)] * 3
    assert stated_count(batch.replace(b"\r", end)) == 3
    assert all(Message.parse(message).header.control_id == "C1" for message in messages)


def test_an_empty_batch_holds_no_message() -> None:  # H058
    assert split_batch(b"BHS|^~\\&|A\rBTS|0\r") == []
    assert stated_count(ORDER) is None


def test_msh_inside_a_text_is_no_message() -> None:
    raw = ORDER + b"OBX|1|TX|||the MSH| segment\rMSHX|1\r"

    assert split_batch(raw) == [raw]
    assert split_batch(MSH + b"\rOBX|1|TX|||text\nMSH|^~\\&|quoted\r", lf_ends_segments=False) == [
        MSH + b"\rOBX|1|TX|||text\nMSH|^~\\&|quoted\r",
    ]


def test_a_frame_of_nothing_but_headers_is_refused() -> None:  # H070
    with pytest.raises(MessageFault, match=str(BATCH_MESSAGES_MAX)):
        split_batch(b"MSH|\r" * 100_000)


QUESTIONS = MSH + (
    b"\rOBX|1|ST|REASON^Why||rash\rOBX|2|ST|REFTO^Who||1234567893~7\rOBX|3|ST|REFTO^Who||9"
    b"\rPRD|RP|Sender|||||1^NPI\rPRD|PP~CP~RT|Taker|||||2^UPIN~3^NPI\rNTE|1|A\\T\\B|text\rZRF|x|y\r"
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("OBX[3.1=REFTO]-5.1", "1234567893"),  # the first of two
        ("OBX[3=REFTO]-5[2]", "7"),
        ("OBX[3.2=Why]-5", "rash"),
        ("PRD[1=RT]-7.1", "2"),  # any repetition of PRD-1
        ("PRD[1.1=RT]-7[2].1", "3"),
        ("PRD[1=RP]-7", "1"),
        ("NTE[2=A&B]-3", "text"),  # compared unescaped
        ("ZRF[1=x]-2", "y"),
        ("OBX[3.1=refto]-5.1", ""),  # letter for letter
        ("OBX[3.1=REF]-5.1", ""),
        ("AL1[1=1]-3", ""),
        ("OBX[9.1=REFTO]-5", ""),
    ],
)
def test_a_condition_says_which_of_several_segments_is_meant(path: str, value: str) -> None:
    assert Message.parse(QUESTIONS).value(path) == value


def test_a_condition_looks_at_a_bounded_number_of_segments_and_repetitions() -> None:  # H070
    lines = b"".join(b"\rOBX|1|ST|OTHER||a" for _ in range(CHOICES_MAX)) + b"\rOBX|2|ST|REFTO||b"
    roles = b"~".join([b"PP"] * REPETITIONS_LOOKED_AT + [b"RT"])

    assert Message.parse(MSH + lines).value("OBX[3.1=REFTO]-5") == ""
    assert Message.parse(MSH + b"\rPRD|" + roles + b"||||||9\r").value("PRD[1=RT]-7") == ""


def test_a_place_to_write_is_named_without_a_condition() -> None:
    with pytest.raises(AssertionError):
        Message.parse(QUESTIONS).with_fields({"OBX[3.1=REFTO]-5": "x"})
