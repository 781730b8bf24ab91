"""Decisions about the visit and the patient: bookings, reminders, no-shows, and who may be written to."""

from __future__ import annotations

import pytest

from referral_engine.base.values import replace
from referral_engine.loop.effects import TO_PATIENT, Purpose, Recipient, TaskKind
from referral_engine.loop.events import (
    Answer,
    AppointmentVoided,
    CancelRequested,
    Event,
    Outcome,
    PatientAttended,
    PatientMissed,
    PatientsMerged,
    PatientUpdated,
    TaskClosed,
)
from referral_engine.loop.policy import Capabilities, Kind
from referral_engine.loop.referral import Referral
from referral_engine.loop.rules import decide
from referral_engine.loop.states import Appointment, Dispatch, Outreach, Status
from tests.builders import ORDERED_AT, a_patient, a_policy, a_referral, mrn, number, ordered, told
from tests.loop.reading import (
    DAY,
    HOUR,
    VISIT_AT,
    booked,
    cancelled,
    closed,
    closure_taken,
    note,
    opened,
    passed,
    purposes,
    said,
    sends,
    settled,
    to_patient,
    withdrawn,
)

POLICY = a_policy()
SENT = told(a_referral(), settled(Purpose.ORDER))
NOTIFIED = told(SENT, passed(Kind.PATIENT_PROMPT), settled(Purpose.PROMPT, to=Recipient.PATIENT))
BOOKED = told(NOTIFIED, booked(appointment="APT-1"))
PASSED = told(BOOKED, passed(Kind.VISIT_CHECK, at=VISIT_AT + 2 * HOUR))
MISSED = PatientMissed(at=VISIT_AT)
ATTENDED = PatientAttended(at=VISIT_AT)
UNREACHABLE = a_patient(sms_consent=False)
DEAD = a_patient(deceased=True)


# ------------------------------------------------------------------------------------------------ the prompt


def test_the_patient_is_prompted_by_text_with_consent() -> None:
    decision = decide(SENT, passed(Kind.PATIENT_PROMPT), POLICY)

    assert to_patient(decision) == [Purpose.PROMPT]
    assert decision.referral.outreach is Outreach.QUEUED


def test_the_patient_is_prompted_by_the_portal_without_consent() -> None:
    by_portal = a_referral(patient=a_patient(sms_consent=False, portal=True))

    assert to_patient(decide(by_portal, passed(Kind.PATIENT_PROMPT), POLICY)) == [Purpose.PROMPT]


@pytest.mark.parametrize(
    "patient",
    [a_patient(sms_consent=False), a_patient(phone_is_mobile=False), a_patient(phone="")],
    ids=["no consent", "no mobile", "no number"],
)
def test_a_patient_the_engine_may_not_write_to_is_called(patient: object) -> None:
    decision = decide(a_referral(patient=patient), passed(Kind.PATIENT_PROMPT), POLICY)  # type: ignore[arg-type]  # a patient

    assert sends(decision) == []
    assert opened(decision) == {TaskKind.CALL_PATIENT}


def test_a_delivered_prompt_notifies_the_patient() -> None:
    assert NOTIFIED.outreach is Outreach.NOTIFIED
    assert NOTIFIED.status is Status.PATIENT_NOTIFIED


def test_queueing_a_prompt_begins_nothing_of_the_packet() -> None:
    # Outreach.QUEUED and Dispatch.QUEUED read the same.
    prompted = told(SENT, passed(Kind.PATIENT_PROMPT, at=ORDERED_AT + HOUR))

    assert prompted.moments == SENT.moments
    assert prompted.rounds == SENT.rounds


def test_a_text_that_bounces_is_a_call_never_silence() -> None:
    bounce = settled(Purpose.PROMPT, Outcome.FAILED, to=Recipient.PATIENT)

    for outreach in Outreach:
        assert opened(decide(replace(SENT, outreach=outreach), bounce, POLICY)) == {TaskKind.CALL_PATIENT}


def test_a_patient_not_notified_in_time_is_called() -> None:
    assert opened(decide(SENT, passed(Kind.PATIENT_PROMPT_LATE), POLICY)) == {TaskKind.CALL_PATIENT}


def test_stop_withdraws_what_has_not_left() -> None:
    decision = decide(BOOKED, said(Answer.STOP), POLICY)

    assert decision.referral.outreach is Outreach.OPTED_OUT
    assert withdrawn(decision) == TO_PATIENT


def test_after_stop_only_a_portal_is_left() -> None:
    for portal, expected in ((True, [Purpose.RESCHEDULE_PROMPT]), (False, [])):
        stopped = told(replace(BOOKED, patient=a_patient(portal=portal)), said(Answer.STOP))
        assert to_patient(decide(stopped, MISSED, POLICY)) == expected


