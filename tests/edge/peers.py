"""A scripted raw peer: what it sends, how long it waits, how it leaves; what it heard back."""

from __future__ import annotations

from dataclasses import dataclass

from referral_engine.hl7.mllp import Deframer
from tests.service.doubles import Bench, Wire


@dataclass(frozen=True)
class Wait:
    """Virtual seconds, passed one second at a time."""

    seconds: float


@dataclass(frozen=True)
class Leave:
    """The end of the connection: "half" closes its sending side only, "close" and "reset" both."""

    how: str = "close"


@dataclass(frozen=True)
class Chunks:
    """The same bytes in packets of this size."""

    stream: bytes
    size: int = 1


Act = bytes | Wait | Leave | Chunks


class Peer:
    """One connection to the listener of a bench, on virtual time."""

    def __init__(self, bench: Bench, address: str = "10.0.0.7") -> None:
        self.bench = bench
        self.wire: Wire = bench.must_connect(address)
        self._kernel: list[bytes] = []  # what was sent while nobody read

    def play(self, *script: Act) -> list[bytes]:
        """Do all that, let the reactor turn, and say what was heard since the start."""
        for act in script:
            self._do(act)
        self.bench.turn()
        while self._kernel and not self.wire.paused and not self.wire.ended:
            self.deliver()
            self.bench.turn()
        return self.heard()

    def heard(self) -> list[bytes]:
        """The answers so far, without their frames."""
        return Deframer().feed(self.wire.value())

    @property
    def ended(self) -> str:
        """How the listener ended it, "" while it stands."""
        return self.wire.ended

    def _do(self, act: Act) -> None:
        match act:
            case bytes():
                self._send(act)
            case Chunks(stream, size):
                for at in range(0, len(stream), size):
                    self._send(stream[at : at + size])
            case Wait(seconds):
                while seconds > 0:
                    step = min(seconds, 1.0)
                    self.bench.clock.advance(step)
                    seconds -= step
            case Leave("half"):
                self.wire.protocol.readConnectionLost()
            case Leave():
                self.wire.loseConnection()

    def _send(self, packet: bytes) -> None:
        self._kernel.append(packet)
        self.deliver()

    def deliver(self) -> None:
        """As a socket would: what nobody reads stays in the kernel, and nothing arrives where nobody is any more."""
        while self._kernel and not self.wire.paused and not self.wire.ended:
            self.wire.protocol.dataReceived(self._kernel.pop(0))
