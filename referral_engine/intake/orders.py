"""An order message of the ordering side in, what it asks of the loop out: a new referral, a change, a cancellation."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, assert_never

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.feed import OrderAction
from referral_engine.hl7.message import Message, groups
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.tables import OrderStatus
from referral_engine.hl7.types import read_date
from referral_engine.intake.patients import read_patient
from referral_engine.intake.reading import Reading, joined, nothing
from referral_engine.intake.received import Received, first_number, is_valid_npi, parts_of, provider_in, text_of
from referral_engine.loop.events import CancelRequested, Event, OrderChanged, ReferralOrdered
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Order, Provider
from referral_engine.loop.states import Urgency

GROUPS_MAX: Final = 200  # order groups of one message that are looked at
GROUPS_TEXT_MAX: Final = 4_000_000  # characters; stops a long head from being read once for each of many groups
REASON_MAX: Final = 120  # characters of ORC-16 that are kept

_URGENT: Final = frozenset(("S", "A", "STAT", "ASAP", "URGENT"))  # table 0485, and the words that stand for them
_OFF: Final = (OrderStatus.CANCELLED, OrderStatus.DISCONTINUED)
_BESIDE_THE_ORDER: Final = ("NTE", "OBX")  # before the first order they are about the patient, and may be long


def read_order(received: Received) -> Reading:
    """What an ORM^O01 or OMG^O19 of the ordering side says.

    Raises MessageFault 101 for a referral without ORC-1, 103 for a new order that is already cancelled, 102 for more
    orders than GROUPS_MAX when no referral is among those.
    """
    chosen, note = _first_referral(received)
    message, feed = chosen.message, chosen.feed
    is_referral = feed.is_referral(message)
    orc, obr = message.first("ORC"), message.first("OBR")
    control = "" if orc is None else orc.text(1)
    if orc is None or not control:
        if is_referral:
            raise MessageFault("101", "ORC-1", "an order that does not say what is asked")
        return nothing("not a referral order")
    action = feed.action_of(control)
    if not is_referral:
        named = obr is not None and obr.text(4)
        if named or action in ("new", "status", "ignore"):
            return nothing("not a referral order")
        note = joined(note, "no OBR-4: known by its number only")
    cancelled = orc.text(5).strip().upper() in _OFF
    if cancelled and action == "new":
        raise MessageFault("103", "ORC-5", "a new order that is already cancelled")
    if cancelled and action in ("change", "status"):
        action, note = "cancel", joined(note, "cancelled by ORC-5")
    if action == "ignore":
        return nothing("ORC-1 asks nothing of the loop", note)
    return _asked(chosen, action, _control_note(action, control), note)


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
        lent = [orc.raw] if own is None and orc is not None else []
        orc = own or orc
        text = "\r".join([*head, *lent, *(segment.raw for segment in group)])
        raw = text.encode(message.charset, "replace")
        alone.append(Message.parse(raw, charset=message.charset, lf_ends_segments=False))
    return alone


def _first_referral(received: Received) -> tuple[Received, str]:
    """The first order group that is a referral, alone, and a warning about the others; all of it when none is."""
    message = received.message
    orders = max(len(message.all("ORC")), len(message.all("OBR")))
    if orders < 2:
        return received, ""
    alone = order_groups(message)
    referrals = [one for one in alone if received.feed.is_referral(one)]
    if not referrals and orders > len(alone):
        raise MessageFault("102", "ORC", "more orders in one message than are looked at")
    if not referrals:
        return received, f"{orders} orders in one message: only the first was read"
    if len(referrals) > 1 or orders > len(alone):
        note = f"{len(referrals)} referrals in one message ({orders} orders): only the first was read"
    else:
        note = f"the only referral of {orders} orders in one message"
    return replace(received, message=referrals[0]), note


def _asked(received: Received, action: OrderAction, *notes: str) -> Reading:
    """The reading of one order once it is known what is asked."""
    patient = read_patient(received)
    order = read_facts(received)
    evidence = Evidence(
        about=About.ORDER,
        patient=patient,
        placer=order.placer,
        filler=order.filler,
        provider=order.referred_to if is_valid_npi(order.referred_to) else "",
        specialty=order.specialty,
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
            note = joined(note, "the ordering side asks to hold this order: a person decides")
        case "release":
            note = joined(note, "the ordering side releases this order: a person decides")
        case "status" | "ignore":
            note = joined(note, "a status of the ordering side: nothing follows")
        case _:
            assert_never(action)
    return Reading(about=About.ORDER, evidence=evidence, events=events, is_new_order=action == "new", note=note)


def read_facts(received: Received) -> Order:
    """What the first order of a message asks for.

    Placer and filler numbers are exactly as sent; ordered_at is ORC-9, else MSH-7, else when it came.
    Source: HL7 v2.5.1 4.5 (ORC, OBR, TQ1), 6.5 (IN1, DG1), 11.8 (AUT).
    """
    message, feed = received.message, received.feed
    orc, obr, insurance = message.first("ORC"), message.first("OBR"), message.first("IN1")
    service = [] if obr is None else parts_of(obr, obr.field(4))
    code, text, _, other_code, other_text, *_ = *service, "", "", "", "", ""
    code = code or other_code
    diagnosis = message.first("DG1")
    number, expires_on = _authorization(message, insurance)
    return Order(
        placer=first_number((orc, 2), (obr, 2)),
        filler=first_number((orc, 3), (obr, 3)),
        ordered_at=_ordered_at(received, orc),
        service_code=code,
        service_text=text or other_text,
        specialty=feed.specialty_of(code) if code else "",
        urgency=_urgency(message, orc, obr),
        ordering_provider=_ordering_provider(orc, obr),
        referred_to=feed.referred_npi(message),
        payer=text_of(insurance, 3) or text_of(insurance, 4),
        plan=text_of(insurance, 15) or text_of(insurance, 2),
        diagnosis=text_of(diagnosis, 3) or text_of(obr, 31),
        authorization_number=number,
        authorization_expires_on=expires_on,
        message=received.sequence,
    )


def control_reason(message: Message) -> str:
    """Why an order was stopped or refused: the text of ORC-16, else its code."""
    orc = message.first("ORC")
    return (text_of(orc, 16, 2) or text_of(orc, 16))[:REASON_MAX]


def _ordered_at(received: Received, orc: Segment | None) -> datetime:
    written = text_of(orc, 9)
    ordered_at = received.day(written) if written else None
    return ordered_at or received.day(received.message.header.timestamp) or received.at


def _ordering_provider(orc: Segment | None, obr: Segment | None) -> Provider:
    for segment, field in ((orc, 12), (obr, 16)):
        if segment is not None and not segment.is_empty(field):
            return provider_in(segment, field)
    return Provider()


def _urgency(message: Message, orc: Segment | None, obr: Segment | None) -> Urgency:
    """Urgent as soon as any of TQ1-9, ORC-7.6, OBR-27.6 and OBR-5 says so."""
    timing = message.first("TQ1")
    for segment, field, component in ((timing, 9, 1), (timing, 9, 2), (orc, 7, 6), (obr, 27, 6), (obr, 5, 1)):
        if segment is None or segment.is_empty(field):
            continue
        if segment.text(field, component).strip().upper() in _URGENT:
            return Urgency.URGENT
    return Urgency.ROUTINE


def _authorization(message: Message, insurance: Segment | None) -> tuple[str, date | None]:
    """The payer's authorization: IN1-14.1, else AUT-6; and its last day, AUT-5."""
    authorization = message.first("AUT")
    number = text_of(insurance, 14) or text_of(authorization, 6)
    if not number:
        number = next((found for one in message.all("IN1")[1:] if (found := one.text(14))), "")
    expires_on = None if authorization is None else read_date(authorization.text(5))
    return number, expires_on


def _control_note(action: OrderAction, control: str) -> str:
    """A warning about order controls that say more than the loop understands."""
    if action == "change" and control.strip().upper() in ("RP", "RU"):
        return "the order is replaced: the new number must be linked by a person"
    return ""
