"""The part of a unit that matching asks and writes: whose numbers lead where, what waits, what was decided and why."""

from __future__ import annotations

from collections.abc import Iterable

from referral_engine.base.ident import Phi
from referral_engine.journal.bindings import Bindings
from referral_engine.journal.codec import plain
from referral_engine.journal.database import Connection
from referral_engine.journal.decisions import Decisions
from referral_engine.journal.instance import Instance
from referral_engine.journal.merges import Merges
from referral_engine.journal.messages import Messages
from referral_engine.journal.numbers import number_key
from referral_engine.journal.parked import Parked
from referral_engine.journal.passing import Passing
from referral_engine.journal.purging import Purging
from referral_engine.journal.rows import BindingKind, DecisionRow, MergeRow
from referral_engine.loop.referral import Identifier, PatientId


class MatchingUnit:
    """Numbers, early evidence, decisions and merges of the open batch; `Unit` adds everything else."""

    __slots__ = ("_bindings", "_decisions", "_merges", "_messages", "_parked", "now", "purging")

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self._messages = Messages(connection, instance)
        self._bindings = Bindings(connection, instance)
        self._parked = Parked(connection, instance)
        self._decisions = Decisions(connection, instance)
        self._merges = Merges(connection)
        self.purging = Purging(connection, instance, self._messages, self._parked, self._decisions)
        self.now = 0

    def be_lean(self) -> None:
        """Keep of passing messages only that they came, from now on."""
        self._messages.passed = Passing()

    # -- numbers that point at referrals ------------------------------------------------------------------------------

    def is_known(self, number: tuple[str, str]) -> bool:
        """Whether a number that was looked at beforehand, kind and value, points at any referral."""
        return self._bindings.is_known(number)

    def bind(self, kind: BindingKind, identifier: Identifier | PatientId, referral_id: str) -> None:
        """Let a number point at a referral; again is once, and an empty one points nowhere."""
        self._bindings.bind(kind, identifier, referral_id)

    def unbind(self, kind: BindingKind, identifier: Identifier | PatientId, referral_id: str) -> None:
        """Let a number point at a referral no more: it was learned from a match that was undone."""
        self._bindings.unbind(kind, identifier, referral_id)

    def bound(self, kind: BindingKind, value: str | Phi[str], authority: str = "") -> tuple[str, ...]:
        """The referrals a number points at, newest binding first; an authority not said fits any."""
        return self._bindings.bound(kind, value, authority)

    def patients(self, value: str | Phi[str], authority: str = "") -> tuple[str, ...]:
        """The referrals of one medical record number, newest first."""
        return self._bindings.bound(BindingKind.PATIENT, value, authority)

    # -- evidence that came before its order --------------------------------------------------------------------------

    def park(self, message_sequence: int, numbers: Iterable[tuple[str, str]]) -> None:
        """Let a message of this batch, not stored yet, wait for any of these numbers: kind and value."""
        self._parked.park(message_sequence, [number_key(kind, value) for kind, value in numbers])

    def parked(self, kind: BindingKind, value: str | Phi[str]) -> tuple[int, ...]:
        """The messages that may wait for a number, oldest first; whether one does, its own bytes say."""
        return self._parked.waiting(kind.value, plain(value))

    def unpark(self, message_sequence: int) -> None:
        """Let a message wait no longer."""
        self._messages.flush()
        self._parked.unpark(message_sequence)

    # -- why a message was matched as it was --------------------------------------------------------------------------

    def add_decision(self, row: DecisionRow) -> None:
        """Store one decision with this batch; it supersedes an earlier one about the same part of its message."""
        self._decisions.add(row)

    def decisions(self, message: int) -> tuple[DecisionRow, ...]:
        """The newest decision about each part of a message, first to last, undone ones included."""
        return self._decisions.of_message(message)

    def decisions_of(self, referral: str) -> tuple[DecisionRow, ...]:
        """The newest decision about each part of a message among those that name a referral, the oldest first.

        Undone ones are included; so is one that a later decision took to another referral.
        """
        return self._decisions.of_referral(referral)

    def undo_decision(self, message: int, part: int, by: str, reason: str) -> None:
        """Mark the newest decision about a part of a message; one that is marked keeps its mark."""
        self._decisions.undo(message, part, self.now, by, reason)

    # -- numbers that are one person ----------------------------------------------------------------------------------

    def add_merge(self, row: MergeRow) -> int:
        """Store one edge between two record numbers; its number."""
        return self._merges.add(row)

    def merges(self, value: str | Phi[str], authority: str) -> tuple[MergeRow, ...]:
        """The edges that touch a number of an authority, undone ones included, the oldest first."""
        return self._merges.of_number(value, authority)

    def merge(self, number: int) -> MergeRow | None:
        """One edge."""
        return self._merges.merge(number)

    def merges_of_message(self, message: int) -> tuple[MergeRow, ...]:
        """The edges that one message made, undone ones included."""
        return self._merges.of_message(message)

    def undo_merge(self, number: int, by: str, reason: str) -> None:
        """Mark an edge; one that is marked keeps its mark."""
        self._merges.undo(number, self.now, by, reason)

    def aliases(self, value: Phi[str], authority: str) -> tuple[PatientId, ...]:
        """Every other record number that edges in force lead to, near ones first; () at once while there are none."""
        return self._merges.aliases(value, authority)
