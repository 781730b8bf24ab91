"""What became of one received message: its disposition, its matching level and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from referral_engine.base.values import replace
from referral_engine.journal.rows import Disposition


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The door's word on one message; level is -1 when no matching was due."""

    disposition: Disposition
    level: int = -1
    reason: str = ""
    referral: str = ""
    passing: bool = False  # about nobody we know, and waits for nobody: nothing will ever ask for it but itself again

    def noting(self, note: str) -> Verdict:
        """The same with a remark behind the reason."""
        if not note or note in self.reason:
            return self
        return replace(self, reason=f"{self.reason}; {note}" if self.reason else note)


# What a message became when its parts became different things: the first of these that one of them became.
_LOUDEST: Final = (
    Disposition.QUARANTINED,
    Disposition.PENDING,
    Disposition.NEEDS_HUMAN,
    Disposition.APPLIED,
    Disposition.NO_OP,
)


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for a message from those of its parts: the loudest, with every reason that was given."""
    if len(verdicts) == 1:
        return verdicts[0]
    loudest = min(verdicts, key=lambda verdict: _LOUDEST.index(verdict.disposition))
    reasons = dict.fromkeys(verdict.reason for verdict in verdicts if verdict.reason)
    referral = next((verdict.referral for verdict in verdicts if verdict.referral), "")
    return replace(loudest, reason="; ".join(reasons), referral=loudest.referral or referral)
