"""What a connection needs of the door and of its listener, and what the listener needs of a connection."""

from __future__ import annotations

from typing import Protocol as Shape

from referral_engine.base.errors import WireError
from referral_engine.flow.inputs import Input
from referral_engine.service.counts import ListenerCounts
from referral_engine.service.door import Waiter
from referral_engine.service.logs import Sparingly
from referral_engine.service.terms import Terms


class Lodger(Shape):
    """A connection as its listener sees it."""

    peer: str

    def flush(self, now: float) -> None:
        """Write every answer whose turn it is, in one piece."""
        ...

    def proceed(self) -> None:
        """Go on where something had to wait."""
        ...

    def look(self, now: float) -> None:
        """Once a second: end what has taken too long."""
        ...

    def hang_up(self, *, at_once: bool) -> None:
        """Close: at once, with nothing said but "busy" where that was agreed; or when all in the door is answered."""
        ...


class Doorway(Shape):
    """What a connection needs of the door."""

    @property
    def full(self) -> bool:
        """Whether to stop reading."""
        ...

    def put(self, given: Input, waiter: Waiter) -> None:
        """Tell `waiter` when the input is committed."""
        ...


class House(Shape):
    """What a connection needs of its listener."""

    counts: ListenerCounts
    sparingly: Sparingly
    unfinished_bytes: int  # of the open frames of all connections
    paused: str  # why nobody is read; "" while all are

    @property
    def name(self) -> str:
        """The listener's."""
        ...

    def scarce(self, descriptor: int) -> bool:
        """Whether a socket of this number leaves too few for the rest of the engine."""
        ...

    def meet(self, connection: Lodger, certificates: tuple[str, ...]) -> Terms | None:
        """The handshake showed who it is: the terms, or None when its partner has no seat more."""
        ...

    def ready(self, connection: Lodger) -> None:
        """An answer can be written: call `flush` when the batch's receipts are out."""
        ...

    def waits(self, connection: Lodger) -> None:
        """Reading stopped because the door is full: call `proceed` when it has room."""
        ...

    def crowded(self) -> bool:
        """Whether the unfinished frames of all connections take more memory than they may."""
        ...

    def broken(self, peer: str, fault: WireError, evidence: bytes) -> None:
        """The peer broke framing, and this is the beginning of what it sent."""
        ...

    def busy(self, raw: bytes) -> bytes:
        """What a partner who prefers that to a close hears when a frame cannot be committed; b"" for nothing."""
        ...

    def left(self, connection: Lodger) -> None:
        """The connection is gone."""
        ...
