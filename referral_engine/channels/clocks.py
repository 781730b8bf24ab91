"""[sla] tables to the clocks of the loop, laid over those already in force, and what two clocks disagree about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from referral_engine.channels.engine import Clocks
from referral_engine.channels.shape import Setting, Table, Unfit, found
from referral_engine.channels.words import duration
from referral_engine.loop.policy import Duration, Kind, Unit
from referral_engine.loop.states import Urgency

Stages = tuple[Duration, ...]
Row = tuple[Stages, Stages]  # routine, urgent

STAGED: Final = frozenset({Kind.NOTE_PING})  # may have several lengths; every other clock runs once
STAGES_MAX: Final = 8
SLA_WORDS: Final[Mapping[str, Kind]] = {kind.value: kind for kind in Kind} | {
    "attended": Kind.ATTENDED,  # for the quotes that "attended?" needs
    "attended-late": Kind.ATTENDED_LATE,
}
IN_ORDER: Final = (  # the first must be shorter than the second
    (Kind.PATIENT_PROMPT, Kind.PATIENT_PROMPT_LATE),
    (Kind.SCHEDULE, Kind.OPEN_30),
    (Kind.REMIND_24H, Kind.REMIND_72H),
    (Kind.NOTE_REQUEST, Kind.NOTE_PHYSICIAN),
    (Kind.HOLD_REMIND, Kind.HOLD_BILLING),
)
# Days and hours of a week with five open days of nine hours: only for comparing, never for a due time.
_ROUGH_SECONDS: Final[Mapping[Unit, float]] = {
    Unit.SECONDS: 1,
    Unit.MINUTES: 60,
    Unit.HOURS: 3600,
    Unit.DAYS: 86_400,
    Unit.BUSINESS_HOURS: 86_400 * 7 / 45,
    Unit.BUSINESS_DAYS: 86_400 * 7 / 5,
}


def rough_seconds(length: Duration) -> float:
    """About how long; only for comparing two lengths of different units."""
    return length.amount * _ROUGH_SECONDS[length.unit]


def not_shorter(one: Duration, other: Duration) -> bool:
    """Whether `one` is surely not shorter than `other`."""
    if one.unit is other.unit:
        return one.amount >= other.amount
    return rough_seconds(one) > rough_seconds(other)


def read_clocks(table: Table, base: Clocks) -> Clocks:
    """`base` with every clock of an [sla] table laid over it."""
    clocks = dict(base)
    for key, value in table.tree.items():
        if key not in SLA_WORDS:
            continue
        kind = SLA_WORDS[key]
        table.known.append(key)
        clocks[kind] = _row(table, key, value, clocks[kind])
    table.known.extend(SLA_WORDS)
    if "sla" not in table.page.troubled:
        _complain_of_order(table, clocks)
    return clocks


def clock_settings(clocks: Clocks, origins: Mapping[Kind, str]) -> Iterator[Setting]:
    """Every clock in force, for `config`."""
    for kind, (routine, urgent) in clocks.items():
        words = f"routine {', '.join(map(str, routine))}; urgent {', '.join(map(str, urgent))}"
        yield Setting(key=f"sla.{kind.value}", value=words, origin=origins.get(kind, "default"))


def clock_origins(table: Table) -> Mapping[Kind, str]:
    """Where each clock of an [sla] table was decided."""
    file = table.page.source.file
    return {SLA_WORDS[key]: f"{file}:{table.line_of(key)}" for key in table.tree if key in SLA_WORDS}


def _row(table: Table, key: str, value: object, base: Row) -> Row:
    """One text or list for both urgencies, or { routine = ..., urgent = ... }."""
    if isinstance(value, dict):
        inner = table.table(key)
        assert inner is not None, "a table was just seen"
        routine = _stages(inner, Urgency.ROUTINE.value, SLA_WORDS[key], base[0])
        urgent = _stages(inner, Urgency.URGENT.value, SLA_WORDS[key], base[1])
        inner.close()
        return routine, urgent
    both = _stages(table, key, SLA_WORDS[key], base[0])
    return both, both


def _stages(table: Table, key: str, kind: Kind, base: Stages) -> Stages:
    """One length, or several of a staged clock."""
    value = table.tree.get(key, base)
    if isinstance(value, list):
        try:
            _complain_of_list(value, kind)
        except Unfit as unfit:
            table.known.append(key)
            table.complain(key, unfit.code, f'"{key}": {unfit.sentence}', unfit.hint)
            return base
    elif not isinstance(value, str | tuple):
        table.known.append(key)
        table.complain(key, "CH103", f'"{key}": expected a length of time in quotes, found {found(value)}')
        return base
    before = len(table.page.settings)
    stages = table.several(key, duration, base)
    del table.page.settings[before:]  # `clock_settings` tells them all
    if any(not_shorter(one, other) for one, other in pairwise(stages)):
        table.complain(key, "CH305", f'"{key}": a later stage comes before an earlier one', "write the shortest first")
    return stages or base


def _complain_of_list(values: list[object], kind: Kind) -> None:
    """Whether a clock may have that many stages; raises Unfit."""
    if not values:
        raise Unfit("CH214", "the list is empty")
    if len(values) > 1 and kind not in STAGED:
        raise Unfit("CH103", "expected one length of time, found a list of several", "only note-ping has stages")
    if len(values) > STAGES_MAX:
        raise Unfit("CH206", f"must have at most {STAGES_MAX} stages")


def _complain_of_order(table: Table, clocks: Clocks) -> None:
    """Two clocks of which the second cannot follow the first; only when this table wrote one of them."""
    written = {SLA_WORDS[key]: key for key in table.tree if key in SLA_WORDS}
    for first, second in IN_ORDER:
        key = written.get(second) or written.get(first)
        if key is None:
            continue
        for urgency, earlier, later in zip(Urgency, clocks[first], clocks[second], strict=True):
            if not_shorter(earlier[-1], later[0]):
                table.complain(
                    key,
                    "CH305",
                    f'"{first.value}" ({earlier[-1]}) must be shorter than "{second.value}" ({later[0]})',
                    f"both for {urgency.value} referrals",
                )
                break
