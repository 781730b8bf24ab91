"""One thing that a message says, put where it belongs: applied, shown to a person, or left waiting; and why, stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as dataclass_replace
from datetime import timedelta
from typing import Final

from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.flow import duplicates
from referral_engine.flow.apply import apply
from referral_engine.flow.holding import another_channel, asked_again
from referral_engine.flow.matching import CANDIDATES_MAX, learn_numbers, match, waited_for
from referral_engine.flow.turn import Turn
from referral_engine.flow.undo import came_before, withdraw
from referral_engine.flow.verdict import Verdict, together
from referral_engine.hl7.message import Message
from referral_engine.intake.reading import Reading
from referral_engine.journal.codec import encode_decision, plain
from referral_engine.journal.rows import BindingKind, DecisionRow, Disposition
from referral_engine.loop.calendar import local_date
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.events import (
    AuthorizationRecorded,
    CancelRequested,
    Event,
    OrderChanged,
    PatientAttended,
    PatientUpdated,
    ReportReceived,
)
from referral_engine.loop.matching import About, Evidence, Level, Match, corroborates, names_another_order
from referral_engine.loop.referral import Document, Finality, Identifier, Patient, Referral
from referral_engine.loop.states import UNBOOKED

ENGINE: Final = "engine"  # who decided, where no person did
ELSEWHERE: Final = (
    1_000_000  # part numbers from here on are of no reading: one part said something of several referrals
)
_PARKED: Final = "no referral yet: kept, and matched again when orders, numbers or merges arrive"
_NO_VISIT: Final = "no visit booked for that day"
_TAKEN_BACK: Final = "what the same sender said of that visit was taken back"
_NOTHING_TO_TAKE_BACK: Final = "nothing was read from what it takes back"
# At other levels the record number is the patient's; which referral has the visit or the charge, its own number says.
_PATIENT_UNSURE: Final = (Level.STOP, Level.UNSURE)
_CHARGED_WITHIN: Final = timedelta(days=1)  # of the visit: a charge may be dated when it was entered
_ENCOUNTERS: Final = frozenset(("ADT", "DFT"))  # most of them are about anything but a referral


@dataclass(frozen=True, slots=True)
class Said:
    """One reading of one message, from 0, with who says it."""

    message: Message
    reading: Reading
    evidence: Evidence
    party: Party
    sequence: int
    part: int

    @property
    def is_encounter(self) -> bool:
        """Whether a registration or a charge says it: it never waits, and never bothers a person by itself."""
        return self.message.header.message_code in _ENCOUNTERS


def attach(turn: Turn, said: Said) -> Verdict:
    """Find the referral that one reading means, and do what it asks there."""
    return settle(turn, said, match(turn, said.evidence, said.party, said.sequence))


def settle(turn: Turn, said: Said, found: Match) -> Verdict:
    """Do what the graded answer allows."""
    if found.security:
        turn.audit(f"feed:{said.party.name}", "security", f"message {said.sequence}", found.reason)
    if said.reading.withdraws:
        return _withdrawn(turn, said, found)
    if found.referral:
        return applied(turn, said, found)
    if not said.reading.events:
        return Verdict(disposition=Disposition.NO_OP, level=found.level, reason=said.reading.note or found.reason)
    if said.is_encounter and not (found.level is Level.STOP and said.evidence.placer):
        return Verdict(disposition=Disposition.NO_OP, level=found.level, reason=found.reason)
    if said.evidence.retracts and (everywhere := _filed_at(turn, said, found)):
        return _taken_back_everywhere(turn, said, found, everywhere)
    known = _known_already(turn, said, found)
    if known is not None:
        return known
    if found.level is Level.NOTHING:
        return _parked(turn, said, found)
    if said.evidence.about is not About.ORDER and said.evidence.placer and found.level is not Level.STOP:
        placer = said.evidence.placer.value  # a person looks, or its order comes
        turn.unit.park(said.sequence, [(BindingKind.PLACER.value, placer)])
    return reviewed(turn, said, found)


def _filed_at(turn: Turn, said: Said, found: Match) -> tuple[str, ...]:
    """The referrals that one document was filed at, which is taken back by its number alone; () when it is a choice."""
    document = said.evidence.document
    if found.level is not Level.SEVERAL or said.evidence.about is not About.REPORT or not document:
        return ()
    for referral in map(turn.unit.referral, found.candidates):
        if referral is None or all(known.document != document for known in referral.documents):
            return ()
    return found.candidates


def _taken_back_everywhere(turn: Turn, said: Said, found: Match, referrals: Sequence[str]) -> Verdict:
    """One document answered several orders, and is taken back from all of them: each has a decision of its own."""
    parts = (said.part, *(ELSEWHERE + said.part * CANDIDATES_MAX + at for at in range(1, len(referrals))))
    pairs = zip(referrals, parts, strict=True)
    return together(
        [applied(turn, dataclass_replace(said, part=part), replace(found, referral=one)) for one, part in pairs]
    )


def applied(turn: Turn, said: Said, found: Match, by: str = ENGINE, why: str = "") -> Verdict:
    """Apply one reading to the referral of `found`, learn its numbers, and keep why.

    by: "engine" or "user:jane". why: a person's own words, for the decision and never for the timeline.
    """
    before = referral = turn.unit.referral(found.referral)
    assert referral is not None, "a match names a stored referral"
    duplicate = duplicates.meant(turn, said.evidence, said.reading.events, referral)
    if duplicate is not None:
        return _of_a_duplicate(turn, said, replace(found, referral=duplicate.id), referral, by)
    learn_numbers(turn, said.evidence, said.party, referral.id, found)
    events, reason, was_over = said.reading.events, found.reason, referral.is_over
    if said.is_encounter and not _visits_that_day(turn, said, referral):
        events = tuple(event for event in events if not isinstance(event, PatientAttended))
        reason = _NO_VISIT
    earlier = _came_before(referral, events)
    if earlier:
        events, reason = (), came_before(earlier)
    changed = False
    for told in (*_their_numbers(turn, said, referral, found), *events):
        event = _asking_the_payer(turn, said, referral, _in_its_network(turn, said, referral, told))
        marked = replace(event, provisional=found.provisional) if found.provisional else event
        decision = apply(turn, referral, marked, reason=f"level {found.level.value}: {found.reason}")
        referral = decision.referral
        changed = changed or decision.changed or bool(decision.anomalies)
        if isinstance(event, OrderChanged) and event.order.placer not in (said.evidence.placer, Identifier()):
            _goes_on_as(turn, referral, event.order.placer)
        if isinstance(event, CancelRequested) and not was_over:
            duplicates.ask_about(turn, referral)
    keep_decision(turn, said, found, referral=referral.id, reason=why or reason, by=by)
    disposition = Disposition.APPLIED if changed or referral != before else Disposition.NO_OP
    return Verdict(disposition=disposition, level=found.level, reason=reason, referral=referral.id)


def _in_its_network(turn: Turn, said: Said, referral: Referral, event: Event) -> Event:
    """A change of an order keeps the network, and with it the clocks, where no file reads one in the message."""
    if not isinstance(event, OrderChanged):
        return event
    read = None if said.party.feed.in_network is None else event.order.network
    channel = turn.channel(referral.channel)
    if channel is not None and channel.in_network is not None:
        read = channel.network_of(said.reading.alone or said.message, read)
    return replace(event, order=replace(event.order, network=referral.order.network if read is None else read))


def _asking_the_payer(turn: Turn, said: Said, referral: Referral, event: Event) -> Event:
    """A changed order with what the payer is asked for it now; other events as they are."""
    if not isinstance(event, OrderChanged):
        return event
    message = said.reading.alone or said.message
    another_channel(turn, message, said.party.feed, referral, event)
    return asked_again(turn, message, referral, event)


def _goes_on_as(turn: Turn, referral: Referral, placer: Identifier) -> None:
    """RP, RO: a referral goes on under a new number, unless that is another referral's: then a person says whose."""
    bound = turn.unit.bound(BindingKind.PLACER, placer.value, placer.authority)
    known = [one for one in map(turn.unit.referral, bound) if one is not None]
    others = [one.id for one in known if referral.id not in (one.id, one.duplicate_of)]
    if others:
        reason = f"the number that replaces this order's is that of referral {others[0]}: which is meant?"
        task = OpenTask(kind=TaskKind.ANOMALY, reason=reason)
        turn.open_task(task, referral=referral.id, channel=referral.channel)
        return
    turn.unit.bind(BindingKind.PLACER, placer, referral.id)
    turn.learned.append((BindingKind.PLACER, placer))


