"""After a long silence: referral by referral what was missed fires, one notice a recipient is owed, and none in a rush.

The clocks of one referral fire in one transaction, in due order, those that the earlier ones start included; referrals
take turns by their oldest clock. So whoever is killed in the middle has told nobody half a story.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from referral_engine.base.clock import MICROSECONDS, from_micros, to_micros
from referral_engine.flow.hours import may_leave_at
from referral_engine.flow.quiet import after_quiet_hours
from referral_engine.flow.turn import Turn
from referral_engine.journal.rows import DeadlineRow
from referral_engine.journal.sweeping import Fresh
from referral_engine.loop.effects import NOTICES_TO_SPECIALIST, TO_PATIENT, Purpose, Recipient
from referral_engine.loop.referral import Referral

CLOCKS_MAX: Final = 200  # of one referral in one go; stops a loop without end, the rest comes in the next tick
OWED_MAX: Final = 1_000  # sendings of one referral looked at
MINUTE: Final = 60 * MICROSECONDS
MINUTES_LOOKED_AT: Final = 1_440  # for a free place; a day full of sendings is as good as any other then
NEWER: Final = "withdrawn: a newer notice of the same catch-up says where things stand"

# What only says that something is overdue; of several for one recipient the newest is enough.
NOTICES: Final = (
    NOTICES_TO_SPECIALIST
    | TO_PATIENT
    | {Purpose.TASK, Purpose.PROVIDER_NOTICE, Purpose.TEAM_POST, Purpose.BILLING_NOTICE}
)

Fire = Callable[[Turn, DeadlineRow], tuple[int, bool]]  # the event's sequence, 0 when it did not fire; whether late


@dataclass(slots=True)
class Fired:
    """What a sweep did."""

    number: int = 0
    late: int = 0
    more: bool = False

    def add(self, one: tuple[int, bool]) -> None:
        """Count one clock."""
        sequence, late = one
        self.number += sequence > 0
        self.late += late


def catch_up(turn: Turn, until: int, limit: int, fire: Fire) -> Fired:
    """Fire what ran out by `until`, whole referrals, until at least `limit` clocks have fired."""
    fired = Fired()
    taken: dict[tuple[str, int], int] = {}
    while fired.number < limit:
        oldest = turn.unit.due(until, 1)
        if not oldest:
            return fired
        causes = _fire_all(turn, oldest[0].referral, until, fire, fired)
        owed = turn.unit.sweeping.fresh(oldest[0].referral, min(causes), OWED_MAX)
        referral = turn.unit.referral(oldest[0].referral)
        assert referral is not None, "a deadline belongs to a stored referral"
        _pace(turn, referral, _only_newest(turn, [one for one in owed if one.cause in causes]), taken)
    fired.more = True
    return fired


def _fire_all(turn: Turn, referral: str, until: int, fire: Fire, fired: Fired) -> set[int]:
    """Fire every clock of one referral that ran out, in due order; the sequences of their events."""
    causes: set[int] = set()
    while len(causes) < CLOCKS_MAX and (rows := turn.unit.due_of(referral, until, 1)):
        one = fire(turn, rows[0])
        assert one[0], "a clock that runs and is due fires"
        fired.add(one)
        causes.add(one[0])
    return causes


def _only_newest(turn: Turn, owed: list[Fresh]) -> list[Fresh]:
    """Withdraw every notice that a newer one for the same recipient follows; what is left."""
    newest = {one.recipient: one.id for one in owed if one.purpose in NOTICES}
    old = [one for one in owed if one.purpose in NOTICES and newest[one.recipient] != one.id]
    turn.unit.sweeping.supersede(old, turn.now_micros, NEWER)
    return [one for one in owed if one not in old]


def _pace(turn: Turn, referral: Referral, owed: list[Fresh], taken: dict[tuple[str, int], int]) -> None:
    """Give each sending a place in a minute that has room; taken: how full this tick found and left the minutes."""
    rates = turn.book.engine.catch_up
    for one in owed:
        patient = one.recipient == Recipient.PATIENT.value
        room = rates.texts_per_minute if patient else rates.sends_per_minute
        minute = max(one.next_at, turn.now_micros) // MINUTE + 1  # the one that runs may have sent its share already
        for _ in range(MINUTES_LOOKED_AT):
            minute = _opened(turn, referral, one, minute)
            place = one.lane, minute
            if place not in taken:
                taken[place] = turn.unit.sweeping.crowd(one.lane, minute * MINUTE, (minute + 1) * MINUTE)
            if taken[place] < room:
                break
            minute += 1
        order = taken.get((one.lane, minute), 0)
        taken[one.lane, minute] = order + 1
        turn.unit.sweeping.put_off(one.id, minute * MINUTE + order % room * MINUTE // room)


def _opened(turn: Turn, referral: Referral, owed: Fresh, minute: int) -> int:
    """The first minute, this one or later, in which it may leave: no patient's quiet hours, no office's closed ones."""
    instant = from_micros(minute * MINUTE)
    if owed.recipient == Recipient.PATIENT.value:
        return to_micros(after_quiet_hours(turn, referral, instant)) // MINUTE
    return to_micros(may_leave_at(turn.book, owed.lane, instant)) // MINUTE
