"""A process that keeps and acknowledges, to be recorded: python -m tests.power.writer SITE COUNT SEED [WORD...]

It prints, each line in one write: "ACK n" once the message of that number is committed, "FILE n" once the file of that
number is in the spool directory. `material` and `body` make the same bytes again for whoever looks at what is left.
Words: "bare" lets the spool directory be made by whoever drops the first file; "plain" leaves the journal unencrypted; "from=N" begins with that number, on a site that is there already;
"synchronous=NORMAL" is the mistake that must be found out.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.channels.book import read_book
from referral_engine.flow.inputs import Arrived, Ticked
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.service.files import read_files
from referral_engine.torture import messages
from referral_engine.torture.site import lay_out
from referral_engine.transports.spool import publish

KEY = bytes(range(32))
START = datetime(2026, 3, 2, 15, tzinfo=UTC)
BATCH_MAX = 6
CHECKPOINT_PAGES = 60  # small, so that cuts fall into checkpoints, too
FILE_SHARE = 0.5  # of the batches after which a file is dropped
ANCHOR_SHARE = 0.2  # of the batches after which it is noted beside the journal how far it has come


def material(number: int) -> bytes:
    """The message of this number."""
    kind = number % 4  # the order of a number divisible by four goes to an office that books
    make = (messages.order, messages.booking, messages.note, messages.registration)[kind]
    return make(number if kind == 3 else number - kind, START)


def body(number: int) -> bytes:
    """The content of the file that is dropped after the message of this number."""
    return hashlib.sha256(b"%d" % number).digest() * (1 + number % 97)


def file_of(number: int) -> str:
    """Its name."""
    return f"F{number}.txt"


def open_journal(site: Path, words: list[str]) -> Journal:
    """The journal of a site, as the words want it."""
    journal = Journal.open(str(site / "journal.db"), None if "plain" in words else KEY, node="PW", now=to_micros(START))
    journal._log._limit = CHECKPOINT_PAGES
    for word in words:
        if word.startswith("synchronous="):
            journal._connection.execute(f"PRAGMA {word}")
    return journal


def write(site: Path, count: int, seed: int, words: list[str]) -> None:
    """Keep `count` messages, in batches of several; say so after each commit.  In the middle it stops and starts."""
    chance = random.Random(seed)
    conf = lay_out(site, listener=1, ports={"ehr": 1, "heart": 1, "imaging": 1})
    book = read_book(read_files(str(conf)))
    clock = ManualClock(START)
    number = first = next((int(word.removeprefix("from=")) for word in words if word.startswith("from=")), 0)
    half = first + count // 2
    step = Step(open_journal(site, words), book, clock)
    if "bare" not in words:
        make_durably(site / "spool")
        make_durably(site / "spool" / "fax")
    while number < first + count:
        batch = range(number, min(first + count, number + chance.randrange(1, BATCH_MAX + 1)))
        arrived = [Arrived(raw=material(one), peer="127.0.0.1") for one in batch]
        step.run([*arrived, Ticked()] if chance.random() < 0.2 else arrived)
        for one in batch:
            say(f"ACK {one}")
        if chance.random() < FILE_SHARE:
            publish(str(site / "spool" / "fax"), file_of(batch[0]), body(batch[0]))
            say(f"FILE {batch[0]}")
        if chance.random() < ANCHOR_SHARE:
            step.journal.anchor()
        if number <= half < batch[-1]:
            step.journal.close()
            step = Step(open_journal(site, words), book, clock)
        number = batch[-1] + 1
        clock.move_to(clock.now() + timedelta(seconds=1))
    os._exit(0)  # a clean close would tidy up what a power cut leaves


def make_durably(folder: Path) -> None:
    """A directory that a power cut leaves where it is."""
    folder.mkdir(exist_ok=True)
    parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(parent)
    os.close(parent)


def say(line: str) -> None:
    """One line, one write."""
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
