"""Scripted receivers: an endpoint whose connections do what a script says, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from referral_engine.base.values import replace
from referral_engine.hl7.mllp import END, Deframer, enframe
from referral_engine.journal.rows import EffectRow

BODY = (
    b"MSH|^~\\&|REFERRAL_ENGINE|REFERRALS|B|C|20260105090000||ORM^O01|RE0000000101|P|2.5.1|||AL|AL\r"
    b"PID|1||123^^^X^MR||DOE^JANE\r"
)
EFFECT = EffectRow(
    id=7, referral="RE-0001", cause=1, ordinal=1, lane="cardio", transport="mllp", recipient="specialist",
    purpose="order", wire_id="RE0000000101", body=BODY, attempts=1, token=3,
)  # fmt: skip


def effect(**changes: Any) -> EffectRow:
    """One owed sending."""
    return replace(EFFECT, **changes)


def ack(code: str, control_id: str = EFFECT.wire_id, error: str = "") -> bytes:
    """An acknowledgment, unframed."""
    err = f"ERR|||{error}|E\r" if error else ""
    return f"MSH|^~\\&|B|C|A|D|20260105||ACK^O01^ACK|X1|P|2.5.1\rMSA|{code}|{control_id}\r{err}".encode()


class Wire(StringTransport):
    """The peer's end of one connection."""

    def __init__(self, protocol: Any, clock: Clock, end: bytes = END) -> None:
        super().__init__()
        self.protocol = protocol
        self.clock = clock
        self.open = True
        self.gone = False  # both sides know
        self.received: list[bytes] = []
        self._deframer = Deframer(end=end)

    def write(self, data: bytes) -> None:
        super().write(data)
        self.received += self._deframer.feed(data)

    def say(self, *chunks: bytes) -> None:
        """The peer sends."""
        for chunk in chunks:
            if self.open:
                self.protocol.dataReceived(chunk)

    def end(self, *, cleanly: bool = True) -> None:
        """The peer closes, or the network cuts."""
        if self.open:
            self.open = False
            self._lose(ConnectionDone() if cleanly else ConnectionLost())

    def abortConnection(self) -> None:
        """As Twisted's TCP does it: the protocol hears of it in the next turn."""
        if self.open:
            self.open = False
            self.clock.callLater(0, self._lose, ConnectionAborted())

    def _lose(self, error: Exception) -> None:
        self.gone = True
        self.protocol.connectionLost(Failure(error))

    def loseConnection(self) -> None:
        self.abortConnection()


class Office:
    """An endpoint. Each message is answered with the next entry of `script`: bytes to say, None for silence,
    "close" or "cut"."""

    def __init__(self, clock: Clock, script: Sequence[Any] = ()) -> None:
        self.clock = clock
        self.script = list(script)
        self.lines: list[Wire] = []
        self.refuses = False
        self.swallows = False
        self.end = END  # of its frames
        self.cancelled = 0

    def connect(self, factory: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred(self._cancel)
        if self.swallows:
            return result
        if self.refuses:
            self.clock.callLater(0, result.errback, Failure(Refused()))
            return result
        self.clock.callLater(0, self._open, factory, result)
        return result

    def _cancel(self, _result: Any) -> None:
        self.cancelled += 1

    def _open(self, factory: Any, result: Deferred[Any]) -> None:
        protocol = factory.buildProtocol(None)
        wire = Wire(protocol, self.clock, self.end)
        self.lines.append(wire)
        office = self

        def write(data: bytes) -> None:
            before = len(wire.received)
            Wire.write(wire, office.passes(wire, data))
            for message in wire.received[before:]:
                office.took(wire, message)

        wire.write = write  # type: ignore[method-assign]
        protocol.makeConnection(wire)
        result.callback(protocol)

    def passes(self, wire: Wire, data: bytes) -> bytes:
        """What of the bytes we send reaches the peer."""
        return data

    def took(self, wire: Wire, message: bytes) -> None:
        """A whole message arrived."""
        if self.script:
            self.clock.callLater(0, self._play, wire, self.script.pop(0))

    def _play(self, wire: Wire, step: Any) -> None:
        if step == "close":
            wire.end()
        elif step == "cut":
            wire.end(cleanly=False)
        elif isinstance(step, bytes):
            wire.say(step)
        elif step is not None:
            wire.say(*step)

    @property
    def received(self) -> list[bytes]:
        """Every message, over all connections."""
        return [message for line in self.lines for message in line.received]


def framed(*messages: bytes) -> bytes:
    """As on the wire."""
    return b"".join(enframe(message) for message in messages)
