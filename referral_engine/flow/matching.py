"""Finds the referrals that a message's numbers point at, and has them graded."""

from __future__ import annotations

from typing import Final

from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.flow.turn import Turn
from referral_engine.intake.interest import person_of
from referral_engine.journal.codec import decode_decision, plain
from referral_engine.journal.rows import BindingKind
from referral_engine.loop.matching import (
    About,
    Candidate,
    Evidence,
    Level,
    Match,
    Verdict,
    grade,
    same_demographics,
    shares_its_number,
    weigh,
)
from referral_engine.loop.referral import Identifier, Patient, PatientId

CANDIDATES_MAX: Final = 50  # referrals of one patient that are looked at; more is a test patient

Key = tuple[BindingKind, Identifier | PatientId]
Keys = tuple[Key, ...]

_SURE: Final = (Level.EXACT, Level.LINKED)
_NEVER_LEARNED: Final = (BindingKind.REFERRAL, BindingKind.PLACER)
_LINKS: Final = frozenset(f"{kind} number" for kind in ("filler", "appointment", "document", "visit", "charge"))
_OF_THE_THING: Final = (BindingKind.APPOINTMENT, BindingKind.DOCUMENT)


def numbers_of(evidence: Evidence, party: Party) -> Keys:
    """The numbers of a message that can point at one referral, surest first.

    Our own id may come back where the placer number belongs. A number that a sender gave without an authority is
    that sender's own: two offices may both have an appointment 1001.
    """
    placer = evidence.placer
    pairs = (
        (BindingKind.PLACER, placer),
        (BindingKind.REFERRAL, Identifier(value=placer.value) if placer else placer),
        (BindingKind.FILLER, owned(evidence.filler, party)),
        (BindingKind.APPOINTMENT, owned(evidence.appointment, party)),
        (BindingKind.APPOINTMENT, owned(evidence.parent, party)),
        (BindingKind.DOCUMENT, owned(evidence.document, party)),
        (BindingKind.VISIT, owned(evidence.visit, party)),
        (BindingKind.CHARGE, owned(evidence.charge, party)),
    )
    return tuple([(kind, number) for kind, number in pairs if number])


def owned(number: Identifier, party: Party) -> Identifier:
    """A number with its authority, or with the party that gave it."""
    return number if number.authority or not number else Identifier(value=number.value, authority=f"@{party.name}")


def learn_numbers(turn: Turn, evidence: Evidence, party: Party, referral: str, found: Match | None = None) -> None:
    """Numbers learned from a message that was matched point at its referral from now on; what waits for one is told.

    An order number is learned from its order only: bound to the wrong referral, it would hide the order when it comes.
    The visit in which an order was made is not the visit it asks for. And from a provisional match no more is learned
    than what the thing itself goes by: a note of that visit would be filed on the strength of a likely booking.
    found: the match; a number that led to the referral is not news.
    """
    provisional = found is not None and found.provisional
    parts = found.weighed[0].parts if found is not None and found.weighed else ()
    led = {part.name for part in parts if part.verdict is Verdict.AGREES}
    for kind, number in numbers_of(evidence, party):
        if kind in _NEVER_LEARNED or (kind is BindingKind.VISIT and evidence.about is About.ORDER):
            continue
        if provisional and kind not in _OF_THE_THING:
            continue
        turn.unit.bind(kind, number, referral)
        if evidence.parent or f"{kind.value} number" not in led:
            turn.learned.append((kind, number))


def learn_patient(turn: Turn, patient: Patient, referral: str) -> None:
    """The patient's numbers, those that merges made theirs too, and name with birth date lead to the referral."""
    keys: list[Key] = [(BindingKind.PATIENT, known) for known in (*patient.ids, *aliases_of(turn, patient))]
    person = person_of(patient)
    if person is not None:
        keys.append((BindingKind.PERSON, person))
    for kind, number in keys:
        if kind is BindingKind.PERSON or number.authority:
            turn.unit.bind(kind, number, referral)
            turn.learned.append((kind, number))


def aliases_of(turn: Turn, patient: Patient) -> tuple[PatientId, ...]:
    """The record numbers that merges made the same person's as the patient's own; those not included."""
    found: dict[PatientId, None] = {}
    for known in patient.ids:
        if known.authority:
            found.update(dict.fromkeys(turn.unit.aliases(known.value, known.authority)))
    return tuple([one for one in found if one not in patient.ids]) if found else ()


def patient_numbers_of(patient: Patient, merged: tuple[PatientId, ...] = ()) -> Keys:
    """The record numbers of a message's patient, and those that merges made the same person's."""
    return tuple([(BindingKind.PATIENT, known) for known in (*patient.ids, *merged) if known.authority])


def waited_for(turn: Turn, evidence: Evidence, party: Party) -> Keys:
    """Everything that may lead to the referral of early evidence one day."""
    patient = evidence.patient
    keys = (*numbers_of(evidence, party), *patient_numbers_of(patient, aliases_of(turn, patient)))
    person = person_of(patient)
    return keys if person is None else (*keys, (BindingKind.PERSON, person))


def match(turn: Turn, evidence: Evidence, party: Party, message: int = 0) -> Match:
    """The graded match of one message; every referral its numbers point at was asked.

    message: its number; what an earlier part of it has taught says nothing of the order that this part names.
    """
    merged = aliases_of(turn, evidence.patient)
    numbered = _candidates(turn, numbers_of(evidence, party))
    if message and len(numbered) > 1 and any(map(_is_ordered, numbered)):
        numbered = [found for found in numbered if _is_ordered(found) or not _of_another_part(found, message)]
    candidates = numbered or _of_patient(turn, evidence, party, merged)
    found = grade(
        evidence,
        candidates,
        _speaks_as(party),
        notes_may_be_provisional=_notes_may_attach(party),
        merged=merged,
        now=turn.now,
    )
    if not numbered:
        return found
    return _looked_at_again(turn, evidence, party, _as_sure_as_it_is(turn, evidence, party, found), merged)


