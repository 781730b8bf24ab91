"""Where the stories play: the offices of the book's channels, what each can do, and how everybody's messages look."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.channels.feed import Feed, OrderAction
from referral_engine.channels.likely import USUAL_PLACE
from referral_engine.channels.matcher import REFERRED_TO, Matches, OneOf, StartsWith
from referral_engine.channels.patterns import examples
from referral_engine.channels.ranges import Range
from referral_engine.channels.routing import explain, route
from referral_engine.hl7.message import Message
from referral_engine.loop.calendar import Calendar
from referral_engine.loop.policy import HoldRule
from referral_engine.loop.states import Network
from referral_engine.stories.dialect import Envelope, Sender, control_of
from referral_engine.stories.letters import Letter, document, result
from referral_engine.stories.orders import KINDS, Asked, lacking, missing, written
from referral_engine.stories.people import person

PLANS: Final = ("PPO", "HMO")  # of insurance; which of them an office holds for is asked of the files
_TRIED_AT: Final = datetime(2026, 3, 2, 15, tzinfo=UTC)
_TRIAL: Final = person(0)

_ANSWERS: Final = ("ORM^O01", "OSU^O51", "RRI^I13")

NoteKind = Literal["MDM", "ORU"]


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """One specialist of the book, as stories need to know it."""

    name: str  # the channel's
    title: str
    npi: str
    codes: tuple[str, ...]  # OBR-4.1 that its file takes
    sender: Sender | None  # of its own messages; None when nothing comes from it over the wire
    confirms: bool
    books: bool  # sends SIU
    notes: tuple[NoteKind, ...]  # what it may send a finished note as; () when it sends none
    answers: tuple[str, ...]  # the types of message it may answer an order with
    free: str  # a plan that nothing is held for; "" when only an authorization lets an order go
    held: str  # a plan that waits for an authorization; "" when none does
    kinds: tuple[str, ...]  # the types of message it may be ordered with
    placed: dict[str, str] = {}  # what its orders hold beyond the usual places


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The ordering side, its scanning station and its offices."""

    ehr: Sender
    scanner: Sender | None
    offices: tuple[Office, ...]
    calendar: Calendar

    @property
    def unbooked(self) -> str:
        """The status of a referral that left and has no time yet: whether the ordering side says how to write."""
        feed = self.ehr.feed
        return "ordered" if feed.sms_consent is None and feed.portal is None else "patient-notified"

    def able(self, *needs: str) -> tuple[Office, ...]:
        """The offices that can do all of it: "speaks", "confirms", "books", "notes", "free", "held"."""
        return tuple(one for one in self.offices if all(_can(one, need) for need in needs))


class NoPlace(ValueError):
    """No story can play here; the sentence says what the files lack."""


def site_of(book: Book, feed_name: str) -> Site:
    """The site that the files describe, with the ordering side writing as `feed_name` is read.

    Raises NoPlace when there is no such feed, or no channel takes any of its orders.
    """
    feed = book.feeds.get(feed_name)
    if feed is None or feed.party != "ehr":
        known = ", ".join(sorted(name for name, one in book.feeds.items() if one.party == "ehr")) or "none"
        raise NoPlace(f'there is no feed of an ordering side called "{feed_name}"; known are: {known}')
    ehr = orderer_of(book, feed)
    offices = tuple(
        office for name in sorted(book.channels) if (office := office_of(book, ehr, book.channels[name])) is not None
    )
    if not offices:
        raise NoPlace(f'no live channel takes an order of the feed "{feed_name}"')
    return Site(
        ehr=ehr,
        scanner=scanner_of(book),
        offices=offices,
        calendar=book.channels[offices[0].name].policy.calendar,
    )


def orderer_of(book: Book, feed: Feed) -> Sender:
    """The ordering side that writes as `feed` is read."""
    return _sender(book, feed, feed.patient_authority)


def scanner_of(book: Book) -> Sender | None:
    """The scanning station, if a feed describes one that is on."""
    scanners = [one for _, one in sorted(book.feeds.items()) if one.party == "scanner" and one.enabled]
    return _sender(book, scanners[0], scanners[0].patient_authority) if scanners else None


