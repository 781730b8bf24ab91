"""Whether a text for a patient may leave now: consent, sense and the caps, asked in the transaction that claims it."""

from __future__ import annotations

from typing import Final

from referral_engine.base.clock import MICROSECONDS, to_micros
from referral_engine.flow.lanes import PATIENT
from referral_engine.flow.quiet import after_quiet_hours, courtesy
from referral_engine.flow.turn import Turn
from referral_engine.journal.rows import EffectRow, EffectState
from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import OVER, Appointment, Closure, Outreach

_NOT_AWAITED: Final = OVER | {Closure.CANCEL_REQUESTED}
DAY: Final = 86_400 * MICROSECONDS
REFERRALS_MAX: Final = 50  # of one patient, whose texts are counted together


def may_leave(turn: Turn, row: EffectRow) -> bool:
    """True for whoever is no patient; a patient's text is sent, cancelled or put off until a cap allows it."""
    if row.recipient != Recipient.PATIENT.value:
        return True
    referral = turn.unit.referral(row.referral)
    assert referral is not None, "a sending belongs to a stored referral"
    if referral.outreach is Outreach.OPTED_OUT or referral.patient.deceased:
        return _not_now(turn, row, EffectState.CANCELLED, 0, "withdrawn: the patient must not be written to")
    if row.purpose == Purpose.REMINDER.value and referral.appointment is not Appointment.BOOKED:
        return _not_now(turn, row, EffectState.CANCELLED, 0, "withdrawn: nothing is booked any more")
    if _is_out_of_date(turn, referral, row):
        return _not_now(turn, row, EffectState.CANCELLED, 0, "withdrawn: what it says holds no more")
    free_at = _free_at(turn, referral, row.id)
    if free_at > turn.now_micros:
        return _not_now(turn, row, EffectState.QUEUED, free_at, "put off: the patient was written to often enough")
    again_at = to_micros(
        after_quiet_hours(turn, referral, turn.now)
    )  # it was owed by day, and nobody was here until now
    if again_at > turn.now_micros:
        return _not_now(turn, row, EffectState.QUEUED, again_at, "put off: patients are not written to at this hour")
    return True


def _is_out_of_date(turn: Turn, referral: Referral, row: EffectRow) -> bool:
    """Whether a text that was put off, or is tried again, speaks of another time, or of a visit nobody awaits."""
    if referral.closure in _NOT_AWAITED:
        return True
    if row.purpose == Purpose.ATTENDED_PROMPT.value and referral.appointment is not Appointment.PASSED:
        return True
    slot = referral.slot
    if slot is not None and row.purpose == Purpose.REMINDER.value and slot.starts_at <= turn.now:
        return True
    return (
        slot is not None and referral.appointment is Appointment.BOOKED and row.created_at < to_micros(slot.booked_at)
    )


def _not_now(turn: Turn, row: EffectRow, state: EffectState, again_at: int, reason: str) -> bool:
    turn.unit.settle(row.id, row.token, state, turn.now_micros, again_at, reason)
    turn.audit("door", "held back", f"effect {row.id}", reason)
    return False


def _free_at(turn: Turn, referral: Referral, number: int) -> int:
    """When the caps allow the next text to this patient, over all of the patient's referrals; 0 for now."""
    limits = courtesy(turn, referral)
    found = {referral.id}
    for known in referral.patient.ids:
        if known.authority:
            found.update(turn.unit.patients(known.value, known.authority)[:REFERRALS_MAX])
    since = turn.now_micros - 7 * DAY
    sent = sorted(at for identity in found for at in turn.unit.lately(identity, PATIENT, since, number))
    today = [at for at in sent if at > turn.now_micros - DAY]
    return max(
        _after(today, limits.per_day, DAY, turn.now_micros), _after(sent, limits.per_week, 7 * DAY, turn.now_micros)
    )


def _after(sent: list[int], cap: int, span: int, now: int) -> int:
    """When one more fits under a cap of so many in a span; 0 for now.  A cap of none is asked again later."""
    if cap == 0:
        return now + span
    return sent[-cap] + span if len(sent) >= cap else 0
