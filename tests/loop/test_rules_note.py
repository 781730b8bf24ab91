"""Decisions about the consult note: what closes a loop, what does not, and what opens it again."""

from __future__ import annotations

import pytest

from referral_engine.base.values import replace
from referral_engine.loop.effects import Purpose, Recipient, TaskKind
from referral_engine.loop.events import Outcome, PatientAttended, PatientMissed, ReferralAccepted
from referral_engine.loop.policy import Capabilities, Kind
from referral_engine.loop.referral import Finality, Identifier, Referral
from referral_engine.loop.rules import decide
from referral_engine.loop.states import Closure, Dispatch, Note, Status
from tests.builders import ORDERED_AT, a_policy, a_referral, told
from tests.loop.reading import (
    DAY,
    HOUR,
    VISIT_AT,
    booked,
    closed,
    closure_taken,
    note,
    opened,
    passed,
    purposes,
    sends,
    settled,
    withdrawn,
)

POLICY = a_policy()
KEPT = told(
    a_referral(),
    settled(Purpose.ORDER),
    booked(),
    passed(Kind.VISIT_CHECK, at=VISIT_AT + 2 * HOUR),
    PatientAttended(at=VISIT_AT + 3 * HOUR),
)
CLOSING = told(KEPT, note(message=60))
CLOSED = told(CLOSING, closure_taken())
AFTER = VISIT_AT + 5 * DAY


def test_a_final_note_is_sent_to_the_ehr_with_its_message_and_is_closing() -> None:
    decision = decide(KEPT, note(message=60), POLICY)

    assert decision.referral.closure is Closure.CLOSING
    assert decision.referral.status is Status.NOTE_RECEIVED
    assert [(one.purpose, one.message) for one in decision.effects if hasattr(one, "message")] == [
        (Purpose.CLOSURE, 60)
    ]


def test_only_the_ehrs_acceptance_closes() -> None:
    for outcome in Outcome:
        after = told(CLOSING, settled(Purpose.CLOSURE, outcome, to=Recipient.EHR))
        assert (after.closure is Closure.CLOSED) is (outcome is Outcome.DELIVERED)


@pytest.mark.parametrize(
    ("purpose", "to"),
    [(Purpose.STATUS, Recipient.EHR), (Purpose.CORRECTION, Recipient.EHR), (Purpose.ORDER, Recipient.SPECIALIST)],
)
def test_another_messages_acceptance_does_not_close(purpose: Purpose, to: Recipient) -> None:
    assert told(CLOSING, settled(purpose, to=to)).closure is Closure.CLOSING


@pytest.mark.parametrize(
    "event",
    [
        note(Finality.PRELIMINARY),
        ReferralAccepted(at=AFTER),
        closure_taken(),
        passed(Kind.OPEN_30, at=AFTER),
        passed(Kind.NOTE_PHYSICIAN, at=AFTER),
    ],
    ids=["interim", "acceptance", "receipt", "open 30 days", "no note after 60"],
)
def test_interim_notes_receipts_and_time_outs_do_not_close(event: ReferralAccepted) -> None:
    assert told(KEPT, event).closure is Closure.OPEN


def test_an_interim_note_is_told_and_may_repeat() -> None:
    decision = decide(told(KEPT, note(Finality.PRELIMINARY)), note(Finality.PRELIMINARY, message=51), POLICY)

    assert sends(decision) == [(Recipient.EHR, Purpose.STATUS, "preliminary note")]
    assert decision.referral.note is Note.INTERIM


def test_closing_ends_the_tasks_but_not_a_wrong_patient() -> None:
    decision = decide(CLOSING, closure_taken(), POLICY)

    assert decision.referral.status is Status.CLOSED
    assert TaskKind.STALE in closed(decision)
    assert TaskKind.WRONG_PATIENT not in closed(decision)


def test_an_office_that_sends_the_note_has_accepted() -> None:
    assert told(a_referral(), note()).dispatch is Dispatch.ACCEPTED


def test_a_note_of_a_held_referral_closes_it_without_sending_the_packet() -> None:
    decision = decide(replace(a_referral(), dispatch=Dispatch.HELD), note(), POLICY)

    assert (decision.referral.closure, decision.referral.dispatch) == (Closure.CLOSING, Dispatch.HELD)
    assert purposes(decision) == {Purpose.CLOSURE}


def test_a_note_after_a_no_show_is_accepted_and_marked_off_the_path() -> None:
    missed = told(a_referral(), booked(), PatientMissed(at=VISIT_AT))

    decision = decide(missed, note(), POLICY)

    assert decision.referral.closure is Closure.CLOSING
    assert decision.anomalies == ("off the path: a note came after a recorded no-show",)


def test_the_same_note_of_the_same_message_twice_is_no_news() -> None:
    decision = decide(CLOSING, note(message=60), POLICY)

    assert decision.referral is CLOSING
    assert not decision.changed


def test_a_note_ends_the_chase_and_withdraws_what_asks_for_it() -> None:
    decision = decide(told(KEPT, passed(Kind.NOTE_REQUEST, at=AFTER)), note(), POLICY)

    assert {TaskKind.CHASE_NOTE, TaskKind.RECORDS_REQUEST} <= closed(decision)
    assert {Purpose.NOTE_PING, Purpose.RECORDS_REQUEST} <= withdrawn(decision)


# ------------------------------------------------------------------------------------------------ waiting for it


