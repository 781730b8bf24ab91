"""PID and what stands around it in, the patient out: numbers, name, birth, telephone, consent."""

from __future__ import annotations

from typing import Final

from referral_engine.base.ident import Phi
from referral_engine.hl7.message import Message
from referral_engine.hl7.segment import Segment
from referral_engine.intake.received import Received, parts_of, repetitions_of, text_of
from referral_engine.loop.referral import Patient, PatientId

PHONE_LENGTH_MAX: Final = 64  # stops a letter from being read as a telephone number
E164_DIGITS_MAX: Final = 15
E164_DIGITS_MIN: Final = 8

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


def read_patient(received: Received) -> Patient:
    """Whom the message is about, as far as it says; how to reach them is read from the ordering side only.

    Source: HL7 v2.5.1 3.4.2 (PID); the feed says where language and consent stand.
    """
    message, feed = received.message, received.feed
    pid = message.first("PID")
    if pid is None:
        return Patient()
    ids = read_ids(received, pid, 3) or read_ids(received, pid, 2)
    family, given = _name(pid)
    if received.party.kind != "ehr":
        return Patient(
            ids=ids, family=Phi(family), given=Phi(given), born_on=Phi(_birth_date(pid)), sex=Phi(text_of(pid, 8))
        )
    phone, is_mobile = read_phone(pid)
    return Patient(
        ids=ids,
        family=Phi(family),
        given=Phi(given),
        born_on=Phi(_birth_date(pid)),
        sex=Phi(text_of(pid, 8)),
        phone=Phi(phone),
        phone_is_mobile=is_mobile,
        language=_language(message, feed.language),
        sms_consent=feed.sms_consent is not None and feed.sms_consent.matches(message),
        portal=feed.portal is not None and feed.portal.matches(message),
        deceased=bool(text_of(pid, 29)) or text_of(pid, 30).upper() == "Y",
    )


def read_ids(received: Received, segment: Segment, field: int) -> tuple[PatientId, ...]:
    """The record numbers of a CX field, exactly as sent, those of the feed's own authority first.

    Authority is CX.4.1, else CX.4.2; an MR without one, or a lone number without type and authority, has the feed's.
    A specialist's feed has none: their own numbers must never pass for ours.
    """
    usual = "" if received.party.kind == "specialist" else received.feed.patient_authority
    repetitions = repetitions_of(segment, field)
    found: dict[tuple[str, str], PatientId] = {}
    for repetition in repetitions:
        value, _, _, assigner, kind, *_ = *parts_of(segment, repetition), "", "", "", ""
        if not value or kind.upper() in _NO_RECORD_NUMBERS:
            continue
        namespace, _, universal = assigner.partition(segment.delimiters.subcomponent)
        authority = namespace or universal.split(segment.delimiters.subcomponent, 1)[0]
        if not authority and (kind.upper() == "MR" or (not kind and len(repetitions) == 1)):
            authority = usual
        if (authority, value) not in found:
            found[authority, value] = PatientId(value=Phi(value), authority=authority)
    if len(found) > 1:
        return tuple(sorted(found.values(), key=lambda known: known.authority != usual))
    return tuple(found.values())


def read_phone(pid: Segment) -> tuple[str, bool]:
    """The number to reach the patient at, and whether it is known to be a mobile.

    The first mobile of PID-13 and PID-40; else the first number of PID-13, PID-40 and PID-14. E.164, or as written
    when no E.164 can be made of it, and then never a mobile.
    """
    spoken = written = ""
    for field in (13, 40, 14):
        for repetition in repetitions_of(pid, field):
            parts = parts_of(pid, repetition)
            kinds = {part.upper() for part in parts[1:3]}  # XTN-2 and XTN-3
            if not kinds.isdisjoint(_NOT_TO_CALL):
                continue
            said, country = _number(parts)
            number = to_e164(said, country=country)
            if number and field != 14 and not kinds.isdisjoint(_MOBILE):
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
    country, area, local, *_ = *parts[4:7], "", "", ""
    return f"{country} {area} {local}".strip(), country


def _name(pid: Segment) -> tuple[str, str]:
    """Family and given name of the legal name, the first one marked L, else the first."""
    repetitions = repetitions_of(pid, 5)
    if not repetitions:
        return "", ""
    names = [parts_of(pid, repetition) for repetition in repetitions]
    family, given, *_ = *next((name for name in names if name[6:7] == ["L"]), names[0]), ""
    subcomponent = pid.delimiters.subcomponent
    return family.split(subcomponent, 1)[0], given.split(subcomponent, 1)[0]


def _birth_date(pid: Segment) -> str:
    """PID-7 as YYYYMMDD, shorter when less is known; "" when it is no date."""
    text = text_of(pid, 7)[:10].replace("-", "")[:8]
    return text if text.isascii() and text.isdigit() else ""


def _language(message: Message, path: str) -> str:
    """The patient's language in small letters, two of them where it is a common one."""
    said = message.value(path).strip().lower()
    return _LANGUAGES.get(said, said)
