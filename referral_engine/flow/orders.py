"""A new order in: known already, unroutable, a duplicate, held, or on its way."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from referral_engine.base.ident import referral_id
from referral_engine.base.values import replace
from referral_engine.channels.channel import Channel
from referral_engine.channels.parties import Party
from referral_engine.channels.routing import IN_SHADOW, Routing, explain, route
from referral_engine.flow.apply import apply
from referral_engine.flow.attaching import Said, reviewed
from referral_engine.flow.holding import hold_of, with_number
from referral_engine.flow.matching import aliases_of, learn_numbers, learn_patient
from referral_engine.flow.pilot import WATCHED, is_live
from referral_engine.flow.turn import Turn
from referral_engine.flow.verdict import Verdict
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import BindingKind, Disposition
from referral_engine.loop.effects import ORDERS, OpenTask, TaskKind
from referral_engine.loop.events import ReferralOrdered
from referral_engine.loop.likeness import may_be_a_twin
from referral_engine.loop.matching import Candidate, Level, Match, corroborates, weigh
from referral_engine.loop.referral import Hold, Identifier, Order, Referral

REASONS_SHOWN_MAX: Final = 5  # channels named in the reason of an unroutable order

_SAME_ORDER: Final = timedelta(days=1)  # an order sent again may be dated when it was sent


def accept_order(turn: Turn, said: Said) -> Verdict:
    """Start a referral's loop, or say why not; an order is never dropped and never guessed at."""
    reading, party = said.reading, said.party
    message = reading.alone or said.message
    event = reading.events[0] if reading.events else None
    if party.kind != "ehr" or not isinstance(event, ReferralOrdered):
        return Verdict(disposition=Disposition.NO_OP, reason="only the ordering side orders")
    known = _known(turn, said, event)
    if known is not None:
        return known
    routing = route(turn.book, message, party.feed)
    fault = _unroutable(routing, event.order)
    if fault or routing.channel is None:
        why = _why(turn, message, party) if turn.book.channels else "no channel is configured"
        reason = f"{fault}: {why}"
        turn.open_task(OpenTask(kind=TaskKind.UNROUTABLE_ORDER, reason=reason), message=said.sequence)
        return Verdict(disposition=Disposition.NEEDS_HUMAN, reason=reason)
    verdict = _begin(turn, message, event, said, routing.channel)
    return _told_of_shadows(turn, said, routing, verdict)


def accept_as_new(turn: Turn, said: Said, channel: Channel) -> Verdict | None:
    """Start the loop of an order whose number is known already, because a person says so; None when it is no order."""
    event = said.reading.events[0] if said.reading.events else None
    if not isinstance(event, ReferralOrdered):
        return None
    return _begin(turn, said.reading.alone or said.message, event, said, channel)


def _told_of_shadows(turn: Turn, said: Said, routing: Routing, verdict: Verdict) -> Verdict:
    """The verdict on an order with what channels in shadow have to do with it.

    An order that only a shadow takes is sent to nobody, and a person is told, as if the shadow were not there.
    """
    if routing.counted:
        return verdict.noting(f"in shadow it would also be taken by {', '.join(routing.counted)}")
    if routing.channel is not None and routing.channel.mode == "shadow":
        reason = f"only the channel {routing.channel.name} takes it, and that is {IN_SHADOW}"
        turn.open_task(OpenTask(kind=TaskKind.UNROUTABLE_ORDER, reason=reason), message=said.sequence)
    return verdict


def _known(turn: Turn, said: Said, event: ReferralOrdered) -> Verdict | None:
    """The verdict on an order whose number is bound already; None for a new number.

    A number is its sender's, and sent again it says nothing new. Given out again, to another patient, for another
    service or after the first loop was over for long, it is a person's: to drop the order would be as wrong as to
    take it for the first.
    """
    placer, patient = said.evidence.placer, said.evidence.patient
    bound = turn.unit.bound(BindingKind.PLACER, placer.value, placer.authority) if placer else ()
    found = [referral for referral in map(turn.unit.referral, bound) if referral is not None]
    if not found:
        return None
    merged = aliases_of(turn, patient)
    known_as = replace(patient, ids=(*patient.ids, *merged)) if merged else patient
    same = [referral for referral in found if corroborates(known_as, referral.patient)]
    if not same:
        reason = f"the order number belongs to another patient's referral {found[0].id}"
        return _asked(turn, said, Level.STOP, reason, found)
    referral = same[0]
    other = _another_order(turn, referral, event.order)
    if may_be_a_twin(patient, referral.patient):
        other = other or "the given name is another"
    if other:
        return _asked(
            turn, said, Level.UNSURE, f"the order number is that of referral {referral.id}, but {other}", same
        )
    return Verdict(disposition=Disposition.NO_OP, level=Level.EXACT, reason="this order is known", referral=referral.id)


