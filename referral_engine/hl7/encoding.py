"""Delimiters, escape sequences and character sets: between the bytes of a field and the text it means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from referral_engine.base.errors import MessageFault

LINES_MAX: Final = 99  # stops \.sp999999999\ from growing without end
COMMAND_LENGTH_MAX: Final = 16  # stops a whole document between two backslashes from being taken, and cached, as one
CHARSET_NAME_MAX: Final = 40  # stops a broken MSH-18 from being cached whole
_CACHED_MAX: Final = 256  # stops a peer that changes its delimiters every message from filling memory
_MSH_2_MIN: Final = 2
_MSH_2_MAX: Final = 5  # the fifth, truncation, came with v2.7
_DEFAULTS: Final = "^~\\&"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimiters:
    """The characters that separate, MSH-1 and MSH-2; all differ, each is printable ASCII and no letter or digit.

    Source: HL7 v2.5.1 2.5.4; truncation HL7 v2.7 2.5.5.2.
    """

    field: str = "|"  # MSH-1
    component: str = "^"  # MSH-2, first character
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""  # "" when MSH-2 has no fifth character

    def __hash__(self) -> int:
        """Of two of the characters: nearly every sender has the usual ones, and this is asked for every message."""
        return hash(self.component + self.subcomponent)

    @staticmethod
    def from_msh(raw: bytes) -> Delimiters:
        """Read the delimiters of a header segment, MSH, FHS or BHS.

        raw: begins with the segment's name. MSH-2 holds two to five characters; missing ones are the usual ones.
        Raises MessageFault: 100 when there is no header segment, 102 for delimiters that cannot work; asks for AR.
        """
        if raw[:3] not in (b"MSH", b"FHS", b"BHS"):
            raise MessageFault("100", "MSH", "the message does not begin with a header segment", reject=True)
        separator = raw[3:4]
        end = raw.find(separator, 4, 5 + _MSH_2_MAX) if separator else -1
        if end < 0:
            end = min([len(raw), 5 + _MSH_2_MAX, *(at for at in (raw.find(b"\r"), raw.find(b"\n")) if at >= 0)])
        return _delimiters(raw[3:end])

    @property
    def encoding_characters(self) -> str:
        """MSH-2 in full: four characters, five with truncation."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation


@lru_cache(maxsize=_CACHED_MAX)
def _delimiters(raw: bytes) -> Delimiters:
    """The delimiters written as MSH-1 and MSH-2 in `raw`."""
    if not raw:
        raise MessageFault("101", "MSH-1", "the header segment ends after its name", reject=True)
    text = raw.decode("latin-1")
    field, given = text[0], text[1:]
    if not _MSH_2_MIN <= len(given) <= _MSH_2_MAX:
        raise MessageFault("102", "MSH-2", "does not hold two to five encoding characters", reject=True)
    if given[2:] == "&":
        given = given[:2] + "\\&"  # a backslash eaten on the way is common; "&" as escape character is not
    characters = given + _DEFAULTS[len(given) :]
    if not all("!" <= character <= "~" and not character.isalnum() for character in text):
        raise MessageFault("102", "MSH-2", "a delimiter is a letter, a digit, a blank or not printable", reject=True)
    if len(set(field + characters)) != 1 + len(characters):
        raise MessageFault("102", "MSH-2", "one character serves as two delimiters", reject=True)
    return Delimiters(
        field=field,
        component=characters[0],
        repetition=characters[1],
        escape=characters[2],
        subcomponent=characters[3],
        truncation=characters[4:],
    )


DEFAULT: Final = Delimiters()

# ---------------------------------------------------------------------------------------------------------------------
# Escape sequences, HL7 v2.5.1 2.7

_FORMATTING: Final = re.compile(r"\.(br|sp|sk|in|ti|fi|nf|ce)([+-]?[0-9]{1,9})?", re.IGNORECASE)
_HEX: Final = re.compile(r"X(?:[0-9A-Fa-f]{2})+")
_CONTROLS: Final = [*(code for code in range(0x20) if chr(code) != "\t"), 0x7F]  # a tab is text


