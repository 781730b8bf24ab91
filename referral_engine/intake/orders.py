"""An order message of the ordering side in, what it asks of the loop out: a new referral, a change, a cancellation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, assert_never

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.feed import OrderAction
from referral_engine.hl7.message import Message, groups
from referral_engine.hl7.segment import text_in
from referral_engine.hl7.tables import OrderControl, OrderStatus
from referral_engine.intake.authorizations import read_authorization, read_insurances
from referral_engine.intake.order_groups import REPLACES, order_groups, with_replacements
from referral_engine.intake.patients import read_patient
from referral_engine.intake.reading import Reading, joined, nothing
from referral_engine.intake.received import Received, is_valid_npi, read_number, read_provider, split_parts, text_of
from referral_engine.loop.events import CancelRequested, Event, OrderChanged, ReferralOrdered
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Order
from referral_engine.loop.states import Network, Urgency

REASON_MAX: Final = 120  # characters of ORC-16 that are kept

URGENT_WORDS: Final = frozenset(("S", "A", "STAT", "ASAP", "URGENT"))  # table 0485, and the words that stand for them
_OFF: Final = (OrderStatus.CANCELLED, OrderStatus.DISCONTINUED)
_NOT_NEW: Final[dict[str, str]] = {  # ORC-5 of a new order that must not be sent without a person
    OrderStatus.CANCELLED: "cancelled",
    OrderStatus.DISCONTINUED: "cancelled",
    OrderStatus.COMPLETED: "completed",
    OrderStatus.REPLACED: "replaced",
    OrderStatus.ON_HOLD: "on hold",
}
_NUMBER_MISSING: Final = "the ordering side replaces this order and does not say by which"
_OTHER_NUMBER: Final = "the ordering side replaced the order by one with another number: the office knows the old one"
_FOR_A_PERSON: Final[dict[str, str]] = {  # ORC-1 that says something of an order, and nothing the engine could do
    OrderControl.REPLACEMENT: "an order that replaces another, and does not say which",
    OrderControl.PARENT: "an order that was parted into others",
    OrderControl.CHILD: "a part of another order: a person decides whether it is a referral of its own",
    OrderControl.CONTENT_ERROR: "the ordering side reports an error in an order",
}


def read_orders(received: Received) -> tuple[Reading, ...]:
    """What an ORM^O01, OMG^O19 or OSU^O51 of the ordering side says: one reading for each order that concerns us.

    Raises MessageFault as `read_order` does, for a message with one order; 102 for more orders than GROUPS_MAX when
    none of those concerns us. Of several orders, one that cannot be understood is a person's, and the others are read.
    """
    message = received.message
    orders = max(message.count("ORC"), message.count("OBR"))
    if orders < 2:
        return (read_order(received),)
    alone = order_groups(message)
    readings: list[Reading] = []
    for group in with_replacements(alone):
        reading = _one_of_several(received, group)
        if reading.about is not None or reading.person:
            readings.append(_not_twice(reading, readings))
    unread = len(groups(message, ("ORC", "OBR"))) - len(alone)
    if not readings and unread:
        raise MessageFault("102", "ORC", "more orders in one message than are looked at")
    if not readings:
        return (nothing("not a referral order"),)
    count = f"{len(readings)} of {orders} orders in one message concern us"
    readings[0] = replace(readings[0], note=joined(readings[0].note, count))
    if unread:
        readings.append(Reading(person=f"orders of the message that were not looked at: {unread}"))
    return tuple(readings)


def read_order(received: Received) -> Reading:
    """What one order of the ordering side says.

    Raises MessageFault 101 for a referral without ORC-1, 103 for a new order that is over or on hold already.
    """
    message, feed = received.message, received.feed
    is_referral = feed.is_referral(message)
    delimiters, orc = message.delimiters, message.fields("ORC")
    control = text_in(orc[1], delimiters)
    if not control:
        if is_referral:
            raise MessageFault("101", "ORC-1", "an order that does not say what is asked")
        return nothing("not a referral order")
    action = feed.action_of(control)
    note = ""
    if not is_referral:
        named = message.text("OBR", 4)
        if named or action in ("new", "status") or (action == "ignore" and not _names_an_order(control)):
            return nothing("not a referral order")
        note = "no OBR-4: known by its number only"
    if action == "new" and feed.physician_orders is not None and not feed.physician_orders.matches(message):
        return nothing("not ordered by a physician: left alone")
    status = text_in(orc[5], delimiters).strip().upper()
    if action == "new" and status in _NOT_NEW:
        raise MessageFault("103", "ORC-5", f"a new order that is already {_NOT_NEW[status]}")
    if status in _OFF and action in ("change", "status"):
        action, note = "cancel", joined(note, "cancelled by ORC-5")
    elif status == OrderStatus.ON_HOLD and action == "status":
        action, note = "hold", joined(note, "held by ORC-5")
    if action == "ignore":
        return _unlisted(received, control, note)
    if action == "change" and control.strip().upper() in REPLACES:
        return _asked(received, "status", note, person=_NUMBER_MISSING)
    return _asked(received, action, note)


def _one_of_several(received: Received, group: list[Message]) -> Reading:
    """The reading of one order among others; what cannot be understood of it is for a person."""
    one = replace(received, message=group[0])
    try:
        reading = read_order(one) if len(group) == 1 else _replaced(one, group)
    except MessageFault as fault:
        return Reading(person=str(fault))
    return replace(reading, alone=group[-1] if len(group) < 3 else group[0])


def _replaced(received: Received, group: list[Message]) -> Reading:
    """An order and what replaces it: the referral goes on under the new number, and a person tells the office."""
    feed = received.feed
    if not any(map(feed.is_referral, group)):
        return nothing("not a referral order")
    if feed.action_of(received.message.value("ORC-1")) != "change" or len(group) > 2:
        return _asked(received, "status", person="the ordering side replaces this order by several others")
    changed = _asked(replace(received, message=group[1]), "change", person=_OTHER_NUMBER)
    evidence = _asked(received, "status").evidence
    return replace(changed, evidence=evidence)


def _not_twice(reading: Reading, before: list[Reading]) -> Reading:
    """The reading; a person's where an order before it in the message has its number: which one would be a guess."""
    evidence = reading.evidence
    if evidence is None or not evidence.placer or not reading.events:
        return reading
    if any(one.events and one.evidence is not None and one.evidence.placer == evidence.placer for one in before):
        return Reading(person="one order number stands in the message twice: only the first is read")
    return reading


