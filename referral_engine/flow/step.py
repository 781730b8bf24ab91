"""THE ONE DOOR: every message, tick, outcome and command passes `Step.run`; one transaction for the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from typing import assert_never

from referral_engine.base.clock import Clock, from_micros, to_micros
from referral_engine.base.values import replace
from referral_engine.channels.admission import Admission
from referral_engine.channels.book import Book
from referral_engine.flow.arrivals import arrive, keep_broken, set_aside
from referral_engine.flow.deliveries import claim, decide, settle
from referral_engine.flow.inputs import (
    Arrived,
    Blamed,
    Claim,
    FrameBroken,
    Input,
    MessageDecision,
    OutboxDecision,
    PatientReplied,
    Receipt,
    SetAside,
    Settled,
    SweepDecided,
    TaskClaimed,
    TaskDone,
    Ticked,
)
from referral_engine.flow.people import claim_task, finish_task, hear_patient
from referral_engine.flow.poison import decide_message
from referral_engine.flow.preparation import Prepared, prepare, prepare_one
from referral_engine.flow.sweep import decide_sweep, tick
from referral_engine.flow.turn import Turn
from referral_engine.journal.journal import Journal
from referral_engine.loop.clocks import Deadline
from referral_engine.loop.policy import Policy
from referral_engine.loop.referral import Referral


class Step:
    """The door over one journal and one configuration."""

    def __init__(
        self,
        journal: Journal,
        book: Book,
        clock: Clock,
        *,
        patience: Callable[[int], AbstractContextManager[None]] = lambda _inputs: nullcontext(),
    ) -> None:
        """Stand over an open journal; `clock` is the only time it knows.

        patience: stands around the handling of so many inputs, and may break off one that does not end.
        """
        self._patience = patience
        self.journal = journal
        self.book = book
        self.clock = clock
        self._running: dict[str, tuple[Referral, Policy, tuple[Deadline, ...]]] = {}
        self._admissions: dict[tuple[object, ...], Admission] = {}
        self._day: date | None = None  # of the newest tick
        engine = book.engine
        calendar = engine.calendars.get("default") or next(iter(engine.calendars.values()))
        self._policy = Policy(calendar=calendar, clocks=engine.clocks, duplicate_days=engine.duplicate_days)

    @property
    def suspects(self) -> dict[int, int]:
        """Mark of a message to how often the engine stopped with it in hand."""
        return self.journal.suspects

    def run(self, inputs: Sequence[Input]) -> list[Receipt]:
        """Do what each input asks, in order, and commit them all; then, and only then, there are receipts.

        Raises JournalError when nothing was stored, OutcomeUnknown when nobody knows; any other exception is a bug,
        and nothing of the batch was stored.
        """
        now_micros = max(to_micros(self.clock.now()), self.journal.high_water)  # recorded time never goes back
        now = from_micros(now_micros)
        with self.journal.batch(now_micros) as unit:
            turn = Turn(
                unit=unit,
                book=self.book,
                node=self.journal.node,
                now=now,
                now_micros=now_micros,
                default_policy=self._policy,
                running=self._running,
                day_begins=self._day != now.date(),
                admissions=self._admissions,
            )
            with self._patience(len(inputs)):
                receipts = [_pass(turn, one) for one in prepare(turn, inputs)]
        if not turn.day_begins:
            self._day = now.date()
        if turn.lanes and receipts:
            receipts[-1] = replace(receipts[-1], lanes=frozenset(turn.lanes))
        return receipts


def _pass(turn: Turn, one: Input | Prepared) -> Receipt:  # one arm an input
    if isinstance(one, Prepared):
        return arrive(turn, one)
    match one:
        case Arrived():
            return arrive(turn, prepare_one(turn, one))
        case Ticked():
            return tick(turn, one)
        case SweepDecided():
            return decide_sweep(turn, one)
        case Claim():
            return claim(turn, one)
        case Settled():
            return settle(turn, one)
        case TaskClaimed():
            return claim_task(turn, one)
        case TaskDone():
            return finish_task(turn, one)
        case PatientReplied():
            return hear_patient(turn, one)
        case OutboxDecision():
            return decide(turn, one)
        case MessageDecision():
            return decide_message(turn, one)
        case Blamed():
            turn.unit.blame(one.marks)
            return Receipt()
        case FrameBroken():
            return keep_broken(turn, one)
        case SetAside():
            return set_aside(turn, one)
        case _:
            assert_never(one)
