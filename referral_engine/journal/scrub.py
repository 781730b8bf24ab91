"""The scrub: every stored row against its hash, its number and the audit, a few rows at a time; a report at the end.

It runs between batches, so a daemon can scrub a large journal over a day and stop nobody.  Rows that are added while
it runs are the next scrub's.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Final

from referral_engine.base.errors import Altered, JournalError
from referral_engine.journal.audit import LINES_AT_ONCE, line_hash
from referral_engine.journal.codec import decode_referral
from referral_engine.journal.database import Connection, ReadErrors, Row
from referral_engine.journal.decisions import DECISION_COLUMNS, decision_of, out_of_order
from referral_engine.journal.digests import batch_seal, effect_digest, referral_digest
from referral_engine.journal.instance import NO_HASH
from referral_engine.journal.merges import MERGE_COLUMNS, merge_of
from referral_engine.journal.messages import EVENT_COLUMNS, MESSAGE_COLUMNS, event_of, message_of
from referral_engine.journal.outbox import EFFECT_COLUMNS, effect_of
from referral_engine.journal.versions import VERSION_COLUMNS, whole_version_of

ROWS_A_TURN: Final = 200  # some ten milliseconds; what arrives meanwhile waits no longer than for a large batch
VERSIONS_A_TURN: Final = 5  # a configuration of a thousand channels is some megabytes of text
BYTES_A_TURN: Final = 8 * 1024 * 1024  # of messages; stops a turn over scanned letters from taking long
NAMED_MAX: Final = 20  # of each kind of finding; the first ones say where to look

# The journal as it was when the scrub began.
_HEAD = "SELECT sequence, effect, audit, audit_hash FROM instance WHERE id = 1"
# The next rows of each table, by its own key.
_MESSAGES = f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE sequence > ? AND sequence <= ? ORDER BY sequence"  # noqa: S608  # our own columns
_EVENTS = f"SELECT {EVENT_COLUMNS} FROM events WHERE sequence > ? AND sequence <= ? ORDER BY sequence"  # noqa: S608  # our own columns
_EFFECTS = f"SELECT {EFFECT_COLUMNS}, digest FROM effects WHERE id > ? AND id <= ? ORDER BY id"  # noqa: S608  # our own columns
_REFERRALS = """
SELECT id, version, digest, state, status, closure, channel, placer_number FROM referrals
WHERE id > ? ORDER BY id LIMIT ? + 0
"""
_DECISIONS = f"""
SELECT {DECISION_COLUMNS} FROM decisions WHERE message > ? AND message <= ? ORDER BY message, part, number
"""  # noqa: S608  # our own columns
_MERGES = f"SELECT {MERGE_COLUMNS} FROM merges WHERE id > ? ORDER BY id LIMIT ? + 0"  # noqa: S608  # our own columns
_VERSIONS = f"""
SELECT {VERSION_COLUMNS}, difference, files FROM versions WHERE number > ? ORDER BY number LIMIT ? + 0
"""  # noqa: S608  # our own columns
_AUDIT = """
SELECT sequence, at, actor, action, object, outcome, previous, hash FROM audit
WHERE sequence > ? AND sequence <= ? ORDER BY sequence
"""
# What one line of the audit sealed.
_SEALED = "SELECT sequence, sha256 FROM messages WHERE sequence BETWEEN ? AND ? ORDER BY sequence"
# What was counted as it came.
_TALLIES = "SELECT noun, owner, state, number FROM tallies WHERE number <> 0"
_SEAL: Final = re.compile(r"messages (\d+)-(\d+) \((\d+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubReport:
    """What a scrub found; each list names the first few."""

    rows: int  # looked at
    bad: tuple[str, ...]  # "message 42": its hash does not fit, or it cannot be read
    gaps: tuple[str, ...]  # "number 43": nothing is stored under it
    audit: tuple[str, ...]  # "line 7": altered, missing, out of order, or what it sealed is not what is stored
    tallies: tuple[str, ...]  # "ehr applied: 7 counted, 6 stored"
    tallies_checked: bool  # False: work went on meanwhile, so only what was received could be compared

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.bad or self.gaps or self.audit or self.tallies)


class Scrub:
    """One scrub of one journal: call `turn` between batches until it says True, then ask for the `report`."""

    def __init__(self, connection: Connection) -> None:
        """Begin; the connection is the journal's, on its thread.  Raises JournalError when it cannot be read at all."""
        self._cursor = connection.cursor()
        try:
            head = self._cursor.execute(_HEAD).fetchone()
            self._counted = self._tallies()
        except ReadErrors as error:
            raise JournalError(f"The journal could not be read ({error}).") from error
        assert head is not None, "a journal has its one row"
        self._last, self._last_effect, self._last_line, self._head_hash = head
        self._steps = [
            self._numbered, self._effects, self._referrals, self._merges, self._versions, self._audit, self._totals,
        ]  # fmt: skip
        self._after: int | str = 0
        self._previous = NO_HASH
        self._rows = 0
        self._stored: Counter[tuple[str, str]] = Counter()  # partner and disposition
        self._lanes: Counter[tuple[str, str]] = Counter()  # lane and state
        self._found: dict[str, list[str]] = {"bad": [], "gaps": [], "audit": [], "tallies": []}
        self._still = False

    def turn(self) -> bool:
        """Look at the next rows; True when all have been looked at."""
        if not self._steps:
            return True
        try:
            done = self._steps[0]()
        except ReadErrors as error:  # a page that cannot be read hides what stands behind it
            name = getattr(error, "sqlite_errorname", None) or type(error).__name__
            self._note("bad", f"what follows {self._steps[0].__name__.strip('_')} {self._after} ({name})")
            done = True
        if done:
            self._steps.pop(0)
            self._after = "" if self._steps and self._steps[0] == self._referrals else 0
        return not self._steps

    def report(self) -> ScrubReport:
        """What was found so far."""
        return ScrubReport(
            rows=self._rows,
            bad=tuple(self._found["bad"]),
            gaps=tuple(self._found["gaps"]),
            audit=tuple(self._found["audit"]),
            tallies=tuple(self._found["tallies"]),
            tallies_checked=self._still,
        )

    def _numbered(self) -> bool:
        """Messages and events share one row of numbers, without a gap."""
        first = int(self._after)
        last = min(first + ROWS_A_TURN, self._last)
        seen: set[int] = set()
        size = 0
        for row in self._cursor.execute(_MESSAGES, (first, last)):
            seen.add(row[0])
            size += len(row[9]) if isinstance(row[9], bytes | str) else 0  # a bit may have made a number of it
            self._stored[row[1], row[10]] += 1
            self._look("message", row)
            if size >= BYTES_A_TURN:
                last = row[0]
                break
        for row in self._cursor.execute(_EVENTS, (first, last)):
            if row[0] in seen:
                self._note("bad", f"number {row[0]}, used twice")
            seen.add(row[0])
            self._look("event", row)
        for number in range(first + 1, last + 1):
            if number not in seen:
                self._note("gaps", f"number {number}")
        self._decisions(first, last)
        self._after = last
        return bool(last >= self._last)

    def _decisions(self, first: int, last: int) -> None:
        """Why the messages of a span were matched as they were; decisions about one part are numbered without a gap."""
        rows = self._cursor.execute(_DECISIONS, (first, last)).fetchall()
        for row in rows:
            self._look("decision", row)
        for row in out_of_order(rows):
            self._note("gaps", f"decision before number {row[2]} about part {row[1]} of message {row[0]}")

    def _merges(self) -> bool:
        """Edges are numbered without a gap."""
        return self._without_gap("merge", _MERGES, ROWS_A_TURN)

    def _versions(self) -> bool:
        """So are versions of the configuration; each holds every file of it."""
        return self._without_gap("configuration", _VERSIONS, VERSIONS_A_TURN)

    def _without_gap(self, what: str, statement: str, limit: int) -> bool:
        """The next rows of a table whose numbers follow each other."""
        rows = self._cursor.execute(statement, (self._after, limit)).fetchall()
        expected = int(self._after) + 1
        for row in rows:
            for number in range(expected, row[0]):
                self._note("gaps", f"{what} {number}")
            expected = row[0] + 1
            self._look(what, row)
        self._after = rows[-1][0] if rows else self._after
        return len(rows) < limit

    def _effects(self) -> bool:
        first = int(self._after)
        last = min(first + ROWS_A_TURN, self._last_effect)
        expected = first + 1
        for row in self._cursor.execute(_EFFECTS, (first, last)):
            while expected < row[0]:
                self._note("gaps", f"sending {expected}")
                expected += 1
            expected = row[0] + 1
            self._lanes[row[4], row[10]] += 1
            self._look("sending", row)
        for number in range(expected, last + 1):
            self._note("gaps", f"sending {number}")
        self._after = last
        return bool(last >= self._last_effect)

    def _referrals(self) -> bool:
        rows = self._cursor.execute(_REFERRALS, (self._after, ROWS_A_TURN)).fetchall()
        for row in rows:
            self._look("referral", row)
        self._after = rows[-1][0] if rows else self._after
        return len(rows) < ROWS_A_TURN

    def _audit(self) -> bool:
        """The chain, and what its lines sealed."""
        first = int(self._after)
        last = min(first + LINES_AT_ONCE, self._last_line)
        expected = first + 1
        for row in self._cursor.execute(_AUDIT, (first, last)).fetchall():
            good = (row[0], row[6], row[7]) == (expected, self._previous, line_hash(self._previous, row[:6]))
            if not good:
                self._note("audit", f"line {expected}")
            self._previous, expected = row[7], row[0] + 1
            self._rows += 1
            self._unseal(row)
        if expected <= last:
            self._note("audit", f"line {expected}")
        self._after = last
        if last < self._last_line:
            return False
        if self._previous != self._head_hash:
            self._note("audit", f"line {self._last_line}, which is not the last one written")
        return True

    def _unseal(self, line: Row) -> None:
        sealed = _SEAL.fullmatch(str(line[4])) if (line[2], line[3]) == ("door", "received") else None
        if sealed is None:
            return
        first, last, count = map(int, sealed.groups())
        held = self._cursor.execute(_SEALED, (first, last)).fetchall()
        if len(held) != count or batch_seal(held) != line[5]:
            self._note("audit", f"line {line[0]}: messages {first}-{last} are not what was received")

    def _totals(self) -> bool:
        """The counts kept as things happened, against what is stored."""
        received: Counter[str] = Counter()
        for (partner, _), number in self._stored.items():
            received[partner] += number
        self._compare("received", {(owner, ""): number for owner, number in received.items()})
        self._still = self._tallies() == self._counted
        if self._still:
            self._compare("message", dict(self._stored))
            self._compare("effect", dict(self._lanes))
        return True

    def _compare(self, noun: str, stored: dict[tuple[str, str], int]) -> None:
        counted = {(owner, state): number for (what, owner, state), number in self._counted.items() if what == noun}
        for owner, state in sorted(counted.keys() | stored.keys()):
            was, is_ = counted.get((owner, state), 0), stored.get((owner, state), 0)
            if was != is_:
                self._note("tallies", f"{owner} {state or noun}: {was} counted, {is_} stored")

    def _tallies(self) -> dict[tuple[str, str, str], int]:
        return {tuple(row[:3]): row[3] for row in self._cursor.execute(_TALLIES).fetchall()}

    def _look(self, what: str, row: Row) -> None:
        """One row against its hash; whatever it is made of, what cannot be read is bad."""
        self._rows += 1
        try:
            match what:
                case "message":
                    message_of(row)
                case "event":
                    event_of(row)
                case "sending":
                    _hold_sending(row)
                case "decision":
                    decision_of(row)
                case "merge":
                    merge_of(row)
                case "configuration":
                    whole_version_of(row)
                case _:
                    _hold_referral(row)
        except (Altered, JournalError, ValueError, TypeError, AttributeError, zlib.error):
            self._note("bad", f"{what} {row[0]}")

    def _note(self, kind: str, finding: str) -> None:
        if len(self._found[kind]) < NAMED_MAX:
            self._found[kind].append(finding)


