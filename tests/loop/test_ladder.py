"""The ladder of ways to a specialist: one packet is wanted, a way that was left says nothing more, a person is told once."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from referral_engine.base.values import replace
from referral_engine.loop.effects import Purpose, Recipient, Send, TaskKind
from referral_engine.loop.events import DeliverySettled, HoldReleased, Outcome, ReferralAccepted, ReferralDeclined
from referral_engine.loop.policy import Kind
from referral_engine.loop.referral import Referral
from referral_engine.loop.rules import Decision, decide
from referral_engine.loop.states import Closure, Dispatch
from tests.builders import ORDERED_AT, a_policy, a_referral, told
from tests.loop.reading import HOUR, opened, passed, purposes, sends, withdrawn

ORDER, FALLBACK = Purpose.ORDER, Purpose.FALLBACK_ORDER
THREE_WAYS = a_policy(fallbacks=2)
OUTCOMES = st.tuples(st.integers(0, 4), st.sampled_from([one for one in Outcome if one is not Outcome.RETRY]))


def packet(way: int, outcome: Outcome = Outcome.DELIVERED) -> DeliverySettled:
    """What became of the packet on one of the channel's ways."""
    purpose = FALLBACK if way else ORDER
    return DeliverySettled(at=ORDERED_AT + HOUR, to=Recipient.SPECIALIST, purpose=purpose, outcome=outcome, way=way)


def failed(way: int) -> DeliverySettled:
    return packet(way, Outcome.FAILED)


def after(*events: DeliverySettled) -> Referral:
    return told(a_referral(), *events, policy=THREE_WAYS)


def decided(referral: Referral, event: object) -> Decision:
    return decide(referral, event, THREE_WAYS)  # type: ignore[arg-type]  # the test names an event


def test_each_way_that_fails_hands_over_to_the_next_and_the_last_to_a_person() -> None:
    second = decided(a_referral(), failed(0))
    third = decided(second.referral, failed(1))
    nobody = decided(third.referral, failed(2))

    assert [purposes(one) for one in (second, third, nobody)] == [{FALLBACK}, {FALLBACK}, set()]
    assert [one.referral.way for one in (second, third, nobody)] == [1, 2, 2]
    assert (nobody.referral.dispatch, opened(nobody)) == (Dispatch.UNDELIVERABLE, {TaskKind.UNDELIVERABLE})


def test_a_way_that_is_not_delivered_in_time_hands_over_each_time_by_a_clock_of_its_own() -> None:
    second = decided(a_referral(), passed(Kind.DELIVERED))
    third = decided(second.referral, passed(Kind.DELIVERED))

    assert (second.referral.way, third.referral.way) == (1, 2)
    assert withdrawn(third) == {ORDER, FALLBACK}  # what waits on the ways that were left must not leave
    assert opened(decided(third.referral, passed(Kind.DELIVERED))) == {TaskKind.UNDELIVERABLE}


def test_a_failure_on_a_way_that_was_left_says_nothing() -> None:
    third = after(failed(0), failed(1))

    for way in (0, 1):
        decision = decided(third, failed(way))
        assert (decision.referral.dispatch, opened(decision), sends(decision)) == (Dispatch.QUEUED, set(), [])


def test_a_late_success_of_a_way_that_was_left_withdraws_the_others_and_is_the_way_from_then_on() -> None:
    decision = decided(after(failed(0), failed(1)), packet(0))

    assert decision.referral.dispatch is Dispatch.RECEIVED
    assert withdrawn(decision) == {ORDER, FALLBACK}
    assert decision.referral.way == 0  # a cancel, a change, a note's ping: all follow the order


def test_a_packet_that_comes_by_two_ways_is_told_once() -> None:
    first = decided(after(failed(0)), packet(0))
    second = decided(first.referral, packet(1))

    assert sends(first) == [(Recipient.EHR, Purpose.STATUS, "received")]
    assert (sends(second), opened(second), second.anomalies) == ([], set(), ())
    assert second.referral.way == 0


def test_a_first_way_of_unknown_fate_is_a_persons_question_and_the_clock_takes_the_second() -> None:
    unknown = decided(a_referral(), packet(0, Outcome.UNKNOWN))
    second = decided(unknown.referral, passed(Kind.DELIVERED))
    arrived = decided(second.referral, packet(1))

    assert (unknown.referral.dispatch, opened(unknown)) == (Dispatch.SENT, {TaskKind.UNKNOWN_DELIVERY})
    assert purposes(second) == {FALLBACK}
    assert TaskKind.UNKNOWN_DELIVERY in {kind for one in arrived.effects for kind in getattr(one, "kinds", ())}


def test_a_decline_while_the_second_way_is_under_way_ends_it_and_what_still_arrives_changes_nothing() -> None:
    for way in (0, 1):
        declined = decided(after(failed(0)), ReferralDeclined(at=ORDERED_AT + HOUR))
        assert declined.referral.closure is Closure.ENDED
        assert {ORDER, FALLBACK} <= withdrawn(declined)

        late = decided(declined.referral, packet(way))

        assert (late.referral, sends(late), opened(late)) == (declined.referral, [], set())


def test_an_acceptance_does_not_stop_the_packet_nobody_has_yet() -> None:
    accepted = decided(after(failed(0)), ReferralAccepted(at=ORDERED_AT + HOUR))

    assert withdrawn(accepted) == set()
    assert decided(accepted.referral, failed(1)).referral.dispatch is Dispatch.ACCEPTED


def test_a_packet_let_go_again_climbs_the_ladder_from_the_bottom() -> None:
    again = decided(after(failed(0), failed(1), failed(2)), HoldReleased(at=ORDERED_AT + HOUR))

    assert (purposes(again), again.referral.way) == ({ORDER}, 0)
    assert decided(again.referral, failed(2)).referral.way == 0  # an old answer of the round before
    assert decided(again.referral, failed(0)).referral.way == 1


def test_what_a_person_let_be_tried_again_and_failed_again_is_asked_again() -> None:
    decision = decided(after(failed(0), failed(1), failed(2)), failed(0))

    assert opened(decision) == {TaskKind.UNDELIVERABLE}


def test_what_was_stored_before_there_were_several_ways_stands_on_its_second() -> None:
    stored = replace(a_referral(), fallback_used=True)
    old = DeliverySettled(at=ORDERED_AT, to=Recipient.SPECIALIST, purpose=FALLBACK, outcome=Outcome.FAILED)

    assert stored.way == 1
    assert decided(stored, old).referral.way == 2


@given(st.lists(OUTCOMES, max_size=14), st.integers(0, 3))
def test_whatever_comes_of_any_way_the_office_is_owed_one_packet_and_the_ehr_one_word(
    outcomes: list[tuple[int, Outcome]], fallbacks: int
) -> None:
    policy, referral, owed = a_policy(fallbacks=fallbacks), a_referral(), 0
    told_received = 0
    for way, outcome in outcomes:
        decision = decide(referral, packet(way, outcome), policy)
        sendings = [one for one in decision.effects if isinstance(one, Send)]
        owed += sum(one.purpose is FALLBACK for one in sendings)
        told_received += sum(one.about == "received" for one in sendings)
        assert len([one for one in sendings if one.purpose is FALLBACK]) <= 1
        referral = decision.referral
        assert 0 <= referral.way <= 4

    assert owed <= fallbacks
    assert told_received <= 1
