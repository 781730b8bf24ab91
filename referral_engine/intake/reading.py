"""What one message says, as a value: the answer of every reader on this floor."""

from __future__ import annotations

from typing import Literal

import msgspec

from referral_engine.hl7.message import Message
from referral_engine.loop.events import Event
from referral_engine.loop.matching import About, Evidence
from referral_engine.loop.referral import PatientId

IdentityChange = Literal["merge", "link", "unlink", "move", "rename"]


class Identities(msgspec.Struct, frozen=True, kw_only=True):
    """What an ADT says of two records: one person from now on, linked, parted, a number moved or written anew.

    survivor: PID-3 (the number that holds from now on). retired: MRG-1 (the other record's).
    """

    change: IdentityChange
    survivor: tuple[PatientId, ...]
    retired: tuple[PatientId, ...]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one message says of one thing; a message that speaks of several has several readings.

    about: None when it says nothing of the loop; the message is kept and answered all the same.
    events: ready to apply in this order once the referral is known: message is the journal sequence, at is when it
    came, by is the party's name. Empty when nothing follows from it.
    retired: the numbers that a merge took out of use; evidence and event name them too, behind the survivor's.
    alone: the message as if this order had come alone, where it came with others; None where it did.
    person: why a person has to look, whatever the events do: a task says so. Without any of the message's values.
    note: why nothing follows, or warnings; for a person, without any of the message's values.
    """

    about: About | None = None
    evidence: Evidence | None = None
    events: tuple[Event, ...] = ()
    is_new_order: bool = False  # ORC-1 asks for a new order, and the feed calls it a referral
    retired: tuple[PatientId, ...] = ()  # MRG-1
    identities: Identities | None = None  # of A40 and its kin
    withdraws: bool = False  # takes back what the same sender said before of this visit or charge (A11, CD)
    alone: Message | None = None
    person: str = ""
    note: str = ""

    @property
    def event(self) -> Event | None:
        """The event that says most, the last one; None when there is none."""
        return self.events[-1] if self.events else None


def nothing(*notes: str) -> Reading:
    """A message that says nothing of the loop, and why."""
    return Reading(note=joined(*notes))


def joined(*notes: str) -> str:
    """Notes as one line; empty ones are left out."""
    return "; ".join(filter(None, notes))
