"""Everything a journal in memory holds after a replay, without the messages' bytes: two of them are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from referral_engine.journal.codec import decode_referral
from referral_engine.journal.database import Row
from referral_engine.journal.rows import TaskRow
from referral_engine.journal.tasks import TASK_COLUMNS, task_of

ROWS_MAX: Final = 5_000_000  # of one kind; a replay that makes more has gone mad

# Which referrals began after a number, and by which message.
_BEGUN = """
SELECT referral, message FROM events WHERE sequence > ? AND kind = 'ReferralOrdered' ORDER BY sequence LIMIT ? + 0
"""
# An open task of a kind, of a referral or of a message.
_OPEN_TASK = f"""
SELECT {TASK_COLUMNS} FROM tasks WHERE kind = ?1 AND state <> 'done'
    AND ((?2 <> '' AND referral = ?2) OR (?2 = '' AND message = ?3)) ORDER BY id LIMIT 1
"""  # noqa: S608  # our own columns
# When the next sending may be tried that may not be now: what may be now stands behind another one.
_NEXT_SENDING = "SELECT min(next_at) FROM effects WHERE state = 'queued' AND next_at > ?"
# Every row of each kind.
_EVERY_REFERRAL = "SELECT id, channel, placer_number, status, state FROM referrals ORDER BY rowid LIMIT ? + 0"
_EVERY_CLOCK = """
SELECT referral, kind, generation, due_at, state FROM deadlines ORDER BY referral, kind, generation LIMIT ? + 0
"""
_EVERY_TASK = f"SELECT {TASK_COLUMNS} FROM tasks ORDER BY id LIMIT ? + 0"  # noqa: S608  # our own columns
_EVERY_SENDING = """
SELECT id, referral, cause, lane, transport, recipient, purpose, about, wire_id, state, attempts, next_at, created_at,
    reason, body
FROM effects ORDER BY id LIMIT ? + 0
"""
_EVERY_EVENT = "SELECT sequence, at, referral, kind, summary, reason, message FROM events ORDER BY sequence LIMIT ? + 0"
# What became of the messages of which something became, or that were answered otherwise than AA.
_EVERY_MESSAGE = """
SELECT sequence, disposition, answer_code, level, referral, reason FROM messages
WHERE disposition <> 'no-op' OR referral <> '' OR answer_code <> 'AA' ORDER BY sequence LIMIT ? + 0
"""

Ask = Callable[..., "list[Row]"]  # a statement and its values to the rows


class Began(msgspec.Struct, frozen=True):
    """A referral, and the message that began it; 0 when a person made it."""

    referral: str
    message: int


class Loop(msgspec.Struct, frozen=True):
    """One referral."""

    id: str
    channel: str
    placer: str
    status: str
    watched: bool


class Clock(msgspec.Struct, frozen=True):
    """One clock that ran."""

    referral: str
    kind: str
    generation: int
    due_at: int
    state: str  # pending, fired, cancelled


class Sending(msgspec.Struct, frozen=True):
    """One sending that was owed."""

    id: int
    referral: str
    cause: int
    lane: str
    transport: str
    recipient: str
    purpose: str
    about: str
    wire_id: str
    state: str
    attempts: int
    next_at: int
    created_at: int
    reason: str
    body: bytes


class Event(msgspec.Struct, frozen=True):
    """One event."""

    sequence: int
    at: int
    referral: str
    kind: str
    summary: str
    reason: str
    message: int


class Became(msgspec.Struct, frozen=True):
    """What a message became."""

    sequence: int
    disposition: str
    answer_code: str
    level: int
    referral: str
    reason: str


class Aftermath:
    """Questions to the journal of a replay."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Ask) -> None:
        """`ask`: how the journal is read."""
        self._ask = ask

    def begun(self, after: int) -> tuple[Began, ...]:
        """The referrals that began after a number."""
        return tuple(Began(*row) for row in self._ask(_BEGUN, after, ROWS_MAX))

    def next_sending(self, now: int) -> int | None:
        """When a sending may be tried next, after an instant."""
        at = self._ask(_NEXT_SENDING, now)[0][0]
        return int(at) if at is not None else None

    def open_task(self, kind: str, referral: str, message: int = 0) -> TaskRow | None:
        """The open task of a kind, of a referral, or of a message when no referral is named."""
        rows = self._ask(_OPEN_TASK, kind, referral, message)
        return task_of(rows[0]) if rows else None

    def referrals(self) -> tuple[Loop, ...]:
        """Every referral."""
        return tuple(
            Loop(row[0], row[1], row[2], row[3], decode_referral(row[4]).watched)
            for row in self._ask(_EVERY_REFERRAL, ROWS_MAX)
        )

    def clocks(self) -> tuple[Clock, ...]:
        """Every clock that ever ran."""
        return tuple(Clock(*row) for row in self._ask(_EVERY_CLOCK, ROWS_MAX))

    def tasks(self) -> tuple[TaskRow, ...]:
        """Every task, open and done."""
        return tuple(map(task_of, self._ask(_EVERY_TASK, ROWS_MAX)))

    def sendings(self) -> tuple[Sending, ...]:
        """Everything ever owed."""
        return tuple(Sending(*row) for row in self._ask(_EVERY_SENDING, ROWS_MAX))

    def events(self) -> tuple[Event, ...]:
        """Every event."""
        return tuple(Event(*row) for row in self._ask(_EVERY_EVENT, ROWS_MAX))

    def messages(self) -> tuple[Became, ...]:
        """What became of the messages that somebody cared for."""
        return tuple(Became(*row) for row in self._ask(_EVERY_MESSAGE, ROWS_MAX))


def print_of(body: bytes, *names: str) -> bytes:
    """A hash of bytes in which the numbers that only one replay gave are left out."""
    for name in names:
        body = body.replace(name.encode(), b"") if name else body
    return hashlib.sha256(body).digest()[:16]
