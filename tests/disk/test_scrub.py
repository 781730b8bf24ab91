"""The scrub and the books: what was altered, removed or miscounted is named.

P3, P16; F-B10, F-J02; conservation.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from referral_engine.base.errors import JournalError
from referral_engine.journal.conservation import balance
from referral_engine.journal.database import open_database
from referral_engine.journal.journal import Journal
from referral_engine.journal.messages import MESSAGE_COLUMNS
from referral_engine.journal.rows import Disposition, EffectState
from referral_engine.journal.scrub import ROWS_A_TURN, Scrub, ScrubReport, damaged_pages, scrub
from tests.disk.given import by_hand, copied, fill, filled, take
from tests.flow.stage import BOOKING, NOTE, ORDER, arrived, door, sample
from tests.journal.made import KEY, a_key, a_line, a_message, in_memory
from tests.journal.test_decisions import a_decision
from tests.journal.test_merges import an_edge

KINDS = ["encrypted", "plain"]


@pytest.fixture(scope="module")
def full_of(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A filled journal, to be copied."""
    path = str(tmp_path_factory.mktemp("filled") / "journal.db")
    filled(path)
    return path


@pytest.fixture
def damaged(full_of: str, tmp_path: Path) -> Callable[..., Journal]:
    """A filled journal that somebody with the key altered."""
    return lambda *statements: altered(copied(full_of, tmp_path), *statements)


def altered(path: str, *statements: str) -> Journal:
    by_hand(path, *statements)
    return Journal.open(path, KEY)


def test_a_journal_that_nobody_touched_is_whole() -> None:
    journal = in_memory()
    fill(journal)

    report = scrub(journal._connection)

    assert report.whole, report
    assert report.tallies_checked
    assert report.rows > 40
    assert balance(journal._connection, deep=True).holds


def test_a_new_journal_is_whole() -> None:
    journal = in_memory()

    assert scrub(journal._connection).whole
    assert balance(journal._connection, deep=True).accounts == ()


@pytest.mark.parametrize(
    ("statement", "kind", "named"),
    [
        ("UPDATE messages SET disposition = 'needs-human' WHERE sequence = 7", "bad", "message 7"),
        ("UPDATE messages SET reason = 'made up' WHERE sequence = 1", "bad", "message 1"),
        ("UPDATE messages SET raw = raw || x'00' WHERE sequence = 7", "bad", "message 7"),
        ("UPDATE messages SET answer = x'00' WHERE sequence = 7", "bad", "message 7"),
        ("UPDATE messages SET received_at = received_at + 1 WHERE sequence = 7", "bad", "message 7"),
        ("UPDATE events SET summary = 'made up' WHERE sequence = 5", "bad", "event 5"),
        ("UPDATE events SET body = x'7b20' WHERE sequence = 5", "bad", "event 5"),
        ("UPDATE effects SET body = x'00' WHERE id = 2", "bad", "sending 2"),
        ("UPDATE effects SET wire_id = 'W0' WHERE id = 2", "bad", "sending 2"),
        ("UPDATE referrals SET state = replace(state, 'ANNA', 'HANNA') WHERE id = 'K7QD-0009'", "bad", "referral K7QD-0009"),
        ("UPDATE referrals SET status = 'closed' WHERE id = 'K7QD-0009'", "bad", "referral K7QD-0009"),
        ("DELETE FROM messages WHERE sequence = 7", "gaps", "number 7"),
        ("DELETE FROM messages WHERE sequence = 7", "audit", "line 4: messages 6-9 are not what was received"),
        ("DELETE FROM messages WHERE sequence = 7", "tallies", "lab received: 13 counted, 12 stored"),
        ("DELETE FROM events WHERE sequence = 5", "gaps", "number 5"),
        ("DELETE FROM effects WHERE id = 10", "gaps", "sending 10"),
        ("UPDATE instance SET audit_hash = zeroblob(32)", "audit", "line 20, which is not the last one written"),
        ("UPDATE tallies SET number = number + 1 WHERE state = 'applied' AND owner = 'lab'", "tallies", "lab applied: 14 counted, 13 stored"),
        ("UPDATE tallies SET number = 5 WHERE noun = 'received' AND owner = 'lab'", "tallies", "lab received: 5 counted, 13 stored"),
        ("UPDATE tallies SET number = 5 WHERE noun = 'effect'", "tallies", "ehr queued: 5 counted, 10 stored"),
    ],
)  # fmt: skip
def test_what_a_hand_altered_is_named(damaged: Callable[..., Journal], statement: str, kind: str, named: str) -> None:
    journal = damaged(statement)

    report = scrub(journal._connection)

    assert named in getattr(report, kind), report
    assert not report.whole
    journal.close()


