"""What a daemon is handed of the machine it runs on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

from referral_engine.base.clock import Clock
from referral_engine.base.watch import Readings
from referral_engine.journal.room import Disk
from referral_engine.service.context import Context
from referral_engine.service.executor import Executor
from referral_engine.service.notify import Notify
from referral_engine.service.places import Places
from referral_engine.service.reader import Reader
from referral_engine.transports.reactor import Reactor

Part = Callable[[Context, Reactor], Callable[[], "Deferred[None] | None"]]  # starts something, gives the way to stop it


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a daemon is handed: nothing in it is read from the machine elsewhere."""

    reactor: Reactor
    clock: Clock
    places: Places
    chance: Callable[[], float]  # draws from [0, 1)
    notify: Notify = field(default_factory=lambda: Notify(None))
    watchdog_seconds: float = 0.0
    engine_file: str = ""  # where the book was read from: the journal gets a process of its own; "": it stays here
    files: Mapping[str, str] | None = None  # the texts of the book; None: it was made by hand, and has no versions
    reader: Reader | None = None  # of other files; None: there is no reload
    executor: Executor | None = None  # for a journal that stays here; None: a thread of its own
    threads: Callable[[str], Executor] | None = None  # for a spool directory; None: a thread each
    tick_seconds: float | None = None  # None: as the book says
    room: Callable[[str], Disk] | None = None  # looks at the journal's disk; None: nobody watches it
    readings: Callable[[], Readings] | None = None  # the machine's counters; None: `clock` is moved, and always right
