"""Any events in any order: no exception, tracks in their enums, and an open referral always owns a deadline."""

from __future__ import annotations

from datetime import datetime, timedelta

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from referral_engine.base.values import replace
from referral_engine.loop.clocks import Deadline, deadlines
from referral_engine.loop.effects import ORDERS, CloseTasks, OpenTask, Purpose, Recipient, Send, TaskKind, Withdraw
from referral_engine.loop.events import (
    Answer,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentVoided,
    AuthorizationRecorded,
    ClocksMigrated,
    DeadlinePassed,
    DeliverySettled,
    Event,
    EvidenceUndone,
    HoldReleased,
    OrderChanged,
    Outcome,
    PatientAnswered,
    PatientAttended,
    PatientMissed,
    PatientsMerged,
    PatientUpdated,
    ReferralEnded,
    ReferralOrdered,
    ReportReceived,
    TaskClosed,
)
from referral_engine.loop.policy import Capabilities, HoldRule, Kind, Policy
from referral_engine.loop.referral import Finality, Hold, Identifier, Referral
from referral_engine.loop.rules import Decision, decide
from referral_engine.loop.states import (
    OVER,
    Appointment,
    Authorization,
    Closure,
    Dispatch,
    Ending,
    Note,
    Outreach,
    Status,
    Urgency,
)
from referral_engine.loop.undoing import first_of, replayed, without
from tests.builders import ORDERED_AT, a_patient, a_policy, an_order, ordered

REPEATING = {Kind.OPEN_30, Kind.HOLD_REMIND, Kind.CLOSURE_ACCEPTED, Kind.CANCEL_CONFIRM}
TRACKS = {
    "authorization": Authorization,
    "dispatch": Dispatch,
    "outreach": Outreach,
    "appointment": Appointment,
    "note": Note,
    "closure": Closure,
}

numbers = st.sampled_from(["", "1", "2", "3"]).map(lambda value: Identifier(value=value))
patients = st.builds(
    a_patient, sms_consent=st.booleans(), portal=st.booleans(), deceased=st.sampled_from([False] * 9 + [True])
)
lengths = st.integers(min_value=0, max_value=40 * 24).map(lambda hours: timedelta(hours=hours))
some_far_away = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))  # noqa: DTZ001  # made aware below


@st.composite
def events(draw: st.DrawFn, at: datetime, urgency: Urgency) -> Event:
    """Anything that can happen, at `at`; only how soon it is wanted stays, for that moves every clock."""
    kind = draw(st.sampled_from(EVENTS))
    more: dict[str, object] = {}
    if kind is AppointmentBooked:
        near = at - timedelta(days=5) + draw(lengths)
        far = draw(some_far_away).replace(tzinfo=at.tzinfo)
        more = {"starts_at": far if draw(st.integers(0, 19)) == 0 else near, "appointment": draw(numbers)}
    elif kind in (AppointmentCancelled, AppointmentVoided, PatientMissed, PatientAttended):
        more = {"appointment": draw(numbers)}
    elif kind in (ReferralOrdered, OrderChanged):
        auth, day = draw(st.sampled_from(["", "AUTH-1", "AUTH-2"])), ORDERED_AT.date() + timedelta(days=20)
        order = replace(
            an_order(urgency=urgency, authorization_number=auth, authorization_expires_on=day if auth else None),
            authorization_begins_on=draw(st.sampled_from([None, ORDERED_AT.date() + timedelta(days=5)])),
            authorization_visits=draw(st.integers(0, 2)),
            authorization_provider=draw(st.sampled_from(["", "1902345674"])),
            authorization_denied=draw(st.sampled_from([False, False, True])),
        )
        more = {"patient": draw(patients), "order": order}
        if kind is OrderChanged:
            hold = st.builds(Hold, rule=st.sampled_from(HoldRule), billing=st.booleans())
            more["hold"] = draw(st.one_of(st.none(), hold))
    elif kind in (PatientUpdated, PatientsMerged):
        more = {"patient": draw(patients)}
    elif kind is ReportReceived:
        more = {
            "document": draw(numbers),
            "finality": draw(st.sampled_from(Finality)),
            "message": draw(st.integers(1, 9)),
        }
    elif kind is DeliverySettled:
        more = {
            "to": draw(st.sampled_from([Recipient.SPECIALIST, Recipient.EHR, Recipient.PATIENT, Recipient.TEAM])),
            "purpose": draw(st.sampled_from([Purpose.ORDER, Purpose.FALLBACK_ORDER, Purpose.CLOSURE, Purpose.PROMPT])),
            "outcome": draw(st.sampled_from(Outcome)),
            "way": draw(st.integers(0, 3)),
        }
    elif kind is DeadlinePassed:  # one that should not have come
        more = {"kind": draw(st.sampled_from(Kind)), "generation": draw(st.integers(0, 30)), "due_at": at}
    elif kind is AuthorizationRecorded:
        expires_on = draw(st.sampled_from([None, at.date() + timedelta(days=10)]))
        number = draw(st.sampled_from(["", "AUTH-2", "AUTH-3"]))
        more = {
            "approved": draw(st.booleans()),
            "number": number,
            "expires_on": expires_on,
            "visits": draw(st.integers(0, 2)),
            "provider": draw(st.sampled_from(["", "1902345674", "1234567893"])),
        }
    elif kind is HoldReleased:
        more = {"waives_denial": draw(st.booleans())}
    elif kind is PatientAnswered:
        more = {"answer": draw(st.sampled_from(Answer))}
    elif kind is ReferralEnded:
        more = {"reason": "", "ending": draw(st.sampled_from(Ending))}
    elif kind is TaskClosed:
        more = {"kind": draw(st.sampled_from(TaskKind))}
    elif kind is ClocksMigrated:
        more = {"config": draw(st.sampled_from(["c1", "c2"])), "was": "", "message": 0}
    more.setdefault("message", draw(st.integers(0, 9)))
    return kind(at=at, **more)  # type: ignore[arg-type]  # each kind got its own fields


