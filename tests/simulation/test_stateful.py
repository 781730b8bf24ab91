"""The loop against a small model: whatever is said about one referral, in whatever order, concerns that one only.

The model knows, of each made-up referral, whether it was ordered, and holds the door to these laws: a new order is one
referral and the same order number never two; what is said of one referral changes no other; the same bytes again change
nothing; a referral that is over writes to no patient and runs no clock; and the stored events, decided anew by the pure
rules, always give the stored state.
"""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from referral_engine.flow.inputs import Arrived, Claim, Input, PatientReplied, Receipt, Settled, TaskDone, Ticked
from referral_engine.journal.answers import Story
from referral_engine.journal.rows import EffectRow, EffectState
from referral_engine.loop.effects import Recipient
from referral_engine.loop.events import Outcome
from tests.flow.stage import book, engine
from tests.simulation import checkers
from tests.simulation.made_messages import FAX, HEART, IMAGING, Clinic, Pen, Visit

LONG = settings.default is not None and settings.default.max_examples > 1_000
CLINICS = (HEART, IMAGING, FAX)
VISITS = (("S12", "Booked"), ("S13", "Booked"), ("S14", "Complete"), ("S15", "Cancelled"), ("S26", "Noshow"))
NOTES = (("T02", "AU"), ("T02", "IP"), ("T10", "AU"), ("T11", "CA"))
which = st.integers(0, 2)
waits = st.sampled_from((0, 1, 3, 30, 600, 1_440, 10_080, 43_200)).map(lambda minutes: timedelta(minutes=minutes))


