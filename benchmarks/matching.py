"""`python -m benchmarks.matching`: matching and refusing among ten open referrals and among a hundred thousand."""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import messages
from benchmarks.door import START, TimedStep, shipped_book
from benchmarks.messages import HEART, STRANGERS, VISIT_AFTER, Case, Made
from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.base.ident import Phi, referral_id
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.flow.inputs import Arrived
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import BindingKind, DeadlineRow
from referral_engine.journal.unit import Unit
from referral_engine.loop.referral import Identifier, PatientId, Referral

SIZES: Final = (10, 1_000, 100_000)  # open referrals
GROUP: Final = 500  # of them stored in one commit
BATCH: Final = 8  # messages in one commit while it is measured, each about another referral
RATIO_MAX: Final = 1.35  # the largest journal's cost, of the smallest one's: the aim is 1.0, and pages must be found
KINDS: Final = ("match", "refuse")
NODE: Final = "RE"
BUSY_PATIENT: Final = 900_001  # has many referrals
BUSY_REFERRALS: Final = 60
EVERYBODYS: Final = "0"  # an order number that a careless system gives to every order


class Site:
    """A file-backed, encrypted journal with so many open referrals, and a door over it."""

    def __init__(self, folder: str, size: int, book: Book) -> None:
        """Fill it: one order goes through the door, all others are stored as that one was."""
        self.size = size
        self.key = os.urandom(32)
        self.journal = Journal.open(str(Path(folder) / f"{size}.db"), self.key, node=NODE)
        clock = ManualClock(START)
        self._number = 10_000_000  # of strangers
        self._again = 0
        Step(self.journal, book, clock).run([Arrived(raw=messages.order(_case(1))[1], peer="127.0.0.1")])
        self.first = fill(self.journal, size)
        self.timed = TimedStep(self.journal, book, clock)

    def cost(self, kind: str, count: int, chance: random.Random) -> float:
        """Processor time of the door, microseconds a message: what a busy machine changes least."""
        gc.collect()
        self.timed.cpu_seconds = 0.0
        for _ in range(max(count // BATCH, 1)):
            if kind == "refuse":
                self._number += BATCH
                numbers = range(self._number, self._number + BATCH)
                self.timed.run([STRANGERS[one % len(STRANGERS)](one, START) for one in numbers], BATCH)
            else:
                self._book(chance.sample(range(1, self.size + 1), BATCH))
        return self.timed.cpu_seconds / (max(count // BATCH, 1) * BATCH) * 1e6

    def _book(self, numbers: Sequence[int]) -> None:
        """The first booking of each of these; afterwards they are as they were: every booking is a first one."""
        self._again += 1
        starts_at = START + VISIT_AFTER
        made = [_booking(number, starts_at) for number in numbers]
        self.timed.run([_renamed(one, f"B{self._again}x{place}") for place, one in enumerate(made)], BATCH)
        with self.journal.batch(to_micros(START)) as unit:
            for number in numbers:
                unit.save_referral(_like(self.first, number), to_micros(START), new=False)


def fill(journal: Journal, size: int) -> Referral:
    """Referrals like the first one, with numbers and patients of their own and the first one's clocks; the first."""
    line = journal.read().referrals()[0]
    first = journal.read().referral(line.id)
    assert first is not None, "the order went through the door"
    with journal.batch(to_micros(START)) as unit:
        clocks = [row for row in unit.deadlines(first.id) if row.state == "pending"]
    for start in range(2, size + 1, GROUP):
        with journal.batch(to_micros(START)) as unit:
            for number in range(start, min(start + GROUP, size + 1)):
                _store(unit, _like(first, number), clocks)
    return first


def _store(unit: Unit, made: Referral, clocks: Sequence[DeadlineRow]) -> None:
    """One referral, its numbers and its clocks."""
    unit.save_referral(made, to_micros(START), new=True)
    unit.bind(BindingKind.PLACER, made.order.placer, made.id)
    unit.bind(BindingKind.REFERRAL, Identifier(value=made.id), made.id)
    unit.bind(BindingKind.PATIENT, made.patient.ids[0], made.id)
    unit.change_deadlines(made.id, [replace(row, referral=made.id) for row in clocks], [])


def _like(first: Referral, number: int, placer: str = "", record: str = "") -> Referral:
    """The referral of a number, as its order would have made it."""
    known = PatientId(value=Phi(record or f"M{number}"), authority=first.patient.ids[0].authority)
    patient = replace(_patient_of(number, first), ids=(known,))
    placed = Identifier(value=placer or f"P{number}", authority=first.order.placer.authority)
    identity = first.id if number == 1 else referral_id(NODE, 1_000_000 + number)
    return replace(first, id=identity, order=replace(first.order, placer=placed), patient=patient)


def _patient_of(number: int, like: Referral) -> Any:
    """Name, birth date and sex as the made-up messages of this number say them."""
    fields = messages._pid(number).split("|")  # the same words as in the messages
    family, given = fields[5].split("^")[:2]
    return replace(like.patient, family=Phi(family), given=Phi(given), born_on=Phi(fields[7]), sex=Phi(fields[8]))


def _case(number: int) -> Case:
    return Case(number=number, office=HEART, ordered_at=START)


def _booking(number: int, starts_at: Any) -> Made:
    return messages.booking(_case(number), at=START, starts_at=starts_at)


def _renamed(made: Made, identity: str) -> Made:
    """The same message under a control id of its own."""
    was, raw = made
    return identity.encode(), raw.replace(b"|" + was + b"|", b"|" + identity.encode() + b"|", 1)


def busy(site: Site, count: int) -> dict[str, float]:
    """What a number costs that leads to many: a patient of sixty referrals, an order number that everybody bears."""
    with site.journal.batch(to_micros(START)) as unit:
        for number in range(BUSY_REFERRALS):
            _store(unit, _like(site.first, 2_000_000 + number, f"PB{number}", f"M{BUSY_PATIENT}"), [])
    for start in range(1, site.size + 1, GROUP):
        with site.journal.batch(to_micros(START)) as unit:
            for number in range(start, min(start + GROUP, site.size + 1)):
                unit.bind(
                    BindingKind.PLACER, Identifier(value=EVERYBODYS, authority="EHR"), _like(site.first, number).id
                )
    found = {}
    for name, change in (("patient of 60 referrals", b""), ("order number 0", b"0^EHR")):
        made = []
        for number in range(count):
            _, raw = _booking(BUSY_PATIENT, START + VISIT_AFTER)
            raw = raw.replace(b"P%d^EHR" % BUSY_PATIENT, change)
            made.append(_renamed((b"S12%d" % BUSY_PATIENT, raw), f"{name[0]}{number}"))
        site.timed.cpu_seconds = 0.0
        site.timed.run(made, BATCH)
        found[name] = round(site.timed.cpu_seconds / count * 1e6, 1)
    return found


def measure(sizes: Sequence[int], *, rounds: int, count: int, seed: int) -> dict[str, Any]:
    """All sizes in turns, so that a busy minute of the machine hits each alike; medians, and ratios of each round."""
    book = shipped_book()
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="matching-") as folder:
        sites = []
        for size in sizes:
            _say(f"filling {size:,} open referrals\n")
            sites.append(Site(folder, size, book))
        taken: dict[tuple[str, int], list[float]] = {}
        for number in range(rounds + 1):
            for kind in KINDS:
                for site in sites:
                    spent = site.cost(kind, count, chance)
                    if number:  # the first round warms up
                        taken.setdefault((kind, site.size), []).append(spent)
            _say(f"\rround {number} of {rounds}   ")
        _say("\n")
        shared = {site.size: busy(site, count // 4 or 1) for site in sites}
        for site in sites:
            site.journal.close()
    costs = {kind: {size: round(statistics.median(taken[kind, size]), 1) for size in sizes} for kind in KINDS}
    ratios = {
        kind: round(
            statistics.median(
                large / small for large, small in zip(taken[kind, sizes[-1]], taken[kind, sizes[0]], strict=True)
            ),
            3,
        )
        for kind in KINDS
    }
    return {"seed": seed, "cpu_us": costs, "ratio": ratios, "cpu_us_of_a_number_that_leads_to_many": shared}


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Print one JSON document; exit status 1 when the largest journal costs more than RATIO_MAX of the smallest."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.matching", description=main.__doc__)
    options.add_argument("--referrals", default=",".join(map(str, SIZES)), help="open referrals in the journals")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--count", type=int, default=512, help="messages of each kind in a round")
    options.add_argument("--seed", type=int, default=2026)
    given = options.parse_args(words)
    sizes = sorted(int(text) for text in given.referrals.split(","))
    found = measure(sizes, rounds=given.rounds, count=given.count, seed=given.seed)
    print(json.dumps(found, indent=1))
    sys.exit(1 if max(found["ratio"].values()) > RATIO_MAX else 0)


if __name__ == "__main__":
    main()
