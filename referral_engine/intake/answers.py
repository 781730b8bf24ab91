"""An order message of a specialist in, their answer to the referral out: accepted, declined, cancellation confirmed."""

from __future__ import annotations

from typing import Final, Literal, assert_never

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.tables import OrderControl, OrderStatus, lookup
from referral_engine.intake.orders import control_reason
from referral_engine.intake.patients import read_patient
from referral_engine.intake.reading import Reading, joined
from referral_engine.intake.received import Received, first_number
from referral_engine.loop.events import CancelConfirmed, Event, ReferralAccepted, ReferralDeclined
from referral_engine.loop.matching import About, Evidence

Answer = Literal["accepted", "declined", "cancel confirmed", "nothing"]

# fmt: off
_BY_CONTROL: Final[dict[OrderControl, Answer]] = {  # ORC-1, whatever ORC-5 says
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
    }
)
_REFUSED: Final = {
    OrderControl.UNABLE_TO_CANCEL: "the specialist could not cancel",
    OrderControl.UNABLE_TO_DISCONTINUE: "the specialist could not discontinue",
    OrderControl.UNABLE_TO_CHANGE: "the specialist could not take the change",
    OrderControl.UNABLE_TO_HOLD: "the specialist could not hold",
    OrderControl.UNABLE_TO_RELEASE: "the specialist could not release",
    OrderControl.UNABLE_TO_REPLACE: "the specialist could not replace",
    OrderControl.CONTENT_ERROR: "the specialist reports an error in the order",
    OrderControl.HELD_BY_FILLER: "the specialist holds the order",
}


def read_answer(received: Received) -> Reading:
    """What an ORM^O01 or OMG^O19 of a specialist says; raises MessageFault 101 without ORC-1."""
    message = received.message
    orc, obr = message.first("ORC"), message.first("OBR")
    if orc is None or not orc.text(1):
        raise MessageFault("101", "ORC-1", "an answer that does not say what it is")
    control = lookup(OrderControl, orc.text(1))
    answer, note = _meaning(control, orc.text(5))
    several = "several orders in one message: only the first was read" if len(message.all("ORC")) > 1 else ""
    evidence = Evidence(
        about=About.ORDER,
        patient=read_patient(received),
        placer=first_number((orc, 2), (obr, 2)),
        filler=first_number((orc, 3), (obr, 3)),
    )
    return Reading(about=About.ORDER, evidence=evidence, events=_events(received, answer), note=joined(note, several))


def _meaning(control: OrderControl | None, status: str) -> tuple[Answer, str]:
    """What ORC-1 and ORC-5 say together, and a note where nothing follows."""
    if control is None:
        return "nothing", "ORC-1 is not in table 0119"
    if control in _REFUSED:
        return "nothing", _REFUSED[control]
    if control in _BY_CONTROL:
        return _BY_CONTROL[control], ""
    if control not in _NEWS:
        return "nothing", "ORC-1 asks nothing of the loop"
    known = lookup(OrderStatus, status)
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
        case "nothing":
            return ()
        case _:
            assert_never(answer)
