"""What would become of one message: everything the door would do with it, seen inside a transaction that is undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.channels.admission import Admission
from referral_engine.flow.inputs import Arrived, Receipt
from referral_engine.flow.preparation import prepare_one
from referral_engine.flow.step import Step
from referral_engine.flow.turn import Turn
from referral_engine.hl7.message import Message
from referral_engine.intake.read import read
from referral_engine.intake.reading import Reading
from referral_engine.journal.answers import Story
from referral_engine.journal.codec import decode_decision
from referral_engine.journal.rows import DeadlineRow, DecisionRow, EffectRow, EventRow, MessageRow, TaskRow
from referral_engine.loop.matching import Evidence, Weighed
from referral_engine.loop.states import State

TRACKS: Final = ("authorization", "dispatch", "outreach", "appointment", "note", "closure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """One decision about one part of the message, with what it was decided by."""

    row: DecisionRow
    evidence: Evidence
    weighed: tuple[Weighed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """One referral the message would change: what it would do there."""

    referral: str
    is_new: bool
    channel: str
    status: tuple[str, str]  # before, after; "" before there is one
    moves: tuple[tuple[str, str, str], ...]  # track, before, after
    events: tuple[EventRow, ...]
    sends: tuple[EffectRow, ...]
    started: tuple[DeadlineRow, ...]  # clocks
    stopped: tuple[DeadlineRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All of it; nothing of it has happened."""

    receipt: Receipt
    message: Message | None  # None: it cannot be read
    fault: MessageFault | None  # why it cannot be read, or what in it a person must look at
    admission: Admission | None
    readings: tuple[Reading, ...]
    stored: MessageRow | None  # the row it would get; None for a batch, whose messages are looked at one by one
    matched: tuple[Matched, ...]
    touched: tuple[Touched, ...]
    tasks: tuple[TaskRow, ...]


@dataclass(frozen=True, slots=True)
class _After:
    receipt: Receipt
    stored: MessageRow | None
    matched: tuple[Matched, ...]
    tasks: tuple[TaskRow, ...]
    stories: dict[str, Story]


def explain(step: Step, arrived: Arrived) -> Explanation:
    """What the door would do with one message now; the journal is as it was before."""
    touched = step.dry_run(arrived, lambda turn, _: tuple(turn.touched))
    before = _stories(step, touched)
    after = step.dry_run(arrived, lambda turn, receipt: _look(step, turn, receipt))
    message, admission, fault, readings = _read(step, arrived, after.receipt.sequence)
    return Explanation(
        receipt=after.receipt,
        message=message,
        fault=fault,
        admission=admission,
        readings=readings,
        stored=after.stored,
        matched=after.matched,
        touched=tuple(_difference(before.get(one), after.stories[one]) for one in after.stories),
        tasks=after.tasks,
    )


def _read(
    step: Step, arrived: Arrived, sequence: int
) -> tuple[Message | None, Admission | None, MessageFault | None, tuple[Reading, ...]]:
    """The message as the door reads it: parsed, its sender known, its parts understood."""
    made = step.dry_run(arrived, lambda turn, _: prepare_one(turn, arrived))
    if made.message is None or made.admission is None or made.admission.party is None:
        return made.message, made.admission, made.fault, ()
    try:
        readings = read(made.message, made.admission.party, received_at=step.clock.now(), sequence=sequence)
    except MessageFault as fault:
        return made.message, made.admission, fault, ()
    return made.message, made.admission, made.admission.fault, readings


def _look(step: Step, turn: Turn, receipt: Receipt) -> _After:
    """Everything that stands in the open transaction."""
    turn.unit.flush()
    decisions = turn.unit.decisions(receipt.sequence)
    return _After(
        receipt=receipt,
        stored=turn.unit.message(receipt.sequence),
        matched=tuple(_matched(row) for row in decisions),
        tasks=tuple(turn.asked),
        stories=_stories(step, tuple(turn.touched)),
    )


def _matched(row: DecisionRow) -> Matched:
    evidence, weighed = decode_decision(row.body)
    return Matched(row=row, evidence=evidence, weighed=weighed)


def _stories(step: Step, referrals: tuple[str, ...]) -> dict[str, Story]:
    """What is known of these referrals, those that exist."""
    reading = step.journal.read()
    found = ((one, reading.story(one)) for one in referrals)
    return {one: story for one, story in found if story is not None}


def _difference(before: Story | None, after: Story) -> Touched:
    """What the message does to one referral."""
    owed = {row.id for row in before.effects} if before else set()
    told = {row.sequence for row in before.events} if before else set()
    ran = _running(before) if before else {}
    runs = _running(after)
    return Touched(
        referral=after.line.id,
        is_new=before is None,
        channel=after.line.channel,
        status=(before.line.status.value if before else "", after.line.status.value),
        moves=tuple(
            (track, was.value if was is not None else "", now.value)
            for track in TRACKS
            for was, now in [(_state(before, track), _state(after, track))]
            if now is not None and was is not now
        ),
        events=tuple(row for row in after.events if row.sequence not in told),
        sends=tuple(row for row in after.effects if row.id not in owed),
        started=tuple(row for key, row in runs.items() if key not in ran),
        stopped=tuple(row for key, row in ran.items() if key not in runs),
    )


def _state(story: Story | None, track: str) -> State | None:
    return None if story is None else getattr(story.referral, track)


def _running(story: Story) -> dict[tuple[str, int, int], DeadlineRow]:
    """The clocks that run, by kind, generation and instant."""
    pending = (row for row in story.deadlines if row.state == "pending")
    return {(row.kind, row.generation, row.due_at): row for row in pending}
