"""A restart on top of a long queue: the order of each referral is kept, and memory does not grow with the queue."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict
from pathlib import Path

import pytest

from referral_engine.base.clock import MICROSECONDS
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import EffectState
from tests.journal.made import an_effect

KEY = bytes(range(32))
REFERRALS = 100
MEMORY_MAX = 4 * 1024 * 1024  # of ours; pages are SQLite's
HOUR = 3_600 * MICROSECONDS


def _queue(path: Path, number: int) -> None:
    """So many sendings of one lane that never left, owed an hour ago and more."""
    journal = Journal.open(str(path), KEY, node="RE", now=1)
    for start in range(0, number, 5_000):
        with journal.batch(start + 1) as unit:
            for one in range(start, min(start + 5_000, number)):
                unit.owe(an_effect(one + 1, cause=one + 1, referral=f"RE-{one % REFERRALS:04}"))
    journal.close()


@pytest.mark.parametrize("number", [1_600, pytest.param(20_000, marks=pytest.mark.torture)])
def test_a_restart_with_a_long_queue_keeps_the_order_and_its_memory(tmp_path: Path, number: int) -> None:  # H076
    _queue(tmp_path / "journal.db", number)
    left: dict[str, list[int]] = defaultdict(list)
    now = 2 * HOUR
    tracemalloc.start()

    journal = Journal.open(str(tmp_path / "journal.db"), KEY)
    opened = tracemalloc.get_traced_memory()[1]
    batches = 0
    while True:
        with journal.batch(now + batches) as unit:
            rows = unit.claim("ehr", now, 120.0, 64)
            for row in rows:
                unit.settle(row.id, row.token, EffectState.DELIVERED, now)
        if not rows:
            break
        batches += 1
        for row in rows:
            left[row.referral].append(row.id)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    journal.close()

    assert sum(map(len, left.values())) == number
    assert all(ids == sorted(ids) for ids in left.values())
    assert opened < MEMORY_MAX
    assert peak < MEMORY_MAX + number * 64  # what the test itself remembers
