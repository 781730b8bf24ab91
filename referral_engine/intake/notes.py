"""What a report says of itself and what it carries in, its reading out: the event, and evidence the two agree on.

Nothing may close a referral without the words that close it, and not with a note that names somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.hl7.segment import Segment
from referral_engine.intake.attachments import Contents, read_contents
from referral_engine.intake.cda import ClinicalDocument, read_cda
from referral_engine.intake.reading import Reading, joined
from referral_engine.intake.received import NO_NUMBER, Received
from referral_engine.loop.events import ReportReceived
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Finality, Identifier, Patient, PatientId

WORDS_BESIDE_MIN: Final = 100  # characters; "see the attached letter" is not the note when the letter cannot be read
CODES_MAX: Final = 200  # OBX-3 of one report that are compared with the feed's closing documents
_FINISHED: Final = (Finality.FINAL, Finality.CORRECTED)
_ANOTHER: Final = "the document inside names another patient"
_ANOTHER_ORDER: Final = "the document inside answers another order"
_SEVERAL: Final = "the document inside names several patients"


def carried(
    received: Received,
    evidence: Evidence,
    finality: Finality | None,
    observations: Sequence[Segment],
    *,
    document: Identifier,
    kinds: tuple[str, ...],
    replaces: Identifier = NO_NUMBER,
    adds: bool = False,
    notes: tuple[str, ...] = (),
) -> Reading:
    """The reading of one report.

    finality: None when no status says anything. document: its own number. kinds: codes of what it is, surest first.
    replaces, adds: the earlier document it stands for, or stands beside. notes: what is odd about it already.
    Raises MessageFault 101 for a final report without content, 102 for one that cannot be read, and for a clinical
    document with a document type declaration.
    """
    unlisted = "" if finality is not None else "no status the feed lists: read as not final"
    finality = finality or Finality.PRELIMINARY
    kind = next((kind for kind in kinds if kind), "")
    if finality is Finality.RETRACTED:
        event = ReportReceived(
            **received.stamp, document=document, finality=finality, kind=kind, replaces=replaces, adds=adds
        )
        evidence = replace(evidence, document_kind=kind)
        return Reading(about=About.REPORT, evidence=evidence, events=(event,), note=joined(*notes))
    contents = read_contents(observations)
    if contents.is_empty:
        if finality is Finality.PRELIMINARY:
            return Reading(about=About.REPORT, evidence=evidence, note=joined("a status without a document", *notes))
        raise MessageFault("101", "OBX-5", "a final report that carries nothing")
    inside, unread = _inside(received, contents)
    if finality in _FINISHED and contents.words < WORDS_BESIDE_MIN and not _is_legible(contents, unread):
        raise MessageFault("102", "OBX-5", "a final report whose attachment cannot be read")
    if inside is not None:
        evidence = _agreed(received, evidence, inside)
        document = document or inside.number
        kind = kind or inside.code
        adds = adds or (bool(inside.appends) and not replaces)
        replaces = replaces or inside.replaces or inside.appends
        if finality is Finality.FINAL and inside.replaces:
            finality = Finality.CORRECTED
    closes = _may_close(received, (*kinds, inside.code if inside is not None else ""), observations)
    event = ReportReceived(
        **received.stamp,
        document=document,
        finality=finality,
        kind=kind,
        content=contents.content,
        replaces=replaces,
        adds=adds,
        closes=closes,
    )
    evidence = replace(evidence, document_kind=kind, may_close=closes)
    note = joined(*notes, unlisted, *contents.notes, unread)
    return Reading(about=About.REPORT, evidence=evidence, events=(event,), note=note)


def _inside(received: Received, contents: Contents) -> tuple[ClinicalDocument | None, str]:
    """The first clinical document among the attachments, with all patients that any of them names; or why not."""
    found: list[ClinicalDocument] = []
    unread = ""
    for raw in contents.documents:
        document, why = read_cda(raw)
        unread = unread or why
        if document is not None:
            found.append(document)
    if not found:
        return None, unread
    patients = tuple(_ours(received, patient) for document in found for patient in document.patients)
    return replace(found[0], patients=patients), unread


def _is_legible(contents: Contents, unread: str) -> bool:
    """Whether the attachments, or what there is without them, can be made use of."""
    if unread and len(contents.attachments) == len(contents.documents):
        return False  # clinical documents only, and one of them cannot be opened
    return contents.readable or not contents.is_broken


def _may_close(received: Received, kinds: Iterable[str], observations: Sequence[Segment]) -> bool:
    """Whether the feed's file lets a document of this kind close a referral; it does when it names none."""
    closing = received.feed.closing_documents
    if not closing:
        return True
    allowed = {code.strip().upper() for code in closing}
    said = {kind.strip().upper() for kind in kinds}
    said |= {obx.text(3).strip().upper() for obx in observations[:CODES_MAX]}
    return not allowed.isdisjoint(said - {""})


