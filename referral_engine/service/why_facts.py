"""What the journal knows of one clock of one referral; the arithmetic is done where the files are (`why_shapes`)."""

from __future__ import annotations

from collections.abc import Mapping

from referral_engine.base.errors import Refused
from referral_engine.journal.codec import encode_referral
from referral_engine.journal.reading import Reading


def clock_facts(reading: Reading, words: Mapping[str, object]) -> object:
    """What the journal knows of one clock: the referral, its events, the clock's rows.  Never shown as it is."""
    number, kind = str(words.get("referral", "")), str(words.get("clock", ""))
    story = reading.story(reading.find(number))
    if story is None:
        raise Refused(f"there is no referral {number}")
    return {
        "referral": encode_referral(story.referral),
        "events": [
            {"id": row.sequence, "at": row.at, "kind": row.kind, "message": row.message, "body": row.body}
            for row in story.events
        ],
        "deadlines": [
            {"generation": row.generation, "due_at": row.due_at, "state": row.state}
            for row in story.deadlines
            if row.kind == kind
        ],
        "truncated": story.truncated,
    }
