"""What an authorization is good for: which one counts, what it lets go, and what of a booking it does not cover."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple

from referral_engine.base.values import replace
from referral_engine.loop.calendar import instant_of, local_date
from referral_engine.loop.effects import CloseTasks, Effect, OpenTask, TaskKind
from referral_engine.loop.events import AuthorizationRecorded, Event, HoldReleased, OrderChanged
from referral_engine.loop.policy import HoldRule, Policy
from referral_engine.loop.referral import Hold, Identifier, Order, Referral, Slot
from referral_engine.loop.states import Appointment, Authorization, Closure, Dispatch
from referral_engine.loop.tracks import Cause

Causes = tuple[Cause, ...]

ENDS_WITHIN_MAX: Final = timedelta(days=3_660)  # "31 December 9999" is no end anybody waits for, and overflows a clock
LATER: Final = "the booked visit is later than the last day of its authorization"
EARLIER: Final = "the booked visit is before the first day of its authorization"
ANOTHER_SPECIALIST: Final = "the authorization names another specialist than the order: ask the payer for this one"
STILL_DENIED: Final = "the ordering side still says denied, and a newer authorization is on file: which holds?"
APPROVED_AGAIN: Final = "the payer approves under the number it denied: make sure, then waive the denial"

_GRANTED: Final = frozenset({Authorization.APPROVED, Authorization.EXPIRED})
_ASKED: Final = frozenset({Authorization.REQUIRED, Authorization.PENDING, Authorization.EXPIRED})
_UNAUTHORIZED: Final = _ASKED | {Authorization.DENIED}
WAITING: Final = frozenset({Authorization.REQUIRED, Authorization.PENDING})  # the payer has not answered
_SLOT_COUNTS: Final = frozenset({Appointment.BOOKED, Appointment.PASSED, Appointment.KEPT})
_PREAUTH: Final = frozenset({TaskKind.PREAUTH})


class Grant(NamedTuple):
    """One authorization as somebody tells it; a day that nobody said bounds nothing, and so do 0 visits."""

    number: str
    begins_on: date | None = None
    expires_on: date | None = None
    visits: int = 0
    provider: str = ""  # the NPI it is for


def grant_of(order: Order) -> Grant:
    """The authorization that an order carries; without a number it is none."""
    return Grant(
        order.authorization_number,
        order.authorization_begins_on,
        order.authorization_expires_on,
        order.authorization_visits,
        order.authorization_provider,
    )


def grant_in(event: AuthorizationRecorded) -> Grant:
    """The authorization that the payer's answer carries."""
    return Grant(event.number, event.begins_on, event.expires_on, event.visits, event.provider)


# ------------------------------------------------------------------------------------------------ what moves the track


def recorded(referral: Referral, event: AuthorizationRecorded, policy: Policy) -> Causes:
    """The payer answered, or staff looked it up."""
    if not event.approved:
        return denial(referral)
    if not counts(referral, event, policy):
        return ()
    return granted(referral, grant_in(event), event.at, policy)


def counts(referral: Referral, event: AuthorizationRecorded, policy: Policy) -> bool:
    """Whether an approval is one: not under a number that was denied, and for this specialist."""
    refused = referral.authorization is Authorization.DENIED and was_denied(referral, event.number)
    return event.approved and not refused and is_for(grant_in(event), referral.order, policy)


def was_denied(referral: Referral, number: str) -> bool:
    """Whether a denial was about this number, however it is typed: a blank more is no new authorization."""
    return as_typed(number) in map(as_typed, referral.denied_numbers)


def as_typed(number: str) -> str:
    """A payer's number without what people and systems change when they copy it: case, blanks, signs, leading zeros."""
    text = "".join(filter(str.isalnum, number)).casefold()
    return text.lstrip("0") or text


def is_for(grant: Grant, order: Order, policy: Policy) -> bool:
    """Whether an authorization is for the specialist of an order: the clinician asked for, or the office itself."""
    return not grant.provider or not order.referred_to or grant.provider in (order.referred_to, policy.npi)


def granted(referral: Referral, grant: Grant, at: datetime, policy: Policy) -> Causes:
    """An authorization came: the packet may leave, unless it has ended; a booked date is compared with its end."""
    slot = referral.slot if referral.appointment in _SLOT_COUNTS else None
    if slot is None and is_over(grant.expires_on, at, policy):
        return (Cause.AUTHORIZATION_APPROVED, Cause.AUTHORIZATION_EXPIRED)
    found = (Cause.AUTHORIZATION_APPROVED, *release(referral))
    if slot is not None and is_over(grant.expires_on, slot.starts_at, policy):
        return (*found, Cause.AUTHORIZATION_EXPIRED)
    return found


def denial(referral: Referral) -> Causes:
    """The payer said no: a packet that has not left stays here."""
    return (Cause.AUTHORIZATION_DENIED, *hold_again(referral))


def release(referral: Referral) -> Causes:
    """The packet may leave; never from a referral that is over, or that somebody wants stopped."""
    return (Cause.RELEASED,) if referral.closure is Closure.OPEN else ()


