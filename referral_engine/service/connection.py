"""One MLLP connection: bytes in, frames to the door, framed answers out, in the order the frames came."""

from __future__ import annotations

from collections import deque
from typing import Final, cast
from typing import Protocol as Shape

from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from referral_engine.base.errors import JournalError, WireError
from referral_engine.flow.inputs import Arrived, Input, Receipt
from referral_engine.hl7.mllp import Deframer, enframe
from referral_engine.service.counts import ListenerCounts
from referral_engine.service.door import Waiter
from referral_engine.service.logs import Sparingly, where
from referral_engine.transports.reactor import Timer
from referral_engine.transports.wire import Wire, keep_alive, write_now

IN_FLIGHT_MAX: Final = 32  # frames of one connection without an answer; stops a pipelining sender, who then waits
FRAME_SECONDS_MAX: Final = 60.0  # a frame begun must end; stops slow drips from holding connections
HANDSHAKE_SECONDS_MAX: Final = 10.0  # stops a peer that opens TLS and says nothing
WRITE_STALL_SECONDS_MAX: Final = 60.0  # stops a peer that sends and never reads its answers
CLOSE_SECONDS_MAX: Final = 5.0  # from our close to the peer's; then the connection is cut
SETTLE_SECONDS: Final = 0.25  # after FS without CR: how long the CR may take


class Doorway(Shape):
    """What a connection needs of the door."""

    @property
    def full(self) -> bool:
        """Whether to stop reading."""
        ...

    def put(self, given: Input, waiter: Waiter) -> None:
        """Tell `waiter` when the input is committed."""
        ...


class House(Shape):
    """What a connection needs of its listener."""

    counts: ListenerCounts
    sparingly: Sparingly

    def ready(self, connection: MllpConnection) -> None:
        """An answer can be written: call `flush` when the batch's receipts are out."""
        ...

    def waits(self, connection: MllpConnection) -> None:
        """Reading stopped because the door is full: call `proceed` when it has room."""
        ...

    def crowded(self) -> bool:
        """Whether the unfinished frames of all connections take more memory than they may."""
        ...

    def broken(self, peer: str, fault: WireError, evidence: bytes) -> None:
        """The peer broke framing, and this is the beginning of what it sent."""
        ...

    def left(self, connection: MllpConnection) -> None:
        """The connection is gone."""
        ...


