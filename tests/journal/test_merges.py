"""Record numbers that are one person: chains, circles, undone edges, and no cost while there are none.  # H083, H128"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from referral_engine.base.errors import Altered, JournalError
from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.journal.journal import Journal
from referral_engine.journal.merges import ALIASES_MAX, EDGES_MAX
from referral_engine.journal.rows import MergeRow
from referral_engine.journal.unit import Unit
from tests.journal.made import KEY, in_memory
from tests.journal.test_decisions import breaks


def an_edge(survivor: str, retired: str, **changes: object) -> MergeRow:
    row = MergeRow(
        id=0,
        kind="merge",
        survivor=survivor,
        survivor_authority="HOSP",
        retired=retired,
        retired_authority="HOSP",
        message=7,
        at=5,
    )
    return replace(row, **changes)


def joined(journal: Journal, *pairs: str) -> list[int]:
    """An edge for each "survivor<retired"; their numbers."""
    with journal.batch(5) as unit:
        return [unit.add_merge(an_edge(*pair.split("<"))) for pair in pairs]


def others(unit: Unit, value: str, authority: str = "HOSP") -> list[str]:
    return [one.value.reveal() for one in unit.aliases(Phi(value), authority)]


def test_an_edge_comes_back_from_both_its_ends_and_from_its_message() -> None:
    journal = in_memory()
    (number,) = joined(journal, "2<1")

    with journal.batch(6) as unit:
        edge = unit.merge(number)

        assert edge == an_edge("2", "1", id=number)
        assert unit.merges("1", "HOSP") == unit.merges(Phi("2"), "HOSP") == unit.merges_of_message(7) == (edge,)
        assert unit.merges("1", "LAB") == ()
        assert unit.merge(99) is None
    assert journal.read().merges() == (edge,)


def test_a_chain_leads_from_every_number_to_all_others_near_ones_first() -> None:
    journal = in_memory()
    joined(journal, "2<1", "3<2", "4<3")

    with journal.batch(6) as unit:
        assert others(unit, "1") == ["2", "3", "4"]
        assert others(unit, "3") == ["2", "4", "1"]
        assert others(unit, "9") == []


def test_a_circle_of_merges_ends() -> None:
    journal = in_memory()
    joined(journal, "2<1", "3<2", "1<3")

    with journal.batch(6) as unit:
        assert sorted(others(unit, "1")) == ["2", "3"]


def test_a_number_of_another_authority_is_another_number() -> None:
    journal = in_memory()
    with journal.batch(5) as unit:
        unit.add_merge(an_edge("1", "1", retired_authority="LAB"))

        assert [(one.value.reveal(), one.authority) for one in unit.aliases(Phi("1"), "HOSP")] == [("1", "LAB")]
        assert others(unit, "1", "CLINIC") == []


def test_an_undone_edge_leads_nowhere_and_is_marked_once() -> None:
    journal = in_memory()
    first, second = joined(journal, "2<1", "3<2")
    with journal.batch(8) as unit:
        unit.undo_merge(first, "user:jane", "two persons")
        unit.undo_merge(first, "user:joe", "again")

        assert others(unit, "1") == []
        assert others(unit, "2") == ["3"]
    newest, oldest = journal.read().merges()
    assert (newest.id, newest.undone_at) == (second, 0)
    assert (oldest.undone_at, oldest.undone_by, oldest.undone_reason) == (8, "user:jane", "two persons")


def test_while_there_is_no_edge_nothing_is_asked() -> None:
    journal = in_memory()
    asked: list[str] = []
    with journal.batch(5) as unit:
        others(unit, "1")
        journal._connection.set_trace_callback(asked.append)  # type: ignore[attr-defined]  # the driver's own

        assert others(unit, "1") == []
        assert unit.merges("1", "HOSP") == ()
        assert unit.merges_of_message(7) == ()

    assert not any("merges" in statement for statement in asked)


def test_an_edge_of_a_batch_that_was_rolled_back_is_forgotten() -> None:
    journal = in_memory()
    with pytest.raises(JournalError), journal.batch(5) as unit:
        breaks(lambda: [unit.add_merge(an_edge("2", "1")), others(unit, "1")])
    with journal.batch(6) as unit:
        assert others(unit, "1") == []
        assert unit.add_merge(an_edge("2", "1")) == 1


def test_edges_are_known_after_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    journal = Journal.open(path, KEY, node="K7QD", now=1)
    joined(journal, "2<1")
    journal.close()
    journal = Journal.open(path, KEY)

    with journal.batch(6) as unit:
        assert others(unit, "1") == ["2"]
    journal.close()


def test_a_number_that_everybody_was_merged_into_leads_to_a_few_and_no_further() -> None:
    journal = in_memory()
    joined(journal, *[f"0<{number}" for number in range(1, EDGES_MAX + 100)])

    with journal.batch(6) as unit:
        assert len(others(unit, "0")) == ALIASES_MAX
        assert len(unit.merges("0", "HOSP")) == EDGES_MAX


def test_an_edge_is_never_removed_and_an_altered_one_is_found() -> None:  # P16
    journal = in_memory()
    joined(journal, "2<1")

    with pytest.raises(dbapi2.IntegrityError, match="undone by a mark"):
        journal._connection.execute("DELETE FROM merges")
    journal._connection.execute("UPDATE merges SET survivor = '9'")
    with pytest.raises(Altered, match="merge 1"):
        journal.read().merges()
