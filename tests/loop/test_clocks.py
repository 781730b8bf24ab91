"""Timetables: when each clock of the table is due, when none runs, and that a new round is a new generation."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from referral_engine.base.values import replace
from referral_engine.loop.clocks import ROUNDS_APART, deadlines, due_at
from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.loop.events import (
    Answer,
    AppointmentVoided,
    CancelRequested,
    HoldReleased,
    Outcome,
    PatientAttended,
    PatientMissed,
    ReferralAccepted,
    ReferralDeclined,
)
from referral_engine.loop.policy import Duration, Kind, Unit
from referral_engine.loop.referral import Finality, Referral
from referral_engine.loop.states import Appointment, Closure, Dispatch, Note
from tests.builders import (
    ORDERED_AT,
    a_calendar,
    a_patient,
    a_policy,
    a_referral,
    an_order,
    held,
    ordered,
    told,
    urgent,
    utc,
)
from tests.loop.reading import (
    DAY,
    HOUR,
    approved,
    booked,
    cancelled,
    closure_taken,
    denied,
    note,
    passed,
    said,
    settled,
)

POLICY = a_policy()
VISIT = utc("2026-03-07 16:00")  # Saturday 10:00 in Chicago, the day before clocks go forward
SENT = told(a_referral(), settled(Purpose.ORDER))
BOOKED = told(SENT, booked(VISIT))
PASSED = told(BOOKED, passed(Kind.VISIT_CHECK, at=VISIT + 2 * HOUR))
ASKED = told(PASSED, passed(Kind.ATTENDED, at=utc("2026-03-08 15:00")))
KEPT = told(PASSED, PatientAttended(at=VISIT + 3 * HOUR))
MISSED = told(PASSED, PatientMissed(at=ORDERED_AT))
CLOSING = told(KEPT, note())
CANCELLING = told(SENT, CancelRequested(at=ORDERED_AT))
HELD = held(billing=True)
AUTHORIZED = told(HELD, approved(expires_on=date(2026, 3, 10)))


def dues(referral: Referral, kind: Kind) -> list[datetime]:
    return [one.due_at for one in deadlines(referral, POLICY) if one.kind is kind]


def generations(referral: Referral, kind: Kind) -> list[int]:
    return [one.generation for one in deadlines(referral, POLICY) if one.kind is kind]


def running(referral: Referral) -> set[Kind]:
    return {one.kind for one in deadlines(referral, POLICY)}


# Ordered on Monday 2 March 15:00 UTC, 09:00 in Chicago.  Days keep the clinic's wall time over the 8th, hours do not.
TIMETABLE = [
    # kind                     where            routine                                     urgent
    (Kind.PATIENT_PROMPT,      a_referral(),    "2026-03-02 15:02",                         "2026-03-02 15:02"),
    (Kind.PATIENT_PROMPT_LATE, a_referral(),    "2026-03-03 15:00",                         "2026-03-02 19:00"),
    (Kind.DELIVERED,           a_referral(),    "2026-03-02 19:00",                         "2026-03-02 16:00"),
    (Kind.CONFIRM,             SENT,            "2026-03-04 15:00",                         "2026-03-03 15:00"),
    (Kind.SCHEDULE,            SENT,            "2026-03-09 14:00",                         "2026-03-05 15:00"),
    (Kind.OPEN_30,             SENT,            "2026-04-01 14:00",                         "2026-03-16 14:00"),
    (Kind.REMIND_72H,          BOOKED,          "2026-03-04 16:00",                         "2026-03-04 16:00"),
    (Kind.REMIND_24H,          BOOKED,          "2026-03-06 16:00",                         "2026-03-06 16:00"),
    (Kind.VISIT_CHECK,         BOOKED,          "2026-03-07 18:00",                         "2026-03-07 18:00"),
    (Kind.ATTENDED,            PASSED,          "2026-03-08 15:00",                         "2026-03-08 15:00"),
    (Kind.ATTENDED_LATE,       ASKED,           "2026-03-10 15:00",                         "2026-03-09 15:00"),
    (Kind.NOTE_PING,           KEPT,            "2026-03-08 15:00, 2026-03-14 15:00",       "2026-03-08 15:00, 2026-03-10 15:00"),
    (Kind.NOTE_WATCH,          KEPT,            "2026-03-21 15:00",                         "2026-03-14 15:00"),
    (Kind.NOTE_REQUEST,        KEPT,            "2026-04-06 15:00",                         "2026-03-21 15:00"),
    (Kind.NOTE_PHYSICIAN,      KEPT,            "2026-05-06 15:00",                         "2026-04-06 15:00"),
    (Kind.CLOSURE_ACCEPTED,    CLOSING,         "2026-03-02 19:00",                         "2026-03-02 16:00"),
    (Kind.REBOOK,              MISSED,          "2026-03-09 14:00",                         "2026-03-05 15:00"),
    (Kind.CANCEL_CONFIRM,      CANCELLING,      "2026-03-04 15:00",                         "2026-03-03 15:00"),
    (Kind.HOLD_REMIND,         HELD,            "2026-03-04 15:00",                         "2026-03-03 15:00"),
    (Kind.HOLD_BILLING,        HELD,            "2026-03-07 15:00",                         "2026-03-07 15:00"),
    (Kind.AUTHORIZATION_ENDS,  AUTHORIZED,      "2026-03-11 05:01",                         "2026-03-11 05:01"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "referral", "routine", "soon"), TIMETABLE, ids=[row[0].value for row in TIMETABLE])
def test_each_clock_is_due_when_the_table_says(kind: Kind, referral: Referral, routine: str, soon: str) -> None:
    assert dues(referral, kind) == [utc(one) for one in routine.split(", ")]
    assert dues(urgent(referral), kind) == [utc(one) for one in soon.split(", ")]


def test_the_timetable_holds_every_clock() -> None:
    assert {row[0] for row in TIMETABLE} == set(Kind)


def test_business_days_of_a_hold_skip_the_weekend_and_the_spring_change() -> None:
    friday = utc("2026-03-06 22:00")  # 16:00 in Chicago
    waiting = ordered(order=an_order(ordered_at=friday), hold=HELD.hold).referral

    assert dues(waiting, Kind.HOLD_REMIND) == [utc("2026-03-10 21:00")]  # Tuesday 16:00
    assert dues(waiting, Kind.HOLD_BILLING) == [utc("2026-03-11 21:00")]


def test_elapsed_hours_before_a_visit_take_no_notice_of_the_spring_change() -> None:
    sunday = utc("2026-03-08 15:00")

    assert dues(told(SENT, booked(sunday)), Kind.REMIND_24H) == [utc("2026-03-07 15:00")]


@pytest.mark.parametrize(
    ("words", "due"),
    [
        (Duration(90, Unit.SECONDS), "2026-03-06 22:01:30"),
        (Duration(30, Unit.MINUTES), "2026-03-06 22:30"),
        (Duration(48, Unit.HOURS), "2026-03-08 22:00"),
        (Duration(2, Unit.DAYS), "2026-03-08 21:00"),
        (Duration(3, Unit.BUSINESS_HOURS), "2026-03-09 15:00"),
        (Duration(2, Unit.BUSINESS_DAYS), "2026-03-10 21:00"),
    ],
    ids=str,
)
def test_each_unit_counts_its_own_way_from_a_friday_afternoon(words: Duration, due: str) -> None:
    assert due_at(utc("2026-03-06 22:00"), words, a_calendar()) == utc(due)


# ------------------------------------------------------------------------------------------------ when none runs


def test_only_the_holds_own_clocks_run_while_held() -> None:
    for referral in (HELD, told(HELD, booked(VISIT)), told(HELD, denied()), told(HELD, PatientMissed(at=ORDERED_AT))):
        assert running(referral) == {Kind.HOLD_REMIND, Kind.HOLD_BILLING}


def test_billing_hears_of_a_hold_only_when_the_table_says_so() -> None:
    assert running(held(billing=False)) == {Kind.HOLD_REMIND}


def test_no_clock_runs_once_it_is_closed_or_ended() -> None:
    for referral in (told(CLOSING, closure_taken()), told(SENT, ReferralDeclined(at=ORDERED_AT))):
        assert deadlines(referral, POLICY) == ()


def test_a_closing_referral_waits_for_the_ehr_only() -> None:
    assert running(CLOSING) == {Kind.CLOSURE_ACCEPTED, Kind.OPEN_30}


def test_a_cancelling_referral_waits_for_the_specialist_only() -> None:
    assert running(CANCELLING) == {Kind.CANCEL_CONFIRM, Kind.OPEN_30}


def test_a_booked_referral_waits_for_the_visit() -> None:
    assert running(BOOKED) == {Kind.OPEN_30, Kind.REMIND_72H, Kind.REMIND_24H, Kind.VISIT_CHECK}


def test_who_books_inside_the_last_days_gets_no_reminder_that_is_past() -> None:
    tomorrow_night = told(SENT, booked(ORDERED_AT + 30 * HOUR))
    soon = told(SENT, booked(ORDERED_AT + 3 * HOUR))

    assert Kind.REMIND_72H not in running(tomorrow_night)
    assert Kind.REMIND_24H in running(tomorrow_night)
    assert running(soon) == {Kind.OPEN_30, Kind.VISIT_CHECK}


def test_who_said_stop_is_not_reminded() -> None:
    assert running(told(BOOKED, said(Answer.STOP))) == {Kind.OPEN_30, Kind.VISIT_CHECK}


def test_who_said_stop_before_the_prompt_is_called_when_nothing_is_booked() -> None:
    assert Kind.PATIENT_PROMPT_LATE in running(told(SENT, said(Answer.STOP)))


def test_a_final_note_stops_the_chase() -> None:
    assert not {Kind.NOTE_PING, Kind.NOTE_WATCH, Kind.NOTE_REQUEST, Kind.NOTE_PHYSICIAN} & running(CLOSING)


def test_an_interim_note_does_not_stop_the_chase() -> None:
    interim = told(KEPT, note(Finality.PRELIMINARY))

    assert {Kind.NOTE_PING, Kind.NOTE_WATCH, Kind.NOTE_REQUEST, Kind.NOTE_PHYSICIAN} <= running(interim)


def test_a_requested_note_is_no_longer_pinged_for() -> None:
    requested = told(KEPT, passed(Kind.NOTE_REQUEST))

    assert Kind.NOTE_PING not in running(requested)
    assert Kind.NOTE_PHYSICIAN in running(requested)


# ------------------------------------------------------------------------------------------------ where they start


def test_a_released_packet_counts_from_its_release() -> None:
    released = told(HELD, HoldReleased(at=ORDERED_AT + 5 * DAY))

    assert dues(released, Kind.PATIENT_PROMPT) == [utc("2026-03-07 15:02")]
    assert dues(released, Kind.DELIVERED) == [utc("2026-03-07 19:00")]
    assert dues(released, Kind.OPEN_30) == [utc("2026-04-01 14:00")]  # but the order is as old as it is


def test_a_visit_without_a_booking_starts_the_wait_for_its_note() -> None:
    walked_in = told(SENT, PatientAttended(at=VISIT))

    assert dues(walked_in, Kind.NOTE_REQUEST) == [utc("2026-04-06 15:00")]


def test_a_walk_in_instead_of_a_cancelled_visit_starts_the_wait_at_once() -> None:
    walked_in = told(SENT, booked(VISIT + 30 * DAY), cancelled(), PatientAttended(at=VISIT))

    assert dues(walked_in, Kind.NOTE_REQUEST) == [utc("2026-04-06 15:00")]


def test_an_office_that_accepts_a_held_packet_starts_the_clocks() -> None:
    accepted = told(HELD, ReferralAccepted(at=ORDERED_AT))

    assert running(accepted) == {Kind.PATIENT_PROMPT, Kind.PATIENT_PROMPT_LATE, Kind.SCHEDULE, Kind.OPEN_30}


def test_a_second_receipt_does_not_postpone_the_confirmation() -> None:
    again = told(SENT, settled(Purpose.ORDER, at=ORDERED_AT + DAY))

    assert dues(again, Kind.CONFIRM) == dues(SENT, Kind.CONFIRM)


def test_a_second_cancel_message_does_not_postpone_the_booking() -> None:
    once = told(BOOKED, cancelled(at=ORDERED_AT))
    twice = told(once, cancelled(at=ORDERED_AT + 3 * DAY))

    assert dues(twice, Kind.SCHEDULE) == dues(once, Kind.SCHEDULE)


def test_a_patients_prompt_does_not_postpone_the_delivery() -> None:
    prompted = told(a_referral(), passed(Kind.PATIENT_PROMPT, at=ORDERED_AT + HOUR))

    assert dues(prompted, Kind.DELIVERED) == [ORDERED_AT + 4 * HOUR]


def test_a_question_about_an_earlier_visit_does_not_age_into_a_call_after_the_next_one() -> None:
    next_visit = booked(VISIT + 20 * DAY, at=VISIT + 3 * DAY)
    again = told(ASKED, next_visit, passed(Kind.VISIT_CHECK, at=VISIT + 20 * DAY + 2 * HOUR))

    assert again.appointment is Appointment.PASSED
    assert Kind.ATTENDED_LATE not in running(again)


# ------------------------------------------------------------------------------------------------ repeating


@pytest.mark.parametrize(
    ("kind", "referral", "days_down"),
    [
        (Kind.OPEN_30, SENT, 100),
        (Kind.HOLD_REMIND, HELD, 9),
        (Kind.CLOSURE_ACCEPTED, CLOSING, 7),
        (Kind.CANCEL_CONFIRM, CANCELLING, 7),
    ],
    ids=str,
)
def test_a_repeating_clock_after_any_downtime_is_one_firing_and_next_due_in_the_future(
    kind: Kind, referral: Referral, days_down: int
) -> None:
    (first,) = (one for one in deadlines(referral, POLICY) if one.kind is kind)

    for late in (first.due_at, first.due_at + days_down * DAY):
        (following,) = (
            one
            for one in deadlines(told(referral, passed(kind, at=late, generation=first.generation)), POLICY)
            if one.kind is kind
        )
        assert late < following.due_at
        assert following.generation > first.generation


def test_a_new_wait_for_the_ehr_is_as_short_as_the_first() -> None:
    slow = told(CLOSING, *(passed(Kind.CLOSURE_ACCEPTED, at=ORDERED_AT + 4 * n * HOUR) for n in (1, 2, 3)))
    later = ORDERED_AT + DAY
    again = told(slow, note(Finality.RETRACTED, at=later, message=51), note(at=later, message=52))

    assert dues(again, Kind.CLOSURE_ACCEPTED) == [later + 4 * HOUR]
    assert generations(again, Kind.CLOSURE_ACCEPTED)[0] >= 2 * ROUNDS_APART


# ------------------------------------------------------------------------------------------------ generations


def fired_again(before: Referral, after: Referral, kind: Kind) -> set[int]:
    return set(generations(before, kind)) & set(generations(after, kind))


def test_a_visit_booked_again_has_clocks_of_its_own() -> None:
    moved = told(BOOKED, booked(VISIT + 10 * DAY))

    for kind in (Kind.REMIND_72H, Kind.REMIND_24H, Kind.VISIT_CHECK):
        assert not fired_again(BOOKED, moved, kind)


def test_a_note_taken_back_arms_the_clocks_of_the_note_anew() -> None:
    back = utc("2026-03-20 15:00")
    reopened = told(KEPT, note(), closure_taken(), note(Finality.RETRACTED, at=back, message=51))

    for kind in (Kind.NOTE_PING, Kind.NOTE_WATCH, Kind.NOTE_REQUEST, Kind.NOTE_PHYSICIAN):
        assert not fired_again(KEPT, reopened, kind)
    assert dues(reopened, Kind.NOTE_REQUEST) == [utc("2026-04-19 15:00")]


def test_every_cancelled_or_voided_booking_starts_the_scheduling_clock_anew() -> None:
    seen: list[int] = []
    referral = SENT
    for undone in (cancelled(at=ORDERED_AT + DAY), AppointmentVoided(at=ORDERED_AT + 2 * DAY), cancelled()):
        seen += generations(referral, Kind.SCHEDULE)
        referral = told(referral, booked(VISIT), undone)
    seen += generations(referral, Kind.SCHEDULE)

    assert len(set(seen)) == 4


def test_every_no_show_starts_its_own_rebooking_clock() -> None:
    again = told(MISSED, booked(VISIT + 10 * DAY), PatientMissed(at=VISIT + 10 * DAY))

    assert not fired_again(MISSED, again, Kind.REBOOK)
    assert dues(again, Kind.REBOOK) == [utc("2026-03-24 16:00")]


def test_the_fallback_is_watched_by_a_clock_of_its_own() -> None:
    policy = a_policy(fallbacks=1)
    second = told(a_referral(), settled(Purpose.ORDER, Outcome.FAILED, at=ORDERED_AT + HOUR), policy=policy)

    assert not fired_again(a_referral(), second, Kind.DELIVERED)
    assert dues(second, Kind.DELIVERED) == [ORDERED_AT + 5 * HOUR]


def test_slots_without_number_do_not_run_into_the_rounds_of_the_note() -> None:
    thousandth = replace(KEPT, slots=(replace(KEPT.slots[-1], number=1_000),))
    reopened = told(a_referral(), PatientAttended(at=VISIT), note(), note(Finality.RETRACTED, message=51))

    assert not fired_again(thousandth, reopened, Kind.NOTE_PING)


def test_an_end_undone_by_a_late_note_that_is_taken_back_still_owns_a_deadline() -> None:
    duplicate = ordered(duplicate_of="A-0000").referral

    reopened = told(duplicate, note(), note(Finality.RETRACTED, message=51))

    assert (reopened.closure, reopened.dispatch, reopened.note) == (Closure.OPEN, Dispatch.HELD, Note.RETRACTED)
    assert deadlines(reopened, POLICY)


def test_a_text_that_arrives_after_the_end_moves_no_clock() -> None:
    ended = told(a_referral(patient=a_patient()), ReferralDeclined(at=ORDERED_AT))

    assert deadlines(told(ended, settled(Purpose.PROMPT, to=Recipient.PATIENT)), POLICY) == ()
