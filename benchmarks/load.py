"""An MLLP load generator, in a process of its own: sends, checks every answer, says how many a second and how late."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from benchmarks.messages import Made
from benchmarks.mixes import MIXES, streams

SILENCE_SECONDS_MAX: Final = 30.0  # after the last message; what is not answered by then is missing
_TRAILER: Final = b"\x1c\r"


@dataclass(kw_only=True)
class Tally:
    """What all connections of one run saw."""

    warm_at: float = 0.0  # answers before this are checked and not timed
    stop_at: float = float("inf")
    sent: int = 0
    verified: int = 0
    wrong: int = 0
    lost_connections: int = 0
    last_at: float = 0.0
    first_wrong: str = ""
    latencies: list[float] = field(default_factory=list)


class Sender(asyncio.Protocol):
    """One connection: `in_flight` messages without an answer, each answer compared with the oldest of them."""

    def __init__(self, made: Sequence[Made], tally: Tally, in_flight: int) -> None:
        self._frames = [(identity, b"\x0b" + message + _TRAILER) for identity, message in made]
        self._next = 0
        self._tally = tally
        self._in_flight = in_flight
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._rest = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def begin(self) -> None:
        for _ in range(self._in_flight):
            self._send(time.perf_counter())

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._rest += data
        while (end := self._rest.find(_TRAILER)) >= 0:
            answer, self._rest = self._rest[:end], self._rest[end + 2 :]
            self._check(answer, now)
            self._send(now)
        if not self._waiting:
            self._end()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.done.done():
            self._tally.lost_connections += 1
            self.done.set_result(None)

    @property
    def unanswered(self) -> int:
        return len(self._waiting)

    def _send(self, now: float) -> None:
        if self._next == len(self._frames) or now >= self._tally.stop_at:
            return
        identity, frame = self._frames[self._next]
        self._next += 1
        self._tally.sent += 1
        self._waiting.append((identity, now))
        self._transport.write(frame)

    def _check(self, answer: bytes, now: float) -> None:
        tally = self._tally
        identity, sent_at = self._waiting.popleft() if self._waiting else (b"", now)
        start = answer.find(b"\rMSA|")
        fields = answer[start + 5 : start + 60].split(b"\r", 1)[0].split(b"|") if start >= 0 else []
        if answer[:1] == b"\x0b" and len(fields) > 1 and fields[0] in (b"AA", b"CA") and fields[1] == identity:
            tally.verified += 1
        else:
            tally.wrong += 1
            tally.first_wrong = tally.first_wrong or repr(answer[:400])
        if now >= tally.warm_at:
            tally.latencies.append(now - sent_at)
            tally.last_at = now

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one run measured."""

    messages: int  # timed ones
    seconds: float
    messages_per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    verified: int  # with the right MSA-1 and MSA-2, those of the warm-up too
    wrong: int
    missing: int
    lost_connections: int
    first_wrong: str = ""  # made-up patients only, so it may be shown
    ran_dry: bool = False  # all messages were sent before the time was up


async def load(
    host: str, port: int, made: Sequence[Sequence[Made]], *, seconds: float, warm_seconds: float, in_flight: int
) -> Result:
    """Send for `seconds` after `warm_seconds` that do not count; one connection for each stream."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    senders = []
    for stream in made:
        _, sender = await loop.create_connection(lambda stream=stream: Sender(stream, tally, in_flight), host, port)  # type: ignore[misc]  # bound at once
        senders.append(sender)
    gc.freeze()
    gc.disable()
    began_at = time.perf_counter()
    tally.warm_at = tally.last_at = began_at + warm_seconds
    tally.stop_at = tally.warm_at + seconds
    for sender in senders:
        sender.begin()
    await asyncio.wait([sender.done for sender in senders], timeout=warm_seconds + seconds + SILENCE_SECONDS_MAX)
    spent = max(tally.last_at - tally.warm_at, 1e-9)
    late = sorted(tally.latencies)
    return Result(
        messages=len(late),
        seconds=round(spent, 3),
        messages_per_second=round(len(late) / spent, 1),
        p50_ms=percentile_ms(late, 0.50),
        p99_ms=percentile_ms(late, 0.99),
        max_ms=percentile_ms(late, 1.0),
        verified=tally.verified,
        wrong=tally.wrong,
        missing=tally.sent - tally.verified - tally.wrong,
        lost_connections=tally.lost_connections,
        first_wrong=tally.first_wrong,
        ran_dry=tally.last_at < tally.stop_at - 0.2,
    )


def percentile_ms(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered seconds lie, in milliseconds."""
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 3) if ordered else 0.0


def main() -> None:
    """Measure one listener and print one JSON object."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.load", description=main.__doc__)
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--mix", choices=MIXES, default="loop")
    options.add_argument("--connections", type=int, default=1)
    options.add_argument("--in-flight", type=int, default=1)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--warm-seconds", type=float, default=0.5)
    options.add_argument("--count", type=int, default=50_000, help="messages made before the clock starts")
    options.add_argument("--seed", type=int, default=1, help="another seed is other patients")
    options.add_argument("--on-signal", action="store_true", help="make the messages, then wait for a line on stdin")
    given = options.parse_args()
    made = streams(given.mix, connections=given.connections, count=given.count, seed=given.seed)
    if given.on_signal:
        print("made", file=sys.stderr, flush=True)
        sys.stdin.readline()
    result = asyncio.run(
        load(
            given.host,
            given.port,
            made,
            seconds=given.seconds,
            warm_seconds=given.warm_seconds,
            in_flight=given.in_flight,
        )
    )
    print(json.dumps(asdict(result)))
    sys.exit(1 if result.wrong or result.missing else 0)


if __name__ == "__main__":
    main()
