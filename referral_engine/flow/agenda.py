"""A page of traffic in; what happens, in order of time and a transaction at a time, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from referral_engine.base.clock import MICROSECONDS
from referral_engine.flow.acts import Act, Decided, acts_of, rulings_of
from referral_engine.journal.rows import Disposition
from referral_engine.journal.traffic import Came, TrafficPage

BATCH_MAX: Final = 64  # messages in one transaction
STRANGERS_SPAN: Final = 300 * MICROSECONDS  # what concerned nobody is brought in up to so much early, many at once

Item = tuple[int, int, Came | Act]  # when, its number, what


def in_order(page: TrafficPage, waiting: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """What happens while a page lasts, `waiting` with it, and what has to wait for a later page.

    A decision about a message of this page may be days younger than the page.
    """
    items: list[Item] = [(one.at, one.sequence, one) for one in page.messages]
    items += [(act.at, number, act) for number, act in acts_of(page.said)]
    last = max((at for at, _, _ in items), default=page.at)
    known = [*waiting, *((one.at, one.message, one) for one in rulings_of(page.ruled))]
    items += [one for one in known if one[0] <= last]
    items.sort(key=lambda one: (one[0], isinstance(one[2], Decided), one[1]))
    return items, [one for one in known if one[0] > last]


def batches(items: Iterable[Item]) -> Iterator[list[Came] | Act]:
    """Messages of one instant together, and those of about five minutes that concerned nobody; every act alone."""
    batch: list[Came] = []
    for _, _, one in items:
        if isinstance(one, Came):
            if batch and not _belongs(batch, one):
                yield batch
                batch = []
            batch.append(one)
            continue
        if batch:
            yield batch
            batch = []
        yield one
    if batch:
        yield batch


def _belongs(batch: list[Came], one: Came) -> bool:
    """Whether a message may come in together with those before it."""
    first = batch[0]
    if len(batch) == BATCH_MAX:
        return False
    if one.at == first.at:
        return True
    return one.at - first.at <= STRANGERS_SPAN and _concerned_nobody(one) and _concerned_nobody(batch[-1])


def _concerned_nobody(one: Came) -> bool:
    return not one.referral and one.disposition == Disposition.NO_OP
