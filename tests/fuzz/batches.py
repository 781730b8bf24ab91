"""The batch splitter against any frame: every header begins a message, every byte of a message is in exactly one."""

from __future__ import annotations

import re

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.batch import answer_batch, split_batch, stated_count
from referral_engine.hl7.mllp import Deframer, enframe

HEADERS = ("MSH", "FHS", "BHS", "BTS", "FTS")


def target(raw: bytes) -> None:
    """The first byte chooses whether LF ends a segment, the second is not used; the rest is a frame's content."""
    choice, frame = (raw[0] if raw else 0), raw[2:]
    lf_ends_segments = not choice & 1
    try:
        pieces = split_batch(frame, lf_ends_segments=lf_ends_segments)
    except MessageFault:
        return
    heads = headers(frame, lf_ends_segments=lf_ends_segments)
    if heads in ([], ["MSH"]):
        assert pieces == [frame], "one message, or what is none, stays as it is"
    else:
        assert len(pieces) == heads.count("MSH"), "every header begins a message, nothing else does"
        at = 0
        for piece in pieces:
            assert piece.startswith(b"MSH")
            found = frame.find(piece, at)
            assert found >= at, "each is a piece of the frame, in order, and none shares a byte"
            at = found + len(piece)
            assert headers(piece, lf_ends_segments=lf_ends_segments) == ["MSH"]
    stated = stated_count(frame)
    assert stated is None or stated >= 0
    if b"\x1c" not in frame:  # as every frame that came through the deframer
        give_answers_back(frame, len(pieces))


def give_answers_back(frame: bytes, count: int) -> None:
    """One answer for all, which goes through the wire and holds each message's own, in order."""
    answers = [b"MSH|^~\\&|B|B|A|A|2026||ACK|R%d|P|2.5\rMSA|AA|%d\r" % (number, number) for number in range(count)]
    whole = answer_batch(frame, answers, application="REFERRAL_ENGINE", facility="SPRINGFIELD")
    assert bool(whole) == bool(answers)
    assert b"".join(answers) in whole
    if whole:
        assert Deframer().feed(enframe(whole)) == [whole]
        assert split_batch(whole) == answers


def headers(frame: bytes, *, lf_ends_segments: bool) -> list[str]:
    """The names of the wrapper's and the messages' first segments, found line by line: slow, and easy to believe."""
    text = frame.decode("latin-1")
    lines = re.split(r"[\r\n]" if lf_ends_segments else r"\r\n?", text)
    lines[0] = lines[0].removeprefix("\xef\xbb\xbf")
    if not lf_ends_segments:
        lines[0] = lines[0].removeprefix("\n")
    return [line[:3] for line in lines if line[:3] in HEADERS and is_end(line[3:4])]


def is_end(character: str) -> bool:
    """Whether a segment's name ends before this character."""
    return character in ("", "\n") or (character > " " and not (character.isascii() and character.isalnum()))
