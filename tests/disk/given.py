"""A journal with a little of everything in it, copies of its files, and small disks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from referral_engine.journal import database
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import Disposition
from tests.journal.made import KEY, a_key, a_line, a_message, a_referral, an_effect, an_event

ROOT = Path(__file__).resolve().parents[2]
NODE = "K7QD"
BATCH = 4
KINDS = (Disposition.APPLIED, Disposition.NO_OP, Disposition.QUARANTINED)
PARTS = ("", "-wal", ".anchor")  # of a journal's files


def take(journal: Journal, number: int, content: bytes = b"MSH|made up", partner: str = "ehr") -> int:
    """One message, in a batch of its own; its sequence."""
    with journal.batch(number) as unit:
        sequence = unit.next_sequence()
        key = a_key(b"MSG%d" % number, content + b"|%d" % number, partner)
        unit.add_message(a_message(sequence, key, disposition=KINDS[number % 3]))
    return sequence


def fill(journal: Journal, rows: int = 40) -> None:
    """Messages of two feeds, four a batch; every batch makes a referral with an event and something owed."""
    for first in range(1, rows + 1, BATCH):
        with journal.batch(first) as unit:
            for number in range(first, min(first + BATCH, rows + 1)):
                key = a_key(b"MSG%d" % number, b"MSH|%d" % number + b"made up " * 60, "ehr" if number % 3 else "lab")
                unit.add_message(a_message(unit.next_sequence(), key, disposition=KINDS[number % 3]))
            referral, sequence = f"{NODE}-{first:04}", unit.next_sequence()
            unit.save_referral(a_referral(referral), first, new=True)
            unit.add_event(an_event(sequence, referral))
            unit.owe(an_effect(1, cause=sequence, referral=referral))
            unit.audit(a_line(first))


def filled(path: str, key: bytes | None = KEY, rows: int = 40) -> None:
    """The same in a file, closed."""
    journal = Journal.open(path, key, node=NODE, now=1)
    fill(journal, rows)
    journal.close()


def copied(path: str, to: Path) -> str:
    """All files of a journal in another folder; the path there."""
    to.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        with suppress(FileNotFoundError):
            shutil.copy(path + part, to / f"journal.db{part}")
    return str(to / "journal.db")


def by_hand(path: str, *statements: str, key: bytes | None = KEY) -> None:
    """What a person with the key could do to a journal that is not open."""
    connection = dbapi2.connect(path, isolation_level=None, timeout=0)
    if key is not None:
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute(f"PRAGMA cipher_page_size = {database.PAGE_BYTES}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def program(text: str, *words: str, under: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Another process that runs `text`; under: a program that watches it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*under, sys.executable, "-c", text, *words],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[Path]:
    """A file system of its own, `size` large; skips where nobody may make one."""
    at.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at)], capture_output=True)
    if made.returncode:
        pytest.skip("making a small file system needs root")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)
