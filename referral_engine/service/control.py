"""The control socket: one JSON request a line in, one JSON answer a line out, for the commands of the same machine."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Mapping
from typing import Final, cast

import structlog
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from referral_engine.base.errors import ConfigError, Problem, Refused
from referral_engine.service.logs import where
from referral_engine.transports.reactor import OpenPort, Ports
from referral_engine.transports.wire import Wire

REQUEST_BYTES_MAX: Final = 256 * 1024  # a request is a name and a few words
CONNECTIONS_MAX: Final = 32
SOCKET_MODE: Final = 0o600
PATH_BYTES_MAX: Final = 107  # what the kernel takes in an address

Question = Callable[[dict[str, object]], "Deferred[object] | object"]

_log = structlog.get_logger()


class Control(ServerFactory):
    """Answers the questions it was given, by name."""

    noisy = False

    def __init__(self, questions: Mapping[str, Question]) -> None:
        """Answer `questions`; each takes the request's "args" and gives something that JSON can say."""
        self.questions = dict(questions)
        self.connections: set[ControlConnection] = set()
        self._port: OpenPort | None = None
        self._path = ""

    def listen(self, reactor: Ports, path: str) -> None:
        """Open the socket at `path`, for its owner only.  Raises ConfigError."""
        _clear_the_way(path)
        before = os.umask(0o777 & ~SOCKET_MODE)  # it must never exist with another mode, not even for a moment
        try:
            self._port = reactor.listenUNIX(path, self, CONNECTIONS_MAX, SOCKET_MODE)
        finally:
            os.umask(before)
        self._path = path

    def stop(self) -> None:
        """Close the socket and every connection."""
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()  # removes the file
        for connection in list(self.connections):
            connection.wire().abortConnection()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:  # noqa: ARG002  # local sockets have no names
        """A connection, unless there are too many."""
        if len(self.connections) >= CONNECTIONS_MAX:
            return None
        return ControlConnection(self)


class ControlConnection(LineOnlyReceiver):
    """One caller; its questions are answered one after the other."""

    delimiter = b"\n"
    MAX_LENGTH = REQUEST_BYTES_MAX

    def __init__(self, control: Control) -> None:
        """Serve a caller of `control`."""
        self._control = control
        self._gone = False

    def wire(self) -> Wire:
        """Its transport."""
        return cast("Wire", self.transport)

    def connectionMade(self) -> None:
        """A caller is there."""
        self._control.connections.add(self)

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: ARG002  # how it ended changes nothing
        """The caller has what it wanted, or not."""
        self._gone = True
        self._control.connections.discard(self)

    def lineReceived(self, line: bytes) -> None:
        """One request."""
        self.wire().pauseProducing()
        answer = maybeDeferred(self._ask, line)
        answer.addCallbacks(lambda value: {"answer": value}, self._failed).addCallback(self._reply)
        answer.addErrback(lambda failure: self._reply(self._failed(failure)))

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002  # it is too long to look at
        """No question is that long."""
        self._reply({"error": "the request is too long"})
        self.wire().loseConnection()

    def _ask(self, line: bytes) -> Deferred[object] | object:
        try:
            request = json.loads(line)
        except ValueError:
            raise Refused("the request is not JSON") from None
        if not isinstance(request, dict) or not isinstance(request.get("args", {}), dict):
            raise Refused('a request is {"ask": name, "args": {...}}')
        question = self._control.questions.get(str(request.get("ask")))
        if question is None:
            raise Refused("this daemon does not know that question; it may be of another version")
        return question(request.get("args", {}))

    def _failed(self, failure: Failure) -> dict[str, object]:
        """An error for the caller: our sentence, or only what kind of error it was."""
        error = failure.value
        assert error is not None, "a failure has an error"
        if isinstance(error, Refused):
            return {"error": str(error)}
        name = type(error).__name__
        _log.error("A question failed.", error=name, where=where(error))
        return {"error": f"the question failed inside the daemon ({name}); its log says where"}

    def _reply(self, answer: dict[str, object]) -> None:
        line = json.dumps(answer, ensure_ascii=False, default=str).encode() + b"\n"
        if not self._gone:
            self.wire().write(line)
            self.wire().resumeProducing()


def _clear_the_way(path: str) -> None:
    """Remove the socket of a daemon that is gone; refuse anything else that is in the way.  Raises ConfigError."""
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        raise _in_the_way(path, f"a socket's path has at most {PATH_BYTES_MAX} bytes")
    os.makedirs(os.path.dirname(path) or ".", 0o700, exist_ok=True)  # noqa: PTH103, PTH120  # one path, as text
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise _in_the_way(path, "something that is no socket is in its place")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # noqa: PTH108  # one path, as text
            return
    raise _in_the_way(path, "another daemon is answering there")


def _in_the_way(path: str, sentence: str) -> ConfigError:
    problem = Problem(
        file="conf/engine.toml", line=0, column=1, code="RUN1", sentence=f"control socket {path}: {sentence}"
    )
    return ConfigError([problem])
