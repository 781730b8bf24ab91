"""The journal's traffic once more, in memory, under a configuration: what came and was done in, what became of it out.

Everything passes the real door. Two worlds that are handed the same traffic differ only in their configuration: what
happened before the window is decided by the same one in both, then the candidate comes in force, as on a reload.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self, assert_never

from referral_engine.base.clock import MICROSECONDS, from_micros
from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.parties import named_in
from referral_engine.channels.routing import Answer, explain
from referral_engine.flow.acts import (
    Act,
    Confirmed,
    Decided,
    Finished,
    Replied,
    TakenBack,
)
from referral_engine.flow.agenda import Item, batches, in_order
from referral_engine.flow.inputs import (
    Arrived,
    ConfigChanged,
    EvidenceConfirmed,
    EvidenceUnbound,
    Input,
    PatientReplied,
    ReviewDecided,
    Ticked,
)
from referral_engine.flow.outcomes import Outcomes
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.hl7.message import Message
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import Disposition, EffectRow, TaskRow, TaskState
from referral_engine.journal.traffic import Came, TrafficPage
from referral_engine.loop.effects import TaskKind

TICK: Final = 60 * MICROSECONDS  # as the engine does
DAY: Final = 86_400 * MICROSECONDS
FAR: Final = 36_525 * DAY  # nothing is due
UNREADABLE: Final = ""  # MSH-9 of what could not be read
REPLAY: Final = "replay"

Origin = tuple[int, int]  # the message that began a referral, and which of those it began: the same in every world


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One configuration, as a value and as texts."""

    book: Book
    files: Mapping[str, str]

    @classmethod
    def read(cls, files: Mapping[str, str]) -> Self:
        """The version of these texts.  Raises ConfigError."""
        return cls(book=read_book(files), files=files)


@dataclass(slots=True)
class Missed:
    """What a replay could not do again."""

    reduced: int = 0  # messages of which only the header is left
    broken: int = 0  # frames that were never whole
    acts: int = 0  # of people, about referrals or reviews that this world does not have
    cut: int = 0  # pages of which the journal told only a part


