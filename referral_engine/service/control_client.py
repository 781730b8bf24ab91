"""One question to the running daemon: a name and its words in, the answer out; for the command line, blocking."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Final

ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024  # stops a broken daemon from filling our memory
TIMEOUT_SECONDS: Final = 30.0
CHUNK_BYTES: Final = 256 * 1024


class ControlError(Exception):
    """The daemon did not answer, or refused; the text is a sentence for the person at the terminal."""


def ask(
    path: str, name: str, words: Mapping[str, object] | None = None, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> object:
    """The daemon's answer to question `name` at the socket `path`.  Raises ControlError."""
    request = json.dumps({"ask": name, "args": dict(words or {})}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
            wire.settimeout(timeout_seconds)
            wire.connect(path)
            wire.sendall(request)
            line = _line(wire)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ControlError(f"the daemon is not running (nobody answers at {path})") from None
    except PermissionError:
        raise ControlError(f"the daemon belongs to another user ({path})") from None
    except TimeoutError:
        raise ControlError(f"the daemon did not answer within {timeout_seconds:.0f} seconds") from None
    except OSError as error:
        raise ControlError(f"the daemon cannot be reached at {path} ({error.strerror or error})") from None
    return _unwrap(line)


def _line(wire: socket.socket) -> bytes:
    """Everything up to the first line end, or the daemon's close."""
    pieces: list[bytes] = []
    size = 0
    while size < ANSWER_BYTES_MAX:
        chunk = wire.recv(CHUNK_BYTES)
        pieces.append(chunk)
        size += len(chunk)
        if not chunk or chunk.endswith(b"\n"):  # there is one answer, and JSON has no bare line end
            return b"".join(pieces)
    raise ControlError("the daemon's answer is too long")


def _unwrap(line: bytes) -> object:
    try:
        answer = json.loads(line)
    except ValueError:
        raise ControlError("the daemon closed the connection without an answer") from None
    if not isinstance(answer, dict) or not ("answer" in answer or "error" in answer):
        raise ControlError("the daemon's answer cannot be read; it may be of another version")
    if "error" in answer:
        raise ControlError(str(answer["error"]))
    return answer["answer"]