def test_start_after_stop_lets_texts_leave_again() -> None:
    assert told(BOOKED, said(Answer.STOP), said(Answer.START)).outreach is Outreach.ACKNOWLEDGED


def test_what_a_patient_writes_after_stop_does_not_undo_it() -> None:
    assert told(SENT, said(Answer.STOP), said(Answer.OTHER)).outreach is Outreach.OPTED_OUT


def test_a_deceased_patient_is_neither_written_to_nor_called() -> None:
    story = [passed(Kind.PATIENT_PROMPT), passed(Kind.PATIENT_PROMPT_LATE), booked(), passed(Kind.REMIND_24H),
             passed(Kind.VISIT_CHECK, at=VISIT_AT + 2 * HOUR), passed(Kind.ATTENDED), MISSED]  # fmt: skip
    referral = a_referral(patient=DEAD)

    for event in story:
        decision = decide(referral, event, POLICY)
        assert to_patient(decision) == []
        assert TaskKind.CALL_PATIENT not in opened(decision)
        referral = decision.referral
    assert referral.appointment is Appointment.NO_SHOW


@pytest.mark.parametrize("event", [PatientUpdated, PatientsMerged])
def test_a_death_withdraws_what_waits_for_the_patient_and_asks_a_person(event: type[PatientUpdated]) -> None:
    decision = decide(BOOKED, event(at=ORDERED_AT, patient=DEAD), POLICY)

    assert withdrawn(decision) == TO_PATIENT
    assert opened(decision) == {TaskKind.ANOMALY}


def test_a_death_known_already_is_told_once() -> None:
    known = told(BOOKED, PatientUpdated(at=ORDERED_AT, patient=DEAD))

    assert decide(known, PatientUpdated(at=ORDERED_AT, patient=DEAD), POLICY).effects == ()


def test_an_order_for_a_deceased_patient_is_shown_to_a_person() -> None:
    assert opened(ordered(patient=DEAD)) == {TaskKind.ANOMALY}


def test_an_update_that_leaves_fields_out_forgets_nothing() -> None:
    update = a_patient(ids=(mrn("MR-NEW"),), family="Tested", given="", born_on="", sex="", phone="", sms_consent=False)

    known = told(SENT, PatientUpdated(at=ORDERED_AT, patient=update)).patient

    assert known == a_patient(ids=(mrn("MR-NEW"), mrn("MR100234")), family="Tested")


def test_a_task_done_moves_nothing() -> None:
    decision = decide(SENT, TaskClosed(at=ORDERED_AT, kind=TaskKind.SCHEDULE), POLICY)

    assert decision.referral is SENT
    assert not decision.changed


# ------------------------------------------------------------------------------------------------ booking


def test_a_booking_is_told_to_the_ehr_and_ends_the_calls_to_book() -> None:
    decision = decide(NOTIFIED, booked(), POLICY)

    assert decision.referral.status is Status.SCHEDULED
    assert (Recipient.EHR, Purpose.APPOINTMENT, "booked") in sends(decision)
    assert {TaskKind.SCHEDULE, TaskKind.CALL_SPECIALIST, TaskKind.CALL_PATIENT} <= closed(decision)
    assert Purpose.PROMPT in withdrawn(decision)


def test_an_office_that_books_has_accepted() -> None:
    assert told(SENT, booked()).dispatch is Dispatch.ACCEPTED


def test_a_booking_while_held_is_known_and_leaves_the_packet_held() -> None:
    waiting = replace(a_referral(), dispatch=Dispatch.HELD)

    assert told(waiting, booked()).dispatch is Dispatch.HELD


def test_the_same_booking_twice_is_no_news() -> None:
    decision = decide(BOOKED, booked(at=ORDERED_AT + DAY, appointment="APT-1"), POLICY)

    assert decision.referral is BOOKED
    assert not decision.changed


@pytest.mark.parametrize(
    "now", [PASSED, told(PASSED, ATTENDED), told(PASSED, MISSED)], ids=["passed", "kept", "no-show"]
)
def test_a_booking_sent_again_after_its_time_is_no_news(now: Referral) -> None:
    decision = decide(now, booked(at=VISIT_AT + DAY, appointment="APT-1"), POLICY)

    assert decision.referral is now
    assert not decision.changed


def test_the_same_time_booked_again_after_a_cancel_is_a_booking() -> None:
    again = told(BOOKED, cancelled("APT-1"), booked(appointment="APT-1"))

    assert again.appointment is Appointment.BOOKED
    assert [slot.number for slot in again.slots] == [1, 2]


