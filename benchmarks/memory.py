"""`python -m benchmarks.memory`: one daemon, half a million messages in ten steps; its memory must stay flat."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks import processes
from benchmarks.mixes import MIXES

STEPS: Final = 10
WARM_MESSAGES: Final = 20_000
GROWTH_MAX: Final = 0.10  # of the memory after the warm-up: the aim
SECONDS_MAX: Final = 3_600.0  # of one step; a step ends when its messages are sent
COLUMNS: Final = "messages  resident MiB  open files  messages/s  cpu us"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was seen after so many messages."""

    messages: int
    resident_mib: float
    peak_mib: float
    descriptors: int
    messages_per_second: float
    cpu_us: float  # a message of this step
    wrong: int


def measure(*, messages: int, connections: int, in_flight: int, mix: str, couriers: bool) -> list[Step]:
    """A warm-up that fills the page cache of 64 MiB (what changes referrals fills it soonest); then ten steps."""
    each = max(messages // STEPS, connections * 3)
    steps: list[Step] = []
    with ExitStack() as stack:
        ports = stack.enter_context(processes.sinks(4)).ports if couriers else ()
        server = stack.enter_context(processes.daemon(sinks=ports))
        for number in range(STEPS + 1):
            busy, began_at = server.cpu_seconds(), time.monotonic()
            count, kind = (each, mix) if number else (min(each, WARM_MESSAGES), "change")
            with processes.load(_words(count, connections, in_flight, kind, seed=number + 1)) as load:
                found = load.against(server.port)
            steps.append(_look(server, found, number * each, busy))
            print(_line(steps[-1]), f" after {time.monotonic() - began_at:.0f} s", file=sys.stderr, flush=True)
    return steps


def _words(count: int, connections: int, in_flight: int, mix: str, *, seed: int) -> list[str]:
    return [
        "--mix", mix, "--connections", str(connections), "--in-flight", str(in_flight), "--seed", str(seed),
        "--seconds", str(SECONDS_MAX), "--warm-seconds", "0", "--count", str(count),
    ]  # fmt: skip


def _look(server: processes.Server, found: dict[str, Any], messages: int, busy: float) -> Step:
    resident, peak = server.memory_mib()
    return Step(
        messages=messages,
        resident_mib=resident,
        peak_mib=peak,
        descriptors=server.descriptors(),
        messages_per_second=found["messages_per_second"],
        cpu_us=round((server.cpu_seconds() - busy) / max(found["verified"], 1) * 1e6, 1),
        wrong=found["wrong"] + found["missing"] + found["lost_connections"],
    )


def _line(step: Step) -> str:
    return (
        f"{step.messages:8}  {step.resident_mib:12.1f}  {step.descriptors:10}  {step.messages_per_second:10.0f}"
        f"  {step.cpu_us:6.0f}"
    )


def judge(steps: Sequence[Step]) -> dict[str, object]:
    """How memory went, from the end of the warm-up (the first): the straight line through all, and the worst."""
    first = steps[0].resident_mib
    counts, sizes = [step.messages for step in steps], [step.resident_mib for step in steps]
    middle, mean = sum(counts) / len(counts), sum(sizes) / len(sizes)
    spread = sum((count - middle) ** 2 for count in counts)
    slope = sum((count - middle) * (size - mean) for count, size in zip(counts, sizes, strict=True)) / max(spread, 1)
    largest = max(sizes) / first
    return {
        "resident_mib_after_warm_up": first,
        "kib_per_1000_messages": round(slope * 1000 * 1024, 2),
        "growth": round(slope * (counts[-1] - counts[0]) / first, 4),
        "largest_to_first": round(largest, 4),
        "open_files_first_and_last": [steps[0].descriptors, steps[-1].descriptors],
        "flat": largest <= 1 + GROWTH_MAX,
    }


def main() -> None:
    """Measure memory over many messages; a line a step on stderr, one JSON document on stdout; 1 when it grows."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=main.__doc__)
    options.add_argument("--messages", type=int, default=500_000)
    options.add_argument("--connections", type=int, default=16)
    options.add_argument("--in-flight", type=int, default=4)
    options.add_argument("--mix", choices=MIXES, default="unrelated")
    options.add_argument("--couriers", choices=["working", "idle"], default="working")
    given = options.parse_args()
    print(COLUMNS, file=sys.stderr)
    steps = measure(
        messages=given.messages,
        connections=given.connections,
        in_flight=given.in_flight,
        mix=given.mix,
        couriers=given.couriers == "working",
    )
    judged = judge(steps)
    print(json.dumps({"mix": given.mix, **judged, "steps": [asdict(step) for step in steps]}, indent=1))
    sys.exit(0 if judged["flat"] and not any(step.wrong for step in steps) else 1)


if __name__ == "__main__":
    main()
