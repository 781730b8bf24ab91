"""What the world outside saw: who was told what, and who received what.  The checkers compare it with the journal."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer that a sender read, to one of its messages."""

    raw: bytes
    answer: bytes  # as it came, unframed
    code: str  # MSA-1


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message that reached a receiver, by whatever way."""

    lane: str
    wire_id: str  # MSH-10, or the file's name without its ending
    body: bytes
    taken: bool = True  # False: it was refused, or answered with what is no acknowledgment of it


@dataclass(slots=True)
class Ledger:
    """Everything that was seen outside, in order."""

    told: list[Told] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
