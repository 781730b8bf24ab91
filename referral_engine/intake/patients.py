"""PID and what stands around it in, the patient out: numbers, name, birth, telephone, consent."""

from __future__ import annotations

from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.ident import Phi
from referral_engine.hl7.encoding import Delimiters
from referral_engine.hl7.message import Message
from referral_engine.hl7.path import read_path
from referral_engine.hl7.segment import Segment, text_in
from referral_engine.intake.received import (
    NO_NUMBER,
    REPETITIONS_MAX,
    Received,
    parts_of,
    repetitions_of,
    split_parts,
    split_repetitions,
)
from referral_engine.loop.referral import Identifier, Patient, PatientId

PHONE_LENGTH_MAX: Final = 64  # stops a letter from being read as a telephone number
E164_DIGITS_MAX: Final = 15
E164_DIGITS_MIN: Final = 8
_UNKNOWN: Final = Phi("")

# Table 0203: numbers of a visit, an account, an insurance or a document say nothing sure about which record it is.
# fmt: off
_NO_RECORD_NUMBERS: Final = frozenset((
    "AN", "ANON", "ANT", "VN", "SS", "SSN", "DL", "MB", "MC", "MA", "MCD", "MCR", "PPN", "BC", "CC",
))
_MOBILE: Final = frozenset(("CP", "MOB", "MOBILE", "CELL", "CELLPHONE", "CELLULAR"))  # XTN-3; really sent in XTN-2
_NOT_TO_CALL: Final = frozenset(("FX", "FAX", "BP", "BPN", "MD", "NET", "EMR", "INTERNET"))  # EMR is somebody else's
_LANGUAGES: Final = {  # PID-15 is the sender's own table; two letters are what templates are named by
    "eng": "en", "english": "en", "spa": "es", "esp": "es", "spanish": "es", "fra": "fr", "fre": "fr", "french": "fr",
    "vietnamese": "vi", "chi": "zh", "zho": "zh", "chinese": "zh", "rus": "ru", "russian": "ru",
    "ara": "ar", "arabic": "ar", "pol": "pl", "polish": "pl", "kor": "ko", "korean": "ko", "ger": "de", "deu": "de",
}
# fmt: on


def read_patient(received: Received, pid: Segment | None = None) -> Patient:
    """Whom the message is about, as far as it says; how to reach them is read from the ordering side only.

    pid: one of several in a message that speaks of several patients; what stands outside it, such as consent, is then
    nobody's. None: the only one there should be; MessageFault 205 when others beside it name another patient.
    Source: HL7 v2.5.1 3.4.2 (PID); the feed says where numbers, language and consent stand.
    """
    message, feed = received.message, received.feed
    chosen = _only_pid(received) if pid is None else pid
    if chosen is None:
        return Patient()
    if received.party.kind != "ehr":
        return _described(received, chosen)
    pid_fields, delimiters = chosen.fields(), chosen.delimiters
    family, given = _name(pid_fields[5], delimiters)
    phone, is_mobile = read_phone(pid_fields, delimiters)
    died_on = pid_fields[29]
    whole = pid is None
    return Patient(
        ids=read_patient_ids(received, chosen),
        family=Phi(family),
        given=Phi(given),
        born_on=Phi(_date(pid_fields[7], delimiters)),
        sex=Phi(text_in(pid_fields[8], delimiters)),
        phone=Phi(phone),
        phone_is_mobile=is_mobile,
        language=_language(message, feed.language) if whole else "",
        sms_consent=whole and feed.sms_consent is not None and feed.sms_consent.matches(message),
        portal=whole and feed.portal is not None and feed.portal.matches(message),
        deceased=text_in(pid_fields[30], delimiters).upper() == "Y" or bool(text_in(died_on, delimiters)),
        died_on=Phi(_date(died_on, delimiters)) if died_on else _UNKNOWN,
    )


