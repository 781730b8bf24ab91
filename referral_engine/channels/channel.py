"""One specialist as the analyst described it: which orders are theirs, how they get them, what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from referral_engine.base.values import replace
from referral_engine.channels.engine import Outreach, Retry, Tls
from referral_engine.channels.feed import Feed
from referral_engine.channels.matcher import Matcher
from referral_engine.channels.naks import NakMeaning
from referral_engine.channels.pairs import ORDER_PAIRS, Pair
from referral_engine.channels.partner import MLLP_TRAILER, Plaintext
from referral_engine.channels.timetable import ChannelTest
from referral_engine.hl7.message import Message
from referral_engine.loop.calendar import Calendar, Hours
from referral_engine.loop.policy import Duration, Policy
from referral_engine.loop.states import Network

FALLBACK: Final = "/fallback"  # behind a channel's name: the lane of its second way; of its third "/fallback-2"
FALLBACKS_MAX: Final = 3  # ways behind the first; a packet that four ways do not bring is a person's

Format = Literal["orm", "360x"]  # the order as it came, re-addressed; or the payload of IHE 360X
Mode = Literal["live", "shadow", "off"]  # of new orders: taken and sent, followed and not sent, not taken
Received = Literal["ack", "fax report", "sent"]  # what tells us that the packet arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Which orders wait here, and what lets them go."""

    reason: str = "pre-authorization"
    when: Matcher = field(default_factory=Matcher)
    released_by: tuple[str, ...] = ("staff",)  # HL7 paths that carry an authorization, or "staff"
    remind_after: Duration | None = None  # None: as the rule of conf/preauth.toml says, else as the channel's clocks do
    billing_after: Duration | None = None  # the same
    escalate_to: str = "preauth-desk"  # a queue


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpTransport:
    """HL7 over MLLP to the specialist's interface."""

    host: str
    port: int
    tls: Tls | None = None
    ack_mode: Literal["original", "enhanced"] = "original"
    ack_timeout_seconds: float = 30.0
    retry: Retry = field(default_factory=Retry)
    nak: NakMeaning = field(default_factory=NakMeaning)
    trailer: bytes = MLLP_TRAILER  # of the frames we send and of the answers
    single_session: bool = False  # the peer takes one connection at a time: the old one is gone before the next
    insecure_plaintext: Plaintext | None = None  # needed without TLS, unless the host is this machine
    send_hours: Hours = ()  # of the office's open days, when anything may leave; empty: at any time


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxTransport:
    """A fax through a gateway of conf/engine.toml."""

    gateway: str
    number: str  # E.164
    cover: str = "referral-cover"
    attach: tuple[str, ...] = ("order", "demographics", "insurance", "notes")
    pages_max: int = 25
    retry: Retry = field(default_factory=Retry)
    send_hours: Hours = ()  # as MllpTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolTransport:
    """Files in a directory that another program picks up."""

    directory: str
    retry: Retry = field(default_factory=Retry)
    send_hours: Hours = ()  # as MllpTransport


