"""Who pays, and what the payer has said: insurances and the authorization of an order message."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final, TypedDict

from referral_engine.channels.feed import Feed
from referral_engine.hl7.encoding import Delimiters
from referral_engine.hl7.message import Message
from referral_engine.hl7.segment import Segment, text_in
from referral_engine.hl7.types import read_date
from referral_engine.intake.received import first_npi, split_repetitions
from referral_engine.loop.referral import Insurance

INSURANCES_MAX: Final = 10  # of one patient that are looked at; three is rare
INSURANCES_REMEMBERED_MAX: Final = 512  # a site has a few hundred plans, and each comes often
INSURANCE_LENGTH_MAX: Final = 500  # characters; stops a letter in IN1-4 from being remembered
VISITS_MAX: Final = 9_999  # AUT-9; a larger number is no count of visits

# What a sender writes into IN1-14 or AUT-14 once the payer said no; codes are those of X12 278, HCR01.
_DENIED: Final = frozenset(("DENIED", "DENY", "REJECTED", "NOT CERTIFIED", "NOT AUTHORIZED", "A3"))


class Stated(TypedDict):
    """The fields of an `Order` that speak of an authorization."""

    authorization_number: str
    authorization_begins_on: date | None
    authorization_expires_on: date | None
    authorization_visits: int
    authorization_provider: str
    authorization_denied: bool


_NOTHING: Final = Stated(
    authorization_number="",
    authorization_begins_on=None,
    authorization_expires_on=None,
    authorization_visits=0,
    authorization_provider="",
    authorization_denied=False,
)


def read_authorization(message: Message, feed: Feed) -> Stated:
    """What a message says of the payer's authorization.

    The number is IN1-14.1 of the insurance that pays first, else AUT-6, else IN1-14.1 of another one; a remark in its
    place ("PENDING", without any digit) is no number. Denied is what the feed's [denied_when] says, AUT-14 or the place
    of the number in words, and no visits of AUT-9. AUT-5 is the last day, else RF1-8.
    Source: HL7 v2.5.1 6.5.7 (IN1), 11.8.1 (RF1), 11.8.2 (AUT); v2.8 11.8.2.14, 11.8.2.24.
    """
    delimiters, insured, stated = message.delimiters, message.fields("IN1")[14], message.fields("AUT")
    several = message.count("IN1") > 1
    if several:
        insured = _by_turn(message)[0].field(14)
    if not (insured or several or stated[0] or feed.denied_when is not None):
        return _NOTHING
    number = _number(insured, delimiters) or _number(stated[6], delimiters)
    if not number and several:
        more = (_number(one.field(14), delimiters) for one in _by_turn(message)[1:])
        number = next((one for one in more if one), "")
    denied = feed.denied_when is not None and feed.denied_when.matches(message)
    if not stated[0]:
        if not number and not insured and not denied:
            return _NOTHING
        denied = denied or _says_no(insured, delimiters)
        return Stated(
            authorization_number=number,
            authorization_begins_on=None,
            authorization_expires_on=_last_day(message, number),
            authorization_visits=0,
            authorization_provider="",
            authorization_denied=denied,
        )
    visits = _count(text_in(stated[9], delimiters))
    said = (insured, stated[6], stated[14] if len(stated) > 14 else "")
    return Stated(
        authorization_number=number,
        authorization_begins_on=_day(stated[4], delimiters),
        authorization_expires_on=_day(stated[5], delimiters) or _last_day(message, number),
        authorization_visits=visits or 0,
        authorization_provider=first_npi((message.first("AUT"), 24)),
        authorization_denied=denied or visits == 0 or any(_says_no(field, delimiters) for field in said),
    )


def _number(field: str, delimiters: Delimiters) -> str:
    """A number of a payer, exactly as sent; "" for a remark in its place, which has no digit."""
    text = text_in(field, delimiters) if field else ""
    return text if any(map(str.isdigit, text)) and text.strip().upper() not in _DENIED else ""


def _says_no(field: str, delimiters: Delimiters) -> bool:
    """Whether code or text of a field is a word for no."""
    return bool(field) and any(text_in(field, delimiters, part).strip().upper() in _DENIED for part in (1, 2))


def _day(field: str, delimiters: Delimiters) -> date | None:
    return read_date(text_in(field, delimiters)) if field else None


def _last_day(message: Message, number: str) -> date | None:
    """RF1-8 of a referral that has a number of the payer."""
    expires = message.fields("RF1")[8] if number else ""
    return _day(expires, message.delimiters)


def _count(text: str) -> int | None:
    """A number of visits, AUT-9; None for what is none."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) <= len(str(VISITS_MAX)) else None


def read_insurances(message: Message) -> tuple[Insurance, ...]:
    """The patient's insurances, the one that pays first first: by IN1-22, else IN1-1, else as they stand.

    Source: HL7 v2.5.1 6.5.7.
    """
    fields = message.fields("IN1")
    if not fields[0]:
        return ()
    delimiters = message.delimiters
    if message.count("IN1") == 1:
        return (_insurance(fields, delimiters),)
    return tuple(
        _insurance(["", "", *(segment.field(number) for number in range(2, 16))], delimiters)
        for segment in _by_turn(message)
    )


def _by_turn(message: Message) -> list[Segment]:
    """The insurances in the order in which they pay."""
    return sorted(message.all("IN1")[:INSURANCES_MAX], key=_turn)  # as they stand, where they say nothing


def _turn(segment: Segment) -> tuple[int, int]:
    return _count(segment.text(22)) or INSURANCES_MAX, _count(segment.text(1)) or INSURANCES_MAX


def _insurance(fields: list[str], delimiters: Delimiters) -> Insurance:
    """One insurance, by its fields as received; remembered, for a site's plans are few and each comes often."""
    plan, payer, name, kind = fields[2], fields[3], fields[4], fields[15]
    known = len(plan) + len(payer) + len(name) + len(kind) <= INSURANCE_LENGTH_MAX
    return (_remembered if known else _remembered.__wrapped__)(plan, payer, name, kind, delimiters)


@lru_cache(maxsize=INSURANCES_REMEMBERED_MAX)
def _remembered(plan: str, payer: str, name: str, kind: str, delimiters: Delimiters) -> Insurance:
    ids = [text_in(one, delimiters) for one in split_repetitions(payer, delimiters)]
    payers = (*ids, text_in(name, delimiters))
    plans = (text_in(kind, delimiters), text_in(plan, delimiters))
    return Insurance(payers=_named(payers), plans=_named(plans))


def _named(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Each text once, empty ones left out."""
    return tuple(dict.fromkeys(text for text in texts if text))
