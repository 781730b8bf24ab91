"""Who gets a seat, for how long, and how much of us one peer may take; on virtual time."""

from __future__ import annotations

import pytest

from referral_engine.base.values import replace
from referral_engine.channels.engine import Listener, Tls
from referral_engine.channels.partner import ANYONE, Limits, Partner
from referral_engine.service.patience import Overdue, Patience
from referral_engine.service.terms import terms_of
from tests.edge.peers import Chunks, Leave, Peer, Wait
from tests.service.doubles import Bench, PausedExecutor, framed

MESSAGE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|1|P|2.5.1\r"
HEART = Partner(name="heart", limits=Limits(connections_max=3))


def _bench(limits: Limits, **more: object) -> Bench:
    return Bench(partners={"10.0.0.7": Partner(name="heart", limits=limits)}, **more)  # type: ignore[arg-type]  # the bench's own


# -- time and rate


def test_five_hundred_slow_drips_are_gone_in_seconds_and_their_seats_are_free() -> None:  # F-D02
    bench = Bench(settings=Listener(connections_max=500, per_peer_max=500))
    drips = [Peer(bench, "10.6.6.6") for _ in range(500)]
    full = bench.connect("10.0.0.7")

    for drip in drips:
        drip.play(b"\x0b")
    for _ in range(7):
        for drip in drips:
            drip.play(b"x")
        bench.clock.advance(1.0)

    assert full is None
    assert {drip.ended for drip in drips} == {"closed"}
    assert bench.listener.counts.errors == {"frame-too-slow": 500}
    assert Peer(bench).play(framed(MESSAGE)) == [b"ACK " + MESSAGE]


def test_a_large_frame_over_a_slow_line_is_not_a_slow_drip() -> None:  # F-D02, H008
    bench = Bench()
    peer = Peer(bench)
    letter = b"MSH|" + b"x" * 500_000

    for at in range(0, len(letter) + 3, 12_000):
        peer.play(framed(letter)[at : at + 12_000], Wait(1))

    assert peer.heard() == [b"ACK " + letter]


def test_a_partner_has_its_own_deadline_and_rate() -> None:  # F-D02
    bench = _bench(Limits(frame_seconds_max=300.0, bytes_per_second_min=0))
    patient, other = Peer(bench), Peer(bench, "10.0.0.9")

    patient.play(b"\x0bMSH|", Wait(120))
    other.play(b"\x0bMSH|", Wait(7))

    assert (patient.ended, other.ended) == ("", "closed")
    assert patient.play(b"x\x1c\r") == [b"ACK MSH|x"]


def test_the_deadline_is_of_the_frame_and_not_of_the_connection() -> None:  # F-D02
    bench = Bench()
    peer = Peer(bench)

    for _ in range(40):
        peer.play(framed(MESSAGE)[:20], Wait(4), framed(MESSAGE)[20:])

    assert (len(peer.heard()), peer.ended) == (40, "")


def test_time_in_which_we_did_not_read_is_not_held_against_the_peer() -> None:
    executor = PausedExecutor()
    bench = _bench(Limits(in_flight_max=1), executor=executor)
    peer = Peer(bench)

    peer.play(framed(MESSAGE) + b"\x0bMSH|half", Wait(300))
    executor.let_one_run()
    peer.play(Wait(2), b" and half\x1c\r")
    executor.let_one_run()

    assert peer.heard() == [b"ACK " + MESSAGE, b"ACK MSH|half and half"]
    assert bench.listener.counts.errors == {}


@pytest.mark.parametrize("idle", [30.0, 600.0])
def test_an_idle_connection_ends_at_a_message_boundary_and_that_is_no_error(idle: float) -> None:  # H025
    bench = _bench(Limits(idle_timeout_seconds=idle))
    peer = Peer(bench)

    peer.play(framed(MESSAGE), Wait(idle))
    before = peer.ended
    peer.play(Wait(2))

    counts = bench.listener.counts
    assert (before, peer.ended) == ("", "closed")
    assert (counts.idle_closes, counts.errors, counts.unfinished, counts.last_error) == (1, {}, 0, "")


def test_a_flow_that_vanished_frees_its_seat_and_the_peer_is_admitted_again() -> None:  # H019, F-D01
    bench = _bench(Limits(connections_max=1, idle_timeout_seconds=60.0))
    gone = Peer(bench)
    gone.play(framed(MESSAGE))  # and then a firewall drops the flow: not even a FIN

    refused = bench.connect()
    bench.clock.pump([1.0] * 62)
    again = Peer(bench)

    assert (refused, gone.ended) == (None, "closed")
    assert again.play(framed(MESSAGE)) == [b"ACK " + MESSAGE]


def test_a_peer_that_opens_tls_and_says_nothing_has_ten_seconds() -> None:  # F-D10
    bench = Bench(settings=Listener(tls=Tls(cert="server.pem")))
    peer = Peer(bench)

    peer.play(Wait(10))
    before = peer.ended
    peer.play(Wait(2))

    assert (before, peer.ended) == ("", "cut")
    assert bench.listener.counts.errors == {"tls-handshake-timeout": 1}


