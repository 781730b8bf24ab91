"""How made-up referrals go, drawn before the first message: the same for every configuration they are tried on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from hashlib import blake2b
from random import Random  # noqa: TID251  # the type of what is handed in
from typing import Final

import msgspec

from referral_engine.loop.calendar import Calendar
from referral_engine.stories.cast import Place
from referral_engine.stories.people import Person, person
from referral_engine.stories.traffic import Plan, beginnings

PEOPLE_APART: Final = 8  # as stories do: a number for every patient, order and document of a referral
DEAD_LINE: Final = 10_000  # attempts in vain: nobody gets through until a person sees to it

# How often things go wrong, of a hundred.  Sources: LOOP section 6 (targets) and the shares `generate` tells stories
# with; they are assumptions about a clinic, not about the files.
URGENT: Final = 12
HMO: Final = 30
NO_CONSENT: Final = 8
DECLINED: Final = 5
NEVER_SAYS: Final = 15  # of offices that may confirm: they book, and never say that they accept
NEVER_BOOKED: Final = 8
MISSED: Final = 9
MISSED_TWICE: Final = 2
COMES_BACK: Final = 60  # of those who missed a visit
NEVER_TOLD: Final = 25  # nobody says who came
NEVER_WRITTEN: Final = 6
WRITTEN_LATE: Final = 15
UNNUMBERED: Final = 6  # a note that does not say which order it answers
DENIED: Final = 6
LINE_DEAD: Final = 1
LINE_BUSY: Final = 12
ANSWERS_US: Final = 55  # patients who answer "did you attend?"
GIVES_RECORDS: Final = 70  # offices that send the records when they are asked for


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """One referral as it would go if nobody lost it; lengths are hours of the clinic's opening time."""

    number: int
    ordered_at: datetime
    channel: str  # whose order it is
    kind: str  # of the order: "ORM^O01"
    code: str  # OBR-4.1
    plan: str  # IN1-15
    urgent: bool
    consent: bool
    busy: int  # attempts of each sending that find the office's line busy
    declined: bool
    says: bool  # the office says that it accepts
    answers_after: float
    booked: bool
    books_after: float
    slot_days: int  # open days from the booking to the visit
    missed: int  # visits the patient does not come to
    comes_back: bool
    tells: bool  # the office says who came
    replies: bool  # the patient answers a question
    written: bool
    writes_after: float
    numbered: bool
    gives_records: bool
    denied: bool
    authorized_after: float

    @property
    def person(self) -> Person:
        """The patient."""
        return person(self.number * PEOPLE_APART)

    @property
    def placer(self) -> str:
        """The order's number."""
        return f"W{self.number:07}"


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """How much is asked for."""

    begins: date  # clinic time
    days: int
    per_day: int  # orders on an open day


def fates(places: Mapping[str, Place], calendar: Calendar, demand: Demand, chance: Random) -> Iterator[Fate]:
    """Every referral in the order they are ordered; the same places, demand and seed give the same ones."""
    names = sorted(places)
    plan = Plan(begins=demand.begins, days=demand.days, stories=orders_of(calendar, demand))
    for number, at in enumerate(beginnings(calendar, plan, chance), 1):
        own = type(chance)(chance.getrandbits(64))  # so that one referral does not hang on what another draws
        yield _fate(number, at, places[own.choice(names)], own)


def orders_of(calendar: Calendar, demand: Demand) -> int:
    """How many orders come in all."""
    days = (date.fromordinal(demand.begins.toordinal() + number) for number in range(demand.days))
    return demand.per_day * sum(1 for day in days if calendar.open_spans(day))


def share(*words: object) -> float:
    """A number from 0 to below 1 that belongs to these words, whatever was drawn before: two runs draw the same."""
    digest = blake2b(repr(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _fate(number: int, at: datetime, place: Place, chance: Random) -> Fate:
    """One referral; every draw is made, so that what one means can change without moving the others."""
    office = place.office
    urgent = _in_a_hundred(chance, URGENT)
    hurry = 0.3 if urgent else 1.0
    missed_twice, missed = _in_a_hundred(chance, MISSED_TWICE), _in_a_hundred(chance, MISSED)
    late = _in_a_hundred(chance, WRITTEN_LATE)
    return Fate(
        number=number,
        ordered_at=at,
        channel=office.name,
        kind=chance.choice((office.kinds[0], *office.kinds)),
        code=chance.choice(office.codes),
        plan="HMO" if _in_a_hundred(chance, HMO) else "PPO",
        urgent=urgent,
        consent=not _in_a_hundred(chance, NO_CONSENT),
        busy=_busy(chance),
        declined=_in_a_hundred(chance, DECLINED),
        says=not _in_a_hundred(chance, NEVER_SAYS),
        answers_after=1.0 + chance.expovariate(1 / 6),
        booked=not _in_a_hundred(chance, NEVER_BOOKED),
        books_after=1.0 + chance.expovariate(1 / (14 * hurry)),
        slot_days=1 + int(chance.expovariate(1 / (7 * hurry))),
        missed=2 if missed_twice else 1 if missed else 0,
        comes_back=_in_a_hundred(chance, COMES_BACK),
        tells=not _in_a_hundred(chance, NEVER_TOLD),
        replies=_in_a_hundred(chance, ANSWERS_US),
        written=not _in_a_hundred(chance, NEVER_WRITTEN),
        writes_after=chance.uniform(90, 320) if late else 1.0 + chance.expovariate(1 / 12),
        numbered=not _in_a_hundred(chance, UNNUMBERED),
        gives_records=_in_a_hundred(chance, GIVES_RECORDS),
        denied=_in_a_hundred(chance, DENIED),
        authorized_after=chance.uniform(6, 45),
    )


def _busy(chance: Random) -> int:
    if _in_a_hundred(chance, LINE_DEAD):
        return DEAD_LINE
    return chance.randint(1, 4) if _in_a_hundred(chance, LINE_BUSY) else 0


def _in_a_hundred(chance: Random, of: int) -> bool:
    return chance.random() * 100 < of


def drawn_from(words: Sequence[object], low: float, high: float) -> float:
    """A number between the two that belongs to the words."""
    return low + (high - low) * share(*words)
