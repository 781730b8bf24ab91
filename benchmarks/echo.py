"""An MLLP server that reads each message and acknowledges it, and keeps nothing: the upper limit of one reactor."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from typing import cast

from twisted.internet.protocol import Protocol, ServerFactory

from referral_engine.base.ident import control_id
from referral_engine.hl7.ack import acknowledge, wanted
from referral_engine.hl7.message import Message
from referral_engine.hl7.mllp import Deframer, enframe
from referral_engine.service.clock import install_monotonic
from referral_engine.transports.reactor import MainReactor
from referral_engine.transports.wire import Wire, keep_alive


class Echo(Protocol):
    """Answers AA to whatever can be parsed."""

    answered = 0

    def connectionMade(self) -> None:  # noqa: N802  # Twisted calls it
        self._deframer = Deframer()
        self._wire = cast("Wire", self.transport)
        keep_alive(self._wire)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  # Twisted calls it
        answers = [enframe(self._answer(frame)) for frame in self._deframer.feed(data)]
        self._wire.write(b"".join(answers))

    @classmethod
    def _answer(cls, frame: bytes) -> bytes:
        message = Message.parse(frame)
        wanted(message.header, "AA")
        cls.answered += 1
        return acknowledge(
            message.header,
            message.delimiters,
            message.charset,
            code="AA",
            control_id=control_id("RE", cls.answered, 0),
            at=datetime.now(UTC),
        )


def main() -> None:
    """Listen on a free loopback port, print it, and answer until the process is ended."""
    from twisted.internet import reactor as installed

    reactor = cast("MainReactor", installed)
    install_monotonic(reactor)
    factory = ServerFactory()
    factory.protocol = Echo
    factory.noisy = False
    port = reactor.listenTCP(0, factory, 128, "127.0.0.1")
    gc.freeze()
    print(getattr(port.getHost(), "port", 0), flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
