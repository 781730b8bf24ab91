"""Senders that never give up: new messages out, the unanswered again and again, and every answer into the ledger."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from referral_engine.torture.ledger import Ledger, Sent
from referral_engine.torture.proxy import HOST, junk, put
from referral_engine.torture.wire import START, Chance, Cutter, answered_for, framed, one_of

CHUNK_BYTES: Final = 65_536
ANSWER_SECONDS: Final = 5.0  # then real senders give up, and send again
PAUSE_SECONDS_MAX: Final = 0.3  # before another connection
WINDOW_MAX: Final = 8  # messages on their way at once, where a sender does not wait for each answer
AGAIN_SHARE: Final = 0.06  # of the sendings that repeat what was answered already
LIFE_MAX: Final = 60  # exchanges on one connection
FAULTS_OF_THE_WAY: Final = (OSError, TimeoutError, EOFError, ValueError)


@dataclass(slots=True)
class Source:
    """What makes new messages, for all senders together."""

    make: Callable[[], Sent]
    open: bool = True  # False: nothing new any more


class Sender:
    """One sender, on one connection at a time."""

    def __init__(self, source: Source, ledger: Ledger, chance: Chance, *, pause_seconds: float) -> None:
        """Take new messages from `source`, one about every `pause_seconds`."""
        self.waiting: deque[Sent] = deque()  # without an answer
        self.port = 0  # may be changed at any time
        self._source = source
        self._ledger = ledger
        self._chance = chance
        self._pause_seconds = pause_seconds
        self._answered: list[Sent] = []
        self._calm = False

    def calm_down(self) -> None:
        """From now on there is nothing new, and nothing on the way breaks: a stray answer is the engine's."""
        self._calm = True

    @property
    def settled(self) -> bool:
        """Whether every message has its answer."""
        return not self.waiting

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            with suppress(*FAULTS_OF_THE_WAY):
                await self._connected()
            await asyncio.sleep(self._chance.uniform(0.01, PAUSE_SECONDS_MAX))

    async def say_again(self, count: int) -> None:
        """Send some of what was answered once more, over one good connection; what comes back is in the ledger."""
        known = self._answered
        some = [one_of(self._chance, tuple(known)) for _ in range(min(count, len(known)))]
        with suppress(*FAULTS_OF_THE_WAY):
            reader, writer = await asyncio.open_connection(HOST, self.port)
            cutter, said = Cutter(), dict[bytes, Sent]()
            try:
                for one in some:
                    await self._exchange([one], reader, writer, cutter, said)
            finally:
                writer.close()

    async def _connected(self) -> None:
        """One connection's life."""
        chance = self._chance
        reader, writer = await asyncio.wait_for(asyncio.open_connection(HOST, self.port), ANSWER_SECONDS)
        cutter, said = Cutter(), dict[bytes, Sent]()
        window = 1 if chance.random() < 0.6 else chance.randrange(2, WINDOW_MAX + 1)
        try:
            for _ in range(chance.randrange(1, LIFE_MAX)):
                batch = self._next(window)
                if batch:
                    await self._exchange(batch, reader, writer, cutter, said)
                await asyncio.sleep(chance.uniform(0.0, 2.0) * self._pause_seconds * max(1, len(batch)))
        finally:
            writer.close()

    def _next(self, window: int) -> list[Sent]:
        """What goes out together: the unanswered first, then something new, now and then something answered."""
        batch = list(dict.fromkeys(self.waiting))[:window]
        while len(batch) < window and self._source.open and not self._calm:
            if self._answered and self._chance.random() < AGAIN_SHARE:
                known = self._answered[self._chance.randrange(0, len(self._answered))]
                if known not in batch:
                    batch.append(known)
                continue
            one = self._source.make()
            self.waiting.append(one)
            batch.append(one)
        return batch

    async def _exchange(
        self,
        batch: list[Sent],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        cutter: Cutter,
        said: dict[bytes, Sent],
    ) -> None:
        """Messages out together, their answers in.  Raises OSError, TimeoutError or EOFError when one is missing.

        said: everything that went out on this connection, by MSH-10.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        due = deque(batch)
        for one in batch:
            said[one.identity] = one
            one.sendings += 1
            await put(writer, framed(one.message))
        while due:
            chunk = await asyncio.wait_for(reader.read(CHUNK_BYTES), begun + ANSWER_SECONDS - loop.time())
            if not chunk:
                raise EOFError
            for answer in cutter.feed(chunk):
                self._hear(answer, due, said)
        self._ledger.slowest_answer_seconds = max(self._ledger.slowest_answer_seconds, loop.time() - begun)

    def _hear(self, answer: bytes, due: deque[Sent], said: dict[bytes, Sent]) -> None:
        """One answer: to the eldest that waits, else to one that was said twice on the way, else to nobody.

        What a proxy made up may be answered with anything; somebody else's answer is never in order.
        """
        identity = answered_for(answer)
        one = said.get(identity)
        if one is None:
            self._ledger.stray_answers += self._calm or identity in self._ledger.sent
            raise EOFError
        self._ledger.hear(one, answer)
        if one in due:
            if due[0] is not one:
                self._ledger.out_of_order.append(one.identity)
            due.remove(one)
        with suppress(ValueError):
            self.waiting.remove(one)
            self._answered.append(one)


async def vandal(port: Callable[[], int], chance: Chance, ledger: Ledger) -> None:
    """Bother the listener until cancelled: strangers' protocols, halves, bytes without an end, connections that sit."""
    while True:
        await asyncio.sleep(chance.uniform(0.2, 2.0))
        with suppress(*FAULTS_OF_THE_WAY):
            reader, writer = await asyncio.wait_for(asyncio.open_connection(HOST, port()), ANSWER_SECONDS)
            try:
                await put(writer, _nuisance(chance))
                ledger.faults["nuisance"] += 1
                await asyncio.wait_for(reader.read(CHUNK_BYTES), chance.uniform(0.05, 1.0))
            finally:
                writer.close()


def _nuisance(chance: Chance) -> bytes:
    whole = framed(b"MSH|^~\\&|NOBODY|NOWHERE|REFERRAL_ENGINE|SPRINGFIELD|20260101||ADT^A08|X" + b"1|P|2.5.1\r")
    return one_of(
        chance,
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(64),
            START + chance.randbytes(chance.randrange(1, 100_000)).replace(b"\x1c", b"?"),
            whole[: chance.randrange(1, len(whole) - 1)],
            junk(chance),
            b"",
        ),
    )
