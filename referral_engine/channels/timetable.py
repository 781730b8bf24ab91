"""The [[test]] tables of a channel file as values: when, what arrives, what must then be true; run by others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal

# How a specialist's side is reached, as far as a test can play what it answers.
Way = Literal["line", "fax"]

SOMEBODY: Final = "coordinator"  # who does a task when a test does not say
DONE: Final = "done"

# What the specialist's side may answer: over a line MSA-1, silence or no connection; by fax what the gateway reports.
REPLIES: Final[Mapping[str, tuple[Way, ...]]] = {
    **dict.fromkeys(("AA", "AE", "AR", "CA", "CE", "CR", "refused"), ("line",)),
    **dict.fromkeys(("fax delivered", "fax busy", "fax failed"), ("fax",)),
    "silent": ("line", "fax"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a step compares; None is not compared, an empty tuple means none."""

    ack: str | None = None  # MSA-1
    status: str | None = None  # a status, or the state of any track
    tracks: Mapping[str, str] = field(default_factory=dict)  # a track's name to its state
    sends: tuple[str, ...] | None = None  # exactly this left for the specialist: "ORM^O01", "fax", "file"
    includes: tuple[str, ...] = ()  # at least this left, for anybody: "patient prompt", "ehr closure", "fax"
    tasks: tuple[str, ...] | None = None  # every open task, by its queue or its kind
    clocks: tuple[str, ...] | None = None  # every clock that runs, by its kind
    matches: bool | None = None  # whether this channel takes the message
    review: int | None = None  # open match reviews
    referrals: int | None = None  # all there are


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A person does the open task of this kind or queue, and says what they learned."""

    task: str
    by: str = SOMEBODY
    note: str = DONE
    booked: datetime | None = None  # clinic wall time, no zone
    attended: bool | None = None
    authorized: str = ""
    authorization_expires_on: date | None = None
    authorization_begins_on: date | None = None
    authorization_visits: int = 0
    denied: bool = False
    release: bool = False
    waive: bool = False
    patient_reached: bool = False
    cancel_confirmed: bool = False
    end: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the timetable."""

    at: datetime | None = None  # clinic wall time, no zone
    receive: str = ""  # a file in sample_messages/, or beside the channel's file
    overrides: Mapping[str, str] = field(default_factory=dict)  # `with`: path to value, over the sample
    reply: str = ""  # what the specialist's side answers, from now on
    staff: Staff | None = None
    patient: str = ""  # what the patient answers: YES, NO, STOP, START
    of: str = ""  # the order number (ORC-2) of the referral that is meant; "": of the message last received
    expect: Expectation = field(default_factory=Expectation)
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTest:
    """One [[test]]."""

    name: str
    steps: tuple[Step, ...]
    feeds: tuple[str, ...] = ()  # of conf/feeds, switched on for this test
    file: str = ""
    line: int = 0
