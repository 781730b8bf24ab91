"""Everybody around the engine: senders who insist on an answer, receivers who misbehave, people who do their tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory
from twisted.python.failure import Failure

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.ack import read_ack
from referral_engine.hl7.mllp import Deframer, enframe
from tests.simulation.ledgers import Ledger, Received, Told
from tests.simulation.network import OUTSIDE, Connecting, Network
from tests.simulation.scheduler import Scheduler

PATIENCE_SECONDS: Final = 5.0  # real senders send again after so long without an answer
AGAIN_SECONDS: Final = 0.4  # between two connections
TAKEN: Final = frozenset({"AA", "late", "swallowed", "cut", "twice"})  # moods in which a receiver keeps a message
JUNK: Final = (
    b"\x0bMSH|^~\\&|half a message and then nothing",
    b"GET / HTTP/1.1\r\nHost: engine\r\n\r\n",
    b"\x0b\x1c\r",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)


@dataclass(slots=True, kw_only=True)
class Around:
    """What every actor needs of the simulation."""

    scheduler: Scheduler
    net: Network
    chance: Random
    ledger: Ledger
    note: Callable[[str], None]
    findings: list[str]
    troubled: bool = True  # whether actors misbehave


class Sender:
    """Sends its messages in order and the same bytes again until each has a positive answer."""

    def __init__(self, around: Around, name: str, port: int, *, window: int = 1) -> None:
        self.name = name
        self.port = port
        self.window = window  # messages it sends without waiting
        self.waiting: deque[bytes] = deque()
        self._around = around
        self._line: _SenderLine | None = None
        self._connecting = False
        self.patience = PATIENCE_SECONDS
        around.scheduler.later(0.0, self._watch)

    def send(self, raw: bytes) -> None:
        """One more message."""
        self.waiting.append(raw)
        self.go_on()

    def go_on(self) -> None:
        """Connect if need be, and say what may be said."""
        if self._line is not None:
            self._line.say()
        elif self.waiting and not self._connecting:
            self._connecting = True
            around = self._around
            factory = _OneLine(self._new_line, self._no_line)
            Connecting(around.net, OUTSIDE, self.port, factory, 3.0)

    def lost(self, line: _SenderLine) -> None:
        """A connection is gone: what has no answer is sent again, the same bytes."""
        if line is self._line:
            self._line = None
            self._around.scheduler.later(AGAIN_SECONDS * self._around.chance.random(), self.go_on)

    def heard(self, line: _SenderLine, frame: bytes) -> None:
        """An answer, which must be to the oldest message without one."""
        around = self._around
        if not line.unanswered:
            around.findings.append(f"{self.name}: an answer to nothing")
            return
        raw, _ = line.unanswered.popleft()
        try:
            ack = read_ack(frame)
        except MessageFault:
            around.findings.append(f"{self.name}: what came back is no acknowledgment")
            return
        asked = raw.split(b"\r", 1)[0].split(b"|")
        if len(asked) > 9 and raw.startswith(b"MSH") and ack.control_id.encode() != asked[9]:
            around.findings.append(f"{self.name}: the answer names another message")
        around.ledger.told.append(Told(raw=raw, answer=frame, code=ack.code))
        if self.waiting and self.waiting[0] == raw:
            self.waiting.popleft()
        if around.troubled and around.chance.random() < 0.05:
            self.waiting.append(raw)  # it forgets that it had an answer, and asks again some day
        self.go_on()

    def _new_line(self) -> _SenderLine:
        self._connecting = False
        self._line = _SenderLine(self, self._around)
        return self._line

    def _no_line(self) -> None:
        self._connecting = False
        self._around.scheduler.later(AGAIN_SECONDS, self.go_on)

    def _watch(self) -> None:
        """Every now and then: is an answer overdue?"""
        line = self._line
        if line is not None and line.unanswered and line.unanswered[0][1] + self.patience < self._around.scheduler.now:
            line.hang_up()
        self._around.scheduler.later(0.5, self._watch)


class _SenderLine(Protocol):
    """One connection of a sender."""

    def __init__(self, sender: Sender, around: Around) -> None:
        self._sender = sender
        self._around = around
        self._deframer = Deframer()
        self._there = False
        self._said = 0  # of the sender's waiting messages
        self.unanswered: deque[tuple[bytes, float]] = deque()

    def connectionMade(self) -> None:
        self._there = True
        around = self._around
        if around.troubled and around.chance.random() < 0.04:
            self.transport.write(around.chance.choice(JUNK))
            around.note(f"{self._sender.name} talks nonsense")
        self.say()

    def say(self) -> None:
        """Send what the window allows."""
        sender, around = self._sender, self._around
        while self._there and len(self.unanswered) < min(sender.window, len(sender.waiting)):
            raw = sender.waiting[len(self.unanswered)]
            self.unanswered.append((raw, around.scheduler.now))
            self.transport.write(enframe(raw))
            if around.troubled and around.chance.random() < 0.01:
                self.transport.loseWriteConnection()  # it has said everything, and still listens
                return

    def dataReceived(self, data: bytes) -> None:
        for frame in self._deframer.feed(data):
            self._sender.heard(self, frame)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._there = False
        self._sender.lost(self)

    def hang_up(self) -> None:
        self.transport.abortConnection()


class _OneLine(ClientFactory):
    noisy = False

    def __init__(self, build: Callable[[], Protocol], failed: Callable[[], None]) -> None:
        self._build = build
        self._failed = failed

    def buildProtocol(self, addr: Any) -> Protocol:
        return self._build()

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        self._failed()


class Receiver(ServerFactory):
    """The other end of a lane: keeps a ledger, knows a message by MSH-10, and answers as it pleases."""

    noisy = False

    def __init__(self, around: Around, lane: str, port: int, acts: Callable[[bytes], None] = lambda _: None) -> None:
        """Listen on `port`; `acts` hears each message once, when it is first understood."""
        self.lane = lane
        self._around = around
        self._acts = acts
        self._known: set[str] = set()
        around.net.listen(OUTSIDE, port, self)

    def buildProtocol(self, addr: Any) -> Protocol:
        return _ReceiverLine(self)

    def heard(self, line: _ReceiverLine, frame: bytes) -> None:
        """One message: write it down, act on it once, answer somehow."""
        around = self._around
        wire_id = frame.split(b"|", 10)[9].decode()
        mood = self._mood()
        taken = mood in TAKEN
        around.ledger.received.append(Received(lane=self.lane, wire_id=wire_id, body=frame, taken=taken))
        if taken and wire_id not in self._known:
            self._known.add(wire_id)
            self._acts(frame)
        delay = 0.01 + around.chance.random() * 0.1
        match mood:
            case "AA" | "AR":
                self._say(line, delay, _ack(mood, wire_id))
            case "AE":
                self._say(line, delay, _ack("AE", wire_id, "207"))
            case "late":
                self._say(line, 3.0 + around.chance.random() * 4, _ack("AA", wire_id))
            case "other":
                self._say(line, delay, _ack("AA", "NOT" + wire_id[3:]))
            case "junk":
                self._say(line, delay, b"<html>502</html>")
            case "cut":
                around.scheduler.later(delay, line.hang_up)
            case "twice":
                self._say(line, delay, _ack("AA", wire_id))
                self._say(line, delay, _ack("AA", wire_id))

    def _mood(self) -> str:
        if not self._around.troubled:
            return "AA"
        moods = ("AA",) * 14 + ("late", "swallowed", "AE", "AE", "AR", "other", "junk", "cut", "twice")
        return self._around.chance.choice(moods)

    def _say(self, line: _ReceiverLine, delay: float, ack: bytes) -> None:
        self._around.scheduler.later(delay, line.say, ack)


class _ReceiverLine(Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._deframer = Deframer()
        self._there = True

    def dataReceived(self, data: bytes) -> None:
        for frame in self._deframer.feed(data):
            self._receiver.heard(self, frame)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._there = False

    def say(self, ack: bytes) -> None:
        if self._there:
            self.transport.write(enframe(ack))

    def hang_up(self) -> None:
        if self._there:
            self.transport.abortConnection()


def _ack(code: str, control_id: str, error: str = "") -> bytes:
    more = f"ERR|||{error}|E\r" if error else ""
    return f"MSH|^~\\&|B|C|A|D|20260302||ACK|X{control_id}|P|2.5.1\rMSA|{code}|{control_id}\r{more}".encode()
