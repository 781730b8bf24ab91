"""One sender's dialect: which of its orders are referrals, and what its codes and words mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal
from zoneinfo import ZoneInfo

from referral_engine.channels.matcher import Matcher
from referral_engine.hl7.message import Message

OrderAction = Literal["new", "change", "cancel", "stop", "hold", "release", "status", "ignore"]
SlotMeaning = Literal["booked", "arrived", "kept", "no-show", "cancelled", "pending", "void", "ignore"]
ReportState = Literal["final", "interim", "corrected", "retracted"]
Offset = Literal["zone", "sender", "utc"]  # the feed's zone, that of MSH-7, or UTC

# Where a booking's start may stand, surest first: HL7 v2.5.1 4.5.4 (TQ1), 10.6.1 (SCH), 10.6.4 to 10.6.7 (AIS to AIP).
DEFAULT_STARTS: Final = ("TQ1-7.1", "SCH-11.4", "AIS-4.1", "AIL-6.1", "AIP-6.1", "AIG-8.1")

# fmt: off
DEFAULT_CONTROLS: Final[Mapping[str, OrderAction]] = MappingProxyType({  # ORC-1, table 0119
    "NW": "new",    "SN": "new",                                     # SN, OC, OD, OH, OE, XX, SC: what some EHRs
    "XO": "change", "XX": "change", "RP": "change", "RU": "change",  # send unasked instead of NW, CA, DC, HD, RL,
    "CA": "cancel", "OC": "cancel",                                  # XO, SS
    "DC": "stop",   "OD": "stop",
    "HD": "hold",   "OH": "hold",
    "RL": "release", "OE": "release",
    "SC": "status", "SS": "status", "SR": "status", "RE": "status",
})
DEFAULT_SLOT_WORDS: Final[Mapping[str, SlotMeaning]] = MappingProxyType({  # SCH-25, table 0278 and what is really sent
    "BOOKED": "booked",     "SCHEDULED": "booked",  "CONFIRMED": "booked",
    "PENDING": "pending",   "WAITLIST": "pending",
    "ARRIVED": "arrived",   "CHECKED-IN": "arrived", "CHECKED IN": "arrived", "STARTED": "arrived",
    "COMPLETE": "kept",     "COMPLETED": "kept",    "CHECKED-OUT": "kept",    "CHECKED OUT": "kept",
    "NOSHOW": "no-show",    "NO SHOW": "no-show",   "NO-SHOW": "no-show",
    "CANCELLED": "cancelled", "CANCELED": "cancelled", "DC": "cancelled",
    "DELETED": "void",      "BLOCKED": "ignore",    "OVERBOOK": "booked",
})
DEFAULT_RESULT_STATES: Final[Mapping[str, ReportState]] = MappingProxyType({  # OBR-25, OBX-11: tables 0123, 0085
    "F": "final", "C": "corrected", "P": "interim", "R": "interim", "S": "interim", "A": "interim", "I": "interim",
    "W": "retracted", "D": "retracted", "X": "retracted",
})
DEFAULT_DOCUMENT_STATES: Final[Mapping[str, ReportState]] = MappingProxyType({  # TXA-17, table 0271
    "AU": "final", "LA": "final",
    "DI": "interim", "DO": "interim", "IN": "interim", "IP": "interim", "PA": "interim",
})
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The whole of conf/feeds/<name>.toml; codes and words are compared in capitals."""

    name: str
    title: str = ""
    party: Literal["ehr", "scanner", "specialist"] = "ehr"  # specialist: the implicit feed of a channel
    applications: tuple[str, ...] = ()  # MSH-3; empty: any
    facilities: tuple[str, ...] = ()  # MSH-4; empty: any
    addresses: tuple[str, ...] = ()  # IPs or networks; empty: any
    partner: str = ""  # its name in conf/partners; "": the one of our own name, if there is one
    enabled: bool = True  # a shipped dialect waits with `enabled = false` until somebody has confirmed it on site
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/Chicago"))  # of times sent without an offset
    offset: Offset = "zone"  # what a time without an offset means
    charset: str = "utf-8"  # when MSH-18 is empty
    referral_when: Matcher | None = None  # which orders are referrals; None: none is
    referred_to: tuple[str, ...] = ("OBR-28.1",)  # paths of the referred-to NPI, first with a value counts
    specialties: Mapping[str, str] = field(default_factory=dict)  # prefix of OBR-4.1 to specialty
    patient_authority: str = ""  # CX.4.1 of the MRN that we match on
    patient_numbers: tuple[str, ...] = ("PID-3", "PID-2")  # fields that may hold record numbers; the first with one
    visit_numbers: tuple[str, ...] = ("PV1-19",)  # fields that may hold the number of a visit
    physician_orders: Matcher | None = None  # which referral orders a physician made; None: all; others are left alone
    in_network: Matcher | None = None  # which orders stay in the network; None: the channel's file says it
    starts: tuple[str, ...] = DEFAULT_STARTS  # where a booking's start may stand, surest first
    closing_documents: tuple[str, ...] = ()  # codes (TXA-2, OBR-4.1, OBX-3.1) that may close a referral; empty: any
    notes_may_attach: bool = False  # a level-3 match may file a note without a person
    typed_replies: bool = False  # ORR, ORG or RRI in place of a plain ACK
    unmatched: Literal["review", "forget"] = "forget"  # what becomes of evidence that found no referral in time
    language: str = "PID-15.1"
    portal: Matcher | None = None  # the patient may be written to in the portal
    sms_consent: Matcher | None = None  # the patient agreed to text messages
    controls: Mapping[str, OrderAction] = field(default_factory=lambda: DEFAULT_CONTROLS)
    slot_words: Mapping[str, SlotMeaning] = field(default_factory=lambda: DEFAULT_SLOT_WORDS)
    result_states: Mapping[str, ReportState] = field(default_factory=lambda: DEFAULT_RESULT_STATES)
    document_states: Mapping[str, ReportState] = field(default_factory=lambda: DEFAULT_DOCUMENT_STATES)
    file: str = ""

    @property
    def is_anyone(self) -> bool:
        """Whether the sender is not named at all: it is asked last."""
        return not (self.applications or self.facilities or self.addresses)

    def is_referral(self, message: Message) -> bool:
        """Whether an order of this sender is a referral."""
        return self.referral_when is not None and self.referral_when.matches(message)

    def specialty_of(self, code: str) -> str:
        """The specialty of an order code: the longest prefix that fits; "" when none does."""
        fitting = [prefix for prefix in self.specialties if code.startswith(prefix)]
        return self.specialties[max(fitting, key=len)] if fitting else ""

    def referred_npi(self, message: Message) -> str:
        """The referred-to provider's identifier; "" when the order names none."""
        return next((value for path in self.referred_to if (value := message.value(path))), "")

    def action_of(self, control: str) -> OrderAction:
        """What an ORC-1 asks for; a code nobody listed is ignored."""
        return self.controls.get(control.strip().upper(), "ignore")

    def slot_meaning(self, word: str) -> SlotMeaning | None:
        """What an SCH-25 says; None for a word nobody listed."""
        return self.slot_words.get(word.strip().upper())
