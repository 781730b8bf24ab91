"""What a partner's negative answer to one of our messages means, as the analyst decides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

# retry: tried again after a pause, others of the lane may go first.
# hold: tried again too, but it stays in front of its lane until it is accepted or a person decides.
# person: not tried again, a task asks a person.
NakAction = Literal["retry", "hold", "person"]

TRANSIENT_CODES: Final = frozenset({"206", "207"})  # table 0357: record locked, internal error


@dataclass(frozen=True, slots=True, kw_only=True)
class NakMeaning:
    """What AE, CE, AR and CR ask of us.  Source: HL7 v2.5.1 2.9.2, MSA-1 table 0008, ERR-3 table 0357."""

    error: NakAction = "retry"  # AE, CE
    reject: NakAction = "person"  # AR, CR
    transient_codes: frozenset[str] = TRANSIENT_CODES  # ERR-3 (before 2.5: ERR-1.4): tried again whatever MSA-1 says
