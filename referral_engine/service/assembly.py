"""The daemon put together: a book, a clock and a reactor in; listeners, couriers, sweeper and control socket out."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Final, TypeVar, cast

import structlog
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from referral_engine import __version__
from referral_engine.base.clock import EPOCH, ManualClock, to_micros
from referral_engine.base.errors import JournalLost
from referral_engine.channels.book import Book
from referral_engine.journal.place import look_at_place
from referral_engine.service.clock import GuardedClock, TrustedClock, WatchedClock
from referral_engine.service.context import Answers, Context, Questions
from referral_engine.service.control import Control, Question
from referral_engine.service.door import Door
from referral_engine.service.executor import ThreadExecutor
from referral_engine.service.files import read_or_make_key
from referral_engine.service.home import Home
from referral_engine.service.host import Host
from referral_engine.service.keeping import Keeping
from referral_engine.service.listening import Listening
from referral_engine.service.pulse import Pulse
from referral_engine.service.reload_shapes import InForce
from referral_engine.service.reloading import Reloading
from referral_engine.service.running import Running, tick_of, warn_of_permissions
from referral_engine.service.sweeper import Sweeper
from referral_engine.service.ways import Ways
from referral_engine.service.world import Part, World
from referral_engine.transports.lane_set import LaneSet
from referral_engine.transports.reactor import Timer

EXIT_FENCED: Final = 74  # the journal cannot be trusted: a person must look before a restart
EXIT_LOST: Final = 1  # the journal's process is gone, or apart from us: systemd starts both again
EXIT_CONFIG: Final = 78  # the files are wrong
STOP_STEP_SECONDS: Final = 1.4  # for each step of stopping, so that three of them stay below five seconds
VIEWS: Final = "referral_engine.service.views"  # read late: a daemon without questions is still a daemon

T = TypeVar("T")

_log = structlog.get_logger()


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
        self._running: Running | None = None
        self._reloading: Reloading | None = None
        self._wanted = False  # a signal came before the start was over
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
        return {} if self._running is None else self._running.listening.ports()

    @property
    def control_path(self) -> str:
        """Where the control socket is."""
        return self._world.places.passing(self._book.engine.control_socket)

    @property
    def context(self) -> Context:
        """What questions may use; only once it is started."""
        assert self._running is not None, "start first"
        return self._running.context

    def reload(self) -> None:
        """SIGHUP: take up the files as they are now."""
        if self._reloading is not None and self._reloading.in_force.number:
            self._reloading.hang_up()
        else:
            self._wanted = True

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
            and running.listening.listening
        )

    def status(self) -> dict[str, object]:
        """What `status` shows without asking the journal."""
        running = self._running
        if running is None:
            return {"ready": False, "version": __version__}
        counts, reloading = running.door.counts, self._reloading
        return {
            "ready": self.ready,
            "version": __version__,
            "config": running.context.book.version,
            "configuration": {"version": self._book.version} if reloading is None else reloading.status(),
            "listeners": running.listening.status(),
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

    async def _start(self) -> None:
        world, engine = self._world, self._book.engine
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
        try:
            running = self._running = self._put_together(home.host, path)
            await self._begin(running)
        except BaseException:
            await self._stop()
            raise

    def _put_together(self, host: Host, path: str) -> Running:
        """Everything, and nothing of it open yet.  Raises ConfigError."""
        world, book, clock = self._world, self._book, self._clock
        engine = book.engine
        door = Door(host=host, clock=world.reactor, batch_max=engine.journal.batch_messages_max)
        ways = Ways(world, door, clock)
        listening = Listening(door=door, reactor=world.reactor, clock=clock, credential=world.places.credential)
        return Running(
            door=door,
            ways=ways,
            lanes=LaneSet(ways.lanes(book), ways.surroundings),
            sweeper=Sweeper(
                submit=door.submit,
                timer=world.reactor,
                every_seconds=tick_of(book, world.tick_seconds),
                clock=clock,
                backlog=lambda: door.backlog,
                arrivals=lambda: listening.frames,
                quiet_seconds=engine.catch_up.quiet_seconds,
            ),
            pulse=Pulse(door=door, timer=world.reactor, notify=world.notify, watchdog_seconds=world.watchdog_seconds),
            control=Control({}),
            keeping=Keeping(
                engine=engine, path=path, door=door, listening=listening, timer=world.reactor, room=world.room
            ),
            listening=listening,
            context=Context(door=door, book=book, clock=clock, status=self.status),
            tick_seconds=world.tick_seconds,
        )

    async def _begin(self, running: Running) -> None:
        """Number the configuration before anything that cites it comes in, then open.  As `start` fails."""
        world = self._world
        if world.files is not None:
            reloading = self._reloading = Reloading(
                InForce(book=self._book, files=world.files),
                door=running.door,
                reader=world.reader,
                prepare=running.prepare,
                timer=world.reactor,
                clock=self._clock,
                notify=world.notify,
                engine_file=world.engine_file,
                apart=lambda: self._finish(EXIT_LOST),
            )
            await reloading.start()
        if not self._stopping:  # no signal came while that was committed
            self._open(running)

    def _open(self, running: Running) -> None:
        """Open the doors to the world: listeners first, so that replies come in before deadlines fire."""
        door, reactor = running.door, self._world.reactor
        door.on_fenced.append(self._fenced)
        door.on_lanes.append(running.lanes.poke)
        door.on_batch.append(running.listening.flush)
        door.on_room.append(running.listening.resume)
        running.listening.open(self._book)
        warn_of_permissions(self._book)
        context = running.context
        questions: dict[str, Question] = {
            "status": lambda _words: self.status(),
            "sweep": lambda words: _decide(running.sweeper, words),
            "verify": lambda _words: running.keeping.verify(),
        }
        questions |= {name: _bound(answer, context) for name, answer in self._questions.items()}
        if self._reloading is not None:
            questions |= self._reloading.questions()
        running.control.questions = questions
        running.control.listen(reactor, self.control_path)
        running.stops = [part(context, reactor) for part in self._parts]
        running.lanes.start()
        running.sweeper.start()
        running.pulse.start()
        running.keeping.start()
        gc.collect()
        gc.freeze()  # what is here now stays for ever: the collector need not look at it again
        self._world.notify.ready(f"{len(running.listening.listeners)} listeners, configuration {self._book.version}")
        if self._wanted and self._reloading is not None:
            self._reloading.hang_up()

    async def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._world.notify.stopping()
        running = self._running
        if running is None:
            await self._in_time(self._executor.stop())
            return
        if self._reloading is not None:
            self._reloading.stop()
        running.sweeper.stop()
        running.pulse.stop()
        running.keeping.stop()
        ends = [self._in_time(stopped) for stopped in running.listening.stop()]
        ends += [self._in_time(maybeDeferred(stop)) for stop in running.stops]
        ends.append(self._in_time(running.lanes.stop()))
        for end in ends:
            await end
        running.listening.drop()
        running.control.stop()
        await self._in_time(running.door.drain())
        await self._in_time(running.door.host.close())
        for executor in [*running.ways.executors, self._executor]:
            self._in_time(executor.stop())
        gc.unfreeze()
        _log.info("Stopped.")

    def _in_time(self, waiting: Deferred[T]) -> Deferred[bool]:
        return within(waiting, STOP_STEP_SECONDS, self._world.reactor)

    def _fenced(self) -> None:
        """Law of the disk: say nothing, hang up, stop."""
        running = self._running
        assert running is not None, "only a running daemon has a door"
        running.listening.drop()
        if self._reloading is not None:
            self._reloading.stop()
        running.sweeper.stop()
        running.pulse.stop()
        running.keeping.stop()
        running.lanes.give_up()
        running.door.host.give_up()
        self._world.notify.status("fenced: the journal cannot be trusted")
        lost = running.door.fenced == JournalLost.__name__  # its process died; the disk is not to blame
        self._finish(EXIT_LOST if lost else EXIT_FENCED)

    def _finish(self, exit_status: int) -> None:
        """It cannot go on."""
        self.exit_status = exit_status
        if not self.finished.called:
            self.finished.callback(exit_status)


def known_questions() -> Questions:
    """The questions of `service.views`; none while there is no such module."""
    if find_spec(VIEWS) is None:
        return {}
    return cast("Questions", import_module(VIEWS).QUESTIONS)


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
