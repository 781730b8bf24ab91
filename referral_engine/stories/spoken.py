"""What each party of a made-up quarter writes, one function a message: a fate and an office in, bytes out."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from referral_engine.stories.cast import Place
from referral_engine.stories.dialect import Envelope, Sender, control_of, words_of
from referral_engine.stories.fates import Fate
from referral_engine.stories.letters import Letter, document, result
from referral_engine.stories.orders import REFERRAL, Asked, answer, referral_answer, written
from referral_engine.stories.places import Office
from referral_engine.stories.visits import Slot, scheduling

Change = Literal["new", "change"]
SlotWord = Literal["booked", "no-show", "kept"]
_TRIGGERS = {"booked": "S12", "no-show": "S26", "kept": "S14"}
_NOTHING = ("", "")


def order_of(place: Place, fate: Fate, at: datetime, said: int, *, authorization: str = "") -> bytes:
    """The order, or the same once more with the payer's number.  said: how many messages of it there were."""
    action: Change = "change" if authorization else "new"
    asked = _asked(place, fate, control_of(place.orderer, action), authorization=authorization)
    trigger = "I13" if action == "change" else "I12"
    return written(_envelope(place.orderer, fate, at, said), asked, trigger=trigger)


def answer_of(place: Place, office: Office, fate: Fate, at: datetime, said: int, *, accepted: bool) -> bytes:
    """The office takes the patient, or will not."""
    sender = _sender(office)
    asked = _asked(place, fate, "OK" if accepted else "UA")
    envelope = _envelope(sender, fate, at, said)
    if "ORM^O01" in office.answers or not office.answers:
        return answer(envelope, asked, control=asked.control, reason="" if accepted else "not our speciality")
    if "OSU^O51" in office.answers:
        return answer(envelope, asked, control=asked.control, kind="OSU^O51")
    return referral_answer(envelope, asked, state="A" if accepted else "R")


def cancel_agreed(place: Place, office: Office, fate: Fate, at: datetime, said: int) -> bytes:
    """The office agrees that the referral is off: CR."""
    return answer(_envelope(_sender(office), fate, at, said), _asked(place, fate, "CR"), control="CR")


def slot_of(
    place: Place, office: Office, fate: Fate, at: datetime, said: int, word: SlotWord, starts_at: datetime, visit: int
) -> bytes:
    """A time is given (S12), the patient did not come (S26) or came (S14).  visit: from 1."""
    sender = _sender(office)
    slot = Slot(
        number=(f"A{fate.placer}/{visit}", sender.numbers), starts_at=starts_at, person=fate.person, npi=office.npi,
        office=office.title, code=(fate.code, "Referral"), placer=(fate.placer, place.orderer.numbers),
    )  # fmt: skip
    listed = words_of(sender.feed, word)
    return scheduling(_envelope(sender, fate, at, said), _TRIGGERS[word], slot, word=listed[0] if listed else "")


def note_of(
    place: Place, office: Office, author: Sender, fate: Fate, at: datetime, said: int, seen_at: datetime
) -> bytes:
    """The finished note, by the office or by the scanning station; some do not say which order they answer."""
    letter = Letter(
        number=(f"D{fate.placer}", author.numbers), person=fate.person, written_at=at, seen_at=seen_at,
        code=(fate.code, "Referral"), npi=office.npi,
        placer=(fate.placer, place.orderer.numbers) if fate.numbered else _NOTHING,
        text=f"FINDINGS: made up, number {fate.number}.",
    )  # fmt: skip
    envelope = _envelope(author, fate, at, said)
    as_result = author is office.sender and office.notes[:1] == ("ORU",)
    return result(envelope, letter, "final") if as_result else document(envelope, letter, "final")


def _asked(place: Place, fate: Fate, control: str, *, authorization: str = "") -> Asked:
    office = place.office
    return Asked(
        control=control,
        person=fate.person,
        placer=(fate.placer, place.orderer.numbers),
        code=(fate.code, "Referral"),
        npi=office.npi,
        office=office.title,
        ordered_at=fate.ordered_at,
        plan=fate.plan,
        authorization=authorization,
        urgent=fate.urgent,
        consent=fate.consent,
        kind=fate.kind if fate.kind != REFERRAL or REFERRAL in office.kinds else office.kinds[0],
        placed=office.placed,
    )


def _envelope(sender: Sender, fate: Fate, at: datetime, said: int) -> Envelope:
    return Envelope(sender=sender, at=at, control=f"{fate.placer}{said:02}")


def _sender(office: Office) -> Sender:
    assert office.sender is not None, "an office that says nothing is not asked to"
    return office.sender
