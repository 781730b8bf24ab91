"""Ninety days of a clinic in one go: seeded stories through the real door in memory; how long that takes."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarks import messages
from benchmarks.door import shipped_book
from benchmarks.messages import HEART, HEART_HMO, LAKESIDE, NORTHSIDE, Case, Made, Office
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import EffectRow

SECONDS_MAX: Final = 30.0  # the promise
DAYS_A_MONTH: Final = 30
START: Final = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
FAX_LANE: Final = "orthopaedics-lakeside"
FAX_SILENT_AFTER: Final = timedelta(days=40)
FAX_SILENT_FOR: Final = timedelta(hours=30)

# How a referral goes, and how many of a hundred go so.
STORIES: Final = {
    "straight through": 52, "no-show, then seen": 8, "no note": 10, "never booked": 6, "cancelled": 6, "held": 6,
    "faxed": 9, "faxed, no letter": 3,
}  # fmt: skip

Happening = tuple[datetime, str, Made]  # when, a key that keeps the order stable, the message


def happenings(*, days: int, referrals_a_month: int, seed: int) -> list[Happening]:
    """Every message of the period, in the order it arrives."""
    rng = random.Random(seed)
    found: list[Happening] = []
    for number in range(1, days * referrals_a_month // DAYS_A_MONTH + 1):
        ordered_at = START + timedelta(days=rng.randrange(days), minutes=rng.randrange(8 * 60))
        kind = rng.choices(list(STORIES), list(STORIES.values()))[0]
        case = Case(number=number, office=_office(kind, rng), ordered_at=ordered_at)
        found += [(at, f"{number:06}", made) for at, made in _story(kind, case, rng)]
    found.sort(key=lambda one: one[:2])
    end = START + timedelta(days=days)
    return [one for one in found if one[0] < end]


def _office(kind: str, rng: random.Random) -> Office:
    if kind == "held":
        return HEART_HMO
    if kind.startswith("faxed"):
        return LAKESIDE
    return rng.choices((HEART, NORTHSIDE), (3, 1))[0]


def _story(kind: str, case: Case, rng: random.Random) -> Iterator[tuple[datetime, Made]]:
    at = case.ordered_at
    yield at, messages.order(case)
    match kind:
        case "faxed":
            at += timedelta(days=rng.randint(7, 30))
            yield at, messages.note(case, at=at)
        case "cancelled":
            at += timedelta(hours=rng.randint(1, 72))
            yield at, messages.change_order(case, "CA", at)
            at += timedelta(hours=rng.randint(1, 72))
            yield at, messages.change_order(case, "CR", at)
        case "straight through" | "no-show, then seen" | "no note":
            yield from _visit(kind, case, rng)


def _visit(kind: str, case: Case, rng: random.Random) -> Iterator[tuple[datetime, Made]]:
    at = case.ordered_at + timedelta(hours=rng.randint(2, 96))
    starts_at = at + timedelta(days=rng.randint(2, 21))
    yield at, messages.booking(case, at=at, starts_at=starts_at)
    if kind == "no-show, then seen":
        at = starts_at + timedelta(hours=1)
        yield at, messages.booking(case, trigger="S26", state="Noshow", at=at, starts_at=starts_at)
        at += timedelta(days=rng.randint(1, 5))
        starts_at = at + timedelta(days=rng.randint(2, 14))
        yield at, messages.booking(case, trigger="S13", at=at, starts_at=starts_at)
    at = starts_at + timedelta(hours=1)
    yield at, messages.booking(case, trigger="S14", state="Complete", at=at, starts_at=starts_at)
    if kind != "no note":
        at += timedelta(hours=rng.randint(2, 96))
        yield at, messages.note(case, at=at)


def rehearse(found: list[Happening], *, days: int) -> dict[str, object]:
    """Play them; what came of it and how long it took."""
    sent: Counter[str] = Counter()

    def count(row: EffectRow) -> None:
        sent[row.purpose] += 1

    answers: Counter[str] = Counter()
    rehearsal = Rehearsal(book=shipped_book(), start=START, on_sent=count)
    silent_at = START + FAX_SILENT_AFTER
    began_at = time.perf_counter()
    for at, _, (identity, made) in found:
        rehearsal.move_to(at)
        rehearsal.partners[FAX_LANE] = "silent" if silent_at <= at < silent_at + FAX_SILENT_FOR else "delivered"
        answer = rehearsal.receive(made).answer
        answers["right" if b"\rMSA|AA|" + identity + b"\r" in answer else "wrong"] += 1
    rehearsal.partners[FAX_LANE] = "delivered"
    rehearsal.move_to(START + timedelta(days=days))
    seconds = time.perf_counter() - began_at
    rehearsal.close()
    return {
        "days": days,
        "messages": len(found),
        "answers": dict(answers),
        "sendings": sent.total(),
        "sent": dict(sent.most_common()),
        "seconds": round(seconds, 2),
        "seconds_max": SECONDS_MAX,
    }


def main() -> None:
    """Play a made-up quarter and print one JSON object; exit status 1 when it takes longer than promised."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.rehearse", description=main.__doc__)
    options.add_argument("--days", type=int, default=90)
    options.add_argument("--referrals-a-month", type=int, default=600)
    options.add_argument("--seed", type=int, default=7)
    given = options.parse_args()
    found = happenings(days=given.days, referrals_a_month=given.referrals_a_month, seed=given.seed)
    result = rehearse(found, days=given.days)
    print(json.dumps(result, indent=1))
    late = float(str(result["seconds"])) > SECONDS_MAX
    sys.exit(1 if late or result["answers"] != {"right": len(found)} else 0)


if __name__ == "__main__":
    main()
