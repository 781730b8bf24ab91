"""The process that has the journal: requests in over a socket, each answered before the next is read."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Final

from referral_engine.base.clock import from_micros
from referral_engine.base.errors import JournalError, Refused
from referral_engine.channels.book import read_book
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.service.careful import Careful, note_beside
from referral_engine.service.clock import MachineClock
from referral_engine.service.files import read_files
from referral_engine.service.found import unpack
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
    failed,
    read_request,
    written,
)
from referral_engine.service.lengths import LENGTH
from referral_engine.service.logs import start_logging
from referral_engine.service.readings import QUESTION_SECONDS_MAX, READINGS
from referral_engine.service.shapes import shape_scrub

HANDLING_SECONDS_MAX: Final = 5.0  # of processor time for one message; more is a loop that will not end
BATCH_SECONDS_MAX: Final = 20.0  # the same for a batch; a slow one is tried again message by message
GC_ALLOCATIONS: Final = 50_000  # between two looks of the collector: values of a batch hardly ever form a circle
BROKEN: Final = 1  # the exit status of a bug; the daemon says that the process ended, and ends too
_DIE_WITH_PARENT: Final = 1  # prctl PR_SET_PDEATHSIG: no second writer outlives the daemon


class TookTooMuchTime(Exception):  # it is the name that people read in the quarantine
    """A message kept the processor for longer than any message may."""


class ToldClock:
    """Stands at the instant of the newest request: the daemon reads the machine's clock, and nobody else."""

    def __init__(self) -> None:
        """Stand nowhere yet."""
        self.micros = 0

    def now(self) -> datetime:
        """The instant of the newest request."""
        return from_micros(self.micros)


class Patience:
    """Raises TookTooMuchTime in a handling that does not end; never once its batch is about to be committed."""

    def __init__(self) -> None:
        """Listen to the processor's timer."""
        self._armed = False
        signal.signal(signal.SIGVTALRM, self._ran_out)

    @contextmanager
    def __call__(self, inputs: int) -> Iterator[None]:
        """Give the body its time."""
        self._armed = True
        signal.setitimer(signal.ITIMER_VIRTUAL, HANDLING_SECONDS_MAX if inputs == 1 else BATCH_SECONDS_MAX)
        try:
            yield
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)

    def _ran_out(self, _signal: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise TookTooMuchTime


class JournalServer:
    """Answers the daemon's requests, one after the other."""

    def __init__(self, line: socket.socket) -> None:
        """Serve what comes over `line`."""
        self._line = line
        self._clock = ToldClock()
        self._machine = MachineClock()
        self._journal: Journal | None = None
        self._careful: Careful | None = None
        self._step: Step | None = None

    def serve(self) -> None:
        """Until the daemon says close, or is gone."""
        while (request := self._next()) is not None:
            try:
                reply = self._answer(request)
            except Exception as error:  # noqa: BLE001  # the daemon decides what follows from it
                reply = failed(error)
            length, body = written(reply)
            self._line.sendall(length + body)
            if isinstance(request, Close):
                return

    def _answer(self, request: Request) -> Reply:
        match request:
            case Run():
                self._clock.micros = request.now
                return Done(results=self._opened()[1].run(request.inputs))
            case Look():
                return Told(answer=self._look(request))
            case Prepare():
                assert self._step is not None, "the first request opens the journal"
                self._step.offer(unpack(request.book))
                return Told()
            case Ping():
                return Told()
            case Anchor():
                self._opened()[0].anchor()
                return Told()
            case ScrubOn():
                return Told(answer=shape_scrub(*self._opened()[0].scrub(request.turns)))
            case Open():
                return self._open(request)
            case Close():
                if self._journal is not None:
                    self._journal.close()
                return Told()

    def _open(self, request: Open) -> Opened | Failed:
        book = read_book(read_files(request.engine_file))
        if book.version != request.config:
            raise JournalError("The configuration changed while the engine was starting. Start it again.")
        journal = Journal.open(request.path, request.key, node=request.node, now=request.now)
        self._journal = journal
        self._clock.micros = (
            journal.high_water
        )  # the machine's clock may be wrong by years: the daemon looks at it next
        step = self._step = Step(journal, book, self._clock, patience=Patience())
        self._careful = Careful(step, note_beside(request.path))
        gc.collect()
        gc.freeze()  # what is here now stays for ever: the collector need not look at it again
        gc.set_threshold(GC_ALLOCATIONS, *gc.get_threshold()[1:])
        return Opened(node=journal.node, high_water=journal.high_water, note=journal.note)

    def _look(self, request: Look) -> object:
        reading = READINGS.get(request.name)
        if reading is None:
            raise Refused(f"there is no question {request.name}")
        ends_at = self._machine.seconds() + QUESTION_SECONDS_MAX
        return reading(self._opened()[0].read(lambda: self._machine.seconds() > ends_at), request.words)

    def _opened(self) -> tuple[Journal, Careful]:
        assert self._journal is not None, "the first request opens the journal"
        assert self._careful is not None, "the first request opens the journal"
        return self._journal, self._careful

    def _next(self) -> Request | None:
        """The next request; None when the daemon is gone."""
        head = self._read(LENGTH.size)
        body = self._read(LENGTH.unpack(head)[0]) if head else b""
        return read_request(body) if body else None

    def _read(self, count: int) -> bytes:
        """Exactly so many bytes; b"" at the end."""
        pieces: list[bytes] = []
        while count:
            try:
                piece = self._line.recv(min(count, 1 << 20))
            except ConnectionError:
                return b""
            if not piece:
                return b""
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)


def main() -> None:
    """Serve the socket whose number is the first argument, for the daemon whose process id is the second."""
    parent = int(sys.argv[2])
    ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could ask to die with it
        return
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)  # the daemon hears them, and closes us when all is said
    start_logging(MachineClock())
    status = BROKEN
    line = socket.socket(fileno=int(sys.argv[1]))
    server = JournalServer(line)  # has a name until the end: a connection that nobody holds is closed at once
    try:
        server.serve()
        status = 0
    finally:  # a journal that nobody closed stays as it is: closing it would copy and delete its log
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
