"""A result message in, the consult note it carries out: whose it is, how finished, and from when."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.message import Message, groups
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.tables import ObservationStatus
from referral_engine.intake.finality import as_agreed, has_content, of_observations, of_result, statuses, together
from referral_engine.intake.patients import read_patient
from referral_engine.intake.reading import Reading, joined
from referral_engine.intake.received import Received, first_npi, first_number
from referral_engine.loop.events import Event, ReportReceived
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Finality, Identifier

_LEAST_FINISHED_FIRST: Final = (Finality.PRELIMINARY, Finality.CORRECTED, Finality.FINAL, Finality.RETRACTED)


class _Results(msgspec.Struct, frozen=True, kw_only=True):
    """The result groups of one order."""

    orc: Segment | None
    obr: Segment
    codes: tuple[str, ...]  # OBR-25 of each group
    observations: list[Segment]
    others: int = 0  # groups of other orders


def read_report(received: Received) -> Reading:
    """What an ORU^R01 says.

    Raises MessageFault 101 without OBR, or when it calls itself final and carries no OBX-5.
    """
    results = _results(received.message)
    orc, obr = results.orc, results.obr
    observations = results.observations
    codes = statuses(observations)
    every = codes if not results.others else statuses(received.message.all("OBX"))
    wrong_patient = ObservationStatus.WRONG_PATIENT in every
    finality, warning = _finality(received, results.codes, codes)
    if wrong_patient:
        finality = Finality.RETRACTED
    document = first_number((obr, 3), (orc, 3), (observations[0] if observations else None, 21))
    events, why = carried(received, finality, document, observations)
    evidence = Evidence(
        about=About.REPORT,
        patient=read_patient(received),
        placer=first_number((orc, 2), (obr, 2)),
        filler=first_number((orc, 3), (obr, 3)),
        document=document,
        provider=first_npi((obr, 32), (observations[0] if observations else None, 16)),
        specialty=received.feed.specialty_of(obr.text(4)) if received.feed.specialties else "",
        happened_at=_happened_at(received, obr),
        wrong_patient=wrong_patient,
        retracts=finality is Finality.RETRACTED,
    )
    more = f"results of {results.others} other orders in the message were not read" if results.others else ""
    return Reading(about=About.REPORT, evidence=evidence, events=events, note=joined(why, warning, more))


def carried(
    received: Received, finality: Finality | None, document: Identifier, observations: list[Segment]
) -> tuple[tuple[Event, ...], str]:
    """The event of a report, or why there is none: nothing may close a referral without the words that close it.

    Raises MessageFault 101 for a final report without content.
    """
    note = "" if finality is not None else "no status the feed lists: read as not final"
    finality = Finality.PRELIMINARY if finality is None else finality
    if finality is not Finality.RETRACTED and not has_content(observations):
        if finality is Finality.PRELIMINARY:
            return (), "a status without a document"
        raise MessageFault("101", "OBX-5", "a final report that carries nothing")
    return (ReportReceived(**received.stamp, document=document, finality=finality),), note


def _results(message: Message) -> _Results:
    """The first result group and all others of the same order."""
    orc, obr = message.first("ORC"), message.first("OBR")
    if obr is None:
        raise MessageFault("101", "OBR", "a result that names no order")
    if len(message.all("OBR")) == 1:
        return _Results(orc=orc, obr=obr, codes=(obr.text(25),), observations=message.all("OBX"))
    placer = first_number((orc, 2), (obr, 2)).value
    codes: list[str] = []
    observations: list[Segment] = []
    others = 0
    for group in groups(message, ("ORC", "OBR")):
        first = {segment.name: segment for segment in reversed(group)}
        number = first_number((first.get("ORC"), 2), (first.get("OBR"), 2)).value
        if number and placer and number != placer:
            others += 1
            continue
        if "OBR" in first:
            codes.append(first["OBR"].text(25))
        observations += [segment for segment in group if segment.name == "OBX"]
    return _Results(orc=orc, obr=obr, codes=tuple(codes), observations=observations, others=others)


def _finality(
    received: Received, results: tuple[str, ...], observations: tuple[str, ...]
) -> tuple[Finality | None, str]:
    """OBR-25 and OBX-11 together, under the channel's own rule; a warning when they contradict each other."""
    feed = received.feed
    said = {found for code in results if (found := of_result(feed, code)) is not None}
    report = next((one for one in _LEAST_FINISHED_FIRST if one in said), None)
    finality, warning = together(report, of_observations(feed, observations))
    return (None if finality is None else as_agreed(received, finality)), warning


def _happened_at(received: Received, obr: Segment) -> datetime | None:
    """When the visit was: OBR-7, else when the result was made, OBR-22."""
    return received.day(obr.text(7)) or received.day(obr.text(22))
