"""Time travel with the real door: an in-memory journal, a clock that is moved, and partners that answer as told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from referral_engine.base.clock import ManualClock, from_micros, to_micros
from referral_engine.channels.book import Book
from referral_engine.flow.inputs import Arrived, Claim, Input, Receipt, Settled, Ticked
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.journal.reading import ROWS_MAX
from referral_engine.journal.rows import EffectRow, EffectState
from referral_engine.loop.events import Outcome

NODE: Final = "RE"
CLAIMED_AT_ONCE: Final = 64
ROUNDS_MAX: Final = 1_000  # of deliveries that cause deliveries; more is a loop between two partners
SILENT_RETRY_SECONDS: Final = 300.0
LEASE_SECONDS: Final = 120.0
UNANSWERED_SECONDS: Final = 10 * 366 * 24 * 3600.0  # how long a scripted partner may leave a sending unanswered

# How a partner's word settles one attempt: the outcome, its reason, and MSA-1 of the reply.
ANSWERS: Final[Mapping[str, tuple[Outcome, str, bytes]]] = {
    "AA": (Outcome.DELIVERED, "MSA-1 was AA", b"MSA|AA"),
    "AE": (Outcome.FAILED, "MSA-1 was AE", b"MSA|AE"),
    "AR": (Outcome.FAILED, "MSA-1 was AR", b"MSA|AR"),
    "delivered": (Outcome.DELIVERED, "", b""),
    "unknown": (Outcome.UNKNOWN, "nobody can say whether it arrived", b""),
    "silent": (Outcome.RETRY, "no answer in time", b""),
    "refused": (Outcome.RETRY, "connection refused", b""),
}


class Scripted(Protocol):
    """A partner who may take its time: what leaves is answered at once, later, or not in time."""

    def serves(self, row: EffectRow) -> bool:
        """Whether it is the one behind this sending."""

    def answer(self, row: EffectRow, now: int) -> Settled | None:
        """How it answers at once; None while it does not."""

    def next_at(self) -> int | None:
        """When the wait for its answer is over next, in microseconds UTC."""

    def run_out(self, now: int) -> list[Settled]:
        """What it has not answered in time."""


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """One engine in memory; everything that happens goes through `Step.run`."""

    book: Book
    start: datetime
    partners: dict[str, str] = field(default_factory=dict)  # lane to its word; others deliver
    scripted: Scripted | None = None  # a partner whose answers are steps of their own
    on_sent: Callable[[EffectRow], None] = lambda _: None  # a default that does nothing
    clock: ManualClock = field(init=False)
    journal: Journal = field(init=False)
    step: Step = field(init=False)
    _waiting: set[str] = field(init=False, default_factory=set)  # lanes that have work

    def __post_init__(self) -> None:
        """Open an empty journal in memory."""
        self.clock = ManualClock(self.start)
        self.journal = Journal.open(":memory:", None, node=NODE, now=to_micros(self.start.astimezone(UTC)))
        self.step = Step(self.journal, self.book, self.clock)

    def close(self) -> None:
        """Forget everything."""
        self.journal.close()

    def receive(self, raw: bytes, peer: str = "127.0.0.1") -> Receipt:
        """A message arrives; what it causes is delivered at once."""
        return self.put(Arrived(raw=raw, peer=peer))

    def put(self, one: Input) -> Receipt:
        """One input through the door, then every delivery it causes."""
        receipt = self._run(one)
        self._deliver()
        return receipt

    def settle(self, answers: Sequence[Settled]) -> None:
        """A scripted partner answers what waited, then every delivery that causes."""
        for one in answers:
            self._run(one)
            self._waiting |= self._lanes_due()
        self._deliver()

    def move_to(self, instant: datetime) -> None:
        """Move the clock there; everything that falls due on the way happens at its own time."""
        target = to_micros(instant.astimezone(UTC))
        while (due := self.next_due()) is not None and due <= target:
            self.be_at(due)
        self.clock.move_to(instant)

    def deliver(self, lanes: frozenset[str]) -> None:
        """Let these lanes work, after inputs that went through the door another way."""
        self._waiting |= lanes
        self._deliver()

    @property
    def clock_micros(self) -> int:
        """The instant it is here."""
        return to_micros(self.clock.now())

    def be_at(self, instant: int, *, tick: bool = True) -> None:
        """Be at an instant, microseconds UTC: answers that are late come, what is due fires, what may leave leaves.

        tick: whether the clock speaks; without it only sendings and answers have their time.
        """
        self.clock.move_to(from_micros(instant))
        for late in self.scripted.run_out(instant) if self.scripted else ():
            self._run(late)
        while tick and self._run(Ticked()).more:
            pass
        self._waiting |= self._lanes_due()
        self._deliver()

    def _run(self, one: Input) -> Receipt:
        receipt = self.step.run([one])[0]
        self._waiting |= receipt.lanes
        return receipt

    def _lanes_due(self) -> frozenset[str]:
        with self.journal.batch(to_micros(self.clock.now())) as unit:
            return unit.lanes_due()

    def next_due(self) -> int | None:
        """When something happens next by itself."""
        now = to_micros(self.clock.now())
        with self.journal.batch(now) as unit:
            due = unit.next_due(now)
        due = due if due is None or due > now else self._next_possible(now)
        late = self.scripted.next_at() if self.scripted else None
        return min((one for one in (due, late) if one is not None), default=None)

    def _next_possible(self, now: int) -> int | None:
        """The same, without sendings that are due but stand behind an older one that is tried again later."""
        reading = self.journal.read()
        heads: dict[tuple[str, str], EffectRow] = {}
        for row in reading.outbox(limit=ROWS_MAX):
            if row.state in (EffectState.QUEUED, EffectState.IN_FLIGHT):
                heads.setdefault((row.referral, row.lane), row)
        instants = [row.next_at for row in heads.values() if row.state is EffectState.QUEUED]
        clock = reading.counts().oldest_deadline_at
        instants += [clock] if clock is not None else []
        return max(now, min(instants)) if instants else None

    def _deliver(self) -> None:
        """Let every lane work until none has anything left to do now."""
        claimed: list[EffectRow] = []
        for _ in range(ROUNDS_MAX):
            if not claimed and not self._waiting:
                return
            lanes = sorted(self._waiting | {row.lane for row in claimed})  # what is settled may let the next one go
            self._waiting.clear()
            answers = [one for one in map(self._answer, claimed) if one is not None]
            receipts = self._pass([*answers, *claims_of(lanes, UNANSWERED_SECONDS if self.scripted else LEASE_SECONDS)])
            claimed = [row for receipt in receipts for row in receipt.effects]
        raise AssertionError("deliveries cause deliveries without end")

    def _pass(self, inputs: Sequence[Input]) -> list[Receipt]:
        """Several inputs through the door in one transaction."""
        receipts = self.step.run(inputs)
        self._waiting |= receipts[-1].lanes
        return receipts

    def _answer(self, row: EffectRow) -> Settled | None:
        """How the partner behind a lane answers one sending; None for one that takes its time."""
        self.on_sent(row)
        if self.scripted is not None and self.scripted.serves(row):
            return self.scripted.answer(row, to_micros(self.clock.now()))
        by_itself = "AA" if row.transport == "mllp" else "delivered"
        outcome, reason, reply = ANSWERS[self.partners.get(row.lane, by_itself)]
        return Settled(
            effect=row.id,
            token=row.token,
            outcome=outcome,
            reason=reason,
            reply=reply,
            retry_in_seconds=SILENT_RETRY_SECONDS if outcome is Outcome.RETRY else 0.0,
        )


def claims_of(lanes: Sequence[str], lease_seconds: float = LEASE_SECONDS) -> list[Input]:
    """Every lane asks for work."""
    return [Claim(lane=lane, limit=CLAIMED_AT_ONCE, lease_seconds=lease_seconds) for lane in lanes]
