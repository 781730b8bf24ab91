"""The one door: a batch is one transaction, time never goes back, and what it wrote can be verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.flow import step as door_module
from referral_engine.flow.inputs import Arrived, Claim, SetAside, TaskDone, Ticked
from referral_engine.hl7.message import Message
from tests.flow.stage import BOOKING, HEART, NOTE, ORDER, arrived, at, door, engine, owed, sample, story, whole

OTHER = "orm-o01-electrophysiology-ppo.hl7"


def test_nothing_of_a_batch_is_stored_when_one_of_it_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    before, counts = whole(stage), stage.journal.read().counts()
    real = door_module.arrive

    def breaks_on_the_second(turn, given):
        if given.arrived.raw == sample(OTHER):
            raise ZeroDivisionError
        return real(turn, given)

    monkeypatch.setattr(door_module, "arrive", breaks_on_the_second)
    with pytest.raises(ZeroDivisionError):
        stage.step.run([arrived(sample(BOOKING)), arrived(sample(OTHER))])

    assert whole(stage) == before
    assert stage.journal.read().counts() == counts


def test_after_a_batch_broke_the_door_goes_on_and_gives_out_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole_one = engine(), engine()
    with monkeypatch.context() as patched:
        patched.setattr(door_module, "tick", _broken)
        with pytest.raises(ZeroDivisionError):
            broken.step.run([arrived(sample(ORDER)), Ticked()])

    one = broken.receive(sample(ORDER))
    other = whole_one.receive(sample(ORDER))

    assert one == other
    assert [row.wire_id for row in owed(broken)] == [row.wire_id for row in owed(whole_one)]


def _broken(turn, given):
    raise ZeroDivisionError


def test_neighbours_of_poison_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the service does with a batch that broke: each alone, and the poison set aside."""
    from referral_engine.service.handling import Broken, through

    stage = engine()
    real = door_module.arrive

    def breaks(turn, given):
        if given.arrived.raw == sample(OTHER):
            raise ZeroDivisionError
        return real(turn, given)

    monkeypatch.setattr(door_module, "arrive", breaks)
    results = through(stage.step, [arrived(sample(ORDER)), arrived(sample(OTHER)), arrived(sample(BOOKING))])

    assert isinstance(results[1], Broken)
    assert results[1].receipt is not None
    assert results[1].receipt.answer
    assert story(stage).referral.appointment.value == "booked"
    assert stage.journal.read().counts().received() == 3


def test_receipts_come_one_for_each_input_and_in_order() -> None:
    stage = engine()

    receipts = stage.step.run(
        [
            arrived(sample(ORDER)),
            Ticked(),
            Claim(lane=HEART),
            TaskDone(task=5, by="ana", note=""),
            arrived(sample(OTHER)),
        ]
    )

    assert len(receipts) == 5
    assert Message.parse(receipts[0].answer).value("MSA-2") == "EHR1001"
    assert receipts[1].fired == 0
    assert receipts[2].effects[0].recipient == "specialist"
    assert receipts[3].refused
    assert receipts[4].answer
    assert HEART in receipts[-1].lanes


def test_an_empty_batch_is_nothing() -> None:
    assert engine().step.run([]) == []


def test_recorded_time_never_goes_back() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.step.clock = type(stage.clock)(at("2026-03-01 09:00"))

    stage.receive(sample(BOOKING))

    times = [event.at for event in story(stage).events]
    assert times == sorted(times)


def test_the_answer_and_the_sendings_of_one_message_have_different_ids() -> None:
    stage = engine()
    receipts = [stage.receive(sample(name)) for name in (ORDER, BOOKING, NOTE)]

    ids = [Message.parse(receipt.answer).value("MSH-10") for receipt in receipts]
    ids += [row.wire_id for row in owed(stage)]

    assert len(set(ids)) == len(ids)


def test_what_is_in_the_outbox_names_the_id_it_goes_under() -> None:
    stage = engine()
    for name in (ORDER, BOOKING, NOTE):
        stage.receive(sample(name))

    for row in owed(stage):
        if row.transport == "mllp":
            assert Message.parse(row.body).value("MSH-10") == row.wire_id


def test_the_audit_chain_verifies_and_every_input_that_changed_something_is_in_it(tmp_path: Path) -> None:
    step, journal = door(tmp_path / "journal.db")
    step.run([arrived(sample(ORDER)), arrived(sample(BOOKING))])
    step.run([arrived(sample(ORDER)), SetAside(arrived=arrived(sample(OTHER)), reason="ZeroDivisionError")])
    journal.close()

    step, journal = door(tmp_path / "journal.db")

    assert journal.read().first_bad_audit_line() is None
    assert journal.read().conservation().holds
    journal.close()


def test_a_message_and_what_it_caused_survive_a_restart(tmp_path: Path) -> None:
    step, journal = door(tmp_path / "journal.db")
    step.run([Arrived(raw=sample(ORDER), peer="10.0.0.7")])
    before = journal.read().story(journal.read().find("P-1001"))
    journal.close()

    step, journal = door(tmp_path / "journal.db")

    assert journal.read().story(journal.read().find("P-1001")) == before
    assert journal.read().message(1).peer == "10.0.0.7"  # type: ignore[union-attr]  # it is there
    journal.close()
