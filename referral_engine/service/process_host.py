"""The journal in a process of its own, as the door sees it: requests out, replies back in the same order."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar, cast
from typing import Protocol as Shape

import structlog
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from referral_engine.base.clock import Clock, to_micros
from referral_engine.base.errors import JournalLost
from referral_engine.flow.inputs import Input, Receipt
from referral_engine.service.handling import Broken
from referral_engine.service.ipc import (
    LENGTH,
    Anchor,
    Close,
    Done,
    Failed,
    Look,
    Open,
    Opened,
    Ping,
    Reply,
    Request,
    Run,
    ScrubOn,
    Told,
    error_of,
    read_reply,
    written,
)
from referral_engine.transports.wire import Wire

MODULE: Final = "referral_engine.service.journal_process"
END_SECONDS_MAX: Final = 3.0  # from its last answer to its end; then it is ended

T = TypeVar("T", Opened, Done, Told)

_log = structlog.get_logger()


class Adopts(Shape):
    """A reactor that takes over a socket that is there."""

    def adoptStreamConnection(
        self, fileDescriptor: int, addressFamily: int, factory: ServerFactory
    ) -> object:  # Twisted's names
        """Speak the factory's protocol on it."""
        ...


class ProcessHost:
    """Starts the process, and is the only one that speaks to it."""

    def __init__(self, reactor: Adopts, clock: Callable[[], Clock]) -> None:
        """Start it; `clock` gives the clock whose instants are recorded."""
        self._clock = clock
        self._waiting: deque[Deferred[Reply]] = deque()
        self._gone = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, theirs:
            ours.setblocking(False)  # the socket's own signature
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-m", MODULE, str(theirs.fileno()), str(os.getpid())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
            )
            self._line = _Line(self)
            reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, _OneLine(self._line))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def open(
        self, path: str, key: bytes | None, *, node: str, now: int, engine_file: str, config: str
    ) -> Deferred[Opened]:
        """Open the journal; the first thing to do.  Fails with JournalError."""
        asked = Open(path=path, key=key, node=node, now=now, engine_file=engine_file, config=config)
        return self._ask(asked, Opened)

    def run(self, inputs: Sequence[Input]) -> Deferred[list[Receipt | Broken]]:
        """One batch through the door."""
        now = to_micros(self._clock().now())
        return self._ask(Run(now=now, inputs=list(inputs)), Done).addCallback(lambda done: done.results)

    def look(self, name: str, words: Mapping[str, object]) -> Deferred[object]:
        """A question by name."""
        return self._ask(Look(name=name, words=dict(words)), Told).addCallback(lambda told: told.answer)

    def ping(self) -> Deferred[None]:
        """A round trip."""
        return self._ask(Ping(), Told).addCallback(lambda _: None)

    def anchor(self) -> Deferred[None]:
        """Write beside the journal how far it has come."""
        return self._ask(Anchor(), Told).addCallback(lambda _: None)

    def scrub(self, turns: int) -> Deferred[dict[str, object]]:
        """Look at the next rows of the whole journal."""
        return self._ask(ScrubOn(turns=turns), Told).addCallback(lambda told: cast("dict[str, object]", told.answer))

    def close(self) -> Deferred[None]:
        """Close the journal and end the process; fires when it is closed."""
        if self._gone:
            return succeed(None)
        closed = self._ask(Close(), Told).addBoth(self._closed)
        return cast("Deferred[None]", closed)

    def give_up(self) -> None:
        """End the process at once: the journal cannot be trusted."""
        self._gone = True
        self._process.kill()

    def _closed(self, result: object) -> object:
        self._gone = True
        self._line.hang_up()
        try:
            self._process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return None if isinstance(result, Told) else result

    def _ask(self, request: Request, kind: type[T]) -> Deferred[T]:
        """Send a request; its reply is the next in line."""
        if self._gone:
            return fail(JournalLost())
        reply: Deferred[Reply] = Deferred()
        self._waiting.append(reply)
        self._line.send(written(request))

        def answered(said: Reply) -> T:
            if isinstance(said, Failed):
                raise error_of(said)
            assert isinstance(said, kind), "replies come in the order of their requests"
            return said

        return reply.addCallback(answered)

    # What the line calls.

    def said(self, reply: Reply) -> None:
        """The next reply is there."""
        self._waiting.popleft().callback(reply)

    def lost(self) -> None:
        """The process is gone, and so is whatever it had in hand."""
        if not self._gone:
            self._gone = True
            _log.critical("The journal's process ended.", code=self._process.poll())
        waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            one.errback(Failure(JournalLost()))


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

    def __init__(self, host: ProcessHost) -> None:
        self._host = host
        self._pieces: list[bytes] = []
        self._held = 0
        self._wanted = 0  # bytes of the reply that is coming; 0 before its length is known

    def send(self, pieces: tuple[bytes, bytes]) -> None:
        """Send a length and a body."""
        if self.transport is not None:
            cast("Wire", self.transport).write(b"".join(pieces))

    def hang_up(self) -> None:
        """Close."""
        if self.transport is not None:
            cast("Wire", self.transport).loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Cut the bytes into replies."""
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
            self._host.said(read_reply(body))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002  # Twisted's signature
        """The process is gone."""
        self._host.lost()
