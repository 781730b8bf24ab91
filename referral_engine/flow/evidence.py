"""What a readable message of a known sender means: an order, evidence of a referral, a patient's change, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.flow.apply import apply
from referral_engine.flow.matching import Keys, learn_numbers, match, numbers_of, patient_numbers_of
from referral_engine.flow.orders import accept_order
from referral_engine.flow.turn import Turn
from referral_engine.flow.verdict import Verdict, together
from referral_engine.hl7.message import Message
from referral_engine.intake.interest import Number
from referral_engine.intake.read import Reading, read
from referral_engine.journal.codec import plain
from referral_engine.journal.rows import BindingKind, Disposition
from referral_engine.loop.calendar import local_date
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.events import PatientAttended
from referral_engine.loop.matching import About, Evidence, Level, Match, corroborates
from referral_engine.loop.referral import PatientId, Referral
from referral_engine.loop.states import UNBOOKED

_PARKED: Final = "no referral yet: kept, and matched again when orders, numbers or merges arrive"
_NO_VISIT: Final = "no visit booked for that day"
_DISPUTED: Final = "demographics disagree with the record number"
_ABOUT_NOBODY: Final = Verdict(disposition=Disposition.NO_OP, reason="no open referral of this patient")
_WAITS: Final = Verdict(disposition=Disposition.NO_OP, level=Level.NOTHING, reason=_PARKED)


@dataclass(frozen=True, slots=True)
class _Said:
    """One message, as it was read."""

    message: Message
    reading: Reading
    evidence: Evidence
    party: Party

    @property
    def is_registration(self) -> bool:
        """Whether an admission message says it: most of them are about anything but a referral."""
        return self.message.header.message_code == "ADT"


def consider(turn: Turn, message: Message, party: Party, sequence: int) -> Verdict:
    """Read one message and do what it asks; what cannot be done becomes a task, never an exception."""
    try:
        readings = read(message, party, received_at=turn.now, sequence=sequence)
    except MessageFault as fault:
        turn.open_task(OpenTask(kind=TaskKind.QUARANTINE, reason=str(fault)), message=sequence)
        return Verdict(disposition=Disposition.NEEDS_HUMAN, reason=str(fault))
    return together([_considered(turn, message, reading, party, sequence) for reading in readings])


def _considered(turn: Turn, message: Message, reading: Reading, party: Party, sequence: int) -> Verdict:
    """Do what one reading of a message asks."""
    if reading.about is None or reading.evidence is None:
        return Verdict(disposition=Disposition.NO_OP, reason=reading.note)
    if reading.is_new_order:
        verdict = accept_order(turn, message, reading, party, sequence)
    elif reading.about is About.PATIENT:
        verdict = _tell_referrals(turn, reading, reading.evidence, party, sequence)
    else:
        verdict = _apply_evidence(turn, _Said(message, reading, reading.evidence, party), sequence)
    if verdict.referral and verdict.disposition is Disposition.APPLIED:
        _match_parked(turn, verdict.referral)
    return verdict.noting(reading.note)


def overlook(turn: Turn, message: Message, numbers: tuple[Number, ...], sequence: int) -> Verdict:
    """A message none of whose numbers we know: a demographic one says nothing, any other waits for its order."""
    if message.header.message_code == "ADT":
        return _ABOUT_NOBODY
    turn.unit.park(sequence, numbers)
    return _WAITS


def _apply_evidence(turn: Turn, said: _Said, sequence: int) -> Verdict:
    found = match(turn, said.evidence, said.party)
    if found.referral:
        return _applied(turn, said, found)
    if not said.reading.events:
        return Verdict(disposition=Disposition.NO_OP, level=found.level, reason=said.reading.note or found.reason)
    if said.is_registration:  # of somebody's visit to somebody: no task, and nothing that could wait for an order
        return Verdict(disposition=Disposition.NO_OP, level=found.level, reason=found.reason)
    if found.level is Level.NOTHING:
        return _parked(turn, said, sequence, found)
    if said.evidence.about is not About.ORDER and said.evidence.placer and found.level is not Level.STOP:
        placer = said.evidence.placer.value  # a person looks, or its order comes
        turn.unit.park(sequence, [(BindingKind.PLACER.value, placer)])
    return _reviewed(turn, sequence, found)


def _reviewed(turn: Turn, sequence: int, found: Match) -> Verdict:
    """Which referral it means, if any, is a person's word: nothing changes until then."""
    urgent = found.level is Level.STOP
    reason = f"{'urgent: ' if urgent else ''}level {found.level.value}: {found.reason}"
    if found.candidates:
        reason += f" (candidates: {', '.join(found.candidates)})"
    likely = turn.unit.referral(found.candidates[0]) if len(found.candidates) == 1 else None
    task = OpenTask(kind=TaskKind.MATCH_REVIEW, reason=reason, urgent=urgent)
    turn.open_task(task, channel=likely.channel if likely else "", message=sequence)
    return Verdict(disposition=Disposition.NEEDS_HUMAN, level=found.level, reason=found.reason)


