"""The journal: batches in, all or nothing; after a COMMIT that failed it takes nothing more."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from referral_engine.base.errors import Altered, JournalError, NoRoom, OutcomeUnknown
from referral_engine.journal.anchor import Anchor, AnchorFile, read_anchor
from referral_engine.journal.blank import lay_out
from referral_engine.journal.database import (
    IN_MEMORY,
    Connection,
    ConstraintError,
    DriverError,
    ReadErrors,
    open_database,
)
from referral_engine.journal.faults import Fault, fault_of
from referral_engine.journal.instance import Instance, hold_against, settle_instance
from referral_engine.journal.log import Log, look_at_log
from referral_engine.journal.reading import Reading
from referral_engine.journal.schema import is_due, migrate
from referral_engine.journal.scrub import Scrub, ScrubReport
from referral_engine.journal.unit import Unit
from referral_engine.journal.upgrade import back_up

LOOK_STEPS: Final = 20_000  # of SQLite's machine between two looks at the time a question has: about a millisecond

_BEGIN = "BEGIN IMMEDIATE"  # a transaction that is going to write says so at once
# Whoever held these leases is gone, for the lock of the file is ours: what was in flight may be claimed at once.
_RELEASE = "UPDATE effects SET lease_until = 0 WHERE state = 'in-flight'"
# What the first commit after opening writes: from here on there is a log, whatever else happens.  It says nothing about
# the time: the machine's clock may be wrong by years, and nobody has looked at it yet.
_START = "REPLACE INTO instance SELECT * FROM instance"
_FENCED = "The journal is closed to new work after a fault of its disk; look at the disk, then start the engine again."


class Journal:
    """One open journal; one thread at a time may use it."""

    def __init__(self, connection: Connection, instance: Instance, log: Log, anchor: AnchorFile | None) -> None:
        """Take over an open, migrated connection; anchor: None in memory."""
        self._connection = connection
        self._instance = instance
        self._log = log
        self._anchor = anchor
        self._unit = Unit(connection, instance)
        self._fenced = False
        self._scrub: Scrub | None = None
        self._limited = False
        self._process = os.getpid()
        self.note = ""  # what the operator should read in the log about how it was found; "" when all was well

    @classmethod
    def open(cls, path: str, key: bytes | None, *, node: str = "", now: int = 0) -> Self:
        """Open or create the journal at `path` (":memory:" for one that is gone when closed).

        key: 32 bytes; None for a plain file.
        node: the letters of a new journal; an old one keeps its own.
        Raises JournalError, which says what to do.
        """
        connection, journal, note = open_database(path, key), None, ""
        try:
            if path != IN_MEMORY:
                note = look_at_log(connection, path)
                hold_against(connection, path, read_anchor(path))
            if path != IN_MEMORY and is_due(connection):
                note = f"{note} {back_up(connection, path, key)}".strip()
            if path == IN_MEMORY and key is None:
                lay_out(connection)
            connection.execute(_BEGIN)  # all steps, and what the row says of the tables: cut short, none of it happened
            migrated = migrate(connection) > 0
            instance = settle_instance(connection, node=node, now=now, migrated=migrated)
            connection.execute("COMMIT")
            log = Log(connection, path)
            # Whatever the page cache of a machine that saw an error of its disk holds is written anew, and synced.
            log.copy()
            connection.execute(_RELEASE)
            connection.execute(_START)
            instance.load()
            opened = cls(connection, instance, log, AnchorFile(path) if path != IN_MEMORY else None)
            opened.note = note
            opened.anchor()
            journal = opened
        except KeyError as error:  # of the list of upgrade steps: a column of it has another name
            raise JournalError(f"{path} is damaged: its list of upgrades cannot be read. Restore a backup.") from error
        except ReadErrors as error:
            if fault_of(error) is Fault.NO_ROOM:
                raise NoRoom(f"There is no room on the disk of {path}. Make room, then start again.") from error
            raise JournalError(f"{path}: the tables cannot be read or made ({error}).") from error
        finally:
            if journal is None:
                connection.abandon()
        return journal

    def be_lean(self) -> None:
        """Be quick rather than whole, in memory: for a replay, which ends with the first thing that goes wrong in it.

        A batch that raises is not taken back cleanly from now on, and of passing messages only that they came is kept.
        """
        assert self._anchor is None, "a journal on disk keeps everything"
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._unit.be_lean()

    @property
    def node(self) -> str:
        """The letters that begin every referral's number."""
        return self._instance.node

    @property
    def high_water(self) -> int:
        """The latest instant a batch was ever committed at: the clock must not be before it."""
        return self._instance.high_water

    @property
    def sequence(self) -> int:
        """The newest number of the one order that messages and events share."""
        return self._instance.sequence

    @property
    def suspects(self) -> dict[int, int]:
        """Mark of a message to how often the engine stopped with it in hand."""
        return self._unit.suspects

    @property
    def fenced(self) -> bool:
        """Whether a fault closed the journal to new work."""
        return self._fenced

    @contextmanager
    def batch(self, now: int) -> Iterator[Unit]:
        """One transaction: everything the body wrote is stored when it ends, nothing when it raises.

        Raises NoRoom when the disk is full and nothing was stored; the journal goes on.
        Raises JournalError when the disk refused and nothing was stored, OutcomeUnknown when COMMIT failed and nobody
        knows (both fence the journal), AssertionError when the body asked for what the tables forbid.
        """
        self._refuse_if_closed()
        self._begin()
        unit = self._unit
        unit.now = now
        written = False
        try:
            yield unit
            unit.flush()
            self._instance.store(now)
            written = True
        except Altered:
            self._fenced = True
            raise
        except DriverError as error:
            raise self._meaning_of(error) from error
        finally:
            if not written:
                self._roll_back()
        self._commit()
        unit.settled()

    def read(self, out_of_time: Callable[[], bool] | None = None) -> Reading:
        """Questions about what is stored; ask them between batches.

        out_of_time: says whether whoever waits for the door has waited long enough; then the question raises
        TookTooLong.  It holds until the next batch begins, or the next `read`.
        """
        self._refuse_if_closed()
        if out_of_time is not None or self._limited:
            self._connection.limit(out_of_time, LOOK_STEPS)
            self._limited = out_of_time is not None
        return Reading(self._connection)

    def scrub(self, turns: int) -> tuple[int, ScrubReport | None]:
        """Look at the next rows of the whole journal, `turns` times; how many were seen, and the report at the end.

        Between batches; the next call goes on, or begins anew.  What is not whole fences the journal.
        """
        self._refuse_if_closed()
        scrub = self._scrub = self._scrub or Scrub(self._connection)
        if not any(scrub.turn() for _ in range(turns)):
            return scrub.report().rows, None
        report = scrub.report()
        self._scrub = None
        self._fenced = not report.whole
        return report.rows, report

    def anchor(self, *, closed: bool = False) -> None:
        """Write beside the journal how far it has come; between batches, now and then.

        closed: nothing more will be written.
        Raises JournalError when the disk is wrong (that fences the journal).
        """
        if self._anchor is None or self._fenced:
            return
        one = self._instance
        try:
            self._anchor.put(
                Anchor(
                    node=one.node, created_at=one.created_at, epoch=one.epoch, sequence=one.sequence,
                    effect=one.effect, audit=one.audit, audit_hash=one.audit_hash, high_water=one.high_water,
                    file_bytes=self._log.file_bytes, closed=closed,
                )
            )  # fmt: skip
        except JournalError:
            self._fenced = True
            raise

    def close(self) -> None:
        """Copy the log into the file, close it and let another process have it; a fenced one is left as it is."""
        if self._process != os.getpid():
            return  # the files are another process's
        whole = not self._fenced
        try:
            if whole:
                self._log.copy()
                self.anchor(closed=True)
        except (DriverError, JournalError):
            whole = False  # everything is in the log, and the next start says what is wrong with the disk
        self._fenced = True
        if whole:
            self._connection.close()
        else:
            self._connection.abandon()

    def _refuse_if_closed(self) -> None:
        if self._fenced:
            raise JournalError(_FENCED)
        if self._process != os.getpid():  # two processes with one connection destroy the file
            self._fenced = True
            raise JournalError("The journal is used by a process that did not open it: a fork.")

    def _begin(self) -> None:
        if self._limited:  # a batch is never cut
            self._connection.limit(None, 0)
            self._limited = False
        try:
            self._connection.execute(_BEGIN)
        except DriverError as error:
            raise self._meaning_of(error) from error

    def _meaning_of(self, error: Exception) -> Exception:
        """What a driver's error before COMMIT is for the caller; nothing was stored."""
        match fault_of(error):
            case Fault.OURS:  # one input of the batch asked for what cannot be: our bug, not the disk's
                return AssertionError(f"what was to be stored contradicts itself: {error}")
            case Fault.NO_ROOM:
                return NoRoom("The disk is full; nothing was stored. The journal goes on when there is room.")
            case _:
                self._fenced = True
                return JournalError(f"The journal could not be written ({type(error).__name__}: {error}).")

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except ConstraintError as error:  # checked before anything reaches the disk, so nothing is in doubt
            self._roll_back()
            raise AssertionError(f"what was to be stored contradicts itself: {error}") from error
        except (DriverError, MemoryError) as error:
            if isinstance(error, DriverError) and fault_of(error) is Fault.NO_ROOM:
                # The mark that ends a transaction in the log is its last write; what could not be written has no mark.
                self._roll_back()
                raise self._meaning_of(error) from error
            self._fenced = True
            raise OutcomeUnknown(
                "COMMIT failed: nobody knows what is stored. The journal takes nothing more."
            ) from error
        try:
            self._log.keep_short()
        except (DriverError, MemoryError) as error:  # the batch is in the log, and the disk cannot be trusted with it
            self._fenced = True
            raise OutcomeUnknown("The log could not be copied. The journal takes nothing more.") from error

    def _roll_back(self) -> None:
        """Go back to the last commit, on disk and in memory."""
        self._unit.forget()
        try:
            if self._connection.in_transaction:  # SQLite may have rolled back by itself
                self._connection.execute("ROLLBACK")
            self._instance.load()
            self._unit.rolled_back()
        except DriverError:
            self._fenced = True
