"""A configuration comes in force, is refused, or gives running referrals its clocks; each with a line of the audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Final

from referral_engine.base.errors import ConfigError
from referral_engine.channels.book import Book, read_book
from referral_engine.flow.apply import apply
from referral_engine.flow.inputs import ConfigChanged, ConfigMigrated, ConfigRefused, Receipt
from referral_engine.flow.turn import Turn
from referral_engine.journal.rows import VersionRow
from referral_engine.loop.events import ClocksMigrated

ACTIONS: Final = ("start", "reload", "rollback")
DIFFERENCE_BYTES_MAX: Final = 200 * 1024  # kept of one; a thousand new files are not read line by line by anybody
LINES_MAX: Final = 5_000  # of one file that is compared; stops two unlike files from keeping every sender waiting
LOOKED_AT_MAX: Final = 1_000  # referrals one input looks at; stops years of closed ones from keeping senders waiting
MOVED_MAX: Final = 200  # referrals one input moves, whatever it asks for
_NOWHERE: Final = "/dev/null"  # the name a diff gives to a file that is not there


def adopt(turn: Turn, one: ConfigChanged) -> Receipt:
    """Store a configuration as the next version and let it be in force once the batch is committed.

    What is the newest version already is in force under its number, and nothing is written.
    """
    if one.action not in ACTIONS:
        return Receipt(refused=f"{one.action!r} is not one of {', '.join(ACTIONS)}")
    if one.forced and not one.reason.strip():
        return Receipt(refused="say why: forcing a configuration needs a reason")
    book = _book_of(turn, one)
    if isinstance(book, str):
        return Receipt(refused=book)
    newest = turn.unit.newest_version()
    if newest is not None and newest.config == one.config:
        turn.adopted = book
        return Receipt(version=newest.number, duplicate=True)
    before = turn.unit.version_files(newest.config) if newest is not None else None
    number = turn.unit.add_version(
        VersionRow(
            at=turn.now_micros,
            config=one.config,
            by=one.by,
            action=one.action,
            reason=one.reason,
            forced=one.forced,
            difference=difference(before or {}, one.files),
            files=one.files,
        )
    )
    turn.audit(one.by, f"config {one.action}", f"configuration {number}", one.config)
    turn.adopted = book
    return Receipt(version=number)


def _book_of(turn: Turn, one: ConfigChanged) -> Book | str:
    """The configuration as a value: the one in force, the one read beforehand, else read now; or why it is none."""
    for known in (turn.adopted, turn.offered, turn.book):
        if known is not None and known.version == one.config:
            return known
    try:
        book = read_book(one.files)
    except ConfigError as error:
        first = error.problems[0]
        return (
            f"the configuration has {len(error.problems)} problems, the first: {first.file}:{first.line} {first.code}"
        )
    if book.version != one.config:
        return f"the files are those of configuration {book.version}, not of {one.config}"
    return book


def refuse(turn: Turn, one: ConfigRefused) -> Receipt:
    """Remember in the audit that a candidate was not taken."""
    turn.audit(one.by, "config refused", f"configuration {one.config or 'unread'}", one.code)
    return Receipt()


# ------------------------------------------------------------------------------------------------ the difference


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """A unified diff of all files, in the order of their names, at most DIFFERENCE_BYTES_MAX bytes; "" when equal."""
    told: list[str] = []
    size = 0
    for line in _lines(before, after):
        size += len(line.encode()) + 1
        if size > DIFFERENCE_BYTES_MAX:
            told.append(f"\\ cut here: the difference is longer than {DIFFERENCE_BYTES_MAX} bytes")
            break
        told.append(line)
    return "\n".join(told)


def _lines(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for file in sorted(before.keys() | after.keys()):
        old, new = before.get(file), after.get(file)
        if old == new:
            continue
        was, now = (old or "").splitlines(), (new or "").splitlines()
        names = (file if old is not None else _NOWHERE, file if new is not None else _NOWHERE)
        if was == now or max(len(was), len(now)) > LINES_MAX:
            yield f"--- {names[0]}"
            yield f"+++ {names[1]}"
            yield (
                "\\ only ends of lines differ"
                if was == now
                else f"\\ too long to compare: {len(was)}, {len(now)} lines"
            )
        else:
            yield from unified_diff(was, now, *names, lineterm="")


# ------------------------------------------------------------------------------------------------ running referrals


def migrate(turn: Turn, one: ConfigMigrated) -> Receipt:
    """Give the next open referrals of older configurations the clocks of the one in force.

    One whose channel has no file any more keeps its clocks: the configuration in force says nothing of them.
    """
    if not one.reason.strip():
        return Receipt(refused="say why: moving running clocks needs a reason")
    if one.channel and one.channel not in turn.book.channels:
        return Receipt(refused=f"there is no channel {one.channel} whose clocks could be taken")
    limit = max(1, min(one.limit, MOVED_MAX))
    portion = turn.unit.open_referrals(one.after, LOOKED_AT_MAX)
    moved, cursor, more = 0, portion.last, portion.more
    for identity in portion.found:
        moved += _moved(turn, one, identity)
        if moved == limit:
            cursor, more = identity, True
            break
    if moved:
        whose = f"channel {one.channel}" if one.channel else "all channels"
        turn.audit(one.by, "config migrated", whose, f"{moved} referrals to {turn.book.version}: {one.reason}")
    return Receipt(count=moved, more=more, cursor=cursor)


def _moved(turn: Turn, one: ConfigMigrated, identity: str) -> bool:
    """Move one referral's clocks, if they are of another configuration."""
    referral = turn.unit.referral(identity)
    if referral is None or referral.is_over or referral.config == turn.book.version:
        return False
    if referral.channel not in turn.book.channels or one.channel not in ("", referral.channel):
        return False
    event = ClocksMigrated(at=turn.now, by=one.by, config=turn.book.version, was=referral.config, reason=one.reason)
    apply(turn, referral, event, reason=f"configuration migrated by {one.by}")
    return True
