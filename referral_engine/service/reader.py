"""New files read outside the daemon: what it wants to know in, what the reader found out; or why it found nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from referral_engine.base.errors import ReferralEngineError
from referral_engine.service.child import Adopts, Child
from referral_engine.service.found import Found, GaveUp, Reached, Wanted, read_said, write
from referral_engine.service.lengths import LENGTH
from referral_engine.transports.reactor import Later, Timer

MODULE: Final = "referral_engine.service.candidate"
SILENT_SECONDS_MAX: Final = 120.0  # between two words of the reader; stops a test that never ends

Heard = Callable[[Reached], None]


class NotRead(ReferralEngineError):
    """The new files could not be looked at; its text is a sentence for the person who wants them in force."""


class Reader(Protocol):
    """Looks at new files."""

    def look(self, wanted: Wanted, heard: Heard) -> Deferred[Found]:
        """What it found; fails with NotRead.  `heard` is told how far it has come."""
        ...


class ProcessReader:
    """Starts a process for each look."""

    def __init__(self, reactor: Adopts, timer: Timer, *, module: str = MODULE) -> None:
        """Start `module` on the reactor's machine."""
        self._reactor = reactor
        self._timer = timer
        self._module = module

    def look(self, wanted: Wanted, heard: Heard) -> Deferred[Found]:
        """Start a process and hear what it says."""
        return _Look(self._reactor, self._timer, self._module, wanted, heard).found


class _Look:
    """One process on its way."""

    def __init__(self, reactor: Adopts, timer: Timer, module: str, wanted: Wanted, heard: Heard) -> None:
        self.found: Deferred[Found] = Deferred()
        self._timer = timer
        self._told = heard
        self._over = False
        self._child = Child(reactor, module, heard=self._heard, lost=self._lost, quiet=True)
        self._later: Later = timer.callLater(SILENT_SECONDS_MAX, self._silent)
        body = write(wanted)
        self._child.send(LENGTH.pack(len(body)), body)

    def _heard(self, body: bytes) -> None:
        said = read_said(body)
        if self._over:
            return
        if isinstance(said, Reached):
            self._later.cancel()
            self._later = self._timer.callLater(SILENT_SECONDS_MAX, self._silent)
            self._told(said)
        elif isinstance(said, GaveUp):
            self._end(NotRead(_sentence(said)))
        else:
            self._end(said)

    def _lost(self) -> None:
        if not self._over:
            self._end(None)

    def _silent(self) -> None:
        self._end(NotRead(f"reading the new files and playing their tests stood still for {SILENT_SECONDS_MAX:.0f} s"))

    def _end(self, result: Found | NotRead | None) -> None:
        """Hand on what there is; None: it ended without a word, and how it ended is all that is known."""
        self._over = True
        if self._later.active():
            self._later.cancel()
        status = self._child.see_off(at_once=result is not None)
        if isinstance(result, Found):
            self.found.callback(result)
        else:
            self.found.errback(result or NotRead(f"the reader of the new files {_ended(status)}"))


def _sentence(said: GaveUp) -> str:
    if said.kind == MemoryError.__name__:
        return "the new files need more memory than the engine may take for them"
    return f"the reader of the new files met {said.kind}: this is a fault of the engine, not of the files"


def _ended(status: int | None) -> str:
    if status is not None and status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended without a word (exit status {status})"
