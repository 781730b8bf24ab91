"""What an answer to our own message says about its delivery, typed answers included."""

from __future__ import annotations

import pytest

from referral_engine.channels.naks import NakMeaning
from referral_engine.hl7.ack import read_ack
from referral_engine.loop.events import Outcome
from referral_engine.transports.verdict import verdict


def answer(kind: str, *lines: str) -> bytes:
    return "\r".join([f"MSH|^~\\&|HEART|GRP|ENGINE|HUB|20260302||{kind}|H1|P|2.5.1", *lines, ""]).encode()


@pytest.mark.parametrize(
    ("frame", "outcome", "reason"),
    [
        (answer("ACK^O01", "MSA|AA|RE1"), Outcome.DELIVERED, "MSA-1 was AA"),
        (answer("ORR^O02", "MSA|AA|RE1", "ORC|OK|ORD77"), Outcome.DELIVERED, "MSA-1 was AA, ORC-1 was OK"),
        (answer("ORG^O20^ORG_O20", "MSA|AA|RE1", "ORC|UA|ORD77"), Outcome.DELIVERED, "MSA-1 was AA, ORC-1 was UA"),
        (answer("RRI^I12", "MSA|AA|RE1", "RF1|R"), Outcome.DELIVERED, "MSA-1 was AA, RF1-1 was R"),
        (answer("ORR^O02", "MSA|AA|RE1"), Outcome.DELIVERED, "MSA-1 was AA"),
        (answer("ORR^O02", "MSA|AA|RE1", "ORC|Roe, Jane"), Outcome.DELIVERED, "MSA-1 was AA"),
        (answer("ORR^O02", "MSA|AR|RE1", "ORC|UA|ORD77"), Outcome.FAILED, "MSA-1 was AR, ORC-1 was UA"),
    ],
)
def test_a_typed_answer_settles_a_sending_and_what_it_says_of_the_order_is_kept(
    frame: bytes, outcome: Outcome, reason: str
) -> None:
    attempt = verdict(read_ack(frame), frame, NakMeaning())

    assert (attempt.outcome, attempt.reason, attempt.reply) == (outcome, reason, frame)
