"""MLLP framing: the same frames for any chunking, junk and broken peers named, memory bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.errors import WireError
from referral_engine.hl7.mllp import BLANK_BYTES_MAX, EVIDENCE_BYTES_MAX, Deframer, enframe

A = b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5\rPID|1||7\r"
B = b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|2|P|2.5\rPID|1||8\r"


def _reason(deframer: Deframer) -> str:
    """The counter's word, "" while the stream is sound."""
    return deframer.error.reason if deframer.error else ""


def _run(stream: bytes, sizes: list[int], **options: Any) -> tuple[list[bytes], str, tuple[int, ...]]:
    """Feed a stream in chunks of these sizes, over and over, until it is used up or broken."""
    deframer = Deframer(**options)
    frames: list[bytes] = []
    at = turn = 0
    while at < len(stream) and deframer.error is None:
        size = sizes[turn % len(sizes)]
        frames += deframer.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    counts = (
        deframer.junk_bytes,
        deframer.junk_offset,
        deframer.remnants,
        deframer.doubled_starts,
        deframer.missing_crs,
    )
    return frames, _reason(deframer), counts


def test_a_message_goes_through_the_wire_unchanged() -> None:
    assert Deframer().feed(enframe(A)) == [A]


def test_several_frames_in_one_chunk_come_out_in_order() -> None:  # H001
    assert Deframer().feed(enframe(A) + enframe(B) + enframe(A)) == [A, B, A]


def test_a_line_feed_after_the_trailer_and_half_a_frame_are_kept_for_later() -> None:  # H002
    deframer = Deframer()

    first = deframer.feed(enframe(A) + b"\n" + enframe(B)[:20])
    second = deframer.feed(enframe(B)[20:])

    assert (first, second) == ([A], [B])
    assert deframer.junk_bytes == 0


def test_junk_between_frames_is_skipped_and_counted_with_its_offset() -> None:  # H003
    deframer = Deframer()

    frames = deframer.feed(enframe(A) + b"\r\nLOG connected\x00\r\n" + enframe(B))

    assert frames == [A, B]
    assert deframer.junk_bytes == len(b"LOGconnected")
    assert deframer.blank_bytes == len(b" \x00")
    assert deframer.junk_offset == len(enframe(A)) + 2
    assert deframer.junk_sample.startswith(b"LOG connected")
    assert deframer.error is None


def test_junk_without_end_breaks_the_connection_at_its_limit() -> None:  # H003, F-D05
    deframer = Deframer(junk_bytes_max=100)

    deframer.feed(b"\n")
    for _ in range(10):
        deframer.feed(b"x" * 10)
    assert deframer.error is None
    deframer.feed(b"x")

    assert _reason(deframer) == "junk"
    with pytest.raises(WireError, match="100 bytes in a row"):
        deframer.feed(enframe(A))


def test_white_space_and_nuls_between_frames_are_tolerated_and_counted() -> None:  # H003
    deframer = Deframer(junk_bytes_max=0)

    frames = deframer.feed(enframe(A) + b"\x00" * 5000 + b"\r\n \t" + enframe(B))

    assert (frames, deframer.error) == ([A, B], None)
    assert (deframer.junk_bytes, deframer.blank_bytes, deframer.junk_offset) == (0, 5002, -1)


def test_blank_bytes_without_end_are_no_stream_either() -> None:
    deframer = Deframer()

    deframer.feed(b"\n" * BLANK_BYTES_MAX)
    assert deframer.error is None
    deframer.feed(b"\n")

    assert _reason(deframer) == "junk"


def test_junk_is_limited_in_a_row_and_not_in_total() -> None:
    deframer = Deframer(junk_bytes_max=100)

    for _ in range(50):
        assert deframer.feed(b"z" * 60 + enframe(A)) == [A]

    assert deframer.junk_bytes == 3000


def test_fs_before_the_next_vt_ends_a_frame_where_that_is_tolerated() -> None:  # H004
    deframer = Deframer()

    assert deframer.feed(b"\x0b" + A + b"\x1c" + enframe(B)) == [A, B]
    assert deframer.missing_crs == 1