EVENTS: list[type[Event]] = [
    *(kind for kind in Event.__args__ if kind is not EvidenceUndone),  # it has a rule of its own
    # What moves most is drawn more often.
    *[ReportReceived, AppointmentBooked, DeliverySettled, PatientAttended, AppointmentCancelled] * 2,
]


class AnyHistory(RuleBasedStateMachine):
    """One referral, its clocks as the journal keeps them, and time that only goes forward."""

    referral: Referral
    policy: Policy
    now: datetime

    @initialize(
        rule=st.sampled_from(HoldRule),
        billing=st.booleans(),
        duplicate_of=st.sampled_from(["", "", "", "A-0000"]),
        urgency=st.sampled_from(Urgency),
        fallbacks=st.integers(0, 3),
        can_confirm=st.booleans(),
        attempts=st.integers(0, 2),
        patient=patients,
    )
    def order(  # all that may differ at the start
        self,
        rule: HoldRule,
        billing: bool,
        duplicate_of: str,
        urgency: Urgency,
        fallbacks: int,
        can_confirm: bool,
        attempts: int,
        patient: object,
    ) -> None:
        self.now = ORDERED_AT
        self.fired: dict[tuple[Kind, int], datetime] = {}
        capabilities = Capabilities(can_confirm=can_confirm)
        self.policy = a_policy(fallbacks=fallbacks, capabilities=capabilities, no_show_attempts=attempts)
        hold = Hold(rule=rule, billing=billing)
        decision = ordered(
            patient=patient,  # type: ignore[arg-type]  # a patient
            order=an_order(urgency=urgency),
            hold=hold,
            duplicate_of=duplicate_of,
            policy=self.policy,
        )
        self.referral = decision.referral
        first = ReferralOrdered(
            at=ORDERED_AT,
            patient=patient,  # type: ignore[arg-type]  # a patient
            order=an_order(urgency=urgency),
            hold=hold,
            duplicate_of=duplicate_of,
        )
        self.first = replace(first_of(first, self.referral), hold=Hold(), duplicate_of="")
        self.history: list[Event] = [first]

    @rule(wait=lengths, draw=st.data())
    def something_happens(self, wait: timedelta, draw: st.DataObject) -> None:
        self.now += wait
        self._apply(draw.draw(events(self.now, self.referral.order.urgency)))

    @precondition(lambda self: self._waiting())
    @rule(late=st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(days=9), timedelta(days=70)]))
    def the_next_clock_runs_out(self, late: timedelta) -> None:
        next_one = min(self._waiting(), key=lambda one: one.due_at)
        self.now = max(self.now, next_one.due_at) + late
        self.fired[next_one.kind, next_one.generation] = next_one.due_at

        decision = self._apply(
            DeadlinePassed(at=self.now, kind=next_one.kind, generation=next_one.generation, due_at=next_one.due_at)
        )

        if next_one.kind in REPEATING:
            (following,) = (one for one in self._running() if one.kind is next_one.kind)
            assert following.due_at > self.now, "a repeating clock that fired is due in the future"
            assert decision.referral.closure not in OVER

    @rule(message=st.integers(1, 9), wait=lengths)
    def what_a_message_said_is_undone(self, message: int, wait: timedelta) -> None:
        if all(event.message != message for event in self.history):
            return
        self.now += wait
        undone = without(self.first, self.history, {message}, self.policy)
        assert undone.replayed == self.referral, "a history decided again comes to the same"
        event = EvidenceUndone(
            at=self.now,
            taken_back=(message,),
            restored=undone.restored,
            told=tuple(send for sends in undone.wrong for send in sends),
            wanted=undone.wanted,
            pointless=undone.pointless,
        )
        assert self._apply(event).referral == undone.restored

    def _apply(self, event: Event) -> Decision:
        before = self.referral
        decision = decide(before, event, self.policy)
        assert decide(before, event, self.policy) == decision, "the same question has the same answer"
        assert all(type(effect) in (Send, OpenTask, CloseTasks, Withdraw) for effect in decision.effects)
        closed_now = before.closure is not Closure.CLOSED and decision.referral.closure is Closure.CLOSED
        assert not closed_now or (isinstance(event, DeliverySettled) and event.to is Recipient.EHR)
        if not isinstance(event, ReferralOrdered | EvidenceUndone):
            self._nothing_leaves_that_must_not(before, decision)
        self.referral = decision.referral
        self.history.append(event)
        return decision

    def _nothing_leaves_that_must_not(self, before: Referral, decision: Decision) -> None:
        after = decision.referral
        purposes = {one.purpose for one in decision.effects if isinstance(one, Send) and one.to is Recipient.SPECIALIST}
        stopped = after.closure in (Closure.ENDED, Closure.CANCEL_REQUESTED) and before.closure is after.closure
        if after.authorization is Authorization.DENIED or stopped:
            assert not purposes & ORDERS
        if after.dispatch is Dispatch.HELD:
            assert purposes <= {Purpose.CANCEL}

    def _running(self) -> tuple[Deadline, ...]:
        return deadlines(self.referral, self.policy)

    def _waiting(self) -> list[Deadline]:
        return [one for one in self._running() if (one.kind, one.generation) not in self.fired]

    @invariant()
    def tracks_are_in_their_enums(self) -> None:
        for track, states in TRACKS.items():
            assert type(getattr(self.referral, track)) is states

    @invariant()
    def a_history_decided_again_comes_to_the_same(self) -> None:
        if len(self.history) % 5 == 0:  # now and then: it costs as much as the whole history
            assert replayed(self.first, self.history, self.policy) == self.referral

    @invariant()
    def status_is_always_something(self) -> None:
        assert self.referral.status in Status

    @invariant()
    def an_open_referral_owns_a_deadline_that_has_not_fired(self) -> None:
        if self.referral.is_over:
            assert self._running() == ()
        else:
            assert self._waiting()

    @invariant()
    def deadlines_are_unique_and_a_held_referral_has_only_its_own(self) -> None:
        running = self._running()
        assert len({(one.kind, one.generation) for one in running}) == len(running)
        if self.referral.dispatch is Dispatch.HELD and self.referral.closure is Closure.OPEN:
            assert {one.kind for one in running} <= {Kind.HOLD_REMIND, Kind.HOLD_BILLING}

    @invariant()
    def a_clock_that_begins_anew_has_a_generation_that_never_fired(self) -> None:
        # A fired clock may still be listed, but not with a start that came after it fired.  Two may: the packet's
        # own clock is counted from its queueing until it is sent, and the day of a slot's visit is the slot's.
        for one in self._running():
            due_then = self.fired.get((one.kind, one.generation))
            assert due_then is None or one.kind is Kind.SCHEDULE or one.due_at <= due_then

    @invariant()
    def an_ending_is_named_when_it_ended_and_only_then(self) -> None:
        assert (self.referral.ending is not None) == (self.referral.closure is Closure.ENDED)


# Short by default, so that `make test` stays quick; a minute or two under `make torture`.
PROFILE = settings()
LONG = PROFILE.max_examples > 100
AnyHistory.TestCase.settings = settings(
    max_examples=min(PROFILE.max_examples, 500), stateful_step_count=50 if LONG else 20
)
TestAnyHistory = AnyHistory.TestCase
