"""What conf/engine.toml decides about this machine and this practice, as values that all have a default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from types import MappingProxyType
from typing import Final, Literal
from zoneinfo import ZoneInfo

from referral_engine.channels.keeping import Keeping
from referral_engine.channels.naks import NakMeaning
from referral_engine.channels.pairs import Pair
from referral_engine.channels.partner import MLLP_TRAILER, Plaintext
from referral_engine.channels.size import Size
from referral_engine.loop.calendar import Calendar, add_business_time
from referral_engine.loop.policy import DEFAULT_CLOCKS, Clocks, Duration, Kind, Unit
from referral_engine.loop.states import Network, Urgency

MIB: Final = 1024 * 1024
FRAME_BYTES_LEAST: Final = 64 * 1024  # below this ordinary orders with notes are refused
FRAME_BYTES_MOST: Final = 256 * MIB  # several are held in memory at once
CONNECTIONS_MOST: Final = 10_000  # file descriptors of one process
HOUR_SECONDS: Final = 3600.0

DEFAULT_TICK: Final = Duration(1, Unit.SECONDS)
DEFAULT_BALLAST: Final = Size(64 * MIB)
DEFAULT_KEEPING: Final = Keeping("72 hours", 72 * HOUR_SECONDS)  # early evidence comes three days early, at most

DEFAULT_REVIEW_AGE: Final = (Duration(1, Unit.BUSINESS_DAYS), Duration(4, Unit.HOURS))  # routine, urgent

DEFAULT_QUEUES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "preauth": "preauth-desk",
        "billing": "billing",
        "schedule": "front-desk",
        "call-patient": "front-desk",
        "verify-contact": "front-desk",
        "review-age": "supervisor",
        "call-specialist": "referral-desk",
        "undeliverable": "referral-desk",
        "unroutable-order": "referral-desk",
        "match-review": "referral-desk",
        "records-request": "referral-desk",
        "chase-note": "referral-desk",
        "stale": "referral-desk",
        "no-show-review": "clinical-review",
        "find-specialist": "referral-desk",
        "undeliverable-ehr": "interface-desk",
        "unknown-delivery": "referral-desk",
        "wrong-patient": "clinical-review",
        "anomaly": "referral-desk",
        "quarantine": "interface-desk",
    }
)
DEFAULT_QUEUE: Final = "referral-desk"  # for a kind of task the files do not name


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """File names inside the credentials directory; "" means the system's own or none."""

    cert: str = ""  # our certificate chain, PEM
    key: str = ""  # its private key; "" when it is inside `cert`
    ca: str = ""  # whom we trust; "" is the system's store
    require_client_cert: bool = False  # listeners only
    server_name: str = ""  # clients only: the name the peer's certificate must carry; "" is the host


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How a courier tries again: the pause doubles from first to longest until it gives up."""

    first_seconds: float = 30.0
    longest_seconds: float = 900.0
    give_up_after_seconds: float = 24 * HOUR_SECONDS
    counted: Calendar | None = None  # only time in which this is open counts towards giving up; None: all time

    def gives_up_at(self, owed_at: datetime) -> datetime:
        """From when on what was owed at an instant is not tried again, UTC."""
        length = timedelta(seconds=self.give_up_after_seconds)
        return owed_at + length if self.counted is None else add_business_time(self.counted, owed_at, length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who we are on the wire."""

    application: str = "REFERRAL_ENGINE"  # MSH-3 of what we send
    facility: str = "REFERRALS"  # MSH-4
    oid: str = ""  # of this installation; "" when none is registered
    node: str = "RE"  # letters before our referral numbers and control ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """What a patient or a specialist reads as the sender."""

    name: str = "your clinic"
    phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One MLLP port that accepts messages."""

    name: str = "default"
    bind: str = "127.0.0.1"
    port: int = 2575
    tls: Tls | None = None
    frame_bytes_max: int = 16 * MIB  # a scanned letter inside OBX-5 is large
    connections_max: int = 512
    per_peer_max: int = 16
    idle_timeout_seconds: float = 600.0
    partners: tuple[str, ...] = ()  # who may speak here; empty: every partner
    insecure_plaintext: Plaintext | None = None  # needed without TLS, unless it listens on loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """Where the pages, the health answers and the webhooks are served."""

    bind: str = "127.0.0.1"
    port: int = 8575


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """Where the journal lives and how often its deadlines are looked at."""

    path: str = "var/journal.db"
    key_file: str = "var/journal.key"  # "" leaves the journal unencrypted
    tick: Duration = DEFAULT_TICK
    batch_messages_max: int = 64  # in one commit
    keep_years: int = 7
    keep_unrelated: Keeping = DEFAULT_KEEPING  # the bytes of a message that concerns no referral; then only its header
    backup_directory: str = "var/backup"
    low_water: Size | None = None  # free on its disk, below which nothing is accepted; None: as `journal.room` reckons
    ballast: Size = DEFAULT_BALLAST  # thrown off when the disk is full, so that what is in hand can be finished
    allow_file_system: bool = False  # take a disk that cannot promise what is acknowledged, such as NFS


@dataclass(frozen=True, slots=True, kw_only=True)
class EhrSettings:
    """Where closures, tasks and status messages for the ordering side go."""

    host: str = "127.0.0.1"
    port: int = 2576
    tls: Tls | None = None
    receiving_application: str = "EHR"  # MSH-5
    receiving_facility: str = "SPRINGFIELD"  # MSH-6
    version: str = "2.5.1"  # MSH-12
    closure: Literal["MDM^T02", "ORU^R01"] = "MDM^T02"
    status: Literal["ORM^O01", "OSU^O51"] = "ORM^O01"
    pairs: Mapping[str, Pair] = field(default_factory=dict)  # status word to ORC-1 and ORC-5; missing ones are usual
    ack_timeout_seconds: float = 30.0
    retry: Retry = field(default_factory=Retry)
    partner: str = ""  # whose NAK meanings hold; "" is none
    nak: NakMeaning = field(default_factory=NakMeaning)
    trailer: bytes = MLLP_TRAILER  # of the frames we send and of the answers
    single_session: bool = False  # the peer takes one connection at a time: the old one is gone before the next
    insecure_plaintext: Plaintext | None = None  # needed without TLS, unless the host is this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A way out that several channels share, such as the fax server's pick-up folder."""

    name: str
    kind: Literal["spool"] = "spool"
    directory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outreach:
    """When and how patients are written to."""

    quiet_from: time = time(21)  # patient's wall time: nothing is sent from here ...
    quiet_until: time = time(8)  # ... to here
    per_day: int = 1
    per_week: int = 3
    zone: ZoneInfo | None = None  # the patients' own; None: that of the specialist's calendar
    scheduling_link: str = ""
    transport: Literal["spool"] = "spool"
    directory: str = "var/spool/patients"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """After a long silence: how long the senders are heard first, and how fast what was missed is told."""

    quiet_seconds: float = 900.0  # listeners open, before anything fires; a sender that was refused calls again by then
    sends_per_minute: int = 60  # of one lane; stops a week's notices from filling an office's fax machine in one go
    texts_per_minute: int = 10  # to patients; their answers are read by people


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """Who is live first; with no list and 100 percent, everyone is."""

    mode: Literal["live", "shadow"] = "live"  # shadow watches everything and sends nothing
    channels: tuple[str, ...] = ()  # empty: every channel
    providers: tuple[str, ...] = ()  # NPIs of ordering providers; empty: every one
    percent: int = 100


