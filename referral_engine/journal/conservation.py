"""Whether all that came is accounted for: what each feed sent, what became of it, and the ids that differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from referral_engine.base.errors import JournalError, TookTooLong
from referral_engine.journal.database import Connection, ReadErrors, Row
from referral_engine.journal.faults import Fault, fault_of
from referral_engine.journal.rows import Disposition

NAMED_MAX: Final = 20  # ids of one feed; the first ones say where to look

# What was counted as it came.
_COUNTED = "SELECT noun, owner, state, number FROM tallies WHERE noun <> 'effect' AND number <> 0"
# What is stored of every feed.
_STORED = "SELECT partner, disposition, count(*) FROM messages GROUP BY partner, disposition"
# Numbers that neither a message nor an event has, below the newest.
_MISSING = """
SELECT number + 1 FROM (
    SELECT number, lead(number) OVER (ORDER BY number) AS next FROM (
        SELECT 0 AS number UNION ALL SELECT sequence FROM messages UNION ALL SELECT sequence FROM events
        UNION ALL SELECT sequence + 1 FROM instance))
WHERE next > number + 1 LIMIT ? + 0
"""
# Messages of one feed in one state, the newest: where counts disagree, one of them is wrong.
_IN_DOUBT = "SELECT sequence FROM messages WHERE partner = ? AND disposition = ? ORDER BY sequence DESC LIMIT ? + 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One feed: what it sent, and what became of it."""

    feed: str
    received: int
    applied: int = 0
    no_op: int = 0
    quarantined: int = 0
    needs_human: int = 0
    pending: int = 0
    stored: int | None = None  # counted one by one; None when nobody asked for it
    ids: tuple[int, ...] = ()  # messages in a state whose count is wrong, the newest

    @property
    def difference(self) -> int:
        """Messages received that nothing became of; 0 when all is well."""
        outcomes = self.applied + self.no_op + self.quarantined + self.needs_human + self.pending
        return (self.received - outcomes) or (0 if self.stored is None else self.received - self.stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """All feeds; `missing` are numbers under which nothing is stored, the first few."""

    accounts: tuple[Account, ...]
    missing: tuple[int, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether everything is accounted for."""
        return not self.missing and not any(one.difference or one.ids for one in self.accounts)


def balance(connection: Connection, *, deep: bool = False) -> Books:
    """The books of the journal.

    It costs the same however large the journal is, unless the counts disagree or `deep` asks to count every row.
    Raises TookTooLong when that takes longer than a question may; then a scrub finds the same.
    """
    cursor = connection.cursor()
    try:
        counted: dict[str, dict[str, int]] = {}
        for noun, owner, state, number in cursor.execute(_COUNTED).fetchall():
            counted.setdefault(owner, {})[state if noun == "message" else "received"] = number
        books = Books(accounts=tuple(_account(feed, states) for feed, states in sorted(counted.items())))
        if books.holds and not deep:
            return books
        stored: dict[str, dict[str, int]] = {feed: {} for feed in counted}
        for feed, state, number in cursor.execute(_STORED).fetchall():
            stored.setdefault(feed, {})[state] = number
        wrong = {
            feed: [state for state in Disposition if states.get(state, 0) != counted.get(feed, {}).get(state, 0)]
            for feed, states in stored.items()
        }
        return Books(
            accounts=tuple(
                _account(
                    feed,
                    counted.get(feed, {}),
                    stored=sum(stored[feed].values()),
                    ids=_numbers(
                        row
                        for state in wrong[feed]
                        for row in cursor.execute(_IN_DOUBT, (feed, state.value, NAMED_MAX)).fetchall()
                    ),
                )
                for feed in sorted(stored)
            ),
            missing=_numbers(cursor.execute(_MISSING, (NAMED_MAX,)).fetchall()),
        )
    except ReadErrors as error:
        if fault_of(error) is Fault.CUT:
            raise TookTooLong("Counting every row takes longer than a question may; let a scrub do it.") from error
        raise JournalError(f"The journal could not be read ({error}).") from error


def _account(feed: str, states: dict[str, int], *, stored: int | None = None, ids: tuple[int, ...] = ()) -> Account:
    return Account(
        feed=feed,
        received=states.get("received", 0),
        applied=states.get(Disposition.APPLIED, 0),
        no_op=states.get(Disposition.NO_OP, 0),
        quarantined=states.get(Disposition.QUARANTINED, 0),
        needs_human=states.get(Disposition.NEEDS_HUMAN, 0),
        pending=states.get(Disposition.PENDING, 0),
        stored=stored,
        ids=ids,
    )


def _numbers(rows: Iterable[Row]) -> tuple[int, ...]:
    return tuple(sorted(row[0] for row in rows))[:NAMED_MAX]
