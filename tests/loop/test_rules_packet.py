"""Decisions about the packet: holds, authorizations, delivery, the fallback, cancelling and declining."""

from __future__ import annotations

from datetime import date

import pytest

from referral_engine.base.values import replace
from referral_engine.loop.effects import Purpose, Recipient, TaskKind
from referral_engine.loop.events import (
    CancelConfirmed,
    CancelRequested,
    HoldReleased,
    OrderChanged,
    Outcome,
    PatientAttended,
    ReferralAccepted,
    ReferralDeclined,
    ReferralEnded,
    ReferralOrdered,
)
from referral_engine.loop.policy import HoldRule, Kind
from referral_engine.loop.referral import Finality, Hold
from referral_engine.loop.rules import decide
from referral_engine.loop.states import Appointment, Authorization, Closure, Dispatch, Ending, Note, Status
from tests.builders import ORDERED_AT, a_patient, a_policy, a_referral, an_order, held, ordered, told, wall
from tests.loop.reading import (
    DAY,
    HOUR,
    approved,
    booked,
    closed,
    closure_taken,
    denied,
    note,
    opened,
    passed,
    purposes,
    sends,
    settled,
    withdrawn,
)

POLICY = a_policy()
WITH_FALLBACK = a_policy(fallbacks=1)
ORDER = Purpose.ORDER
FALLBACK = Purpose.FALLBACK_ORDER


# ------------------------------------------------------------------------------------------------ the order


def test_a_new_order_queues_the_packet_at_once() -> None:
    decision = ordered()

    assert decision.referral.dispatch is Dispatch.QUEUED
    assert sends(decision) == [(Recipient.SPECIALIST, ORDER, "")]
    assert decision.referral.status is Status.ORDERED


def test_a_duplicate_order_is_linked_and_sends_no_second_packet_and_no_second_text() -> None:
    decision = ordered(duplicate_of="A-0000")

    assert decision.referral.ending is Ending.DUPLICATE
    assert decision.referral.duplicate_of == "A-0000"
    assert decision.referral.status is Status.ENDED
    assert sends(decision) == [(Recipient.EHR, Purpose.STATUS, "duplicate")]


def test_an_order_dated_1900_counts_from_a_year_before_it_came() -> None:
    order = an_order(ordered_at=ORDERED_AT.replace(year=1900))

    decision = decide(a_referral(), ReferralOrdered(at=ORDERED_AT, patient=a_patient(), order=order), POLICY)

    assert decision.referral.order.ordered_at == ORDERED_AT - 366 * DAY


def test_a_changed_order_goes_to_the_specialist_who_has_the_first_one() -> None:
    sent = told(a_referral(), settled(ORDER))

    decision = decide(sent, _changed(diagnosis="I48.0", message=7), POLICY)

    assert purposes(decision) == {Purpose.ORDER_CHANGE}
    assert decision.referral.order.diagnosis == "I48.0"


def test_a_changed_order_keeps_the_first_ones_number_and_date() -> None:
    changed = replace(an_order(ordered_at=ORDERED_AT + DAY, specialty=""), placer=an_order().filler)

    decision = decide(a_referral(), OrderChanged(at=ORDERED_AT, patient=a_patient(), order=changed), POLICY)

    kept = decision.referral.order
    assert (kept.placer, kept.ordered_at, kept.specialty) == (an_order().placer, ORDERED_AT, "cardiology")


def test_a_changed_order_is_not_sent_while_the_packet_is_held() -> None:
    assert purposes(decide(held(), _changed(diagnosis="I48.0"), POLICY)) == set()


def _changed(**named: object) -> OrderChanged:
    return OrderChanged(at=ORDERED_AT, patient=a_patient(), order=an_order(**named), message=7)  # type: ignore[arg-type]  # the test names what changes


# ------------------------------------------------------------------------------------------------ authorization


