"""Order messages: what the ordering side asks, and what an office answers, as bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from referral_engine.channels.feed import Feed
from referral_engine.channels.matcher import (
    MESSAGE_TYPE,
    REFERRED_TO,
    Matcher,
    Matches,
    OneOf,
    Present,
    StartsWith,
    Test,
    value_at,
)
from referral_engine.channels.patterns import examples
from referral_engine.channels.ranges import Range
from referral_engine.hl7.compose import Raw, segment
from referral_engine.hl7.message import Message
from referral_engine.hl7.path import Path, Where
from referral_engine.stories.dialect import REFERRER, Envelope, message, pid
from referral_engine.stories.people import Person

ORDERS: Final = {"ORM^O01": "ORM^O01^ORM_O01", "OMG^O19": "OMG^O19^OMG_O19"}  # MSH-9 of an order
REFERRAL: Final = "REF^I12"  # a referral that says so by its type
KINDS: Final = (*ORDERS, REFERRAL)
_ANY_VALUE: Final = "Y"  # where a file only asks that something stands there
_INSURERS: Final = {"PPO": ("PPO100", "61001", "Sample Health Insurance"), "HMO": ("HMO200", "61002", "Managed Sample")}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What one order asks for."""

    control: str  # ORC-1
    person: Person
    placer: tuple[str, str]  # ORC-2: number and authority
    code: tuple[str, str]  # OBR-4: code and text
    npi: str  # of the office
    office: str  # its name
    ordered_at: datetime
    plan: str = "PPO"  # IN1-15
    authorization: str = ""  # IN1-14
    authorized_until: str = ""  # AUT-5
    urgent: bool = False
    reason: str = ""
    consent: bool = True  # the patient may be written to
    cancel_reason: str = ""  # ORC-16
    kind: str = "ORM^O01"
    placed: dict[str, str] = {}  # path to value: what the files ask for beyond the usual places


def written(envelope: Envelope, asked: Asked, *, trigger: str = "I12") -> bytes:
    """An order of its own kind; trigger: of a REF."""
    return referral(envelope, asked, trigger=trigger) if asked.kind == REFERRAL else order(envelope, asked)


def order(envelope: Envelope, asked: Asked) -> bytes:
    """ORM^O01 or OMG^O19 of the ordering side.  Source: HL7 v2.5.1 4.4, 4.5, 6.5 (IN1, DG1), 9.6 (CON)."""
    at, why = envelope.time(asked.ordered_at), asked.cancel_reason
    lines = [
        pid(envelope, asked.person),
        segment("PD1", None, None, None, REFERRER),
        *_consent(envelope.sender.feed, asked),
        segment("PV1", "1", "O", ("SPC", None, None, envelope.sender.facility), None, None, None, REFERRER, REFERRER),
        *_insurance(envelope, asked),
        segment(
            "ORC", asked.control, asked.placer, None, None, None, None, None, None, at, None, None, REFERRER, None,
            (None, "WPN", "PH", None, "1", "217", "5550100"), at, (None, why) if why else None, None, None, None, None,
            "Sample Primary Care",
        ),
        segment("TQ1", "1", *[None] * 7, ("S", "Stat", "HL70485") if asked.urgent else ("R", "Routine", "HL70485")),
        _service(asked),
        segment("DG1", "1", None, ("I48.91", "Unspecified atrial fibrillation", "I10"), None, None, "W"),
    ]  # fmt: skip
    return _placed(message(envelope, ORDERS[asked.kind], lines), asked)


def referral(envelope: Envelope, asked: Asked, *, trigger: str = "I12") -> bytes:
    """REF^I12, I13 or I14 of the ordering side; PV1 comes last.  Source: HL7 v2.5.1 11.3, 11.8 (RF1, PRD)."""
    at, why = envelope.time(asked.ordered_at), asked.cancel_reason or asked.reason
    urgency = ("S", "Stat") if asked.urgent else ("R", "Routine")
    referrer = ("1440000010", "NPI")
    lines = [
        segment(
            "RF1", ("P", "Pending"), urgency, ("MED", "Medical"), None, None, asked.placer, at, None, None, (None, why)
        ),
        segment("PRD", ("RP", "Referring provider"), ("Referrer", "Rosa"), None, None, None, None, referrer),
        segment("PRD", ("RT", "Referred to provider"), (asked.office,), None, None, None, None, (asked.npi, "NPI")),
        pid(envelope, asked.person),
        *_consent(envelope.sender.feed, asked),
        *_insurance(envelope, asked),
        segment("DG1", "1", None, ("I48.91", "Unspecified atrial fibrillation", "I10"), None, None, "W"),
        _service(asked),
        segment("PV1", "1", "O", ("SPC", None, None, envelope.sender.facility), None, None, None, REFERRER),
    ]
    return _placed(message(envelope, f"REF^{trigger}^REF_I12", lines), asked)


def _insurance(envelope: Envelope, asked: Asked) -> list[str]:
    """IN1, and AUT where the authorization has a last day."""
    plan, payer, insurer = _INSURERS.get(asked.plan, (f"{asked.plan}300", "61003", "Sample Mutual"))
    insured = segment(
        "IN1", "1", (plan, "Sample plan"), (payer, None, None, envelope.sender.facility, "XX"), insurer, None, None,
        None, f"G{asked.person.record}", None, None, None, "20200101", "20391231", asked.authorization or None,
        asked.plan, (asked.person.family, asked.person.given), ("SEL", "Self", "HL70063"), asked.person.born_on,
    )  # fmt: skip
    until = asked.authorized_until
    return [insured, *([segment("AUT", None, plan, insurer, None, until, asked.authorization)] if until else [])]


