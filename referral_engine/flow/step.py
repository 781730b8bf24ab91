"""THE ONE DOOR: every message, tick, outcome and command passes `Step.run`; one transaction for the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import date, datetime
from typing import TypeVar, assert_never

from referral_engine.base.clock import Clock, from_micros, to_micros
from referral_engine.base.values import replace
from referral_engine.channels.admission import Admission
from referral_engine.channels.book import Book
from referral_engine.flow.arrivals import arrive, keep_broken, set_aside
from referral_engine.flow.deliveries import claim, decide, settle
from referral_engine.flow.identity import undo_merge
from referral_engine.flow.inputs import (
    Arrived,
    Blamed,
    Claim,
    ConfigChanged,
    ConfigMigrated,
    ConfigRefused,
    EvidenceConfirmed,
    EvidenceUnbound,
    FrameBroken,
    Input,
    MergeUndone,
    MessageDecision,
    OutboxDecision,
    PatientReplied,
    Receipt,
    ReviewDecided,
    SetAside,
    Settled,
    SweepDecided,
    TaskClaimed,
    TaskDone,
    Ticked,
)
from referral_engine.flow.past import Past, site_policy
from referral_engine.flow.people import claim_task, finish_task, hear_patient
from referral_engine.flow.poison import decide_message
from referral_engine.flow.preparation import Prepared, prepare, prepare_one
from referral_engine.flow.review import confirm_match, decide_review
from referral_engine.flow.sweep import decide_sweep, tick
from referral_engine.flow.turn import Turn
from referral_engine.flow.undo import unbind_evidence
from referral_engine.flow.versions import adopt, migrate, refuse
from referral_engine.journal.journal import Journal
from referral_engine.journal.unit import Unit
from referral_engine.loop.clocks import Deadline
from referral_engine.loop.policy import Policy
from referral_engine.loop.referral import Referral

T = TypeVar("T")


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
        self.clock = clock
        self._running: dict[str, tuple[Referral, Policy, tuple[Deadline, ...]]] = {}
        self._offered: Book | None = None
        self._take_up(book)

    def _take_up(self, book: Book) -> None:
        """Let a configuration be in force; whatever was remembered of the one before is forgotten."""
        self.book = book
        self._admissions: dict[tuple[object, ...], Admission] = {}
        self._running.clear()
        self._day: date | None = None  # of the newest tick; the next one looks at what a day's first looks at
        self._past = Past(book)
        self._policy = site_policy(book.engine)

    @property
    def suspects(self) -> dict[int, int]:
        """Mark of a message to how often the engine stopped with it in hand."""
        return self.journal.suspects

    def offer(self, book: Book) -> None:
        """Keep a configuration that was read beforehand: one that comes in force under its hash need not be read."""
        self._offered = book

    def run(self, inputs: Sequence[Input]) -> list[Receipt]:
        """Do what each input asks, in order, and commit them all; then, and only then, there are receipts.

        Raises JournalError when nothing was stored, OutcomeUnknown when nobody knows; any other exception is a bug,
        and nothing of the batch was stored.
        """
        now = self._now()
        with self.journal.batch(to_micros(now)) as unit:
            turn = self._turn(unit, now)
            with self._patience(len(inputs)):
                receipts = [_pass(turn, one) for one in prepare(turn, inputs)]
        if not turn.day_begins:
            self._day = now.date()
        if turn.adopted is not None:  # it is stored, and from the next batch on it decides
            self._offered = None
            self._take_up(turn.adopted)
        if turn.lanes and receipts:
            receipts[-1] = replace(receipts[-1], lanes=frozenset(turn.lanes))
        return receipts

    def dry_run(self, one: Input, look: Callable[[Turn, Receipt], T]) -> T:
        """What `look` sees once `one` was done, before all of it is taken back: nothing is stored.

        Raises JournalError when the journal is closed to new work; any other exception is a bug.
        """
        now = self._now()
        seen: list[T] = []
        with suppress(_TakenBack), self.journal.batch(to_micros(now)) as unit:
            turn = self._turn(unit, now)
            receipts = [_pass(turn, ready) for ready in prepare(turn, [one])]
            seen.append(look(turn, receipts[0]))
            raise _TakenBack
        self._running.clear()  # of referrals as they would have been
        return seen[0]

    def _now(self) -> datetime:
        """The instant to record, to the microsecond."""
        return from_micros(max(to_micros(self.clock.now()), self.journal.high_water))  # recorded time never goes back

    def _turn(self, unit: Unit, now: datetime) -> Turn:
        return Turn(
            unit=unit,
            book=self.book,
            node=self.journal.node,
            now=now,
            now_micros=to_micros(now),
            default_policy=self._policy,
            past=self._past,
            offered=self._offered,
            running=self._running,
            day_begins=self._day != now.date(),
            admissions=self._admissions,
        )


class _TakenBack(Exception):
    """Ends a dry run: the transaction is rolled back."""


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
        case ReviewDecided():
            return decide_review(turn, one)
        case EvidenceConfirmed():
            return confirm_match(turn, one)
        case EvidenceUnbound():
            return unbind_evidence(turn, one)
        case MergeUndone():
            return undo_merge(turn, one)
        case ConfigChanged():
            return adopt(turn, one)
        case ConfigRefused():
            return refuse(turn, one)
        case ConfigMigrated():
            return migrate(turn, one)
        case Blamed():
            turn.unit.blame(one.marks)
            return Receipt()
        case FrameBroken():
            return keep_broken(turn, one)
        case SetAside():
            return set_aside(turn, one)
        case _:
            assert_never(one)
