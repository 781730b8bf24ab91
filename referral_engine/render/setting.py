"""What every rendering is given beside the effect, and what comes out: a lane, a way to travel, exact bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from referral_engine.base.errors import MessageFault
from referral_engine.base.ident import is_oid
from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel
from referral_engine.channels.engine import Engine, default_calendar

Way = Literal["mllp", "spool"]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What every rendering needs beside the effect."""

    book: Book
    channel: Channel | None
    at: datetime  # UTC, MSH-7
    wire_id: str  # MSH-10 or file id, given by the door
    source: bytes = b""  # raw bytes of the message the effect carries (order or note); b"" when none
    reason: str = ""  # a sentence for whoever reads it, such as a task's reason

    @property
    def engine(self) -> Engine:
        """Who we are, who the EHR is, how patients are written to."""
        return self.book.engine

    @property
    def zone(self) -> ZoneInfo:
        """The clinic's zone: the channel's, else the practice's own."""
        if self.channel is not None:
            return self.channel.policy.calendar.zone
        return (self.book.engine.calendars.get("default") or default_calendar()).zone

    @property
    def authorities(self) -> frozenset[str]:
        """Whose medical record numbers the EHR knows: CX.4.1 as the files of its feeds say."""
        feeds = [feed for feed in self.book.feeds.values() if feed.enabled and feed.party == "ehr"]
        return frozenset([feed.patient_authority for feed in feeds if feed.patient_authority])

    def oid_of(self, authority: str) -> str:
        """The OID of an authority of record numbers: itself, or as the EHR's feeds say; "" when nobody says."""
        if is_oid(authority):
            return authority
        for feed in self.book.feeds.values():
            if feed.enabled and feed.party == "ehr":
                for other, name in feed.authority_names.items():
                    if name == authority and is_oid(other):
                        return other
        return ""

    def specialist(self) -> Channel:
        """The channel. Raises MessageFault 207 when its file is gone: nobody knows where to send."""
        if self.channel is None:
            raise MessageFault("207", "", "the referral's channel is not in the files any more")
        return self.channel


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What the outbox keeps: it leaves exactly like this, at the first try and at every retry."""

    lane: str  # the channel's name, "<channel>/fallback", "ehr", "patient", "team", "payer", "billing"
    transport: Way
    body: bytes
