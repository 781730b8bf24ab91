"""Whether the payer must agree before a packet leaves: asked of a new order, and again of one that changed."""

from __future__ import annotations

from typing import Final

from referral_engine.base.values import replace
from referral_engine.channels.channel import Channel
from referral_engine.channels.channel import Hold as Waits
from referral_engine.channels.feed import Feed
from referral_engine.channels.preauth import PreauthRule, asked_by
from referral_engine.channels.routing import route
from referral_engine.flow.turn import Turn
from referral_engine.hl7.message import Message
from referral_engine.loop.authorizing import grant_of, is_for, is_over
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.events import OrderChanged
from referral_engine.loop.policy import HoldRule
from referral_engine.loop.referral import Hold, Insurance, Order, Referral
from referral_engine.loop.states import Authorization

STAFF: Final = "staff"  # the word of released_by for a person
DENIED: Final = "the payer denied the authorization"


def hold_of(turn: Turn, message: Message, channel: Channel, order: Order) -> tuple[Hold, str]:
    """What a new order waits for, and why: the channel's own [hold] decides, else the pre-authorization table.

    An authorization that the order brings lets it go, unless it has ended, or is for somebody else.
    """
    rule = turn.book.preauth.verdict(asked_by(order))
    if order.authorization_denied:
        return _waiting(rule, channel, DENIED), DENIED
    fault = _fault(turn, channel, order)
    if order.authorization_number and not fault:
        return Hold(), "the order brings its authorization"
    hold, why = _asked(message, channel, rule)
    return hold, f"{why}; {fault}" if fault and hold.rule is not HoldRule.SEND else why


def _fault(turn: Turn, channel: Channel, order: Order) -> str:
    """Why the authorization of an order lets nothing go; "" when it does, or there is none."""
    grant = grant_of(order)
    if not grant.number:
        return ""
    if is_over(grant.expires_on, turn.now, channel.policy):
        return "the authorization that it brings has ended"
    return "" if is_for(grant, order, channel.policy) else "the authorization that it brings is for another specialist"


def _asked(message: Message, channel: Channel, rule: PreauthRule) -> tuple[Hold, str]:
    """What the files ask of an order without an authorization."""
    if channel.hold is None:
        return (Hold(), rule.why) if rule.rule is HoldRule.SEND else (rule.hold(), rule.why)
    if not channel.hold.when.matches(message):
        return Hold(), "the channel's [hold] does not ask for an authorization"
    return laid_over(rule, channel.hold), "held by the channel's [hold]"


def laid_over(rule: PreauthRule, own: Waits) -> Hold:
    """A channel's [hold]: what it does not say, the rule of the table says, else the channel's clocks do."""
    return Hold(
        rule=rule.rule if rule.rule is not HoldRule.SEND else HoldRule.HOLD,
        reason=own.reason,
        billing=own.billing_after is not None or rule.billing_after is not None,
        notify=rule.notify,
        remind_after=rule.remind_after if own.remind_after is None else None,
        billing_after=rule.billing_after if own.billing_after is None else None,
    )


def _waiting(rule: PreauthRule, channel: Channel, reason: str) -> Hold:
    """A hold that nothing in the files asks for, with their lengths where they have some."""
    if channel.hold is not None:
        return replace(laid_over(rule, channel.hold), rule=HoldRule.HOLD, reason=reason)
    return replace(rule.hold(reason), rule=HoldRule.HOLD)


def asked_again(turn: Turn, message: Message, referral: Referral, event: OrderChanged) -> OrderChanged:
    """A changed order with what the payer is asked for it now, where it asks something else than before."""
    channel = turn.channel(referral.channel)
    if channel is None or referral.is_over or referral.duplicate_of:
        return event
    specialty = event.order.specialty or referral.order.specialty
    order = with_number(message, channel, replace(event.order, specialty=specialty))
    changed = _changed_facts(referral.order, order)
    event = replace(event, order=order)
    if not changed:
        return event
    hold, _ = _asked(message, channel, turn.book.preauth.verdict(asked_by(order)))
    if hold.rule is HoldRule.SEND and referral.hold.rule is HoldRule.SEND:
        return event
    if hold.rule is HoldRule.SEND and referral.authorization is Authorization.APPROVED:
        return event
    reason = f"{hold.reason}: the order names another {changed} than the authorization was asked for"
    return replace(event, hold=hold if hold.rule is HoldRule.SEND else replace(hold, reason=reason))


def _changed_facts(known: Order, now: Order) -> str:
    """What a payer would have to be asked for anew; "" for nothing. What the newer order leaves out says nothing."""
    if now.referred_to and known.referred_to and now.referred_to != known.referred_to:
        return "specialist"
    if now.service_code and known.service_code and now.service_code != known.service_code:
        return "service"
    if known.insurances and now.insurances and not _is_same(known.insurances[0], now.insurances[0]):
        return "insurance"
    return ""


def _is_same(known: Insurance, now: Insurance) -> bool:
    """Whether two insurances are one: a plan is a code, and a payer may be called otherwise beside its number."""
    same_payer = not known.payers or not now.payers or not set(known.payers).isdisjoint(now.payers)
    return same_payer and (not known.plans or not now.plans or known.plans == now.plans)


def another_channel(turn: Turn, message: Message, feed: Feed, referral: Referral, event: OrderChanged) -> None:
    """A changed order that names another channel's specialist: who has the packet is not who is meant."""
    if referral.is_over or _changed_facts(referral.order, event.order) != "specialist":
        return
    meant = route(turn.book, message, feed).channel
    if meant is not None and meant.name != referral.channel:
        reason = f"the changed order names a specialist of {meant.name}, and the packet is for {referral.channel}"
        task = OpenTask(kind=TaskKind.ANOMALY, reason=f"{reason}: end this referral and order anew, or say why not")
        turn.open_task(task, referral=referral.id, channel=referral.channel)


def with_number(message: Message, channel: Channel, order: Order) -> Order:
    """The order with the payer's number from the fields that [hold] names in `released_by`."""
    if order.authorization_number or channel.hold is None:
        return order
    values = (message.value(path) for path in channel.hold.released_by if path != STAFF)
    number = next((value for value in values if any(map(str.isdigit, value))), "")
    return replace(order, authorization_number=number) if number else order
