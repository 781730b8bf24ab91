"""The journal in a process of its own, as the door sees it: requests out, replies back in the same order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar, cast

import structlog
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from referral_engine.base.clock import Clock, to_micros
from referral_engine.base.errors import JournalLost
from referral_engine.flow.inputs import Input, Receipt
from referral_engine.service.child import Adopts, Child
from referral_engine.service.handling import Broken
from referral_engine.service.ipc import (
    Anchor,
    Close,
    Done,
    Failed,
    Look,
    Open,
    Opened,
    Ping,
    Prepare,
    Reply,
    Request,
    Run,
    ScrubOn,
    Told,
    error_of,
    read_reply,
    written,
)

MODULE: Final = "referral_engine.service.journal_process"

T = TypeVar("T", Opened, Done, Told)

_log = structlog.get_logger()


class ProcessHost:
    """Starts the process, and is the only one that speaks to it."""

    def __init__(self, reactor: Adopts, clock: Callable[[], Clock]) -> None:
        """Start it; `clock` gives the clock whose instants are recorded."""
        self._clock = clock
        self._waiting: deque[Deferred[Reply]] = deque()
        self._gone = False
        self._child = Child(reactor, MODULE, heard=lambda body: self._said(read_reply(body)), lost=self._lost)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

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

    def prepare(self, packed: bytes) -> Deferred[None]:
        """Read another configuration beforehand."""
        return self._ask(Prepare(book=packed), Told).addCallback(lambda _: None)

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
        self._child.kill()

    def _closed(self, result: object) -> object:
        self._gone = True
        self._child.hang_up()
        return None if isinstance(result, Told) else result

    def _ask(self, request: Request, kind: type[T]) -> Deferred[T]:
        """Send a request; its reply is the next in line."""
        if self._gone:
            return fail(JournalLost())
        reply: Deferred[Reply] = Deferred()
        self._waiting.append(reply)
        self._child.send(*written(request))

        def answered(said: Reply) -> T:
            if isinstance(said, Failed):
                raise error_of(said)
            assert isinstance(said, kind), "replies come in the order of their requests"
            return said

        return reply.addCallback(answered)

    # What the process's end of the socket calls.

    def _said(self, reply: Reply) -> None:
        """The next reply is there."""
        self._waiting.popleft().callback(reply)

    def _lost(self) -> None:
        """The process is gone, and so is whatever it had in hand."""
        if not self._gone:
            self._gone = True
            _log.critical("The journal's process ended.", code=self._child.exit_status)
        waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            one.errback(Failure(JournalLost()))
