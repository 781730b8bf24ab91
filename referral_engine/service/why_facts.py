"""What the journal knows of one clock of one referral; the arithmetic is done where the files are (`why_shapes`)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

from referral_engine.base.errors import Refused
from referral_engine.flow.past import needed_files
from referral_engine.journal.answers import Story
from referral_engine.journal.codec import decode_event, encode_referral
from referral_engine.journal.reading import Reading
from referral_engine.loop.events import ClocksMigrated

CONFIGURATIONS_MAX: Final = 8  # of one referral; stops a practice that migrates daily from sending all its files


def clock_facts(reading: Reading, words: Mapping[str, object]) -> object:
    """What the journal knows of one clock: the referral, its events, the clock's rows.  Never shown as it is."""
    number, kind = str(words.get("referral", "")), str(words.get("clock", ""))
    story = reading.story(reading.find(number))
    if story is None:
        raise Refused(f"there is no referral {number}")
    named = _configurations(story)
    numbering = reading.numbering()
    return {
        "referral": encode_referral(story.referral),
        "versions": {
            config: needed_files(files, story.referral.channel)
            for config in named
            if (files := reading.version_files(config)) is not None
        },
        "numbers": {config: numbering.number(config, at) for config, at in named.items()},
        "in_force": in_force.number if (in_force := reading.version_in_force()) is not None else None,
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


def _configurations(story: Story) -> dict[str, int]:
    """The configurations that the referral's clocks ever came from, the newest first, and since when."""
    named = {story.referral.config: story.line.updated_at}
    for row in reversed(story.events):
        if row.kind == ClocksMigrated.__name__:
            event = decode_event(row.kind, row.body)
            assert isinstance(event, ClocksMigrated), "its row says so"
            named.setdefault(event.was, row.at)
    return dict(islice(named.items(), CONFIGURATIONS_MAX))
