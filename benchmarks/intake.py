"""Microseconds to read one message: parse and intake, beside two other parsers, in one run on one core.

python -m benchmarks.intake [--rounds 5] [--json FILE] [--profile CASE]
"""

from __future__ import annotations

import argparse
import base64
import cProfile
import gc
import json
import pstats
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from referral_engine.channels.book import read_book
from referral_engine.channels.parties import Party
from referral_engine.hl7.message import Message
from referral_engine.intake.interest import numbers_of
from referral_engine.intake.read import read
from referral_engine.service.files import read_files

ROOT: Final = Path(__file__).resolve().parents[1]
SAMPLES: Final = ROOT / "sample_messages"
NOW: Final = datetime(2026, 3, 2, 15, tzinfo=UTC)
SECONDS_A_ROUND: Final = 0.4
LARGE_BYTES: Final = 200_000
AIMS: Final = {"ORM, parse and intake": 40.0, "MDM of 200 KB, parse and intake": 1000.0, "stranger, refused": 20.0}


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is timed."""

    name: str
    work: Callable[[], object]


def cases() -> list[Case]:
    """What this engine does, and what two others need to parse the same order."""
    order = (SAMPLES / "orm-o01-cardiology-ppo.hl7").read_bytes().replace(b"\n", b"\r")
    note = large_note((SAMPLES / "mdm-t02-cardiology-final.hl7").read_bytes())
    stranger = (SAMPLES / "adt-a08-new-phone.hl7").read_bytes()
    book = read_book(read_files(str(ROOT / "conf" / "engine.toml")))
    ehr = Party(kind="ehr", name="ehr", feed=book.feeds["ehr"])
    channel = book.channels["cardiology-heart-group"]
    office = Party(kind="specialist", name=channel.name, feed=channel.feed(), channel=channel)
    known: frozenset[tuple[str, str]] = frozenset({("patient", "0")})
    return [
        Case("ORM, parse and intake", lambda: read(Message.parse(order), ehr, received_at=NOW, sequence=1)),
        Case("MDM of 200 KB, parse and intake", lambda: read(Message.parse(note), office, received_at=NOW, sequence=1)),
        Case("stranger, refused", lambda: refused(stranger, known)),
        Case("ORM, parse only", lambda: Message.parse(order).header.type),
        Case("ORM, python-hl7's parse", python_hl7(order)),
        Case("ORM, hl7apy's parse", hl7apy(order)),
    ]


def refused(raw: bytes, known: frozenset[tuple[str, str]]) -> bool:
    """What the door does with a message about nobody before it forgets it, without the journal."""
    message = Message.parse(raw)
    return message.header.type != "" and not any(number in known for number in numbers_of(message))


def large_note(raw: bytes) -> bytes:
    """A consult note whose attachment makes it 200 KB."""
    letters = base64.b64encode(b"%PDF-1.7\n" + random.Random(7).randbytes(LARGE_BYTES * 3 // 4)).decode()
    obx = f"OBX|9|ED|PDF^Report^L||^application^pdf^Base64^{letters}||||||F"
    return b"\r".join([*raw.strip(b"\r\n").replace(b"\n", b"\r").split(b"\r"), obx.encode()]) + b"\r"


def python_hl7(raw: bytes) -> Callable[[], object]:
    """The parser most Python programs use."""
    import hl7

    text = raw.decode()
    return lambda: hl7.parse(text)


def hl7apy(raw: bytes) -> Callable[[], object]:
    """The parser that knows the standard."""
    from hl7apy.parser import parse_message

    text = raw.decode()
    return lambda: parse_message(text, find_groups=False)


def microseconds(case: Case, rounds: int) -> float:
    """The best round's mean: what the work costs when nothing else disturbs."""
    case.work()
    once = timed(case.work, 3)
    number = max(3, int(SECONDS_A_ROUND / once))
    return min(timed(case.work, number) for _ in range(rounds)) * 1e6


def timed(work: Callable[[], object], number: int) -> float:
    """Seconds a call."""
    gc.collect()
    gc.disable()
    begun = time.perf_counter()
    for _ in range(number):
        work()
    passed = time.perf_counter() - begun
    gc.enable()
    return passed / number


def main() -> None:
    """Time every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--profile", metavar="CASE", help="Profile one case instead; any part of its name.")
    given = parser.parse_args()
    all_cases = cases()
    if given.profile:
        profile(next(case for case in all_cases if given.profile in case.name))
        return
    found = {case.name: microseconds(case, given.rounds) for case in all_cases}
    unit = found["ORM, parse only"]
    print(f"{'':38}{'us':>10}{'of our parse':>14}{'aim':>8}")
    for name, cost in found.items():
        aim = AIMS.get(name)
        print(f"{name:38}{cost:>10.1f}{cost / unit:>14.1f}{aim if aim is not None else '':>8}")
    if given.json:
        Path(given.json).write_text(json.dumps(found, indent=2), encoding="utf-8")


def profile(case: Case) -> None:
    """Where the time of one case goes."""
    case.work()
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(2000 if "MDM" not in case.name else 200):
        case.work()
    profiler.disable()
    pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(30)
    print(statistics.mean([microseconds(case, 1)]))


if __name__ == "__main__":
    main()