def test_a_held_packet_waits_with_a_task_for_the_authorization() -> None:
    decision = ordered(hold=Hold(rule=HoldRule.HOLD))

    assert decision.referral.status is Status.HELD
    assert decision.referral.authorization is Authorization.REQUIRED
    assert opened(decision) == {TaskKind.PREAUTH}
    assert sends(decision) == []


def test_a_hold_tells_the_ordering_provider_when_the_table_says_so() -> None:
    decision = ordered(hold=Hold(rule=HoldRule.HOLD, notify="ordering-provider"))

    assert sends(decision) == [(Recipient.EHR, Purpose.PROVIDER_NOTICE, "held")]


def test_the_submit_rule_asks_the_payer_and_holds() -> None:
    decision = ordered(hold=Hold(rule=HoldRule.SUBMIT))

    assert decision.referral.authorization is Authorization.PENDING
    assert sends(decision) == [(Recipient.PAYER, Purpose.AUTHORIZATION_REQUEST, "")]
    assert opened(decision) == {TaskKind.PREAUTH}


@pytest.mark.parametrize("rule", [HoldRule.HOLD, HoldRule.SUBMIT])
def test_an_approval_releases_the_packet_and_closes_the_task(rule: HoldRule) -> None:
    decision = decide(held(rule=rule), approved("AUTH-9"), POLICY)

    assert decision.referral.authorization is Authorization.APPROVED
    assert decision.referral.order.authorization_number == "AUTH-9"
    assert purposes(decision) == {ORDER}
    assert TaskKind.PREAUTH in closed(decision)


def test_an_authorization_number_on_a_changed_order_releases_the_packet() -> None:
    decision = decide(held(), _changed(authorization_number="AUTH-9"), POLICY)

    assert decision.referral.authorization is Authorization.APPROVED
    assert decision.referral.dispatch is Dispatch.QUEUED


def test_a_changed_order_without_a_number_keeps_the_packet_held() -> None:
    assert told(held(), _changed(diagnosis="I48.0")).dispatch is Dispatch.HELD


def test_a_denial_tells_the_ordering_provider_and_billing_and_keeps_the_packet() -> None:
    decision = decide(held(), denied(), POLICY)

    assert decision.referral.authorization is Authorization.DENIED
    assert decision.referral.dispatch is Dispatch.HELD
    assert sends(decision) == [
        (Recipient.EHR, Purpose.PROVIDER_NOTICE, "authorization denied"),
        (Recipient.BILLING, Purpose.BILLING_NOTICE, "authorization denied"),
    ]


def test_a_denial_is_answered_by_a_new_authorization() -> None:
    assert told(held(), denied(), approved("AUTH-10")).dispatch is Dispatch.QUEUED


def test_a_denial_is_not_answered_by_a_release_without_an_authorization() -> None:
    decision = decide(told(held(), denied()), HoldReleased(at=ORDERED_AT), POLICY)

    assert decision.referral.dispatch is Dispatch.HELD
    assert decision.anomalies == ("authorization waived while authorization is denied",)


def test_a_person_can_waive_the_authorization() -> None:
    decision = decide(held(), HoldReleased(at=ORDERED_AT, by="nurse"), POLICY)

    assert decision.referral.authorization is Authorization.NOT_REQUIRED
    assert purposes(decision) == {ORDER}


def test_a_visit_after_the_authorization_ends_expires_it() -> None:
    granted = told(held(), approved(expires_on=date(2026, 3, 10)))

    decision = decide(granted, booked(wall("2026-03-11 09:00")), POLICY)

    assert decision.referral.authorization is Authorization.EXPIRED
    assert TaskKind.PREAUTH in opened(decision)


def test_the_last_covered_day_is_counted_by_the_clinics_clock() -> None:
    granted = told(held(), approved(expires_on=date(2026, 3, 10)))

    evening = decide(granted, booked(wall("2026-03-10 19:30")), POLICY)  # already the 11th in UTC

    assert evening.referral.authorization is Authorization.APPROVED


