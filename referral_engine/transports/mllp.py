"""MLLP client: one owed message in, the peer's verdict out; one kept connection, one message in flight on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, cast
from typing import Protocol as Shape

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionRefusedError as PeerRefused
from twisted.internet.interfaces import IAddress, IHandshakeListener, IProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from referral_engine.base.errors import MessageFault, WireError
from referral_engine.hl7.ack import Ack, read_ack, wanted
from referral_engine.hl7.message import Message
from referral_engine.hl7.mllp import Deframer, enframe
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.transports.reactor import Later, Timer
from referral_engine.transports.transport import Attempt
from referral_engine.transports.wire import Wire, closed_or_talking, keep_alive, write_now

CONNECT_SECONDS_MAX: Final = 10.0  # to a finished TLS handshake; stops an address that swallows SYN
ANSWER_BYTES_MAX: Final = 1024 * 1024  # an acknowledgment is small; stops a peer that never ends one
JUNK_BYTES_MAX: Final = 64 * 1024
TRY_AGAIN_CODES: Final = frozenset({"206", "207"})  # table 0357: record locked, internal error

NOT_CONNECTED: Final = "no connection could be made"
REFUSED: Final = "the connection was refused"
CONNECT_LATE: Final = "no connection within the time allowed"
TLS_FAILED: Final = "the TLS handshake failed"
LOST: Final = "the connection was lost before an acknowledgment came; the fate of the message is unknown"
ACK_LATE: Final = "no acknowledgment within the time allowed; the fate of the message is unknown"
UNFRAMED: Final = "bytes came, but no start byte; the fate of the message is unknown"
NO_ACK: Final = "what came back is no acknowledgment; the fate of the message is unknown"
MISMATCH: Final = "MSA-2 named another message; the fate of this one is unknown"
BROKEN_FRAMING: Final = "the answer broke framing; the fate of the message is unknown"
STOPPED: Final = "the engine stopped before an acknowledgment came"
UNFRAMEABLE: Final = "the message contains a framing byte and cannot be sent"
NO_APPLICATION_ANSWER: Final = "the peer has the message in custody (CA); its application has not answered"

_log = structlog.get_logger()


class Endpoint(Shape):
    """Where the peer is: Twisted's IStreamClientEndpoint."""

    def connect(self, protocolFactory: Factory) -> Deferred[IProtocol]:
        """Connect, and let the factory build the protocol."""
        ...


@dataclass(slots=True)
class _Exchange:
    """One message and its answer."""

    effect: EffectRow
    framed: bytes
    result: Deferred[Attempt]
    sent: bool = False
    custody: bytes = b""  # the CA, while the application's answer is awaited
    later: Later | None = None


