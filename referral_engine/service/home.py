"""The journal's home: opened where the daemon wants it, in this process or in one of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import cast

from referral_engine.base.clock import Clock
from referral_engine.channels.book import Book
from referral_engine.flow.step import Step
from referral_engine.service.child import Adopts
from referral_engine.service.executor import Executor
from referral_engine.service.host import Host, open_here
from referral_engine.service.ipc import Opened
from referral_engine.service.process_host import ProcessHost
from referral_engine.transports.reactor import Reactor


class Home:
    """Opens the journal once; `host` is what the door asks from then on."""

    host: Host

    def __init__(
        self, reactor: Reactor, executor: Executor, book: Book, *, clock: Callable[[], Clock], engine_file: str
    ) -> None:
        """engine_file: where a process of its own reads the book again; "" keeps the journal in this process."""
        self._reactor = reactor
        self._executor = executor
        self._book = book
        self._clock = clock
        self._engine_file = engine_file

    async def open(self, path: str, key: bytes | None, *, node: str, now: int) -> Opened:
        """Open the journal.  Raises JournalError."""
        if self._engine_file:
            host = self.host = ProcessHost(cast("Adopts", self._reactor), self._clock)
            return await host.open(
                path, key, node=node, now=now, engine_file=self._engine_file, config=self._book.version
            )
        self.host, journal = await open_here(
            self._executor,
            lambda journal: Step(journal, self._book, _Late(self._clock)),
            path=path, key=key, node=node, now=now,
        )  # fmt: skip
        return Opened(node=journal.node, high_water=journal.high_water, note=journal.note)


class _Late:
    """The clock that is known once the journal is open."""

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock().now()
