"""Received messages and events: rows of one batch are gathered and written together at its end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

from referral_engine.base.errors import Altered, JournalError
from referral_engine.base.values import replace
from referral_engine.journal.asking import for_each_size, in_parts
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.digests import event_digest, message_digest
from referral_engine.journal.instance import Instance
from referral_engine.journal.passing import ACCEPTED, Passing
from referral_engine.journal.rows import Disposition, Earlier, EventRow, MessageKey, MessageRow

REUSES_LOOKED_AT: Final = 64  # a sender that always says the same control id must not make us read them all
EVENTS_MAX: Final = 10_000  # of one referral; stops a sender gone mad from filling memory
LOOKED_ROWS_MAX: Final = 512  # answers to it; a sender with more is asked about message by message

MESSAGE_COLUMNS: Final = (
    "sequence, partner, application, facility, control_id, sha256, received_at, peer, type, raw, disposition, level, "
    "reason, referral, answer_code, answer, config, digest, purged_at"
)
EVENT_COLUMNS: Final = "sequence, at, referral, kind, summary, reason, message, made_by, body, config, digest"
# One message.
_ADD = f"INSERT INTO messages ({MESSAGE_COLUMNS}, numbers) VALUES ({', '.join('?' * 20)})"  # noqa: S608  # our own columns
# One event.
_ADD_EVENT = f"INSERT INTO events ({EVENT_COLUMNS}) VALUES ({', '.join('?' * 11)})"  # noqa: S608  # our own columns
# Which of a sender's control ids were used before.
_USED = for_each_size("""
SELECT control_id FROM messages
WHERE partner = ? AND application = ? AND facility = ? AND control_id IN ({places}) LIMIT ? + 0
""")
# Messages of the same sender with the same control id, a few of the newest.
_SAME_ID = """
SELECT sequence FROM messages WHERE partner = ? AND application = ? AND facility = ? AND control_id = ? LIMIT ? + 0
"""
# The one among them that has the same bytes.
_SAME_BYTES = """
SELECT sequence, answer FROM messages
WHERE partner = ? AND application = ? AND facility = ? AND control_id = ? AND sha256 = ?
"""
# What one message was answered.
_ANSWER = "SELECT answer FROM messages WHERE sequence = ?"
# One message, whole.
ONE_MESSAGE = f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE sequence = ?"  # noqa: S608  # our own columns
# The events of one referral, the oldest first.
_EVENTS_OF = f"SELECT {EVENT_COLUMNS} FROM events WHERE referral = ? ORDER BY sequence LIMIT ? + 0"  # noqa: S608  # our own columns
# What is left of a message that concerns nobody.
_REDUCE = "UPDATE messages SET raw = ?, purged_at = ?, digest = ? WHERE sequence = ?"
# A later look at a message: evidence found its order, a person decided.
_CHANGE = "UPDATE messages SET disposition = ?, level = ?, reason = ?, referral = ?, digest = ? WHERE sequence = ?"

_Sender = tuple[str, str, str]


class Messages:
    """The messages and events of the open batch, and those stored before it.

    A lean journal keeps of a passing message (one about nobody we know, that waits for nobody) no more than that it
    came: enough to know it when it comes again.
    """

    __slots__ = ("_cursor", "_events", "_instance", "_looked", "_new", "_seen", "_used", "fresh", "passed")

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self._cursor = connection.cursor()
        self._instance = instance
        self._new: list[Row] = []
        self._seen: dict[tuple[_Sender, bytes], list[MessageRow]] = {}
        self._events: list[Row] = []
        self._looked: set[tuple[_Sender, bytes]] = set()  # control ids this batch asked about beforehand
        self._used: set[tuple[_Sender, bytes]] = set()  # those of them that were used before
        self.passed: Passing | None = None  # of a lean journal; else passing messages are stored like any
        self.fresh: list[tuple[int, bytes]] = []  # sequence and SHA-256 of the messages of this batch

    def look_ahead(self, keys: Iterable[MessageKey]) -> None:
        """Ask once which of these control ids were used before; most were not, and need no look of their own."""
        by_sender: dict[_Sender, list[bytes]] = {}
        for key in keys:
            by_sender.setdefault(_sender(key), []).append(key.control_id)
        for sender, control_ids in by_sender.items():
            if len(control_ids) == 1:
                continue  # it is asked about when its turn comes
            for asked, size, places in in_parts(control_ids):
                rows = self._cursor.execute(_USED[size], (*sender, *places, LOOKED_ROWS_MAX)).fetchall()
                if len(rows) < LOOKED_ROWS_MAX:
                    self._looked.update((sender, control_id) for control_id in asked)
                    self._used.update((sender, row[0]) for row in rows)

    def earlier(self, key: MessageKey) -> Earlier | None:
        """The first arrival of the same bytes, else the newest of the same control id, else None."""
        sender = _sender(key)
        place = (sender, key.control_id)
        fresh = self._seen.get(place, ())
        for row in fresh:
            if row.key.sha256 == key.sha256:
                return Earlier(sequence=row.sequence, answer=row.answer, same_bytes=True)
        passed = self.passed.earlier(place, key.sha256) if self.passed is not None else None
        if passed is not None and passed.same_bytes:
            return passed
        if place in self._looked and place not in self._used:
            stored = []
        else:
            stored = self._cursor.execute(_SAME_ID, (*sender, key.control_id, REUSES_LOOKED_AT)).fetchall()
        if stored:
            same = self._cursor.execute(_SAME_BYTES, (*sender, key.control_id, key.sha256)).fetchone()
            if same is not None:
                return Earlier(sequence=same[0], answer=same[1], same_bytes=True)
        if not key.control_id:
            return None
        others = (fresh[-1].sequence if fresh else 0, *(one for (one,) in stored)) if passed is not None else ()
        if passed is not None and passed.sequence > max(others):
            return passed
        if fresh:
            return Earlier(sequence=fresh[-1].sequence, answer=fresh[-1].answer, same_bytes=False)
        if stored:
            newest = max(stored)[0]
            answer = self._cursor.execute(_ANSWER, (newest,)).fetchone()
            return Earlier(sequence=newest, answer=answer[0] if answer else b"", same_bytes=False)
        return None

    def add(self, row: MessageRow, numbers: bytes = b"", *, passing: bool = False) -> None:
        """Store one message with this batch; numbers: those it waits for, packed."""
        key = row.key
        if passing and self.passed is not None and row.answer_code == ACCEPTED:
            self.passed.add((_sender(key), key.control_id), key.sha256, row.sequence)
            return
        self._new.append(_columns(row, numbers))
        self._seen.setdefault((_sender(key), key.control_id), []).append(row)
        self.fresh.append((row.sequence, key.sha256))
        self._instance.tally("message", key.partner, row.disposition)
        self._instance.tally("received", key.partner, "")

    def add_event(self, row: EventRow) -> None:
        """Store one event with this batch."""
        columns = (
            row.sequence, row.at, row.referral, row.kind, row.summary, row.reason, row.message, row.by, row.body,
            row.config,
        )  # fmt: skip
        self._events.append((*columns, event_digest(columns)))

    def events(self, referral: str) -> tuple[EventRow, ...]:
        """The events of one referral, the oldest first.  Raises Altered when a row was."""
        self.flush()
        return tuple(map(event_of, self._cursor.execute(_EVENTS_OF, (referral, EVENTS_MAX)).fetchall()))

    def message(self, sequence: int) -> MessageRow | None:
        """One message, of this batch or an earlier one.  Raises JournalError when its row was altered."""
        for rows in self._seen.values():
            for fresh in rows:
                if fresh.sequence == sequence:
                    return fresh
        row = self._cursor.execute(ONE_MESSAGE, (sequence,)).fetchone()
        return message_of(row) if row is not None else None

    def change(self, sequence: int, disposition: Disposition, level: int, reason: str, referral: str) -> None:
        """Say anew what became of a message."""
        self.flush()
        stored = self._cursor.execute(ONE_MESSAGE, (sequence,)).fetchone()
        if stored is None:
            raise JournalError(f"There is no message {sequence}.")
        was = message_of(stored)
        now = replace(was, disposition=disposition, level=level, reason=reason, referral=referral)
        digest = message_digest(_hashed(now))
        self._cursor.execute(_CHANGE, (disposition.value, level, reason, referral, digest, sequence))
        self._instance.tally("message", was.key.partner, was.disposition, -1)
        self._instance.tally("message", was.key.partner, disposition)

    def reduce(self, sequence: int, left_of: Callable[[bytes], bytes], at: int) -> None:
        """Keep of a stored message what `left_of` says of its bytes.  Raises Altered when its row was."""
        stored = self._cursor.execute(ONE_MESSAGE, (sequence,)).fetchone()
        assert stored is not None, "what is reduced is stored"
        whole = message_of(stored)
        left = replace(whole, raw=left_of(whole.raw), purged_at=at)
        self._cursor.execute(_REDUCE, (left.raw, at, message_digest(_hashed(left)), sequence))

    def flush(self) -> None:
        """Write what was gathered into the open transaction."""
        if self._new:
            self._cursor.executemany(_ADD, self._new)
            self._new.clear()
            self._seen.clear()
            self._looked.clear()
            self._used.clear()
        if self._events:
            self._cursor.executemany(_ADD_EVENT, self._events)
            self._events.clear()

    def forget(self) -> None:
        """Drop what was gathered: the batch was rolled back, or written."""
        self._new.clear()
        self._seen.clear()
        self._looked.clear()
        self._used.clear()
        self._events.clear()
        self.fresh.clear()


def message_of(row: Row) -> MessageRow:
    """The message in a row of MESSAGE_COLUMNS.  Raises JournalError when a byte of it was altered."""
    found = MessageRow(
        sequence=row[0],
        key=MessageKey(
            partner=row[1], sending_application=row[2], sending_facility=row[3], control_id=row[4], sha256=row[5]
        ),
        received_at=row[6],
        peer=row[7],
        type=row[8],
        raw=row[9],
        disposition=Disposition(row[10]),
        level=row[11],
        reason=row[12],
        referral=row[13],
        answer_code=row[14],
        answer=row[15],
        config=row[16],
        purged_at=row[18],
    )
    whole = found.purged_at or hashlib.sha256(found.raw).digest() == found.key.sha256
    if not whole or message_digest(_hashed(found)) != row[17]:
        raise Altered(f"message {found.sequence}")
    return found


def event_of(row: Row) -> EventRow:
    """The event in a row of EVENT_COLUMNS.  Raises JournalError when a byte of it was altered."""
    if event_digest(tuple(row[:10])) != row[10]:
        raise Altered(f"event {row[0]}")
    return EventRow(
        sequence=row[0],
        at=row[1],
        referral=row[2],
        kind=row[3],
        summary=row[4],
        reason=row[5],
        message=row[6],
        by=row[7],
        body=row[8],
        config=row[9],
    )


def _sender(key: MessageKey) -> _Sender:
    return key.partner, key.sending_application, key.sending_facility


def _hashed(row: MessageRow) -> Row:
    """The columns of a message's row in the order of its digest; the bytes are in it by their SHA-256."""
    key = row.key
    columns = (
        row.sequence, key.partner, key.sending_application, key.sending_facility, key.control_id, key.sha256,
        row.received_at, row.peer, row.type, row.disposition.value, row.level, row.reason, row.referral,
        row.answer_code, row.answer, row.config,
    )  # fmt: skip
    return (*columns, row.purged_at, hashlib.sha256(row.raw).digest()) if row.purged_at else columns


def _columns(row: MessageRow, numbers: bytes) -> Row:
    key = row.key
    digest = message_digest(_hashed(row))
    return (
        row.sequence, key.partner, key.sending_application, key.sending_facility, key.control_id, key.sha256,
        row.received_at, row.peer, row.type, row.raw, row.disposition.value, row.level, row.reason, row.referral,
        row.answer_code, row.answer, row.config, digest, row.purged_at, numbers,
    )  # fmt: skip
