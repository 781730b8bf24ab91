"""How fast the journal's file can take rows at all: our pragmas, our cipher, rows like ours, and nothing else."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.mixes import streams
from referral_engine.journal.database import Connection, open_database

ROWS_KEPT: Final = 4_000  # different messages that take turns; each row has a key of its own

# As the journal's table of messages: what came, its answer, and the key that makes a message sent again the same.
_TABLE: Final = """
CREATE TABLE messages (
    sequence INTEGER PRIMARY KEY, received_at INTEGER NOT NULL, partner TEXT NOT NULL, application TEXT NOT NULL,
    facility TEXT NOT NULL, control_id BLOB NOT NULL, sha256 BLOB NOT NULL, peer TEXT NOT NULL, type TEXT NOT NULL,
    disposition TEXT NOT NULL, level INTEGER NOT NULL, reason TEXT NOT NULL, referral TEXT NOT NULL,
    answer_code TEXT NOT NULL, config TEXT NOT NULL, answer BLOB NOT NULL, raw BLOB NOT NULL,
    UNIQUE (partner, application, facility, control_id, sha256)
)"""
_INSERT: Final = f"INSERT INTO messages VALUES ({', '.join('?' * 17)})"
_ANSWER: Final = b"MSH|^~\\&|REFERRAL_ENGINE|SPRINGFIELD|EHR|SPRINGFIELD|20260101000000||ACK^A08|1|P|2.5.1\rMSA|AA|1\r"

Row = tuple[object, ...]


class CommitLimit:
    """A scratch file that takes groups of rows, one durable commit a group."""

    def __init__(self, folder: str) -> None:
        self._connection: Connection = open_database(str(Path(folder) / "limit.db"), os.urandom(32))
        self._connection.execute(_TABLE)
        made = streams("unrelated", connections=1, count=ROWS_KEPT, seed=1)[0]
        self._made = [(message, hashlib.sha256(message).digest()) for _, message in made]
        self._sequence = 0

    def close(self) -> None:
        self._connection.close()

    def rows_per_second(self, group: int, seconds: float) -> float:
        """Insert groups for so long."""
        cursor, rows = self._connection.cursor(), 0
        began_at = time.perf_counter()
        while (spent := time.perf_counter() - began_at) < seconds:
            batch = [self._row() for _ in range(group)]
            cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany(_INSERT, batch)
            cursor.execute("COMMIT")
            rows += group
        return round(rows / spent, 1)

    def _row(self) -> Row:
        self._sequence += 1
        at = self._sequence
        message, sha256 = self._made[at % len(self._made)]
        return (
            at, 1_770_000_000_000_000 + at, "EHR", "EHR", "SPRINGFIELD", b"C%d" % at, sha256, "127.0.0.1", "ADT^A08",
            "no-op", 0, "about nobody we track", "", "AA", "0123456789abcdef", _ANSWER, message,
        )  # fmt: skip


def rows_per_second(group: int, seconds: float) -> float:
    """On a new file."""
    with tempfile.TemporaryDirectory(prefix="limit-") as folder:
        limit = CommitLimit(folder)
        try:
            return limit.rows_per_second(group, seconds)
        finally:
            limit.close()
