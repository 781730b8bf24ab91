"""A practice of many referrals, left alone for days: orders by the dozen, staged ticks, and what they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from referral_engine.base.clock import from_micros, to_micros
from referral_engine.flow.inputs import Receipt, SweepMode, Swept, Ticked
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import EffectRow, EventRow
from tests.flow.stage import BOOKING, ORDER, at, engine, owed, sample

SAMPLES = (ORDER, "orm-o01-orthopaedics.hl7", "orm-o01-imaging-mri.hl7")


def placer(number: int) -> str:
    return f"P-{5000 + number}"


def order(number: int, name: str = "") -> bytes:
    """An order of a patient of its own."""
    changes = {
        "MSH-10": f"EHR{5000 + number}",
        "PID-3.1": f"{800_000 + number}",
        "PID-5.1": f"Example{number}",
        "PID-18.1": f"V{800_000 + number}",
        "PV1-19.1": f"V{800_000 + number}",
        "ORC-2.1": placer(number),
        "OBR-2.1": placer(number),
    }
    return sample(name or SAMPLES[number % len(SAMPLES)], changes)


def booking(number: int) -> bytes:
    """The specialist's answer to a cardiology order, as it waits in the specialist's queue."""
    changes = {
        "MSH-10": f"HG{5000 + number}",
        "SCH-2.1": f"A-{5000 + number}",
        "SCH-26.1": placer(number),
        "PID-3.1": f"{800_000 + number}",
        "PID-3[2].1": f"HG{800_000 + number}",
        "PID-5.1": f"Example{number}",
        "SCH-11.4": "20260320103000-0500",
        "SCH-11.5": "20260320110000-0500",
        "TQ1-7": "20260320103000-0500",
        "TQ1-8": "20260320110000-0500",
        "AIS-4": "20260320103000-0500",
        "AIL-6": "20260320103000-0500",
        "AIP-6": "20260320103000-0500",
        "PID-18.1": f"V{800_000 + number}",
    }
    return sample(BOOKING, changes)


def practice(number: int, *, cardiology: bool = False, start: str = "2026-03-02 09:00") -> Rehearsal:
    """So many orders on a Monday morning, and an hour of an ordinary day after it."""
    stage = engine(start)
    for one in range(number):
        stage.receive(order(one, ORDER if cardiology else ""))
    stage.move_to(at(start) + timedelta(hours=1))
    return stage


def away(stage: Rehearsal, when: str) -> None:
    """The machine was off until then: nothing on the way happened."""
    stage.clock.move_to(at(when))


def staged(stage: Rehearsal, *, drained: bool = False, limit: int = 25, fenced: str = "", due_by: int = 0) -> Receipt:
    """One tick of the daemon."""
    ticked = Ticked(staged=True, drained=drained, limit=limit, fenced=fenced, due_by=due_by)
    return stage.step.run([ticked])[0]


def swept(receipt: Receipt) -> Swept:
    """What a staged tick says of the sweeping."""
    assert receipt.swept is not None
    return receipt.swept


def caught_up(stage: Rehearsal, limit: int = 25) -> list[Receipt]:
    """Tick until what was missed has fired."""
    receipts = [staged(stage, drained=True, limit=limit)]
    while receipts[-1].more:
        receipts.append(staged(stage, drained=True, limit=limit))
    assert {swept(one).mode for one in receipts} <= {SweepMode.CATCHING_UP}
    return receipts


def fired(journal: Journal) -> list[EventRow]:
    """Every clock that fired, in journal order."""
    reading = journal.read()
    stories = [reading.story(line.id) for line in reading.referrals(limit=10_000)]
    events = [event for story in stories if story for event in story.events if event.kind == "DeadlinePassed"]
    return sorted(events, key=lambda one: one.sequence)


def states(journal: Journal) -> Counter[str]:
    """How many clocks are in each state."""
    reading = journal.read()
    stories = [reading.story(line.id) for line in reading.referrals(limit=10_000)]
    return Counter(row.state for story in stories if story for row in story.deadlines)


def missed(journal: Journal, now: int) -> list[tuple[str, str, int]]:
    """Clocks that should have fired by now and did not."""
    reading = journal.read()
    stories = [reading.story(line.id) for line in reading.referrals(limit=10_000)]
    rows = [row for story in stories if story for row in story.deadlines]
    return [(row.referral, row.kind, row.generation) for row in rows if row.state == "pending" and row.due_at <= now]


def waiting(stage: Rehearsal, after: int) -> list[EffectRow]:
    """What is owed after the sending of this number and has not left."""
    return [row for row in owed(stage) if row.id > after and row.state.value == "queued"]


def a_minute(rows: Iterable[EffectRow]) -> Counter[tuple[str, int]]:
    """How many sendings of each lane may leave in each minute."""
    return Counter((row.lane, row.next_at // 60_000_000) for row in rows)


def newest(stage: Rehearsal) -> int:
    """The number of the newest sending."""
    rows = owed(stage)
    return rows[-1].id if rows else 0


def micros(stage: Rehearsal) -> int:
    return to_micros(stage.clock.now())


def lateness(event: EventRow) -> timedelta:
    """How late a clock fired, from what its event says."""
    said = event.reason.removeprefix("due ").split(",")[0]
    return from_micros(event.at) - datetime.fromisoformat(said)
