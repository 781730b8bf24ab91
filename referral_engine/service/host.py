"""Where the journal lives: behind a thread of this process, or in a process of its own; the door asks either alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, succeed

from referral_engine.base.errors import Refused
from referral_engine.channels.book import Book
from referral_engine.flow.inputs import Input, Receipt
from referral_engine.journal.journal import Journal
from referral_engine.journal.reading import Reading
from referral_engine.service.careful import Careful, note_beside
from referral_engine.service.careful import Step as CarefulStep
from referral_engine.service.executor import Executor
from referral_engine.service.found import unpack
from referral_engine.service.handling import Broken, Step, through
from referral_engine.service.readings import READINGS
from referral_engine.service.shapes import shape_scrub

R = TypeVar("R")  # what questions are asked of: the journal's reading side
T = TypeVar("T")


class Host(Protocol):
    """Runs one thing after the other, in the order given."""

    def run(self, inputs: Sequence[Input]) -> Deferred[list[Receipt | Broken]]:
        """One batch through the door; fails with JournalError."""
        ...

    def look(self, name: str, words: Mapping[str, object]) -> Deferred[object]:
        """The JSON answer of one of `readings.READINGS`; fails with Refused, TookTooLong or JournalError."""
        ...

    def prepare(self, packed: bytes) -> Deferred[None]:
        """Keep a configuration, as `found.pack` made it, until an input lets it be in force."""
        ...

    def ping(self) -> Deferred[None]:
        """Fires when whoever commits has answered."""
        ...

    def anchor(self) -> Deferred[None]:
        """Write beside the journal how far it has come."""
        ...

    def scrub(self, turns: int) -> Deferred[dict[str, object]]:
        """Look at the next rows of the whole journal; {"done", "rows"}, at the end also {"whole", "findings"}."""
        ...

    def close(self) -> Deferred[None]:
        """Close the journal; the last thing to do."""
        ...

    def give_up(self) -> None:
        """The journal cannot be trusted: do nothing more with it."""
        ...


class LocalHost(Generic[R]):
    """The journal in this process, on its executor: tests, rehearsals, the demo, and a daemon without a second core."""

    def __init__(
        self,
        *,
        step: Step,
        read: Callable[[], R],
        executor: Executor,
        journal: Journal | None = None,
        careful: Careful | None = None,
        offer: Callable[[Book], None] = lambda _book: None,
    ) -> None:
        """`step`, `read` and `journal` are only ever used inside `executor`; journal: what `close` closes.

        careful: handles batches in the step's place, with a note of what is in hand. offer: the step's own.
        """
        self._step = step
        self._careful = careful
        self._offer = offer
        self._read = read
        self._executor = executor
        self._journal = journal

    def run(self, inputs: Sequence[Input]) -> Deferred[list[Receipt | Broken]]:
        """One batch through the door."""
        careful = self._careful
        return self._executor.run(lambda: through(self._step, inputs) if careful is None else careful.run(inputs))

    def look(self, name: str, words: Mapping[str, object]) -> Deferred[object]:
        """A question by name."""
        reading = READINGS.get(name)
        if reading is None:
            raise Refused(f"there is no question {name}")
        return self._executor.run(lambda: reading(self._read(), words))  # type: ignore[arg-type]  # a Reading, in a daemon

    def ask(self, question: Callable[[R], T]) -> Deferred[T]:
        """Any question, for whoever knows that the journal is here."""
        return self._executor.run(lambda: question(self._read()))

    def prepare(self, packed: bytes) -> Deferred[None]:
        """Read another configuration beforehand."""
        return self._executor.run(lambda: self._offer(unpack(packed)))

    def ping(self) -> Deferred[None]:
        """A round trip."""
        return self._executor.run(lambda: None)

    def anchor(self) -> Deferred[None]:
        """Write beside the journal how far it has come."""
        journal = self._journal
        return succeed(None) if journal is None else self._executor.run(journal.anchor)

    def scrub(self, turns: int) -> Deferred[dict[str, object]]:
        """Look at the next rows of the whole journal."""
        journal = self._journal
        assert journal is not None, "there is a journal to look at"
        return self._executor.run(lambda: shape_scrub(*journal.scrub(turns)))

    def close(self) -> Deferred[None]:
        """Close the journal."""
        journal = self._journal
        return succeed(None) if journal is None else self._executor.run(journal.close)

    def give_up(self) -> None:
        """Leave it as it is: a fenced journal does nothing by itself."""


class OfferedStep(CarefulStep, Protocol):
    """A door that takes another configuration."""

    def offer(self, book: Book) -> None:
        """Keep it until an input lets it be in force."""
        ...


async def open_here(
    executor: Executor,
    make_step: Callable[[Journal], OfferedStep],
    *,
    path: str,
    key: bytes | None,
    node: str,
    now: int,
) -> tuple[LocalHost[Reading], Journal]:
    """Open the journal in this process.  Raises JournalError."""
    journal = await executor.run(lambda: Journal.open(path, key, node=node, now=now))
    step = make_step(journal)
    careful = await executor.run(lambda: Careful(step, note_beside(path)))
    host = LocalHost(
        step=step, read=journal.read, executor=executor, journal=journal, careful=careful, offer=step.offer
    )
    return host, journal