def test_an_authorization_that_ends_before_a_visit_booked_earlier_is_expired_at_once() -> None:
    waiting = told(held(), booked(wall("2026-03-11 09:00")))

    decision = decide(waiting, approved(expires_on=date(2026, 3, 10)), POLICY)

    assert decision.referral.authorization is Authorization.EXPIRED
    assert decision.referral.dispatch is Dispatch.QUEUED


def test_an_authorization_that_came_with_the_order_is_compared_with_the_visit() -> None:
    order = an_order(authorization_number="AUTH-1", authorization_expires_on=date(2026, 3, 10))

    late = told(ordered(order=order).referral, booked(wall("2026-03-11 09:00")))

    assert late.authorization is Authorization.EXPIRED


def test_a_new_number_on_a_changed_order_answers_an_expiry() -> None:
    granted = told(held(), approved(expires_on=date(2026, 3, 10)), booked(wall("2026-03-11 09:00")))

    renewed = told(granted, _changed(authorization_number="AUTH-2", authorization_expires_on=date(2026, 6, 1)))

    assert renewed.authorization is Authorization.APPROVED


# ------------------------------------------------------------------------------------------------ delivery


def test_a_packet_handed_over_is_sent_and_a_confirmed_one_received() -> None:
    over = told(a_referral(), settled(ORDER, Outcome.HANDED_OVER))

    decision = decide(over, settled(ORDER), POLICY)

    assert over.dispatch is Dispatch.SENT
    assert decision.referral.dispatch is Dispatch.RECEIVED
    assert (Recipient.EHR, Purpose.STATUS, "received") in sends(decision)


def test_a_delivery_nobody_can_tell_of_counts_as_sent_and_goes_to_a_person() -> None:
    decision = decide(a_referral(), settled(ORDER, Outcome.UNKNOWN), WITH_FALLBACK)

    assert decision.referral.dispatch is Dispatch.SENT
    assert opened(decision) == {TaskKind.UNKNOWN_DELIVERY}
    assert sends(decision) == []  # a fax is never sent again blindly


def test_a_retry_says_nothing() -> None:
    queued = a_referral()

    decision = decide(queued, settled(ORDER, Outcome.RETRY), POLICY)

    assert decision.referral is queued
    assert not decision.changed


def test_a_failed_packet_without_a_fallback_is_undeliverable() -> None:
    decision = decide(a_referral(), settled(ORDER, Outcome.FAILED), POLICY)

    assert decision.referral.dispatch is Dispatch.UNDELIVERABLE
    assert opened(decision) == {TaskKind.UNDELIVERABLE}


def test_a_failed_packet_takes_the_fallback_once() -> None:
    first = decide(a_referral(), settled(ORDER, Outcome.FAILED), WITH_FALLBACK)
    second = decide(first.referral, settled(FALLBACK, Outcome.FAILED), WITH_FALLBACK)

    assert purposes(first) == {FALLBACK}
    assert first.referral.dispatch is Dispatch.QUEUED
    assert second.referral.dispatch is Dispatch.UNDELIVERABLE
    assert opened(second) == {TaskKind.UNDELIVERABLE}


def test_a_packet_not_delivered_in_time_takes_the_fallback_and_withdraws_the_first() -> None:
    decision = decide(a_referral(), passed(Kind.DELIVERED), WITH_FALLBACK)

    assert purposes(decision) == {FALLBACK}
    assert withdrawn(decision) == {ORDER, FALLBACK}


def test_a_packet_not_delivered_in_time_without_a_fallback_is_a_task() -> None:
    decision = decide(a_referral(), passed(Kind.DELIVERED), POLICY)

    assert opened(decision) == {TaskKind.UNDELIVERABLE}
    assert decision.referral.dispatch is Dispatch.QUEUED