def test_the_first_ping_asks_and_the_second_makes_a_task_too() -> None:
    first = decide(KEPT, passed(Kind.NOTE_PING, generation=10), POLICY)
    second = decide(KEPT, passed(Kind.NOTE_PING, generation=11), POLICY)

    assert (purposes(first), opened(first)) == ({Purpose.NOTE_PING}, set())
    assert (purposes(second), opened(second)) == ({Purpose.NOTE_PING}, {TaskKind.CHASE_NOTE})


def test_no_note_in_time_requests_the_records() -> None:
    decision = decide(KEPT, passed(Kind.NOTE_REQUEST, at=AFTER), POLICY)

    assert decision.referral.note is Note.REQUESTED
    assert purposes(decision) == {Purpose.RECORDS_REQUEST}
    assert opened(decision) == {TaskKind.RECORDS_REQUEST}


def test_an_office_that_cannot_send_notes_is_an_interoperability_gap() -> None:
    policy = a_policy(capabilities=Capabilities(can_send_notes=False))

    decision = decide(KEPT, passed(Kind.NOTE_REQUEST, at=AFTER), policy)

    assert any(getattr(one, "reason", "").startswith("interoperability gap") for one in decision.effects)


def test_no_note_after_the_request_tells_the_ordering_physician() -> None:
    asked = told(KEPT, passed(Kind.NOTE_REQUEST, at=AFTER))

    assert sends(decide(asked, passed(Kind.NOTE_PHYSICIAN, at=AFTER), POLICY)) == [
        (Recipient.EHR, Purpose.PROVIDER_NOTICE, "no note")
    ]


def test_a_clock_of_the_note_that_runs_out_just_after_it_came_says_nothing() -> None:
    for kind in (Kind.NOTE_PING, Kind.NOTE_REQUEST, Kind.NOTE_PHYSICIAN, Kind.SCHEDULE):
        assert decide(CLOSING, passed(kind, at=AFTER), POLICY).effects == ()


def test_a_closure_the_ehr_does_not_accept_in_time_is_a_task() -> None:
    assert opened(decide(CLOSING, passed(Kind.CLOSURE_ACCEPTED, at=AFTER), POLICY)) == {TaskKind.UNDELIVERABLE_EHR}


def test_an_open_referral_of_thirty_days_is_a_task() -> None:
    assert opened(decide(KEPT, passed(Kind.OPEN_30, at=ORDERED_AT + 30 * DAY), POLICY)) == {TaskKind.STALE}


# ------------------------------------------------------------------------------------------------ corrections


def test_a_correction_after_closure_goes_to_the_ordering_provider_again() -> None:
    decision = decide(CLOSED, note(Finality.CORRECTED, at=AFTER, message=61), POLICY)

    assert decision.referral.closure is Closure.CLOSED
    assert decision.referral.note is Note.CORRECTED
    assert sends(decision) == [(Recipient.EHR, Purpose.CORRECTION, "correction")]


def test_a_further_final_note_after_closure_is_an_addition() -> None:
    another = replace(note(at=AFTER, message=61), document=Identifier(value="DOC-2"))

    decision = decide(CLOSED, another, POLICY)

    assert sends(decision) == [(Recipient.EHR, Purpose.CORRECTION, "addition")]


def test_a_first_note_that_calls_itself_corrected_closes() -> None:
    assert purposes(decide(KEPT, note(Finality.CORRECTED), POLICY)) == {Purpose.CLOSURE}


@pytest.mark.parametrize("before", [CLOSING, CLOSED, told(CLOSED, note(Finality.CORRECTED, message=61))])
def test_a_retraction_re_opens_and_alarms(before: Referral) -> None:
    decision = decide(before, note(Finality.RETRACTED, at=AFTER, message=62), POLICY)

    assert (decision.referral.closure, decision.referral.note) == (Closure.OPEN, Note.RETRACTED)
    assert sends(decision) == [(Recipient.EHR, Purpose.RETRACTION, "retracted")]
    assert opened(decision) == {TaskKind.WRONG_PATIENT}
    assert {Purpose.CLOSURE, Purpose.CORRECTION} <= withdrawn(decision)


def test_an_interim_note_asked_after_can_still_be_taken_back() -> None:
    asked = told(KEPT, note(Finality.PRELIMINARY), passed(Kind.NOTE_REQUEST, at=AFTER))

    decision = decide(asked, note(Finality.RETRACTED, at=AFTER, message=62), POLICY)

    assert decision.referral.note is Note.RETRACTED
    assert decision.anomalies == ()


def test_a_note_after_a_retraction_closes_anew_and_leaves_the_alarm_open() -> None:
    reopened = told(CLOSED, note(Finality.RETRACTED, at=AFTER, message=62))

    decision = decide(reopened, note(at=AFTER + DAY, message=63), POLICY)

    assert purposes(decision) == {Purpose.CLOSURE}
    assert TaskKind.WRONG_PATIENT not in closed(decision)
    assert told(decision.referral, closure_taken()).closure is Closure.CLOSED


def test_a_retraction_of_a_note_we_never_had_is_an_anomaly() -> None:
    decision = decide(KEPT, note(Finality.RETRACTED), POLICY)

    assert decision.referral.note is Note.NONE
    assert decision.anomalies == ("note retracted while note is none",)


def test_an_interim_note_after_the_final_one_is_an_anomaly() -> None:
    decision = decide(CLOSED, note(Finality.PRELIMINARY, message=64), POLICY)

    assert decision.referral.note is Note.FINAL
    assert decision.anomalies == ("preliminary note while note is final",)
