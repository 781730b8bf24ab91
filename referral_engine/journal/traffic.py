"""What came in and what became of it, a page at a time: what a replay of the last days needs of the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from referral_engine.journal.database import Row
from referral_engine.journal.messages import EVENT_COLUMNS, MESSAGE_COLUMNS, event_of, message_of

MESSAGES_MAX: Final = 400  # of one page: each is read and its hash compared, while senders wait
BYTES_MAX: Final = 4 * 1024 * 1024  # of one page; stops scanned letters from filling memory
ROWS_MAX: Final = 10_000  # of any other kind in one page
REFERRALS_LOOKED_AT: Final = 20_000  # by one question; closed ones of many years are passed over
STORY_MAX: Final = 1_000  # messages of one referral

# The first message from a number on: instants rise with the numbers, so the first of a day is found by halving.
_FROM = "SELECT sequence, received_at FROM messages WHERE sequence >= ? ORDER BY sequence LIMIT 1"
# How far the journal has come.
_NEWEST = "SELECT sequence, high_water, (SELECT max(rowid) FROM referrals) FROM instance"
# How large the next messages are; the length of the bytes is read without them.
_SIZES = """
SELECT sequence, length(raw) FROM messages WHERE sequence > ? AND received_at <= ? ORDER BY sequence LIMIT ? + 0
"""
# The newest event after a number and up to an instant.
_EVENT_BY = "SELECT max(sequence) FROM events WHERE sequence > ? AND at <= ?"
# The messages of a page.
_MESSAGES = f"""
SELECT {MESSAGE_COLUMNS} FROM messages WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ? + 0
"""  # noqa: S608  # our own columns
_SAID_BY_PEOPLE = """
(kind = 'ReferralOrdered' OR kind = 'DeliverySettled'
    OR ((message = 0 OR made_by LIKE 'user:%') AND kind <> 'DeadlinePassed'))
"""
# What people said, which message began which referral, and how deliveries ended, of a page.
_EVENTS = f"""
SELECT {EVENT_COLUMNS} FROM events WHERE sequence > ? AND sequence <= ? AND {_SAID_BY_PEOPLE}
ORDER BY sequence LIMIT ? + 0
"""  # noqa: S608  # our own columns
_SENDING_COLUMNS: Final = (
    "id, referral, cause, lane, recipient, purpose, about, state, attempts, created_at, settled_at, reason, reply"
)
# What was owed because of the events of a page.
_SENDINGS = f"""
SELECT {_SENDING_COLUMNS} FROM effects WHERE cause > ? AND cause <= ? ORDER BY id LIMIT ? + 0
"""  # noqa: S608  # our own columns
# What people decided about the messages of a page.
_RULINGS = """
SELECT message, part, at, made_by, reason, referral FROM decisions
WHERE message > ? AND message <= ? AND made_by LIKE 'user:%' ORDER BY at, message, part LIMIT ? + 0
"""
# The next referrals that were open at an instant, or have been since.
_OPEN_THEN = """
SELECT rowid, id FROM referrals WHERE rowid > ?1 AND rowid <= ?2
    AND (status NOT IN ('ended', 'closed') OR updated_at >= ?3)
ORDER BY rowid LIMIT ?4 + 0
"""
# The messages of one referral up to a number: those matched to it, and those that caused its events.
_OF_REFERRAL = f"""
SELECT {MESSAGE_COLUMNS} FROM messages WHERE sequence <= ?2 AND sequence IN (
    SELECT sequence FROM messages WHERE referral = ?1 AND referral <> ''
    UNION SELECT message FROM events WHERE referral = ?1 AND message > 0)
