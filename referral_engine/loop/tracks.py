"""The transition tables: one literal table a track, `(state, cause) -> state`; nothing else moves a referral."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from referral_engine.loop.states import Appointment, Authorization, Closure, Dispatch, Note, Outreach, State


class Cause(StrEnum):
    """What can move a track; `loop.causes` reads it off an event."""

    AUTHORIZATION_REQUIRED = "authorization required"
    AUTHORIZATION_REQUESTED = "authorization requested"
    AUTHORIZATION_APPROVED = "authorization approved"
    AUTHORIZATION_DENIED = "authorization denied"
    AUTHORIZATION_EXPIRED = "authorization expired"
    AUTHORIZATION_WAIVED = "authorization waived"
    AUTHORIZATION_COVERS = "authorization covers the visit"
    DENIAL_OVERRULED = "denial overruled"
    RELEASED = "released"
    HELD_AGAIN = "held again"
    OUTRAN_HOLD = "packet had left already"
    PACKET_SENT = "packet sent"
    PACKET_RECEIVED = "packet received"
    PACKET_FAILED = "packet failed"
    FALLBACK = "fallback taken"
    ACCEPTED = "accepted"
    FOUND = "found at the office"
    DECLINED = "declined"
    PROMPT_QUEUED = "prompt queued"
    PROMPT_DELIVERED = "prompt delivered"
    NO_WAY_TO_REACH = "no way to reach"
    PATIENT_REACHED = "patient reached"
    OPTED_OUT = "opted out"
    OPTED_IN = "opted in"
    BOOKED = "booked"
    UNBOOKED = "appointment cancelled"
    VOIDED = "appointment voided"
    MISSED = "no-show"
    VISIT_TIME_PASSED = "visit time passed"
    ATTENDED = "attended"
    NOTE_REQUESTED = "note requested"
    NOTE_PRELIMINARY = "preliminary note"
    NOTE_FINAL = "final note"
    NOTE_CORRECTED = "corrected note"
    NOTE_RETRACTED = "note retracted"
    CLOSURE_ACCEPTED = "closure accepted"
    CANCEL_ASKED = "cancel asked"
    CANCEL_CONFIRMED = "cancel confirmed"
    CANCELLED_UNSENT = "cancelled before sending"
    ENDED = "ended"
    REOPENED = "re-opened"


C = Cause
Table = Mapping[tuple[State, Cause], State]

# fmt: off
AUTHORIZATION: Final[Table] = {
    (Authorization.NOT_REQUIRED, C.AUTHORIZATION_REQUIRED):  Authorization.REQUIRED,
    (Authorization.NOT_REQUIRED, C.AUTHORIZATION_REQUESTED): Authorization.PENDING,
    (Authorization.NOT_REQUIRED, C.AUTHORIZATION_APPROVED):  Authorization.APPROVED,
    (Authorization.NOT_REQUIRED, C.AUTHORIZATION_DENIED):    Authorization.DENIED,
    (Authorization.REQUIRED,     C.AUTHORIZATION_REQUESTED): Authorization.PENDING,
    (Authorization.REQUIRED,     C.AUTHORIZATION_APPROVED):  Authorization.APPROVED,
    (Authorization.REQUIRED,     C.AUTHORIZATION_DENIED):    Authorization.DENIED,
    (Authorization.REQUIRED,     C.AUTHORIZATION_WAIVED):    Authorization.NOT_REQUIRED,
    (Authorization.PENDING,      C.AUTHORIZATION_REQUESTED): Authorization.PENDING,
    (Authorization.PENDING,      C.AUTHORIZATION_APPROVED):  Authorization.APPROVED,
    (Authorization.PENDING,      C.AUTHORIZATION_DENIED):    Authorization.DENIED,
    (Authorization.PENDING,      C.AUTHORIZATION_WAIVED):    Authorization.NOT_REQUIRED,
    (Authorization.APPROVED,     C.AUTHORIZATION_REQUIRED):  Authorization.REQUIRED,
    (Authorization.APPROVED,     C.AUTHORIZATION_REQUESTED): Authorization.PENDING,
    (Authorization.APPROVED,     C.AUTHORIZATION_APPROVED):  Authorization.APPROVED,
    (Authorization.APPROVED,     C.AUTHORIZATION_DENIED):    Authorization.DENIED,
    (Authorization.APPROVED,     C.AUTHORIZATION_EXPIRED):   Authorization.EXPIRED,
    (Authorization.DENIED,       C.AUTHORIZATION_APPROVED):  Authorization.APPROVED,
    (Authorization.DENIED,       C.DENIAL_OVERRULED):        Authorization.NOT_REQUIRED,
    (Authorization.EXPIRED,      C.AUTHORIZATION_REQUIRED):  Authorization.REQUIRED,
    (Authorization.EXPIRED,      C.AUTHORIZATION_REQUESTED): Authorization.PENDING,
    (Authorization.EXPIRED,      C.AUTHORIZATION_APPROVED):  Authorization.APPROVED,
    (Authorization.EXPIRED,      C.AUTHORIZATION_DENIED):    Authorization.DENIED,
    (Authorization.EXPIRED,      C.AUTHORIZATION_WAIVED):    Authorization.NOT_REQUIRED,
    (Authorization.EXPIRED,      C.AUTHORIZATION_COVERS):    Authorization.APPROVED,
}

DISPATCH: Final[Table] = {
    (Dispatch.HELD,          C.RELEASED):        Dispatch.QUEUED,
    (Dispatch.HELD,          C.OUTRAN_HOLD):     Dispatch.RECEIVED,
    (Dispatch.HELD,          C.ACCEPTED):        Dispatch.ACCEPTED,
    (Dispatch.HELD,          C.FOUND):           Dispatch.ACCEPTED,
    (Dispatch.HELD,          C.DECLINED):        Dispatch.DECLINED,
    (Dispatch.QUEUED,        C.HELD_AGAIN):      Dispatch.HELD,
    (Dispatch.QUEUED,        C.PACKET_SENT):     Dispatch.SENT,
    (Dispatch.QUEUED,        C.PACKET_RECEIVED): Dispatch.RECEIVED,
    (Dispatch.QUEUED,        C.PACKET_FAILED):   Dispatch.UNDELIVERABLE,
    (Dispatch.QUEUED,        C.FALLBACK):        Dispatch.QUEUED,
    (Dispatch.QUEUED,        C.ACCEPTED):        Dispatch.ACCEPTED,
    (Dispatch.QUEUED,        C.DECLINED):        Dispatch.DECLINED,
    (Dispatch.SENT,          C.PACKET_SENT):     Dispatch.SENT,
    (Dispatch.SENT,          C.PACKET_RECEIVED): Dispatch.RECEIVED,
    (Dispatch.SENT,          C.PACKET_FAILED):   Dispatch.UNDELIVERABLE,
    (Dispatch.SENT,          C.FALLBACK):        Dispatch.QUEUED,
    (Dispatch.SENT,          C.ACCEPTED):        Dispatch.ACCEPTED,
    (Dispatch.SENT,          C.DECLINED):        Dispatch.DECLINED,
    (Dispatch.RECEIVED,      C.PACKET_RECEIVED): Dispatch.RECEIVED,
    (Dispatch.RECEIVED,      C.ACCEPTED):        Dispatch.ACCEPTED,
    (Dispatch.RECEIVED,      C.DECLINED):        Dispatch.DECLINED,
    (Dispatch.ACCEPTED,      C.PACKET_RECEIVED): Dispatch.ACCEPTED,
    (Dispatch.ACCEPTED,      C.ACCEPTED):        Dispatch.ACCEPTED,
    (Dispatch.ACCEPTED,      C.DECLINED):        Dispatch.DECLINED,
    (Dispatch.UNDELIVERABLE, C.RELEASED):        Dispatch.QUEUED,
    (Dispatch.UNDELIVERABLE, C.PACKET_SENT):     Dispatch.SENT,
    (Dispatch.UNDELIVERABLE, C.PACKET_RECEIVED): Dispatch.RECEIVED,
    (Dispatch.UNDELIVERABLE, C.FALLBACK):        Dispatch.QUEUED,
    (Dispatch.UNDELIVERABLE, C.ACCEPTED):        Dispatch.ACCEPTED,
    (Dispatch.UNDELIVERABLE, C.DECLINED):        Dispatch.DECLINED,
}

OUTREACH: Final[Table] = {
    (Outreach.NOT_DUE,      C.PROMPT_QUEUED):    Outreach.QUEUED,
    (Outreach.NOT_DUE,      C.NO_WAY_TO_REACH):  Outreach.UNREACHABLE,
    (Outreach.NOT_DUE,      C.PATIENT_REACHED):  Outreach.ACKNOWLEDGED,
    (Outreach.NOT_DUE,      C.OPTED_OUT):        Outreach.OPTED_OUT,
    (Outreach.QUEUED,       C.PROMPT_DELIVERED): Outreach.NOTIFIED,
    (Outreach.QUEUED,       C.NO_WAY_TO_REACH):  Outreach.UNREACHABLE,
    (Outreach.QUEUED,       C.PATIENT_REACHED):  Outreach.ACKNOWLEDGED,
    (Outreach.QUEUED,       C.OPTED_OUT):        Outreach.OPTED_OUT,
    (Outreach.NOTIFIED,     C.PROMPT_DELIVERED): Outreach.NOTIFIED,
    (Outreach.NOTIFIED,     C.NO_WAY_TO_REACH):  Outreach.UNREACHABLE,
    (Outreach.NOTIFIED,     C.PATIENT_REACHED):  Outreach.ACKNOWLEDGED,
    (Outreach.NOTIFIED,     C.OPTED_OUT):        Outreach.OPTED_OUT,
    (Outreach.ACKNOWLEDGED, C.NO_WAY_TO_REACH):  Outreach.UNREACHABLE,
    (Outreach.ACKNOWLEDGED, C.OPTED_OUT):        Outreach.OPTED_OUT,
    (Outreach.UNREACHABLE,  C.PROMPT_DELIVERED): Outreach.NOTIFIED,
    (Outreach.UNREACHABLE,  C.PATIENT_REACHED):  Outreach.ACKNOWLEDGED,
    (Outreach.UNREACHABLE,  C.OPTED_OUT):        Outreach.OPTED_OUT,
    (Outreach.OPTED_OUT,    C.OPTED_IN):         Outreach.ACKNOWLEDGED,
    (Outreach.OPTED_OUT,    C.OPTED_OUT):        Outreach.OPTED_OUT,
    (Outreach.OPTED_OUT,    C.PATIENT_REACHED):  Outreach.OPTED_OUT,
}

APPOINTMENT: Final[Table] = {
    (Appointment.NONE,      C.BOOKED):            Appointment.BOOKED,
    (Appointment.NONE,      C.MISSED):            Appointment.NO_SHOW,
    (Appointment.NONE,      C.ATTENDED):          Appointment.KEPT,
    (Appointment.BOOKED,    C.BOOKED):            Appointment.BOOKED,
    (Appointment.BOOKED,    C.UNBOOKED):          Appointment.CANCELLED,
    (Appointment.BOOKED,    C.VOIDED):            Appointment.NONE,
    (Appointment.BOOKED,    C.MISSED):            Appointment.NO_SHOW,
    (Appointment.BOOKED,    C.VISIT_TIME_PASSED): Appointment.PASSED,
    (Appointment.BOOKED,    C.ATTENDED):          Appointment.KEPT,
    (Appointment.CANCELLED, C.BOOKED):            Appointment.BOOKED,
    (Appointment.CANCELLED, C.UNBOOKED):          Appointment.CANCELLED,
    (Appointment.CANCELLED, C.VOIDED):            Appointment.NONE,
    (Appointment.CANCELLED, C.ATTENDED):          Appointment.KEPT,
    (Appointment.NO_SHOW,   C.BOOKED):            Appointment.BOOKED,
    (Appointment.NO_SHOW,   C.UNBOOKED):          Appointment.CANCELLED,
    (Appointment.NO_SHOW,   C.VOIDED):            Appointment.NONE,
    (Appointment.NO_SHOW,   C.ATTENDED):          Appointment.KEPT,
    (Appointment.PASSED,    C.BOOKED):            Appointment.BOOKED,
    (Appointment.PASSED,    C.UNBOOKED):          Appointment.CANCELLED,
    (Appointment.PASSED,    C.VOIDED):            Appointment.NONE,
    (Appointment.PASSED,    C.MISSED):            Appointment.NO_SHOW,
    (Appointment.PASSED,    C.ATTENDED):          Appointment.KEPT,
    (Appointment.KEPT,      C.BOOKED):            Appointment.BOOKED,
    (Appointment.KEPT,      C.VOIDED):            Appointment.NONE,
    (Appointment.KEPT,      C.ATTENDED):          Appointment.KEPT,
}

NOTE: Final[Table] = {
    (Note.NONE,      C.NOTE_REQUESTED):   Note.REQUESTED,
    (Note.NONE,      C.NOTE_PRELIMINARY): Note.INTERIM,
    (Note.NONE,      C.NOTE_FINAL):       Note.FINAL,
    (Note.NONE,      C.NOTE_CORRECTED):   Note.CORRECTED,
    (Note.REQUESTED, C.NOTE_PRELIMINARY): Note.INTERIM,
    (Note.REQUESTED, C.NOTE_FINAL):       Note.FINAL,
    (Note.REQUESTED, C.NOTE_CORRECTED):   Note.CORRECTED,
    (Note.REQUESTED, C.NOTE_RETRACTED):   Note.RETRACTED,
    (Note.INTERIM,   C.NOTE_REQUESTED):   Note.REQUESTED,
    (Note.INTERIM,   C.NOTE_PRELIMINARY): Note.INTERIM,
    (Note.INTERIM,   C.NOTE_FINAL):       Note.FINAL,
    (Note.INTERIM,   C.NOTE_CORRECTED):   Note.CORRECTED,
    (Note.INTERIM,   C.NOTE_RETRACTED):   Note.RETRACTED,
    (Note.FINAL,     C.NOTE_FINAL):       Note.FINAL,
    (Note.FINAL,     C.NOTE_CORRECTED):   Note.CORRECTED,
    (Note.FINAL,     C.NOTE_RETRACTED):   Note.RETRACTED,
    (Note.CORRECTED, C.NOTE_FINAL):       Note.CORRECTED,
    (Note.CORRECTED, C.NOTE_CORRECTED):   Note.CORRECTED,
    (Note.CORRECTED, C.NOTE_RETRACTED):   Note.RETRACTED,
    (Note.RETRACTED, C.NOTE_REQUESTED):   Note.REQUESTED,
    (Note.RETRACTED, C.NOTE_PRELIMINARY): Note.INTERIM,
    (Note.RETRACTED, C.NOTE_FINAL):       Note.FINAL,
    (Note.RETRACTED, C.NOTE_CORRECTED):   Note.CORRECTED,
    (Note.RETRACTED, C.NOTE_RETRACTED):   Note.RETRACTED,
}

CLOSURE: Final[Table] = {
    (Closure.OPEN,             C.NOTE_FINAL):       Closure.CLOSING,
    (Closure.OPEN,             C.NOTE_CORRECTED):   Closure.CLOSING,
    (Closure.OPEN,             C.CANCEL_ASKED):     Closure.CANCEL_REQUESTED,
    (Closure.OPEN,             C.CANCELLED_UNSENT): Closure.ENDED,
    (Closure.OPEN,             C.CANCEL_CONFIRMED): Closure.ENDED,
    (Closure.OPEN,             C.DECLINED):         Closure.ENDED,
    (Closure.OPEN,             C.ENDED):            Closure.ENDED,
    (Closure.CLOSING,          C.NOTE_FINAL):       Closure.CLOSING,
    (Closure.CLOSING,          C.NOTE_CORRECTED):   Closure.CLOSING,
    (Closure.CLOSING,          C.NOTE_RETRACTED):   Closure.OPEN,
    (Closure.CLOSING,          C.CLOSURE_ACCEPTED): Closure.CLOSED,
    (Closure.CLOSED,           C.NOTE_FINAL):       Closure.CLOSED,
    (Closure.CLOSED,           C.NOTE_CORRECTED):   Closure.CLOSED,
    (Closure.CLOSED,           C.NOTE_RETRACTED):   Closure.OPEN,
    (Closure.CLOSED,           C.CLOSURE_ACCEPTED): Closure.CLOSED,
    (Closure.CANCEL_REQUESTED, C.NOTE_FINAL):       Closure.CLOSING,
    (Closure.CANCEL_REQUESTED, C.NOTE_CORRECTED):   Closure.CLOSING,
    (Closure.CANCEL_REQUESTED, C.CANCEL_ASKED):     Closure.CANCEL_REQUESTED,
    (Closure.CANCEL_REQUESTED, C.CANCEL_CONFIRMED): Closure.ENDED,
    (Closure.CANCEL_REQUESTED, C.DECLINED):         Closure.ENDED,
    (Closure.CANCEL_REQUESTED, C.ENDED):            Closure.ENDED,
    (Closure.CANCEL_REQUESTED, C.REOPENED):         Closure.OPEN,
    (Closure.ENDED,            C.NOTE_FINAL):       Closure.CLOSING,
    (Closure.ENDED,            C.NOTE_CORRECTED):   Closure.CLOSING,
    (Closure.ENDED,            C.REOPENED):         Closure.OPEN,
}

# Rows that are taken although no plan has them: real life needs them, so they are marked on the timeline.
OFF_PATH: Final = frozenset({
    (Dispatch.HELD, C.ACCEPTED), (Dispatch.HELD, C.OUTRAN_HOLD),
    (Dispatch.UNDELIVERABLE, C.PACKET_RECEIVED), (Dispatch.UNDELIVERABLE, C.ACCEPTED),
    (Appointment.NONE, C.MISSED), (Appointment.NONE, C.ATTENDED), (Appointment.CANCELLED, C.ATTENDED),
    (Appointment.NO_SHOW, C.ATTENDED), (Closure.ENDED, C.NOTE_FINAL), (Closure.ENDED, C.NOTE_CORRECTED),
})
# fmt: on

TABLES: Final[Mapping[str, Table]] = {
    "authorization": AUTHORIZATION,
    "dispatch": DISPATCH,
    "outreach": OUTREACH,
    "appointment": APPOINTMENT,
    "note": NOTE,
    "closure": CLOSURE,
}

# Which causes a track has an opinion on; a cause with no row from where the track stands is an anomaly.
CONCERNS: Final[Mapping[str, frozenset[Cause]]] = {
    track: frozenset(cause for _, cause in table) for track, table in TABLES.items()
}

# Causes that say nothing new from these states: taken in silence, not an anomaly.
SILENT: Final = frozenset(
    {(Dispatch.DECLINED, C.PACKET_RECEIVED), (Dispatch.DECLINED, C.PACKET_SENT), (Dispatch.DECLINED, C.PACKET_FAILED)}
    | {(Dispatch.DECLINED, cause) for cause in (C.RELEASED, C.FALLBACK, C.DECLINED)}
    | {(state, C.RELEASED) for state in (Dispatch.QUEUED, Dispatch.SENT, Dispatch.RECEIVED, Dispatch.ACCEPTED)}
    | {(state, cause) for state in (Dispatch.RECEIVED, Dispatch.ACCEPTED) for cause in (C.PACKET_SENT, C.FALLBACK)}
    | {(state, cause) for state in (Dispatch.HELD,) for cause in (C.PACKET_SENT, C.PACKET_RECEIVED, C.PACKET_FAILED)}
    | {(state, C.PACKET_FAILED) for state in (Dispatch.RECEIVED, Dispatch.ACCEPTED, Dispatch.UNDELIVERABLE)}
    | {(Dispatch.HELD, C.FALLBACK)}
    | {(state, C.HELD_AGAIN) for state in Dispatch if state is not Dispatch.QUEUED}
    | {(state, C.OUTRAN_HOLD) for state in Dispatch if state is not Dispatch.HELD}
    | {(state, C.FOUND) for state in Dispatch if state is not Dispatch.HELD}
    | {(state, cause) for state in Outreach for cause in CONCERNS["outreach"] if (state, cause) not in OUTREACH}
    | {(state, C.NOTE_REQUESTED) for state in (Note.REQUESTED, Note.FINAL, Note.CORRECTED)}
    | {(state, C.VISIT_TIME_PASSED) for state in Appointment if state is not Appointment.BOOKED}
    | {(Appointment.NO_SHOW, C.MISSED)}
    | {(state, C.CLOSURE_ACCEPTED) for state in (Closure.OPEN, Closure.CANCEL_REQUESTED, Closure.ENDED)}
    | {(state, C.NOTE_RETRACTED) for state in (Closure.OPEN, Closure.CANCEL_REQUESTED, Closure.ENDED)}
    | {(Closure.ENDED, cause) for cause in (C.CANCEL_ASKED, C.CANCEL_CONFIRMED, C.CANCELLED_UNSENT, C.ENDED)}
    | {(Closure.ENDED, C.DECLINED), (Closure.OPEN, C.REOPENED), (Closure.CANCEL_REQUESTED, C.CANCELLED_UNSENT)}
    | {
        (state, cause)
        for state in Authorization
        for cause in CONCERNS["authorization"]
        if (state, cause) not in AUTHORIZATION and cause is not C.AUTHORIZATION_DENIED
    }
    - {(Authorization.DENIED, C.AUTHORIZATION_WAIVED)}  # a denial is answered by a new authorization only
    | {(Authorization.DENIED, C.AUTHORIZATION_DENIED)}
)