def hold_again(referral: Referral) -> Causes:
    """A packet that waits to leave, by whatever way, is held again; one that may be at the office is a person's."""
    waits = referral.dispatch is Dispatch.QUEUED and referral.moments.sent_at is None
    return (Cause.HELD_AGAIN,) if waits and referral.closure is Closure.OPEN else ()


def let_go(referral: Referral, event: HoldReleased) -> Causes:
    """A person lets the packet go; a denial they can overrule, but not by mistake."""
    if referral.authorization is not Authorization.DENIED:
        return (Cause.AUTHORIZATION_WAIVED, *release(referral))
    return (Cause.DENIAL_OVERRULED, *release(referral)) if event.waives_denial else (Cause.AUTHORIZATION_WAIVED,)


def changed(referral: Referral, event: OrderChanged, policy: Policy) -> Causes:
    """What a changed order says of the authorization: a denial, a new number, longer terms, or another specialist."""
    order, known = event.order, referral.order
    if order.authorization_denied:
        return () if _is_old_news(referral, order) else denial(referral)
    grant = grant_of(order)
    if grant.number and _is_new(referral, grant) and is_for(grant, order, policy):
        return granted(referral, grant, event.at, policy)
    if event.hold is not None:
        return _asked_again(referral, event.hold)
    same = bool(grant.number) and grant.number == known.authorization_number
    if same and referral.authorization in _GRANTED and _has_other_terms(grant, known):
        return granted(referral, terms(known, order), event.at, policy)
    if same and _is_mended(referral, order, event.at, policy):
        return granted(referral, terms(known, order), event.at, policy)
    return ()


def _is_mended(referral: Referral, order: Order, at: datetime, policy: Policy) -> bool:
    """Whether a number that let nothing go, because it had ended or was for another, is good by its new terms."""
    if referral.authorization not in WAITING:
        return False
    known, now = grant_of(referral.order), terms(referral.order, order)
    held_at = referral.moments.held_at or referral.order.ordered_at
    faulty = is_over(known.expires_on, held_at, policy) or not is_for(known, referral.order, policy)
    return faulty and not is_over(now.expires_on, at, policy) and is_for(now, order, policy)


def _is_new(referral: Referral, grant: Grant) -> bool:
    """Whether a number answers what is asked: one that nobody knows yet, and that was not denied."""
    wanted = referral.dispatch is Dispatch.HELD or referral.authorization in _UNAUTHORIZED | _GRANTED
    refused = referral.authorization is Authorization.DENIED and was_denied(referral, grant.number)
    return wanted and not refused and as_typed(grant.number) != as_typed(referral.order.authorization_number)


def _has_other_terms(grant: Grant, known: Order) -> bool:
    """Whether the same authorization has other terms than before; what it leaves out says nothing."""
    before = grant_of(known)
    return any(new and new != old for new, old in zip(grant[1:], before[1:], strict=True))


def _is_old_news(referral: Referral, order: Order) -> bool:
    """Whether a denial was heard before, and the payer has agreed since: an order repeats what it said once."""
    return referral.authorization in _GRANTED and was_denied(referral, order.authorization_number)


def _asked_again(referral: Referral, hold: Hold) -> Causes:
    """The order asks something else of the payer now: another specialist, payer, plan or service."""
    if referral.authorization is Authorization.DENIED:
        return ()  # only a new authorization answers that
    if hold.rule is HoldRule.SEND:
        return (Cause.AUTHORIZATION_WAIVED, *release(referral)) if referral.authorization in _ASKED else ()
    asks = Cause.AUTHORIZATION_REQUESTED if hold.rule is HoldRule.SUBMIT else Cause.AUTHORIZATION_REQUIRED
    return (asks, *hold_again(referral))


def booked(referral: Referral, starts_at: datetime, policy: Policy) -> Causes:
    """A booking is compared with the last day of the authorization, and one inside makes good one outside."""
    if referral.authorization not in _GRANTED:
        return ()
    if is_over(referral.order.authorization_expires_on, starts_at, policy):
        return (Cause.AUTHORIZATION_EXPIRED,)
    return (Cause.AUTHORIZATION_COVERS,) if referral.authorization is Authorization.EXPIRED else ()


def unbooked(referral: Referral, at: datetime, policy: Policy) -> Causes:
    """A booking outside was given up: the authorization is good again until its own last day."""
    expired = referral.authorization is Authorization.EXPIRED
    over = is_over(referral.order.authorization_expires_on, at, policy)
    return (Cause.AUTHORIZATION_COVERS,) if expired and not over else ()


# ------------------------------------------------------------------------------------------------ what is remembered


def terms(old: Order, new: Order) -> Grant:
    """The authorization after a changed order: another number has terms of its own, the same keeps what is not said."""
    before, now = grant_of(old), grant_of(new)
    if now.number and now.number != before.number:
        return now
    return Grant(
        now.number or before.number,
        now.begins_on or before.begins_on,
        now.expires_on or before.expires_on,
        now.visits or before.visits,
        now.provider or before.provider,
    )


