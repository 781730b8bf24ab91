"""Which referral a piece of evidence belongs to, how sure that is, and why: levels 0 to 6, pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final

import msgspec

from referral_engine.loop.referral import Identifier, Patient, Referral

WINDOW: Final = timedelta(days=400)  # evidence belongs to a referral ordered within this long before it
CLOCKS_APART_MAX: Final = timedelta(days=1)  # a partner's clock may be this wrong before a date counts as a conflict


class Level(IntEnum):
    """How sure a match is (LOOP section 5)."""

    STOP = 0
    EXACT = 1
    LINKED = 2
    SINGLE = 3
    SEVERAL = 4
    UNSURE = 5
    NOTHING = 6


class About(StrEnum):
    """What kind of thing the evidence is."""

    ORDER = "order"
    APPOINTMENT = "appointment"
    REPORT = "report"
    PATIENT = "patient"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one message says about which referral it means."""

    about: About
    patient: Patient
    placer: Identifier = msgspec.field(default_factory=Identifier)
    filler: Identifier = msgspec.field(default_factory=Identifier)
    appointment: Identifier = msgspec.field(default_factory=Identifier)
    document: Identifier = msgspec.field(default_factory=Identifier)
    visit: Identifier = msgspec.field(default_factory=Identifier)  # PV1-19: of a booking, a registration, a charge
    charge: Identifier = msgspec.field(default_factory=Identifier)  # FT1-2: of a charge or its credit
    provider: str = ""  # NPI of the specialist the message names
    specialty: str = ""
    happened_at: datetime | None = None  # the document's or the visit's own date
    wrong_patient: bool = False  # OBX-11 is W
    retracts: bool = False  # takes something back
    document_kind: str = ""  # TXA-2, OBR-4 or the CDA's code, as sent
    may_close: bool = True  # the feed's file lets a document of this kind close a referral
    conflict: str = ""  # why the message contradicts itself: "the document inside names another patient"
    fields: tuple[str, ...] = ()  # where each thing was found, without values: "placer SCH-26", "provider AIP-3"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A referral some number of the evidence points at."""

    referral: Referral
    by: str  # "placer", "filler", "appointment", "document", "referral", "patient"
    npi: str = ""  # the NPI of its channel


class Verdict(StrEnum):
    """What one thing says of whether message and referral belong together."""

    AGREES = "agrees"
    DIFFERS = "differs"
    MISSING = "missing"  # one side does not say it


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a score: what was compared, what came of it, and what it counts; never a value."""

    name: str  # "placer number", "record number", "family name", "given name", "birth date", "sex", "office", "window"
    verdict: Verdict
    points: int = 0  # negative where it speaks against


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate and why it stands where it stands."""

    referral: str
    score: int = 0
    parts: tuple[Part, ...] = ()


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """The graded answer; `referral` is set only when the engine may act on it."""

    level: Level
    referral: str = ""
    reason: str = ""
    candidates: tuple[str, ...] = ()  # ids, best first, for a person
    weighed: tuple[Weighed, ...] = ()  # the candidates with their parts, best first
    provisional: bool = False
    security: bool = False  # the sender speaks of a referral it is no party of


_EXACT: Final = frozenset({"referral", "placer"})
_LINKED: Final = frozenset({"filler", "appointment", "document"})


def grade(
    evidence: Evidence, candidates: Sequence[Candidate], party: str, *, notes_may_be_provisional: bool = False
) -> Match:
    """The match of `evidence` among `candidates`.

    party: "ehr" or "scanner" (they speak of every referral), or the channel whose specialist speaks.
    """
    by_number = [found for found in candidates if found.by != "patient"]
    if by_number:
        return _by_number(evidence, by_number, party)
    return _by_patient(evidence, candidates, party, notes_may_be_provisional=notes_may_be_provisional)


def _by_number(evidence: Evidence, candidates: Sequence[Candidate], party: str) -> Match:
    ids = tuple(dict.fromkeys(found.referral.id for found in candidates))
    if len(ids) > 1:
        return Match(level=Level.STOP, reason="its numbers point at different referrals", candidates=ids)
    found = candidates[0]
    referral = found.referral
    conflict = _conflict(evidence, referral, party)
    if conflict:
        return Match(level=Level.STOP, reason=f"{found.by} number matches, but {conflict}", candidates=ids)
    why = corroborates(evidence.patient, referral.patient)
    if not why:
        reason = f"{found.by} number matches, but nothing of the patient confirms it"
        return Match(level=Level.STOP, reason=reason, candidates=ids)
    level = Level.EXACT if any(one.by in _EXACT for one in candidates) else Level.LINKED
    return Match(level=level, referral=referral.id, reason=f"{found.by} number and {why}", candidates=ids)


