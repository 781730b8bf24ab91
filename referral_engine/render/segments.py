"""What the engine knows in, the segments it writes itself out: headers, patients, orders, remarks.

These are made for every message the engine sends, so they are put together directly; every value passes
`hl7.encoding.escape`, the one way a text becomes a field (`hl7.compose` does the same, a few times slower).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from referral_engine.base.errors import MessageFault
from referral_engine.channels.engine import Identity
from referral_engine.hl7.encoding import DEFAULT, escape
from referral_engine.loop.referral import Identifier, Order, Patient, PatientId, Provider, Referral

UTF_8: Final = "UNICODE UTF-8"  # MSH-18 of what we write ourselves
_MINUTE: Final = timedelta(minutes=1)
_NO_OFFSET: Final = timedelta()
_OID: Final = re.compile(r"[0-2](?:\.[0-9]+)+")
_ESCAPED: Final = re.compile(r'[\x00-\x1f\x7f|^~\\&]|^""$')  # texts without these need no escaping
_CACHED_HEADS_MAX: Final = 512  # one a channel and one for the EHR


def plain(text: str) -> str:
    """A text as a field, component or subcomponent holds it."""
    return escape(text, DEFAULT) if _ESCAPED.search(text) else text


def written(segments: Iterable[str], codec: str = "utf-8") -> bytes:
    """The message's bytes, every segment ended by CR.

    Raises MessageFault 102 when a character is outside `codec`.
    """
    try:
        return ("\r".join(segments) + "\r").encode(codec)
    except UnicodeEncodeError:
        raise MessageFault("102", "", "a character cannot be written in the message's character set") from None


def header(
    identity: Identity,
    receiver: tuple[str, str],
    message_type: str,
    *,
    told: str,
    wire_id: str,
    version: str,
    processing_id: str,
    charset: str = UTF_8,
) -> str:
    """MSH of a message of our own. receiver: MSH-5, MSH-6. message_type: MSH-9 as written. told: MSH-7."""
    sender = sending(identity.application, identity.facility, identity.oid)
    return (
        f"MSH|^~\\&|{sender}|{receiving(*receiver)}|{told}||{message_type}|{plain(wire_id)}"
        f"|{processing_id}|{version}||||||{charset}"
    ).rstrip("|")


@lru_cache(maxsize=_CACHED_HEADS_MAX)
def sending(application: str, facility: str, oid: str) -> str:
    """MSH-3 and MSH-4: who we are."""
    return f"{plain(application)}|{plain(facility)}" + (f"^{plain(oid)}^ISO" if oid else "")


@lru_cache(maxsize=_CACHED_HEADS_MAX)
def _issuer(application: str, oid: str) -> str:
    """What follows a number of ours in an EI."""
    return f"^{plain(application)}" + (f"^{plain(oid)}^ISO" if oid else "")


@lru_cache(maxsize=_CACHED_HEADS_MAX)
def receiving(application: str, facility: str) -> str:
    """MSH-5 and MSH-6: who the message is for."""
    return f"{plain(application)}|{plain(facility)}"


def clinic_time(at: datetime, zone: ZoneInfo) -> str:
    """An instant as the clinic's wall clock shows it, with its offset: YYYYMMDDHHMMSS-0600."""
    local = at.astimezone(zone)
    minutes = (local.utcoffset() or _NO_OFFSET) // _MINUTE
    return (
        f"{local.year:04}{local.month:02}{local.day:02}{local.hour:02}{local.minute:02}{local.second:02}"
        f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    )


def number(identifier: Identifier) -> str:
    """An EI: the number and whose it is, a namespace or an OID."""
    if not identifier.value:
        return ""
    return f"{plain(identifier.value)}{_authority(identifier.authority, '^')}"


def own_number(referral: Referral, identity: Identity) -> str:
    """Our referral id as an EI (ORC-4), so that it can be echoed."""
    return f"{plain(referral.id)}{_issuer(identity.application, identity.oid)}"


