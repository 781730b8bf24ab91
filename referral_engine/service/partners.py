"""Made-up partners on real sockets, for the demo: MLLP servers that answer as told, and a sender."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, ServerFactory
from twisted.python.failure import Failure

from referral_engine.base.clock import Clock
from referral_engine.hl7.ack import Code, acknowledge
from referral_engine.hl7.message import Message
from referral_engine.hl7.mllp import Deframer, enframe
from referral_engine.transports.reactor import OpenPort, Ports
from referral_engine.transports.wire import Wire

BACKLOG: Final = 16
_SPOKEN: Final[Mapping[str, Code]] = {"AA": "AA", "AE": "AE", "AR": "AR", "delivered": "AA"}


class Partner(ServerFactory):
    """One made-up EHR or specialist; `answers` is how it replies from now on."""

    noisy = False

    def __init__(self, name: str, clock: Clock, answers: str = "AA") -> None:
        """Be called `name` and answer with `answers`: AA, AE, AR; any other word is silence."""
        self.name = name
        self.clock = clock
        self.answers = answers
        self.received: list[bytes] = []
        self._bound: OpenPort | None = None

    def open(self, reactor: Ports, host: str) -> int:
        """Listen on a free port; its number."""
        self._bound = reactor.listenTCP(0, self, BACKLOG, host)
        return self.port

    @property
    def port(self) -> int:
        """The port it listens on; 0 when it does not."""
        return 0 if self._bound is None else int(getattr(self._bound.getHost(), "port", 0))

    def close(self) -> Deferred[None]:
        """Listen no more."""
        bound, self._bound = self._bound, None
        return (bound.stopListening() if bound else None) or succeed(None)

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: ARG002  # Twisted's signature
        """One connection."""
        return _PartnerLine(self)


class _PartnerLine(Protocol):
    def __init__(self, partner: Partner) -> None:
        self._partner = partner
        self._deframer = Deframer()

    def dataReceived(self, data: bytes) -> None:
        """Answer every frame."""
        for frame in self._deframer.feed(data):
            self._partner.received.append(frame)
            code = _SPOKEN.get(self._partner.answers)
            if code is not None:
                message = Message.parse(frame)
                control_id = f"{self._partner.name[:8]}{len(self._partner.received):06d}"
                ack = acknowledge(
                    message.header,
                    message.delimiters,
                    message.charset,
                    code=code,
                    control_id=control_id,
                    at=self._partner.clock.now(),
                )
                cast("Wire", self.transport).write(enframe(ack))


class Sender(Protocol):
    """Our side of a connection to the engine's listener: one frame out, one answer back, in order."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._deframer = Deframer()
        self._waiting: deque[Deferred[bytes]] = deque()

    def send(self, message: bytes) -> Deferred[bytes]:
        """Send one message; fires with the answer's bytes."""
        answer: Deferred[bytes] = Deferred()
        self._waiting.append(answer)
        cast("Wire", self.transport).write(enframe(message))
        return answer

    def dataReceived(self, data: bytes) -> None:
        """Hand answers to those who wait, first come first served."""
        for frame in self._deframer.feed(data):
            self._waiting.popleft().callback(frame)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  # Twisted's default
        """Tell everyone who waits."""
        while self._waiting:
            self._waiting.popleft().errback(reason)

    def hang_up(self) -> None:
        """Close."""
        if self.transport is not None:
            cast("Wire", self.transport).loseConnection()


SENDERS: Final = Factory.forProtocol(Sender)
SENDERS.noisy = False
