"""What a seed decides before anything happens: how much goes on, and how often what fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tests.simulation.faults import Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a seed decides at the start; printed with every failure."""

    seed: int
    liveness: bool
    seconds: float  # of trouble
    orders: int
    strangers: int
    window: int  # messages a sender sends without waiting
    rates: Rates = field(default_factory=Rates)
    network_faults: float = 0.0
    clock_steps: int = 0
    guarded: bool = False  # the engine watches its clock, which may then be wrong by a year
    absences: int = 0  # how often somebody's port is not reached for a while
    poisons: int = 0  # messages that break their handling
    deadly: int = 0  # messages whose handling ends the process
    stories: int = 0  # of the generator, told from beginning to end
    twins: bool = False  # a second interface of the EHR sends some messages at the same time


def options_of(seed: int) -> Options:
    """Draw them."""
    chance = Random(f"options {seed}")
    calm = chance.random() < 0.1  # now and then only the engine dies, or only the network fails
    rates = Rates(
        crash_before_commit=chance.choice((0, 0.002, 0.006)),
        crash_after_commit=chance.choice((0, 0.002, 0.006)),
        fail_before_commit=chance.choice((0, 0.001, 0.003)),
        fail_after_commit=chance.choice((0, 0.001, 0.003)),
        no_room=chance.choice((0, 0.003)),
        crash_while_speaking=chance.choice((0, 0.01, 0.03)),
        slow_disk=chance.choice((0, 0.002, 0.01)),
        broken_spool=chance.choice((0, 0.1)),
        crash_while_starting=chance.choice((0, 0.3)),
        crashes_a_minute=chance.choice((0, 1, 3)),
    )
    return Options(
        seed=seed,
        liveness=seed % 2 == 1,
        seconds=chance.choice((30.0, 60.0, 90.0)),
        orders=chance.randint(3, 9),
        strangers=chance.randint(0, 15),
        window=chance.choice((1, 1, 4, 40)),
        rates=Rates() if calm else rates,
        network_faults=chance.choice((0, 0.1, 0.4)),
        clock_steps=chance.choice((0, 0, 3)),
        guarded=chance.random() < 0.5,
        absences=chance.choice((0, 1, 3)),
        poisons=chance.choice((0, 0, 1, 3)),
        deadly=chance.choice((0, 0, 0, 1)),
        twins=chance.random() < 0.4,
        stories=chance.choice((0, 1, 2, 4)),
    )
