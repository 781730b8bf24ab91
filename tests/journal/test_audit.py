"""The audit only grows, and shows every change to it."""

from __future__ import annotations

import pytest
from sqlcipher3 import dbapi2

from referral_engine.journal.journal import Journal
from tests.journal.made import a_line, in_memory

# As somebody with the key and no respect would do it.
UNLOCKED = ("DROP TRIGGER audit_is_final", "DROP TRIGGER audit_stays", "DROP TRIGGER audit_is_a_chain")


def written(lines: int = 5) -> Journal:
    journal = in_memory()
    for number in range(1, lines + 1):
        with journal.batch(number) as unit:
            unit.audit(a_line(number))
    return journal


def test_a_chain_across_batches_is_whole() -> None:
    journal = written()

    assert journal.read().first_bad_audit_line() is None
    with journal.batch(9) as unit:
        unit.audit(a_line(6))
        unit.audit(a_line(7))
        assert unit.verify_audit() is None


def test_a_journal_without_a_line_is_whole() -> None:
    assert in_memory().read().first_bad_audit_line() is None


@pytest.mark.parametrize(
    ("edit", "first_bad"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE sequence = 3", 3),
        ("UPDATE audit SET at = at + 1 WHERE sequence = 1", 1),
        ("UPDATE audit SET outcome = 'x' WHERE sequence = 5", 5),
        ("UPDATE audit SET hash = zeroblob(32) WHERE sequence = 2", 2),
        ("DELETE FROM audit WHERE sequence = 2", 2),
        ("DELETE FROM audit WHERE sequence = 5", 5),
        ("DELETE FROM audit", 1),
        ("INSERT INTO audit SELECT 6, at, actor, action, object, outcome, hash, hash FROM audit WHERE sequence = 5", 6),
    ],
)
def test_an_edit_is_found(edit: str, first_bad: int) -> None:
    journal = written()
    for statement in (*UNLOCKED, edit):
        journal._connection.execute(statement)

    assert journal.read().first_bad_audit_line() == first_bad


@pytest.mark.parametrize("statement", ["DELETE FROM audit WHERE sequence = 5", "UPDATE audit SET at = 0"])
def test_the_table_itself_refuses_edits(statement: str) -> None:
    journal = written()

    with pytest.raises(dbapi2.Error, match="the audit only grows"):
        journal._connection.execute(statement)


def test_the_table_itself_refuses_a_line_that_is_not_the_next() -> None:
    journal = written()

    with pytest.raises(dbapi2.Error, match="the audit is one chain"):
        journal._connection.execute("INSERT INTO audit VALUES (6, 1, 'a', 'b', 'c', '', zeroblob(32), zeroblob(32))")
