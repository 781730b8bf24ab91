"""Answers against any message: ours can always be framed and names the message; a peer's is read or is a MessageFault."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.ack import AckError, acknowledge, read_ack, wanted
from referral_engine.hl7.message import Message
from referral_engine.hl7.mllp import Deframer, enframe

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_. ")


def target(raw: bytes) -> None:
    """The first byte chooses whether there is an error to tell; the rest is a message, and a peer's answer to read."""
    content = raw[2:]
    with suppress(MessageFault):
        read_ack(content)
    try:
        message = Message.parse(content)
    except MessageFault:
        return
    assert set(wanted(message.header, "AA")) <= {"commit", "application"}
    errors = [AckError(code="101", path="PID-3", sentence="is missing")] if raw[:1] == b"\x05" else []
    answer = acknowledge(
        message.header, message.delimiters, message.charset, code="AE" if errors else "AA", control_id="RE1", at=AT,
        text="is refused" if errors else "", errors=errors,
    )  # fmt: skip
    assert Deframer().feed(enframe(answer)) == [answer], "an answer goes through the wire"
    assert answer.endswith(b"\r"), "every segment is ended"
    assert b"\r\r" not in answer
    separator = message.delimiters.field.encode()
    lines = answer.split(b"\r")
    assert [line[:4] for line in lines[:2]] == [b"MSH" + separator, b"MSA" + separator]
    identity = message.header.control_id_bytes
    if identity and set(identity) <= PLAIN and len(identity) <= 20:
        assert lines[1].split(separator)[1:3] == [b"AE" if errors else b"AA", identity], (
            "MSA-2 is MSH-10, byte for byte"
        )