def _applied(turn: Turn, said: _Said, found: Match) -> Verdict:
    before = referral = turn.unit.referral(found.referral)
    assert referral is not None, "a match names a stored referral"
    events, reason = said.reading.events, found.reason
    if said.is_registration and not _visits_today(turn, referral):
        events = tuple(event for event in events if not isinstance(event, PatientAttended))
        reason = _NO_VISIT
    learn_numbers(turn, said.evidence, said.party, referral.id)
    changed = False
    for event in events:
        marked = replace(event, provisional=found.provisional)
        decision = apply(turn, referral, marked, reason=f"level {found.level.value}: {found.reason}")
        referral = decision.referral
        changed = changed or decision.changed or bool(decision.anomalies)
    disposition = Disposition.APPLIED if changed or referral != before else Disposition.NO_OP
    return Verdict(disposition=disposition, level=found.level, reason=reason, referral=referral.id)


def _visits_today(turn: Turn, referral: Referral) -> bool:
    """Whether the visit in force is on this clinic day; patients register for much else than a referral."""
    calendar, slot = turn.calendar(referral.channel), referral.slot
    if slot is None or referral.appointment in UNBOOKED:
        return False
    return local_date(calendar, slot.starts_at) == local_date(calendar, turn.now)


def _parked(turn: Turn, said: _Said, sequence: int, found: Match) -> Verdict:
    """Early evidence waits for its order under every number it carries."""
    evidence = said.evidence
    if evidence.about is About.ORDER:
        return Verdict(disposition=Disposition.NO_OP, level=found.level, reason=found.reason)
    keys: Keys = (*numbers_of(evidence, said.party), *patient_numbers_of(evidence))
    if keys:
        turn.unit.park(sequence, [(kind.value, plain(number.value)) for kind, number in keys])
    return Verdict(disposition=Disposition.NO_OP, level=found.level, reason=_PARKED if keys else found.reason)


def _match_parked(turn: Turn, identity: str) -> None:
    """An order has come: what arrived before it is considered again, oldest first."""
    referral = turn.unit.referral(identity)
    if referral is None:
        return
    placer = referral.order.placer
    waiting = set(turn.unit.parked(BindingKind.PLACER, placer.value)) if placer else set()
    for known in referral.patient.ids:
        waiting.update(turn.unit.parked(BindingKind.PATIENT, known.value))
    for sequence in sorted(waiting):
        reconsider(turn, sequence)


def reconsider(turn: Turn, sequence: int) -> bool:
    """Match one parked message again; whether it found its referral."""
    row = turn.unit.message(sequence)
    if row is None:
        return False
    message = Message.parse(row.raw)
    party = next((one for one in parties(turn) if one.name == row.key.partner), None)
    if party is None:
        return False
    try:
        reading = read(message, party, received_at=turn.now, sequence=sequence)[0]
    except MessageFault:  # it was readable when it came; the sender's file says otherwise now
        return False
    if reading.evidence is None or not reading.events:
        return False
    said = _Said(message, reading, reading.evidence, party)
    found = match(turn, reading.evidence, party)
    if found.referral:
        turn.unit.unpark(sequence)
        turn.raws[sequence] = row.raw
        verdict = _applied(turn, said, found)
    elif found.level is not Level.NOTHING and row.disposition is Disposition.NO_OP:
        verdict = _reviewed(turn, sequence, found)
    else:
        return False
    turn.unit.change_disposition(sequence, verdict.disposition, verdict.level, verdict.reason, verdict.referral)
    turn.audit("clock", "matched again", f"message {sequence}", verdict.referral or verdict.disposition.value)
    return bool(verdict.referral)


def parties(turn: Turn) -> tuple[Party, ...]:
    """Every sender we know."""
    channels = turn.book.channels
    return tuple(
        Party(kind=feed.party, name=feed.name, feed=feed, channel=channels.get(feed.name)) for feed in turn.book.senders
    )


def _tell_referrals(turn: Turn, reading: Reading, evidence: Evidence, party: Party, sequence: int) -> Verdict:
    """Demographics concern every open referral of the patient, merges all; only the ordering side may say them."""
    if party.kind != "ehr":
        return Verdict(disposition=Disposition.NO_OP, reason="demographics are taken from the ordering side only")
    told, disputed = "", False
    for referral in _referrals_of(turn, evidence, reading.retired):
        if not reading.retired and not corroborates(evidence.patient, referral.patient):
            task = OpenTask(kind=TaskKind.MATCH_REVIEW, reason=f"urgent: {_DISPUTED}", urgent=True)
            turn.open_task(task, referral=referral.id, channel=referral.channel, message=sequence)
            disputed = True
            continue
        for event in reading.events:
            referral = apply(turn, referral, event, reason="record number").referral  # noqa: PLW2901  # the next event sees it
        for known in evidence.patient.ids:
            turn.unit.bind(BindingKind.PATIENT, known, referral.id)
        told = referral.id
    if disputed:
        return Verdict(disposition=Disposition.NEEDS_HUMAN, level=Level.STOP, reason=_DISPUTED, referral=told)
    if not told:
        return Verdict(disposition=Disposition.NO_OP, reason="no open referral of this patient")
    return Verdict(disposition=Disposition.APPLIED, level=Level.EXACT, reason="record number", referral=told)


def _referrals_of(turn: Turn, evidence: Evidence, retired: tuple[PatientId, ...]) -> list[Referral]:
    identities: dict[str, None] = {}
    for known in (*evidence.patient.ids, *retired):
        if known.authority:
            identities |= dict.fromkeys(turn.unit.patients(known.value, known.authority))
    found = [referral for referral in map(turn.unit.referral, identities) if referral is not None]
    if retired:  # a correction of a closed one may come under the number that survived; open ones are named last
        return sorted(found, key=lambda referral: not referral.is_over)
    return [referral for referral in found if not referral.is_over]
