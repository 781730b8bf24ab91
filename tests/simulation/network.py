"""A network in memory: ports, connections whose bytes take their time, and what goes wrong on the way, all seeded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, UserError
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import TimeoutError as TooLate
from twisted.internet.interfaces import IHalfCloseableDescriptor, IHalfCloseableProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.simulation.scheduler import Call, Scheduler

HOST: Final = "127.0.0.1"
STEP: Final = 1e-6  # seconds between two chunks that left together
CHUNKS_MAX: Final = 12  # of one write: one byte a packet is tried, for the first few


class Process(Protocol):
    """Whoever owns an end of a connection: once it is dead, it is told nothing and says nothing."""

    alive: bool

    def says(self, end: End, data: bytes) -> bool:
        """It is about to say this; False when it dies first."""
        ...


class Outside:
    """A process that never dies and whose words nobody looks at: every actor that is not the engine."""

    alive = True

    def says(self, end: End, data: bytes) -> bool:
        """Nothing to look at."""
        return True


OUTSIDE: Final = Outside()


@implementer(IHalfCloseableDescriptor)
class End:
    """One side of a connection, as a Twisted transport."""

    def __init__(self, net: Network, owner: Process, protocol: Any, port: int, *, accepted: bool) -> None:
        self.net = net
        self.owner = owner
        self.protocol = protocol
        self.port = port  # of the listening side
        self.accepted = accepted
        self.other: End
        self.heard: list[bytes] = []  # what the simulation makes of this end's words is kept by the owner
        self.hole = False  # what this side says vanishes
        self.stall = 0.0  # seconds that what this side says is held up, once
        self.reset_after = -1  # bytes of this side until the connection breaks; -1 for never
        self.said_bytes = 0
        self.open = True
        self._fin_sent = False
        self._arrives_at = 0.0
        self._reading = True
        self._waiting: deque[bytes | None] = deque()  # not delivered, for reading is paused; None is the end

    # What protocols call.

    def write(self, data: bytes) -> None:
        if not data or not self.open or self._fin_sent or not self.owner.alive:
            return
        if not self.owner.says(self, data):
            return
        if self.reset_after >= 0 and self.said_bytes + len(data) > self.reset_after:
            self._send(data[: max(self.reset_after - self.said_bytes, 0)])
            self.net.note(f"port {self.port}: the network breaks a connection")
            self.net.scheduler.later(self.net.latency(), self.break_off)
            self.hole = True
            return
        self._send(data)

    def writeSequence(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        if self.open and self.owner.alive:
            self._send_end()
            self.net.scheduler.later(0, self._ended, ConnectionDone())

    def loseWriteConnection(self) -> None:
        if self.open and self.owner.alive:
            self._send_end()
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self.net.scheduler.later(0, self._call, "writeConnectionLost")

    def abortConnection(self) -> None:
        if self.open and self.owner.alive:
            self.other.cut_off(self.net.latency())
            self.net.scheduler.later(0, self._ended, ConnectionAborted())

    def pauseProducing(self) -> None:
        self._reading = False

    def resumeProducing(self) -> None:
        self._reading = True
        self.net.scheduler.later(0, self._drain)

    def stopProducing(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Buffers are never full here: answers are small."""

    def unregisterProducer(self) -> None:
        """Nobody is told."""

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", HOST, self.port)

    def getHost(self) -> IPv4Address:
        return self.getPeer()

    # What the network does.

    def cut_off(self, delay: float) -> None:
        """A reset reaches this end."""
        self.net.scheduler.later(delay, self._ended, ConnectionLost())

    def break_off(self) -> None:
        """The network resets both ends."""
        self._ended(ConnectionLost())
        self.other._ended(ConnectionLost())

    def die(self) -> None:
        """The process behind this end is gone; what has left still travels, then the kernel closes."""
        if self.open:
            self.open = False
            self.net.forget(self)
            if not self._fin_sent:
                self.other.cut_off(max(self._arrives_at - self.net.scheduler.now, 0.0) + self.net.latency())

    def _send(self, data: bytes) -> None:
        self.said_bytes += len(data)
        if self.hole:
            return
        net = self.net
        held, self.stall = self.stall, 0.0
        at = max(self._arrives_at + STEP, net.scheduler.now + net.latency() + held)
        for chunk in net.chunks(data):
            net.scheduler.later(at - net.scheduler.now, self.other._arrived, chunk)
            at += STEP
        self._arrives_at = at

    def _send_end(self) -> None:
        if not self._fin_sent:
            self._fin_sent = True
            if not self.hole:
                at = self._arrives_at = max(self._arrives_at, self.net.scheduler.now + self.net.latency()) + STEP
                self.net.scheduler.later(at - self.net.scheduler.now, self.other._arrived, None)

    def _arrived(self, chunk: bytes | None) -> None:
        if self.open and self.owner.alive:
            self._waiting.append(chunk)
            self._drain()

    def _drain(self) -> None:
        while self._waiting and self._reading and self.open and self.owner.alive:
            chunk = self._waiting.popleft()
            if chunk is not None:
                self.protocol.dataReceived(chunk)
            elif IHalfCloseableProtocol.providedBy(self.protocol):
                self.protocol.readConnectionLost()
            else:
                self._ended(ConnectionDone())

    def _call(self, name: str) -> None:
        if self.open and self.owner.alive:
            getattr(self.protocol, name)()

    def _ended(self, reason: Exception) -> None:
        if not self.open:
            return
        self.open = False
        self.net.forget(self)
        if self.owner.alive:
            if not self._fin_sent and self.other.open:
                self.other.cut_off(self.net.latency())
            self.protocol.connectionLost(Failure(reason))


