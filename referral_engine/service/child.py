"""A process of ours at the other end of a socket: started here, spoken to in lengths and bodies, seen off."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast
from typing import Protocol as Shape

from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from referral_engine.service.lengths import LENGTH
from referral_engine.transports.wire import Wire

END_SECONDS_MAX: Final = 3.0  # from its last word to its end; then it is ended


class Adopts(Shape):
    """A reactor that takes over a socket that is there."""

    def adoptStreamConnection(
        self, fileDescriptor: int, addressFamily: int, factory: ServerFactory
    ) -> object:  # Twisted's names
        """Speak the factory's protocol on it."""
        ...


class Child:
    """Starts one of our modules with the socket's number and our process id as its words."""

    def __init__(
        self,
        reactor: Adopts,
        module: str,
        *,
        heard: Callable[[bytes], None],
        lost: Callable[[], None],
        quiet: bool = False,
    ) -> None:
        """heard: is told each body; lost: that the process is gone. quiet: what it writes to stderr is dropped."""
        self._heard = heard
        self._lost = lost
        self._line = _Line(self)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, theirs:
            ours.setblocking(False)  # the socket's own signature
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-m", module, str(theirs.fileno()), str(os.getpid())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if quiet else None,
            )
            reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, _OneLine(self._line))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """How it ended, a signal's number below zero; None while nobody knows."""
        return self._process.poll()

    def send(self, *pieces: bytes) -> None:
        """Send bytes: a length and a body."""
        self._line.send(b"".join(pieces))

    def hang_up(self) -> None:
        """Close our end, and wait for its end."""
        self._line.hang_up()
        try:
            self._process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def see_off(self, *, at_once: bool) -> int | None:
        """Close our end and reap it, ended at once or by itself in a moment; how it ended."""
        self._line.hang_up()
        if at_once:
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(END_SECONDS_MAX)
        self._process.kill()
        return self._process.wait()

    # What the line calls.

    def heard(self, body: bytes) -> None:
        """A whole body is there."""
        self._heard(body)

    def lost(self) -> None:
        """The other end is closed."""
        self._lost()


class _OneLine(ServerFactory):
    """Makes one connection, once."""

    noisy = False

    def __init__(self, line: _Line) -> None:
        self._line = line

    def buildProtocol(self, addr: object) -> Protocol:  # noqa: ARG002  # Twisted's signature
        """The daemon's end."""
        return self._line


class _Line(Protocol):
    """The daemon's end of the socket."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._pieces: list[bytes] = []
        self._held = 0
        self._wanted = 0  # bytes of the body that is coming; 0 before its length is known

    def send(self, data: bytes) -> None:
        """Send bytes."""
        if self.transport is not None:
            cast("Wire", self.transport).write(data)

    def hang_up(self) -> None:
        """Close."""
        if self.transport is not None:
            cast("Wire", self.transport).loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Cut the bytes into bodies."""
        self._pieces.append(data)
        self._held += len(data)
        while self._held >= (self._wanted or LENGTH.size):
            whole = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            if not self._wanted:
                self._wanted = LENGTH.unpack_from(whole)[0]
                whole = whole[LENGTH.size :]
            if len(whole) < self._wanted:
                self._pieces, self._held = [whole], len(whole)
                return
            body, rest = whole[: self._wanted], whole[self._wanted :]
            self._pieces, self._held, self._wanted = [rest], len(rest), 0
            self._child.heard(body)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002  # Twisted's signature
        """The process is gone."""
        self._child.lost()
