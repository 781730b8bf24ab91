"""What became of one received message: its disposition, its matching level and the reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from referral_engine.journal.rows import Disposition


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
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
