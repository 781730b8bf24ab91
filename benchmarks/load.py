"""An MLLP load generator, in a process of its own: sends, checks every answer, says how many a second and how late.

One epoll loop and plain sockets; frames and expected answers are made before the clock starts, so that what it costs a
message is little more than its two system calls.  It says what it cost, and how busy it was.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from benchmarks.messages import Made
from benchmarks.mixes import MIXES, streams

SILENCE_SECONDS_MAX: Final = 30.0  # after the last message; what is not answered by then is missing
CONNECT_SECONDS_MAX: Final = 10.0
READ_BYTES: Final = 256 * 1024
LOOK_SECONDS: Final = 0.05  # how often the clock is looked at while nobody answers
_TRAILER: Final = b"\x1c\r"
_VT: Final = 0x0B
_ACCEPTED: Final = b"\rMSA|AA|%b\r"  # what an answer holds nearly always; any other shape is looked at closely
_BEFORE: Final = len(b"\rMSA|AA|")


@dataclass(kw_only=True)
class Tally:
    """What all connections of one run saw."""

    warm_at: float = 0.0  # answers before this are checked and not timed
    stop_at: float = float("inf")
    repeat: bool = False  # begin again when all messages were sent; for peers that keep nothing
    sent: int = 0
    verified: int = 0
    wrong: int = 0
    lost_connections: int = 0
    last_at: float = 0.0
    first_wrong: str = ""
    latencies: list[float] = field(default_factory=list)


class Stream:
    """One connection: `in_flight` messages without an answer, each answer compared with the oldest of them."""

    __slots__ = ("_answered", "_expected", "_frames", "_next", "_rest", "_sent_at", "_tally", "_unsent", "wire")

    def __init__(self, wire: socket.socket, made: Sequence[Made], tally: Tally) -> None:
        self.wire = wire
        self._frames = [b"\x0b" + message + _TRAILER for _, message in made]
        self._expected = [_ACCEPTED % identity for identity, _ in made]
        self._tally = tally
        self._next = 0
        self._answered = 0
        self._sent_at: deque[float] = deque()
        self._rest = b""
        self._unsent = b""

    @property
    def blocked(self) -> bool:
        """Whether the kernel takes no more for now."""
        return bool(self._unsent)

    @property
    def waits(self) -> bool:
        """Whether an answer is owed."""
        return bool(self._sent_at)

    def send(self, count: int, now: float) -> None:
        """Send the next messages in one write."""
        tally, frames = self._tally, self._frames
        if now >= tally.stop_at:
            return
        if count > len(frames) - self._next:
            if tally.repeat and self._next == len(frames):
                self._next = 0
            count = min(count, len(frames) - self._next)
            if not count:
                return
        batch = frames[self._next] if count == 1 else b"".join(frames[self._next : self._next + count])
        self._next += count
        tally.sent += count
        if count == 1:
            self._sent_at.append(now)
        else:
            self._sent_at.extend([now] * count)
        self._write(batch)

    def flush(self) -> None:
        """The kernel takes more."""
        batch, self._unsent = self._unsent, b""
        self._write(batch)

    def _write(self, batch: bytes) -> None:
        if self._unsent:
            self._unsent += batch
            return
        try:
            sent = self.wire.send(batch)
        except BlockingIOError:
            sent = 0
        if sent < len(batch):
            self._unsent = batch[sent:]

    def receive(self) -> bool:
        """Check what came and send as many messages as were answered; False at the end of the connection."""
        try:
            came = self.wire.recv(READ_BYTES)
        except OSError:
            return False
        if not came:
            return False
        now = time.perf_counter()
        answers = (self._rest + came if self._rest else came).split(_TRAILER)
        self._rest = answers.pop()
        if answers:
            self._check(answers, now)
            self.send(len(answers), now)
        return True

    def _check(self, answers: Sequence[bytes], now: float) -> None:
        tally, expected, sent_at = self._tally, self._expected, self._sent_at
        at, timed = self._answered, now >= tally.warm_at
        for answer in answers:
            if at == len(expected):
                at = 0
            if (expected[at] in answer and answer[0] == _VT) or _is_accepted(answer, expected[at][_BEFORE:-1]):
                tally.verified += 1
            else:
                tally.wrong += 1
                tally.first_wrong = tally.first_wrong or repr(answer[:400])
            at += 1
            late = now - sent_at.popleft() if sent_at else 0.0
            if timed:
                tally.latencies.append(late)
        self._answered = at
        if timed:
            tally.last_at = now


def _is_accepted(answer: bytes, identity: bytes) -> bool:
    """The same question for answers of any other shape: AA or CA, and MSA-2 the MSH-10 sent, byte for byte."""
    start = answer.find(b"\rMSA|")
    fields = answer[start + 5 :].split(b"\r", 1)[0].split(b"|") if start >= 0 else []
    return answer[:1] == b"\x0b" and len(fields) > 1 and fields[0] in (b"AA", b"CA") and fields[1] == identity


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
    generator_us: float  # processor time of this process, a message
    generator_busy: float  # share of a core; near 1 means that the generator was measured, and not the server
    first_wrong: str = ""  # made-up patients only, so it may be shown
    ran_dry: bool = False  # all messages were sent before the time was up


def load(
    host: str,
    port: int,
    made: Sequence[Sequence[Made]],
    *,
    seconds: float,
    warm_seconds: float,
    in_flight: int,
    repeat: bool = False,
) -> Result:
    """Send for `seconds` after `warm_seconds` that do not count; one connection for each stream."""
    tally = Tally(repeat=repeat)
    by_number: dict[int, Stream] = {}
    for stream in made:
        wire = socket.create_connection((host, port), CONNECT_SECONDS_MAX)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.setblocking(False)
        by_number[wire.fileno()] = Stream(wire, stream, tally)
    gc.freeze()
    gc.disable()
    began_at, busy = time.perf_counter(), time.process_time()
    tally.warm_at = tally.last_at = began_at + warm_seconds
    tally.stop_at = tally.warm_at + seconds
    try:
        _run(by_number, tally, in_flight)
    finally:
        gc.enable()
        for one in by_number.values():
            one.wire.close()
    busy = time.process_time() - busy
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
        generator_us=round(busy / max(tally.verified + tally.wrong, 1) * 1e6, 1),
        generator_busy=round(busy / max(time.perf_counter() - began_at, 1e-9), 3),
        first_wrong=tally.first_wrong,
        ran_dry=tally.last_at < tally.stop_at - 0.2,
    )


def _run(by_number: dict[int, Stream], tally: Tally, in_flight: int) -> None:
    """Until every answer has come, every connection is gone, or nothing has come for too long."""
    epoll = select.epoll()
    for number, stream in by_number.items():
        epoll.register(number, select.EPOLLIN)
        stream.send(in_flight, time.perf_counter())
    waiting = set(by_number)
    give_up_at = tally.stop_at + SILENCE_SECONDS_MAX
    while waiting:
        for number, event in epoll.poll(LOOK_SECONDS):
            stream = by_number[number]
            if event & select.EPOLLOUT:
                stream.flush()
            if event & ~select.EPOLLOUT and not stream.receive():
                epoll.unregister(number)
                waiting.discard(number)
                tally.lost_connections += 1
                continue
            if not stream.waits:  # nothing more is sent on it
                epoll.unregister(number)
                waiting.discard(number)
                continue
            if stream.blocked or event & select.EPOLLOUT:
                epoll.modify(number, select.EPOLLIN | (select.EPOLLOUT if stream.blocked else 0))
        if time.perf_counter() > give_up_at:
            break
    epoll.close()


def percentile_ms(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered seconds lie, in milliseconds."""
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 3) if ordered else 0.0


def main() -> None:
    """Make messages, then measure one listener and print one JSON object; or one for each port that comes on stdin."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.load", description=main.__doc__)
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0, help="without one, ports are read from stdin, one a line")
    options.add_argument("--mix", choices=MIXES, default="change")
    options.add_argument("--connections", type=int, default=1)
    options.add_argument("--in-flight", type=int, default=1)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--warm-seconds", type=float, default=0.5)
    options.add_argument("--count", type=int, default=50_000, help="messages made before the clock starts")
    options.add_argument("--seed", type=int, default=1, help="another seed is other patients")
    options.add_argument("--repeat", action="store_true", help="begin again when all are sent: for what keeps nothing")
    given = options.parse_args()
    made = streams(given.mix, connections=given.connections, count=given.count, seed=given.seed)
    wrong = False
    for port in [given.port] if given.port else map(int, sys.stdin):
        result = load(
            given.host,
            port,
            made,
            seconds=given.seconds,
            warm_seconds=given.warm_seconds,
            in_flight=given.in_flight,
            repeat=given.repeat,
        )
        print(json.dumps(asdict(result)), flush=True)
        wrong = wrong or bool(result.wrong or result.missing)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