class OneLoopEach(RuleBasedStateMachine):
    """Several referrals of different patients, and everything that may be said of each."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = engine()
        self.pen = Pen()
        self.visits: list[Visit] = []
        self.ordered: dict[int, str] = {}  # the model: visit to the referral it became
        self.heard: dict[bytes, bytes] = {}  # the model: each message and its answer
        self.leases: list[EffectRow] = []
        self.default = next(iter(book().channels.values())).policy

    def teardown(self) -> None:
        self.stage.close()

    # What may happen.

    @initialize(
        kinds=st.lists(
            st.tuples(st.sampled_from(CLINICS), st.sampled_from(("PPO", "HMO")), st.booleans()), min_size=3, max_size=3
        )
    )
    def patients_come_to_the_doctor(self, kinds: list[tuple[Clinic, str, bool]]) -> None:
        """Three made-up referrals; one is ordered at once, for nothing happens before that."""
        for number, (clinic, insurance, urgent) in enumerate(kinds, 1):
            visit = Visit(number=number, clinic=clinic, patient=100 + number, insurance=insurance, urgent=urgent)
            self.visits.append(visit)
        self.it_is_ordered(which=0, authorization="")

    @rule(which=which, authorization=st.sampled_from(("", "AUTH1")))
    def it_is_ordered(self, which: int, authorization: str) -> None:
        visit = self.visits[which]
        known = self.ordered.get(visit.number)
        before = len(self.stage.journal.read().referrals(limit=10_000))
        self._say(visit, self.pen.order(visit, self.stage.clock.now(), authorization=authorization))
        reading = self.stage.journal.read()
        assert len(reading.referrals(limit=10_000)) == before + (known is None)
        identity = reading.find(f"P{visit.number}")
        assert identity
        assert known in {None, identity}
        self.ordered[visit.number] = identity

    @rule(which=which, control=st.sampled_from(("XO", "CA", "DC")))
    def the_ehr_changes_its_mind(self, which: int, control: str) -> None:
        self._say(self.visits[which], self.pen.order(self.visits[which], self.stage.clock.now(), control))

    @rule(which=which, control=st.sampled_from(("OK", "UA", "CR")))
    def the_clinic_answers(self, which: int, control: str) -> None:
        self._say(self.visits[which], self.pen.answer(self.visits[which], self.stage.clock.now(), control))

    @rule(which=which, soon=waits, what=st.sampled_from(VISITS))
    def the_clinic_speaks_of_a_visit(self, which: int, soon: timedelta, what: tuple[str, str]) -> None:
        now = self.stage.clock.now()
        self._say(self.visits[which], self.pen.booking(self.visits[which], now, now + soon, *what))

    @rule(which=which, what=st.sampled_from(NOTES))
    def a_note_comes_or_is_taken_back(self, which: int, what: tuple[str, str]) -> None:
        self._say(self.visits[which], self.pen.note(self.visits[which], self.stage.clock.now(), *what))

    @rule(number=st.integers(0, 50))
    def a_message_comes_again(self, number: int) -> None:
        raw = list(self.heard)[number % len(self.heard)]
        before = self._stories()
        (receipt,) = self._run(Arrived(raw=raw, peer="127.0.0.1"))
        assert receipt.duplicate
        assert receipt.answer == self.heard[raw]
        assert self._stories() == before

    @rule(wait=waits, limit=st.sampled_from((1, 200)))
    def time_goes_by(self, wait: timedelta, limit: int) -> None:
        self.stage.clock.move_to(self.stage.clock.now() + wait)
        self._run(Ticked(limit=limit))

    @rule(number=st.integers(0, 9))
    def a_courier_takes_what_is_owed(self, number: int) -> None:
        owed = [row for row in self.stage.journal.read().outbox() if row.state is EffectState.QUEUED]
        if owed:
            (receipt,) = self._run(Claim(lane=owed[number % len(owed)].lane, limit=4))
            assert len({row.referral for row in receipt.effects}) == len(receipt.effects), "two of one referral at once"
            self.leases += receipt.effects

    @precondition(lambda self: self.leases)
    @rule(outcome=st.sampled_from(Outcome))
    def and_says_what_became_of_it(self, outcome: Outcome) -> None:
        row = self.leases.pop(0)
        before = self._stories()
        self._run(Settled(effect=row.id, token=row.token, outcome=outcome, retry_in_seconds=60.0))
        self._concerns_only(row.referral, before)

    @rule(which=which, word=st.sampled_from(("YES", "NO", "STOP", "START", "when?")))
    def the_patient_writes(self, which: int, word: str) -> None:
        identity = self.ordered.get(self.visits[which].number)
        if identity is not None:
            before = self._stories()
            self._run(PatientReplied(referral=identity, answer=word))
            self._concerns_only(identity, before)

    @rule(
        number=st.integers(0, 9),
        attended=st.sampled_from((None, True, False)),
        end=st.sampled_from(("", "", "cancelled")),
    )
    def somebody_does_a_task(self, number: int, attended: bool | None, end: str) -> None:
        tasks = self.stage.journal.read().tasks()
        if tasks:
            task = tasks[number % len(tasks)]
            before = self._stories()
            self._run(TaskDone(task=task.id, by="ana", note="done", attended=attended, end=end))
            self._concerns_only(task.referral, before)

    # The laws.

    @invariant()
    def every_message_is_there_once(self) -> None:
        reading = self.stage.journal.read()
        assert reading.counts().received() == len(self.heard)
        assert reading.conservation().holds, reading.conservation()

    @invariant()
    def the_events_give_the_state_and_each_clock_fires_once(self) -> None:
        for story in self._stories().values():
            wrong = checkers.wrong_state(story, book(), self.default) + checkers.wrong_firing(story)
            assert not wrong, wrong

    @invariant()
    def what_is_over_runs_no_clock(self) -> None:
        for story in self._stories().values():
            assert not (story.referral.is_over and any(one.state == "pending" for one in story.deadlines))

    # How.

    def _say(self, visit: Visit, raw: bytes) -> None:
        """One message about one visit: it may change that referral, and no other."""
        before = self._stories()
        (receipt,) = self._run(Arrived(raw=raw, peer="127.0.0.1"))
        assert self.heard.setdefault(raw, receipt.answer) == receipt.answer != b""
        identity = self.ordered.get(visit.number) or self.stage.journal.read().find(f"P{visit.number}")
        self._concerns_only(identity, before)

    def _run(self, *given: Input) -> list[Receipt]:
        return self.stage.step.run(given)

    def _stories(self) -> dict[str, Story]:
        return {story.line.id: story for story in checkers.all_stories(self.stage.journal.read())}

    def _concerns_only(self, identity: str, before: dict[str, Story]) -> None:
        """No other referral changed; and what was over, and still is, owes its patient nothing new."""
        after = self._stories()
        for other, story in before.items():
            if other != identity:
                assert after[other] == story, "another referral changed"
        then, now = before.get(identity), after.get(identity)
        if then is not None and now is not None and then.referral.is_over and now.referral.is_over:
            new = now.effects[len(then.effects) :]
            assert not [row for row in new if row.recipient == Recipient.PATIENT.value], "the patient is done with it"


OneLoopEach.TestCase.settings = settings(max_examples=300 if LONG else 20, stateful_step_count=80 if LONG else 25)
TestOneLoopEach = OneLoopEach.TestCase
