"""The fourth step of the schema: why a message was matched as it was, whose numbers are one person, and the purge."""

from __future__ import annotations

from typing import Final

# `bindings` is made anew because a closed set grew.  `decisions` keeps a row number of its own: a body of a kilobyte
# within a table without one would cost a page of overflow each.  `purged_at` stands behind the bytes and is read
# without them while it is 0; of a reduced message there are few.
TABLES: Final = """
ALTER TABLE bindings RENAME TO bindings_of_0003;
CREATE TABLE bindings (
    kind TEXT NOT NULL CHECK (
        kind IN ('referral', 'placer', 'filler', 'appointment', 'document', 'patient', 'visit', 'charge', 'person')),
    value TEXT NOT NULL CHECK (value <> ''),
    authority TEXT NOT NULL,
    referral TEXT NOT NULL REFERENCES referrals (id) DEFERRABLE INITIALLY DEFERRED,
    since INTEGER NOT NULL,
    PRIMARY KEY (kind, value, authority, referral)
) WITHOUT ROWID;
INSERT INTO bindings SELECT kind, value, authority, referral, since FROM bindings_of_0003;
DROP TABLE bindings_of_0003;
CREATE TABLE decisions (
    message INTEGER NOT NULL,
    part INTEGER NOT NULL CHECK (part >= 0),
    number INTEGER NOT NULL CHECK (number > 0),
    at INTEGER NOT NULL,
    level INTEGER NOT NULL CHECK (level BETWEEN 0 AND 6),
    referral TEXT NOT NULL,
    provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
    made_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    undone_at INTEGER NOT NULL,
    undone_by TEXT NOT NULL,
    undone_reason TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    body BLOB NOT NULL,
    PRIMARY KEY (message, part, number)
);
CREATE INDEX decisions_of_referral ON decisions (referral) WHERE referral <> '';
CREATE TRIGGER decisions_stay BEFORE DELETE ON decisions
BEGIN SELECT RAISE(ABORT, 'a decision is undone by a mark'); END;
CREATE TABLE merges (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('merge', 'link', 'rename')),
    survivor TEXT NOT NULL CHECK (survivor <> ''),
    survivor_authority TEXT NOT NULL,
    retired TEXT NOT NULL CHECK (retired <> ''),
    retired_authority TEXT NOT NULL,
    message INTEGER NOT NULL,
    at INTEGER NOT NULL,
    undone_at INTEGER NOT NULL,
    undone_by TEXT NOT NULL,
    undone_reason TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32)
);
CREATE INDEX merges_of_survivor ON merges (survivor, survivor_authority);
CREATE INDEX merges_of_retired ON merges (retired, retired_authority);
CREATE INDEX merges_of_message ON merges (message);
CREATE TRIGGER merges_stay BEFORE DELETE ON merges
BEGIN SELECT RAISE(ABORT, 'a merge is undone by a mark'); END;
CREATE INDEX events_of_message ON events (message) WHERE message > 0;
ALTER TABLE messages ADD COLUMN purged_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instance ADD COLUMN purged_through INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instance ADD COLUMN aged_through INTEGER NOT NULL DEFAULT 0;
CREATE TABLE put_off (
    message INTEGER PRIMARY KEY,
    since INTEGER NOT NULL
);
CREATE INDEX put_off_since ON put_off (since);
"""
