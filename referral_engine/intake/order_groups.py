"""A message with several orders in, each order as if it had come alone out, and which of them replaces which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from referral_engine.hl7.message import Message, groups
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.tables import OrderControl

GROUPS_MAX: Final = 200  # order groups of one message that are looked at
GROUPS_TEXT_MAX: Final = 4_000_000  # characters; stops a long head from being read once for each of many groups
REPLACES: Final = (OrderControl.REPLACE, OrderControl.REPLACED_UNSOLICITED)

_BESIDE_THE_ORDER: Final = ("NTE", "OBX")  # before the first order they are about the patient, and may be long


def order_groups(message: Message) -> list[Message]:
    """The message once for each of its order groups, as if every order had come alone; at most GROUPS_MAX.

    An OBR without an ORC of its own has the ORC before it. NTE and OBX in front of the first order are left out.
    """
    found = groups(message, ("ORC", "OBR"))
    if len(found) < 2:
        return [message]
    starts = next(at for at, segment in enumerate(message.segments) if segment is found[0][0])
    head = [segment.raw for segment in message.segments[:starts] if segment.name not in _BESIDE_THE_ORDER]
    if sum(map(len, head)) * min(len(found), GROUPS_MAX) > GROUPS_TEXT_MAX:
        found = found[:1]
    alone = []
    orc: Segment | None = None
    for group in found[:GROUPS_MAX]:
        own = next((segment for segment in group if segment.name == "ORC"), None)
        lent = [_lent(orc, group[0])] if own is None and orc is not None else []
        orc = own or orc
        text = "\r".join([*head, *lent, *(segment.raw for segment in group)])
        raw = text.encode(message.charset, "replace")
        alone.append(Message.parse(raw, charset=message.charset, lf_ends_segments=False))
    return alone


def with_replacements(alone: list[Message]) -> Iterator[list[Message]]:
    """Each order of a message, a replaced one (RP, RU) together with the replacements (RO) that follow it."""
    pair: list[Message] = []
    for one in alone:
        control = one.value("ORC-1").strip().upper()
        if pair and control == OrderControl.REPLACEMENT and pair[0].value("ORC-1").strip().upper() in REPLACES:
            pair.append(one)
            continue
        if pair:
            yield pair
        pair = [one]
    if pair:
        yield pair


def _lent(orc: Segment, obr: Segment) -> str:
    """The ORC of another OBR, for an OBR that has none; with this OBR's own numbers, where it has some."""
    if obr.name != "OBR" or obr.is_empty(2):
        return orc.raw
    separator = orc.delimiters.field
    fields = orc.raw.split(separator, 4)
    fields += [""] * (4 - len(fields))
    fields[2], fields[3] = obr.field(2), obr.field(3)
    return separator.join(fields)