def test_a_moved_visit_is_told_to_the_ehr_and_every_slot_is_remembered() -> None:
    decision = decide(BOOKED, booked(VISIT_AT + DAY, appointment="APT-1"), POLICY)

    assert (Recipient.EHR, Purpose.APPOINTMENT, "moved") in sends(decision)
    assert [slot.starts_at for slot in decision.referral.slots] == [VISIT_AT, VISIT_AT + DAY]
    assert Purpose.REMINDER in withdrawn(decision)


def test_a_cancelled_visit_is_told_to_the_ehr() -> None:
    decision = decide(BOOKED, cancelled("APT-1"), POLICY)

    assert sends(decision) == [(Recipient.EHR, Purpose.APPOINTMENT, "cancelled")]
    assert Purpose.REMINDER in withdrawn(decision)


def test_an_older_appointments_cancel_does_not_cancel_the_newer() -> None:
    moved = told(BOOKED, booked(VISIT_AT + DAY, appointment="APT-2"))

    for event in (cancelled("APT-1"), replace(MISSED, appointment=number("APT-1")),
                  AppointmentVoided(at=ORDERED_AT, appointment=number("APT-1"))):  # fmt: skip
        assert decide(moved, event, POLICY).referral is moved


@pytest.mark.parametrize(
    "event",
    [
        cancelled(appointment="APT-9"),
        AppointmentVoided(at=ORDERED_AT + DAY, appointment=number("APT-9")),
        PatientMissed(at=VISIT_AT, appointment=number("APT-9")),
    ],
    ids=["cancelled", "voided", "missed"],
)
def test_news_of_a_time_nobody_told_us_of_is_a_persons_question_and_ends_no_other(event: Event) -> None:
    decision = decide(BOOKED, event, POLICY)

    assert decision.referral.appointment is Appointment.BOOKED
    assert set(opened(decision)) == {TaskKind.ANOMALY}


def test_a_cancel_that_names_no_appointment_means_the_one_in_force() -> None:
    assert told(BOOKED, cancelled()).appointment is Appointment.CANCELLED


def test_a_booking_made_in_error_leaves_none() -> None:
    decision = decide(BOOKED, AppointmentVoided(at=ORDERED_AT), POLICY)

    assert decision.referral.appointment is Appointment.NONE
    assert sends(decision) == [(Recipient.EHR, Purpose.APPOINTMENT, "voided")]


def test_a_visit_in_the_year_9999_is_brought_within_reckoning() -> None:
    unknown = told(SENT, booked(VISIT_AT.replace(year=9999, month=12, day=31)))

    assert unknown.slots[-1].starts_at.year == 2036


def test_a_scheduling_system_gone_mad_does_not_grow_a_referral_for_ever() -> None:
    referral = told(SENT, *(booked(VISIT_AT + minute * HOUR) for minute in range(250)))

    assert len(referral.slots) == 200
    assert referral.slots[-1].number == 250


# ------------------------------------------------------------------------------------------------ before and after the visit


@pytest.mark.parametrize(("kind", "about"), [(Kind.REMIND_72H, "72 hours"), (Kind.REMIND_24H, "24 hours")])
def test_a_booked_patient_is_reminded(kind: Kind, about: str) -> None:
    decision = decide(BOOKED, passed(kind), POLICY)

    assert sends(decision) == [(Recipient.PATIENT, Purpose.REMINDER, about)]


def test_a_reminder_that_comes_up_after_the_visit_began_is_not_sent() -> None:
    assert decide(BOOKED, passed(Kind.REMIND_24H, at=VISIT_AT), POLICY).effects == ()


def test_a_reminder_that_comes_up_after_the_cancel_is_not_sent() -> None:
    assert decide(told(BOOKED, cancelled()), passed(Kind.REMIND_24H), POLICY).effects == ()


def test_the_specialist_is_asked_after_the_visit_and_attendance_is_unknown() -> None:
    decision = decide(BOOKED, passed(Kind.VISIT_CHECK, at=VISIT_AT + 2 * HOUR), POLICY)

    assert decision.referral.appointment is Appointment.PASSED
    assert purposes(decision) == {Purpose.STATUS_CHECK}


def test_an_office_that_confirms_nothing_is_not_asked() -> None:
    silent = a_policy(capabilities=Capabilities(can_confirm=False))

    assert sends(decide(BOOKED, passed(Kind.VISIT_CHECK, at=VISIT_AT + 2 * HOUR), silent)) == []


