"""What a sender hears, from the wire down to the journal and back: the real door behind a listener, on virtual time."""

from __future__ import annotations

import pytest

from referral_engine.base.clock import ManualClock
from referral_engine.base.errors import JournalError, OutcomeUnknown
from referral_engine.channels.admission import partner_of_connection
from referral_engine.channels.partner import Partner
from referral_engine.flow.inputs import Arrived, Receipt
from referral_engine.flow.step import Step
from referral_engine.hl7.message import Message
from referral_engine.journal.journal import Journal
from referral_engine.service.busy import BusyAnswers
from referral_engine.service.door import Waiter
from tests.edge.peers import Chunks, Leave, Peer, Wait
from tests.flow.stage import MONDAY, ORDER, at, book, sample
from tests.service.doubles import Bench, PausedExecutor, framed

HERE = "127.0.0.1"  # where the shipped partners call from
BUSY = Partner(name="heart", when_unavailable="busy")
MESSAGE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|1|P|2.5.1\rPID|1||7\r"


class Engine(Bench):
    """A listener before the real door and a journal in memory."""

    def __init__(self, executor: PausedExecutor | None = None) -> None:
        self.journal = Journal.open(":memory:", None, node="RE", now=1)
        clock = ManualClock(at(MONDAY))
        partner = partner_of_connection(book(), listener="default", peer=HERE)
        super().__init__(
            step=Step(self.journal, book(), clock), executor=executor, partners={HERE: partner},
            busy=BusyAnswers(clock, book().engine.identity),
        )  # fmt: skip

    def stored(self) -> list[bytes]:
        """The bytes of every message in the journal, in order."""
        reading = self.journal.read()
        found = [reading.message(sequence) for sequence in range(1, 50)]
        return [one.raw for one in found if one is not None]


def _msa(answer: bytes) -> list[bytes]:
    """The fields of MSA, as they are on the wire."""
    (line,) = [line for line in answer.split(b"\r") if line.startswith(b"MSA")]
    return line.split(line[3:4])


def test_a_message_that_cannot_be_parsed_is_refused_with_a_reason_and_its_bytes_are_kept() -> None:  # H044
    engine = Engine()
    peer = Peer(engine, HERE)

    (answer,) = peer.play(framed(b"this is no HL7 message\r"))

    assert _msa(answer)[1] == b"AR"
    assert b"ERR" in answer or len(_msa(answer)) > 3
    assert engine.stored() == [b"this is no HL7 message\r"]
    assert peer.ended == ""


def test_a_message_without_a_control_id_gets_an_answer_to_the_right_address() -> None:  # H045
    engine = Engine()

    (answer,) = Peer(engine, HERE).play(framed(sample(ORDER, {"MSH-10": ""})))
    received, said = Message.parse(sample(ORDER)).header, Message.parse(answer).header

    assert _msa(answer)[2:3] in ([], [b""])
    assert (said.receiving_application, said.receiving_facility) == (
        received.sending_application,
        received.sending_facility,
    )
    assert said.sending_application == book().engine.identity.application


@pytest.mark.parametrize("control_id", [b"A1  ", b"A\\F\\1", b"\xe4\xf6\xfc", b"a^b", b"0" * 60])
def test_the_control_id_comes_back_byte_for_byte(control_id: bytes) -> None:  # H047
    raw = sample(ORDER)
    fields = raw.split(b"|")
    engine = Engine()

    (answer,) = Peer(engine, HERE).play(framed(raw.replace(b"|" + fields[9] + b"|", b"|" + control_id + b"|", 1)))

    assert _msa(answer)[2] == control_id


def test_unusual_delimiters_come_back_too() -> None:  # H047
    engine = Engine()

    (answer,) = Peer(engine, HERE).play(framed(b"MSH#*~\\&#X#Y#C#D#20260101##ADT*A08#I~1#P#2.5.1\rPID#1##7\r"))

    assert answer.startswith(b"MSH#*~\\&#")
    assert _msa(answer)[2] == b"I~1"


@pytest.mark.parametrize("raw", [sample(ORDER), b"rubbish", MESSAGE, sample(ORDER, {"MSH-12": "2.3"})])
def test_every_segment_of_an_answer_ends_with_cr(raw: bytes) -> None:  # H048
    engine = Engine()

    (answer,) = Peer(engine, HERE).play(framed(raw))

    assert answer.endswith(b"\r")
    assert b"\n" not in answer
    assert all(line[:3].isalnum() for line in answer.split(b"\r")[:-1])


@pytest.mark.parametrize("accept", ["", "AL"])
def test_nothing_is_said_before_the_commit(accept: str) -> None:  # H050
    executor = PausedExecutor()
    engine = Engine(executor)
    peer = Peer(engine, HERE)

    before = peer.play(framed(sample(ORDER, {"MSH-15": accept})), Wait(30))
    stored_before = engine.stored()
    executor.let_one_run()
    (answer,) = peer.heard()

    assert (before, stored_before) == ([], [])
    assert _msa(answer)[1] == (b"CA" if accept else b"AA")
    assert len(engine.stored()) == 1


@pytest.mark.parametrize("fault", [JournalError("disk full"), OutcomeUnknown("COMMIT failed")])
def test_a_commit_that_fails_is_never_followed_by_an_accept(fault: JournalError) -> None:  # H026, H050, H051
    bench = Bench()
    bench.step.fails_with = fault
    peer, idle = Peer(bench), Peer(bench, "10.0.0.9")

    heard = peer.play(framed(MESSAGE, MESSAGE))

    assert (heard, peer.ended, idle.ended) == ([], "cut", "cut")
    assert not bench.listener.listening


