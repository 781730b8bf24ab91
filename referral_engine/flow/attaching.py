"""One thing that a message says, put where it belongs: applied, shown to a person, or left waiting; and why, stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.flow.apply import apply
from referral_engine.flow.matching import learn_numbers, match, waited_for
from referral_engine.flow.turn import Turn
from referral_engine.flow.undo import withdraw
from referral_engine.flow.verdict import Verdict
from referral_engine.hl7.message import Message
from referral_engine.intake.reading import Reading
from referral_engine.journal.codec import encode_decision, plain
from referral_engine.journal.rows import BindingKind, DecisionRow, Disposition
from referral_engine.loop.calendar import local_date
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.events import (
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
    return settle(turn, said, match(turn, said.evidence, said.party))


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
    known = _known_already(turn, said, found)
    if known is not None:
        return known
    if found.level is Level.NOTHING:
        return _parked(turn, said, found)
    if said.evidence.about is not About.ORDER and said.evidence.placer and found.level is not Level.STOP:
        placer = said.evidence.placer.value  # a person looks, or its order comes
        turn.unit.park(said.sequence, [(BindingKind.PLACER.value, placer)])
    return reviewed(turn, said, found)


def applied(turn: Turn, said: Said, found: Match, by: str = ENGINE, why: str = "") -> Verdict:
    """Apply one reading to the referral of `found`, learn its numbers, and keep why.

    by: "engine" or "user:jane". why: a person's own words, for the decision and never for the timeline.
    """
    before = referral = turn.unit.referral(found.referral)
    assert referral is not None, "a match names a stored referral"
    learn_numbers(turn, said.evidence, said.party, referral.id, found)
    events, reason = said.reading.events, found.reason
    if said.is_encounter and not _visits_that_day(turn, said, referral):
        events = tuple(event for event in events if not isinstance(event, PatientAttended))
        reason = _NO_VISIT
    earlier = _came_before(referral, events)
    if earlier:
        events, reason = (), f"the same note came before, by message {earlier}"
    changed = False
    for event in (*_their_numbers(turn, said, referral, found), *events):
        marked = replace(event, provisional=found.provisional) if found.provisional else event
        decision = apply(turn, referral, marked, reason=f"level {found.level.value}: {found.reason}")
        referral = decision.referral
        changed = changed or decision.changed or bool(decision.anomalies)
        if isinstance(event, OrderChanged) and event.order.placer not in (said.evidence.placer, Identifier()):
            turn.unit.bind(BindingKind.PLACER, event.order.placer, referral.id)  # RP, RO: it goes on under a new number
            turn.learned.append((BindingKind.PLACER, event.order.placer))
    keep_decision(turn, said, found, referral=referral.id, reason=why or reason, by=by)
    disposition = Disposition.APPLIED if changed or referral != before else Disposition.NO_OP
    return Verdict(disposition=disposition, level=found.level, reason=reason, referral=referral.id)


def _their_numbers(turn: Turn, said: Said, referral: Referral, found: Match) -> tuple[Event, ...]:
    """IHE 360X: an office that accepts sends both sides' record numbers, and gets both from then on."""
    channel = said.party.channel
    if channel is None or channel.message.format != "360x" or found.level not in (Level.EXACT, Level.LINKED):
        return ()
    known = referral.patient.ids
    new = tuple(one for one in said.evidence.patient.ids if one.authority and one not in known)
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


_BEFORE_ITS_ORDER: Final = (CancelRequested, OrderChanged)  # may overtake the order they are about


def _withdrawn(turn: Turn, said: Said, found: Match) -> Verdict:
    """The sender takes back a visit or a charge: what was read from it is taken off the referral that has it."""
    if found.level not in _PATIENT_UNSURE:
        for referral in (found.referral,) if found.referral else [one.referral for one in found.weighed]:
            if withdraw(turn, referral, said.evidence, said.party.name, said.sequence):
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
    calendar, slot = turn.calendar(referral.channel), referral.slot
    if slot is None or referral.appointment in UNBOOKED:
        return False
    happened = said.evidence.happened_at or turn.now
    apart = abs(local_date(calendar, slot.starts_at) - local_date(calendar, happened))
    return apart <= (_CHARGED_WITHIN if said.message.header.message_code == "DFT" else timedelta())
