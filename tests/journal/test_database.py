"""Opening the file: the key, the lock, the version, and what survives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from referral_engine.base.errors import JournalError
from referral_engine.journal import database
from referral_engine.journal.anchor import anchor_path
from referral_engine.journal.journal import Journal
from tests.journal.made import CANARY, KEY, a_message, in_memory, messages_in, with_referral

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "journal.db")


def raw_connection(path: str) -> dbapi2.Connection:
    """The file past the journal: what a person with the key could do to it."""
    connection = dbapi2.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{KEY.hex()}'\"")
    connection.execute(f"PRAGMA cipher_page_size = {database.PAGE_BYTES}")
    return connection


def subprocess_of(program: str, path: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", program, path], env=environment, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )


def test_a_journal_opened_again_is_the_same_journal(path: str) -> None:
    first = Journal.open(path, KEY, node="K7QD", now=1)
    with first.batch(2) as unit:
        unit.add_message(a_message(unit.next_sequence()))
    first.close()

    again = Journal.open(path, KEY, node="ZZZZ", now=9)

    assert again.node == "K7QD"
    with again.batch(10) as unit:
        assert messages_in(unit, 1) == [True]
    again.close()


def test_only_the_owner_may_read_the_files(path: str) -> None:
    journal = Journal.open(path, KEY, node="K7QD")
    with journal.batch(1) as unit:
        unit.add_message(a_message(unit.next_sequence()))

    modes = {file.name: file.stat().st_mode & 0o777 for file in Path(path).parent.iterdir()}

    assert set(modes.values()) == {0o600}, modes
    journal.close()


def test_a_patient_cannot_be_found_in_the_encrypted_files(path: str) -> None:
    journal = Journal.open(path, KEY, node="K7QD")
    with_referral(journal)

    held = b"".join(file.read_bytes() for file in Path(path).parent.iterdir())

    assert CANARY.encode() not in held
    journal.close()


def test_without_a_key_the_file_is_plain(path: str) -> None:
    journal = Journal.open(path, None, node="K7QD")
    with_referral(journal)
    journal.close()

    assert CANARY.encode() in Path(path).read_bytes()


def test_the_wrong_key_is_refused_with_what_to_do(path: str) -> None:
    Journal.open(path, KEY, node="K7QD").close()

    with pytest.raises(JournalError, match=r"another journal's key.*Check the credential"):
        Journal.open(path, bytes(32))

    Journal.open(path, KEY).close()


def test_a_key_for_a_plain_file_and_none_for_an_encrypted_one_are_told_apart(path: str, tmp_path: Path) -> None:
    plain = str(tmp_path / "plain.db")
    Journal.open(path, KEY, node="K7QD").close()
    Journal.open(plain, None, node="K7QD").close()

    with pytest.raises(JournalError, match="Set the journal's key"):
        Journal.open(path, None)
    with pytest.raises(JournalError, match="is not encrypted"):
        Journal.open(plain, KEY)


def test_the_key_is_never_in_the_sentence(path: str) -> None:
    with pytest.raises(JournalError) as caught:
        Journal.open(path, b"secret")

    assert "secret" not in str(caught.value)
    assert "32 bytes" in str(caught.value)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_file_that_is_no_journal_is_left_alone(path: str, key: bytes | None) -> None:
    letter = b"Dear colleague, thank you for referring this patient to us. " * 400
    Path(path).write_bytes(letter)

    with pytest.raises(JournalError, match=r"correct the path|Check the credential"):
        Journal.open(path, key)

    assert Path(path).read_bytes() == letter


def test_somebody_elses_database_is_refused(path: str) -> None:
    other = dbapi2.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()

    with pytest.raises(JournalError, match="no journal of this engine"):
        Journal.open(path, None)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "journal.db"

    with pytest.raises(JournalError, match="No such file or directory"):
        Journal.open(str(missing), KEY)


def test_a_newer_schema_is_refused(path: str) -> None:
    Journal.open(path, KEY, node="K7QD").close()
    newer = raw_connection(path)
    newer.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('journal', '0999-later', '')"
    )
    newer.close()

    with pytest.raises(JournalError, match=r"newer engine \(step 0999-later\)"):
        Journal.open(path, KEY)


def test_tables_changed_by_hand_are_refused(path: str) -> None:
    Journal.open(path, KEY, node="K7QD").close()
    hand = raw_connection(path)
    hand.execute("DROP TRIGGER audit_stays")
    hand.close()

    with pytest.raises(JournalError, match="changed by hand"):
        Journal.open(path, KEY)


def test_parts_of_different_moments_are_refused(path: str) -> None:
    journal = Journal.open(path, KEY, node="K7QD")
    with journal.batch(1) as unit:
        unit.add_message(a_message(unit.next_sequence()))
    journal.close()
    hand = raw_connection(path)
    hand.execute("UPDATE instance SET sequence = 0")
    hand.close()

    with pytest.raises(JournalError, match="from another moment"):
        Journal.open(path, KEY)
    Path(anchor_path(path)).unlink()
    with pytest.raises(JournalError, match="a bad copy"):
        Journal.open(path, KEY)


def test_an_upgrade_that_was_cut_short_never_happened(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # F-A14: the tables and what the journal says of them change together
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as machine:
        machine.setattr("referral_engine.journal.journal.settle_instance", killed)
        with pytest.raises(KeyboardInterrupt):
            Journal.open(path, KEY, node="K7QD")
    assert raw_connection(path).execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)

    Journal.open(path, KEY, node="K7QD").close()


def test_a_start_that_was_cut_short_is_known_again(path: str) -> None:
    Path(path).touch(0o600)
    hand = raw_connection(path)
    hand.execute("PRAGMA journal_mode = WAL")
    hand.execute(f"PRAGMA application_id = {database.APPLICATION}")
    hand.close()

    Journal.open(path, KEY, node="K7QD").close()


def test_opening_again_migrates_nothing(path: str) -> None:
    Journal.open(path, KEY, node="K7QD").close()
    before = raw_connection(path).execute("SELECT name, applied_at FROM _sqlite_migrations").fetchall()

    Journal.open(path, KEY).close()

    assert raw_connection(path).execute("SELECT name, applied_at FROM _sqlite_migrations").fetchall() == before


def test_a_second_journal_of_the_same_file_is_refused(path: str) -> None:
    first = Journal.open(path, KEY, node="K7QD")

    with pytest.raises(JournalError, match="in use by another process"):
        Journal.open(path, KEY)

    first.close()
    Journal.open(path, KEY).close()


OPENS = """
import sys
from referral_engine.base.errors import JournalError
from referral_engine.journal.journal import Journal
try:
    Journal.open(sys.argv[1], bytes(range(32)))
