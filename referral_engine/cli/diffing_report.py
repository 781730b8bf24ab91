"""What two configurations would do differently, for people and as JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import click
import msgspec

from referral_engine.cli.shared import counted, print_table, seconds
from referral_engine.flow.disagreement import CHANGES, KINDS, Change, Difference, What
from referral_engine.flow.trace import Trace
from referral_engine.service.review_shapes import instant

NOBODYS: Final = "(none)"  # a channel
DECIDING_MAX: Final = 10  # rows: what differs, and why, fits one screen
TITLES: Final[dict[What, str]] = {
    "message": "Messages that are answered, routed or matched otherwise",
    "clock": "Clocks",
    "task": "Tasks",
    "send": "Sends",
}
NOT_REPLAYED: Final = (
    "never replayed: merges that a person undid, decisions about the outbox and about messages that were set aside, "
    "pauses of the clocks"
)

Shape = dict[str, object]
Counts = Counter[tuple[What, Change, str]]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared."""

    since: int
    until: int
    before: str  # versions of the configuration
    after: str
    messages: int  # of the window
    earlier: int  # of referrals that were open when it began


def shape_difference(one: Difference) -> Shape:
    """One difference."""
    return {
        "kind": one.kind,
        "change": one.change,
        "what": one.what,
        "referral": one.referral or None,
        "placer_number": one.placer or None,
        "channel": one.channel or None,
        "message": one.message or None,
        "before": one.before or None,
        "after": one.after or None,
        "before_at": instant(one.before_at),
        "after_at": instant(one.after_at),
        "why": one.why or None,
        "line": one.line or None,
    }


def shape_counts(counts: Counts) -> list[Shape]:
    """How many of what, by channel, in a fixed order."""
    return [
        {"channel": channel or None, "kind": kind, "change": change, "number": counts[kind, change, channel]}
        for channel in sorted({one[2] for one in counts})
        for kind in KINDS
        for change in CHANGES
        if counts[kind, change, channel]
    ]


def shape_whole(scope: Scope, before: Trace, after: Trace, counts: Counts, differences: Sequence[Difference]) -> Shape:
    """The one document of `diff --json`."""
    return {
        "since": instant(scope.since),
        "until": instant(scope.until),
        "in_force": scope.before,
        "candidate": scope.after,
        "messages": {
            "window": scope.messages,
            "earlier": scope.earlier,
            "replayed": before.replayed,
            "reduced": before.missed.reduced,
            "broken_frames": before.missed.broken,
            "decided_otherwise_than_then": before.unlike,
        },
        "decisions_of_people_not_replayed": {"in_force": before.missed.acts, "candidate": after.missed.acts},
        "summary": shape_counts(counts),
        "differences": [shape_difference(one) for one in differences],
    }


def print_summary(counts: Counts) -> None:
    """A line a channel and kind."""
    rows: dict[tuple[str, What], Counter[Change]] = defaultdict(Counter)
    for (kind, change, channel), number in counts.items():
        rows[channel, kind][change] += number
    listed = [
        (
            channel or NOBODYS,
            TITLES[kind].split()[0].lower(),
            *(rows[channel, kind][change] or "" for change in CHANGES),
        )
        for channel, kind in sorted(rows, key=lambda row: (row[0], KINDS.index(row[1])))
    ]
    print_table(("channel", "what", *CHANGES), listed, "no differences")


def print_decisions(differences: Iterable[Difference]) -> None:
    """A row a line that decides, the most referrals first: what one edit does to the whole window.

    What no line decides follows from the others, and comes after them.
    """
    whom: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    what: defaultdict[tuple[str, str], Counter[What]] = defaultdict(Counter)
    for one in differences:
        whom[one.why, one.line].add(one.referral or one.placer or f"message {one.message}")
        what[one.why, one.line][one.kind] += 1
    if not whom:
        return
    listed = [
        (why, len(whom[why, line]), *(what[why, line][kind] or "" for kind in KINDS), line)
        for why, line in sorted(whom, key=lambda one: (not one[1], -len(whom[one]), one))
    ]
    click.echo()
    if len(listed) > DECIDING_MAX:
        click.secho(f"What decides (the first {DECIDING_MAX} of {len(listed)})", bold=True)
    heads = ("what decides", "referrals", *(TITLES[kind].split()[0].lower() for kind in KINDS), "line")
    print_table(heads, listed[:DECIDING_MAX], "", under=1)


def print_differences(differences: Iterable[Difference], limit: int) -> None:
    """The first so many of each kind."""
    by_kind: defaultdict[What, list[Difference]] = defaultdict(list)
    for one in differences:
        by_kind[one.kind].append(one)
    for kind in KINDS:
        found = by_kind[kind]
        if not found or not limit:
            continue
        click.echo()
        click.secho(TITLES[kind] + (f" (the first {limit} of {len(found)})" if len(found) > limit else ""), bold=True)
        heads = ("referral", "order", "what", "change", "before", "candidate", "why", "line")
        print_table(heads, [_row(one) for one in found[:limit]], "", under=2)


def _row(one: Difference) -> tuple[object, ...]:
    referral = one.referral or ("(new)" if one.placer else f"message {one.message}" if one.message else "")
    return referral, one.placer, one.what, one.change, _side(one, 0), _side(one, 1), one.why, one.line


def _side(one: Difference, side: int) -> str:
    """How it is on one side: when, and what of it."""
    at, said = ((one.before_at, one.before), (one.after_at, one.after))[side]
    return " ".join(part for part in (instant(at) or "", said) if part) or "-"


def print_honesty(scope: Scope, before: Trace, after: Trace) -> None:
    """What the comparison rests on, and what it leaves out."""
    click.echo()
    begun = seconds(instant(scope.since) or "")
    earlier = counted(scope.earlier, "earlier one")
    click.echo(
        f"{counted(scope.messages, 'message')} since {begun} replayed under {scope.before} (in force) and "
        f"{scope.after} (candidate), after {earlier} of referrals that were open then"
    )
    if before.unlike:
        click.echo(
            f"{before.unlike} of them became something else in the replay of what is in force than they did then: "
            "they were decided by an older configuration, or by something that is not replayed"
        )
    if before.missed.reduced:
        reduced = counted(before.missed.reduced, "message")
        click.echo(f"{reduced} cannot be replayed: only the header is kept (keep_unrelated)")
    if before.missed.broken:
        click.echo(f"not replayed: {counted(before.missed.broken, 'broken frame')}")
    if before.missed.acts or after.missed.acts:
        click.echo(
            f"decisions of people that find nothing to decide: {before.missed.acts} in force, "
            f"{after.missed.acts} in the candidate"
        )
    click.echo(NOT_REPLAYED)
