"""Minimum necessary: what concerns no referral is kept whole for a while, then reduced to its header, or shown.

A tick does a bounded part of it and remembers in the journal how far it came.  What a specialist says, and what the
file of a feed calls for, is never forgotten unseen: unmatched, it becomes a review, for it may hold a finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from referral_engine.base.clock import MICROSECONDS
from referral_engine.channels.engine import DEFAULT_KEEPING
from referral_engine.flow.turn import Turn
from referral_engine.journal.purging import Passed, Purging
from referral_engine.journal.rows import Disposition
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.matching import Level

LOOKED_AT_MAX: Final = 200  # messages a tick passes by, some twenty milliseconds: the door has others to serve
REDUCED_BYTES_MAX: Final = 8 * 1024 * 1024  # of messages a tick reads to reduce them; they may be scanned letters
STEP: Final = 64  # messages asked for at once, at most
AGAIN_MICROS: Final = 3600 * MICROSECONDS  # what somebody is still busy with is looked at again, not sooner
HEADER_FIELDS: Final = 12  # MSH-1 to MSH-12 stay
_FINDINGS: Final = frozenset({"SIU", "ORU", "MDM"})  # reports, documents and appointments: somebody's finding or visit


def forget(turn: Turn, until: int) -> None:
    """Show to people what nothing has claimed in time, and reduce what concerns nobody.

    until: microseconds UTC; what came too late to be of age by then stays as it is.
    """
    keeping = turn.book.engine.journal.keep_unrelated
    _age(turn, until)
    if keeping.seconds is not None:
        _purge(turn, until - round(keeping.seconds * MICROSECONDS))


def header_of(raw: bytes) -> bytes:
    """The MSH segment up to and including MSH-12; b"" of bytes that have none.  Source: HL7 v2.5.1 2.14.9."""
    start = raw.find(b"MSH")
    if start < 0:
        return b""
    ends = [end for end in (raw.find(b"\r", start), raw.find(b"\n", start)) if end >= 0]
    line = raw[start : min(ends)] if ends else raw[start:]
    separator = line[3:4]
    return separator.join(line.split(separator)[:HEADER_FIELDS]) if separator else line


def _age(turn: Turn, until: int) -> None:
    """Evidence that found no referral in time becomes a person's question; its bytes and numbers stay."""
    seconds = turn.book.engine.journal.keep_unrelated.seconds
    patience = min(seconds or _PATIENCE, _PATIENCE)
    purging = turn.unit.purging
    for passed in _of_age(purging, purging.aged_through, until - round(patience * MICROSECONDS)):
        purging.aged(passed.sequence)
        if passed.idle and _may_hold_a_finding(turn, passed):
            _show(turn, passed, patience)


_PATIENCE: Final = DEFAULT_KEEPING.seconds or 0.0  # that evidence has, however long its bytes are kept


def _show(turn: Turn, passed: Passed, patience: float) -> None:
    reason = f"nothing has claimed it in {patience / 3600:g} hours"
    level = Level.NOTHING.value
    turn.open_task(
        OpenTask(kind=TaskKind.MATCH_REVIEW, reason=f"level {level}: {reason}"),
        channel=passed.partner,
        message=passed.sequence,
    )
    turn.unit.change_disposition(passed.sequence, Disposition.NEEDS_HUMAN, level, reason, "")
    turn.audit("clock", "aged", f"message {passed.sequence}", Disposition.NEEDS_HUMAN.value)


def _purge(turn: Turn, cutoff: int) -> None:
    """Reduce what came before `cutoff` and concerns nobody; one line of the audit says what."""
    purging = turn.unit.purging
    chosen: list[int] = []
    size = 0
    for passed in purging.put_off(cutoff, STEP):
        purging.seen(passed.sequence)
        if _goes(turn, passed, cutoff):
            chosen.append(passed.sequence)
            size += passed.size
    for passed in _of_age(purging, purging.through, cutoff):
        if size >= REDUCED_BYTES_MAX:
            break
        purging.went_through(passed.sequence)
        if _goes(turn, passed, cutoff):
            chosen.append(passed.sequence)
            size += passed.size
    if chosen:
        purging.reduce(chosen, header_of, turn.now_micros)
        span = f"messages {min(chosen)}-{max(chosen)} ({len(chosen)})"
        turn.audit("clock", "purged", span, f"kept for {turn.book.engine.journal.keep_unrelated}")


def _goes(turn: Turn, passed: Passed, cutoff: int) -> bool:
    """Whether nothing needs the bytes of a message any more; what somebody is busy with is looked at again."""
    purging = turn.unit.purging
    if not passed.idle:
        return False
    held = purging.held(passed.sequence)
    if held.for_good:
        return False
    waits = held.for_now or (passed.sequence > purging.aged_through and _may_hold_a_finding(turn, passed))
    if waits:
        purging.come_back(passed.sequence, max(turn.now_micros, cutoff + AGAIN_MICROS))
    return not waits


def _may_hold_a_finding(turn: Turn, passed: Passed) -> bool:
    """Whether unmatched evidence must be seen by a person before it is forgotten."""
    if passed.level != Level.NOTHING or passed.type[:3] not in _FINDINGS:
        return False
    if passed.partner in turn.book.channels:
        return True
    feed = turn.book.feeds.get(passed.partner)
    return feed is not None and feed.unmatched == "review"


def _of_age(purging: Purging, after: int, until: int) -> Iterator[Passed]:
    """The messages behind one that came by `until`, at most LOOKED_AT_MAX; the first looks take few: few are due."""
    size, left = 1, LOOKED_AT_MAX
    while left:
        rows = purging.after(after, min(size, left))
        for row in rows:
            if row.received_at > until:
                return
            yield row
        if len(rows) < min(size, left):
            return
        after, left, size = rows[-1].sequence, left - len(rows), min(4 * size, STEP)