def test_a_lone_fs_is_settled_when_the_peer_stays_quiet() -> None:  # H004
    deframer = Deframer()

    waiting = deframer.feed(b"\x0b" + A + b"\x1c")
    assert (waiting, deframer.waits_for_cr) == ([], True)
    settled = deframer.settle()
    late = deframer.feed(b"\r" + enframe(B))

    assert (settled, late) == ([A], [B])
    assert (deframer.junk_bytes, deframer.missing_crs, deframer.settle()) == (0, 1, [])


@pytest.mark.parametrize("settle", [False, True])
def test_a_strict_peer_that_leaves_out_cr_is_refused_loudly(settle: bool) -> None:  # H004
    deframer = Deframer(missing_cr="refuse")

    deframer.feed(b"\x0b" + A + b"\x1c")
    frames = deframer.settle() if settle else deframer.feed(enframe(B))

    assert frames == []
    assert _reason(deframer) == "missing-cr"


def test_fs_inside_the_payload_never_makes_two_messages() -> None:  # H005
    deframer = Deframer()

    frames = deframer.feed(enframe(A) + b"\x0b" + A + b"\x1cOBX|1" + A + b"\x1c\r")

    assert frames == [A]
    assert _reason(deframer) == "fs-in-payload"
    assert deframer.evidence == A
    with pytest.raises(WireError):
        deframer.feed(b"")


@pytest.mark.parametrize("cut", [3, 10, len(A) - 1, len(A)])
def test_a_frame_that_a_new_one_interrupts_is_dropped(cut: int) -> None:  # H006
    deframer = Deframer()

    frames = deframer.feed(b"\x0b" + A[:cut] + enframe(B))

    assert frames == [B]
    assert deframer.remnants == 1


@pytest.mark.parametrize("header", [b"FHS|", b"BHS|", b"\xef\xbb\xbfMSH|", b"MSH#"])
def test_any_header_after_vt_restarts_the_frame(header: bytes) -> None:  # H006
    assert Deframer().feed(b"\x0b" + A + b"\x0b" + header + b"\x1c\r") == [header]


def test_vt_that_is_a_line_break_in_a_text_stays_in_the_text() -> None:
    text = A + b"NTE|1||first\x0bsecond\x0bMSHA\x0b\r"

    assert Deframer().feed(b"\x0b" + text + b"\x1c\r") == [text]


def test_one_byte_chunks_cost_the_same_frames() -> None:  # H007
    frames, reason, _ = _run(enframe(A) + b"\r\n" + enframe(B), [1])

    assert (frames, reason) == ([A, B], "")


@pytest.mark.parametrize("size", [1460, 65536])
def test_several_megabytes_are_reassembled(size: int) -> None:  # H008
    scan = A + b"OBX|1|ED|||^AP^PDF^Base64^" + b"QUJD" * 1_500_000 + b"\r"

    frames, reason, _ = _run(enframe(scan), [size])

    assert frames == [scan]
    assert reason == ""


def test_a_megabyte_in_single_bytes_is_linear() -> None:  # H007
    payload = b"MSH|" + b"x\x0b" * 200_000

    frames, _, _ = _run(enframe(b"").replace(b"\x0b", b"\x0b" + payload), [1])

    assert frames == [payload]


def test_a_frame_that_never_ends_stops_at_the_cap_with_its_memory_given_back() -> None:  # H009
    deframer = Deframer(frame_bytes_max=100_000)

    frames = deframer.feed(enframe(A) + b"\x0b")
    for _ in range(100):
        if deframer.error is None:
            frames += deframer.feed(b"x" * 4096)
            assert deframer.buffered_bytes <= 100_000

    assert frames == [A]
    assert _reason(deframer) == "frame-too-long"
    assert deframer.buffered_bytes == 0
    assert len(deframer.evidence) <= EVIDENCE_BYTES_MAX


