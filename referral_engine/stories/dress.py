"""The clothes a message comes in: line ends, delimiters, local segments and a last segment end, never its meaning."""

from __future__ import annotations

from random import Random  # noqa: TID251  # the type of what is handed in
from typing import Final

DRESSED_SHARE: Final = 0.25  # of messages that come in anything but the standard's own dress
_USUAL: Final = b"|^~\\&"
_OTHERS: Final = (b"|!%$#", b"|$~*@", b"#^~\\&", b"|^~?&", b"@}{\\;")
_LOCAL: Final = (b"ZPV|1|made up|^^|~", b"ZXX", b"ZDS|1|||Sample~Value^With^Parts", b'ZRF|""|local')
_TYPES_BOUND: Final = b"MSH"


def dressed(raw: bytes, chance: Random) -> bytes:
    """The same message, sometimes in another dress; every draw is from `chance`."""
    if chance.random() >= DRESSED_SHARE:
        return raw
    kind = chance.randrange(6)
    match kind:
        case 0:
            return raw.replace(b"\r", b"\n")
        case 1:
            return raw.replace(b"\r", b"\r\n")
        case 2:
            return raw.rstrip(b"\r")
        case 3:
            return _with_local_segments(raw, chance)
        case 4:
            return _with_other_delimiters(raw, chance.choice(_OTHERS))
        case _:
            return _with_trailing_separators(raw)


def _with_local_segments(raw: bytes, chance: Random) -> bytes:
    """Z-segments at any place behind the header.  Source: HL7 v2.5.1 2.10.7."""
    lines = raw.rstrip(b"\r").split(b"\r")
    for _ in range(1 + chance.randrange(2)):
        lines.insert(1 + chance.randrange(len(lines)), chance.choice(_LOCAL))
    return b"\r".join([*lines, b""])


def _with_other_delimiters(raw: bytes, others: bytes) -> bytes:
    """Other characters in MSH-1 and MSH-2, where none of them stands in the text.  Source: HL7 v2.5.1 2.5.4."""
    new = [byte for byte in others if byte not in _USUAL]
    if any(byte in raw for byte in new) or b"\\" in raw[8:] or not raw.startswith(_TYPES_BOUND + _USUAL):
        return raw
    return raw.translate(bytes.maketrans(_USUAL, others))


def _with_trailing_separators(raw: bytes) -> bytes:
    """Empty fields at the end of every segment, as many systems write them."""
    head, *lines = raw.rstrip(b"\r").split(b"\r")
    return b"\r".join([head, *(line + b"|||" for line in lines), b""])
