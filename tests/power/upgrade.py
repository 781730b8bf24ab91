"""An upgrade that is killed at random moments: python -m tests.power.upgrade DIRECTORY ROUNDS SEED

A journal as the first version of the engine left it is copied; a process opens it, which begins the upgrade, and is
killed; another opens it again and looks. Prints one JSON object: how often it was killed, and what was wrong after it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import sqlite_utils

from referral_engine.journal import schema
from referral_engine.journal.database import open_database
from referral_engine.journal.instance import NO_HASH
from referral_engine.journal.journal import Journal
from referral_engine.journal.scrub import scrub
from referral_engine.torture.checks import stored_messages
from tests.power.writer import KEY, material

MESSAGES = 600
FIRST_STEP = "0001-first"
# As the first version wrote them; these statements are history and never change.
MESSAGE = """
INSERT INTO messages (sequence, received_at, partner, application, facility, control_id, sha256, peer, type, disposition,
    level, reason, referral, answer_code, config, answer, raw)
VALUES (?, 1, 'ehr', 'EHR', 'SPRINGFIELD', ?, ?, '127.0.0.1', 'ADT^A08', 'no-op', -1, '', '', 'AA', 'made up', ?, ?)
"""
TALLY = "INSERT INTO tallies (noun, owner, state, number) VALUES ('message', 'ehr', 'no-op', ?)"
INSTANCE = """
INSERT INTO instance (id, node, created_at, epoch, high_water, sequence, effect, token, audit, audit_hash, schema_hash)
VALUES (1, 'UP', 1, 1, 1, ?, 0, 0, 0, ?, ?)
"""


def old_journal(path: Path) -> None:
    """A journal of the first version at `path`, full of messages."""
    connection = open_database(str(path), KEY)
    first = sqlite_utils.Migrations("journal")
    first._migrations = [step for step in schema.STEPS._migrations if step.name == FIRST_STEP]
    database = sqlite_utils.Database(
        connection,  # type: ignore[arg-type]  # a sqlcipher3 connection does what a sqlite3 one does
        recursive_triggers=False,
        execute_plugins=False,
    )
    first.apply(database)
    connection.execute("BEGIN")
    for number in range(1, MESSAGES + 1):
        raw = material(4 * number + 3)
        row = (number, b"R%d" % number, hashlib.sha256(raw).digest(), b"MSA|AA|R%d" % number, raw)
        connection.execute(MESSAGE, row)
    connection.execute(TALLY, (MESSAGES,))
    connection.execute(INSTANCE, (MESSAGES, NO_HASH, schema.schema_hash(connection)))
    connection.execute("COMMIT")
    connection.close()


def upgraded(path: Path) -> str:
    """Open a journal, upgraded or not; what is wrong with it, "" when all is there."""
    journal = Journal.open(str(path), KEY)
    reading = journal.read()
    stored = [(row.raw, row.answer) for row in stored_messages(reading)]
    expected = [(material(4 * number + 3), b"MSA|AA|R%d" % number) for number in range(1, MESSAGES + 1)]
    report = scrub(journal._connection)
    journal.close()
    if stored != expected:
        return f"{len(stored)} messages of {MESSAGES}, or other bytes"
    return "" if report.whole else f"scrub: {report}"


def in_a_process(path: Path, told: Path) -> int:
    """Start looking at a journal in a process of its own; its id. What it finds is written to `told`."""
    pid = os.fork()
    if pid:
        return pid
    try:
        told.write_text(upgraded(path) or "whole")
    except BaseException as error:  # noqa: BLE001  # whatever it is, the parent must hear of it
        told.write_text(f"{type(error).__name__}: {error}")
    os._exit(0)


def rounds(folder: Path, count: int, seed: int) -> dict[str, object]:
    """Upgrade, kill, look; `count` times."""
    chance = random.Random(seed)
    old, told = folder / "old", folder / "told"
    old.mkdir()
    old_journal(old / "journal.db")
    site = folder / "whole"
    shutil.copytree(old, site)
    begun = time.monotonic()
    os.waitpid(in_a_process(site / "journal.db", told), 0)
    whole_seconds = time.monotonic() - begun
    wrong = [text] if (text := told.read_text()) != "whole" else []
    killed = 0
    for number in range(count):
        site = folder / f"round{number}"
        shutil.copytree(old, site)
        told.unlink(missing_ok=True)
        pid = in_a_process(site / "journal.db", told)
        time.sleep(chance.uniform(0.0, whole_seconds))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        killed += not told.exists()
        told.unlink(missing_ok=True)
        os.waitpid(in_a_process(site / "journal.db", told), 0)
        wrong += [f"round {number}: {text}"] if (text := told.read_text()) != "whole" else []
        shutil.rmtree(site)
    return {"rounds": count, "killed": killed, "wrong": wrong, "whole_seconds": whole_seconds}


if __name__ == "__main__":
    print(json.dumps(rounds(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
