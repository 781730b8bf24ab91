"""The second step of the schema: a hash in every row, and early evidence found by numbers of eight bytes."""

from __future__ import annotations

from typing import Final

from referral_engine.journal.database import Connection
from referral_engine.journal.digests import effect_digest, event_digest, message_digest, referral_digest
from referral_engine.journal.numbers import number_key, packed

ROWS_AT_ONCE: Final = 1000  # moved in one go; stops a large journal from being held in memory

# What can be said in SQL alone; `numbers` stands before the bytes, so that it is read without them.
BEFORE: Final = """
ALTER TABLE messages RENAME TO messages_of_0001;
CREATE TABLE messages (
    sequence INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    partner TEXT NOT NULL,
    application TEXT NOT NULL,
    facility TEXT NOT NULL,
    control_id BLOB NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    peer TEXT NOT NULL,
    type TEXT NOT NULL,
    disposition TEXT NOT NULL
        CHECK (disposition IN ('applied', 'no-op', 'quarantined', 'needs-human', 'pending')),
    level INTEGER NOT NULL CHECK (level BETWEEN -1 AND 6),
    reason TEXT NOT NULL,
    referral TEXT NOT NULL,
    answer_code TEXT NOT NULL,
    config TEXT NOT NULL,
    numbers BLOB NOT NULL CHECK (length(numbers) % 8 = 0),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    answer BLOB NOT NULL,
    raw BLOB NOT NULL,
    UNIQUE (partner, application, facility, control_id, sha256)
);
ALTER TABLE events ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
ALTER TABLE referrals ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
ALTER TABLE effects ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
ALTER TABLE parked RENAME TO parked_of_0001;
CREATE TABLE parked (
    number INTEGER NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (number, message)
) WITHOUT ROWID;
CREATE TABLE barriers (
    number INTEGER NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (number, message)
) WITHOUT ROWID;
CREATE INDEX barriers_of_message ON barriers (message);
CREATE TABLE attempts (
    mark INTEGER PRIMARY KEY,
    number INTEGER NOT NULL CHECK (number > 0),
    at INTEGER NOT NULL
);
CREATE INDEX tasks_of_message ON tasks (message) WHERE message > 0 AND state <> 'done';
ALTER TABLE instance ADD COLUMN parked_through INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tallies RENAME TO tallies_of_0001;
CREATE TABLE tallies (
    noun TEXT NOT NULL CHECK (noun IN ('message', 'effect', 'received')),
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (noun, owner, state)
) WITHOUT ROWID;
INSERT INTO tallies SELECT noun, owner, state, number FROM tallies_of_0001;
INSERT INTO tallies SELECT 'received', owner, '', sum(number) FROM tallies_of_0001
    WHERE noun = 'message' GROUP BY owner;
DROP TABLE tallies_of_0001;
"""
AFTER: Final = """
DROP TABLE messages_of_0001;
DROP TABLE parked_of_0001;
CREATE INDEX messages_of_referral ON messages (referral) WHERE referral <> '';
CREATE INDEX messages_for_people ON messages (disposition)
    WHERE disposition IN ('quarantined', 'needs-human', 'pending');
"""

# The messages as they were, without their bytes, in the order of `message_digest`.
_OLD_MESSAGES = """
SELECT sequence, partner, application, facility, control_id, sha256, received_at, peer, type, disposition, level,
    reason, referral, answer_code, answer, config
FROM messages_of_0001 WHERE sequence > ? ORDER BY sequence LIMIT ? + 0
"""
# The numbers one of them waits for.
_OLD_NUMBERS = "SELECT kind, value FROM parked_of_0001 WHERE message = ?"
# One message with its hash; the bytes go from table to table.
_MOVE = """
INSERT INTO messages (
    sequence, received_at, partner, application, facility, control_id, sha256, peer, type, disposition, level, reason,
    referral, answer_code, config, numbers, digest, answer, raw)
SELECT sequence, received_at, partner, application, facility, control_id, sha256, peer, type, disposition,
    level, reason, referral, answer_code, config, ?, ?, answer, raw
FROM messages_of_0001 WHERE sequence = ?
"""
# The numbers that lead to early evidence.
_PARK = "INSERT INTO parked (number, message) VALUES (?, ?) ON CONFLICT DO NOTHING"
# Everything before this is in `parked`.
_PARKED_THROUGH = "UPDATE instance SET parked_through = sequence"
# Events without their hash.
_OLD_EVENTS = """
SELECT sequence, at, referral, kind, summary, reason, message, made_by, body, config FROM events
WHERE sequence > ? ORDER BY sequence LIMIT ? + 0
"""
_HASH_EVENT = "UPDATE events SET digest = ? WHERE sequence = ?"
# Referrals without their hash.
_OLD_REFERRALS = "SELECT id, version, state FROM referrals WHERE id > ? ORDER BY id LIMIT ? + 0"
_HASH_REFERRAL = "UPDATE referrals SET digest = ? WHERE id = ?"
# Sendings without their hash.
_OLD_EFFECTS = "SELECT id, wire_id, body FROM effects WHERE id > ? ORDER BY id LIMIT ? + 0"
_HASH_EFFECT = "UPDATE effects SET digest = ? WHERE id = ?"


def fill(connection: Connection) -> None:
    """Give every row that is there its hash, and every waiting message its numbers; in the open transaction."""
    cursor = connection.cursor()
    last = 0
    while rows := cursor.execute(_OLD_MESSAGES, (last, ROWS_AT_ONCE)).fetchall():
        for row in rows:
            keys = {number_key(kind, value) for kind, value in cursor.execute(_OLD_NUMBERS, (row[0],)).fetchall()}
            cursor.execute(_MOVE, (packed(keys), message_digest(tuple(row)), row[0]))
            cursor.executemany(_PARK, [(key, row[0]) for key in sorted(keys)])
        last = rows[-1][0]
    cursor.execute(_PARKED_THROUGH)
    last = 0
    while rows := cursor.execute(_OLD_EVENTS, (last, ROWS_AT_ONCE)).fetchall():
        cursor.executemany(_HASH_EVENT, [(event_digest(tuple(row)), row[0]) for row in rows])
        last = rows[-1][0]
    name = ""
    while rows := cursor.execute(_OLD_REFERRALS, (name, ROWS_AT_ONCE)).fetchall():
        cursor.executemany(_HASH_REFERRAL, [(referral_digest(*row), row[0]) for row in rows])
        name = rows[-1][0]
    last = 0
    while rows := cursor.execute(_OLD_EFFECTS, (last, ROWS_AT_ONCE)).fetchall():
        cursor.executemany(_HASH_EFFECT, [(effect_digest(row[1], row[2]), row[0]) for row in rows])
        last = rows[-1][0]
