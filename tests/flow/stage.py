"""The shipped configuration, the sample messages, and a rehearsal to play them in; times are clinic wall times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from referral_engine.base.clock import ManualClock, from_micros, to_micros
from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.channel import Channel
from referral_engine.flow.inputs import Arrived, Receipt, TaskDone, Ticked
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.step import Step
from referral_engine.hl7.message import Message
from referral_engine.journal.answers import Story
from referral_engine.journal.journal import Journal
from referral_engine.journal.reading import ROWS_MAX
from referral_engine.journal.rows import EffectRow, MessageRow, TaskRow
from tests.channels.shipped import ROOT, shipped_files

CLINIC = ZoneInfo("America/Chicago")
SAMPLES = ROOT / "sample_messages"
MONDAY = "2026-03-02 09:00"
HEART = "cardiology-heart-group"
ORDER = "orm-o01-cardiology-ppo.hl7"  # Amelia Example, P-1001
BOOKING = "siu-s12-cardiology.hl7"  # 10 March 10:30, names P-1001
NOTE = "mdm-t02-cardiology-final.hl7"


@cache
def book() -> Book:
    """What the project ships."""
    return read_book(shipped_files())


def book_with(*channels: Channel) -> Book:
    """What the project ships, with these channels more, or in the place of those of their name."""
    return replace(book(), channels={**book().channels, **{one.name: one for one in channels}})


@cache
def _bytes(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def sample(name: str, changes: Mapping[str, str] | None = None) -> bytes:
    """A sample message with some fields overwritten."""
    raw = _bytes(name)
    return Message.parse(raw).with_fields(changes) if changes else raw


def at(wall: str) -> datetime:
    """A clinic wall time."""
    return datetime.fromisoformat(wall).replace(tzinfo=CLINIC)


def wall(micros: int) -> str:
    """The clinic wall time of a stored instant."""
    return from_micros(micros).astimezone(CLINIC).strftime("%Y-%m-%d %H:%M")


def engine(start: str = MONDAY, *, other: Book | None = None, **partners: str) -> Rehearsal:
    """An empty engine; partners answer AA unless told otherwise: ehr="AE", patient="silent"."""
    return Rehearsal(book=other or book(), start=at(start), partners=dict(partners))


def door(path: Path, start: str = MONDAY) -> tuple[Step, Journal]:
    """A door over a file, as the service opens it."""
    journal = Journal.open(str(path), None, node="RE", now=to_micros(at(start).astimezone(UTC)))
    return Step(journal, book(), ManualClock(at(start))), journal


def arrived(raw: bytes) -> Arrived:
    """It comes from this machine."""
    return Arrived(raw=raw, peer="127.0.0.1")


def said(receipt: Receipt, path: str = "MSA-1") -> str:
    """A field of the answer; "" when nothing was said."""
    return Message.parse(receipt.answer).value(path) if receipt.answer else ""


def row(stage: Rehearsal, receipt: Receipt) -> MessageRow:
    """The message a receipt is about."""
    found = stage.journal.read().message(receipt.sequence)
    assert found is not None
    return found


def story(stage: Rehearsal, placer: str = "P-1001") -> Story:
    """All that is stored of the referral of an order number."""
    reading = stage.journal.read()
    found = reading.story(reading.find(placer))
    assert found is not None, f"no referral {placer}"
    return found


def tracks(stage: Rehearsal, placer: str = "P-1001") -> dict[str, str]:
    """Where the six tracks stand."""
    referral = story(stage, placer).referral
    names = ("authorization", "dispatch", "outreach", "appointment", "note", "closure")
    return {name: getattr(referral, name).value for name in names}


def tasks(stage: Rehearsal, kind: str = "") -> list[TaskRow]:
    """The open tasks, of one kind or of all."""
    return [one for one in stage.journal.read().tasks() if not kind or one.kind == kind]


def kinds(stage: Rehearsal) -> list[str]:
    """The kinds of the open tasks."""
    return sorted(one.kind for one in tasks(stage))


def sent(stage: Rehearsal) -> list[str]:
    """Everything that was ever owed, in order, as "recipient purpose about"."""
    return [f"{one.recipient} {one.purpose} {one.about}".strip() for one in owed(stage)]


def owed(stage: Rehearsal) -> tuple[EffectRow, ...]:
    """Everything that was ever owed, in order."""
    return stage.journal.read().owed_after(0)


def done(stage: Rehearsal, kind: str, **learned: object) -> Receipt:
    """A coordinator does the one open task of a kind, and says what was learned."""
    (task,) = tasks(stage, kind)
    words = {"by": "coordinator", "note": "done"} | learned
    return stage.put(TaskDone(task=task.id, **words))  # type: ignore[arg-type]  # the test names fields of TaskDone


def tick(stage: Rehearsal, limit: int = 200) -> Receipt:
    """The clock's own message."""
    return stage.step.run([Ticked(limit=limit)])[0]


def whole(stage: Rehearsal) -> tuple[object, ...]:
    """Everything that a message, a clock or a person can change; the audit apart."""
    reading = stage.journal.read()
    lines = reading.referrals(limit=ROWS_MAX)
    return (
        reading.messages(limit=ROWS_MAX),
        [reading.story(line.id) for line in lines],
        reading.owed_after(0),
        reading.tasks(done=True, limit=ROWS_MAX),
    )
