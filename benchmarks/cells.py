"""What one cell of the table is made of: rounds of the engine and of its peers in, medians and ratios out."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

PEERS: Final = ("echo", "commit", "python_hl7")  # what the engine is compared with, in the same round

Run = Mapping[str, Any]  # what the load generator measured


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Shape:
    """How a load is spread: "64" is 64 connections with one message each in flight, "8x16" is 8 with 16 each."""

    connections: int
    in_flight: int = 1

    @staticmethod
    def read(text: str) -> Shape:
        connections, _, in_flight = text.partition("x")
        return Shape(connections=int(connections), in_flight=int(in_flight or 1))

    def __str__(self) -> str:
        return f"{self.connections}x{self.in_flight}" if self.in_flight > 1 else str(self.connections)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One run of the engine, and what its peers did in the same minute, in messages a second."""

    engine: Run
    peers: Mapping[str, float]
    batch: float  # messages a commit
    cpu_us: float  # of the daemon, a message
    resident_mib: float
    delivered: float  # by couriers, a second


@dataclass(slots=True, kw_only=True)
class Cell:
    """The rounds of one mix and one shape."""

    mix: str
    shape: Shape
    rounds: list[Round] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        """The medians; a ratio is the median of each round's own."""
        engine = [one.engine for one in self.rounds]
        return {
            "mix": self.mix,
            "connections": self.shape.connections,
            "in_flight": self.shape.in_flight,
            "messages_per_second": median([one["messages_per_second"] for one in engine]),
            "p50_ms": median([one["p50_ms"] for one in engine]),
            "p99_ms": median([one["p99_ms"] for one in engine]),
            "max_ms": max(one["max_ms"] for one in engine),
            **{
                f"ratio_to_{peer}": median(
                    [one.engine["messages_per_second"] / max(one.peers[peer], 1e-9) for one in self.rounds]
                )
                for peer in PEERS
            },
            **{f"{peer}_per_second": median([one.peers[peer] for one in self.rounds]) for peer in PEERS},
            "rounds_messages_per_second": [one["messages_per_second"] for one in engine],
            "batch": median([one.batch for one in self.rounds]),
            "deliveries_per_second": median([one.delivered for one in self.rounds]),
            "cpu_us_a_message": median([one.cpu_us for one in self.rounds]),
            "generator_us_a_message": median([one["generator_us"] for one in engine]),
            "generator_busy": max(one["generator_busy"] for one in engine),
            "resident_mib": median([one.resident_mib for one in self.rounds]),
            **{name: sum(one[name] for one in engine) for name in ("verified", "wrong", "missing", "lost_connections")},
            "ran_dry": any(one["ran_dry"] for one in engine),
        }


def median(values: Sequence[float]) -> float:
    """Of at least one value, to three places."""
    return round(statistics.median(values), 3)


_COLUMNS: Final = (
    ("mix", "mix", "<9"), ("load", "load", ">7"), ("messages/s", "messages_per_second", ">10.0f"),
    ("p50 ms", "p50_ms", ">7.2f"), ("p99 ms", "p99_ms", ">7.2f"), ("of echo", "ratio_to_echo", ">7.2f"),
    ("of commit", "ratio_to_commit", ">9.2f"), ("of hl7", "ratio_to_python_hl7", ">6.1f"), ("batch", "batch", ">6.1f"),
    ("cpu us", "cpu_us_a_message", ">6.0f"), ("gen us", "generator_us_a_message", ">6.0f"),
    ("MiB", "resident_mib", ">6.0f"), ("wrong", "wrong", ">5"), ("missing", "missing", ">7"),
)  # fmt: skip


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """One line a cell, for a person."""
    lines = ["  ".join(format(title, spec.rstrip("f").split(".")[0]) for title, _, spec in _COLUMNS)]
    for cell in cells:
        shape = Shape(connections=cell["connections"], in_flight=cell["in_flight"])
        row = {**cell, "load": str(shape)}
        lines.append("  ".join(format(row[name], spec) for _, name, spec in _COLUMNS))
    return "\n".join(lines)