Transport = MllpTransport | FaxTransport | SpoolTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSettings:
    """How our copy of the order is addressed."""

    receiving_application: str = ""  # MSH-5
    receiving_facility: str = ""  # MSH-6
    version: str = "2.5.1"  # MSH-12
    drop_segments: tuple[str, ...] = ()
    format: Format = "orm"
    pairs: Mapping[str, Pair] = field(default_factory=lambda: ORDER_PAIRS)  # what is asked to ORC-1 and ORC-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """How we learn what happened at the specialist's."""

    applications: tuple[str, ...] = ()  # MSH-3 values that speak for this specialist
    facilities: tuple[str, ...] = ()  # MSH-4 values; empty: any
    addresses: tuple[str, ...] = ()  # IPs or networks they may call from; empty: any
    received: Received = "ack"
    confirms: bool = True  # says whether it accepts
    appointments: bool = True  # sends SIU
    notes: bool = True  # sends ORU or MDM
    final_when: Matcher | None = None  # which of its documents are final; None: the feed's tables decide
    dialect: str = ""  # the feed whose places and words they use, switched on or not; "": the usual ones
    provisional_notes: bool = False  # a level-3 match may file a note without a person


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientText:
    """What a reminder may tell the patient about the place."""

    address: str = ""
    parking: str = ""
    insurance_card: str = "Please bring your insurance card."


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """The whole of channels/<name>.toml."""

    name: str
    title: str
    npi: str  # of the group, "" when unknown
    specialty: str
    calendar: str = "default"  # its name in conf/engine.toml
    network: Network = Network.OUT
    in_network: Matcher | None = None  # which orders are inside our network; None: the sender's file, else `network`
    partner: str = ""  # its name in conf/partners; "": the one of our own name, if there is one
    mode: Mode = "live"
    verified_on: date | None = None  # when somebody last verified its numbers and addresses
    match: Matcher
    hold: Hold | None = None
    transport: Transport
    fallbacks: tuple[Transport, ...] = ()  # the ways behind the first, in the order they are taken
    message: MessageSettings = field(default_factory=MessageSettings)
    replies: Replies = field(default_factory=Replies)
    policy: Policy
    patient: PatientText = field(default_factory=PatientText)
    outreach: Outreach | None = None  # when and how often its patients are written to; None: as the practice says
    tests: tuple[ChannelTest, ...] = ()
    version: str = ""  # short hash of the file's text
    file: str = ""
    match_lines: tuple[int, int] = (0, 0)  # first and last line of [match]

    @property
    def is_on(self) -> bool:
        """Whether it takes part at all: it takes orders, or it watches those that it would take."""
        return self.mode != "off"

    @property
    def fallback(self) -> Transport | None:
        """The second way; None where there is only one."""
        return self.fallbacks[0] if self.fallbacks else None

    @property
    def lanes(self) -> tuple[tuple[str, Transport], ...]:
        """Every way with the lane of the outbox it has, the first way first."""
        ways = enumerate((self.transport, *self.fallbacks))
        return tuple((lane_of(self.name, way), transport) for way, transport in ways)

    @property
    def speaks(self) -> bool:
        """Whether anything arrives from this specialist over the wire."""
        return bool(self.replies.applications or self.replies.facilities)

    def network_of(self, message: Message, told: Network | None) -> Network:
        """Inside or outside our network, for one order: a payer's network is not the next one's.

        told: what the sender's file reads in the order; None when it reads nothing.
        """
        if self.in_network is not None:
            return Network.IN if self.in_network.matches(message) else Network.OUT
        return self.network if told is None else told

    def feed(self) -> Feed:
        """The implicit dialect of the specialist: our defaults, its zone, its names in MSH-3 and MSH-4."""
        return Feed(
            name=self.name,
            title=self.title,
            party="specialist",
            applications=self.replies.applications,
            facilities=self.replies.facilities,
            addresses=self.replies.addresses,
            zone=self.policy.calendar.zone,
            partner=self.partner,
            file=self.file,
        )


def lane_of(channel: str, way: int) -> str:
    """The lane of one of a channel's ways, 0 being the first."""
    if way == 0:
        return channel
    return channel + FALLBACK if way == 1 else f"{channel}{FALLBACK}-{way}"


def way_of_lane(lane: str) -> int:
    """Which of its channel's ways a lane is; 0 for one that is no fallback."""
    _, fallback, number = lane.partition(FALLBACK)
    return int(number.removeprefix("-") or 1) if fallback else 0


def sending_hours(transport: Transport, calendar: Calendar) -> Calendar | None:
    """When a way may send: its hours on the days its office is open, in the office's zone; None for at any time."""
    if not transport.send_hours:
        return None
    return replace(
        calendar,
        name=f"{calendar.name}, send_hours",
        hours=dict.fromkeys(calendar.hours, transport.send_hours),
        special={day: transport.send_hours if spans else () for day, spans in calendar.special.items()},
    )
