"""One MLLP port: connections in, within caps; each becomes an `MllpConnection`; counters for whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, cast

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IOpenSSLContextFactory, IProtocolFactory
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import LoopingCall
from twisted.protocols.tls import TLSMemoryBIOFactory

from referral_engine.base.errors import WireError
from referral_engine.channels.engine import Listener
from referral_engine.channels.partner import ANYONE, Partner
from referral_engine.flow.inputs import FrameBroken, Receipt
from referral_engine.service.busy import Busy, silence
from referral_engine.service.connection import MllpConnection
from referral_engine.service.counts import ListenerCounts
from referral_engine.service.house import Doorway, Lodger
from referral_engine.service.logs import Sparingly
from referral_engine.service.seats import Seat, Seats
from referral_engine.service.terms import Terms, terms_of
from referral_engine.transports.reactor import Later, OpenPort, Ports, Timer

UNFINISHED_BYTES_MAX: Final = 256 * 1024 * 1024  # of all open frames; stops many peers that each begin a large one
EVIDENCE_PER_WINDOW_MAX: Final = 20  # broken frames of one peer that are kept; stops garbage from filling the disk
EVIDENCE_WINDOW_SECONDS: Final = 600.0
LOOK_SECONDS: Final = 1.0
BACKLOG: Final = 128  # connections the kernel holds for us
BIND_RETRY_SECONDS: Final = 1.0  # after a pause, when somebody else has the port by now

PartnerOf = Callable[[str, tuple[str, ...]], Partner]  # an address and the identities of a certificate, to whose it is

_log = structlog.get_logger()


class _Nobody:
    """Waits for a receipt that nobody is told of."""

    def answered(self, receipt: Receipt) -> None:
        """Kept."""

    def refused(self, error: Exception) -> None:
        """Not kept: a fenced door says so to everyone itself."""


_NOBODY: Final = _Nobody()


class MllpListener(ServerFactory):
    """Listens, takes connections within the caps, and ends those that take too long."""

    noisy = False

    def __init__(
        self,
        settings: Listener,
        *,
        door: Doorway,
        clock: Timer,
        tls: CertificateOptions | None = None,
        partner_of: PartnerOf = lambda _peer, _certificates: ANYONE,
        busy: Busy = silence,
        descriptors_max: int = 0,
    ) -> None:
        """Be ready to listen as `settings` say; `tls` when they ask for it.

        partner_of: whose connection it is. busy: what partners who ask for it hear when nothing can be committed.
        descriptors_max: how many the process may have; 0 for no limit.
        """
        assert (settings.tls is None) == (tls is None), "a listener with TLS settings gets a context"
        self.settings = settings
        self.name = settings.name
        self.counts = ListenerCounts()
        self.sparingly = Sparingly(clock)
        self.unfinished_bytes = 0
        self.paused = ""
        self.busy = busy
        self._door = door
        self._clock = clock
        self._tls = tls
        self._partner_of = partner_of
        self._seats = Seats(settings=settings, descriptors_max=descriptors_max)
        self._front = _Front(self)
        self._front.present(tls)
        self._reactor: Ports | None = None
        self._port: OpenPort | None = None
        self._bound = settings.port  # what to bind again after a pause
        self._binding: Later | None = None
        self._connections: dict[Lodger, Seat | None] = {}
        self._evidence: Counter[str] = Counter()  # broken frames kept, by peer, in this window
        self._evidence_at = clock.seconds()
        self._ready: dict[Lodger, None] = {}
        self._waiting: dict[Lodger, None] = {}
        self._emptied: list[Deferred[None]] = []
        self._stopping = False
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock  # type: ignore[assignment]  # our protocol is what it uses of IReactorTime

    def listen(self, reactor: Ports) -> None:
        """Take connections from now on.  Raises CannotListenError."""
        self._reactor = reactor
        self._bind(reactor)
        self._begin()

    def hold(self, reactor: Ports) -> None:
        """Have the port; whoever connects waits with the kernel until `let_in`.  Raises CannotListenError."""
        self._reactor = reactor
        self._bind(reactor)
        assert self._port is not None, "it was just bound"
        self._port.stopReading()

    def let_in(self) -> None:
        """Take connections from now on, of a port that was held."""
        assert self._port is not None, "it is held"
        self._port.startReading()
        self._begin()

    def _begin(self) -> None:
        self._looking.start(LOOK_SECONDS, now=False)
        _log.info("Listening for MLLP.", listener=self.name, port=self.port)

    def renew(self, settings: Listener, *, tls: CertificateOptions | None, partner_of: PartnerOf, busy: Busy) -> None:
        """Other settings on the same port: for connections to come; those that are open keep their terms.

        They end, once what is in the door is answered, when the port has another name or TLS comes or goes.
        """
        assert (settings.tls is None) == (tls is None), "a listener with TLS settings gets a context"
        other = settings.name != self.name or (tls is None) != (self._tls is None)
        self.settings = settings
        self.name = settings.name
        self.busy = busy
        self._tls = tls
        self._partner_of = partner_of
        self._seats.settings = settings
        self._front.present(tls)
        for connection in list(self._connections) if other else ():
            connection.hang_up(at_once=False)

    @property
    def port(self) -> int:
        """The port that is bound; 0 when none is."""
        return 0 if self._port is None else int(getattr(self._port.getHost(), "port", 0))

    @property
    def listening(self) -> bool:
        """Whether connections are taken."""
        return self._port is not None and not self._stopping

    def pause(self, reason: str) -> None:
        """Take no connection and read nothing until `resume_listening`; what is in the door is answered.

        reason: a fixed word for `status`, such as "disk-nearly-full".
        """
        held, self.paused = bool(self.paused), reason
        if held or self._stopping:
            return
        self.counts.holds += 1
        self._unbind()
        for connection in list(self._connections):
            connection.proceed()
        _log.warning("Listening is paused.", listener=self.name, reason=reason, connections=len(self._connections))

    def resume_listening(self) -> None:
        """The reason for the pause is gone; a port that somebody else has by now is tried again every second."""
        if not self.paused or self._stopping:
            return
        self.paused = ""
        self._bind_again()
        for connection in list(self._connections):
            connection.proceed()

    def stop(self) -> Deferred[None]:
        """Take no connection more; answer what is in the door, then close.  Fires when the last one is gone."""
        self._unlisten()
        for connection in list(self._connections):
            connection.hang_up(at_once=False)
        if not self._connections:
            self._rest()
            return succeed(None)
        emptied: Deferred[None] = Deferred()
        self._emptied.append(emptied)
        return emptied

    def drop(self) -> None:
        """Cut everything at once: nothing may be accepted any more, and only "busy" is said, to whom it was agreed."""
        self._unlisten()
        for connection in list(self._connections):
            connection.hang_up(at_once=True)
        if not self._connections:
            self._rest()

    def flush(self) -> None:
        """A batch's receipts are out: each connection writes its answers in one piece."""
        if not self._ready:
            return
        ready, self._ready = self._ready, {}
        now = self._clock.seconds()
        for connection in ready:
            connection.flush(now)

    def resume(self) -> None:
        """The door has room again."""
        waiting, self._waiting = self._waiting, {}
        for connection in waiting:
            connection.proceed()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """A connection, or None (Twisted closes it) when a cap is reached."""
        peer = str(getattr(addr, "host", "?")).removeprefix("::ffff:")
        refusal = self._seats.knock(peer, self._clock.seconds())
        if self._stopping or self.paused:
            refusal = "stopping" if self._stopping else "paused"
        if refusal:
            self._refuse(peer, refusal)
            return None
        partner = None if self._tls is not None else self._partner_of(peer, ())
        seat = self._seats.take(peer, partner)
        if isinstance(seat, str):
            self._refuse(peer, seat)
            return None
        self.counts.accepted += 1
        terms = terms_of(ANYONE if partner is None else partner, self.settings)
        connection = MllpConnection(
            door=self._door, clock=self._clock, house=self, peer=peer, terms=terms, tls=self._tls is not None
        )
        self._connections[connection] = seat
        return connection

    def holders(self) -> str:
        """Who holds most connections, "10.0.0.7 16, 10.0.0.9 4"."""
        return self._seats.holders()

    def status(self) -> dict[str, object]:
        """What `status` shows of this listener."""
        counts = self.counts
        ago = self._clock.seconds() - counts.last_error_at
        return {
            "name": self.name,
            "bind": self.settings.bind,
            "port": self.port,
            "tls": self._tls is not None,
            "listening": self.listening,
            "paused": self.paused,
            "connections": len(self._connections),
            "peers": self._seats.by_peer(),
            "unfinished_bytes": self.unfinished_bytes,
            "last_error_seconds_ago": round(ago, 1) if counts.last_error else None,
            **counts.status(),
        }

    # What connections call.

    def scarce(self, descriptor: int) -> bool:
        """Whether a socket of this number leaves too few for the journal, the couriers and the log."""
        if not self._seats.scarce(descriptor):
            return False
        self._refuse("", "descriptors")
        return True

    def meet(self, connection: Lodger, certificates: tuple[str, ...]) -> Terms | None:
        """The handshake showed who it is: the terms, or None when its partner has no seat more."""
        partner = self._partner_of(connection.peer, certificates)
        self._leave_seat(connection)
        seat = self._seats.take(connection.peer, partner)
        if isinstance(seat, str):
            self._refuse(connection.peer, seat)
            return None
        self._connections[connection] = seat
        return terms_of(partner, self.settings)

    def ready(self, connection: Lodger) -> None:
        """It has an answer to write."""
        self._ready[connection] = None

    def waits(self, connection: Lodger) -> None:
        """It stopped reading because the door is full."""
        self._waiting[connection] = None

    def crowded(self) -> bool:
        """Whether open frames take too much memory together."""
        return self.unfinished_bytes > UNFINISHED_BYTES_MAX

    def broken(self, peer: str, fault: WireError, evidence: bytes) -> None:
        """Keep a little of what broke, in the quarantine where people look; of one peer only so much in a window."""
        if not evidence or self._evidence[peer] >= EVIDENCE_PER_WINDOW_MAX:
            return
        self._evidence[peer] += 1
        kept = FrameBroken(evidence=evidence, peer=peer, reason=fault.reason, sentence=str(fault), listener=self.name)
        self._door.put(kept, _NOBODY)

    def left(self, connection: Lodger) -> None:
        """It is gone."""
        self._leave_seat(connection)
        self._connections.pop(connection, None)
        self._ready.pop(connection, None)
        self._waiting.pop(connection, None)
        if self._stopping and not self._connections:
            self._rest()
            emptied, self._emptied = self._emptied, []
            for waiting in emptied:
                waiting.callback(None)

    # Our own.

    def _refuse(self, peer: str, reason: str) -> None:
        """Count and say that a connection is not taken, and who holds the seats."""
        self.counts.refuse(reason)
        fields = {"listener": self.name, "peer": peer, "reason": reason, "peers": self.holders()}
        self.sparingly.warning("A connection was refused.", fields)

    def _leave_seat(self, connection: Lodger) -> None:
        seat = self._connections.get(connection)
        if seat is not None:
            self._seats.leave(seat)
            self._connections[connection] = None

    def _look(self) -> None:
        now = self._clock.seconds()
        if now - self._evidence_at > EVIDENCE_WINDOW_SECONDS:
            self._evidence_at = now
            self._evidence.clear()
        for connection in list(self._connections):
            connection.look(now)

    def _bind(self, reactor: Ports) -> None:
        """Have the kernel take connections.  Raises CannotListenError."""
        self._port = reactor.listenTCP(self._bound, self._front, BACKLOG, self.settings.bind)
        self._bound = self.port  # 0 in the settings is whatever the kernel gave the first time

    def _bind_again(self) -> None:
        """After a pause; tries until it succeeds, is paused again or stopped."""
        self._binding = None
        if self._reactor is None or self._port is not None:
            return
        try:
            self._bind(self._reactor)
        except CannotListenError as error:
            self.counts.bind_failures += 1
            fields = {"listener": self.name, "port": self._bound, "error": type(error.socketError).__name__}
            self.sparingly.warning("The port cannot be bound again yet.", fields)
            self._binding = self._clock.callLater(BIND_RETRY_SECONDS, self._bind_again)
        else:
            _log.info("Listening for MLLP again.", listener=self.name, port=self.port)

    def _unbind(self) -> None:
        if self._binding is not None:
            self._binding.cancel()
            self._binding = None
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()

    def _unlisten(self) -> None:
        self._stopping = True
        self._unbind()

    def _rest(self) -> None:
        if self._looking.running:
            self._looking.stop()


class _Front(ServerFactory):
    """What a port speaks to: its listener, behind TLS or not; which of them may change while the port is open."""

    noisy = False

    def __init__(self, listener: MllpListener) -> None:
        self._listener = listener
        self._context: CertificateOptions | None = None
        self._tls: TLSMemoryBIOFactory | None = None  # made for the first connection

    def present(self, tls: CertificateOptions | None) -> None:
        """Speak TLS with these certificates from the next connection on; None: plainly."""
        self._context, self._tls = tls, None

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """A connection, or None when a cap is reached."""
        protocol = self._listener.buildProtocol(addr)
        if protocol is None or self._context is None:
            return protocol
        if self._tls is None:
            context = cast("IOpenSSLContextFactory", self._context)
            self._tls = TLSMemoryBIOFactory(context, False, cast("IProtocolFactory", self._listener))  # no client
        return self._tls.protocol(self._tls, protocol)
