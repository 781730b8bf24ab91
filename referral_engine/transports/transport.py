"""What every way out has in common: one owed sending in, what became of the attempt out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What became of one attempt.

    ambiguous: the other side may have it all the same; if nobody tries again the fate is unknown, not failed.
    unreachable: it is the other side that is away, so what stands behind would fare no better.
    """

    outcome: Outcome
    reason: str = ""  # a fixed sentence, no patient's value
    reply: bytes = b""  # the answer as received
    ambiguous: bool = False
    unreachable: bool = False


class Transport(Protocol):
    """Delivers one owed sending at a time; asking again before the first has an answer is an error."""

    def deliver(self, effect: EffectRow) -> Deferred[Attempt]:
        """Send exactly `effect.body`; the Deferred never fails for what the other side does."""
        ...

    def stop(self) -> None:
        """End what is under way at once; its attempt comes back as one to be tried again."""
        ...
