"""Bytes from a socket in, complete frames out; and one message in, one frame out. MLLP Release 1, sans I/O."""

from __future__ import annotations

import re
from typing import Final, Literal

from referral_engine.base.errors import WireError
from referral_engine.hl7.foreign import HEAD_BYTES, WIDE_HEAD_BYTES, refuse_foreign, refuse_wide

KIB: Final = 1024
MIB: Final = 1024 * KIB

START: Final = 0x0B  # VT opens a frame
STOP: Final = 0x1C  # FS, the first byte of the trailer
END: Final = b"\x1c\r"  # FS CR closes a frame
FRAME_BYTES_MAX: Final = 16 * MIB  # stops a frame that never ends; leaves room for scanned letters in OBX-5
JUNK_BYTES_MAX: Final = 64  # in a row; stops a peer that never opens a frame
BLANK_BYTES_MAX: Final = 64 * KIB  # in a row; stops a peer that only ever sends line ends and NULs
JUNK_SAMPLE_BYTES_MAX: Final = 64  # stops the sample from becoming a copy; enough to recognise a log line
EVIDENCE_BYTES_MAX: Final = 4 * KIB  # stops a broken frame from filling the quarantine

_START_BYTE: Final = b"\x0b"
_STOP_BYTE: Final = b"\x1c"
_LINE_ENDS: Final = b"\r\n"  # after FS CR these are everyday, and not even counted
_BLANKS: Final = b"\x00\t\n\x0c\r "
_BOM: Final = b"\xef\xbb\xbf"
_LEADS: Final = tuple(lead + bom for lead in (b"", b"\r", b"\n", b"\r\n") for bom in (b"", _BOM))  # before a header
_OPENINGS: Final = tuple(lead + name for lead in _LEADS for name in (b"MSH", b"FHS", b"BHS"))
_BEGINNINGS: Final = sorted({opening[:cut] for opening in _OPENINGS for cut in range(1, len(opening) + 1)})
# A VT that opens a new frame inside an old one, or a VT so near the end of the chunk that it may yet turn out to.
_RESTART: Final = re.compile(
    b"\\x0b(?:(?:" + b"|".join(_OPENINGS) + b")[^0-9A-Za-z\\x00-\\x20]|(?:" + b"|".join(_BEGINNINGS) + b")?\\Z)",
)
_STARTS: Final = re.compile(rb"\x0b+")


def enframe(message: bytes, end: bytes = END) -> bytes:
    """Wrap one message for the wire: VT, message, FS, CR.

    message: segments ended by CR, without VT or FS inside. end: the peer's trailer, where it is not FS CR.
    Raises WireError ("start-in-payload", "fs-in-payload") if it contains either.
    Source: HL7 Transport Specification, MLLP Release 1.
    """
    if _START_BYTE in message:
        raise WireError("start-in-payload", "a message to send contains the start byte 0x0B")
    if _STOP_BYTE in message:
        raise WireError("fs-in-payload", "a message to send contains the end byte 0x1C")
    return _START_BYTE + message + end


