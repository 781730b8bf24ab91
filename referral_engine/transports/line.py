"""One connection to a peer: bytes in, frames out to its owner; and the factory that hands it to an endpoint."""

from __future__ import annotations

from typing import Final, cast
from typing import Protocol as Shape

from twisted.internet.interfaces import IAddress, IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from referral_engine.hl7.mllp import Deframer
from referral_engine.transports.reactor import Later, Timer
from referral_engine.transports.wire import Wire, closed_or_talking, keep_alive, write_now

ANSWER_BYTES_MAX: Final = 1024 * 1024  # an acknowledgment is small; stops a peer that never ends one
JUNK_BYTES_MAX: Final = 64 * 1024  # in a row; stops a peer that never begins one, leaves room for its log lines
LONE_FS_SECONDS: Final = 0.5  # when nothing follows an FS for so long, the frame has ended without its CR


class Owner(Shape):
    """Whom a line tells what happens to it."""

    def opened(self, line: Line) -> None:
        """The connection stands, with TLS its handshake too."""
        ...

    def heard(self, line: Line, frames: list[bytes]) -> None:
        """The peer said something."""
        ...

    def lost(self, line: Line) -> None:
        """The connection is gone, and not by our doing."""
        ...

    def closed(self, line: Line) -> None:
        """The connection is gone, by whose doing ever: the peer is free for another one."""
        ...


@implementer(IHandshakeListener)
class Line(Protocol):
    """One connection to the peer."""

    def __init__(self, owner: Owner, timer: Timer, *, tls: bool, end: bytes) -> None:
        """Tell `owner`; `end` is the trailer of the peer's frames."""
        self.deframer = Deframer(frame_bytes_max=ANSWER_BYTES_MAX, junk_bytes_max=JUNK_BYTES_MAX, end=end)
        self.there = False  # connected
        self._owner = owner
        self._timer = timer
        self._tls = tls
        self._ready = False  # and, with TLS, shaken hands
        self._cut = False
        self._later: Later | None = None

    def connectionMade(self) -> None:
        """Twisted's: connected, perhaps after we lost interest."""
        self.there = True
        if self._cut:
            self._wire().abortConnection()
            return
        keep_alive(self._wire())
        if not self._tls:
            self.handshakeCompleted()

    def handshakeCompleted(self) -> None:
        """Twisted's: what is written now is encrypted for the right peer."""
        self._ready = True
        self._owner.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Twisted's: bytes."""
        if self._cut:
            return
        self._forget_later()
        self._owner.heard(self, self.deframer.feed(data))
        if self.deframer.waits_for_cr and not self._cut:
            self._later = self._timer.callLater(LONE_FS_SECONDS, self._settle)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002  # how it ended changes nothing
        """Twisted's: gone."""
        self._forget_later()
        if not self._cut:
            self._settle()  # the close decides what the quiet would have
        self.there = self._ready = False
        if not self._cut:
            self._owner.lost(self)
        self._owner.closed(self)

    def fit(self) -> bool:
        """Whether a message may be sent on it: the peer has neither closed nor spoken in the meantime."""
        return self._ready and not closed_or_talking(self._wire())

    def say(self, framed: bytes) -> None:
        """Send."""
        write_now(self._wire(), framed)

    def cut(self) -> None:
        """Close it at once, and hear nothing more of it but that it is closed."""
        self._cut = True
        self._forget_later()
        if self.there:
            self._wire().abortConnection()

    def _settle(self) -> None:
        """Take a frame that ended without its CR."""
        frames = self.deframer.settle()
        if frames or self.deframer.error is not None:
            self._owner.heard(self, frames)

    def _forget_later(self) -> None:
        later, self._later = self._later, None
        if later is not None and later.active():
            later.cancel()

    def _wire(self) -> Wire:
        return cast("Wire", self.transport)


class Dial(Factory):
    """Gives the endpoint the line that was made for it."""

    noisy = False

    def __init__(self, line: Line) -> None:
        """Dial for `line`."""
        self._line = line

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: ARG002  # there is one peer
        """Twisted's: the protocol of the connection."""
        return self._line
