"""Bytes from a socket in, complete frames out; and one message in, one frame out. MLLP Release 1, sans I/O."""

from __future__ import annotations

import re
from typing import Final, Literal

from referral_engine.base.errors import WireError

KIB: Final = 1024
MIB: Final = 1024 * KIB

START: Final = 0x0B  # VT opens a frame
STOP: Final = 0x1C  # FS, the first byte of the trailer
END: Final = b"\x1c\r"  # FS CR closes a frame
FRAME_BYTES_MAX: Final = 16 * MIB  # stops a frame that never ends; leaves room for scanned letters in OBX-5
JUNK_BYTES_MAX: Final = 64 * KIB  # stops a peer that never opens a frame; leaves room for a relay's log lines
JUNK_SAMPLE_BYTES_MAX: Final = 64  # stops the sample from becoming a copy; enough to recognise a log line
EVIDENCE_BYTES_MAX: Final = 4 * KIB  # stops a broken frame from filling the quarantine

_START_BYTE: Final = b"\x0b"
_HEAD_BYTES: Final = 16  # enough to tell every protocol below
_WIDE_HEAD_BYTES: Final = 4  # two UTF-16 characters
_BOM: Final = b"\xef\xbb\xbf"
_OPENINGS: Final = tuple(bom + name for bom in (b"", _BOM) for name in (b"MSH", b"FHS", b"BHS"))
_BEGINNINGS: Final = sorted({opening[:cut] for opening in _OPENINGS for cut in range(1, len(opening) + 1)})
# A VT that opens a new frame inside an old one, or a VT so near the end of the chunk that it may yet turn out to.
_RESTART: Final = re.compile(
    b"\\x0b(?:(?:" + b"|".join(_OPENINGS) + b")[^0-9A-Za-z\\x00-\\x20]|(?:" + b"|".join(_BEGINNINGS) + b")?\\Z)",
)
_STARTS: Final = re.compile(rb"\x0b+")
_FOREIGN: Final = (
    ("HTTP", (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")),
    ("HTTP", (b"HTTP/1.", b"PRI * HTTP/2")),
    ("TLS", (b"\x16\x03\x00", b"\x16\x03\x01", b"\x16\x03\x02", b"\x16\x03\x03", b"\x16\x03\x04")),
    ("SSH", (b"SSH-",)),
    ("telnet", (b"\xff\xfb", b"\xff\xfc", b"\xff\xfd")),
)
_WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def enframe(message: bytes) -> bytes:
    """Wrap one message for the wire: VT, message, FS, CR.

    message: segments ended by CR, without VT or FS inside.
    Raises WireError ("start-in-payload", "fs-in-payload") if it contains either.
    Source: HL7 Transport Specification, MLLP Release 1.
    """
    if START in message:
        raise WireError("start-in-payload", "a message to send contains the start byte 0x0B")
    if STOP in message:
        raise WireError("fs-in-payload", "a message to send contains the end byte 0x1C")
    return _START_BYTE + message + END


class Deframer:
    """Cuts one connection's byte stream into frames; the same frames for every way the stream is chunked.

    `feed` returns what was completed and sets `error` when the peer broke framing, so frames finished before the
    break are never lost: look at `error` after each call, answer the frames, then close. The next `feed` raises it.

    Counters, from the start of the connection:
    junk_bytes      bytes outside frames, CR and LF not counted (a line end after FS CR is everyday);
    junk_offset     offset of the first of them in the stream, -1 for none;
    junk_sample     the first few of them, for the quarantine and never for a log: it may hold a patient;
    remnants        frames dropped because the next frame opened before they ended; never to be acknowledged;
    doubled_starts  VT VT, the mark of a relay that wraps twice; unwrapped;
    missing_crs     frames ended by FS without CR.

    Source: HL7 Transport Specification, MLLP Release 1.
    """

    __slots__ = (
        "_base",
        "_buffer",
        "_end",
        "_frame_bytes_max",
        "_head",
        "_held",
        "_inside",
        "_junk_bytes_max",
        "_junk_run",
        "_missing_cr",
        "_restart_at",
        "_stop_at",
        "_unopened",
        "_wide_checked",
        "doubled_starts",
        "error",
        "evidence",
        "junk_bytes",
        "junk_offset",
        "junk_sample",
        "missing_crs",
        "remnants",
    )

    def __init__(
        self,
        *,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        junk_bytes_max: int = JUNK_BYTES_MAX,
        missing_cr: Literal["tolerate", "strict"] = "tolerate",
        end: bytes = END,
    ) -> None:
        """Start before the first byte of a connection.

        missing_cr: whether FS alone may end a frame (before a VT, or at `settle`).
        end: the peer's two-byte trailer, where it is not FS CR; the first byte is FS.
        """
        assert len(end) == len(END), "a trailer has two bytes"
        assert end[0] == STOP, "a trailer begins with FS"
        self._frame_bytes_max = frame_bytes_max
        self._junk_bytes_max = junk_bytes_max
        self._missing_cr = missing_cr
        self._end = end
        self._buffer = bytearray()  # the open frame so far
        self._held = b""  # a tail of at most seven bytes whose meaning the next chunk decides
        self._head = b""  # the stream's first bytes, while no frame was opened
        self._inside = False
        self._unopened = True
        self._wide_checked = False
        self._junk_run = 0
        self._base = 0  # offset in the stream of the present chunk's first byte
        self._stop_at = -1  # where the next FS of the present chunk is, so that no byte is searched twice
        self._restart_at = -1
        self.error: WireError | None = None
        self.evidence = b""  # after an error: the beginning of what was broken; may hold a patient
        self.junk_bytes = 0
        self.junk_offset = -1
        self.junk_sample = b""
        self.remnants = 0
        self.doubled_starts = 0
        self.missing_crs = 0

    @property
    def inside(self) -> bool:
        """Whether a frame is open: the peer owes its rest."""
        return self._inside

    @property
    def waits_for_cr(self) -> bool:
        """Whether FS was the last byte: call `settle` when nothing follows within a moment, or at the peer's close."""
        return self._inside and len(self._held) == 1 and self._held[0] == STOP

    @property
    def buffered_bytes(self) -> int:
        """How much of an unfinished frame is in memory."""
        return len(self._buffer) + len(self._held)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes of the stream and return the payloads they complete, in order; b"" is an empty frame.

        Sets `error` (reasons "junk", "not-mllp", "utf-16", "frame-too-long", "missing-cr", "fs-in-payload") when the
        peer breaks framing; every later call raises that WireError.
        """
        if self.error is not None:
            raise WireError(self.error.reason, str(self.error))
        if self._held:
            chunk = self._held + chunk
            self._held = b""
        frames: list[bytes] = []
        self._stop_at = self._restart_at = -1
        position, size = 0, len(chunk)
        try:
            while position < size:
                if self._inside:
                    position = self._read_frame(chunk, position, frames)
                else:
                    position = self._skip_junk(chunk, position)
        except WireError as fault:
            self._die(fault)
        self._base += size - len(self._held)
        return frames

    def settle(self) -> list[bytes]:
        """Decide that nothing follows a lone FS: the peer has been quiet for a moment, or has closed.

        Tolerant: returns the frame. Strict: returns nothing and sets `error` ("missing-cr"). Never raises.
        """
        if self.error is not None or not self.waits_for_cr:
            return []
        self._base += len(self._held)
        self._held = b""
        frames: list[bytes] = []
        try:
            self._end_without_cr(frames)
        except WireError as fault:
            self._die(fault)
        return frames

    def _skip_junk(self, chunk: bytes, position: int) -> int:
        """Outside frames: go to the VT, counting what is passed over; returns where to go on."""
        found = chunk.find(START, position)
        stop = len(chunk) if found < 0 else found
        if stop > position:
            self._count_junk(chunk[position:stop], self._base + position)
        if found < 0:
            return stop
        self._inside = True
        self._unopened = False
        self._wide_checked = False
        self._junk_run = 0
        return found + 1

    def _count_junk(self, junk: bytes, offset: int) -> None:
        """Count bytes outside frames and recognise who speaks another protocol."""
        line_ends = junk.count(b"\r") + junk.count(b"\n")
        if line_ends < len(junk):
            if self.junk_offset < 0:
                self.junk_offset = offset + len(junk) - len(junk.lstrip(b"\r\n"))
            if len(self.junk_sample) < JUNK_SAMPLE_BYTES_MAX:
                self.junk_sample = (self.junk_sample + junk.lstrip(b"\r\n"))[:JUNK_SAMPLE_BYTES_MAX]
            self.junk_bytes += len(junk) - line_ends
        if self._unopened and len(self._head) < _HEAD_BYTES:
            self._head = (self._head + junk)[:_HEAD_BYTES]
            _refuse_foreign(self._head)
        self._junk_run += len(junk)
        if self._junk_run > self._junk_bytes_max:
            raise WireError("junk", f"more than {self._junk_bytes_max} bytes in a row outside any frame")

    def _read_frame(self, chunk: bytes, position: int, frames: list[bytes]) -> int:
        """Inside a frame: take bytes up to its end, its restart or the chunk's end; returns where to go on."""
        if chunk[position] == START and not self._buffer:
            match = _STARTS.match(chunk, position)
            after = position + 1 if match is None else match.end()
            self.doubled_starts += after - position
            return after
        size = len(chunk)
        if self._stop_at < position:
            found = chunk.find(STOP, position)
            self._stop_at = size if found < 0 else found
        if self._restart_at < position:
            match = _RESTART.search(chunk, position)
            self._restart_at = size if match is None else match.start()
        stop = min(self._stop_at, self._restart_at)
        if stop == self._stop_at and stop + 1 < size and chunk[stop + 1] == self._end[1] and not self._buffer:
            self._finish(frames, chunk[position:stop])  # the everyday case: a whole frame in one chunk, copied once
            return stop + 2
        self._take(chunk[position:stop])
        if stop == size:
            return size
        if stop == self._restart_at:
            return self._restart(chunk, stop)
        return self._end_frame(chunk, stop, frames)

    def _restart(self, chunk: bytes, position: int) -> int:
        """At a VT that opens a new frame before the old one ended, or may do so."""
        if len(chunk) - position <= len(_BOM) + 4 and _undecided(chunk[position + 1 :]):
            self._held = chunk[position:]
            return len(chunk)
        self.remnants += 1
        self._buffer = bytearray()
        self._wide_checked = False
        return position + 1

    def _end_frame(self, chunk: bytes, position: int, frames: list[bytes]) -> int:
        """At an FS inside a frame: its end, the end without CR, or a byte that has no business here."""
        if position + 1 == len(chunk):
            self._held = chunk[position:]
            return len(chunk)
        after = chunk[position + 1]
        if after == self._end[1]:
            self._finish(frames, b"")
            return position + 2
        if after == START:
            self._end_without_cr(frames)
            return position + 1
        raise WireError(
            "fs-in-payload",
            f"the end byte 0x1C is followed by 0x{after:02X}, not 0x{self._end[1]:02X}: "
            "binary in the payload, or another trailer is in use",
        )

    def _end_without_cr(self, frames: list[bytes]) -> None:
        """Close the frame at a lone FS, where that is tolerated."""
        if self._missing_cr == "strict":
            raise WireError("missing-cr", f"the end byte 0x1C came without 0x{self._end[1]:02X}")
        self.missing_crs += 1
        self._finish(frames, b"")

    def _finish(self, frames: list[bytes], rest: bytes) -> None:
        """Hand out the open frame, ended by `rest`, and go outside."""
        if self._buffer:
            frames.append(bytes(self._buffer))
            self._buffer = bytearray()
        else:
            self._check(rest, len(rest))
            frames.append(rest)
        self._inside = False

    def _take(self, piece: bytes) -> None:
        """Add to the open frame, within its limit."""
        if piece:
            self._check(piece, len(self._buffer) + len(piece))
            self._buffer += piece
            if not self._wide_checked and len(self._buffer) >= _WIDE_HEAD_BYTES:
                _refuse_wide(self._buffer)
                self._wide_checked = True

    def _check(self, piece: bytes, size: int) -> None:
        """Refuse a frame that is too long, or whose characters are two bytes wide."""
        if not self._buffer:
            _refuse_wide(piece)
        if size > self._frame_bytes_max:
            self._buffer += piece[:EVIDENCE_BYTES_MAX]
            raise WireError("frame-too-long", f"a frame is longer than {self._frame_bytes_max} bytes")

    def give_up(self, fault: WireError) -> None:
        """Let the caller end the stream for a reason of its own, such as time; `error` and `evidence` say so."""
        if self.error is None:
            self._die(fault)

    def _die(self, fault: WireError) -> None:
        """Remember the break, keep a little of what was broken, give the memory back."""
        self.error = fault
        self.evidence = bytes(self._buffer[:EVIDENCE_BYTES_MAX]) if self._inside else self.junk_sample
        self._buffer = bytearray()
        self._held = b""
        self._inside = False


def _undecided(after: bytes) -> bool:
    """Whether the bytes after a VT may yet become a header segment."""
    return not after or any(opening.startswith(after) for opening in _OPENINGS)


def _refuse_foreign(head: bytes) -> None:
    """Raise WireError when a connection's first bytes belong to another protocol."""
    for name, signatures in _FOREIGN:
        if head.startswith(signatures):
            raise WireError("not-mllp", f"the peer speaks {name}, not MLLP")
    if head.startswith(_WIDE_BOMS):
        raise WireError("utf-16", "the stream begins with a UTF-16 or UTF-32 byte order mark: frames are single bytes")


def _refuse_wide(head: bytes | bytearray) -> None:
    """Raise WireError when a frame's characters are two bytes wide: VT 00 4D 00 53 in either byte order."""
    if len(head) >= _WIDE_HEAD_BYTES and head[0] == 0 and head[2] == 0 and head[1] and head[3]:
        raise WireError("utf-16", "the stream is UTF-16, every character two bytes wide: frames are single bytes")