def is_another(one: Patient, other: Patient) -> bool:
    """Whether two PID segments name two patients: no record number in common, or another name and another birth date.

    Where one of them has no record number, name and birth date must be known and the same.
    """
    names = one.family.agrees(other.family) and one.given.agrees(other.given)
    dates = one.born_on.agrees(other.born_on)
    if not (one.ids and other.ids):
        return not (names and dates)
    known = one.family and other.family and one.born_on and other.born_on
    return set(one.ids).isdisjoint(other.ids) or bool(known and not names and not dates)


def read_patient_ids(received: Received, pid: Segment) -> tuple[PatientId, ...]:
    """The record numbers of one patient, from the first of the feed's `patient_numbers` that holds any."""
    for path in received.feed.patient_numbers:
        place = read_path(path)
        if place is None:
            continue
        segment = pid if place.segment == "PID" else received.message.first(place.segment)
        if segment is not None and (found := read_ids(received, segment, place.field)):
            return found
    return ()


def read_ids(received: Received, segment: Segment, field: int) -> tuple[PatientId, ...]:
    """The record numbers of a CX field, exactly as sent, those of the feed's own authority first.

    Authority is CX.4.1, else CX.4.2, under the name that the feed's file gives it; an MR without one, or a lone number
    without type and authority, has the feed's.
    A specialist's feed has none: their own numbers must never pass for ours.
    """
    usual = "" if received.party.kind == "specialist" else received.feed.patient_authority
    delimiters = segment.delimiters
    repetitions = split_repetitions(segment.field(field), delimiters)
    found: dict[tuple[str, str], PatientId] = {}
    for repetition in repetitions:
        value, _, _, assigner, kind, *_ = *split_parts(repetition, delimiters), "", "", "", ""
        kind = kind.upper()
        if not value or kind in _NO_RECORD_NUMBERS:
            continue
        authority = _authority(received, segment, assigner) if assigner else ""
        if not authority and (kind == "MR" or (not kind and len(repetitions) == 1)):
            authority = usual
        if (authority, value) not in found:
            found[authority, value] = PatientId(value=Phi(value), authority=authority)
    if len(found) > 1:
        return tuple(sorted(found.values(), key=lambda known: known.authority != usual))
    return tuple(found.values())


def read_visit(received: Received, visit: Segment | None) -> tuple[Identifier, tuple[str, ...]]:
    """The number of the visit, from the first of the feed's `visit_numbers` that holds one, and where it stood.

    visit: the PV1 to look in; a CX, exactly as sent, with its authority as far as it says one.
    Source: HL7 v2.5.1 3.4.3.19 (PV1-19).
    """
    for path in received.feed.visit_numbers:
        place = read_path(path)
        if place is None:
            continue
        segment = visit if place.segment == "PV1" else received.message.first(place.segment)
        repetitions = () if segment is None else repetitions_of(segment, place.field)
        if segment is None or not repetitions:
            continue
        value, _, _, assigner, *_ = *parts_of(segment, repetitions[0]), "", "", ""
        if value:
            found = Identifier(value=value, authority=_authority(received, segment, assigner))
            return found, (f"visit {place.segment}-{place.field}",)
    return NO_NUMBER, ()


def _authority(received: Received, segment: Segment, assigner: str) -> str:
    """The name of who gave a number: HD.1, else HD.2, as the feed's file calls it; "" when nobody is named.

    A namespace the file knows wins over the OID beside it.
    """
    if not assigner:
        return ""
    namespace, _, universal = assigner.partition(segment.delimiters.subcomponent)
    universal = universal.split(segment.delimiters.subcomponent, 1)[0]
    names = received.feed.authority_names
    if not names:
        return namespace or universal
    if namespace in names:
        return names[namespace]
    if universal in names and namespace not in names.values():
        return names[universal]
    return namespace or universal


def _only_pid(received: Received) -> Segment | None:
    """The PID of a message that speaks of one patient; MessageFault 205 when it names two."""
    if received.message.count("PID") < 2:
        return received.message.first("PID")
    found = received.message.all("PID")
    first = _described(received, found[0])
    others = found[1 : REPETITIONS_MAX + 1]
    if len(found) > REPETITIONS_MAX + 1 or any(is_another(first, _described(received, pid)) for pid in others):
        raise MessageFault("205", "PID", "the message names two patients")
    return found[0]