def with_grant(grant: Grant) -> dict[str, object]:
    """The fields of an order that carry an authorization."""
    return {
        "authorization_number": grant.number,
        "authorization_begins_on": grant.begins_on,
        "authorization_expires_on": grant.expires_on,
        "authorization_visits": grant.visits,
        "authorization_provider": grant.provider,
    }


def denied_numbers(referral: Referral, number: str) -> tuple[str, ...]:
    """Every number that a denial was about, "" for one without a number: none of them lets a packet go again."""
    return tuple(dict.fromkeys((*referral.denied_numbers, referral.order.authorization_number, number)))


def end_of(expires_on: date | None, at: datetime, policy: Policy) -> datetime | None:
    """When the last day of an authorization is over at the clinic, UTC; None when nobody waits for it."""
    if expires_on is None:
        return None
    apart = expires_on - at.date()
    if apart > ENDS_WITHIN_MAX:
        return None
    if -apart > ENDS_WITHIN_MAX:
        return at - ENDS_WITHIN_MAX
    return instant_of(policy.calendar, expires_on + timedelta(days=1), time.min)


def is_over(expires_on: date | None, at: datetime, policy: Policy) -> bool:
    """Whether an instant is later than the last day of an authorization, as the clinic counts days."""
    return expires_on is not None and local_date(policy.calendar, at) > expires_on


def marked(referral: Referral, appointment: Identifier, *, given_up: bool) -> tuple[Slot, ...]:
    """The slots, with those of an appointment marked as given up, or as taken up again."""
    last = referral.slot
    named = appointment.value if any(one.appointment.value == appointment.value for one in referral.slots) else ""
    if appointment and not named and last is not None and last.appointment:
        return referral.slots  # one that nobody told us
    return tuple(
        slot if slot.given_up == given_up or not (slot.appointment.value == named if named else slot is last)
        else replace(slot, given_up=given_up)
        for slot in referral.slots
    )  # fmt: skip


def visits(slots: Iterable[Slot]) -> int:
    """How many visits were booked: a moved appointment is one, one that was given up or missed is none."""
    count, standing = 0, dict[str, Slot]()
    for slot in slots:
        if slot.given_up:
            continue
        number = slot.appointment.value
        earlier = standing.get(number)
        if earlier is None or earlier.starts_at <= slot.booked_at:
            count += 1  # booked when the earlier one was over: another visit under the same number
        standing[number] = slot
    return count


# ------------------------------------------------------------------------------------------------ what is owed for it


def shortfall(referral: Referral, policy: Policy) -> str:
    """Why the authorization does not cover the booked visit; "" when it does, or nothing is to be covered."""
    slot, order = referral.slot, referral.order
    if slot is None or referral.authorization not in _GRANTED or referral.appointment not in _SLOT_COUNTS:
        return ""
    if is_over(order.authorization_expires_on, slot.starts_at, policy):
        return LATER
    begins_on = order.authorization_begins_on
    if begins_on is not None and local_date(policy.calendar, slot.starts_at) < begins_on:
        return EARLIER
    covered = order.authorization_visits
    if covered and (count := visits(referral.slots)) > covered:
        return f"{count} visits are booked, and the authorization covers {covered}"
    return ""


def owed(before: Referral, after: Referral, event: Event, policy: Policy) -> tuple[Effect, ...]:
    """What a person must hear of the authorization although no state is entered; nothing for most events."""
    if before.authorization is Authorization.NOT_REQUIRED and after.authorization is Authorization.NOT_REQUIRED:
        return ()
    found: tuple[Effect, ...] = ()
    if not after.is_over:
        found = _covered(before, after, policy)
        if sentence := _unbelieved(before, event, policy):
            found += (OpenTask(kind=TaskKind.PREAUTH, reason=sentence),)
    return found


def _covered(before: Referral, after: Referral, policy: Policy) -> tuple[Effect, ...]:
    """A task for each booking that is not covered; it is withdrawn once the booking in force is."""
    was, now = shortfall(before, policy), shortfall(after, policy)
    if now and (now != was or before.slots[-1:] != after.slots[-1:]):
        return (OpenTask(kind=TaskKind.PREAUTH, reason=now),)
    return (CloseTasks(kinds=_PREAUTH),) if was and not now and after.authorization is Authorization.APPROVED else ()


def _unbelieved(before: Referral, event: Event, policy: Policy) -> str:
    """Why an answer of the payer, or what the order says of it, was not believed."""
    match event:
        case AuthorizationRecorded() if event.approved and not counts(before, event, policy):
            refused = before.authorization is Authorization.DENIED and was_denied(before, event.number)
            return APPROVED_AGAIN if refused else ANOTHER_SPECIALIST
        case OrderChanged() if event.order.authorization_denied and _is_old_news(before, event.order):
            return STILL_DENIED
        case OrderChanged():
            grant = grant_of(event.order)
            another = _is_new(before, grant) and not is_for(grant, event.order, policy)
            return ANOTHER_SPECIALIST if grant.number and another else ""
        case _:
            return ""
