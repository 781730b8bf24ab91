"""Acknowledgments: in the sender's own terms, exact where it counts, and never to an acknowledgment."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.ack import (
    ECHO_BYTES_MAX,
    AckError,
    Code,
    acknowledge,
    answer_for_unreadable,
    carries_ack,
    is_ack,
    read_ack,
    wanted,
)
from referral_engine.hl7.message import Message
from referral_engine.hl7.mllp import enframe

AT = datetime(2026, 3, 15, 14, 15, tzinfo=UTC)
MISSING = AckError(path="PID-3", code="101", sentence="no medical record number")
ODD_TYPE = AckError(path="MSH-9.2", code="201", sentence="this event is not handled here")


def _message(version: bytes = b"2.5.1", control_id: bytes = b"C1", more: bytes = b"") -> Message:
    """An order from CLINIC's EHR to us."""
    return Message.parse(
        b"MSH|^~\\&|EHR^1.2^ISO|CLINIC|HUB|CENTRE|2026||ORM^O01^ORM_O01|"
        + control_id
        + b"|T|"
        + version
        + more
        + b"\r",
    )


def _answer(message: Message, code: Code = "AA", text: str = "", errors: tuple[AckError, ...] = ()) -> bytes:
    """Our acknowledgment of it."""
    return acknowledge(
        message.header,
        message.delimiters,
        message.charset,
        code=code,
        control_id="K9",
        at=AT,
        text=text,
        errors=errors,
    )


def test_sender_and_receiver_change_places_and_the_rest_is_echoed() -> None:  # H045
    assert _answer(_message()) == (
        b"MSH|^~\\&|HUB|CENTRE|EHR^1.2^ISO|CLINIC|20260315141500+0000||ACK^O01^ACK|K9|T|2.5.1\rMSA|AA|C1\r"
    )


def test_our_own_name_may_stand_for_the_one_addressed() -> None:
    message = _message()

    raw = acknowledge(
        message.header,
        message.delimiters,
        message.charset,
        code="AA",
        control_id="K9",
        at=AT,
        sending_application="ME&CO",
        sending_facility="HERE",
    )

    assert raw.startswith(b"MSH|^~\\&|ME\\T\\CO|HERE|EHR^1.2^ISO|")


@pytest.mark.parametrize(
    ("version", "message_type"),
    [
        (b"2.1", b"ACK"),
        (b"2.2", b"ACK"),
        (b"2.3", b"ACK^O01"),
        (b"2.3.1", b"ACK^O01"),
        (b"2.4", b"ACK^O01^ACK"),
        (b"2.5.1^USA", b"ACK^O01^ACK"),
        (b"2.8.2", b"ACK^O01^ACK"),
        (b"2.10", b"ACK^O01^ACK"),
        (b"", b"ACK^O01"),
        (b"nonsense", b"ACK"),
    ],
)
def test_the_type_of_the_answer_follows_the_version(version: bytes, message_type: bytes) -> None:  # H046
    assert _answer(_message(version)).split(b"|")[8] == message_type


@pytest.mark.parametrize("control_id", [b"", b"  x  ", b"a^b&c~d", b"\\T\\", b"\xe9\xff", b"A" * 199, b"0007"])
def test_the_control_id_is_echoed_byte_for_byte(control_id: bytes) -> None:  # H047
    answer = _answer(_message(control_id=control_id), text="x")

    assert answer.split(b"\r")[1] == b"MSA|AA|" + control_id + b"|x"
    assert read_ack(answer).control_id_bytes == control_id


def test_an_endless_control_id_is_not_sent_back_whole() -> None:
    assert len(_answer(_message(control_id=b"A" * 1_000_000))) < ECHO_BYTES_MAX + 200


@pytest.mark.parametrize("version", [b"2.3", b"2.5.1"])
@pytest.mark.parametrize("errors", [(), (MISSING,), (MISSING, ODD_TYPE)])
def test_every_segment_ends_with_cr(version: bytes, errors: tuple[AckError, ...]) -> None:  # H048
    answer = _answer(_message(version), "AE", "no", errors)

    assert answer.endswith(b"\r")
    assert b"\n" not in answer
    assert b"\r\r" not in answer


def test_up_to_2_4_one_err_1_repeats_and_msa_6_carries_the_code() -> None:
    answer = _answer(_message(b"2.3"), "AE", "two problems", (MISSING, ODD_TYPE))

    assert answer.split(b"\r")[1:] == [
        b"MSA|AE|C1|two problems|||101^Required field missing^HL70357",
        b"ERR|PID^1^3^101&Required field missing&HL70357~MSH^1^9^201&Unsupported event code&HL70357",
        b"",
    ]


def test_from_2_5_each_problem_has_its_own_err() -> None:
    whole = AckError(path="", code="207", sentence="try again | later")

    answer = _answer(_message(b"2.5"), "AE", "", (MISSING, ODD_TYPE, whole))

    assert answer.split(b"\r")[1:] == [
        b"MSA|AE|C1",
        b"ERR||PID^1^3^1|101^Required field missing^HL70357|E||||no medical record number",
        b"ERR||MSH^1^9^1^2|201^Unsupported event code^HL70357|E||||this event is not handled here",
        b"ERR|||207^Application internal error^HL70357|E||||try again \\F\\ later",
        b"",
    ]


def test_the_answer_is_in_the_senders_delimiters_and_character_set() -> None:
    message = Message.parse("MSH#!@%*#Büro#F#R#F#2026##ADT!A01#7é#P#2.4######8859/1\r".encode("latin-1"))

    answer = _answer(message, text="é! #1")

    assert answer == (
        "MSH#!@%*#R#F#Büro#F#20260315141500+0000##ACK!A01!ACK#K9#P#2.4######8859/1\rMSA#AA#7é#é%S% %F%1\r"
    ).encode("latin-1")


