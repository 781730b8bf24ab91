"""What concerns nobody is reduced after a while: which messages are next, what holds them, how it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from referral_engine.journal.database import Connection, Row
from referral_engine.journal.decisions import Decisions
from referral_engine.journal.instance import Instance
from referral_engine.journal.messages import Messages
from referral_engine.journal.parked import Parked
from referral_engine.journal.rows import Disposition

# The next messages in the order they came; their bytes are measured, not read.
_NEXT = """
SELECT sequence, partner, type, received_at, disposition, level, referral, purged_at, length(raw) FROM messages
WHERE sequence > ? ORDER BY sequence LIMIT ? + 0
"""
# The same of those that were passed by and concern nobody since.
_PUT_OFF = """
SELECT m.sequence, partner, type, received_at, disposition, level, referral, purged_at, length(raw)
FROM put_off AS p JOIN messages AS m ON m.sequence = p.message
WHERE p.since <= ? ORDER BY p.since, p.message LIMIT ? + 0
"""
# Whether anything speaks of a message for good, and whether anything does for now.
_HELD = """
SELECT
    EXISTS (SELECT 1 FROM events WHERE message = ?1 AND message > 0)
    OR EXISTS (SELECT 1 FROM decisions WHERE message = ?1 AND referral <> '')
    OR EXISTS (
        SELECT 1 FROM merges AS m JOIN bindings AS b ON b.kind = 'patient' AND b.value IN (m.survivor, m.retired)
        WHERE m.message = ?1),
    EXISTS (SELECT 1 FROM tasks WHERE message = ?1 AND message > 0 AND state <> 'done')
    OR EXISTS (SELECT 1 FROM barriers WHERE message = ?1)
"""
# A message is looked at again, not before an instant.
_COME_BACK = (
    "INSERT INTO put_off (message, since) VALUES (?, ?) ON CONFLICT (message) DO UPDATE SET since = excluded.since"
)
# It was.
_SEEN = "DELETE FROM put_off WHERE message = ?"


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """One stored message, as far as the purge must know it."""

    sequence: int
    partner: str
    type: str  # "ORU^R01"
    received_at: int
    level: int
    size: int  # bytes
    idle: bool  # a no-op of no referral that is still whole


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What forbids that the bytes of a message go."""

    for_good: bool  # an event, a decision that names a referral or a merge of somebody we track cites it
    for_now: bool  # an open task or a barrier speaks of it


class Purging:
    """The purge's own marks, and the rows it reduces; used inside a batch."""

    __slots__ = ("_cursor", "_decisions", "_instance", "_messages", "_parked")

    def __init__(
        self, connection: Connection, instance: Instance, messages: Messages, parked: Parked, decisions: Decisions
    ) -> None:
        self._cursor = connection.cursor()
        self._instance = instance
        self._messages = messages
        self._parked = parked
        self._decisions = decisions

    @property
    def through(self) -> int:
        """Every message up to here was looked at and reduced, held or passed by."""
        return self._instance.purged_through

    def went_through(self, sequence: int) -> None:
        """The purge has come so far; it is stored with the batch."""
        self._instance.purged_through = sequence

    @property
    def aged_through(self) -> int:
        """Every message up to here has had its time to find a referral."""
        return self._instance.aged_through

    def aged(self, sequence: int) -> None:
        """So far evidence has aged; it is stored with the batch."""
        self._instance.aged_through = sequence

    def after(self, sequence: int, limit: int) -> list[Passed]:
        """The next stored messages behind one, in the order they came."""
        return list(_passed(self._cursor.execute(_NEXT, (sequence, limit)).fetchall()))

    def put_off(self, until: int, limit: int) -> list[Passed]:
        """The messages that were passed by and may be looked at again, the longest waiting first."""
        return list(_passed(self._cursor.execute(_PUT_OFF, (until, limit)).fetchall()))

    def come_back(self, sequence: int, since: int) -> None:
        """A message that was passed by concerns nobody since an instant: its time begins there."""
        self._cursor.execute(_COME_BACK, (sequence, since))

    def seen(self, sequence: int) -> None:
        """A message that was put off needs no other look."""
        self._cursor.execute(_SEEN, (sequence,))

    def held(self, sequence: int) -> Held:
        """What speaks of a message."""
        self._messages.flush()
        self._decisions.flush()
        row = self._cursor.execute(_HELD, (sequence,)).fetchone()
        assert row is not None, "a question without a table has one row"
        return Held(for_good=bool(row[0]), for_now=bool(row[1]))

    def reduce(self, messages: Iterable[int], left_of: Callable[[bytes], bytes], at: int) -> None:
        """Keep of these messages what `left_of` says, take the patient out of their decisions, let them wait no longer.

        Raises Altered when a row is not what was stored: it is not made good by writing its hash anew.
        """
        sequences = tuple(messages)
        self._parked.unpark_all(sequences)
        for sequence in sequences:
            self._messages.reduce(sequence, left_of, at)
            self._decisions.reduce(sequence)


def _passed(rows: Iterable[Row]) -> Iterator[Passed]:
    for sequence, partner, kind, received_at, disposition, level, referral, purged_at, size in rows:
        idle = disposition == Disposition.NO_OP.value and not referral and not purged_at
        yield Passed(
            sequence=sequence,
            partner=partner,
            type=kind,
            received_at=received_at,
            level=level,
            size=size,
            idle=idle,
        )
