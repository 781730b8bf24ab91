"""What the ordering side is to know in, the HL7 message for its EHR out: status, appointment, in-basket notice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from referral_engine.channels.pairs import Pair
from referral_engine.hl7.compose import timestamp
from referral_engine.hl7.tables import OrderStatus
from referral_engine.loop.effects import Purpose, Send
from referral_engine.loop.referral import Identifier, Referral, Slot
from referral_engine.render import segments
from referral_engine.render.segments import number, plain
from referral_engine.render.setting import Setting

# fmt: off
# ORC-5 (table 0038) and the sentence in NTE-3 for each status the loop tells; [ehr.pairs] may say other codes.
_STATUSES: Final[Mapping[str, tuple[OrderStatus, str]]] = MappingProxyType({
    "received":            (OrderStatus.IN_PROCESS, "The specialist's office has received the referral."),
    "accepted":            (OrderStatus.IN_PROCESS, "The specialist's office has accepted the referral."),
    "preliminary note":    (OrderStatus.SOME_RESULTS, "A preliminary consult note has come; the final one is awaited."),
    "re-opened":           (OrderStatus.IN_PROCESS, "An earlier status was a mistake: the referral is open."),
    "cancelled":           (OrderStatus.CANCELLED, "The referral is cancelled."),
    "declined":            (OrderStatus.CANCELLED, "The specialist's office declined the referral."),
    "duplicate":           (OrderStatus.CANCELLED, "The referral repeats one that is open and was linked to it."),
    "refused":             (OrderStatus.CANCELLED, "The patient does not want the referral."),
    "not-a-referral":      (OrderStatus.CANCELLED, "The order is not a referral; nothing was sent."),
    "closed-without-note": (OrderStatus.DISCONTINUED, "The referral was closed without a consult note."),
})
_STATUS_CHANGED: Final = "SC"  # ORC-1, table 0119
_OTHER_STATUS: Final = (OrderStatus.IN_PROCESS, "The referral has changed: {about}.")

# MSH-9.2, SCH-25 (table 0278) and SCH-6 for each change of an appointment.
_CHANGES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType({
    "booked":    ("S12", "Booked",    "Appointment booked"),
    "moved":     ("S13", "Booked",    "Appointment rescheduled"),
    "attended":  ("S14", "Complete",  "Patient attended"),
    "cancelled": ("S15", "Cancelled", "Appointment cancelled"),
    "voided":    ("S17", "Deleted",   "Appointment entered in error"),
    "no-show":   ("S26", "Noshow",    "Patient did not attend"),
})

# What an in-basket notice says, by task or by what happened.
_NOTICES: Final[Mapping[str, str]] = MappingProxyType({
    "schedule":             "The referral was sent and no appointment has been booked.",
    "declined":             "The specialist declined the referral. Please choose another specialist.",
    "held":                 "The referral is held until the payer has authorized it. Nothing has been sent yet.",
    "authorization denied": "The payer denied the authorization. The referral was not sent.",
    "authorization denied after sending":
                            "The payer denied the authorization after the referral had been sent.",
    "no-show":              "The patient did not attend the appointment.",
    "taken back":           "An earlier notice about this referral was a mistake. It is taken back.",
    "no note":              "No consult note has come in spite of a request. Please consider another specialist.",
})
# fmt: on

NOTICE_CODE: Final = "REFERRAL-NOTICE^Referral notice^L"  # OBR-4 and OBX-3: no EHR takes it for the consult's result
NOTICE_STATE: Final = "P"  # OBR-25 and OBX-11: never final, so that the notice does not complete the order


def own_header(setting: Setting, message_type: str, told: str, charset: str = segments.UTF_8) -> str:
    """MSH of everything for the EHR."""
    ehr = setting.engine.ehr
    return segments.header(
        setting.engine.identity,
        (ehr.receiving_application, ehr.receiving_facility),
        message_type,
        told=told,
        wire_id=setting.wire_id,
        version=ehr.version,
        processing_id=setting.engine.processing_ids[0],
        charset=charset,
    )


def patient(referral: Referral, setting: Setting) -> str:
    """PID with the EHR's own number first."""
    return segments.patient(referral.patient, setting.authorities)


def status(send: Send, referral: Referral, setting: Setting) -> bytes:
    """Where the referral stands: in ORC-1 and ORC-5 for programs, in ORC-25 and NTE-3 for people.

    ORM^O01 is read everywhere; OSU^O51 says the same without OBR, for an EHR that knows it.
    """
    code, sentence = _STATUSES.get(send.about, _OTHER_STATUS)
    sentence = sentence.replace("{about}", send.about or "see the order")
    ehr = setting.engine.ehr
    version = ehr.version
    pair = ehr.pairs.get(send.about) or Pair(_STATUS_CHANGED, code)
    modifier = f"{plain(send.about)}^^L" if send.about and segments.at_least(version, (2, 4)) else ""
    told = timestamp(setting.at)
    control, request = segments.ordered(
        referral,
        setting.engine.identity,
        pair.control,
        at=told,
        status=pair.status,
        modifier=modifier,
        reported_at=told,
    )
    said = segments.remark(f"{sentence} {setting.reason}".rstrip())
    if ehr.status == "OSU^O51":
        header = own_header(setting, "OSU^O51^OSU_O51", told)
        return segments.written((header, said, patient(referral, setting), control))
    header = own_header(setting, "ORM^O01^ORM_O01", told)
    return segments.written((header, patient(referral, setting), control, request, said))