def decided(path: str) -> None:
    """Decisions about three messages, and edges between numbers, in a filled journal; message 7 is reduced."""
    filled(path)
    journal = Journal.open(path, KEY)
    with journal.batch(10**6) as unit:
        for message in (7, 8, 12):
            unit.add_decision(a_decision(message))
        unit.add_decision(a_decision(8, referral="K7QD-0001"))
        for number in range(3):
            unit.add_merge(an_edge(f"{number + 1}", f"{number}"))
        unit.undo_merge(1, "user:jane", "two persons")
        unit.undo_decision(12, 0, "user:jane", "another")
        unit.purging.reduce([7], lambda raw: raw[:4], 10**6)
    assert scrub(journal._connection).whole
    journal.close()


@pytest.mark.parametrize(
    ("statements", "kind", "named"),
    [
        (["UPDATE decisions SET referral = 'K7QD-0005' WHERE message = 8"], "bad", "decision 8"),
        (["UPDATE decisions SET undone_at = 0 WHERE message = 12"], "bad", "decision 12"),
        (["UPDATE decisions SET body = x'00' WHERE message = 7"], "bad", "decision 7"),
        (["DROP TRIGGER decisions_stay", "DELETE FROM decisions WHERE message = 8 AND number = 1"],
         "gaps", "decision before number 2 about part 0 of message 8"),
        (["UPDATE merges SET retired = '9' WHERE id = 2"], "bad", "merge 2"),
        (["UPDATE merges SET undone_at = 0 WHERE id = 1"], "bad", "merge 1"),
        (["DROP TRIGGER merges_stay", "DELETE FROM merges WHERE id = 2"], "gaps", "merge 2"),
        (["UPDATE messages SET raw = x'4d' WHERE sequence = 7"], "bad", "message 7"),
        (["UPDATE messages SET purged_at = 0 WHERE sequence = 7"], "bad", "message 7"),
        (["UPDATE messages SET purged_at = 5 WHERE sequence = 8"], "bad", "message 8"),
    ],
)  # fmt: skip
def test_what_a_hand_altered_of_decisions_merges_and_reduced_messages_is_named(
    tmp_path: Path, statements: list[str], kind: str, named: str
) -> None:  # P16, P22
    path = str(tmp_path / "journal.db")
    decided(path)
    by_hand(path, *statements)
    connection = open_database(path, KEY)  # the journal itself refuses tables that were changed

    report = scrub(connection)

    assert named in getattr(report, kind), report
    assert not report.whole
    connection.close()


def test_a_message_put_in_the_place_of_another_is_found_though_its_row_fits_itself() -> None:
    # F-J02: with the key one may write a row and its hash anew, but the audit sealed what was received
    journal = in_memory()
    fill(journal, 8)
    with journal.batch(100) as unit:
        unit.add_message(a_message(unit.next_sequence(), a_key(b"MSG100", b"as it came")))
        unit.audit(a_line(1))
    other = in_memory()
    with other.batch(100) as unit:
        unit.add_message(a_message(11, a_key(b"MSG100", b"as it suits somebody")))
    columns = "sha256, raw, digest"
    forged = other._connection.execute(f"SELECT {columns} FROM messages WHERE sequence = 11").fetchone()
    journal._connection.execute("UPDATE messages SET sha256 = ?, raw = ?, digest = ? WHERE sequence = 11", forged or ())

    report = scrub(journal._connection)

    assert report.bad == ()
    assert [line.split(":")[1] for line in report.audit] == [" messages 11-11 are not what was received"]


