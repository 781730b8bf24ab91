"""P3: whatever came is there, exactly as it came, and is exactly one thing; what is counted is what is stored."""

from __future__ import annotations

import hashlib
from collections import Counter

from referral_engine.journal.conservation import balance
from referral_engine.journal.rows import Disposition
from tests.flow.stage import SAMPLES, at, engine, sample
from tests.simulation import checkers

NAMES = sorted(path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*.hl7") if "fifty" not in path.name)


def _of(sha256: bytes, frames: list[bytes]) -> bytes:
    """The frame that has this hash: what is left of one that concerns nobody is its beginning."""
    return next(raw for raw in frames if hashlib.sha256(raw).digest() == sha256)


def test_everything_that_came_is_there_and_is_exactly_one_thing() -> None:
    stage = engine()
    frames = [sample(name) for name in NAMES] + [b"no message at all", b"MSH|^~\\&|", b"\x00\xff"]
    for raw in frames:
        stage.receive(raw)
    stage.move_to(at("2026-06-01 09:00"))
    reading = stage.journal.read()
    rows = checkers.all_messages(reading)
    counts = reading.counts()

    assert Counter(row.key.sha256 for row in rows) == Counter({hashlib.sha256(raw).digest() for raw in frames})
    assert {row.raw for row in rows if not row.purged_at} <= set(frames)
    assert all(frame.startswith(row.raw) for row in rows if row.purged_at for frame in [_of(row.key.sha256, frames)])
    assert counts.received() == len(rows) == sum(counts.received(one) for one in Disposition)
    assert {row.disposition for row in rows} <= set(Disposition)
    assert balance(reading._connection, deep=True).holds
    assert checkers.wrong_inside(reading, stage.book) == []


def test_a_row_that_vanished_is_named() -> None:
    stage = engine()
    for name in NAMES[:20]:
        stage.receive(sample(name))
    connection = stage.journal._connection
    gone = checkers.all_messages(stage.journal.read())[7].sequence

    connection.execute("DELETE FROM messages WHERE sequence = ?", (gone,))
    books = balance(connection, deep=True)

    assert not books.holds
    assert gone in books.missing
