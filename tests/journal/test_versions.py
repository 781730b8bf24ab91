"""Versions of the configuration: numbered, whole, never changed, proved by their hashes, and found by hash and time."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from referral_engine.base.errors import Altered, JournalError
from referral_engine.base.values import replace
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import VersionRow
from referral_engine.journal.scrub import scrub
from referral_engine.loop.states import Closure
from tests.journal.made import KEY, a_referral, in_memory, with_referral
from tests.journal.test_decisions import breaks

FILES = {"conf/engine.toml": '# é, a quote " and a line end\r\n', "channels/x.toml": ""}


def a_version(config: str = "c1", at: int = 5, **changes: object) -> VersionRow:
    row = VersionRow(at=at, config=config, by="user:jane", action="reload", reason="new hours", files=FILES)
    return replace(row, **changes)


def stored(journal: Journal, *rows: VersionRow) -> list[int]:
    """Each in a batch of its own."""
    numbers = []
    for row in rows:
        with journal.batch(row.at) as unit:
            numbers.append(unit.add_version(row))
    return numbers


def test_a_version_comes_back_whole_and_a_list_of_them_without_its_files() -> None:
    journal = in_memory()

    assert stored(journal, a_version(forced=True, difference="--- a\n+++ b")) == [1]

    assert journal.read().version(1) == a_version(number=1, forced=True, difference="--- a\n+++ b")
    (line,) = journal.read().versions()
    assert line == a_version(number=1, forced=True, files={})
    assert journal.read().version(2) is None


def test_the_same_texts_again_get_a_new_number_and_the_newest_is_in_force() -> None:
    journal = in_memory()
    assert journal.read().version_in_force() is None

    assert stored(journal, a_version("c1", 5), a_version("c2", 6), a_version("c1", 7, action="rollback")) == [1, 2, 3]

    in_force = journal.read().version_in_force()
    assert in_force is not None
    assert (in_force.number, in_force.action) == (3, "rollback")
    assert [row.number for row in journal.read().versions(2)] == [3, 2]


def test_the_files_of_a_hash_are_those_of_its_newest_version() -> None:
    journal = in_memory()
    stored(journal, a_version("c1"), a_version("c2", files={"a": "1"}))

    with journal.batch(9) as unit:
        assert unit.version_files("c1") == FILES
        assert unit.version_files("c2") == {"a": "1"}
        assert unit.version_files("c3") is None
        newest = unit.newest_version()
    assert newest is not None
    assert (newest.number, newest.files) == (2, {})
    assert journal.read().version_files("c1") == FILES


def test_a_batch_that_was_rolled_back_leaves_no_version_and_no_number_behind() -> None:
    journal = in_memory()
    with pytest.raises(JournalError), journal.batch(5) as unit:
        breaks(lambda: unit.add_version(a_version()))

    assert stored(journal, a_version("c2")) == [1]


@pytest.mark.parametrize("statement", ["DELETE FROM versions", "UPDATE versions SET reason = 'another'"])
def test_a_version_stays(statement: str) -> None:
    journal = in_memory()
    stored(journal, a_version())

    with pytest.raises(dbapi2.IntegrityError, match="a version stays"):
        journal._connection.execute(statement)


@pytest.mark.parametrize(
    "change", ["config = 'c2'", "number = 7", "made_by = 'user:joe'", "difference = 'other'", "files = x'00'"]
)
def test_an_altered_version_is_found_when_it_is_read_and_when_it_is_scrubbed(change: str) -> None:  # P16
    journal = in_memory()
    stored(journal, a_version())
    journal._connection.execute("DROP TRIGGER versions_are_final")
    journal._connection.execute(f"UPDATE versions SET {change}")

    with pytest.raises(Altered, match="configuration"):
        journal.read().version(7 if "number" in change else 1)
    report = scrub(journal._connection)
    assert not report.whole
    assert report.bad[0].startswith("configuration"), report


def test_a_version_that_is_missing_is_found_by_the_scrub() -> None:
    journal = in_memory()
    stored(journal, a_version("c1"), a_version("c2"), a_version("c3"))
    assert scrub(journal._connection).whole
    journal._connection.execute("DROP TRIGGER versions_stay")
    journal._connection.execute("DELETE FROM versions WHERE number = 2")

    assert scrub(journal._connection).gaps == ("configuration 2",)


def test_versions_outlive_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    journal = Journal.open(path, KEY, node="K7QD", now=1)
    stored(journal, a_version())
    journal.close()

    journal = Journal.open(path, KEY)

    assert journal.read().version_files("c1") == FILES
    assert stored(journal, a_version("c2")) == [2]
    journal.close()


def test_what_decided_is_told_by_the_number_it_had_then() -> None:
    journal = in_memory()
    stored(journal, a_version("c1", 10), a_version("c2", 20), a_version("c1", 30))

    numbering = journal.read().numbering()

    assert [numbering.number("c1", at) for at in (10, 15, 29, 30, 99)] == [1, 1, 1, 3, 3]
    assert numbering.number("c1", 1) == 1, "the same texts, before the journal knew of versions"
    assert numbering.number("c2", 25) == 2
    assert numbering.latest("c1") == 3
    assert numbering.number("c9", 25) is None
    assert [numbering.in_force(at) for at in (10, 11, 20, 21, 99)] == [None, 1, 1, 2, 3]


def test_open_referrals_are_walked_in_portions_by_their_numbers() -> None:
    journal = in_memory()
    for number in range(1, 6):
        closed = {"closure": Closure.ENDED} if number == 2 else {}
        with_referral(journal, a_referral(f"K7QD-{number:04}", **closed))

    with journal.batch(9) as unit:
        first = unit.open_referrals("", 3)
        rest = unit.open_referrals(first.last, 3)

    assert (first.found, first.last, first.more) == (("K7QD-0001", "K7QD-0003"), "K7QD-0003", True)
    assert (rest.found, rest.last, rest.more) == (("K7QD-0004", "K7QD-0005"), "K7QD-0005", False)
    assert journal.read().open_referrals("K7QD-0005", 3).last == "K7QD-0005"
