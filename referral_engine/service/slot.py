"""One frame's place in its connection's row of answers."""

from __future__ import annotations

from typing import Protocol

from referral_engine.flow.inputs import Receipt


class Row(Protocol):
    """The connection, as a slot sees it."""

    def answered(self, slot: Slot) -> None:
        """The slot has its answer: it may leave when those before it have theirs."""
        ...

    def refused(self, error: Exception) -> None:
        """A frame is not committed."""
        ...


class Slot:
    """Waits for the receipt of one frame."""

    __slots__ = ("_row", "after", "answer", "raw", "since")

    def __init__(self, row: Row, raw: bytes, since: float) -> None:
        """Stand in `row` for the frame that holds `raw`, complete since then (reactor seconds)."""
        self._row = row
        self.raw = raw
        self.answer: bytes | None = None  # None until the receipt is there
        self.after = b""  # follows the answer in a frame of its own
        self.since = since

    def answered(self, receipt: Receipt) -> None:
        """Committed."""
        self.answer = receipt.answer
        self.after = receipt.after
        self._row.answered(self)

    def refused(self, error: Exception) -> None:
        """Not committed."""
        self._row.refused(error)