def _described(received: Received, pid: Segment) -> Patient:
    """Who is meant, without how to reach them."""
    fields, delimiters = pid.fields(), pid.delimiters
    family, given = _name(fields[5], delimiters)
    return Patient(
        ids=read_patient_ids(received, pid),
        family=Phi(family),
        given=Phi(given),
        born_on=Phi(_date(fields[7], delimiters)),
        sex=Phi(text_in(fields[8], delimiters)),
    )


def read_phone(fields: list[str], delimiters: Delimiters) -> tuple[str, bool]:
    """The number to reach the patient at, and whether it is known to be a mobile.

    The first mobile of PID-13 and PID-40; else the first number of PID-13, PID-40 and PID-14. E.164, or as written
    when no E.164 can be made of it, and then never a mobile.
    """
    spoken = written = ""
    for field in (13, 40, 14):
        for repetition in split_repetitions(fields[field], delimiters) if fields[field] else ():
            parts = split_parts(repetition, delimiters)
            use = parts[1].upper() if len(parts) > 1 else ""
            equipment = parts[2].upper() if len(parts) > 2 else ""
            if use in _NOT_TO_CALL or equipment in _NOT_TO_CALL:
                continue
            said, country = _number(parts)
            number = to_e164(said, country=country)
            if number and field != 14 and (use in _MOBILE or equipment in _MOBILE):
                return number, True
            spoken = spoken or number
            written = written or said[:PHONE_LENGTH_MAX]
    return spoken or written, False


def to_e164(text: str, *, country: str = "") -> str:
    """A number as "+12175550142"; without a country it is taken for a North American one; "" when it is no number.

    country: its calling code when the sender gave it apart.
    """
    if len(text) > PHONE_LENGTH_MAX:
        return ""
    number = text.upper().partition("X")[0]  # what follows is an extension
    digits = number.replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdigit()):
        digits = "".join([letter for letter in number if "0" <= letter <= "9"])
    if not digits or len(set(digits[-7:])) == 1:  # 999-999-9999 is how a clerk says "none"
        return ""
    if country or "+" in number.partition(digits[0])[0]:
        return f"+{digits}" if E164_DIGITS_MIN <= len(digits) <= E164_DIGITS_MAX else ""
    if digits.startswith("011"):
        return f"+{digits[3:]}" if E164_DIGITS_MIN <= len(digits) - 3 <= E164_DIGITS_MAX else ""
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    return f"+1{digits}" if len(digits) == 10 and digits[0] not in "01" else ""


def _number(parts: list[str]) -> tuple[str, str]:
    """The number of an XTN: the first of XTN-1, XTN-12 and XTN-6 with XTN-7; and XTN-5 beside the last."""
    if parts[0]:
        return ("", "") if "@" in parts[0] else (parts[0], "")
    if len(parts) >= 12 and parts[11]:
        return parts[11], ""
    written = parts[4:7]
    return " ".join(written).strip(), written[0] if written else ""


def _name(field: str, delimiters: Delimiters) -> tuple[str, str]:
    """Family and given name of the legal name, the first one marked L, else the first; field: PID-5 as received."""
    repetitions = split_repetitions(field, delimiters)
    if not repetitions:
        return "", ""
    name = split_parts(repetitions[0], delimiters)
    if len(repetitions) > 1:
        names = [split_parts(repetition, delimiters) for repetition in repetitions]
        name = next((one for one in names if one[6:7] == ["L"]), name)
    subcomponent = delimiters.subcomponent
    given = name[1] if len(name) > 1 else ""
    return name[0].split(subcomponent, 1)[0], given.split(subcomponent, 1)[0]


def _date(field: str, delimiters: Delimiters) -> str:
    """PID-7 or PID-29 as YYYYMMDD, shorter when less is known; "" when it is no date."""
    text = text_in(field, delimiters)[:10].replace("-", "")[:8]
    return text if text.isascii() and text.isdigit() else ""


def _language(message: Message, path: str) -> str:
    """The patient's language in small letters, two of them where it is a common one."""
    said = message.value(path).strip().lower()
    return _LANGUAGES.get(said, said)
