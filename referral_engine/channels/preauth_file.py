"""conf/preauth.toml to the pre-authorization table; rules that nothing decides between are reported."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Final

from referral_engine.channels import words
from referral_engine.channels.clocks import not_shorter
from referral_engine.channels.preauth import DEFAULT_REMIND_AFTER, Notify, Preauthorization, PreauthRow, PreauthRule
from referral_engine.channels.shape import Page, Table
from referral_engine.loop.policy import Duration, HoldRule
from referral_engine.loop.states import Network

ROWS_MAX: Final = 2_000  # every pair is compared once

_RULES: Final[Mapping[str, HoldRule]] = {rule.value: rule for rule in HoldRule}
_NETWORKS: Final[Mapping[str, Network]] = {network.value: network for network in Network}
_NOTIFY: Final[Mapping[str, Notify]] = {"ordering-provider": "ordering-provider"}


def read_preauth(page: Page) -> Preauthorization:
    """Every [[rule]]; a file without any sends everything at once."""
    tables = page.top.tables("rule")
    page.top.close()
    if len(tables) > ROWS_MAX:
        page.complain(("rule", ROWS_MAX), "CH206", f"at most {ROWS_MAX} rules, this file has {len(tables)}")
        tables = tables[:ROWS_MAX]
    rows = tuple(_row(table) for table in tables)
    for (one, first), (_, second) in combinations(enumerate(rows), 2):
        if _undecided(first, second):
            place = tables[rows.index(second, one + 1)].place
            page.complain(
                place,
                "CH314",
                f"this rule and the one in line {first.verdict.line} fit the same referral equally well",
                "make one of them narrower, or join them",
            )
    return Preauthorization(rows=rows, file=page.source.file)


def _row(table: Table) -> PreauthRow:
    """One [[rule]]."""
    rule = table.need("rule", words.word(_RULES), HoldRule.HOLD)
    billing: Duration | None = table.take("billing_after", words.duration, None)
    written: Duration | None = table.take("remind_after", words.duration, None)
    remind = written or DEFAULT_REMIND_AFTER
    notify: Notify = table.take("notify", words.word(_NOTIFY), "")
    if billing is not None and not_shorter(remind, billing):
        key = "remind_after" if "remind_after" in table.tree else "billing_after"
        table.complain(key, "CH302", f"the reminder ({remind}) comes after billing is told ({billing})")
    network: Network | None = table.take("network", words.word(_NETWORKS), None)
    line = _line(table)
    row = PreauthRow(
        specialties=table.several("specialty", words.name, ()),
        payers=_capitals(table.several("payer", words.some_text, ())),
        plans=_capitals(table.several("plan", words.some_text, ())),
        procedures=table.several("procedure", words.some_text, ()),
        diagnoses=table.several("diagnosis", words.some_text, ()),
        network=network,
        verdict=PreauthRule(
            rule=rule,
            billing_after=billing,
            remind_after=written,
            notify=notify,
            why=f"{table.page.source.file}:{line}",
            line=line,
        ),
    )
    table.close()
    return row


def _line(table: Table) -> int:
    """The line of the table's heading."""
    return table.page.line_of(table.place)


def _capitals(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Payers and plans are compared in capitals."""
    return tuple(text.upper() for text in texts)


def _undecided(one: PreauthRow, other: PreauthRow) -> bool:
    """Whether some referral fits both rows and neither is narrower."""
    columns = (
        (one.specialties, other.specialties),
        (one.payers, other.payers),
        (one.plans, other.plans),
        (one.procedures, other.procedures),
        (one.diagnoses, other.diagnoses),
    )
    return one.network is other.network and all((not a and not b) or bool(set(a) & set(b)) for a, b in columns)
