"""The tables of the journal and the steps that make them; a step is one transaction, written once and never edited."""

from __future__ import annotations

import hashlib
import re
from typing import Final, cast

from referral_engine.base.errors import JournalError
from referral_engine.journal import schema_custody, schema_matching, schema_sweeping, schema_versions
from referral_engine.journal.database import APPLICATION, Connection
from referral_engine.journal.lean import sqlite_utils

# Every received message; none is ever deleted but by the audited purge.  The UNIQUE key is the promise that a message
# sent again is the same message: rising control ids keep its index in order, and a partner's rows together.
_MESSAGES = """
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
    answer BLOB NOT NULL,
    raw BLOB NOT NULL,
    UNIQUE (partner, application, facility, control_id, sha256)
);
CREATE INDEX messages_of_referral ON messages (referral) WHERE referral <> '';
CREATE INDEX messages_for_people ON messages (disposition)
    WHERE disposition IN ('quarantined', 'needs-human', 'pending');
"""

# Every event of every referral, in the one order of the journal.
_EVENTS = """
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    referral TEXT NOT NULL,
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    reason TEXT NOT NULL,
    message INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    config TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX events_of_referral ON events (referral);
"""

# What each referral is now; `version` goes up by one at every change, and every change names the version it saw.
_REFERRALS = """
CREATE TABLE referrals (
    id TEXT PRIMARY KEY CHECK (id <> ''),
    version INTEGER NOT NULL CHECK (version > 0),
    status TEXT NOT NULL CHECK (
        status IN ('ended', 'closed', 'note-received', 'attended', 'scheduled', 'patient-notified', 'held', 'ordered')),
    closure TEXT NOT NULL CHECK (closure IN ('open', 'closing', 'closed', 'cancel-requested', 'ended')),
    channel TEXT NOT NULL,
    specialty TEXT NOT NULL,
    priority TEXT NOT NULL CHECK (priority IN ('routine', 'urgent')),
    placer_number TEXT NOT NULL,
    ordered_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    state BLOB NOT NULL
);
CREATE INDEX referrals_by_status ON referrals (status, ordered_at);
"""

# Whose number points at which referral; parked: numbers of evidence that came before its order.
_BINDINGS = """
CREATE TABLE bindings (
    kind TEXT NOT NULL CHECK (kind IN ('referral', 'placer', 'filler', 'appointment', 'document', 'patient')),
    value TEXT NOT NULL CHECK (value <> ''),
    authority TEXT NOT NULL,
    referral TEXT NOT NULL REFERENCES referrals (id) DEFERRABLE INITIALLY DEFERRED,
    since INTEGER NOT NULL,
    PRIMARY KEY (kind, value, authority, referral)
) WITHOUT ROWID;
CREATE TABLE parked (
    kind TEXT NOT NULL CHECK (kind IN ('referral', 'placer', 'filler', 'appointment', 'document', 'patient')),
    value TEXT NOT NULL CHECK (value <> ''),
    authority TEXT NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (kind, value, authority, message)
) WITHOUT ROWID;
CREATE INDEX parked_of_message ON parked (message);
"""

# Clocks; a fired one is history, and history does not change.
_DEADLINES = """
CREATE TABLE deadlines (
    referral TEXT NOT NULL REFERENCES referrals (id) DEFERRABLE INITIALLY DEFERRED,
    kind TEXT NOT NULL,
    generation INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'fired', 'cancelled')),
    event INTEGER NOT NULL,
    PRIMARY KEY (referral, kind, generation),
    CHECK ((state = 'fired') = (event > 0))
) WITHOUT ROWID;
CREATE INDEX deadlines_due ON deadlines (due_at) WHERE state = 'pending';
CREATE TRIGGER deadlines_fire_once BEFORE UPDATE ON deadlines WHEN OLD.state = 'fired'
BEGIN SELECT RAISE(ABORT, 'a fired deadline never changes'); END;
CREATE TRIGGER deadlines_stay BEFORE DELETE ON deadlines WHEN OLD.state = 'fired'
BEGIN SELECT RAISE(ABORT, 'a fired deadline never changes'); END;
"""

# The outbox: what is owed to whom, with the exact bytes; one row is one message at the other end, however often it is
# tried, because its wire_id never changes.
_EFFECTS = """
CREATE TABLE effects (
    id INTEGER PRIMARY KEY,
    referral TEXT NOT NULL,
    cause INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    lane TEXT NOT NULL,
    transport TEXT NOT NULL,
    recipient TEXT NOT NULL,
    purpose TEXT NOT NULL,
    about TEXT NOT NULL,
    wire_id TEXT NOT NULL UNIQUE CHECK (wire_id <> ''),
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'in-flight', 'delivered', 'failed', 'unknown', 'parked', 'cancelled')),
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    token INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    reply BLOB NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (cause, ordinal)
);
CREATE INDEX effects_queued ON effects (lane, next_at) WHERE state = 'queued';
CREATE INDEX effects_in_flight ON effects (lane, lease_until) WHERE state = 'in-flight';
CREATE INDEX effects_of_referral ON effects (referral, lane, state);
CREATE INDEX effects_for_people ON effects (state) WHERE state IN ('failed', 'unknown', 'parked');
"""

