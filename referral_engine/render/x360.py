"""An order or its cancellation in, the payload of IHE 360X out: OMG^O19 and OSU^O51 in v2.5.1, everything by OID.

No acknowledgment is asked for (NE/NE): the files leave by Direct mail, and whether one arrived is that way's to know.
Which ORC-1 and ORC-5 stand for what is in the channel's file: public descriptions of 360X differ.
"""

from __future__ import annotations

from typing import Final

from referral_engine.base.ident import is_npi, is_oid
from referral_engine.channels.pairs import Pair
from referral_engine.hl7.compose import timestamp
from referral_engine.hl7.message import Message
from referral_engine.hl7.segment import Segment
from referral_engine.loop.effects import ORDERS, Purpose, Send
from referral_engine.loop.referral import Identifier, Patient, PatientId, Provider, Referral
from referral_engine.loop.states import Urgency
from referral_engine.render import segments
from referral_engine.render.carried import own_groups, read_carried
from referral_engine.render.segments import plain
from referral_engine.render.setting import Setting
from referral_engine.render.specialist import to_specialist

PROFILE: Final = "360X"  # MSH-21
VERSION: Final = "2.5.1"  # MSH-12, whatever version the order came in
REFERRAL_NOTE: Final = "57133-1^Referral note^LN"  # OBR-4.1 to OBR-4.3
NPI_OID: Final = "2.16.840.1.113883.4.6"

_PATIENT_GROUP: Final = ("PD1", "PV1", "PV2", "IN1", "IN2", "IN3", "GT1", "AL1")  # in the order of OMG_O19
_PATIENT_FIELDS: Final = 30  # PID of the order, as far as v2.5.1 and its elders agree on it
_NOT_NUMBERS: Final = (2, 4)  # PID fields of the order that other numbers stand in: ours are all in PID-3


def to_360x(send: Send, referral: Referral, setting: Setting) -> bytes:
    """The message: an order, a change or a cancellation in 360X's own words, a question as everybody is asked."""
    if send.purpose in ORDERS or send.purpose is Purpose.ORDER_CHANGE:
        return _order(send, referral, setting)
    if send.purpose is Purpose.CANCEL:
        return _cancellation(referral, setting)
    return to_specialist(send, referral, setting, None)


def referral_number(referral: Referral, setting: Setting) -> str:
    """ORC-2: the EHR's number where an OID says whose it is, else ours; every later message echoes it unchanged."""
    placer = referral.order.placer
    chosen = placer
    if not is_oid(placer.authority):
        chosen = Identifier(value=referral.id, authority=setting.engine.identity.oid)
    return segments.number(chosen)


def _order(send: Send, referral: Referral, setting: Setting) -> bytes:
    """OMG^O19: who the patient is, what is asked for, and everything clinical that the order came with."""
    message = read_carried(setting.source)
    own: list[Segment] = []
    if message is not None:
        dropped = setting.specialist().message.drop_segments
        own = [one for one in own_groups(message.segments, referral.order.placer.value) if one.name not in dropped]
    pairs = setting.specialist().message.pairs
    pair = pairs["change" if send.purpose is Purpose.ORDER_CHANGE else "new"]
    lines = [_header(setting, "OMG^O19^OMG_O19"), _patient(referral.patient, own, setting)]
    lines += [one.raw for name in _PATIENT_GROUP for one in own if one.name == name]
    lines += _asked(referral, setting, pair, message)
    lines += _clinical(own) or _diagnosis(referral)
    return segments.written(lines)


def _cancellation(referral: Referral, setting: Setting) -> bytes:
    """OSU^O51: the referral's number, and why.  Source: HL7 v2.5.1 4.4.8."""
    pair = setting.specialist().message.pairs["cancel"]
    order = referral.order
    reason = plain(setting.reason or "cancelled by the ordering provider")
    control = (
        f"ORC|{pair.control}|{referral_number(referral, setting)}|{segments.number(order.filler)}||{pair.status}"
        f"||||{timestamp(setting.at)}|||{_clinician(order.ordering_provider)}||||^{reason}"
    )
    return segments.written((_header(setting, "OSU^O51^OSU_O51"), _patient(referral.patient, [], setting), control))