def _of_a_duplicate(turn: Turn, said: Said, found: Match, first: Referral, by: str) -> Verdict:
    """A word on an order that repeats another one: the first goes on as it is."""
    reason = duplicates.told(turn, said.reading.events, first)
    keep_decision(turn, said, found, referral=found.referral, reason=reason, by=by)
    asks = reason != duplicates.CANCELLED
    disposition = Disposition.NEEDS_HUMAN if asks else Disposition.NO_OP
    return Verdict(disposition=disposition, level=found.level, reason=reason, referral=found.referral)


def _their_numbers(turn: Turn, said: Said, referral: Referral, found: Match) -> tuple[Event, ...]:
    """IHE 360X: an office that accepts sends both sides' record numbers, and gets both from then on.

    Only those of an authority that has given the patient none yet: a second one of ours would be another's.
    """
    channel = said.party.channel
    if channel is None or channel.message.format != "360x" or found.level not in (Level.EXACT, Level.LINKED):
        return ()
    known = referral.patient.ids
    given = {one.authority for one in known}
    new = tuple(one for one in said.evidence.patient.ids if one.authority and one.authority not in given)
    if not new:
        return ()
    patient = Patient(ids=(*known, *new))
    return (PatientUpdated(at=turn.now, message=said.sequence, by=said.party.name, patient=patient),)


def reviewed(turn: Turn, said: Said, found: Match) -> Verdict:
    """Which referral it means, if any, is a person's word: nothing changes until then."""
    keep_decision(turn, said, found)
    return ask(turn, found, said.sequence)


