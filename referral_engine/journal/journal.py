"""The journal: batches in, all or nothing; after a COMMIT that failed it takes nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from referral_engine.base.errors import JournalError, OutcomeUnknown
from referral_engine.journal.database import Connection, ConstraintError, DriverError, is_corrupting, open_database
from referral_engine.journal.instance import Instance, settle_instance
from referral_engine.journal.reading import Reading
from referral_engine.journal.schema import migrate
from referral_engine.journal.unit import Unit

_BEGIN = "BEGIN IMMEDIATE"  # a transaction that is going to write says so at once
# Whoever held these leases is gone, for the lock of the file is ours: what was in flight may be claimed at once.
_RELEASE = "UPDATE effects SET lease_until = 0 WHERE state = 'in-flight'"
_FENCED = "The journal is closed to new work after a fault of its disk; look at the disk, then start the engine again."


class Journal:
    """One open journal; one thread at a time may use it."""

    def __init__(self, connection: Connection, instance: Instance) -> None:
        """Take over an open, migrated connection."""
        self._connection = connection
        self._instance = instance
        self._unit = Unit(connection, instance)
        self._fenced = False

    @classmethod
    def open(cls, path: str, key: bytes | None, *, node: str = "", now: int = 0) -> Self:
        """Open or create the journal at `path` (":memory:" for one that is gone when closed).

        key: 32 bytes; None for a plain file.
        node: the letters of a new journal; an old one keeps its own.
        Raises JournalError, which says what to do.
        """
        connection = open_database(path, key)
        try:
            migrated = migrate(connection) > 0
            instance = settle_instance(connection, node=node, now=now, migrated=migrated)
            connection.execute(_RELEASE)
        except JournalError:
            connection.close()
            raise
        except DriverError as error:
            connection.close()
            raise JournalError(f"{path}: the tables cannot be read or made ({error}).") from error
        return cls(connection, instance)

    @property
    def node(self) -> str:
        """The letters that begin every referral's number."""
        return self._instance.node

    @property
    def high_water(self) -> int:
        """The latest instant a batch was ever committed at: the clock must not be before it."""
        return self._instance.high_water

    @property
    def fenced(self) -> bool:
        """Whether a fault closed the journal to new work."""
        return self._fenced

    @contextmanager
    def batch(self, now: int) -> Iterator[Unit]:
        """One transaction: everything the body wrote is stored when it ends, nothing when it raises.

        Raises JournalError when the disk refused and nothing was stored, OutcomeUnknown when COMMIT failed and nobody
        knows (that fences the journal), AssertionError when the body asked for what the tables forbid.
        """
        if self._fenced:
            raise JournalError(_FENCED)
        self._begin()
        unit = self._unit
        unit.now = now
        written = False
        try:
            yield unit
            unit.flush()
            self._instance.store(now)
            written = True
        except ConstraintError as error:  # one input of the batch asked for what cannot be: our bug, not the disk's
            raise AssertionError(f"what was to be stored contradicts itself: {error}") from error
        except DriverError as error:
            self._fenced = is_corrupting(error)
            raise JournalError(f"The journal could not be written ({type(error).__name__}: {error}).") from error
        finally:
            if not written:
                self._roll_back()
        self._commit()

    def read(self) -> Reading:
        """Questions about what is stored; ask them between batches."""
        if self._fenced:
            raise JournalError(_FENCED)
        return Reading(self._connection)

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._fenced = True
        self._connection.close()

    def _begin(self) -> None:
        try:
            self._connection.execute(_BEGIN)
        except DriverError as error:
            raise JournalError(f"The journal cannot begin to write ({error}).") from error

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except ConstraintError as error:  # checked before anything reaches the disk, so nothing is in doubt
            self._roll_back()
            raise AssertionError(f"what was to be stored contradicts itself: {error}") from error
        except DriverError as error:
            self._fenced = True
            raise OutcomeUnknown(
                "COMMIT failed: nobody knows what is stored. The journal takes nothing more."
            ) from error

    def _roll_back(self) -> None:
        """Go back to the last commit, on disk and in memory."""
        self._unit.forget()
        try:
            if self._connection.in_transaction:  # SQLite may have rolled back by itself
                self._connection.execute("ROLLBACK")
            self._instance.load()
        except DriverError:
            self._fenced = True
