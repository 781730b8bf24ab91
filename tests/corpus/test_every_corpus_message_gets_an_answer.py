"""Every public sample message goes through the door once: it gets an answer or a stated reason for silence."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.channels.book import Book
from referral_engine.channels.matcher import Matcher
from referral_engine.flow.inputs import Arrived
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import Disposition, MessageRow
from tests.channels.shipped import ROOT
from tests.flow.stage import book

CORPUS = ROOT.parent / "shared" / "corpus"
NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
BATCH = 64
BLANK_LINES = re.compile(rb"\n{2,}(?=MSH)")
MISSING = "the public sample messages are not beside the project"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=MISSING)


def _files() -> list[tuple[str, bytes]]:
    """Every message with its folder; a file of many messages gives many."""
    found: list[tuple[str, bytes]] = []
    for path in sorted(path for path in CORPUS.rglob("*") if path.is_file()):
        folder = path.relative_to(CORPUS).parts[0]
        if path.name not in ("LICENSE", folder):  # README.md is its own folder here
            raw = path.read_bytes()
            found += [(folder, one) for one in (BLANK_LINES.split(raw) if path.suffix == ".out" else [raw])]
    return found


def _open_to_anyone() -> Book:
    """The shipped configuration, whose EHR may have any name and send test data; all its orders are referrals."""
    shipped = book()
    feeds = {
        "ehr": replace(
            shipped.feeds["ehr"], applications=(), facilities=(), addresses=(), referral_when=Matcher(conditions=())
        )
    }
    engine = replace(shipped.engine, processing_ids=("P", "T", "D", ""))
    return replace(shipped, engine=engine, feeds={**shipped.feeds, **feeds})


def _through(the_book: Book, given: list[tuple[str, bytes]]) -> list[tuple[str, MessageRow]]:
    """Each message through one door, in batches as they come; the row of each, in order."""
    journal = Journal.open(":memory:", None, node="RE", now=to_micros(NOW))
    step = Step(journal, the_book, ManualClock(NOW))
    receipts = []
    for start in range(0, len(given), BATCH):
        receipts += step.run([Arrived(raw=raw, peer="10.0.0.7") for _, raw in given[start : start + BATCH]])
    reading = journal.read()
    assert reading.conservation().holds
    assert reading.first_bad_audit_line() is None
    rows = [(folder, reading.message(receipt.sequence)) for (folder, _), receipt in zip(given, receipts, strict=True)]
    journal.close()
    return [(folder, row) for folder, row in rows if row is not None]


def _table(title: str, rows: list[tuple[str, MessageRow]]) -> str:
    counted = Counter(
        (folder, row.type[:24], row.disposition.value, row.level, row.answer_code) for folder, row in rows
    )
    lines = [
        f"\n{title}: {len(rows)} messages",
        f"{'folder':26}{'type':26}{'disposition':13}{'level':>5}  {'ack':4}{'count':>6}",
    ]
    for (folder, kind, disposition, level, code), number in sorted(counted.items()):
        shown = "".join(letter if letter.isprintable() else "." for letter in kind)
        lines.append(
            f"{folder:26}{shown:26}{disposition:13}{level if level >= 0 else '-':>5}  {code or '-':4}{number:>6}"
        )
    dispositions = Counter(row.disposition.value for _, row in rows)
    codes = Counter(row.answer_code or "silence" for _, row in rows)
    lines.append("in all: " + ", ".join(f"{word} {number}" for word, number in sorted((dispositions + codes).items())))
    return "\n".join(lines)


@pytest.mark.parametrize("who", ["shipped", "anyone"])
def test_every_corpus_message_gets_an_answer_or_a_reason_for_silence(who: str, capsys: pytest.CaptureFixture) -> None:
    given = _files()

    rows = _through(book() if who == "shipped" else _open_to_anyone(), given)

    title = "senders as shipped" if who == "shipped" else "any sender is the EHR"
    with capsys.disabled():
        print(_table(title, rows))
    assert {folder for folder, _ in rows} == {path.name for path in CORPUS.iterdir() if path.is_dir()}
    assert len(rows) == len(given) > 1_000
    for (_, raw), (_, row) in zip(given, rows, strict=True):
        assert row.raw == raw
        assert row.reason or row.disposition is Disposition.APPLIED
        assert row.answer or row.reason


def test_a_message_that_was_answered_is_answered_with_its_own_control_id() -> None:
    given = _files()

    for _, row in _through(_open_to_anyone(), given):
        if row.answer and row.key.control_id and row.answer_code in ("AA", "CA"):
            assert row.key.control_id[:199] in row.answer


def test_the_second_time_every_corpus_message_gets_its_first_answer() -> None:
    given = [one for one in _files() if one[0] != "simhospital"]

    rows = _through(_open_to_anyone(), given + given)

    half = len(given)
    assert [row.answer for _, row in rows[:half]] == [row.answer for _, row in rows[half:]]
    assert [row.sequence for _, row in rows[:half]] == [row.sequence for _, row in rows[half:]]


def test_the_folder_is_where_the_tests_say() -> None:
    assert Path(CORPUS / "simhospital" / "messages.out").is_file()
