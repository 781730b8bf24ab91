"""What a story is made of: the lines that are said, what each must cause, and where its referrals stand at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from referral_engine.loop.events import Happened

Word = Literal["applied", "no-op", "needs-human", "quarantined", "duplicate"]  # duplicate: the first answer again


class Caused(NamedTuple):
    """One event a message must cause."""

    referral: str  # its name in the story: "a"
    kind: str  # the event's class name: "AppointmentBooked"


class Expect(msgspec.Struct, frozen=True, kw_only=True):
    """What its author expects of one message; written from LOOP, not from the engine.

    word: what it is at the end of its story. first: what it was when it came, where that differs ("" where not):
    early evidence waits and is matched later. level: 0 to 6; -1 where nothing is matched; None leaves it open.
    """

    word: Word = "applied"
    level: int | None = 1
    events: tuple[Caused, ...] = ()
    first: Word | Literal[""] = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a story; its bytes are written when it is its turn, and are the same each time."""

    at: datetime  # when it reaches us, UTC
    feed: str  # who sends it: the feed's or the channel's name
    type: str  # "ORM^O01"
    story: str
    write: Callable[[], bytes]
    expect: Expect


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """Where one referral stands; a status "" and tracks that are not named are left open."""

    name: str
    placer: str
    status: str
    tracks: Mapping[str, str]


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a story: from here on nothing is said in it, and this is how things are."""

    at: datetime
    story: str
    plot: str
    referrals: tuple[Stand, ...]


class Halfway(msgspec.Struct, frozen=True, kw_only=True):
    """How things must be in the middle of a story; it goes on."""

    at: datetime
    story: str
    plot: str
    referrals: tuple[Stand, ...]


Item = Line | Halfway | Ended
Script = Iterator[Item]  # in order of time, `Ended` last


def caused(*pairs: tuple[str, type[Happened]]) -> tuple[Caused, ...]:
    """Events by referral and class."""
    return tuple(Caused(referral, kind.__name__) for referral, kind in pairs)
