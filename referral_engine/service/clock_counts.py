"""How often clocks ran and fired, a page of referrals at a time, for questions about the files (`coverage`)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from referral_engine.base.errors import Refused
from referral_engine.journal.reading import Reading


def clock_counts(reading: Reading, words: Mapping[str, object]) -> object:
    """Clocks that were to run out since an instant, counted by channel and kind.  No patient is in it.

    since: microseconds UTC. before: the `next` of the page before; 0 begins with the newest referrals.
    The answer's `next` is 0 when there are no older ones.  Raises Refused.
    """
    since, before = words.get("since", 0), words.get("before", 0)
    if not isinstance(since, int) or not isinstance(before, int) or min(since, before) < 0:
        raise Refused("since, before: expected whole numbers that are not negative")
    page = reading.clock_counts(since, before=before)
    return {"counts": msgspec.to_builtins(page.counts), "next": page.next, "referrals": page.referrals}
