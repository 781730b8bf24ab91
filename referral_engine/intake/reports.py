"""A result message in, the consult notes it carries out: whose each is, how finished, and from when."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.hl7.message import Message
from referral_engine.hl7.results import OrderResults, results_by_order
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.tables import ObservationStatus
from referral_engine.intake.finality import as_agreed, of_observations, of_result, statuses, together
from referral_engine.intake.notes import carried
from referral_engine.intake.patients import is_another, read_patient, read_visit
from referral_engine.intake.reading import Reading
from referral_engine.intake.received import Received, every_npi, first_number, traced_npi, traced_number
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Finality, Patient

ORDERS_MAX: Final = 200  # of one message; each is matched by itself
_LEAST_FINISHED_FIRST: Final = (Finality.PRELIMINARY, Finality.CORRECTED, Finality.FINAL, Finality.RETRACTED)
_WRONG_BESIDE: Final = "another result in the message is said to be of the wrong patient"
_TWO_ORDERS: Final = "ORC-2 and OBR-2 name two orders"


def read_report(received: Received) -> tuple[Reading, ...]:
    """What an ORU^R01 says, one reading for each order it has results of, in the message's order.

    Several OBR of one order are one report; an OBR without a number belongs to the one before it.
    Raises MessageFault 101 without OBR, or when a result calls itself final and carries no OBX-5; 102 for more than
    ORDERS_MAX orders, or an attachment that cannot be read; 205 for two patients that cannot be told apart.
    Source: HL7 v2.5.1 7.3.1 (ORU_R01).
    """
    message = received.message
    if message.first("OBR") is None:
        raise MessageFault("101", "OBR", "a result that names no order")
    orders = _orders(message)
    if len(orders) > ORDERS_MAX:
        raise MessageFault("102", "OBR", f"results of more than {ORDERS_MAX} orders")
    patients = _patients(received, orders)
    codes = [statuses(order.all("OBX")) for order in orders]
    wrong = sum(ObservationStatus.WRONG_PATIENT in said for said in codes)
    return tuple(
        _reading(
            received if len(orders) == 1 else _alone(received, order),
            order,
            patient,
            said,
            doubt=_WRONG_BESIDE if wrong and ObservationStatus.WRONG_PATIENT not in said else "",
        )
        for order, patient, said in zip(orders, patients, codes, strict=True)
    )


def _orders(message: Message) -> list[OrderResults]:
    """The results by order; a message with one OBR is not taken apart."""
    orcs, obrs = message.all("ORC"), message.all("OBR")
    if len(obrs) > 1 or len(orcs) > 1 or len(message.all("PID")) > 1:
        return results_by_order(message.segments)
    ordered, requested = (segment.text(2) if segment else "" for segment in (orcs[0] if orcs else None, obrs[0]))
    disputed = bool(ordered) and bool(requested) and ordered != requested
    segments = [*orcs, *obrs, *message.all("OBX")]
    return [OrderResults(patient=message.first("PID"), placer=ordered, disputed=disputed, segments=segments)]


def _patients(received: Received, orders: list[OrderResults]) -> list[Patient]:
    """Whose each order's results are: of several patients in one message, the PID in front of it names the one."""
    pids = received.message.all("PID")
    if len(pids) > 1:
        named = [(order.patient, read_patient(received, order.patient)) for order in orders if order.patient]
        if len(named) == len(orders) and any(is_another(named[0][1], other) for _, other in named[1:]):
            if not all(order.fillers for order in orders):
                raise MessageFault("205", "PID", "results of several patients, and one of them has no number")
            return [patient for _, patient in named]
    return [read_patient(received)] * len(orders)


def _reading(received: Received, order: OrderResults, patient: Patient, codes: tuple[str, ...], doubt: str) -> Reading:
    """One order's results as a report."""
    orcs, requests, observations = order.all("ORC"), order.all("OBR"), order.all("OBX")
    obr = requests[0] if requests else None
    obx = observations[0] if observations else None
    wrong_patient = ObservationStatus.WRONG_PATIENT in codes
    finality, warning = _finality(received, requests, codes)
    if wrong_patient:
        finality = Finality.RETRACTED
    code = obr.text(4) if obr is not None else ""
    ordered, requested = [(orc, 2) for orc in orcs], [(one, 2) for one in requests]
    placer, placed = traced_number("placer", *ordered, *requested)
    ordered, requested = [(orc, 3) for orc in orcs], [(one, 3) for one in requests]
    filler, filled = traced_number("filler", *ordered, *requested)
    document = first_number(*requested, *ordered, (obx, 21))
    people = ((obr, 32), (obx, 16))
    provider, provided = traced_npi(*people)
    visit, visited = read_visit(received, received.message.first("PV1"))
    evidence = Evidence(
        about=About.REPORT,
        patient=patient,
        placer=placer,
        filler=filler,
        document=document,
        visit=visit,
        provider=provider,
        providers=every_npi(received, *people),
        specialty=received.feed.specialty_of(code) if received.feed.specialties else "",
        happened_at=_happened_at(received, obr, obx),
        wrong_patient=wrong_patient,
        retracts=finality is Finality.RETRACTED,
        conflict=doubt or (_TWO_ORDERS if order.disputed else ""),
        fields=(*placed, *filled, *provided, *visited),
    )
    kinds = (code, obx.text(3) if obx is not None else "")
    return carried(received, evidence, finality, observations, document=document, kinds=kinds, notes=(warning,))


def _finality(
    received: Received, requests: list[Segment], observations: tuple[str, ...]
) -> tuple[Finality | None, str]:
    """OBR-25 and OBX-11 together, under the channel's own rule; a warning when they contradict each other."""
    feed = received.feed
    said = {found for obr in requests if (found := of_result(feed, obr.text(25))) is not None}
    report = next((one for one in _LEAST_FINISHED_FIRST if one in said), None)
    finality, warning = together(report, of_observations(feed, observations))
    return (None if finality is None else as_agreed(received, finality)), warning


def _happened_at(received: Received, obr: Segment | None, obx: Segment | None) -> datetime | None:
    """When the visit was: OBR-7, else when the result was made, OBR-22, else when it was observed, OBX-14."""
    made = (received.day(obr.text(7)) or received.day(obr.text(22))) if obr is not None else None
    return made or (received.day(obx.text(14)) if obx is not None else None)


def _alone(received: Received, order: OrderResults) -> Received:
    """The message as if this order had come alone, where the channel's own rule asks for fields of it."""
    channel = received.party.channel
    if channel is None or channel.replies.final_when is None:
        return received
    message = received.message
    header = [segment.raw for segment in message.segments[:1]]
    patient = [order.patient.raw] if order.patient is not None else []
    raw = "\r".join([*header, *patient, *(segment.raw for segment in order.segments)]).encode(
        message.charset, "replace"
    )
    return replace(received, message=Message.parse(raw, charset=message.charset, lf_ends_segments=False))