class MllpPeer:
    """A `Transport`: keeps one connection to a peer and settles each message on an acknowledgment that names it.

    Whatever is not such an acknowledgment closes the connection, so that a late one is never credited to another
    message; the attempt then comes back as RETRY, for the same bytes with the same MSH-10 may be sent again.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        timer: Timer,
        peer: str,
        tls: bool = False,
        enhanced: bool = False,
        ack_timeout_seconds: float,
        connect_timeout_seconds: float = CONNECT_SECONDS_MAX,
    ) -> None:
        """Talk to `endpoint`; `peer` ("host:port") is for the logs; `tls`: wait for the handshake before sending."""
        self._endpoint = endpoint
        self._timer = timer
        self._peer = peer
        self._tls = tls
        self._enhanced = enhanced
        self._ack_timeout_seconds = ack_timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._line: _Line | None = None
        self._connecting: Deferred[IProtocol] | None = None
        self._exchange: _Exchange | None = None
        self._listening = False  # to frames that came together
        self._settled: Callable[[], None] | None = None  # by one of them; its sender is told after the last

    def deliver(self, effect: EffectRow) -> Deferred[Attempt]:
        """Send `effect.body` in one frame and wait for the acknowledgment of `effect.wire_id`."""
        assert self._exchange is None, "one message in flight a connection"
        try:
            framed = enframe(effect.body)
        except WireError:
            return succeed(Attempt(outcome=Outcome.FAILED, reason=UNFRAMEABLE))
        result: Deferred[Attempt] = Deferred()
        exchange = self._exchange = _Exchange(effect, framed, result)
        if self._line is not None and self._line.fit():
            self._send(exchange, self._line)
        else:
            self._hang_up()
            self._connect(exchange)
        return result

    def stop(self) -> None:
        """Hang up; what is in flight is to be tried again."""
        self._fail(STOPPED)
        self._hang_up()

    # The line calls these.

    def opened(self, line: _Line) -> None:
        """The connection stands, with TLS its handshake too: send what waits."""
        if line is self._line and self._exchange is not None:
            self._send(self._exchange, line)

    def heard(self, line: _Line, frames: list[bytes]) -> None:
        """The peer said something: the answer, or a reason to hang up."""
        self._listening = True
        used = 0
        for frame in frames:
            if line is self._line and self._exchange is not None:
                self._weigh(self._exchange, frame)
                used += 1
        if line is self._line and line.deframer.error is not None:
            self._fail(BROKEN_FRAMING)
            self._hang_up()
        elif line is self._line and self._exchange is None and (used < len(frames) or line.deframer.inside):
            _log.warning("A peer said more than an acknowledgment; hung up.", peer=self._peer, frames=len(frames))
            self._hang_up()
        self._listening = False
        settled, self._settled = self._settled, None
        if settled is not None:
            settled()

    def lost(self, line: _Line) -> None:
        """The connection is gone, and not by our doing."""
        if line is not self._line:
            return
        self._line = None
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.custody:
            self._finish(Attempt(outcome=Outcome.HANDED_OVER, reason=NO_APPLICATION_ANSWER, reply=exchange.custody))
        elif exchange.sent:
            self._fail(LOST)
        else:
            self._fail(TLS_FAILED)  # without TLS it would have been sent by now

    # Our own.

    def _connect(self, exchange: _Exchange) -> None:
        line = self._line = _Line(self, tls=self._tls)
        exchange.later = self._timer.callLater(self._connect_timeout_seconds, self._too_late, exchange)
        connecting = self._connecting = self._endpoint.connect(_Dial(line))
        connecting.addCallbacks(self._connected, self._not_connected, errbackArgs=(exchange,))

    def _connected(self, _protocol: object) -> None:
        self._connecting = None

    def _not_connected(self, failure: Failure, exchange: _Exchange) -> None:
        self._connecting = None
        if self._exchange is exchange:
            self._line = None
            self._fail(REFUSED if failure.check(PeerRefused) is not None else NOT_CONNECTED)

    def _send(self, exchange: _Exchange, line: _Line) -> None:
        exchange.sent = True
        self._await_answer(exchange)
        line.say(exchange.framed)

    def _await_answer(self, exchange: _Exchange) -> None:
        _cancel(exchange.later)
        exchange.later = self._timer.callLater(self._ack_timeout_seconds, self._too_late, exchange)

    def _weigh(self, exchange: _Exchange, frame: bytes) -> None:
        """Settle the exchange on one frame, or go on waiting for the application's answer."""
        try:
            ack = read_ack(frame)
        except MessageFault:
            self._fail(NO_ACK, frame)
            self._hang_up()
            return
        if ack.control_id.strip() != exchange.effect.wire_id:
            self._fail(MISMATCH, frame)
            self._hang_up()
        elif ack.code == "CA" and self._enhanced and not exchange.custody and _answers_twice(exchange.effect.body):
            exchange.custody = frame
            self._await_answer(exchange)
        else:
            self._finish(_verdict(ack, frame))

    def _too_late(self, exchange: _Exchange) -> None:
        """The time for the connection, or for the answer, is over."""
        if exchange is not self._exchange:
            return
        if exchange.custody:
            self._finish(Attempt(outcome=Outcome.HANDED_OVER, reason=NO_APPLICATION_ANSWER, reply=exchange.custody))
        elif not exchange.sent:
            self._fail(CONNECT_LATE)
        else:
            junk = self._line is not None and self._line.deframer.junk_bytes > 0
            self._fail(UNFRAMED if junk else ACK_LATE)
        self._hang_up()

    def _fail(self, reason: str, reply: bytes = b"") -> None:
        """Nothing was confirmed: try again, and remember whether the peer may have it all the same."""
        if self._exchange is not None:
            sent = self._exchange.sent
            self._finish(Attempt(outcome=Outcome.RETRY, reason=reason, reply=reply, ambiguous=sent, unreachable=True))

    def _finish(self, attempt: Attempt) -> None:
        """Hand the attempt back when this side is at rest, for the next message comes at once."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        _cancel(exchange.later)
        if self._listening:
            self._settled = partial(exchange.result.callback, attempt)
        else:
            self._timer.callLater(0, exchange.result.callback, attempt)

    def _hang_up(self) -> None:
        connecting, self._connecting = self._connecting, None
        line, self._line = self._line, None
        if line is not None:
            line.cut()
        if connecting is not None:
            connecting.cancel()


def _verdict(ack: Ack, frame: bytes) -> Attempt:
    """What an acknowledgment of our message says about its delivery."""
    if ack.accepted:
        return Attempt(outcome=Outcome.DELIVERED, reason=f"MSA-1 was {ack.code}", reply=frame)
    if ack.error_code in TRY_AGAIN_CODES:
        return Attempt(outcome=Outcome.RETRY, reason=f"MSA-1 was {ack.code}, for a passing reason", reply=frame)
    return Attempt(outcome=Outcome.FAILED, reason=f"MSA-1 was {ack.code}", reply=frame)


def _answers_twice(body: bytes) -> bool:
    """Whether our message asks for the application's answer besides the accept acknowledgment (MSH-16)."""
    try:
        return "application" in wanted(Message.parse(body).header, "AA")
    except MessageFault:
        return False


