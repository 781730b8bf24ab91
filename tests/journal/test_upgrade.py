"""An upgrade of the journal: everything is there afterwards, with its hash, and a copy from before lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.base.errors import JournalError
from referral_engine.journal import schema, upgrade
from referral_engine.journal.database import open_database
from referral_engine.journal.digests import effect_digest
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import BindingKind
from referral_engine.journal.scrub import scrub
from referral_engine.loop.referral import Identifier
from tests.journal.made import KEY, a_referral
from tests.journal.test_decisions import a_decision
from tests.journal.test_versions import a_version

ROWS = 25
MESSAGE = """
INSERT INTO messages VALUES (?, 1, 'ehr', 'EPIC', 'MAIN', ?, ?, '127.0.0.1', 'ORU^R01', 'no-op', 6, 'parked', '', 'AA',
    'c1', x'00', ?)
"""


def of_the_first_release(path: Path, key: bytes | None) -> None:
    """A journal as version 0.1.0 left it: messages, early evidence, a referral, an event, a sending."""
    import hashlib

    from referral_engine.journal.codec import encode_referral

    connection = open_database(str(path), key)
    connection.execute("BEGIN")
    database = schema.sqlite_utils.Database(connection, recursive_triggers=False, execute_plugins=False)
    schema.STEPS.apply(database, stop_before="0002-custody")
    state = encode_referral(a_referral())
    for number in range(1, ROWS + 1):
        raw = b"MSH|message %d" % number
        connection.execute(MESSAGE, (number, b"ID%d" % number, hashlib.sha256(raw).digest(), raw))
        connection.execute("INSERT INTO parked VALUES ('placer', ?, 'EHR', ?)", (f"P{number}", number))
    connection.execute("INSERT INTO tallies VALUES ('message', 'ehr', 'no-op', ?)", (ROWS,))
    made = a_referral()
    columns = (made.status.value, made.closure.value, made.channel, made.order.placer.value, state)
    connection.execute("INSERT INTO referrals VALUES ('K7QD-0001', 1, ?, ?, ?, 's', 'routine', ?, 1, 1, ?)", columns)
    connection.execute(
        "INSERT INTO events VALUES (?, 1, 'K7QD-0001', 'K', 's', 'r', 0, 'ehr', 'c1', x'00')", (ROWS + 1,)
    )
    connection.execute(
        "INSERT INTO effects VALUES (1, 'K7QD-0001', 1, 0, 'ehr', 'mllp', 'ehr', 'status', '', 'W1', 'queued', 0, 1, 0, 0, 1,"
        " 0, '', x'', x'41')"
    )
    connection.execute("INSERT INTO tallies VALUES ('effect', 'ehr', 'queued', 1)")
    connection.execute(
        "INSERT INTO instance VALUES (1, 'K7QD', 1, 1, 1, ?, 1, 0, 0, ?, ?)",
        (ROWS + 1, bytes(32), schema.schema_hash(connection)),
    )
    connection.execute("COMMIT")
    connection.close()


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "plain"])
def test_everything_is_there_afterwards_and_a_copy_from_before(tmp_path: Path, key: bytes | None) -> None:  # P19
    path = tmp_path / "journal.db"
    of_the_first_release(path, key)

    journal = Journal.open(str(path), key)

    assert "a copy from before lies at" in journal.note
    assert journal.read().counts().received() == ROWS
    assert journal.read().referral("K7QD-0001") == a_referral()
    assert [row.wire_id for row in journal.read().outbox()] == ["W1"]
    assert journal._connection.execute("SELECT digest FROM effects").fetchone()[0] == effect_digest("W1", b"A")
    with journal.batch(2) as unit:
        assert unit.parked(BindingKind.PLACER, "P7") == (7,)
    assert journal.read().books(deep=True).holds
    while (report := journal.scrub(50)[1]) is None:
        pass
    assert report.whole, report
    journal.close()
    copy = open_database(str(tmp_path / "journal.db.before-upgrade"), key)
    assert copy.execute("SELECT count(*) FROM messages").fetchone()[0] == ROWS
    assert "digest" not in copy.execute("SELECT sql FROM sqlite_master WHERE name = 'messages'").fetchone()[0]
    copy.close()


BINDING = "INSERT INTO bindings VALUES ('filler', 'F-1', 'LAB', 'K7QD-0001', 7)"


def before_matching(path: Path, key: bytes | None) -> None:
    """The same journal as it was before decisions were kept, with a number that points at its referral."""
    of_the_first_release(path, key)
    connection = open_database(str(path), key)
    connection.execute("BEGIN")
    database = schema.sqlite_utils.Database(connection, recursive_triggers=False, execute_plugins=False)
    schema.STEPS.apply(database, stop_before="0004-matching")
    connection.execute(BINDING)
    connection.execute("UPDATE instance SET schema_hash = ?", (schema.schema_hash(connection),))
    connection.execute("COMMIT")
    connection.close()


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "plain"])
def test_a_journal_from_before_decisions_learns_them_and_keeps_its_numbers(tmp_path: Path, key: bytes | None) -> None:
    # P19: the step that keeps decisions and merges, binds visits and charges, and lets messages be reduced
    path = tmp_path / "journal.db"
    before_matching(path, key)

    journal = Journal.open(str(path), key)

    assert "a copy from before lies at" in journal.note
    with journal.batch(2) as unit:
        assert unit.bound(BindingKind.FILLER, "F-1", "LAB") == ("K7QD-0001",)
        assert (unit.purging.through, unit.purging.aged_through) == (0, 0)
        unit.bind(BindingKind.VISIT, Identifier(value="V-1"), "K7QD-0001")
        unit.add_decision(a_decision(7, referral="K7QD-0001"))
        assert unit.parked(BindingKind.PLACER, "P8") == (8,)
        unit.purging.reduce([8], lambda _raw: b"MSH|", 2)
    found = journal.read().message(8)
    assert found is not None
    assert (found.raw, found.purged_at) == (b"MSH|", 2)
    assert [row.message for row in journal.read().decisions_of("K7QD-0001")] == [7]
    assert journal.read().message(9).purged_at == 0  # type: ignore[union-attr]  # it is there
    report = scrub(journal._connection)
    assert report.whole, report
    journal.close()
    again = Journal.open(str(path), key)
    with again.batch(3) as unit:
        assert unit.bound(BindingKind.VISIT, "V-1") == ("K7QD-0001",)
        assert unit.parked(BindingKind.PLACER, "P8") == ()
    again.close()


def test_a_journal_from_before_versions_knows_none_and_learns_its_first(tmp_path: Path) -> None:
    # P19: the step that keeps every configuration that was in force
    path = tmp_path / "journal.db"
    of_the_first_release(path, KEY)
    connection = open_database(str(path), KEY)
    connection.execute("BEGIN")
    database = schema.sqlite_utils.Database(connection, recursive_triggers=False, execute_plugins=False)
    schema.STEPS.apply(database, stop_before="0005-versions")
    connection.execute("UPDATE instance SET schema_hash = ?", (schema.schema_hash(connection),))
    connection.execute("COMMIT")
    connection.close()

    journal = Journal.open(str(path), KEY)

    assert "a copy from before lies at" in journal.note
    assert journal.read().versions() == ()
    assert journal.read().version_files("c1") is None
    with journal.batch(2) as unit:
        assert unit.newest_version() is None
        assert unit.add_version(a_version("c1")) == 1
        assert unit.open_referrals("", 9).found == ("K7QD-0001",)
    report = scrub(journal._connection)
    assert report.whole, report
    journal.close()


def test_the_next_start_upgrades_nothing_and_leaves_the_copy(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    of_the_first_release(path, KEY)
    Journal.open(str(path), KEY).close()
    before = (tmp_path / "journal.db.before-upgrade").read_bytes()

    journal = Journal.open(str(path), KEY)

    assert journal.note == ""
    assert (tmp_path / "journal.db.before-upgrade").read_bytes() == before
    journal.close()


def test_without_room_for_the_copy_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.db"
    of_the_first_release(path, KEY)
    monkeypatch.setattr(upgrade, "SPARE_BYTES", 1 << 60)

    with pytest.raises(JournalError, match="there is no room"):
        Journal.open(str(path), KEY)

    monkeypatch.undo()
    journal = Journal.open(str(path), KEY)
    assert journal.read().counts().received() == ROWS
    journal.close()


def test_a_copy_that_is_not_whole_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.db"
    of_the_first_release(path, KEY)
    monkeypatch.setattr(upgrade, "_look_into", lambda _part, _key: {})

    with pytest.raises(JournalError, match="is not whole; nothing was changed"):
        Journal.open(str(path), KEY)

    assert not (tmp_path / "journal.db.before-upgrade").exists()


def test_a_new_journal_needs_no_copy(tmp_path: Path) -> None:
    Journal.open(str(tmp_path / "journal.db"), KEY).close()

    assert not (tmp_path / "journal.db.before-upgrade").exists()
