"""One sentence an event for the timeline; it names no patient's value and quotes no free text."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never
from zoneinfo import ZoneInfo

from referral_engine.loop.events import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentVoided,
    AuthorizationRecorded,
    CancelConfirmed,
    CancelRequested,
    ClocksMigrated,
    DeadlinePassed,
    DeliverySettled,
    Event,
    EvidenceUndone,
    HoldReleased,
    MatchConfirmed,
    OrderChanged,
    PatientAnswered,
    PatientAttended,
    PatientMissed,
    PatientsMerged,
    PatientUpdated,
    ReferralAccepted,
    ReferralDeclined,
    ReferralEnded,
    ReferralOrdered,
    ReportReceived,
    TaskClosed,
)
from referral_engine.loop.rules import Decision


def summary(event: Event, decision: Decision, zone: ZoneInfo) -> str:
    """What happened, then what it moved, then what was odd about it."""
    moved = ", ".join(
        f"{move.track} {move.source.value} -> {move.target.value}"
        for move in decision.moves
        if move.source != move.target
    )
    parts = [told(event, zone)]
    if moved:
        parts.append(f"({moved})")
    parts += [f"[{sentence}]" for sentence in decision.anomalies]
    return " ".join(parts)


def told(event: Event, zone: ZoneInfo) -> str:  # one arm an event
    """The event in plain words."""
    match event:
        case ReferralOrdered():
            if event.found:
                return "Made by a person from evidence; the office has the patient already"
            return "A second order for an open referral" if event.duplicate_of else "Ordered by the EHR"
        case OrderChanged():
            return "The order was changed"
        case CancelRequested():
            return "The EHR asked to cancel"
        case CancelConfirmed():
            return "The cancellation was confirmed"
        case ReferralAccepted():
            return "The specialist accepted"
        case ReferralDeclined():
            return "The specialist declined"
        case AppointmentBooked():
            return f"Appointment booked for {wall(event.starts_at, zone)}"
        case AppointmentCancelled():
            return "The appointment was cancelled"
        case AppointmentVoided():
            return "The appointment was an error"
        case PatientMissed():
            return "The patient did not come"
        case PatientAttended():
            return "The patient came"
        case ReportReceived():
            return f"A {event.finality.value} note"
        case PatientUpdated():
            return "Demographics updated"
        case PatientsMerged():
            return "The patient's record number was merged"
        case DeliverySettled():
            return f"To {event.to.value}: {event.purpose.value} {event.outcome.value}"
        case DeadlinePassed():
            return f"The clock {event.kind.value} ran out"
        case AuthorizationRecorded():
            return "Authorization approved" if event.approved else "Authorization denied"
        case HoldReleased():
            denied = ", although the payer denied it" if event.waives_denial else ""
            return f"Released from the hold by a person{denied}"
        case PatientAnswered():
            return f"The patient answered {event.answer.value}"
        case ReferralEnded():
            return f"Ended: {event.ending}"
        case TaskClosed():
            return f"Task {event.kind.value} done"
        case MatchConfirmed():
            return f"Confirmed: message {event.message} is this referral's"
        case EvidenceUndone():
            named = ", ".join(map(str, event.taken_back))
            return f"Undone: what message{'s' if len(event.taken_back) > 1 else ''} {named} said of this referral"
        case ClocksMigrated():
            return "Its clocks are those of the configuration in force from now on"
        case _:
            assert_never(event)


def wall(instant: datetime, zone: ZoneInfo) -> str:
    """An instant as the clinic's wall clock shows it."""
    return instant.astimezone(zone).strftime("%a %d %b %Y %H:%M %Z")