def default_calendar() -> Calendar:
    """Monday to Friday, 08:00 to 17:00, in Chicago."""
    return Calendar(name="default", zone=ZoneInfo("America/Chicago"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The whole of conf/engine.toml."""

    identity: Identity = field(default_factory=Identity)
    practice: Practice = field(default_factory=Practice)
    listeners: tuple[Listener, ...] = field(default_factory=lambda: (Listener(),))
    web: Web = field(default_factory=Web)
    journal: JournalSettings = field(default_factory=JournalSettings)
    ehr: EhrSettings = field(default_factory=EhrSettings)
    calendars: Mapping[str, Calendar] = field(default_factory=lambda: {"default": default_calendar()})
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    spool_directory: str = "var/spool"
    control_socket: str = "var/control.sock"
    clocks: Clocks = field(default_factory=lambda: DEFAULT_CLOCKS)  # every kind, overrides already in
    network_clocks: Mapping[Network, Clocks] = field(default_factory=dict)  # rows that hold in one network only
    clock_origins: Mapping[tuple[Kind, Urgency, Network], str] = field(default_factory=dict, compare=False)
    review_age: tuple[Duration, Duration] = DEFAULT_REVIEW_AGE  # routine, urgent: until a supervisor gets a review
    queues: Mapping[str, str] = field(default_factory=lambda: DEFAULT_QUEUES)  # task kind to queue
    patients: Outreach = field(default_factory=Outreach)
    processing_ids: tuple[str, ...] = ("P",)  # MSH-11 we accept; others are answered AR
    versions: tuple[str, ...] = ("2.",)  # MSH-12 must start with one of these
    duplicate_days: int = 14
    directory_review_days: int = 90  # a specialist's numbers and addresses are verified again after so many
    no_show_attempts: int = 1
    pilot: Pilot = field(default_factory=Pilot)
    catch_up: CatchUp = field(default_factory=CatchUp)

    def queue_of(self, kind: str) -> str:
        """The queue a kind of task goes to."""
        return self.queues.get(kind, DEFAULT_QUEUE)


def default_engine() -> Engine:
    """What is in force when there is no file at all."""
    return Engine()
