"""Orders made for a new channel, played in memory: what becomes of them is what its first [[test]] tables expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.ident import is_npi, npi_check_digit
from referral_engine.channels.book import Book
from referral_engine.channels.channel import FaxTransport, MllpTransport, SpoolTransport
from referral_engine.channels.draft import DraftStep, DraftTest
from referral_engine.channels.feed import Feed
from referral_engine.channels.parties import named_in
from referral_engine.channels.questions import Answer, Answers, list_of, text_of
from referral_engine.channels.routing import route
from referral_engine.flow.comparison import answered
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.hl7.message import Message
from referral_engine.hl7.path import read_path
from referral_engine.loop.effects import Purpose
from referral_engine.loop.states import Status

SAMPLES_MAX: Final = 500  # files of sample_messages/ that are looked at
TRIED_MAX: Final = 12  # orders that are played until one goes out
AT: Final = datetime(2026, 3, 2, 10)  # noqa: DTZ001  # a Monday morning on the clinic's wall, without a zone
PLAN: Final = "IN1-15"
CODE: Final = "OBR-4.1"
_OTHERS: Final = tuple(f"{nine}{npi_check_digit(nine)}" for nine in ("199999990", "199999991"))  # nobody's NPIs


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An order of sample_messages/ that can be made one of the new channel's."""

    name: str
    message: Message
    feed: Feed
    provider: str  # where the sender names the specialist: "OBR-28.1"
    overrides: Mapping[str, str]


def first_tests(book: Book, answers: Answers, folder: Path, known: Book) -> tuple[DraftTest, ...]:
    """An order for the new channel, one of each held plan, and one for another specialist; () without a sample.

    book: with the new channel in it. folder: where the samples lie. known: what is in force, where the best samples
    are orders for another channel.
    """
    found: Sample | None = None
    expected: Mapping[str, Answer] = {}
    for _, sample in zip(range(TRIED_MAX), _fitting(book, answers, folder, known), strict=False):
        became = _played(book, answers, sample, {})
        if became and (found is None or became.get("status") != Status.HELD.value):
            found, expected = sample, became
        if expected and expected.get("status") != Status.HELD.value:
            break
    if found is None:
        return ()
    title = "waits before it goes out" if expected.get("status") == Status.HELD.value else "goes straight out"
    tests = [_test(f"an order for them {title}", found, {}, expected)]
    for plan in list_of(answers, "hold.plans")[:1]:
        became = _played(book, answers, found, {PLAN: plan})
        if became.get("status") == Status.HELD.value:
            tests.append(_test(f"an order of the plan {plan} waits for authorization", found, {PLAN: plan}, became))
    other = next(npi for npi in _OTHERS if npi != text_of(answers, "channel.npi"))
    changes = {**found.overrides, found.provider: other}
    asked = Message.parse(found.message.with_fields(changes))
    if route(book, asked, found.feed).channel is None:
        step = DraftStep(receive=found.name, overrides=changes, expect={"matches": False})
        tests.append(DraftTest(name="an order for another specialist is not ours", steps=(step,)))
    return tuple(tests)


def _test(name: str, sample: Sample, more: Mapping[str, str], expect: Mapping[str, Answer]) -> DraftTest:
    step = DraftStep(at=AT, receive=sample.name, overrides={**sample.overrides, **more}, expect=expect)
    return DraftTest(name=name, steps=(step,))


def _fitting(book: Book, answers: Answers, folder: Path, known: Book) -> Iterator[Sample]:
    """Samples that become an order for the channel, those first that need the fewest changes."""
    found = [one for path in sorted(folder.glob("*.hl7"))[:SAMPLES_MAX] if (one := _sample(book, answers, path))]

    def foreign(one: Sample) -> bool:
        return route(known, one.message, one.feed).channel is None

    return iter(sorted(found, key=lambda one: (foreign(one), len(one.overrides), len(one.name), one.name)))


def _sample(book: Book, answers: Answers, path: Path) -> Sample | None:
    """The file as an order for the channel; None when it cannot be one."""
    try:
        message = Message.parse(path.read_bytes())
        feed = named_in(book, message.header)
        new = message.header.type == "ORM^O01" and message.value("ORC-1") == "NW" and message.count("ORC") == 1
        if feed is None or not new or not feed.is_referral(message) or not is_npi(feed.referred_npi(message)):
            return None
        codes, npi = list_of(answers, "match.codes"), text_of(answers, "channel.npi")
        changes = {CODE: codes[0]} if codes and not message.value(CODE).startswith(codes) else {}
        for place in feed.referred_to:
            where = read_path(place)
            changed = {**changes, place: npi}
            if where is None or where.where is not None:
                continue
            asked = Message.parse(message.with_fields(changed))
            if feed.is_referral(asked) and feed.referred_npi(asked) == npi:
                return Sample(name=path.name, message=message, feed=feed, provider=place, overrides=changed)
    except (MessageFault, OSError):
        pass  # some samples are broken on purpose
    return None


def _played(book: Book, answers: Answers, sample: Sample, more: Mapping[str, str]) -> Mapping[str, Answer]:
    """What the engine makes of the order, as a step expects it; {} when it is no referral to the channel."""
    name = text_of(answers, "channel.name")
    channel = book.channels[name]
    rehearsal = Rehearsal(book=book, start=AT.replace(tzinfo=channel.policy.calendar.zone))
    try:
        receipt = rehearsal.receive(sample.message.with_fields({**sample.overrides, **more}))
        reading = rehearsal.journal.read()
        lines = reading.referrals(limit=2)
        story = reading.story(lines[0].id) if len(lines) == 1 and lines[0].channel == name else None
    finally:
        rehearsal.close()
    ack = answered(receipt.answer)
    if story is None or not ack:
        return {}
    if story.line.status is Status.HELD:
        return {"ack": ack, "status": Status.HELD.value, "sends": ()}
    went = any(effect.lane == name and effect.purpose == Purpose.ORDER.value for effect in story.effects)
    match channel.transport:
        case MllpTransport() if went:
            return {"ack": ack, "sends": (sample.message.header.type,)}
        case FaxTransport() if went:
            return {"ack": ack, "sends": ("fax",)}
        case SpoolTransport() if went:
            return {"ack": ack, "sends": ("file",)}
    return {"ack": ack}
