"""The orders that came, newest first and a few at a time, for questions about the files (`coverage`)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Final

from referral_engine.base.errors import Refused
from referral_engine.journal.reading import ROWS_MAX, Reading

ORDERS: Final = ("ORM^", "OMG^", "REF^")  # MSH-9 of what may be a referral
ORDERS_MAX: Final = 250  # of one answer: each is read and its hash compared, while senders wait
BYTES_MAX: Final = 4 * 1024 * 1024  # of one answer


def order_facts(reading: Reading, words: Mapping[str, object]) -> object:
    """Orders among the newest ROWS_MAX messages, with their bytes in base 64.  Never shown as it is.

    before: the number of a message; only older ones are told, 0 begins with the newest.
    The answer's `next` is the number to go on before, 0 when there is no more.  Raises Refused.
    """
    before = words.get("before", 0)
    if not isinstance(before, int) or before < 0:
        raise Refused("before: expected the number of a message")
    orders: list[dict[str, object]] = []
    size = 0
    for line in reading.messages(limit=ROWS_MAX):
        if (before and line.sequence >= before) or line.purged_at or not line.type.startswith(ORDERS):
            continue
        row = reading.message(line.sequence)
        if row is None:
            continue
        orders.append({"message": line.sequence, "received_at": line.received_at, "raw": b64encode(row.raw).decode()})
        size += len(row.raw)
        if len(orders) >= ORDERS_MAX or size >= BYTES_MAX:
            return {"orders": orders, "next": line.sequence}
    return {"orders": orders, "next": 0}