def ask(turn: Turn, found: Match, sequence: int) -> Verdict:
    """A task for a person, with the ids of the candidates; at once where something speaks against all of them."""
    urgent = found.level is Level.STOP
    reason = f"{'urgent: ' if urgent else ''}level {found.level.value}: {found.reason}"
    if found.candidates:
        reason += f" (candidates: {', '.join(found.candidates)})"
    likely = turn.unit.referral(found.candidates[0]) if len(found.candidates) == 1 else None
    task = OpenTask(kind=TaskKind.MATCH_REVIEW, reason=reason, urgent=urgent)
    turn.open_task(task, channel=likely.channel if likely else "", message=sequence)
    return Verdict(disposition=Disposition.NEEDS_HUMAN, level=found.level, reason=found.reason)


def keep_decision(
    turn: Turn, said: Said, found: Match, *, referral: str = "", reason: str = "", by: str = ENGINE
) -> None:
    """Store why one reading was matched as it was: the evidence, its candidates and what each was weighed by."""
    turn.unit.add_decision(
        DecisionRow(
            message=said.sequence,
            part=said.part,
            at=turn.now_micros,
            level=found.level.value,
            referral=referral,
            provisional=found.provisional,
            by=by,
            reason=reason or found.reason,
            body=encode_decision(said.evidence, found.weighed),
        )
    )


def _parked(turn: Turn, said: Said, found: Match) -> Verdict:
    """Early evidence waits for its order under every number it carries; what candidates there were is kept."""
    evidence = said.evidence
    if evidence.about is About.ORDER:
        waits = said.party.kind == "ehr" and any(isinstance(one, _BEFORE_ITS_ORDER) for one in said.reading.events)
        if not waits or not evidence.placer:
            return Verdict(disposition=Disposition.NO_OP, level=found.level, reason=found.reason)
        turn.unit.park(said.sequence, [(BindingKind.PLACER.value, evidence.placer.value)])
        return Verdict(disposition=Disposition.NO_OP, level=found.level, reason=_PARKED)
    keys = waited_for(turn, evidence, said.party)
    if keys:
        turn.unit.park(said.sequence, [(kind.value, plain(number.value)) for kind, number in keys])
    if found.weighed:
        keep_decision(turn, said, found)
    return Verdict(disposition=Disposition.NO_OP, level=found.level, reason=_PARKED if keys else found.reason)


_BEFORE_ITS_ORDER: Final = (
    AuthorizationRecorded,
    CancelRequested,
    OrderChanged,
)  # may overtake the order they are about


def _withdrawn(turn: Turn, said: Said, found: Match) -> Verdict:
    """The sender takes back a visit or a charge: what was read from it is taken off the referral that has it."""
    if found.level not in _PATIENT_UNSURE:
        for referral in (found.referral,) if found.referral else [one.referral for one in found.weighed]:
            if withdraw(turn, referral, said.evidence, said.party, said.sequence):
                keep_decision(turn, said, found, referral=referral, reason=_TAKEN_BACK)
                return Verdict(
                    disposition=Disposition.APPLIED, level=found.level, reason=_TAKEN_BACK, referral=referral
                )
    return Verdict(disposition=Disposition.NO_OP, level=found.level, reason=_NOTHING_TO_TAKE_BACK)


# ------------------------------------------------------------------------------------------------ what is known already


def _known_already(turn: Turn, said: Said, found: Match) -> Verdict | None:
    """The same note by another way, without a number that says so: a referral of the patient has it, word for word."""
    if found.level is Level.STOP or said.evidence.about is not About.REPORT:
        return None
    for weighed in found.weighed:
        referral = turn.unit.referral(weighed.referral)
        if referral is None or (said.party.kind == "specialist" and referral.channel != said.party.name):
            continue
        if names_another_order(said.evidence, referral) or not _came_before(referral, said.reading.events):
            continue
        if corroborates(said.evidence.patient, referral.patient):
            return applied(turn, said, replace(found, referral=referral.id))
    return None


def _came_before(referral: Referral, events: Sequence[Event]) -> int:
    """The message that brought the very note of these events, as finished as it is now; 0 when none did.

    A note that was taken back since has not come before.
    """
    if len(events) != 1 or not referral.documents:
        return 0
    event = events[0]
    if not isinstance(event, ReportReceived) or not event.content or event.finality is Finality.RETRACTED:
        return 0
    standing: Document | None = None
    for known in referral.documents:
        if known.content == event.content and known.finality is event.finality:
            standing = known
        elif known.finality is Finality.RETRACTED and standing and known.document == standing.document:
            standing = None
    return standing.message if standing is not None else 0


def _visits_that_day(turn: Turn, said: Said, referral: Referral) -> bool:
    """Whether the visit in force is of the day that the message speaks of; patients come for much else."""
    calendar, slot = turn.policy_of(referral).calendar, referral.slot
    if slot is None or referral.appointment in UNBOOKED:
        return False
    happened = said.evidence.happened_at or turn.now
    apart = abs(local_date(calendar, slot.starts_at) - local_date(calendar, happened))
    return apart <= (_CHARGED_WITHIN if said.message.header.message_code == "DFT" else timedelta())
