"""Traffic about nobody the engine tracks: most of what a hospital's interface engine forwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from referral_engine.base.values import replace
from referral_engine.hl7.compose import segment
from referral_engine.stories.dialect import REFERRER, Envelope, Sender, message, pid
from referral_engine.stories.letters import Letter, document, result
from referral_engine.stories.orders import Asked, order
from referral_engine.stories.people import Person, person
from referral_engine.stories.places import Office
from referral_engine.stories.script import Expect, Line
from referral_engine.stories.teller import Teller
from referral_engine.stories.visits import Slot, admission, charge, scheduling

STRANGERS_FROM: Final = 500_000_000  # people no story is about
UNTRACKED: Final = Expect(word="no-op", level=-1)
FORGOTTEN: Final = Expect(word="no-op", level=6)  # kept while its order may come, then reduced to its header
ASKED_ABOUT: Final = Expect(word="needs-human", level=6, first="no-op")  # nothing claimed it: it may hold a finding
REFUSED: Final = Expect(word="quarantined", level=-1)

_MOVES: Final = ("A01", "A03", "A04", "A05", "A08", "A08", "A08", "A11", "A13", "A28", "A31")


def registration(t: Teller) -> Line:
    """ADT of the ordering side: somebody came, left, moved house."""
    one = _anybody(t)
    write = partial(admission, trigger=t.chance.choice(_MOVES), one=one)
    return t.line(t.site.ehr, f"ADT^{write.keywords['trigger']}", write, UNTRACKED, who=one)


def laboratory(t: Teller) -> Line:
    """ORU of the ordering side with blood counts."""
    one, number = _anybody(t), t.number
    write = partial(_blood_count, one=one, number=number)
    return t.line(t.site.ehr, "ORU^R01", write, _waits(t.site.ehr), who=one)


def laboratory_order(t: Teller) -> Line:
    """ORM of the ordering side that is no referral."""
    one = _anybody(t)
    asked = Asked(
        control="NW", person=one, placer=(f"L{t.number}", t.site.ehr.numbers), code=("58410-2", "CBC panel"),
        npi="", office="", ordered_at=t.now,
    )  # fmt: skip
    return t.line(t.site.ehr, "ORM^O01", partial(order, asked=asked), UNTRACKED, who=one)


def booking(t: Teller) -> Line:
    """SIU of an office, or of the ordering side, about a patient nobody referred."""
    one, office = _anybody(t), t.chance.choice(t.site.offices)
    sender = office.sender if office.books and office.sender and t.chance.random() < 0.5 else t.site.ehr
    slot = Slot(
        number=(f"N{t.number}", sender.numbers), starts_at=t.slot(1, 20), person=one, npi=office.npi,
        office=office.title, code=("CHECKUP", "Check-up"),
        placer=(f"N{t.number}", "ELSEWHERE") if t.chance.random() < 0.3 else ("", ""),
    )  # fmt: skip
    write = partial(scheduling, trigger="S12", slot=slot, word="Booked")
    return t.line(sender, "SIU^S12", write, _waits(sender), who=one)


def letter(t: Teller) -> Line:
    """A note of an office about one of its own patients."""
    one, office = _anybody(t), t.chance.choice(t.site.offices)
    sender = office.sender or t.site.scanner or t.site.ehr
    kind = t.chance.choice(office.notes or ("MDM",))
    said = _letter(t, one, office, sender)
    write = (
        partial(document, letter=said, state="final") if kind == "MDM" else partial(result, letter=said, state="final")
    )
    return t.line(sender, "MDM^T02" if kind == "MDM" else "ORU^R01", write, _waits(sender), who=one)


def charged(t: Teller) -> Line:
    """DFT of the ordering side."""
    one, office = _anybody(t), t.chance.choice(t.site.offices)
    write = partial(charge, one=one, number=f"C{t.number}", seen_at=t.now - timedelta(days=2), npi=office.npi)
    return t.line(t.site.ehr, "DFT^P03", write, Expect(word="no-op", level=None), who=one)


def training(t: Teller) -> Line:
    """A message of a training system on the production port: MSH-11 is T."""
    one = _anybody(t)

    def write(envelope: Envelope) -> bytes:
        return admission(replace(envelope, processing="T"), "A08", one)

    return t.line(t.site.ehr, "ADT^A08", write, REFUSED, plain=True)


# How often each comes, in a thousand. Source: what integration teams report of an unfiltered feed: mostly ADT.
NOISE: Final[tuple[tuple[int, Callable[[Teller], Line]], ...]] = (
    (560, registration),
    (240, laboratory),
    (60, laboratory_order),
    (70, booking),
    (30, letter),
    (37, charged),
    (3, training),
)


def _waits(sender: Sender) -> Expect:
    """What becomes of unclaimed evidence: an office's always comes to a person, others' where their file says so."""
    is_office = bool(sender.own_authority)
    return ASKED_ABOUT if is_office or sender.feed.unmatched == "review" else FORGOTTEN


def _anybody(t: Teller) -> Person:
    return person(STRANGERS_FROM + t.number)


def _letter(t: Teller, one: Person, office: Office, sender: Sender) -> Letter:
    return Letter(
        number=(f"N{t.number}", sender.numbers), person=one, written_at=t.now, seen_at=t.now - timedelta(days=1),
        code=("CHECKUP", "Check-up"), npi=office.npi,
    )  # fmt: skip


def _blood_count(envelope: Envelope, one: Person, number: int) -> bytes:
    at = envelope.time(envelope.at)
    placer, filler = (f"L{number}", envelope.sender.numbers), (f"LF{number}", "LAB")
    return message(envelope, "ORU^R01^ORU_R01", (
        pid(envelope, one),
        segment("ORC", "RE", placer, filler, None, "CM", *[None] * 6, REFERRER),
        segment(
            "OBR", "1", placer, filler, ("58410-2", "CBC panel", "LN"), None, None, at, *[None] * 8, REFERRER,
            *[None] * 5, at, None, None, "F",
        ),
        segment("OBX", "1", "NM", ("718-7", "Hemoglobin", "LN"), None, "13.9", "g/dL", *[None] * 4, "F"),
        segment("OBX", "2", "NM", ("6690-2", "Leukocytes", "LN"), None, "6.1", "10*3/uL", *[None] * 4, "F"),
    ))  # fmt: skip
