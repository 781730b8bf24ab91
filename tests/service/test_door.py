"""Batches: inputs that arrive together are committed together, and one that breaks takes nobody along."""

from __future__ import annotations

import pytest
from twisted.internet.defer import fail
from twisted.internet.task import Clock

from referral_engine.base.errors import JournalError, OutcomeUnknown
from referral_engine.flow.inputs import Arrived, Claim, Input, Receipt, SetAside, Settled, Ticked
from referral_engine.loop.events import Outcome
from referral_engine.service.door import Door, HandlingBroke
from referral_engine.service.executor import SynchronousExecutor
from referral_engine.service.host import LocalHost
from tests.service.doubles import PausedExecutor, RecordingStep


def _arrived(raw: bytes) -> Arrived:
    return Arrived(raw=raw, peer="10.0.0.7")


class _Door:
    def __init__(self, executor: object = None, **more: object) -> None:
        self.clock = Clock()
        self.step = RecordingStep()
        host = LocalHost(step=self.step, read=lambda: None, executor=executor or SynchronousExecutor())
        self.door = Door(host=host, clock=self.clock, **more)
        self.receipts: list[bytes] = []
        self.failures: list[type[BaseException]] = []

    def submit(self, *raws: bytes) -> None:
        for raw in raws:
            self.door.submit(_arrived(raw)).addCallbacks(
                lambda receipt: self.receipts.append(receipt.answer),
                lambda failure: self.failures.append(failure.type),
            )

    def turn(self) -> None:
        self.clock.advance(0)


def test_inputs_of_one_turn_of_the_reactor_are_one_batch() -> None:
    bench = _Door()

    bench.submit(b"1", b"2", b"3")
    bench.turn()

    assert [len(batch) for batch in bench.step.batches] == [3]
    assert bench.receipts == [b"ACK 1", b"ACK 2", b"ACK 3"]


def test_a_lone_input_is_committed_in_the_next_turn_without_waiting_for_company() -> None:
    bench = _Door()

    bench.submit(b"1")
    bench.turn()

    assert bench.receipts == [b"ACK 1"]
    assert bench.clock.seconds() == 0


def test_while_one_batch_is_being_committed_the_next_collects() -> None:
    executor = PausedExecutor()
    bench = _Door(executor)
    bench.submit(b"1")
    bench.turn()

    bench.submit(b"2", b"3")
    bench.turn()
    bench.submit(b"4")
    executor.let_one_run()
    executor.let_one_run()

    assert [[one.raw for one in batch] for batch in bench.step.batches] == [[b"1"], [b"2", b"3", b"4"]]
    assert bench.receipts == [b"ACK 1", b"ACK 2", b"ACK 3", b"ACK 4"]


def test_a_batch_has_at_most_its_limit() -> None:
    bench = _Door()

    bench.submit(*[b"%d" % number for number in range(150)])
    bench.turn()

    assert [len(batch) for batch in bench.step.batches] == [64, 64, 22]
    assert bench.receipts == [b"ACK %d" % number for number in range(150)]


def test_the_journal_is_busy_again_before_receipts_are_handed_out() -> None:
    executor = PausedExecutor()
    bench = _Door(executor)
    bench.submit(b"1")
    bench.turn()
    busy_when_told: list[int] = []
    bench.door.on_batch.append(lambda: busy_when_told.append(len(executor.waiting)))

    bench.submit(b"2")
    executor.let_one_run()

    assert busy_when_told == [1]


def test_a_message_that_breaks_its_handling_is_set_aside_and_its_neighbours_go_on() -> None:
    bench = _Door()
    bench.step.breaks_on[b"poison"] = KeyError("a patient's name")

    bench.submit(b"1", b"poison", b"2")
    bench.turn()

    assert bench.receipts == [b"ACK 1", b"ASIDE poison", b"ACK 2"]
    aside = [given for given in bench.step.committed if isinstance(given, SetAside)]
    assert [one.reason for one in aside] == ["KeyError"]
    assert bench.door.counts.set_aside == 1
    assert not bench.door.fenced


def test_a_command_that_breaks_fails_alone() -> None:
    bench = _Door()

    def answer(given: object) -> Receipt:
        if given == Ticked():
            raise ValueError("of ours")
        return Receipt(answer=b"fine")

    bench.step.answers = answer
    told: list[type[BaseException]] = []
    bench.door.submit(Ticked()).addErrback(lambda failure: told.append(failure.type))
    bench.submit(b"1")
    bench.turn()

    assert told == [HandlingBroke]
    assert bench.receipts == [b"fine"]


