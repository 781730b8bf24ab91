"""A new order in: known already, unroutable, a duplicate, held, or on its way."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from referral_engine.base.ident import referral_id
from referral_engine.base.values import replace
from referral_engine.channels.channel import Channel
from referral_engine.channels.parties import Party
from referral_engine.channels.routing import Routing, explain, route
from referral_engine.flow.apply import apply
from referral_engine.flow.matching import learn_numbers
from referral_engine.flow.turn import Turn
from referral_engine.flow.verdict import Verdict
from referral_engine.hl7.message import Message
from referral_engine.intake.read import Reading
from referral_engine.journal.rows import BindingKind, Disposition
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.events import ReferralOrdered
from referral_engine.loop.matching import Evidence, Level, corroborates
from referral_engine.loop.policy import HoldRule
from referral_engine.loop.referral import Hold, Identifier, Order, Referral

REASONS_SHOWN_MAX: Final = 5  # channels named in the reason of an unroutable order


def accept_order(turn: Turn, message: Message, reading: Reading, party: Party, sequence: int) -> Verdict:
    """Start a referral's loop, or say why not; an order is never dropped and never guessed at."""
    evidence, event = reading.evidence, reading.events[0] if reading.events else None
    if party.kind != "ehr" or evidence is None or not isinstance(event, ReferralOrdered):
        return Verdict(disposition=Disposition.NO_OP, reason="only the ordering side orders")
    known = _known(turn, evidence, sequence)
    if known is not None:
        return known
    routing = route(turn.book, message)
    fault = _unroutable(routing, event.order)
    if fault or routing.channel is None:
        reason = f"{fault}: {_why(turn, message)}" if turn.book.channels else f"{fault}: no channel is configured"
        turn.open_task(OpenTask(kind=TaskKind.UNROUTABLE_ORDER, reason=reason), message=sequence)
        return Verdict(disposition=Disposition.NEEDS_HUMAN, reason=reason)
    return _begin(turn, message, event, evidence, party, routing.channel)


def _known(turn: Turn, evidence: Evidence, sequence: int) -> Verdict | None:
    """The verdict on an order whose number is bound already; None for a new number."""
    placer = evidence.placer
    for identity in turn.unit.bound(BindingKind.PLACER, placer.value, placer.authority) if placer else ():
        referral = turn.unit.referral(identity)
        if referral is None:
            continue
        if corroborates(evidence.patient, referral.patient):
            return Verdict(
                disposition=Disposition.NO_OP, level=Level.EXACT, reason="this order is known", referral=referral.id
            )
        reason = f"urgent: level 0: the order number belongs to another patient's referral {referral.id}"
        task = OpenTask(kind=TaskKind.MATCH_REVIEW, reason=reason, urgent=True)
        turn.open_task(task, channel=referral.channel, message=sequence)
        return Verdict(disposition=Disposition.NEEDS_HUMAN, level=Level.STOP, reason=reason)
    return None


def _unroutable(routing: Routing, order: Order) -> str:
    """Why nobody can be sent this order; "" when somebody can."""
    if not order.placer:
        return "the order has no number (ORC-2)"
    if not order.service_code:
        return "the order names no procedure or specialty (OBR-4)"
    if routing.channel is not None:
        return ""
    if routing.candidates:
        return f"several channels take it: {', '.join(answer.name for answer in routing.candidates)}"
    return "no channel takes it"


def _why(turn: Turn, message: Message) -> str:
    answers = explain(turn.book, message).candidates[:REASONS_SHOWN_MAX]
    return "; ".join(f"{answer.name}: {answer.reason}" for answer in answers)


def _begin(  # everything that is known of a new order
    turn: Turn,
    message: Message,
    event: ReferralOrdered,
    evidence: Evidence,
    party: Party,
    channel: Channel,
) -> Verdict:
    specialty = event.order.specialty or channel.specialty
    order = replace(event.order, specialty=specialty, network=channel.network)
    first = _open_duplicate(turn, event, specialty, channel)
    event_number = turn.unit.next_sequence()
    referral = Referral(
        id=referral_id(turn.node, event_number),
        channel=channel.name,
        patient=event.patient,
        order=order,
        duplicate_of=first.id if first else "",
        config=turn.book.version,
    )
    hold, why = (Hold(), "") if first else _hold(turn, message, channel, order)
    ordered = replace(event, order=order, hold=hold, duplicate_of=referral.duplicate_of)
    referral = replace(referral, hold=hold)
    reason = f"channel {channel.name} takes it" + (f"; {why}" if why else "")
    if first:
        reason = f"same patient and specialty as the open referral {first.id}: linked to it, nothing is sent twice"
    apply(turn, referral, ordered, reason=reason, new=True, sequence=event_number)
    _bind(turn, referral, evidence, party)
    return Verdict(disposition=Disposition.APPLIED, level=Level.EXACT, reason=reason, referral=referral.id)


def _bind(turn: Turn, referral: Referral, evidence: Evidence, party: Party) -> None:
    learn_numbers(turn, evidence, party, referral.id)
    turn.unit.bind(BindingKind.PLACER, referral.order.placer, referral.id)
    turn.unit.bind(BindingKind.REFERRAL, Identifier(value=referral.id), referral.id)
    for known in referral.patient.ids:
        if known.authority:
            turn.unit.bind(BindingKind.PATIENT, known, referral.id)


def _open_duplicate(turn: Turn, event: ReferralOrdered, specialty: str, channel: Channel) -> Referral | None:
    """The open referral of the same patient and specialty that this order repeats."""
    within = timedelta(days=channel.policy.duplicate_days)
    for known in event.patient.ids:
        for identity in turn.unit.patients(known.value, known.authority) if known.authority else ():
            earlier = turn.unit.referral(identity)
            if (
                earlier is not None
                and not earlier.is_over
                and not earlier.duplicate_of
                and earlier.order.specialty == specialty
                and turn.now - earlier.order.ordered_at <= within
                and corroborates(event.patient, earlier.patient)
            ):
                return earlier
    return None


def _hold(turn: Turn, message: Message, channel: Channel, order: Order) -> tuple[Hold, str]:
    """Whether the payer must agree first: the channel's own [hold] decides, else the pre-authorization table."""
    if order.authorization_number:
        return Hold(), "the order brings its authorization"
    rule = turn.book.preauth.rule_for(
        specialty=order.specialty,
        payer=order.payer,
        plan=order.plan,
        procedure=order.service_code,
        diagnosis=order.diagnosis,
        network=channel.network,
    )
    if channel.hold is not None:
        if not channel.hold.when.matches(message):
            return Hold(), "the channel's [hold] does not ask for an authorization"
        asks = rule.rule if rule.rule is not HoldRule.SEND else HoldRule.HOLD
        billing = channel.hold.billing_after is not None or rule.billing_after is not None
        return Hold(
            rule=asks, reason=channel.hold.reason, billing=billing, notify=rule.notify
        ), "held by the channel's [hold]"
    if rule.rule is HoldRule.SEND:
        return Hold(), rule.why
    hold = Hold(rule=rule.rule, reason="pre-authorization", billing=rule.billing_after is not None, notify=rule.notify)
    return hold, rule.why or "held by the pre-authorization table"
