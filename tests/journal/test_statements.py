"""The statements: each finds its rows by an index, and none is compiled twice."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import referral_engine.journal as package
from referral_engine.journal.rows import BindingKind, EffectState
from referral_engine.loop.referral import Identifier
from tests.journal.made import (
    a_deadline,
    a_key,
    a_line,
    a_message,
    a_referral,
    a_task,
    an_effect,
    an_event,
    in_memory,
)

# These walk a whole table in its own order and stop at their limit, or are asked for by `verify` only.
WALKS = {
    "_NEWEST",  # the newest rows of a lane, a fixed number
    "_SUSPECTS",  # the few messages the engine stopped with
    "_REFERRALS",
    "_MERGES",
    "_KNOWN",  # the values that are asked about
    "_MESSAGES",
    "_MESSAGES_OF",
    "_OUTBOX",
    "_ALL_TASKS",
    "_SUMS",
    "_STATUS",
    "_TALLIES",
    "_COUNTED",
    "_NEWEST_VERSION",
    "VERSIONS",
    "_MISSING",
    "_EVERY_REFERRAL",  # of a journal in memory, when a replay is over
    "_EVERY_CLOCK",
    "_EVERY_TASK",
    "_EVERY_SENDING",
    "_EVERY_EVENT",
    "_EVERY_MESSAGE",
}


def statements() -> list[tuple[str, str]]:
    """Every statement of the journal that looks for rows, by its constant's name."""
    found = []
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("schema_"):  # a step of the schema walks every row once
            continue
        for name, value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).items():
            texts = value.values() if isinstance(value, dict) else [value]
            found += [
                (name, text)
                for text in texts
                if isinstance(text, str) and re.match(r"\s*(SELECT|UPDATE|DELETE)\b", text)
            ]
    return [(name, text) for name, text in found if "sqlite_master" not in text]


@pytest.mark.parametrize(("name", "statement"), statements(), ids=lambda value: value if value[0] == "_" else "")
def test_no_statement_walks_a_whole_table(name: str, statement: str) -> None:
    journal = in_memory()
    values = max([int(number) for number in re.findall(r"\?(\d+)", statement)] or [statement.count("?")])

    plan = journal._connection.execute(f"EXPLAIN QUERY PLAN {statement}", (None,) * values).fetchall()

    walks = [step[3] for step in plan if re.match(r"SCAN (?!CONSTANT|\(subquery|\w+ USING)", step[3])]
    assert not walks or name in WALKS, walks


def test_no_statement_of_the_path_is_compiled_again() -> None:
    journal = in_memory()
    compiled: list[object] = []

    def one_turn(number: int) -> None:
        referral = f"K7QD-{number:04}"
        with journal.batch(number) as unit:
            first, second = unit.next_sequence(), unit.next_sequence()
            unit.look_ahead([a_key(b"MSG%d" % first)], [("placer", f"P{number}")])
            unit.earlier(a_key(b"MSG%d" % first))
            unit.bound(BindingKind.PLACER, f"P{number}", "EHR")
            unit.add_message(a_message(first, referral=referral))
            unit.save_referral(a_referral(referral), number, new=True)
            unit.add_event(an_event(second, referral))
            unit.bind(BindingKind.PLACER, Identifier(value=f"P{number}", authority="EHR"), referral)
            unit.change_deadlines(referral, [a_deadline(referral=referral, due_at=number)], [("stale", 1)])
            for row in unit.due(number, 10):
                unit.fire(row, second)
            unit.owe(an_effect(1, cause=second, referral=referral))
            unit.withdraw(referral, frozenset({"prompt"}), number, "")
            for row in unit.claim("ehr", 10**9, 60, 5):
                unit.settle(row.id, row.token, EffectState.DELIVERED, number)
            unit.open_task(a_task(referral=referral))
            unit.close_tasks(referral, frozenset({"call-patient"}), number, "")
            unit.parked(BindingKind.PLACER, f"P{number}")
            unit.audit(a_line(number))
        with journal.batch(number) as unit:
            unit.save_referral(a_referral(referral, channel="other"), number, new=False)
            unit.message(first)

    journal._connection.set_authorizer(lambda *what: compiled.append(what) or 0 if what[1] != "wal_checkpoint" else 0)
    for number in range(1, 4):
        one_turn(number)
    compiled.clear()
    for number in range(4, 8):
        one_turn(number)

    assert compiled == []