def test_the_first_ways_failure_says_nothing_once_the_fallback_is_under_way() -> None:
    second_way = told(a_referral(), passed(Kind.DELIVERED), policy=WITH_FALLBACK)

    decision = decide(second_way, settled(ORDER, Outcome.FAILED), WITH_FALLBACK)

    assert decision.referral.dispatch is Dispatch.QUEUED
    assert opened(decision) == set()


def test_a_late_success_of_the_first_way_withdraws_the_second() -> None:
    second_way = told(a_referral(), passed(Kind.DELIVERED), policy=WITH_FALLBACK)

    decision = decide(second_way, settled(ORDER), WITH_FALLBACK)

    assert decision.referral.dispatch is Dispatch.RECEIVED
    assert FALLBACK in withdrawn(decision)


def test_a_failure_after_the_office_accepted_takes_no_fallback() -> None:
    accepted = told(a_referral(), ReferralAccepted(at=ORDERED_AT))

    decision = decide(accepted, settled(ORDER, Outcome.FAILED), WITH_FALLBACK)

    assert not decision.referral.fallback_used
    assert sends(decision) == []


def test_a_packet_let_go_again_may_take_its_fallback_again() -> None:
    failed = told(a_referral(), settled(ORDER, Outcome.FAILED), settled(FALLBACK, Outcome.FAILED), policy=WITH_FALLBACK)

    again = decide(failed, HoldReleased(at=ORDERED_AT), WITH_FALLBACK)
    lost = decide(again.referral, settled(ORDER, Outcome.FAILED), WITH_FALLBACK)

    assert purposes(again) == {ORDER}
    assert purposes(lost) == {FALLBACK}


def test_an_office_that_does_not_answer_gets_a_second_notice_and_a_call() -> None:
    received = told(a_referral(), settled(ORDER))

    decision = decide(received, passed(Kind.CONFIRM), POLICY)

    assert purposes(decision) == {Purpose.SECOND_NOTICE}
    assert opened(decision) == {TaskKind.CALL_SPECIALIST}


def test_acceptance_is_told_to_the_ehr_and_ends_the_call() -> None:
    decision = decide(told(a_referral(), settled(ORDER)), ReferralAccepted(at=ORDERED_AT), POLICY)

    assert sends(decision) == [(Recipient.EHR, Purpose.STATUS, "accepted")]
    assert TaskKind.CALL_SPECIALIST in closed(decision)


def test_an_acceptance_of_a_held_packet_is_marked_off_the_path_and_starts_the_clocks() -> None:
    decision = decide(held(), ReferralAccepted(at=ORDERED_AT + DAY), POLICY)

    assert decision.anomalies == ("off the path: accepted while dispatch was held",)
    assert decision.referral.moments.released_at == ORDERED_AT + DAY


def test_nothing_booked_in_time_tells_the_front_desk_the_nurse_and_the_team() -> None:
    decision = decide(told(a_referral(), settled(ORDER)), passed(Kind.SCHEDULE), POLICY)

    assert opened(decision) == {TaskKind.SCHEDULE}
    assert [(to, purpose) for to, purpose, _ in sends(decision)] == [
        (Recipient.EHR, Purpose.TASK),
        (Recipient.TEAM, Purpose.TEAM_POST),
    ]


def test_a_failure_to_tell_the_ehr_is_a_task_and_urgent_when_it_was_the_note() -> None:
    for purpose, is_urgent in ((Purpose.STATUS, False), (Purpose.CLOSURE, True), (Purpose.CORRECTION, True)):
        decision = decide(a_referral(), settled(purpose, Outcome.FAILED, to=Recipient.EHR), POLICY)

        assert opened(decision) == {TaskKind.UNDELIVERABLE_EHR}
        assert [effect.urgent for effect in decision.effects] == [is_urgent]  # type: ignore[union-attr]  # the one task


# ------------------------------------------------------------------------------------------------ cancelling