def test_the_rate_counts_from_the_sixth_second_of_an_open_frame() -> None:  # F-D02
    terms = terms_of(ANYONE, Listener())
    patience = Patience(0.0, handshaking=False)
    patience.frame_since = 0.0

    def judged(now: float, buffered: int) -> Overdue:
        return patience.overdue(now, terms, buffered_bytes=buffered, owing=False)

    assert judged(5.0, 0) is Overdue.NOTHING
    assert judged(6.0, 9_999) is Overdue.RATE
    assert judged(6.0, 10_000) is Overdue.NOTHING
    assert judged(60.0, 10**6) is Overdue.NOTHING
    assert judged(60.1, 10**6) is Overdue.FRAME


# -- seats


def test_a_full_listener_refuses_visibly_and_names_who_holds_the_seats(  # H021
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(settings=Listener(connections_max=3), partners={"10.0.0.7": HEART})
    said: list[object] = []
    monkeypatch.setattr(bench.listener.sparingly, "warning", lambda sentence, fields: said.append((sentence, fields)))
    first = Peer(bench)
    Peer(bench)
    Peer(bench, "10.0.0.9")

    refused = bench.connect("10.0.0.8")
    status = bench.listener.status()
    first.play(Leave())

    fields = {"listener": "default", "peer": "10.0.0.8", "reason": "connections-max", "peers": "heart 2, 10.0.0.9 1"}
    assert refused is None
    assert said == [("A connection was refused.", fields)]
    assert (status["refused"], status["last_refusal"]) == ({"connections-max": 1}, "connections-max")
    assert (status["connections"], status["peers"]) == (3, {"heart": 2, "10.0.0.9": 1})
    assert bench.connect("10.0.0.8") is not None


def test_a_partner_has_its_own_cap_over_all_its_addresses_and_nobody_else_feels_it() -> None:  # F-D03
    bench = Bench(partners={"10.0.0.1": HEART, "10.0.0.2": HEART})
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1"):
        Peer(bench, address)

    assert bench.connect("10.0.0.2") is None
    assert bench.connect("10.0.0.3") is not None
    assert bench.listener.counts.refused == {"per-partner-max": 1}


def test_a_partner_without_a_cap_of_its_own_has_the_listeners() -> None:  # F-D03
    bench = Bench(settings=Listener(per_peer_max=2), partners={"10.0.0.7": replace(HEART, limits=Limits())})
    Peer(bench)
    Peer(bench)

    assert bench.connect() is None


def test_a_flood_from_many_addresses_stops_at_the_cap_and_those_inside_are_served() -> None:  # F-D03
    bench = Bench(settings=Listener(connections_max=50))
    inside = Peer(bench)

    taken = [bench.connect(f"10.9.{number // 250}.{number % 250}") for number in range(1000)]

    assert sum(one is not None for one in taken) == 49
    assert bench.listener.counts.refused == {"connections-max": 951}
    assert inside.play(framed(MESSAGE)) == [b"ACK " + MESSAGE]


def test_a_reconnect_loop_is_slowed_down_named_and_forgiven_later() -> None:  # H032
    bench = Bench()
    for _ in range(1000):
        bench.must_connect("10.0.0.1").loseConnection()

    looping, other = bench.connect("10.0.0.1"), bench.connect("10.0.0.2")
    bench.clock.advance(11)

    assert (looping, other is not None) == (None, True)
    assert bench.listener.status()["last_refusal"] == "reconnects-too-fast"
    assert bench.connect("10.0.0.1") is not None


def test_descriptors_are_kept_for_the_journal_and_the_log(monkeypatch: pytest.MonkeyPatch) -> None:  # H033, F-A10
    class Socket:
        number = 0

        def fileno(self) -> int:
            return self.number

    bench = Bench(descriptors_max=256)
    monkeypatch.setattr("referral_engine.service.connection.socket_of", lambda _wire: Socket())
    last, first = 256 - 64 - 1, 256 - 64

    Socket.number = last
    taken = Peer(bench)
    Socket.number = first
    refused = Peer(bench)

    assert (taken.ended, refused.ended) == ("", "cut")
    assert bench.listener.counts.refused == {"descriptors": 1}
    assert bench.listener.status()["connections"] == 1


def test_a_health_checker_that_connects_and_leaves_is_no_error_and_no_line_in_the_log(  # F-D12
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = Bench()

    for how in ("close", "reset", "half"):
        Peer(bench).play(Leave(how))

    counts = bench.listener.counts
    assert (counts.silent, counts.errors, counts.refused, counts.unfinished) == (3, {}, {}, 0)
    assert capsys.readouterr() == ("", "")


# -- pipelining


@pytest.mark.parametrize("most", [1, 5, 32])
def test_a_sender_that_does_not_wait_is_read_as_far_as_was_agreed_and_answered_in_order(most: int) -> None:  # F-D06
    executor = PausedExecutor()
    bench = _bench(Limits(in_flight_max=most), executor=executor)
    peer = Peer(bench)
    messages = [b"message %d" % number for number in range(100)]

    peer.play(Chunks(framed(*messages), 64))
    deepest, paused = 0, peer.wire.paused
    while executor.waiting:
        deepest = max(deepest, bench.door.backlog)
        executor.let_one_run()
        peer.play()

    assert (deepest, paused) == (most, True)
    assert peer.heard() == [b"ACK " + message for message in messages]


def test_a_peer_that_reads_no_answers_is_read_no_more_and_after_a_minute_cut() -> None:  # H031
    bench = Bench()
    slow, other = Peer(bench), Peer(bench, "10.0.0.9")

    slow.wire.protocol.pauseProducing()  # the transport: its buffer is full
    slow.play(framed(MESSAGE), Wait(60))
    before = (slow.ended, slow.wire.paused)
    slow.play(Wait(2))

    assert before == ("", True)
    assert (slow.ended, bench.listener.counts.errors) == ("cut", {"answers-not-read": 1})
    assert other.play(framed(MESSAGE)) == [b"ACK " + MESSAGE]


def test_memory_of_open_frames_is_counted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:  # H009
    bench = Bench()
    one, two = Peer(bench), Peer(bench, "10.0.0.9")

    one.play(b"\x0bMSH|", b"x" * 96)
    two.play(framed(MESSAGE) + b"\x0bMSH|" + b"y" * 46)
    open_both = bench.listener.unfinished_bytes
    one.play(Leave())
    left = bench.listener.unfinished_bytes
    two.play(b"\x1c\r")

    assert (open_both, left, bench.listener.unfinished_bytes) == (150, 50, 0)


# -- pausing the whole listener


def test_a_paused_listener_reads_nothing_says_why_and_answers_what_is_in_the_door() -> None:  # F-B04, H026
    executor = PausedExecutor()
    bench = Bench(executor=executor)
    peer = Peer(bench)
    peer.play(framed(b"1"))

    bench.listener.pause("disk-nearly-full")
    peer.play(framed(b"2"))
    refused = bench.connect()
    executor.let_one_run()
    heard, status = peer.heard(), bench.listener.status()

    assert (heard, peer.wire.paused, refused) == ([b"ACK 1"], True, None)
    assert (status["paused"], status["listening"], status["refused"]) == ("disk-nearly-full", False, {"paused": 1})


def test_a_listener_goes_on_where_it_was_paused_without_a_restart() -> None:  # F-B03, H026
    bench = _bench(Limits(in_flight_max=1))
    peer = Peer(bench)
    peer.play(b"\x0bhalf")

    bench.listener.pause("disk-nearly-full")
    peer.play(b" and half\x1c\r", framed(b"2"), Wait(3600))
    paused = (peer.heard(), peer.ended)
    bench.listener.resume_listening()
    peer.play()
    peer.play()

    assert paused == ([], "")
    assert peer.heard() == [b"ACK half and half", b"ACK 2"]
    assert (bench.listener.status()["paused"], bench.listener.counts.errors) == ("", {})


def test_frames_that_had_no_room_in_the_door_wait_out_the_pause() -> None:  # F-B04
    executor = PausedExecutor()
    bench = _bench(Limits(in_flight_max=1), executor=executor)
    peer = Peer(bench)
    peer.play(framed(b"1", b"2", b"3"))

    bench.listener.pause("disk-nearly-full")
    executor.let_one_run()
    while_paused, backlog = peer.heard(), bench.door.backlog
    bench.listener.resume_listening()
    peer.play()
    while executor.waiting:
        executor.let_one_run()
        peer.play()

    assert (while_paused, backlog) == ([b"ACK 1"], 0)
    assert peer.heard() == [b"ACK 1", b"ACK 2", b"ACK 3"]


def test_a_handshake_under_way_goes_on_during_a_pause_and_nothing_is_read_behind_it() -> None:  # F-B04, F-D10
    bench = Bench(settings=Listener(tls=Tls(cert="server.pem")))
    wire = bench.must_connect()
    wire.getPeerCertificate = lambda: None  # type: ignore[attr-defined]  # what TLS adds to a transport

    bench.listener.pause("disk-nearly-full")
    during = wire.paused
    wire.protocol.handshakeCompleted()
    bench.clock.pump([1.0] * 60)

    assert (during, wire.paused, wire.ended) == (False, True, "")
    assert bench.listener.counts.errors == {}


def test_a_paused_listener_can_be_stopped() -> None:  # H028
    bench = Bench()
    Peer(bench).play(b"\x0bhalf")
    gone: list[object] = []

    bench.listener.pause("disk-nearly-full")
    bench.listener.stop().addCallback(gone.append)
    bench.listener.resume_listening()

    assert gone == [None]
    assert bench.clock.getDelayedCalls() == []
