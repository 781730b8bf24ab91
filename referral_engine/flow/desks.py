"""The people at the desks of a made-up quarter: every task is done after a while, as far as its case allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from referral_engine.flow.inputs import OutboxDecision, ReviewDecided, TaskDone
from referral_engine.flow.practice import BY, RECORDS_AFTER, Case, Practice
from referral_engine.journal.reading import ROWS_MAX
from referral_engine.journal.rows import EffectState, TaskRow, TaskState
from referral_engine.loop.effects import TaskKind
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import UNBOOKED, Appointment, Authorization, Ending

QUICKEST, SLOWEST = 0.25, 1.75  # of the hours a desk takes for a task, drawn evenly
STUCK_MAX: Final = 2  # tasks without news, then a person gives the referral up
PAGE: Final = 64  # newest tasks looked at first; more when there are more new ones
_STUCK_STATES: Final = frozenset({EffectState.FAILED, EffectState.UNKNOWN})


@dataclass(slots=True, kw_only=True)
class Work:
    """One task as it is counted."""

    id: int
    queue: str  # where it was opened
    kind: str
    referral: str
    opened_at: int  # microseconds UTC
    closed_at: int = 0  # 0 while it is open
    escalated_at: int = 0
    moved_to: str = ""  # the queue it was escalated to


@dataclass(slots=True, kw_only=True)
class Desks:
    """Looks at the work queue, remembers every task, and does them."""

    practice: Practice
    hours: float  # of opening time until a person does a task, on average
    works: dict[int, Work] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)

    def look(self) -> None:
        """See what is new, what was closed and what was moved to another queue."""
        reading = self.practice.stage.journal.read()
        for row in self._new():
            self.works[row.id] = Work(
                id=row.id, queue=row.queue, kind=row.kind, referral=row.referral, opened_at=row.opened_at
            )
            self._open.add(row.id)
            self._plan(row)
        rows = {row.id: row for row in reading.tasks(limit=ROWS_MAX)} if self._open else {}
        for number in sorted(self._open):
            found = rows.get(number) or reading.task(number)
            assert found is not None, "a task is never deleted"
            work = self.works[number]
            if found.escalated_at:
                work.escalated_at, work.moved_to = found.escalated_at, found.queue
            if found.state is TaskState.DONE:
                work.closed_at = found.closed_at
                self._open.discard(number)

    def _new(self) -> list[TaskRow]:
        """Tasks nobody has seen, the oldest first."""
        newest = max(self.works, default=0)
        limit = PAGE
        while True:
            rows = self.practice.stage.journal.read().tasks(done=True, limit=limit)
            if len(rows) < limit or rows[-1].id <= newest or limit >= ROWS_MAX:
                return sorted((row for row in rows if row.id > newest), key=lambda row: row.id)
            limit *= 4

    def _plan(self, row: TaskRow) -> None:
        """When somebody will do it; a desk that waits for the payer does it when the answer is there."""
        case = self.practice.case_of(row.referral)
        words = (case.fate.placer if case else row.message, row.kind)
        hours = self.hours * self.practice.drawn(words, QUICKEST, SLOWEST)
        if case is not None and row.kind == TaskKind.PREAUTH and not case.answered:
            hours += case.fate.authorized_after
        self.practice.after(hours, partial(self._finish, row.id))

    def _finish(self, number: int) -> None:
        """Do one task, unless it is pointless by now."""
        practice = self.practice
        row = practice.stage.journal.read().task(number)
        assert row is not None, "a task is never deleted"
        if row.state is TaskState.DONE:
            return
        if row.kind == TaskKind.MATCH_REVIEW and row.message and not row.referral:
            self._review(row)
            return
        case, state = practice.case_of(row.referral), practice.state(row.referral)
        if case is None or state is None or state.is_over:
            practice.record(TaskDone(task=row.id, by=BY, note="looked at"))
            return
        if row.kind in (TaskKind.UNDELIVERABLE, TaskKind.UNKNOWN_DELIVERY):
            self._send_again(case, row)
        learned = _learned(practice, case, state, row)
        now = practice.stage.journal.read().task(number)
        if now is not None and now.state is not TaskState.DONE:  # an office that booked at once has closed it
            practice.record(learned)

    def _review(self, row: TaskRow) -> None:
        """Say whose note it is."""
        case = self.practice.of_message.get(row.message)
        if case is None or not case.referral:
            decided = ReviewDecided(task=row.id, decision="dismiss", by=BY, reason="about nobody we know")
        else:
            decided = ReviewDecided(
                task=row.id, decision="bind", by=BY, reason="looked at both charts", referral=case.referral, sure=True
            )
        self.practice.record(decided)

    def _send_again(self, case: Case, row: TaskRow) -> None:
        """See to the line, and let what did not arrive leave once more."""
        case.repaired = True
        for owed in self.practice.stage.journal.read().outbox(limit=ROWS_MAX):
            if owed.referral == row.referral and owed.state in _STUCK_STATES:
                self.practice.record(OutboxDecision(effect=owed.id, decision="retry", by=BY))


def _learned(practice: Practice, case: Case, state: Referral, row: TaskRow) -> TaskDone:
    """What a person writes down when they did a task of an open referral."""
    fate = case.fate
    ended = _why_over(case, state, row)
    if ended:
        return TaskDone(task=row.id, by=BY, note="given up, for a reason", end=ended)
    if row.kind == TaskKind.PREAUTH and fate.denied:
        return TaskDone(task=row.id, by=BY, note="the payer said no", denied=True)
    if row.kind == TaskKind.PREAUTH:
        return TaskDone(task=row.id, by=BY, note="the payer agreed", authorized=f"AUTH{fate.number}")
    if row.kind == TaskKind.RECORDS_REQUEST and case.seen_at and not case.noted and fate.gives_records:
        practice.after(RECORDS_AFTER, partial(practice.write_note, case))
        return TaskDone(task=row.id, by=BY, note="the records are on their way")
    if state.appointment in UNBOOKED or state.appointment is Appointment.NO_SHOW:
        return _about_booking(practice, case, row)
    if state.appointment is Appointment.PASSED and row.kind == TaskKind.CALL_PATIENT:
        return TaskDone(task=row.id, by=BY, note="asked the patient", attended=case.seen_at is not None)
    return TaskDone(task=row.id, by=BY, note="looked at")


def _about_booking(practice: Practice, case: Case, row: TaskRow) -> TaskDone:
    """A person calls the patient or the office, and may hear of a time, or make one."""
    reached = row.kind == TaskKind.CALL_PATIENT
    wants = case.fate.booked and (case.missed == 0 or case.fate.comes_back)
    if wants and case.starts_at is None and case.reached and row.kind in (TaskKind.SCHEDULE, TaskKind.NO_SHOW_REVIEW):
        practice.book_visit(case)
    now = practice.stage.clock.now()
    state = practice.state(case.referral)
    known = state is not None and state.appointment is Appointment.BOOKED  # the office said so by itself
    if case.starts_at is not None and case.starts_at > now and not known:
        return TaskDone(task=row.id, by=BY, note="a time is booked", booked=case.starts_at, patient_reached=reached)
    case.stuck += 1
    return TaskDone(task=row.id, by=BY, note="left word", patient_reached=reached)


def _why_over(case: Case, state: Referral, row: TaskRow) -> Ending | None:
    """Whether the person who does the task gives the referral up, and why; None while there is hope."""
    fate = case.fate
    if row.kind == TaskKind.PREAUTH and state.authorization is Authorization.DENIED:
        return Ending.REFUSED
    if case.declined and row.kind in (TaskKind.CALL_SPECIALIST, TaskKind.SCHEDULE):
        return Ending.DECLINED
    if row.kind == TaskKind.FIND_SPECIALIST:
        return Ending.CLOSED_WITHOUT_NOTE
    if row.kind == TaskKind.NO_SHOW_REVIEW and not fate.comes_back:
        return Ending.CLOSED_WITHOUT_NOTE
    unwanted = not fate.booked and state.appointment in UNBOOKED
    return Ending.CANCELLED if unwanted and case.stuck >= STUCK_MAX else None
