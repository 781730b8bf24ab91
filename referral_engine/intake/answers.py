"""An order message of a specialist in, their answer to the referral out: accepted, declined, cancellation confirmed."""

from __future__ import annotations

from typing import Final, Literal, assert_never

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.hl7.message import Message, groups
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.tables import AckCode, OrderControl, OrderStatus, lookup
from referral_engine.intake.finality import as_agreed, of_observations, statuses, together
from referral_engine.intake.order_groups import order_groups
from referral_engine.intake.orders import control_reason
from referral_engine.intake.patients import read_patient
from referral_engine.intake.reading import Reading, joined
from referral_engine.intake.received import Received, first_npi, first_number, text_of
from referral_engine.loop.events import CancelConfirmed, Event, ReferralAccepted, ReferralDeclined, ReportReceived
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import Finality

Answer = Literal["accepted", "declined", "cancel confirmed", "nothing", "contradicts itself"]

# fmt: off
_BY_CONTROL: Final[dict[OrderControl, Answer]] = {  # ORC-1, unless ORC-5 says the opposite
    OrderControl.ACCEPTED:                  "accepted",
    OrderControl.UNABLE_TO_ACCEPT:          "declined",
    OrderControl.CANCELLED_BY_FILLER:       "declined",
    OrderControl.DISCONTINUED_BY_FILLER:    "declined",
    OrderControl.CANCEL:                    "declined",
    OrderControl.DISCONTINUE:               "declined",
    OrderControl.CANCELLED_AS_REQUESTED:    "cancel confirmed",
    OrderControl.DISCONTINUED_AS_REQUESTED: "cancel confirmed",
}
_BY_STATUS: Final[dict[OrderStatus, Answer]] = {  # ORC-5, where ORC-1 only says that there is news
    OrderStatus.IN_PROCESS:   "accepted",
    OrderStatus.SCHEDULED:    "accepted",
    OrderStatus.SOME_RESULTS: "accepted",
    OrderStatus.CANCELLED:    "declined",
    OrderStatus.DISCONTINUED: "declined",
    OrderStatus.COMPLETED:    "nothing",  # a note closes a referral, a status never does
}
# fmt: on
_NEWS: Final = frozenset(
    {
        OrderControl.STATUS_CHANGED,
        OrderControl.STATUS_RESPONSE,
        OrderControl.CHANGED_BY_FILLER,
        OrderControl.CHANGE,
        OrderControl.NUMBER_ASSIGNED,
        OrderControl.OBSERVATIONS_FOLLOW,
    }
)
_REFUSED: Final = {  # each of these is for a person: the loop goes on as if nothing had been asked
    OrderControl.UNABLE_TO_CANCEL: "the specialist could not cancel",
    OrderControl.UNABLE_TO_DISCONTINUE: "the specialist could not discontinue",
    OrderControl.UNABLE_TO_CHANGE: "the specialist could not take the change",
    OrderControl.UNABLE_TO_HOLD: "the specialist could not hold",
    OrderControl.UNABLE_TO_RELEASE: "the specialist could not release",
    OrderControl.UNABLE_TO_REPLACE: "the specialist could not replace",
    OrderControl.CONTENT_ERROR: "the specialist reports an error in the order",
    OrderControl.HELD_BY_FILLER: "the specialist holds the order",
}
_OFF: Final = (OrderStatus.CANCELLED, OrderStatus.DISCONTINUED)
_ON: Final = (OrderStatus.IN_PROCESS, OrderStatus.SCHEDULED, OrderStatus.SOME_RESULTS, OrderStatus.COMPLETED)
_CONTRADICTION: Final = "ORC-1 and ORC-5 of the specialist's answer contradict each other"

_TAKEN: Final = (AckCode.APPLICATION_ACCEPT, AckCode.COMMIT_ACCEPT)

_ATTACHED: Final = frozenset(("ED", "RP"))  # OBX-2 of a document; lines of text may be an echo of our own order
_CONSULT_NOTES: Final = frozenset(("11488-4",))  # OBX-3.1, LOINC: nothing that an order of ours would carry
_FINISHED: Final[dict[OrderStatus, Finality]] = {  # 360X: the outcome comes with CM, an interim note with IP
    OrderStatus.COMPLETED: Finality.FINAL,
    OrderStatus.IN_PROCESS: Finality.PRELIMINARY,
    OrderStatus.SOME_RESULTS: Finality.PRELIMINARY,
}


