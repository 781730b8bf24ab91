"""Versions of the configuration as JSON: the history, one version, and what the journal knows of clocks to be moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from referral_engine.base.clock import from_micros, rfc3339
from referral_engine.base.errors import Refused
from referral_engine.journal.codec import encode_referral
from referral_engine.journal.reading import Reading
from referral_engine.journal.rows import VersionRow

Shape = dict[str, object]
Words = Mapping[str, object]

LOOKED_AT_MAX: Final = 1_000  # referrals one question looks at; the journal answers nobody else meanwhile
TOLD_MAX: Final = 200  # referrals one answer tells of, as many as one `ConfigMigrated` moves


def shape_version(row: VersionRow) -> Shape:
    """One version of `versions`."""
    return {
        "number": row.number,
        "at": rfc3339(from_micros(row.at)),
        "config": row.config,
        "by": row.by,
        "action": row.action,
        "reason": row.reason,
        "forced": row.forced,
    }


def shape_whole_version(row: VersionRow) -> Shape:
    """The same with the text of every file, and the difference to the version before."""
    return shape_version(row) | {"difference": row.difference, "files": dict(row.files)}


def list_versions(reading: Reading, words: Words) -> object:
    """The newest versions, the one in force first."""
    return [shape_version(row) for row in reading.versions(limit=_number(words, "limit", 100))]


def show_version(reading: Reading, words: Words) -> object:
    """One version with its files.  Raises Refused for a number that is none."""
    number = _number(words, "version", _number(words, "number", 0))
    row = reading.version(number)
    if row is None:
        raise Refused(f"there is no configuration {number}")
    return shape_whole_version(row)


def _number(words: Words, name: str, default: int) -> int:
    """A number of a question.  Raises Refused."""
    value = words.get(name, default)
    if not isinstance(value, int):
        raise Refused(f"{name}: expected int")
    return value


def migration_facts(reading: Reading, words: Words) -> object:
    """The next open referrals whose clocks come from another configuration, with their clocks.  Never shown as it is.

    config: the hash in force. channel: "" for all. after: the cursor of the answer before.
    """
    config, channel = str(words.get("config", "")), str(words.get("channel", ""))
    limit = max(1, min(_number(words, "limit", TOLD_MAX), TOLD_MAX))
    portion = reading.open_referrals(str(words.get("after", "")), LOOKED_AT_MAX)
    numbering = reading.numbering()
    found: list[Shape] = []
    cursor, more = portion.last, portion.more
    for identity in portion.found:
        referral = reading.referral(identity)
        if referral is None or referral.config == config or channel not in ("", referral.channel):
            continue
        found.append(
            {
                "referral": encode_referral(referral),
                "configuration": numbering.latest(referral.config),
                "deadlines": [[row.kind, row.generation, row.due_at, row.state] for row in reading.deadlines(identity)],
            }
        )
        if len(found) == limit:
            cursor, more = identity, True
            break
    return {"referrals": found, "configuration": numbering.latest(config), "cursor": cursor, "more": more}
