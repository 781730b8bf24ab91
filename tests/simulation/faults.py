"""What goes wrong inside the engine's process: commits that fail or lie, a slow disk, a spool that cannot be written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol

from sqlcipher3 import dbapi2
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from referral_engine.channels.book import Book
from tests.simulation.network import Network
from tests.simulation.scheduler import Call, Scheduler, WallClock

IOERR_FSYNC: Final = 1034  # SQLITE_IOERR_FSYNC
FULL: Final = 13  # SQLITE_FULL


@dataclass(slots=True, kw_only=True)
class Rates:
    """How often each fault happens: chances of one commit, one word or one piece of work."""

    crash_before_commit: float = 0.0
    crash_after_commit: float = 0.0
    fail_before_commit: float = 0.0  # COMMIT raises, and nothing is stored
    fail_after_commit: float = 0.0  # COMMIT raises, and everything is stored
    no_room: float = 0.0  # COMMIT says that the disk is full
    crash_while_speaking: float = 0.0
    slow_disk: float = 0.0
    broken_spool: float = 0.0  # writing a file fails, before or after it is there
    crash_while_starting: float = 0.0
    crashes_a_minute: float = 0.0

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        for name in self.__slots__:
            setattr(self, name, 0.0)


@dataclass(slots=True, kw_only=True)
class Ground:
    """What every life of one simulation stands on."""

    scheduler: Scheduler
    clock: WallClock
    net: Network
    book: Book
    root: Path
    rates: Rates
    chance: Random
    note: Callable[[str], None]
    guarded: bool = False  # the engine watches its clock
    findings: list[str] = field(default_factory=list)
    commits: int = 0


class Mortal(Protocol):
    """What faults need of the life they end."""

    alive: bool
    disk_failed: bool
    ground: Ground

    def crash(self) -> None:
        """kill -9, now."""
        ...

    def later(self, delay: float, function: Callable[..., object], *args: object) -> Call:
        """Call it, unless it is dead by then."""
        ...

    def opened(self, value: Any) -> Any:
        """The result of a piece of work."""
        ...


class FaultyConnection:
    """The journal's connection, whose COMMIT may fail, succeed and say it failed, or be the last thing ever done."""

    def __init__(self, true: Any, life: Mortal) -> None:
        self._true = true
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._true, name)

    def execute(self, statement: str, *values: Any) -> Any:
        if statement != "COMMIT":
            return self._true.execute(statement, *values)
        return self._commit()

    def _commit(self) -> Any:
        life, ground = self._life, self._life.ground
        if not life.alive:  # it was killed in the middle of this batch
            raise _driver_error(IOERR_FSYNC)
        rates, drawn = ground.rates, ground.chance.random()
        ground.commits += 1
        for rate, act in (
            (rates.crash_before_commit, self._die_before),
            (rates.crash_after_commit, self._die_after),
            (rates.fail_before_commit, self._fail_before),
            (rates.fail_after_commit, self._fail_after),
            (rates.no_room, self._find_no_room),
        ):
            if drawn < rate:
                ground.note(f"COMMIT {ground.commits}: {act.__name__.strip('_').replace('_', ' ')}")
                life.disk_failed = True
                return act()
            drawn -= rate
        return self._true.execute("COMMIT")

    def _die_before(self) -> None:
        self._life.crash()
        raise _driver_error(IOERR_FSYNC)

    def _die_after(self) -> None:
        self._true.execute("COMMIT")
        self._life.crash()
        raise _driver_error(IOERR_FSYNC)

    def _fail_before(self) -> None:
        raise _driver_error(IOERR_FSYNC)

    def _fail_after(self) -> None:
        self._true.execute("COMMIT")
        raise _driver_error(IOERR_FSYNC)

    def _find_no_room(self) -> None:
        raise _driver_error(FULL)


def _driver_error(code: int) -> Exception:
    """As the driver raises it."""
    error: Any = dbapi2.OperationalError("made up")
    error.sqlite_errorcode = code
    return error  # type: ignore[no-any-return]  # the driver has no types


class Thread:
    """A thread of the engine's: one piece of work after the other, each takes its time, and the process may die between."""

    def __init__(self, life: Mortal, *, spool: bool) -> None:
        self._life = life
        self._spool = spool
        self._queue: deque[tuple[Callable[[], Any], Deferred[Any]]] = deque()
        self._busy = False

    def run(self, work: Callable[[], Any]) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self._queue.append((work, result))
        self._next()
        return result

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def _next(self) -> None:
        life = self._life
        if self._busy or not self._queue or not life.alive:
            return
        self._busy = True
        chance, rates = life.ground.chance, life.ground.rates
        takes = 0.0002 + chance.random() * 0.003
        if chance.random() < rates.slow_disk:
            takes += chance.random() * 4
            life.ground.note(f"the disk takes {takes:.1f} s")
        work, result = self._queue.popleft()
        life.ground.scheduler.later(takes, self._work, work, result)

    def _work(self, work: Callable[[], Any], result: Deferred[Any]) -> None:
        life = self._life
        if not life.alive:
            return
        breaks = self._spool and life.ground.chance.random() < life.ground.rates.broken_spool
        before = breaks and life.ground.chance.random() < 0.5
        outcome = Failure(OSError(5, "made up, before it was written")) if before else self._outcome(work)
        if breaks and not before:
            outcome = Failure(OSError(5, "made up, after it was written"))
        back = result.errback if isinstance(outcome, Failure) else result.callback
        self._busy = False
        life.later(0.0001, back, outcome)
        self._next()

    def _outcome(self, work: Callable[[], Any]) -> Any:
        """What the work gives or raises."""
        try:
            return self._life.opened(work())
        except Exception:  # noqa: BLE001  # it is handed to whoever waits, as by the real thread
            return Failure()