except JournalError as error:
    print(error)
"""


def test_a_second_process_is_refused_with_what_to_do(path: str) -> None:
    first = Journal.open(path, KEY, node="K7QD")

    said, _ = subprocess_of(OPENS, path).communicate(timeout=20)

    assert "in use by another process. Stop that engine first" in said
    first.close()


WRITES_UNTIL_KILLED = """
import sys
from referral_engine.journal.journal import Journal
from tests.journal.made import a_line, a_message
journal = Journal.open(sys.argv[1], bytes(range(32)), node="K7QD", now=1)
while True:
    with journal.batch(1) as unit:
        sequence = unit.next_sequence()
        unit.add_message(a_message(sequence))
        unit.audit(a_line(sequence))
    print(sequence, flush=True)
"""


def test_what_was_committed_survives_kill_9(path: str) -> None:
    writer = subprocess_of(WRITES_UNTIL_KILLED, path)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(40)]

    writer.send_signal(signal.SIGKILL)
    told += [int(line) for line in writer.communicate(timeout=20)[0].split()]

    journal = Journal.open(path, KEY)
    with journal.batch(2) as unit:
        assert all(messages_in(unit, *told))
        assert unit.verify_audit() is None
        assert unit.next_sequence() >= told[-1] + 1
    assert journal.read().conservation().holds
    journal.close()


def test_every_commit_reaches_the_disk(path: str) -> None:
    journal = Journal.open(path, KEY, node="K7QD")

    settings = {name: str(journal._connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in (
        "synchronous", "journal_mode", "foreign_keys", "temp_store", "secure_delete", "trusted_schema", "mmap_size",
        "cell_size_check", "page_size",
    )}  # fmt: skip

    assert settings == {
        "synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "temp_store": "2", "secure_delete": "1",
        "trusted_schema": "0", "mmap_size": "0", "cell_size_check": "1", "page_size": str(database.PAGE_BYTES),
    }  # fmt: skip
    journal.close()


def test_a_flipped_bit_is_found_when_it_is_read(path: str) -> None:
    journal = Journal.open(path, KEY, node="K7QD")
    for number in range(1, 200):
        with journal.batch(number) as unit:
            unit.add_message(a_message(unit.next_sequence(), raw=bytes(2000)))
    journal.close()
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 1
    Path(path).write_bytes(content)

    with pytest.raises(JournalError):
        _read_everything(path)


def _read_everything(path: str) -> None:
    journal = Journal.open(path, KEY)
    try:
        with journal.batch(500) as unit:
            for sequence in range(1, 200):
                unit.message(sequence)
    finally:
        journal.close()


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 40, 1), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 45, 0), False), ((3, 50, 6), False),
        ((3, 50, 7), True), ((3, 51, 2), False), ((3, 51, 3), True), ((3, 53, 4), True), ((4, 0, 0), True),
    ],
)  # fmt: skip
def test_an_sqlite_that_corrupts_is_known(version: tuple[int, int, int], sound: bool) -> None:
    assert database.is_sound(version) is sound


def test_an_sqlite_that_corrupts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbapi2, "sqlite_version_info", (3, 40, 1))

    with pytest.raises(JournalError, match=r"3\.40\.1 can corrupt a journal"):
        in_memory()
