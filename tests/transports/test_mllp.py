"""The MLLP client: what a scripted peer says decides what becomes of a message, and never of another one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from referral_engine.channels.naks import NakAction, NakMeaning
from referral_engine.loop.events import Outcome
from referral_engine.transports import mllp
from referral_engine.transports.mllp import MllpPeer
from referral_engine.transports.transport import NOT_LEASED, Attempt
from referral_engine.transports.verdict import unframed
from tests.transports.peers import BODY, Office, Wire, ack, effect, framed


class _Bench:
    def __init__(self, *script: Any, **settings: Any) -> None:
        self.clock = Clock()
        self.office = Office(self.clock, script)
        self.office.end = settings.get("trailer", self.office.end)
        self.peer = MllpPeer(
            endpoint=self.office, timer=self.clock, peer="10.0.0.9:2575", ack_timeout_seconds=30.0, **settings
        )
        self.attempts: list[Attempt] = []
        self.leased = True

    def deliver(self, **changes: Any) -> None:
        self.peer.deliver(effect(**changes), self.may_write).addCallback(self.attempts.append)
        self.turn()

    def may_write(self) -> bool:
        return self.leased

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


# H042, F-G06
@pytest.mark.parametrize("action", ["retry", "hold", "person"])
@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_a_refusal_is_what_the_partners_file_says_and_never_delivered(code: str, action: NakAction) -> None:
    nak = NakMeaning(error=action) if code in ("AE", "CE") else NakMeaning(reject=action)
    bench = _Bench(framed(ack(code, error="103")), nak=nak)

    bench.deliver()

    refused = bench.newest
    assert refused.outcome is (Outcome.FAILED if action == "person" else Outcome.RETRY)
    assert refused.holds is (action == "hold")
    assert (refused.reason, refused.reply) == (f"MSA-1 was {code}, error 103", ack(code, error="103"))
    assert (refused.ambiguous, refused.unreachable) == (False, False)
    assert bench.office.lines[0].open, "the peer is there, and it answered"


def test_without_a_word_in_the_file_an_error_is_tried_again_and_a_rejection_is_for_a_person() -> None:
    outcomes = {}
    for code in ("AE", "CE", "AR", "CR"):
        bench = _Bench(framed(ack(code)))
        bench.deliver()
        outcomes[code] = bench.newest.outcome

    assert outcomes == {"AE": Outcome.RETRY, "CE": Outcome.RETRY, "AR": Outcome.FAILED, "CR": Outcome.FAILED}


# H043
@pytest.mark.parametrize("code", ["AE", "AR"])
@pytest.mark.parametrize("error", ["206", "207"])
def test_a_passing_error_is_tried_again_and_is_no_unknown_fate(error: str, code: str) -> None:
    bench = _Bench(framed(ack(code, error=error)))

    bench.deliver()

    assert bench.newest.outcome is Outcome.RETRY
    assert not bench.newest.ambiguous
    assert not bench.newest.unreachable
    assert bench.newest.if_it_stays is not None
    assert bench.newest.if_it_stays.outcome is (Outcome.RETRY if code == "AE" else Outcome.FAILED)


def test_an_error_code_that_is_prose_is_not_repeated_to_anybody() -> None:
    bench = _Bench(framed(ack("AE", error="JANE DOE IS UNKNOWN HERE")))

    bench.deliver()

    assert bench.newest.reason == "MSA-1 was AE"


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


# H024
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


# H035, F-G04
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


# H037, H052
def test_silence_leaves_the_message_to_be_tried_again_and_the_lane_recovers() -> None:
    bench = _Bench(None, framed(ack("AA")))

    bench.deliver()
    bench.wait(31)
    bench.deliver()

    assert [one.outcome for one in bench.attempts] == [Outcome.RETRY, Outcome.DELIVERED]
    assert bench.office.received == [BODY, BODY]


# H038
def test_garbage_instead_of_an_acknowledgment_is_not_sent() -> None:
    bench = _Bench(framed(b"OK, thank you"))

    bench.deliver()

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.RETRY, mllp.NO_ACK)
    assert bench.newest.reply == b"OK, thank you"
    assert not bench.office.lines[0].open


# H039
def test_an_unframed_acknowledgment_is_named_as_such() -> None:
    bench = _Bench(ack("AA"))

    bench.deliver()
    bench.wait(31)

    assert bench.newest.outcome is Outcome.RETRY
    assert bench.newest.reason == (
        "68 bytes received without start byte (4D 53 48 7C 5E 7E 5C 26 7C xx 7C xx 7C xx 7C xx)"
    )
    assert not bench.office.lines[0].open


# H040
def test_an_acknowledgment_in_many_pieces_is_read_to_its_end() -> None:
    whole = framed(ack("AA"))
    bench = _Bench([bytes([byte]) for byte in whole])

    bench.deliver()

    assert bench.newest.outcome is Outcome.DELIVERED


def test_junk_before_a_good_acknowledgment_does_not_spoil_it() -> None:
    bench = _Bench(b"\r\nwelcome\r\n" + framed(ack("AA")))

    bench.deliver()

    assert bench.newest.outcome is Outcome.DELIVERED


# H041: the first framed one with our id wins
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

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.RETRY, f"{mllp.BROKEN_FRAMING} (fs-in-payload)")
    assert not bench.office.lines[0].open


# H056
def test_a_query_response_with_msa_is_an_answer() -> None:
    answer = ack("AA").replace(b"ACK^O01^ACK", b"RSP^K11^RSP_K11")
    bench = _Bench(framed(answer))

    bench.deliver()

    assert bench.newest.outcome is Outcome.DELIVERED


# H049
def test_enhanced_mode_waits_for_the_application_after_custody() -> None:
    bench = _Bench(framed(ack("CA"), ack("AA")), enhanced=True)

    bench.deliver()

    assert (bench.newest.outcome, bench.newest.reply) == (Outcome.DELIVERED, ack("AA"))
    assert bench.office.lines[0].open


def test_enhanced_mode_fails_when_the_application_says_no_after_custody() -> None:
    bench = _Bench([framed(ack("CA")), framed(ack("AR"))], enhanced=True)

    bench.deliver()

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.FAILED, "MSA-1 was AR")


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


# F-G05
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (framed(b""), mllp.NO_ACK),
        (framed(ack("AA", "")), mllp.MISMATCH),
        (framed(ack("AA", "RE9999999999")), mllp.MISMATCH),
        (framed(ack("AA", "RE0000000101 ")), mllp.MISMATCH),  # byte for byte
        (framed(ack("AA", "re0000000101")), mllp.MISMATCH),
        (framed(ack("AA", "RE0000000101^X")), mllp.MISMATCH),
        (framed(ack("ZZ")), mllp.NO_ACK),
        (framed(b"MSH|^~\\&|B|C|A|D|20260105||ACK|X1|P|2.5.1\r"), mllp.NO_ACK),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n", f"{mllp.BROKEN_FRAMING} (not-mllp)"),
        (b"\x16\x03\x01\x02\x00\x01", f"{mllp.BROKEN_FRAMING} (not-mllp)"),
    ],
)
def test_whatever_is_no_acknowledgment_of_this_message_confirms_nothing_and_ends_the_connection(
    answer: bytes, reason: str
) -> None:
    bench = _Bench(answer, framed(ack("AA")))

    bench.deliver()
    bench.deliver()

    first, second = bench.attempts
    assert (first.outcome, first.reason, first.ambiguous) == (Outcome.RETRY, reason, True)
    assert not bench.office.lines[0].open
    assert second.outcome is Outcome.DELIVERED
    assert bench.office.received == [BODY, BODY]


# F-G05
def test_a_web_page_without_frames_is_named_when_the_time_is_over() -> None:
    bench = _Bench(b"<html><body>JANE DOE 1961-03-04</body></html>")

    bench.deliver()
    bench.wait(31)

    assert bench.newest.reason == (
        "43 bytes received without start byte (3C 68 74 6D 6C 3E 3C xx xx xx xx 3E xx xx xx xx)"
    )


# F-G05: spoofed
def test_an_acknowledgment_that_came_before_the_message_was_sent_does_not_confirm_it() -> None:
    bench = _Bench(framed(ack("AA")), framed(ack("AA", "RE0000000102")))
    bench.deliver()

    bench.office.lines[0].say(framed(ack("AA", "RE0000000102")))
    bench.deliver(wire_id="RE0000000102", body=BODY.replace(b"0101", b"0102"))

    assert not bench.office.lines[0].open
    assert bench.newest.outcome is Outcome.DELIVERED
    assert len(bench.office.lines) == 2, "it was asked again, on a new connection"


# H041: what is no acknowledgment ends the connection, so a good one behind it is not read, and the retry asks again
def test_a_bad_acknowledgment_followed_by_a_good_one_is_unconfirmed() -> None:
    bench = _Bench(framed(b"hello", ack("AA")), framed(ack("AA")))

    bench.deliver()
    bench.deliver()

    assert [one.outcome for one in bench.attempts] == [Outcome.RETRY, Outcome.DELIVERED]
    assert bench.attempts[0].reply == b"hello"
    assert set(bench.office.received) == {BODY}


# H040
def test_an_acknowledgment_that_never_ends_is_named_when_the_time_is_over() -> None:
    bench = _Bench(framed(ack("AA"))[:-2])

    bench.deliver()
    bench.wait(31)

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.RETRY, mllp.ACK_UNFINISHED)


# H004, as the one who reads the answer
@pytest.mark.parametrize("closes", [False, True])
def test_an_acknowledgment_without_its_last_cr_is_taken_after_a_moment_or_at_the_close(closes: bool) -> None:
    bench = _Bench(framed(ack("AA"))[:-1])

    bench.deliver()
    early = list(bench.attempts)
    if closes:
        bench.office.lines[0].end()
        bench.turn()
    else:
        bench.wait(0.6)

    assert early == []
    assert bench.newest.outcome is Outcome.DELIVERED


# H130
def test_a_peer_with_another_trailer_is_spoken_to_in_its_own() -> None:
    bench = _Bench(framed(ack("AA")).replace(b"\x1c\r", b"\x1c\x00"), trailer=b"\x1c\x00")

    bench.deliver()

    assert bench.newest.outcome is Outcome.DELIVERED
    assert bench.office.lines[0].value().endswith(b"\x1c\x00")


# H056
@pytest.mark.parametrize("kind", [b"RSP^K11^RSP_K11", b"ADR^A19^ADR_A19", b"ORR^O02^ORR_O02", b"RRI^I12"])
def test_a_response_of_any_kind_that_carries_msa_is_an_answer(kind: bytes) -> None:
    bench = _Bench(framed(ack("AA").replace(b"ACK^O01^ACK", kind)))

    bench.deliver()

    assert bench.newest.outcome is Outcome.DELIVERED


# H049: MSH-15 and MSH-16 are what the peer obeys, so they say what to wait for
@pytest.mark.parametrize(
    ("asked", "said", "outcome"),
    [
        ("AL|NE", ["CA"], Outcome.DELIVERED),
        ("AL|AL", ["CA", "AA"], Outcome.DELIVERED),
        ("AL|SU", ["CA", "AA"], Outcome.DELIVERED),
        ("NE|AL", ["AA"], Outcome.DELIVERED),
        ("ER|AL", ["AA"], Outcome.DELIVERED),
        ("AL|ER", ["CA"], Outcome.DELIVERED),
        ("SU|NE", ["CA"], Outcome.DELIVERED),
        ("SU|NE", [], Outcome.RETRY),
        ("AL|NE", ["CE"], Outcome.RETRY),
        ("AL|NE", ["CR"], Outcome.FAILED),
        ("AL|AL", ["CA", "AR"], Outcome.FAILED),
        ("AL|AL", ["CA"], Outcome.HANDED_OVER),
        ("ER|NE", [], Outcome.HANDED_OVER),
        ("ER|NE", ["CR"], Outcome.FAILED),
        ("NE|NE", [], Outcome.HANDED_OVER),
    ],
)
def test_enhanced_mode_settles_on_the_answers_that_were_asked_for(
    asked: str, said: list[str], outcome: Outcome
) -> None:
    bench = _Bench([framed(ack(code)) for code in said], enhanced=True)

    bench.deliver(body=BODY.replace(b"|AL|AL\r", f"|{asked}\r".encode()))
    bench.wait(31)

    assert len(bench.attempts) == 1
    assert bench.newest.outcome is outcome


# H049
def test_the_commit_acknowledgment_of_one_message_and_the_application_s_of_another_are_told_apart() -> None:
    bench = _Bench([framed(ack("CA")), framed(ack("AA", "RE0000000999"))], enhanced=True)

    bench.deliver()

    assert (bench.newest.outcome, bench.newest.reason) == (Outcome.RETRY, mllp.MISMATCH)


# F-G08
def test_a_lease_that_ran_out_while_connecting_stops_the_write() -> None:
    bench = _Bench(framed(ack("AA")))
    bench.leased = False

    bench.deliver()
    bench.leased = True
    bench.deliver()

    assert [one.outcome for one in bench.attempts] == [Outcome.RETRY, Outcome.DELIVERED]
    assert bench.attempts[0].reason == NOT_LEASED
    assert not bench.attempts[0].ambiguous
    assert bench.office.received == [BODY], "once, by the one who held it"


# H023
def test_the_next_connection_waits_until_the_last_one_is_gone() -> None:
    bench = _Bench(None, framed(ack("AA")))
    bench.deliver()
    first = bench.office.lines[0]
    told: list[Exception] = []
    first._lose = told.append  # type: ignore[method-assign]  # the kernel takes its time
    bench.wait(31)

    bench.deliver()
    lines = len(bench.office.lines)
    Wire._lose(first, told[0])
    bench.turn()

    assert lines == 1
    assert len(bench.office.lines) == 2
    assert bench.newest.outcome is Outcome.DELIVERED


def test_a_connection_that_never_ends_does_not_stop_the_lane_for_ever() -> None:
    bench = _Bench(None, framed(ack("AA")))
    bench.deliver()
    bench.office.lines[0]._lose = lambda _error: None  # type: ignore[method-assign]
    bench.wait(31)

    bench.deliver()
    bench.wait(11)
    bench.deliver()

    assert [one.reason for one in bench.attempts[:2]] == [mllp.ACK_LATE, mllp.CONNECT_LATE]
    assert bench.newest.outcome is Outcome.DELIVERED


@given(answer=st.binary(max_size=120), cut=st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_bytes_that_do_not_name_the_message_ever_deliver_it(answer: bytes, cut: bool) -> None:
    bench = _Bench([answer, b"\x1c\r"] if cut else answer)

    bench.deliver()
    bench.wait(40)

    assert len(bench.attempts) == 1
    assert bench.newest.outcome is Outcome.RETRY
    assert bench.newest.ambiguous
    assert not bench.office.lines[0].open


def test_a_sample_shows_who_speaks_and_no_word_of_anybody() -> None:
    assert unframed(30, b"PID|1||123^^^X^MR||DOE^JANE\r").endswith("(xx xx xx 7C xx 7C 7C xx xx xx 5E 5E 5E xx 5E xx)")
    assert unframed(5, b"SSH-2").endswith("(53 53 48 2D xx)")
    assert unframed(3, "äöü".encode()).endswith("(xx xx xx xx xx xx)")
