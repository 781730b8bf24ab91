"""The benchmarks measure what they say: their messages are understood, and every answer is checked."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest

from benchmarks import messages
from benchmarks.door import KINDS, START, costs, made_of
from benchmarks.load import load, percentile_ms
from benchmarks.mixes import MIXES, streams
from benchmarks.rehearse import happenings, rehearse
from referral_engine.hl7.message import Message


@pytest.mark.parametrize("mix", MIXES)
def test_a_mix_is_the_same_for_the_same_seed_and_no_message_comes_twice(mix):
    made = streams(mix, connections=3, count=600, seed=5)
    again = streams(mix, connections=3, count=600, seed=5)
    other = streams(mix, connections=3, count=600, seed=6)

    identities = [identity for stream in made for identity, _ in stream]

    assert [identity for stream in again for identity, _ in stream] == identities
    assert len(set(identities)) == len(identities)
    assert not set(identities) & {identity for stream in other for identity, _ in stream}


def test_nearly_all_of_the_unrelated_mix_is_about_nobody_we_track():
    made = streams("unrelated", connections=1, count=2000, seed=1)[0]

    orders = Counter(Message.parse(message).header.message_code for _, message in made)["ORM"]

    assert 10 < orders < 100


def test_every_message_weighs_what_an_average_order_weighs():
    sizes = {len(message) for stream in streams("loop", connections=2, count=200, seed=1) for _, message in stream}

    assert min(sizes) > messages.MESSAGE_BYTES - 10
    assert max(sizes) < messages.MESSAGE_BYTES + 500


def test_the_door_is_measured_for_every_kind():
    found = costs(rounds=1, count=8, batches=(4,))

    assert [one.kind for one in found] == list(KINDS)
    assert all(one.us > one.own_us > 0 for one in found)


def test_a_rehearsal_answers_every_made_up_message():
    found = happenings(days=4, referrals_a_month=60, seed=1)

    result = rehearse(found, days=4)

    assert result["answers"] == {"right": len(found)}
    assert result["sendings"] > 0


def test_a_wrong_answer_is_counted_and_a_right_one_verified():
    made = made_of("order", 1, 4)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(4):
            frame = await reader.readuntil(b"\x1c\r")
            identity = frame.split(b"|")[9] if number else b"ANOTHER"
            writer.write(b"\x0bMSH|^~\\&|A\rMSA|AA|" + identity + b"\r\x1c\r")
        writer.close()

    async def run():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            return await load("127.0.0.1", port, [made], seconds=5, warm_seconds=0, in_flight=1)
        finally:
            server.close()

    result = asyncio.run(run())

    assert (result.verified, result.wrong, result.missing) == (3, 1, 0)


def test_a_percentile_is_a_value_that_was_seen():
    assert percentile_ms([0.001, 0.002, 0.010], 0.5) == 2.0
    assert percentile_ms([], 0.99) == 0.0


def test_made_up_times_are_aware():
    assert START.tzinfo is UTC
    assert datetime.now(UTC) > START