def read_answers(received: Received) -> tuple[Reading, ...]:
    """What an ORM^O01, OMG^O19, OSU^O51, ORR^O02 or ORG^O20 of a specialist says: one reading for each order.

    Raises MessageFault 101 without ORC-1 where it speaks of one order; of several, that one is a person's.
    """
    if len(received.message.all("ORC")) < 2:
        return _read_answer(received)
    found: list[Reading] = []
    alone = order_groups(received.message)
    for one in alone:
        try:
            found += _read_answer(replace(received, message=one))
        except MessageFault as fault:
            found.append(Reading(person=str(fault)))
    unread = len(groups(received.message, ("ORC", "OBR"))) - len(alone)
    if unread:
        found.append(Reading(person=f"answers of the message that were not looked at: {unread}"))
    return tuple(found)


def _read_answer(received: Received) -> tuple[Reading, ...]:
    """The answer of one order, and the document that came with it."""
    message = received.message
    orc, obr = message.first("ORC"), message.first("OBR")
    if orc is None or not orc.text(1):
        raise MessageFault("101", "ORC-1", "an answer that does not say what it is")
    control = lookup(OrderControl, orc.text(1))
    answer, note = _meaning(control, orc.text(5))
    if answer == "accepted" and refuses(message):
        answer, note = "contradicts itself", "MSA-1 refuses what ORC-1 accepts"
    person = note if answer == "contradicts itself" or control in _REFUSED else ""
    evidence = Evidence(
        about=About.ORDER,
        patient=read_patient(received),
        placer=first_number((orc, 2), (obr, 2)),
        filler=first_number((orc, 3), (obr, 3)),
        fields=("placer ORC-2", "filler ORC-3", "patient PID-3"),
    )
    events = _events(received, answer)
    reading = Reading(about=About.ORDER, evidence=evidence, events=events, person=person, note=note)
    attached = [obx for obx in message.all("OBX") if obx.text(2) in _ATTACHED and not obx.is_empty(5)]
    if not attached:
        return (reading,)
    document = _document(received, evidence, lookup(OrderStatus, orc.text(5)), attached)
    if document is None:
        return (replace(reading, person=joined(person, "the specialist's answer carries a document")),)
    return (reading, document) if reading.events else (document,)


def refuses(message: Message) -> bool:
    """Whether an application response (ORR, ORG, RRI) says in MSA-1 that the order was not taken."""
    code = message.value("MSA-1").strip().upper()
    return code != "" and code not in _TAKEN


def _document(
    received: Received, evidence: Evidence, status: OrderStatus | None, attached: list[Segment]
) -> Reading | None:
    """The consult note that came with an answer; None where it may be anything else, such as our own order's letter.

    Source: reference, 1.2 (PCC-57, PCC-59) and 10.1: the two are sent as OMG or as OSU, told apart by ORC-5.
    """
    if status not in _FINISHED or not all(obx.text(3) in _CONSULT_NOTES for obx in attached):
        return None
    message = received.message
    orc, obr = message.first("ORC"), message.first("OBR")
    finality, warning = together(_FINISHED[status], of_observations(received.feed, statuses(attached)))
    finality = as_agreed(received, finality or Finality.PRELIMINARY)
    document = first_number((attached[0], 21), (obr, 3), (orc, 3))
    kind = attached[0].text(3)
    report = replace(
        evidence,
        about=About.REPORT,
        document=document,
        provider=first_npi((attached[0], 16), (obr, 32)),
        happened_at=received.day(text_of(attached[0], 14)) or received.day(text_of(obr, 7)),
        retracts=finality is Finality.RETRACTED,
        document_kind=kind,
        fields=("placer ORC-2", "document OBX-21", "patient PID-3", "status ORC-5"),
    )
    event = ReportReceived(**received.stamp, document=document, finality=finality, kind=kind)
    return Reading(about=About.REPORT, evidence=report, events=(event,), note=warning)


def _meaning(control: OrderControl | None, status: str) -> tuple[Answer, str]:
    """What ORC-1 and ORC-5 say together, and a note where nothing follows."""
    if control is None:
        return "nothing", "ORC-1 is not in table 0119"
    if control in _REFUSED:
        return "nothing", _REFUSED[control]
    known = lookup(OrderStatus, status)
    if control in _BY_CONTROL:
        answer = _BY_CONTROL[control]
        if known in (_OFF if answer == "accepted" else _ON):
            return "contradicts itself", _CONTRADICTION
        return answer, ""
    if control not in _NEWS:
        return "nothing", "ORC-1 asks nothing of the loop"
    answer = _BY_STATUS.get(known, "nothing") if known else "nothing"
    return answer, "ORC-5 moves nothing" if answer == "nothing" else ""


def _events(received: Received, answer: Answer) -> tuple[Event, ...]:
    stamp = received.stamp
    match answer:
        case "accepted":
            return (ReferralAccepted(**stamp),)
        case "declined":
            return (ReferralDeclined(**stamp, reason=control_reason(received.message)),)
        case "cancel confirmed":
            return (CancelConfirmed(**stamp),)
        case "nothing" | "contradicts itself":
            return ()
        case _:
            assert_never(answer)
