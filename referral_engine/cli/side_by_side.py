"""Two answers of `simulate` beside each other: every number of both, the difference, and whether it got worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

from referral_engine.flow.figures import Figures, QueueWeek

Better = Literal["less", "more", ""]  # which way is better; "" is neither

_MORE_IS_BETTER: Final = frozenset({
    "scheduled within 7 days", "note return rate", "closed-loop rate, of those 30 days old",
})  # fmt: skip
_STATUSES: Final[Mapping[str, Better]] = {"closed": "more", "held": "less"}  # the others are on their way


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One number of both sides; None where a side has nothing to count."""

    part: str
    name: str
    here: float | None
    against: float | None
    difference: float | None
    worse: bool  # there, than here


def pairs(here: Figures, against: Figures) -> Iterator[Pair]:
    """Every number that both can be asked for, part by part."""
    yield _pair("orders", "messages that arrived", here.messages, against.messages, "")
    yield _pair("orders", "no channel takes it", here.unroutable, against.unroutable, "less")
    yield from _queues(here, against)
    yield from _counts("tasks opened", here.tasks, against.tasks, "less")
    ours = {kind: sum(weeks) for kind, weeks in here.escalations.items()}
    theirs = {kind: sum(weeks) for kind, weeks in against.escalations.items()}
    yield from _counts("escalations", ours, theirs, "less")
    sent, sent_there = ({f"{one.lane} {one.kind}": one.total for one in side.sendings} for side in (here, against))
    yield from _counts("sends", sent, sent_there, "")
    again, again_there = (sum(one.again for one in side.sendings) for side in (here, against))
    yield _pair("sends", "tried again", again, again_there, "less")
    for name, field in (
        ("messages", "messages"),
        ("most for one patient in a day", "most_in_a_day"),
        ("most for one patient in seven days", "most_in_a_week"),
    ):
        yield _pair("patients", name, getattr(here.patients, field), getattr(against.patients, field), "less")
    for status in sorted({*here.statuses, *against.statuses}):
        better: Better = _STATUSES.get(status, "")
        yield _pair(
            "referrals at the end", status, here.statuses.get(status, 0), against.statuses.get(status, 0), better
        )
    known = {one.name: one.value for one in against.measures}
    for one in here.measures:
        better = "more" if one.name in _MORE_IS_BETTER else "less"
        yield _pair("measures", f"{one.name}, {one.unit}", one.value, known.get(one.name), better)


def week_of(figures: Figures, queue: str, week: int) -> QueueWeek | None:
    """One queue in one week, from 1; None for a queue that had nothing to do at all."""
    return next((one for one in figures.queues if (one.queue, one.week) == (queue, week)), None)


def queues_of(*sides: Figures) -> list[str]:
    """Every queue of any side."""
    return sorted({one.queue for side in sides for one in side.queues})


def _queues(here: Figures, against: Figures) -> Iterator[Pair]:
    for queue in queues_of(here, against):
        ours, theirs = _in_all(here, queue), _in_all(against, queue)
        for name in ours:
            yield _pair("queues", f"{queue}: {name}", ours[name], theirs[name], "less")


def _in_all(figures: Figures, queue: str) -> dict[str, float | None]:
    """One queue over all weeks."""
    weeks = [one for week in range(1, len(figures.weeks) + 1) if (one := week_of(figures, queue, week))]
    return {
        "opened": sum(one.opened for one in weeks),
        "most open at the end of a week": max((one.open for one in weeks), default=0),
        "open at the end": weeks[-1].open if weeks else 0,
        "median age at the end, hours": weeks[-1].median_age_hours if weeks else None,
    }


def _counts(part: str, here: Mapping[str, int], against: Mapping[str, int], better: Better) -> Iterator[Pair]:
    for name in sorted({*here, *against}):
        yield _pair(part, name, here.get(name, 0), against.get(name, 0), better)


def _pair(part: str, name: str, here: float | None, against: float | None, better: Better) -> Pair:
    difference = None if here is None or against is None else round(against - here, 2)
    worse = bool(difference) and better != "" and (difference is not None) and (difference > 0) is (better == "less")
    return Pair(part=part, name=name, here=here, against=against, difference=difference, worse=worse)