def test_cancelling_before_sending_ends_at_once_and_withdraws_the_packet() -> None:
    decision = decide(a_referral(), CancelRequested(at=ORDERED_AT), POLICY)

    assert decision.referral.ending is Ending.CANCELLED
    assert ORDER in withdrawn(decision)
    assert sends(decision) == [(Recipient.EHR, Purpose.STATUS, "cancelled")]


def test_cancelling_a_held_referral_ends_it_and_a_late_approval_does_not_send_it() -> None:
    ended = told(held(), CancelRequested(at=ORDERED_AT))

    for event in (approved(), HoldReleased(at=ORDERED_AT), _changed(authorization_number="AUTH-9")):
        assert ORDER not in purposes(decide(ended, event, POLICY))


def test_cancelling_after_sending_asks_the_specialist() -> None:
    decision = decide(told(a_referral(), settled(ORDER)), CancelRequested(at=ORDERED_AT), POLICY)

    assert decision.referral.closure is Closure.CANCEL_REQUESTED
    assert purposes(decision) == {Purpose.CANCEL}


def test_cancelling_while_the_fallback_waits_asks_the_specialist_for_the_first_may_have_arrived() -> None:
    over = told(a_referral(), settled(ORDER, Outcome.HANDED_OVER), passed(Kind.DELIVERED), policy=WITH_FALLBACK)

    decision = decide(over, CancelRequested(at=ORDERED_AT), WITH_FALLBACK)

    assert decision.referral.closure is Closure.CANCEL_REQUESTED
    assert purposes(decision) == {Purpose.CANCEL}
    assert FALLBACK in withdrawn(decision)


def test_a_packet_that_outran_its_cancel_is_followed_by_one() -> None:
    ended = told(a_referral(), CancelRequested(at=ORDERED_AT))

    decision = decide(ended, settled(ORDER), POLICY)

    assert sends(decision) == [(Recipient.SPECIALIST, Purpose.CANCEL, "")]
    assert decision.referral.closure is Closure.ENDED


def test_a_packet_that_fails_after_a_cancel_takes_no_fallback() -> None:
    asked = told(a_referral(), settled(ORDER, Outcome.HANDED_OVER), CancelRequested(at=ORDERED_AT))

    decision = decide(asked, settled(ORDER, Outcome.FAILED), WITH_FALLBACK)

    assert FALLBACK not in purposes(decision)


def test_the_specialists_confirmation_ends_a_cancel() -> None:
    asked = told(a_referral(), settled(ORDER), CancelRequested(at=ORDERED_AT))

    ended = told(asked, CancelConfirmed(at=ORDERED_AT))

    assert (ended.closure, ended.ending) == (Closure.ENDED, Ending.CANCELLED)


def test_a_cancel_can_lose_the_race_to_the_outcome() -> None:
    asked = told(a_referral(), settled(ORDER), CancelRequested(at=ORDERED_AT))

    decision = decide(asked, note(), POLICY)

    assert decision.referral.closure is Closure.CLOSING
    assert Purpose.CLOSURE in purposes(decision)
    assert decision.anomalies == ("off the path: the outcome came after a cancel was asked",)


def test_a_cancel_after_the_outcome_came_too_late() -> None:
    closing = told(a_referral(), settled(ORDER), note())

    decision = decide(closing, CancelRequested(at=ORDERED_AT), POLICY)

    assert decision.referral.closure is Closure.CLOSING
    assert sends(decision) == [(Recipient.EHR, Purpose.STATUS, "cancel came too late")]
    assert decision.anomalies == ("cancel asked while closure is closing",)


def test_a_cancel_nobody_confirms_becomes_a_call() -> None:
    asked = told(a_referral(), settled(ORDER), CancelRequested(at=ORDERED_AT))

    assert opened(decide(asked, passed(Kind.CANCEL_CONFIRM, at=ORDERED_AT + 48 * HOUR), POLICY)) == {
        TaskKind.CALL_SPECIALIST
    }


