"""The first bytes of a stream or a frame in; nothing, or the name of what the peer speaks instead of MLLP."""

from __future__ import annotations

from typing import Final

from referral_engine.base.errors import WireError

HEAD_BYTES: Final = 16  # enough to tell every protocol below
WIDE_HEAD_BYTES: Final = 4  # two UTF-16 characters

_FOREIGN: Final = (
    ("HTTP", (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")),
    ("HTTP", (b"HTTP/1.", b"PRI * HTTP/2")),
    ("TLS", (b"\x16\x03\x00", b"\x16\x03\x01", b"\x16\x03\x02", b"\x16\x03\x03", b"\x16\x03\x04")),
    ("SSH", (b"SSH-",)),
    ("telnet", (b"\xff\xfb", b"\xff\xfc", b"\xff\xfd")),
)
_UNFRAMED: Final = (b"MSH|^~", b"FHS|^~", b"BHS|^~", b"\xef\xbb\xbfMSH|^~")
_WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def refuse_foreign(head: bytes) -> None:
    """Raise WireError when a connection's first bytes belong to another protocol, or to none at all.

    Reasons: "not-mllp" (HTTP, TLS, SSH, telnet), "no-start-byte" (HL7 without a frame), "utf-16".
    """
    for name, signatures in _FOREIGN:
        if head.startswith(signatures):
            raise WireError("not-mllp", f"the peer speaks {name}, not MLLP")
    if head.startswith(_UNFRAMED):
        raise WireError("no-start-byte", "the peer sends HL7 without the start byte 0x0B")
    if head.startswith(_WIDE_BOMS):
        raise WireError("utf-16", "the stream begins with a UTF-16 or UTF-32 byte order mark: frames are single bytes")


def refuse_wide(head: bytes | bytearray) -> None:
    """Raise WireError ("utf-16") when a frame's characters are two bytes wide: VT 00 4D 00 53 in either byte order."""
    if len(head) >= WIDE_HEAD_BYTES and head[0] == 0 and head[2] == 0 and head[1] and head[3]:
        raise WireError("utf-16", "the stream is UTF-16, every character two bytes wide: frames are single bytes")
