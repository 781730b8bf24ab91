"""The journal's door as the reactor sees it: inputs in one by one, receipts out after one commit for many."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from referral_engine.base.errors import JournalError, NoRoom
from referral_engine.flow.inputs import Arrived, Claim, Input, Receipt, Settled
from referral_engine.service.handling import Broken
from referral_engine.service.host import Host
from referral_engine.transports.reactor import Timer

BATCH_MAX: Final = 64  # inputs in one commit; stops one batch from delaying the answers of the next
HIGH_WATER_INPUTS: Final = 4096  # stops a queue from growing while the disk is slow: listeners stop reading
HIGH_WATER_BYTES: Final = 64 * 1024 * 1024  # the same, for scanned letters
LOW_WATER: Final = 0.5  # of either mark: listeners read again
AHEAD_SHARE: Final = 0.5  # of a batch, for what goes ahead of arrivals; stops couriers from starving senders in turn

# Few and small: what is owed does not queue behind what arrives. A tick does, so that a report that is here already
# stops the clock that waits for it.
_AHEAD: Final = (Claim, Settled)

_log = structlog.get_logger()


class Waiter(Protocol):
    """Who waits for one input's receipt; exactly one of the two is called, once, in the reactor."""

    def answered(self, receipt: Receipt) -> None:
        """The input is committed.  Raises nothing."""
        ...

    def refused(self, error: Exception) -> None:
        """It is not: JournalError when nothing can be, else it broke its handling.  Raises nothing."""
        ...


@dataclass(slots=True)
class DoorCounts:
    """What went through the door since the start."""

    batches: int = 0
    inputs: int = 0
    largest_batch: int = 0
    set_aside: int = 0
    broken: int = 0  # not even setting aside worked
    paused: int = 0  # how often listeners were told to stop reading
    committed_at: float = float("-inf")  # reactor seconds of the newest commit
    no_room: int = 0  # batches the disk had no room for; nothing of them was stored
    slowest_seconds: float = 0.0  # from handing a batch to the journal to its receipts


_Waiting = tuple[Input, Waiter]


class _Fires:
    """A waiter that hands on to a Deferred."""

    __slots__ = ("_receipt",)

    def __init__(self, receipt: Deferred[Receipt]) -> None:
        self._receipt = receipt

    def answered(self, receipt: Receipt) -> None:
        self._receipt.callback(receipt)

    def refused(self, error: Exception) -> None:
        self._receipt.errback(error)


