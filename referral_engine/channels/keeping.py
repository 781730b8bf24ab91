"""How long something is kept, as an operator writes it: "72 hours", "0 hours" or "for ever"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from referral_engine.channels import words
from referral_engine.channels.shape import Unfit, of_kind

FOR_EVER: Final = "for ever"
_NOT_AT_ALL: Final = re.compile(r"0 +(?:seconds|minutes|hours|days)")
_HELP: Final = 'write a number and a unit, as in "72 hours"; "0 hours" keeps nothing, "for ever" everything'


@dataclass(frozen=True, slots=True)
class Keeping:
    """A time to keep something."""

    words: str  # as written
    seconds: float | None  # None: for ever

    def __str__(self) -> str:
        """As the operator writes it."""
        return self.words


def read_keeping(value: object) -> Keeping:
    """A length of time on the clock, none, or for ever.  Raises Unfit."""
    taken = of_kind(value, str)
    if taken == FOR_EVER:
        return Keeping(taken, None)
    if _NOT_AT_ALL.fullmatch(taken):
        return Keeping(taken, 0.0)
    try:
        return Keeping(taken, words.seconds(taken))
    except Unfit as unfit:
        raise Unfit("CH205", f'"{taken}" is not a time to keep something', _HELP) from unfit
