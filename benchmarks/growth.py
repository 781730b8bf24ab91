"""`python -m benchmarks.growth`: the same load on a journal of ten thousand messages and on one of a million."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks import processes
from benchmarks.messages import Made
from benchmarks.mixes import streams
from referral_engine.base.clock import ManualClock
from referral_engine.channels.book import read_book
from referral_engine.flow.inputs import Arrived, Claim, Settled, Ticked
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.loop.events import Outcome
from referral_engine.service.files import read_files, read_or_make_key

GROUP: Final = 256  # messages in one commit while the journal is filled
CHUNK: Final = 20_000  # messages made at once while the journal is filled
FILL_SEED: Final = 900  # so that no message of the fill comes again in the load
RATIO_MIN: Final = 0.90  # the large journal's rate, of the small one's: the aim
CLAIMS: Final = 200  # sendings of one lane taken at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A folder with configuration, key and filled journal."""

    folder: Path
    conf: Path
    rows: int


def fill(folder: Path, rows: int, *, ports: Sequence[int]) -> Site:
    """A journal of so many messages that went through the real door, 95 % about nobody; nothing is owed any more."""
    conf = processes.write_files(folder, sinks=ports)
    key = read_or_make_key(str(folder / "var" / "journal.key"))
    clock = ManualClock(datetime.now(UTC))
    journal = Journal.open(str(folder / "var" / "journal.db"), key, node="RE")
    try:
        step = Step(journal, read_book(read_files(str(conf))), clock)
        began_at = time.monotonic()
        for chunk, first in enumerate(range(0, rows, CHUNK)):
            count = min(CHUNK, rows - first)
            made = streams("unrelated", connections=1, count=count, seed=FILL_SEED + chunk)[0][:count]
            for start in range(0, count, GROUP):
                clock.move_to(clock.now() + timedelta(milliseconds=1))
                _deliver(step, _arrive(step, made[start : start + GROUP]))
            _say(f"\rfilled {first + count:,} of {rows:,} messages in {time.monotonic() - began_at:.0f} s   ")
        clock.move_to(max(datetime.now(UTC), clock.now()))
        while (receipt := step.run([Ticked()])[0]).more:
            _deliver(step, receipt.lanes)
        _say("\n")
    finally:
        journal.close()
    return Site(folder=folder, conf=conf, rows=rows)


def _arrive(step: Step, made: Sequence[Made]) -> frozenset[str]:
    """One group; the lanes that owe something now."""
    receipts = step.run([Arrived(raw=raw, peer="127.0.0.1") for _, raw in made])
    assert all(b"\rMSA|AA|" in receipt.answer for receipt in receipts), "every message of the fill is taken"
    return frozenset().union(*(receipt.lanes for receipt in receipts))


def _deliver(step: Step, lanes: frozenset[str]) -> None:
    """Hand out what is owed and say that it arrived, so that the daemon begins with nothing to send."""
    for lane in sorted(lanes):
        while taken := step.run([Claim(lane=lane, limit=CLAIMS)])[0].effects:
            step.run([Settled(effect=row.id, token=row.token, outcome=Outcome.DELIVERED) for row in taken])


def measure(site: Site, words: Sequence[str]) -> dict[str, Any]:
    """The daemon on this journal under this load."""
    began_at = time.monotonic()
    with processes.daemon_in(site.folder, site.conf) as server, processes.load(words) as load:
        ready_seconds = round(time.monotonic() - began_at, 2)
        (ready_mib, _), busy = server.memory_mib(), server.cpu_seconds()
        found = load.against(server.port)
        cpu_us = round((server.cpu_seconds() - busy) / max(found["verified"], 1) * 1e6, 1)
        resident_mib, _ = server.memory_mib()
    seen = {"ready_seconds": ready_seconds, "resident_mib_at_start": ready_mib, "resident_mib": resident_mib}
    seen["cpu_us"] = cpu_us  # of the daemon, a message: what a busy machine changes least
    return {**found, **seen}


def _words(options: argparse.Namespace, mix: str, seed: int) -> list[str]:
    count = int(options.rate * (options.seconds + 0.5))
    return [
        "--mix", mix, "--connections", str(options.connections), "--seed", str(seed), "--count", str(count),
        "--seconds", str(options.seconds), "--warm-seconds", "0.5",
    ]  # fmt: skip


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Small and large in turns, the small one filled anew each time; the ratio of each round, and its median."""
    small, large = sorted(int(text) for text in options.rows.split(","))
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    with processes.sinks(4) as sinks:
        site = fill(folder / "large", large, ports=sinks.ports)
        journal_mib = round((folder / "large" / "var" / "journal.db").stat().st_size / 2**20)
        for at, mix in enumerate(options.mix.split(",")):
            for number in range(options.rounds):
                words = _words(options, mix, seed=100 + 20 * at + number)
                fresh = fill(folder / f"small-{at}-{number}", small, ports=sinks.ports)
                for one in (fresh, site) if number % 2 == 0 else (site, fresh):
                    run = measure(one, words)
                    found.setdefault((mix, one.rows), []).append(run)
                    rate, late = run["messages_per_second"], run["p99_ms"]
                    _say(f"{mix:9} {one.rows:9,} rows: {rate:8.0f} messages/s, p99 {late:.1f} ms\n")
                shutil.rmtree(fresh.folder)
    results = [_row(mix, found[mix, small], found[mix, large]) for mix in options.mix.split(",")]
    return {"small": small, "large": large, "large_mib": journal_mib, "loads": options.connections, "results": results}


def _row(mix: str, small: Sequence[dict[str, Any]], large: Sequence[dict[str, Any]]) -> dict[str, Any]:
    pairs = zip(large, small, strict=True)
    ratios = [one["messages_per_second"] / max(other["messages_per_second"], 1e-9) for one, other in pairs]
    costs = statistics.median(run["cpu_us"] for run in small) / max(
        statistics.median(run["cpu_us"] for run in large), 1
    )
    names = (
        "messages_per_second",
        "cpu_us",
        "p50_ms",
        "p99_ms",
        "ready_seconds",
        "resident_mib_at_start",
        "resident_mib",
    )
    return {
        "mix": mix,
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio_of_cpu": round(costs, 3),  # the small one's cost, of the large one's: 1 when size costs nothing
        **{
            f"{size}_{name}": [run[name] for run in runs]
            for size, runs in (("small", small), ("large", large))
            for name in names
        },
        "wrong": sum(run["wrong"] + run["missing"] for run in [*small, *large]),
        "ran_dry": any(run["ran_dry"] for run in [*small, *large]),
    }


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def main() -> None:
    """Measure what a large journal costs; progress on stderr, one JSON document on stdout; exit status 1 below 0.9."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=main.__doc__)
    options.add_argument("--rows", default="10000,1000000", help="messages in the journals that are compared")
    options.add_argument("--mix", default="unrelated,change")
    options.add_argument("--connections", type=int, default=64)
    options.add_argument("--seconds", type=float, default=4.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--rate", type=int, default=12_000, help="messages a second that are made beforehand")
    options.add_argument("--within", help="a folder for the journals (2 GB a million); a temporary one when not given")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="growth-", dir=given.within) as name:
        found = compare(given, Path(name))
    print(json.dumps(found, indent=1))
    good = all(one["ratio"] >= RATIO_MIN and not one["wrong"] for one in found["results"])
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
