"""The daemon's life in one call: files and environment in, an exit status out."""

from __future__ import annotations

import secrets
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from referral_engine.base.errors import ConfigError, JournalError
from referral_engine.channels.book import Book, read_book
from referral_engine.journal.room import look_at_disk
from referral_engine.service.assembly import EXIT_CONFIG, EXIT_FENCED, Daemon
from referral_engine.service.child import Adopts
from referral_engine.service.clock import MachineClock, install_monotonic
from referral_engine.service.files import read_files
from referral_engine.service.logs import start_logging
from referral_engine.service.notify import notify_from, watchdog_seconds
from referral_engine.service.places import places_from
from referral_engine.service.reader import ProcessReader
from referral_engine.service.world import Part, World
from referral_engine.transports.reactor import MainReactor

EXIT_BROKEN: Final = 1  # we are wrong: systemd may try again

_log = structlog.get_logger()


def run_daemon(
    engine_file: str,
    environ: Mapping[str, str],
    *,
    announce: Callable[[Daemon], None],
    complain: Callable[[ConfigError | JournalError], None],
    parts: Sequence[Part] = (),
) -> int:
    """Run until a signal ends it; the exit status: 0, 74 (storage), 78 (configuration), 1 (a bug).

    announce: called once, when it is ready. complain: called with what keeps it from starting.
    """
    too_early = hear_hangups()
    from twisted.internet import reactor as installed

    reactor = cast("MainReactor", installed)
    install_monotonic(reactor)
    clock = MachineClock()
    start_logging(clock)
    try:
        files = read_files(engine_file)
        book: Book = read_book(files, today=clock.now().date())
    except ConfigError as error:
        complain(error)
        return EXIT_CONFIG
    world = World(
        reactor=reactor,
        engine_file=engine_file,
        files=files,
        reader=ProcessReader(cast("Adopts", reactor), reactor),
        room=look_at_disk,
        clock=clock,
        readings=clock.readings,
        places=places_from(environ, engine_file),
        chance=secrets.SystemRandom().random,  # where the machine's chance is drawn and handed in
        notify=notify_from(environ),
        watchdog_seconds=watchdog_seconds(environ),
    )
    daemon = Daemon(book, world, parts=parts)
    life = _Life(daemon, reactor, announce, complain)
    signal.signal(signal.SIGHUP, lambda _signal, _frame: reactor.callFromThread(daemon.reload))  # wakes the reactor
    if too_early:  # it may have meant files that were edited after they were read
        daemon.reload()
    reactor.addSystemEventTrigger("before", "shutdown", daemon.stop)
    reactor.callWhenRunning(life.begin)
    daemon.finished.addCallback(life.over)
    reactor.run()
    sys.stderr.flush()
    return life.exit_status or daemon.exit_status


def hear_hangups() -> list[int]:
    """Each SIGHUP from now on; unheard it would end the process, and systemd would take that for a clean end."""
    heard: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _frame: heard.append(number))
    return heard


class _Life:
    """What happens around the start."""

    def __init__(
        self,
        daemon: Daemon,
        reactor: MainReactor,
        announce: Callable[[Daemon], None],
        complain: Callable[[ConfigError | JournalError], None],
    ) -> None:
        self._daemon = daemon
        self._reactor = reactor
        self._announce = announce
        self._complain = complain
        self.exit_status = 0

    def begin(self) -> Deferred[None]:
        return self._daemon.start().addCallbacks(self._ready, self._failed)

    def _ready(self, _nothing: None) -> None:
        self._announce(self._daemon)

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, ConfigError | JournalError):
            self._complain(error)
            self.exit_status = EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FENCED
        else:
            self.exit_status = EXIT_BROKEN
            _log.critical("The daemon could not start.", error=type(error).__name__)
        self._reactor.stop()

    def over(self, status: int) -> None:
        self.exit_status = status
        self._reactor.stop()
