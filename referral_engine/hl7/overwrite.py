"""A message's bytes and some new field texts in, the bytes with only those places changed out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.encoding import Delimiters, escape
from referral_engine.hl7.path import Path

PLACE_MAX: Final = 2_000  # stops a path such as ZZZ-999[99999] from growing a message without end
_HEADERS: Final = ("MSH", "FHS", "BHS")
_BY_ANY_END: Final = re.compile(rb"[^\r\n]+")
_BY_CR: Final = re.compile(rb"[^\r]+")
_SEGMENT_END: Final = re.compile(rb"\r\n|\r|\n")


def overwrite(
    raw: bytes,
    changes: Mapping[Path, str],
    delimiters: Delimiters,
    codec: str,
    *,
    lf_ends_segments: bool,
) -> bytes:
    """A copy of `raw` with each path's place holding its text, escaped; see `Message.with_fields`.

    Raises MessageFault 102 when a text cannot be written in `codec`; AssertionError for MSH-1 and MSH-2.
    """
    pattern = _BY_ANY_END if lf_ends_segments else _BY_CR
    wanted = {path.segment for path in changes}
    spans: dict[str, tuple[int, int]] = {}
    for match in pattern.finditer(raw):
        name = match[0][:8].removeprefix(b"\xef\xbb\xbf").lstrip(b"\n")[:4].decode("latin-1")
        name = name.split(delimiters.field, 1)[0]
        if name in wanted and name not in spans:
            head = match[0].index(name.encode())
            spans[name] = (match.start() + head, match.end())
            if len(spans) == len(wanted):
                break
    out, done = [], 0
    for name, (start, end) in sorted(spans.items(), key=lambda item: item[1]):
        text = _changed(raw[start:end].decode(codec), name, changes, delimiters)
        out += [raw[done:start], _encode(text, name, codec)]
        done = end
    out.append(raw[done:])
    missing = [name for name in dict.fromkeys(path.segment for path in changes) if name not in spans]
    if missing:
        found = _SEGMENT_END.search(raw) if lf_ends_segments else None
        end_bytes = found[0] if found else b"\r"
        if not raw.endswith((b"\r", b"\n") if lf_ends_segments else (b"\r", b"\r\n")):
            out.append(end_bytes)
        for name in missing:
            out += [_encode(_changed(name, name, changes, delimiters), name, codec), end_bytes]
    return b"".join(out)


def _changed(segment: str, name: str, changes: Mapping[Path, str], delimiters: Delimiters) -> str:
    """The segment's text with every change that names it made."""
    for path, text in changes.items():
        if path.segment == name:
            segment = _with_place(segment, path, escape(text, delimiters), delimiters)
    return segment


def _with_place(segment: str, path: Path, text: str, delimiters: Delimiters) -> str:
    """The segment's text with one place replaced by an escaped text."""
    at = path.field
    if path.segment in _HEADERS:
        assert at > 2, "MSH-1 and MSH-2 are the delimiters themselves"
        at -= 1
    assert path.repetition <= PLACE_MAX, "no field repeats that often"
    if not (path.repetition or path.component or path.subcomponent):
        return _put(segment, delimiters.field, at, text)
    fields = segment.split(delimiters.field, at + 1)
    field = fields[at] if at < len(fields) else ""
    return _put(segment, delimiters.field, at, _with_piece(field, path, text, delimiters))


def _with_piece(field: str, path: Path, text: str, delimiters: Delimiters) -> str:
    """A field with one repetition, component or subcomponent replaced."""
    nth = (path.repetition or 1) - 1
    repetition = _get(field, delimiters.repetition, nth)
    if path.component or path.subcomponent:
        which = (path.component or 1) - 1
        if path.subcomponent:
            component = _get(repetition, delimiters.component, which)
            text = _put(component, delimiters.subcomponent, path.subcomponent - 1, text)
        text = _put(repetition, delimiters.component, which, text)
    return _put(field, delimiters.repetition, nth, text)


def _get(text: str, separator: str, at: int) -> str:
    """The piece at index `at`, "" beyond the last."""
    pieces = text.split(separator, at + 1)
    return pieces[at] if at < len(pieces) else ""


def _put(text: str, separator: str, at: int, piece: str) -> str:
    """`text` with the piece at index `at` replaced, and empty pieces added before it where they are missing."""
    pieces = text.split(separator, at + 1)
    pieces += [""] * (at + 1 - len(pieces))
    pieces[at] = piece
    return separator.join(pieces)


def _encode(text: str, name: str, codec: str) -> bytes:
    """The bytes of a changed segment."""
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        sentence = "a new value cannot be written in the message's character set"
        raise MessageFault("102", name, sentence) from None