def _by_patient(
    evidence: Evidence, candidates: Sequence[Candidate], party: str, *, notes_may_be_provisional: bool
) -> Match:
    same = [found for found in candidates if same_number(evidence.patient, found.referral.patient)]
    if not same:
        return _by_name(evidence, candidates, party)
    clash = [found for found in same if _disagrees(evidence.patient, found.referral.patient)]
    if clash:
        ids = tuple(found.referral.id for found in clash)
        return Match(level=Level.STOP, reason="the record number agrees, name and birth date do not", candidates=ids)
    fitting = [found for found in same if _fits(evidence, found, party)]
    ids = tuple(found.referral.id for found in fitting)
    if not fitting:
        return Match(level=Level.NOTHING, reason="the patient is known, no open referral fits")
    if len(fitting) > 1:
        return Match(level=Level.SEVERAL, reason=f"{len(fitting)} open referrals fit", candidates=ids)
    if not evidence.patient.born_on.agrees(fitting[0].referral.patient.born_on):
        reason = "record number only, the birth date does not confirm it"
        return Match(level=Level.UNSURE, reason=reason, candidates=ids)
    reason = "record number, birth date, office and date fit, and only this open referral does"
    may_act = evidence.about is About.APPOINTMENT or (evidence.about is About.REPORT and notes_may_be_provisional)
    chosen = ids[0] if may_act and not evidence.wrong_patient and not evidence.retracts else ""
    return Match(level=Level.SINGLE, referral=chosen, reason=reason, candidates=ids, provisional=bool(chosen))


def _by_name(evidence: Evidence, candidates: Sequence[Candidate], party: str) -> Match:
    """Names and dates without a record number in common never decide: twins and fathers share most of them."""
    alike = [found for found in candidates if _alike(evidence.patient, found.referral.patient)]
    ids = tuple(dict.fromkeys(found.referral.id for found in alike if _fits(evidence, found, party)))
    if not ids:
        return Match(level=Level.NOTHING, reason="no number and no patient we know")
    return Match(level=Level.UNSURE, reason="name and birth date only, no number confirms them", candidates=ids)


def _alike(one: Patient, other: Patient) -> bool:
    """Whether name and birth date agree, the sex is no other, and no record number says they are two people."""
    other_sex = bool(one.sex) and bool(other.sex) and not one.sex.agrees(other.sex)
    names = one.family.agrees(other.family) and one.given.agrees(other.given)
    return names and one.born_on.agrees(other.born_on) and not other_sex and not _other_number(one, other)


def corroborates(one: Patient, other: Patient) -> str:
    """Why two descriptions are the same person: a record number with authority, or all four demographics; "" if not."""
    if same_number(one, other) and not _disagrees(one, other):
        return "record number"
    demographics = (
        one.family.agrees(other.family)
        and one.given.agrees(other.given)
        and one.born_on.agrees(other.born_on)
        and one.sex.agrees(other.sex)
    )
    return "name, birth date and sex" if demographics and not _other_number(one, other) else ""


def same_number(one: Patient, other: Patient) -> bool:
    """Whether they share a record number of the same, named authority."""
    return any(mine.authority and mine in other.ids for mine in one.ids)


def _other_number(one: Patient, other: Patient) -> bool:
    """Whether the same authority gave the two different record numbers."""
    authorities = {known.authority for known in other.ids if known.authority}
    shared = [mine for mine in one.ids if mine.authority in authorities]
    return bool(shared) and not same_number(one, other)


def _disagrees(one: Patient, other: Patient) -> bool:
    """Whether name and birth date are both known on both sides and both differ."""
    names_known = bool(one.family) and bool(other.family)
    dates_known = bool(one.born_on) and bool(other.born_on)
    other_name = names_known and not (one.family.agrees(other.family) and one.given.agrees(other.given))
    other_date = dates_known and not one.born_on.agrees(other.born_on)
    return other_name and other_date


def _conflict(evidence: Evidence, referral: Referral, party: str) -> str:
    """What speaks against the match; negative evidence beats positive."""
    if party not in ("ehr", "scanner", referral.channel):
        return "the sender is no party of that referral"
    if not corroborates(evidence.patient, referral.patient) and evidence.patient.ids:
        return "the patient is another"
    if evidence.wrong_patient and not _holds(referral, evidence):
        return "it says wrong patient"
    dated = evidence.happened_at
    if evidence.about is About.REPORT and dated and dated + CLOCKS_APART_MAX < referral.order.ordered_at:
        return "the document is older than the order"
    return ""


def _holds(referral: Referral, evidence: Evidence) -> bool:
    """Whether the document the evidence speaks of was filed here: only then can a "wrong patient" take it back."""
    spoken_of = {one.value for one in (evidence.document, evidence.filler) if one}
    return evidence.about is About.REPORT and any(known.document.value in spoken_of for known in referral.documents)


def _fits(evidence: Evidence, found: Candidate, party: str) -> bool:
    referral = found.referral
    if referral.is_over or party not in ("ehr", "scanner", referral.channel):
        return False
    if party != referral.channel and evidence.provider and found.npi and evidence.provider != found.npi:
        return False  # an office that speaks for itself fits, whichever of its clinicians it names
    if evidence.specialty and referral.order.specialty and evidence.specialty != referral.order.specialty:
        return False
    if party in ("ehr", "scanner") and not (evidence.provider or evidence.specialty):
        return False  # nothing says which office it is about
    happened = evidence.happened_at
    return happened is None or referral.order.ordered_at - CLOCKS_APART_MAX <= happened <= (
        referral.order.ordered_at + WINDOW
    )
