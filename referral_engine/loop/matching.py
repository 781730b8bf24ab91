"""Which referral a piece of evidence belongs to, how sure that is, and why: levels 0 to 6, pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from referral_engine.base.values import replace
from referral_engine.loop.evidence import About, Candidate, Evidence, Level, Match, Part, Verdict, Weighed
from referral_engine.loop.likeness import (
    alike,
    are_two,
    corroborates,
    disagrees,
    may_be_a_twin,
    other_number,
    same_demographics,
    same_number,
)
from referral_engine.loop.referral import Patient, PatientId, Referral
from referral_engine.loop.weighing import (
    ALL_CHANNELS,
    CLOCKS_APART_MAX,
    NUMBERS,
    WINDOW,
    names_another_order,
    office,
    weigh,
    window,
)

__all__ = [
    "CLOCKS_APART_MAX",
    "NUMBERS",
    "WINDOW",
    "About",
    "Candidate",
    "Evidence",
    "Level",
    "Match",
    "Part",
    "Verdict",
    "Weighed",
    "corroborates",
    "grade",
    "names_another_order",
    "same_demographics",
    "same_number",
    "shares_its_number",
    "weigh",
]

_EXACT: Final = frozenset({"referral", "placer"})
_LINKED: Final = frozenset({"filler", "appointment", "document"})  # numbers of this one thing
_PARTY_OF_NONE: Final = "the sender is no party of that referral"


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One question: the evidence, its patient by every number that is that person's, who says it, the file's word."""

    evidence: Evidence
    patient: Patient
    party: str
    now: datetime | None
    notes: bool


def grade(
    evidence: Evidence,
    candidates: Sequence[Candidate],
    party: str,
    *,
    notes_may_be_provisional: bool = False,
    merged: tuple[PatientId, ...] = (),
    now: datetime | None = None,
) -> Match:
    """The match of `evidence` among `candidates`, each of them weighed.

    party: "ehr" or "scanner" (they speak of every referral), or the channel whose specialist speaks.
    merged: record numbers that merges made the same person's as the message's own. now: aware UTC.
    """
    patient = evidence.patient
    if merged:
        patient = replace(patient, ids=(*patient.ids, *merged))
    asked = _Asked(evidence=evidence, patient=patient, party=party, now=now, notes=notes_may_be_provisional)
    numbered = [found for found in candidates if found.by in NUMBERS]
    found = _by_number(asked, numbered) if numbered else _by_patient(asked, candidates)
    shown = [one for one in candidates if one.referral.id in found.candidates] or _known(asked, candidates)
    if not shown:
        return found
    weighed = weigh(evidence, shown, party, patient)
    if len(found.candidates) < 2:
        return replace(found, weighed=weighed)
    return replace(found, weighed=weighed, candidates=tuple(one.referral for one in weighed))


def shares_its_number(patient: Patient, referral: Referral, others: Sequence[Candidate]) -> bool:
    """Whether another person has the record number by which a patient was recognised in `referral`.

    patient: with the numbers that merges made theirs. Of two of one number and two given names, the name decides.
    """
    another_name = may_be_a_twin(patient, referral.patient)
    for known in [other.referral.patient for other in others if same_number(patient, other.referral.patient)]:
        if disagrees(patient, known) or are_two(referral.patient, known, patient):
            return True
        if another_name and known.given and not may_be_a_twin(patient, known):
            return True
    return False


def _known(asked: _Asked, candidates: Sequence[Candidate]) -> list[Candidate]:
    """What a person may want to see though nothing fits: the patient's own referrals."""
    return [found for found in candidates if same_number(asked.patient, found.referral.patient)]


# ------------------------------------------------------------------------------------------------ by a number


def _by_number(asked: _Asked, candidates: list[Candidate]) -> Match:
    candidates = _without_stale(asked, candidates)
    ids = tuple(dict.fromkeys(found.referral.id for found in candidates))
    if len(ids) > 1:
        return _by_several(asked, candidates, ids)
    found = candidates[0]
    kinds = {kind for one in candidates for kind in (one.by, *one.also)}
    conflict = _conflict(asked, found.referral)
    if conflict:
        reason = f"{found.by} number matches, but {conflict}"
        return Match(level=Level.STOP, reason=reason, candidates=ids, security=conflict == _PARTY_OF_NONE)
    why = corroborates(asked.patient, found.referral.patient)
    if not why:
        reason = f"{found.by} number matches, but nothing of the patient confirms it"
        return Match(level=Level.STOP, reason=reason, candidates=ids)
    doubt = _doubt(asked, found, kinds)
    if doubt:
        return Match(level=Level.UNSURE, reason=f"{found.by} number and {why}, but {doubt}", candidates=ids)
    level = Level.EXACT if kinds & _EXACT else Level.LINKED
    return Match(level=level, referral=found.referral.id, reason=f"{found.by} number and {why}", candidates=ids)