class World:
    """One engine in memory to which the traffic happens again."""

    def __init__(self, start: int, version: Version, *, fresh: bool = False) -> None:
        """Begin empty at an instant; fresh: the traffic is of this moment, see `Outcomes`."""
        self.missed = Missed()
        self.real: dict[str, str] = {}  # our referral to the real one
        self.origin: dict[str, Origin] = {}  # our referral to what began it
        self.where: dict[int, int] = {}  # a real message to ours
        self.left_at: dict[int, int] = {}  # a sending to when it left first
        self.lent: set[int] = set()  # tasks that only stand for what a person knew
        self.stored: dict[int, int] = {}  # our message to the real one
        self.became: dict[int, tuple[str, str]] = {}  # a real message to MSA-1 and what it became, unless AA and no-op
        self._own: dict[str, str] = {}  # the real referral to ours
        self._began: dict[int, list[str]] = {}  # a real message to the referrals it began
        self._begun_by: Counter[int] = Counter()  # the same message to how many it began here
        self._outcomes = Outcomes(lambda ours: self.real.get(ours, ""), fresh=fresh)
        self._rehearsal = Rehearsal(
            book=version.book, start=from_micros(start), scripted=self._outcomes, on_sent=self._note_sent
        )
        self._rehearsal.journal.be_lean()
        self._now = start
        self._due = start
        self._tick_at = start
        self._ticks = False  # whether the window has begun
        self._every = DAY  # between two ticks; before the window there is one whenever something is due, too
        self._held: TrafficPage | None = None  # waits until what became of its sendings is known
        self._waiting: list[Item] = []  # acts of a later time than the page they came with
        self._senders: dict[str, Callable[[Came], Arrived]] = {}
        self._base = version.book
        self._adopt(version, "start")

    @property
    def book(self) -> Book:
        """What is in force."""
        return self._rehearsal.step.book

    @property
    def journal(self) -> Journal:
        """Everything that became of it."""
        return self._rehearsal.journal

    def close(self) -> None:
        """Forget everything."""
        self._rehearsal.close()

    def adopt(self, version: Version, at: int, tick: int = TICK) -> None:
        """Let a configuration come in force at an instant, as a reload does: the window begins.

        What waits happens before, under the configuration before.
        tick: microseconds between two ticks from then on; two worlds tick at the same instants.
        """
        self._run_held()
        self._until(at)
        self._rehearsal.be_at(self._now)
        self._ticks = True
        self._every = tick
        self._tick_at = self._now - self._now % tick + tick
        self._adopt(version, "reload")

    def _adopt(self, version: Version, action: str) -> None:
        self._rehearsal.step.offer(version.book)
        changed = ConfigChanged(
            config=version.book.version, files=dict(version.files), action=action, by="engine", reason=REPLAY
        )
        refused = self._rehearsal.put(changed).refused
        assert not refused, refused
        self._look()

    def take(self, page: TrafficPage) -> None:
        """The next page; the one before it happens, now that everything is known that became of it."""
        held, self._held = self._held, page
        self._outcomes.learn(page.left, page.said)
        for one in page.said:
            if one.kind == "ReferralOrdered" and one.message:
                self._began.setdefault(one.message, []).append(one.referral)
        self.missed.cut += page.cut
        if held is not None:
            self._run(held)

    def bring_to(self, until: int) -> None:
        """Let the page that waits happen, and time pass until an instant: what is due by then fires."""
        self._run_held()
        self._until(max(until, self._now))
        self._rehearsal.be_at(self._now)
        self._look()

    def explain(self, message: int, names: Iterable[str]) -> dict[str, Answer]:
        """What channels of the configuration in force say to a real message, by name; those that exist."""
        row = self._rehearsal.journal.read().message(self.where.get(message, 0))
        if row is None:
            return {}
        parsed = Message.parse(row.raw)
        wanted = set(names)
        found = explain(self.book, parsed, named_in(self.book, parsed.header)).candidates
        return {one.name: one for one in found if one.name in wanted}

    # -- what happens -------------------------------------------------------------------------------------------------

    def _run_held(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._run(held)

    def _run(self, page: TrafficPage) -> None:
        """Everything of a page, in order of time."""
        items, self._waiting = in_order(page, self._waiting)
        for came in batches(items):
            if isinstance(came, list):
                self._receive(came)
            else:
                self._until(came.at)
                self._act(came)

    def _until(self, instant: int) -> None:
        """Let time pass; what falls due on the way happens at its own time, in the window at the next tick."""
        instant = max(instant, self._now)
        while min(self._due, self._tick_at) <= instant:
            at = max(min(self._due, self._tick_at), self._now)
            self._now = at
            if at < self._tick_at or not self._is_idle(at):
                self._rehearsal.be_at(at, tick=at >= self._tick_at or not self._ticks)
                self._look()
            if at >= self._tick_at:
                self._tick_at = at - at % self._every + self._every
        self._now = instant
        self._rehearsal.clock.move_to(from_micros(instant))

    def _is_idle(self, at: int) -> bool:
        """Let the clock speak; whether that was all, and nothing came of it."""
        if self._due <= at:
            return False
        self._rehearsal.clock.move_to(from_micros(at))
        before = self._rehearsal.journal.sequence
        receipt = self._rehearsal.step.run([Ticked()])[0]
        return (
            not receipt.fired and not receipt.more and not receipt.lanes and self._rehearsal.journal.sequence == before
        )

    def _look(self) -> None:
        """Note when something happens next by itself, ticks apart."""
        if not self._ticks:
            due = self._rehearsal.next_due()
        else:
            instants = (self._outcomes.next_at(), self._rehearsal.journal.read().aftermath().next_sending(self._now))
            due = min((at for at in instants if at is not None), default=None)
        self._due = due if due is not None else self._now + FAR

    def _receive(self, came: list[Came]) -> None:
        """Messages of one batch."""
        whole = [one for one in came if self._can_come_again(one)]
        if not whole:
            return
        self._until(whole[0].at)
        before = self._rehearsal.journal.sequence
        receipts = self._rehearsal.step.run([self._sender(one.partner)(one) for one in whole])
        stored = 0
        for one, receipt in zip(whole, receipts, strict=True):
            self.where.setdefault(one.sequence, receipt.sequence)
            self.stored.setdefault(receipt.sequence, one.sequence)
            if one.answer_code != "AA" or one.disposition != Disposition.NO_OP:
                self.became[one.sequence] = one.answer_code, one.disposition
            stored += not receipt.duplicate
        if self._rehearsal.journal.sequence != before + stored or receipts[-1].lanes:
            self._name_new(before)
            self._rehearsal.deliver(receipts[-1].lanes)
            self._look()

    def _can_come_again(self, one: Came) -> bool:
        """Whether there is enough left of a message; the rest is counted."""
        if one.reduced:
            self.missed.reduced += 1
            return False
        if one.type == UNREADABLE and not one.answer_code:  # a frame that broke, of which nobody was answered
            self.missed.broken += 1
            return False
        return True

    def _name_new(self, before: int, by: int = 0) -> None:
        """Note which real referral each new one stands for; by: the message, where a person made it."""
        for begun in self._rehearsal.journal.read().aftermath().begun(before):
            message = self.stored.get(begun.message, 0) or by
            number = self._begun_by[message]
            self._begun_by[message] += 1
            self.origin[begun.referral] = message, number
            real = self._began.get(message, [])
            if number < len(real):
                self.real[begun.referral] = real[number]
                self._own.setdefault(real[number], begun.referral)

    def _act(self, act: Act) -> None:
        """What somebody did, done to the referral or the message that stands for the real one."""
        before = self._rehearsal.journal.sequence
        match act:
            case Finished():
                done = self._finish_task(act)
            case Replied():
                ours = self._own.get(act.referral, "")
                done = bool(ours) and self._put(PatientReplied(referral=ours, answer=act.answer, by=act.by))
            case Confirmed():
                ours_ = self.where.get(act.message, 0)
                done = bool(ours_) and self._put(EvidenceConfirmed(message=ours_, by=act.by, reason=act.reason))
            case TakenBack():
                done = self._take_back(act)
            case Decided():
                done = self._decide(act)
            case _:
                assert_never(act)
        if done:
            self._name_new(before, act.message if isinstance(act, Decided) else 0)
            self._look()
        else:
            self.missed.acts += 1

    def _put(self, one: Input) -> bool:
        return not self._rehearsal.put(one).refused

    def _finish_task(self, act: Finished) -> bool:
        """A task done; where this world did not ask, what the person knew is told all the same."""
        ours = self._own.get(act.referral, "")
        if not ours:
            return False
        task = self._rehearsal.journal.read().aftermath().open_task(act.kind, ours)
        number = task.id if task is not None else self._lend(act, ours)
        return self._put(replace(act.done, task=number))

    def _lend(self, act: Finished, ours: str) -> int:
        """A task to write down what a person learned: nobody was asked for it here."""
        row = TaskRow(
            id=0, queue=REPLAY, kind=act.kind, referral=ours, message=0, opened_at=act.at, due_at=0,
            state=TaskState.OPEN, reason=REPLAY,
        )  # fmt: skip
        with self._rehearsal.journal.batch(max(act.at, self._rehearsal.journal.high_water)) as unit:
            number = unit.open_task(row)
        self.lent.add(number)
        return number

    def _take_back(self, act: TakenBack) -> bool:
        ours = self._own.get(act.referral, "")
        messages = [self.where[one] for one in act.messages if one in self.where]
        if not ours or not messages:
            return False
        return self._put(EvidenceUnbound(message=messages[0], by=act.by, reason=act.reason, referral=ours))

    def _decide(self, act: Decided) -> bool:
        """Whose message it is; where no review is open here, the message found its referral by itself."""
        message = self.where.get(act.message, 0)
        reading = self._rehearsal.journal.read()
        review = reading.aftermath().open_task(TaskKind.MATCH_REVIEW.value, "", message) if message else None
        if review is None:
            return False
        ours = self._own.get(act.referral, "")
        if act.referral and not ours:
            return False
        row = reading.message(message)
        waits = row is not None and row.disposition is Disposition.NEEDS_HUMAN
        decided = ReviewDecided(
            task=review.id,
            decision="bind" if act.referral else "dismiss",
            by=act.by,
            reason=act.reason or REPLAY,
            referral=ours,
            part=-1 if waits and not act.part else act.part,
            sure=True,
        )
        return self._put(decided)

    # -- how things come ----------------------------------------------------------------------------------------------

    def _note_sent(self, row: EffectRow) -> None:
        self.left_at.setdefault(row.id, self._rehearsal.clock_micros)

    def _sender(self, name: str) -> Callable[[Came], Arrived]:
        """How a sender's messages come in: to a port and with a certificate that were right when they came."""
        if name not in self._senders:
            sender = next((one for one in self._base.senders if one.name == name), None)
            partner = self._base.partner_of(sender) if sender is not None else None
            ports = [
                one.name
                for one in self._base.engine.listeners
                if partner is None or not one.partners or partner.name in one.partners
            ]
            listener = ports[0] if ports else "default"
            shown = partner.certificates[:1] if partner is not None else ()
            self._senders[name] = lambda came: Arrived(
                raw=came.raw, peer=came.peer, listener=listener, certificates=shown
            )
        return self._senders[name]
