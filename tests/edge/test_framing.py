"""Bytes as they arrive in the field, through a listener: every frame once, every break named, nobody else disturbed."""

from __future__ import annotations

from typing import Any

import pytest

from referral_engine.channels.engine import Listener
from referral_engine.channels.partner import Framing, Limits, Partner
from referral_engine.flow.inputs import FrameBroken
from referral_engine.hl7.mllp import enframe
from tests.edge.peers import Chunks, Leave, Peer, Wait
from tests.service.doubles import Bench, PausedExecutor, framed

A = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|1|P|2.5.1\rPID|1||7\r"
B = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|2|P|2.5.1\rPID|1||8\r"
ACK_A, ACK_B = b"ACK " + A, b"ACK " + B


def _bench(framing: Framing | None = None, limits: Limits | None = None, **settings: Any) -> Bench:
    """A listener whose peer has this framing."""
    partner = Partner(name="heart", framing=framing or Framing(), limits=limits or Limits())
    return Bench(settings=Listener(**settings), partners={"10.0.0.7": partner})


def _kept(bench: Bench) -> list[FrameBroken]:
    """What of broken frames went into the journal."""
    return [one for batch in bench.step.batches for one in batch if isinstance(one, FrameBroken)]


def _errors(bench: Bench) -> dict[str, int]:
    return dict(bench.listener.counts.errors)


def test_complete_frames_of_one_read_are_all_journalled_and_answered_in_order() -> None:  # H001
    bench = _bench()

    heard = Peer(bench).play(framed(A, B, A + b"x"))

    assert heard == [ACK_A, ACK_B, ACK_A + b"x"]
    assert [one.raw for one in bench.step.committed] == [A, B, A + b"x"]


def test_a_line_feed_after_the_trailer_and_a_part_of_the_next_frame_are_kept_for_later() -> None:  # H002
    bench = _bench()
    peer = Peer(bench)

    first = peer.play(framed(A) + b"\n" + framed(B)[:9])
    second = peer.play(framed(B)[9:])

    assert (first, second) == ([ACK_A], [ACK_A, ACK_B])
    assert bench.listener.counts.junk_bytes == 0