def _without_stale(asked: _Asked, candidates: list[Candidate]) -> list[Candidate]:
    """The candidates without old ones that an office's number, given out again, still points at.

    One is left out when it is over, holds no document the message speaks of, and another has the order number and the
    patient. A message that takes a document back is about the referral that holds it, whatever else it names; and of
    several that hold one document, a message is about the one whose order it names.
    """
    evidence = asked.evidence
    if len(candidates) == 1:
        return candidates
    holding = [found for found in candidates if _holds(found.referral, evidence)]
    if evidence.retracts and len({found.referral.id for found in holding}) == 1:
        return holding
    ordered = {
        found.referral.id
        for found in candidates
        if {found.by, *found.also} & _EXACT and corroborates(asked.patient, found.referral.patient)
    }
    if len(holding) == len(candidates) and len(ordered) == 1:
        return [found for found in candidates if found.referral.id in ordered]
    return [
        found
        for found in candidates
        if found.referral.id in ordered or not ordered or not found.referral.is_over or _holds(found.referral, evidence)
    ]


def _by_several(asked: _Asked, candidates: list[Candidate], ids: tuple[str, ...]) -> Match:
    """One number of several referrals of one patient is a choice; several numbers of several are a contradiction."""
    kinds = {kind for found in candidates for kind in (found.by, *found.also)}
    one_number = len(kinds) == 1 or kinds == _EXACT
    fine = all(
        not _conflict(asked, found.referral) and corroborates(asked.patient, found.referral.patient)
        for found in candidates
    )
    if one_number and fine:
        reason = f"its {candidates[0].by} number belongs to {len(ids)} referrals of the patient"
        return Match(level=Level.SEVERAL, reason=reason, candidates=ids)
    foreign = any(_is_foreign(asked, found.referral) for found in candidates)
    reason = "its numbers point at different referrals" + (f", and {_PARTY_OF_NONE}" if foreign else "")
    return Match(level=Level.STOP, reason=reason, candidates=ids, security=foreign)


def _is_foreign(asked: _Asked, referral: Referral) -> bool:
    return asked.party not in ALL_CHANNELS and asked.party != referral.channel


def _conflict(asked: _Asked, referral: Referral) -> str:
    """What speaks against the match; negative evidence beats positive."""
    evidence = asked.evidence
    if _is_foreign(asked, referral):
        return _PARTY_OF_NONE
    if evidence.conflict:
        return evidence.conflict
    if asked.patient.ids and not corroborates(asked.patient, referral.patient):
        return "the patient is another"
    if evidence.wrong_patient and not _holds(referral, evidence):
        return "it says wrong patient"
    if evidence.retracts and _is_strange(referral, evidence):
        return "it takes back a document that was never filed there"
    dated = evidence.happened_at
    if dated is None or evidence.retracts:
        return ""
    if dated + CLOCKS_APART_MAX < referral.order.ordered_at:
        if evidence.about is About.REPORT:
            return "the document is older than the order"
        if evidence.about is About.APPOINTMENT:
            return "the visit is older than the order"
    return _dead(asked, referral)


def _dead(asked: _Asked, referral: Referral) -> str:
    """Whether the patient had died before the visit that the message speaks of."""
    dated, patient = asked.evidence.happened_at, referral.patient
    if dated is None or not (patient.deceased or patient.died_on):
        return ""
    if patient.died_on:
        late = patient.died_on.sorts_before(f"{dated - CLOCKS_APART_MAX:%Y%m%d}")
    else:
        late = asked.now is not None and dated > asked.now
    return "the patient had died before" if late else ""


def _doubt(asked: _Asked, found: Candidate, kinds: set[str]) -> str:
    """What leaves the choice to a person though number and patient agree."""
    evidence, referral = asked.evidence, found.referral
    if referral.is_over and window(evidence, referral) is Verdict.DIFFERS and not _holds(referral, evidence):
        return "that referral is over for long"
    if kinds & _EXACT or (evidence.retracts and _holds(referral, evidence)):
        return ""
    if names_another_order(evidence, referral):
        return "it names another order"
    if not kinds & _LINKED and not (evidence.retracts or _fits(asked, found) or referral.is_over):
        return "office or date do not fit, and a visit may be about more than one referral"
    return ""


def _holds(referral: Referral, evidence: Evidence) -> bool:
    """Whether the document the evidence speaks of was filed here: only then can a "wrong patient" take it back."""
    if evidence.about is not About.REPORT or not referral.documents:
        return False
    spoken_of = {one.value for one in (evidence.document, evidence.filler) if one}
    return any(known.document.value in spoken_of for known in referral.documents)


def _is_strange(referral: Referral, evidence: Evidence) -> bool:
    """Whether a note that is taken back is none of those filed here, all of which have numbers."""
    if evidence.about is not About.REPORT or not (evidence.document and referral.documents):
        return False
    return all(known.document for known in referral.documents) and not _holds(referral, evidence)


# ------------------------------------------------------------------------------------------------ by the patient


