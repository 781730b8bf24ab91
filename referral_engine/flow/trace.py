"""What became of replayed traffic, in words that mean the same in every replay: two of them can be compared."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

import msgspec

from referral_engine.flow.pilot import NOT_ASKED
from referral_engine.flow.rehearsal import NODE
from referral_engine.flow.replaying import Missed, Origin, World
from referral_engine.journal.aftermath import Aftermath, Event, Sending, print_of
from referral_engine.journal.rows import EffectState, TaskRow

_REFERRAL: Final = re.compile(rf"\b{NODE}-[0-9A-Z]{{4,}}\b")
_NUMBERED: Final = re.compile(r"\bmessages? (\d+)")
_CLOCK: Final = re.compile(r"The clock (\S+) ran out")
_COMPARED: Final = frozenset({"mllp"})  # bytes that say the same whenever they are made
_USUALLY: Final = ("AA", "no-op")
NOBODY: Final[Origin] = (0, 0)


class Heard(msgspec.Struct, frozen=True):
    """What one message became."""

    answer: str = "AA"  # MSA-1
    disposition: str = "no-op"
    level: int = -1
    loop: Origin | None = None
    channel: str = ""
    reason: str = ""


class Cause(msgspec.Struct, frozen=True):
    """What brought something about: an event of its referral."""

    kind: str = ""
    clock: str = ""  # of a clock that ran out
    said: str = ""


class Followed(msgspec.Struct, frozen=True):
    """One referral; real: the number of the one it stands for, "" when in reality there is none."""

    real: str
    placer: str
    channel: str
    status: str
    watched: bool  # through a channel in shadow
    steps: tuple[tuple[int, str, str], ...]  # when, what kind of event, in words


class Ran(msgspec.Struct, frozen=True):
    """One clock."""

    due_at: int
    state: str  # pending, fired, cancelled


class Asked(msgspec.Struct, frozen=True):
    """One task that stood on a queue."""

    queue: str
    opened_at: int
    due_at: int
    cause: Cause


class Left(msgspec.Struct, frozen=True):
    """One sending: when it left, or is to leave."""

    at: int
    lane: str
    transport: str
    print: bytes  # of its bytes, where two replays make the same ones; b"" where they do not
    owed_at: int
    cause: Cause


class HeldBack(msgspec.Struct, frozen=True):
    """A sending that was owed and never left."""

    reason: str


Owner = tuple[str, int, int]  # "referral" and its origin; "message" and its number; a word that is unique
ClockKey = tuple[Origin, str, int]  # the referral, the kind, the generation
TaskKey = tuple[Owner, str, int]  # whose, the kind, which of them
SendKey = tuple[Origin, str, str, str, int]  # the referral, to whom, for what, about what, which of them


class Trace(msgspec.Struct):
    """All of it."""

    heard: dict[int, Heard] = {}
    loops: dict[Origin, Followed] = {}
    clocks: dict[ClockKey, Ran] = {}
    tasks: dict[TaskKey, Asked] = {}
    sends: dict[SendKey, Left] = {}
    held_back: dict[SendKey, HeldBack] = {}
    replayed: int = 0
    unlike: int = 0  # messages that became something else than they really did
    missed: Missed = msgspec.field(default_factory=Missed)


def trace_of(world: World) -> Trace:
    """What became of all that a world was handed so far."""
    aftermath = world.journal.read().aftermath()
    events = {one.sequence: one for one in aftermath.events()}
    trace = Trace(replayed=len(world.where), missed=world.missed)
    loops = {one.id: one for one in aftermath.referrals()}
    steps: defaultdict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for event in events.values():
        steps[event.referral].append((event.at, event.kind, _said(world, event)))
    for identity, origin in world.origin.items():
        one = loops[identity]
        real = world.real.get(identity, "")
        trace.loops[origin] = Followed(real, one.placer, one.channel, one.status, one.watched, tuple(steps[identity]))
    for became in aftermath.messages():
        loop = world.origin.get(became.referral)
        channel = loops[became.referral].channel if became.referral else ""
        reason = _named(world, became.reason)
        message = world.stored.get(became.sequence, 0)
        trace.heard[message] = Heard(became.answer_code, became.disposition, became.level, loop, channel, reason)
    for clock in aftermath.clocks():
        origin = world.origin.get(clock.referral, NOBODY)
        trace.clocks[origin, clock.kind, clock.generation] = Ran(clock.due_at, clock.state)
    usual = Heard()
    for message in trace.heard.keys() | world.became.keys():
        heard = trace.heard.get(message, usual)
        trace.unlike += (heard.answer, heard.disposition) != world.became.get(message, _USUALLY)
    _add_tasks(trace, world, aftermath, events)
    _add_sendings(trace, world, aftermath, events)
    return trace


def _add_tasks(trace: Trace, world: World, aftermath: Aftermath, events: Mapping[int, Event]) -> None:
    """Every task that stood on a queue; those that were only lent to the replay did not."""
    at: dict[tuple[str, int], Event] = {}
    for event in events.values():
        at.setdefault((event.referral, event.at), event)
    count: Counter[tuple[Owner, str]] = Counter()
    for row in aftermath.tasks():
        if row.id in world.lent or row.note == NOT_ASKED:
            continue
        owner = _owner(world, row)
        event_then = at.get((row.referral, row.opened_at)) if row.referral else None
        cause = _cause(world, event_then) if event_then is not None else Cause(said=_named(world, row.reason))
        number = count[owner, row.kind]
        count[owner, row.kind] += 1
        trace.tasks[owner, row.kind, number] = Asked(row.queue, row.opened_at, row.due_at, cause)


def _owner(world: World, row: TaskRow) -> Owner:
    if row.referral:
        return ("referral", *world.origin.get(row.referral, NOBODY))
    if row.message:
        return "message", world.stored.get(row.message, 0), 0
    return _named(world, row.reason), 0, 0


def _add_sendings(trace: Trace, world: World, aftermath: Aftermath, events: Mapping[int, Event]) -> None:
    """Every sending that left or waits to leave; and those that never will."""
    count: Counter[tuple[Origin, str, str, str]] = Counter()
    for row in aftermath.sendings():
        origin = world.origin.get(row.referral, NOBODY)
        what = (origin, row.recipient, row.purpose, row.about)
        if row.state == EffectState.CANCELLED.value and not row.attempts:
            trace.held_back[(*what, count[what])] = HeldBack(row.reason)
            continue
        key = (*what, count[what])
        count[what] += 1
        trace.held_back.pop(key, None)
        event = events.get(row.cause)
        trace.sends[key] = Left(
            world.left_at.get(row.id, row.next_at),
            row.lane,
            row.transport,
            _print(row),
            row.created_at,
            _cause(world, event) if event is not None else Cause(),
        )


def _print(row: Sending) -> bytes:
    return print_of(row.body, row.wire_id, row.referral) if row.transport in _COMPARED else b""


def _cause(world: World, event: Event) -> Cause:
    found = _CLOCK.match(event.summary)
    return Cause(event.kind, found[1] if found else "", _said(world, event))


def _said(world: World, event: Event) -> str:
    """What happened, and for an order why it went this way."""
    why = f": {event.reason}" if event.kind == "ReferralOrdered" else ""
    return _named(world, event.summary + why)


def _named(world: World, text: str) -> str:
    """A sentence with the numbers of the real referrals and messages in it."""
    text = _REFERRAL.sub(lambda found: world.real.get(found[0]) or found[0], text)
    return _NUMBERED.sub(lambda found: found[0].replace(found[1], str(world.stored.get(int(found[1]), 0))), text)
