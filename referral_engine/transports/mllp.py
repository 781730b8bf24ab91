"""MLLP client: one owed message in, the peer's verdict out; one kept connection, one message in flight on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from typing import Protocol as Shape

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionRefusedError as PeerRefused
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from referral_engine.base.errors import MessageFault, WireError
from referral_engine.channels.naks import NakMeaning
from referral_engine.hl7.ack import read_ack
from referral_engine.hl7.mllp import END, enframe
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.transports.line import Dial, Line
from referral_engine.transports.reactor import Later, Timer
from referral_engine.transports.transport import Attempt, MayWrite, too_late
from referral_engine.transports.verdict import Step, answers_due, unframed, verdict

CONNECT_SECONDS_MAX: Final = 10.0  # to a finished TLS handshake; stops an address that swallows SYN

NOT_CONNECTED: Final = "no connection could be made"
REFUSED: Final = "the connection was refused"
CONNECT_LATE: Final = "no connection within the time allowed"
TLS_FAILED: Final = "the TLS handshake failed"
LOST: Final = "the connection was lost before an acknowledgment came"
ACK_LATE: Final = "no acknowledgment within the time allowed"
ACK_UNFINISHED: Final = "an answer began and did not end within the time allowed"
NO_ACK: Final = "what came back is no acknowledgment"
MISMATCH: Final = "MSA-2 named another message"
BROKEN_FRAMING: Final = "the answer broke framing"
STOPPED: Final = "the engine stopped before an acknowledgment came"
UNFRAMEABLE: Final = "the message contains a framing byte and cannot be sent"
NO_APPLICATION_ANSWER: Final = "the peer has the message in custody (CA); its application has not answered"
NO_ANSWER_DUE: Final = "the message asks for no acknowledgment of success, and no other came"
_UNFRAMED: Final = frozenset({"junk", "no-start-byte"})  # WireError's reasons for bytes outside any frame

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
    due: tuple[Step, ...] | None  # the answers of success; None: nothing is ever answered
    may_write: MayWrite
    result: Deferred[Attempt]
    sent: bool = False
    custody: bytes = b""  # the CA, while the application's answer is awaited
    later: Later | None = None


class MllpPeer:
    """A `Transport`: keeps one connection to a peer and settles each message on an acknowledgment that names it.

    Whatever is not such an acknowledgment closes the connection, so that a late one is never credited to another
    message; the attempt then comes back as RETRY, for the same bytes with the same MSH-10 may be sent again.
    The next connection is not begun before the last one is gone: a peer may accept one session only.
    """

    name = "mllp"
    repeats_safely = True  # by MSH-10

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
        nak: NakMeaning | None = None,
        trailer: bytes = END,
    ) -> None:
        """Talk to `endpoint`; `peer` ("host:port") is for the logs; `tls`: wait for the handshake before sending."""
        self._endpoint = endpoint
        self._timer = timer
        self._peer = peer
        self._tls = tls
        self._enhanced = enhanced
        self._ack_timeout_seconds = ack_timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._nak = nak or NakMeaning()
        self._trailer = trailer
        self._line: Line | None = None
        self._closing: Line | None = None  # cut, and not gone yet
        self._closed: list[Deferred[None]] = []
        self._connecting: Deferred[IProtocol] | None = None
        self._exchange: _Exchange | None = None
        self._listening = False  # to frames that came together
        self._settled: Callable[[], None] | None = None  # by one of them; its sender is told after the last

    def deliver(self, effect: EffectRow, may_write: MayWrite) -> Deferred[Attempt]:
        """Send `effect.body` in one frame and wait for the acknowledgment of `effect.wire_id`."""
        assert self._exchange is None, "one message in flight a connection"
        try:
            framed = enframe(effect.body, self._trailer)
        except WireError:
            return succeed(Attempt(outcome=Outcome.FAILED, reason=UNFRAMEABLE))
        due = answers_due(effect.body, enhanced=self._enhanced)
        if self._line is not None and not self._line.fit():
            self._cut()
        exchange = self._exchange = _Exchange(effect, framed, due, may_write, Deferred())
        if self._line is not None:
            self._send(exchange, self._line)
            return exchange.result
        exchange.later = self._timer.callLater(self._connect_timeout_seconds, self._too_late, exchange)
        if self._closing is None:
            self._connect(exchange)
        return exchange.result

    def stop(self) -> None:
        """Hang up; what is in flight is to be tried again."""
        self._fail(STOPPED)
        self._cut()

    def hang_up(self) -> Deferred[None]:
        """Close the kept connection, for somebody else needs the peer; fires when it is gone."""
        assert self._exchange is None, "not while a message is in flight"
        self._cut()
        if self._closing is None:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._closed.append(gone)
        return gone

    # The line calls these.

    def opened(self, line: Line) -> None:
        """The connection stands, with TLS its handshake too: send what waits."""
        if line is self._line and self._exchange is not None:
            self._send(self._exchange, line)

    def heard(self, line: Line, frames: list[bytes]) -> None:
        """The peer said something: the answer, or a reason to hang up."""
        self._listening = True
        used = 0
        for frame in frames:
            if line is self._line and self._exchange is not None:
                self._weigh(self._exchange, frame)
                used += 1
        fault = line.deframer.error
        if line is self._line and fault is not None:
            self._fail(self._junk(line) if fault.reason in _UNFRAMED else f"{BROKEN_FRAMING} ({fault.reason})")
            self._cut()
        elif line is self._line and self._exchange is None and (used < len(frames) or line.deframer.inside):
            _log.warning("A peer said more than an acknowledgment; hung up.", peer=self._peer, frames=len(frames))
            self._cut()
        self._listening = False
        settled, self._settled = self._settled, None
        if settled is not None:
            settled()

    def lost(self, line: Line) -> None:
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
            self._fail(self._junk(line) or LOST)
        else:
            self._fail(TLS_FAILED)  # without TLS it would have been sent by now

    def closed(self, line: Line) -> None:
        """A connection is gone: the next may begin."""
        if line is not self._closing:
            return
        self._closing = None
        gone, self._closed = self._closed, []
        for waiting in gone:
            waiting.callback(None)
        if self._exchange is not None and self._line is None:
            self._connect(self._exchange)

    # Our own.

    def _connect(self, exchange: _Exchange) -> None:
        line = self._line = Line(self, self._timer, tls=self._tls, end=self._trailer)
        connecting = self._connecting = self._endpoint.connect(Dial(line))
        connecting.addCallbacks(self._connected, self._not_connected, errbackArgs=(exchange,))

    def _connected(self, _protocol: object) -> None:
        self._connecting = None

    def _not_connected(self, failure: Failure, exchange: _Exchange) -> None:
        self._connecting = None
        if self._exchange is exchange:
            self._line = None
            self._fail(REFUSED if failure.check(PeerRefused) is not None else NOT_CONNECTED)

    def _send(self, exchange: _Exchange, line: Line) -> None:
        """The first byte leaves here and nowhere else."""
        if not exchange.may_write():
            self._finish(too_late())
            return
        exchange.sent = True
        self._await_answer(exchange)
        line.say(exchange.framed)

    def _await_answer(self, exchange: _Exchange) -> None:
        _cancel(exchange.later)
        seconds = self._ack_timeout_seconds if exchange.due is not None else 0.0
        exchange.later = self._timer.callLater(seconds, self._too_late, exchange)

    def _weigh(self, exchange: _Exchange, frame: bytes) -> None:
        """Settle the exchange on one frame, or go on waiting for the application's answer."""
        try:
            ack = read_ack(frame)
        except MessageFault:
            self._fail(NO_ACK, frame)
            self._cut()
            return
        if ack.control_id_bytes != exchange.effect.wire_id.encode():
            self._fail(MISMATCH, frame)
            self._cut()
        elif ack.code == "CA" and self._enhanced and not exchange.custody and "application" in (exchange.due or ()):
            exchange.custody = frame
            self._await_answer(exchange)
        else:
            self._finish(verdict(ack, frame, self._nak))

    def _too_late(self, exchange: _Exchange) -> None:
        """The time for the connection, or for the answer, is over."""
        if exchange is not self._exchange:
            return
        if exchange.custody:
            self._finish(Attempt(outcome=Outcome.HANDED_OVER, reason=NO_APPLICATION_ANSWER, reply=exchange.custody))
        elif exchange.sent and not exchange.due:
            self._finish(Attempt(outcome=Outcome.HANDED_OVER, reason=NO_ANSWER_DUE))
            return  # the line stays, for the last bytes may still be on their way
        else:
            reason = self._silence(exchange)
            _log.warning("A peer let the time pass.", peer=self._peer, wire_id=exchange.effect.wire_id, reason=reason)
            self._fail(reason)
            self._closing = None  # should a connection never end, the next attempt does not wait for it too
        self._cut()

    def _silence(self, exchange: _Exchange) -> str:
        """What was missing when the time was over."""
        if not exchange.sent or self._line is None:
            return CONNECT_LATE
        return ACK_UNFINISHED if self._line.deframer.inside else self._junk(self._line) or ACK_LATE

    def _junk(self, line: Line) -> str:
        """A sentence about what came outside any frame; "" when nothing did."""
        deframer = line.deframer
        return unframed(deframer.junk_bytes, deframer.junk_sample) if deframer.junk_bytes else ""

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

    def _cut(self) -> None:
        """Close what there is, without waiting for it."""
        connecting, self._connecting = self._connecting, None
        line, self._line = self._line, None
        if line is not None:
            if line.there:
                self._closing = line
            line.cut()
        if connecting is not None:
            connecting.cancel()


def _cancel(later: Later | None) -> None:
    if later is not None and later.active():
        later.cancel()
