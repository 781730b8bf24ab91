"""What a readable message of a known sender means: an order, evidence of a referral, a patient's change, or nothing."""

from __future__ import annotations

from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.flow.apply import apply
from referral_engine.flow.attaching import Said, ask, attach, keep_decision
from referral_engine.flow.identity import learn_identities
from referral_engine.flow.matching import aliases_of, learn_patient
from referral_engine.flow.orders import accept_order
from referral_engine.flow.rematching import reconsider, rematch, rematch_learned
from referral_engine.flow.senders import parties
from referral_engine.flow.turn import Turn
from referral_engine.flow.verdict import Verdict, together
from referral_engine.hl7.message import Message
from referral_engine.intake.interest import Number
from referral_engine.intake.read import Reading, read
from referral_engine.journal.rows import Disposition
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.matching import About, Candidate, Level, Match, corroborates, weigh
from referral_engine.loop.record import learned
from referral_engine.loop.referral import Patient, PatientId, Referral

__all__ = ["consider", "overlook", "parties", "reconsider", "rematch"]

_PARKED: Final = "no referral yet: kept, and matched again when orders, numbers or merges arrive"
_DISPUTED: Final = "demographics disagree with the record number"
_NOT_TOLD: Final = Verdict(disposition=Disposition.NO_OP, reason="demographics are taken from the ordering side only")
_ABOUT_NOBODY: Final = Verdict(disposition=Disposition.NO_OP, reason="no open referral of this patient")
_PASSING: Final = replace(_ABOUT_NOBODY, passing=True)
_WAITS: Final = Verdict(disposition=Disposition.NO_OP, level=Level.NOTHING, reason=_PARKED)
_NEVER_WAIT: Final = ("ADT", "DFT")  # a registration or a charge of nobody is no early evidence


def consider(turn: Turn, message: Message, party: Party, sequence: int) -> Verdict:
    """Read one message and do what it asks; what cannot be done becomes a task, never an exception."""
    try:
        readings = read(message, party, received_at=turn.now, sequence=sequence)
    except MessageFault as fault:
        turn.open_task(OpenTask(kind=TaskKind.QUARANTINE, reason=str(fault)), message=sequence)
        return Verdict(disposition=Disposition.NEEDS_HUMAN, reason=str(fault))
    if len(readings) == 1:
        verdict = _considered(turn, message, readings[0], party, sequence, 0)
    else:
        verdict = together(
            [_considered(turn, message, one, party, sequence, part) for part, one in enumerate(readings)]
        )
    if turn.learned:
        rematch_learned(turn)
    return verdict


def overlook(turn: Turn, message: Message, numbers: tuple[Number, ...], sequence: int) -> Verdict:
    """A message none of whose numbers we know: a demographic one says nothing, any other waits for its order."""
    if message.header.message_code in _NEVER_WAIT:
        return _PASSING
    turn.unit.park(sequence, numbers)
    return _WAITS


def _considered(turn: Turn, message: Message, reading: Reading, party: Party, sequence: int, part: int) -> Verdict:
    """Do what one reading of a message asks."""
    if reading.identities is not None:
        verdict = learn_identities(turn, reading, party, sequence)
    elif reading.about is None or reading.evidence is None:
        verdict = Verdict(disposition=Disposition.NO_OP, reason=reading.note)
    else:
        said = Said(message, reading, reading.evidence, party, sequence, part)
        if reading.is_new_order:
            verdict = accept_order(turn, said)
        elif reading.about is About.PATIENT:
            verdict = _tell_referrals(turn, said)
        else:
            verdict = attach(turn, said)
    if reading.person and not (verdict.level is Level.NOTHING and _is_known_by_number(message, reading, party)):
        verdict = _for_a_person(turn, reading, sequence, verdict)
    return verdict.noting(reading.note)


def _is_known_by_number(message: Message, reading: Reading, party: Party) -> bool:
    """Whether only its number could make an order ours: without a code, most are of laboratories and wards."""
    if party.kind != "ehr" or reading.about is not About.ORDER or message.header.message_code == "REF":
        return False
    return not (reading.alone or message).value("OBR-4")


