"""The parser against any frame: it is refused as MessageFault, or kept byte for byte and read to its last component."""

from __future__ import annotations

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.message import Message, groups, write
from referral_engine.hl7.segment import Segment

PLACES = ("MSH-9.2", "PID-3[2].1", "PID-5.1.1", "OBR-4", "OBX-5", "ZZZ-1")
FEEDS = ("", "8859/1", "UNICODE UTF-8")  # the character set a feed's settings name


def target(raw: bytes) -> None:
    """Two bytes choose how the feed reads, the rest is a frame's content."""
    choice, frame = (raw[0] if raw else 0), raw[2:]
    lf_ends_segments = not choice & 1
    try:
        message = Message.parse(frame, lf_ends_segments=lf_ends_segments, charset=FEEDS[choice % len(FEEDS)])
    except MessageFault:
        return
    assert message.raw == frame, "what came is kept"
    assert write(message) == frame, "and comes out again, byte for byte"
    assert message.segments, "a message has its header at least"
    assert message.header.raw_fields[10:11] in ((), (message.header.control_id_bytes,))
    assert message.header.control_id_bytes in frame, "MSA-2 is what came"
    assert repr(message) == f"<Message {len(frame)} bytes>", "no patient in a repr"
    for segment in message.segments:
        read_whole(segment)
    assert len([one for group in groups(message) for one in group]) <= len(message.segments)
    for place in PLACES:
        try:
            assert isinstance(message.value(place), str)
        except MessageFault:
            continue
    change(message, lf_ends_segments=lf_ends_segments)


def read_whole(segment: Segment) -> None:
    """Every field, repetition and component; limits are MessageFault."""
    try:
        for field in range(segment.field_count + 2):
            pieces = segment.repetitions(field)
            if field > 2 or segment.name not in ("MSH", "FHS", "BHS"):
                assert segment.delimiters.repetition.join(pieces) == segment.field(field), (
                    "nothing is lost in splitting"
                )
            for repetition in range(1, min(len(pieces), 3) + 1):
                segment.components(field, repetition)
                segment.text(field, 2, 1, repetition)
                segment.whole(field, repetition)
    except MessageFault:
        return


def change(message: Message, *, lf_ends_segments: bool) -> None:
    """A value written is the value read; everything else stays."""
    try:
        changed = message.with_fields({"ZZ9-3.2": "x^y\r"})
    except MessageFault:
        return
    again = Message.parse(changed, lf_ends_segments=lf_ends_segments, charset=message.charset)
    assert again.value("ZZ9-3.2") == "x^y\r"
    assert again.header.control_id_bytes == message.header.control_id_bytes
