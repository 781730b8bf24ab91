"""A prompt or a reminder in, the JSON document for the patients' gateway out: who, by which way, the exact text.

A text message says who writes, what is asked and how to stop; never a name, a diagnosis, a specialty or a clinic's
name. It is one GSM-7 segment. The portal is behind a login and has room: there the whole of the place's text is said.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec

from referral_engine.channels.channel import PatientText
from referral_engine.channels.engine import Practice
from referral_engine.loop.effects import Purpose, Send
from referral_engine.loop.referral import Referral
from referral_engine.render import segments
from referral_engine.render.setting import Setting

SMS_LETTERS_MAX: Final = 160  # one segment; more costs more and arrives in pieces
_PRACTICE_LETTERS_MAX: Final = 40  # leaves room for what is asked
_GSM_7: Final = frozenset(
    "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)  # 3GPP TS 23.038, without the two-septet extension
_STAND_INS: Final = str.maketrans(
    {
        "\u2019": "'",
        "\u2018": "'",
        "“": '"',
        "”": '"',
        "\u2013": "-",
        "\u2014": "-",
        "…": "...",
        "ç": "c",
        "[": "(",
        "]": ")",
        "~": "-",
    }
    | {"{": "(", "}": ")", "\\": "/", "|": "/", "^": "", "€": "EUR ", "\t": " ", "\r": " ", "\n": " "}
)
_SPANISH: Final = frozenset({"ES", "ESP", "SPA", "SPANISH", "ESPANOL", "ESPAÑOL", "CASTELLANO"})

_WEEKDAYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
        "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sabado", "domingo"),
    }
)
_MONTHS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        "es": ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"),
    }
)
# The sentences by language and purpose; {when} is the appointment's wall time at the clinic, {day} its day.
_SENTENCES: Final[Mapping[str, Mapping[Purpose, str]]] = MappingProxyType(
    {
        "en": MappingProxyType(
            {
                Purpose.PROMPT: "please schedule the visit your provider asked for.",
                Purpose.REMINDER: "your appointment is {when}.",
                Purpose.ATTENDED_PROMPT: "did you go to your appointment{day}? Reply YES or NO.",
                Purpose.RESCHEDULE_PROMPT: "please choose a new time for your appointment.",
            }
        ),
        "es": MappingProxyType(
            {
                Purpose.PROMPT: "por favor programe la visita que pidió su proveedor.",
                Purpose.REMINDER: "su cita es el {when}.",
                Purpose.ATTENDED_PROMPT: "¿fue a su cita{day}? Responda YES (si) o NO.",
                Purpose.RESCHEDULE_PROMPT: "por favor elija una nueva hora para su cita.",
            }
        ),
    }
)
_CALL: Final[Mapping[str, str]] = MappingProxyType({"en": "Call {phone}.", "es": "Llame al {phone}."})
_STOP: Final[Mapping[str, str]] = MappingProxyType(
    {"en": "Reply STOP to opt out.", "es": "Responda STOP para no recibir mensajes."}
)
_STOP_SHORT: Final[Mapping[str, str]] = MappingProxyType({"en": "STOP to opt out.", "es": "STOP para cancelar."})
_ON: Final[Mapping[str, str]] = MappingProxyType({"en": " on {day}", "es": " el {day}"})
_CARD: Final = PatientText().insurance_card
_CARD_SPANISH: Final = "Traiga su tarjeta del seguro."


def patient_message(send: Send, referral: Referral, setting: Setting) -> bytes:
    """{"wire_id", "to", "authority", "via", "language", "text"}; `to` is a number for sms, an MRN for the portal."""
    person = referral.patient
    language = language_of(person.language)
    by_sms = person.sms_consent and person.phone_is_mobile and bool(person.phone)
    to, authority = person.phone.reveal(), ""
    if not by_sms:
        known = segments.own_ids(person.ids, setting.authorities)
        to, authority = (known[0].value.reveal(), known[0].authority) if known else ("", "")
    pieces = _pieces(send.purpose, referral, setting, language)
    text = _short(pieces, language) if by_sms else " ".join(pieces)
    return msgspec.json.encode(
        {
            "wire_id": setting.wire_id,
            "to": to,
            "authority": authority,
            "via": "sms" if by_sms else "portal",
            "language": language,
            "text": text,
        }
    )


def language_of(text: str) -> str:
    """The language we write in: "es" where PID-15 says Spanish in any of the usual ways, else "en"."""
    first = re.split(r"[-_^&; ]", text.strip().upper(), maxsplit=1)[0]
    return "es" if first in _SPANISH else "en"


def _pieces(purpose: Purpose, referral: Referral, setting: Setting, language: str) -> list[str]:
    """What is said, most important first: sentence, link, telephone, place."""
    practice, outreach = setting.engine.practice, setting.engine.patients
    slot = referral.slot
    when = clinic_wall_time(slot.starts_at, setting, language) if slot is not None else ""
    day = _ON[language].format(day=_day(slot.starts_at, setting, language)) if slot is not None else ""
    sentence = _SENTENCES[language][purpose].format(when=when, day=day)
    pieces = [f"{_sender(practice)}: {sentence}"]
    if purpose in (Purpose.PROMPT, Purpose.RESCHEDULE_PROMPT) and outreach.scheduling_link:
        pieces.append(outreach.scheduling_link)
    if practice.phone:
        pieces.append(_CALL[language].format(phone=practice.phone))
    if purpose is Purpose.REMINDER:
        pieces += _place(setting, language)
    return pieces


def _place(setting: Setting, language: str) -> list[str]:
    """The analyst's own words, each left out when it names the specialty or the clinic."""
    channel = setting.channel
    if channel is None:
        return []
    said = channel.patient
    card = _CARD_SPANISH if language == "es" and said.insurance_card == _CARD else said.insurance_card
    telling = [
        word.casefold() for word in (channel.specialty, channel.specialty.replace("-", " "), channel.title) if word
    ]
    words = (said.address, card, said.parking)
    return [text for text in words if text and not any(word in text.casefold() for word in telling)]


