"""The outbox: what is owed, leased to one courier at a time, settled once."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from itertools import zip_longest
from typing import Final

from referral_engine.base.clock import MICROSECONDS
from referral_engine.base.errors import Altered
from referral_engine.base.values import replace
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.digests import effect_digest
from referral_engine.journal.instance import Instance
from referral_engine.journal.rows import EffectRow, EffectState

# Transports whose other side knows our id again; what a courier of another one never settled is a person's question.
REPEATS_SAFELY: Final = frozenset({"mllp", "spool"})
CLAIM_BYTES_MAX: Final = 8 * 1024 * 1024  # of one claim; stops scanned letters from filling memory
BACKLOG_SECONDS: Final = 60  # from when on a queue is an outage's: new work then takes turns with old
NEWEST_LOOK: Final = 256  # sendings looked at for the newest that may leave
HEAD_LOOK: Final = 64  # sendings looked at for the oldest one of a lane
EFFECTS_MAX: Final = 10_000  # of one referral; stops a sender gone mad from filling memory
UNSETTLED: Final = "its courier never said what became of it; it may have arrived"
HOLDS_THE_LINE: Final = -1  # in lease_until of a queued sending: nothing of its lane may overtake it

EFFECT_COLUMNS: Final = (
    "id, referral, cause, ordinal, lane, transport, recipient, purpose, wire_id, body, state, attempts, next_at, "
    "token, created_at, settled_at, reason, reply, about"
)
# Where they stand in a row, `digest` behind EFFECT_COLUMNS.
_TRANSPORT, _BODY, _STATE, _NEXT_AT, _CREATED_AT, _DIGEST = 5, 9, 10, 12, 14, 19
# One owed sending.
_ADD = f"""
INSERT INTO effects ({EFFECT_COLUMNS}, digest, lease_until) VALUES ({", ".join("?" * 20)}, 0)
"""  # noqa: S608  # our own columns
# What still waits to be sent for one referral.
_QUEUED = "SELECT id, purpose, lane FROM effects WHERE referral = ? AND state = 'queued'"
# Something that waits is not needed any more.
_WITHDRAW = "UPDATE effects SET state = 'cancelled', settled_at = ?, reason = ? WHERE id = ?"
# Never before an older sending of the same referral is settled.
_ITS_TURN = """
(referral = '' OR NOT EXISTS (
    SELECT 1 FROM effects AS o
    WHERE o.referral = e.referral AND o.lane = e.lane AND o.state IN ('queued', 'in-flight') AND o.id < e.id))
"""
# What a lane may send now, the longest due first.
_OLDEST = f"""
SELECT {EFFECT_COLUMNS}, digest FROM effects AS e WHERE lane = ? AND state = 'queued' AND next_at <= ? AND {_ITS_TURN}
ORDER BY next_at, id LIMIT ? + 0
"""  # noqa: S608  # our own columns
# The shortest due first, among the newest: where each stands behind another, a whole queue must not be walked.
_NEWEST = f"""
SELECT {EFFECT_COLUMNS}, digest FROM (
    SELECT * FROM effects WHERE lane = ? AND state = 'queued' AND next_at <= ?
    ORDER BY next_at DESC, id DESC LIMIT {NEWEST_LOOK}) AS e
