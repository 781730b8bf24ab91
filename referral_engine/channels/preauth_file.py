"""conf/preauth.toml to the pre-authorization table; rules that nothing decides between are reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, get_args

from referral_engine.base.errors import Problem
from referral_engine.channels import words
from referral_engine.channels.channel import Channel
from referral_engine.channels.clocks import not_shorter
from referral_engine.channels.feed import Feed
from referral_engine.channels.preauth import (
    DEFAULT_REMIND_AFTER,
    Notify,
    Preauthorization,
    PreauthRow,
    PreauthRule,
    Which,
)
from referral_engine.channels.shape import UNFIT_ELEMENTS_MAX, Page, Table, nearest
from referral_engine.loop.policy import Duration, HoldRule
from referral_engine.loop.states import Network

ROWS_MAX: Final = 2_000  # every pair is compared once

_RULES: Final[Mapping[str, HoldRule]] = {rule.value: rule for rule in HoldRule}
_NETWORKS: Final[Mapping[str, Network]] = {network.value: network for network in Network}
_WHICH: Final[Mapping[str, Which]] = {word: word for word in get_args(Which)}
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
        insurance=table.take("insurance", words.word(_WHICH), "primary"),
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
    if row.insurance == "any" and not (row.payers or row.plans):
        hint = "name a payer or a plan, or leave this line out"
        table.complain("insurance", "CH251", "a rule that names no payer and no plan looks at no insurance", hint)
    if rule is HoldRule.SEND:
        for key in [one for one in ("remind_after", "billing_after", "notify") if one in table.tree]:
            hint = 'leave this line out, or write rule = "hold"'
            table.complain(key, "CH252", f'"{key}" of a rule that holds nothing decides nothing', hint)
    table.close()
    return row


def unused_rules(
    page: Page, preauth: Preauthorization, channels: Sequence[Channel], feeds: Sequence[Feed]
) -> Iterator[Problem]:
    """A rule for a specialty that no order can have: it would never hold anything back."""
    known = {channel.specialty for channel in channels} | {one for feed in feeds for one in feed.specialties.values()}
    for number, row in enumerate(preauth.rows) if known else ():
        unknown = [specialty for specialty in dict.fromkeys(row.specialties) if specialty not in known]
        for specialty in unknown[:UNFIT_ELEMENTS_MAX]:
            near = nearest(specialty, sorted(known))
            hint = f'did you mean "{near}"?' if near else f"there are {', '.join(sorted(known))}"
            sentence = f'no feed and no channel gives an order the specialty "{specialty}"'
            yield page.problem(("rule", number, "specialty"), "CHW16", sentence, hint, warning=True)


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
    alike = one.network is other.network and one.insurance == other.insurance
    return alike and all((not a and not b) or bool(set(a) & set(b)) for a, b in columns)
