"""The [[test]] tables of a channel file as values: when, what arrives, what must then be true; run by others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a step compares; None is not compared, an empty tuple means none."""

    ack: str | None = None  # MSA-1
    status: str | None = None  # a status, or the state of any track
    sends: tuple[str, ...] | None = None  # "ORM^O01", "fax", ...
    tasks: tuple[str, ...] | None = None  # queues with a new task
    matches: bool | None = None  # whether this channel takes the message


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the timetable."""

    at: datetime | None = None  # clinic wall time, no zone
    receive: str = ""  # a file in sample_messages/
    overrides: Mapping[str, str] = field(default_factory=dict)  # `with`: path to value, over the sample
    reply: str = ""  # what the specialist's side answers
    expect: Expectation = field(default_factory=Expectation)
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTest:
    """One [[test]]."""

    name: str
    steps: tuple[Step, ...]
    line: int = 0
