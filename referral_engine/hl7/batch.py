"""One frame in, the messages in it out: a file or batch wrapper, or several headers without one; and its answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from referral_engine.base.errors import MessageFault

BATCH_MESSAGES_MAX: Final = 10_000  # stops a frame of nothing but headers; larger batches come as files
_NAMES: Final = (b"MSH", b"FHS", b"BHS", b"BTS", b"FTS")
_NAME: Final = rb"(MSH|FHS|BHS|BTS|FTS)(?=[^0-9A-Za-z\x00-\x20]|[\r\n]|\Z)"
_BY_ANY_END: Final = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])" + _NAME)
_BY_CR: Final = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?\n?|\r\n?)" + _NAME)
_WRAPPER: Final = re.compile(rb"[FB]HS[^0-9A-Za-z\x00-\x20]")  # with its separator: else nothing can be said back


def split_batch(raw: bytes, *, lf_ends_segments: bool = True) -> list[bytes]:
    """The messages of one frame, in order, each from its MSH to the next header or trailer.

    A frame of one plain message comes back as it is, and so does one without any header; a batch without messages
    is []. Raises MessageFault 102 beyond BATCH_MESSAGES_MAX.
    Source: HL7 v2.5.1 2.10.3.
    """
    if raw.startswith(b"MSH") and all(raw.find(name, 3) < 0 for name in _NAMES):
        return [raw]  # nearly every frame, without a look at each segment's end
    marks = list((_BY_ANY_END if lf_ends_segments else _BY_CR).finditer(raw))
    if not marks or (len(marks) == 1 and marks[0][1] == b"MSH"):
        return [raw]
    starts = [match.start(1) for match in marks] + [len(raw)]
    messages = [raw[starts[at] : starts[at + 1]] for at, match in enumerate(marks) if match[1] == b"MSH"]
    if len(messages) > BATCH_MESSAGES_MAX:
        raise MessageFault("102", "", f"more than {BATCH_MESSAGES_MAX} messages in one frame")
    return messages


def is_plain(raw: bytes) -> bool:
    """Whether a frame is surely one message without a wrapper; cheap, because nearly every frame is."""
    return raw[:3] == b"MSH" and raw.find(b"MSH", 3) < 0


def answer_batch(raw: bytes, answers: Sequence[bytes], *, application: str, facility: str) -> bytes:
    """One answer for a frame of several messages: theirs, in order, in the wrapper that the question came in.

    The wrapper's time and control id are those of the first answer, so that the same answers make the same bytes.
    b"" when none of the messages wants an answer. Source: HL7 v2.5.1 2.10.3, 2.15.2 (BHS), 2.15.7 (FHS).
    """
    said = [answer for answer in answers if answer]
    if not said:
        return b""
    names = (application.encode("ascii", "replace"), facility.encode("ascii", "replace"))
    before = [_header_back(line, said[0], names) for line in _lines(raw) if _WRAPPER.match(line)][:2]
    after = [b"BTS|%d" % len(said) if line[:3] == b"BHS" else b"FTS|1" for line in reversed(before)]
    after = [line[:3] + before[0][3:4] + line[4:] for line in after]
    return b"".join([*(line + b"\r" for line in before), *said, *(line + b"\r" for line in after)])


def _lines(raw: bytes) -> list[bytes]:
    """What stands before the first message."""
    end = raw.find(b"MSH")
    return raw[: end if end >= 0 else len(raw)].removeprefix(b"\xef\xbb\xbf").replace(b"\n", b"\r").split(b"\r")


def _header_back(line: bytes, answer: bytes, names: tuple[bytes, bytes]) -> bytes:
    """FHS or BHS turned round: from us to the sender, with the sender's own control id as reference (field 12)."""
    separator = line[3:4]
    asked = (line.split(separator) + [b""] * 12)[:12]  # item n - 1 is field n
    made = (answer.split(b"\r", 1)[0].split(answer[3:4]) + [b""] * 10)[:10]
    control_id = asked[0][:1] + made[9]
    fields = [
        asked[0], asked[1], *names, asked[2], asked[3], made[6], b"", b"", b"", control_id, asked[10],
    ]  # fmt: skip
    while not fields[-1]:
        fields.pop()
    return separator.join(fields).translate(None, b"\x0b\x1c")  # no echo may break the frame


def stated_count(raw: bytes) -> int | None:
    """How many messages the batch says it holds: the sum of every BTS-1; None when no BTS-1 is a number.

    Source: HL7 v2.5.1 2.15.3.1.
    """
    counts = [match[1] for match in re.finditer(rb"[\r\n]BTS[^0-9A-Za-z\x00-\x20]([0-9]{1,9})(?![0-9])", raw)]
    return sum(int(count) for count in counts) if counts else None