def test_a_scrub_goes_on_between_batches_and_leaves_what_is_new_to_the_next() -> None:
    journal = in_memory()
    for number in range(1, 2 * ROWS_A_TURN + 50):
        take(journal, number)
    whole = Scrub(journal._connection)
    turns = 0

    while not whole.turn():
        turns += 1
        take(journal, 10_000 + turns)
        with journal.batch(20_000 + turns) as unit:
            unit.change_disposition(turns, Disposition.NEEDS_HUMAN, 3, "a person looked", "")

    report = whole.report()
    assert turns >= 4
    assert report.whole, report
    assert not report.tallies_checked, "the counts moved on meanwhile"
    assert scrub(journal._connection).tallies_checked


def test_a_page_that_cannot_be_read_is_said_and_the_other_tables_are_looked_at(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    filled(path, rows=200)
    content = Path(path).read_bytes()
    for page in range(len(content) // 4096 // 2, len(content) // 4096):
        there = copied(path, tmp_path / f"page-{page}")
        spoilt = bytearray(content)
        spoilt[page * 4096 + 100] ^= 1
        Path(there).write_bytes(spoilt)

        try:
            journal = Journal.open(there, KEY)
        except JournalError:
            continue  # a page that a start looks at
        try:
            report = scrub(journal._connection)
        except JournalError:
            continue  # a page that every scrub looks at first
        finally:
            journal.close()

        if any(re.match("what follows numbered [1-9]", finding) for finding in report.bad):
            break
    else:
        pytest.fail("no page of the messages was hit")
    assert not report.gaps
    assert report.rows > 40


# Where bits are flipped, what is found -------------------------------------------------------------------------------


def verified(path: str, key: bytes | None) -> ScrubReport | str:
    """What a look at everything finds; a sentence when the journal cannot even be opened."""
    try:
        journal = Journal.open(path, key)
    except JournalError as error:
        return str(error)
    try:
        pages = damaged_pages(journal._connection)
        return pages[0] if pages else scrub(journal._connection)
    except JournalError as error:
        return str(error)
    finally:
        journal.close()


def hashed(path: str, key: bytes | None) -> list[object]:
    """Everything that the rows' hashes and the audit speak for."""
    journal = Journal.open(path, key)
    rows = [
        journal._connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()
        for table, columns in (
            ("messages", MESSAGE_COLUMNS),
            ("events", "*"), ("audit", "*"), ("decisions", "*"), ("merges", "*"),
            ("effects", "id, wire_id, body, digest"), ("referrals", "id, version, state, digest, status"),
        )
    ]  # fmt: skip
    journal.close()
    return [rows]


def flips(tmp_path: Path, key: bytes | None, positions: int, seed: int) -> tuple[int, int]:
    """Flip one bit at each of so many places, each in a copy of its own: how many were found, how many changed nothing."""
    path = str(tmp_path / "journal.db")
    filled(path, key, rows=24)
    content = Path(path).read_bytes()
    before = hashed(copied(path, tmp_path / "before"), key)
    chance = random.Random(seed)
    found = harmless = 0
    for turn in range(positions):
        at, bit = chance.randrange(len(content)), chance.randrange(8)
        there = copied(path, tmp_path / "there")
        spoilt = bytearray(content)
        spoilt[at] ^= 1 << bit
        Path(there).write_bytes(spoilt)
        report = verified(there, key)
        if isinstance(report, str) or not report.whole:
            found += 1
            continue
        assert hashed(there, key) == before, f"seed {seed}, turn {turn}: bit {bit} of byte {at} was not found"
        harmless += 1
    return found, harmless


@pytest.mark.parametrize("key", [KEY, None], ids=KINDS)
def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path: Path, key: bytes | None) -> None:
    # F-B10; the page seals of an encrypted file find them all, in free pages too
    found, harmless = flips(tmp_path, key, 40, seed=2026)

    assert found
    if key is not None:
        assert harmless == 0


@pytest.mark.torture
@pytest.mark.parametrize("key", [KEY, None], ids=KINDS)
def test_a_thousand_flipped_bits_are_found_or_change_nothing(tmp_path: Path, key: bytes | None) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")

    found, harmless = flips(tmp_path, key, 1000, seed)

    print(f"{found} found, {harmless} changed nothing")
    assert found > 100
    if key is not None:
        assert harmless < 10  # in a free page, which the start itself wrote anew


# The real door's journal is whole, and its books balance -------------------------------------------------------------


def test_what_the_door_writes_has_no_gap_and_balances(tmp_path: Path) -> None:
    step, journal = door(tmp_path / "journal.db")
    step.run([arrived(sample(name)) for name in (ORDER, BOOKING, NOTE)])
    step.run([arrived(sample(ORDER, {"MSH-10": "AGAIN"})), arrived(b"MSH|^~\\&|no header"), arrived(b"not HL7")])
    step.run([arrived(sample(ORDER))])

    report, books = scrub(journal._connection), balance(journal._connection)

    assert report.whole, report
    assert books.holds
    assert sum(one.received for one in books.accounts) == 6
    journal.close()


# The books -----------------------------------------------------------------------------------------------------------


def test_the_books_of_each_feed_add_up_without_counting_rows() -> None:
    journal = in_memory()
    fill(journal)
    asked: list[str] = []
    journal._connection.set_trace_callback(asked.append)  # type: ignore[attr-defined]  # the driver's own

    books = balance(journal._connection)

    lab = next(one for one in books.accounts if one.feed == "lab")
    assert (lab.received, lab.applied + lab.no_op + lab.quarantined, lab.difference) == (13, 13, 0)
    assert len(asked) == 1, "only the counts are read"


def test_a_count_that_disagrees_names_the_ids_in_question(damaged: Callable[..., Journal]) -> None:
    journal = damaged("UPDATE tallies SET number = number - 1 WHERE owner = 'lab' AND state = 'applied'")

    books = balance(journal._connection)

    assert not books.holds
    lab = next(one for one in books.accounts if one.feed == "lab")
    assert (lab.received, lab.stored, lab.difference) == (13, 13, 1)
    held = journal._connection.execute(
        "SELECT sequence FROM messages WHERE partner = 'lab' AND disposition = 'applied'"
    )
    assert set(lab.ids) == {row[0] for row in held}
    journal.close()


def test_a_removed_message_is_missing_when_somebody_looks_deeply(damaged: Callable[..., Journal]) -> None:
    journal = damaged("DELETE FROM messages WHERE sequence IN (7, 50)")

    shallow, deep = balance(journal._connection), balance(journal._connection, deep=True)

    assert shallow.holds, "the counts alone do not know"
    assert deep.missing == (7,)
    assert sum(one.difference for one in deep.accounts) == 1
    journal.close()


def test_a_changed_disposition_is_seen_in_the_books(damaged: Callable[..., Journal]) -> None:
    journal = damaged("UPDATE messages SET disposition = 'needs-human' WHERE sequence = 3")

    deep = balance(journal._connection, deep=True)

    assert not deep.holds
    assert any(3 in one.ids for one in deep.accounts)
    journal.close()


def test_effects_are_counted_as_they_move() -> None:
    journal = in_memory()
    fill(journal, 8)
    with journal.batch(50) as unit:
        for row in unit.claim("ehr", 10**12, 60, 5):
            unit.settle(row.id, row.token, EffectState.DELIVERED, 50)

    assert scrub(journal._connection).whole