def _is_ordered(found: Candidate) -> bool:
    """Whether an order number leads to a referral."""
    return not {BindingKind.PLACER.value, BindingKind.REFERRAL.value}.isdisjoint((found.by, *found.also))


def _of_another_part(found: Candidate, message: int) -> bool:
    """Whether an earlier part of the message filed its document at a referral."""
    return any(known.message == message for known in found.referral.documents)


def _as_sure_as_it_is(turn: Turn, evidence: Evidence, party: Party, found: Match) -> Match:
    """The match, provisional where its numbers lead to a referral only because of what was provisional itself.

    A booking by such a number is as likely as the one before; a note that was never confirmed is a person's.
    """
    parts = found.weighed[0].parts if found.level is Level.LINKED and found.weighed else ()
    led = {
        part.name.removesuffix(" number") for part in parts if part.name in _LINKS and part.verdict is Verdict.AGREES
    }
    if not led or not led <= {"appointment", "document"}:
        return found
    numbers: set[tuple[str, str]] = {
        (kind.value, plain(number.value)) for kind, number in numbers_of(evidence, party) if kind.value in led
    }
    if not _only_likely(turn, found.referral, numbers):
        return found
    if evidence.about is not About.REPORT or evidence.retracts or _notes_may_attach(party):
        return replace(found, provisional=True)
    reason = f"{found.reason}, but that number was learned from a provisional match"
    return replace(found, level=Level.UNSURE, referral="", reason=reason)


def _only_likely(turn: Turn, identity: str, numbers: set[tuple[str, str]]) -> bool:
    """Whether all that taught these numbers of a referral was provisional, and nobody has confirmed it."""
    referral = turn.unit.referral(identity)
    assert referral is not None, "a match names a stored referral"
    sure = [("appointment", slot.appointment.value) for slot in referral.slots if not slot.provisional]
    sure += [("document", known.document.value) for known in referral.documents if not known.provisional]
    if not numbers.isdisjoint(sure):
        return False
    taught = False
    for row in turn.unit.decisions_of(identity):
        if row.referral != identity or row.undone_at:
            continue
        said, _ = decode_decision(row.body)
        known = (
            ("appointment", said.appointment.value),
            ("appointment", said.parent.value),
            ("document", said.document.value),
        )
        if not numbers.isdisjoint(known):
            if not row.provisional:
                return False
            taught = True
    return taught


def _speaks_as(party: Party) -> str:
    return party.channel.name if party.channel else party.kind


def _known_as(patient: Patient, merged: tuple[PatientId, ...]) -> Patient:
    return replace(patient, ids=(*patient.ids, *merged)) if merged else patient


def _notes_may_attach(party: Party) -> bool:
    return party.feed.notes_may_attach or bool(party.channel and party.channel.replies.provisional_notes)


def _of_patient(turn: Turn, evidence: Evidence, party: Party, merged: tuple[PatientId, ...]) -> list[Candidate]:
    """The referrals of the message's patient: by record number, else by name and birth date."""
    found = _candidates(turn, patient_numbers_of(evidence.patient, merged))
    sure = party.kind == "ehr" and evidence.patient.ids  # one who has a number of ours is that patient or another
    person = None if found or sure else person_of(evidence.patient)
    return found if person is None else _candidates(turn, ((BindingKind.PERSON, person),))


def _looked_at_again(
    turn: Turn, evidence: Evidence, party: Party, found: Match, merged: tuple[PatientId, ...]
) -> Match:
    """What was found by a number, and whether the patient's other referrals speak against it.

    A record number that alone confirms the patient must be one patient's. And where nothing may change, a person is
    shown both: the referral of the number and the referrals of the patient.
    """
    if found.level in _SURE:
        referral = turn.unit.referral(found.referral)
        assert referral is not None, "a match names a stored referral"
        if same_demographics(evidence.patient, referral.patient):
            return found
        others = _of_patient(turn, evidence, party, merged)
        if not shares_its_number(_known_as(evidence.patient, merged), referral, others):
            return found
        reason = "two patients share the record number"
        found = Match(level=Level.STOP, reason=reason, candidates=found.candidates, weighed=found.weighed)
    if found.level is not Level.STOP:
        return found
    own = _of_patient(turn, evidence, party, merged)
    seen = {one.referral.id for one in own}
    shown = [*own, *(one for one in _candidates(turn, numbers_of(evidence, party)) if one.referral.id not in seen)]
    return replace(found, weighed=weigh(evidence, shown, _speaks_as(party)))


def _candidates(turn: Turn, keys: Keys) -> list[Candidate]:
    """The referrals these numbers point at, each once, with every kind of number that does."""
    found: dict[str, Candidate] = {}
    for kind, number in keys:
        for identity in turn.unit.bound(kind, number.value, number.authority)[:CANDIDATES_MAX]:
            referral = turn.unit.referral(identity)
            if referral is not None and referral.duplicate_of:
                referral = turn.unit.referral(referral.duplicate_of)  # a duplicate's evidence belongs to the first
            if referral is None:
                continue
            known = found.get(referral.id)
            if known is None:
                channel = turn.channel(referral.channel)
                npi = channel.npi if channel else ""
                found[referral.id] = Candidate(referral=referral, by=kind.value, npi=npi)
            elif kind.value != known.by and kind.value not in known.also:
                found[referral.id] = replace(known, also=(*known.also, kind.value))
    return list(found.values())
