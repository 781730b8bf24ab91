"""A document message in, the consult note it carries or takes back out."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.tables import DocumentAvailability, ObservationStatus
from referral_engine.intake.attachments import read_contents
from referral_engine.intake.finality import as_agreed, of_document, of_observations, statuses
from referral_engine.intake.notes import carried
from referral_engine.intake.patients import read_patient, read_visit
from referral_engine.intake.reading import Reading, nothing
from referral_engine.intake.received import (
    NO_NUMBER,
    REPETITIONS_MAX,
    Received,
    every_npi,
    number_in,
    repetitions_of,
    traced_npi,
    traced_number,
)
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Finality, Identifier

_NOTICES: Final = frozenset(("T01", "T03", "T05", "T07", "T09"))  # knowledge of a document, not the document
_ADDENDA: Final = frozenset(("T05", "T06"))  # what comes stands beside the earlier document
_REVISIONS: Final = _ADDENDA | frozenset(("T07", "T08", "T09", "T10"))  # edit, replacement: stands in its place
_DOCUMENTS: Final = frozenset(("T02", "T04")) | _NOTICES | _REVISIONS
_CANCEL: Final = "T11"
_TAKEN_BACK: Final = (DocumentAvailability.CANCELLED, DocumentAvailability.OBSOLETE)
_TWO_ORDERS: Final = "the document header and the order segments name two orders"


def read_document(received: Received, trigger: str) -> tuple[Reading, ...]:
    """What an MDM says; one reading for each order it answers.  Source: HL7 v2.5.1 9.5, 9.6.1 (TXA).

    Raises MessageFault 101 without TXA, or when it calls itself final and carries no OBX-5; 102 for an attachment
    that cannot be read; 205 for two patients.
    """
    if trigger != _CANCEL and trigger not in _DOCUMENTS:
        return (nothing("this document event is not read"),)
    message = received.message
    txa = message.first("TXA")
    if txa is None:
        raise MessageFault("101", "TXA", "a document message without its header")
    observations = message.all("OBX")
    codes = statuses(observations)
    finality = _finality(received, trigger, txa, codes)
    evidence = _evidence(received, trigger, txa, observations, retracts=finality is Finality.RETRACTED)
    if finality is not Finality.RETRACTED and trigger in _NOTICES and read_contents(observations).is_empty:
        return (Reading(about=About.REPORT, evidence=evidence, note="a notice without the document"),)
    obr = message.first("OBR")
    kinds = (txa.text(2), obr.text(4) if obr is not None else "")
    own, parent = number_in(txa, 12), number_in(txa, 13)
    reading = carried(
        received,
        replace(evidence, wrong_patient=ObservationStatus.WRONG_PATIENT in codes),
        finality,
        observations,
        document=own,
        kinds=kinds,
        replaces=(parent or own) if trigger in _REVISIONS else NO_NUMBER,
        adds=trigger in _ADDENDA,
    )
    orders = _orders(received, txa)
    return tuple(_for_order(reading, placer) for placer in orders) if len(orders) > 1 else (reading,)


def _finality(received: Received, trigger: str, txa: Segment, codes: tuple[str, ...]) -> Finality | None:
    """TXA-17, else OBX-11, under the channel's own rule; a final revision is a correction, and so is OBX-11 C."""
    observed = of_observations(received.feed, codes)
    if trigger == _CANCEL or observed is Finality.RETRACTED or txa.text(19).strip().upper() in _TAKEN_BACK:
        return Finality.RETRACTED
    finality = of_document(received.feed, txa.text(17)) or observed
    if finality is None:
        return None
    finality = as_agreed(received, finality)
    corrected = trigger in _REVISIONS or observed is Finality.CORRECTED
    return Finality.CORRECTED if corrected and finality is Finality.FINAL else finality


def _evidence(
    received: Received, trigger: str, txa: Segment, observations: list[Segment], *, retracts: bool
) -> Evidence:
    message = received.message
    orc, obr = message.first("ORC"), message.first("OBR")
    obx = observations[0] if observations else None
    known = ((txa, 13), (txa, 12)) if trigger in _REVISIONS else ((txa, 12),)  # a revision names what it revises
    placer, placed = traced_number("placer", (txa, 14), (orc, 2), (obr, 2))
    filler, filled = traced_number("filler", (txa, 15), (orc, 3), (obr, 3))
    document, documented = traced_number("document", *known)
    people = ((txa, 9), (txa, 5), (txa, 10), (txa, 22), (obx, 16), (obr, 32))
    provider, provided = traced_npi(*people)
    visit, visited = read_visit(received, message.first("PV1"))
    return Evidence(
        about=About.REPORT,
        patient=read_patient(received),
        placer=placer,
        filler=filler,
        document=document,
        visit=visit,
        provider=provider,
        providers=every_npi(received, *people),
        specialty=_specialty(received, obr),
        happened_at=_happened_at(received, txa, obx),
        retracts=retracts,
        conflict=_TWO_ORDERS if _is_disputed(received, txa) else "",
        fields=(*placed, *filled, *documented, *provided, *visited),
    )


def _orders(received: Received, txa: Segment) -> list[Identifier]:
    """The order numbers that the document answers, each once: of TXA-14, which repeats, else of ORC-2 and OBR-2."""
    headed = _headed(txa) or [number_in(segment, 2) for segment in _order_segments(received)]
    unique: dict[str, Identifier] = {}
    for number in headed:
        if number:
            unique.setdefault(number.value, number)
    return list(unique.values())


def _for_order(reading: Reading, placer: Identifier) -> Reading:
    """The same note as the answer to one order of several."""
    assert reading.evidence is not None, "a document is evidence"
    return replace(reading, evidence=replace(reading.evidence, placer=placer))


def _is_disputed(received: Received, txa: Segment) -> bool:
    """Whether TXA-14 and the order segments in front of it name orders that have nothing in common."""
    ordered = {segment.text(2) for segment in _order_segments(received)} - {""}
    headed = {number.value for number in _headed(txa)} if ordered else set()
    return bool(headed) and headed.isdisjoint(ordered)


def _headed(txa: Segment) -> list[Identifier]:
    """The order numbers of TXA-14."""
    repetitions = repetitions_of(txa, 14)
    if len(repetitions) > 1:
        return [number for one in repetitions if (number := number_in(txa.alone(14, one), 14))]
    return [number_in(txa, 14)] if repetitions else []


def _order_segments(received: Received) -> list[Segment]:
    message = received.message
    return [*message.all("ORC")[:REPETITIONS_MAX], *message.all("OBR")[:REPETITIONS_MAX]]


def _specialty(received: Received, obr: Segment | None) -> str:
    feed = received.feed
    return feed.specialty_of(obr.text(4)) if obr is not None and feed.specialties else ""


def _happened_at(received: Received, txa: Segment, obx: Segment | None) -> datetime | None:
    """When the visit was: TXA-4, else when the document was begun, TXA-6, or written down, TXA-7, else OBX-14."""
    told = next((day for field in (4, 6, 7) if (day := received.day(txa.text(field))) is not None), None)
    return told or (received.day(obx.text(14)) if obx is not None else None)