def appointment(send: Send, referral: Referral, setting: Setting) -> bytes:
    """SIU^S12 to S26: the appointment in force and what became of it; times are the clinic's, with their offset."""
    trigger, state, event = _CHANGES.get(send.about, _CHANGES["booked"])
    version = setting.engine.ehr.version
    slot = referral.slot
    starts = segments.clinic_time(slot.starts_at, setting.zone) if slot is not None else ""
    lines = [
        own_header(setting, f"SIU^{trigger}^SIU_S12", timestamp(setting.at)),
        _schedule(referral, setting, slot, starts, (state, event)),
    ]
    if starts and segments.at_least(version, (2, 5)):
        lines.append(f"TQ1|1||||||{starts}")
    resource = f"AIP|1||{_specialist_number(referral, setting)}"
    lines += [
        patient(referral, setting),
        "RGS|1|A",
        f"AIS|1|A|{segments.service(referral.order)}|{starts}".rstrip("|"),
        *([resource] if not resource.endswith("|") else []),
    ]
    return segments.written(lines)


def _schedule(referral: Referral, setting: Setting, slot: Slot | None, starts: str, said: tuple[str, str]) -> str:
    """SCH; the EHR's order number stands in SCH-26, before v2.4 in SCH-4. SCH-16 and SCH-20 are required."""
    state, event = said
    order = referral.order
    identity = setting.engine.identity
    filler, placer = number(order.filler), number(order.placer)
    newer = segments.at_least(setting.engine.ehr.version, (2, 4))
    timing = f"^^^{starts}" if starts else ""
    linked = f"|{placer}|{filler}" if newer else ""
    group = "" if newer else placer
    contact = _specialist_contact(referral, setting)
    return (
        f"SCH||{_appointment_number(referral, setting, slot)}||{group}||{plain(state.upper())}^{event}^L|||||{timing}"
        f"|||||{contact}||||^{plain(identity.application)}|||||{state}{linked}"
    ).rstrip("|")


def _appointment_number(referral: Referral, setting: Setting, slot: Slot | None) -> str:
    """SCH-2: the specialist's number, else one of ours that stays the same for the slot."""
    if slot is not None and slot.appointment:
        return number(slot.appointment)
    identity = setting.engine.identity
    made = f"{referral.id}-{slot.number if slot is not None else 0}"
    return number(Identifier(value=made, authority=identity.oid or identity.application))


def _specialist_number(referral: Referral, setting: Setting) -> str:
    """AIP-3: the specialist's NPI as ordered, else the channel's."""
    known = setting.channel.npi if setting.channel is not None else ""
    return plain(referral.order.referred_to or known)


def _specialist_contact(referral: Referral, setting: Setting) -> str:
    """SCH-16: whom to ask about the appointment."""
    title = setting.channel.title if setting.channel is not None else referral.channel
    return f"{_specialist_number(referral, setting)}^{plain(title)}".rstrip("^") or "^unknown"


def notice(send: Send, referral: Referral, setting: Setting) -> bytes:
    """ORU^R01 for the ordering provider's in-basket: TX lines that say what happened and what is asked."""
    told = timestamp(setting.at)
    lines = [
        own_header(setting, "ORU^R01^ORU_R01", told),
        patient(referral, setting),
        *segments.ordered(
            referral,
            setting.engine.identity,
            "RE",
            at=told,
            what=NOTICE_CODE,
            observed_at=told,
            reported_at=told,
            result=NOTICE_STATE,
        ),
    ]
    sentences = _sentences(send, referral, setting)
    lines += [segments.text_line(at, NOTICE_CODE, said, NOTICE_STATE) for at, said in enumerate(sentences, 1)]
    return segments.written(lines)


def _sentences(send: Send, referral: Referral, setting: Setting) -> list[str]:
    """The lines of a notice."""
    order = referral.order
    what = order.service_text or order.service_code or "referral"
    placed = f"order {order.placer.value}, " if order.placer else ""
    said = [f"Referral {referral.id} ({placed}{what})."]
    fallback = "The referral needs attention." if send.purpose is Purpose.TASK else "The referral has changed."
    said.append(_NOTICES.get(send.about, fallback))
    if setting.channel is not None:
        said.append(f"Specialist: {setting.channel.title}.")
    slot = referral.slot
    if send.about in ("no-show", "no note") and slot is not None:
        said.append(f"Appointment: {_shown(slot.starts_at, setting)}.")
    if setting.reason:
        said.append(setting.reason)
    return said


def _shown(at: datetime, setting: Setting) -> str:
    """A time for reading: 2026-03-10 09:30 in the clinic's zone."""
    return at.astimezone(setting.zone).strftime("%Y-%m-%d %H:%M")