def _short(pieces: list[str], language: str) -> str:
    """One text message: the sentence and the way out always, then what still fits, in order."""
    said = [gsm(piece) for piece in pieces]
    stop = _STOP[language]
    if len(f"{said[0]} {stop}") > SMS_LETTERS_MAX:
        stop = _STOP_SHORT[language]
    text = said[0]
    for piece in said[1:]:
        if len(f"{text} {piece} {stop}") <= SMS_LETTERS_MAX:
            text = f"{text} {piece}"
        elif len(f"{text} {piece} {_STOP_SHORT[language]}") <= SMS_LETTERS_MAX:
            text, stop = f"{text} {piece}", _STOP_SHORT[language]
    return f"{text} {stop}"


def gsm(text: str) -> str:
    """The text in GSM-7 letters, each one septet: accents GSM-7 lacks are dropped, what it cannot say is left out."""
    out = []
    for letter in text.translate(_STAND_INS):
        if letter in _GSM_7:
            out.append(letter)
        else:
            out += [part for part in unicodedata.normalize("NFKD", letter).translate(_STAND_INS) if part in _GSM_7]
    return " ".join("".join(out).split())


def _sender(practice: Practice) -> str:
    """The practice's name, cut at a word when it is long."""
    name = gsm(practice.name) or "your clinic"
    if len(name) <= _PRACTICE_LETTERS_MAX:
        return name
    return name[: _PRACTICE_LETTERS_MAX + 1].rsplit(" ", 1)[0][:_PRACTICE_LETTERS_MAX]


def clinic_wall_time(at: datetime, setting: Setting, language: str) -> str:
    """Day and time at the clinic: "Tue Mar 10, 9:30 AM" or "martes 10 mar, 9:30 AM"."""
    local = at.astimezone(setting.zone)
    hour = local.hour % 12 or 12
    return f"{_day(at, setting, language)}, {hour}:{local.minute:02} {'AM' if local.hour < 12 else 'PM'}"


def _day(at: datetime, setting: Setting, language: str) -> str:
    """The day at the clinic."""
    local = at.astimezone(setting.zone)
    weekday, month = _WEEKDAYS[language][local.weekday()], _MONTHS[language][local.month - 1]
    return f"{weekday} {local.day} {month}" if language == "es" else f"{weekday} {month} {local.day}"