def _sender(book: Book, feed: Feed, authority: str, own: str = "") -> Sender:
    identity = book.engine.identity
    return Sender(
        feed=feed,
        name=feed.name,
        application=feed.applications[0] if feed.applications else "" if feed.facilities else feed.name.upper(),
        facility=feed.facilities[0] if feed.facilities else identity.facility,
        receiving_application=identity.application,
        receiving_facility=identity.facility,
        authority=authority,
        own_authority=own,
        controls=_controls(book, feed),
    )


def _controls(book: Book, feed: Feed) -> Mapping[OrderAction, str]:
    """The first code of ORC-1 that the feed's own file lists for each action: what the sender really says."""
    found: dict[OrderAction, str] = {}
    for setting in book.settings.get(feed.file, ()):
        table, _, code = setting.key.partition(".")
        if table == "controls" and code in feed.controls:
            found.setdefault(feed.controls[code], code)
    return found


def _voice(book: Book, channel: Channel) -> Feed:
    """The dialect in which an office's messages are read."""
    return next((one for one in book.senders if one.name == channel.name), channel.feed())


def office_of(book: Book, ehr: Sender, channel: Channel) -> Office | None:
    """What one channel's office can do; None when the ordering side's orders do not reach it."""
    if channel.mode != "live":
        return None
    envelope = Envelope(sender=ehr, at=_TRIED_AT, control="1")
    reach = [
        asked
        for kind in KINDS
        for code in _codes(ehr.feed, channel)
        if _reaches(book, channel, envelope, asked := _trial(envelope, channel, kind, code))
    ]
    if not reach:
        return None
    usual = reach[0]
    free, held = _plans(book, channel, envelope, usual)
    sender = None
    if channel.speaks:
        own = channel.replies.facilities[0] if channel.replies.facilities else channel.name.upper()
        sender = _sender(book, _voice(book, channel), ehr.authority, own)
    return Office(
        name=channel.name,
        title=channel.title,
        npi=usual.npi,
        codes=tuple(asked.code[0] for asked in reach if asked.kind == usual.kind),
        sender=sender,
        confirms=sender is not None and channel.replies.confirms,
        books=sender is not None and channel.replies.appointments,
        notes=_notes(channel, sender),
        answers=_answers(book, channel),
        free=free,
        held=held,
        kinds=tuple(dict.fromkeys(asked.kind for asked in reach)),
        placed=usual.placed,
    )


def _trial(envelope: Envelope, channel: Channel, kind: str, code: str) -> Asked:
    """An order for this office, with everything in it that the files look for."""
    feed, npi = envelope.sender.feed, _npi(channel)
    asked = Asked(
        control=control_of(envelope.sender, "new"), person=_TRIAL, placer=("1", envelope.sender.numbers), npi=npi,
        code=(code, "Referral"), office=channel.title, ordered_at=_TRIED_AT, kind=kind,
    )  # fmt: skip
    raw = written(envelope, asked)
    needed = {feed.referred_to[0]: npi} if feed.referred_to and feed.referred_to[0] != "OBR-28.1" else {}
    for matcher in (feed.referral_when, feed.physician_orders, feed.sms_consent or feed.portal):
        needed |= missing(matcher, raw)
    needed |= lacking(channel.match, written(envelope, replace(asked, placed=needed)), npi)
    return replace(asked, placed=needed)


def why_not(book: Book, ehr: Sender, channel: Channel) -> tuple[str, str]:
    """Why no order of that sender can be made that this channel takes: a sentence, and the line it is about."""
    envelope = Envelope(sender=ehr, at=_TRIED_AT, control="1")
    asked = _trial(envelope, channel, KINDS[0], next(iter(_codes(ehr.feed, channel)), ""))
    trial = Message.parse(written(envelope, asked))
    if not ehr.feed.is_referral(trial):
        return f'the feed "{ehr.name}" does not call such an order a referral', ehr.feed.file
    answer = next(one for one in explain(book, trial, ehr.feed).candidates if one.name == channel.name)
    if not answer.yes:
        return answer.reason, f"{channel.file} {answer.lines}"
    others = ", ".join(one.name for one in route(book, trial, ehr.feed).candidates if one.name != channel.name)
    return (f"its orders are wanted by {others} as well: nobody gets them" if others else "it takes none"), channel.file


