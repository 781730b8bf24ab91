"""One life of the engine's process: the real daemon on virtual time, a journal on a real file, and a death at any moment."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.python.failure import Failure
from zope.interface import implementer

from referral_engine.hl7.mllp import Deframer
from referral_engine.journal.journal import Journal
from referral_engine.service.assembly import Daemon
from referral_engine.service.places import Places
from referral_engine.service.world import World
from tests.simulation.faults import FaultyConnection, Ground, Thread
from tests.simulation.network import HOST, Connecting, End, OpenPort
from tests.simulation.scheduler import Call

JOURNAL: Final = "var/journal.db"
ANSWERED: Final = "SELECT count(*) FROM messages WHERE answer = ?"
IN_FLIGHT: Final = "SELECT count(*) FROM effects WHERE state = 'in-flight'"
OWED: Final = "SELECT state, body FROM effects WHERE wire_id = ?"


@implementer(IReactorPluggableNameResolver)
class Life:
    """The reactor, the threads and the end of one process; `daemon` is what runs in it."""

    def __init__(self, ground: Ground, number: int, before: Path | None, *, cleanly: bool = False) -> None:
        """Start from the files that the life before left behind, `cleanly` or not."""
        self._cleanly = cleanly
        self.ground = ground
        self.number = number
        self.alive = True
        self.root = ground.root / f"life-{number}"
        self.journal: Journal | None = None
        self.ready = False
        self.disk_failed = False
        self.left: Path | None = None  # the files at the moment of death
        self.over: Deferred[str] = Deferred()
        self._true: Any = None
        self._deframers: dict[End, Deframer] = {}
        if before is None:
            (self.root / "var").mkdir(parents=True)
        else:
            before.rename(self.root)
        world = World(
            reactor=self,  # type: ignore[arg-type]  # what the daemon uses of one
            clock=ground.clock,
            places=Places(root=self.root),
            chance=ground.chance.random,
            executor=Thread(self, spool=False),
            threads=lambda _directory: Thread(self, spool=True),
            readings=ground.clock.readings if ground.guarded else None,
        )
        self.daemon = Daemon(ground.book, world, questions={})
        self.daemon.finished.addCallback(self._fenced)

    def start(self) -> None:
        """Start the daemon; that it cannot is a finding."""
        self.ground.note(f"life {self.number} begins")
        self.daemon.start().addCallbacks(self._started, self._refused_to_start)
        if self.ground.chance.random() < self.ground.rates.crash_while_starting:
            self.later(self.ground.chance.random() * 0.01, self.crash)
        self.later(0.0, self._draw_the_end)

    # The end.

    def crash(self) -> None:
        """kill -9, now: what was written to the files is there, and nothing else."""
        if not self.alive:
            return
        self.alive = False
        self.ground.note(f"life {self.number} is killed")
        self._leave("killed")

    def stop(self) -> None:
        """SIGTERM: the daemon says when it is done."""
        self.ground.note(f"life {self.number} is asked to stop")
        self.daemon.stop().addBoth(self._stopped)

    def _stopped(self, result: object) -> None:
        if not self.alive:
            return
        if isinstance(result, Failure):
            self.ground.findings.append(f"life {self.number} could not stop: {result.value!r}")
        self.alive = False
        self._leave("fenced" if self.daemon.exit_status else "stopped")

    def _fenced(self, status: int) -> None:
        """The daemon gives up: it is ended like a process, and somebody has looked at the disk."""
        self.ground.note(f"life {self.number} fences itself, exit status {status}")
        if self.alive:
            self.later(self.ground.chance.random(), self.crash)

    def _leave(self, how: str) -> None:
        left = self.root.with_name(f"{self.root.name}-left")
        (left / "var").mkdir(parents=True)
        for path in (self.root / "var").iterdir():
            if path.is_file() and not path.name.endswith((".lock", "-shm")):
                shutil.copyfile(path, left / "var" / path.name)
        self.left = left
        self.ground.net.kill(self)
        self.ground.scheduler.later(0.0, self._bury, how)

    def _bury(self, how: str) -> None:
        """Close what the kernel would have closed, away from the files that were left."""
        if self._true is not None:
            self._true.close()
        shutil.rmtree(self.root, ignore_errors=True)
        self.over.callback(how)

    def _draw_the_end(self) -> None:
        """Crashes come at any moment, too, not only where something happens."""
        rate = self.ground.rates.crashes_a_minute
        if rate and self.alive:
            self.later(self.ground.chance.expovariate(rate / 60), self._end_by_chance)

    def _end_by_chance(self) -> None:
        if not self.ground.rates.crashes_a_minute:
            return
        if self.ready and self.ground.chance.random() < 0.3:
            self.stop()
        else:
            self.crash()

    # What the daemon is handed.

    def opened(self, value: Any) -> Any:
        """Put the faulty connection below a journal that was just opened."""
        if isinstance(value, Journal):
            self.journal = value
            self._true = value._connection
            value._connection = FaultyConnection(self._true, self)  # type: ignore[assignment]  # it does what a connection does
            if self._cleanly and self._true.execute(IN_FLIGHT).fetchone()[0]:
                self.ground.findings.append(f"life {self.number - 1} stopped in peace and left leases behind")
        return value

    def seconds(self) -> float:
        return self.ground.scheduler.now

    def later(self, delay: float, function: Callable[..., object], *args: object) -> Call:
        return self.ground.scheduler.later(delay, self._if_alive, function, args)

    def callLater(self, delay: float, callable: Callable[..., object], *args: object) -> Call:  # noqa: A002  # Twisted's
        return self.later(delay, callable, *args)

    def callFromThread(self, callable: Callable[..., object], *args: object) -> None:  # noqa: A002  # Twisted's
        self.later(0.0, callable, *args)

    def _if_alive(self, function: Callable[..., object], args: tuple[object, ...]) -> None:
        if self.alive:
            function(*args)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> OpenPort:
        return self.ground.net.listen(self, port, factory)

    def listenUNIX(self, address: str, factory: Any, backlog: int, mode: int) -> Any:
        return _NoPort()

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Connecting:
        return Connecting(self.ground.net, self, port, factory, timeout)

    @property
    def nameResolver(self) -> Any:
        return _Resolver

    def installNameResolver(self, resolver: Any) -> None:
        raise AssertionError("nobody installs another")

    # The laws that hold at every moment: what leaves the process is committed.

    def says(self, end: End, data: bytes) -> bool:
        """Judge what is about to leave, and perhaps die first, or right after."""
        for frame in self._deframers.setdefault(end, Deframer()).feed(data):
            if end.accepted:
                self._judge_answer(frame)
            else:
                self._judge_message(frame)
        rates, drawn = self.ground.rates, self.ground.chance.random()
        if drawn < rates.crash_while_speaking / 2:
            self.ground.note("killed before a word left")
            self.crash()
            return False
        if drawn < rates.crash_while_speaking:
            self.ground.note("killed right after a word left")
            self.ground.scheduler.later(0.0, self.crash)
        return True

    def _judge_answer(self, frame: bytes) -> None:
        """P1, rule 1 of the door: no answer leaves that is not stored."""
        if self._true is None or self._true.in_transaction:
            self.ground.findings.append("an answer left while its transaction was open")
        elif not self._true.execute(ANSWERED, (frame,)).fetchone()[0]:
            self.ground.findings.append("an answer left that is not in the journal")

    def _judge_message(self, frame: bytes) -> None:
        """P6, P7: what leaves is leased, not confirmed yet, and has the bytes that are owed."""
        wire_id = frame.split(b"|", 10)[9].decode()
        row = self._true.execute(OWED, (wire_id,)).fetchone()
        if row is None:
            self.ground.findings.append(f"{wire_id} left and is not owed")
        elif row[0] != "in-flight":
            self.ground.findings.append(f"{wire_id} left and is {row[0]}")
        elif bytes(row[1]) != frame:
            self.ground.findings.append(f"{wire_id} left with other bytes than are owed")

    def _started(self, _none: None) -> None:
        """What the life before left behind must be sound."""
        self.ready = True
        assert self.journal is not None, "a daemon that has started has a journal"
        reading = self.journal.read()
        if not reading.conservation().holds:
            self.ground.findings.append(f"life {self.number}: conservation does not hold: {reading.conservation()}")
        if reading.first_bad_audit_line() is not None:
            self.ground.findings.append(f"life {self.number}: the audit is broken")

    def _refused_to_start(self, failure: Failure) -> None:
        """Only a disk that fails at that moment is a reason."""
        if self.alive:
            if not self.disk_failed:
                self.ground.findings.append(f"life {self.number} does not start: {failure.value!r}")
            self.crash()


class _NoPort:
    """A control socket that nobody calls."""

    def stopListening(self) -> None:
        """Nothing is open."""


class _Resolver:
    """Every name is this machine."""

    @staticmethod
    def resolveHostName(receiver: Any, name: str, portNumber: int = 0, *more: Any) -> Any:
        receiver.resolutionBegan(None)
        receiver.addressResolved(IPv4Address("TCP", HOST, portNumber))
        receiver.resolutionComplete()
