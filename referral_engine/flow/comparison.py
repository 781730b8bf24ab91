"""What a step of a scenario expected against what is stored, and why it differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from referral_engine.base.clock import from_micros
from referral_engine.channels.timetable import Staff as Said
from referral_engine.flow.inputs import TaskDone
from referral_engine.flow.scenario import Expect, Staff
from referral_engine.hl7.message import Message
from referral_engine.journal.reading import ROWS_MAX, Reading
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.effects import TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that was not as expected."""

    what: str  # "status", "sends", ...
    expected: str
    got: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One step as it went."""

    number: int  # from 1
    at: datetime  # UTC
    say: str
    answer: str  # MSA-1 of the ACK; "" when nothing was received
    sends: tuple[str, ...]
    differences: tuple[Difference, ...]
    why: str  # the newest line of the timeline and the next clock, when something differs


def why(reading: Reading, identity: str) -> str:
    """The newest line of the timeline, and the clock that runs out next."""
    story = reading.story(identity)
    if story is None:
        newest = reading.messages(limit=1)
        return newest[0].reason if newest else "nothing has come in"
    last = story.events[-1] if story.events else None
    clocks = [one for one in story.deadlines if one.state == "pending"]
    said = f"{last.summary}: {last.reason}" if last else "nothing has happened"
    return said + (
        f"; next clock {clocks[0].kind} at {from_micros(clocks[0].due_at):%Y-%m-%d %H:%MZ}" if clocks else ""
    )


def first_referral(reading: Reading, placer: str) -> str:
    """The referral a step is about: by placer number, else the first one; "" when there is none."""
    if placer:
        return reading.find(placer)
    lines = reading.referrals(limit=ROWS_MAX)
    return lines[-1].id if lines else ""


def task_done(reading: Reading, staff: Staff, identity: str, booked: datetime | None) -> TaskDone | None:
    """What a person says of the open task of that kind; None when there is none."""
    open_tasks = [one for one in reading.tasks() if one.kind == staff.task and one.referral in (identity, "")]
    if not open_tasks:
        return None
    return learned(staff, open_tasks[0].id, booked)


def learned(staff: Staff | Said, task: int, booked: datetime | None) -> TaskDone:
    """What a person of a scenario or of a channel's test says of a task; booked: the visit, with its zone."""
    return TaskDone(
        task=task,
        by=staff.by,
        note=staff.note,
        booked=booked,
        attended=staff.attended,
        authorized=staff.authorized,
        authorization_expires_on=staff.authorization_expires_on,
        authorization_begins_on=staff.authorization_begins_on,
        authorization_visits=staff.authorization_visits,
        denied=staff.denied,
        release=staff.release,
        waive=staff.waive,
        patient_reached=staff.patient_reached,
        cancel_confirmed=staff.cancel_confirmed,
        end=staff.end,
    )


def answered(answer: bytes) -> str:
    """MSA-1 of an answer; "" when nothing was said."""
    return Message.parse(answer).value("MSA-1") if answer else ""


def sent(row: EffectRow) -> str:
    """One owed sending in the words of a scenario."""
    return f"{row.recipient} {row.purpose}" + (f" {row.about}" if row.about else "")


def compare(
    expect: Expect, reading: Reading, identity: str, answer: str, sends: tuple[str, ...]
) -> Iterator[Difference]:
    """Each thing that is not as expected; `answer` is MSA-1, `sends` what was owed since the step before."""
    referral = reading.referral(identity) if identity else None
    if expect.ack is not None and expect.ack != answer:
        yield Difference(what="ack", expected=expect.ack, got=answer)
    status = referral.status.value if referral else "(no referral)"
    if expect.status is not None and expect.status != status:
        yield Difference(what="status", expected=expect.status, got=status)
    for track, state in expect.tracks.items():
        got = str(getattr(referral, track, "(no such track)")) if referral else "(no referral)"
        if got != state:
            yield Difference(what=track, expected=state, got=got)
    if expect.sends is not None and expect.sends != sends:
        yield Difference(what="sends", expected=_list(expect.sends), got=_list(sends))
    missing = [one for one in expect.includes if one not in sends]
    if missing:
        yield Difference(what="sends", expected=_list(missing), got=_list(sends))
    yield from _compare_queues(expect, reading, identity)


def _compare_queues(expect: Expect, reading: Reading, identity: str) -> Iterator[Difference]:
    tasks = reading.tasks()
    ours = frozenset(one.kind for one in tasks if identity and one.referral == identity)
    if expect.tasks is not None and expect.tasks != ours:
        yield Difference(what="tasks", expected=_list(expect.tasks), got=_list(ours))
    story = reading.story(identity) if identity and expect.clocks is not None else None
    running = frozenset(one.kind for one in story.deadlines if one.state == "pending") if story else frozenset()
    if expect.clocks is not None and expect.clocks != running:
        yield Difference(what="clocks", expected=_list(expect.clocks), got=_list(running))
    review = sum(one.kind == TaskKind.MATCH_REVIEW.value for one in tasks)
    if expect.review is not None and expect.review != review:
        yield Difference(what="review", expected=str(expect.review), got=str(review))
    referrals = len(reading.referrals(limit=ROWS_MAX))
    if expect.referrals is not None and expect.referrals != referrals:
        yield Difference(what="referrals", expected=str(expect.referrals), got=str(referrals))


def _list(words: tuple[str, ...] | frozenset[str] | list[str]) -> str:
    ordered = words if isinstance(words, tuple | list) else sorted(words)
    return ", ".join(ordered) or "(none)"
