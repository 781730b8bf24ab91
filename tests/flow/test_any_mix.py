"""Whatever arrives, in whatever order, while clocks run and couriers fail: nothing is lost, nobody is forgotten."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from referral_engine.flow.inputs import (
    Arrived,
    Claim,
    EvidenceUnbound,
    Input,
    MergeUndone,
    OutboxDecision,
    PatientReplied,
    Receipt,
    ReviewDecided,
    SetAside,
    Settled,
    TaskClaimed,
    TaskDone,
    Ticked,
)
from referral_engine.journal.reading import ROWS_MAX
from referral_engine.journal.rows import Disposition, EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.loop.states import Ending
from tests.flow.stage import HEART, SAMPLES, arrived, at, engine, sample

NAMES = sorted(path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*.hl7") if "fifty" not in path.name)
AMELIA = [name for name in NAMES if b"700101" in sample(name)]  # most of the mix is about one patient
LANES = (HEART, f"{HEART}/fallback", "imaging-northside", "orthopaedics-lakeside", "ehr", "patient", "team", "billing")
LONG = settings.default is not None and settings.default.max_examples > 1_000

messages = st.sampled_from(AMELIA) | st.sampled_from(NAMES)
minutes = st.sampled_from((0, 1, 2, 30, 600, 1_440, 4_320, 14_400))


def _learned() -> st.SearchStrategy[dict[str, object]]:
    """What a person may say of a task."""
    return st.fixed_dictionaries(
        {},
        optional={
            "booked": st.sampled_from(("2026-03-10 10:30", "2026-03-20 08:00", "2026-01-05 08:00")).map(at),
            "attended": st.booleans(),
            "authorized": st.just("AUTH77"),
            "release": st.booleans(),
            "patient_reached": st.booleans(),
            "cancel_confirmed": st.booleans(),
            "end": st.sampled_from([ending.value for ending in Ending]),
        },
    )


class AnyMix(RuleBasedStateMachine):
    """The real door over a journal in memory, driven in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = engine()
        self.answers: dict[bytes, bytes] = {}  # what each message was told the first time
        self.leased: list[EffectRow] = []
        self.wires: dict[int, tuple[str, bytes]] = {}  # what each sending was when it was first seen
        self.fired: set[tuple[str, str, int]] = set()

    def teardown(self) -> None:
        self.stage.close()

    def _run(self, *inputs: Input) -> list[Receipt]:
        receipts = self.stage.step.run(inputs)
        for given, receipt in zip(inputs, receipts, strict=True):
            if isinstance(given, Arrived | SetAside):
                raw = given.raw if isinstance(given, Arrived) else given.arrived.raw
                assert self.answers.setdefault(raw, receipt.answer) == receipt.answer
        return receipts

    @rule(name=messages, other_id=st.sampled_from(("", "", "X1", "X2")))
    def a_message_arrives(self, name: str, other_id: str) -> None:
        raw = sample(name, {"MSH-10": other_id} if other_id and name != "bad/no-msh.hl7" else None)
        self._run(arrived(raw))

    @rule(names=st.lists(messages, min_size=2, max_size=4), ticked=st.booleans())
    def several_arrive_in_one_batch(self, names: list[str], *, ticked: bool) -> None:
        self._run(*(arrived(sample(name)) for name in names), *([Ticked()] if ticked else []))

    @rule(name=messages)
    def a_message_is_set_aside(self, name: str) -> None:
        self._run(SetAside(arrived=arrived(sample(name)), reason="ZeroDivisionError"))

    @rule(later=minutes, limit=st.sampled_from((1, 3, 200)))
    def time_goes_by(self, later: int, limit: int) -> None:
        self.stage.clock.move_to(self.stage.clock.now() + timedelta(minutes=later))
        for _ in range(3):
            (receipt,) = self._run(Ticked(limit=limit))
            assert receipt.fired <= limit
            if not receipt.more:
                break

    @rule(lane=st.sampled_from(LANES), limit=st.sampled_from((1, 8)))
    def a_courier_takes_work(self, lane: str, limit: int) -> None:
        (receipt,) = self._run(Claim(lane=lane, limit=limit))
        assert len(receipt.effects) <= limit
        self.leased += receipt.effects

    @rule(outcome=st.sampled_from(Outcome), newest=st.booleans())
    def a_courier_says_what_became_of_it(self, outcome: Outcome, *, newest: bool) -> None:
        if self.leased:
            row = self.leased.pop(-1 if newest else 0)
            self._run(Settled(effect=row.id, token=row.token, outcome=outcome, retry_in_seconds=60.0))

    @rule(which=st.integers(0, 5), learned=_learned(), first=st.booleans())
    def a_person_does_a_task(self, which: int, learned: dict[str, object], *, first: bool) -> None:
        tasks = self.stage.journal.read().tasks()
        if tasks:
            number = tasks[which % len(tasks)].id
            claims = [TaskClaimed(task=number, by="ana")] if first else []
            self._run(*claims, TaskDone(task=number, by="ana", note="done", **learned))  # type: ignore[arg-type]  # fields of TaskDone

    @rule(which=st.integers(0, 5), word=st.sampled_from(("YES", "NO", "STOP", "START", "what is this")))
    def a_patient_replies(self, which: int, word: str) -> None:
        lines = self.stage.journal.read().referrals()
        if lines:
            self._run(PatientReplied(referral=lines[which % len(lines)].id, answer=word))

    @rule(which=st.integers(0, 9), decision=st.sampled_from(("retry", "park", "cancel")))
    def a_person_decides_on_a_sending(self, which: int, decision: str) -> None:
        rows = self.stage.journal.read().outbox()
        if rows:
            self._run(OutboxDecision(effect=rows[which % len(rows)].id, decision=decision, by="ana"))

    @rule(
        which=st.integers(0, 5),
        decision=st.sampled_from(("bind", "bind", "new", "dismiss", "wrong-patient", "needs-info")),
        sure=st.booleans(),
        referral=st.integers(0, 5),
    )
    def a_person_reviews_a_message(self, which: int, decision: str, referral: int, *, sure: bool) -> None:
        reading = self.stage.journal.read()
        reviews, lines = reading.reviews(), reading.referrals()
        if reviews and lines:
            words = {"referral": lines[referral % len(lines)].id, "channel": HEART, "sure": sure}
            task = reviews[which % len(reviews)].task.id
            self._run(ReviewDecided(task=task, decision=decision, by="ana", reason="looked", **words))  # type: ignore[arg-type]  # fields of ReviewDecided

    @rule(which=st.integers(0, 9))
    def a_person_undoes_what_a_message_said(self, which: int) -> None:
        lines = [one for one in self.stage.journal.read().messages() if one.referral]
        if lines:
            self._run(EvidenceUnbound(message=lines[which % len(lines)].sequence, by="ana", reason="a slip"))

    @rule(which=st.integers(0, 3))
    def a_person_parts_two_numbers(self, which: int) -> None:
        merges = self.stage.journal.read().merges()
        if merges:
            self._run(MergeUndone(merge=merges[which % len(merges)].id, by="ana", reason="two people"))

    @invariant()
    def every_message_is_there_and_is_exactly_one_thing(self) -> None:
        reading = self.stage.journal.read()
        counts = reading.counts()

        assert counts.received() == len(self.answers)
        assert counts.received() == sum(counts.received(one) for one in Disposition)
        assert reading.conservation().holds, reading.conservation()

    @invariant()
    def every_open_referral_owns_a_clock_and_no_clock_fires_twice(self) -> None:
        reading = self.stage.journal.read()
        for line in reading.referrals(limit=ROWS_MAX):
            story = reading.story(line.id)
            assert story is not None
            pending = [one for one in story.deadlines if one.state == "pending"]
            assert pending or story.referral.is_over
            assert not (pending and story.referral.is_over), "no clock runs once it is over"
            passed = sum(event.kind == "DeadlinePassed" for event in story.events)
            assert passed == sum(one.state == "fired" for one in story.deadlines)

    @invariant()
    def a_sending_keeps_its_id_and_its_bytes(self) -> None:
        rows = self.stage.journal.read().owed_after(0)
        assert len({row.wire_id for row in rows}) == len(rows)
        for row in rows:
            assert self.wires.setdefault(row.id, (row.wire_id, row.body)) == (row.wire_id, row.body)

    @invariant()
    def the_audit_verifies(self) -> None:
        assert self.stage.journal.read().first_bad_audit_line() is None


AnyMix.TestCase.settings = settings(max_examples=500 if LONG else 30, stateful_step_count=100 if LONG else 25)
TestAnyMix = AnyMix.TestCase
