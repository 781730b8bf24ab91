"""The outbox: what is owed, leased to one courier at a time, settled once."""

from __future__ import annotations

from typing import Final

from referral_engine.base.clock import MICROSECONDS
from referral_engine.base.values import replace
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.instance import Instance
from referral_engine.journal.rows import EffectRow, EffectState

EFFECT_COLUMNS: Final = (
    "id, referral, cause, ordinal, lane, transport, recipient, purpose, wire_id, body, state, attempts, next_at, "
    "token, created_at, settled_at, reason, reply, about"
)
# One owed sending.
_ADD = f"""
INSERT INTO effects ({EFFECT_COLUMNS}, lease_until) VALUES ({", ".join("?" * 19)}, 0)
"""  # noqa: S608  # our own columns
# What still waits to be sent for one referral.
_QUEUED = "SELECT id, purpose, lane FROM effects WHERE referral = ? AND state = 'queued'"
# Something that waits is not needed any more.
_WITHDRAW = "UPDATE effects SET state = 'cancelled', settled_at = ?, reason = ? WHERE id = ?"
# What a lane may send now: the longest due first, and never before an older sending of the same referral is settled.
_CLAIMABLE = f"""
SELECT {EFFECT_COLUMNS} FROM effects AS e
WHERE lane = ? AND state = 'queued' AND next_at <= ?
    AND (referral = '' OR NOT EXISTS (
        SELECT 1 FROM effects AS o
        WHERE o.referral = e.referral AND o.lane = e.lane AND o.state IN ('queued', 'in-flight') AND o.id < e.id))
ORDER BY next_at, id LIMIT ? + 0
"""  # noqa: S608  # our own columns
# What a courier took and never settled, where sending it again is the same message to the other side.
_EXPIRED = f"""
SELECT {EFFECT_COLUMNS} FROM effects
WHERE lane = ? AND state = 'in-flight' AND lease_until < ? AND transport IN ('mllp', 'spool')
ORDER BY id LIMIT ? + 0
"""  # noqa: S608  # our own columns
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
_DECIDE = "UPDATE effects SET state = ?, next_at = ?, settled_at = ? WHERE id = ?"
# One, whole.
ONE_EFFECT = f"SELECT {EFFECT_COLUMNS} FROM effects WHERE id = ?"  # noqa: S608  # our own columns
# The lanes that have something to send.
_LANES_DUE = "SELECT DISTINCT lane FROM effects WHERE state = 'queued' AND next_at <= ?"
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

    __slots__ = ("_cursor", "_instance", "_new")

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self._cursor = connection.cursor()
        self._instance = instance
        self._new: list[Row] = []

    def owe(self, row: EffectRow) -> int:
        """Store one owed sending with this batch; its number."""
        self._instance.effect = number = self._instance.effect + 1
        columns = (
            number, row.referral, row.cause, row.ordinal, row.lane, row.transport, str(row.recipient),
            str(row.purpose), row.wire_id, row.body, row.state.value, row.attempts, row.next_at or row.created_at,
            row.token, row.created_at, row.settled_at, row.reason, row.reply, row.about,
        )  # fmt: skip
        self._new.append(columns)
        self._instance.tally("effect", row.lane, row.state)
        return number

    def withdraw(self, referral: str, purposes: frozenset[str], at: int, reason: str) -> int:
        """Cancel what has not left yet of these purposes; how many there were."""
        self.flush()
        waiting = [row for row in self._cursor.execute(_QUEUED, (referral,)).fetchall() if row[1] in purposes]
        if waiting:
            self._cursor.executemany(_WITHDRAW, [(at, reason, row[0]) for row in waiting])
            for row in waiting:
                self._moved(row[2], EffectState.QUEUED, EffectState.CANCELLED)
        return len(waiting)

    def claim(self, lane: str, now: int, lease_seconds: float, limit: int) -> tuple[EffectRow, ...]:
        """Lease at most `limit` sendings of a lane; each has a token that settles it, once."""
        self.flush()
        rows = self._cursor.execute(_EXPIRED, (lane, now, limit)).fetchall()
        if len(rows) < limit:
            rows += self._cursor.execute(_CLAIMABLE, (lane, now, limit - len(rows))).fetchall()
        until = now + int(lease_seconds * MICROSECONDS)
        claimed = []
        for effect in map(effect_of, rows):
            self._instance.token = token = self._instance.token + 1
            self._cursor.execute(_LEASE, (token, until, effect.id))
            self._moved(lane, effect.state, EffectState.IN_FLIGHT)
            claimed.append(replace(effect, state=EffectState.IN_FLIGHT, attempts=effect.attempts + 1, token=token))
        return tuple(claimed)

    def release(self, effect: int, token: int) -> bool:
        """Give a leased sending back unsent; False when the lease was not the newest, or is settled."""
        if self._cursor.execute(_RELEASE, (effect, token)).rowcount != 1:
            return False
        held = self.effect(effect)
        assert held is not None, "it was just released"
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
    ) -> EffectRow | None:
        """Record what became of a leased sending; None when the lease was not the newest, or is settled."""
        again = state is EffectState.QUEUED
        columns = (state.value, next_at, 0 if again else now, reason, reply, effect, token)
        if self._cursor.execute(_SETTLE, columns).rowcount != 1:
            return None
        settled = self.effect(effect)
        assert settled is not None, "it was just settled"
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

    def decide(self, number: int, decision: str, now: int) -> EffectRow | None:
        """Retry, park or cancel by a person's word; None when it is not in a state that allows it."""
        target, allowed = _DECISIONS[decision]
        effect = self.effect(number)
        if effect is None or effect.state not in allowed:
            return None
        again = target is EffectState.QUEUED
        self._cursor.execute(_DECIDE, (target.value, now if again else effect.next_at, 0 if again else now, number))
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

    def _moved(self, lane: str, before: EffectState, after: EffectState) -> None:
        self._instance.tally("effect", lane, before, -1)
        self._instance.tally("effect", lane, after)


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
