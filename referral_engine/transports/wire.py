"""A Twisted transport as we use it, TCP or TLS over TCP, with the settings that notice a peer that vanished."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final, Protocol

from cryptography.x509 import Certificate
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.tcp import Connection

KEEPALIVE_IDLE_SECONDS: Final = 60  # a firewall that dropped the flow is noticed by the kernel
KEEPALIVE_EVERY_SECONDS: Final = 10
KEEPALIVE_PROBES: Final = 3
UNACKNOWLEDGED_MILLISECONDS: Final = 90_000  # TCP_USER_TIMEOUT: bytes sent into nowhere


class Wire(Protocol):
    """What we use of a transport."""

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        ...

    def loseConnection(self) -> None:
        """Close when what is queued has left."""
        ...

    def loseWriteConnection(self) -> None:
        """Close our direction only; plain TCP."""
        ...

    def abortConnection(self) -> None:
        """Close now."""
        ...

    def pauseProducing(self) -> None:
        """Read no more."""
        ...

    def resumeProducing(self) -> None:
        """Read again."""
        ...

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: FBT001  # Twisted's signature
        """Tell `producer` when the write buffer is full, and when it is empty again."""
        ...

    def unregisterProducer(self) -> None:
        """Tell it no more."""
        ...

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: FBT001  # Twisted's signature
        """Send small answers at once."""
        ...

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: FBT001  # Twisted's signature
        """Probe a quiet peer."""
        ...

    def getPeerCertificate(self) -> PeerCertificate | None:
        """What the peer showed; TLS only."""
        ...


class PeerCertificate(Protocol):
    """A pyOpenSSL certificate."""

    def to_cryptography(self) -> Certificate:
        """The same as a certificate of `cryptography`."""
        ...


def keep_alive(transport: Wire) -> None:
    """Set a TCP connection up so that small answers leave at once and a dead peer is noticed; no-op for others."""
    if not ITCPTransport.providedBy(transport):
        return
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    handle = socket_of(transport)
    if handle is None:
        return
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_SECONDS),
        ("TCP_KEEPINTVL", KEEPALIVE_EVERY_SECONDS),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", UNACKNOWLEDGED_MILLISECONDS),
    ):
        number = getattr(socket, option, None)  # not every system has all of them
        if number is not None:
            handle.setsockopt(socket.IPPROTO_TCP, number, value)


def write_now(transport: Wire, answer: bytes) -> None:
    """Write at once when nothing is queued before it; what the kernel does not take is queued as usual.

    Twisted would ask the poller to be told that the socket is writable, write, and ask not to be told any more: two
    system calls a message, each of which waits for the journal's thread to let go of the interpreter.
    """
    if (
        isinstance(transport, Connection)
        and transport.connected
        and not (transport.disconnecting or transport.dataBuffer or transport._tempDataBuffer)  # noqa: SLF001  # no public name says what is queued
    ):
        with suppress(OSError):  # full, or gone: the ordinary way meets the same, and tells the protocol
            answer = answer[transport.socket.send(answer) :]
    if answer:
        transport.write(answer)


def socket_of(transport: object) -> socket.socket | None:
    """The socket below a transport; None for the transports of tests."""
    handle = getattr(transport, "socket", None)  # the TLS wrapper passes the question on to its TCP transport
    return handle if isinstance(handle, socket.socket) else None


def closed_or_talking(transport: object) -> bool:
    """Whether a connection that should be quiet has an end or unexpected bytes waiting in the kernel."""
    handle = socket_of(transport)
    if handle is None:
        return False
    try:
        handle.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
