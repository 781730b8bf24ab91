"""A referral message (REF, RRI) in, what it asks or answers out: an order of the ordering side, news of an office."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.message import Message
from referral_engine.hl7.path import read_path
from referral_engine.hl7.segment import Segment
from referral_engine.intake.answers import refuses
from referral_engine.intake.authorizations import read_authorization, read_insurances
from referral_engine.intake.orders import URGENT_WORDS
from referral_engine.intake.patients import read_patient
from referral_engine.intake.reading import Reading, joined, nothing
from referral_engine.intake.received import Received, first_npi, is_valid_npi, number_in, parts_of, text_of
from referral_engine.loop.events import (
    AuthorizationRecorded,
    CancelConfirmed,
    CancelRequested,
    Event,
    OrderChanged,
    ReferralAccepted,
    ReferralDeclined,
    ReferralOrdered,
)
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Order, Provider
from referral_engine.loop.states import Network, Urgency

PROVIDERS_MAX: Final = 50  # PRD of one message that are looked at
REASON_MAX: Final = 120  # characters of RF1-10 that are kept

# Triggers, the same for REF and RRI.  Source: HL7 v2.5.1 11.3
NEW: Final = "I12"
MODIFIED: Final = "I13"
CANCELLED: Final = "I14"

_REFERRING: Final = "RP"  # PRD-1, table 0286
_REFERRED_TO: Final = "RT"
_OVER: Final[dict[str, str]] = {"R": "rejected", "E": "expired"}  # RF1-1, table 0283; A is accepted, P pending


def read_referral(received: Received, trigger: str) -> tuple[Reading, ...]:
    """What a REF or RRI says; trigger: MSH-9.2.  Always one reading: a REF speaks of one referral.

    Raises MessageFault 103 for a new referral that is rejected or expired already.
    Source: HL7 v2.5.1 11.3, 11.8.1 (RF1), 11.8.3 (PRD), 11.8.2 (AUT).
    """
    match received.party.kind:
        case "ehr" if received.message.header.message_code == "RRI":
            return (nothing("the ordering side answers a referral of ours: nothing follows"),)
        case "ehr":
            return (_ordered(received, trigger),)
        case "specialist":
            return (_answered(received, trigger),)
        case _:
            return (nothing("a scanning station refers nobody"),)


def _ordered(received: Received, trigger: str) -> Reading:
    """A referral of the ordering side: new, changed, cancelled; a question about it changes nothing."""
    message, feed = received.message, received.feed
    if not is_referral(received):
        return nothing("not a referral order")
    if trigger == NEW and feed.physician_orders is not None and not feed.physician_orders.matches(message):
        return nothing("not ordered by a physician: left alone")
    state = message.value("RF1-1").strip().upper()
    if trigger == NEW and state in _OVER:
        raise MessageFault("103", "RF1-1", f"a new referral that is already {_OVER[state]}")
    patient, order, stamp = read_patient(received), read_facts(received), received.stamp
    events: tuple[Event, ...] = ()
    note = ""
    match trigger:
        case "I12":
            events = (ReferralOrdered(**stamp, patient=patient, order=order),)
            note = "" if order.placer else "no originating number in RF1-6"
        case "I13":
            events = (OrderChanged(**stamp, patient=patient, order=order),)
        case "I14":
            events = (CancelRequested(**stamp, reason=_reason(message)),)
        case "I15":
            note = "the ordering side asks how the referral stands: nothing follows"
        case _:
            return nothing("this event of a referral is not known")
    evidence = Evidence(
        about=About.ORDER,
        patient=patient,
        placer=order.placer,
        filler=order.filler,
        provider=order.referred_to if is_valid_npi(order.referred_to) else "",
        specialty=order.specialty,
        fields=("placer RF1-6", "filler RF1-11", "provider PRD-7", "patient PID-3"),
    )
    return Reading(about=About.ORDER, evidence=evidence, events=events, is_new_order=trigger == NEW, note=note)


def is_referral(received: Received) -> bool:
    """A REF is a referral by its type, unless the feed's rule can be asked and says no.

    The rule can be asked where the message has every segment that it looks into; REF has no ORC, and often no OBR.
    """
    rule, message = received.feed.referral_when, received.message
    if rule is None:
        return True
    places = [place for path in rule.paths() if (place := read_path(path)) is not None]
    if any(message.first(place.segment) is None for place in places):
        return True
    return rule.matches(message)


def read_facts(received: Received) -> Order:
    """What a referral asks for; numbers are exactly as sent, ordered_at is RF1-7, else MSH-7, else when it came."""
    message, feed = received.message, received.feed
    referral, insurance = message.first("RF1"), message.first("IN1")
    code, text = _service(message)
    urgent = text_of(referral, 2).strip().upper() in URGENT_WORDS
    return Order(
        placer=number_in(referral, 6),
        filler=number_in(referral, 11),
        ordered_at=_ordered_at(received, referral),
        service_code=code,
        service_text=text,
        specialty=feed.specialty_of(code) if code else "",
        urgency=Urgency.URGENT if urgent else Urgency.ROUTINE,
        network=Network.IN if feed.in_network is not None and feed.in_network.matches(message) else Network.OUT,
        ordering_provider=_provider(_with_role(message, _REFERRING)),
        referred_to=first_npi((_with_role(message, _REFERRED_TO), 7)) or feed.referred_npi(message),
        payer=text_of(insurance, 3) or text_of(insurance, 4),
        plan=text_of(insurance, 15) or text_of(insurance, 2),
        diagnosis=text_of(message.first("DG1"), 3) or _reason(message),
        insurances=read_insurances(message),
        **read_authorization(message, feed),
        message=received.sequence,
    )


def _service(message: Message) -> tuple[str, str]:
    """Code and text of what is asked for: OBR-4, else PR1-3, else the kind of referral, RF1-3."""
    for name, field in (("OBR", 4), ("PR1", 3), ("RF1", 3)):
        segment = message.first(name)
        if segment is None or segment.is_empty(field):
            continue
        code, text, _, other_code, other_text, *_ = *parts_of(segment, segment.field(field)), "", "", "", ""
        if code or other_code:
            return code or other_code, text or other_text
    return "", ""


def _ordered_at(received: Received, referral: Segment | None) -> datetime:
    written = text_of(referral, 7)
    ordered_at = received.day(written) if written else None
    return ordered_at or received.day(received.message.header.timestamp) or received.at


def _with_role(message: Message, role: str) -> Segment | None:
    """The first PRD with this role among those of PRD-1, which repeats: one clinician may be several things."""
    for provider in message.all("PRD")[:PROVIDERS_MAX]:
        said = provider.field(1)
        if not said:
            continue
        separator = provider.delimiters.repetition
        roles = range(1, min(said.count(separator), PROVIDERS_MAX) + 2)
        if any(provider.text(1, 1, 1, nth).strip().upper() == role for nth in roles):
            return provider
    return None


def _provider(provider: Segment | None) -> Provider:
    """A clinician of PRD: the NPI of PRD-7, else its first number; the name of PRD-2."""
    if provider is None:
        return Provider()
    number = first_npi((provider, 7)) or text_of(provider, 7)
    return Provider(number=number, family=provider.text(2, 1), given=provider.text(2, 2))


def _reason(message: Message) -> str:
    """Why: the text of RF1-10, else its code."""
    referral = message.first("RF1")
    return (text_of(referral, 10, 2) or text_of(referral, 10))[:REASON_MAX]


def read_payers_answer(received: Received) -> tuple[Reading, ...]:
    """What the payer answered, RPA^I08 to I11, as the ordering side passes it on.  Always one reading.

    Approved with a number and RF1-1 A, or none; denied by RF1-1 R, AUT-14, or no visits of AUT-9.
    Source: HL7 v2.5.1 11.4.1 (RPA), 11.8.1 (RF1), 11.8.2 (AUT), table 0283.
    """
    message, referral = received.message, received.message.first("RF1")
    if received.party.kind != "ehr":
        return (nothing("only the ordering side passes on what a payer answers"),)
    if referral is None:
        return (nothing("a payer's answer without RF1"),)
    evidence = Evidence(
        about=About.ORDER,
        patient=read_patient(received),
        placer=number_in(referral, 6),
        filler=number_in(referral, 11),
        fields=("placer RF1-6", "filler RF1-11", "patient PID-3"),
    )
    said, state = read_authorization(message, received.feed), referral.text(1).strip().upper()
    number, person, note = said["authorization_number"], "", ""
    events: tuple[Event, ...] = ()
    if said["authorization_denied"] or state == "R":
        events = (AuthorizationRecorded(**received.stamp, approved=False, number=number),)
    elif number and state in ("A", ""):
        events = (
            AuthorizationRecorded(
                **received.stamp,
                approved=True,
                number=number,
                begins_on=said["authorization_begins_on"],
                expires_on=said["authorization_expires_on"],
                visits=said["authorization_visits"],
                provider=said["authorization_provider"],
            ),
        )
    elif state == "A":
        person = "the payer approves without a number"
    else:
        note = "RF1-1 moves nothing"
    return (Reading(about=About.ORDER, evidence=evidence, events=events, person=person, note=note),)


def _answered(received: Received, trigger: str) -> Reading:
    """A referral message of a specialist: what RF1-1 says of the referral that RF1-6 names."""
    message = received.message
    referral = message.first("RF1")
    if referral is None:
        return nothing("a referral message without RF1")
    evidence = Evidence(
        about=About.ORDER,
        patient=read_patient(received),
        placer=number_in(referral, 6),
        filler=number_in(referral, 11),
        fields=("placer RF1-6", "filler RF1-11", "patient PID-3"),
    )
    events, person, note = _news(received, trigger, referral.text(1).strip().upper())
    return Reading(about=About.ORDER, evidence=evidence, events=events, person=person, note=note)


def _news(received: Received, trigger: str, state: str) -> tuple[tuple[Event, ...], str, str]:
    """Events, why a person has to look, and why nothing follows; by the trigger and RF1-1, table 0283."""
    message, stamp = received.message, received.stamp
    replies = message.header.message_code == "RRI"
    if trigger == NEW and not replies:
        return (), "the specialist refers a patient to us", ""
    if trigger == CANCELLED and not replies:
        return (ReferralDeclined(**stamp, reason=_reason(message)),), "", ""
    if trigger not in (NEW, MODIFIED, CANCELLED):
        return (), "", "a question or its answer: nothing follows"
    if refuses(message):
        return (), joined("the specialist's system refuses it", "RF1-1 says accepted" if state == "A" else ""), ""
    if trigger == CANCELLED:
        return ((), "the specialist could not cancel", "") if state == "R" else ((CancelConfirmed(**stamp),), "", "")
    match state:
        case "A":
            return (ReferralAccepted(**stamp),), "", ""
        case "R":
            return (ReferralDeclined(**stamp, reason=_reason(message)),), "", ""
        case _:
            return (), "", "RF1-1 moves nothing"
