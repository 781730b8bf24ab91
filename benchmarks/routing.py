"""Microseconds to route one order among many channels, by the index and by asking every channel, in one run.

python -m benchmarks.routing [--channels 1000] [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.sites import code, npi, site
from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.channel import Channel
from referral_engine.channels.feed import Feed
from referral_engine.channels.matcher import REFERRED_TO, Condition, Matcher, OneOf, Present, StartsWith
from referral_engine.channels.routing import route
from referral_engine.hl7.message import Message

US_MAX: Final = 50.0  # the promise
SECONDS_A_ROUND: Final = 0.2
ORDERS: Final = 40  # different ones, so that no one channel's place is what is measured
SCANNED: Final = 20  # channels with nothing to look up, among the others
_ORM: Final = Condition(path="MSH-9", test=OneOf(("ORM^O01", "OMG^O19")))
_FEED: Final = Feed(name="bench")

Match = Callable[[int], Matcher]


def _matcher(*conditions: Condition) -> Matcher:
    return Matcher(conditions=(_ORM, *conditions))


def _npi(number: int) -> Condition:
    return Condition(path=REFERRED_TO, test=OneOf((npi(number),)))


def _codes(number: int) -> Condition:
    return Condition(path="OBR-4.1", test=OneOf((code(number), code(number, 1))))


def _begins(number: int) -> Condition:
    return Condition(path="OBR-4.1", test=StartsWith((code(number)[:-1],)))


def _absent() -> Matcher:
    return Matcher(conditions=(Condition(path="PV1-2", test=Present(wanted=False)),))


# How a site's channels tell their orders apart.
SITES: Final[Mapping[str, Match]] = {
    "each its NPI": lambda number: _matcher(_npi(number)),
    "one NPI, lists of codes": lambda number: _matcher(_npi(0), _codes(number)),
    "lists of codes": lambda number: _matcher(_codes(number)),
    "what codes begin with": lambda number: _matcher(_begins(number)),
    "a grid of NPI and code": lambda number: _matcher(_npi(number // 32), _codes(number % 32)),
    f"{SCANNED} with nothing to look up": lambda number: _matcher(_npi(number)) if number >= SCANNED else _absent(),
}


def order(provider: str, service: str) -> Message:
    """An order for a service of a provider."""
    return Message.parse(
        "\r".join((
            "MSH|^~\\&|EHR|SPRINGFIELD|RE|SPRINGFIELD|20260302090000||ORM^O01^ORM_O01|C1|P|2.5.1",
            "PID|1||M1^^^S^MR||DOE^JANE||19700101|F", "PV1|1|O", "ORC|NW|P1",
            f"OBR|1|P1||{service}^A service^L{'|' * 24}{provider}", "",
        )).encode()
    )  # fmt: skip


def book_of(match: Match, channels: int) -> Book:
    """So many channels that differ only in what they match."""
    one = next(iter(read_book(site(1)).channels.values()))
    made: dict[str, Channel] = {}
    for number in range(channels):
        name = f"office-{number:05}"
        made[name] = replace(one, name=name, match=match(number))
    return Book(channels=made)


def scan(book: Book, message: Message) -> list[str]:
    """What routing is without an index: every channel is asked."""
    provider = _FEED.referred_npi(message)
    return [one.name for one in book.on if one.match.matches(message, provider)]


def cost(work: Callable[[Message], object], orders: Sequence[Message], rounds: int, seconds: float) -> float:
    """The best round's mean, microseconds an order."""
    return min(_mean(work, orders, seconds) for _ in range(rounds)) * 1e6


def _mean(work: Callable[[Message], object], orders: Sequence[Message], seconds: float) -> float:
    gc.collect()
    gc.disable()
    done, begun = 0, time.process_time()
    while (passed := time.process_time() - begun) < seconds:
        for message in orders:
            work(message)
        done += len(orders)
    gc.enable()
    return passed / done


def measure(channels: int, rounds: int, *, seconds: float = SECONDS_A_ROUND) -> dict[str, dict[str, float]]:
    """Each site's microseconds by the index and by a scan, and their ratio."""
    found: dict[str, dict[str, float]] = {}
    for name, match in SITES.items():
        book = book_of(match, channels)
        orders = [order(npi(number), code(number)) for number in range(0, channels, max(channels // ORDERS, 1))]
        found[name] = _compared(book, orders, rounds, seconds)
    mixed = read_book(site(channels))
    orders = [order(npi(number), f"REF{number}") for number in range(0, channels, max(channels // ORDERS, 1))]
    found["as a site writes them"] = _compared(mixed, orders, rounds, seconds)
    return found


def _compared(book: Book, orders: Sequence[Message], rounds: int, seconds: float) -> dict[str, float]:
    wrong = sum([one.name for one in route(book, each).candidates] != scan(book, each) for each in orders)
    by_index = cost(lambda message: route(book, message), orders, rounds, seconds)
    by_scan = cost(lambda message: scan(book, message), orders, 1, seconds)
    asked = sum(len(book.takers.of(one, _FEED.referred_npi(one))) for one in orders) / len(orders)
    return {"us": by_index, "scan_us": by_scan, "of_a_scan": by_index / by_scan, "asked": asked, "wrong": wrong}


def main() -> None:
    """Time every site and print the table; exit status 1 when an answer is wrong or later than promised."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    found = measure(given.channels, given.rounds)
    print(f"{'':34}{'us':>8}{'scan us':>10}{'of a scan':>11}{'asked':>8}")
    for name, one in found.items():
        print(f"{name:34}{one['us']:>8.1f}{one['scan_us']:>10.1f}{one['of_a_scan']:>11.4f}{one['asked']:>8.1f}")
    if given.json:
        Path(given.json).write_text(json.dumps(found, indent=2), encoding="utf-8")
    sys.exit(1 if any(one["wrong"] or one["us"] > US_MAX for one in found.values()) else 0)


if __name__ == "__main__":
    main()