@pytest.mark.parametrize("error", [JournalError("full"), OutcomeUnknown("fsync")])
def test_a_journal_that_fails_is_never_asked_again_and_nobody_gets_a_receipt(error: JournalError) -> None:
    executor = PausedExecutor()
    bench = _Door(executor)
    fenced: list[str] = []
    bench.door.on_fenced.append(lambda: fenced.append(bench.door.fenced))
    bench.submit(b"1")
    bench.turn()
    bench.submit(b"2")

    bench.step.fails_with = error
    executor.let_one_run()
    bench.submit(b"3")
    bench.turn()

    assert bench.receipts == []
    assert bench.failures == [type(error), type(error), JournalError]
    assert len(bench.step.batches) == 1
    assert executor.waiting == []
    assert fenced == [type(error).__name__]


def test_a_journal_that_cannot_be_read_fences_too() -> None:
    bench = _Door()
    told: list[type[BaseException]] = []
    bench.door.host.ping = lambda: fail(JournalError("page hash"))  # type: ignore[method-assign]  # the disk answers no more

    bench.door.ping().addErrback(lambda failure: told.append(failure.type))

    assert told == [JournalError]
    assert bench.door.fenced == "JournalError"


def test_another_number_of_receipts_than_inputs_means_that_nobody_knows() -> None:
    bench = _Door()
    bench.step.run = lambda inputs: []  # type: ignore[method-assign]

    bench.submit(b"1")
    bench.turn()

    assert bench.failures == [OutcomeUnknown]
    assert bench.door.fenced == "OutcomeUnknown"


def test_what_couriers_say_goes_ahead_of_what_arrived_before_and_a_tick_does_not() -> None:
    executor = PausedExecutor()
    bench = _Door(executor, batch_max=4)
    bench.submit(b"first")
    bench.turn()
    ahead: list[Input] = [Claim(lane="ehr"), Settled(effect=1, token=1, outcome=Outcome.DELIVERED)]

    bench.submit(b"1", b"2", b"3", b"4")
    bench.door.submit(Ticked())
    for given in ahead:
        bench.door.submit(given)
    while executor.waiting:
        executor.let_one_run()

    assert bench.step.batches[1:] == [
        [*ahead[:2], _arrived(b"1"), _arrived(b"2")],
        [_arrived(b"3"), _arrived(b"4"), Ticked()],
    ]
    assert bench.receipts == [b"ACK first", b"ACK 1", b"ACK 2", b"ACK 3", b"ACK 4"]


def test_what_goes_ahead_may_fill_a_batch_that_nobody_else_needs() -> None:
    bench = _Door(batch_max=4)

    for number in range(3):
        bench.door.submit(Claim(lane=f"{number}"))
    bench.submit(b"1")
    bench.turn()

    assert [len(batch) for batch in bench.step.batches] == [4]


def test_a_fenced_door_refuses_what_goes_ahead_too() -> None:
    executor = PausedExecutor()
    bench = _Door(executor)
    told: list[type[BaseException]] = []
    bench.submit(b"1")
    bench.turn()
    bench.door.submit(Ticked()).addErrback(lambda failure: told.append(failure.type))

    bench.step.fails_with = OutcomeUnknown("fsync")
    executor.let_one_run()

    assert told == [OutcomeUnknown]
    assert bench.door.backlog == 0


def test_lanes_with_new_work_are_named_once_a_batch() -> None:
    bench = _Door()
    bench.step.answers = lambda given: Receipt(lanes=frozenset({"ehr", given.raw.decode()}))
    poked: list[frozenset[str]] = []
    bench.door.on_lanes.append(poked.append)

    bench.submit(b"a", b"b")
    bench.turn()

    assert poked == [frozenset({"ehr", "a", "b"})]


def test_a_full_door_says_so_until_half_of_it_is_done() -> None:
    executor = PausedExecutor()
    bench = _Door(executor, high_water_inputs=8, batch_max=2)
    room: list[int] = []
    bench.door.on_room.append(lambda: room.append(bench.door.backlog))

    bench.submit(*[b"%d" % number for number in range(8)])
    bench.turn()
    assert bench.door.full
    executor.let_one_run()
    assert bench.door.full
    executor.let_one_run()

    assert not bench.door.full
    assert room == [4]


def test_a_few_large_letters_fill_the_door_as_well() -> None:
    bench = _Door(PausedExecutor(), high_water_bytes=1000)

    bench.submit(b"x" * 600)
    assert not bench.door.full
    bench.submit(b"x" * 600)

    assert bench.door.full


def test_drain_waits_for_the_last_receipt() -> None:
    executor = PausedExecutor()
    bench = _Door(executor)
    bench.submit(b"1")
    bench.turn()
    drained: list[object] = []

    bench.door.drain().addCallback(drained.append)
    assert drained == []
    executor.let_one_run()

    assert drained == [None]
