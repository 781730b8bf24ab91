"""Referrals: decoded once and kept, written with the version they were read at."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import msgspec

from referral_engine.base.clock import to_micros
from referral_engine.base.errors import Altered, JournalError
from referral_engine.journal.codec import decode_referral, encode_referral
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.digests import referral_digest
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import OVER, Closure

REFERRALS_KEPT: Final = 4096  # decoded ones; some 20 MB

# One referral.
_LOAD = "SELECT version, state, digest FROM referrals WHERE id = ?"
# A new one.
_ADD = """
INSERT INTO referrals (
    version, status, closure, channel, specialty, priority, placer_number, ordered_at, updated_at, state, digest, id)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# A changed one, if nobody changed it since it was read.
_CHANGE = """
UPDATE referrals SET version = version + 1, status = ?, closure = ?, channel = ?, specialty = ?, priority = ?,
    placer_number = ?, ordered_at = ?, updated_at = ?, state = ?, digest = ?
WHERE id = ? AND version = ?
"""


# The next referrals by their numbers.
OPEN_AFTER = "SELECT id, closure FROM referrals WHERE id > ? ORDER BY id LIMIT ? + 0"


class Portion(msgspec.Struct, frozen=True, kw_only=True):
    """The open ones among some referrals that follow each other by their numbers."""

    found: tuple[str, ...]
    last: str  # the last one looked at, open or not: where the next portion begins
    more: bool


def portion_of(rows: Sequence[Row], after: str, looked_at: int) -> Portion:
    """What `looked_at` rows of OPEN_AFTER, or all there were, say."""
    found = tuple(row[0] for row in rows if Closure(row[1]) not in OVER)
    return Portion(found=found, last=rows[-1][0] if rows else after, more=len(rows) == looked_at)


class Referrals:
    """The referrals of the journal, the newest used of them in memory; changes are written at the batch's end."""

    __slots__ = ("_changed", "_cursor", "_kept")

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor()
        self._kept: OrderedDict[str, tuple[int, Referral]] = OrderedDict()
        self._changed: dict[str, tuple[int, Referral, int]] = {}  # version read (0: none yet), value, when

    def referral(self, identity: str) -> Referral | None:
        """One referral as this batch left it."""
        found = self._find(identity)
        return found[1] if found is not None else None

    def save(self, referral: Referral, at: int, *, new: bool) -> None:
        """Store a referral with this batch; a changed one must be the successor of what was read."""
        if new:
            assert referral.id not in self._changed, "a new referral is new once"
            self._changed[referral.id] = (0, referral, at)
            return
        found = self._find(referral.id)
        if found is None:
            raise JournalError(f"There is no referral {referral.id} to change.")
        self._changed[referral.id] = (found[0], referral, at)

    def open_after(self, after: str, looked_at: int) -> Portion:
        """The open ones among the next referrals, as they are stored; what this batch adds is not among them."""
        return portion_of(self._cursor.execute(OPEN_AFTER, (after, looked_at)).fetchall(), after, looked_at)

    def flush(self) -> None:
        """Write what was gathered into the open transaction; every change is one version further."""
        if not self._changed:
            return
        new: list[Row] = []
        changed: list[Row] = []
        for version, referral, at in self._changed.values():
            (changed if version else new).append(_columns(version, referral, at))
        if new:
            self._cursor.executemany(_ADD, [columns[:-1] for columns in new])
        if changed and self._cursor.executemany(_CHANGE, changed).rowcount != len(changed):
            raise JournalError("A referral was changed by somebody else.")
        for version, referral, _ in self._changed.values():
            self._keep(referral.id, version + 1, referral)
        self._changed.clear()

    def forget(self) -> None:
        """Drop what memory holds: the batch was rolled back."""
        self._changed.clear()
        self._kept.clear()

    def _find(self, identity: str) -> tuple[int, Referral] | None:
        fresh = self._changed.get(identity)
        if fresh is not None:
            return fresh[:2]
        found = self._kept.get(identity)
        if found is not None:
            self._kept.move_to_end(identity)
            return found
        row = self._cursor.execute(_LOAD, (identity,)).fetchone()
        if row is None:
            return None
        if row[2] != referral_digest(identity, row[0], row[1]):
            raise Altered(f"referral {identity}")
        return self._keep(identity, row[0], decode_referral(row[1]))

    def _keep(self, identity: str, version: int, referral: Referral) -> tuple[int, Referral]:
        kept = self._kept[identity] = (version, referral)
        self._kept.move_to_end(identity)
        if len(self._kept) > REFERRALS_KEPT:
            self._kept.popitem(last=False)
        return kept


def _columns(version: int, referral: Referral, at: int) -> Row:
    order = referral.order
    state = encode_referral(referral)
    return (
        referral.status.value,
        referral.closure.value,
        referral.channel,
        order.specialty,
        order.urgency.value,
        order.placer.value,
        to_micros(order.ordered_at),
        at,
        state,
        referral_digest(referral.id, version + 1, state),
        referral.id,
        version,
    )