def _for_a_person(turn: Turn, reading: Reading, sequence: int, verdict: Verdict) -> Verdict:
    """Whatever came of it, somebody has to look: a task at the referral, or one about the message."""
    referral = turn.unit.referral(verdict.referral) if verdict.referral else None
    if referral is not None:
        task = OpenTask(kind=TaskKind.ANOMALY, reason=reading.person)
        turn.open_task(task, referral=referral.id, channel=referral.channel, message=sequence)
        if verdict.disposition is Disposition.NO_OP:
            verdict = replace(verdict, disposition=Disposition.NEEDS_HUMAN)
        return verdict.noting(reading.person)
    if verdict.disposition is not Disposition.NEEDS_HUMAN:
        turn.open_task(OpenTask(kind=TaskKind.QUARANTINE, reason=reading.person), message=sequence)
    waiting = Verdict(disposition=Disposition.NEEDS_HUMAN, level=verdict.level, reason=verdict.reason)
    return waiting.noting(reading.person)


# ------------------------------------------------------------------------------------------------ the patient


def _tell_referrals(turn: Turn, said: Said) -> Verdict:
    """Demographics concern every open referral of the patient, merges all; only the ordering side may say them."""
    reading, evidence = said.reading, said.evidence
    if said.party.kind != "ehr":
        return _NOT_TOLD
    told, changed = "", False
    disputed: list[Referral] = []
    merged = aliases_of(turn, evidence.patient)
    known_as = replace(evidence.patient, ids=(*evidence.patient.ids, *merged)) if merged else evidence.patient
    for referral in _referrals_of(turn, known_as, reading.retired):
        if not reading.retired and not corroborates(known_as, referral.patient):
            disputed.append(referral)
            continue
        changed = _told(turn, said, referral) or changed
        told = told or referral.id
    if disputed:
        return _disputed(turn, said, disputed, told)
    if not told:
        return _ABOUT_NOBODY
    disposition = Disposition.APPLIED if changed else Disposition.NO_OP
    reason = "record number" if changed else "nothing new of the patient"
    return Verdict(disposition=disposition, level=Level.EXACT, reason=reason, referral=told)


def _told(turn: Turn, said: Said, referral: Referral) -> bool:
    """Apply what is new of the patient; a thousand updates that say nothing are a thousand times nothing."""
    before = referral
    for event in said.reading.events:
        facts = learned(referral, event, turn.policy_of(referral))
        if set(facts) == {"patient"} and _is_same(facts["patient"], referral.patient):
            continue
        referral = apply(turn, referral, event, reason="record number").referral  # the next event sees it
    if referral is before:
        return False
    learn_patient(turn, referral.patient, referral.id)
    return True


def _is_same(one: object, other: Patient) -> bool:
    """Whether two descriptions say the same, the order of the numbers aside."""
    return isinstance(one, Patient) and set(one.ids) == set(other.ids) and _without_ids(one) == _without_ids(other)


def _without_ids(patient: Patient) -> Patient:
    return replace(patient, ids=())


def _disputed(turn: Turn, said: Said, disputed: list[Referral], told: str) -> Verdict:
    """A record number whose name and birth date are another's: the number may have been given out twice."""
    candidates = [Candidate(referral=referral, by="patient") for referral in disputed]
    found = Match(
        level=Level.STOP,
        reason=_DISPUTED,
        candidates=tuple(referral.id for referral in disputed),
        weighed=weigh(said.evidence, candidates, said.party.kind),
    )
    keep_decision(turn, said, found)
    return replace(ask(turn, found, said.sequence), referral=told)


def _referrals_of(turn: Turn, patient: Patient, retired: tuple[PatientId, ...]) -> list[Referral]:
    identities: dict[str, None] = {}
    for known in (*patient.ids, *retired):
        if known.authority:
            identities |= dict.fromkeys(turn.unit.patients(known.value, known.authority))
    found = [referral for referral in map(turn.unit.referral, identities) if referral is not None]
    if retired:  # a correction of a closed one may come under the number that survived
        return sorted(found, key=lambda referral: referral.is_over)
    return [referral for referral in found if not referral.is_over]
