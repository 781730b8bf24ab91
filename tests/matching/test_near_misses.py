"""A message that all but belongs to a referral never changes it; one that belongs finds it."""

from __future__ import annotations

import pytest

from tests.matching.near_misses import KINDS, SURE
from tests.matching.playing import CASES_A_JOURNAL, play, table, total

SEED = 20260302
SHORT = 2_000
LONG = 100_000
CHUNK = 10_000


def _check(cases: int, seed: int) -> None:
    outcomes = play(seed, cases)

    print(table(outcomes, seed))
    whole = total(outcomes)
    assert whole.cases == cases
    assert whole.false == 0
    for kind in SURE:
        assert outcomes[kind].attached == outcomes[kind].cases, kind
    others = sum(one.attached for kind, one in outcomes.items() if kind not in SURE)
    assert others == outcomes["twins, both referred"].attached  # nothing else has a referral to be attached to


def test_no_near_miss_is_ever_attached_and_what_belongs_is() -> None:  # F-H02, F-H03, P15
    assert SHORT > len(KINDS) * 20 > CASES_A_JOURNAL

    _check(SHORT, SEED)


@pytest.mark.torture
@pytest.mark.parametrize("chunk", range(LONG // CHUNK))
def test_none_of_a_hundred_thousand_near_misses_is_ever_attached(chunk: int) -> None:
    _check(CHUNK, SEED + 1 + chunk)
