"""`python -m benchmarks`: the real daemon under load, beside an echo server in the same minutes; one JSON out."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from benchmarks import processes
from benchmarks.mixes import MIXES
from benchmarks.processes import Server

RATE_MAX = 14_000  # messages a second that are made beforehand; a faster server runs dry, and the result says so
ONE_CONNECTION_RATE_MAX = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured."""

    mixes: tuple[str, ...]
    connections: tuple[int, ...]
    in_flight: int
    seconds: float
    rounds: int
    couriers: bool


@dataclass(slots=True, kw_only=True)
class Cell:
    """The rounds of one mix and one number of connections."""

    engine: list[Mapping[str, float]] = field(default_factory=list)
    echo: list[Mapping[str, float]] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)  # of the daemon, a message
    delivered: list[float] = field(default_factory=list)  # by couriers, a second

    def summary(self, mix: str, connections: int) -> dict[str, object]:
        """The medians."""
        rate = _median(self.engine, "messages_per_second")
        return {
            "mix": mix,
            "connections": connections,
            "messages_per_second": rate,
            "p50_ms": _median(self.engine, "p50_ms"),
            "p99_ms": _median(self.engine, "p99_ms"),
            "max_ms": max(one["max_ms"] for one in self.engine),
            "echo_messages_per_second": (echo := _median(self.echo, "messages_per_second")),
            "echo_p50_ms": _median(self.echo, "p50_ms"),
            "echo_p99_ms": _median(self.echo, "p99_ms"),
            "ratio_to_echo": round(rate / echo, 3) if echo else 0.0,
            "rounds_messages_per_second": [one["messages_per_second"] for one in self.engine],
            "deliveries_per_second": round(statistics.median(self.delivered), 1),
            "cpu_us_a_message": round(statistics.median(self.cpu_us), 1),
            "resident_mib": round(statistics.median(self.resident_mib), 1),
            "peak_mib": max(self.peak_mib),
            "verified": int(sum(one["verified"] for one in self.engine)),
            "wrong": int(sum(one["wrong"] for one in self.engine)),
            "missing": int(sum(one["missing"] for one in self.engine)),
            "lost_connections": int(sum(one["lost_connections"] for one in self.engine)),
            "ran_dry": any(one["ran_dry"] for one in [*self.engine, *self.echo]),
        }


def measure(plan: Plan) -> Iterator[dict[str, object]]:
    """Every mix with every number of connections: echo and engine in turns, each engine on a new journal."""
    steps = len(plan.mixes) * len(plan.connections) * plan.rounds
    step = 0
    for mix in plan.mixes:
        for connections in plan.connections:
            cell = Cell()
            for number in range(plan.rounds):
                step += 1
                _say(f"\r{step}/{steps} {mix}, {connections} connections, round {number + 1}  ")
                words = _words(plan, mix, connections, seed=number + 1)
                with processes.echo() as server:
                    cell.echo.append(processes.load(server.port, words))
                _one_round(plan, cell, words)
            yield cell.summary(mix, connections)


def _one_round(plan: Plan, cell: Cell, words: Sequence[str]) -> None:
    with _couriers_peers(plan) as peers, processes.daemon(sinks=peers.ports if peers else ()) as server:
        began_at, busy = time.monotonic(), server.cpu_seconds()
        found = processes.load(server.port, words)
        came = peers.received() if peers else 0
        cell.engine.append(found)
        cell.delivered.append(came / (time.monotonic() - began_at))
        cell.cpu_us.append((server.cpu_seconds() - busy) / max(found["verified"], 1) * 1e6)
        _remember_memory(cell, server)


@contextmanager
def _couriers_peers(plan: Plan) -> Iterator[processes.Sinks | None]:
    """Sinks for the couriers; none when they are to wait."""
    if not plan.couriers:
        yield None
        return
    with processes.sinks(4) as peers:
        yield peers


def _remember_memory(cell: Cell, server: Server) -> None:
    resident, peak = server.memory_mib()
    cell.resident_mib.append(resident)
    cell.peak_mib.append(peak)


def _words(plan: Plan, mix: str, connections: int, *, seed: int) -> list[str]:
    """The load generator's command line; as many messages as a fast server might take are made beforehand."""
    warm = min(1.0, plan.seconds / 4)
    rate = ONE_CONNECTION_RATE_MAX if connections == 1 and plan.in_flight == 1 else RATE_MAX
    count = int(rate * (plan.seconds + warm))
    return [
        "--mix", mix, "--connections", str(connections), "--in-flight", str(plan.in_flight), "--seed", str(seed),
        "--seconds", str(plan.seconds), "--warm-seconds", str(warm), "--count", str(count),
    ]  # fmt: skip


def _median(rounds: Sequence[Mapping[str, float]], name: str) -> float:
    return round(statistics.median(one[name] for one in rounds), 3)


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def main() -> None:
    """Measure messages a second and latency, and print one JSON document; progress and a table go to stderr."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    options.add_argument("--quick", action="store_true", help="one short round of each, to see that it works")
    options.add_argument("--connections", default="1,16,64")
    options.add_argument("--in-flight", type=int, default=1, help="messages without an answer on one connection")
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--mix", default=",".join(MIXES))
    options.add_argument("--couriers", choices=["working", "idle"], default="working")
    given = options.parse_args()
    plan = Plan(
        mixes=tuple(given.mix.split(",")),
        connections=tuple(int(number) for number in given.connections.split(",")),
        in_flight=given.in_flight,
        seconds=1.0 if given.quick else given.seconds,
        rounds=1 if given.quick else given.rounds,
        couriers=given.couriers == "working",
    )
    found = []
    for cell in measure(plan):
        found.append(cell)
        _say(
            f"\r{cell['mix']:10} {cell['connections']:4} connections: {cell['messages_per_second']:8} messages/s,"
            f" p50 {cell['p50_ms']} ms, p99 {cell['p99_ms']} ms, {cell['ratio_to_echo']} of echo,"
            f" {cell['resident_mib']} MiB, {cell['wrong']} wrong, {cell['missing']} missing\n"
        )
    shown = {"cores": os.cpu_count(), "python": sys.version.split()[0], "plan": asdict(plan), "results": found}
    print(json.dumps(shown, indent=1))
    sys.exit(1 if any(cell["wrong"] or cell["missing"] for cell in found) else 0)


if __name__ == "__main__":
    main()