ORDER BY sequence LIMIT ?3 + 0
"""  # noqa: S608  # our own columns
_EVENTS_OF_REFERRAL = f"""
SELECT {EVENT_COLUMNS} FROM events WHERE referral = ? AND sequence <= ? AND {_SAID_BY_PEOPLE}
ORDER BY sequence LIMIT ? + 0
"""  # noqa: S608  # our own columns
_SENDINGS_OF_REFERRAL = f"""
SELECT {_SENDING_COLUMNS} FROM effects WHERE referral = ? AND cause <= ? ORDER BY id LIMIT ? + 0
"""  # noqa: S608  # our own columns
_RULINGS_OF_REFERRAL = """
SELECT message, part, at, made_by, reason, referral FROM decisions
WHERE referral = ? AND referral <> '' AND message <= ? AND made_by LIKE 'user:%' ORDER BY at, message, part
LIMIT ? + 0
"""

Ask = Callable[..., "list[Row]"]  # a statement and its values to the rows


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """One received message, with all that is known of how it came, and what became of it."""

    sequence: int
    at: int
    partner: str  # who was admitted as its sender; "?" for nobody
    peer: str
    type: str  # MSH-9; "" when unreadable
    raw: bytes
    disposition: str
    level: int
    referral: str
    answer_code: str
    reduced: bool  # only its header is left


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One event that no message and no clock brings about again: a person's, a patient's, a courier's, or an order's.

    body: the event as JSON, for those whose facts a replay needs.
    """

    sequence: int
    at: int
    referral: str
    kind: str
    message: int
    by: str
    body: bytes


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one owed sending."""

    id: int
    referral: str
    cause: int
    lane: str
    recipient: str
    purpose: str
    about: str
    state: str
    attempts: int
    created_at: int
    settled_at: int
    reason: str
    reply: bytes


class Ruled(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided about one part of a message; referral "": it is nobody's."""

    message: int
    part: int
    at: int
    by: str
    reason: str
    referral: str


class TrafficPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page; `after` is where the next one begins, `at` how far in time this one reaches."""

    messages: tuple[Came, ...] = ()
    said: tuple[Said, ...] = ()
    left: tuple[Left, ...] = ()
    ruled: tuple[Ruled, ...] = ()
    after: int = 0
    at: int = 0
    more: bool = False
    cut: bool = False  # a list reached its limit: something of this page is missing


class Traffic:
    """Questions about traffic, between batches."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Ask) -> None:
        """`ask`: how the journal is read."""
        self._ask = ask

    def before(self, instant: int) -> int:
        """The number of the newest message that came before an instant; 0 for none."""
        low, high = 0, int(self._ask(_NEWEST)[0][0])  # the last before lies at or behind `low`, and before `high` + 1
        while low < high:
            middle = (low + high + 1) // 2
            rows = self._ask(_FROM, middle)
            if rows and rows[0][1] < instant:
                low = int(rows[0][0])
            else:
                high = middle - 1
        return low

    def page(self, after: int, until: int = 0) -> TrafficPage:
        """What came in after a number, the oldest first; until: what came later is left for another page, 0 for no end.

        Instants rise with the numbers, so nothing that is left stands before something that is told.
        """
        newest, now, _ = self._ask(_NEWEST)[0]
        until = min(until or now, now)
        sizes = self._ask(_SIZES, after, until, MESSAGES_MAX)
        if until < now:
            newest = max(after, sizes[-1][0] if sizes else 0, self._ask(_EVENT_BY, after, until)[0][0] or 0)
        size, through = 0, newest
        for number, (sequence, length) in enumerate(sizes):
            size += length
            if size >= BYTES_MAX or number + 1 == MESSAGES_MAX:
                through = sequence
                break
        messages = tuple(map(_came, self._ask(_MESSAGES, after, through, MESSAGES_MAX)))
        more = through < newest
        events = self._ask(_EVENTS, after, through, ROWS_MAX)
        left = self._ask(_SENDINGS, after, through, ROWS_MAX)
        ruled = self._ask(_RULINGS, after, through, ROWS_MAX)
        return TrafficPage(
            messages=messages,
            said=tuple(map(_said, events)),
            left=tuple(map(_left, left)),
            ruled=tuple(map(_ruled, ruled)),
            after=through,
            at=messages[-1].at if more and messages else until,
            more=more,
            cut=ROWS_MAX in (len(events), len(left), len(ruled)),
        )

    def of_open(self, instant: int, through: int, after: int) -> TrafficPage:
        """The same of referrals that were open at an instant, or came later, up to the number `through`; a few at once.

        after: the row of a referral; 0 begins.
        """
        last = int(self._ask(_NEWEST)[0][2] or 0)
        end = min(after + REFERRALS_LOOKED_AT, last)
        messages: list[Came] = []
        parts: tuple[list[Said], list[Left], list[Ruled]] = ([], [], [])
        size = 0
        found_open = self._ask(_OPEN_THEN, after, end, instant, MESSAGES_MAX)
        if len(found_open) == MESSAGES_MAX:  # there may be more before the end of what this question looks at
            end = found_open[-1][0]
        for row, identity in found_open:
            found = [_came(one) for one in self._ask(_OF_REFERRAL, identity, through, STORY_MAX)]
            messages += found
            parts[0].extend(map(_said, self._ask(_EVENTS_OF_REFERRAL, identity, through, STORY_MAX)))
            parts[1].extend(map(_left, self._ask(_SENDINGS_OF_REFERRAL, identity, through, STORY_MAX)))
            parts[2].extend(map(_ruled, self._ask(_RULINGS_OF_REFERRAL, identity, through, STORY_MAX)))
            size += sum(len(one.raw) for one in found)
            after = row
            if size >= BYTES_MAX or len(messages) >= MESSAGES_MAX:
                return self._opened(messages, parts, after, more=after < last)
        return self._opened(messages, parts, end, more=end < last)

    def _opened(
        self, messages: list[Came], parts: tuple[list[Said], list[Left], list[Ruled]], after: int, *, more: bool
    ) -> TrafficPage:
        said, left, ruled = parts
        return TrafficPage(
            messages=tuple(messages), said=tuple(said), left=tuple(left), ruled=tuple(ruled), after=after, more=more
        )


