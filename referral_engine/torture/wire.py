"""MLLP and MSH as a peer sees them: bytes in, frames and fields out; shares no code with the engine, which is on trial.

Source: HL7 Transport Specification, MLLP Release 1; HL7 v2.5.1 2.9.2 (MSA), 2.15.9 (MSH).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol, TypeVar

START: Final = b"\x0b"
END: Final = b"\x1c\r"
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024  # stops a peer that never ends its frame from filling our memory
ACCEPTED: Final = frozenset({b"AA", b"CA"})

T = TypeVar("T")


class Chance(Protocol):
    """Where chance comes from: a `random.Random` with a seed, so that a run can be played again."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...

    def uniform(self, a: float, b: float) -> float:
        """A number between two others."""
        ...

    def randrange(self, start: int, stop: int) -> int:
        """A whole number from start, below stop."""
        ...

    def randbytes(self, n: int) -> bytes:
        """So many bytes."""
        ...


def one_of(chance: Chance, choices: tuple[T, ...]) -> T:
    """One of several."""
    return choices[chance.randrange(0, len(choices))]


def framed(message: bytes) -> bytes:
    """One message as it goes on the wire: VT, message, FS, CR."""
    return START + message + END


class Cutter:
    """Cuts a stream into what stands between VT and FS CR; what stands outside is dropped."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._held = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Every whole frame up to here.  Raises ValueError when one has no end."""
        self._held += chunk
        while True:
            start = self._held.find(START)
            if start < 0:
                self._held = b""
                return
            end = self._held.find(END, start)
            if end < 0:
                self._held = self._held[start:]
                if len(self._held) > FRAME_BYTES_MAX:
                    raise ValueError("a frame without an end")
                return
            frame = self._held[start + 1 : end]
            self._held = self._held[end + len(END) :]
            yield frame


def field(message: bytes, name: bytes, number: int) -> bytes:
    """A field of the first segment of this name, as its bytes; b"" when there is none.  MSH-1 is the separator."""
    separator = message[3:4]
    for segment in message.split(b"\r"):
        fields = segment.split(separator) if separator else []
        if fields and fields[0] == name:
            place = number - 1 if name == b"MSH" else number
            return fields[place] if place < len(fields) else b""
    return b""


def control_id(message: bytes) -> bytes:
    """MSH-10."""
    return field(message, b"MSH", 10)


def answered_for(answer: bytes) -> bytes:
    """MSA-2: the MSH-10 that is answered."""
    return field(answer, b"MSA", 2)


def answer_code(answer: bytes) -> bytes:
    """MSA-1."""
    return field(answer, b"MSA", 1)


def acknowledgment(message: bytes, code: str = "AA") -> bytes:
    """The answer of a receiver in original mode."""
    msh = b"|".join([
        b"MSH", b"^~\\&", field(message, b"MSH", 5), field(message, b"MSH", 6), field(message, b"MSH", 3),
        field(message, b"MSH", 4), field(message, b"MSH", 7), b"", b"ACK", b"K" + control_id(message)[-18:], b"P",
        b"2.5.1",
    ])  # fmt: skip
    return b"\r".join([msh, b"MSA|" + code.encode() + b"|" + control_id(message), b""])
