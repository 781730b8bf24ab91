"""One message of a known sender in, what it means for the loop out: events, and the evidence to match them by."""

from __future__ import annotations

from datetime import datetime

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.hl7.message import Message
from referral_engine.intake.adt import read_registration
from referral_engine.intake.answers import read_answers
from referral_engine.intake.appointments import read_appointment
from referral_engine.intake.charges import read_charges
from referral_engine.intake.documents import read_document
from referral_engine.intake.orders import read_orders
from referral_engine.intake.reading import Reading, joined, nothing
from referral_engine.intake.received import Received
from referral_engine.intake.referrals import read_payers_answer, read_referral
from referral_engine.intake.reports import read_report

__all__ = ["Reading", "read"]


def read(message: Message, party: Party, *, received_at: datetime, sequence: int) -> tuple[Reading, ...]:
    """What `message` says, by MSH-9.1 and MSH-9.2; MSH-9.3 and the order of segments are not relied on.

    One reading for each thing it speaks of (an order, a result of an order, a merge), in its own order; never none.

    received_at: aware UTC; when we learned it. sequence: of the message in the journal; events and facts cite it.
    Raises MessageFault, naming the place and no value, where only a person can tell what is meant.
    """
    if party.feed.left_alone is not None and party.feed.left_alone.matches(message):
        return (nothing("the feed's file leaves such messages alone"),)
    received = Received(message=message, party=party, at=received_at, sequence=sequence)
    code = message.header.message_code
    match code:
        case "ORM" | "OMG" | "OSU" | "ORR" | "ORG":
            return _orders(received, code)
        case "ORU":
            return read_report(received)
        case "SIU":
            return read_appointment(received, _trigger(message))
        case "MDM":
            return _warned(message, read_document(received, _trigger(message)))
        case "ADT":
            return _warned(message, read_registration(received, _trigger(message)))
        case "DFT":
            return _warned(message, read_charges(received, _trigger(message)))
        case "REF" | "RRI":
            return read_referral(received, _trigger(message))
        case "RPA":
            return read_payers_answer(received)
        case _:
            return (nothing("this message type says nothing of a referral"),)


def _orders(received: Received, code: str) -> tuple[Reading, ...]:
    """An order message means one thing from the ordering side and another from the office that answers."""
    match received.party.kind:
        case "ehr" if code in ("ORR", "ORG"):
            return (nothing("the ordering side answers an order of ours: nothing follows"),)
        case "ehr":
            return read_orders(received)
        case "specialist":
            return read_answers(received)
        case _:
            return (nothing("a scanning station orders nothing"),)


def _trigger(message: Message) -> str:
    """MSH-9.2, else EVN-1; raises MessageFault 101 without both."""
    trigger = message.header.trigger or message.value("EVN-1")
    if not trigger:
        raise MessageFault("101", "MSH-9.2", "the event is missing")
    return trigger


def _warned(message: Message, readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """The readings with a warning when EVN-1 names another event: many senders' do, and MSH-9.2 is right."""
    event = message.first("EVN")
    if event is None or event.text(1) in ("", message.header.trigger or event.text(1)):
        return readings
    return tuple(replace(one, note=joined(one.note, "EVN-1 contradicts MSH-9.2")) for one in readings)
