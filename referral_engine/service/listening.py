"""Every MLLP port of the engine: those that the files in force ask for, and those that only finish what they have."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.ssl import CertificateOptions

from referral_engine.base.clock import Clock
from referral_engine.base.errors import ConfigError, Problem
from referral_engine.channels.admission import partner_of_connection
from referral_engine.channels.book import ENGINE_FILE, Book
from referral_engine.channels.engine import Listener
from referral_engine.channels.partner import Partner
from referral_engine.service.busy import BusyAnswers
from referral_engine.service.house import Doorway
from referral_engine.service.listener import MllpListener, PartnerOf
from referral_engine.transports.reactor import Reactor
from referral_engine.transports.tls import ReadsCredential, server_context


class _Asked(NamedTuple):
    """One port that a book asks for."""

    settings: Listener
    tls: CertificateOptions | None
    partner_of: PartnerOf


@dataclass(slots=True)
class NextListeners:
    """The ports of another book, bound and not yet open: carried out, or given up as if nothing had been."""

    carry_out: Callable[[], None]
    opened: list[MllpListener] = field(default_factory=list)

    def abandon(self) -> None:
        """Give the new ports back."""
        for listener in self.opened:
            listener.drop()


class Listening:
    """The listeners in force, in the order of the files, and those that have had their day."""

    def __init__(self, *, door: Doorway, reactor: Reactor, clock: Clock, credential: ReadsCredential) -> None:
        """Hand frames to `door`; `clock` gives the instants of answers, `credential` the bytes of certificates."""
        self.listeners: list[MllpListener] = []
        self._leaving: list[MllpListener] = []
        self._door = door
        self._reactor = reactor
        self._clock = clock
        self._credential = credential
        self._paused = ""
        self._frames_before = 0  # of listeners that are gone
        self._stopped = False

    def open(self, book: Book) -> None:
        """Open the ports of the first book.  Raises ConfigError."""
        for asked in self._asked(book):
            listener = self._made(book, asked)
            self.listeners.append(listener)
            _bind(listener, listener.listen, self._reactor)

    def prepare(self, book: Book) -> NextListeners:
        """Bind what is new, and read every certificate again.  Raises ConfigError; then nothing has changed."""
        asked = self._asked(book)
        kept = {number: one for number, wanted in enumerate(asked) if (one := self._same(wanted.settings))}
        change = NextListeners(carry_out=lambda: None)
        for number, wanted in enumerate(asked):
            if number in kept:
                continue
            listener = self._made(book, wanted)
            try:
                _bind(listener, listener.hold, self._reactor)
            except ConfigError:
                change.abandon()
                raise
            change.opened.append(listener)
        change.carry_out = lambda: self._follow(book, asked, kept, list(change.opened))
        return change

    @property
    def listening(self) -> bool:
        """Whether every port takes connections."""
        return all(one.listening for one in self.listeners)

    @property
    def frames(self) -> int:
        """Messages that ever came in."""
        return self._frames_before + sum(one.counts.frames for one in (*self.listeners, *self._leaving))

    def ports(self) -> dict[str, int]:
        """Listener to the port it is bound to."""
        return {one.name: one.port for one in self.listeners}

    def status(self) -> list[dict[str, object]]:
        """What `status` shows of each."""
        return [one.status() for one in (*self.listeners, *self._leaving)]

    def flush(self) -> None:
        """A batch's receipts are out."""
        for listener in (*self.listeners, *self._leaving):
            listener.flush()

    def resume(self) -> None:
        """The door has room again."""
        for listener in (*self.listeners, *self._leaving):
            listener.resume()

    def pause(self, reason: str) -> None:
        """Take and read nothing until `resume_listening`."""
        self._paused = reason
        for listener in self.listeners:
            listener.pause(reason)

    def resume_listening(self) -> None:
        """The reason for the pause is gone."""
        self._paused = ""
        for listener in self.listeners:
            listener.resume_listening()

    def stop(self) -> list[Deferred[None]]:
        """Take nothing more; each fires when what one of them had in the door is answered."""
        self._stopped = True
        return [one.stop() for one in (*self.listeners, *self._leaving)]

    def drop(self) -> None:
        """Cut everything at once."""
        self._stopped = True
        for listener in (*self.listeners, *self._leaving):
            listener.drop()

    def _asked(self, book: Book) -> list[_Asked]:
        """What a book asks for, its certificates read.  Raises ConfigError."""
        return [_Asked(one, self._context(one), _partners(book, one.name)) for one in book.engine.listeners]

    def _context(self, settings: Listener) -> CertificateOptions | None:
        if settings.tls is None:
            return None
        return server_context(settings.tls, self._credential, f"listener {settings.name}")

    def _same(self, wanted: Listener) -> MllpListener | None:
        """The listener that has this port already; one of any free port is known by its name."""
        near = [one for one in self.listeners if (one.settings.bind, one.settings.port) == (wanted.bind, wanted.port)]
        return next((one for one in near if one.name == wanted.name or wanted.port), None)

    def _made(self, book: Book, asked: _Asked) -> MllpListener:
        return MllpListener(
            asked.settings,
            door=self._door,
            clock=self._reactor,
            tls=asked.tls,
            partner_of=asked.partner_of,
            busy=BusyAnswers(self._clock, book.engine.identity),
            descriptors_max=descriptor_limit(),
        )

    def _follow(
        self, book: Book, asked: list[_Asked], kept: dict[int, MllpListener], opened: list[MllpListener]
    ) -> None:
        """Let what was prepared be in force; what nobody asks for any more finishes what it has."""
        busy = BusyAnswers(self._clock, book.engine.identity)
        fresh = iter(opened)
        following: list[MllpListener] = []
        for number, wanted in enumerate(asked):
            if number in kept:
                kept[number].renew(wanted.settings, tls=wanted.tls, partner_of=wanted.partner_of, busy=busy)
                following.append(kept[number])
            else:
                following.append(next(fresh))
                following[-1].let_in()
                if self._paused:
                    following[-1].pause(self._paused)
        gone = [one for one in self.listeners if one not in following]
        self.listeners[:] = following
        for listener in gone:
            self._leaving.append(listener)
            listener.stop().addCallback(self._left, listener)

    def _left(self, _nothing: None, listener: MllpListener) -> None:
        if not self._stopped:
            self._leaving.remove(listener)
            self._frames_before += listener.counts.frames


def _partners(book: Book, listener: str) -> PartnerOf:
    """Whose connection it is, by the files of one book."""

    def partner_of(peer: str, certificates: tuple[str, ...]) -> Partner:
        return partner_of_connection(book, listener=listener, peer=peer, certificates=certificates)

    return partner_of


def _bind(listener: MllpListener, bind: Callable[[Reactor], None], reactor: Reactor) -> None:
    """Have a port.  Raises ConfigError when somebody else has it."""
    try:
        bind(reactor)
    except CannotListenError as error:
        settings = listener.settings
        reason = getattr(error.socketError, "strerror", None) or type(error.socketError).__name__
        sentence = f"listener {settings.name}: cannot listen on {settings.bind}:{settings.port}: {reason}"
        raise ConfigError([Problem(file=ENGINE_FILE, line=0, column=1, code="RUN2", sentence=sentence)]) from None


def descriptor_limit() -> int:
    """How many descriptors this process may have; 0 for no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft
