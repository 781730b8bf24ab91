"""Near misses through the real door: cases in, what became of them, kind by kind, out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.channels.book import Book
from referral_engine.flow.inputs import Arrived
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import Disposition, MessageRow
from referral_engine.loop.referral import Referral
from tests.flow.stage import at, book
from tests.matching.making import Maker
from tests.matching.near_misses import Case, next_case

CASES_A_JOURNAL: Final = 250  # open referrals of other cases lie beside each case's own
BATCH: Final = 64  # messages the door takes at once
ORDERED: Final = "2026-03-02 09:00"
SPOKEN: Final = "2026-03-12 16:00"


@dataclass(slots=True)
class Outcome:
    """What became of all cases of one kind."""

    cases: int = 0
    attached: int = 0  # to the right referral
    person: int = 0  # somebody has to look
    waits: int = 0  # kept, and matched again when more is known
    false: int = 0  # changed a referral it does not belong to


def play(seed: int, cases: int, *, book_: Book | None = None) -> dict[str, Outcome]:
    """Make so many cases and hand them to the door; what became of them, by kind."""
    make = Maker(seed)
    outcomes: dict[str, Outcome] = {}
    for size in _sizes(cases):
        _play_together([next_case(make) for _ in range(size)], outcomes, book_ or book())
    return outcomes


def _sizes(cases: int) -> Iterator[int]:
    for done in range(0, cases, CASES_A_JOURNAL):
        yield min(CASES_A_JOURNAL, cases - done)


def _play_together(cases: Sequence[Case], outcomes: dict[str, Outcome], shipped: Book) -> None:
    clock = ManualClock(at(ORDERED))
    journal = Journal.open(":memory:", None, node="RE", now=to_micros(at(ORDERED)))
    try:
        step = Step(journal, shipped, clock)
        rows = _received(step, [raw for case in cases for raw in case.orders])
        taken = iter([row.referral if row.disposition is Disposition.APPLIED else "" for row in rows])
        known = [[next(taken) for _ in case.orders] for case in cases]
        assert all(mine[0] for mine in known), "a case begins with an open referral"
        clock.move_to(at(SPOKEN))
        _received(step, [raw for case in cases for raw in case.before])
        before = _referrals(journal, known)
        said = _received(step, [case.message for case in cases])
        after = _referrals(journal, known)
    finally:
        journal.close()
    for case, mine, row in zip(cases, known, said, strict=True):
        truth = mine[case.truth] if case.truth >= 0 else ""
        changed = {one for one in mine if one and before[one] != after[one]}
        _count(outcomes.setdefault(case.kind, Outcome()), row.disposition, row.referral, truth, changed)


def _received(step: Step, raws: Sequence[bytes]) -> list[MessageRow]:
    """Hand messages to the door in batches, as a listener does; how each is kept."""
    rows = []
    for begin in range(0, len(raws), BATCH):
        receipts = step.run([Arrived(raw=raw, peer="127.0.0.1") for raw in raws[begin : begin + BATCH]])
        reading = step.journal.read()
        rows += [row for receipt in receipts if (row := reading.message(receipt.sequence)) is not None]
    assert len(rows) == len(raws), "what was received is kept"
    return rows


def _referrals(journal: Journal, known: Sequence[Sequence[str]]) -> dict[str, Referral | None]:
    with journal.batch(journal.high_water) as unit:
        return {one: unit.referral(one) for mine in known for one in mine if one}


def _count(outcome: Outcome, disposition: Disposition, referral: str, truth: str, changed: set[str]) -> None:
    outcome.cases += 1
    if changed - {truth} or referral not in ("", truth):
        outcome.false += 1
    elif truth and truth in changed:
        outcome.attached += 1
    elif disposition is Disposition.NEEDS_HUMAN:
        outcome.person += 1
    else:
        outcome.waits += 1


def total(outcomes: dict[str, Outcome]) -> Outcome:
    """All kinds together."""
    counted: Counter[str] = Counter()
    for one in outcomes.values():
        for name in ("cases", "attached", "person", "waits", "false"):
            counted[name] += getattr(one, name)
    return Outcome(**counted)


def table(outcomes: dict[str, Outcome], seed: int) -> str:
    """What became of them, a line a kind."""
    head = f"near misses, seed {seed}\n{'kind':38} {'cases':>7} {'attached':>9} {'person':>7} {'waits':>7} {'false':>6}"
    named = [*sorted(outcomes.items()), ("all", total(outcomes))]
    rows = [
        f"{kind:38} {one.cases:7} {one.attached:9} {one.person:7} {one.waits:7} {one.false:6}" for kind, one in named
    ]
    whole = total(outcomes)
    share = f"needed a person: {whole.person / whole.cases:.1%}; attached rightly: {whole.attached / whole.cases:.1%}"
    return "\n".join([head, *rows, share])
