"""Everybody outside the engine in a made-up quarter: offices, payers and patients, each doing what its fate says."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import partial
from typing import Final

from referral_engine.channels.book import Book
from referral_engine.flow.inputs import Input, PatientReplied, Receipt, TaskDone
from referral_engine.flow.lanes import PATIENT
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.timetable import arriving
from referral_engine.journal.rows import Disposition, EffectRow
from referral_engine.loop.calendar import Calendar, add_business_days, add_business_time, instant_of, local_date
from referral_engine.loop.effects import ORDERS, Purpose, TaskKind
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import Dispatch
from referral_engine.stories import spoken
from referral_engine.stories.cast import Cast, Place
from referral_engine.stories.fates import Fate, drawn_from
from referral_engine.stories.places import Office

HOUR: Final = timedelta(hours=1)
LEAST: Final = timedelta(hours=1)  # until anybody answers: within the hour nothing new is looked for
VISIT_LASTS: Final = timedelta(hours=1)
SCANNED_AFTER: Final = 8.0  # hours of opening time until a letter is on the scanning station
RECORDS_AFTER: Final = 12.0
_HALF_HOURS: Final = 16  # of a day's appointments, from the opening on
BY: Final = "made-up"

Act = Callable[[], None]


@dataclass(slots=True, kw_only=True)
class Case:
    """One referral as the people outside know it."""

    fate: Fate
    place: Place  # that its order names
    office: Office | None  # as these files know it; None when they do not
    referral: str = ""  # its number with us
    said: int = 0  # messages so far
    reached: bool = False  # the packet is with the office
    repaired: bool = False  # a person saw to the line
    stopped: bool = False  # the office has done with it
    declined: bool = False  # and told nobody
    visits: int = 0
    missed: int = 0
    starts_at: datetime | None = None  # of the visit in force, as the office knows it
    seen_at: datetime | None = None
    noted: bool = False  # the note left
    answered: bool = False  # the payer has
    stuck: int = 0  # tasks a person did without learning anything

    def next_said(self) -> int:
        """The number of the next message."""
        self.said += 1
        return self.said


@dataclass(slots=True, kw_only=True)
class Practice:
    """What is going to happen, oldest first, and who makes it happen."""

    book: Book
    cast: Cast
    places: Mapping[str, Place]  # that orders are written for
    seed: int
    stage: Rehearsal = field(init=False)
    cases: dict[str, Case] = field(default_factory=dict)  # by order number
    messages: int = 0
    refused: int = 0  # answered with anything but AA
    unroutable: int = 0
    not_done: int = 0
    of_message: dict[int, Case] = field(default_factory=dict)  # by the journal's sequence
    _of_referral: dict[str, Case | None] = field(default_factory=dict)
    _to_come: list[tuple[datetime, int, Act]] = field(default_factory=list)
    _number: int = 0

    @property
    def calendar(self) -> Calendar:
        """When people work."""
        return self.cast.calendar

    # time

    def at(self, instant: datetime, act: Act) -> None:
        """Something will happen then."""
        self._number += 1
        heapq.heappush(self._to_come, (instant, self._number, act))

    def after(self, hours: float, act: Act) -> None:
        """Something will happen so much opening time from now."""
        self.at(self.working(hours), act)

    def working(self, hours: float) -> datetime:
        """So much opening time from now, and no sooner than in an hour."""
        now = self.stage.clock.now()
        return max(add_business_time(self.calendar, now, timedelta(hours=hours)), now + LEAST)

    def drawn(self, words: tuple[object, ...], low: float, high: float) -> float:
        """A number between the two that belongs to the words, whatever else was drawn."""
        return drawn_from((self.seed, *words), low, high)

    def play_until(self, instant: datetime) -> None:
        """Let everything happen that is to happen by then, the engine's own clocks in between."""
        while self._to_come and self._to_come[0][0] <= instant:
            moment, _, act = heapq.heappop(self._to_come)
            self.stage.move_to(max(moment, self.stage.clock.now()))
            act()
        self.stage.move_to(instant)

    # what is known of a referral

    def case_of(self, referral: str) -> Case | None:
        """The case behind one of our numbers; None for what nobody ordered here."""
        if referral not in self._of_referral:
            state = self.state(referral)
            self._of_referral[referral] = self.cases.get(state.order.placer.value) if state else None
        return self._of_referral[referral]

    def state(self, referral: str) -> Referral | None:
        """Where the engine stands with it."""
        return self.stage.journal.read().referral(referral) if referral else None

    # the ordering side and the payer

    def order(self, fate: Fate) -> None:
        """The order comes; what is held for the payer is answered in its time."""
        mine = self.cast.places.get(fate.channel)
        case = Case(fate=fate, place=self.places[fate.channel], office=mine.office if mine else None)
        self.cases[fate.placer] = case
        self._hear(case, spoken.order_of(case.place, fate, self.stage.clock.now(), case.next_said()))
        state = self.state(case.referral)
        if state is None:
            self.unroutable += 1
        elif state.dispatch is Dispatch.HELD:
            self.after(fate.authorized_after, partial(self._payer, case))

    def _payer(self, case: Case) -> None:
        """The payer agrees: the desk that waits for it writes it down, else the number comes with the order."""
        case.answered = True
        state = self.state(case.referral)
        if case.fate.denied or state is None or state.dispatch is not Dispatch.HELD or state.is_over:
            return
        tasks = self.stage.journal.read().story(state.id)
        waiting = next(
            (one for one in (tasks.tasks if tasks else ()) if one.kind == TaskKind.PREAUTH and not one.closed_at), None
        )
        if waiting is not None:
            self.record(TaskDone(task=waiting.id, by=BY, note="the payer agreed", authorized=f"AUTH{case.fate.number}"))
            return
        now = self.stage.clock.now()
        number = f"AUTH{case.fate.number}"
        self._hear(case, spoken.order_of(case.place, case.fate, now, case.next_said(), authorization=number))

    # the office

    def arrived(self, row: EffectRow) -> None:
        """A packet is with the office, which begins to work; or what it is told ends its work."""
        case = self.case_of(row.referral)
        if case is None or case.office is None:
            return
        if row.purpose == Purpose.CANCEL:
            case.stopped = True
            if case.office.confirms:
                self.after(4.0, partial(self._agree, case, case.office))
        if row.purpose not in ORDERS or case.reached:
            return
        case.reached = True
        if case.fate.declined:
            self.after(case.fate.answers_after, partial(self._answer, case, case.office, accepted=False))
            return
        if case.office.confirms and case.fate.says:
            self.after(case.fate.answers_after, partial(self._answer, case, case.office, accepted=True))
        if case.fate.booked:
            self.after(case.fate.answers_after + case.fate.books_after, partial(self.book_visit, case))

    def _answer(self, case: Case, office: Office, *, accepted: bool) -> None:
        if case.stopped:
            return
        if not accepted:
            case.stopped = True
            case.declined = not office.confirms
        if office.confirms:
            now, said = self.stage.clock.now(), case.next_said()
            self._hear(case, spoken.answer_of(case.place, office, case.fate, now, said, accepted=accepted))

    def _agree(self, case: Case, office: Office) -> None:
        said = case.next_said()
        self._hear(case, spoken.cancel_agreed(case.place, office, case.fate, self.stage.clock.now(), said))

    def book_visit(self, case: Case) -> None:
        """The office gives the patient a time, and says so if it sends such messages."""
        if case.stopped or case.office is None or case.starts_at is not None:
            return
        now, fate = self.stage.clock.now(), case.fate
        case.visits += 1
        day = local_date(self.calendar, add_business_days(self.calendar, now, fate.slot_days))
        spans = self.calendar.open_spans(day)
        opens = spans[0][0] if spans else time(9)
        half_hours = int(self.drawn((fate.placer, "slot", case.visits), 0, _HALF_HOURS))
        case.starts_at = instant_of(self.calendar, day, opens) + half_hours * HOUR / 2
        if case.office.books:
            self._tell_slot(case, "booked")
        self.at(case.starts_at + VISIT_LASTS, partial(self._visit, case))

    def _visit(self, case: Case) -> None:
        """The patient comes, or does not."""
        if case.stopped or case.office is None:
            return
        if case.missed < case.fate.missed:
            case.missed += 1
            if case.office.books:
                self._tell_slot(case, "no-show")
            case.starts_at = None
            if case.fate.comes_back:
                self.after(8.0 + case.fate.books_after, partial(self.book_visit, case))
            return
        case.seen_at = case.starts_at
        if case.office.books and case.fate.tells:
            self._tell_slot(case, "kept")
        if case.fate.written:
            self.after(case.fate.writes_after, partial(self.write_note, case))

    def write_note(self, case: Case) -> None:
        """The note leaves: over the wire, or by fax and the scanning station."""
        if case.noted or case.office is None or case.seen_at is None:
            return
        case.noted = True
        if case.office.notes and case.office.sender is not None:
            self._send_note(case, case.office)
        elif self.cast.scanner is not None:
            self.after(SCANNED_AFTER, partial(self._send_note, case, case.office))

    def _send_note(self, case: Case, office: Office) -> None:
        author = office.sender if office.notes and office.sender is not None else self.cast.scanner
        assert author is not None and case.seen_at is not None, "asked before"  # noqa: PT018  # one fact
        now, said = self.stage.clock.now(), case.next_said()
        self._hear(case, spoken.note_of(case.place, office, author, case.fate, now, said, case.seen_at))

    def _tell_slot(self, case: Case, word: spoken.SlotWord) -> None:
        assert case.office is not None and case.starts_at is not None, "a visit has a time"  # noqa: PT018  # one fact
        self._hear(case, spoken.slot_of(
            case.place, case.office, case.fate, self.stage.clock.now(), case.next_said(), word, case.starts_at,
            case.visits,
        ))  # fmt: skip

    # the patient

    def left(self, row: EffectRow) -> None:
        """Something left for a patient, who may answer."""
        if row.lane != PATIENT or row.purpose != Purpose.ATTENDED_PROMPT:
            return
        case = self.case_of(row.referral)
        if case is None or not case.fate.replies:
            return
        hours = self.drawn((case.fate.placer, "reply", case.visits), 1.0, 6.0)
        self.at(self.stage.clock.now() + timedelta(hours=hours), partial(self._reply, case))

    def _reply(self, case: Case) -> None:
        self.record(PatientReplied(referral=case.referral, answer="YES" if case.seen_at else "NO"))

    # the door

    def record(self, one: Input) -> Receipt:
        """A person writes something down; what the engine refuses is counted."""
        receipt = self.stage.put(one)
        self.not_done += bool(receipt.refused)
        return receipt

    def _hear(self, case: Case, raw: bytes) -> None:
        """One message arrives."""
        self.messages += 1
        receipt = self.stage.put(arriving(self.book, raw))
        self.of_message[receipt.sequence] = case
        row = self.stage.journal.read().message(receipt.sequence)
        assert row is not None, "what came is stored"
        self.refused += row.answer_code not in ("AA", "CA")
        if row.referral and not case.referral and row.disposition is Disposition.APPLIED:
            case.referral = row.referral
            self._of_referral[row.referral] = case
