"""Messages that broke their handling: how often each did, and what waits behind those that were set aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from referral_engine.journal.database import Connection

SUSPECTS_MAX: Final = 4096  # remembered; stops a broken disk's worth of crashes from filling memory
WAITING_MAX: Final = 10_000  # messages handled when what they waited behind is decided

# A message was in hand when the engine stopped.
_BLAME = """
INSERT INTO attempts (mark, number, at) VALUES (?, 1, ?)
ON CONFLICT (mark) DO UPDATE SET number = number + 1, at = excluded.at
"""
# Its handling ended.
_ABSOLVE = "DELETE FROM attempts WHERE mark = ?"
# Every suspect; there are few.
_SUSPECTS = "SELECT mark, number FROM attempts ORDER BY at DESC LIMIT ? + 0"
# A message that was set aside holds up what has its numbers.
_BAR = "INSERT INTO barriers (number, message) VALUES (?, ?) ON CONFLICT DO NOTHING"
_UNBAR = "DELETE FROM barriers WHERE message = ?"
_BARRIERS = "SELECT number, message FROM barriers"
# What waits for a person's word, in the order it came.
_PENDING = "SELECT sequence FROM messages WHERE disposition = 'pending' ORDER BY sequence LIMIT ? + 0"


class Poison:
    """Who is suspected and who waits; both are nearly always nobody, so both are kept in memory as well."""

    __slots__ = ("_barriers", "_changed", "_cursor", "suspects")

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor()
        self._changed = False
        self.suspects: dict[int, int] = {}  # mark of a message to how often the engine stopped with it in hand
        self._barriers: dict[int, int] = {}  # number's key to the message that was set aside
        self._load()

    def blame(self, marks: Iterable[int], at: int) -> None:
        """The engine stopped while it had these in hand."""
        self._changed = True
        for mark in marks:
            self._cursor.execute(_BLAME, (mark, at))
            self.suspects[mark] = self.suspects.get(mark, 0) + 1

    def absolve(self, mark: int) -> None:
        """The handling of this one ended."""
        self._changed = True
        self._cursor.execute(_ABSOLVE, (mark,))
        self.suspects.pop(mark, None)

    @property
    def bars_anything(self) -> bool:
        """Whether anything waits or would."""
        return bool(self._barriers)

    def bar(self, message: int, keys: Sequence[int]) -> None:
        """What has one of these numbers waits behind this message."""
        self._changed = True
        self._cursor.executemany(_BAR, [(key, message) for key in keys])
        for key in keys:
            self._barriers.setdefault(key, message)

    def barred_by(self, keys: Iterable[int]) -> int:
        """The message that somebody with these numbers waits behind; 0 for nobody."""
        return next((self._barriers[key] for key in keys if key in self._barriers), 0)

    def unbar(self, message: int) -> bool:
        """Nothing waits behind this message any more; False when nothing did."""
        if message not in self._barriers.values():
            return False
        self._changed = True
        self._cursor.execute(_UNBAR, (message,))
        self._barriers = dict(self._cursor.execute(_BARRIERS).fetchall())
        return True

    def pending(self) -> tuple[int, ...]:
        """The messages that wait, in the order they came."""
        return tuple(row[0] for row in self._cursor.execute(_PENDING, (WAITING_MAX,)).fetchall())

    def settled(self) -> None:
        """The batch is stored."""
        self._changed = False

    def rolled_back(self) -> None:
        """Memory goes back to what is stored; after the transaction."""
        if self._changed:
            self._changed = False
            self.suspects.clear()
            self._barriers.clear()
            self._load()

    def _load(self) -> None:
        self.suspects.update(self._cursor.execute(_SUSPECTS, (SUSPECTS_MAX,)).fetchall())
        self._barriers.update(self._cursor.execute(_BARRIERS).fetchall())
