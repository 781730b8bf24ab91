"""The ways out of the engine: a book in, its lanes with everything they need of the machine out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint

from referral_engine.base.clock import Clock
from referral_engine.channels.book import Book
from referral_engine.channels.engine import Tls
from referral_engine.service.door import Door
from referral_engine.service.executor import Executor, ThreadExecutor
from referral_engine.service.world import World
from referral_engine.transports.lane_set import Lane, Surroundings, lanes_of
from referral_engine.transports.mllp import CONNECT_SECONDS_MAX, Endpoint
from referral_engine.transports.spool import InThread
from referral_engine.transports.tls import client_context


class Ways:
    """Dials, writes and counts for the lanes; of one peer and one directory there is one, whatever is reloaded."""

    def __init__(self, world: World, door: Door, clock: Clock) -> None:
        """`clock` is the one the door records by: what is owed must not seem a year old."""
        self._world = world
        self._door = door
        self._spools: dict[str, Executor] = {}
        self.surroundings = Surroundings(
            submit=door.submit,
            timer=world.reactor,
            clock=clock,
            chance=world.chance,
            dial=self._dial,
            in_thread=self._in_thread,
            directory=world.places.kept,
            credentials=self._credentials,
            owed=self._owed,
        )

    def lanes(self, book: Book) -> tuple[Lane, ...]:
        """The lanes of a book; nothing is connected yet.  Raises ConfigError for a certificate that cannot be used."""
        return lanes_of(book, self.surroundings)

    @property
    def executors(self) -> list[Executor]:
        """The threads of the spool directories."""
        return list(self._spools.values())

    def _dial(self, host: str, port: int, tls: Tls | None, owner: str) -> Endpoint:
        """The way to a peer; names are looked up at each connection."""
        plain = HostnameEndpoint(self._world.reactor, host, port, timeout=CONNECT_SECONDS_MAX)
        if tls is None:
            return cast("Endpoint", plain)
        context = client_context(tls, host, self._world.places.credential, owner)
        return cast("Endpoint", wrapClientTLS(context, cast("IStreamClientEndpoint", plain)))

    def _in_thread(self, directory: str) -> InThread:
        """A thread for each directory: a dead network drive holds up nobody else."""
        if directory not in self._spools:
            make = self._world.threads
            self._spools[directory] = make(directory) if make else ThreadExecutor(self._world.reactor, "spool")
        return self._spools[directory].run

    def _credentials(self, tls: Tls | None) -> str:
        """A digest of what the files of a [tls] table hold now: a renewed certificate is another way."""
        digest = sha256()
        for name in () if tls is None else (tls.ca, tls.cert, tls.key):
            with suppress(OSError):  # whoever dials says what is wrong with it
                digest.update(self._world.places.credential(name) if name else b"")
            digest.update(b"\0")
        return digest.hexdigest()

    def _owed(self) -> Deferred[Mapping[str, int]]:
        return self._door.look("lanes").addCallback(lambda told: cast("Mapping[str, int]", told))