def _ours(received: Received, patient: Patient) -> Patient:
    """The patient with authorities under the names the feed's file gives their OIDs."""
    names = received.feed.authority_names
    ids = tuple(PatientId(value=one.value, authority=names.get(one.authority, one.authority)) for one in patient.ids)
    return replace(patient, ids=ids)


def _agreed(received: Received, evidence: Evidence, inside: ClinicalDocument) -> Evidence:
    """The evidence with what only the document inside says, and with the contradiction where the two disagree."""
    names = received.feed.authority_names
    patient, fields, conflict = evidence.patient, list(evidence.fields), evidence.conflict
    if inside.patients:
        within = inside.patients[0]
        if any(_is_another(one, within) for one in inside.patients[1:]):
            conflict = conflict or _SEVERAL
        if any(_is_another(patient, one) for one in inside.patients):
            conflict = conflict or _ANOTHER
        elif not (patient.ids or patient.family or patient.born_on):
            patient = within
            fields.append("patient ClinicalDocument recordTarget")
        elif not patient.ids and patient.family.agrees(within.family) and patient.born_on.agrees(within.born_on):
            patient = replace(patient, ids=within.ids)
            fields.append("record number ClinicalDocument recordTarget")
    orders = [Identifier(value=one.value, authority=names.get(one.authority, one.authority)) for one in inside.orders]
    placer = evidence.placer
    if not placer and len(set(orders)) == 1:
        placer = orders[0]
        fields.append("placer ClinicalDocument inFulfillmentOf")
    elif placer and orders and all(_is_other_number(placer, one) for one in orders):
        conflict = conflict or _ANOTHER_ORDER
    told = inside.visited_at or inside.written_at
    return replace(
        evidence,
        patient=patient,
        placer=placer,
        document=evidence.document or inside.number,
        provider=evidence.provider or next(iter(inside.authors), ""),
        happened_at=evidence.happened_at or received.day(told),
        conflict=conflict,
        fields=tuple(fields),
    )


def _is_other_number(one: Identifier, other: Identifier) -> bool:
    """Whether the same authority gave the two different numbers."""
    return one.authority == other.authority and one.value != other.value


def _is_another(one: Patient, other: Patient) -> bool:
    """Whether the message and the document inside it name two patients.

    With a record number in common only another name with another birth date says so. Without one: another name with
    another birth date or another number of the same authority, and a given name that begins otherwise (twins).
    """
    names_known = bool(one.family) and bool(other.family)
    other_family = names_known and not one.family.agrees(other.family)
    other_given = bool(one.given) and bool(other.given) and not one.given.agrees(other.given)
    other_name = other_family or other_given
    other_date = bool(one.born_on) and bool(other.born_on) and not one.born_on.agrees(other.born_on)
    if set(one.ids) & set(other.ids):
        return other_name and other_date
    authorities = {known.authority for known in other.ids}
    other_number = any(known.authority in authorities for known in one.ids)
    if other_number:
        return other_name or other_date
    twin = names_known and other_given and not one.given.begins_like(other.given)
    return other_name and (other_date or twin)
