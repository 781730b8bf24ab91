"""Received messages and events: rows of one batch are gathered and written together at its end."""

from __future__ import annotations

from typing import Final

from referral_engine.base.errors import JournalError
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.instance import Instance
from referral_engine.journal.rows import Disposition, Earlier, EventRow, MessageKey, MessageRow

REUSES_LOOKED_AT: Final = 64  # a sender that always says the same control id must not make us read them all

MESSAGE_COLUMNS: Final = (
    "sequence, partner, application, facility, control_id, sha256, received_at, peer, type, raw, disposition, level, "
    "reason, referral, answer_code, answer, config"
)
EVENT_COLUMNS: Final = "sequence, at, referral, kind, summary, reason, message, made_by, body, config"
# One message.
_ADD = f"INSERT INTO messages ({MESSAGE_COLUMNS}) VALUES ({', '.join('?' * 17)})"  # noqa: S608  # our own columns
# One event.
_ADD_EVENT = f"INSERT INTO events ({EVENT_COLUMNS}) VALUES ({', '.join('?' * 10)})"  # noqa: S608  # our own columns
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
# Whose message it is, and what became of it.
_DISPOSITION = "SELECT partner, disposition FROM messages WHERE sequence = ?"
# A later look at a message: evidence found its order, a person decided.
_CHANGE = "UPDATE messages SET disposition = ?, level = ?, reason = ?, referral = ? WHERE sequence = ?"

_Sender = tuple[str, str, str, bytes]


class Messages:
    """The messages and events of the open batch, and those stored before it."""

    __slots__ = ("_cursor", "_events", "_instance", "_new", "_seen")

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self._cursor = connection.cursor()
        self._instance = instance
        self._new: list[MessageRow] = []
        self._seen: dict[_Sender, list[MessageRow]] = {}
        self._events: list[Row] = []

    def earlier(self, key: MessageKey) -> Earlier | None:
        """The first arrival of the same bytes, else the newest of the same control id, else None."""
        sender = (key.partner, key.sending_application, key.sending_facility, key.control_id)
        fresh = self._seen.get(sender, ())
        for row in fresh:
            if row.key.sha256 == key.sha256:
                return Earlier(sequence=row.sequence, answer=row.answer, same_bytes=True)
        stored = self._cursor.execute(_SAME_ID, (*sender, REUSES_LOOKED_AT)).fetchall()
        if stored:
            same = self._cursor.execute(_SAME_BYTES, (*sender, key.sha256)).fetchone()
            if same is not None:
                return Earlier(sequence=same[0], answer=same[1], same_bytes=True)
        if not key.control_id:
            return None
        if fresh:
            return Earlier(sequence=fresh[-1].sequence, answer=fresh[-1].answer, same_bytes=False)
        if stored:
            newest = max(stored)[0]
            answer = self._cursor.execute(_ANSWER, (newest,)).fetchone()
            return Earlier(sequence=newest, answer=answer[0] if answer else b"", same_bytes=False)
        return None

    def add(self, row: MessageRow) -> None:
        """Store one message with this batch."""
        key = row.key
        self._new.append(row)
        sender = (key.partner, key.sending_application, key.sending_facility, key.control_id)
        self._seen.setdefault(sender, []).append(row)
        self._instance.tally("message", key.partner, row.disposition)

    def add_event(self, row: EventRow) -> None:
        """Store one event with this batch."""
        columns = (
            row.sequence, row.at, row.referral, row.kind, row.summary, row.reason, row.message, row.by, row.body,
            row.config,
        )  # fmt: skip
        self._events.append(columns)

    def message(self, sequence: int) -> MessageRow | None:
        """One message, of this batch or an earlier one."""
        for fresh in self._new:
            if fresh.sequence == sequence:
                return fresh
        row = self._cursor.execute(ONE_MESSAGE, (sequence,)).fetchone()
        return message_of(row) if row is not None else None

    def change(self, sequence: int, disposition: Disposition, level: int, reason: str, referral: str) -> None:
        """Say anew what became of a message."""
        self.flush()
        was = self._cursor.execute(_DISPOSITION, (sequence,)).fetchone()
        if was is None:
            raise JournalError(f"There is no message {sequence}.")
        self._cursor.execute(_CHANGE, (disposition, level, reason, referral, sequence))
        self._instance.tally("message", was[0], was[1], -1)
        self._instance.tally("message", was[0], disposition)

    def flush(self) -> None:
        """Write what was gathered into the open transaction."""
        if self._new:
            self._cursor.executemany(_ADD, map(_columns, self._new))
            self._new.clear()
            self._seen.clear()
        if self._events:
            self._cursor.executemany(_ADD_EVENT, self._events)
            self._events.clear()

    def forget(self) -> None:
        """Drop what was gathered: the batch was rolled back."""
        self._new.clear()
        self._seen.clear()
        self._events.clear()


def message_of(row: Row) -> MessageRow:
    """The message in a row of MESSAGE_COLUMNS."""
    return MessageRow(
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
    )


def event_of(row: Row) -> EventRow:
    """The event in a row of EVENT_COLUMNS."""
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


def _columns(row: MessageRow) -> Row:
    key = row.key
    return (
        row.sequence, key.partner, key.sending_application, key.sending_facility, key.control_id, key.sha256,
        row.received_at, row.peer, row.type, row.raw, row.disposition, row.level, row.reason, row.referral,
        row.answer_code, row.answer, row.config,
    )  # fmt: skip
