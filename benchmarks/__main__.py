"""`python -m benchmarks`: the real daemon under load, beside its peers in the same minutes; one JSON out."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks import limit, processes
from benchmarks.cells import Cell, Round, Run, Shape, table
from benchmarks.mixes import MIXES, USUAL
from benchmarks.processes import Server

SHAPES: Final = "1,4,16,64,256,8x16"
RATE_FIRST: Final = 6_000  # messages a second that are made beforehand in the first round of a cell
RATE_MARGIN: Final = 1.6  # later rounds: so many times what was seen; a faster server runs dry, and the result says so
PEER_MESSAGES: Final = 4_096  # for peers that keep nothing, and so may get the same message twice
LIMIT_SHARE: Final = 0.4  # of a run's seconds: the commit limit settles fast


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured."""

    mixes: tuple[str, ...]
    shapes: tuple[Shape, ...]
    seconds: float
    rounds: int
    couriers: bool

    @property
    def warm_seconds(self) -> float:
        return min(0.5, self.seconds / 4)


Say = Callable[[str], None]


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    """Round by round, so that a minute of a busy machine hits everything alike: peers, then the engine in every mix."""
    cells = {(shape, mix): Cell(mix=mix, shape=shape) for shape in plan.shapes for mix in plan.mixes}
    ceilings: dict[str, Run] = {}
    peers_runs: list[Run] = []
    began_at = time.monotonic()
    for number in range(1, plan.rounds + 1):
        for shape in plan.shapes:
            spent = time.monotonic() - began_at
            say(f"\r{spent:4.0f} s: round {number} of {plan.rounds}, {shape} in flight          ")
            with processes.load(_words(plan, MIXES[-1], shape, seed=1, count=PEER_MESSAGES, repeat=True)) as load:
                if str(shape) not in ceilings:
                    ceilings[str(shape)] = _peer(load, "responder")
                echo, python_hl7 = _peer(load, "echo"), _peer(load, "python_hl7")
            peers_runs += [echo, python_hl7]
            peers = {one: run["messages_per_second"] for one, run in (("echo", echo), ("python_hl7", python_hl7))}
            for mix in plan.mixes:
                cell = cells[shape, mix]
                cell.rounds.append(_one_round(plan, cell, peers, seed=number))
    say("\r" + " " * 60 + "\r")
    names = ("messages_per_second", "p50_ms", "generator_us", "generator_busy")
    return {
        "seconds": round(time.monotonic() - began_at, 1),
        "results": [cell.summary() for cell in cells.values()],
        "load_generator_against_a_bare_responder": {
            shape: {name: run[name] for name in names} for shape, run in ceilings.items()
        },
        "peers_wrong": sum(run["wrong"] + run["missing"] for run in peers_runs),
    }


def _peer(load: processes.Load, module: str) -> Run:
    with processes.listening(module) as server:
        return load.against(server.port)


def _one_round(plan: Plan, cell: Cell, peers: dict[str, float], *, seed: int) -> Round:
    """The engine on a new journal, then the commit limit in groups as large as the engine's own."""
    rate = max((one.engine["messages_per_second"] * RATE_MARGIN for one in cell.rounds), default=RATE_FIRST)
    count = int(max(rate, RATE_FIRST) * (plan.seconds + plan.warm_seconds))
    with (
        processes.load(_words(plan, cell.mix, cell.shape, seed=seed, count=count)) as load,
        _couriers_peers(plan) as sinks,
        processes.daemon(sinks=sinks.ports if sinks else ()) as server,
    ):
        began_at, busy = time.monotonic(), server.cpu_seconds()
        found = load.against(server.port)
        delivered = (sinks.received() if sinks else 0) / (time.monotonic() - began_at)
        cpu_us = (server.cpu_seconds() - busy) / max(found["verified"], 1) * 1e6
        batch, resident_mib = server.mean_batch(), _resident_mib(server)
    commit = limit.rows_per_second(max(round(batch), 1), plan.seconds * LIMIT_SHARE)
    return Round(
        engine=found,
        peers={**peers, "commit": commit},
        batch=round(batch, 1),
        cpu_us=cpu_us,
        resident_mib=resident_mib,
        delivered=delivered,
    )


@contextmanager
def _couriers_peers(plan: Plan) -> Iterator[processes.Sinks | None]:
    """Sinks for the couriers; none when they are to wait."""
    if not plan.couriers:
        yield None
        return
    with processes.sinks(4) as peers:
        yield peers


def _resident_mib(server: Server) -> float:
    return server.memory_mib()[0]


def _words(plan: Plan, mix: str, shape: Shape, *, seed: int, count: int, repeat: bool = False) -> list[str]:
    """The load generator's command line."""
    return [
        "--mix", mix, "--connections", str(shape.connections), "--in-flight", str(shape.in_flight), "--seed", str(seed),
        "--seconds", str(plan.seconds), "--warm-seconds", str(plan.warm_seconds), "--count", str(count),
        *(["--repeat"] if repeat else []),
    ]  # fmt: skip


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def _plan(words: Sequence[str] | None) -> Plan:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    options.add_argument("--quick", action="store_true", help="one short round of few loads, to see that it works")
    options.add_argument("--loads", help="connections, and x messages in flight on each; without --quick " + SHAPES)
    options.add_argument("--seconds", type=float, default=None)
    options.add_argument("--rounds", type=int, default=None)
    options.add_argument("--mix", default=",".join(USUAL), help=", ".join(MIXES))
    options.add_argument("--couriers", choices=["working", "idle"], default="working")
    given = options.parse_args(words)
    return Plan(
        mixes=tuple(given.mix.split(",")),
        shapes=tuple(Shape.read(text) for text in (given.loads or ("16,8x16" if given.quick else SHAPES)).split(",")),
        seconds=given.seconds or (0.5 if given.quick else 2.5),
        rounds=given.rounds or (1 if given.quick else 3),
        couriers=given.couriers == "working",
    )


def main(words: Sequence[str] | None = None) -> None:
    """Measure messages a second and latency, and print one JSON document; progress and a table go to stderr."""
    plan = _plan(words)
    found = measure(plan, _say)
    _say(table(found["results"]) + "\n")
    shown = {"cores": os.cpu_count(), "python": sys.version.split()[0], "plan": asdict(plan), **found}
    print(json.dumps(shown, indent=1))
    bad = found["peers_wrong"] or any(cell["wrong"] or cell["missing"] for cell in found["results"])
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
