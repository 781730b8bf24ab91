"""Couriers: when they claim, when they try again, when they give up, and how they stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.task import Clock

from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.base.errors import JournalError
from referral_engine.base.values import replace
from referral_engine.channels.engine import Retry
from referral_engine.flow.inputs import Claim, Input, Receipt, Settled
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from referral_engine.transports.courier import Courier
from referral_engine.transports.mllp import MllpPeer
from referral_engine.transports.transport import Attempt
from tests.transports.peers import BODY, Office, ack, effect, framed

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DELIVERED = Attempt(outcome=Outcome.DELIVERED)
AWAY = Attempt(outcome=Outcome.RETRY, reason="refused", unreachable=True)
LOST = Attempt(outcome=Outcome.RETRY, reason="lost", ambiguous=True, unreachable=True)
BUSY = Attempt(outcome=Outcome.RETRY, reason="MSA-1 was AE, for a passing reason")


class Outbox:
    """A door with an outbox of one lane, in memory: never two sendings of one referral leased at once."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.trip_seconds = 0.0
        self.queued: list[EffectRow] = []
        self.due: dict[int, float] = {}
        self.trips: list[Input] = []
        self.claims = 0
        self.settled: list[Settled] = []
        self.in_flight: dict[int, EffectRow] = {}
        self.fails_with: Exception | None = None
        self.claims_fail_with: Exception | None = None

    def owe(self, *rows: EffectRow) -> None:
        self.queued += [replace(row, attempts=0) for row in rows]

    def expire(self) -> None:
        """Every lease has run out."""
        self.queued += self.in_flight.values()
        self.in_flight.clear()

    def submit(self, given: Input) -> Deferred[Receipt]:
        if self.fails_with is not None:
            return fail(self.fails_with)
        receipt: Deferred[Receipt] = Deferred()
        self.trips.append(given)
        self.clock.callLater(self.trip_seconds, lambda: execute(self._do, given).chainDeferred(receipt))
        return receipt

    def _do(self, given: Input) -> Receipt:
        if isinstance(given, Claim):
            return self._claim(given)
        assert isinstance(given, Settled)
        if given.claim is not None and self.claims_fail_with is not None:
            raise self.claims_fail_with
        row = self.in_flight.get(given.effect)
        if row is None or row.token != given.token:
            return Receipt(refused="the lease was no longer held")
        del self.in_flight[given.effect]
        self.settled.append(given)
        if given.outcome is Outcome.RETRY:
            self.due[row.id] = self.clock.seconds() + given.retry_in_seconds
            self.queued.append(row)
        return self._claim(given.claim) if given.claim is not None else Receipt()

    def _claim(self, given: Claim) -> Receipt:
        if self.claims_fail_with is not None:
            raise self.claims_fail_with
        self.claims += given.limit > 0
        for number, token in given.back:
            row = self.in_flight.get(number)
            if row is not None and row.token == token:
                del self.in_flight[number]
                self.queued.append(replace(row, attempts=row.attempts - 1))
        leased: list[EffectRow] = []
        for row in sorted(self.queued, key=lambda row: (self.due.get(row.id, 0.0), row.id)):
            due = self.due.get(row.id, 0.0) <= self.clock.seconds()
            if len(leased) < given.limit and due and not self._stands_behind(row):
                self.queued.remove(row)
                self.in_flight[row.id] = replace(row, attempts=row.attempts + 1, token=row.token + 1)
                leased.append(self.in_flight[row.id])
        return Receipt(effects=tuple(leased))

    def _stands_behind(self, row: EffectRow) -> bool:
        others = [*self.queued, *self.in_flight.values()]
        return any(other.referral == row.referral and other.id < row.id for other in others)


class Script:
    """A transport that does what it is told, attempt by attempt; None leaves the attempt open."""

    def __init__(self, *attempts: Attempt | None) -> None:
        self.attempts = list(attempts)
        self.sent: list[EffectRow] = []
        self.open: Deferred[Attempt] | None = None

    name = "mllp"
    repeats_safely = True

    def deliver(self, row: EffectRow, may_write: Any = None) -> Deferred[Attempt]:
        assert self.open is None, "one in flight a lane"
        self.sent.append(row)
        result: Deferred[Attempt] = Deferred()
        attempt = self.attempts.pop(0) if self.attempts else DELIVERED
        if attempt is None:
            self.open = result
        else:
            result.callback(attempt)
        return result

    def stop(self) -> None:
        if self.open is not None:
            waiting, self.open = self.open, None
            waiting.callback(LOST)


