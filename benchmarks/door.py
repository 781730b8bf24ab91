"""The door alone: microseconds a message in `Step.run`, without sockets, on a real encrypted journal."""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks import messages
from benchmarks.messages import STRANGERS, VISIT_AFTER, Case, Made
from referral_engine.base.clock import ManualClock
from referral_engine.channels.book import Book, read_book
from referral_engine.flow.inputs import Arrived, Receipt
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.service.files import read_files

ROOT: Final = Path(__file__).resolve().parents[1]
KINDS: Final = ("order", "fax order", "appointment", "note", "unrelated")
FAX_SHARE: Final = 8  # one fax order in so many messages: each makes a PDF and takes long
BATCHES: Final = (1, 16, 64)
PROFILE_LINES: Final = 25
START: Final = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # a Monday morning in Chicago


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one message of one kind cost in batches of one size."""

    batch: int
    kind: str
    messages: int
    us: float  # everything, the commit too
    commit_us: float  # its share of BEGIN and COMMIT: encryption and the disk's flush
    own_us: float  # the difference: Python and SQL
    cpu_us: float  # processor time of the door's thread: what a busy machine changes least


class TimedStep:
    """A door over an open journal; `commit_seconds` adds up what BEGIN and COMMIT took."""

    def __init__(self, journal: Journal, book: Book, clock: ManualClock) -> None:
        self.step = Step(journal, book, clock)
        self.clock = clock
        self.commit_seconds = 0.0
        self.cpu_seconds = 0.0
        self._time(journal, "_commit")
        self._time(journal, "_begin")

    def _time(self, journal: Journal, name: str) -> None:
        original = getattr(journal, name)

        def timed() -> None:
            began_at = time.perf_counter()
            original()
            self.commit_seconds += time.perf_counter() - began_at

        setattr(journal, name, timed)

    def run(self, made: Sequence[Made], batch: int) -> float:
        """Bring messages through in batches; the seconds it took.  Every answer must be AA."""
        inputs = [Arrived(raw=message, peer="127.0.0.1") for _, message in made]
        receipts: list[Receipt] = []
        spent = 0.0
        for start in range(0, len(inputs), batch):
            self.clock.move_to(self.clock.now() + timedelta(milliseconds=5))
            began_at, cpu_at = time.perf_counter(), time.thread_time()
            receipts += self.step.run(inputs[start : start + batch])
            spent += time.perf_counter() - began_at
            self.cpu_seconds += time.thread_time() - cpu_at
        for (identity, _), receipt in zip(made, receipts, strict=True):
            assert b"\rMSA|AA|" + identity + b"|" in receipt.answer.replace(b"\r", b"|\r"), receipt
        return spent


def shipped_book() -> Book:
    """The configuration the project ships."""
    return read_book(read_files(str(ROOT / "conf" / "engine.toml")))


@contextmanager
def door(folder: str, name: str, book: Book) -> Iterator[TimedStep]:
    """A door over a new encrypted journal."""
    journal = Journal.open(str(Path(folder) / f"{name}.db"), os.urandom(32), node="RE")
    try:
        yield TimedStep(journal, book, ManualClock(START))
    finally:
        journal.close()


def made_of(kind: str, first: int, count: int) -> list[Made]:
    """Messages of one kind: bookings and notes are about the referrals that the orders of the same numbers began."""
    if kind == "unrelated":
        return [STRANGERS[number % len(STRANGERS)](number, START) for number in range(first, first + count)]
    if kind == "fax order":
        faxed = range(first + count, first + count + max(count // FAX_SHARE, 1))
        return [messages.order(Case(number=number, office=messages.LAKESIDE, ordered_at=START)) for number in faxed]
    offices = [office for office in messages.OFFICES if office.books]
    cases = [
        Case(number=number, office=offices[number % len(offices)], ordered_at=START)
        for number in range(first, first + count)
    ]
    match kind:
        case "order":
            return [messages.order(case) for case in cases]
        case "appointment":
            return [messages.booking(case, at=START, starts_at=START + VISIT_AFTER) for case in cases]
        case _:
            return [messages.note(case, at=START + timedelta(minutes=5)) for case in cases]


def measure(timed: TimedStep, batch: int, count: int, first: int) -> dict[str, Cost]:
    """Orders, their bookings, their notes, then strangers; one pass."""
    found = {}
    for kind in KINDS:
        made = made_of(kind, first + (2 * count if kind == "unrelated" else 0), count)
        gc.collect()
        timed.commit_seconds = timed.cpu_seconds = 0.0
        spent = timed.run(made, batch)
        found[kind] = Cost(
            batch=batch,
            kind=kind,
            messages=len(made),
            us=spent / len(made) * 1e6,
            commit_us=timed.commit_seconds / len(made) * 1e6,
            own_us=(spent - timed.commit_seconds) / len(made) * 1e6,
            cpu_us=timed.cpu_seconds / len(made) * 1e6,
        )
    return found


def costs(*, rounds: int, count: int, batches: Sequence[int] = BATCHES) -> list[Cost]:
    """The median of `rounds` passes for every kind and batch size, after a pass that warms up."""
    book = shipped_book()
    medians = []
    with tempfile.TemporaryDirectory(prefix="door-") as folder:
        for batch in batches:
            with door(folder, f"batch-{batch}", book) as timed:
                measure(timed, batch, max(count // 10, 10), 1)
                passes = [measure(timed, batch, count, 1_000_000 * (number + 1)) for number in range(rounds)]
            for kind in KINDS:
                taken = [found[kind] for found in passes]
                medians.append(
                    Cost(
                        batch=batch,
                        kind=kind,
                        messages=taken[0].messages,
                        us=round(statistics.median(one.us for one in taken), 1),
                        commit_us=round(statistics.median(one.commit_us for one in taken), 1),
                        own_us=round(statistics.median(one.own_us for one in taken), 1),
                        cpu_us=round(statistics.median(one.cpu_us for one in taken), 1),
                    )
                )
    return medians


def profile(kinds: Sequence[str], *, batch: int, count: int) -> None:
    """Where the time goes: by what lies below a function, and by the function alone."""
    book = shipped_book()
    with tempfile.TemporaryDirectory(prefix="door-") as folder, door(folder, "profile", book) as timed:
        measure(timed, batch, 100, 1)
        for kind in KINDS:
            made = made_of(kind, 1_000_000 + (2 * count if kind == "unrelated" else 0), count)
            if kind not in kinds:
                timed.run(made, batch)
                continue
            recorder = cProfile.Profile()
            recorder.enable()
            timed.run(made, batch)
            recorder.disable()
            print(f"\n{kind}: {len(made)} messages in batches of {batch}; times are seconds, and inflated by profiling")
            stats = pstats.Stats(recorder).strip_dirs()
            stats.sort_stats("cumulative").print_stats(PROFILE_LINES)
            stats.sort_stats("tottime").print_stats(PROFILE_LINES)


def main() -> None:
    """Measure the door and print one JSON document; a table goes to stderr."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.door", description=main.__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--count", type=int, default=1024, help="messages of each kind in a pass")
    options.add_argument("--batches", default=",".join(map(str, BATCHES)))
    options.add_argument("--profile", action="store_true", help="show where the time goes instead")
    options.add_argument("--kinds", default=",".join(KINDS), help="what --profile looks at")
    given = options.parse_args()
    batches = [int(size) for size in given.batches.split(",")]
    if given.profile:
        profile(given.kinds.split(","), batch=batches[-1], count=given.count)
        return
    found = costs(rounds=given.rounds, count=given.count, batches=batches)
    print("batch  kind            us    commit       own       cpu", file=sys.stderr)
    for one in found:
        print(
            f"{one.batch:5}  {one.kind:11} {one.us:7.1f} {one.commit_us:9.1f} {one.own_us:9.1f} {one.cpu_us:9.1f}",
            file=sys.stderr,
        )
    shown = [{name: getattr(one, name) for name in Cost.__slots__} for one in found]
    print(json.dumps({"unit": "microseconds a message", "cores": os.cpu_count(), "door": shown}, indent=1))


if __name__ == "__main__":
    main()
