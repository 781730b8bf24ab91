"""A document message in, the consult note it carries or takes back out."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.tables import DocumentAvailability, ObservationStatus, lookup
from referral_engine.intake.finality import as_agreed, has_content, of_document, of_observations, statuses
from referral_engine.intake.patients import read_patient
from referral_engine.intake.reading import Reading, nothing
from referral_engine.intake.received import Received, first_npi, first_number, number_in
from referral_engine.intake.reports import carried
from referral_engine.loop.events import Event
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Finality

_NOTICES: Final = frozenset(("T01", "T03", "T05", "T07", "T09"))  # knowledge of a document, not the document
_REVISIONS: Final = frozenset(("T05", "T06", "T07", "T08", "T09", "T10"))  # addendum, edit, replacement
_DOCUMENTS: Final = frozenset(("T02", "T04")) | _NOTICES | _REVISIONS
_CANCEL: Final = "T11"


def read_document(received: Received, trigger: str) -> Reading:
    """What an MDM says.  Source: HL7 v2.5.1 9.5, 9.6.1 (TXA).

    Raises MessageFault 101 without TXA, or when it calls itself final and carries no OBX-5.
    """
    if trigger != _CANCEL and trigger not in _DOCUMENTS:
        return nothing("this document event is not read")
    message = received.message
    txa = message.first("TXA")
    if txa is None:
        raise MessageFault("101", "TXA", "a document message without its header")
    observations = message.all("OBX")
    codes = statuses(observations)
    wrong_patient = ObservationStatus.WRONG_PATIENT in codes
    finality = _finality(received, trigger, txa, codes)
    events: tuple[Event, ...] = ()
    if finality is not Finality.RETRACTED and trigger in _NOTICES and not has_content(observations):
        note = "a notice without the document"
    else:
        events, note = carried(received, finality, number_in(txa, 12), observations)
    evidence = _evidence(received, trigger, txa, wrong_patient=wrong_patient, retracts=finality is Finality.RETRACTED)
    return Reading(about=About.REPORT, evidence=evidence, events=events, note=note)


def _finality(received: Received, trigger: str, txa: Segment, codes: tuple[str, ...]) -> Finality | None:
    """TXA-17, else OBX-11, under the channel's own rule; a final revision is a correction."""
    observed = of_observations(received.feed, codes)
    if (
        trigger == _CANCEL
        or observed is Finality.RETRACTED
        or lookup(DocumentAvailability, txa.text(19)) is DocumentAvailability.CANCELLED
    ):
        return Finality.RETRACTED
    finality = of_document(received.feed, txa.text(17)) or observed
    if finality is None:
        return None
    finality = as_agreed(received, finality)
    return Finality.CORRECTED if trigger in _REVISIONS and finality is Finality.FINAL else finality


def _evidence(received: Received, trigger: str, txa: Segment, *, wrong_patient: bool, retracts: bool) -> Evidence:
    message = received.message
    orc, obr = message.first("ORC"), message.first("OBR")
    known = ((txa, 13), (txa, 12)) if trigger in _REVISIONS else ((txa, 12),)  # a revision names what it revises
    return Evidence(
        about=About.REPORT,
        patient=read_patient(received),
        placer=first_number((txa, 14), (orc, 2), (obr, 2)),
        filler=first_number((txa, 15), (orc, 3), (obr, 3)),
        document=first_number(*known),
        provider=first_npi((txa, 5), (txa, 9)),
        specialty=_specialty(received, obr),
        happened_at=_happened_at(received, txa),
        wrong_patient=wrong_patient,
        retracts=retracts,
    )


def _specialty(received: Received, obr: Segment | None) -> str:
    feed = received.feed
    return feed.specialty_of(obr.text(4)) if obr is not None and feed.specialties else ""


def _happened_at(received: Received, txa: Segment) -> datetime | None:
    """When the visit was: TXA-4, else when the document was begun, TXA-6."""
    return received.day(txa.text(4)) or received.day(txa.text(6))
