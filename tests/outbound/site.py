"""A real journal, the real door and real couriers over receivers that keep a ledger, on clocks that the test moves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.task import Clock

from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.engine import Retry
from referral_engine.channels.naks import NakMeaning
from referral_engine.flow.inputs import Input, OutboxDecision, Receipt
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import EffectRow, TaskRow
from referral_engine.loop.states import Dispatch
from referral_engine.transports.courier import Courier
from referral_engine.transports.mllp import MllpPeer
from tests.flow.stage import book as shipped
from tests.journal.made import a_referral, an_effect
from tests.transports.peers import Office, Wire, ack, framed

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
LANE = "heart"

Answer = Callable[[str], Any]  # MSH-10 to bytes to say, None for silence, "close" or "cut"


def a_book() -> Book:
    """Files in which somebody serves LANE."""
    channel = shipped().channels["cardiology-heart-group"]
    return Book(channels={LANE: replace(channel, name=LANE)})


def accepts(control_id: str) -> bytes:
    """A partner that takes everything."""
    return framed(ack("AA", control_id))


def body(control_id: str, text: str = "") -> bytes:
    """A message of that MSH-10."""
    msh = f"MSH|^~\\&|RE|RE|B|C|20260105090000||ORM^O01|{control_id}|P|2.5.1\r"
    return f"{msh}PID|1||{control_id}^^^X^MR||DOE^{text or 'JANE'}\r".encode()


class Receiver(Office):
    """A partner that keeps a ledger by MSH-10 and takes each id once, as one that honours it does."""

    def __init__(self, clock: Clock, answer: Answer = accepts) -> None:
        super().__init__(clock)
        self.answer = answer
        self.arrivals: list[str] = []  # MSH-10 of everything that came, in order
        self.copies: dict[str, set[bytes]] = defaultdict(set)
        self.parallel = 0  # the most connections that were open at once

    @property
    def effects(self) -> list[str]:
        """What happened at the partner: each id once."""
        return list(dict.fromkeys(self.arrivals))

    def connect(self, factory: Any) -> Deferred[Any]:
        self.parallel = max(self.parallel, 1 + sum(not line.gone for line in self.lines))
        return super().connect(factory)

    def took(self, wire: Wire, message: bytes) -> None:
        control_id = message.split(b"|", 10)[9].decode()
        self.arrivals.append(control_id)
        self.copies[control_id].add(message)
        self.clock.callLater(0, self._play, wire, self.answer(control_id))


class Site:
    """One engine's outgoing half."""

    def __init__(self, book: Book | None = None, journal: Journal | None = None, clock: Any = None) -> None:
        self.clock = clock or Clock()
        self.wall = ManualClock(START)
        self.journal = journal or Journal.open(":memory:", None, node="RE", now=to_micros(START))
        self.step = Step(self.journal, book or a_book(), self.wall)
        self.couriers: dict[str, Courier] = {}
        self.failed: Exception | None = None
        self.inputs: list[Input] = []

    def submit(self, given: Input) -> Deferred[Receipt]:
        """As the service's door: later, committed, and lanes with new work are poked."""
        if self.failed is not None:
            return fail(self.failed)
        self.inputs.append(given)
        receipt: Deferred[Receipt] = Deferred()
        self.clock.callLater(0, lambda: execute(self._run, given).chainDeferred(receipt))
        return receipt

    def _run(self, given: Input) -> Receipt:
        try:
            (receipt,) = self.step.run([given])
        except Exception as error:
            self.failed = error
            raise
        for lane in receipt.lanes & self.couriers.keys():
            self.clock.callLater(0, self.couriers[lane].poke)
        return receipt

    def courier(
        self,
        office: Office,
        lane: str = LANE,
        *,
        nak: NakMeaning | None = None,
        claimed_at_once: int = 16,
        ack_timeout_seconds: float = 30.0,
        chance: Callable[[], float] = lambda: 0.5,
        **retry: float,
    ) -> Courier:
        """A lane that speaks MLLP to `office`."""
        peer = MllpPeer(endpoint=office, timer=self.clock, peer=lane, nak=nak, ack_timeout_seconds=ack_timeout_seconds)
        return self.carry(peer, lane, claimed_at_once=claimed_at_once, chance=chance, **retry)

    def carry(
        self,
        transport: Any,
        lane: str = LANE,
        *,
        claimed_at_once: int = 16,
        chance: Callable[[], float] = lambda: 0.5,
        **retry: float,
    ) -> Courier:
        """A lane with any transport."""
        self.couriers[lane] = Courier(
            lane=lane, transport=transport, submit=self.submit, timer=self.clock, clock=self.wall, chance=chance,
            retry=Retry(**retry), claimed_at_once=claimed_at_once,
        )  # fmt: skip
        return self.couriers[lane]

    def owe(self, *wire_ids: str, lane: str = LANE, referral: str = "", **changes: Any) -> None:
        """Owe one message of each id, each for a referral of its own unless one is named."""
        now = to_micros(self.wall.now())
        with self.journal.batch(now) as unit:
            for wire_id in wire_ids:
                identity = referral or f"RE-{wire_id}"
                if unit.referral(identity) is None:
                    unit.next_sequence()
                    unit.save_referral(a_referral(identity, dispatch=Dispatch.QUEUED), now, new=True)
                row = an_effect(
                    0, cause=unit.next_sequence(), referral=identity, lane=lane, wire_id=wire_id, body=body(wire_id),
                    recipient="specialist", purpose="order", created_at=now,
                )  # fmt: skip
                unit.owe(replace(row, **changes))

    def decide(self, number: int, decision: str) -> Receipt:
        """A person's word."""
        return self._run(OutboxDecision(effect=number, decision=decision, by="coordinator"))

    def start(self) -> None:
        """Let every courier look for work."""
        for courier in self.couriers.values():
            courier.start()
        self.settle()

    def settle(self) -> None:
        """Let everything happen that takes no time."""
        for _ in range(400):
            self.clock.advance(0)
            if not any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
                return

    def run(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass on both clocks."""
        self.settle()
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.wall.move_to(self.wall.now() + timedelta(seconds=step))
            self.clock.advance(step)
            self.settle()

    def rows(self) -> list[EffectRow]:
        """Everything the test owed; the loop tells the EHR of it, which is another story."""
        return [row for row in self.journal.read().owed_after(0) if row.recipient != "ehr"]

    def states(self) -> dict[str, str]:
        """MSH-10 to where it is."""
        return {row.wire_id: row.state.value for row in self.rows()}

    def tasks(self) -> list[TaskRow]:
        """The open tasks."""
        return list(self.journal.read().tasks())


def total_queue(site: Site, *receivers: Receiver) -> dict[str, set[str]]:
    """The ledger of both sides: what was lost, came in two versions, or was never owed.

    A message that came twice under one id is no fault: that is what the id is for.
    """
    rows = {row.wire_id: row for row in site.rows()}
    seen: dict[str, set[bytes]] = defaultdict(set)
    for receiver in receivers:
        for wire_id, copies in receiver.copies.items():
            seen[wire_id] |= copies
    delivered = {wire_id for wire_id, row in rows.items() if row.state.value == "delivered"}
    return {
        "lost": delivered - seen.keys(),
        "changed": {wire_id for wire_id, copies in seen.items() if copies != {getattr(rows.get(wire_id), "body", b"")}},
        "unexpected": seen.keys() - rows.keys(),
        "unfinished": {wire_id for wire_id, row in rows.items() if row.state.value in ("queued", "in-flight")},
    }


CLEAN: dict[str, set[str]] = {"lost": set(), "changed": set(), "unexpected": set(), "unfinished": set()}
