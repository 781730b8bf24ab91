"""What a site and a channel decided about time: clocks by kind, urgency and network, and what the specialist can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from referral_engine.base.values import replace
from referral_engine.loop.calendar import Calendar
from referral_engine.loop.states import Network, Urgency


class Unit(StrEnum):
    """Words of a length of time; clock units and business units are different words on purpose."""

    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    BUSINESS_HOURS = "business hours"
    BUSINESS_DAYS = "business days"


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in words: 48 hours, 5 business days."""

    amount: int
    unit: Unit

    def __str__(self) -> str:
        """As the analyst writes it."""
        word = self.unit.value[:-1] if self.amount == 1 else self.unit.value
        return f"{self.amount} {word}"


Stages = tuple[Duration, ...]  # of one clock, the shortest first; only a few clocks have several


class Kind(StrEnum):
    """The clocks of LOOP section 4, and our own (`hold-*`, `authorization-ends`, `cancel-confirm`, `rebook`)."""

    PATIENT_PROMPT = "patient-prompt"
    PATIENT_PROMPT_LATE = "patient-prompt-late"
    DELIVERED = "delivered"
    CONFIRM = "confirm"
    SCHEDULE = "schedule"
    OPEN_30 = "open-30"
    REMIND_72H = "remind-72h"
    REMIND_24H = "remind-24h"
    VISIT_CHECK = "visit-check"
    ATTENDED = "attended?"
    ATTENDED_LATE = "attended?-late"
    NOTE_PING = "note-ping"
    NOTE_WATCH = "note-watch"
    NOTE_REQUEST = "note-request"
    NOTE_PHYSICIAN = "note-physician"
    CLOSURE_ACCEPTED = "closure-accepted"
    HOLD_REMIND = "hold-remind"
    HOLD_BILLING = "hold-billing"
    AUTHORIZATION_ENDS = "authorization-ends"
    CANCEL_CONFIRM = "cancel-confirm"
    REBOOK = "rebook"


class HoldRule(StrEnum):
    """What pre-authorization asks of one referral (conf/preauth.toml)."""

    SEND = "send"
    HOLD = "hold"
    SUBMIT = "submit"


Row = tuple[Stages, Stages]  # routine, urgent
Clocks = Mapping[Kind, Row]


def _(text: str) -> Stages:
    """Read "1 days, 7 days" as the table below writes it."""
    return tuple(Duration(int(part.split(" ", 1)[0]), Unit(part.split(" ", 1)[1])) for part in text.split(", "))


# fmt: off
DEFAULT_CLOCKS: Final[Clocks] = {
    #                          routine              urgent
    Kind.PATIENT_PROMPT:      (_("2 minutes"),      _("2 minutes")),
    Kind.PATIENT_PROMPT_LATE: (_("24 hours"),       _("4 hours")),
    Kind.DELIVERED:           (_("4 hours"),        _("1 hours")),
    Kind.CONFIRM:             (_("48 hours"),       _("24 hours")),
    Kind.SCHEDULE:            (_("7 days"),         _("3 days")),
    Kind.OPEN_30:             (_("30 days"),        _("14 days")),
    Kind.REMIND_72H:          (_("72 hours"),       _("72 hours")),
    Kind.REMIND_24H:          (_("24 hours"),       _("24 hours")),
    Kind.VISIT_CHECK:         (_("2 hours"),        _("2 hours")),
    Kind.ATTENDED:            (_("1 days"),         _("1 days")),
    Kind.ATTENDED_LATE:       (_("48 hours"),       _("24 hours")),
    Kind.NOTE_PING:           (_("1 days, 7 days"), _("1 days, 3 days")),
    Kind.NOTE_WATCH:          (_("14 days"),        _("7 days")),
    Kind.NOTE_REQUEST:        (_("30 days"),        _("14 days")),
    Kind.NOTE_PHYSICIAN:      (_("60 days"),        _("30 days")),
    Kind.CLOSURE_ACCEPTED:    (_("4 hours"),        _("1 hours")),
    Kind.HOLD_REMIND:         (_("2 business days"), _("1 business days")),
    Kind.HOLD_BILLING:        (_("5 days"),         _("5 days")),
    Kind.AUTHORIZATION_ENDS:  (_("1 minutes"),      _("1 minutes")),
    Kind.CANCEL_CONFIRM:      (_("48 hours"),       _("24 hours")),
    Kind.REBOOK:              (_("7 days"),         _("3 days")),
}
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What this specialist's office can do; what it cannot, people or the clocks do."""

    can_confirm: bool = True  # says it accepts or declines
    can_send_appointments: bool = True  # sends SIU
    can_send_notes: bool = True  # sends ORU or MDM; False is an interoperability gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Every choice the loop needs from the files for one channel."""

    calendar: Calendar
    npi: str = ""  # the office's own: what is authorized for it is authorized for each of its clinicians
    clocks: Clocks = field(default_factory=lambda: DEFAULT_CLOCKS)
    networks: Mapping[Network, Clocks] = field(default_factory=dict)  # rows that hold in one network only
    off: frozenset[Kind] = frozenset()  # clocks that would wait for what this office never says
    capabilities: Capabilities = field(default_factory=Capabilities)
    no_show_attempts: int = 1  # automatic reschedule prompts before a clinical review
    fallbacks: int = 0  # ways the channel names behind the first
    sends: tuple[Calendar | None, ...] = ()  # when each way may send, the first way first; None: at any time
    duplicate_days: int = 14  # same patient and specialty inside this many days is one referral
    provisional_notes: bool = False  # level 3 may file a note without a person

    def keeping_time_of(self, old: Policy) -> Policy:
        """This policy with the clocks of `old`: with every field that `loop.clocks.deadlines` asks for."""
        kept = {"calendar": old.calendar, "clocks": old.clocks, "networks": old.networks, "off": old.off}
        return replace(self, **kept, sends=old.sends)

    def lengths(self, kind: Kind, urgency: Urgency, network: Network) -> Stages:
        """The lengths of one clock, in order; several mean several stages.  Source: LOOP 3.6, the policy row."""
        own = self.networks.get(network) if self.networks else None
        routine, urgent = self.clocks[kind] if own is None or kind not in own else own[kind]
        return urgent if urgency is Urgency.URGENT else routine

    def sending(self, way: int) -> Calendar | None:
        """When a way may send, 0 being the first one; None for at any time."""
        return self.sends[way] if way < len(self.sends) else None
