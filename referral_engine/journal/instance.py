"""The journal's one row about itself: the last numbers given out, kept in memory and written with every batch."""

from __future__ import annotations

from collections import Counter
from typing import Final

from referral_engine.base.errors import JournalError
from referral_engine.journal.anchor import Anchor, older
from referral_engine.journal.database import Connection
from referral_engine.journal.schema import schema_hash

# The row, when there is one.
_LOAD = """
SELECT node, created_at, epoch, high_water, sequence, effect, token, audit, audit_hash, schema_hash, parked_through,
    purged_through, aged_through
FROM instance WHERE id = 1
"""
# The first row of a new journal.
_CREATE = """
INSERT INTO instance (id, node, created_at, epoch, high_water, sequence, effect, token, audit, audit_hash, schema_hash)
VALUES (1, ?, ?, 1, ?, 0, 0, 0, 0, ?, ?)
"""
# The numbers given out since the last commit.
_STORE = (
    "UPDATE instance SET high_water = ?, sequence = ?, effect = ?, token = ?, audit = ?, audit_hash = ?, "
    "parked_through = ?, purged_through = ?, aged_through = ? WHERE id = 1"
)
# After a migration the schema says something else.
_SCHEMA = "UPDATE instance SET schema_hash = ? WHERE id = 1"
# The newest number in use, which must not be newer than what the row remembers.
_NEWEST = "SELECT max(ifnull((SELECT max(sequence) FROM messages), 0), ifnull((SELECT max(sequence) FROM events), 0))"
# How far the journal has come; all of it is in the first release's table.
_HELD = "SELECT node, created_at, sequence, effect, audit FROM instance WHERE id = 1"
# One line of the audit.
_LINE = "SELECT hash FROM audit WHERE sequence = ?"
# One count moves by `number`.
_TALLY = """
INSERT INTO tallies (noun, owner, state, number) VALUES (?, ?, ?, ?)
ON CONFLICT (noun, owner, state) DO UPDATE SET number = number + excluded.number
"""

NO_HASH: Final = bytes(32)  # what the first audit line follows


class Instance:
    """The numbers a journal gives out; `load` takes back what a rolled back batch took."""

    __slots__ = (
        "_cursor", "_tallies", "aged_through", "audit", "audit_hash", "created_at", "effect", "epoch", "high_water",
        "node", "parked_through", "purged_through", "schema_hash", "sequence", "token",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor()
        self._tallies: Counter[tuple[str, str, str]] = Counter()
        self.node = ""
        self.created_at = self.epoch = self.high_water = 0
        self.sequence = self.effect = self.token = self.audit = self.parked_through = 0
        self.purged_through = self.aged_through = 0
        self.audit_hash = self.schema_hash = NO_HASH

    def load(self) -> bool:
        """Read the row again; False when there is none yet."""
        self._tallies.clear()
        row = self._cursor.execute(_LOAD).fetchone()
        if row is None:
            return False
        (
            self.node, self.created_at, self.epoch, self.high_water, self.sequence, self.effect, self.token,
            self.audit, self.audit_hash, self.schema_hash, self.parked_through, self.purged_through,
            self.aged_through,
        ) = row  # fmt: skip
        return True

    def tally(self, noun: str, owner: str, state: str, number: int = 1) -> None:
        """Count `number` more (or fewer) in a state."""
        self._tallies[noun, owner, state] += number

    def store(self, now: int) -> None:
        """Write the numbers into the open transaction."""
        self.high_water = max(self.high_water, now)
        self._cursor.execute(
            _STORE,
            (
                self.high_water,
                self.sequence,
                self.effect,
                self.token,
                self.audit,
                self.audit_hash,
                self.parked_through,
                self.purged_through,
                self.aged_through,
            ),
        )
        if self._tallies:
            self._cursor.executemany(_TALLY, [(*key, number) for key, number in self._tallies.items() if number])
            self._tallies.clear()


def hold_against(connection: Connection, path: str, anchor: Anchor | None) -> None:
    """Refuse a journal that is behind its anchor, or another one: before anything is written to it.

    Raises JournalError with what to do, or the driver's error.
    """
    if anchor is None:
        return
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'instance'").fetchone()
    row = connection.execute(_HELD).fetchone() if tables is not None and tables[0] else None
    if row is None:
        raise older(path, anchor, "it holds nothing")
    if (row[0], row[1]) != (anchor.node, anchor.created_at):
        raise older(path, anchor, "it is another journal")
    for what, is_at, was_at in (
        ("number", row[2], anchor.sequence),
        ("sending", row[3], anchor.effect),
        ("line of the audit", row[4], anchor.audit),
    ):
        if is_at < was_at:
            raise older(path, anchor, f"its last {what} is {is_at} and was {was_at}")
    line = connection.execute(_LINE, (anchor.audit,)).fetchone()
    if anchor.audit and (line is None or line[0] != anchor.audit_hash):
        raise older(path, anchor, f"line {anchor.audit} of its audit is another one")


def settle_instance(connection: Connection, *, node: str, now: int, migrated: bool) -> Instance:
    """The row of a journal just opened; made when it is new, checked when it is not.

    Raises JournalError when the tables are not the ones this engine made, or newer than the row: a bad copy.
    """
    instance = Instance(connection)
    schema = schema_hash(connection)
    if not instance.load():
        connection.execute(_CREATE, (node, now, now, NO_HASH, schema))
        instance.load()
    if migrated:
        connection.execute(_SCHEMA, (schema,))
    elif instance.schema_hash != schema:
        raise JournalError("The journal's tables were changed by hand. Restore them from a backup.")
    newest = connection.execute(_NEWEST).fetchone()
    if newest is not None and newest[0] > instance.sequence:
        raise JournalError("The journal's parts are not from the same moment: a bad copy. Restore a backup.")
    return instance