def _reaches(book: Book, channel: Channel, envelope: Envelope, asked: Asked) -> bool:
    """Whether the feed calls the order a referral, and this channel takes it."""
    feed, trial = envelope.sender.feed, Message.parse(written(envelope, asked))
    return feed.is_referral(trial) and route(book, trial, feed).channel is channel


def _codes(feed: Feed, channel: Channel) -> tuple[str, ...]:
    """Codes the channel may take; one that asks for none, or for what cannot be guessed, is tried with the feed's."""
    match channel.match.test_of("OBR-4.1"):
        case OneOf(values):
            return values
        case StartsWith(prefixes):
            return tuple(f"{prefix}1" for prefix in prefixes)
        case Matches(pattern) if examples(pattern)[0]:
            return examples(pattern)[0]
        case Range() as numbers:
            return tuple(numbers.some())
        case _:
            own = (prefix for prefix, specialty in feed.specialties.items() if specialty == channel.specialty)
            return tuple(f"{prefix}1" for prefix in own) or ("REF1",)


def _npi(channel: Channel) -> str:
    tests = [channel.match.test_of(path) for path in (REFERRED_TO, USUAL_PLACE)]
    return next((test.values[0] for test in tests if isinstance(test, OneOf)), channel.npi)


def _plans(book: Book, channel: Channel, envelope: Envelope, asked: Asked) -> tuple[str, str]:
    """A plan that nothing is held for and one that waits, "" for each there is none of."""
    free = held = ""
    for plan in PLANS:
        rule = _rule(book, channel, envelope, replace(asked, plan=plan))
        free = free or (plan if rule is HoldRule.SEND else "")
        held = held or (plan if rule is HoldRule.HOLD else "")
    return free, held


def _rule(book: Book, channel: Channel, envelope: Envelope, asked: Asked) -> HoldRule:
    """What the files ask of an order without an authorization.  Source: LOOP section 3.5."""
    made, feed = Message.parse(written(envelope, asked)), envelope.sender.feed
    told = None
    if feed.in_network is not None:
        told = Network.IN if feed.in_network.matches(made) else Network.OUT
    network = channel.network_of(made, told)
    found = book.preauth.rule_for(
        specialty=feed.specialty_of(asked.code[0]) or channel.specialty, payer="", plan=asked.plan,
        procedure=asked.code[0], diagnosis="I48.91", network=network,
    )  # fmt: skip
    if channel.hold is None:
        return found.rule
    if not channel.hold.when.matches(made):
        return HoldRule.SEND
    return found.rule if found.rule is not HoldRule.SEND else HoldRule.HOLD


def _notes(channel: Channel, sender: Sender | None) -> tuple[NoteKind, ...]:
    """The ways a note of this office is a finished one by its file."""
    if sender is None or not channel.replies.notes:
        return ()
    envelope = Envelope(sender=sender, at=_TRIED_AT, control="1")
    letter = Letter(
        number=("1", "X"), person=_TRIAL, written_at=_TRIED_AT, seen_at=_TRIED_AT, code=("X", "X"), npi="",
        placer=("1", "X"),
    )  # fmt: skip
    made: dict[NoteKind, bytes] = {
        "MDM": document(envelope, letter, "final"),
        "ORU": result(envelope, letter, "final"),
    }
    final = channel.replies.final_when
    return tuple(kind for kind, raw in made.items() if final is None or final.matches(Message.parse(raw)))


def _answers(book: Book, channel: Channel) -> tuple[str, ...]:
    """What its partner's file lets it send of the usual answers."""
    listed = book.partner_of(channel).message_types
    return tuple(kind for kind in _ANSWERS if not listed or kind in listed or f"{kind[:3]}^*" in listed)


def _can(office: Office, need: str) -> bool:
    match need:
        case "speaks":
            return office.sender is not None
        case _:
            return bool(getattr(office, need))