# The work queue; one open task of a kind a referral.
_TASKS = """
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    referral TEXT NOT NULL,
    message INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'claimed', 'done')),
    reason TEXT NOT NULL,
    urgent INTEGER NOT NULL CHECK (urgent IN (0, 1)),
    claimed_by TEXT NOT NULL,
    closed_at INTEGER NOT NULL,
    note TEXT NOT NULL,
    escalated_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX tasks_overdue ON tasks (kind, due_at) WHERE state <> 'done' AND escalated_at = 0;
CREATE UNIQUE INDEX tasks_one_open ON tasks (referral, kind) WHERE state <> 'done' AND referral <> '';
CREATE INDEX tasks_open ON tasks (queue, opened_at) WHERE state <> 'done';
CREATE INDEX tasks_by_kind ON tasks (kind, opened_at);
CREATE INDEX tasks_of_referral ON tasks (referral) WHERE referral <> '';
"""

# Who did what: a gapless chain of hashes that only grows.
_AUDIT = """
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
);
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_is_final BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_is_a_chain BEFORE INSERT ON audit
WHEN NEW.sequence > 1 AND NEW.previous IS NOT (SELECT hash FROM audit WHERE sequence = NEW.sequence - 1)
BEGIN SELECT RAISE(ABORT, 'the audit is one chain'); END;
"""

# How many messages and effects are in each state, so that status costs nothing; and the one row about the journal.
_INSTANCE = """
CREATE TABLE tallies (
    noun TEXT NOT NULL CHECK (noun IN ('message', 'effect')),
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (noun, owner, state)
) WITHOUT ROWID;
CREATE TABLE instance (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    node TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    high_water INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    effect INTEGER NOT NULL,
    token INTEGER NOT NULL,
    audit INTEGER NOT NULL,
    audit_hash BLOB NOT NULL,
    schema_hash BLOB NOT NULL
);
"""

# Everything the schema says, in a fixed order.
_SCHEMA = """
SELECT type, name, sql FROM sqlite_master
WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE '%_sqlite_migrations%' AND sql IS NOT NULL
ORDER BY type, name
"""

_CLOSED_SET: Final = re.compile(r"(\w+) IN \(([^()]+)\)")

STEPS: Final = sqlite_utils.Migrations("journal")


@STEPS(name="0001-first")
def _first(database: sqlite_utils.Database) -> None:
    """Make every table of the first release."""
    database.execute(f"PRAGMA application_id = {APPLICATION}")
    for table in (_MESSAGES, _EVENTS, _REFERRALS, _BINDINGS, _DEADLINES, _EFFECTS, _TASKS, _AUDIT, _INSTANCE):
        for statement in _statements(table):
            database.execute(statement)


@STEPS(name="0002-custody")
def _custody(database: sqlite_utils.Database) -> None:
    """Give every row its hash; keep what waits for an order by keys of eight bytes."""
    for statement in _statements(schema_custody.BEFORE):
        database.execute(statement)
    schema_custody.fill(cast("Connection", database.conn))
    for statement in _statements(schema_custody.AFTER):
        database.execute(statement)


@STEPS(name="0003-sweeping")
def _sweeping(database: sqlite_utils.Database) -> None:
    """Remember how far the clocks have been swept, so that a catch-up is known as one after any restart."""
    for statement in _statements(schema_sweeping.TABLES):
        database.execute(statement)


@STEPS(name="0004-matching")
def _matching(database: sqlite_utils.Database) -> None:
    """Keep decisions and merges, bind visits, charges and persons, and let what concerns nobody be reduced."""
    for statement in _statements(schema_matching.TABLES):
        database.execute(statement)


@STEPS(name="0005-versions")
def _versions(database: sqlite_utils.Database) -> None:
    """Keep every configuration that was in force, so that a running referral keeps the clocks it was accepted under."""
    for statement in _statements(schema_versions.TABLES):
        database.execute(statement)


def is_due(connection: Connection) -> bool:
    """Whether there is a journal, written by an older engine, that `migrate` would change."""
    database = sqlite_utils.Database(
        connection,  # type: ignore[arg-type]  # as below
        recursive_triggers=False,
        execute_plugins=False,
    )
    return database["instance"].exists() and bool(STEPS.pending(database))


def migrate(connection: Connection) -> int:
    """Apply the steps that are still due; return how many there were.

    Raises JournalError when the file was written by a newer version of the engine.
    """
    database = sqlite_utils.Database(
        connection,  # type: ignore[arg-type]  # a sqlcipher3 connection does what a sqlite3 one does
        recursive_triggers=False,
        execute_plugins=False,
    )
    known = {step.name for step in STEPS.pending(database)} | {step.name for step in STEPS.applied(database)}
    ours = {step.name for step in STEPS._migrations}  # noqa: SLF001  # the only list of all steps it keeps
    if newer := sorted(known - ours):
        raise JournalError(
            f"The journal was written by a newer engine (step {newer[-1]}). "
            "Install that version again, or restore the backup taken before the upgrade."
        )
    due = len(STEPS.pending(database))
    STEPS.apply(database)
    return due


def schema_hash(connection: Connection) -> bytes:
    """SHA-256 of everything the schema says."""
    return hashlib.sha256(repr(connection.execute(_SCHEMA).fetchall()).encode()).digest()


def _spelled_out(closed_set: re.Match[str]) -> str:
    """Write x IN ('a', 'b') as x = 'a' OR x = 'b': for IN, SQLite would build a table of the values for every row."""
    column, values = closed_set.groups()
    return " OR ".join(f"{column} = {value.strip()}" for value in values.split(","))


def _statements(script: str) -> list[str]:
    """The statements of a script; a trigger's inner semicolons belong to it."""
    found: list[str] = []
    part = ""
    for line in script.strip().splitlines():
        part += _CLOSED_SET.sub(_spelled_out, line) + "\n"
        ends = line.rstrip().endswith(";")
        if ends and (not part.startswith("CREATE TRIGGER") or line.rstrip().endswith("END;")):
            found.append(part.strip())
            part = ""
    return found
