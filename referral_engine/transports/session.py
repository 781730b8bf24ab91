"""Several lanes to one peer that takes a single connection: they take turns, the old one gone before the next."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred, DeferredLock

from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.transports.mllp import STOPPED
from referral_engine.transports.transport import Attempt, MayWrite, Transport


class Session:
    """The one connection that a peer allows, and who has it."""

    def __init__(self) -> None:
        """Nobody has it."""
        self.lock = DeferredLock()
        self.holder: Hangs | None = None


class Hangs(Transport, Protocol):
    """A transport that keeps a connection, and gives it up when it is asked to."""

    def hang_up(self) -> Deferred[None]:
        """Close the kept connection; fires when it is gone."""
        ...


class InTurns:
    """A `Transport`: one of several that share a session; each sending waits for its turn."""

    def __init__(self, peer: Hangs, session: Session) -> None:
        """Deliver through `peer` whenever the session is ours."""
        self.name = peer.name
        self.repeats_safely = peer.repeats_safely
        self._peer = peer
        self._session = session
        self._delivering = False
        self._stopped = False

    def deliver(self, effect: EffectRow, may_write: MayWrite) -> Deferred[Attempt]:
        """Wait for the turn, then send."""
        return Deferred.fromCoroutine(self._deliver(effect, may_write))

    def stop(self) -> None:
        """Send nothing more; a sending of ours that is under way is ended, and the session is left to others."""
        self._stopped = True
        if self._delivering:
            self._peer.stop()
        elif self._session.holder is self._peer:
            self._peer.hang_up()  # it stays the holder: the next one waits until its connection is gone

    async def _deliver(self, effect: EffectRow, may_write: MayWrite) -> Attempt:
        session = self._session
        await session.lock.acquire()
        try:
            if session.holder is not None and session.holder is not self._peer:
                await session.holder.hang_up()
            session.holder = self._peer
            if self._stopped:
                return Attempt(outcome=Outcome.RETRY, reason=STOPPED)
            self._delivering = True
            return await self._peer.deliver(effect, may_write)
        finally:
            self._delivering = False
            session.lock.release()
