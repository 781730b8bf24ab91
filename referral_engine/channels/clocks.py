"""[sla] tables to the clocks of the loop, laid over those already in force, and what two clocks disagree about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple

from referral_engine.channels.shape import Setting, Table, Unfit, found
from referral_engine.channels.words import duration
from referral_engine.loop.policy import Clocks, Duration, Kind, Row, Stages, Unit
from referral_engine.loop.states import Network, Urgency

Cell = tuple[Kind, Urgency, Network]  # one length, or the stages of one clock


class Rows(NamedTuple):
    """Every clock of LOOP section 4 as some files decide it."""

    clocks: Clocks
    networks: Mapping[Network, Clocks]  # rows that hold in one network only, in place of those of `clocks`
    origins: Mapping[Cell, str] = MappingProxyType({})  # the line that decided; built-in lengths have none


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
_WHERE: Final[Mapping[Network, str]] = {Network.IN: " in network", Network.OUT: " out of network"}
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


def read_clocks(table: Table, base: Rows) -> Rows:
    """`base` with every clock of an [sla] table laid over it, and over that those of its [sla.in] and [sla.out].

    A clock written here takes the place of whatever `base` said of it for either network: the nearer file counts.
    """
    clocks, networks = dict(base.clocks), {network: dict(rows) for network, rows in base.networks.items()}
    origins = dict(base.origins)
    for key in [key for key in table.tree if key in SLA_WORDS]:
        kind, origin = SLA_WORDS[key], table.origin_of(key)
        whole, said = clocks[kind], _said(table, key)
        clocks[kind] = read_lengths(table, key, whole)
        for rows in networks.values():
            if kind in rows:  # what the wider file said of one network holds where this one says nothing
                rows[kind] = _laid(rows[kind], clocks[kind], said)
        origins.update({(kind, urgency, network): origin for urgency in said for network in Network})
    table.known.extend(SLA_WORDS)
    if "sla" not in table.page.troubled:
        _complain_of_order(table, clocks, "")
    for network in Network:
        own = table.table(network.value)
        if own is not None:
            networks[network] = _of_network(own, network, clocks, networks.get(network, {}), origins)
    return Rows(clocks, {network: rows for network, rows in networks.items() if rows}, origins)


def _of_network(
    table: Table, network: Network, clocks: Clocks, base: Clocks, origins: dict[Cell, str]
) -> dict[Kind, Row]:
    """The rows that hold in one network only: `base` with an [sla.in] or [sla.out] laid over it."""
    rows = dict(base)
    for key in [key for key in table.tree if key in SLA_WORDS]:
        kind = SLA_WORDS[key]
        row = read_lengths(table, key, rows.get(kind, clocks[kind]))
        if _is_nearer(table, key):
            continue
        rows[kind] = row
        origins.update({(kind, urgency, network): table.origin_of(key) for urgency in _said(table, key)})
    table.known.extend(SLA_WORDS)
    if "sla" not in table.page.troubled:
        _complain_of_order(table, {**clocks, **rows}, _WHERE[network])
    table.close()
    return rows


def _is_nearer(table: Table, key: str) -> bool:
    """Whether the file itself writes a clock in [sla] that only the defaults lent to it write for one network."""
    page, place = table.page, (*table.place[:-1], key)
    lent = page.whose((*table.place, key)) is not page.source
    return lent and bool(page.line_of(place)) and page.whose(place) is page.source


def _said(table: Table, key: str) -> tuple[Urgency, ...]:
    """Of which urgencies a line speaks: { urgent = "1 day" } leaves the other as it was."""
    value = table.tree[key]
    return tuple(one for one in Urgency if not isinstance(value, dict) or one.value in value)


def _laid(below: Row, above: Row, said: Sequence[Urgency]) -> Row:
    """One row over another, of the urgencies that were spoken of."""
    routine, urgent = (
        over if urgency in said else under for urgency, under, over in zip(Urgency, below, above, strict=True)
    )
    return routine, urgent


def clock_settings(rows: Rows) -> Iterator[Setting]:
    """Every clock in force with the line that decided it, for `config`; a row for each network where they differ."""
    for kind in rows.clocks:
        key, both = f"sla.{kind.value}", [_settings_of(rows, kind, network) for network in Network]
        if both[0] == both[1]:
            yield from (Setting(key=key + more, value=value, origin=origin) for more, value, origin in both[0])
            continue
        for network, settings in zip(Network, both, strict=True):
            for more, value, origin in settings:
                yield Setting(key=f"{key}.{network.value}{more}", value=value, origin=origin)


def _settings_of(rows: Rows, kind: Kind, network: Network) -> list[tuple[str, str, str]]:
    """What is behind the key, the value and the origin: one line, or one an urgency where two lines decided."""
    row = rows.networks.get(network, {}).get(kind, rows.clocks[kind])
    told = [(one, ", ".join(map(str, stages))) for one, stages in zip(Urgency, row, strict=True)]
    origins = [rows.origins.get((kind, one, network), "default") for one, _ in told]
    if origins[0] == origins[1]:
        return [("", "; ".join(f"{one.value} {lengths}" for one, lengths in told), origins[0])]
    return [(f".{one.value}", lengths, origin) for (one, lengths), origin in zip(told, origins, strict=True)]


def with_length(rows: Rows, kind: Kind, length: Duration, origin: str) -> Rows:
    """The same with one length of a clock for every referral, decided by another line."""
    clocks = {**rows.clocks, kind: ((length,), (length,))}
    networks = {
        network: {one: row for one, row in own.items() if one is not kind} for network, own in rows.networks.items()
    }
    cells = dict.fromkeys([(kind, urgency, network) for urgency in Urgency for network in Network], origin)
    return Rows(clocks, networks, {**rows.origins, **cells})


def row_of(settings: Iterable[Setting], kind: Kind, urgency: Urgency, network: Network) -> Setting | None:
    """The setting that decided one clock of a referral of this urgency and network; None when no file did."""
    key = f"sla.{kind.value}"
    said = {one.key: one for one in settings if one.key.startswith(key)}
    ways = (f".{network.value}.{urgency.value}", f".{network.value}", f".{urgency.value}", "")
    return next((said[key + way] for way in ways if key + way in said), None)


def read_lengths(table: Table, key: str, base: Row) -> Row:
    """One text or list for both urgencies, or { routine = ..., urgent = ... }; `base` where it is not written."""
    table.known.append(key)
    value = table.tree.get(key)
    if value is None:
        return base
    kind = SLA_WORDS.get(key)
    if isinstance(value, dict):
        inner = table.table(key)
        assert inner is not None, "a table was just seen"
        routine = _stages(inner, Urgency.ROUTINE.value, kind, base[0])
        urgent = _stages(inner, Urgency.URGENT.value, kind, base[1])
        inner.close()
        return routine, urgent
    both = _stages(table, key, kind, base[0])
    return both, both


def _stages(table: Table, key: str, kind: Kind | None, base: Stages) -> Stages:
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
    table.page.noting, noting = False, table.page.noting  # `clock_settings` tells them all
    stages = table.several(key, duration, base)
    table.page.noting = noting
    if any(not_shorter(one, other) for one, other in pairwise(stages)):
        table.complain(key, "CH305", f'"{key}": a later stage comes before an earlier one', "write the shortest first")
    return stages or base


def _complain_of_list(values: list[object], kind: Kind | None) -> None:
    """Whether a clock may have that many stages; raises Unfit."""
    if not values:
        raise Unfit("CH214", "the list is empty")
    if len(values) > 1 and kind not in STAGED:
        raise Unfit("CH103", "expected one length of time, found a list of several", "only note-ping has stages")
    if len(values) > STAGES_MAX:
        raise Unfit("CH206", f"must have at most {STAGES_MAX} stages")


def _complain_of_order(table: Table, clocks: Clocks, where: str) -> None:
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
                    f"both for {urgency.value} referrals{where}",
                )
                break
