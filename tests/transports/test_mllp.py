"""The MLLP client: what a scripted peer says decides what becomes of a message, and never of another one."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from referral_engine.loop.events import Outcome
from referral_engine.transports import mllp
from referral_engine.transports.mllp import MllpPeer
from referral_engine.transports.transport import Attempt
from tests.transports.peers import BODY, Office, ack, effect, framed


class _Bench:
    def __init__(self, *script: Any, **settings: Any) -> None:
        self.clock = Clock()
        self.office = Office(self.clock, script)
        self.peer = MllpPeer(
            endpoint=self.office, timer=self.clock, peer="10.0.0.9:2575", ack_timeout_seconds=30.0, **settings
        )
        self.attempts: list[Attempt] = []

    def deliver(self, **changes: Any) -> None:
        self.peer.deliver(effect(**changes)).addCallback(self.attempts.append)
        self.turn()

    def turn(self) -> None:
        for _ in range(6):
            self.clock.advance(0)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.turn()

    @property
    def newest(self) -> Attempt:
        return self.attempts[-1]


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_an_acceptance_that_names_the_message_delivers_it(code: str) -> None:
    bench = _Bench(framed(ack(code)))

    bench.deliver()

    assert bench.newest == Attempt(outcome=Outcome.DELIVERED, reason=f"MSA-1 was {code}", reply=ack(code))
    assert bench.office.received == [BODY]


def test_the_bytes_on_the_wire_are_those_of_the_row() -> None:
    bench = _Bench(framed(ack("AA")))

    bench.deliver()

    assert bench.office.lines[0].value() == framed(BODY)


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_a_rejection_is_a_failure_and_never_delivered(code: str) -> None:
    bench = _Bench(framed(ack(code, error="103")))

    bench.deliver()

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.FAILED, f"MSA-1 was {code}")
    assert bench.newest.reply == ack(code, error="103")


@pytest.mark.parametrize("error", ["206", "207"])
def test_a_passing_error_is_tried_again_and_is_no_unknown_fate(error: str) -> None:
    bench = _Bench(framed(ack("AE", error=error)))

    bench.deliver()

    assert bench.newest.outcome is Outcome.RETRY
    assert not bench.newest.ambiguous
    assert not bench.newest.unreachable


def test_one_connection_is_kept_for_the_next_message() -> None:
    bench = _Bench(framed(ack("AA")), framed(ack("AA", "RE0000000102")))

    bench.deliver()
    bench.deliver(wire_id="RE0000000102")

    assert [one.outcome for one in bench.attempts] == [Outcome.DELIVERED, Outcome.DELIVERED]
    assert len(bench.office.lines) == 1


def test_a_kept_connection_that_the_peer_closed_while_idle_is_replaced_and_the_message_sent_once() -> None:
    bench = _Bench(framed(ack("AA")), framed(ack("AA", "RE0000000102")))
    bench.deliver()
    bench.office.lines[0].end()

    bench.deliver(wire_id="RE0000000102", body=BODY.replace(b"0101", b"0102"))

    assert bench.newest.outcome is Outcome.DELIVERED
    assert [len(line.received) for line in bench.office.lines] == [1, 1]


def test_an_address_that_swallows_connects_is_given_up_after_ten_seconds() -> None:
    bench = _Bench()
    bench.office.swallows = True

    bench.deliver()
    bench.wait(9.9)
    early = list(bench.attempts)
    bench.wait(0.2)

    assert early == []
    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.RETRY, mllp.CONNECT_LATE)
    assert bench.newest.unreachable
    assert not bench.newest.ambiguous
    assert bench.office.cancelled == 1


def test_a_refused_connection_is_tried_again_and_not_ambiguous() -> None:
    bench = _Bench()
    bench.office.refuses = True

    bench.deliver()

    assert bench.newest == Attempt(outcome=Outcome.RETRY, reason=mllp.REFUSED, unreachable=True)


def test_after_a_refusal_the_next_attempt_connects_anew() -> None:
    bench = _Bench(framed(ack("AA")))
    bench.office.refuses = True
    bench.deliver()

    bench.office.refuses = False
    bench.deliver()

    assert bench.newest.outcome is Outcome.DELIVERED


def test_a_late_acknowledgment_is_never_credited_to_the_next_message() -> None:
    bench = _Bench(None, framed(ack("AA", "RE0000000101")))
    bench.deliver()
    bench.wait(31)
    first_line = bench.office.lines[0]

    bench.deliver(wire_id="RE0000000102")  # is answered with the ACK of 101

    assert [one.reason for one in bench.attempts] == [mllp.ACK_LATE, mllp.MISMATCH]
    assert [one.outcome for one in bench.attempts] == [Outcome.RETRY, Outcome.RETRY]
    assert all(one.ambiguous for one in bench.attempts)
    assert not first_line.open
    assert not bench.office.lines[1].open


def test_silence_leaves_the_message_to_be_tried_again_and_the_lane_recovers() -> None:
    bench = _Bench(None, framed(ack("AA")))

    bench.deliver()
    bench.wait(31)
    bench.deliver()

    assert [one.outcome for one in bench.attempts] == [Outcome.RETRY, Outcome.DELIVERED]
    assert bench.office.received == [BODY, BODY]


def test_garbage_instead_of_an_acknowledgment_is_not_sent() -> None:
    bench = _Bench(framed(b"OK, thank you"))

    bench.deliver()

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.RETRY, mllp.NO_ACK)
    assert bench.newest.reply == b"OK, thank you"
    assert not bench.office.lines[0].open


def test_an_unframed_acknowledgment_is_named_as_such() -> None:
    bench = _Bench(ack("AA"))

    bench.deliver()
    bench.wait(31)

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.RETRY, mllp.UNFRAMED)


def test_an_acknowledgment_in_many_pieces_is_read_to_its_end() -> None:
    whole = framed(ack("AA"))
    bench = _Bench([bytes([byte]) for byte in whole])

    bench.deliver()

    assert bench.newest.outcome is Outcome.DELIVERED


def test_junk_before_a_good_acknowledgment_does_not_spoil_it() -> None:
    bench = _Bench(b"\r\nwelcome\r\n" + framed(ack("AA")))

    bench.deliver()

    assert bench.newest.outcome is Outcome.DELIVERED


def test_an_extra_frame_after_the_answer_ends_the_connection_but_not_the_delivery() -> None:
    bench = _Bench(framed(ack("AA"), ack("AA", "something else")))

    bench.deliver()

    assert bench.newest.outcome is Outcome.DELIVERED
    assert not bench.office.lines[0].open


def test_a_frame_that_nobody_asked_for_ends_an_idle_connection() -> None:
    bench = _Bench(framed(ack("AA")))
    bench.deliver()

    bench.office.lines[0].say(framed(ack("AA")))

    assert not bench.office.lines[0].open


@pytest.mark.parametrize("how", ["close", "cut"])
def test_a_connection_lost_before_the_answer_leaves_the_fate_unknown(how: str) -> None:
    bench = _Bench(how)

    bench.deliver()

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.RETRY, mllp.LOST)
    assert bench.newest.ambiguous


def test_an_answer_that_breaks_framing_confirms_nothing() -> None:
    bench = _Bench(b"\x0bMSH|\x1cX")

    bench.deliver()

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.RETRY, mllp.BROKEN_FRAMING)


def test_a_query_response_with_msa_is_an_answer() -> None:
    answer = ack("AA").replace(b"ACK^O01^ACK", b"RSP^K11^RSP_K11")
    bench = _Bench(framed(answer))

    bench.deliver()

    assert bench.newest.outcome is Outcome.DELIVERED


def test_enhanced_mode_waits_for_the_application_after_custody() -> None:
    bench = _Bench(framed(ack("CA"), ack("AA")), enhanced=True)

    bench.deliver()

    assert (bench.newest.outcome, bench.newest.reply) == (Outcome.DELIVERED, ack("AA"))
    assert bench.office.lines[0].open


def test_enhanced_mode_fails_when_the_application_says_no_after_custody() -> None:
    bench = _Bench([framed(ack("CA")), framed(ack("AE"))], enhanced=True)

    bench.deliver()

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.FAILED, "MSA-1 was AE")


def test_custody_without_an_application_answer_is_handed_over_and_not_tried_again() -> None:
    bench = _Bench(framed(ack("CA")), enhanced=True)

    bench.deliver()
    bench.wait(31)

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.HANDED_OVER, mllp.NO_APPLICATION_ANSWER)
    assert bench.newest.reply == ack("CA")


def test_custody_is_enough_when_msh_16_asks_for_nothing_more() -> None:
    bench = _Bench(framed(ack("CA")), enhanced=True)

    bench.deliver(body=BODY.replace(b"|AL|AL\r", b"|AL|NE\r"))

    assert bench.newest.outcome is Outcome.DELIVERED


def test_a_body_with_a_framing_byte_is_a_failure_and_nothing_is_sent() -> None:
    bench = _Bench()

    bench.deliver(body=b"MSH|\x1c")

    assert bench.newest.outcome is Outcome.FAILED
    assert bench.office.lines == []


def test_stopping_ends_the_wait_for_a_silent_peer() -> None:
    bench = _Bench(None)
    bench.deliver()

    bench.peer.stop()
    bench.turn()

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.RETRY, mllp.STOPPED)
    assert bench.newest.ambiguous
    assert bench.clock.getDelayedCalls() == []


def test_with_tls_nothing_is_sent_before_the_handshake() -> None:
    bench = _Bench(framed(ack("AA")), tls=True)

    bench.deliver()
    before = bench.office.received
    bench.office.lines[0].protocol.handshakeCompleted()
    bench.turn()

    assert before == []
    assert bench.newest.outcome is Outcome.DELIVERED


def test_a_failed_handshake_is_named_and_leaves_no_doubt() -> None:
    from OpenSSL import SSL
    from twisted.python.failure import Failure

    bench = _Bench(tls=True)
    bench.deliver()

    bench.office.lines[0].protocol.connectionLost(Failure(SSL.Error()))
    bench.turn()

    assert bench.newest == Attempt(outcome=Outcome.RETRY, reason=mllp.TLS_FAILED, unreachable=True)