def test_the_cap_is_the_longest_frame_that_passes() -> None:
    assert _run(enframe(b"x" * 50), [7], frame_bytes_max=50)[:2] == ([b"x" * 50], "")
    assert _run(enframe(b"x" * 51), [7], frame_bytes_max=50)[:2] == ([], "frame-too-long")
    assert _run(enframe(b"x" * 51), [99], frame_bytes_max=50)[:2] == ([], "frame-too-long")


def test_a_trailer_split_over_two_chunks_ends_one_message_at_once() -> None:  # H010
    deframer = Deframer()

    assert deframer.feed(b"\x0b" + A + b"\x1c") == []
    assert deframer.feed(b"\r") == [A]


def test_an_earlier_message_is_never_handed_out_again() -> None:  # H011
    deframer = Deframer()
    deframer.feed(enframe(A))

    assert deframer.feed(b"") == []
    assert deframer.feed(enframe(B)) == [B]
    assert deframer.buffered_bytes == 0


def test_a_fragment_is_never_a_message() -> None:  # H012
    deframer = Deframer()

    assert deframer.feed(enframe(A)[:-2]) == []
    assert deframer.settle() == []
    assert deframer.inside


def test_a_doubly_wrapped_frame_is_unwrapped_and_counted() -> None:  # H013
    deframer = Deframer()

    assert deframer.feed(b"\x0b" + enframe(A) + b"\x1c\r" + enframe(B)) == [A, B]
    assert (deframer.doubled_starts, deframer.remnants, deframer.junk_bytes) == (1, 0, 1)


def test_a_doubly_wrapped_frame_is_refused_by_name_where_it_is_not_agreed() -> None:  # H013
    deframer = Deframer(unwrap_doubled=False)

    frames = deframer.feed(enframe(A) + b"\x0b" + enframe(B) + b"\x1c\r")

    assert frames == [A]
    assert _reason(deframer) == "doubled-frame"
    assert "framing.unwrap_doubled" in str(deframer.error)
    assert (deframer.doubled_starts, deframer.evidence) == (1, B)


def test_fs_as_first_payload_byte_is_no_empty_frame() -> None:  # H014
    deframer = Deframer()

    assert deframer.feed(b"\x0b\x1cMSH|") == []
    assert _reason(deframer) == "fs-in-payload"


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize("size", [1, 1000])
def test_a_utf_16_stream_is_refused_by_name(codec: str, size: int) -> None:  # H015
    frames, reason, _ = _run(("\x0b" + A.decode() + "\x1c\r").encode(codec), [size])

    assert (frames, reason) == ([], "utf-16")


