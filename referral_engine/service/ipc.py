"""What the daemon and the journal's process say to each other: a length, then one message in MessagePack."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from referral_engine.base.errors import Altered, JournalError, NoRoom, OutcomeUnknown, Refused, TookTooLong
from referral_engine.flow.inputs import Input, Receipt
from referral_engine.service.handling import Broken
from referral_engine.service.lengths import LENGTH


class Open(msgspec.Struct, frozen=True, kw_only=True, tag="open"):
    """Open the journal; the first message."""

    path: str
    key: bytes | None
    node: str
    now: int  # microseconds UTC
    engine_file: str
    config: str  # the version that the daemon read; the process must read the same


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """One batch, and the instant to record."""

    now: int
    inputs: list[Input]


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag="prepare"):
    """Keep a configuration that was read beforehand; it comes in force by an input, or not at all."""

    book: bytes  # `found.pack`, made by a process of ours


class Look(msgspec.Struct, frozen=True, kw_only=True, tag="look"):
    """A question by name."""

    name: str
    words: dict[str, Any]


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag="ping"):
    """Say something."""


class Anchor(msgspec.Struct, frozen=True, kw_only=True, tag="anchor"):
    """Write beside the journal how far it has come."""


class ScrubOn(msgspec.Struct, frozen=True, kw_only=True, tag="scrub"):
    """Look at the next rows of the whole journal."""

    turns: int


class Close(msgspec.Struct, frozen=True, kw_only=True, tag="close"):
    """Close the journal and end; the last message."""


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened"):
    """The journal is open."""

    node: str
    high_water: int
    note: str = ""


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """A batch is committed."""

    results: list[Receipt | Broken]


class Told(msgspec.Struct, frozen=True, kw_only=True, tag="told"):
    """The answer to a question, a preparation, a ping, an anchor, a close."""

    answer: Any = None


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """It did not work; what the daemon raises in its place."""

    kind: str
    sentence: str


Request = Open | Run | Prepare | Look | Ping | Anchor | ScrubOn | Close
Reply = Opened | Done | Told | Failed

_ENCODER: Final = msgspec.msgpack.Encoder()
read_request: Final = msgspec.msgpack.Decoder(Request).decode
read_reply: Final = msgspec.msgpack.Decoder(Reply).decode
_ERRORS: Final = {kind.__name__: kind for kind in (Altered, JournalError, NoRoom, OutcomeUnknown, Refused, TookTooLong)}


def written(message: Request | Reply) -> tuple[bytes, bytes]:
    """A message as it goes over the socket: its length and its bytes."""
    body = _ENCODER.encode(message)
    return LENGTH.pack(len(body)), body


def failed(error: Exception) -> Failed:
    """An error of ours by its name and sentence; of any other error only its name, its text may name a patient."""
    kind = type(error).__name__
    return Failed(kind=kind, sentence=str(error) if kind in _ERRORS else "")


def error_of(said: Failed) -> Exception:
    """The error to raise; one that is not ours is a bug, and nothing was stored."""
    kind = _ERRORS.get(said.kind)
    if kind is None:
        return RuntimeError(f"the journal's process met {said.kind}")
    error = kind.__new__(kind, said.sentence)
    Exception.__init__(error, said.sentence)
    return error