def test_a_log_line_between_frames_is_skipped_counted_and_warned_of_with_its_offset(  # H003
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = _bench()
    said: list[Any] = []
    monkeypatch.setattr(bench.listener.sparingly, "warning", lambda sentence, fields: said.append((sentence, fields)))

    heard = Peer(bench).play(framed(A) + b"\0\0 link up\r\n" + framed(B))

    assert heard == [ACK_A, ACK_B]
    assert said == [
        (
            "The peer's framing is odd.",
            {"listener": "default", "peer": "10.0.0.7", "offset": len(framed(A)) + 3, "bytes": len("linkup")},
        )
    ]
    assert bench.listener.status()["oddities"] == {
        "junk_bytes": 6, "blank_bytes": 4, "remnants": 0, "missing_crs": 0, "doubled_starts": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("junk", "errors"), [(64, {}), (65, {"junk": 1})])
def test_more_than_64_bytes_of_junk_in_a_row_end_the_connection(junk: int, errors: dict[str, int]) -> None:  # F-D05
    bench = _bench()

    heard = Peer(bench).play(framed(A), b"j" * junk, framed(B))

    assert _errors(bench) == errors
    assert heard == ([ACK_A] if errors else [ACK_A, ACK_B])


def test_a_partner_may_be_allowed_more_junk() -> None:  # H003
    bench = _bench(Framing(junk_bytes_max=1000))

    assert Peer(bench).play(framed(A), b"j" * 1000, framed(B)) == [ACK_A, ACK_B]


def test_a_peer_that_leaves_out_cr_is_answered_where_that_is_accepted() -> None:  # H004
    bench = _bench(Framing(missing_cr="accept"))

    heard = Peer(bench).play(b"\x0b" + A + b"\x1c", Wait(0.3), b"\x0b" + B + b"\x1c", b"\x0b" + A + b"\x1c", Wait(0.3))

    assert heard == [ACK_A, ACK_B, ACK_A]
    assert bench.listener.counts.missing_crs == 3


def test_a_peer_that_leaves_out_cr_is_refused_loudly_where_it_is_not() -> None:  # H004
    bench = _bench(Framing(missing_cr="refuse"))
    peer = Peer(bench)

    heard = peer.play(framed(A), b"\x0b" + B + b"\x1c", Wait(0.3))

    assert (heard, peer.ended, _errors(bench)) == ([ACK_A], "closed", {"missing-cr": 1})
    assert [one.evidence for one in _kept(bench)] == [B]


@pytest.mark.parametrize("missing_cr", ["accept", "refuse"])
def test_a_peer_that_always_sends_cr_a_little_later_is_not_taken_for_one_that_forgets_it(missing_cr: Any) -> None:
    # H010: the moment of an earlier FS must not judge the next one
    bench = _bench(Framing(missing_cr=missing_cr))
    peer = Peer(bench)

    for _ in range(5):
        peer.play(b"\x0b" + A + b"\x1c", Wait(0.2), b"\r")

    assert peer.heard() == [ACK_A] * 5
    assert (bench.listener.counts.missing_crs, peer.ended) == (0, "")


def test_fs_inside_the_payload_does_not_become_two_messages() -> None:  # H005
    bench = _bench()
    peer = Peer(bench)

    heard = peer.play(b"\x0b" + A + b"OBX|1|ED|\x1cbinary\r\x1c\r" + framed(B))

    assert (heard, bench.step.committed, peer.ended) == ([], _kept(bench), "closed")
    assert _errors(bench) == {"fs-in-payload": 1}


def test_a_remnant_that_a_new_frame_cuts_off_never_gets_aa() -> None:  # H006
    bench = _bench()

    heard = Peer(bench).play(b"\x0b" + A[:40] + framed(B))

    assert heard == [ACK_B]
    assert bench.listener.counts.remnants == 1


def test_a_message_in_single_bytes_is_the_same_message() -> None:  # H007
    bench = _bench()

    heard = Peer(bench).play(Chunks(framed(A, B)))

    assert heard == [ACK_A, ACK_B]
    assert [one.raw for one in bench.step.committed] == [A, B]


def test_a_scanned_letter_of_megabytes_gets_one_answer_and_leaves_nothing_in_memory() -> None:  # H008
    bench = _bench()
    letter = A + b"OBX|1|ED|PDF||^AP^PDF^Base64^" + b"QUJD" * 1_500_000 + b"\r"

    heard = Peer(bench).play(Chunks(framed(letter), 65_536))

    assert [len(one) for one in heard] == [len(letter) + 4]
    assert bench.listener.unfinished_bytes == 0


def test_a_frame_that_never_ends_costs_its_own_connection_and_memory_stays_flat() -> None:  # H009, F-D04
    bench = _bench(frame_bytes_max=1_000_000)
    endless, other = Peer(bench), Peer(bench, "10.0.0.9")
    most = 0

    endless.play(b"\x0b" + A)
    for _ in range(100):
        endless.play(b"x" * 65_536)
        most = max(most, bench.listener.unfinished_bytes)

    assert (endless.heard(), endless.ended, _errors(bench)) == ([], "closed", {"frame-too-long": 1})
    assert (other.play(framed(B)), other.ended) == ([ACK_B], "")
    assert 900_000 < most <= 1_000_000
    assert bench.listener.unfinished_bytes == 0
    assert [len(one.evidence) for one in _kept(bench)] == [4096]


def test_a_partner_may_have_its_own_longest_frame() -> None:  # H009
    bench = _bench(limits=Limits(frame_bytes_max=100), frame_bytes_max=1_000_000)

    assert Peer(bench).play(framed(b"x" * 101)) == []
    assert Peer(bench, "10.0.0.9").play(framed(b"x" * 101)) == [b"ACK " + b"x" * 101]


def test_fs_and_cr_in_different_packets_end_one_message_without_delay() -> None:  # H010
    bench = _bench()

    heard = Peer(bench).play(framed(A)[:-1], b"\r")

    assert heard == [ACK_A]
    assert bench.clock.seconds() == 0
    assert bench.listener.counts.missing_crs == 0


def test_an_earlier_message_is_never_run_again() -> None:  # H011
    bench = _bench()
    peer = Peer(bench)

    peer.play(framed(A))
    peer.play(b"\r\n", framed(B), b"\n")

    assert [one.raw for one in bench.step.committed] == [A, B]


@pytest.mark.parametrize("end", [Wait(70), Leave("half"), Leave("close")])
def test_a_fragment_is_never_a_message_however_it_ends(end: Any) -> None:  # H012
    bench = _bench()
    peer = Peer(bench)

    heard = peer.play(framed(A)[:-2], end)

    assert heard == []
    assert bench.step.committed == _kept(bench)
    assert peer.ended == "closed"


def test_a_doubly_wrapped_frame_is_unwrapped_where_that_is_agreed() -> None:  # H013
    bench = _bench(Framing(unwrap_doubled=True))

    heard = Peer(bench).play(b"\x0b" + framed(A) + b"\x1c\r" + framed(B))

    assert heard == [ACK_A, ACK_B]
    assert bench.listener.counts.doubled_starts == 1


def test_a_doubly_wrapped_frame_is_otherwise_refused_by_name_and_its_bytes_are_kept() -> None:  # H013
    bench = _bench()
    peer = Peer(bench)

    heard = peer.play(framed(A) + b"\x0b" + framed(B) + b"\x1c\r")

    assert (heard, peer.ended, _errors(bench)) == ([ACK_A], "closed", {"doubled-frame": 1})
    assert [one.evidence for one in _kept(bench)] == [B]


def test_a_payload_that_begins_with_fs_is_no_empty_frame() -> None:  # H014
    bench = _bench()
    peer = Peer(bench)

    peer.play(b"\x0b\x1c" + A + b"\x1c\r")

    assert (peer.ended, _errors(bench)) == ("closed", {"fs-in-payload": 1})
    assert bench.listener.counts.empty_frames == 0


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_stream_of_two_byte_characters_is_refused_by_name_and_never_answered(codec: str) -> None:  # H015
    bench = _bench()
    peer = Peer(bench)

    heard = peer.play(("\x0b" + A.decode() + "\x1c\r").encode(codec))

    assert (heard, peer.ended, _errors(bench)) == ([], "closed", {"utf-16": 1})
    assert bench.step.committed == _kept(bench)


def test_each_answer_leaves_with_its_frame_bytes_in_one_write() -> None:  # H016
    bench = _bench()
    peer = Peer(bench)

    peer.play(Chunks(framed(A)))
    peer.play(Chunks(framed(B)))

    assert peer.wire.writes == [enframe(ACK_A), enframe(ACK_B)]


def test_an_empty_frame_is_counted_and_the_connection_goes_on() -> None:  # H017
    bench = _bench()

    heard = Peer(bench).play(framed(b"") + framed(A), Chunks(framed(b"")), framed(B))

    assert heard == [ACK_A, ACK_B]
    assert bench.listener.status()["empty_frames"] == 2


@pytest.mark.parametrize(
    ("hello", "name"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: engine\r\n\r\n", "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23", "telnet"),
    ],
)
def test_another_protocol_is_reported_by_name(hello: bytes, name: str) -> None:  # H018, F-D11, F-D13
    bench = _bench()
    peer = Peer(bench)

    heard = peer.play(hello)

    assert (heard, peer.ended, _errors(bench)) == ([], "closed", {"not-mllp": 1})
    assert [one.sentence for one in _kept(bench)] == [f"the peer speaks {name}, not MLLP"]


def test_hl7_without_a_frame_is_reported_as_such_at_once() -> None:  # H129
    bench = _bench()
    peer = Peer(bench)

    peer.play(A)

    assert (peer.ended, _errors(bench)) == ("closed", {"no-start-byte": 1})


def test_a_framing_error_is_in_the_counters_and_the_bytes_are_in_the_journal() -> None:  # H129
    bench = _bench()

    Peer(bench).play(b"\x0b" + A + b"\x1c\x1c")

    status = bench.listener.status()
    (kept,) = _kept(bench)
    assert (status["errors"], status["last_error"]) == ({"fs-in-payload": 1}, "fs-in-payload")
    assert (kept.evidence, kept.peer, kept.reason) == (A, "10.0.0.7", "fs-in-payload")
    assert b"PID" not in kept.sentence.encode()


def test_another_trailer_is_agreed_with_one_peer_and_used_both_ways() -> None:  # H130
    bench = _bench(Framing(trailer=b"\x1c\x00"))
    peer = Peer(bench)

    peer.play(enframe(A, b"\x1c\x00") + enframe(B, b"\x1c\x00"))
    other = Peer(bench, "10.0.0.9").play(framed(A))

    assert peer.wire.value() == enframe(ACK_A, b"\x1c\x00") + enframe(ACK_B, b"\x1c\x00")
    assert other == [ACK_A]


@pytest.mark.parametrize(
    ("agreed", "used", "named"),
    [(b"\x1c\r", b"\x1c\x00", "followed by 0x00, not 0x0D"), (b"\x1c\x00", b"\x1c\r", "followed by 0x0D, not 0x00")],
)
def test_a_trailer_that_was_not_agreed_is_named_with_the_bytes_found(agreed: bytes, used: bytes, named: str) -> None:
    # H130
    bench = _bench(Framing(trailer=agreed))
    peer = Peer(bench)

    peer.play(enframe(A, used))

    assert peer.ended == "closed"
    assert [named in one.sentence for one in _kept(bench)] == [True]


def test_frames_before_a_broken_one_keep_their_answers() -> None:  # H005, H009
    executor = PausedExecutor()
    bench = Bench(executor=executor)
    peer = Peer(bench)

    peer.play(framed(A, B) + b"\x0b\x1cx")
    before = (peer.heard(), peer.ended)
    while executor.waiting:
        executor.let_one_run()
        bench.turn()

    assert before == ([], "")
    assert (peer.heard(), peer.ended) == ([ACK_A, ACK_B], "closed")