@given(control_id=st.binary(max_size=40), version=st.sampled_from([b"2.2", b"2.4", b"2.6"]), text=st.text(max_size=90))
def test_any_answer_can_be_framed_and_read_back(control_id: bytes, version: bytes, text: str) -> None:
    control_id = control_id.translate(None, b"|\r\n\x0b\x1c")
    message = _message(version, control_id)

    answer = _answer(message, "AR", text, (MISSING,))
    ack = read_ack(answer)

    assert enframe(answer)
    assert (ack.code, ack.control_id_bytes, ack.error_code, ack.accepted) == ("AR", control_id, "101", False)


@pytest.mark.parametrize(
    ("accept", "application", "on_success", "on_error"),
    [
        ("", "", ("application",), ("application",)),
        ("AL", "NE", ("commit",), ("commit",)),
        ("AL", "", ("commit",), ("commit",)),
        ("NE", "AL", ("application",), ("application",)),
        ("AL", "AL", ("commit", "application"), ("commit", "application")),
        ("ER", "SU", ("application",), ("commit",)),
        ("SU", "ER", ("commit",), ("application",)),
        ("NE", "NE", (), ()),
        ("al", "yes", ("commit", "application"), ("commit", "application")),
        ('""', '""', ("application",), ("application",)),
    ],
)
def test_msh_15_and_16_are_obeyed(
    accept: str,
    application: str,
    on_success: tuple[str, ...],
    on_error: tuple[str, ...],
) -> None:  # H049
    header = _message(more=f"|||{accept}|{application}".encode()).header

    assert wanted(header, "AA") == wanted(header, "CA") == on_success
    assert wanted(header, "AE") == wanted(header, "CR") == on_error


@pytest.mark.parametrize("kind", [b"ACK", b"ACK^A01", b"ACK^A01^ACK", b"NAK", b"MCF", b"ack"])
def test_an_acknowledgment_is_recognised_by_its_type(kind: bytes) -> None:  # H053
    assert is_ack(Message.parse(b"MSH|^~\\&|A|B|C|D|2026||" + kind + b"|1|P|2.5\r").header)


def test_an_order_response_answers_but_is_no_plain_acknowledgment() -> None:  # H056
    response = Message.parse(b"MSH|^~\\&|A|B|C|D|2026||RRI^I12|1|P|2.5\rMSA|AA|C1|fine\r")

    assert not is_ack(response.header)
    assert carries_ack(response)
    assert not carries_ack(_message())
    assert (read_ack(response.raw).code, read_ack(response.raw).message_type) == ("AA", "RRI^I12")


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (b"ERR|||207^Internal^HL70357|E", "207"),
        (b"ERR|PID^1^3^101&Missing&HL70357", "101"),
        (b"ERR|", ""),
        (b"", ""),
    ],
)
def test_the_error_code_is_found_where_each_version_puts_it(tail: bytes, code: str) -> None:  # H043
    ack = read_ack(b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\rMSA|AE|C1|no\r" + tail)

    assert (ack.error_code, ack.text) == (code, "no")


def test_msa_6_is_an_error_code_too() -> None:
    assert read_ack(b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.3\rMSA|ae|C1|no|||204^x\r").error_code == "204"


@pytest.mark.parametrize(
    "raw",
    [b"", b"OK", b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\r", b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\rMSA|YES|1\r"],
)
def test_garbage_is_no_acknowledgment(raw: bytes) -> None:  # H038
    with pytest.raises(MessageFault):
        read_ack(raw)


def _unreadable(raw: bytes) -> bytes | None:
    """Our answer to a frame that could not be parsed."""
    return answer_for_unreadable(raw, control_id="K9", at=AT, sending_application="US")


@pytest.mark.parametrize("raw", [b"MSH", b"MSH|", b"PID|1||7\r", b"hello", b"\xff\xfe\x00", b"MSH|^^^^|A|B\r"])
def test_a_frame_without_usable_msh_gets_a_reject(raw: bytes) -> None:  # H044, H068
    answer = _unreadable(raw)

    assert answer is not None
    assert answer.startswith(b"MSH|^~\\&|US|")
    assert read_ack(answer).code == "AR"
    assert read_ack(answer).control_id_bytes == b""


@pytest.mark.parametrize("front", [b"", b"noise ", b"\x00", b"PID|1\r"])
def test_what_can_be_read_of_a_bad_header_is_echoed(front: bytes) -> None:  # H045, H068
    answer = _unreadable(front + b"MSH|@~\\&|A|B|C|D|2026|||77|P|2.3\r")

    assert answer is not None
    assert b"|US|D|A|B|" in answer
    assert answer.split(b"\r")[1].startswith(b"MSA|AR|77|no usable MSH segment")


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n", b"MSH|^~\\&|A\rMSA|AA|1\r", b"MSA|AA|1", b"x MSH|^~\\&|A|B|C|D|2026||ACK|1"]
)
def test_nothing_and_what_looks_like_an_acknowledgment_get_no_answer(raw: bytes) -> None:  # H017, H053
    assert _unreadable(raw) is None


@given(raw=st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: b"MSH|^~\\&|" + tail))
def test_any_unreadable_bytes_get_an_answer_that_can_be_framed_or_none(raw: bytes) -> None:  # H044
    answer = _unreadable(raw)

    assert answer is None or read_ack(enframe(answer)[1:-2]).code == "AR"