def together(pages: Iterable[TrafficPage]) -> TrafficPage:
    """Pages of referrals as one, each message once, in the order of the journal."""
    messages: dict[int, Came] = {}
    said: dict[int, Said] = {}
    left: dict[int, Left] = {}
    ruled: dict[tuple[int, int, int], Ruled] = {}
    for page in pages:
        messages |= {one.sequence: one for one in page.messages}
        said |= {one.sequence: one for one in page.said}
        left |= {one.id: one for one in page.left}
        ruled |= {(one.at, one.message, one.part): one for one in page.ruled}
    return TrafficPage(
        messages=tuple(messages[one] for one in sorted(messages)),
        said=tuple(said[one] for one in sorted(said)),
        left=tuple(left[one] for one in sorted(left)),
        ruled=tuple(ruled[one] for one in sorted(ruled)),
        after=max(messages, default=0),
    )


_NO_BODY: Final = frozenset({"ReferralOrdered"})  # it is brought about again; only its numbers are asked for


def _came(row: Row) -> Came:
    """A message.  Raises Altered when a byte of it was."""
    found = message_of(row)
    return Came(
        sequence=found.sequence,
        at=found.received_at,
        partner=found.key.partner,
        peer=found.peer,
        type=found.type,
        raw=b"" if found.purged_at else found.raw,
        disposition=found.disposition.value,
        level=found.level,
        referral=found.referral,
        answer_code=found.answer_code,
        reduced=bool(found.purged_at),
    )


def _said(row: Row) -> Said:
    """An event.  Raises Altered when a byte of it was."""
    found = event_of(row)
    return Said(
        sequence=found.sequence,
        at=found.at,
        referral=found.referral,
        kind=found.kind,
        message=found.message,
        by=found.by,
        body=b"" if found.kind in _NO_BODY else found.body,
    )


def _left(row: Row) -> Left:
    return Left(**dict(zip(Left.__struct_fields__, row, strict=True)))


def _ruled(row: Row) -> Ruled:
    return Ruled(**dict(zip(Ruled.__struct_fields__, row, strict=True)))
