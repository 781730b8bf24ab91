"""A story's lines and endings as plain values for a file: one JSON object a line, nothing of a patient but a number."""

from __future__ import annotations

from datetime import datetime

from referral_engine.base.clock import rfc3339
from referral_engine.stories.script import Ended, Halfway, Line

FILE_DIGITS = 6  # of a message's number in its file's name; longer numbers simply are longer


def file_name(number: int, line: Line) -> str:
    """The file of one message: its number, when it reaches us, and who sends it."""
    return f"{number:0{FILE_DIGITS}}-{stamp(line.at)}-{line.feed}.hl7"


def stamp(at: datetime) -> str:
    """An instant in a file's name: 20260302T150400Z; `at` is UTC."""
    return at.strftime("%Y%m%dT%H%M%SZ")


def plain_line(number: int, line: Line) -> dict[str, object]:
    """What one message must cause; `first` only where early evidence is matched later."""
    expect = line.expect
    told: dict[str, object] = {
        "disposition": expect.word,
        "level": expect.level,
        "events": [{"referral": one.referral, "kind": one.kind} for one in expect.events],
    }
    if expect.first:
        told["first"] = expect.first
    return {
        "n": number,
        "at": rfc3339(line.at),
        "feed": line.feed,
        "file": file_name(number, line),
        "type": line.type,
        "story": line.story,
        "expect": told,
    }


def plain_standing(ended: Ended | Halfway) -> dict[str, object]:
    """Where the referrals of a story stand when it has ended, or in its middle."""
    return {
        "story": ended.story,
        "plot": ended.plot,
        "ended": isinstance(ended, Ended),
        "at": rfc3339(ended.at),
        "referrals": [
            {"name": one.name, "placer": one.placer, "status": one.status, "tracks": dict(one.tracks)}
            for one in ended.referrals
        ],
    }
