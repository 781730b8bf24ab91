"""Evidence and the referrals it may belong to in, each with its score and the parts of it out, best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from referral_engine.base.ident import Phi
from referral_engine.loop.evidence import About, Candidate, Evidence, Part, Verdict, Weighed
from referral_engine.loop.likeness import other_number, same_number
from referral_engine.loop.referral import Identifier, Patient, Referral

WINDOW: Final = timedelta(days=400)  # evidence belongs to a referral ordered within this long before it
CLOCKS_APART_MAX: Final = timedelta(days=1)  # a partner's clock may be this wrong before a date counts as a conflict
WEIGHED_MAX: Final = 10  # candidates a person is shown; more is a test patient
ALL_CHANNELS: Final = ("ehr", "scanner")  # parties that speak of every referral

# What each part counts when it agrees and when it differs: a score ranks candidates for a person, it never decides.
POINTS: Final[Mapping[str, tuple[int, int]]] = {
    "placer number": (40, -20),
    "referral number": (40, 0),
    "filler number": (25, 0),
    "appointment number": (25, 0),
    "document number": (25, 0),
    "visit number": (20, 0),
    "charge number": (20, 0),
    "record number": (30, -60),
    "record number (merged)": (25, -60),
    "family name": (8, -8),
    "given name": (6, -8),
    "birth date": (12, -15),
    "sex": (2, -10),
    "office": (8, -20),
    "specialty": (5, -15),
    "window": (4, -20),
    "document kind": (2, -4),
    "still open": (3, -3),
}
# Every part in its three forms, made once.
_PARTS: Final[Mapping[str, Mapping[Verdict, Part]]] = {
    name: {
        Verdict.AGREES: Part(name=name, verdict=Verdict.AGREES, points=agrees),
        Verdict.DIFFERS: Part(name=name, verdict=Verdict.DIFFERS, points=differs),
        Verdict.MISSING: Part(name=name, verdict=Verdict.MISSING),
    }
    for name, (agrees, differs) in POINTS.items()
}
_AGREES: Final = Verdict.AGREES
_DIFFERS: Final = Verdict.DIFFERS
_MISSING: Final = Verdict.MISSING
# The kinds of number of the evidence, and how each is called.
NUMBERS: Final = ("placer", "referral", "filler", "appointment", "document", "visit", "charge")
_OWN: Final = NUMBERS[2:]  # the office's


def weigh(
    evidence: Evidence, candidates: Sequence[Candidate], party: str, known_as: Patient | None = None
) -> tuple[Weighed, ...]:
    """At most WEIGHED_MAX candidates with score and parts: the highest score first, then the newest order.

    party: as `grade` takes it. known_as: the evidence's patient with the numbers that merges made the same person's.
    """
    patient = known_as or evidence.patient
    if len(candidates) == 1:
        return (_weighed(evidence, candidates[0], party, patient),)
    ordered = {found.referral.id: found.referral.order.ordered_at for found in candidates}
    weighed = {found.referral.id: _weighed(evidence, found, party, patient) for found in candidates}
    ranked = sorted(weighed.values(), key=lambda one: (one.score, ordered[one.referral]), reverse=True)
    return tuple(ranked[:WEIGHED_MAX])


def _weighed(evidence: Evidence, found: Candidate, party: str, patient: Patient) -> Weighed:
    known = found.referral.patient
    number, verdict = _record_number(evidence.patient, patient, known)
    compared = [
        *_numbers(evidence, found),
        _PARTS[number][verdict],
        _PARTS["family name"][_same(patient.family, known.family)],
        _PARTS["given name"][_same(patient.given, known.given)],
        _PARTS["birth date"][_same(patient.born_on, known.born_on)],
        _PARTS["sex"][_same(patient.sex, known.sex)],
        _PARTS["office"][office(evidence, found, party)],
        _PARTS["specialty"][_same_word(evidence.specialty, found.referral.order.specialty)],
        _PARTS["window"][window(evidence, found.referral)],
    ]
    if evidence.about is About.REPORT:
        compared.append(_PARTS["document kind"][_AGREES if evidence.may_close else _DIFFERS])
    compared.append(_PARTS["still open"][_DIFFERS if found.referral.is_over else _AGREES])
    return Weighed(referral=found.referral.id, score=sum([part.points for part in compared]), parts=tuple(compared))


def _numbers(evidence: Evidence, found: Candidate) -> list[Part]:
    """The numbers that the message gives: those that lead here agree, an order's other number differs."""
    leading = (found.by, *found.also)
    parts = [_PARTS[f"{kind} number"][_AGREES] for kind in NUMBERS if kind in leading]
    if evidence.placer and "placer" not in leading and "referral" not in leading:
        other = names_another_order(evidence, found.referral)
        parts.append(_PARTS["placer number"][_DIFFERS if other else _MISSING])
    parts += [_PARTS[f"{kind} number"][_MISSING] for kind in _OWN if kind not in leading and getattr(evidence, kind)]
    return parts


def _record_number(said: Patient, known_as: Patient, known: Patient) -> tuple[str, Verdict]:
    if other_number(known_as, known):
        return "record number", _DIFFERS
    if same_number(said, known):
        return "record number", _AGREES
    if known_as is not said and same_number(known_as, known):
        return "record number (merged)", _AGREES
    return "record number", _MISSING


def names_another_order(evidence: Evidence, referral: Referral) -> bool:
    """Whether the message names an order, by the ordering side's own numbers as far as it says, and not this one."""
    said, ours = evidence.placer, referral.order.placer
    if not said or said.value == referral.id or _is(said, ours):
        return False
    return not (said.authority and ours.authority and said.authority != ours.authority)


def _is(said: Identifier, ours: Identifier) -> bool:
    """Whether two numbers are the same; an authority that one side does not say fits any."""
    agree = not said.authority or not ours.authority or said.authority == ours.authority
    return said.value == ours.value and agree


def office(evidence: Evidence, found: Candidate, party: str) -> Verdict:
    """Whether the office that the message comes from, or names, is the referral's."""
    if party not in ALL_CHANNELS:
        return _AGREES if party == found.referral.channel else _DIFFERS
    if found.npi and found.npi in evidence.providers:
        return _AGREES  # the group beside the clinician who wrote it
    return _same_word(evidence.provider, found.npi)


def window(evidence: Evidence, referral: Referral) -> Verdict:
    """Whether the evidence is of the time after the order."""
    happened: datetime | None = evidence.happened_at
    if happened is None:
        return _MISSING
    ordered_at = referral.order.ordered_at
    fits = ordered_at - CLOCKS_APART_MAX <= happened <= ordered_at + WINDOW
    return _AGREES if fits else _DIFFERS


def _same(one: Phi[str], other: Phi[str]) -> Verdict:
    if not one or not other:
        return _MISSING
    return _AGREES if one.agrees(other) else _DIFFERS


def _same_word(one: str, other: str) -> Verdict:
    if not one or not other:
        return _MISSING
    return _AGREES if one == other else _DIFFERS