class _Slot:
    """One frame's place in the row of answers; it waits for its receipt."""

    __slots__ = ("_connection", "answer", "since")

    def __init__(self, connection: MllpConnection, since: float) -> None:
        self._connection = connection
        self.answer: bytes | None = None  # None until the receipt is there
        self.since = since

    def answered(self, receipt: Receipt) -> None:
        """Committed: the answer may leave when those before it have."""
        self.answer = receipt.answer
        self._connection.answered(self)

    def refused(self, error: Exception) -> None:
        """Not committed."""
        self._connection.refused(error)


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class MllpConnection(Protocol):
    """Reads frames, hands each to the door, and writes the answers in the order of the frames."""

    def __init__(
        self, *, door: Doorway, clock: Timer, house: House, listener: str, peer: str, deframer: Deframer, tls: bool
    ) -> None:
        """Serve `peer` on behalf of the listener of that name."""
        self._door = door
        self._clock = clock
        self._house = house
        self._listener = listener
        self._deframer = deframer
        self._tls = tls
        self._certificate = ""
        self._slots: deque[_Slot] = deque()
        self._admitted: deque[bytes] = deque()  # frames that wait for a slot
        self._connected = False
        self._reading = True
        self._closing = False  # read nothing more; answer what is complete, then close
        self._discarding = False  # we closed; what the peer still sends is thrown away
        self._seen_at = self._opened_at = clock.seconds()
        self._frame_since: float | None = None
        self._stalled_since: float | None = None
        self._closed_at: float | None = None
        self._handshaking = tls
        self._oddities = (0, 0, 0, 0)
        self.peer = peer

    # What Twisted calls.

    def connectionMade(self) -> None:
        """The peer is there; with TLS the handshake is still to come."""
        self._connected = True
        transport = self._transport()
        keep_alive(transport)
        transport.registerProducer(self, True)

    def handshakeCompleted(self) -> None:
        """TLS stands: the client's certificate, if it showed one, is genuine."""
        self._handshaking = False
        shown = self._transport().getPeerCertificate()
        if shown is not None:
            self._certificate = shown.to_cryptography().subject.rfc4514_string()

    def dataReceived(self, data: bytes) -> None:
        """Cut the bytes into frames and hand them to the door."""
        if self._closing:
            return
        now = self._seen_at = self._clock.seconds()
        frames = self._deframer.feed(data)
        self._take(frames, now)
        if self._deframer.error is not None:
            self._break(self._deframer.error)
        elif self._deframer.waits_for_cr:
            self._clock.callLater(SETTLE_SECONDS, self._settle)
        elif self._deframer.inside and self._house.crowded():
            self._break(WireError("memory", "the unfinished frames of all connections take too much memory"))

    def readConnectionLost(self) -> None:
        """The peer says nothing more but may still listen: answer what is complete, then close."""
        if self._discarding:
            self._transport().loseConnection()
        elif not self._closing:
            self._take(self._deframer.settle(), self._clock.seconds())
            if self._deframer.inside:
                self._house.counts.unfinished += 1
            self._closing = True
            self.proceed()

    def writeConnectionLost(self) -> None:
        """Nothing can be written any more: by our own close, or because the peer listens no more."""
        if not self._discarding:
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; what was committed stays committed, and the peer will ask again."""
        self._connected = False
        counts = self._house.counts
        if self._handshaking and self._closed_at is None:
            self._broke("tls-handshake", reason.value)
        if self._deframer.inside and not self._closing:
            counts.unfinished += 1
        counts.unanswered += len(self._slots)
        self._slots.clear()
        self._admitted.clear()
        self._house.left(self)

    # What the transport calls when its write buffer is full, or empty again.

    def pauseProducing(self) -> None:
        """Our answers are not being read: read no more questions."""
        self._stalled_since = self._clock.seconds()
        self._adjust_reading()

    def resumeProducing(self) -> None:
        """The answers have left."""
        self._stalled_since = None
        self.proceed()

    def stopProducing(self) -> None:
        """The transport will take nothing more."""
        self._stalled_since = None

    # What the listener calls.

    def answered(self, slot: _Slot) -> None:
        """A frame is committed: once the first in the row is, there is something to write."""
        if self._slots and self._slots[0] is slot:
            self._house.ready(self)

    def refused(self, error: Exception) -> None:
        """A frame is not committed: nobody is told anything, the peer will send it again."""
        if not isinstance(error, JournalError):
            self._broke("broken-message", error)
        self._abort()

    def flush(self, now: float) -> None:
        """Write every answer whose turn it is, in one piece."""
        slots, counts = self._slots, self._house.counts
        pieces: list[bytes] = []
        while slots and (answer := slots[0].answer) is not None:
            slot = slots.popleft()
            if answer:
                pieces.append(enframe(answer))
                counts.answered(now - slot.since)
        if pieces and self._connected:
            write_now(self._transport(), pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._admitted or self._closing or not self._reading:
            self.proceed()

    def proceed(self) -> None:
        """Go on where something had to wait."""
        if not self._connected:
            return
        if self._admitted:
            self._admit(self._clock.seconds())
        if self._closing and not self._slots and not self._admitted:
            self._close()
        else:
            self._adjust_reading()

    def hang_up(self, *, at_once: bool) -> None:
        """Close: at once without a word, or when what is in flight has its answer."""
        if at_once:
            self._abort()
        else:
            self._closing = True
            self._admitted.clear()  # not yet in the door: the peer will send it again
            self.proceed()

    def look(self, now: float, idle_seconds_max: float) -> None:
        """Once a second: end what has taken too long."""
        if self._closed_at is not None:
            if now - self._closed_at > CLOSE_SECONDS_MAX:
                self._abort()
        elif self._handshaking:
            if now - self._opened_at > HANDSHAKE_SECONDS_MAX:
                self._broke("tls-handshake-timeout")
                self._abort()
        elif self._stalled_since is not None and now - self._stalled_since > WRITE_STALL_SECONDS_MAX:
            self._broke("answers-not-read")
            self._abort()
        elif self._frame_since is not None and self._reading and now - self._frame_since > FRAME_SECONDS_MAX:
            self._break(WireError("frame-timeout", "a frame was begun and did not end in time"))
        elif now - self._seen_at > idle_seconds_max and not self._slots and not self._admitted:
            self._house.counts.idle_closes += 1
            self._close()

    @property
    def unfinished_bytes(self) -> int:
        """How much memory its open frame takes."""
        return self._deframer.buffered_bytes

    # Frames in.

    def _take(self, frames: list[bytes], now: float) -> None:
        """Count what came and queue the frames."""
        deframer, counts = self._deframer, self._house.counts
        for frame in frames:
            counts.frames += 1
            counts.frame_bytes += len(frame)
            if frame:
                self._admitted.append(frame)
            else:
                counts.empty_frames += 1
        if not deframer.inside:
            self._frame_since = None
        elif frames or self._frame_since is None:
            self._frame_since = now
        oddities = (deframer.junk_bytes, deframer.remnants, deframer.missing_crs, deframer.doubled_starts)
        if oddities != self._oddities:
            self._wonder(oddities)
        if self._admitted:
            self._admit(now)
            if self._admitted or len(self._slots) >= IN_FLIGHT_MAX or not self._reading:
                self._adjust_reading()

    def _wonder(self, oddities: tuple[int, int, int, int]) -> None:
        """Count and say that the peer's framing is odd."""
        self._house.counts.odd(self._oddities, oddities)
        self._oddities = oddities
        deframer = self._deframer
        fields = {"offset": deframer.junk_offset, "bytes": deframer.junk_bytes}
        self._house.sparingly.warning(
            "The peer's framing is odd.", {"listener": self._listener, "peer": self.peer, **fields}
        )

    def _admit(self, now: float) -> None:
        """Hand waiting frames to the door, as many as may be in flight."""
        admitted, slots, door = self._admitted, self._slots, self._door
        while admitted and len(slots) < IN_FLIGHT_MAX and self._connected and not door.full:
            slot = _Slot(self, now)
            slots.append(slot)
            door.put(
                Arrived(raw=admitted.popleft(), peer=self.peer, listener=self._listener, certificate=self._certificate),
                slot,
            )

    def _settle(self) -> None:
        """The CR after an FS did not come in time."""
        if self._connected and not self._closing and self._deframer.waits_for_cr:
            self._take(self._deframer.settle(), self._clock.seconds())
            if self._deframer.error is not None:
                self._break(self._deframer.error)

    # Reading on and off, and the end.

    def _adjust_reading(self) -> None:
        """Read only while there is room for what may come."""
        if not self._connected or self._discarding:
            return
        full = bool(self._admitted) and self._door.full
        wanted = not (
            self._closing or self._admitted or self._stalled_since is not None or len(self._slots) >= IN_FLIGHT_MAX
        )
        if full:
            self._house.waits(self)
        if wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            if self._frame_since is not None:
                self._frame_since = self._clock.seconds()  # while we did not read, the peer could not send
            self._transport().resumeProducing()
        else:
            self._house.counts.pauses += 1
            self._transport().pauseProducing()

    def _break(self, fault: WireError) -> None:
        """The peer broke framing: frames that were complete get their answer, then the connection is closed."""
        self._broke(fault.reason)
        self._deframer.give_up(fault)
        self._house.broken(self.peer, fault, self._deframer.evidence)
        self._closing = True
        self.proceed()

    def _broke(self, reason: str, error: BaseException | None = None) -> None:
        self._house.counts.broke(reason, self._clock.seconds())
        fields: dict[str, object] = {"listener": self._listener, "peer": self.peer, "reason": reason}
        if error is not None:
            fields |= {"error": type(error).__name__, "where": where(error)}
        self._house.sparingly.warning("A connection was broken off.", fields)

    def _close(self) -> None:
        """Close after what is written; what the peer still sends is thrown away, else it might lose our answer."""
        if self._closed_at is not None:
            return
        self._closing = True
        self._closed_at = self._clock.seconds()
        transport = self._transport()
        transport.unregisterProducer()
        if not self._tls and self._deframer.error is not None and IHalfCloseableDescriptor.providedBy(transport):
            self._discarding = True
            transport.loseWriteConnection()
            if not self._reading:
                transport.resumeProducing()
        else:
            transport.loseConnection()

    def _abort(self) -> None:
        """Cut the connection: nothing more is read or written."""
        self._closing = True
        if self._closed_at is None:
            self._closed_at = self._clock.seconds()
        self._admitted.clear()
        if self._connected:
            self._transport().abortConnection()

    def _transport(self) -> Wire:
        return cast("Wire", self.transport)
