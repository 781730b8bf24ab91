"""The audit: each line is hashed together with the line before it, so that no line can be changed or taken out."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from referral_engine.journal.database import Connection, Row
from referral_engine.journal.instance import NO_HASH, Instance
from referral_engine.journal.rows import AuditRow

LINES_AT_ONCE: Final = 1000  # read while verifying

# One line.
_ADD = """
INSERT INTO audit (sequence, at, actor, action, object, outcome, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
# The lines after one, in order.
_AFTER = """
SELECT sequence, at, actor, action, object, outcome, previous, hash FROM audit
WHERE sequence > ? ORDER BY sequence LIMIT ? + 0
"""
# The newest line as the journal's one row remembers it.
_HEAD = "SELECT audit, audit_hash FROM instance WHERE id = 1"

_canonical = msgspec.json.Encoder().encode


class Audit:
    """The chain; lines of this batch are gathered and written at its end."""

    __slots__ = ("_cursor", "_instance", "_new")

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self._cursor = connection.cursor()
        self._instance = instance
        self._new: list[Row] = []

    def add(self, row: AuditRow) -> None:
        """Append one line with this batch."""
        instance = self._instance
        sequence = instance.audit + 1
        line = (sequence, row.at, row.actor, row.action, row.object, row.outcome)
        previous = instance.audit_hash
        digest = line_hash(previous, line)
        instance.audit = sequence
        instance.audit_hash = digest
        self._new.append((*line, previous, digest))

    def flush(self) -> None:
        """Write what was gathered into the open transaction."""
        if self._new:
            self._cursor.executemany(_ADD, self._new)
            self._new.clear()

    def forget(self) -> None:
        """Drop what was gathered: the batch was rolled back."""
        self._new.clear()


def line_hash(previous: bytes, line: Row) -> bytes:
    """SHA-256 over the hash before and the line as a JSON array [sequence, at, actor, action, object, outcome]."""
    return hashlib.sha256(previous + _canonical(line)).digest()


def first_bad_line(connection: Connection) -> int | None:
    """The first line that is altered, missing or out of order; None when the chain is whole up to its head."""
    head = connection.execute(_HEAD).fetchone()
    assert head is not None, "a journal has its one row"
    expected, previous = 1, NO_HASH
    while rows := connection.execute(_AFTER, (expected - 1, LINES_AT_ONCE)).fetchall():
        for row in rows:
            if row[0] != expected or row[6] != previous or row[7] != line_hash(previous, row[:6]):
                return expected
            expected, previous = expected + 1, row[7]
    return None if (expected - 1, previous) == tuple(head) else expected
