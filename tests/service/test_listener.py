"""One MLLP port: who gets in, who is answered in what order, and who is hung up on."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import JournalError, OutcomeUnknown
from referral_engine.channels.engine import Listener, Tls
from referral_engine.flow.inputs import Arrived, FrameBroken, Receipt
from referral_engine.service.door import Waiter
from referral_engine.service.listener import EVIDENCE_PER_WINDOW_MAX
from tests.service.doubles import Bench, PausedExecutor, Wire, framed

MESSAGE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|1|P|2.5.1\r"


def test_a_message_is_answered_after_its_commit_and_not_before() -> None:
    executor = PausedExecutor()
    bench = Bench(executor=executor)
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(MESSAGE))
    bench.turn()
    before = wire.value()
    executor.let_one_run()

    assert before == b""
    assert wire.value() == framed(b"ACK " + MESSAGE)


def test_several_frames_of_one_read_are_answered_in_order_with_one_write() -> None:
    bench = Bench()
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(b"1", b"2", b"3"))
    bench.turn()

    assert wire.writes == [framed(b"ACK 1", b"ACK 2", b"ACK 3")]
    assert len(bench.step.batches) == 1


def test_answers_leave_in_the_order_of_the_requests_when_receipts_come_back_out_of_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    wire = bench.must_connect()
    waiters: list[Waiter] = []
    monkeypatch.setattr(bench.door, "put", lambda _given, waiter: waiters.append(waiter))

    wire.protocol.dataReceived(framed(b"1", b"2"))
    waiters[1].answered(Receipt(answer=b"second"))
    bench.listener.flush()
    early = wire.value()
    waiters[0].answered(Receipt(answer=b"first"))
    bench.listener.flush()

    assert early == b""
    assert wire.value() == framed(b"first", b"second")


def test_each_answer_goes_to_its_own_peer() -> None:
    bench = Bench()
    one, two = bench.must_connect("10.0.0.1"), bench.must_connect("10.0.0.2")

    one.protocol.dataReceived(framed(b"1"))
    two.protocol.dataReceived(framed(b"2"))
    bench.turn()

    assert (one.value(), two.value()) == (framed(b"ACK 1"), framed(b"ACK 2"))
    assert [given.peer for given in bench.step.committed if isinstance(given, Arrived)] == ["10.0.0.1", "10.0.0.2"]


def test_a_receipt_without_an_answer_sends_nothing_and_holds_up_nobody() -> None:
    bench = Bench()
    bench.step.answers = lambda given: Receipt(answer=b"" if given.raw == b"an ACK" else b"fine")
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(b"an ACK", b"2"))
    bench.turn()

    assert wire.value() == framed(b"fine")


def test_a_frame_split_into_single_bytes_is_one_message() -> None:
    bench = Bench()
    wire = bench.must_connect()

    for number in framed(MESSAGE):
        wire.protocol.dataReceived(bytes([number]))
    bench.turn()

    assert wire.value() == framed(b"ACK " + MESSAGE)


def test_an_empty_frame_is_counted_and_the_connection_survives() -> None:
    bench = Bench()
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(b"", b"1"))
    bench.turn()

    assert wire.value() == framed(b"ACK 1")
    assert bench.listener.counts.empty_frames == 1


def test_frames_that_were_complete_are_answered_before_a_broken_one_ends_the_connection() -> None:
    executor = PausedExecutor()
    bench = Bench(executor=executor)
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(b"1") + b"\x0bMSH|\x1cbinary")
    bench.turn()
    before = wire.ended
    executor.let_one_run()

    assert before == ""
    assert wire.value() == framed(b"ACK 1")
    assert wire.ended == "closed"
    assert bench.listener.counts.errors == {"fs-in-payload": 1}


def test_a_frame_that_never_ends_is_cut_at_the_limit_without_an_answer_and_others_go_on() -> None:
    bench = Bench(settings=Listener(frame_bytes_max=1000))
    endless, other = bench.must_connect(), bench.must_connect()

    endless.protocol.dataReceived(b"\x0bMSH|" + b"x" * 2000)
    other.protocol.dataReceived(framed(b"1"))
    bench.turn()

    assert (endless.ended, endless.value()) == ("closed", b"")
    assert other.value() == framed(b"ACK 1")
    assert bench.listener.status()["last_error"] == "frame-too-long"


def test_a_browser_on_the_mllp_port_is_named_and_closed() -> None:
    bench = Bench()
    wire = bench.must_connect()

    wire.protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert wire.ended == "closed"
    assert bench.listener.counts.errors == {"not-mllp": 1}


def test_junk_between_frames_is_counted_and_the_next_frame_is_not_lost() -> None:
    bench = Bench()
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(b"1") + b"log line" + framed(b"2"))
    bench.turn()

    assert wire.value() == framed(b"ACK 1", b"ACK 2")
    assert (bench.listener.counts.junk_bytes, bench.listener.counts.blank_bytes) == (len(b"logline"), 1)


def test_a_frame_whose_cr_never_comes_is_answered_after_a_moment() -> None:
    bench = Bench()
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(b"1")[:-1])
    bench.clock.advance(0.3)
    bench.turn()

    assert wire.value() == framed(b"ACK 1")
    assert bench.listener.counts.missing_crs == 1


@pytest.mark.parametrize("error", [JournalError("disk full"), OutcomeUnknown("COMMIT failed")])
def test_when_the_journal_fails_nobody_is_answered_and_everyone_is_hung_up_on(error: JournalError) -> None:
    bench = Bench()
    asking, idle = bench.must_connect(), bench.must_connect()
    bench.step.fails_with = error

    asking.protocol.dataReceived(framed(b"1"))
    bench.turn()

    assert (asking.ended, idle.ended) == ("cut", "cut")
    assert asking.value() == b""
    assert bench.connect() is None
    assert not bench.listener.listening


def test_a_message_that_cannot_even_be_set_aside_costs_its_own_connection_only() -> None:
    bench = Bench()
    bad, good = bench.must_connect(), bench.must_connect()

    def answer(given: object) -> Receipt:
        if not isinstance(given, Arrived) or given.raw == b"poison":
            raise KeyError("a patient's name")
        return Receipt(answer=b"fine")

    bench.step.answers = answer
    bad.protocol.dataReceived(framed(b"poison"))
    good.protocol.dataReceived(framed(b"1"))
    bench.turn()

    assert (bad.ended, bad.value()) == ("cut", b"")
    assert (good.ended, good.value()) == ("", framed(b"fine"))


def test_a_sender_that_does_not_wait_for_answers_is_read_32_frames_at_a_time() -> None:
    executor = PausedExecutor()
    bench = Bench(executor=executor)
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(*[b"%d" % number for number in range(100)]))
    bench.turn()
    paused = wire.paused
    while executor.waiting:
        assert bench.door.backlog <= 32
        executor.let_one_run()
        bench.turn()

    assert paused
    assert not wire.paused
    assert wire.value() == framed(*[b"ACK %d" % number for number in range(100)])


def test_when_the_door_is_full_reading_stops_and_goes_on_when_there_is_room() -> None:
    executor = PausedExecutor()
    bench = Bench(executor=executor, high_water_inputs=2, batch_max=1)
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(b"1", b"2", b"3", b"4"))
    bench.turn()
    paused = wire.paused
    backlog = bench.door.backlog
    while executor.waiting:
        executor.let_one_run()
        bench.turn()

    assert (paused, backlog) == (True, 2)
    assert not wire.paused
    assert wire.value() == framed(b"ACK 1", b"ACK 2", b"ACK 3", b"ACK 4")


def test_a_peer_that_closes_its_side_gets_its_answer_and_then_the_close() -> None:
    executor = PausedExecutor()
    bench = Bench(executor=executor)
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(b"1"))
    wire.protocol.readConnectionLost()
    bench.turn()
    before = wire.ended
    executor.let_one_run()

    assert before == ""
    assert wire.value() == framed(b"ACK 1")
    assert wire.ended == "closed"


def test_half_a_frame_before_the_close_is_never_a_message() -> None:
    bench = Bench()
    wire = bench.must_connect()

    wire.protocol.dataReceived(b"\x0bMSH|^~\\&|half")
    wire.protocol.readConnectionLost()
    bench.turn()

    assert bench.step.batches == []
    assert (wire.ended, bench.listener.counts.unfinished) == ("closed", 1)


def test_a_sender_that_left_before_its_answer_is_counted_and_its_message_is_kept() -> None:
    executor = PausedExecutor()
    bench = Bench(executor=executor)
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(b"1"))
    bench.turn()
    wire.loseConnection()
    executor.let_one_run()

    assert [given.raw for given in bench.step.committed if isinstance(given, Arrived)] == [b"1"]
    assert bench.listener.counts.unanswered == 1
    assert wire.value() == b""


def test_a_peer_that_does_not_read_its_answers_is_paused_and_after_a_minute_cut() -> None:
    bench = Bench()
    slow, other = bench.must_connect(), bench.must_connect()

    slow.protocol.pauseProducing()  # the transport: my buffer is full
    paused = slow.paused
    bench.clock.pump([1.0] * 62)
    other.protocol.dataReceived(framed(b"1"))
    bench.turn()

    assert paused
    assert slow.ended == "cut"
    assert bench.listener.counts.errors == {"answers-not-read": 1}
    assert other.value() == framed(b"ACK 1")


def test_a_peer_that_reads_again_is_read_again() -> None:
    bench = Bench()
    wire = bench.must_connect()

    wire.protocol.pauseProducing()
    wire.protocol.resumeProducing()

    assert not wire.paused


def test_an_idle_connection_is_closed_and_that_is_no_error() -> None:
    bench = Bench(settings=Listener(idle_timeout_seconds=30.0))
    wire = bench.must_connect()
    wire.protocol.dataReceived(framed(b"1"))
    bench.turn()

    bench.clock.pump([1.0] * 32)

    assert wire.ended == "closed"
    assert (bench.listener.counts.idle_closes, bench.listener.counts.errors) == (1, {})


def test_a_connection_that_waits_for_the_disk_is_not_idle() -> None:
    executor = PausedExecutor()
    bench = Bench(executor=executor, settings=Listener(idle_timeout_seconds=5.0))
    wire = bench.must_connect()
    wire.protocol.dataReceived(framed(b"1"))

    bench.clock.pump([1.0] * 20)
    executor.let_one_run()

    assert wire.value() == framed(b"ACK 1")


def test_a_frame_that_drips_ends_the_connection_after_seconds() -> None:  # F-D02
    bench = Bench()
    wire = bench.must_connect()
    wire.protocol.dataReceived(b"\x0bMSH")

    for _ in range(8):
        bench.clock.advance(1.0)
        if not wire.ended:
            wire.protocol.dataReceived(b"x")

    assert wire.ended == "closed"
    assert bench.listener.counts.errors == {"frame-too-slow": 1}
    assert [one for batch in bench.step.batches for one in batch] == [
        FrameBroken(
            evidence=b"MSH" + b"x" * 5,
            peer="10.0.0.7",
            reason="frame-too-slow",
            sentence="a frame came in more slowly than the minimum rate",
            listener="default",
        )
    ]


def test_a_frame_that_is_fast_enough_and_never_ends_has_a_minute() -> None:  # H009, H012
    bench = Bench()
    wire = bench.must_connect()
    wire.protocol.dataReceived(b"\x0bMSH")

    for _ in range(60):
        wire.protocol.dataReceived(b"x" * 20_000)
        bench.clock.advance(1.0)
    before = wire.ended
    bench.clock.advance(1.0)

    assert (before, wire.ended, wire.value()) == ("", "closed", b"")
    assert bench.listener.counts.errors == {"frame-timeout": 1}


def test_the_beginning_of_a_frame_that_never_ends_is_kept_for_the_quarantine() -> None:  # H009, H129
    bench = Bench(settings=Listener(frame_bytes_max=1000))
    wire = bench.must_connect()

    wire.protocol.dataReceived(b"\x0b" + b"A" * 5000)
    bench.turn()

    kept = [one for batch in bench.step.batches for one in batch]
    assert [(one.reason, one.evidence[:3]) for one in kept if isinstance(one, FrameBroken)] == [
        ("frame-too-long", b"AAA")
    ]
    assert wire.value() == b""


def test_a_peer_that_sends_only_garbage_fills_no_disk() -> None:
    bench = Bench()

    for number in range(EVIDENCE_PER_WINDOW_MAX + 10):
        wire = bench.must_connect()
        wire.protocol.dataReceived(b"GET /%d HTTP/1.1\r\n" % number)
        bench.turn()
        wire.protocol.connectionLost()

    kept = [one for batch in bench.step.batches for one in batch if isinstance(one, FrameBroken)]
    assert len(kept) == EVIDENCE_PER_WINDOW_MAX


def test_the_connection_cap_refuses_visibly_and_names_who_holds_the_slots() -> None:
    bench = Bench(settings=Listener(connections_max=2))
    first = bench.must_connect("10.0.0.1")
    bench.must_connect("10.0.0.1")

    refused = bench.connect("10.0.0.9")
    holders = bench.listener.holders()
    first.loseConnection()
    admitted = bench.connect("10.0.0.9")

    assert refused is None
    assert bench.listener.counts.refused == {"connections-max": 1}
    assert holders == "10.0.0.1 2"
    assert admitted is not None


def test_one_peer_cannot_take_all_the_slots() -> None:
    bench = Bench(settings=Listener(per_peer_max=1))
    bench.must_connect("10.0.0.1")

    assert bench.connect("10.0.0.1") is None
    assert bench.connect("10.0.0.2") is not None
    assert bench.listener.counts.refused == {"per-peer-max": 1}


def test_a_peer_that_reconnects_in_a_loop_is_slowed_down_and_later_let_in_again() -> None:
    bench = Bench()
    for _ in range(1000):
        bench.must_connect("10.0.0.1").loseConnection()

    refused = bench.connect("10.0.0.1")
    other = bench.connect("10.0.0.2")
    bench.clock.advance(11)

    assert refused is None
    assert other is not None
    assert bench.connect("10.0.0.1") is not None


def test_many_large_unfinished_frames_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("referral_engine.service.listener.UNFINISHED_BYTES_MAX", 1000)
    bench = Bench()
    wires: list[Wire] = [bench.must_connect() for _ in range(4)]

    for wire in wires:
        wire.protocol.dataReceived(b"\x0bMSH|" + b"x" * 300)

    assert [wire.ended for wire in wires] == ["", "", "", "closed"]
    assert bench.listener.counts.errors == {"memory": 1}


def test_stopping_answers_what_is_in_the_door_and_takes_nothing_more() -> None:
    executor = PausedExecutor()
    bench = Bench(executor=executor)
    busy, idle = bench.must_connect(), bench.must_connect()
    busy.protocol.dataReceived(framed(b"1"))
    bench.turn()
    gone: list[object] = []

    bench.listener.stop().addCallback(gone.append)
    before = (busy.ended, idle.ended, list(gone))
    busy.protocol.dataReceived(framed(b"2"))
    executor.let_one_run()

    assert before == ("", "closed", [])
    assert busy.value() == framed(b"ACK 1")
    assert (busy.ended, gone) == ("closed", [None])
    assert bench.connect() is None


def test_a_peer_that_opens_tls_and_says_nothing_is_cut_after_ten_seconds() -> None:
    bench = Bench(settings=Listener(tls=Tls(cert="server.pem")))
    wire = bench.must_connect()

    bench.clock.pump([1.0] * 12)

    assert wire.ended == "cut"
    assert bench.listener.counts.errors == {"tls-handshake-timeout": 1}


def test_after_a_fault_of_the_journal_nothing_is_left_to_be_done() -> None:
    bench = Bench()

    bench.listener.drop()

    assert bench.clock.getDelayedCalls() == []


def test_an_application_answer_follows_its_commit_answer_in_a_frame_of_its_own() -> None:  # H049, H016
    bench = Bench()
    bench.step.answers = lambda _given: Receipt(answer=b"CA", after=b"AA")
    wire = bench.must_connect()

    wire.protocol.dataReceived(framed(b"one", b"two"))
    bench.turn()

    assert wire.writes == [framed(b"CA", b"AA", b"CA", b"AA")]
