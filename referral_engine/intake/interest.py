"""A message's numbers, found without reading the rest of it: enough to see that it is about nobody we track."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from referral_engine.hl7.encoding import unescape
from referral_engine.hl7.message import Message
from referral_engine.hl7.segment import NULL

# Message types that say something of a referral only through a number it has: everything but orders.
ABOUT_KNOWN_ONLY: Final = frozenset(("ADT", "SIU", "ORU", "MDM"))
NUMBERS_MAX: Final = 64  # of one message; one that has more is read whole
REPETITIONS_MAX: Final = 20  # of one field
LINES_MAX: Final = 2_000  # a message with more is read whole

Number = tuple[str, str]  # what kind of number (the word of a binding), and its text exactly as sent

# Which fields hold a number that could lead to a referral. Whatever `intake.read` may match by is in here; what is in
# here too much costs a look at the message, what were missing would cost a referral its evidence.
_PLACES: Final[dict[str, tuple[tuple[int, tuple[str, ...]], ...]]] = {
    "PID": ((2, ("patient",)), (3, ("patient",))),
    "MRG": ((1, ("patient",)),),
    "ORC": ((2, ("placer", "referral")), (3, ("filler", "document"))),
    "OBR": ((2, ("placer", "referral")), (3, ("filler", "document"))),
    "SCH": (
        (1, ("appointment",)), (2, ("appointment",)), (26, ("placer", "referral")), (27, ("filler",)),
    ),
    "TXA": (
        (12, ("document",)), (13, ("document",)), (14, ("placer", "referral")), (15, ("filler",)),
    ),
    "OBX": ((21, ("document",)),),
}  # fmt: skip


def numbers_of(message: Message) -> tuple[Number, ...]:
    """Every number that may lead to a referral; empty when there is none, or too many to be told apart cheaply.

    Source: HL7 v2.5.1 3.4.2 (PID), 4.5.1 (ORC), 4.5.3 (OBR), 9.6.1 (TXA), 10.6.1 (SCH).
    """
    lines = message.lines
    if len(lines) > LINES_MAX:
        return ()
    delimiters = message.delimiters
    separator = delimiters.field
    found: dict[Number, None] = {}
    for line in lines:
        places = _PLACES.get(line[:3])
        if places is None or line[3:4] != separator:
            continue
        fields = line.split(separator, places[-1][0] + 1)
        for number, kinds in places:
            if number < len(fields) and (text := fields[number]):
                for value in _values(text, delimiters.repetition, delimiters.component):
                    if delimiters.escape in value:
                        value = unescape(value, delimiters)  # noqa: PLW2901  # rare: few numbers hold a delimiter
                    for kind in kinds:
                        found[kind, value] = None
    return tuple(found) if len(found) <= NUMBERS_MAX else ()


def _values(text: str, repetition: str, component: str) -> Iterator[str]:
    """The first component of each repetition that says something."""
    for one in text.split(repetition, REPETITIONS_MAX)[:REPETITIONS_MAX] if repetition in text else (text,):
        value = one[: one.index(component)] if component in one else one
        if value and value != NULL:
            yield value
