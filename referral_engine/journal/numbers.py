"""A number of a message in, eight bytes out: what early evidence is found by, and nothing a reader could understand."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from typing import Final

KEY_BYTES: Final = 8


def number_key(kind: str, value: str) -> int:
    """The key of one number, a signed 64-bit integer; numbers that share one are told apart by their messages."""
    digest = hashlib.blake2b(f"{kind}\x00{value}".encode(), digest_size=KEY_BYTES).digest()
    return int.from_bytes(digest, "big", signed=True)


def packed(keys: Iterable[int]) -> bytes:
    """Keys as bytes, for the message's own row."""
    return array("q", sorted(keys)).tobytes()


def unpacked(blob: bytes) -> list[int]:
    """The keys that `packed` wrote."""
    keys = array("q")
    keys.frombytes(blob)
    return list(keys)
