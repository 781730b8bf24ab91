"""The table of the public samples: file, type, what it says, match, what became of it, ACK.

python -m tests.corpus.table writes it anew; a test holds what is committed against what the engine does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.base.errors import MessageFault
from referral_engine.channels.book import Book
from referral_engine.channels.matcher import Matcher
from referral_engine.channels.parties import Party
from referral_engine.flow.inputs import Arrived
from referral_engine.flow.step import Step
from referral_engine.hl7.batch import split_batch
from referral_engine.hl7.message import Message
from referral_engine.intake.read import read
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import MessageRow
from tests.channels.shipped import ROOT
from tests.flow.stage import book

CORPUS = ROOT.parent / "shared" / "corpus"
TABLE = Path(__file__).with_name("table.tsv")
NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
BATCH = 64
BLANK_LINES = re.compile(rb"\n{2,}(?=MSH)")
HEADS = ("file", "type", "says", "disposition", "level", "ack", "reason")


def samples() -> list[tuple[str, bytes]]:
    """Every message with its place; a file of many messages gives many."""
    found: list[tuple[str, bytes]] = []
    for path in sorted(path for path in CORPUS.rglob("*") if path.is_file()):
        place = path.relative_to(CORPUS)
        if path.name == "LICENSE" or len(place.parts) == 1:  # README.md lies beside the folders
            continue
        raw = path.read_bytes()
        parts = BLANK_LINES.split(raw) if path.suffix == ".out" else [raw]
        found += [(place.as_posix() + (f"#{n}" if len(parts) > 1 else ""), one) for n, one in enumerate(parts, 1)]
    return found


def open_to_anyone() -> Book:
    """The shipped configuration, whose EHR may have any name and send test data; all its orders are referrals."""
    shipped = book()
    ehr = replace(
        shipped.feeds["ehr"], applications=(), facilities=(), addresses=(), referral_when=Matcher(conditions=())
    )
    engine = replace(shipped.engine, processing_ids=("P", "T", "D", ""))
    return replace(shipped, engine=engine, feeds={**shipped.feeds, "ehr": ehr})


def through(the_book: Book, given: list[tuple[str, bytes]]) -> list[tuple[str, MessageRow]]:
    """Each message through one door, in batches as they come; the row of each, in order."""
    journal = Journal.open(":memory:", None, node="RE", now=to_micros(NOW))
    step = Step(journal, the_book, ManualClock(NOW))
    receipts = []
    for start in range(0, len(given), BATCH):
        receipts += step.run([Arrived(raw=raw, peer="10.0.0.7") for _, raw in given[start : start + BATCH]])
    reading = journal.read()
    assert reading.conservation().holds
    assert reading.first_bad_audit_line() is None
    rows = [(place, reading.message(receipt.sequence)) for (place, _), receipt in zip(given, receipts, strict=True)]
    journal.close()
    return [(place, row) for place, row in rows if row is not None]


def said(the_book: Book, raw: bytes) -> str:
    """The events a message says as the ordering side's, or why it says none."""
    found: dict[str, None] = {}
    try:
        for part in split_batch(raw) or [raw]:
            party = Party(kind="ehr", name="ehr", feed=the_book.feeds["ehr"])
            for reading in read(Message.parse(part), party, received_at=NOW, sequence=1):
                words = [type(event).__name__ for event in reading.events]
                words += [reading.identities.change] if reading.identities else []
                words += ["withdraws"] if reading.withdraws else []
                found.update(dict.fromkeys(words or ["-"]))
    except MessageFault as fault:
        return f"fault {fault.code} {fault.path}".strip()
    return " ".join(found)


def rows() -> Iterator[str]:
    """The table's lines."""
    given, the_book = samples(), open_to_anyone()
    yield "\t".join(HEADS)
    for (place, raw), (_, row) in zip(given, through(the_book, given), strict=True):
        kind = "".join(letter if letter.isprintable() else "." for letter in row.type[:24])
        level = str(row.level) if row.level >= 0 else "-"
        reason = re.split(r"[:;(]", row.reason.splitlines()[0] if row.reason else "")[
            0
        ]  # what is configured may change
        yield "\t".join(
            (place, kind, said(the_book, raw), row.disposition.value, level, row.answer_code or "-", reason.strip())
        )


if __name__ == "__main__":
    TABLE.write_text("\n".join(rows()) + "\n", encoding="utf-8")
    print(f"{TABLE}: {len(samples())} messages")
