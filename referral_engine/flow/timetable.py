"""The [[test]] tables of a channel played through the real door, in memory, each step compared with what it expects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Final

from referral_engine.base.clock import to_micros
from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.channels.engine import Pilot
from referral_engine.channels.parties import named_in
from referral_engine.channels.timetable import ChannelTest, Staff, Step
from referral_engine.flow.comparison import learned
from referral_engine.flow.expectations import Left, Miss, Moment, misses
from referral_engine.flow.inputs import Arrived, PatientReplied, Receipt
from referral_engine.flow.office import Office
from referral_engine.flow.reasons import Reasons, local
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import EffectRow, MessageRow, TaskRow

FIRST_MORNING: Final = datetime(2026, 3, 2, 9, 0)  # noqa: DTZ001  # clinic wall time, of a test that names no time
THIS_MACHINE: Final = "127.0.0.1"

Samples = Callable[[str], bytes]  # a name a step may receive to its bytes; raises KeyError


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlayed:
    """One step as it went."""

    number: int  # from 1
    line: int  # in its file
    at: datetime  # UTC
    wall: str  # clinic time with its zone
    misses: tuple[Miss, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimetablePlayed:
    """One test as it went."""

    test: ChannelTest
    channel: str
    steps: tuple[StepPlayed, ...]

    @property
    def failed(self) -> tuple[StepPlayed, ...]:
        """The steps that went another way."""
        return tuple(one for one in self.steps if one.misses)


class Bench:
    """Plays tests against one book; what several of them need is made once."""

    def __init__(self, book: Book, samples: Callable[[ChannelTest], Samples]) -> None:
        """`samples`: where the messages of a test are found."""
        live = book if book.engine.pilot == Pilot() else replace(book, engine=replace(book.engine, pilot=Pilot()))
        self._book = live
        self._samples = samples
        self._books: dict[tuple[str, tuple[str, ...]], Book] = {("", ()): live}

    def play(self, channel: Channel, test: ChannelTest) -> TimetablePlayed:
        """One test from its first step to its last.  Raises KeyError for a feed that no file describes."""
        return _Play(self._book_for(channel, test), channel, test, self._samples(test)).whole()

    def _book_for(self, channel: Channel, test: ChannelTest) -> Book:
        """The book as the test wants it: its channel live, whatever the pilot says, and its feeds switched on."""
        key = ("" if channel.mode == "live" else channel.name, test.feeds)
        if key not in self._books:
            book = self._book
            if channel.mode != "live":
                book = replace(book, channels={**book.channels, channel.name: replace(channel, mode="live")})
            self._books[key] = book.with_feeds(test.feeds)
        return self._books[key]


@dataclass(slots=True)
class _Play:
    """One test on its way."""

    book: Book
    channel: Channel
    test: ChannelTest
    samples: Samples
    office: Office = field(init=False)
    rehearsal: Rehearsal = field(init=False)
    left: list[Left] = field(init=False, default_factory=list)  # since the step before
    last: MessageRow | None = field(init=False, default=None)  # the message last received
    identity: str = field(init=False, default="")  # the referral it led to

    def __post_init__(self) -> None:
        first = next((step.at for step in self.test.steps if step.at is not None), FIRST_MORNING)
        self.office = Office(channel=self.channel)
        self.rehearsal = Rehearsal(
            book=self.book, start=self._instant(first), scripted=self.office, on_sent=self._note_sent
        )

    def whole(self) -> TimetablePlayed:
        """Every step in order; one that cannot be done is told and the next is tried."""
        try:
            steps = tuple(self._step(number, step) for number, step in enumerate(self.test.steps, 1))
        finally:
            self.rehearsal.close()
        return TimetablePlayed(test=self.test, channel=self.channel.name, steps=steps)

    def _instant(self, wall: datetime) -> datetime:
        return wall.replace(tzinfo=self.channel.policy.calendar.zone).astimezone(UTC)

    def _note_sent(self, row: EffectRow) -> None:
        """Remember what left, in the words of a timetable."""
        word = self.office.left(row, Message.parse(row.body).header.type if row.transport == "mllp" else "")
        about = f" {row.about}" if row.about else ""
        self.left.append(Left(word=word, said=f"{row.recipient} {row.purpose}{about}", row=row))

    def _step(self, number: int, step: Step) -> StepPlayed:
        self.left = []
        if step.at is not None:
            self.rehearsal.move_to(self._instant(step.at))
        answer, wrong = self._happen(step)
        reading = self.rehearsal.journal.read()
        reasons = Reasons(
            book=self.book, channel=self.channel, reading=reading, identity=self._meant(step.of), row=self.last
        )
        moment = Moment(answer=answer, left=tuple(self.left))
        found = (*wrong, *misses(step.expect, moment, reasons))
        now = self.rehearsal.clock.now()
        return StepPlayed(number=number, line=step.line, at=now, wall=local(now, self.channel), misses=found)

    def _happen(self, step: Step) -> tuple[str, list[Miss]]:
        """What the step does: MSA-1 of what it received, and why it could not be done."""
        if step.receive:
            return self._receive(step)
        if step.reply:
            return "", self._reply(step.reply)
        refused = ""
        if step.staff is not None:
            refused = self._staff(step.staff, step.of).refused
        if step.patient:
            identity = self._meant(step.of)
            said = PatientReplied(referral=identity, answer=step.patient)
            refused = self.rehearsal.put(said).refused if identity else "there is no referral yet"
        return "", [Miss(what="step", expected="done", got="refused", why=refused)] if refused else []

    def _receive(self, step: Step) -> tuple[str, list[Miss]]:
        try:
            raw = self.samples(step.receive)
            raw = Message.parse(raw).with_fields(step.overrides) if step.overrides else raw
        except KeyError:
            return "", [Miss(what="receive", expected=step.receive, got="(no such sample)", why="it is in no folder")]
        except MessageFault as fault:
            return "", [Miss(what="with", expected="a changed sample", got="(none)", why=str(fault))]
        receipt = self.rehearsal.put(arriving(self.book, raw))
        self.last = self.rehearsal.journal.read().message(receipt.sequence)
        if self.last is not None and self.last.referral:
            self.identity = self.last.referral
        return self.last.answer_code if self.last else "", []

    def _reply(self, word: str) -> list[Miss]:
        words = self.office.words()
        if word not in words:
            known = f"they can answer: {', '.join(words)}" if words else "a file is taken without an answer"
            return [Miss(what="reply", expected=word, got="(nobody answers so)", why=known)]
        self.rehearsal.settle(self.office.reply(word, to_micros(self.rehearsal.clock.now())))
        return []

    def _meant(self, placer: str) -> str:
        return self.rehearsal.journal.read().find(placer) if placer else self.identity

    def _staff(self, staff: Staff, placer: str) -> Receipt:
        tasks = self.rehearsal.journal.read().tasks()
        found = _task(tasks, staff.task, self._meant(placer))
        if found is None:
            return Receipt(refused=f"no open task {staff.task}; open: {_listed(tasks)}")
        booked = self._instant(staff.booked) if staff.booked else None
        return self.rehearsal.put(learned(staff, found.id, booked))


def _task(tasks: Iterable[TaskRow], word: str, identity: str) -> TaskRow | None:
    """The open task of this kind or queue that is the referral's, or nobody's."""
    return next((one for one in tasks if word in (one.kind, one.queue) and one.referral in (identity, "")), None)


def _listed(tasks: Iterable[TaskRow]) -> str:
    return ", ".join(f"{one.kind} ({one.queue})" for one in tasks) or "none"


def arriving(book: Book, raw: bytes) -> Arrived:
    """A message as its sender would send it: from an address, with a certificate and to a port that are allowed."""
    try:
        sender = named_in(book, Message.parse(raw).header)
    except MessageFault:
        sender = None
    if sender is None:
        return Arrived(raw=raw, peer=THIS_MACHINE)
    partner = book.partner_of(sender)
    addresses = sender.addresses or partner.addresses
    ports = [one.name for one in book.engine.listeners if not one.partners or partner.name in one.partners]
    return Arrived(
        raw=raw,
        peer=_first(addresses[0]) if addresses else THIS_MACHINE,
        listener=ports[0] if ports else "default",
        certificates=partner.certificates[:1],
    )


def _first(network: str) -> str:
    """The first address of a network that a machine may have."""
    return str(next(iter(ip_network(network).hosts())))
