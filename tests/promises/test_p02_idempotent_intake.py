"""P2: a message that is sent again has one effect and gets the first answer, byte for byte, also after a restart."""

from __future__ import annotations

from pathlib import Path

from referral_engine.flow.inputs import Arrived
from referral_engine.journal.rows import Disposition
from tests.flow.stage import BOOKING, NOTE, ORDER, arrived, at, door, engine, sample, whole


def test_the_same_message_again_gets_the_same_answer_and_changes_nothing() -> None:  # H069 F-A01
    stage = engine()
    for name in (ORDER, BOOKING, NOTE):
        first = stage.receive(sample(name))
        stored = whole(stage)

        stage.move_to(stage.clock.now())
        again = stage.receive(sample(name))

        assert again.duplicate
        assert again.answer == first.answer != b""
        assert again.sequence == first.sequence
        assert whole(stage) == stored


def test_a_year_later_it_is_still_the_same_message() -> None:  # F-E09
    stage = engine()
    first = stage.receive(sample(ORDER))
    stage.move_to(at("2027-03-02 09:00"))

    assert stage.receive(sample(ORDER)).answer == first.answer
    assert len(stage.journal.read().referrals()) == 1


def test_two_copies_in_one_batch_are_one_message() -> None:  # F-D09
    stage = engine()

    first, second = stage.step.run([arrived(sample(ORDER)), arrived(sample(ORDER))])

    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.answer == second.answer
    assert stage.journal.read().counts().received() == 1


def test_it_is_recognised_after_a_restart(tmp_path: Path) -> None:  # F-A01 H072
    step, journal = door(tmp_path / "journal.db")
    (first,) = step.run([arrived(sample(ORDER))])
    journal.close()

    step, journal = door(tmp_path / "journal.db", "2026-03-03 09:00")
    (again,) = step.run([arrived(sample(ORDER))])

    assert again.duplicate
    assert again.answer == first.answer
    assert journal.read().counts().received() == 1
    journal.close()


def test_the_same_control_id_with_other_bytes_is_kept_and_flagged() -> None:  # F-E07 H069
    stage = engine()
    raw = sample(ORDER)
    first = stage.receive(raw)
    other = stage.receive(raw.replace(b"Palpitations", b"Dizziness"))

    row = stage.journal.read().message(other.sequence)

    assert row is not None
    assert not other.duplicate
    assert other.sequence != first.sequence
    assert b"Dizziness" in row.raw
    assert "used before" in row.reason


def test_the_same_control_id_of_another_sender_is_another_message() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    other = stage.step.run([Arrived(raw=sample(ORDER, {"MSH-4": "ELSEWHERE"}), peer="127.0.0.1")])[0]

    assert not other.duplicate
    assert other.disposition is not Disposition.APPLIED
