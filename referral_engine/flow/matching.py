"""Finds the referrals that a message's numbers point at, and has them graded."""

from __future__ import annotations

from typing import Final

from referral_engine.channels.parties import Party
from referral_engine.flow.turn import Turn
from referral_engine.journal.rows import BindingKind
from referral_engine.loop.matching import Candidate, Evidence, Level, Match, grade
from referral_engine.loop.referral import Identifier, PatientId

CANDIDATES_MAX: Final = 50  # referrals of one patient that are looked at; more is a test patient

Keys = tuple[tuple[BindingKind, Identifier | PatientId], ...]


def numbers_of(evidence: Evidence, party: Party) -> Keys:
    """The numbers of a message that can point at one referral, surest first.

    Our own id may come back where the placer number belongs. A number that a sender gave without an authority is
    that sender's own: two offices may both have an appointment 1001.
    """
    pairs = (
        (BindingKind.PLACER, evidence.placer),
        (BindingKind.REFERRAL, evidence.placer and Identifier(value=evidence.placer.value)),
        (BindingKind.FILLER, owned(evidence.filler, party)),
        (BindingKind.APPOINTMENT, owned(evidence.appointment, party)),
        (BindingKind.DOCUMENT, owned(evidence.document, party)),
    )
    return tuple((kind, number) for kind, number in pairs if number)


def owned(number: Identifier, party: Party) -> Identifier:
    """A number with its authority, or with the party that gave it."""
    return number if number.authority or not number else Identifier(value=number.value, authority=f"@{party.name}")


def learn_numbers(turn: Turn, evidence: Evidence, party: Party, referral: str) -> None:
    """Numbers learned from a message that was matched point at its referral from now on.

    An order number is learned from its order only: bound to the wrong referral, it would hide the order when it comes.
    """
    for kind, number in numbers_of(evidence, party):
        if kind not in (BindingKind.REFERRAL, BindingKind.PLACER):
            turn.unit.bind(kind, number, referral)


def patient_numbers_of(evidence: Evidence) -> Keys:
    """The record numbers of the message's patient."""
    return tuple((BindingKind.PATIENT, known) for known in evidence.patient.ids if known.authority)


def match(turn: Turn, evidence: Evidence, party: Party) -> Match:
    """The graded match of one message; every referral its numbers point at was asked."""
    numbers = numbers_of(evidence, party)
    known = [(kind, one.value) for kind, one in (*numbers, *patient_numbers_of(evidence))]
    if not turn.unit.leads_anywhere(known):
        return Match(level=Level.NOTHING, reason="no number and no patient we know")
    candidates = _candidates(turn, numbers) or _candidates(turn, patient_numbers_of(evidence))
    speaks_as = party.channel.name if party.channel else party.kind
    notes = bool(party.channel and party.channel.replies.provisional_notes)
    return _doubted(turn, evidence, grade(evidence, candidates, speaks_as, notes_may_be_provisional=notes))


def _doubted(turn: Turn, evidence: Evidence, found: Match) -> Match:
    """Evidence that names an order we do not have is not the only open referral's, however well the patient fits."""
    said = evidence.placer
    if found.level is not Level.SINGLE or not said:
        return found
    referral = turn.unit.referral(found.candidates[0])
    ours = referral.order.placer if referral else Identifier()
    if said.authority and ours.authority and said.authority != ours.authority:
        return found  # a number of the office's own
    reason = "record number and birth date fit, but it names another order than the only open referral that fits"
    return Match(level=Level.UNSURE, reason=reason, candidates=found.candidates)


def _candidates(turn: Turn, keys: Keys) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    for kind, number in keys:
        for identity in turn.unit.bound(kind, number.value, number.authority)[:CANDIDATES_MAX]:
            referral = turn.unit.referral(identity)
            if referral is not None and referral.duplicate_of:
                referral = turn.unit.referral(referral.duplicate_of)  # a duplicate's evidence belongs to the first
            if referral is not None and referral.id not in found:
                channel = turn.channel(referral.channel)
                found[referral.id] = Candidate(referral=referral, by=kind.value, npi=channel.npi if channel else "")
    return list(found.values())
