"""What `ConfigMigrated` would do to running clocks, referral by referral: a dry run, made where the files are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, cast

from twisted.internet.defer import Deferred

from referral_engine.base.clock import from_micros, rfc3339
from referral_engine.base.errors import Refused
from referral_engine.channels.book import Book
from referral_engine.channels.shape import nearest
from referral_engine.flow.past import policy_of_channel
from referral_engine.journal.codec import decode_referral
from referral_engine.loop.clocks import deadlines
from referral_engine.loop.referral import Referral
from referral_engine.service.context import Context

Shape = dict[str, object]
Row = Mapping[str, Any]


def migration(context: Context, words: Mapping[str, object]) -> Deferred[object]:
    """What `ConfigMigrated` would do to the next referrals: nothing is changed."""
    book, now = context.book, context.clock.now()
    refuse_unknown(book, words.get("channel"))
    told = context.door.look("migration", **{**words, "config": book.version})
    return told.addCallback(lambda facts: shape_migration(cast("Row", facts), book, now))


def refuse_unknown(book: Book, channel: object) -> None:
    """A slip in a channel's name would move nothing and say so as if all were well.  Raises Refused."""
    if channel and channel not in book.channels:
        near = nearest(str(channel), sorted(book.channels))
        raise Refused(f'there is no channel "{channel}" in force' + (f'; did you mean "{near}"?' if near else ""))


def shape_migration(facts: Row, book: Book, now: datetime) -> Shape:
    """Each referral with the clocks that would move, appear or end."""
    return {
        "to": {"config": book.version, "configuration": facts["configuration"]},
        "referrals": [_moving(row, book, now) for row in facts["referrals"]],
        "cursor": facts["cursor"],
        "more": facts["more"],
    }


def _moving(row: Row, book: Book, now: datetime) -> Shape:
    referral = decode_referral(row["referral"])
    known = referral.channel in book.channels
    return {
        "referral": referral.id,
        "channel": referral.channel,
        "config": referral.config,
        "configuration": row["configuration"],
        "stays": "" if known else "its channel has no file any more: it keeps its clocks",
        "clocks": list(_clocks(row, referral, book, now)) if known else [],
    }


def _clocks(row: Row, referral: Referral, book: Book, now: datetime) -> Iterator[Shape]:
    """The clocks that would be due at another instant; a fired one never runs again."""
    fired = {(kind, generation) for kind, generation, _, state in row["deadlines"] if state == "fired"}
    before = {
        (kind, generation): from_micros(due) for kind, generation, due, state in row["deadlines"] if state == "pending"
    }
    after = {
        (one.kind.value, one.generation): one.due_at
        for one in deadlines(referral, policy_of_channel(book, referral.channel))
        if (one.kind.value, one.generation) not in fired
    }
    for kind, generation in sorted(before.keys() | after.keys()):
        was, then = before.get((kind, generation)), after.get((kind, generation))
        if was != then:
            yield {
                "kind": kind,
                "generation": generation,
                "due_before": rfc3339(was) if was is not None else None,
                "due_after": rfc3339(then) if then is not None else None,
                "fires_at_once": then is not None and then <= now,
            }
