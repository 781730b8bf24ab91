"""The traffic of the last days for a replay (`diff`, `shadow`): words in, one page out.  Never shown as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from referral_engine.base.errors import Refused
from referral_engine.journal.reading import Reading

BEFORE: Final = "before"
OPEN: Final = "open"
PAGE: Final = "page"


def traffic_facts(reading: Reading, words: Mapping[str, object]) -> object:
    """A page of `journal.traffic`, bytes in base 64; or where a page begins.

    part: "before" an instant (`at`, microseconds UTC), what is the newest message's number; "open": a page of what came
    of the referrals that were open `at`, up to the message `through`; "page": what came after the number `after`,
    and not after the instant `at` when one is named.  Raises Refused.
    """
    traffic = reading.traffic()
    after, at, through = _number(words, "after"), _number(words, "at"), _number(words, "through")
    match words.get("part", PAGE):
        case "before":
            return {"after": traffic.before(at)}
        case "open":
            return msgspec.to_builtins(traffic.of_open(at, through, after))
        case "page":
            return msgspec.to_builtins(traffic.page(after, at))
        case other:
            raise Refused(f"part: {other!r} is not one of {BEFORE}, {OPEN}, {PAGE}")


def _number(words: Mapping[str, object], name: str) -> int:
    value = words.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Refused(f"{name}: expected a number")
    return value
