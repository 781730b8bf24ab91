"""One attempt and what a channel's file says about retries in; what the door is told, and when to try again, out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from referral_engine.base.clock import Clock, from_micros
from referral_engine.base.values import replace
from referral_engine.channels.engine import Retry
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.transports.transport import Attempt

PAUSE_SECONDS_MIN: Final = 0.1  # stops a lucky draw from becoming a loop
DOUBLINGS_MAX: Final = 32  # stops the pause from becoming a huge number before it is cut
ATTEMPTS_MIN: Final = 3  # what lay in the outbox through a long downtime still gets a fair chance
SOON_FIRST_SECONDS: Final = 1.0  # for a reason that should pass, such as a record that is locked
SOON_LONGEST_SECONDS: Final = 30.0
COUNTED_MAX: Final = 1024  # sendings whose passing reasons are counted; stops the count from growing for ever
IN_DOUBT: Final = "; it may have arrived"  # behind the reason of every attempt after which nobody can say
TWICE: Final = "; an earlier attempt may have arrived too"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the door is told of one attempt."""

    outcome: Outcome
    reason: str
    reply: bytes
    pause_seconds: float = 0.0  # for RETRY
    hold: bool = False  # for RETRY: nothing of its lane may overtake it


class Patience:
    """How long one lane goes on trying."""

    def __init__(self, *, retry: Retry, clock: Clock, chance: Callable[[], float]) -> None:
        """`chance` draws from [0, 1) and spreads retries."""
        self._retry = retry
        self._clock = clock
        self._chance = chance
        self._tries: dict[int, int] = {}  # of sendings that failed for a reason that should pass
        self._holder = 0  # the sending that holds the line

    def judge(self, attempt: Attempt, effect: EffectRow, *, stopping: bool = False) -> Verdict:
        """The outcome, when to try again, or that it is enough.

        Doubt stays: a sending that may have arrived once is never called failed because a later attempt was refused
        at the door. What the other side itself refuses has failed.
        """
        doubted = IN_DOUBT in effect.reason
        if attempt.outcome is not Outcome.RETRY:
            return self._final(effect, attempt.outcome, attempt, TWICE if doubted and _arrived(attempt) else "")
        doubt = IN_DOUBT if doubted or attempt.ambiguous else ""
        if stopping:
            return Verdict(outcome=Outcome.RETRY, reason=attempt.reason + doubt, reply=attempt.reply)
        pause = self.again(effect.attempts)
        if attempt.if_it_stays is not None:
            tries = self._count(effect.id)
            if tries > attempt.tries_max:
                return self.judge(replace(attempt.if_it_stays, reply=attempt.reply), effect)
            pause = self._draw(SOON_FIRST_SECONDS, SOON_LONGEST_SECONDS, tries)
        elif self._is_enough(effect):
            return self._final(effect, Outcome.UNKNOWN if doubt else Outcome.FAILED, attempt, doubt)
        if attempt.holds:
            self._holder = effect.id
        return Verdict(
            outcome=Outcome.RETRY,
            reason=attempt.reason + doubt,
            reply=attempt.reply,
            pause_seconds=pause,
            hold=self._holder == effect.id,
        )

    def again(self, attempts: int) -> float:
        """Seconds up to the next attempt: full jitter, anything up to a ceiling that doubles with each attempt."""
        return self._draw(self._retry.first_seconds, self._retry.longest_seconds, attempts)

    def _draw(self, first: float, longest: float, attempts: int) -> float:
        doublings = min(max(attempts - 1, 0), DOUBLINGS_MAX)
        return max(PAUSE_SECONDS_MIN, self._chance() * min(longest, first * 2.0**doublings))

    def _final(self, effect: EffectRow, outcome: Outcome, attempt: Attempt, more: str) -> Verdict:
        self._tries.pop(effect.id, None)
        if self._holder == effect.id:
            self._holder = 0
        return Verdict(outcome=outcome, reason=attempt.reason + more, reply=attempt.reply)

    def _count(self, effect: int) -> int:
        tries = self._tries.pop(effect, 0) + 1
        if len(self._tries) >= COUNTED_MAX:
            self._tries.pop(next(iter(self._tries)))
        self._tries[effect] = tries
        return tries

    def _is_enough(self, effect: EffectRow) -> bool:
        """Whether it was tried for as long as the channel says, and more than once or twice."""
        return effect.attempts >= ATTEMPTS_MIN and self._clock.now() >= self._retry.gives_up_at(
            from_micros(effect.created_at)
        )


def _arrived(attempt: Attempt) -> bool:
    return attempt.outcome in (Outcome.DELIVERED, Outcome.HANDED_OVER)
