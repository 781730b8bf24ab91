"""A journal that owes many sendings is opened again: they leave in order, a few at a time, and nobody holds them all."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.door import shipped_book
from benchmarks.mixes import streams
from referral_engine.base.clock import ManualClock
from referral_engine.flow.inputs import Arrived, Claim, Settled
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import EffectRow, EffectState
from referral_engine.loop.events import Outcome

GROUP = 64
LEASED = 32  # taken at once
SHORT, LONG = 300, 15_000  # messages; every one of them makes somebody owe something
MEMORY_BYTES_MAX = 24 * 1024 * 1024  # the newest 4,096 referrals stay decoded, 19 MB; all that is owed would double it
START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def owing(path: Path, messages: int) -> int:
    """Leave a journal that owes what these messages cause, and say how many sendings that is."""
    clock = ManualClock(START)
    journal = Journal.open(str(path), None, node="RE")
    step = Step(journal, shipped_book(), clock)
    [made] = streams("change", connections=1, count=messages, seed=1)
    for first in range(0, len(made), GROUP):
        clock.move_to(clock.now() + timedelta(milliseconds=5))
        step.run([Arrived(raw=raw, peer="127.0.0.1") for _, raw in made[first : first + GROUP]])
    owed = journal.read().counts().owed(EffectState.QUEUED)
    journal.close()
    return owed


def drain(step: Step, clock: ManualClock, lanes: list[str]) -> tuple[dict[tuple[str, str], list[int]], int]:
    """Take and deliver until nothing is owed: the numbers of each referral in each lane, and the most held at once."""
    left: dict[tuple[str, str], list[int]] = defaultdict(list)
    most = 0
    for lane in lanes:
        while taken := step.run([Claim(lane=lane, limit=LEASED)])[0].effects:
            assert len(taken) <= LEASED
            most = max(most, sum(len(row.body) for row in taken))
            for row in taken:
                left[row.referral, lane].append(row.id)
            clock.move_to(clock.now() + timedelta(milliseconds=5))
            step.run([Settled(effect=row.id, token=row.token, outcome=Outcome.DELIVERED) for row in taken])
    return left, most


def lanes_of(journal: Journal) -> list[str]:
    """Every lane that is owed something."""
    lanes: set[str] = set()
    at = 0
    while rows := journal.read().owed_after(at, 1000):
        lanes |= {row.lane for row in rows if _waits(row)}
        at = rows[-1].id
    return sorted(lanes)


def _waits(row: EffectRow) -> bool:
    return row.state is EffectState.QUEUED


@pytest.mark.parametrize("messages", [SHORT, pytest.param(LONG, marks=pytest.mark.torture)])
def test_what_was_owed_before_a_restart_leaves_in_order_and_memory_stays_flat(messages: int, tmp_path: Path) -> None:
    # H076
    owed = owing(tmp_path / "journal.db", messages)
    assert owed > messages

    clock = ManualClock(START + timedelta(days=1, hours=1))
    journal = Journal.open(str(tmp_path / "journal.db"), None)
    lanes = lanes_of(journal)
    step = Step(journal, shipped_book(), clock)
    tracemalloc.start()
    try:
        left, most = drain(step, clock, lanes)
        peak = tracemalloc.get_traced_memory()[1] - sum(200 + 32 * len(ids) for ids in left.values())
    finally:
        tracemalloc.stop()

    delivered = [number for ids in left.values() for number in ids]
    assert len(delivered) == len(set(delivered)) >= owed
    assert all(ids == sorted(ids) for ids in left.values()), (
        "each referral's sendings leave in the order they were owed"
    )
    assert journal.read().counts().owed(EffectState.QUEUED) == 0
    assert peak < MEMORY_BYTES_MAX, f"{peak} bytes while at most {most} were to be sent"
    journal.close()