def provider(person: Provider) -> str:
    """An XCN: number, family, given."""
    return f"{plain(person.number)}^{plain(person.family)}^{plain(person.given)}".rstrip("^")


def service(order: Order) -> str:
    """OBR-4, AIS-3: what was asked for; "referral" when the order did not say."""
    return f"{plain(order.service_code)}^{plain(order.service_text)}".rstrip("^") or "REFERRAL^Referral^L"


def patient(person: Patient, authorities: frozenset[str] = frozenset(), *, phone: bool = False) -> str:
    """PID: every number we know, those of `authorities` (the ordering side's) first and marked MR."""
    phones = f"|||||{plain(person.phone.reveal())}" if phone and person.phone else ""
    return (
        f"PID|1||{_numbers(person.ids, authorities)}||{plain(person.family.reveal())}^{plain(person.given.reveal())}"
        f"||{plain(person.born_on.reveal())}|{plain(person.sex.reveal())}{phones}"
    ).rstrip("|")


def own_ids(ids: tuple[PatientId, ...], authorities: frozenset[str]) -> list[PatientId]:
    """The patient's numbers, those of `authorities` first."""
    if len(ids) < 2:
        return list(ids)
    return sorted(ids, key=lambda known: known.authority not in authorities)


def ordered(
    referral: Referral,
    identity: Identity,
    control: str,
    *,
    at: str,
    status: str = "",
    modifier: str = "",
    filler: str = "",
    what: str = "",
    observed_at: str = "",
    reported_at: str = "",
    result: str = "",
) -> list[str]:
    """ORC and OBR of the referral; everything given is encoded already.

    control: ORC-1. at: ORC-9. status: ORC-5. modifier: ORC-25. filler: ORC-3 and OBR-3 when not the order's.
    what: OBR-4 when not the order's. observed_at: OBR-7. reported_at: OBR-22. result: OBR-25.
    """
    order = referral.order
    keys = f"{number(order.placer)}|{filler or number(order.filler)}|"
    person = provider(order.ordering_provider)
    control_segment = f"ORC|{control}|{keys}{own_number(referral, identity)}|{status}||||{at}|||{person}"
    if modifier:
        control_segment = f"{control_segment}|||||||||||||{modifier}"
    request = f"OBR|1|{keys}{what or service(order)}|||{observed_at}|||||||||{person}||||||{reported_at}|||{result}"
    return [control_segment.rstrip("|"), request.rstrip("|")]


def remark(sentence: str) -> str:
    """NTE with one sentence."""
    return f"NTE|1||{plain(sentence)}"


def text_line(set_id: int, what: str, sentence: str, status: str) -> str:
    """OBX with one line of text. what: OBX-3, encoded; status: OBX-11."""
    return f"OBX|{set_id}|TX|{what}||{plain(sentence)}||||||{status}"


@lru_cache(maxsize=_CACHED_HEADS_MAX)
def at_least(version: str, wanted: tuple[int, int]) -> bool:
    """Whether an MSH-12 such as "2.5.1" is `wanted` or newer."""
    pieces = version.split(".")
    found = tuple(int(piece) if piece.isdigit() else 0 for piece in (*pieces, "0")[:2])
    return found >= wanted


def _numbers(ids: tuple[PatientId, ...], authorities: frozenset[str]) -> str:
    """PID-3."""
    out = []
    for at, known in enumerate(own_ids(ids, authorities)):
        kind = "^MR" if known.authority in authorities or (at == 0 and not authorities) else ""
        authority = _authority(known.authority, "&")
        out.append(f"{plain(known.value.reveal())}^^{authority or '^'}{kind}".rstrip("^"))
    return "~".join(out)


@lru_cache(maxsize=_CACHED_HEADS_MAX)
def _authority(authority: str, separator: str) -> str:
    """An assigning authority behind its number: an OID where it is one, else a namespace."""
    if not authority:
        return ""
    if _OID.fullmatch(authority):
        return f"^{separator}{authority}{separator}ISO"
    return f"^{plain(authority)}"
