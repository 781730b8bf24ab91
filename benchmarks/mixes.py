"""A seed in, the messages of each connection out: made before any clock starts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from benchmarks import messages
from benchmarks.messages import STRANGERS, VISIT_AFTER, Case, Made
from benchmarks.processes import ROOT
from referral_engine.channels.book import read_book
from referral_engine.hl7.message import Message
from referral_engine.service.files import read_files
from referral_engine.stories.places import site_of
from referral_engine.stories.script import Line
from referral_engine.stories.traffic import Plan, traffic

# change: every message changes a referral.  loop: the same, and one office in seven is reached by fax, which takes a
# PDF.  stories: whole loops of the story generator, as long and as odd as they come.  unrelated: nearly everything is
# about patients nobody referred, as on a hospital's whole feed.
MIXES: Final = ("change", "loop", "stories", "unrelated")
USUAL: Final = ("change", "loop", "unrelated")  # what is measured when nothing is asked for
_ON_THE_WIRE: Final = tuple(office for office in messages.OFFICES if office.books)
OPEN_AT_ONCE: Final = 8  # referrals of one connection between order and note
UNRELATED_SHARE: Final = 0.95
MESSAGES_A_STORY: Final = 5  # at least; so many stories are begun that there are enough messages
NUMBERS_A_CONNECTION: Final = 200_000  # so that no two connections, nor two rounds, make the same patient


def streams(mix: str, *, connections: int, count: int, seed: int) -> list[list[Made]]:
    """About `count` messages in all, one list a connection; what a referral needs stays on one connection, in order."""
    each = max(count // connections, 3)
    return [_stream(mix, each, seed * 1000 + index) for index in range(connections)]


def _stream(mix: str, count: int, place: int) -> list[Made]:
    assert mix in MIXES, f"there is no mix {mix}"
    if mix == "stories":
        return list(islice(_told(count // MESSAGES_A_STORY + 1, place), count))
    rng = random.Random(place)
    numbers = iter(range(place * NUMBERS_A_CONNECTION, (place + 1) * NUMBERS_A_CONNECTION))
    now = datetime.now(UTC).replace(microsecond=0)
    story = _referrals(rng, numbers, now, _ON_THE_WIRE if mix == "change" else messages.OFFICES)
    made = []
    for _ in range(count):
        if mix == "unrelated" and rng.random() < UNRELATED_SHARE:
            made.append(rng.choice(STRANGERS)(next(numbers), now))
        else:
            made.append(next(story))
    return made


def _told(stories: int, place: int) -> Iterator[Made]:
    """Whole stories in order of time; without what is sent twice, for its first answer comes again."""
    plan = Plan(begins=datetime.now(UTC).date(), days=30, stories=stories, before=place * NUMBERS_A_CONNECTION)
    seen: set[bytes] = set()
    site = site_of(read_book(read_files(str(ROOT / "conf" / "engine.toml"))), "ehr")
    for item in traffic(site, plan, random.Random(place)):
        if isinstance(item, Line):
            raw = item.write()
            identity = Message.parse(raw).header.control_id_bytes
            if identity not in seen:
                seen.add(identity)
                yield identity, raw


def _referrals(
    rng: random.Random, numbers: Iterator[int], now: datetime, offices: Sequence[messages.Office]
) -> Iterator[Made]:
    """Order, booking where the office books, and note; a few referrals are always open beside each other."""
    waiting: list[Iterator[Made]] = []
    while True:
        if len(waiting) < OPEN_AT_ONCE:
            waiting.append(_one_referral(Case(number=next(numbers), office=rng.choice(offices), ordered_at=now)))
            yield next(waiting[-1])
            continue
        turn = waiting.pop(0)
        following = next(turn, None)
        if following is not None:
            yield following
            waiting.append(turn)


def _one_referral(case: Case) -> Iterator[Made]:
    yield messages.order(case)
    if case.office.books:
        at = case.ordered_at + timedelta(seconds=1)
        yield messages.booking(case, at=at, starts_at=case.ordered_at + VISIT_AFTER)
    yield messages.note(case, at=case.ordered_at + timedelta(seconds=2))
