"""Seconds of `referral-engine check` over many channels, beside what the standard library's parser alone would need.

python -m benchmarks.check [--channels 1000] [--rounds 3] [--json FILE] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.sites import site, written
from referral_engine.channels.book import check_files
from referral_engine.channels.source import Source, read_source

SECONDS_MAX: Final = 2.0  # the promise, for a thousand channels
CHANNELS: Final = 1000


def command(folder: Path, name: str = "check") -> tuple[float, float, int]:
    """Seconds and processor seconds of a command without words, from its start to its end, and its exit status."""
    words = [sys.executable, "-m", "referral_engine", name]
    path = {"PYTHONPATH": str(Path(__file__).resolve().parents[1]), "PYTHONDONTWRITEBYTECODE": ""}  # as it is installed
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    ended = subprocess.run(words, cwd=folder, env=os.environ | path, stdout=subprocess.DEVNULL, check=False)
    passed = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended.returncode


def measure(channels: int, rounds: int) -> dict[str, float]:
    """Processor seconds of each part, the best of some rounds; those of the command on the clock as well."""
    files = site(channels)
    with tempfile.TemporaryDirectory(prefix="check-") as folder:
        written(files, Path(folder))
        runs = [command(Path(folder)) for _ in range(rounds)]
    found = {
        "the standard library's parser alone": _best(lambda: [tomllib.loads(text) for text in files.values()], rounds),
        "our reading of the text": _best(lambda: [read_source(name, text) for name, text in files.items()], rounds),
        "and the place of every value": _best(lambda: _places(files), rounds),
        "all of the check": _best(lambda: check_files(files), rounds),
        "the command": min(busy for _, busy, _ in runs),
        "the command, by the clock": min(passed for passed, _, _ in runs),
    }
    return found | {"exit": float(max(status for _, _, status in runs))}


def _places(files: Mapping[str, str]) -> int:
    """Every place of every file: what nobody asks for as long as nothing is wrong."""
    sources = (read_source(name, text) for name, text in files.items())
    return sum(len(one.spans) for one in sources if isinstance(one, Source))


def _best(work: Callable[[], object], rounds: int) -> float:
    return min(_once(work) for _ in range(rounds))


def _once(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()  # as the command does
    begun = time.process_time()
    work()
    passed = time.process_time() - begun
    gc.enable()
    return passed


def profile(channels: int) -> None:
    """Where the time goes."""
    files = site(channels)
    profiler = cProfile.Profile()
    profiler.enable()
    check_files(files)
    profiler.disable()
    pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(40)


def main() -> None:
    """Time every part and print the table; exit status 1 when the site is not clean or the command is late."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=__doc__)
    parser.add_argument("--channels", type=int, default=CHANNELS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.profile:
        profile(given.channels)
        return
    found = measure(given.channels, given.rounds)
    status = found.pop("exit")
    unit = found["the standard library's parser alone"]
    print(f"{given.channels} channels{'':26}{'seconds':>10}{'of the parser':>15}")
    for name, seconds in found.items():
        print(f"{name:38}{seconds:>10.2f}{seconds / unit:>15.1f}")
    if given.json:
        Path(given.json).write_text(json.dumps(found, indent=2), encoding="utf-8")
    late = found["the command"] > SECONDS_MAX * max(given.channels / CHANNELS, 1.0)
    sys.exit(1 if status or late else 0)


if __name__ == "__main__":
    main()
