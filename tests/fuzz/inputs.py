"""What the fuzz targets begin with: made-up messages, streams and texts; and a seed that turns them into hundreds more."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TARGETS: Final = ("deframer", "parser", "escapes", "batches", "acks", "intake", "door")
SAMPLES: Final = Path(__file__).resolve().parents[2] / "sample_messages"

ORDER: Final = (
    b"MSH|^~\\&|EHR|SPRINGFIELD|REFERRAL_ENGINE|SPRINGFIELD|20260302090000-0600||ORM^O01^ORM_O01|C1|P|2.5.1|||AL|NE|USA|UNICODE UTF-8\r"
    b"PID|1||M1^^^SPRINGFIELD^MR~X9^^^OTHER^PI||Example^Amelia^Q^^^^L||19560712|F\r"
    b"ORC|NW|P1^EHR\rOBR|1|P1^EHR||REFCARD^Referral \\T\\ consult^99SPR\rNTE|1|P|a\\.br\\b\\X0D\\c \\F\\\\S\\\\R\\\\E\\ \\H\\x\\N\\\r"
)
LATIN: Final = b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|C2|P|2.3|||||||8859/1\rPID|1||M2||M\xfcller^J\xf6rg\x93\r"
ODD: Final = b'MSH@#~*&%@A@B@C@D@2026@@ADT#A08@C 3 @P@2.7\rPID@1@@M3###X#MR\rZZZ@""@*X4D*\r'
MIXED_ENDS: Final = (
    b"\xef\xbb\xbf\r\nMSH|^~\\&|A|B|C|D|2026||ORU^R01|C4|P|2.5\r\nPID|1||7\n\nOBX|1|TX|1^a^LN||x\rOBX|2\r\r"
)
SHORT: Final = b"MSH|^~\\&|A|B|C|D|2026||ACK|C5\rMSA|AA|C1\rERR|||207^x^HL70357|E\r"
BATCH: Final = b"FHS|^~\\&|A|B|C|D|2026||f|||F1\rBHS|^~\\&|A|B|C|D|2026||b|||B1\r" + ORDER + SHORT + b"BTS|2\rFTS|1\r"
TWO_HEADERS: Final = ORDER + LATIN
# Found by a guided search, and answered wrongly once: wrappers that name no separator, one with a start byte in it, and a
# formatting command with a sign and no number.
FOUND: Final = (
    b"FHS\r" + ORDER + SHORT,
    b"BHSX|a\r" + SHORT + SHORT,
    b"FHS|^~\\&|A\x0b|B\r" + SHORT,
    b"MSH|^~\\&|A|B|C|D|2026||ACK|C6|\\.br-\\|2.5\rMSA|AA|\\.sp+\\\r",
)
MESSAGES: Final = (ORDER, LATIN, ODD, MIXED_ENDS, SHORT, BATCH, TWO_HEADERS, *FOUND)

_TOKENS: Final = (
    b"\x0b", b"\x1c\r", b"\x1c", b"\x1c\x00", b"\r", b"\n", b"\x00", b"MSH|^~\\&|", b"\rMSH|^~\\&|", b"BHS|", b"BTS|9\r", b"|", b"^",
    b"~", b"&", b"\\", b"\\X", b"\\X0D\\", b"\\.sp99\\", b"\\.br\\", b'""', b"\xef\xbb\xbf", b"\xff\xfe", b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01", b"M\x00S\x00", b"\xc3\xa9", b"\x93", b"UNICODE UTF-8", b"8859/1", b"ISO IR87", b"\x1b$B",
)  # fmt: skip


def framed(message: bytes) -> bytes:
    """On the wire."""
    return b"\x0b" + message + b"\x1c\r"


_STREAMS: Final = (
    framed(ORDER) + framed(LATIN),
    framed(ORDER) + b"\nLOG connected\r\n" + framed(SHORT)[:30],
    b"\x0b" + framed(ORDER) + b"\x0b" + ORDER[:40] + framed(SHORT),
    b"\x0b" + SHORT + b"\x1c" + framed(SHORT) + b"\x0b\x1c\r",
    b"\x0bMSH|^~\\&|binary \x1c\x02 inside\r\x1c\r",
    b"\x0b\x00M\x00S\x00H\x00|" + framed(ODD),
    b"GET / HTTP/1.1\r\n\r\n",
)
_OPTIONS: Final = (
    b"\x00\x00",
    b"\x05\x07",
    b"\xff\x01",
    b"\x02\x33",
    b"\x18\x05",
)  # each target reads its choices from two bytes


def seeds_of(target: str) -> list[bytes]:
    """The inputs a target begins with."""
    assert target in TARGETS, "a target of this folder"
    bodies = (*_STREAMS, *map(framed, MESSAGES)) if target == "deframer" else MESSAGES
    if target in ("intake", "door"):
        bodies = (*MESSAGES, *(path.read_bytes() for path in sorted(SAMPLES.rglob("*.hl7"))))
        return [bytes([number % 256, 0]) + body for number, body in enumerate(bodies)]
    return [options + body for body in bodies for options in _OPTIONS]


def inputs_of(target: str, *, seed: int, count: int) -> Iterator[bytes]:
    """The seeds, then as many of their descendants: cut, spliced, repeated, salted with what matters to HL7."""
    seeds = seeds_of(target)
    yield from seeds
    rng = random.Random(f"{target} {seed}")
    for _ in range(count):
        made = bytearray(rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 2, 4, 8))):
            change(made, rng, seeds)
        yield bytes(made)


def change(made: bytearray, rng: random.Random, seeds: list[bytes]) -> None:
    """One change in place, anywhere."""
    at = rng.randrange(len(made) + 1)
    match rng.randrange(6):
        case 0:
            made[at : at + 1] = rng.randbytes(1)
        case 1:
            made[at:at] = rng.choice(_TOKENS) * rng.choice((1, 1, 1, 3, 40))
        case 2:
            del made[at : at + rng.choice((1, 2, 10, 200))]
        case 3:
            other = rng.choice(seeds)
            cut = rng.randrange(len(other))
            made[at:] = other[cut:]
        case 4:
            made[at:at] = made[at : at + rng.choice((1, 5, 50))] * rng.choice((2, 20))
        case _:
            del made[at:]