def _cancel(later: Later | None) -> None:
    if later is not None and later.active():
        later.cancel()


@implementer(IHandshakeListener)
class _Line(Protocol):
    """One connection to the peer."""

    def __init__(self, owner: MllpPeer, *, tls: bool) -> None:
        self._owner = owner
        self._tls = tls
        self._there = False  # connected
        self._ready = False  # and, with TLS, shaken hands
        self._cut = False
        self.deframer = Deframer(frame_bytes_max=ANSWER_BYTES_MAX, junk_bytes_max=JUNK_BYTES_MAX)

    def connectionMade(self) -> None:
        self._there = True
        if self._cut:
            self._wire().abortConnection()
            return
        keep_alive(self._wire())
        if not self._tls:
            self.handshakeCompleted()

    def handshakeCompleted(self) -> None:
        self._ready = True
        self._owner.opened(self)

    def dataReceived(self, data: bytes) -> None:
        if not self._cut:
            self._owner.heard(self, self.deframer.feed(data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002  # how it ended changes nothing
        self._there = self._ready = False
        if not self._cut:
            self._owner.lost(self)

    def fit(self) -> bool:
        """Whether a message may be sent on it: the peer has neither closed nor spoken in the meantime."""
        return self._ready and not closed_or_talking(self._wire())

    def say(self, framed: bytes) -> None:
        write_now(self._wire(), framed)

    def cut(self) -> None:
        """Close it at once, and hear nothing more of it."""
        self._cut = True
        if self._there:
            self._wire().abortConnection()

    def _wire(self) -> Wire:
        return cast("Wire", self.transport)


class _Dial(Factory):
    """Gives the endpoint the line that was made for it."""

    noisy = False

    def __init__(self, line: _Line) -> None:
        self._line = line

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: ARG002  # there is one peer
        return self._line
