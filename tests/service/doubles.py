"""Stand-ins for the floors below service: a step that records its batches, an executor the test drives, a transport."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from referral_engine.channels.engine import Listener
from referral_engine.channels.partner import ANYONE, Partner
from referral_engine.flow.inputs import Arrived, Input, Receipt, SetAside
from referral_engine.hl7.mllp import enframe
from referral_engine.service.busy import Busy, silence
from referral_engine.service.door import Door
from referral_engine.service.executor import SynchronousExecutor
from referral_engine.service.host import LocalHost
from referral_engine.service.listener import MllpListener


class RecordingStep:
    """Answers every message with "ACK " and its bytes; breaks on what it is told to break on."""

    def __init__(self) -> None:
        self.batches: list[list[Input]] = []
        self.committed: list[Input] = []
        self.breaks_on: dict[bytes, Exception] = {}
        self.fails_with: Exception | None = None
        self.answers: Callable[[Input], Receipt] | None = None

    def run(self, inputs: Sequence[Input]) -> list[Receipt]:
        self.batches.append(list(inputs))
        if self.fails_with is not None:
            raise self.fails_with
        for given in inputs:
            raw = given.raw if isinstance(given, Arrived) else b""
            if raw in self.breaks_on:
                raise self.breaks_on[raw]
        self.committed.extend(inputs)
        return [self._receipt(given) for given in inputs]

    def _receipt(self, given: Input) -> Receipt:
        if self.answers is not None:
            return self.answers(given)
        if isinstance(given, Arrived):
            return Receipt(answer=b"ACK " + given.raw)
        if isinstance(given, SetAside):
            return Receipt(answer=b"ASIDE " + given.arrived.raw)
        return Receipt()


class PausedExecutor:
    """Keeps the work until the test lets it run: a disk that takes its time."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def run(self, work: Callable[[], Any]) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.waiting.append((work, result))
        return result

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def let_one_run(self) -> None:
        work, result = self.waiting.pop(0)
        execute(work).chainDeferred(result)


class Wire(StringTransport):
    """A transport that remembers how it was ended, and ends."""

    def __init__(self, peer: str = "10.0.0.7") -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.ended = ""
        self.paused = False
        self.protocol: Any = None
        self.peer = peer

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def loseConnection(self) -> None:
        self._end("closed", ConnectionDone())

    def abortConnection(self) -> None:
        self._end("cut", ConnectionAborted())

    def _end(self, how: str, reason: Exception) -> None:
        if not self.ended:
            self.ended = how
            self.protocol.connectionLost(Failure(reason))


class Bench:
    """A listener over a door over a recording step, on a clock that the test moves."""

    def __init__(
        self,
        *,
        executor: Any = None,
        settings: Listener | None = None,
        partners: Mapping[str, Partner] | None = None,
        busy: Busy = silence,
        descriptors_max: int = 0,
        step: Any = None,
        **door: Any,
    ) -> None:
        self.clock = Clock()
        self.step = step or RecordingStep()
        host = LocalHost(step=self.step, read=lambda: None, executor=executor or SynchronousExecutor())
        self.door = Door(host=host, clock=self.clock, **door)
        settings = settings or Listener()
        context: Any = object() if settings.tls else None  # never used: nothing is listening
        known = partners or {}
        self.listener = MllpListener(
            settings, door=self.door, clock=self.clock, tls=context, busy=busy, descriptors_max=descriptors_max,
            partner_of=lambda peer, _certificates: known.get(peer, ANYONE),
        )  # fmt: skip
        self.door.on_batch.append(self.listener.flush)
        self.door.on_room.append(self.listener.resume)
        self.door.on_fenced.append(self.listener.drop)
        self.listener._looking.start(1.0, now=False)

    def connect(self, peer: str = "10.0.0.7") -> Wire | None:
        from twisted.internet.address import IPv4Address

        connection = self.listener.buildProtocol(IPv4Address("TCP", peer, 40_000))
        if connection is None:
            return None
        wire = Wire(peer)
        wire.protocol = connection
        connection.makeConnection(wire)
        return wire

    def must_connect(self, peer: str = "10.0.0.7") -> Wire:
        wire = self.connect(peer)
        assert wire is not None
        return wire

    def turn(self) -> None:
        self.clock.advance(0)


def framed(*messages: bytes) -> bytes:
    return b"".join(enframe(message) for message in messages)
