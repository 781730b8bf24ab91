"""What became of one received message: its disposition, its matching level and the reason."""

from __future__ import annotations

import msgspec

from referral_engine.base.values import replace
from referral_engine.journal.rows import Disposition


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The door's word on one message; level is -1 when no matching was due."""

    disposition: Disposition
    level: int = -1
    reason: str = ""
    referral: str = ""

    def noting(self, note: str) -> Verdict:
        """The same with a remark behind the reason."""
        if not note or note in self.reason:
            return self
        return replace(self, reason=f"{self.reason}; {note}" if self.reason else note)