def test_the_patient_is_asked_whether_they_attended() -> None:
    decision = decide(PASSED, passed(Kind.ATTENDED, at=VISIT_AT + DAY), POLICY)

    assert to_patient(decision) == [Purpose.ATTENDED_PROMPT]
    assert decision.referral.moments.asked_at == VISIT_AT + DAY


def test_a_patient_who_cannot_be_asked_is_called() -> None:
    decision = decide(replace(PASSED, patient=UNREACHABLE), passed(Kind.ATTENDED), POLICY)

    assert opened(decision) == {TaskKind.CALL_PATIENT}
    assert decision.referral.moments.asked_at is None


def test_yes_keeps_the_visit_and_no_misses_it() -> None:
    assert told(PASSED, said(Answer.YES)).appointment is Appointment.KEPT
    assert told(PASSED, said(Answer.NO)).appointment is Appointment.NO_SHOW


def test_yes_before_the_visit_says_only_that_the_patient_answers() -> None:
    answered = told(BOOKED, said(Answer.YES))

    assert (answered.appointment, answered.outreach) == (Appointment.BOOKED, Outreach.ACKNOWLEDGED)


def test_a_kept_visit_is_told_and_the_question_withdrawn() -> None:
    decision = decide(PASSED, ATTENDED, POLICY)

    assert decision.referral.status is Status.ATTENDED
    assert (Recipient.EHR, Purpose.APPOINTMENT, "attended") in sends(decision)
    assert Purpose.ATTENDED_PROMPT in withdrawn(decision)


def test_a_visit_without_a_booking_is_accepted_and_marked_off_the_path() -> None:
    decision = decide(SENT, ATTENDED, POLICY)

    assert decision.referral.appointment is Appointment.KEPT
    assert decision.anomalies == ("off the path: attended while appointment was none",)


# ------------------------------------------------------------------------------------------------ no-shows


def test_a_no_show_tells_the_provider_and_asks_the_patient_to_book_again() -> None:
    decision = decide(PASSED, MISSED, POLICY)

    assert sends(decision) == [
        (Recipient.EHR, Purpose.APPOINTMENT, "no-show"),
        (Recipient.EHR, Purpose.PROVIDER_NOTICE, "no-show"),
        (Recipient.PATIENT, Purpose.RESCHEDULE_PROMPT, ""),
    ]


def test_a_second_no_show_goes_to_a_clinical_review() -> None:
    again = told(PASSED, MISSED, booked(VISIT_AT + 20 * DAY))

    decision = decide(again, MISSED, POLICY)

    assert to_patient(decision) == []
    assert opened(decision) == {TaskKind.NO_SHOW_REVIEW}


def test_no_automatic_attempts_means_a_review_at_once() -> None:
    assert opened(decide(PASSED, MISSED, a_policy(no_show_attempts=0))) == {TaskKind.NO_SHOW_REVIEW}


def test_a_no_show_of_a_patient_who_cannot_be_written_to_is_reviewed() -> None:
    assert opened(decide(replace(PASSED, patient=UNREACHABLE), MISSED, POLICY)) == {TaskKind.NO_SHOW_REVIEW}


def test_a_second_report_of_one_no_show_is_no_news() -> None:
    missed = told(PASSED, MISSED)

    assert decide(missed, MISSED, POLICY).referral is missed


def test_nothing_booked_after_a_no_show_is_reviewed() -> None:
    assert opened(decide(told(PASSED, MISSED), passed(Kind.REBOOK), POLICY)) == {TaskKind.NO_SHOW_REVIEW}


def test_a_late_no_show_after_a_kept_visit_is_an_anomaly() -> None:
    decision = decide(told(PASSED, ATTENDED), MISSED, POLICY)

    assert decision.referral.appointment is Appointment.KEPT
    assert decision.anomalies == ("no-show while appointment is kept",)
    assert opened(decision) == {TaskKind.ANOMALY}


def test_a_no_show_can_turn_out_to_have_come() -> None:
    decision = decide(told(PASSED, MISSED), ATTENDED, POLICY)

    assert decision.referral.appointment is Appointment.KEPT
    assert decision.anomalies == ("off the path: attended while appointment was no-show",)


def test_a_no_show_of_a_referral_that_is_closed_closing_or_cancelling_writes_to_no_patient() -> None:
    closing = told(BOOKED, note())
    for no_longer_open in (closing, told(closing, closure_taken()), told(BOOKED, CancelRequested(at=ORDERED_AT))):
        decision = decide(no_longer_open, MISSED, POLICY)
        assert to_patient(decision) == []
        assert TaskKind.NO_SHOW_REVIEW not in opened(decision)
