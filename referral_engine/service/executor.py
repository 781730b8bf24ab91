"""Where the journal's work runs: one thread of its own while the daemon lives, in place in tests and rehearsals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred, execute, succeed
from twisted.python.failure import Failure

from referral_engine.transports.reactor import Threads

T = TypeVar("T")


class Executor(Protocol):
    """Runs pieces of work one after the other, in the order given."""

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Run `work`; its result or its error comes back in the reactor."""
        ...

    def stop(self) -> Deferred[None]:
        """Take nothing more; fires when the last piece of work has ended."""
        ...


class SynchronousExecutor:
    """Runs the work where it stands: the same path without a thread."""

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Run `work` now."""
        return execute(work)

    def stop(self) -> Deferred[None]:
        """Nothing is under way."""
        return succeed(None)


class ThreadExecutor:
    """One thread with a queue: whoever owns the journal's connection never changes."""

    def __init__(self, reactor: Threads, name: str = "journal") -> None:
        """Start the thread; results are handed back with `reactor.callFromThread`."""
        self._reactor = reactor
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._stopped: Deferred[None] | None = None
        # A daemon: a disk that never answers must not keep a fenced process from exiting.
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Queue `work` for the thread."""
        result: Deferred[T] = Deferred()

        def carry_out() -> None:
            try:
                value = work()
            except Exception:  # noqa: BLE001  # it is handed to whoever waits, in the reactor
                self._reactor.callFromThread(result.errback, Failure())
            else:
                self._reactor.callFromThread(result.callback, value)

        self._queue.put(carry_out)
        return result

    def stop(self) -> Deferred[None]:
        """End the thread after what is queued; call it once."""
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        self._queue.put(None)
        return stopped

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
            del work  # a batch of large messages must not live until the next one comes
        if self._stopped is not None:
            self._reactor.callFromThread(self._stopped.callback, None)