class Door:
    """Collects inputs while a batch is being committed, and hands the next batch over when the receipts are back.

    on_batch  is called after the receipts of one batch have been handed out: the moment to write what they caused.
    on_room   is called when the queue has fallen below its low-water mark, after `full` was true.
    on_lanes  is called with the lanes that a batch gave new work.
    on_fenced is called once, when the journal can no longer be trusted; nothing is answered from then on.
    make_room is called when the disk was full for a batch, which was not stored: whether to try it once more.
    """

    def __init__(
        self,
        *,
        host: Host,
        clock: Timer,
        batch_max: int = BATCH_MAX,
        high_water_inputs: int = HIGH_WATER_INPUTS,
        high_water_bytes: int = HIGH_WATER_BYTES,
    ) -> None:
        """Open for business; the journal is where `host` has it."""
        self.host = host
        self._clock = clock
        self._batch_max = batch_max
        self._high_water_inputs = high_water_inputs
        self._high_water_bytes = high_water_bytes
        self._waiting: deque[_Waiting] = deque()
        self._ahead: deque[_Waiting] = deque()
        self._ahead_max = max(int(batch_max * AHEAD_SHARE), 1)
        self._running: list[_Waiting] = []
        self._back: deque[tuple[list[_Waiting], list[Receipt | Broken] | Exception]] = deque()
        self._handing_out = False
        self._scheduled = False
        self._bytes = 0
        self._was_full = False
        self._drained: list[Deferred[None]] = []
        self.counts = DoorCounts()
        self.fenced = ""  # why nothing is taken any more: the error's class name
        self.on_batch: list[Callable[[], None]] = []
        self.on_room: list[Callable[[], None]] = []
        self.on_lanes: list[Callable[[frozenset[str]], None]] = []
        self.on_fenced: list[Callable[[], None]] = []
        self.make_room: Callable[[], bool] = lambda: False

    @property
    def backlog(self) -> int:
        """Inputs without a receipt."""
        return len(self._waiting) + len(self._ahead) + len(self._running)

    @property
    def full(self) -> bool:
        """Whether listeners should stop reading; `on_room` tells when they may go on."""
        if self.backlog >= self._high_water_inputs or self._bytes >= self._high_water_bytes:
            if not self._was_full:
                self._was_full = True
                self.counts.paused += 1
            return True
        return self._was_full

    def submit(self, given: Input) -> Deferred[Receipt]:
        """Fires with the receipt once it is committed; fails with JournalError when the journal cannot be trusted.

        Any other failure: this input broke its handling and could not be set aside; the others went on.
        """
        receipt: Deferred[Receipt] = Deferred()
        self.put(given, _Fires(receipt))
        return receipt

    def put(self, given: Input, waiter: Waiter) -> None:
        """The same for the many: `waiter` is told, without a Deferred for each message."""
        if self.fenced:
            waiter.refused(JournalError("the journal is fenced"))
            return
        if isinstance(given, Arrived):
            self._bytes += len(given.raw)
            self._waiting.append((given, waiter))
        elif isinstance(given, _AHEAD):
            self._ahead.append((given, waiter))
        else:
            self._waiting.append((given, waiter))
        if not self._running and not self._scheduled:
            self._scheduled = True
            self._clock.callLater(0, self._start)  # whatever else arrives in this turn of the reactor comes along

    def look(self, name: str, **words: object) -> Deferred[object]:
        """The JSON answer of one of `readings.READINGS`, between two batches."""
        if self.fenced:
            return fail(JournalError("the journal is fenced"))
        return self.host.look(name, words).addErrback(self._doubt)

    def ping(self) -> Deferred[None]:
        """Fires when whoever commits has answered."""
        if self.fenced:
            return fail(JournalError("the journal is fenced"))
        return self.host.ping().addErrback(self._doubt)

    def drain(self) -> Deferred[None]:
        """Fires when every input has its receipt."""
        if self.fenced or not (self.backlog or self._back):
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        return drained

    def _start(self) -> None:
        """Hand the next batch to the journal."""
        self._scheduled = False
        if self.fenced or self._running or not (self._waiting or self._ahead):
            return
        batch = self._running = self._next_batch()
        inputs = [given for given, _ in batch]
        started_at = self._clock.seconds()
        self.host.run(inputs).addBoth(self._came_back, batch, started_at)

    def _next_batch(self) -> list[_Waiting]:
        """What goes ahead, within its share where others wait, then the others, each in order."""
        ahead, waiting = self._ahead, self._waiting
        share = min(len(ahead), max(self._ahead_max, self._batch_max - len(waiting)))
        batch = [ahead.popleft() for _ in range(share)]
        batch += [waiting.popleft() for _ in range(min(len(waiting), self._batch_max - share))]
        return batch

    def _came_back(self, result: list[Receipt | Broken] | Failure, batch: list[_Waiting], started_at: float) -> None:
        """Keep the journal busy with the next batch, then hand out the receipts of this one, in order."""
        now = self._clock.seconds()
        self._running = []
        if isinstance(result, Failure) and isinstance(result.value, NoRoom):
            self.counts.no_room += 1
            if self.make_room():
                self._waiting.extendleft(reversed(batch))
                self._start()
                return
        self._bytes -= sum(len(given.raw) for given, _ in batch if isinstance(given, Arrived))
        if isinstance(result, Failure):
            error = _error_of(result)
            self._back.append((batch, error))
            if isinstance(error, JournalError) and not error.lasting:
                self._start()
            else:
                self.fence(error)
        else:
            self._back.append((batch, result))
            counts = self.counts
            counts.batches += 1
            counts.inputs += len(batch)
            counts.largest_batch = max(counts.largest_batch, len(batch))
            counts.committed_at = now
            counts.slowest_seconds = max(counts.slowest_seconds, now - started_at)
            self._start()
        if not self._handing_out:
            self._hand_out()

    def _hand_out(self) -> None:
        """Fire what waits, batch by batch."""
        self._handing_out = True
        try:
            while self._back:
                batch, result = self._back.popleft()
                if isinstance(result, Exception):
                    for _, waiter in batch:
                        waiter.refused(result)
                else:
                    self._settle(batch, result)
        finally:
            self._handing_out = False
        if self._was_full and self._has_room():
            self._was_full = False
            for call in self.on_room:
                call()
        if not self.backlog:
            drained, self._drained = self._drained, []
            for waiting in drained:
                waiting.callback(None)

    def _settle(self, batch: list[_Waiting], results: list[Receipt | Broken]) -> None:
        """Give each input of a committed batch its receipt or its error."""
        lanes: frozenset[str] = frozenset()
        for (given, waiter), result in zip(batch, results, strict=True):
            if isinstance(result, Broken):
                receipt = self._judge(given, result)
                if receipt is None:
                    waiter.refused(HandlingBroke(result.kind))
                    continue
            else:
                receipt = result
            if receipt.lanes:
                lanes |= receipt.lanes
            waiter.answered(receipt)
        for call in self.on_batch:
            call()
        if lanes:
            for poke in self.on_lanes:
                poke(lanes)

    def _judge(self, given: Input, broken: Broken) -> Receipt | None:
        """Count and say what an input that broke its handling has become."""
        fields = {"kind": type(given).__name__, "error": broken.kind, "where": broken.where}
        if broken.receipt is not None:
            self.counts.set_aside += 1
            _log.error("A message broke its handling and was set aside.", **fields)
        else:
            self.counts.broken += 1
            _log.error("An input broke its handling and was refused.", **fields)
        return broken.receipt

    def _has_room(self) -> bool:
        return self.backlog <= self._high_water_inputs * LOW_WATER and self._bytes <= self._high_water_bytes * LOW_WATER

    def _doubt(self, failure: Failure) -> Failure:
        """A journal that cannot be read cannot be trusted either."""
        error = _error_of(failure)
        if isinstance(error, JournalError) and error.lasting:
            self.fence(error)
            if not self._handing_out:
                self._hand_out()
        return failure

    def fence(self, error: Exception) -> None:
        """Take nothing more: what waits is refused without an answer."""
        if self.fenced:
            return
        self.fenced = type(error).__name__
        _log.critical("The journal cannot be trusted; nothing is answered any more.", error=self.fenced)
        refused = [*self._ahead, *self._waiting]
        self._ahead.clear()
        self._waiting.clear()
        self._bytes = 0
        if refused:
            self._back.append((refused, error))
        for call in self.on_fenced:
            call()


class HandlingBroke(Exception):  # it is the input that broke it
    """An input broke its handling; nothing of it was stored.  Carries the error's class name."""


def _error_of(failure: Failure) -> Exception:
    assert isinstance(failure.value, Exception), "the executor hands back nothing else"
    return failure.value
