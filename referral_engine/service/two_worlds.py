"""Two replays of one traffic, each in a process of its own: pages in, the two traces and their differences out."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import Queue
from threading import Thread
from typing import Any, Final, Self

from referral_engine.channels.routing import Answer
from referral_engine.flow.deciding import Deciding
from referral_engine.flow.disagreement import Comparison, Difference
from referral_engine.flow.replaying import TICK, Version, World
from referral_engine.flow.trace import Trace, trace_of
from referral_engine.journal.traffic import TrafficPage
from referral_engine.service.logs import where

AHEAD_MAX: Final = 4  # pages that wait for one of the two; stops a slow one from filling memory
TICKS_MAX: Final = 20_000  # of one window; a longer one than two weeks ticks more rarely
COLLECT_AFTER: Final = 50_000  # new objects: a replay makes many, and few of them are circles
PATIENCE_SECONDS: Final = 10.0  # for a process that is told to end

Answers = Mapping[str, Answer]


class ReplayError(Exception):
    """One of the two replays broke; the text says how."""


class _Side:
    """One replay in a process of its own, reached over a pipe; what it is told waits in a queue."""

    def __init__(self, start: int, before: Version, *, fresh: bool) -> None:
        here, there = get_context("fork").Pipe()  # the configurations are there already, and need not be sent
        self._line: Connection = here
        self._process = get_context("fork").Process(
            target=_replay, args=(there, here, start, before), kwargs={"fresh": fresh}, daemon=True
        )
        self._process.start()
        there.close()
        self._queue: Queue[tuple[str, Any] | None] = Queue(AHEAD_MAX)
        self._broken = False

    def start(self) -> None:
        """Begin to hand over what it is told; after every process was forked, for a thread does not survive that."""
        Thread(target=self._send, daemon=True).start()

    def tell(self, word: str, value: Any) -> None:
        """Something to do; waits while too much is waiting."""
        self._queue.put((word, value))

    def hear(self) -> Any:
        """The answer to the next question that has one.  Raises ReplayError."""
        try:
            word, value = self._line.recv()
        except EOFError:
            raise ReplayError("a replay ended unexpectedly; is there enough memory?") from None
        if word == "broken":
            raise ReplayError(f"the replay broke: {value}")
        return value

    def close(self) -> None:
        """End it."""
        self._broken = True
        self._process.kill()
        self._process.join(PATIENCE_SECONDS)
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put(None)
        self._line.close()

    def _send(self) -> None:
        while (told := self._queue.get()) is not None:
            if self._broken:
                continue
            try:
                self._line.send(told)
            except OSError:
                self._broken = True  # what it died of stands in its answer


class TwoWorlds:
    """The configuration before and the candidate, handed the same traffic."""

    def __init__(self, start: int, before: Version, after: Version, *, fresh: bool = False) -> None:
        """Begin empty at an instant, both under `before`."""
        self._before, self._after = before, after
        self._deciding = Deciding(before.book, after.book)
        self._sides = (_Side(start, before, fresh=fresh), _Side(start, before, fresh=fresh))
        for side in self._sides:
            side.start()

    def __enter__(self) -> Self:
        """End both at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """End both."""
        self.close()

    def close(self) -> None:
        """End both."""
        for side in self._sides:
            side.close()

    def take(self, page: TrafficPage) -> None:
        """The next page, to both."""
        for side in self._sides:
            side.tell("take", page)

    def adopt(self, at: int, window: int = 0) -> None:
        """From an instant on each is under its own configuration; window: how long it is, in microseconds."""
        tick = max(TICK, window // TICKS_MAX)
        for side, version in zip(self._sides, (self._before, self._after), strict=True):
            side.tell("adopt", (version.files, at, tick))

    def compare(self, until: int, since: int) -> tuple[Trace, Trace, list[Difference]]:
        """Both at an instant, and what is different; messages after `since` only.  Raises ReplayError."""
        for side in self._sides:
            side.tell("trace", until)
        before, after = (side.hear() for side in self._sides)
        compared = Comparison(before, after, self._deciding, self._explain, since)
        return before, after, compared.differences()

    def _explain(self, message: int, names: Iterable[str]) -> tuple[Answers, Answers]:
        wanted = tuple(names)
        for side in self._sides:
            side.tell("explain", (message, wanted))
        before, after = (side.hear() for side in self._sides)
        return before, after


def _replay(line: Connection, theirs: Connection, start: int, before: Version, *, fresh: bool) -> None:
    """What one process does: everything it is told, in order, until the line is closed."""
    theirs.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever forked it may handle these in a way of its own
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever forked it, and that one ends it
    gc.freeze()  # what is here already stays to the end
    gc.set_threshold(COLLECT_AFTER)
    try:
        world = World(start, before, fresh=fresh)
        while True:
            word, value = line.recv()
            answer = _answered(world, word, value)
            if answer is not None:
                line.send(("answer", answer))
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001  # whatever it is, whoever waits for the answer must hear of it
        line.send(("broken", f"{type(error).__name__} at {where(error)}"))


def _answered(world: World, word: str, value: Any) -> Any:
    match word:
        case "take":
            world.take(value)
        case "adopt":
            files, at, tick = value
            world.adopt(Version.read(files), at, tick)
        case "trace":
            world.bring_to(value)
            return trace_of(world)
        case "explain":
            message, names = value
            return world.explain(message, names)
    return None