def _unlisted(received: Received, control: str, note: str) -> Reading:
    """An ORC-1 that the feed does not list: a number is learned, what has no meaning for the loop is named."""
    word = control.strip().upper()
    if word == OrderControl.NUMBER_ASSIGNED:
        return _asked(received, "status", note, "a number for the order")
    if word in _FOR_A_PERSON:
        return _asked(received, "status", note, person=_FOR_A_PERSON[word])
    return nothing("ORC-1 asks nothing of the loop", note)


def _names_an_order(control: str) -> bool:
    """Whether an ORC-1 that no feed lists says something of the order that its number names."""
    word = control.strip().upper()
    return word == OrderControl.NUMBER_ASSIGNED or word in _FOR_A_PERSON


def _asked(received: Received, action: OrderAction, *notes: str, person: str = "") -> Reading:
    """The reading of one order once it is known what is asked; person: why somebody has to look."""
    patient = read_patient(received)
    order = read_facts(received)
    evidence = Evidence(
        about=About.ORDER,
        patient=patient,
        placer=order.placer,
        filler=order.filler,
        provider=order.referred_to if is_valid_npi(order.referred_to) else "",
        specialty=order.specialty,
        fields=_fields(received.message.fields("ORC")),
    )
    stamp = received.stamp
    note = joined(*notes)
    events: tuple[Event, ...] = ()
    match action:
        case "new":
            events = (ReferralOrdered(**stamp, patient=patient, order=order),)
            note = joined(note, "" if order.placer else "no placer number in ORC-2 or OBR-2")
        case "change":
            events = (OrderChanged(**stamp, patient=patient, order=order),)
        case "cancel" | "stop":
            events = (CancelRequested(**stamp, reason=control_reason(received.message)),)
        case "hold":
            person = "the ordering side asks to hold this order"
        case "release":
            person = "the ordering side releases this order"
        case "status" | "ignore":
            note = note if person else joined(note, "a status of the ordering side: nothing follows")
        case _:
            assert_never(action)
    return Reading(
        about=About.ORDER,
        evidence=evidence,
        events=events,
        is_new_order=action == "new",
        person=person,
        note=note,
    )


