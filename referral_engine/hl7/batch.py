"""One frame in, the messages in it out: a file or batch wrapper, or several headers without one."""

from __future__ import annotations

import re
from typing import Final

from referral_engine.base.errors import MessageFault

BATCH_MESSAGES_MAX: Final = 10_000  # stops a frame of nothing but headers; larger batches come as files
_NAMES: Final = (b"MSH", b"FHS", b"BHS", b"BTS", b"FTS")
_NAME: Final = rb"(MSH|FHS|BHS|BTS|FTS)(?=[^0-9A-Za-z\x00-\x20]|[\r\n]|\Z)"
_BY_ANY_END: Final = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])" + _NAME)
_BY_CR: Final = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?\n?|\r\n?)" + _NAME)


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


def stated_count(raw: bytes) -> int | None:
    """How many messages the batch says it holds: the sum of every BTS-1; None when no BTS-1 is a number.

    Source: HL7 v2.5.1 2.15.3.1.
    """
    counts = [match[1] for match in re.finditer(rb"[\r\n]BTS[^0-9A-Za-z\x00-\x20]([0-9]{1,9})(?![0-9])", raw)]
    return sum(int(count) for count in counts) if counts else None
