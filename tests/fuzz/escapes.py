"""Escape sequences and character sets against any text and bytes: nothing is lost, nothing grows without end."""

from __future__ import annotations

import codecs

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.encoding import DEFAULT, LINES_MAX, Delimiters, decode, escape, unescape

HEADS = (b"MSH|^~\\&|", b"MSH|^~\\&#|", b"MSH@#~*&%@", b"MSH!$%/=!")
NAMES = ("", "ASCII", "8859/1", "8859/15", "UNICODE UTF-8", "WINDOWS-1252", "ISO IR87", "GB 18030-2000", "BIG-5", "x?")
ROUND = ("ascii", "utf-8", "cp1252")  # one text, one row of bytes, and back; so are the parts of ISO 8859
UTF_8_BOM = b"\xef\xbb\xbf"


def target(raw: bytes) -> None:
    """The first byte chooses delimiters and what MSH-18 says, the second what the feed says; the rest is a value."""
    choice, feed, body = (*raw[:2], 0, 0)[0], (*raw[:2], 0, 0)[1], raw[2:]
    delimiters = Delimiters.from_msh(HEADS[choice % len(HEADS)])
    text = body.decode("utf-8", "replace")
    written = escape(text, delimiters)
    assert unescape(written, delimiters) == text, "what is written is read again"
    assert written != '""', "a text never becomes the HL7 null"
    assert not set(written) & set(f"\r\n\x0b\x1c{delimiters.field}"), "and cannot break a segment or a frame"
    assert len(unescape(text, delimiters)) <= len(text) * LINES_MAX, "a command cannot grow without end"
    latin = body.decode("latin-1")
    assert unescape(escape(latin, DEFAULT), DEFAULT) == latin
    keep_bytes(body, NAMES[choice % len(NAMES)], NAMES[feed % len(NAMES)])


def keep_bytes(body: bytes, declared: str, fallback: str) -> None:
    """Text that goes back to the very bytes it came from, in the codec that is named."""
    try:
        text, codec, flag = decode(body, declared, fallback)
    except MessageFault:
        return
    assert codecs.lookup(codec)
    assert len(text) <= len(body)
    assert not any(ord(character) > 126 for character in flag), "a fixed sentence"
    if codec in ROUND or codec.startswith("iso8859-"):
        kept = body.removeprefix(UTF_8_BOM)
        assert text.encode(codec) in (body, kept), "no byte is lost"
