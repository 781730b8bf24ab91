"""One MLLP connection: bytes in, frames to the door, framed answers out, in the order the frames came."""

from __future__ import annotations

from collections import deque
from typing import Final, cast

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
from referral_engine.flow.inputs import Arrived
from referral_engine.hl7.mllp import enframe
from referral_engine.service.counts import NOTHING_ODD
from referral_engine.service.house import Doorway, House
from referral_engine.service.logs import where
from referral_engine.service.patience import SENTENCES, Overdue, Patience
from referral_engine.service.slot import Slot
from referral_engine.service.terms import Terms
from referral_engine.transports.certificates import handshake_fault, identities
from referral_engine.transports.reactor import Later, Timer
from referral_engine.transports.wire import Wire, keep_alive, socket_of, write_now

SETTLE_SECONDS: Final = 0.25  # after FS without CR: how long the CR may take


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class MllpConnection(Protocol):
    """Reads frames, hands each to the door, and writes the answers in the order of the frames."""

    def __init__(self, *, door: Doorway, clock: Timer, house: House, peer: str, terms: Terms, tls: bool) -> None:
        """Serve `peer` on behalf of the listener; with TLS the terms may change once it has said who it is."""
        self._door = door
        self._clock = clock
        self._house = house
        self._counts = house.counts
        self._listener = house.name
        self._tls = tls
        self._certificates: tuple[str, ...] = ()
        self._wire: Wire
        self._slots: deque[Slot] = deque()
        self._admitted: deque[bytes] = deque()  # frames that wait for a slot
        self._connected = False
        self._reading = True
        self._closing = False  # read nothing more; answer what is complete, then close
        self._discarding = False  # we closed; what the peer still sends is thrown away
        self._silent = True  # not a byte has come
        self._patience = Patience(clock.seconds(), handshaking=tls)
        self._settling: Later | None = None
        self._oddities = 0  # of the deframer, as far as they are counted
        self._oddly = NOTHING_ODD
        self._buffered = 0  # what the house has counted of our open frame
        self.peer = peer
        self._adopt(terms)

    def _adopt(self, terms: Terms) -> None:
        self._terms = terms
        self._deframer = terms.deframer()
        self._end = terms.framing.trailer
        self._in_flight_max = terms.in_flight_max

    # What Twisted calls.

    def connectionMade(self) -> None:
        """The peer is there; with TLS the handshake is still to come."""
        self._connected = True
        wire = self._wire = cast("Wire", self.transport)
        handle = socket_of(wire)
        if handle is not None and self._house.scarce(handle.fileno()):
            self._silent = False
            self._abort()
            return
        keep_alive(wire)
        wire.registerProducer(self, True)
        if self._house.paused:
            self.proceed()

    def handshakeCompleted(self) -> None:
        """TLS stands: the client's certificate, if it showed one, is genuine."""
        self._patience.handshaking = False
        shown = self._wire.getPeerCertificate()
        if shown is not None:
            self._certificates = identities(shown.to_cryptography())
        terms = self._house.meet(self, self._certificates)
        if terms is None:
            self._silent = False
            self._abort()
        else:
            self._adopt(terms)
            self._adjust_reading()

    def dataReceived(self, data: bytes) -> None:
        """Cut the bytes into frames and hand them to the door."""
        if self._closing:
            return
        deframer, patience = self._deframer, self._patience
        now = patience.seen_at = self._clock.seconds()
        self._silent = False
        frames = deframer.feed(data)
        if frames:
            self._take(frames, now)
        if deframer.inside or patience.frame_since is not None or deframer.oddities != self._oddities or deframer.error:
            self._look_closer(frames, now)

    def readConnectionLost(self) -> None:
        """The peer says nothing more but may still listen: answer what is complete, then close."""
        if self._discarding:
            self._wire.loseConnection()
        elif not self._closing:
            self._settle()
            self._count_leaving()
            self._closing = True
            self.proceed()

    def writeConnectionLost(self) -> None:
        """Nothing can be written any more: by our own close, or because the peer listens no more."""
        if not self._discarding:
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; what was committed stays committed, and the peer will ask again."""
        self._connected = False
        counts = self._counts
        fault = handshake_fault(reason.value) if self._patience.handshaking else ""
        if fault and self._patience.closed_at is None:
            self._broke(fault)
        elif not self._closing:
            self._count_leaving()
        counts.unanswered += len(self._slots)
        self._slots.clear()
        self._admitted.clear()
        self._settle_later(wanted=False)
        self._count_buffered(0)
        self._house.left(self)

    # What the transport calls when its write buffer is full, or empty again.

    def pauseProducing(self) -> None:
        """Our answers are not being read: read no more questions."""
        self._patience.stalled_since = self._clock.seconds()
        self._adjust_reading()

    def resumeProducing(self) -> None:
        """The answers have left."""
        self._patience.stalled_since = None
        self.proceed()

    def stopProducing(self) -> None:
        """The transport will take nothing more."""
        self._patience.stalled_since = None

    # What the listener calls.

    def answered(self, slot: Slot) -> None:
        """A frame is committed: once the first in the row is, there is something to write."""
        slots = self._slots
        if slots and slots[0] is slot:
            self._house.ready(self)

    def refused(self, error: Exception) -> None:
        """A frame is not committed: the peer will send it again, told to or not."""
        if isinstance(error, JournalError):
            self.hang_up(at_once=True)
        else:
            self._broke("broken-message", error)
            self._abort()

    def flush(self, now: float) -> None:
        """Write every answer whose turn it is, in one piece."""
        slots, counts, end = self._slots, self._counts, self._end
        pieces: list[bytes] = []
        while slots and (answer := slots[0].answer) is not None:
            slot = slots.popleft()
            if answer:
                pieces.append(enframe(answer, end))
                if slot.after:
                    pieces.append(enframe(slot.after, end))
                counts.answered(now - slot.since)
        if pieces and self._connected:
            write_now(self._wire, pieces[0] if len(pieces) == 1 else b"".join(pieces))
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
        """Close: at once, with nothing said but "busy" where that was agreed; or when all in the door is answered."""
        if not at_once:
            self._closing = True
            self._admitted.clear()  # not yet in the door: the peer will send it again
            self.proceed()
        elif self._patience.closed_at is None:
            if self._terms.busy and self._connected:
                self._say_busy()
            else:
                self._abort()

    def look(self, now: float) -> None:
        """Once a second: end what has taken too long."""
        owing = bool(self._slots or self._admitted)
        overdue = self._patience.overdue(now, self._terms, buffered_bytes=self._buffered, owing=owing)
        if overdue is Overdue.NOTHING:
            return
        if overdue is Overdue.IDLE:
            self._counts.idle_closes += 1
            self._close()
        elif overdue in SENTENCES:
            self._break(WireError(overdue.value, SENTENCES[overdue]))
        else:
            if overdue is not Overdue.CLOSE:
                self._broke(overdue.value)
            self._abort()

    # Frames in.

    def _look_closer(self, frames: list[bytes], now: float) -> None:
        """After bytes that were more than whole frames: an open one, something odd, or the end of the open one."""
        if not self._connected:
            return
        deframer, patience = self._deframer, self._patience
        if not deframer.inside:
            patience.frame_since = None
        elif frames or patience.frame_since is None:
            patience.frame_since = now
        self._count_buffered(deframer.buffered_bytes)
        if deframer.oddities != self._oddities:
            self._wonder()
        self._settle_later(wanted=deframer.waits_for_cr)
        if deframer.error is not None:
            self._break(deframer.error)
        elif deframer.inside and self._house.crowded():
            self._break(WireError("memory", "the unfinished frames of all connections take too much memory"))

    def _take(self, frames: list[bytes], now: float) -> None:
        """Count the frames and hand each to the door, or queue it."""
        counts, admitted, slots = self._counts, self._admitted, self._slots
        counts.frames += len(frames)
        for frame in frames:
            counts.frame_bytes += len(frame)
            if not frame:
                counts.empty_frames += 1
            elif admitted or len(slots) >= self._in_flight_max or self._house.paused or self._door.full:
                admitted.append(frame)
            else:
                self._put(frame, now)
        if admitted or len(slots) >= self._in_flight_max:
            self._adjust_reading()

    def _admit(self, now: float) -> None:
        """Hand waiting frames to the door, as many as may be in flight."""
        admitted, slots = self._admitted, self._slots
        while admitted and len(slots) < self._in_flight_max and not self._house.paused and not self._door.full:
            self._put(admitted.popleft(), now)

    def _put(self, frame: bytes, now: float) -> None:
        """Hand one frame to the door."""
        if self._patience.closed_at is not None:
            return  # a frame before it was refused: the peer will send them all again
        slot = Slot(self, frame, now)
        self._slots.append(slot)
        self._door.put(
            Arrived(raw=frame, peer=self.peer, listener=self._listener, certificates=self._certificates), slot
        )

    def _count_leaving(self) -> None:
        """The peer says no more: in the middle of a frame, or, as health checkers do, without having said a word."""
        if self._deframer.inside:
            self._counts.unfinished += 1
        elif self._silent:
            self._counts.silent += 1

    def _count_buffered(self, size: int) -> None:
        """Tell the house how much of an open frame is in memory."""
        self._house.unfinished_bytes += size - self._buffered
        self._buffered = size

    def _wonder(self) -> None:
        """Count and say that the peer's framing is odd."""
        deframer = self._deframer
        self._oddities = deframer.oddities
        self._oddly = self._counts.odd(self._oddly, deframer)
        fields = {"offset": deframer.junk_offset, "bytes": deframer.junk_bytes}
        self._house.sparingly.warning(
            "The peer's framing is odd.", {"listener": self._listener, "peer": self.peer, **fields}
        )

    def _settle_later(self, *, wanted: bool) -> None:
        """Give the CR after an FS its moment; a moment that is no longer needed is forgotten."""
        if self._settling is not None:
            if self._settling.active():
                self._settling.cancel()
            self._settling = None
        if wanted:
            self._settling = self._clock.callLater(SETTLE_SECONDS, self._settle)

    def _settle(self) -> None:
        """The CR after an FS did not come in time, or the peer has closed."""
        if self._connected and not self._closing:
            now = self._clock.seconds()
            frames = self._deframer.settle()
            self._take(frames, now)
            self._look_closer(frames, now)

    # Reading on and off, and the end.

    def _adjust_reading(self) -> None:
        """Read only while there is room for what may come."""
        if not self._connected or self._discarding or self._patience.handshaking:
            return
        if self._admitted and self._door.full:
            self._house.waits(self)
        wanted = not (
            self._closing
            or self._admitted
            or self._patience.stalled_since is not None
            or len(self._slots) >= self._in_flight_max
            or self._house.paused
        )
        if wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            self._patience.start_reading(self._clock.seconds())
            self._wire.resumeProducing()
        else:
            self._patience.stop_reading(self._clock.seconds())
            self._counts.pauses += 1
            self._wire.pauseProducing()

    def _break(self, fault: WireError) -> None:
        """The peer broke framing: frames that were complete get their answer, then the connection is closed."""
        self._broke(fault.reason)
        self._deframer.give_up(fault)
        self._count_buffered(0)
        self._house.broken(self.peer, fault, self._deframer.evidence)
        self._closing = True
        self.proceed()

    def _broke(self, reason: str, error: BaseException | None = None) -> None:
        self._counts.broke(reason, self._clock.seconds())
        fields: dict[str, object] = {"listener": self._listener, "peer": self.peer, "reason": reason}
        if error is not None:
            fields |= {"error": type(error).__name__, "where": where(error)}
        self._house.sparingly.warning("A connection was broken off.", fields)

    def _say_busy(self) -> None:
        """Nothing can be committed, and the peer would rather hear so: every complete frame gets "later"."""
        answers = [self._house.busy(slot.raw) if slot.answer is None else slot.answer for slot in self._slots]
        answers += [self._house.busy(raw) for raw in self._admitted]
        self._slots.clear()
        self._admitted.clear()
        said = b"".join(enframe(answer, self._end) for answer in answers if answer)
        if not said:
            self._abort()
            return
        self._counts.busy += len(answers)
        write_now(self._wire, said)
        self._close(unread=True)

    def _close(self, *, unread: bool = False) -> None:
        """Close after what is written; what the peer still sends is thrown away, else it might lose our answer."""
        if self._patience.closed_at is not None:
            return
        self._closing = True
        self._patience.closed_at = self._clock.seconds()
        wire = self._wire
        wire.unregisterProducer()
        unread = unread or self._deframer.error is not None
        if unread and not self._tls and IHalfCloseableDescriptor.providedBy(wire):
            self._discarding = True
            wire.loseWriteConnection()
            if not self._reading:
                wire.resumeProducing()
        else:
            wire.loseConnection()

    def _abort(self) -> None:
        """Cut the connection: nothing more is read or written."""
        self._closing = True
        if self._patience.closed_at is None:
            self._patience.closed_at = self._clock.seconds()
        self._admitted.clear()
        if self._connected:
            self._wire.abortConnection()
