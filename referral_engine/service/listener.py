"""One MLLP port: connections in, within caps; each becomes an `MllpConnection`; counters for whoever asks."""

from __future__ import annotations

from collections import Counter
from typing import Final

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import LoopingCall

from referral_engine.base.errors import WireError
from referral_engine.channels.engine import Listener
from referral_engine.flow.inputs import FrameBroken, Receipt
from referral_engine.hl7.mllp import Deframer
from referral_engine.service.connection import Doorway, MllpConnection
from referral_engine.service.counts import ListenerCounts
from referral_engine.service.logs import Sparingly
from referral_engine.transports.reactor import OpenPort, Ports, Timer

UNFINISHED_BYTES_MAX: Final = 256 * 1024 * 1024  # of all open frames; stops many peers that each begin a large one
CONNECTS_PER_WINDOW_MAX: Final = 1000  # of one peer in WINDOW_SECONDS; stops a reconnect loop
WINDOW_SECONDS: Final = 10.0
EVIDENCE_PER_WINDOW_MAX: Final = 20  # broken frames of one peer that are kept; stops garbage from filling the disk
EVIDENCE_WINDOW_SECONDS: Final = 600.0
LOOK_SECONDS: Final = 1.0
BACKLOG: Final = 128  # connections the kernel holds for us
HOLDERS_SHOWN: Final = 5

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
    ) -> None:
        """Be ready to listen as `settings` say; `tls` when they ask for it."""
        assert (settings.tls is None) == (tls is None), "a listener with TLS settings gets a context"
        self.settings = settings
        self.counts = ListenerCounts()
        self.sparingly = Sparingly(clock)
        self._door = door
        self._clock = clock
        self._tls = tls
        self._port: OpenPort | None = None
        self._connections: dict[MllpConnection, None] = {}
        self._by_peer: Counter[str] = Counter()
        self._lately: Counter[str] = Counter()
        self._evidence: Counter[str] = Counter()  # broken frames kept, by peer, in this window
        self._evidence_at = clock.seconds()
        self._window_at = clock.seconds()
        self._ready: dict[MllpConnection, None] = {}
        self._waiting: dict[MllpConnection, None] = {}
        self._emptied: list[Deferred[None]] = []
        self._stopping = False
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock  # type: ignore[assignment]  # our protocol is what it uses of IReactorTime

    def listen(self, reactor: Ports) -> None:
        """Take connections from now on.  Raises CannotListenError."""
        bind, port = self.settings.bind, self.settings.port
        if self._tls is None:
            self._port = reactor.listenTCP(port, self, BACKLOG, bind)
        else:
            self._port = reactor.listenSSL(port, self, self._tls, BACKLOG, bind)
        self._looking.start(LOOK_SECONDS, now=False)
        _log.info("Listening for MLLP.", listener=self.settings.name, port=self.port)

    @property
    def port(self) -> int:
        """The port that is bound; 0 when none is."""
        return 0 if self._port is None else int(getattr(self._port.getHost(), "port", 0))

    @property
    def listening(self) -> bool:
        """Whether connections are taken."""
        return self._port is not None and not self._stopping

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
        """Cut everything at once: nothing may be answered any more."""
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
        refusal = self._refusal(peer)
        if refusal:
            self.counts.refused[refusal] += 1
            fields = {"listener": self.settings.name, "peer": peer, "reason": refusal, "peers": self.holders()}
            self.sparingly.warning("A connection was refused.", fields)
            return None
        self.counts.accepted += 1
        self._by_peer[peer] += 1
        connection = MllpConnection(
            door=self._door,
            clock=self._clock,
            house=self,
            listener=self.settings.name,
            peer=peer,
            deframer=Deframer(frame_bytes_max=self.settings.frame_bytes_max),
            tls=self._tls is not None,
        )
        self._connections[connection] = None
        return connection

    def holders(self) -> str:
        """The peers that hold most connections, "10.0.0.7 16, 10.0.0.9 4"."""
        return ", ".join(f"{peer} {count}" for peer, count in self._by_peer.most_common(HOLDERS_SHOWN))

    def status(self) -> dict[str, object]:
        """What `status` shows of this listener."""
        counts = self.counts
        return {
            "name": self.settings.name,
            "bind": self.settings.bind,
            "port": self.port,
            "tls": self._tls is not None,
            "listening": self.listening,
            "connections": len(self._connections),
            "peers": dict(self._by_peer),
            "accepted": counts.accepted,
            "frames": counts.frames,
            "frame_bytes": counts.frame_bytes,
            "empty_frames": counts.empty_frames,
            "answers": counts.answers,
            "unanswered": counts.unanswered,
            "unfinished": counts.unfinished,
            "idle_closes": counts.idle_closes,
            "pauses": counts.pauses,
            "refused": dict(counts.refused),
            "errors": dict(counts.errors),
            "last_error": counts.last_error,
            "last_error_seconds_ago": round(self._clock.seconds() - counts.last_error_at, 1)
            if counts.last_error
            else None,
            "oddities": {
                "junk_bytes": counts.junk_bytes,
                "remnants": counts.remnants,
                "missing_crs": counts.missing_crs,
                "doubled_starts": counts.doubled_starts,
            },
        }

    # What connections call.

    def ready(self, connection: MllpConnection) -> None:
        """It has an answer to write."""
        self._ready[connection] = None

    def waits(self, connection: MllpConnection) -> None:
        """It stopped reading because the door is full."""
        self._waiting[connection] = None

    def crowded(self) -> bool:
        """Whether open frames take too much memory together."""
        return sum(connection.unfinished_bytes for connection in self._connections) > UNFINISHED_BYTES_MAX

    def broken(self, peer: str, fault: WireError, evidence: bytes) -> None:
        """Keep a little of what broke, in the quarantine where people look; of one peer only so much in a window."""
        if not evidence or self._evidence[peer] >= EVIDENCE_PER_WINDOW_MAX:
            return
        self._evidence[peer] += 1
        kept = FrameBroken(evidence=evidence, peer=peer, reason=fault.reason, sentence=str(fault))
        self._door.put(kept, _NOBODY)

    def left(self, connection: MllpConnection) -> None:
        """It is gone."""
        self._connections.pop(connection, None)
        self._ready.pop(connection, None)
        self._waiting.pop(connection, None)
        self._by_peer[connection.peer] -= 1
        if self._by_peer[connection.peer] <= 0:
            del self._by_peer[connection.peer]
        if self._stopping and not self._connections:
            self._rest()
            emptied, self._emptied = self._emptied, []
            for waiting in emptied:
                waiting.callback(None)

    # Our own.

    def _refusal(self, peer: str) -> str:
        """Why a connection of `peer` is not taken; "" when it is."""
        now = self._clock.seconds()
        if now - self._window_at > WINDOW_SECONDS:
            self._window_at = now
            self._lately.clear()
        self._lately[peer] += 1
        if self._stopping:
            return "stopping"
        if self._lately[peer] > CONNECTS_PER_WINDOW_MAX:
            return "reconnects-too-fast"
        if len(self._connections) >= self.settings.connections_max:
            return "connections-max"
        if self._by_peer[peer] >= self.settings.per_peer_max:
            return "per-peer-max"
        return ""

    def _look(self) -> None:
        now = self._clock.seconds()
        if now - self._evidence_at > EVIDENCE_WINDOW_SECONDS:
            self._evidence_at = now
            self._evidence.clear()
        for connection in list(self._connections):
            connection.look(now, self.settings.idle_timeout_seconds)

    def _unlisten(self) -> None:
        self._stopping = True
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()

    def _rest(self) -> None:
        if self._looking.running:
            self._looking.stop()