WHERE {_ITS_TURN} ORDER BY next_at DESC, id DESC LIMIT ? + 0
"""  # noqa: S608  # our own columns
# What holds its lane, in whatever state it is by now.
_HELD = f"SELECT {EFFECT_COLUMNS}, digest FROM effects WHERE id = ?"  # noqa: S608  # our own columns
# Which sending holds a lane.
_HOLDER = "SELECT id FROM effects WHERE lane = ? AND state = 'queued' AND lease_until = -1 ORDER BY id LIMIT 1"
# What a courier took and never settled.
_EXPIRED = f"""
SELECT {EFFECT_COLUMNS}, digest FROM effects
WHERE lane = ? AND state = 'in-flight' AND lease_until < ? ORDER BY id LIMIT ? + 0
"""  # noqa: S608  # our own columns
# The sendings of a lane that have waited longest, and since when: for what was never tried, since it might be.
_HEADS = """
SELECT max(created_at, CASE attempts WHEN 0 THEN next_at ELSE 0 END) FROM effects
WHERE lane = ? AND state = 'queued' ORDER BY next_at, id LIMIT ? + 0
"""
_ON_THEIR_WAY = "SELECT created_at FROM effects WHERE lane = ? AND state = 'in-flight' LIMIT ? + 0"
# A courier takes one.
_LEASE = """
UPDATE effects SET state = 'in-flight', attempts = attempts + 1, token = ?, lease_until = ? WHERE id = ?
"""
# The holder of the newest lease says what became of it.
_SETTLE = """
UPDATE effects SET state = ?, next_at = ?, settled_at = ?, reason = ?, reply = ?, lease_until = 0
WHERE id = ? AND token = ? AND state = 'in-flight'
"""
# The holder of the newest lease gives it back unsent, as if it had never been taken.
_RELEASE = """
UPDATE effects SET state = 'queued', attempts = attempts - 1, lease_until = 0
WHERE id = ? AND token = ? AND state = 'in-flight'
"""
# It holds its lane.
_HOLD = f"UPDATE effects SET lease_until = {HOLDS_THE_LINE} WHERE id = ?"  # noqa: S608  # our own mark
# What stands behind a sending that is tried again later need not be looked at before that.
_WAIT_BEHIND = """
UPDATE effects SET next_at = ?
WHERE referral = ? AND lane = ? AND state = 'queued' AND id > ? AND next_at < ?
"""
# When sendings of one referral in a lane arrived, of late; one that is on its way counts as arriving now.
_LATELY = """
SELECT CASE state WHEN 'delivered' THEN settled_at ELSE ? END FROM effects
WHERE referral = ? AND lane = ? AND ((state = 'delivered' AND settled_at > ?) OR (state = 'in-flight' AND id < ?))
"""
# A person's word.
_DECIDE = "UPDATE effects SET state = ?, next_at = ?, settled_at = ?, lease_until = ? WHERE id = ?"
# One, whole.
ONE_EFFECT = f"SELECT {EFFECT_COLUMNS} FROM effects WHERE id = ?"  # noqa: S608  # our own columns
# Everything ever owed for one referral, the oldest first.
_OF_REFERRAL = f"SELECT {EFFECT_COLUMNS} FROM effects WHERE referral = ? ORDER BY id LIMIT ? + 0"  # noqa: S608  # our own columns
# The lanes that have something to send.
_LANES_DUE = "SELECT DISTINCT lane FROM effects WHERE state = 'queued' AND next_at <= ?"
# The lanes that have something to send, at any time.
_LANES_WAITING = """
SELECT lane FROM effects WHERE state = 'queued' UNION SELECT lane FROM effects WHERE state = 'in-flight'
"""
# What waits in a lane, whenever it is due, and what its courier took and never settled.
_WAITING = f"""
SELECT {EFFECT_COLUMNS}, digest FROM effects WHERE id IN (
    SELECT id FROM effects WHERE lane = ?1 AND state = 'queued'
    UNION ALL SELECT id FROM effects WHERE lane = ?1 AND state = 'in-flight' AND lease_until < ?3)