class OpenPort:
    """A port somebody listens on."""

    def __init__(self, net: Network, owner: Process, number: int, factory: Any) -> None:
        self.net = net
        self.owner = owner
        self.number = number
        self.factory = factory

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", HOST, self.number)

    def stopListening(self) -> None:
        if self.net.ports.get(self.number) is self:
            del self.net.ports[self.number]


class Connecting:
    """One attempt to connect, as Twisted's IConnector."""

    def __init__(self, net: Network, owner: Process, port: int, factory: Any, timeout: float) -> None:
        self._net = net
        self._owner = owner
        self._port = port
        self._factory = factory
        self._over = False
        factory.doStart()
        factory.startedConnecting(self)
        self._late: Call | None = None
        if net.swallows_syn(port):
            self._late = net.scheduler.later(timeout, self._failed, TooLate())
        else:
            net.scheduler.later(net.latency(), self._reach)

    def stopConnecting(self) -> None:
        self._failed(UserError())

    disconnect = stopConnecting

    def getDestination(self) -> IPv4Address:
        return IPv4Address("TCP", HOST, self._port)

    def _failed(self, reason: Exception) -> None:
        if not self._over:
            self._over = True
            if self._owner.alive:
                self._factory.clientConnectionFailed(self, Failure(reason))
                self._factory.doStop()

    def _reach(self) -> None:
        if self._over or not self._owner.alive:
            return
        ends = self._net.join(self._owner, self._port, self._factory)
        if ends is None:
            self._failed(Refused())
            return
        self._over = True


class Network:
    """Every port and every connection; the seed decides how long bytes travel and what breaks."""

    def __init__(self, scheduler: Scheduler, chance: Random, note: Callable[[str], None]) -> None:
        self.scheduler = scheduler
        self.note = note
        self.ports: dict[int, OpenPort] = {}
        self.ends: dict[End, None] = {}
        self.faults = 0.0  # share of connections that meet something
        self.slow_seconds = 0.05
        self.away: set[int] = set()  # ports nobody reaches: half of the time refused, half of the time swallowed
        self._chance = chance

    def latency(self) -> float:
        """How long a packet travels, in seconds; a few take much longer than the others."""
        longest = self.slow_seconds * (20 if self._chance.random() < 0.02 * bool(self.faults) else 1)
        return 0.0005 + self._chance.random() * longest

    def chunks(self, data: bytes) -> Iterator[bytes]:
        """How the bytes of one write come apart on the way."""
        if self._chance.random() < 0.7:
            yield data
            return
        start = 0
        for _ in range(CHUNKS_MAX):
            size = self._chance.choice((1, 1, 2, 7, 100, 1000))
            if start + size >= len(data):
                break
            yield data[start : start + size]
            start += size
        yield data[start:]

    def swallows_syn(self, port: int) -> bool:
        return port in self.away and self._chance.random() < 0.5

    def listen(self, owner: Process, number: int, factory: Any) -> OpenPort:
        """Open a port."""
        assert number not in self.ports, f"port {number} is taken"
        port = self.ports[number] = OpenPort(self, owner, number, factory)
        return port

    def join(self, owner: Process, number: int, factory: Any) -> tuple[End, End] | None:
        """Connect to a port; None when nobody takes the call."""
        port = self.ports.get(number)
        if port is None or not port.owner.alive or number in self.away:
            return None
        caller = factory.buildProtocol(IPv4Address("TCP", HOST, number))
        taker = port.factory.buildProtocol(IPv4Address("TCP", HOST, 40_000 + self.scheduler.made % 20_000))
        near, far = (
            End(self, owner, caller, number, accepted=False),
            End(self, port.owner, taker, number, accepted=True),
        )
        near.other, far.other = far, near
        self.ends |= {near: None, far: None}
        self._fate(near)
        self._fate(far)
        if taker is None:
            far.open = False
            near.cut_off(self.latency())
        else:
            taker.makeConnection(far)
        caller.makeConnection(near)
        return near, far

    def _fate(self, end: End) -> None:
        """What will happen to the words of one side of a new connection."""
        if self._chance.random() >= self.faults:
            return
        match self._chance.choice(("hole", "reset", "reset", "stall")):
            case "hole":
                self.scheduler.later(self._chance.random() * 10, self._swallow, end)
            case "reset":
                end.reset_after = int(self._chance.expovariate(1 / 4000))
            case "stall":
                end.stall = self._chance.random() * 8

    def _swallow(self, end: End) -> None:
        if self.faults and end.open:
            self.note(f"port {end.port}: from now on the {'answers' if end.accepted else 'messages'} vanish")
            end.hole = True

    def heal(self) -> None:
        """Nothing breaks any more; what is broken is reset."""
        self.faults = 0.0
        self.slow_seconds = 0.01
        self.away.clear()
        for end in list(self.ends):
            end.reset_after = -1
            if end.hole or end.other.hole:
                end.break_off()

    def kill(self, owner: Process) -> None:
        """A process died: its ports and its ends are gone."""
        for number in [number for number, port in self.ports.items() if port.owner is owner]:
            del self.ports[number]
        for end in [end for end in self.ends if end.owner is owner]:
            end.die()

    def forget(self, end: End) -> None:
        self.ends.pop(end, None)
