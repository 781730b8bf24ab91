"""What each party says in a story: one function a message, with what it must cause beside it."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Final

from referral_engine.loop.events import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentVoided,
    CancelConfirmed,
    CancelRequested,
    Happened,
    OrderChanged,
    PatientAttended,
    PatientMissed,
    ReferralAccepted,
    ReferralDeclined,
    ReferralOrdered,
    ReportReceived,
)
from referral_engine.stories.dialect import Sender, control_of, words_of
from referral_engine.stories.letters import SHAPES, Letter, State, cancelled, document, result, wrong_patient
from referral_engine.stories.orders import REFERRAL, Asked, answer, referral_answer, written
from referral_engine.stories.people import Person
from referral_engine.stories.script import Expect, Line, caused
from referral_engine.stories.teller import Case, Teller
from referral_engine.stories.visits import Slot, admission, charge, scheduling

NOTHING: Final = ("", "")
_REFUSALS: Final = ("no appointment within the time asked for", "not our speciality", "the patient is known elsewhere")


def expected(case: Case, *kinds: type[Happened], level: int = 1) -> Expect:
    """The message is applied and causes these events on that referral."""
    return Expect(level=level, events=caused(*((case.name, kind) for kind in kinds)))


def for_a_person(level: int) -> Expect:
    """Nothing changes; a person decides."""
    return Expect(word="needs-human", level=level)


# The ordering side.


def ordered(t: Teller, case: Case, expect: Expect | None = None, *, control: str = "", plain: bool = False) -> Line:
    """A new order."""
    return _order(t, case, "new", expect or expected(case, ReferralOrdered), control=control, plain=plain)


def changed(t: Teller, case: Case, expect: Expect | None = None, *, authorization: str = "", control: str = "") -> Line:
    """The order says something else now, perhaps that the payer agreed."""
    case.authorization = authorization or case.authorization
    return _order(t, case, "change", expect or expected(case, OrderChanged), control=control)


def cancel_asked(t: Teller, case: Case, expect: Expect | None = None) -> Line:
    """The ordering side wants it stopped."""
    action = t.chance.choice(("cancel", "stop"))
    return _order(t, case, action, expect or expected(case, CancelRequested))


def _order(t: Teller, case: Case, action: str, expect: Expect, *, control: str = "", plain: bool = False) -> Line:
    asked = Asked(
        control=control_of(t.site.ehr, action),  # type: ignore[arg-type]  # one of the words of a feed's [controls]
        person=case.person,
        placer=case.placer,
        code=case.code,
        npi=case.office.npi,
        office=case.office.title,
        ordered_at=case.ordered_at,
        plan=case.plan,
        authorization=case.authorization,
        reason=f"Made-up reason, written at turn {t.said}.",
        cancel_reason="made up: the patient went elsewhere" if action in ("cancel", "stop") else "",
        kind=case.kind,
        placed=case.office.placed,
    )
    trigger = {"new": "I12", "change": "I13"}.get(action, "I14")
    kind = f"REF^{trigger}" if case.kind == REFERRAL else case.kind
    write = partial(written, asked=asked, trigger=trigger)
    return t.line(t.site.ehr, kind, write, expect, control=control, plain=plain, who=case.person)


# The office about the order.


def accepted(t: Teller, case: Case, expect: Expect | None = None) -> Line:
    """The office takes the patient: OK, or SC with ORC-5 IP; or RF1-1 A."""
    control, status = t.chance.choice((("OK", ""), ("SC", "IP"), ("OK", "IP"), ("XX", "SC")))
    return _answer(t, case, control, status, expect or expected(case, ReferralAccepted), state="A")


def declined(t: Teller, case: Case, expect: Expect | None = None) -> Line:
    """The office will not see the patient: UA, OC, or SC with ORC-5 CA; or RF1-1 R."""
    control, status = t.chance.choice((("UA", ""), ("OC", ""), ("SC", "CA"), ("UA", "CA")))
    return _answer(t, case, control, status, expect or expected(case, ReferralDeclined), state="R")


def cancel_confirmed(t: Teller, case: Case, expect: Expect | None = None) -> Line:
    """The office agrees to the cancellation: CR, DR."""
    return _answer(t, case, t.chance.choice(("CR", "DR")), "", expect or expected(case, CancelConfirmed))


def _answer(t: Teller, case: Case, control: str, status: str, expect: Expect, *, state: str = "") -> Line:
    """One answer of the office, in one of the ways it may; state: RF1-1, "" where a referral message cannot say it."""
    asked = Asked(
        control=control, person=case.person, placer=case.placer, code=case.code, npi=case.office.npi,
        office=case.office.title, ordered_at=case.ordered_at,
    )  # fmt: skip
    ways = [way for way in case.office.answers if state or not way.startswith("RRI")]
    kind = t.chance.choice(("ORM^O01", *ways))
    if kind.startswith("RRI"):
        return t.line(_office(case), kind, partial(referral_answer, asked=asked, state=state), expect, who=case.person)
    reason = t.chance.choice(_REFUSALS) if state == "R" else ""
    write = partial(answer, asked=asked, control=control, status=status, reason=reason, kind=kind)
    return t.line(_office(case), kind, write, expect, who=case.person)


# The office about the visit.


def new_slot(t: Teller, case: Case, low: int, high: int) -> Slot:
    """A time that many open days ahead, with a number of its own."""
    return slot_at(case, t.slot(low, high))


def slot_at(case: Case, starts_at: datetime, by: Sender | None = None) -> Slot:
    """An appointment at that time, with a number of its own; by: who schedules for an office that says nothing."""
    case.appointments += 1
    return Slot(
        number=(f"A{case.placer[0]}/{case.appointments}", (case.office.sender or by or _office(case)).numbers),
        starts_at=starts_at,
        person=case.person,
        npi=case.office.npi,
        office=case.office.title,
        code=case.code,
        placer=case.placer,
    )


def booked(t: Teller, case: Case, slot: Slot, expect: Expect | None = None, *, trigger: str = "S12") -> Line:
    """A time is given, or moved (S13)."""
    return scheduled(t, case, slot, trigger, "booked", expect or expected(case, AppointmentBooked))


def unbooked(t: Teller, case: Case, slot: Slot, expect: Expect | None = None) -> Line:
    """The time is given up before it comes: S15, S16, or S14 with a word that says so."""
    trigger, meaning = t.chance.choice((("S15", ""), ("S15", "cancelled"), ("S16", ""), ("S14", "cancelled")))
    return scheduled(t, case, slot, trigger, meaning, expect or expected(case, AppointmentCancelled))


def voided(t: Teller, case: Case, slot: Slot, expect: Expect | None = None) -> Line:
    """The booking was an error."""
    return scheduled(t, case, slot, "S17", t.chance.choice(("", "void")), expect or expected(case, AppointmentVoided))


def missed(t: Teller, case: Case, slot: Slot, expect: Expect | None = None) -> Line:
    """The patient did not come: S26, or S14 with a word that says so."""
    trigger, meaning = t.chance.choice((("S26", ""), ("S26", "no-show"), ("S14", "no-show")))
    return scheduled(t, case, slot, trigger, meaning, expect or expected(case, PatientMissed))


def arrived(t: Teller, case: Case, slot: Slot, expect: Expect | None = None) -> Line:
    """The patient stands at the desk; the message gives the time once more, so it books what is booked."""
    came = expect or expected(case, AppointmentBooked, PatientAttended)
    return scheduled(t, case, slot, "S14", "arrived", came)


def checked_out(t: Teller, case: Case, slot: Slot, expect: Expect | None = None) -> Line:
    """The visit is over."""
    return scheduled(t, case, slot, "S14", "kept", expect or expected(case, PatientAttended))


def scheduled(
    t: Teller, case: Case, slot: Slot, trigger: str, meaning: str, expect: Expect, *, sender: Sender | None = None
) -> Line:
    """One SIU of the office, or of another sender; meaning: of SCH-25, "" for none."""
    sender = sender or _office(case)
    word = ""
    if meaning and words_of(sender.feed, meaning):  # type: ignore[arg-type]  # one of the feed's words
        said = t.chance.choice(words_of(sender.feed, meaning))  # type: ignore[arg-type]  # one of the feed's words
        word = t.chance.choice((said, said.title(), said.lower()))
    write = partial(scheduling, trigger=trigger, slot=slot, word=word)
    return t.line(sender, f"SIU^{trigger}", write, expect, who=slot.person)


# The note.


def new_letter(t: Teller, case: Case, seen_at: datetime, text: str = "") -> Letter:
    """A note about a visit, with a number of its own."""
    case.documents += 1
    sender = _office(case) if case.office.sender else t.site.scanner
    assert sender is not None, "a plot with a letter has somebody to send it"
    return Letter(
        number=(f"D{case.placer[0]}/{case.documents}", sender.numbers),
        person=case.person,
        written_at=t.now,
        seen_at=seen_at,
        code=case.code,
        npi=case.office.npi,
        placer=case.placer,
        shape=t.chance.choice(SHAPES),
        text=text or f"FINDINGS: made up, number {t.number}/{case.documents}.",
    )


def note(
    t: Teller, case: Case, letter: Letter, state: State = "final", expect: Expect | None = None, *, trigger: str = "T02"
) -> Line:
    """The note, in the way its office sends it; by the scanning station where the office sends nothing."""
    told = expect or expected(case, ReportReceived)
    if case.office.sender is None:
        return as_document(t, case, letter, state, told, trigger=trigger)
    kind = "MDM" if trigger != "T02" else t.chance.choice(case.office.notes)
    return (as_document if kind == "MDM" else as_result)(t, case, letter, state, told)


def as_document(
    t: Teller,
    case: Case,
    letter: Letter,
    state: State = "final",
    expect: Expect | None = None,
    *,
    trigger: str = "T02",
    parent: tuple[str, str] = NOTHING,
) -> Line:
    """The note as MDM."""
    write = partial(document, letter=letter, state=state, trigger=trigger, parent=parent)
    told = expect or expected(case, ReportReceived)
    return t.line(author(t, case), f"MDM^{trigger}", write, told, who=letter.person)


def as_result(t: Teller, case: Case, letter: Letter, state: State = "final", expect: Expect | None = None) -> Line:
    """The note as ORU."""
    write = partial(result, letter=letter, state=state)
    return t.line(author(t, case), "ORU^R01", write, expect or expected(case, ReportReceived), who=letter.person)


def taken_back(t: Teller, case: Case, letter: Letter, expect: Expect | None = None, *, by: str = "ORU") -> Line:
    """The note was about another patient: OBX-11 W, or T11."""
    told = expect or expected(case, ReportReceived)
    if by == "MDM":
        return t.line(author(t, case), "MDM^T11", partial(cancelled, letter=letter), told, who=letter.person)
    return t.line(author(t, case), "ORU^R01", partial(wrong_patient, letter=letter), told, who=letter.person)


def author(t: Teller, case: Case) -> Sender:
    """Who sends this office's notes."""
    sender = case.office.sender or t.site.scanner
    assert sender is not None, "a plot with a letter has somebody to send it"
    return sender


# The patient.


def admitted(
    t: Teller,
    trigger: str,
    one: Person,
    expect: Expect,
    *,
    npi: str = "",
    retired: str = "",
    structure: str = "ADT_A01",
) -> Line:
    """One ADT of the ordering side."""
    write = partial(admission, trigger=trigger, one=one, npi=npi, retired=retired, structure=structure)
    return t.line(t.site.ehr, f"ADT^{trigger}", write, expect, who=one)


def charged(t: Teller, case: Case, seen_at: datetime, number: str, expect: Expect, *, kind: str = "CG") -> Line:
    """A charge of the ordering side for a visit to the office, or its credit (CD)."""
    write = partial(charge, one=case.person, number=number, seen_at=seen_at, npi=case.office.npi, kind=kind)
    return t.line(t.site.ehr, "DFT^P03", write, expect, who=case.person)


def _office(case: Case) -> Sender:
    assert case.office.sender is not None, "a plot that needs its office to speak asks for one that can"
    return case.office.sender
