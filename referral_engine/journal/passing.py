"""What a lean journal keeps of messages about nobody we know: that they came, and under which number."""

from __future__ import annotations

from typing import Final

from referral_engine.journal.rows import Earlier

ACCEPTED: Final = "AA"  # MSA-1; what was answered otherwise is of interest, whoever it is about

Place = tuple[tuple[str, str, str], bytes]  # a sender and a control id


class Passing:
    """Passing messages by their sender, their control id and their bytes; some hundred bytes of memory each."""

    __slots__ = ("_newest", "_same")

    def __init__(self) -> None:
        self._same: dict[tuple[Place, bytes], int] = {}
        self._newest: dict[Place, int] = {}

    def add(self, place: Place, sha256: bytes, sequence: int) -> None:
        """One came."""
        self._same[place, sha256] = self._newest[place] = sequence

    def earlier(self, place: Place, sha256: bytes) -> Earlier | None:
        """The one with the same bytes, else the newest of the same control id, else None; its answer is not kept."""
        newest = self._newest.get(place)
        if newest is None:
            return None
        same = self._same.get((place, sha256))
        return Earlier(sequence=same or newest, answer=b"", same_bytes=same is not None)