def _another_order(turn: Turn, referral: Referral, order: Order) -> str:
    """Why an order under a known number is another one than the known; "" when it is that one, sent again."""
    known = referral.order
    if order.service_code and known.service_code and order.service_code != known.service_code:
        return "it asks for another service"
    window = timedelta(days=turn.policy_of(referral).duplicate_days)
    another_day = abs(order.ordered_at - known.ordered_at) > _SAME_ORDER
    if referral.is_over and another_day and turn.now - known.ordered_at > window:
        return "that one is over, and this was ordered later"
    return ""


def _asked(turn: Turn, said: Said, level: Level, reason: str, found: list[Referral]) -> Verdict:
    """A person says what the order is; both charts are named."""
    candidates = [Candidate(referral=referral, by=BindingKind.PLACER.value) for referral in found]
    match = Match(
        level=level,
        reason=reason,
        candidates=tuple(referral.id for referral in found),
        weighed=weigh(said.evidence, candidates, said.party.kind),
    )
    return reviewed(turn, said, match)


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


def _why(turn: Turn, message: Message, party: Party) -> str:
    answers = explain(turn.book, message, party.feed).candidates[:REASONS_SHOWN_MAX]
    return "; ".join(f"{answer.name}: {answer.reason}" for answer in answers)


def _begin(turn: Turn, message: Message, event: ReferralOrdered, said: Said, channel: Channel) -> Verdict:
    specialty = event.order.specialty or channel.specialty
    network = channel.network_of(message, None if said.party.feed.in_network is None else event.order.network)
    order = with_number(message, channel, replace(event.order, specialty=specialty, network=network))
    first, namesake = _open_duplicate(turn, event, specialty, channel)
    event_number = turn.unit.next_sequence()
    referral = Referral(
        id=referral_id(turn.node, event_number),
        channel=channel.name,
        patient=event.patient,
        order=order,
        duplicate_of=first.id if first else "",
        watched=channel.mode == "shadow",
        config=turn.book.version,
    )
    if first is not None and is_live(turn.book.engine.pilot, referral) and _was_only_watched(turn, first):
        first, referral = None, replace(referral, duplicate_of="")
    hold, why = (Hold(), "") if first else hold_of(turn, message, channel, order)
    ordered = replace(event, order=order, hold=hold, duplicate_of=referral.duplicate_of)
    referral = replace(referral, hold=hold)
    reason = f"channel {channel.name} takes it" + (f"; {why}" if why else "")
    if first:
        reason = f"same patient and specialty as the open referral {first.id}: linked to it, nothing is sent twice"
    apply(turn, referral, ordered, reason=reason, new=True, sequence=event_number)
    _bind(turn, referral, said)
    if namesake is not None:
        doubt = f"the open referral {namesake.id} has this record number and another given name: are they one patient?"
        task = OpenTask(kind=TaskKind.ANOMALY, reason=doubt)
        turn.open_task(task, referral=referral.id, channel=referral.channel)
    return Verdict(disposition=Disposition.APPLIED, level=Level.EXACT, reason=reason, referral=referral.id)


def _bind(turn: Turn, referral: Referral, said: Said) -> None:
    """Every number of a new order leads to its referral, and what waits for one is matched again."""
    placer = referral.order.placer
    turn.unit.bind(BindingKind.PLACER, placer, referral.id)
    turn.learned.append((BindingKind.PLACER, placer))
    turn.unit.bind(BindingKind.REFERRAL, Identifier(value=referral.id), referral.id)
    learn_numbers(turn, said.evidence, said.party, referral.id)
    learn_patient(turn, referral.patient, referral.id)


def _was_only_watched(turn: Turn, first: Referral) -> bool:
    """Whether the packet of a referral was owed while the pilot watched it, and so was sent to nobody."""
    packets = [row for row in turn.unit.effects_of(first.id) if row.purpose in ORDERS]
    return bool(packets) and all(row.reason == WATCHED for row in packets)


def _open_duplicate(
    turn: Turn, event: ReferralOrdered, specialty: str, channel: Channel
) -> tuple[Referral | None, Referral | None]:
    """The open referral of the same patient and specialty that this order repeats; and one of a twin, by the name.

    Of twins under one record number each has an order of their own: neither is a duplicate.
    """
    within = timedelta(days=channel.policy.duplicate_days)
    namesake: Referral | None = None
    for known in event.patient.ids:
        for identity in turn.unit.patients(known.value, known.authority) if known.authority else ():
            earlier = turn.unit.referral(identity)
            if (
                earlier is not None
                and not earlier.is_over
                and not earlier.duplicate_of
                and earlier.watched == (channel.mode == "shadow")  # what a shadow follows is nobody else's loop
                and earlier.order.specialty == specialty
                and turn.now - earlier.order.ordered_at <= within
                and corroborates(event.patient, earlier.patient)
            ):
                if not may_be_a_twin(event.patient, earlier.patient):
                    return earlier, None
                namesake = namesake or earlier
    return None, namesake
