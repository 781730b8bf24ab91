"""Seconds of `referral-engine test` over many timetables, each of a channel of its own.

python -m benchmarks.timetables [--tests 200] [--rounds 3] [--json FILE] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.check import command
from benchmarks.sites import site, written
from referral_engine.channels.book import read_book
from referral_engine.flow.timetable import Bench

SECONDS_MAX: Final = 5.0  # the promise, for two hundred timetables
TESTS: Final = 200


def play(tests: int) -> int:
    """Play the tests of a site in this process; how many failed."""
    book = read_book(site(tests))
    with tempfile.TemporaryDirectory(prefix="timetables-") as folder:
        written({}, Path(folder))
        samples = Path(folder) / "sample_messages"
        bench = Bench(book, lambda _: lambda name: (samples / name).read_bytes())
        cases = [(channel, test) for channel in book.channels.values() for test in channel.tests]
        assert len(cases) == tests, "every channel has one"
        return sum(bool(bench.play(channel, test).failed) for channel, test in cases)


def measure(tests: int, rounds: int) -> dict[str, float]:
    """The best of some rounds: processor seconds of playing alone, of the command, and those on the clock."""
    alone = []
    for _ in range(rounds):
        begun = time.process_time()
        failed = play(tests)
        alone.append(time.process_time() - begun)
        assert not failed, "the made-up site does what its tests say"
    with tempfile.TemporaryDirectory(prefix="timetables-") as folder:
        written(site(tests), Path(folder))
        runs = [command(Path(folder), "test") for _ in range(rounds)]
    return {
        "played, the files' reading with it": min(alone),
        "the command": min(busy for _, busy, _ in runs),
        "the command, by the clock": min(passed for passed, _, _ in runs),
        "exit": float(max(status for _, _, status in runs)),
    }


def main() -> None:
    """Time the command and print the table; exit status 1 when a test fails or the command is late."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.timetables", description=__doc__)
    parser.add_argument("--tests", type=int, default=TESTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.profile:
        profiler = cProfile.Profile()
        profiler.runcall(play, given.tests)
        pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(40)
        return
    found = measure(given.tests, given.rounds)
    status = found.pop("exit")
    print(f"{given.tests} timetables{'':24}{'seconds':>10}{'ms each':>10}")
    for name, seconds in found.items():
        print(f"{name:38}{seconds:>10.2f}{seconds / given.tests * 1e3:>10.1f}")
    if given.json:
        Path(given.json).write_text(json.dumps(found, indent=2), encoding="utf-8")
    late = found["the command"] > SECONDS_MAX * max(given.tests / TESTS, 1.0)
    sys.exit(1 if status or late else 0)


if __name__ == "__main__":
    main()
