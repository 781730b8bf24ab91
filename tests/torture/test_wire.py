"""What the torture command knows of the wire it knows by itself; here it is held against the engine's own knowledge."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from referral_engine.hl7.ack import read_ack
from referral_engine.hl7.message import Message
from referral_engine.hl7.mllp import enframe
from referral_engine.torture import messages
from referral_engine.torture.ledger import Ledger
from referral_engine.torture.wire import Cutter, acknowledgment, answer_code, answered_for, control_id, framed
from tests.torture.budget import minutes, seconds

AT = datetime(2026, 3, 2, 15, tzinfo=UTC)
MADE = [make(number, AT) for make in (messages.order, messages.booking, messages.note) for number in (4, 6)]


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_cut_anywhere_gives_the_same_frames(seed: int) -> None:
    chance, cutter = random.Random(seed), Cutter()
    stream = b"junk".join(enframe(message) for message in MADE)

    frames: list[bytes] = []
    while stream:
        size = chance.randint(1, 400)
        frames += cutter.feed(stream[:size])
        stream = stream[size:]

    assert frames == MADE
    assert [framed(frame) for frame in frames] == [enframe(frame) for frame in frames]


@pytest.mark.parametrize("message", MADE, ids=lambda message: control_id(message).decode())
def test_the_engine_reads_what_it_is_sent_and_what_it_is_answered(message: bytes) -> None:
    parsed, ack = Message.parse(message), read_ack(acknowledgment(message))

    assert parsed.value("MSH-10").encode() == control_id(message)
    assert (ack.code, ack.control_id.encode()) == ("AA", control_id(message))
    assert answer_code(acknowledgment(message, "AE")) == b"AE"
    assert answered_for(acknowledgment(message)) == control_id(message)


def test_the_first_answer_counts_and_another_one_is_remembered() -> None:
    ledger = Ledger()
    one = ledger.send(MADE[0])
    first, second = acknowledgment(MADE[0]), acknowledgment(MADE[0], "AE")

    ledger.hear(one, first)
    ledger.hear(one, first)
    ledger.hear(one, second)

    assert (ledger.told, one.answer, one.answers) == (1, first, 3)
    assert ledger.changed_answers == [one.identity]


def test_each_long_test_takes_its_share_of_the_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORTURE_MINUTES", "12")

    assert minutes() == 12
    assert seconds(1 / 6) == 120
    assert seconds(1 / 1000) == 5, "a loop of a moment proves nothing"