def _hold_sending(row: Row) -> None:
    """What is owed against its hash.  Raises Altered, and ValueError for a state that does not exist."""
    if effect_digest(row[8], row[9]) != row[-1]:
        raise Altered(f"sending {row[0]}")
    effect_of(row)


def _hold_referral(row: Row) -> None:
    """A referral against its hash, and its columns against its state.  Raises Altered, JournalError."""
    identity, version, digest, state, status, closure, channel, placer = row
    if referral_digest(identity, version, state) != digest:
        raise Altered(f"referral {identity}")
    referral = decode_referral(state)
    held = (referral.id, referral.status.value, referral.closure.value, referral.channel, referral.order.placer.value)
    if held != (identity, status, closure, channel, placer):
        raise Altered(f"referral {identity}")


def scrub(connection: Connection) -> ScrubReport:
    """Everything in one go: for a journal that nobody else is waiting for."""
    whole = Scrub(connection)
    while not whole.turn():
        pass
    return whole.report()


def damaged_pages(connection: Connection) -> tuple[str, ...]:
    """What SQLite and the page seals of an encrypted file find in tables, indexes and free pages; the first few.

    It reads the whole file.  An altered value of a plain file is not found here, but by the rows' hashes.
    """
    found: list[str] = []
    for pragma in ("PRAGMA cipher_integrity_check", "PRAGMA integrity_check(20)"):
        try:
            found += [str(row[0]) for row in connection.execute(pragma).fetchall() if row[0] != "ok"]
        except ReadErrors as error:
            found.append(f"{pragma.split()[-1]}: {error}")
    return tuple(found[:NAMED_MAX])
