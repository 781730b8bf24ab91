"""The daemon put together: a book, a clock and a reactor in; listeners, couriers, sweeper and control socket out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Final, TypeVar, cast

import structlog
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from referral_engine import __version__
from referral_engine.base.clock import EPOCH, Clock, ManualClock, to_micros
from referral_engine.base.errors import ConfigError, JournalLost, Problem
from referral_engine.base.watch import Readings
from referral_engine.channels.book import Book
from referral_engine.channels.engine import Tls
from referral_engine.journal.place import look_at_place
from referral_engine.journal.room import Disk
from referral_engine.loop.policy import Duration, Unit
from referral_engine.service.clock import GuardedClock, TrustedClock, WatchedClock
from referral_engine.service.context import Answers, Context, Questions
from referral_engine.service.control import Control, Question
from referral_engine.service.door import Door
from referral_engine.service.executor import Executor, ThreadExecutor
from referral_engine.service.files import read_or_make_key
from referral_engine.service.home import Home
from referral_engine.service.keeping import Keeping
from referral_engine.service.listener import MllpListener
from referral_engine.service.notify import Notify
from referral_engine.service.places import Places
from referral_engine.service.ports import listeners_of
from referral_engine.service.pulse import Pulse
from referral_engine.service.sweeper import Sweeper
from referral_engine.transports.lane_set import Lane, LaneSet, Surroundings, lanes_of
from referral_engine.transports.mllp import CONNECT_SECONDS_MAX, Endpoint
from referral_engine.transports.reactor import Reactor, Timer
from referral_engine.transports.spool import InThread
from referral_engine.transports.tls import client_context, server_context

EXIT_FENCED: Final = 74  # the journal cannot be trusted: a person must look before a restart
EXIT_LOST: Final = 1  # the journal's process is gone: systemd starts both again
EXIT_CONFIG: Final = 78  # the files are wrong
STOP_STEP_SECONDS: Final = 1.4  # for each step of stopping, so that three of them stay below five seconds

Part = Callable[[Context, Reactor], Callable[[], "Deferred[None] | None"]]  # starts something, gives the way to stop it
T = TypeVar("T")
VIEWS: Final = "referral_engine.service.views"  # read late: a daemon without questions is still a daemon

_SECONDS: Final = {
    Unit.SECONDS: 1.0, Unit.MINUTES: 60.0, Unit.HOURS: 3600.0, Unit.DAYS: 86400.0,
    Unit.BUSINESS_HOURS: 3600.0, Unit.BUSINESS_DAYS: 86400.0,
}  # fmt: skip

_log = structlog.get_logger()


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
    executor: Executor | None = None  # for a journal that stays here; None: a thread of its own
    threads: Callable[[str], Executor] | None = None  # for a spool directory; None: a thread each
    tick_seconds: float | None = None  # None: as the book says
    room: Callable[[str], Disk] | None = None  # looks at the journal's disk; None: nobody watches it
    readings: Callable[[], Readings] | None = None  # the machine's counters; None: `clock` is moved, and always right


@dataclass(slots=True)
class _Running:
    """What has been started; all of it is stopped in the other direction."""

    door: Door
    lanes: LaneSet
    sweeper: Sweeper
    pulse: Pulse
    control: Control
    keeping: Keeping
    listeners: list[MllpListener]
    stops: list[Callable[[], Deferred[None] | None]] = field(default_factory=list)


class Daemon:
    """One instance of the engine; `finished` fires with the exit status when it cannot go on."""

    def __init__(
        self, book: Book, world: World, *, questions: Questions | None = None, parts: Sequence[Part] = ()
    ) -> None:
        """Be ready to start; `questions` for the control socket (default: `service.views`), `parts` such as the web."""
        self.finished: Deferred[int] = Deferred()
        self.exit_status = 0
        self._book = book
        self._world = world
        self._questions = questions if questions is not None else known_questions()
        self._parts = parts
        self._executor = world.executor or ThreadExecutor(world.reactor)
        self._clock: WatchedClock = TrustedClock(world.clock)
        self._spools: dict[str, Executor] = {}
        self._running: _Running | None = None
        self._stopping = False

    def start(self) -> Deferred[None]:
        """Open the journal, then the lanes, then the doors to the world.  Fails with ConfigError or JournalError."""
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """Take nothing more, finish what is in the door, close the journal: in five seconds, whoever is silent."""
        return Deferred.fromCoroutine(self._stop())

    @property
    def ports(self) -> dict[str, int]:
        """Listener to the port it is bound to."""
        return {} if self._running is None else {one.settings.name: one.port for one in self._running.listeners}

    @property
    def control_path(self) -> str:
        """Where the control socket is."""
        return self._world.places.passing(self._book.engine.control_socket)

    @property
    def context(self) -> Context:
        """What questions may use; only once it is started."""
        assert self._running is not None, "start first"
        return Context(door=self._running.door, book=self._book, clock=self._clock, status=self.status)

    def poke_lanes(self) -> None:
        """Let every courier look for work now: the clock was moved."""
        assert self._running is not None, "start first"
        self._running.lanes.poke_all()

    @property
    def ready(self) -> bool:
        """Whether a commit succeeded lately and every listener would accept."""
        running = self._running
        return (
            running is not None
            and not self._stopping
            and not running.door.fenced
            and running.pulse.fresh
            and all(listener.listening for listener in running.listeners)
        )

    def status(self) -> dict[str, object]:
        """What `status` shows without asking the journal."""
        running = self._running
        if running is None:
            return {"ready": False, "version": __version__}
        counts = running.door.counts
        return {
            "ready": self.ready,
            "version": __version__,
            "config": self._book.version,
            "listeners": [listener.status() for listener in running.listeners],
            "lanes": running.lanes.status(),
            "door": {
                "backlog": running.door.backlog,
                "batches": counts.batches,
                "inputs": counts.inputs,
                "largest_batch": counts.largest_batch,
                "set_aside": counts.set_aside,
                "broken": counts.broken,
                "paused": counts.paused,
                "slowest_seconds": round(counts.slowest_seconds, 6),
                "fenced": running.door.fenced,
            },
            "sweeper": running.sweeper.status(),
            "clock": running.sweeper.clock_status(),
            **running.keeping.status(),
        }

    def _arrivals(self) -> int:
        """Messages that ever came in."""
        return sum(one.counts.frames for one in self._running.listeners) if self._running is not None else 0

    async def _start(self) -> None:
        world, engine = self._world, self._book.engine
        contexts = [
            None if one.tls is None else server_context(one.tls, world.places.credential, f"listener {one.name}")
            for one in engine.listeners
        ]
        key_file = engine.journal.key_file
        key = read_or_make_key(world.places.kept(key_file)) if key_file else None
        path = world.places.kept(engine.journal.path)
        now, node = to_micros(world.clock.now()), engine.identity.node
        home = Home(world.reactor, self._executor, self._book, clock=lambda: self._clock, engine_file=world.engine_file)
        if world.room is not None and (warning := look_at_place(path, allowed=engine.journal.allow_file_system)):
            _log.warning("The journal's place is doubtful.", reason=warning)
        if world.readings is not None:  # until its guard stands, no instant of the machine's clock is recorded
            self._clock = TrustedClock(ManualClock(EPOCH))
        opened = await home.open(path, key, node=node, now=now)
        if opened.note:
            _log.warning("The journal was not left as it should be.", reason=opened.note)
        if self._stopping:  # a signal came while the journal was being opened
            await home.host.close()
            return
        clock = TrustedClock(world.clock) if world.readings is None else GuardedClock(world.readings, opened.high_water)
        self._clock = clock
        door = Door(host=home.host, clock=world.reactor, batch_max=engine.journal.batch_messages_max)
        lanes = LaneSet(*self._lanes(door))
        seconds = world.tick_seconds if world.tick_seconds is not None else seconds_of(engine.journal.tick)
        listeners = listeners_of(self._book, contexts, door=door, timer=world.reactor, clock=clock)
        running = self._running = _Running(
            door=door,
            lanes=lanes,
            sweeper=Sweeper(
                submit=door.submit,
                timer=world.reactor,
                every_seconds=seconds,
                clock=clock,
                backlog=lambda: door.backlog,
                arrivals=self._arrivals,
                quiet_seconds=engine.catch_up.quiet_seconds,
            ),
            pulse=Pulse(door=door, timer=world.reactor, notify=world.notify, watchdog_seconds=world.watchdog_seconds),
            control=Control({}),
            listeners=listeners,
            keeping=Keeping(
                engine=engine, path=path, door=door, listeners=listeners, timer=world.reactor, room=world.room
            ),
        )
        try:
            self._open(running)
        except BaseException:
            await self._stop()
            raise

    def _open(self, running: _Running) -> None:
        """Open the doors to the world: listeners first, so that replies come in before deadlines fire."""
        door, reactor = running.door, self._world.reactor
        door.on_fenced.append(self._fenced)
        door.on_lanes.append(running.lanes.poke)
        for listener in running.listeners:
            door.on_batch.append(listener.flush)
            door.on_room.append(listener.resume)
            _listen(listener, reactor)
        context = self.context
        questions: dict[str, Question] = {
            "status": lambda _words: self.status(),
            "sweep": lambda words: _decide(running.sweeper, words),
            "verify": lambda _words: running.keeping.verify(),
        }
        running.control.questions = questions | {
            name: _bound(answer, context) for name, answer in self._questions.items()
        }
        running.control.listen(reactor, self.control_path)
        running.stops = [part(context, reactor) for part in self._parts]
        running.lanes.start()
        running.sweeper.start()
        running.pulse.start()
        running.keeping.start()
        gc.collect()
        gc.freeze()  # what is here now stays for ever: the collector need not look at it again
        self._world.notify.ready(f"{len(running.listeners)} listeners, configuration {self._book.version}")

    def _lanes(self, door: Door) -> tuple[tuple[Lane, ...], Surroundings]:
        world = self._world
        surroundings = Surroundings(
            submit=door.submit,
            timer=world.reactor,
            clock=self._clock,  # as the door records it: what is owed must not seem a year old
            chance=world.chance,
            dial=self._dial,
            in_thread=self._in_thread,
            directory=world.places.kept,
        )
        return lanes_of(self._book, surroundings), surroundings

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

    async def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._world.notify.stopping()
        running = self._running
        if running is None:
            await self._in_time(self._executor.stop())
            return
        running.sweeper.stop()
        running.pulse.stop()
        running.keeping.stop()
        ends = [self._in_time(listener.stop()) for listener in running.listeners]
        ends += [self._in_time(maybeDeferred(stop)) for stop in running.stops]
        ends.append(self._in_time(running.lanes.stop()))
        for end in ends:
            await end
        for listener in running.listeners:
            listener.drop()
        running.control.stop()
        await self._in_time(running.door.drain())
        await self._in_time(running.door.host.close())
        for executor in [*self._spools.values(), self._executor]:
            self._in_time(executor.stop())
        gc.unfreeze()
        _log.info("Stopped.")

    def _in_time(self, waiting: Deferred[T]) -> Deferred[bool]:
        return within(waiting, STOP_STEP_SECONDS, self._world.reactor)

    def _fenced(self) -> None:
        """Law of the disk: say nothing, hang up, stop."""
        running = self._running
        assert running is not None, "only a running daemon has a door"
        for listener in running.listeners:
            listener.drop()
        running.sweeper.stop()
        running.pulse.stop()
        running.keeping.stop()
        running.lanes.give_up()
        running.door.host.give_up()
        self._world.notify.status("fenced: the journal cannot be trusted")
        lost = running.door.fenced == JournalLost.__name__  # its process died; the disk is not to blame
        self.exit_status = EXIT_LOST if lost else EXIT_FENCED
        if not self.finished.called:
            self.finished.callback(self.exit_status)


def known_questions() -> Questions:
    """The questions of `service.views`; none while there is no such module."""
    if find_spec(VIEWS) is None:
        return {}
    return cast("Questions", import_module(VIEWS).QUESTIONS)


def seconds_of(duration: Duration) -> float:
    """A duration in seconds; a business day is a day here, where only ticks are timed."""
    return duration.amount * _SECONDS[duration.unit]


def within(waiting: Deferred[T], seconds: float, timer: Timer) -> Deferred[bool]:
    """Fires with True when `waiting` has fired, whatever with, or with False when that takes too long."""
    over: Deferred[bool] = Deferred()
    later = timer.callLater(seconds, over.callback, False)  # the callback's value

    def fired(result: T | Failure) -> None:
        if later.active():
            later.cancel()
            over.callback(not isinstance(result, Failure))

    waiting.addBoth(fired)
    return over


def _decide(sweeper: Sweeper, words: dict[str, object]) -> Deferred[object]:
    """A person's word about the deadlines: pause, resume, now, confirm."""
    done = sweeper.decide(str(words.get("decision", "")), str(words.get("by", "")))
    return done.addCallback(lambda refused: {"refused": refused})


def _bound(answer: Answers, context: Context) -> Question:
    return lambda words: answer(context, words)


def _listen(listener: MllpListener, reactor: Reactor) -> None:
    """Open a port.  Raises ConfigError when somebody else has it."""
    try:
        listener.listen(reactor)
    except CannotListenError as error:
        settings = listener.settings
        reason = getattr(error.socketError, "strerror", None) or type(error.socketError).__name__
        sentence = f"listener {settings.name}: cannot listen on {settings.bind}:{settings.port}: {reason}"
        raise ConfigError(
            [Problem(file="conf/engine.toml", line=0, column=1, code="RUN2", sentence=sentence)]
        ) from None