def _fields(orc: Sequence[str]) -> tuple[str, ...]:
    """Where the numbers of an order stand."""
    return ("placer ORC-2" if orc[2] else "placer OBR-2", "filler ORC-3" if orc[3] else "filler OBR-3", "patient PID-3")


def read_facts(received: Received) -> Order:
    """What the first order of a message asks for.

    Placer and filler numbers are exactly as sent; ordered_at is ORC-9, else MSH-7, else when it came.
    Source: HL7 v2.5.1 4.5 (ORC, OBR, TQ1), 6.5 (IN1, DG1), 11.8 (AUT).
    """
    message, feed, delimiters = received.message, received.feed, received.message.delimiters
    orc, obr = message.fields("ORC"), message.fields("OBR")
    insurance, diagnosis = message.fields("IN1"), message.fields("DG1")
    code, text, _, other_code, other_text, *_ = *split_parts(obr[4], delimiters), "", "", "", "", ""
    code = code or other_code
    return Order(
        placer=read_number(orc[2], delimiters) or read_number(obr[2], delimiters),
        filler=read_number(orc[3], delimiters) or read_number(obr[3], delimiters),
        ordered_at=_ordered_at(received, orc[9]),
        service_code=code,
        service_text=text or other_text,
        specialty=feed.specialty_of(code) if code else "",
        urgency=_urgency(message, orc, obr),
        network=Network.IN if feed.in_network is not None and feed.in_network.matches(message) else Network.OUT,
        ordering_provider=read_provider(orc[12] or obr[16], delimiters),
        referred_to=feed.referred_npi(message),
        payer=text_in(insurance[3], delimiters) or text_in(insurance[4], delimiters),
        plan=text_in(insurance[15], delimiters) or text_in(insurance[2], delimiters),
        diagnosis=text_in(diagnosis[3], delimiters) or text_in(obr[31], delimiters),
        insurances=read_insurances(message),
        **read_authorization(message, feed),
        message=received.sequence,
    )


def control_reason(message: Message) -> str:
    """Why an order was stopped or refused: the text of ORC-16, else its code."""
    orc = message.first("ORC")
    return (text_of(orc, 16, 2) or text_of(orc, 16))[:REASON_MAX]


def _ordered_at(received: Received, field: str) -> datetime:
    """ORC-9, else MSH-7, else when the message came."""
    written = text_in(field, received.message.delimiters)
    ordered_at = received.day(written) if written else None
    return ordered_at or received.day(received.message.header.timestamp) or received.at


def _urgency(message: Message, orc: Sequence[str], obr: Sequence[str]) -> Urgency:
    """Urgent as soon as any of TQ1-9, ORC-7.6, OBR-27.6 and OBR-5 says so."""
    priority, delimiters = message.fields("TQ1")[9], message.delimiters
    for text, component in ((priority, 1), (priority, 2), (orc[7], 6), (obr[27], 6), (obr[5], 1)):
        if text and text_in(text, delimiters, component).strip().upper() in URGENT_WORDS:
            return Urgency.URGENT
    return Urgency.ROUTINE
