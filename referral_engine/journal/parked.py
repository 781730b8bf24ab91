"""Early evidence and the numbers it waits for: the newest in memory, the rest in a table that grows in sorted runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from referral_engine.journal.database import Connection
from referral_engine.journal.instance import Instance
from referral_engine.journal.numbers import number_key, packed, unpacked

TAIL_MAX: Final = (
    16_384  # messages whose numbers are in memory only, some 8 MB; in large runs many numbers share a page
)
RUN_STEP: Final = 512  # numbers written with one batch, so that no batch waits for a whole run
FOUND_MAX: Final = 50  # messages one number leads to; more is a number that means nothing

# What was received since the newest run: the numbers lie in the messages' own rows.
_TAIL = "SELECT sequence, numbers FROM messages WHERE sequence > ? AND numbers <> x''"
# Which messages wait for a number; the oldest first.
_PARKED = "SELECT message FROM parked WHERE number = ? ORDER BY message LIMIT ? + 0"
# A step of a run.
_ADD = "INSERT INTO parked (number, message) VALUES (?, ?) ON CONFLICT DO NOTHING"
# A message waits no longer.
_REMOVE = "DELETE FROM parked WHERE number = ? AND message = ?"
_NUMBERS = "SELECT numbers FROM messages WHERE sequence = ?"
_CLEAR = "UPDATE messages SET numbers = x'' WHERE sequence = ?"


class Parked:
    """What waits for its referral.

    The numbers of a message are stored in its row. They are found through memory until a run of them is sorted into
    the table: one row at a time, random numbers would touch a page each.
    """

    __slots__ = ("_cursor", "_fresh", "_gone", "_instance", "_reached", "_run", "_run_through", "_running", "_tail",
                 "_tail_size", "_unparked")  # fmt: skip

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self._cursor = connection.cursor()
        self._instance = instance
        self._tail: dict[int, list[int]] = {}  # number to messages
        self._tail_size = 0
        self._running: dict[int, list[int]] = {}  # the same, of the messages whose numbers are being written
        self._run: list[tuple[int, int]] = []  # those numbers and messages, sorted
        self._reached = 0  # of the run
        self._run_through = 0
        self._gone: set[int] = set()  # messages of the run that found their referral while it was written
        self._fresh: dict[int, set[int]] = {}  # message of this batch to its numbers
        self._unparked: dict[int, list[int]] = {}  # message this batch found a referral for, to its numbers
        for sequence, numbers in self._cursor.execute(_TAIL, (instance.parked_through,)).fetchall():
            self._remember(sequence, unpacked(numbers))

    def park(self, message: int, keys: Iterable[int]) -> None:
        """Let a message of this batch wait for any of these numbers."""
        self._fresh.setdefault(message, set()).update(keys)

    def numbers_of(self, message: int) -> bytes:
        """What the row of a message of this batch says of it."""
        keys = self._fresh.get(message)
        return packed(keys) if keys else b""

    def waiting(self, kind: str, value: str) -> tuple[int, ...]:
        """The messages that wait for a number, oldest first, at most FOUND_MAX; a few may wait for another one."""
        key = number_key(kind, value)
        found = {row[0] for row in self._cursor.execute(_PARKED, (key, FOUND_MAX)).fetchall()}
        enough = (
            FOUND_MAX + len(self._unparked) + len(self._gone)
        )  # a number that everybody bears is not read to its end
        found.update(self._running.get(key, [])[:enough], self._tail.get(key, [])[:enough])
        found.update(message for message, keys in self._fresh.items() if key in keys)
        found.difference_update(self._unparked, self._gone)
        return tuple(sorted(found))[:FOUND_MAX]

    def unpark(self, message: int) -> None:
        """Let a message wait no longer."""
        row = self._cursor.execute(_NUMBERS, (message,)).fetchone()
        keys = unpacked(row[0]) if row is not None else []
        self._unparked[message] = keys
        if keys:
            self._cursor.executemany(_REMOVE, [(key, message) for key in keys])
            self._cursor.execute(_CLEAR, (message,))

    def unpark_all(self, messages: Iterable[int]) -> None:
        """Let many messages wait no longer; in the order of their numbers, for those share pages."""
        gone: list[tuple[int, int]] = []
        for message in messages:
            row = self._cursor.execute(_NUMBERS, (message,)).fetchone()
            keys = unpacked(row[0]) if row is not None else []
            if keys:
                self._unparked[message] = keys
                gone += [(key, message) for key in keys]
        if gone:
            self._cursor.executemany(_REMOVE, sorted(gone))
            self._cursor.executemany(_CLEAR, [(message,) for message in {pair[1] for pair in gone}])

    def flush(self) -> None:
        """Write a step of a run into the open transaction."""
        instance = self._instance
        if self._run:
            step = self._run[self._reached : self._reached + RUN_STEP]
            self._cursor.executemany(
                _ADD, [pair for pair in step if pair[1] not in self._unparked and pair[1] not in self._gone]
            )
            if self._reached + RUN_STEP >= len(self._run):
                instance.parked_through = self._run_through
        elif not self._tail and not self._fresh:
            instance.parked_through = instance.sequence

    def settled(self) -> None:
        """The batch is stored: what it parked is remembered, what it found is forgotten."""
        if self._unparked:
            for message, keys in self._unparked.items():
                self._fresh.pop(message, None)
                self._drop(message, keys)
            self._unparked.clear()
        if self._fresh:
            for message, fresh in self._fresh.items():
                self._remember(message, fresh)
            self._fresh.clear()
        if self._run:
            self._reached += RUN_STEP
            if self._reached >= len(self._run):
                self._run.clear()
                self._running.clear()
                self._gone.clear()
        elif self._tail_size >= TAIL_MAX:
            self._begin_run()

    def forget(self) -> None:
        """Drop what this batch did: it was rolled back."""
        self._fresh.clear()
        self._unparked.clear()

    def _remember(self, message: int, keys: Iterable[int]) -> None:
        self._tail_size += 1
        for key in keys:
            self._tail.setdefault(key, []).append(message)

    def _drop(self, message: int, keys: Iterable[int]) -> None:
        for key in keys:
            messages = self._tail.get(key)
            if messages is not None and message in messages:
                messages.remove(message)
                if not messages:
                    del self._tail[key]
        if self._run:
            self._gone.add(message)

    def _begin_run(self) -> None:
        self._running, self._tail, self._tail_size = self._tail, {}, 0
        self._run = sorted((number, message) for number, messages in self._running.items() for message in messages)
        self._reached = 0
        self._run_through = self._instance.sequence
