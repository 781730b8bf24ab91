"""`coverage`: the orders of the last weeks against the files; what never, always or doubly matched."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import timedelta
from typing import Final, cast

import click

from referral_engine.base.clock import to_micros
from referral_engine.base.errors import MessageFault
from referral_engine.channels.book import Book
from referral_engine.channels.coverage import ClockCover, Coverage, clock_findings, coverage, findings, summed
from referral_engine.channels.feed import Feed
from referral_engine.channels.parties import named_in
from referral_engine.cli.shared import ask_daemon, conf_option, json_option, load_book, print_json, print_table
from referral_engine.hl7.message import Message
from referral_engine.loop.policy import Kind
from referral_engine.service.clock import MachineClock

ORDERS_MAX: Final = 5_000  # that are looked at; the newest
PAGES_MAX: Final = 100  # of 2,000 referrals whose clocks are counted
_KINDS: Final = frozenset(kind.value for kind in Kind)
_LENGTH: Final = re.compile(r"([1-9]\d{0,3})([hdw])")
_HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24}


@click.command(name="coverage")
@click.option("--clocks", is_flag=True, help="What every clock of every channel did, too.")
@click.option("--since", default="30d", show_default=True, metavar="LENGTH", help="Such as 12h, 30d or 8w.")
@conf_option
@json_option
def coverage_(since: str, conf: str, *, clocks: bool, as_json: bool) -> None:
    """Say which channels, lines of [match] and clocks never or always decided anything, and who wanted one order twice.

    Reads the running engine's newest orders (at most 5,000, among its newest 10,000 messages) and asks the files in
    force here: a file that was just changed is judged by what really came. A clock counts that was to run out since
    then, or still runs: one that never ran is untried, one that ran and never fired had nothing to warn of. Nothing
    is written, no patient is shown.

    \b
    Example:
      referral-engine coverage
      referral-engine coverage --since 90d --clocks
      referral-engine coverage --since 7d --json
    """
    book = load_book(conf)
    oldest = to_micros(MachineClock().now() - _length(since))
    covered = coverage(book, referrals(book, _orders(conf, oldest)), summed(_clocks(conf, oldest)))
    if as_json:
        print_json(_plain(covered))
        return
    rows = [(one.name, one.mode, one.taken) for one in covered.channels]
    print_table(("channel", "mode", "orders taken"), rows, "no channel is configured")
    told = [(one.channel, one.sentence, one.place) for one in findings(covered)]
    click.echo()
    print_table(("channel", "to look at", "where"), told, "every channel and every line of [match] decided something")
    click.echo()
    silent = [(one.channel, one.sentence) for one in clock_findings(covered)]
    print_table(("channel", "clocks"), silent, "every clock fired, and none whenever it ran")
    if clocks:
        click.echo()
        heads = ("channel", "clock", "ran", "fired", "came in time", "still running")
        ran = [(one.channel, one.kind.value, one.ran, one.fired, one.cancelled, one.running) for one in covered.clocks]
        print_table(heads, ran, "no channel is on")
    click.echo(
        f"\n{covered.orders} orders since {since}: {covered.taken} taken by one channel, "
        f"{covered.unwanted} by none, {covered.contested} wanted by several"
    )


def referrals(book: Book, raws: Iterator[bytes]) -> Iterator[tuple[Message, Feed]]:
    """Those that are referrals of a sender we know, each with its feed; every other order is left alone anyway."""
    for raw in raws:
        try:
            message = Message.parse(raw)
        except MessageFault:
            continue  # it was answered so when it came
        feed = named_in(book, message.header)
        if feed is not None and feed.is_referral(message):
            yield message, feed


def _orders(conf: str, oldest: int) -> Iterator[bytes]:
    """The bytes of the running engine's orders that came since, newest first."""
    before = count = 0
    while True:
        answer = cast("dict[str, object]", ask_daemon(conf, "orders", {"before": before}))
        for one in cast("list[dict[str, object]]", answer["orders"]):
            if cast("int", one["received_at"]) < oldest or count >= ORDERS_MAX:
                return
            count += 1
            yield b64decode(cast("str", one["raw"]))
        before = cast("int", answer["next"])
        if not before:
            return


def _clocks(conf: str, oldest: int) -> Iterator[ClockCover]:
    """What the running engine's clocks did since, newest referrals first; a clock of an older version is left out."""
    before = 0
    for _ in range(PAGES_MAX):
        answer = cast("dict[str, object]", ask_daemon(conf, "clocks", {"since": oldest, "before": before}))
        for one in cast("list[dict[str, object]]", answer["counts"]):
            if one["kind"] in _KINDS:
                yield ClockCover(
                    channel=cast("str", one["channel"]),
                    kind=Kind(one["kind"]),
                    fired=cast("int", one["fired"]),
                    cancelled=cast("int", one["cancelled"]),
                    running=cast("int", one["pending"]),
                )
        before = cast("int", answer["next"])
        if not before:
            return


def _length(text: str) -> timedelta:
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise click.BadParameter(f'"{text}" is not a length such as 12h, 30d or 8w', param_hint="--since")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


def _plain(covered: Coverage) -> dict[str, object]:
    return {
        "orders": covered.orders,
        "taken": covered.taken,
        "unwanted": covered.unwanted,
        "contested": covered.contested,
        "channels": [
            {
                "name": one.name,
                "file": one.file,
                "mode": one.mode,
                "taken": one.taken,
                "watched": one.watched,
                "shared": dict(one.shared),
                "conditions": [
                    {
                        "path": line.path,
                        "wanted": line.wanted,
                        "line": line.line,
                        "met": line.met,
                        "often": line.often,
                        "alone": line.alone,
                    }
                    for line in one.conditions
                ],
            }
            for one in covered.channels
        ],
        "clocks": [
            {
                "channel": one.channel,
                "kind": one.kind.value,
                "ran": one.ran,
                "fired": one.fired,
                "cancelled": one.cancelled,
                "running": one.running,
            }
            for one in covered.clocks
        ],
        "findings": [
            {"channel": one.channel, "where": one.place, "sentence": one.sentence}
            for one in (*findings(covered), *clock_findings(covered))
        ],
    }