# ------------------------------------------------------------------------------------------------ declining, ending


def test_a_decline_ends_the_referral_and_asks_for_another_specialist() -> None:
    decision = decide(told(a_referral(), settled(ORDER)), ReferralDeclined(at=ORDERED_AT), POLICY)

    assert (decision.referral.closure, decision.referral.ending) == (Closure.ENDED, Ending.DECLINED)
    assert (Recipient.EHR, Purpose.PROVIDER_NOTICE, "declined") in sends(decision)
    assert TaskKind.FIND_SPECIALIST in opened(decision)
    assert TaskKind.FIND_SPECIALIST not in closed(decision)


@pytest.mark.parametrize("visited", [PatientAttended(at=ORDERED_AT), note(Finality.PRELIMINARY)])
def test_a_decline_is_legal_after_a_visit(visited: PatientAttended) -> None:
    seen = told(a_referral(), settled(ORDER), ReferralAccepted(at=ORDERED_AT), booked(), visited)

    decision = decide(seen, ReferralDeclined(at=ORDERED_AT), POLICY)

    assert decision.referral.ending is Ending.DECLINED
    assert decision.anomalies == ()


def test_a_decline_after_the_outcome_is_an_anomaly_and_asks_for_nobody_else() -> None:
    finished = told(a_referral(), settled(ORDER), note(), closure_taken())

    decision = decide(finished, ReferralDeclined(at=ORDERED_AT), POLICY)

    assert decision.referral.closure is Closure.CLOSED
    assert decision.anomalies == ("declined while closure is closed",)
    assert opened(decision) == {TaskKind.ANOMALY}


def test_a_second_decline_is_no_news() -> None:
    declined = told(a_referral(), ReferralDeclined(at=ORDERED_AT))

    assert decide(declined, ReferralDeclined(at=ORDERED_AT), POLICY).anomalies == ()


def test_a_person_can_end_it_without_a_note() -> None:
    event = ReferralEnded(at=ORDERED_AT, by="nurse", reason="moved away", ending="closed-without-note")

    decision = decide(a_referral(), event, POLICY)

    assert decision.referral.ending is Ending.CLOSED_WITHOUT_NOTE
    assert (Recipient.EHR, Purpose.STATUS, "closed-without-note") in sends(decision)


def test_an_end_wished_for_after_the_outcome_names_no_ending() -> None:
    closing = told(a_referral(), note())

    decision = decide(closing, ReferralEnded(at=ORDERED_AT, reason="", ending="refused"), POLICY)

    assert decision.referral.ending is None
    assert decision.anomalies == ("ended while closure is closing",)


def test_a_second_end_keeps_the_first_ones_name() -> None:
    declined = told(a_referral(), ReferralDeclined(at=ORDERED_AT))

    assert told(declined, ReferralEnded(at=ORDERED_AT, reason="", ending="refused")).ending is Ending.DECLINED


def test_a_note_after_the_end_is_accepted_and_marked_off_the_path() -> None:
    declined = told(a_referral(), ReferralDeclined(at=ORDERED_AT))

    decision = decide(declined, note(), POLICY)

    assert (decision.referral.closure, decision.referral.ending) == (Closure.CLOSING, None)
    assert decision.referral.note is Note.FINAL
    assert "off the path: final note while closure was ended" in decision.anomalies


def test_after_the_end_nothing_new_starts() -> None:
    ended = told(a_referral(), CancelRequested(at=ORDERED_AT))

    for event in (booked(), passed(Kind.PATIENT_PROMPT), passed(Kind.SCHEDULE), passed(Kind.DELIVERED)):
        decision = decide(ended, event, WITH_FALLBACK)
        assert not {to for to, _, _ in sends(decision)} & {Recipient.PATIENT, Recipient.SPECIALIST}
    assert told(ended, booked()).appointment is Appointment.BOOKED  # what happened is known all the same
