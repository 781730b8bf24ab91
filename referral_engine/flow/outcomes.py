"""How sendings of a replay end: as the real ones of the same referral did, after the same time; else they arrive."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Final

from referral_engine.base.clock import MICROSECONDS, to_micros
from referral_engine.flow.inputs import Settled
from referral_engine.flow.rehearsal import ANSWERS
from referral_engine.journal.codec import decode_event
from referral_engine.journal.rows import EffectRow, EffectState
from referral_engine.journal.traffic import Left, Said
from referral_engine.loop.events import DeliverySettled, Outcome

USUAL_DELAY: Final = 5 * MICROSECONDS  # between leaving and the answer, where nobody knows better
LEAST_DELAY: Final = MICROSECONDS
_ENDED: Final = {
    EffectState.DELIVERED.value: Outcome.DELIVERED,
    EffectState.FAILED.value: Outcome.FAILED,
    EffectState.UNKNOWN.value: Outcome.UNKNOWN,
}
_ON_ITS_WAY: Final = frozenset({EffectState.QUEUED.value, EffectState.IN_FLIGHT.value})

Key = tuple[str, str, str, str]  # the real referral, the lane, the purpose, what about
_Due = tuple[int, int, int, Outcome, str, bytes]  # when, effect, token, how, why, the reply


class Outcomes:
    """The other side of every lane: it knows what really became of what was sent."""

    def __init__(self, real: Callable[[str], str], *, fresh: bool = False) -> None:
        """Know nothing yet.

        real: the real referral behind one of the replay's; "" for none.
        fresh: what was on its way when it was read is still young, and taken as delivered; else it is never answered.
        """
        self._real = real
        self._fresh = fresh
        self._known: defaultdict[Key, deque[Left]] = defaultdict(deque)
        self._how: dict[tuple[str, str, str, int], Outcome] = {}  # referral, recipient, purpose, owed at
        self._due: list[_Due] = []

    def learn(self, left: Iterable[Left], said: Iterable[Said]) -> None:
        """What really became of some sendings, in the order they were owed."""
        for event in said:
            if event.kind != DeliverySettled.__name__:
                continue
            told = decode_event(event.kind, event.body)
            if isinstance(told, DeliverySettled) and told.owed_at is not None:
                self._how[event.referral, told.to.value, told.purpose.value, to_micros(told.owed_at)] = told.outcome
        for one in left:
            self._known[one.referral, one.lane, one.purpose, one.about].append(one)

    def serves(self, row: EffectRow) -> bool:  # noqa: ARG002  # every lane is served
        """It stands behind every lane."""
        return True

    def answer(self, row: EffectRow, now: int) -> Settled | None:
        """Nothing at once; how it ends is told when its time has come."""
        real = self._real(row.referral)
        known = self._known.get((real, row.lane, row.purpose, row.about)) if real else None
        was = known.popleft() if known else None
        if was is not None and was.state in _ON_ITS_WAY and not self._fresh:
            return None
        heapq.heappush(self._due, self._ending(row, now, was))
        return None

    def _ending(self, row: EffectRow, now: int, was: Left | None) -> _Due:
        """As it really ended; as usual where it did not."""
        outcome = _ENDED.get(was.state) if was is not None else None
        if was is None or outcome is None:
            usual, reason, reply = ANSWERS["AA" if row.transport == "mllp" else "delivered"]
            return now + USUAL_DELAY, row.id, row.token, usual, reason, reply
        if outcome is Outcome.DELIVERED:
            outcome = self._how.get((was.referral, was.recipient, was.purpose, was.created_at), outcome)
        took = max(was.settled_at - was.created_at, LEAST_DELAY)
        at = max(row.created_at + took, now + LEAST_DELAY)
        return at, row.id, row.token, outcome, was.reason, was.reply

    def next_at(self) -> int | None:
        """When the next answer comes."""
        return self._due[0][0] if self._due else None

    def run_out(self, now: int) -> list[Settled]:
        """The answers whose time has come."""
        told = []
        while self._due and self._due[0][0] <= now:
            _, effect, token, outcome, reason, reply = heapq.heappop(self._due)
            told.append(Settled(effect=effect, token=token, outcome=outcome, reason=reason, reply=reply))
        return told