def _by_patient(asked: _Asked, candidates: Sequence[Candidate]) -> Match:
    same = _known(asked, candidates)
    if not same:
        return _by_name(asked, candidates)
    evidence = asked.evidence
    stopped = _stopped(asked, same)
    if stopped is not None:
        return stopped
    fitting = [found for found in same if _fits(asked, found)]
    ids = tuple(found.referral.id for found in fitting)
    if not fitting:
        return _of_no_office(asked, same)
    dead = next((why for found in fitting if (why := _dead(asked, found.referral))), "")
    if dead:
        return Match(level=Level.STOP, reason=f"the record number agrees, but {dead}", candidates=ids)
    if len(fitting) > 1:
        return Match(level=Level.SEVERAL, reason=f"{len(fitting)} open referrals fit", candidates=ids)
    doubt = _single_doubt(asked, fitting[0].referral)
    if doubt:
        return Match(level=Level.UNSURE, reason=doubt, candidates=ids)
    reason = "record number, birth date, office and date fit, and only this open referral does"
    if evidence.about is About.REPORT and not evidence.may_close:
        reason += "; a document of this kind is no consult note"
    chosen = ids[0] if _may_act(asked) else ""
    return Match(level=Level.SINGLE, referral=chosen, reason=reason, candidates=ids, provisional=bool(chosen))


def _may_act(asked: _Asked) -> bool:
    """Whether a single fitting referral may be changed without a person: by bookings, by notes if the file says so."""
    evidence = asked.evidence
    if evidence.wrong_patient or evidence.retracts:
        return False
    if evidence.about is About.REPORT:
        return asked.notes and evidence.may_close
    return evidence.about is About.APPOINTMENT


def _stopped(asked: _Asked, same: list[Candidate]) -> Match | None:
    """What makes a record number in common worthless, or worse."""
    patient = asked.patient
    clash = [found for found in same if disagrees(patient, found.referral.patient)]
    reason = "the record number agrees, name and birth date do not"
    if not clash:
        clash = [found for found in same if other_number(patient, found.referral.patient)]
        reason = "one record number agrees, another does not"
    if not clash and len(same) > 1:
        first = same[0].referral.patient
        clash = same if any(are_two(first, found.referral.patient, patient) for found in same[1:]) else []
        reason = "two patients share the record number"
    if not clash and (asked.evidence.conflict or asked.evidence.wrong_patient):
        clash = [found for found in same if not _is_foreign(asked, found.referral)]
        reason = f"the record number agrees, but {asked.evidence.conflict or 'it says wrong patient'}"
    if not clash:
        return None
    return Match(level=Level.STOP, reason=reason, candidates=tuple(found.referral.id for found in clash))


def _single_doubt(asked: _Asked, referral: Referral) -> str:
    """What leaves the only referral that fits to a person; "" when nothing does."""
    if not asked.patient.born_on.agrees(referral.patient.born_on):
        return "record number only, the birth date does not confirm it"
    if may_be_a_twin(asked.patient, referral.patient):
        return "record number and birth date fit, but the given name is another"
    if names_another_order(asked.evidence, referral):
        return "record number and birth date fit, but it names another order than the only open referral that fits"
    return ""


def _of_no_office(asked: _Asked, same: list[Candidate]) -> Match:
    """A scanned letter of a known patient that does not say which office it is from is for a person to read."""
    possible = [found for found in same if _fits(asked, found, office_said=False)]
    if not possible or asked.party != "scanner" or asked.evidence.about is not About.REPORT:
        return Match(level=Level.NOTHING, reason="the patient is known, no open referral fits")
    ids = tuple(found.referral.id for found in possible)
    return Match(level=Level.UNSURE, reason="record number fits, nothing says which office it is from", candidates=ids)


def _by_name(asked: _Asked, candidates: Sequence[Candidate]) -> Match:
    """Names and dates without a record number in common never decide: twins and fathers share most of them."""
    office_said = asked.party != "scanner"
    fitting = [
        found
        for found in candidates
        if alike(asked.patient, found.referral.patient) and _fits(asked, found, office_said=office_said)
    ]
    ids = tuple(dict.fromkeys(found.referral.id for found in fitting))
    if not ids:
        return Match(level=Level.NOTHING, reason="no number and no patient we know")
    return Match(level=Level.UNSURE, reason="name and birth date only, no number confirms them", candidates=ids)


def _fits(asked: _Asked, found: Candidate, *, office_said: bool = True) -> bool:
    """Whether an open referral is of the message's office, specialty and time.

    office_said: it must say which office it is about; an office that speaks for itself has.
    """
    referral, evidence = found.referral, asked.evidence
    if referral.is_over or _is_foreign(asked, referral):
        return False
    if office(evidence, found, asked.party) is Verdict.DIFFERS:
        return False
    if evidence.specialty and referral.order.specialty and evidence.specialty != referral.order.specialty:
        return False
    if office_said and asked.party in ALL_CHANNELS and not (evidence.provider or evidence.specialty):
        return False  # nothing says which office it is about
    return window(evidence, referral) is not Verdict.DIFFERS
