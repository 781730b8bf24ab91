"""How one sender writes: its names, its times, its patient numbers and its words, as its feed's file says them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from referral_engine.channels.feed import Feed, OrderAction, SlotMeaning
from referral_engine.hl7.compose import Field, Raw, segment, write
from referral_engine.stories.people import Person

USUAL_VERSION: Final = "2.5.1"
_USUAL_CONTROLS: Final[Mapping[OrderAction, str]] = {  # table 0119, what a placer says
    "new": "NW", "change": "XO", "cancel": "CA", "stop": "DC", "hold": "HD", "release": "RL", "status": "SS",
    "ignore": "PA",
}  # fmt: skip
_ENCODING: Final = "|^~\\&"  # MSH-1 and MSH-2


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """One party as it writes: the feed it is read by, and the names its messages bear."""

    feed: Feed
    name: str  # of the feed or the channel
    application: str  # MSH-3
    facility: str  # MSH-4
    receiving_application: str  # MSH-5
    receiving_facility: str  # MSH-6
    authority: str  # whose medical record numbers it writes
    own_authority: str = ""  # of the numbers it gives the patient itself; "" for the ordering side
    controls: Mapping[OrderAction, str] = {}  # ORC-1 of what its file lists itself

    @property
    def numbers(self) -> str:
        """Whose numbers it gives to orders, appointments and documents: EI.2."""
        return self.application or self.facility


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What is outside of a message's own meaning."""

    sender: Sender
    at: datetime  # MSH-7
    control: str  # MSH-10
    version: str = USUAL_VERSION
    bare: bool = False  # times without an offset: wall clock in the sender's zone
    charset: str = "UNICODE UTF-8"  # MSH-18
    codec: str = "utf-8"  # what the bytes are
    processing: str = "P"  # MSH-11

    def time(self, at: datetime) -> str:
        """An instant as this sender writes it."""
        local = at.astimezone(self.sender.feed.zone)
        return local.strftime("%Y%m%d%H%M%S" if self.bare else "%Y%m%d%H%M%S%z")

    def day(self, at: datetime) -> str:
        """An instant to the day, on the sender's wall."""
        return at.astimezone(self.sender.feed.zone).strftime("%Y%m%d")


def message(envelope: Envelope, kind: str, lines: Sequence[str]) -> bytes:
    """The bytes of a message: its header, then the lines.

    kind: MSH-9, "SIU^S12^SIU_S12". Raises MessageFault 102 for a letter that the envelope's codec does not have.
    Source: HL7 v2.5.1 2.15.9.
    """
    sender = envelope.sender
    header = (
        f"MSH{_ENCODING}|{sender.application}|{sender.facility}|{sender.receiving_application}|"
        f"{sender.receiving_facility}|{envelope.time(envelope.at)}||{kind}|{envelope.control}|{envelope.processing}|"
        f"{envelope.version}|||||USA|{envelope.charset}".rstrip("|")
    )
    return write((header, *lines), envelope.codec)


def pid(envelope: Envelope, one: Person, *, numberless: bool = False) -> str:
    """PID as this sender writes it; an office adds the number it gave the patient itself.

    numberless: without any number, as a letter that names the patient only.
    """
    sender = envelope.sender
    numbers: list[tuple[str | None, ...]] = [(one.record, None, None, one.authority or sender.authority, "MR")]
    if sender.own_authority:
        numbers.append((f"{sender.own_authority[:2]}{one.record}", None, None, sender.own_authority, "PI"))
    place = next((path for path in sender.feed.patient_numbers if path in ("PID-2", "PID-3")), "PID-3")
    said: Field = None if numberless else numbers
    second, third = (said, None) if place == "PID-2" else (None, said)
    return segment(
        "PID", "1", second, third, None, (one.family, one.given, None, one.suffix, None, None, "L"), None, one.born_on,
        one.sex, None, None, (one.street, None, "Springfield", "IL", "62701", "USA", "H"), None,
        (None, "PRN", "CP", None, "1", "217", one.phone), None, ("en", "English", "HL70296"), None, None,
        None if numberless else (one.visit, None, None, sender.authority, "VN"),
    )  # fmt: skip


def control_of(sender: Sender, action: OrderAction) -> str:
    """ORC-1 as this sender says it: the first code that its own file lists for that, else the usual one."""
    return sender.controls.get(action) or _USUAL_CONTROLS[action]


def words_of(feed: Feed, meaning: SlotMeaning) -> tuple[str, ...]:
    """Every word of SCH-25 that means this to the sender's readers."""
    return tuple(word for word, said in feed.slot_words.items() if said == meaning)


def clinician(npi: str, family: str, given: str) -> Raw:
    """An XCN."""
    return Raw(f"{npi}^{family}^{given}^^^^MD^^NPI^L^^^NPI")


REFERRER: Final = clinician("1440000010", "Referrer", "Rosa")
CONSULTANT: Final = clinician("1550000016", "Consultant", "Cora")
