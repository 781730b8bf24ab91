"""Which order control and which status say a thing, ORC-1 and ORC-5 together: partners differ, so files may say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from referral_engine.channels.shape import Table, Unfit, of_kind
from referral_engine.hl7.tables import OrderControl, OrderStatus, lookup

Asking = Literal["new", "change", "cancel", "ask"]


@dataclass(frozen=True, slots=True)
class Pair:
    """ORC-1 (table 0119) and ORC-5 (table 0038); the second may be empty."""

    control: str
    status: str = ""

    def __str__(self) -> str:
        """As files write it: "CA", or "SC/IP"."""
        return f"{self.control}/{self.status}" if self.status else self.control


ORDER_PAIRS: Final[Mapping[str, Pair]] = MappingProxyType(  # of what a specialist is sent, a placer's words
    {"new": Pair("NW"), "change": Pair("XO"), "cancel": Pair("CA"), "ask": Pair("SS")}
)
STATUS_WORDS: Final = (  # of what the EHR is told; `render.ehr` has the pair of each where the file says none
    "received",
    "accepted",
    "preliminary note",
    "re-opened",
    "cancelled",
    "declined",
    "duplicate",
    "refused",
    "not-a-referral",
    "closed-without-note",
)


def read_order_pairs(table: Table | None) -> Mapping[str, Pair]:
    """[message.pairs]: what it leaves out is as in ORDER_PAIRS."""
    if table is None:
        return ORDER_PAIRS
    pairs = {asking: table.take(asking, read_pair, pair) for asking, pair in ORDER_PAIRS.items()}
    table.close()
    return MappingProxyType(pairs)


def read_status_pairs(table: Table | None) -> Mapping[str, Pair]:
    """[ehr.pairs]: only the words that it names."""
    if table is None:
        return {}
    table.known.extend(STATUS_WORDS)
    taken = {word: table.take(word, read_pair, None) for word in STATUS_WORDS if word in table.tree}
    table.close()
    return {word: pair for word, pair in taken.items() if pair is not None}


def read_pair(value: object) -> Pair:
    """What a file writes as "CA" or as "SC/IP"; raises Unfit."""
    text = of_kind(value, str)
    control, _, status = text.partition("/")
    known = lookup(OrderControl, control) == control and (not status or lookup(OrderStatus, status) == status)
    if not known or text.endswith("/"):
        hint = 'write ORC-1, or ORC-1 and ORC-5, as in "CA" or "SC/IP"'
        raise Unfit("CH220", f'"{text}" is no order control of table 0119 with a status of table 0038', hint)
    return Pair(control, status)
