"""The fault proxy does to a connection what it says, and says how often it did."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from referral_engine.torture.ledger import Ledger
from referral_engine.torture.proxy import HOST, Mischief, Proxy
from referral_engine.torture.receivers import Receiver
from referral_engine.torture.wire import Cutter, framed

MESSAGE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|%d|P|2.5.1\rPID|1\r"
PATIENCE_SECONDS = 20.0
Talk = Callable[[int, Receiver], Awaitable[None]]


def through(mischief: Mischief | None, talk: Talk, seed: int = 7) -> tuple[Ledger, Counter[str]]:
    """Talk to a receiver through a proxy whose every connection gets this; what came, and what was counted."""

    async def play() -> tuple[Ledger, Counter[str]]:
        ledger, counts = Ledger(), Counter[str]()
        receiver = Receiver("ehr", ledger)
        proxy = Proxy(await receiver.open(), random.Random(seed), counts, share=1.0 if mischief else 0.0)
        proxy.mischiefs = (mischief,) if mischief else ()
        try:
            await asyncio.wait_for(talk(await proxy.open(), receiver), PATIENCE_SECONDS)
        finally:
            await proxy.close()
            await receiver.close()
        return ledger, counts

    return asyncio.run(play())


async def exchange(port: int, count: int) -> list[bytes]:
    """So many messages over one connection, each after the answer to the one before; the answers that came."""
    answers: list[bytes] = []
    reader, writer = await asyncio.open_connection(HOST, port)
    cutter = Cutter()
    try:
        for number in range(count):
            writer.write(framed(MESSAGE % number))
            await writer.drain()
            while len(answers) <= number:
                chunk = await reader.read(65536)
                if not chunk:
                    return answers
                answers += cutter.feed(chunk)
    except ConnectionError:
        pass
    finally:
        writer.close()
    return answers


@pytest.mark.parametrize("mischief", [None, Mischief.LATENCY, Mischief.DRIP])
def test_a_slow_network_changes_no_byte(mischief: Mischief | None) -> None:
    answers: list[bytes] = []

    async def talk(port: int, _receiver: Receiver) -> None:
        answers.extend(await exchange(port, 3))

    ledger, counts = through(mischief, talk)

    assert len(answers) == 3
    assert [sum(frames.values()) for frames in ledger.received["ehr"].values()] == [1, 1, 1]
    assert set(counts) == ({mischief.value} if mischief else set())


@pytest.mark.parametrize("mischief", [Mischief.CUT, Mischief.RESET, Mischief.BLACKHOLE])
def test_a_connection_that_breaks_breaks_for_good(mischief: Mischief) -> None:
    answers: list[bytes] = []

    async def talk(port: int, _receiver: Receiver) -> None:
        answers.extend(await exchange(port, 1_000))

    _, counts = through(mischief, talk)

    assert len(answers) < 1_000
    assert counts[mischief.value] == 1


def test_a_swallowed_answer_is_to_a_message_that_arrived() -> None:
    answers: list[bytes] = []

    async def talk(port: int, receiver: Receiver) -> None:
        exchanging = asyncio.create_task(exchange(port, 1_000))
        done, _ = await asyncio.wait({exchanging}, timeout=1.0)
        assert not done, "it waits for an answer"
        exchanging.cancel()
        await asyncio.gather(exchanging, return_exceptions=True)

    ledger, counts = through(Mischief.SWALLOW, talk)

    assert counts[Mischief.SWALLOW.value] == 1
    assert len(ledger.received["ehr"]) > len(answers)


def test_a_duplicate_arrives_twice_with_the_same_bytes() -> None:
    async def talk(port: int, _receiver: Receiver) -> None:
        await exchange(port, 20)

    ledger, counts = through(Mischief.DUPLICATE, talk)

    came = list(ledger.received["ehr"].values())
    assert all(len(frames) == 1 for frames in came), "one message has one fingerprint"
    assert 20 < sum(frames.total() for frames in came) <= 20 + counts[Mischief.DUPLICATE.value]


def test_garbage_stands_between_whole_messages() -> None:
    async def talk(port: int, _receiver: Receiver) -> None:
        await exchange(port, 20)

    ledger, counts = through(Mischief.GARBAGE, talk)

    assert counts[Mischief.GARBAGE.value] > 0
    assert len(ledger.received["ehr"]) == 20


def test_the_same_chance_brings_the_same_mischief() -> None:
    async def talk(port: int, _receiver: Receiver) -> None:
        await exchange(port, 1_000)

    first, second = (through(Mischief.CUT, talk, seed=11)[0] for _ in range(2))

    assert len(first.received["ehr"]) == len(second.received["ehr"])
