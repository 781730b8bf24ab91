"""One sender's dialect: which of its orders are referrals, and what its codes and words mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal
from zoneinfo import ZoneInfo

from referral_engine.base.ident import is_npi
from referral_engine.channels.matcher import Matcher
from referral_engine.hl7.message import Message
from referral_engine.hl7.path import read_path

OrderAction = Literal["new", "change", "cancel", "stop", "hold", "release", "status", "ignore"]
SlotMeaning = Literal["booked", "arrived", "kept", "no-show", "cancelled", "pending", "void", "ignore"]
ReportState = Literal["final", "interim", "corrected", "retracted"]
Offset = Literal["zone", "sender", "utc"]  # the feed's zone, that of MSH-7, or UTC

NPI_DIGITS: Final = 10
FREE_TEXT_MAX: Final = 2_000  # characters of a remark that are searched for an NPI
NUMBERS_MAX: Final = 20  # of one provider (PRD-7) that are looked at
_TEN_DIGITS: Final = re.compile(r"(?<![0-9])[0-9]{10}(?![0-9])")

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
    applications: tuple[str, ...] = ()  # MSH-3; empty: any; one of them may be "": MSH-3 says nothing, as in 360X
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
    authority_names: Mapping[str, str] = field(
        default_factory=dict
    )  # another name of an authority, or its OID: its name
    patient_numbers: tuple[str, ...] = ("PID-3", "PID-2")  # fields that may hold record numbers; the first with one
    visit_numbers: tuple[str, ...] = ("PV1-19",)  # fields that may hold the number of a visit
    left_alone: Matcher | None = None  # messages that say nothing new, such as an echo of what we sent; None: none
    physician_orders: Matcher | None = None  # which referral orders a physician made; None: all; others are left alone
    in_network: Matcher | None = None  # which orders stay in the network; None: the channel's file says it
    denied_when: Matcher | None = None  # messages that say the payer said no, where AUT-14 and IN1-14 do not
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
        whole = self.specialties.get(code)
        if whole is not None:
            return whole
        best = ""
        for prefix in self.specialties:
            if code.startswith(prefix) and len(prefix) > len(best):
                best = prefix
        return self.specialties.get(best, "")

    def referred_npi(self, message: Message) -> str:
        """The referred-to provider's identifier; "" when the order names none.

        The first place that says something counts. In free text ("refer to NPI 1234567893") it is the one valid NPI;
        a remark without one, or with two, says nothing.
        """
        for path in self.referred_to:
            value = message.value(path)
            if len(value) == NPI_DIGITS and value.isdigit():
                return value
            if value and (found := _provider_in(message, path, value)):
                return found
        return ""

    def action_of(self, control: str) -> OrderAction:
        """What an ORC-1 asks for; a code nobody listed is ignored."""
        return self.controls.get(control.strip().upper(), "ignore")

    def slot_meaning(self, word: str) -> SlotMeaning | None:
        """What an SCH-25 says; None for a word nobody listed."""
        return self.slot_words.get(word.strip().upper())


def _provider_in(message: Message, path: str, value: str) -> str:
    """Who is meant by a value that is no NPI: an NPI beside it or in it, else a number of the sender's own."""
    place = read_path(path)
    if place is not None and place.segment == "PRD" and not place.repetition:  # elsewhere the next is somebody else
        for segment in message.chosen(place)[:1]:
            for nth in range(2, min(len(segment.repetitions(place.field)), NUMBERS_MAX) + 1):
                text = segment.text(place.field, place.component or 1, place.subcomponent or 1, nth)
                if is_npi(text):
                    return text
    written = {found[0] for found in _TEN_DIGITS.finditer(value[:FREE_TEXT_MAX]) if is_npi(found[0])}
    if len(written) == 1:
        return written.pop()
    return "" if written or len(value.split(maxsplit=1)) > 1 else value