def _header(setting: Setting, message_type: str) -> str:
    """MSH: facilities by OID and no applications, times with their offset, no acknowledgment."""
    engine, receiver = setting.engine, setting.specialist().message.receiving_facility
    return (
        f"MSH|^~\\&||{_by_oid(engine.identity.oid)}||{_by_oid(receiver)}|{timestamp(setting.at)}||{message_type}"
        f"|{plain(setting.wire_id)}|{engine.processing_ids[0]}|{VERSION}|||NE|NE||{segments.UTF_8}|||{PROFILE}"
    )


def _by_oid(oid: str) -> str:
    """An HD that is nothing but an OID; as it is, when it is none."""
    return f"^{oid}^ISO" if is_oid(oid) else plain(oid)


def _patient(person: Patient, own: list[Segment], setting: Setting) -> str:
    """PID as the order had it, with every number we know of the patient in PID-3, ours first, each with its OID."""
    came = next((one for one in own if one.name == "PID"), None)
    said = segments.patient(person, setting.authorities, phone=True)
    fields = (said if came is None else came.raw).split("|")[: _PATIENT_FIELDS + 1]
    fields += [""] * (6 - len(fields))
    fields[1] = "1"
    for number in _NOT_NUMBERS:
        fields[number] = ""
    ids = segments.own_ids(person.ids, setting.authorities)
    fields[3] = "~".join(_patient_number(known, setting) for known in ids)
    return "|".join(fields).rstrip("|")


def _patient_number(known: PatientId, setting: Setting) -> str:
    """A CX: the number, and whose it is by name and OID, as far as the feeds say."""
    name, oid = known.authority, setting.oid_of(known.authority)
    if name == oid:
        name = ""
    authority = f"{plain(name)}&{oid}&ISO" if oid else plain(name)
    return f"{plain(known.value.reveal())}^^^{authority}^MR"


def _asked(referral: Referral, setting: Setting, pair: Pair, message: Message | None) -> list[str]:
    """ORC, TQ1 and OBR: which referral, how soon, and what for; OBR-4 says "referral" to any receiver."""
    order = referral.order
    number, filler = referral_number(referral, setting), segments.number(order.filler)
    clinician = _clinician(order.ordering_provider)
    ordered_at = timestamp(order.ordered_at)
    control = f"ORC|{pair.control}|{number}|{filler}||{pair.status}||||{ordered_at}|||{clinician}"
    needed_by = "" if message is None else message.value("TQ1-8.1") or message.value("ORC-7.5")
    urgency = "S" if order.urgency is Urgency.URGENT else "R"
    local = f"{plain(order.service_code)}^{plain(order.service_text)}^L" if order.service_code else ""
    fields = [""] * 32
    fields[0], fields[1], fields[2], fields[3] = "OBR", "1", number, filler
    fields[4] = f"{REFERRAL_NOTE}^{local}".rstrip("^")
    fields[16] = clinician
    fields[28] = _clinician(Provider(number=order.referred_to or setting.specialist().npi))
    fields[31] = _reason(order.diagnosis, message)
    return [control.rstrip("|"), f"TQ1|1|||||||{plain(needed_by)}|{urgency}", "|".join(fields).rstrip("|")]


def _reason(diagnosis: str, message: Message | None) -> str:
    """OBR-31: as the order had it, else the diagnosis."""
    request = None if message is None else message.first("OBR")
    written = "" if request is None else request.field(31)
    return written or plain(diagnosis)


def _clinician(person: Provider) -> str:
    """An XCN; an NPI with the authority that gives them."""
    named = segments.provider(person)
    if not is_npi(person.number):
        return named
    parts = [*named.split("^"), *[""] * 13][:13]
    parts[8], parts[9], parts[12] = f"NPI&{NPI_OID}&ISO", "L", "NPI"
    return "^".join(parts)


def _clinical(own: list[Segment]) -> list[str]:
    """What follows OBR in OMG_O19, as it came: notes on the order, diagnoses, observations with their notes."""
    start = next((at for at, one in enumerate(own) if one.name == "OBR"), len(own))
    behind = own[start + 1 :]
    first = next((at for at, one in enumerate(behind) if one.name == "OBX"), len(behind))
    notes = [one.raw for one in behind[:first] if one.name == "NTE"]
    diagnoses = [one.raw for one in behind if one.name == "DG1"]
    return notes + diagnoses + [one.raw for one in behind[first:] if one.name in ("OBX", "NTE")]


def _diagnosis(referral: Referral) -> list[str]:
    """DG1 of an order that did not come as HL7."""
    return [f"DG1|1||{plain(referral.order.diagnosis)}|||W"] if referral.order.diagnosis else []