def test_an_empty_frame_is_handed_out_and_the_connection_survives() -> None:  # H017
    deframer = Deframer()

    assert deframer.feed(b"\x0b\x1c\r" + enframe(A)) == [b"", A]
    assert deframer.error is None


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP"),
        (b"POST / HTTP/1.1\r\n", "HTTP"),
        (b"\x16\x03\x01\x02\x0b\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"\xff\xfd\x18\xff\xfd\x20", "telnet"),
        (b"SSH-2.0-OpenSSH\r\n", "SSH"),
        (b"\r\nGET / HTTP/1.0\r\n\r\n", "HTTP"),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_another_protocol_is_reported_by_name(stream: bytes, name: str, size: int) -> None:  # H018
    deframer = Deframer()

    for at in range(0, len(stream), size):
        if deframer.error is None:
            deframer.feed(stream[at : at + size])

    assert _reason(deframer) == "not-mllp"
    assert f"speaks {name}," in str(deframer.error)


@pytest.mark.parametrize("stream", [A, b"\xef\xbb\xbf" + A, b"FHS|^~\\&|A\r" + A])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_hl7_without_a_frame_is_named(stream: bytes, size: int) -> None:  # H129
    frames, reason, _ = _run(stream, [size])

    assert (frames, reason) == ([], "no-start-byte")


def test_a_log_line_like_http_between_frames_is_only_junk() -> None:  # H018
    assert Deframer().feed(enframe(A) + b"GET / HTTP/1.1\r\n" + enframe(B)) == [A, B]


def test_a_foreign_trailer_is_named_in_the_error_and_can_be_set() -> None:  # H130
    stream = b"\x0b" + A + b"\x1c\x00" + b"\x0b" + B + b"\x1c\x00"

    refused = Deframer()
    refused.feed(stream)

    assert "followed by 0x00, not 0x0D" in str(refused.error)
    assert "framing.trailer" in str(refused.error)
    assert Deframer(end=b"\x1c\x00").feed(stream) == [A, B]
    assert enframe(A, b"\x1c\x00") + enframe(B, b"\x1c\x00") == stream


@given(
    stream=st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\x00", b"\r", b"MSH|", b"x"]), max_size=20).map(b"".join),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
)
def test_a_foreign_trailer_is_cut_the_same_for_any_chunking(stream: bytes, sizes: list[int]) -> None:  # H130
    options = {"end": b"\x1c\x00", "missing_cr": "refuse", "unwrap_doubled": False}

    whole = _run(stream, [max(len(stream), 1)], **options)
    cut = _run(stream, sizes, **options)

    assert cut[:2] == whole[:2]
    if not whole[1]:
        assert cut[2] == whole[2]


def test_the_broken_bytes_are_there_for_the_quarantine() -> None:  # H129
    deframer = Deframer(junk_bytes_max=10)

    deframer.feed(b"no frame here, only text")

    assert deframer.evidence == b"no frame here, only text"
    assert "text" not in str(deframer.error)


@pytest.mark.parametrize("message", [b"MSH|\x0b", b"MSH|\x1c", b"\x1c\r"])
def test_a_message_with_frame_bytes_inside_is_not_sent(message: bytes) -> None:
    with pytest.raises(WireError):
        enframe(message)


PIECES = st.sampled_from(
    [
        b"\x0b",
        b"\x1c\r",
        b"\x1c",
        b"\r",
        b"\n",
        b"MSH|",
        b"MSH",
        b"FHS|",
        b"M",
        b"\xef\xbb\xbf",
        b"\x00",
        b"x",
        b"PID|1\r",
        enframe(A),
        enframe(B),
        b"\x0b\x1c\r",
        b"\x0b\x00M\x00S",
    ],
)


@given(
    stream=st.lists(PIECES, max_size=25).map(b"".join),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    limit=st.integers(20, 120),
)
def test_any_chunking_gives_the_same_frames_errors_and_counts(stream: bytes, sizes: list[int], limit: int) -> None:
    whole = _run(stream, [max(len(stream), 1)], frame_bytes_max=limit, junk_bytes_max=30)
    cut = _run(stream, sizes, frame_bytes_max=limit, junk_bytes_max=30)

    assert cut[:2] == whole[:2]
    if not whole[1]:
        assert cut[2] == whole[2]


@given(
    messages=st.lists(st.binary().map(lambda raw: b"MSH|" + raw.translate(None, b"\x0b\x1c")), max_size=5),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
)
def test_what_was_framed_comes_out_for_any_chunking(messages: list[bytes], sizes: list[int]) -> None:
    frames, reason, _ = _run(b"".join(enframe(message) for message in messages), sizes)

    assert (frames, reason) == (messages, "")


def test_the_everyday_case_and_the_careful_one_agree() -> None:
    stream = enframe(A) + enframe(B) + enframe(b"x") + enframe(A)

    everyday = Deframer().feed(stream)
    careful = Deframer().feed(b"\n" + stream)

    assert everyday == careful == [A, B, b"x", A]


@pytest.mark.parametrize("lead", [b"", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\r\n\xef\xbb\xbf"])
@pytest.mark.parametrize("cut", [0, 1, 2, 5, 9])
def test_a_header_behind_a_blank_line_opens_a_new_frame_too(lead: bytes, cut: int) -> None:  # H006
    second = lead + b"MSH|^~\\&|B\r"
    stream = b"\x0bMSH|^~\\&|A\rPID|1\x0b" + second + b"\x1c\r"
    place = stream.index(b"\x0b", 1) + cut
    deframer = Deframer()

    frames = deframer.feed(stream[:place]) + deframer.feed(stream[place:])

    assert frames == [second]
    assert deframer.remnants == 1