def test_a_partner_who_prefers_it_hears_that_we_are_busy_and_may_try_again() -> None:  # H051
    busy = BusyAnswers(ManualClock(at(MONDAY)), book().engine.identity)
    bench = Bench(partners={"10.0.0.7": BUSY}, busy=busy)
    bench.step.fails_with = JournalError("disk full")
    peer, other = Peer(bench), Peer(bench, "10.0.0.9")

    heard = peer.play(framed(MESSAGE, sample(ORDER, {"MSH-15": "AL", "MSH-16": "NE"})))

    assert [_msa(one)[1] for one in heard] == [b"AE", b"CE"]
    assert _msa(heard[0])[2] == b"1"
    assert [Message.parse(one).value("ERR-3.1") for one in heard] == ["207", "207"]
    assert (peer.ended, other.ended) == ("closed", "cut")
    assert bench.listener.counts.busy == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"rubbish",
        b"MSH|^~\\&|A|B|C|D|20260101||ACK|1|P|2.5.1\rMSA|AA|9\r",
        b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|1|P|2.5.1|||NE|NE\rPID|1||7\r",
    ],
)
def test_busy_is_not_said_to_whom_nothing_may_be_said(raw: bytes) -> None:  # H051, H053
    bench = Bench(partners={"10.0.0.7": BUSY}, busy=BusyAnswers(ManualClock(at(MONDAY)), book().engine.identity))
    bench.step.fails_with = JournalError("disk full")
    peer = Peer(bench)

    assert (peer.play(framed(raw)), peer.ended) == ([], "cut")


def test_answers_of_a_committed_batch_stay_accepts_when_the_next_one_fails() -> None:  # H051
    executor = PausedExecutor()
    bench = Bench(partners={"10.0.0.7": BUSY}, executor=executor, batch_max=1, busy=lambda _raw: b"later")
    peer = Peer(bench)

    peer.play(framed(b"1", b"2", b"3"))
    executor.let_one_run()
    bench.step.fails_with = JournalError("disk full")
    executor.let_one_run()

    assert (peer.heard(), peer.ended) == ([b"ACK 1", b"later", b"later"], "closed")


def test_an_acknowledgment_that_arrives_as_a_message_is_recorded_and_not_acknowledged() -> None:  # H053
    engine = Engine()
    acknowledgment = b"MSH|^~\\&|EHR|RIVERBEND|RE|RE|20260302||ACK^A08^ACK|Z1|P|2.5.1\rMSA|AA|RE1\r"

    heard = Peer(engine, HERE).play(framed(acknowledgment))

    assert (heard, engine.stored()) == ([], [acknowledgment])


def test_each_answer_goes_to_its_own_peer_however_the_packets_interleave() -> None:  # H054
    bench = Bench()
    peers = [Peer(bench, f"10.0.0.{number}") for number in range(10)]
    streams = [framed(b"%d a" % number, b"%d b" % number) for number in range(10)]

    for at_byte in range(len(streams[0])):
        for peer, stream in zip(peers, streams, strict=True):
            peer.play(stream[at_byte : at_byte + 1])

    assert [peer.heard() for peer in peers] == [[b"ACK %d a" % number, b"ACK %d b" % number] for number in range(10)]


def test_an_answer_waits_for_nothing_but_its_commit() -> None:  # H055
    executor = PausedExecutor()
    bench = Bench(executor=executor)
    peer = Peer(bench)

    peer.play(Chunks(framed(MESSAGE)))
    executor.let_one_run()

    assert peer.heard() == [b"ACK " + MESSAGE]
    assert bench.clock.seconds() == 0


def test_receipts_that_come_back_out_of_order_leave_in_the_order_of_the_requests(  # H057
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    peer = Peer(bench)
    waiters: list[Waiter] = []
    monkeypatch.setattr(bench.door, "put", lambda _given, waiter: waiters.append(waiter))

    peer.play(framed(b"1", b"2", b"3"))
    for number in (2, 0, 1):
        waiters[number].answered(Receipt(answer=b"answer %d" % number))
        bench.listener.flush()

    assert peer.heard() == [b"answer 0", b"answer 1", b"answer 2"]


def test_a_sender_that_leaves_before_its_answer_finds_its_message_kept() -> None:  # F-D07
    executor = PausedExecutor()
    engine = Engine(executor)

    Peer(engine, HERE).play(framed(sample(ORDER)), Leave("close"))
    executor.let_one_run()

    assert engine.stored() == [sample(ORDER)]
    assert engine.listener.counts.unanswered == 1


def test_a_message_whose_answer_was_lost_gets_the_same_answer_again() -> None:  # F-D08
    engine = Engine()

    before = Peer(engine, HERE)
    first = before.play(framed(sample(ORDER)))
    before.play(Leave("reset"))
    second = Peer(engine, HERE).play(framed(sample(ORDER)))

    assert first == second
    assert len(engine.stored()) == 1


def test_a_message_sent_again_while_it_is_being_committed_joins_it() -> None:  # F-D09
    executor = PausedExecutor()
    engine = Engine(executor)
    one, two = Peer(engine, HERE), Peer(engine, HERE)

    one.play(framed(sample(ORDER)))
    two.play(framed(sample(ORDER), sample(ORDER)))
    while executor.waiting:
        executor.let_one_run()
        engine.turn()

    assert two.heard() == one.heard() * 2
    assert len(engine.stored()) == 1


def test_a_receipt_carries_who_showed_which_certificate() -> None:
    bench = Bench()
    Peer(bench).play(framed(MESSAGE))

    assert [(one.peer, one.listener, one.certificates) for one in bench.step.committed if isinstance(one, Arrived)] == [
        ("10.0.0.7", "default", ())
    ]
