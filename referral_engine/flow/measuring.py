"""The measures of LOOP section 6 that a made-up quarter can tell: referrals as they stand in, numbers out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from referral_engine.flow.figures import Measure
from referral_engine.loop.referral import Finality, Referral
from referral_engine.loop.states import SEEN, Appointment, Closure

MONTH: Final = timedelta(days=30)
WEEK: Final = timedelta(days=7)
_DAY: Final = timedelta(days=1)
_FINISHED: Final = frozenset({Finality.FINAL, Finality.CORRECTED})


def measures(
    referrals: Sequence[Referral], open_at_month: Sequence[bool], end: datetime, worked: frozenset[str], tasks: int
) -> tuple[Measure, ...]:
    """Every measure.

    open_at_month: of each referral that became thirty days old, whether it was open then. end: when the quarter is
    over. worked: the referrals that a task was opened for. tasks: how many tasks there were.
    """
    week_old = [one for one in referrals if one.order.ordered_at + WEEK <= end]
    month_old = [one for one in referrals if one.order.ordered_at + MONTH <= end]
    visits = [one for one in referrals if one.slots and one.slots[0].starts_at <= end]
    seen = [one for one in referrals if one.appointment in SEEN or _noted(one)]
    return (
        _share("open at 30 days", open_at_month, target="< 10"),
        _mean("order to note", (_days(one.order.ordered_at, _noted(one)) for one in referrals), target="< 7"),
        _share("scheduled within 7 days", [_booked_in_a_week(one) for one in week_old], target="> 70"),
        _share("exception rate", [one.id in worked for one in referrals], target="< 15"),
        _share("no-show rate", [one.moments.no_show_at is not None for one in visits]),
        _share("note return rate", [_noted(one) is not None for one in seen]),
        _share("closed-loop rate, of those 30 days old", [one.closure is Closure.CLOSED for one in month_old]),
        _share("leakage: ended without a note", [one.ending is not None and not _noted(one) for one in month_old]),
        _mean("order to packet received", (_days(one.order.ordered_at, one.moments.received_at) for one in referrals)),
        _mean("order to booking", (_days(one.order.ordered_at, _first_booked(one)) for one in referrals)),
        _mean("visit to note", (_days(_visited(one), _noted(one)) for one in referrals)),
        _mean("tasks a referral", [tasks / len(referrals)] * len(referrals) if referrals else [], unit="tasks"),
    )


def _share(name: str, held: Sequence[bool], *, target: str = "") -> Measure:
    value = round(100 * sum(held) / len(held), 1) if held else None
    return Measure(name=name, value=value, of=len(held), unit="%", target=target)


def _mean(name: str, values: Iterable[float | None], *, unit: str = "days", target: str = "") -> Measure:
    known = [one for one in values if one is not None]
    value = round(sum(known) / len(known), 2) if known else None
    return Measure(name=name, value=value, of=len(known), unit=unit, target=target)


def _days(begins: datetime | None, ends: datetime | None) -> float | None:
    return None if begins is None or ends is None else max(ends - begins, timedelta()) / _DAY


def _noted(one: Referral) -> datetime | None:
    return min((note.at for note in one.documents if note.finality in _FINISHED), default=None)


def _first_booked(one: Referral) -> datetime | None:
    return one.slots[0].booked_at if one.slots else None


def _booked_in_a_week(one: Referral) -> bool:
    booked = _first_booked(one)
    return booked is not None and booked <= one.order.ordered_at + WEEK


def _visited(one: Referral) -> datetime | None:
    slot = one.slot
    return slot.starts_at if slot is not None and one.appointment is not Appointment.NO_SHOW else None
