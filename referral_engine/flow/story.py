"""A scenario played step by step through a rehearsal, each step compared with what it expects, and why it differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from referral_engine.channels.book import Book
from referral_engine.flow.comparison import Difference, Played, answered, compare, first_referral, sent, task_done, why
from referral_engine.flow.inputs import PatientReplied, Receipt
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.scenario import Moment, Scenario, Staff, wall_time
from referral_engine.hl7.message import Message
from referral_engine.journal import answers
from referral_engine.journal.reading import ROWS_MAX

Samples = Callable[[str], bytes]  # a file of sample_messages/ to its bytes; raises KeyError


@dataclass(slots=True, kw_only=True)
class Story:
    """One scenario on its way through a rehearsal."""

    scenario: Scenario
    book: Book
    samples: Samples
    rehearsal: Rehearsal = field(init=False)
    _seen: int = field(init=False, default=0)  # the newest sending already told

    def __post_init__(self) -> None:
        """Open the rehearsal at the scenario's start, clinic time, with the feeds it asks for switched on.

        Raises KeyError for a feed that no file describes.
        """
        self.book = self.book.with_feeds(self.scenario.scenario.feeds)
        start = self._instant(self.scenario.scenario.start)
        self.rehearsal = Rehearsal(book=self.book, start=start, partners=dict(self.scenario.partners))

    def play(self) -> Iterator[Played]:
        """Play every step in order."""
        for number, moment in enumerate(self.scenario.step, 1):
            yield self._step(number, moment)

    def ends(self) -> tuple[answers.Story, ...]:
        """Everything that is stored of each referral, in the order they came."""
        reading = self.rehearsal.journal.read()
        found = (reading.story(line.id) for line in reversed(reading.referrals(limit=ROWS_MAX)))
        return tuple(story for story in found if story is not None)

    def _instant(self, wall: str) -> datetime:
        engine = self.book.engine
        calendar = engine.calendars.get("default") or next(iter(engine.calendars.values()))
        return wall_time(wall).replace(tzinfo=calendar.zone)

    def _step(self, number: int, moment: Moment) -> Played:
        rehearsal = self.rehearsal
        rehearsal.move_to(self._instant(moment.at))
        rehearsal.partners.update(moment.partner)
        answer = ""
        refused = ""
        if moment.receive:
            answer = answered(rehearsal.receive(self._message(moment)).answer)
        if moment.staff is not None:
            refused = self._staff(moment.staff, moment.of).refused
        if moment.reply:
            replied = PatientReplied(referral=self._referral(moment.of), answer=moment.reply)
            refused = rehearsal.put(replied).refused
        reading = rehearsal.journal.read()
        owed = reading.owed_after(self._seen)
        self._seen = owed[-1].id if owed else self._seen
        sends = tuple(sent(row) for row in owed)
        identity = self._referral(moment.of)
        differences = tuple(compare(moment.expect, reading, identity, answer, sends))
        if refused:
            differences += (Difference(what="staff", expected="done", got=refused),)
        return Played(
            number=number,
            at=rehearsal.clock.now(),
            say=moment.say,
            answer=answer,
            sends=sends,
            differences=differences,
            why=why(reading, identity) if differences else "",
        )

    def _message(self, moment: Moment) -> bytes:
        return sample(self.samples, moment)

    def _referral(self, placer: str) -> str:
        return first_referral(self.rehearsal.journal.read(), placer)

    def _staff(self, staff: Staff, placer: str) -> Receipt:
        booked = self._instant(staff.booked) if staff.booked else None
        done = task_done(self.rehearsal.journal.read(), staff, self._referral(placer), booked)
        return self.rehearsal.put(done) if done else Receipt(refused=f"no open task {staff.task}")


def sample(samples: Samples, moment: Moment) -> bytes:
    """The message a step receives, with its overrides."""
    raw = samples(moment.receive)
    return Message.parse(raw).with_fields(moment.with_) if moment.with_ else raw