class Deframer:
    """Cuts one connection's byte stream into frames; the same frames for every way the stream is chunked.

    `feed` returns what was completed and sets `error` when the peer broke framing, so frames finished before the
    break are never lost: look at `error` after each call, answer the frames, then close. The next `feed` raises it.

    inside          whether a frame is open: the peer owes its rest;
    oddities        grows with every other counter, so that one look tells whether anything is new.
    Counters, from the start of the connection:
    junk_bytes      bytes outside frames, white space and NULs not counted;
    junk_offset     offset of the first of them in the stream, -1 for none;
    junk_sample     the first few of them, for the quarantine and never for a log: it may hold a patient;
    blank_bytes     white space and NULs outside frames, CR and LF not counted (a line end after FS CR is everyday);
    remnants        frames dropped because the next frame opened before they ended; never to be acknowledged;
    doubled_starts  VT VT, the mark of a relay that wraps twice;
    missing_crs     frames ended by FS without CR.

    Source: HL7 Transport Specification, MLLP Release 1.
    """

    __slots__ = (
        "_base", "_blank_run", "_buffer", "_doubled", "_end", "_frame_bytes_max", "_head", "_held",
        "_junk_bytes_max", "_junk_run", "_missing_cr", "_restart_at", "_stop_at", "_unopened", "_unwrap_doubled",
        "_wide_checked", "blank_bytes", "doubled_starts", "error", "evidence", "inside", "junk_bytes",
        "junk_offset", "junk_sample", "missing_crs", "oddities", "remnants",
    )  # fmt: skip

    def __init__(
        self,
        *,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        junk_bytes_max: int = JUNK_BYTES_MAX,
        missing_cr: Literal["accept", "refuse"] = "accept",
        end: bytes = END,
        unwrap_doubled: bool = True,
    ) -> None:
        """Start before the first byte of a connection.

        missing_cr: whether FS alone may end a frame (before a VT, or at `settle`).
        end: the peer's two-byte trailer, where it is not FS CR; the first byte is FS.
        unwrap_doubled: whether VT VT may open a frame.
        """
        assert len(end) == len(END), "a trailer has two bytes"
        assert end[0] == STOP, "a trailer begins with FS"
        assert end[1] != START, "a trailer does not open a frame"
        self._frame_bytes_max = frame_bytes_max
        self._junk_bytes_max = junk_bytes_max
        self._missing_cr = missing_cr
        self._end = end
        self._unwrap_doubled = unwrap_doubled
        self._buffer = bytearray()  # the open frame so far
        self._held = b""  # a tail of at most seven bytes whose meaning the next chunk decides; only while inside
        self._head = b""  # the stream's first bytes that are not blank, while no frame was opened
        self._unopened = True
        self._wide_checked = False
        self._doubled = False  # the open frame began with VT VT
        self._junk_run = 0
        self._blank_run = 0
        self._base = 0  # offset in the stream of the present chunk's first byte
        self._stop_at = -1  # where the next FS of the present chunk is, so that no byte is searched twice
        self._restart_at = -1
        self.inside = False
        self.error: WireError | None = None
        self.evidence = b""  # after an error: the beginning of what was broken; may hold a patient
        self.oddities = 0
        self.junk_bytes = 0
        self.junk_offset = -1
        self.junk_sample = b""
        self.blank_bytes = 0
        self.remnants = 0
        self.doubled_starts = 0
        self.missing_crs = 0

    @property
    def waits_for_cr(self) -> bool:
        """Whether FS was the last byte: call `settle` when nothing follows within a moment, or at the peer's close."""
        return self.inside and self._held == _STOP_BYTE

    @property
    def buffered_bytes(self) -> int:
        """How much of an unfinished frame is in memory."""
        return len(self._buffer) + len(self._held)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes of the stream and return the payloads they complete, in order; b"" is an empty frame.

        Sets `error` (reasons "junk", "not-mllp", "no-start-byte", "utf-16", "frame-too-long", "missing-cr",
        "fs-in-payload", "doubled-frame") when the peer breaks framing; every later call raises that WireError.
        """
        if self.error is not None:
            raise WireError(self.error.reason, str(self.error))
        frames: list[bytes] = []
        position, size = 0, len(chunk)
        if not self.inside:
            position = self._read_whole_frames(chunk, frames)
            if position == size:
                self._base += size
                return frames
        elif self._held:
            chunk = self._held + chunk
            size = len(chunk)
            self._held = b""
        self._stop_at = self._restart_at = -1
        try:
            while position < size:
                position = self._read_frame(chunk, position, frames) if self.inside else self._skip(chunk, position)
        except WireError as fault:
            self._die(fault)
        self._base += size - len(self._held)
        return frames

    def settle(self) -> list[bytes]:
        """Decide that nothing follows a lone FS: the peer has been quiet for a moment, or has closed.

        Accepting: returns the frame. Refusing: returns nothing and sets `error` ("missing-cr"). Never raises.
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

    def _read_whole_frames(self, chunk: bytes, frames: list[bytes]) -> int:
        """The everyday case: frames that begin and end in this chunk, with nothing odd about them, each copied once.

        Returns where to go on with more care.
        """
        find, end, size = chunk.find, self._end[1], len(chunk)
        position = 0
        while position < size and chunk[position] == START:
            first = position + 1
            stop = find(_STOP_BYTE, first)
            if (
                stop <= first  # none, or an empty frame
                or stop + 1 >= size
                or chunk[stop + 1] != end
                or not chunk[first]  # perhaps UTF-16
                or stop - first > self._frame_bytes_max
                or find(_START_BYTE, first, stop) >= 0
            ):
                break
            frames.append(chunk[first:stop])
            position = stop + 2
        if position:
            self._unopened = False
            self._junk_run = self._blank_run = 0
        return position

    def _skip(self, chunk: bytes, position: int) -> int:
        """Outside frames: go to the VT, counting what is passed over; returns where to go on."""
        found = chunk.find(_START_BYTE, position)
        stop = len(chunk) if found < 0 else found
        if stop > position:
            self._count_junk(chunk[position:stop], self._base + position)
        if found < 0:
            return stop
        self.inside = True
        self._unopened = False
        self._doubled = self._wide_checked = False
        self._junk_run = self._blank_run = 0
        return found + 1

    def _count_junk(self, skipped: bytes, offset: int) -> None:
        """Count bytes outside frames and recognise who speaks another protocol."""
        junk = len(skipped.translate(None, _BLANKS))
        blank = len(skipped) - junk
        line_ends = len(skipped) - len(skipped.translate(None, _LINE_ENDS))
        if junk or blank > line_ends:
            self.oddities += 1
            self.junk_bytes += junk
            self.blank_bytes += blank - line_ends
        if junk and self.junk_offset < 0:
            lead = len(skipped) - len(skipped.lstrip(_BLANKS))
            self.junk_offset = offset + lead
            self.junk_sample = skipped[lead : lead + JUNK_SAMPLE_BYTES_MAX]
        elif self.junk_offset >= 0 and len(self.junk_sample) < JUNK_SAMPLE_BYTES_MAX:
            self.junk_sample = (self.junk_sample + skipped)[:JUNK_SAMPLE_BYTES_MAX]
        if self._unopened and len(self._head) < HEAD_BYTES:
            self._head = (self._head + skipped).lstrip(_BLANKS)[:HEAD_BYTES]
            refuse_foreign(self._head)
        self._junk_run += junk
        self._blank_run += blank
        if self._junk_run > self._junk_bytes_max:
            raise WireError("junk", f"more than {self._junk_bytes_max} bytes in a row outside any frame")
        if self._blank_run > BLANK_BYTES_MAX:
            raise WireError("junk", f"more than {BLANK_BYTES_MAX} blank bytes in a row outside any frame")

    def _read_frame(self, chunk: bytes, position: int, frames: list[bytes]) -> int:
        """Inside a frame: take bytes up to its end, its restart or the chunk's end; returns where to go on."""
        if chunk[position] == START and not self._buffer:
            return self._count_starts(chunk, position)
        size = len(chunk)
        if self._stop_at < position:
            found = chunk.find(_STOP_BYTE, position)
            self._stop_at = size if found < 0 else found
        if self._restart_at < position:
            found = chunk.find(_START_BYTE, position)
            match = None if found < 0 else _RESTART.search(chunk, found)
            self._restart_at = size if match is None else match.start()
        stop = min(self._stop_at, self._restart_at)
        if stop == self._stop_at and stop + 1 < size and chunk[stop + 1] == self._end[1] and not self._buffer:
            self._finish(frames, chunk[position:stop])  # a whole frame in one chunk is copied once
            return stop + 2
        self._take(chunk[position:stop])
        if stop == size:
            return size
        if stop == self._restart_at:
            return self._restart(chunk, stop)
        return self._end_frame(chunk, stop, frames)

    def _count_starts(self, chunk: bytes, position: int) -> int:
        """At a second VT: a relay wraps what is wrapped already; returns where the content begins."""
        match = _STARTS.match(chunk, position)
        after = position + 1 if match is None else match.end()
        self.oddities += 1
        self.doubled_starts += after - position
        self._doubled = True
        return after

    def _restart(self, chunk: bytes, position: int) -> int:
        """At a VT that opens a new frame before the old one ended, or may do so."""
        if len(chunk) - position <= max(map(len, _LEADS)) + 4 and _undecided(chunk[position + 1 :]):
            self._held = chunk[position:]
            return len(chunk)
        self.oddities += 1
        self.remnants += 1
        self._buffer = bytearray()
        self._doubled = self._wide_checked = False
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
            "binary in the payload, or another trailer is in use (framing.trailer)",
        )

    def _end_without_cr(self, frames: list[bytes]) -> None:
        """Close the frame at a lone FS, where that is accepted."""
        if self._missing_cr == "refuse":
            raise WireError("missing-cr", f"the end byte 0x1C came without 0x{self._end[1]:02X}")
        self.oddities += 1
        self.missing_crs += 1
        self._finish(frames, b"")

    def _finish(self, frames: list[bytes], rest: bytes) -> None:
        """Hand out the open frame, ended by `rest`, and go outside."""
        if self._doubled and not self._unwrap_doubled:
            self._take(rest)
            raise WireError("doubled-frame", "a frame is wrapped twice (0x0B 0x0B): framing.unwrap_doubled accepts it")
        if self._buffer:
            frames.append(bytes(self._buffer))
            self._buffer = bytearray()
        else:
            self._check(rest, len(rest))
            frames.append(rest)
        self.inside = False

    def _take(self, piece: bytes) -> None:
        """Add to the open frame, within its limit."""
        if piece:
            self._check(piece, len(self._buffer) + len(piece))
            self._buffer += piece
            if not self._wide_checked and len(self._buffer) >= WIDE_HEAD_BYTES:
                refuse_wide(self._buffer)
                self._wide_checked = True

    def _check(self, piece: bytes, size: int) -> None:
        """Refuse a frame that is too long, or whose characters are two bytes wide."""
        if not self._buffer:
            refuse_wide(piece)
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
        self.evidence = bytes(self._buffer[:EVIDENCE_BYTES_MAX]) if self.inside else self.junk_sample
        self._buffer = bytearray()
        self._held = b""
        self.inside = False


def _undecided(after: bytes) -> bool:
    """Whether the bytes after a VT may yet become a header segment."""
    return not after or any(opening.startswith(after) for opening in _OPENINGS)