ORDER BY id LIMIT ?2 + 0
"""  # noqa: S608  # our own columns
# The next one that may be tried.
_NEXT = "SELECT min(next_at) FROM effects WHERE state = 'queued'"

# What a person may decide in which state; in flight and delivered are nobody's to decide, cancelled is final.
_DECISIONS: Final = {
    "retry": (
        EffectState.QUEUED,
        frozenset({EffectState.QUEUED, EffectState.FAILED, EffectState.UNKNOWN, EffectState.PARKED}),
    ),
    "park": (EffectState.PARKED, frozenset({EffectState.QUEUED, EffectState.FAILED, EffectState.UNKNOWN})),
    "cancel": (
        EffectState.CANCELLED,
        frozenset({EffectState.QUEUED, EffectState.FAILED, EffectState.UNKNOWN, EffectState.PARKED}),
    ),
}


class Outbox:
    """Everything owed; what this batch owes is gathered and written at its end."""

    __slots__ = ("_cursor", "_holders", "_instance", "_new", "_newest_next")

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self._cursor = connection.cursor()
        self._instance = instance
        self._new: list[Row] = []
        self._holders: dict[str, int] = {}  # lane to the sending that holds it, 0 for none; as far as looked at
        self._newest_next: set[str] = set()  # lanes with a backlog whose next single claim is for new work

    def owe(self, row: EffectRow) -> int:
        """Store one owed sending with this batch; its number."""
        self._instance.effect = number = self._instance.effect + 1
        columns = (
            number, row.referral, row.cause, row.ordinal, row.lane, row.transport, str(row.recipient),
            str(row.purpose), row.wire_id, row.body, row.state.value, row.attempts, row.next_at or row.created_at,
            row.token, row.created_at, row.settled_at, row.reason, row.reply, row.about,
            effect_digest(row.wire_id, row.body),
        )  # fmt: skip
        self._new.append(columns)
        self._instance.tally("effect", row.lane, row.state)
        return number

    def withdraw(self, referral: str, wanted: AbstractSet[str | int], at: int, reason: str) -> int:
        """Cancel what has not left yet of these purposes, or of these numbers; how many there were."""
        self.flush()
        waiting = [row for row in self._cursor.execute(_QUEUED, (referral,)) if not wanted.isdisjoint(row[:2])]
        if waiting:
            self._cursor.executemany(_WITHDRAW, [(at, reason, row[0]) for row in waiting])
            for row in waiting:
                self._moved(row[2], EffectState.QUEUED, EffectState.CANCELLED)
                self._let_pass(row[2], row[0])
        return len(waiting)

    def claim(
        self, lane: str, now: int, lease_seconds: float, limit: int, transport: str = ""
    ) -> tuple[EffectRow, ...]:
        """Lease at most `limit` sendings of a lane, at most about CLAIM_BYTES_MAX; each has a token that settles it.

        transport: what the lane sends by; what another one took and never settled is not among them, see `lost`.
        Raises Altered when a row is not what was owed.
        """
        self.flush()
        until = now + int(lease_seconds * MICROSECONDS)
        expired = self._cursor.execute(_EXPIRED, (lane, now, limit))
        again = self._lease(_within(row for row in expired if _repeats(row, transport)), until)
        return again + self._lease(self._next(lane, now, limit - len(again)), until) if len(again) < limit else again

    def lost(self, lane: str, now: int, limit: int, transport: str = "") -> tuple[EffectRow, ...]:
        """Lease what was taken, never settled, and must not be sent again: nobody knows whether it arrived."""
        rows = self._cursor.execute(_EXPIRED, (lane, now, limit)).fetchall()
        return self._lease([row for row in rows if not _repeats(row, transport)], now)

    def stranded(self, served: frozenset[str], now: int, limit: int) -> tuple[EffectRow, ...]:
        """Lease what waits in lanes that nobody serves any more, at most `limit`; UNSETTLED may have arrived."""
        self.flush()
        found: list[Row] = []
        for lane in sorted({row[0] for row in self._cursor.execute(_LANES_WAITING).fetchall()} - served):
            found += self._cursor.execute(_WAITING, (lane, limit - len(found), now)).fetchall()
        return self._lease(found, 0)

    def oldest(self, lane: str, now: int) -> int:
        """Since when the head of a lane's queue has been waiting; 0 when nothing has to wait."""
        self.flush()
        since = self._cursor.execute(_HEADS, (lane, HEAD_LOOK)).fetchall()
        since += self._cursor.execute(_ON_THEIR_WAY, (lane, HEAD_LOOK)).fetchall()
        return min((row[0] for row in since if row[0] <= now), default=0)

    def _next(self, lane: str, now: int, limit: int) -> list[Row]:
        """What a lane sends next: what holds it, else the oldest; after an outage old and new take turns."""
        holder = self._holder(lane)
        if holder:
            (row,) = self._cursor.execute(_HELD, (holder,)).fetchall()
            if row[_STATE] == EffectState.QUEUED.value:
                return [row] if row[_NEXT_AT] <= now else []
            if row[_STATE] == EffectState.IN_FLIGHT.value:
                return []
            self._let_pass(lane, holder)
        rows = _within(self._cursor.execute(_OLDEST, (lane, now, limit)))
        backlog = len(rows) == limit and now - rows[0][_CREATED_AT] > BACKLOG_SECONDS * MICROSECONDS
        if not backlog:
            self._newest_next.discard(lane)
            return rows
        if limit == 1 and lane not in self._newest_next:
            self._newest_next.add(lane)
            return rows
        self._newest_next.discard(lane)
        old = rows[: limit // 2]
        known = {row[0] for row in old}
        new = _within(self._cursor.execute(_NEWEST, (lane, now, limit - len(old))))
        return _in_turns(old, [row for row in reversed(new) if row[0] not in known])

    def _lease(self, rows: Iterable[Row], until: int) -> tuple[EffectRow, ...]:
        claimed = []
        for row in rows:
            effect = effect_of(row)
            if row[_DIGEST] != effect_digest(effect.wire_id, effect.body):
                raise Altered(f"sending {effect.id}")
            self._instance.token = token = self._instance.token + 1
            self._cursor.execute(_LEASE, (token, until, effect.id))
            self._moved(effect.lane, effect.state, EffectState.IN_FLIGHT)
            leased = replace(effect, state=EffectState.IN_FLIGHT, attempts=effect.attempts + 1, token=token)
            claimed.append(replace(leased, reason=UNSETTLED) if effect.state is EffectState.IN_FLIGHT else leased)
        return tuple(claimed)

    def _holder(self, lane: str) -> int:
        """The sending that holds a lane, 0 for none."""
        if lane not in self._holders:
            row = self._cursor.execute(_HOLDER, (lane,)).fetchone()
            self._holders[lane] = row[0] if row is not None else 0
        return self._holders[lane]

    def _let_pass(self, lane: str, effect: int) -> None:
        """This sending holds its lane no more."""
        if self._holders.get(lane) == effect:
            self._holders[lane] = 0

    def release(self, effect: int, token: int) -> bool:
        """Give a leased sending back unsent; False when the lease was not the newest, or is settled."""
        if self._cursor.execute(_RELEASE, (effect, token)).rowcount != 1:
            return False
        held = self.effect(effect)
        assert held is not None, "it was just released"
        if self._holders.get(held.lane) == effect:
            self._cursor.execute(_HOLD, (effect,))
        self._moved(held.lane, EffectState.IN_FLIGHT, EffectState.QUEUED)
        return True

    def settle(
        self,
        effect: int,
        token: int,
        state: EffectState,
        now: int,
        next_at: int = 0,
        reason: str = "",
        reply: bytes = b"",
        *,
        hold: bool = False,
    ) -> EffectRow | None:
        """Record what became of a leased sending; None when the lease was not the newest, or is settled.

        hold: nothing of its lane may overtake it from now on, until it is settled for good or a person decides.
        """
        again = state is EffectState.QUEUED
        columns = (state.value, next_at, 0 if again else now, reason, reply, effect, token)
        if self._cursor.execute(_SETTLE, columns).rowcount != 1:
            return None
        settled = self.effect(effect)
        assert settled is not None, "it was just settled"
        if again and (hold or self._holders.get(settled.lane) == effect):
            self._cursor.execute(_HOLD, (effect,))
            self._holders[settled.lane] = effect
        else:
            self._let_pass(settled.lane, effect)
        self._moved(settled.lane, EffectState.IN_FLIGHT, state)
        if again and settled.referral:
            self._cursor.execute(_WAIT_BEHIND, (next_at, settled.referral, settled.lane, effect, next_at))
        return settled

    def lately(self, referral: str, lane: str, since: int, now: int, before: int) -> tuple[int, ...]:
        """When sendings of a lane arrived for one referral after `since`; older ones on their way count as now."""
        return tuple(row[0] for row in self._cursor.execute(_LATELY, (now, referral, lane, since, before)).fetchall())

    def effect(self, number: int) -> EffectRow | None:
        """One owed sending."""
        self.flush()
        row = self._cursor.execute(ONE_EFFECT, (number,)).fetchone()
        return effect_of(row) if row is not None else None

    def of_referral(self, referral: str) -> tuple[EffectRow, ...]:
        """Everything ever owed for one referral, the oldest first."""
        self.flush()
        return tuple(map(effect_of, self._cursor.execute(_OF_REFERRAL, (referral, EFFECTS_MAX)).fetchall()))

    def decide(self, number: int, decision: str, now: int) -> EffectRow | None:
        """Retry, park or cancel by a person's word; None when it is not in a state that allows it."""
        target, allowed = _DECISIONS[decision]
        effect = self.effect(number)
        if effect is None or effect.state not in allowed:
            return None
        again = target is EffectState.QUEUED
        mark = HOLDS_THE_LINE if again and self._holder(effect.lane) == number else 0
        when = (now, 0) if again else (effect.next_at, now)
        self._cursor.execute(_DECIDE, (target.value, *when, mark, number))
        if not again:
            self._let_pass(effect.lane, number)
        self._moved(effect.lane, effect.state, target)
        return self.effect(number)

    def lanes_due(self, now: int) -> frozenset[str]:
        """The lanes in which something may be tried."""
        self.flush()
        return frozenset(row[0] for row in self._cursor.execute(_LANES_DUE, (now,)).fetchall())

    def next_due(self) -> int | None:
        """When the next sending may be tried."""
        self.flush()
        row = self._cursor.execute(_NEXT).fetchone()
        return row[0] if row is not None else None

    def flush(self) -> None:
        """Write what was gathered into the open transaction."""
        if self._new:
            self._cursor.executemany(_ADD, self._new)
            self._new.clear()

    def forget(self) -> None:
        """Drop what was gathered: the batch was rolled back."""
        self._new.clear()
        self._holders.clear()

    def _moved(self, lane: str, before: EffectState, after: EffectState) -> None:
        self._instance.tally("effect", lane, before, -1)
        self._instance.tally("effect", lane, after)


def _repeats(row: Row, transport: str) -> bool:
    """Whether a sending whose fate is unknown may go again, by what the lane sends by now."""
    return row[_TRANSPORT] in REPEATS_SAFELY and transport in ("", row[_TRANSPORT])


def _within(rows: Iterable[Row]) -> list[Row]:
    """As many as fit into memory, and at least one; what stands behind is not even read."""
    found: list[Row] = []
    size = 0
    for row in rows:
        found.append(row)
        size += len(row[_BODY])
        if size >= CLAIM_BYTES_MAX:
            break
    return found


def _in_turns(old: list[Row], new: list[Row]) -> list[Row]:
    """One of each, beginning with the old."""
    return [row for pair in zip_longest(old, new) for row in pair if row is not None]


def effect_of(row: Row) -> EffectRow:
    """The sending in a row of EFFECT_COLUMNS."""
    return EffectRow(
        id=row[0],
        referral=row[1],
        cause=row[2],
        ordinal=row[3],
        lane=row[4],
        transport=row[5],
        recipient=row[6],
        purpose=row[7],
        wire_id=row[8],
        body=row[9],
        state=EffectState(row[10]),
        attempts=row[11],
        next_at=row[12],
        token=row[13],
        created_at=row[14],
        settled_at=row[15],
        reason=row[16],
        reply=row[17],
        about=row[18],
    )
