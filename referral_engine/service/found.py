"""What the daemon and the reader of new files say to each other, and a book as bytes; the bytes are only ever ours."""

from __future__ import annotations

import copyreg
import gc
import pickle  # noqa: TID251  # no file, nobody's text: it only reads what our own child wrote into our own socket
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import msgspec

from referral_engine.base.errors import Problem
from referral_engine.base.values import replace
from referral_engine.channels.book import Book

PICKLE_PROTOCOL: Final = 5


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Read the files, and hold them against those in force."""

    engine_file: str
    config: str  # the version in force
    in_force: dict[str, str]  # its files, name to text
    standing: dict[str, str]  # what only a restart can change, and its value now: `standing.standing`
    today: date  # UTC, for permissions with a last day


class Reached(msgspec.Struct, frozen=True, kw_only=True, tag="reached"):
    """The reader lives, and has come so far."""

    stage: str  # files, tests
    done: int = 0
    of: int = 0


class Found(msgspec.Struct, frozen=True, kw_only=True, tag="found"):
    """All that the reader can say; the last message."""

    config: str = ""  # the version of the files; "" when they could not be read
    files: dict[str, str] = {}  # msgspec copies an empty default
    problems: list[Problem] = []  # in file order, warnings too
    failures: list[dict[str, Any]] = []  # tests that went another way, as `test --json` shows them
    tests: int = 0  # played
    unplayed: int = 0  # tests whose messages are not installed here
    book: bytes = b""  # a Book; b"" when there is none


class GaveUp(msgspec.Struct, frozen=True, kw_only=True, tag="gave-up"):
    """The reader met something that it cannot put into words; the last message."""

    kind: str  # the error's class name; never its text


Said = Reached | Found | GaveUp

write: Final = msgspec.msgpack.Encoder().encode
read_wanted: Final = msgspec.msgpack.Decoder(Wanted).decode
read_said: Final = msgspec.msgpack.Decoder(Said).decode


def pack(book: Book) -> bytes:
    """A book as bytes, for a process of ours: without what only `config`, `test` and `check` show people."""
    channels = {name: replace(channel, tests=()) for name, channel in book.channels.items()}
    return pickle.dumps(replace(book, channels=channels, settings={}, warnings=()), PICKLE_PROTOCOL)


def unpack(packed: bytes) -> Book:
    """The book in the bytes that `pack` made in a process of ours."""
    collecting = gc.isenabled()
    gc.disable()  # all of it stays: looking for rubbish among it takes three quarters of the time
    try:
        book = pickle.loads(packed)  # noqa: S301  # see the import
    finally:
        if collecting:
            gc.enable()
    assert isinstance(book, Book), "nothing else is packed"
    return book


def _view(values: dict[Any, Any]) -> Mapping[Any, Any]:
    """What stands in the bytes for a mapping that cannot be changed."""
    return MappingProxyType(values)


def _reduced(view: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return _view, (dict(view),)


copyreg.pickle(MappingProxyType, _reduced)
