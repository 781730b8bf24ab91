"""What we use of Twisted's reactor, as types; the real one, a test's and a simulation's all fulfil them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory


class Later(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Forget it."""
        ...

    def active(self) -> bool:
        """Whether it is still to come."""
        ...


class Timer(Protocol):
    """A clock that nobody sets, and calls to come: `service.clock.install_monotonic` makes the reactor one."""

    def seconds(self) -> float:
        """Seconds since an unknown moment."""
        ...

    def callLater(self, delay: float, callable: Callable[..., object], *args: object) -> Later:  # noqa: A002  # Twisted's
        """Call it in `delay` seconds."""
        ...


class Threads(Protocol):
    """The way back from another thread."""

    def callFromThread(self, callable: Callable[..., object], *args: object) -> None:  # noqa: A002  # Twisted's name
        """Call it in the reactor."""
        ...


class OpenPort(Protocol):
    """A port that is bound."""

    def getHost(self) -> IAddress:
        """Where."""
        ...

    def stopListening(self) -> Deferred[None] | None:
        """Take no connection more."""
        ...

    def stopReading(self) -> None:
        """Leave who connects with the kernel for a while."""
        ...

    def startReading(self) -> None:
        """Take them."""
        ...


class Ports(Protocol):
    """Where a server listens; each raises CannotListenError."""

    def listenTCP(self, port: int, factory: ServerFactory, backlog: int, interface: str) -> OpenPort:
        """Plain TCP."""
        ...

    def listenUNIX(self, address: str, factory: ServerFactory, backlog: int, mode: int) -> OpenPort:
        """A socket in the file system."""
        ...


class Reactor(Timer, Threads, Ports, Protocol):
    """All of it."""


class MainReactor(Reactor, Protocol):
    """The installed one, which runs the process."""

    def run(self) -> None:
        """Run until `stop`."""
        ...

    def stop(self) -> None:
        """End `run`, after the triggers of shutdown."""
        ...

    def callWhenRunning(self, callable: Callable[..., object], *args: object) -> object:  # noqa: A002  # Twisted's name
        """Call it once the reactor turns."""
        ...

    def addSystemEventTrigger(self, phase: str, eventType: str, callable: Callable[..., object]) -> object:  # noqa: A002  # Twisted's
        """Call it at that phase of that event; a Deferred it returns is waited for."""
        ...
