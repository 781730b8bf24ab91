"""The loop's tables as rows a person can read: tracks, clocks, what a clock does; printed by `rules` and the README."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Final

from referral_engine.loop.clocks import CLOCKS, ClockRule, While
from referral_engine.loop.policy import DEFAULT_CLOCKS, Kind
from referral_engine.loop.tracks import OFF_PATH, TABLES

ON_PASSING: Final = {
    Kind.PATIENT_PROMPT: "prompt with scheduling link by SMS or portal, else task call-patient",
    Kind.PATIENT_PROMPT_LATE: "task call-patient",
    Kind.DELIVERED: "the next fallback transport if the channel has one, else task undeliverable",
    Kind.CONFIRM: "second notice to the specialist and task call-specialist",
    Kind.SCHEDULE: "task schedule, task message to the EHR, post to the team",
    Kind.OPEN_30: "task stale; again each period while open",
    Kind.REMIND_72H: "patient reminder",
    Kind.REMIND_24H: "patient reminder",
    Kind.VISIT_CHECK: "visit counted as passed; status check to the specialist",
    Kind.ATTENDED: "patient asked whether the visit took place, else task call-patient",
    Kind.ATTENDED_LATE: "task call-patient",
    Kind.NOTE_PING: (
        "status ping for the note; at the second also task chase-note; records request where notes = false"
    ),
    Kind.NOTE_WATCH: "unmatched documents of the patient matched again",
    Kind.NOTE_REQUEST: "records request to the specialist and task records-request",
    Kind.NOTE_PHYSICIAN: "ordering physician told: consider another specialist; task records-request",
    Kind.CLOSURE_ACCEPTED: "task undeliverable-ehr; again each period",
    Kind.HOLD_REMIND: "task preauth; again each period",
    Kind.HOLD_BILLING: "task billing and a notice to billing",
    Kind.AUTHORIZATION_ENDS: "authorization counted as expired; task preauth",
    Kind.CANCEL_CONFIRM: "task call-specialist; again each period",
    Kind.REBOOK: "task no-show-review",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A title, column heads and rows of text."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def rule_tables() -> tuple[Table, ...]:
    """Every table of the loop, tracks first."""
    return (*(_track(name) for name in TABLES), _clocks())


def _track(name: str) -> Table:
    """One track: a row a state, with every cause that leaves it and where to."""
    table = TABLES[name]
    sources = dict.fromkeys(source for source, _ in table)
    rows = []
    for source in sources:
        exits = (
            f"{cause.value} -> {target.value}{' *' if (source, cause) in OFF_PATH else ''}"
            for (start, cause), target in table.items()
            if start == source
        )
        rows.append((source.value, "; ".join(exits)))
    return Table(f"Track {name}", ("from", "cause -> to"), tuple(rows))


def _clocks() -> Table:
    rows = tuple(tuple(_clock(rule)) for rule in CLOCKS)
    return Table("Clocks", ("kind", "starts at", "runs while", "routine", "urgent", "when it passes"), rows)


def _clock(rule: ClockRule) -> Iterator[str]:
    yield rule.kind.value
    yield rule.start.value
    yield _while(rule.runs)
    for lengths in DEFAULT_CLOCKS[rule.kind]:
        yield ", ".join(str(length) for length in lengths)
    yield ON_PASSING[rule.kind]


def _while(runs: While) -> str:
    parts = []
    for one in fields(runs):
        states = getattr(runs, one.name)
        if states is None:
            continue
        every = type(next(iter(states)))
        missing = [state.value for state in every if state not in states]
        named = [state.value for state in every if state in states]
        words = f"not {'/'.join(missing)}" if len(missing) < len(named) else "/".join(named)
        parts.append(f"{one.name} {words}")
    return ", ".join(parts)


def as_markdown(tables: Iterable[Table]) -> str:
    """The tables for a README; `*` marks a row taken off the path."""
    blocks = []
    for table in tables:
        lines = [f"**{table.title}**", "", _line(table.heads), _line(tuple("---" for _ in table.heads))]
        lines += [_line(row) for row in table.rows]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n\n`*` is taken off the path and marked on the timeline.\n"


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
