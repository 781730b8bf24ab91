"""What every way out has in common: one owed sending in, what became of the attempt out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome

TRIES_MAX: Final = 10  # for a reason that should pass; stops a record that is never unlocked from being asked for ever
NOT_LEASED: Final = "the lease was too old to send on; nothing left"

MayWrite = Callable[[], bool]  # asked right before the first byte leaves: whether the lease still holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What became of one attempt.

    ambiguous: the other side may have it all the same; if nobody tries again the fate is unknown, not failed.
    unreachable: it is the other side that is away, so what stands behind would fare no better.
    holds: nothing of the lane may overtake it, until it is accepted or a person decides.
    if_it_stays: for a reason that should pass, tried again soon: what it is after `tries_max` tries.
    """

    outcome: Outcome
    reason: str = ""  # a fixed sentence, no patient's value
    reply: bytes = b""  # the answer as received
    ambiguous: bool = False
    unreachable: bool = False
    holds: bool = False
    if_it_stays: Attempt | None = None
    tries_max: int = TRIES_MAX


class Transport(Protocol):
    """Delivers one owed sending at a time; asking again before the first has an answer is an error."""

    @property
    def name(self) -> str:
        """What stands in an owed sending's `transport`: "mllp", "spool"."""
        ...

    @property
    def repeats_safely(self) -> bool:
        """Whether the other side knows our id again, so that a sending of unknown fate may go once more."""
        ...

    def deliver(self, effect: EffectRow, may_write: MayWrite) -> Deferred[Attempt]:
        """Send exactly `effect.body`, unless `may_write` says no; never fails for what the other side does."""
        ...

    def stop(self) -> None:
        """End what is under way at once; its attempt comes back as one to be tried again."""
        ...


def too_late() -> Attempt:
    """The attempt of a courier that slept through its lease: nothing was written."""
    return Attempt(outcome=Outcome.RETRY, reason=NOT_LEASED)
