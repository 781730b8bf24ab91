"""Every public sample message parses or is a fault, and reads as a second parser reads it."""

from __future__ import annotations

import re
from pathlib import Path

import hl7
import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.batch import split_batch
from referral_engine.hl7.message import Message, write

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
BLANK_LINES = re.compile(rb"\n{2,}(?=MSH)")

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the public sample messages are not beside the project")


def _frames() -> list[tuple[str, bytes]]:
    """Every sample with its name; a file of many messages gives many."""
    frames = []
    for path in sorted(path for path in CORPUS.rglob("*") if path.is_file() and path.name != "LICENSE"):
        pieces = BLANK_LINES.split(path.read_bytes())
        frames += [(f"{path.relative_to(CORPUS)} no. {at}", piece) for at, piece in enumerate(pieces, 1)]
    return frames


def _messages() -> list[tuple[str, Message]]:
    """Every sample that parses."""
    found = []
    for name, frame in _frames():
        for raw in split_batch(frame):
            try:
                found.append((name, Message.parse(raw)))
            except MessageFault:
                continue
    return found


def test_every_sample_parses_or_is_a_fault_and_nothing_else() -> None:
    frames = _frames()

    parsed = _messages()

    assert len(frames) > 1000
    assert len(parsed) > 0.95 * len(frames)
    for name, message in parsed:
        assert write(message) == message.raw, name
        assert message.header.message_code, name
        assert message.segments[0].name == "MSH", name
        for segment in message.segments:
            for field in range(1, segment.field_count + 1):
                assert isinstance(segment.components(field), list), name
                assert isinstance(segment.repetitions(field), list), name


def test_every_sample_is_unharmed_by_a_change_that_is_undone() -> None:
    for name, message in _messages():
        changed = Message.parse(message.with_fields({"ZZ9-3": "x^y"}))

        assert changed.value("ZZ9-3") == "x^y", name
        assert changed.raw.startswith(message.raw.rstrip(b"\r\n")), name


def test_fields_read_as_python_hl7_reads_them() -> None:
    compared = 0
    for name, message in _messages()[::3]:
        text = "\r".join([*(segment.raw for segment in message.segments), "ZZZ|."])  # it trims the last segment
        try:
            other = hl7.parse(text)
        except (hl7.HL7Exception, IndexError, KeyError, ValueError):
            continue  # the second parser is the stricter one here

        assert len(other) == len(message.segments) + 1, name
        for ours, theirs in zip(message.segments, other, strict=False):
            for number in range(3 if ours.name == "MSH" else 1, ours.field_count + 1):
                place = f"{name} {ours.name}-{number}"
                assert ours.field(number) == str(theirs(number)), place
                assert ours.repetitions(number) == _pieces(theirs(number), empty=[]), place
                if "\\" not in ours.field(number):
                    texts = _pieces(theirs(number)[0], empty=[""]) if ours.field(number) else []
                    assert ours.components(number) == ["" if text == '""' else text for text in texts], place
                compared += 1

    assert compared > 10_000


def _pieces(container: object, *, empty: list[str]) -> list[str]:
    """The direct parts of one of the second parser's containers, as texts."""
    if not isinstance(container, hl7.Container):
        return [str(container)]
    parts = [str(part) for part in container]
    return empty if parts in ([], [""]) else parts
