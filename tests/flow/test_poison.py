"""A message that breaks its handling: it is set aside, what shares a number with it waits, everything else goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from referral_engine.flow import arrivals
from referral_engine.flow.inputs import MessageDecision, Receipt, SetAside, TaskDone
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import Disposition
from tests.flow.stage import BOOKING, NOTE, ORDER, arrived, engine, row, said, sample, tasks, tracks

OTHER = "orm-o01-electrophysiology-ppo.hl7"


def aside(stage: Rehearsal, name: str) -> Receipt:
    """The message broke its handling."""
    return stage.step.run([SetAside(arrived=arrived(sample(name)), reason="ZeroDivisionError")])[0]


def dispositions(stage: Rehearsal) -> list[Disposition]:
    """Of every message, the oldest first."""
    return [line.disposition for line in reversed(stage.journal.read().messages())]


def test_what_shares_a_number_with_a_message_set_aside_waits_and_is_acknowledged() -> None:  # P14
    stage = engine()
    aside(stage, ORDER)

    receipt = stage.receive(sample(BOOKING))

    assert said(receipt) == "AA"
    assert row(stage, receipt).disposition is Disposition.PENDING
    assert row(stage, receipt).reason == "waits behind message 1, which was set aside for a person"


def test_what_has_nothing_to_do_with_it_goes_on() -> None:  # P14
    stage = engine()
    aside(stage, ORDER)

    receipt = stage.receive(sample(OTHER))

    assert row(stage, receipt).disposition is Disposition.APPLIED


def test_replayed_it_is_handled_and_then_what_waited_in_the_order_it_came() -> None:  # P5, P14
    stage = engine()
    aside(stage, ORDER)
    stage.receive(sample(BOOKING))
    stage.receive(sample(NOTE))

    decided = stage.step.run([MessageDecision(message=1, decision="replay", by="jane")])[0]

    assert decided.refused == ""
    assert dispositions(stage) == [Disposition.APPLIED] * 3
    assert tracks(stage)["appointment"] == "booked"
    assert tracks(stage)["note"] == "final"
    assert not tasks(stage, "quarantine")


def test_skipped_it_stays_set_aside_and_what_waited_is_handled_without_it() -> None:  # P14
    stage = engine()
    aside(stage, ORDER)
    stage.receive(sample(BOOKING))

    stage.step.run([MessageDecision(message=1, decision="skip", by="jane")])

    assert dispositions(stage) == [Disposition.QUARANTINED, Disposition.NO_OP]
    assert not tasks(stage, "quarantine")


def test_a_task_done_is_a_person_who_has_seen_it() -> None:
    stage = engine()
    aside(stage, ORDER)
    stage.receive(sample(BOOKING))
    (task,) = tasks(stage, "quarantine")

    stage.step.run([TaskDone(task=task.id, by="jane", note="called the sender")])

    assert Disposition.PENDING not in dispositions(stage)


def test_what_waits_behind_two_waits_for_both() -> None:
    stage = engine()
    aside(stage, ORDER)
    aside(stage, BOOKING)
    waiting = stage.receive(sample(NOTE))

    stage.step.run([MessageDecision(message=1, decision="replay", by="jane")])
    first = row(stage, waiting).disposition
    stage.step.run([MessageDecision(message=2, decision="replay", by="jane")])

    assert first is Disposition.PENDING
    assert dispositions(stage) == [Disposition.APPLIED] * 3


def test_replay_and_skip_are_for_what_was_set_aside_only() -> None:  # H086
    stage = engine()
    stage.receive(sample(ORDER))

    assert "was not set aside" in stage.step.run([MessageDecision(message=1, decision="replay", by="jane")])[0].refused
    assert "no message 9" in stage.step.run([MessageDecision(message=9, decision="skip", by="jane")])[0].refused
    assert "is not one of" in stage.step.run([MessageDecision(message=1, decision="shred", by="jane")])[0].refused


def test_replayed_twice_it_is_handled_once() -> None:  # H086
    stage = engine()
    aside(stage, ORDER)
    stage.step.run([MessageDecision(message=1, decision="replay", by="jane")])

    again = stage.step.run([MessageDecision(message=1, decision="replay", by="john")])[0]

    assert again.refused
    assert len(stage.journal.read().referrals()) == 1


def test_sent_again_while_set_aside_it_gets_its_first_answer() -> None:  # P2
    stage = engine()
    first = aside(stage, ORDER)

    again = stage.receive(sample(ORDER))

    assert again.duplicate
    assert again.answer == first.answer


def test_every_message_of_a_batch_that_broke_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from referral_engine.service.handling import alone

    stage = engine()
    real: Callable[..., object] = arrivals.consider
    monkeypatch.setattr(arrivals, "consider", _breaks)

    alone(stage.step, arrived(sample(ORDER) + sample(OTHER)))
    monkeypatch.setattr(arrivals, "consider", real)

    assert dispositions(stage) == [Disposition.QUARANTINED] * 2


def _breaks(*_: object) -> None:
    raise ZeroDivisionError