def unescape(text: str, delimiters: Delimiters) -> str:
    r"""The text a field means: \F\ \S\ \T\ \R\ \E\ \P\ and \X0D\ resolved, formatting turned into line breaks.

    \H\ and \N\ (highlighting) vanish. What is unknown or unterminated, as in a Windows path, stays visible.
    Linear in the length of `text`; never raises. Source: HL7 v2.5.1 2.7, HL7 v2.7 2.7 for \P\.
    """
    if delimiters.escape not in text:
        return text
    letters = _letters(delimiters)
    pieces = text.split(delimiters.escape)
    out = [pieces[0]]
    octets = bytearray()  # neighbouring \X..\ sequences: one character may be spread over several
    at, last = 1, len(pieces) - 1
    while at <= last:
        body = pieces[at]
        if at < last and body[:1] == "X" and _HEX.fullmatch(body):
            octets += bytes.fromhex(body[1:])
            if pieces[at + 1] or at + 1 == last:
                out.append(_octets_text(octets))
                octets = bytearray()
            out.append(pieces[at + 1])
            at += 2
            continue
        if octets:
            out.append(_octets_text(octets))
            octets = bytearray()
        meaning = None
        if at < last and len(body) <= COMMAND_LENGTH_MAX:
            meaning = _formatting(body) if body[:1] == "." else letters.get(body)
        if meaning is None:
            out.append(delimiters.escape + body)
            at += 1
        else:
            out.append(meaning + pieces[at + 1])
            at += 2
    return "".join(out)


def escape(text: str, delimiters: Delimiters) -> str:
    r"""Text made safe for a field: delimiters become \F\ and so on, control characters \X0D\.

    `unescape` gives the same text back, always. A text of two quotation marks is kept apart from the HL7 null.
    Source: HL7 v2.5.1 2.7.
    """
    if text == '""':
        return f'{delimiters.escape}X22{delimiters.escape}"'
    return text.translate(_escapes(delimiters))


@lru_cache(maxsize=_CACHED_MAX)
def _escapes(delimiters: Delimiters) -> dict[int, str]:
    """What each character that may not stand in a field becomes."""
    mark = delimiters.escape
    table = {code: f"{mark}X{code:02X}{mark}" for code in _CONTROLS}
    table[ord(delimiters.field)] = f"{mark}F{mark}"
    table[ord(delimiters.component)] = f"{mark}S{mark}"
    table[ord(delimiters.subcomponent)] = f"{mark}T{mark}"
    table[ord(delimiters.repetition)] = f"{mark}R{mark}"
    table[ord(mark)] = f"{mark}E{mark}"
    if delimiters.truncation:
        table[ord(delimiters.truncation)] = f"{mark}P{mark}"
    return table


@lru_cache(maxsize=_CACHED_MAX)
def _letters(delimiters: Delimiters) -> dict[str, str]:
    """What each one-letter sequence means."""
    letters = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "H": "",
        "N": "",
    }
    if delimiters.truncation:
        letters["P"] = delimiters.truncation
    return letters


@lru_cache(maxsize=_CACHED_MAX)
def _formatting(body: str) -> str | None:
    """The blanks and line breaks of a formatting command; None when it is not known here."""
    match = _FORMATTING.fullmatch(body)
    if match is None:
        return None
    command, count = match[1].lower(), min(int(match[2] or "1"), LINES_MAX)
    if command in ("br", "ce"):
        return "\n"
    if command == "sp":
        return "\n" * max(count, 1)
    if command == "sk":
        return " " * max(count, 1)
    return ""  # indents and fill modes say nothing about the words


def _octets_text(octets: bytearray) -> str:
    r"""The text of \X..\ bytes: UTF-8, else windows-1252, else one character a byte."""
    for codec in ("utf-8", "cp1252"):
        try:
            return octets.decode(codec)
        except UnicodeDecodeError:
            continue
    return octets.decode("latin-1")


# ---------------------------------------------------------------------------------------------------------------------
# Character sets, MSH-18, table 0211

