"""The deframer against any stream: the same frames, break and counters however it is chunked, and little memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from referral_engine.base.errors import WireError
from referral_engine.hl7.mllp import EVIDENCE_BYTES_MAX, Deframer

COUNTERS = ("junk_offset", "remnants", "doubled_starts", "missing_crs", "inside")
WHILE_SOUND = ("junk_bytes", "junk_sample", "evidence")  # of a broken stream they may hold what came with the break
HELD_BYTES_MAX = 16  # of a frame's mark that may continue in the next chunk
FRAME_BYTES_MAX = 700  # so that the limit is met


def target(raw: bytes) -> None:
    """Two bytes choose limits and chunks, the rest is what a peer sends."""
    choice, seed, stream = raw[:1], raw[1:2], raw[2:]
    options: dict[str, Any] = {}
    if choice and choice[0] & 1:
        options["frame_bytes_max"] = FRAME_BYTES_MAX
    if choice and choice[0] & 2:
        options["junk_bytes_max"] = 8
    if choice and choice[0] & 4:
        options["end"] = b"\x1c\x00"
    if choice and choice[0] & 8:
        options["missing_cr"] = "refuse"
    if choice and choice[0] & 16:
        options["unwrap_doubled"] = False
    rng = random.Random(seed)

    whole = said(stream, [max(len(stream), 1)], options)
    single = said(stream, [1], options)
    pieces = said(stream, [rng.choice((1, 2, 3, 7, 50, 400)) for _ in range(9)], options)

    assert single == whole, "one byte at a time says something else"
    assert pieces == whole, "chunks of several sizes say something else"


def said(stream: bytes, sizes: list[int], options: dict[str, Any]) -> tuple[list[bytes], str, dict[str, object]]:
    """Frames, break and counters of a stream that comes in chunks of these sizes, over and over, and then ends."""
    deframer = Deframer(**options)
    frames: list[bytes] = []
    for chunk in chunks(stream, sizes):
        frames += deframer.feed(chunk)
        assert deframer.buffered_bytes <= options.get("frame_bytes_max", len(stream)) + HELD_BYTES_MAX
        if deframer.error is not None:
            break
    frames += deframer.settle()
    if deframer.error is not None:
        assert deframer.buffered_bytes == 0, "a broken stream gives its memory back"
        assert len(deframer.evidence) <= EVIDENCE_BYTES_MAX
        assert deframer.settle() == []
        with pytest.raises(WireError):
            deframer.feed(b"\x0bMSH|^~\\&|late\x1c\r")
    assert sum(len(frame) + 1 for frame in frames) <= len(stream), "frames are made of what came"
    for frame in frames:
        assert frame in stream, "a frame is a piece of what came"
        assert len(frame) <= options.get("frame_bytes_max", len(stream))
    reason = deframer.error.reason if deframer.error else ""
    names = COUNTERS if reason else COUNTERS + WHILE_SOUND
    return frames, reason, {name: getattr(deframer, name) for name in names}


def chunks(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        yield stream[at : at + size]
        at, turn = at + size, turn + 1