class _Bench:
    def __init__(
        self, transport: Any = None, *, chance: float = 0.5, claimed_at_once: int = 16, **retry: float
    ) -> None:
        self.clock = Clock()
        self.wall = ManualClock(START)
        self.outbox = Outbox(self.clock)
        self.transport = transport or Script()
        self.courier = Courier(
            lane="cardio", transport=self.transport, submit=self.outbox.submit, timer=self.clock, clock=self.wall,
            chance=lambda: chance, retry=Retry(**retry), claimed_at_once=claimed_at_once,
        )  # fmt: skip

    def run(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass in half seconds, on both clocks."""
        self.settle()
        for _ in range(int(seconds / step)):
            self.wall.move_to(self.wall.now() + timedelta(seconds=step))
            self.clock.advance(step)
            self.settle()

    def settle(self) -> None:
        for _ in range(12):
            self.clock.advance(0)

    @property
    def outcomes(self) -> list[Outcome]:
        return [one.outcome for one in self.outbox.settled]


def owed(number: int = 1, referral: str = "") -> EffectRow:
    referral = referral or f"RE-{number:04d}"
    return effect(id=number, wire_id=f"RE{number:010d}", referral=referral, created_at=to_micros(START))


def test_what_is_owed_at_the_start_is_delivered_one_after_the_other() -> None:
    bench = _Bench()
    bench.outbox.owe(owed(1), owed(2), owed(3))

    bench.courier.start()
    bench.run(1)

    assert [row.id for row in bench.transport.sent] == [1, 2, 3]
    assert bench.outcomes == [Outcome.DELIVERED] * 3


def test_an_outcome_and_the_wish_for_more_are_one_trip_through_the_door() -> None:
    bench = _Bench(claimed_at_once=1)
    bench.outbox.owe(owed(1), owed(2), owed(3))

    bench.courier.start()
    bench.run(1)

    assert bench.outcomes == [Outcome.DELIVERED] * 3
    assert [type(one) for one in bench.outbox.trips] == [Claim, Settled, Settled, Settled]


def test_the_next_sending_does_not_wait_for_the_commit_of_the_one_before() -> None:
    bench = _Bench()
    bench.outbox.trip_seconds = 1.0
    bench.outbox.owe(*[owed(number) for number in range(1, 9)])

    bench.courier.start()
    bench.run(1)

    assert [row.id for row in bench.transport.sent] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert bench.outcomes == []


def test_only_one_sending_is_in_flight_though_several_are_leased() -> None:
    bench = _Bench(Script(None))
    bench.outbox.owe(owed(1), owed(2), owed(3))

    bench.courier.start()
    bench.settle()

    assert [row.id for row in bench.transport.sent] == [1]
    assert sorted(bench.outbox.in_flight) == [1, 2, 3]


def test_many_sendings_leave_with_far_fewer_claims() -> None:
    bench = _Bench()
    bench.outbox.owe(*[owed(number) for number in range(1, 101)])

    bench.courier.start()
    bench.run(2)

    assert [row.id for row in bench.transport.sent] == list(range(1, 101))
    assert bench.outbox.claims <= 40


def test_sendings_of_one_referral_leave_in_order_whatever_stands_between_them() -> None:
    bench = _Bench(Script(BUSY), first_seconds=2.0)
    bench.outbox.owe(owed(1, "A"), owed(2, "A"), owed(3, "B"), owed(4, "A"), owed(5, "B"))

    bench.courier.start()
    bench.run(10)

    sent = [row.id for row in bench.transport.sent]
    assert [number for number in sent if number in (1, 2, 4)] == [1, 1, 2, 4]
    assert [number for number in sent if number in (3, 5)] == [3, 5]


def test_after_a_refusal_what_is_leased_and_unsent_goes_back_and_costs_no_attempt() -> None:
    bench = _Bench(Script(AWAY), first_seconds=100.0)
    bench.outbox.owe(owed(1), owed(2), owed(3))

    bench.courier.start()
    bench.settle()

    assert [row.id for row in bench.transport.sent] == [1]
    assert bench.outbox.in_flight == {}
    assert {row.id: row.attempts for row in bench.outbox.queued} == {1: 1, 2: 0, 3: 0}
    assert bench.courier.state == "paused"


def test_what_was_leased_long_ago_goes_back_before_it_is_sent() -> None:
    bench = _Bench(Script(None, None))
    bench.outbox.owe(owed(1), owed(2), owed(3))
    bench.courier.start()
    bench.run(6)

    waiting, bench.transport.open = bench.transport.open, None
    assert waiting is not None
    waiting.callback(DELIVERED)
    bench.settle()

    (settled,) = bench.outbox.settled
    assert settled.claim is not None
    assert [number for number, _ in settled.claim.back] == [2, 3]
    assert [(row.id, row.attempts) for row in bench.transport.sent] == [(1, 1), (2, 1)]


def test_only_what_was_in_flight_is_sent_again_when_its_answer_outlasts_the_leases() -> None:
    bench = _Bench(Script(None))
    bench.outbox.owe(owed(1), owed(2), owed(3))
    bench.courier.start()
    bench.run(130)

    bench.outbox.expire()
    waiting, bench.transport.open = bench.transport.open, None
    assert waiting is not None
    waiting.callback(DELIVERED)
    bench.run(1)

    assert sorted(row.id for row in bench.transport.sent) == [1, 1, 2, 3]
    assert bench.outcomes == [Outcome.DELIVERED] * 3
    assert bench.outbox.in_flight == {}


def test_a_claim_that_breaks_does_not_cost_the_outcome_that_travelled_with_it() -> None:
    bench = _Bench(Script(None))
    bench.outbox.owe(owed(1))
    bench.courier.start()
    bench.settle()

    bench.outbox.claims_fail_with = KeyError("of ours")
    waiting, bench.transport.open = bench.transport.open, None
    assert waiting is not None
    waiting.callback(DELIVERED)
    bench.settle()

    assert bench.outcomes == [Outcome.DELIVERED]
    assert len(bench.outbox.trips) == 3
    assert bench.courier.state == "idle"


def test_stopping_hands_back_what_was_leased_and_never_sent() -> None:
    bench = _Bench(Script(None))
    bench.outbox.owe(owed(1), owed(2), owed(3))
    bench.courier.start()
    bench.settle()
    stopped: list[object] = []

    bench.courier.stop().addCallback(stopped.append)
    bench.run(1.5)

    assert stopped == [None]
    assert bench.outbox.in_flight == {}
    assert {row.id: row.attempts for row in bench.outbox.queued} == {1: 1, 2: 0, 3: 0}
    assert [row.id for row in bench.transport.sent] == [1]
    assert bench.clock.getDelayedCalls() == []


def test_stopping_while_a_claim_is_under_way_hands_back_what_it_brings() -> None:
    bench = _Bench()
    bench.outbox.owe(owed(1), owed(2))
    bench.courier.start()
    stopped: list[object] = []

    bench.courier.stop().addCallback(stopped.append)
    bench.settle()

    assert stopped == [None]
    assert bench.transport.sent == []
    assert bench.outbox.in_flight == {}
    assert {row.attempts for row in bench.outbox.queued} == {0}


def test_a_poke_starts_work_at_once() -> None:
    bench = _Bench()
    bench.courier.start()
    bench.run(0.5)

    bench.outbox.owe(owed())
    bench.courier.poke()
    bench.settle()

    assert bench.outcomes == [Outcome.DELIVERED]


def test_a_poke_during_an_empty_claim_is_not_forgotten() -> None:
    bench = _Bench()
    bench.courier.start()
    bench.courier.poke()
    bench.settle()

    assert bench.outbox.claims == 2


def test_without_a_poke_the_lane_is_looked_at_every_few_seconds() -> None:
    bench = _Bench()
    bench.courier.start()
    bench.settle()

    bench.outbox.owe(owed())
    bench.run(5)

    assert bench.outcomes == [Outcome.DELIVERED]


def test_retries_wait_longer_each_time_and_carry_the_same_bytes() -> None:
    bench = _Bench(Script(AWAY, AWAY, AWAY, DELIVERED), first_seconds=10.0, longest_seconds=30.0)
    bench.outbox.owe(owed())

    bench.courier.start()
    bench.run(60)

    assert [one.retry_in_seconds for one in bench.outbox.settled] == [5.0, 10.0, 15.0, 0.0]
    assert {row.body for row in bench.transport.sent} == {BODY}
    assert {row.wire_id for row in bench.transport.sent} == {"RE0000000001"}
    assert bench.outcomes[-1] is Outcome.DELIVERED


def test_the_pause_is_drawn_from_nothing_to_its_ceiling() -> None:
    short, long = _Bench(Script(AWAY), chance=0.0), _Bench(Script(AWAY), chance=0.99)
    for bench in (short, long):
        bench.outbox.owe(owed())
        bench.courier.start()
        bench.settle()

    assert short.outbox.settled[0].retry_in_seconds == 0.1
    assert round(long.outbox.settled[0].retry_in_seconds, 1) == 29.7


def test_a_night_of_refusals_makes_no_storm_whatever_is_queued() -> None:
    bench = _Bench(Script(*[AWAY] * 5000), first_seconds=30.0)
    bench.outbox.owe(*[owed(number) for number in range(1, 101)])

    bench.courier.start()
    bench.run(3600)

    assert 60 <= len(bench.transport.sent) <= 250


def test_when_the_other_side_is_back_everything_leaves() -> None:
    bench = _Bench(Script(AWAY, AWAY), first_seconds=2.0)
    bench.outbox.owe(*[owed(number) for number in range(1, 11)])

    bench.courier.start()
    bench.run(20)

    assert bench.outcomes.count(Outcome.DELIVERED) == 10


def test_a_passing_error_of_one_message_does_not_hold_up_the_lane() -> None:
    bench = _Bench(Script(BUSY, DELIVERED), first_seconds=100.0)
    bench.outbox.owe(owed(1), owed(2))

    bench.courier.start()
    bench.settle()

    assert bench.outcomes == [Outcome.RETRY, Outcome.DELIVERED]


def test_after_long_enough_a_clear_failure_is_failed() -> None:
    bench = _Bench(Script(*[AWAY] * 50), first_seconds=2.0, longest_seconds=4.0, give_up_after_seconds=20.0)
    bench.outbox.owe(owed())

    bench.courier.start()
    bench.run(60)

    assert bench.outcomes[-1] is Outcome.FAILED
    assert set(bench.outcomes[:-1]) == {Outcome.RETRY}


def test_after_long_enough_an_unknown_fate_stays_unknown() -> None:
    bench = _Bench(Script(AWAY, AWAY, *[LOST] * 50), first_seconds=2.0, longest_seconds=4.0, give_up_after_seconds=20.0)
    bench.outbox.owe(owed())

    bench.courier.start()
    bench.run(60)

    assert bench.outcomes[-1] is Outcome.UNKNOWN


def test_what_waited_through_a_long_downtime_is_not_given_up_at_the_first_refusal() -> None:
    bench = _Bench(Script(AWAY, DELIVERED), first_seconds=2.0, give_up_after_seconds=20.0)
    bench.outbox.owe(owed())
    bench.wall.move_to(START + timedelta(days=2))

    bench.courier.start()
    bench.run(10)

    assert bench.outcomes == [Outcome.RETRY, Outcome.DELIVERED]


def test_stopping_during_a_long_pause_is_immediate() -> None:
    bench = _Bench(Script(AWAY), first_seconds=300.0)
    bench.outbox.owe(owed())
    bench.courier.start()
    bench.settle()
    stopped: list[object] = []

    bench.courier.stop().addCallback(stopped.append)

    assert stopped == [None]
    assert bench.clock.getDelayedCalls() == []


def test_stopping_with_a_silent_peer_takes_a_second_and_leaves_the_sending_for_the_next_start() -> None:
    bench = _Bench(Script(None), give_up_after_seconds=0.0)
    bench.outbox.owe(owed())
    bench.courier.start()
    bench.settle()
    stopped: list[object] = []

    bench.courier.stop().addCallback(stopped.append)
    bench.run(0.5)
    early = list(stopped)
    bench.run(1)

    assert early == []
    assert stopped == [None]
    assert [(one.outcome, one.retry_in_seconds) for one in bench.outbox.settled] == [(Outcome.RETRY, 0.0)]
    assert bench.clock.getDelayedCalls() == []


def test_a_stopped_courier_claims_nothing_more() -> None:
    bench = _Bench()
    bench.courier.start()
    bench.settle()
    claims = bench.outbox.claims

    bench.courier.stop()
    bench.courier.poke()
    bench.run(60)

    assert bench.outbox.claims == claims


def test_a_fenced_journal_ends_the_courier() -> None:
    bench = _Bench()
    bench.outbox.fails_with = JournalError("fenced")

    bench.courier.start()
    bench.run(60)

    assert bench.courier.state == "stopped"
    assert bench.clock.getDelayedCalls() == []


def test_a_transport_that_raises_costs_one_attempt() -> None:
    class Broken(Script):
        def deliver(self, row: EffectRow, may_write: Any = None) -> Deferred[Attempt]:
            if not self.sent:
                self.sent.append(row)
                raise KeyError("a patient's name")
            return super().deliver(row, may_write)

    bench = _Bench(Broken(), first_seconds=2.0)
    bench.outbox.owe(owed())
    bench.courier.start()
    bench.run(10)

    assert bench.outcomes == [Outcome.RETRY, Outcome.DELIVERED]
    assert bench.outbox.settled[0].reason == "the transport failed; it may have arrived"


def test_one_dead_lane_among_five_delays_none_of_the_others() -> None:
    clock, wall = Clock(), ManualClock(START)
    outboxes = [Outbox(clock) for _ in range(5)]
    for number, outbox in enumerate(outboxes):
        office = Office(clock, [framed(ack("AA", f"RE{one:010d}")) for one in range(1, 21)])
        office.swallows = number == 0
        peer = MllpPeer(endpoint=office, timer=clock, peer="10.0.0.9:2575", ack_timeout_seconds=30.0)
        outbox.owe(*[owed(one) for one in range(1, 21)])
        Courier(
            lane=f"lane-{number}", transport=peer, submit=outbox.submit, timer=clock, clock=wall,
            chance=lambda: 0.5, retry=Retry(),
        ).start()  # fmt: skip

    for _ in range(300):
        clock.advance(0.001)

    assert [len(outbox.settled) for outbox in outboxes] == [0, 20, 20, 20, 20]


def test_a_silent_night_makes_few_duplicates_and_the_message_stays_queued() -> None:
    bench = _Bench()
    office = Office(bench.clock)
    peer = MllpPeer(endpoint=office, timer=bench.clock, peer="10.0.0.9:2575", ack_timeout_seconds=30.0)
    bench.courier._transport = peer
    bench.outbox.owe(owed())

    bench.courier.start()
    bench.run(8 * 3600, step=5.0)

    assert set(bench.outcomes) == {Outcome.RETRY}
    assert 20 < len(office.received) < 120
    assert len({bytes(message) for message in office.received}) == 1


@given(
    chance=st.randoms(use_true_random=False),
    referrals=st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=16),
    trip_seconds=st.sampled_from([0.0, 0.3, 1.0]),
    claimed_at_once=st.sampled_from([1, 2, 8]),
)
@settings(max_examples=30, deadline=None)
def test_whatever_happens_everything_leaves_once_settled_and_each_referral_in_its_order(
    chance: Random, referrals: list[str], trip_seconds: float, claimed_at_once: int
) -> None:
    script = Script(*chance.choices([DELIVERED, AWAY, BUSY, LOST], k=12))
    bench = _Bench(script, claimed_at_once=claimed_at_once, first_seconds=1.0, longest_seconds=4.0)
    bench.outbox.trip_seconds = trip_seconds
    rows = [owed(number, referral) for number, referral in enumerate(referrals, 1)]
    half = len(rows) // 2

    bench.outbox.owe(*rows[:half])
    bench.courier.start()
    bench.run(chance.choice([1, 20]))
    bench.outbox.owe(*rows[half:])
    bench.courier.poke()
    bench.run(120)

    delivered = [one.effect for one in bench.outbox.settled if one.outcome is Outcome.DELIVERED]
    assert sorted(delivered) == [row.id for row in rows]
    assert (bench.outbox.queued, bench.outbox.in_flight) == ([], {})
    assert bench.courier.counts.attempts == len(bench.transport.sent) == len(bench.outbox.settled)
    sent = [row.id for row in bench.transport.sent]
    for letter in set(referrals):
        of_one = [number for number in sent if referrals[number - 1] == letter]
        assert of_one == sorted(of_one)
