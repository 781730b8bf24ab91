"""A seed in, the messages of each connection out: made before any clock starts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarks import messages
from benchmarks.messages import STRANGERS, VISIT_AFTER, Case, Made

# change: every message changes a referral.  loop: the same, and one office in seven is reached by fax, which takes a
# PDF.  unrelated: nearly everything is about patients nobody referred, as on a hospital's whole feed.
MIXES: Final = ("change", "loop", "unrelated")
_ON_THE_WIRE: Final = tuple(office for office in messages.OFFICES if office.books)
OPEN_AT_ONCE: Final = 8  # referrals of one connection between order and note
UNRELATED_SHARE: Final = 0.95
NUMBERS_A_CONNECTION: Final = 200_000  # so that no two connections, nor two rounds, make the same patient


def streams(mix: str, *, connections: int, count: int, seed: int) -> list[list[Made]]:
    """About `count` messages in all, one list a connection; what a referral needs stays on one connection, in order."""
    each = max(count // connections, 3)
    return [_stream(mix, each, seed * 1000 + index) for index in range(connections)]


def _stream(mix: str, count: int, place: int) -> list[Made]:
    assert mix in MIXES, f"there is no mix {mix}"
    rng = random.Random(place)
    numbers = iter(range(place * NUMBERS_A_CONNECTION, (place + 1) * NUMBERS_A_CONNECTION))
    now = datetime.now(UTC).replace(microsecond=0)
    story = _referrals(rng, numbers, now, _ON_THE_WIRE if mix == "change" else messages.OFFICES)
    made = []
    for _ in range(count):
        if mix == "unrelated" and rng.random() < UNRELATED_SHARE:
            made.append(rng.choice(STRANGERS)(next(numbers), now))
        else:
            made.append(next(story))
    return made


def _referrals(
    rng: random.Random, numbers: Iterator[int], now: datetime, offices: Sequence[messages.Office]
) -> Iterator[Made]:
    """Order, booking where the office books, and note; a few referrals are always open beside each other."""
    waiting: list[Iterator[Made]] = []
    while True:
        if len(waiting) < OPEN_AT_ONCE:
            waiting.append(_one_referral(Case(number=next(numbers), office=rng.choice(offices), ordered_at=now)))
            yield next(waiting[-1])
            continue
        turn = waiting.pop(0)
        following = next(turn, None)
        if following is not None:
            yield following
            waiting.append(turn)


def _one_referral(case: Case) -> Iterator[Made]:
    yield messages.order(case)
    if case.office.books:
        at = case.ordered_at + timedelta(seconds=1)
        yield messages.booking(case, at=at, starts_at=case.ordered_at + VISIT_AFTER)
    yield messages.note(case, at=case.ordered_at + timedelta(seconds=2))