def _service(asked: Asked) -> str:
    """OBR: what is asked for, and of whom."""
    return segment(
        "OBR", "1", asked.placer, None, (*asked.code, "99SPR"), *[None] * 8, asked.reason or "Made-up reason.", None,
        None, REFERRER, *[None] * 11, Raw(f"{asked.npi}^Made-up office^^^^^^^NPI^L^^^NPI"),
    )  # fmt: skip


def _placed(raw: bytes, asked: Asked) -> bytes:
    """The message with what the files look for in places of their own."""
    plain: dict[str, str] = {}
    for path, value in asked.placed.items():
        place = Path.parse(path)
        if place.where is None:
            plain[path] = value
        else:
            raw += f"{_chosen(place, place.where, value)}\r".encode()
    return Message.parse(raw).with_fields(plain) if plain else raw


def answer(
    envelope: Envelope, asked: Asked, *, control: str, status: str = "", reason: str = "", kind: str = "ORM^O01"
) -> bytes:
    """An office about the order, as ORM^O01 or OSU^O51: accepted, declined, cancelled.  Source: tables 0119, 0038."""
    at = envelope.time(envelope.at)
    why = (None, reason) if reason else None
    lines = [
        pid(envelope, asked.person),
        segment(
            "ORC", control, asked.placer, None, None, status or None, None, None, None, at, None, None, REFERRER, None,
            None, None, why,
        ),
    ]  # fmt: skip
    if kind in ORDERS:
        lines.append(segment("OBR", "1", asked.placer, None, (*asked.code, "99SPR"), *[None] * 11, REFERRER))
    return message(envelope, ORDERS.get(kind, f"{kind}^{kind.replace('^', '_')}"), lines)


def referral_answer(envelope: Envelope, asked: Asked, *, state: str, trigger: str = "I13") -> bytes:
    """RRI of an office: RF1-1 says accepted (A) or rejected (R).  Source: HL7 v2.5.1 11.3.2, 11.8.1, table 0283."""
    at = envelope.time(asked.ordered_at)
    return message(envelope, f"RRI^{trigger}^RRI_I12", (
        segment("RF1", (state,), "R", "MED", None, None, asked.placer, at),
        segment("PRD", "RT", (asked.office,), None, None, None, None, (asked.npi, "NPI")),
        pid(envelope, asked.person),
    ))  # fmt: skip


def missing(matcher: Matcher | None, raw: bytes) -> dict[str, str]:
    """What would have to stand where for a message to be what `matcher` asks; {} when it already is.

    The message's type and the provider are seen to elsewhere.
    """
    if matcher is None or matcher.matches(Message.parse(raw)):
        return {}
    asked = (one for one in matcher.conditions if one.path not in (MESSAGE_TYPE, REFERRED_TO))
    return {one.path: meeting(one.test) for one in asked}


def lacking(matcher: Matcher, raw: bytes, provider: str) -> dict[str, str]:
    """What would have to stand where for each line of `matcher` that `raw` does not meet; {} when it meets them all.

    provider: what the sender's feed finds as referred_to. The message's type and the provider are seen to elsewhere.
    """
    made = Message.parse(raw)
    if matcher.matches(made, provider):
        return {}
    asked = (one for one in matcher.conditions if one.path not in (MESSAGE_TYPE, REFERRED_TO))
    return {one.path: meeting(one.test) for one in asked if not one.passes(value_at(made, one, provider))}


def _consent(feed: Feed, asked: Asked) -> list[str]:
    """The CON that lets the patient be written to, where the feed's file looks for one.  Source: HL7 v2.5.1 9.9.1."""
    found = (feed.sms_consent or feed.portal) if asked.consent else None
    conditions = found.conditions if found is not None else ()
    fields: dict[str, dict[int, str]] = {}
    for condition in conditions:
        place = condition.place
        if place.segment == "CON" and place.where is None and place.component < 2:
            fields.setdefault(place.segment, {})[place.field] = meeting(condition.test)
    return [
        segment(name, *(values.get(number, "1" if number == 1 else "") for number in range(1, max(values) + 1)))
        for name, values in fields.items()
    ]


def _chosen(place: Path, where: Where, value: str) -> str:
    """A segment of its own that a path with a condition means, with the value in the path's place."""
    fields: dict[int, str] = {1: "1"}
    for field, component, text in ((where.field, where.component, where.value), (place.field, place.component, value)):
        fields[field] = "^" * (max(component, 1) - 1) + text
    return segment(place.segment, *(Raw(fields.get(number, "")) for number in range(1, max(fields) + 1)))


def meeting(test: Test) -> str:
    """A value that passes a test."""
    match test:
        case OneOf(values):
            return values[0]
        case StartsWith(prefixes):
            return prefixes[0]
        case Range():
            return next(test.some())
        case Matches(pattern):
            return next(iter(examples(pattern)[0]), _ANY_VALUE)
        case Present(wanted):
            return _ANY_VALUE if wanted else ""
