"""What every frame gets at the door: custody, an answer or a reason for silence, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.flow.inputs import SetAside
from referral_engine.hl7.ack import read_ack
from referral_engine.hl7.batch import split_batch
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import Disposition
from tests.flow.stage import BOOKING, ORDER, arrived, door, engine, kinds, owed, row, said, sample, tasks, whole

OUR_OWN = {"MSH-3": "REFERRAL_ENGINE", "MSH-4": "SPRINGFIELD"}
ACK = b"MSH|^~\\&|EHR|SPRINGFIELD|REFERRAL_ENGINE|SPRINGFIELD|20260302090000||ACK|A1|P|2.5.1\rMSA|AA|RE0001\r"


# ---------------------------------------------------------------------------------------------- the same message again


def test_the_same_bytes_again_get_the_first_answer_and_change_nothing() -> None:
    stage = engine()
    first = stage.receive(sample(ORDER))
    before = whole(stage)

    again = stage.receive(sample(ORDER))

    assert again.duplicate
    assert again.answer == first.answer
    assert again.sequence == first.sequence
    assert whole(stage) == before


def test_the_same_bytes_twice_in_one_batch_are_one_message() -> None:
    stage = engine()

    first, again = stage.step.run([arrived(sample(ORDER)), arrived(sample(ORDER))])

    assert again.duplicate
    assert again.answer == first.answer != b""
    assert stage.journal.read().counts().received() == 1
    assert len(stage.journal.read().referrals()) == 1


def test_the_same_bytes_after_a_restart_get_the_first_answer(tmp_path: Path) -> None:
    step, journal = door(tmp_path / "journal.db")
    (first,) = step.run([arrived(sample(ORDER))])
    effects = journal.read().owed_after(0)
    journal.close()

    step, journal = door(tmp_path / "journal.db", "2026-03-04 08:00")
    (again,) = step.run([arrived(sample(ORDER))])

    assert again.duplicate
    assert again.answer == first.answer
    assert journal.read().owed_after(0) == effects
    assert journal.read().counts().received() == 1
    journal.close()


@pytest.mark.parametrize("name", ["bad/no-msh.hl7", "bad/unknown-sender.hl7", "bad/training-system.hl7"])
def test_what_was_refused_is_refused_again_in_the_same_words(name: str) -> None:
    stage = engine()
    first = stage.receive(sample(name))
    before = whole(stage)

    again = stage.receive(sample(name))

    assert again.answer == first.answer != b""
    assert whole(stage) == before


def test_the_same_control_id_with_other_bytes_is_a_new_message_and_flagged() -> None:
    stage = engine()
    first = stage.receive(sample(ORDER))

    other = stage.receive(sample(ORDER, {"NTE-3": "Please see within three weeks."}))

    assert not other.duplicate
    assert said(other) == "AA"
    assert row(stage, other).reason.endswith(
        f"its control id was used before, by message {first.sequence} with other bytes"
    )
    assert stage.journal.read().counts().received() == 2


def test_the_same_control_id_from_another_sender_is_nothing_special() -> None:
    stage = engine()
    stage.receive(sample(ORDER))

    other = stage.receive(sample(BOOKING, {"MSH-10": "EHR1001"}))

    assert "control id" not in row(stage, other).reason


# ---------------------------------------------------------------------------------------------- refused, and kept


@pytest.mark.parametrize(
    ("raw", "code", "reason"),
    [
        (sample(ORDER, {"MSH-3": "NOBODY"}), "207", "not allowed here"),
        (sample(ORDER, {"MSH-11": "T"}), "202", "processing id"),
        (sample(ORDER, {"MSH-11": ""}), "202", "processing id"),
        (sample(ORDER, {"MSH-12": "3.0"}), "203", "version"),
        (sample(ORDER, OUR_OWN), "207", "a loop"),
    ],
    ids=["unknown-sender", "test-data", "no-processing-id", "refused-version", "our-own"],
)
def test_a_refused_message_is_answered_ar_kept_whole_and_shown(raw: bytes, code: str, reason: str) -> None:
    stage = engine()

    receipt = stage.receive(raw)

    assert said(receipt) == "AR"
    assert said(receipt, "ERR-3") == code
    assert said(receipt, "MSA-2") == "EHR1001"
    kept = row(stage, receipt)
    assert (kept.disposition, kept.raw, kept.peer) == (Disposition.QUARANTINED, raw, "127.0.0.1")
    assert reason in kept.reason
    (task,) = tasks(stage, "quarantine")
    assert task.message == receipt.sequence
    assert not stage.journal.read().referrals()
    assert not owed(stage)


def test_a_message_of_a_type_nobody_knows_is_taken_and_nothing_follows() -> None:
    stage = engine()

    receipt = stage.receive(sample("bad/unknown-type.hl7"))

    assert said(receipt) == "AA"
    assert row(stage, receipt).disposition is Disposition.NO_OP
    assert row(stage, receipt).reason
    assert kinds(stage) == []


def test_an_acknowledgment_at_the_listener_is_kept_and_never_answered() -> None:
    stage = engine()

    receipt = stage.receive(ACK)

    assert receipt.answer == b""
    assert row(stage, receipt).raw == ACK
    assert row(stage, receipt).disposition is Disposition.QUARANTINED


def test_bytes_without_a_header_are_answered_ar_as_well_as_can_be_and_kept() -> None:
    stage = engine()
    raw = sample("bad/no-msh.hl7")

    receipt = stage.receive(raw)

    assert said(receipt) == "AR"
    assert row(stage, receipt).raw == raw
    assert row(stage, receipt).reason.startswith("unreadable")
    assert kinds(stage) == ["quarantine"]


def test_a_blank_frame_is_kept_and_there_is_nobody_to_answer() -> None:
    stage = engine()

    receipt = stage.receive(b"\r\n")

    assert receipt.answer == b""
    assert row(stage, receipt).raw == b"\r\n"


def wrapped(*messages: bytes, stated: int | None = None) -> bytes:
    """A file of one batch, as an interface engine writes it."""
    count = len(messages) if stated is None else stated
    head = b"FHS|^~\\&|EHR|SPRINGFIELD|REFERRAL_ENGINE|REFERRALS|20260302||||F1\rBHS|^~\\&|EHR|SPRINGFIELD|||||||B1\r"
    return head + b"".join(messages) + b"BTS|%d\rFTS|1\r" % count


def test_several_messages_in_one_frame_are_each_taken_and_each_answered() -> None:  # H058
    stage = engine()

    receipt = stage.receive(sample(ORDER) + sample("orm-o01-electrophysiology-ppo.hl7"))

    answers = split_batch(receipt.answer)
    assert [read_ack(one).code for one in answers] == ["AA", "AA"]
    assert [read_ack(one).control_id for one in answers] == ["EHR1001", "EHR6001"]
    assert [line.disposition for line in stage.journal.read().messages()] == [Disposition.APPLIED] * 2
    assert len(stage.journal.read().referrals()) == 2


def test_a_batch_is_answered_by_a_batch_that_names_it() -> None:  # H058
    stage = engine()

    receipt = stage.receive(wrapped(sample(ORDER), sample("orm-o01-electrophysiology-ppo.hl7")))

    names = [line[:3] for line in receipt.answer.split(b"\r")]
    assert names == [b"FHS", b"BHS", b"MSH", b"MSA", b"MSH", b"MSA", b"BTS", b"FTS", b""]
    head = receipt.answer.split(b"\r")[1].split(b"|")
    assert head[4:6] == [b"EHR", b"SPRINGFIELD"]
    assert head[11] == b"B1"
    assert b"\rBTS|2\r" in receipt.answer


def test_a_batch_sent_again_gets_the_same_bytes_and_does_nothing_twice() -> None:  # H059
    stage = engine()
    raw = wrapped(sample(ORDER), sample("orm-o01-electrophysiology-ppo.hl7"))
    first = stage.receive(raw)

    again = stage.receive(raw)

    assert again.answer == first.answer
    assert again.duplicate
    assert len(stage.journal.read().messages()) == 2


def test_a_batch_that_was_sent_in_part_before_is_completed() -> None:  # H059
    stage = engine()
    stage.receive(sample(ORDER))

    stage.receive(wrapped(sample(ORDER), sample("orm-o01-electrophysiology-ppo.hl7")))

    assert len(stage.journal.read().messages()) == 2
    assert len(stage.journal.read().referrals()) == 2


def test_one_unreadable_message_of_a_batch_is_refused_alone() -> None:  # H058
    stage = engine()

    receipt = stage.receive(wrapped(sample(ORDER), b"MSH|^~\\&|EHR|SPRINGFIELD\r"))

    assert [read_ack(one).code for one in split_batch(receipt.answer)] == ["AA", "AR"]
    assert {line.disposition for line in stage.journal.read().messages()} == {
        Disposition.APPLIED,
        Disposition.QUARANTINED,
    }


def test_a_batch_that_counts_more_than_came_is_a_task() -> None:  # H058
    stage = engine()

    stage.receive(wrapped(sample(ORDER), stated=3))

    assert "quarantine" in kinds(stage)
    assert any("says it holds 3 messages, and 1 came" in task.reason for task in stage.journal.read().tasks())


def test_an_empty_batch_is_kept_and_refused() -> None:
    stage = engine()

    receipt = stage.receive(wrapped())

    assert row(stage, receipt).disposition is Disposition.QUARANTINED
    assert "a batch without a message" in row(stage, receipt).reason


def test_a_frame_of_nothing_but_headers_is_refused_and_kept() -> None:
    stage = engine()

    receipt = stage.receive(sample(ORDER) + b"MSH|^~\\&|EHR\r" * 10_001)

    assert said(receipt) == "AR"
    assert row(stage, receipt).disposition is Disposition.QUARANTINED


# ---------------------------------------------------------------------------------------------- ways to be answered


@pytest.mark.parametrize(
    ("accept", "application", "code"),
    [
        ("", "", "AA"),
        ("AL", "NE", "CA"),
        ("AL", "AL", "CA"),
        ("SU", "", "CA"),
        ("NE", "AL", "AA"),
        ("NE", "NE", ""),
        ("ER", "NE", ""),
    ],
)
def test_the_sender_is_answered_in_the_mode_it_asks_for(accept: str, application: str, code: str) -> None:
    stage = engine()

    receipt = stage.receive(sample(ORDER, {"MSH-15": accept, "MSH-16": application}))

    assert said(receipt) == code
    assert row(stage, receipt).answer_code == code
    assert row(stage, receipt).disposition is Disposition.APPLIED


@pytest.mark.parametrize(
    ("accept", "application", "processing", "second"),
    [
        ("AL", "AL", "P", "AA"),
        ("AL", "SU", "P", "AA"),
        ("AL", "ER", "T", "AR"),
        ("AL", "NE", "P", ""),
        ("NE", "AL", "P", ""),
    ],
)
def test_a_sender_that_wants_both_hears_the_application_after_the_commit(
    accept: str, application: str, processing: str, second: str
) -> None:  # H049
    stage = engine()
    raw = sample(ORDER, {"MSH-11": processing, "MSH-15": accept, "MSH-16": application})

    first, again = stage.receive(raw), stage.receive(raw)

    assert (read_ack(first.after).code if first.after else "") == second
    assert (again.answer, again.after) == (first.answer, first.after)
    if second:
        commit, after = read_ack(first.answer), read_ack(first.after)
        assert commit.code == {"AA": "CA", "AR": "CR"}[second]
        assert after.control_id_bytes == commit.control_id_bytes
        assert said(first, "MSH-10") != Message.parse(first.after).value("MSH-10")
        assert Message.parse(first.after).value("MSH-10")


def test_a_refusal_in_enhanced_mode_is_a_cr_even_for_who_hears_errors_only() -> None:
    stage = engine()

    receipt = stage.receive(sample(ORDER, {"MSH-11": "T", "MSH-15": "ER", "MSH-16": "NE"}))

    assert said(receipt) == "CR"


def test_an_order_without_a_control_id_is_taken_and_its_copy_is_the_same_message() -> None:
    stage = engine()
    raw = sample(ORDER, {"MSH-10": ""})

    first = stage.receive(raw)
    again = stage.receive(raw)
    other = stage.receive(sample("orm-o01-electrophysiology-ppo.hl7", {"MSH-10": ""}))

    assert said(first) == "AA"
    assert again.duplicate
    assert again.answer == first.answer
    assert not other.duplicate
    assert "control id" not in row(stage, other).reason
    assert len(stage.journal.read().referrals()) == 2


# ---------------------------------------------------------------------------------------------- poison


def test_a_message_that_breaks_the_engine_is_kept_and_shown_and_its_sender_may_go_on() -> None:
    stage = engine()
    raw = sample(ORDER)

    receipt = stage.put(SetAside(arrived=arrived(raw), reason="ZeroDivisionError"))

    assert said(receipt) == "AA"
    assert row(stage, receipt).raw == raw
    assert row(stage, receipt).disposition is Disposition.QUARANTINED
    (task,) = tasks(stage, "quarantine")
    assert "ZeroDivisionError" in task.reason
    assert task.message == receipt.sequence
    assert not stage.journal.read().referrals()


def test_poison_that_was_set_aside_is_not_tried_again_when_it_is_sent_again() -> None:
    stage = engine()
    first = stage.put(SetAside(arrived=arrived(sample(ORDER)), reason="ZeroDivisionError"))

    again = stage.receive(sample(ORDER))

    assert again.duplicate
    assert again.answer == first.answer
    assert not stage.journal.read().referrals()


def test_the_same_poison_twice_in_one_batch_is_set_aside_once() -> None:
    stage = engine()
    poison = SetAside(arrived=arrived(sample(ORDER)), reason="ZeroDivisionError")

    first, again = stage.step.run([poison, poison])

    assert again.duplicate
    assert again.answer == first.answer
    assert len(tasks(stage)) == 1


@pytest.mark.parametrize(
    ("raw", "code"),
    [(sample("bad/unknown-sender.hl7"), "AR"), (ACK, ""), (sample("bad/no-msh.hl7"), "AR")],
    ids=["unknown-sender", "acknowledgment", "unreadable"],
)
def test_poison_earns_no_better_answer_than_its_sender_would_get(raw: bytes, code: str) -> None:
    stage = engine()

    receipt = stage.put(SetAside(arrived=arrived(raw), reason="ZeroDivisionError"))

    assert said(receipt) == code
    assert row(stage, receipt).raw == raw
    assert kinds(stage) == ["quarantine"]
