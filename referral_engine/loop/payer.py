"""What is owed while a payer must agree: one small function for each state of the authorization and each clock."""

from __future__ import annotations

from typing import Final

from referral_engine.loop.effects import CloseTasks, Effect, OpenTask, Purpose, Recipient, Send, TaskKind, Withdraw
from referral_engine.loop.policy import Policy
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import Appointment, Authorization, Dispatch
from referral_engine.loop.tracks import Cause

Effects = tuple[Effect, ...]

_WITHOUT_REQUEST: Final = Withdraw(purposes=frozenset({Purpose.AUTHORIZATION_REQUEST}))
_AUTHORIZED: Final = CloseTasks(kinds=frozenset({TaskKind.PREAUTH, TaskKind.BILLING}))


def _task(reason: str) -> OpenTask:
    return OpenTask(kind=TaskKind.PREAUTH, reason=reason)


def _notice(about: str) -> Send:
    return Send(to=Recipient.EHR, purpose=Purpose.PROVIDER_NOTICE, about=about)


def required(referral: Referral, _: Cause, __: Policy) -> Effects:
    """A person gets the authorization; a packet that has left already is not stopped, and somebody must know."""
    reason = referral.hold.reason or "pre-authorization"
    if referral.dispatch is not Dispatch.HELD:
        return (_task(f"sent, and not authorized: {reason}"),)
    told = (_notice("held"),) if referral.hold.notify else ()
    return (_task(f"held: {reason}"), *told)


def pending(referral: Referral, cause: Cause, policy: Policy) -> Effects:
    """The request leaves for the payer's desk; one that asked for something else and has not left is withdrawn."""
    request = Send(to=Recipient.PAYER, purpose=Purpose.AUTHORIZATION_REQUEST, message=referral.order.message)
    first, *told = required(referral, cause, policy)
    assert isinstance(first, OpenTask), "an authorization that is required is somebody's task"
    filled_in = _task(f"{first.reason}; the request is prepared: {_request(referral)}")
    return (_WITHOUT_REQUEST, request, filled_in, *told)


def _request(referral: Referral) -> str:
    """What a person types into the payer's portal, where nobody reads the document; nothing of the patient."""
    order = referral.order
    fields = {
        "payer": order.payer,
        "plan": order.plan,
        "procedure": order.service_code,
        "specialist": order.referred_to,
        "ordered by": order.ordering_provider.number,
        "order": order.placer.value,
    }
    return ", ".join(f"{name} {value}" for name, value in fields.items() if value)


def approved(_: Referral, __: Cause, ___: Policy) -> Effects:
    """Nobody needs to ask any more."""
    return (_WITHOUT_REQUEST, _AUTHORIZED)


def not_required(_: Referral, cause: Cause, __: Policy) -> Effects:
    """A person, or a change of the order, made it so."""
    return (_WITHOUT_REQUEST, _AUTHORIZED) if cause in (Cause.AUTHORIZATION_WAIVED, Cause.DENIAL_OVERRULED) else ()


def denied(referral: Referral, _: Cause, __: Policy) -> Effects:
    """The ordering provider and billing are told; a packet that has left already is theirs and a person's to stop."""
    held = referral.dispatch is Dispatch.HELD
    about = "authorization denied" if held else "authorization denied after sending"
    told = f"{'' if held else 'after the packet had left, '}denied: only a new authorization can answer it"
    return (
        _WITHOUT_REQUEST,
        _notice(about),
        Send(to=Recipient.BILLING, purpose=Purpose.BILLING_NOTICE, about=about),
        _task(told),
    )


def expired(referral: Referral, _: Cause, __: Policy) -> Effects:
    """That it ends before a booked date is told with the booking."""
    if referral.appointment in (Appointment.BOOKED, Appointment.PASSED, Appointment.KEPT):
        return ()
    return (_task("the authorization has ended before any visit: the payer must be asked again"),)


def still_held(referral: Referral, _: int, __: Policy) -> Effects:
    """The reminder of a packet that waits."""
    denied = referral.authorization is Authorization.DENIED
    why = "denied, and only a new authorization can answer it" if denied else "no authorization has come"
    return (_task(f"still held: {why}"),)


def held_too_long(_: Referral, __: int, ___: Policy) -> Effects:
    """Billing takes up what the desk could not get."""
    billing = Send(to=Recipient.BILLING, purpose=Purpose.BILLING_NOTICE, about="held without an authorization")
    return (OpenTask(kind=TaskKind.BILLING, reason="held without an authorization: billing takes it up"), billing)
