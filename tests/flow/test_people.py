"""What people say at the door: tasks taken and done with what was learned, patients' words, and commands refused."""

from __future__ import annotations

import pytest

from referral_engine.flow.inputs import PatientReplied, TaskClaimed, TaskDone
from referral_engine.flow.rehearsal import Rehearsal
from tests.flow.stage import BOOKING, ORDER, at, done, engine, kinds, sample, sent, story, tasks, tracks, wall, whole


def _held() -> Rehearsal:
    stage = engine()
    stage.receive(sample("orm-o01-cardiology-hmo.hl7"))
    return stage


def _unscheduled() -> Rehearsal:
    """Nothing was booked for a week: the front desk has a task."""
    stage = engine()
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-09 09:00"))
    return stage


# ---------------------------------------------------------------------------------------------- what was learned


def test_a_booked_time_is_an_appointment_and_the_task_is_done() -> None:
    stage = _unscheduled()
    assert "schedule" in kinds(stage)

    done(stage, "schedule", booked=at("2026-03-17 14:00"))

    assert tracks(stage)["appointment"] == "booked"
    slot = story(stage).referral.slot
    assert slot is not None
    assert slot.starts_at == at("2026-03-17 14:00")
    assert "schedule" not in kinds(stage)
    assert "ehr appointment booked" in sent(stage)


def test_an_authorization_number_lets_the_packet_go() -> None:
    stage = _held()

    done(stage, "preauth", authorized="AUTH77", by="preauth-desk")

    assert tracks(stage, "P-3001")["authorization"] == "approved"
    assert "specialist order" in sent(stage)
    assert story(stage, "P-3001").referral.order.authorization_number == "AUTH77"
    assert kinds(stage) == []


def test_a_release_lets_the_packet_go_without_an_authorization() -> None:
    stage = _held()

    done(stage, "preauth", release=True)

    assert tracks(stage, "P-3001")["authorization"] == "not-required"
    assert "specialist order" in sent(stage)


def test_an_end_is_told_to_the_ehr_and_stops_every_clock() -> None:
    stage = _unscheduled()

    done(stage, "schedule", end="not-a-referral", note="ordered by mistake")

    assert story(stage).referral.status.value == "ended"
    assert sent(stage)[-1] == "ehr status not-a-referral"
    assert all(one.state != "pending" for one in story(stage).deadlines)
    assert kinds(stage) == []


def test_a_note_left_with_a_task_stays_in_the_journal_and_out_of_the_timeline() -> None:
    stage = _unscheduled()

    done(stage, "schedule", note="left word with the daughter")

    assert all("daughter" not in event.summary + event.reason for event in story(stage).events)
    closed = [one for one in stage.journal.read().tasks(done=True) if one.kind == "schedule"]
    assert closed[0].note == "left word with the daughter"


def test_an_attendance_a_person_heard_of_counts() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.receive(sample(BOOKING))
    stage.partners["patient"] = "delivered"
    stage.move_to(at("2026-03-14 09:00"))
    assert "call-patient" in kinds(stage)

    done(stage, "call-patient", attended=True)

    assert tracks(stage)["appointment"] == "kept"
    assert "ehr appointment attended" in sent(stage)


# ---------------------------------------------------------------------------------------------- refused


def _done(task: int, **learned: object) -> TaskDone:
    words = {"by": "coordinator", "note": "done"} | learned
    return TaskDone(task=task, **words)  # type: ignore[arg-type]  # the test names fields of TaskDone


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (_done(999), "task 999 is unknown or done already"),
        (_done(1, end="forgotten"), "'forgotten' is not one of"),
        (_done(1, booked=at("2026-03-17 14:00").replace(tzinfo=None)), "has no zone"),
        (TaskClaimed(task=999, by="coordinator"), "task 999 is unknown, done, or another's"),
        (PatientReplied(referral="RE-9999", answer="YES"), "there is no referral RE-9999"),
    ],
)
def test_a_command_that_cannot_be_done_says_why_and_changes_nothing(command, sentence: str) -> None:
    stage = _held()
    before = whole(stage)

    receipt = stage.put(command)

    assert sentence in receipt.refused
    assert whole(stage) == before


def test_a_task_about_a_message_can_be_done_but_has_no_referral_to_teach() -> None:
    stage = engine()
    stage.receive(sample("orm-o01-unroutable.hl7"))
    (task,) = tasks(stage)
    before = whole(stage)

    refused = stage.put(_done(task.id, booked=at("2026-03-17 14:00")))
    assert "belongs to a message" in refused.refused
    assert whole(stage) == before

    assert stage.put(_done(task.id)).refused == ""
    assert kinds(stage) == []


def test_a_task_is_done_once() -> None:
    stage = _unscheduled()
    (task,) = tasks(stage, "schedule")
    stage.put(_done(task.id, booked=at("2026-03-17 14:00")))
    before = whole(stage)

    receipt = stage.put(_done(task.id, booked=at("2026-03-18 14:00")))

    assert "done already" in receipt.refused
    assert whole(stage) == before


def test_a_task_is_one_persons_at_a_time() -> None:
    stage = _held()
    (task,) = tasks(stage)

    first = stage.put(TaskClaimed(task=task.id, by="ana"))
    again = stage.put(TaskClaimed(task=task.id, by="ana"))
    other = stage.put(TaskClaimed(task=task.id, by="ben"))

    assert (first.refused, again.refused) == ("", "")
    assert "another's" in other.refused


# ---------------------------------------------------------------------------------------------- patients


def _notified() -> Rehearsal:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-02 09:02"))
    return stage


def _reply(stage: Rehearsal, word: str) -> None:
    assert stage.put(PatientReplied(referral=story(stage).line.id, answer=word)).refused == ""


def test_a_word_nobody_foresaw_is_read_by_a_person() -> None:
    stage = _notified()

    _reply(stage, "I can't afford this")

    (task,) = tasks(stage)
    assert task.kind == "call-patient"
    assert "afford" not in task.reason
    assert tracks(stage)["outreach"] == "acknowledged"


@pytest.mark.parametrize("word", ["stop", " STOP ", "Stop"])
def test_stop_is_understood_however_it_is_written(word: str) -> None:
    stage = _notified()

    _reply(stage, word)

    assert tracks(stage)["outreach"] == "opted-out"


def test_after_stop_nothing_more_is_sent_to_the_patient_until_start() -> None:
    stage = _notified()
    _reply(stage, "STOP")
    before = [one for one in sent(stage) if one.startswith("patient")]
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-12 12:00"))

    assert [one for one in sent(stage) if one.startswith("patient")] == before

    _reply(stage, "START")

    assert tracks(stage)["outreach"] == "acknowledged"


def test_yes_after_the_visit_is_an_attendance_and_no_is_a_missed_visit() -> None:
    for word, state in (("YES", "kept"), ("NO", "no-show")):
        stage = _notified()
        stage.receive(sample(BOOKING))
        stage.move_to(at("2026-03-11 12:00"))
        assert "patient attended-prompt" in sent(stage)

        _reply(stage, word)

        assert tracks(stage)["appointment"] == state


def test_what_people_did_is_in_the_audit() -> None:
    stage = _held()
    done(stage, "preauth", release=True, by="ana")

    assert stage.journal.read().first_bad_audit_line() is None
    timeline = story(stage, "P-3001").timeline
    assert any("by ana" in moment.reason for moment in timeline)
    assert wall(timeline[-1].at) == "2026-03-02 09:00"