_UTF_8_BOM: Final = b"\xef\xbb\xbf"
_WIDE: Final = (  # byte order marks, then "MS" in either width and order
    b"\xff\xfe",
    b"\xfe\xff",
    b"\x00\x00\xfe\xff",
    b"M\x00S\x00",
    b"\x00M\x00S",
    b"M\x00\x00\x00",
    b"\x00\x00\x00M",
)
_CODECS: Final = {
    "ASCII": "ascii",
    "USASCII": "ascii",
    "ISOIR6": "ascii",
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "AL32UTF8": "utf-8",
    "CP1252": "cp1252",
    "WINDOWS1252": "cp1252",
    "WIN1252": "cp1252",
    "ANSI": "cp1252",
    "CP1250": "cp1250",
    "WINDOWS1250": "cp1250",
    "CP1251": "cp1251",
    "WINDOWS1251": "cp1251",
    "LATIN1": "iso8859-1",
    "ISOIR14": "shift_jis",
    "ISOIR87": "iso2022_jp",
    "ISOIR159": "iso2022_jp_1",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "KSX1001": "euc_kr",
    "BIG5": "big5",
    **{f"{prefix}8859{part}": f"iso8859-{part}" for prefix in ("", "ISO") for part in (*range(1, 12), 13, 14, 15, 16)},
}
_C1: Final = re.compile("[\x80-\x9f]")  # controls nobody sends; in windows-1252 these bytes are quotation marks
_WIDE_NAMES: Final = ("UNICODEUTF16", "UNICODEUTF32", "UTF16", "UTF32", "UCS2", "UCS4")


@lru_cache(maxsize=_CACHED_MAX)
def codec_of(name: str) -> str:
    """The Python codec for a name of table 0211, or what senders write instead; "" when it is not known here.

    Raises MessageFault 103 for UTF-16 and UTF-32, which HL7 v2 bars.
    """
    plain = "".join(character for character in name.upper() if character.isalnum())
    if plain.startswith(_WIDE_NAMES):
        raise MessageFault("103", "MSH-18", "names UTF-16 or UTF-32, which may not be used", reject=True)
    return _CODECS.get(plain, "")


def decode(raw: bytes, declared: str, fallback: str = "") -> tuple[str, str, str]:
    """Read a message's bytes as text: byte order mark, MSH-18, the feed's `fallback`, UTF-8, windows-1252.

    declared: MSH-18, first repetition. fallback: a name of table 0211 or a codec's name, from the feed's settings.
    Gives (text, Python codec, flag): the flag is "" or a fixed sentence saying how the bytes contradict MSH-18.
    Never loses a byte and never invents a replacement character.
    Raises MessageFault for UTF-16 and UTF-32. Source: HL7 v2.5.1 2.15.9.18, table 0211.
    """
    refuse_wide(raw)
    if not declared and not fallback and raw.isascii():
        return raw.decode("ascii"), "ascii", ""
    flag = ""
    if raw.startswith(_UTF_8_BOM):
        raw = raw[len(_UTF_8_BOM) :]
        text = _strictly(raw, "utf-8")
        if text is not None:
            return text, "utf-8", ""
        flag = "a byte order mark says UTF-8, the bytes do not"
    if declared:
        codec = codec_of(declared[:CHARSET_NAME_MAX])
        text = _strictly(raw, codec) if codec else None
        if text is not None:
            return (text, codec, flag) if codec != "iso8859-1" or raw.isascii() else _latin(raw, text, flag)
        flag = flag or _contradiction(codec)
    for codec in (codec_of(fallback) if fallback else "", "utf-8"):
        text = _strictly(raw, codec) if codec else None
        if text is not None:
            return text, codec, flag
    text = _strictly(raw, "cp1252")
    flag = flag or "MSH-18 is empty and the bytes are not UTF-8: read as windows-1252"
    return (raw.decode("latin-1"), "iso8859-1", flag) if text is None else (text, "cp1252", flag)


def refuse_wide(raw: bytes) -> None:
    """Raise MessageFault 102 when a message is UTF-16 or UTF-32, with or without a byte order mark."""
    if raw.startswith(_WIDE):
        raise MessageFault("102", "MSH", "the message is UTF-16 or UTF-32, which may not be used", reject=True)


def _strictly(raw: bytes, codec: str) -> str | None:
    """The text, None when the bytes are not in this codec."""
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return None


def _latin(raw: bytes, text: str, flag: str) -> tuple[str, str, str]:
    """What calls itself 8859/1: windows-1252 where its quotation marks and dashes occur."""
    if _C1.search(text) is None:
        return text, "iso8859-1", flag
    windows = _strictly(raw, "cp1252")
    if windows is None:
        return text, "iso8859-1", flag
    return windows, "cp1252", flag or "MSH-18 says 8859/1, the bytes are windows-1252"


def _contradiction(codec: str) -> str:
    """The fixed sentence for MSH-18 and bytes that disagree; `codec` is "" for an unknown name."""
    if not codec:
        return "MSH-18 names a character set that is not known here"
    label = {"utf-8": "UTF-8", "ascii": "ASCII"}.get(codec, codec)
    return f"MSH-18 says {label}, the bytes do not"
