"""Plots about the order of things: what overtakes, what comes late, what is announced, charged, or taken back."""

from __future__ import annotations

from functools import partial

from referral_engine.base.values import replace
from referral_engine.loop.events import (
    AppointmentBooked,
    CancelRequested,
    EvidenceUndone,
    PatientAttended,
    PatientMissed,
    PatientUpdated,
    ReportReceived,
)
from referral_engine.stories.letters import notice, results
from referral_engine.stories.plots_usual import DAY, HOUR, came, final_note
from referral_engine.stories.sayings import (
    NOTHING,
    admitted,
    as_document,
    as_result,
    author,
    booked,
    cancel_asked,
    changed,
    charged,
    expected,
    for_a_person,
    missed,
    new_letter,
    new_slot,
    note,
    ordered,
    scheduled,
    slot_at,
)
from referral_engine.stories.script import Caused, Expect, Script
from referral_engine.stories.teller import Teller, closed, stand, still_open


def cancel_overtakes_its_order(t: Teller) -> Script:
    """The cancel is here before the order: the order is recorded, and never leaves."""
    case = t.case(t.office("free"))
    early = Expect(events=expected(case, CancelRequested).events, first="no-op")
    yield cancel_asked(t, case, early)
    t.wait_minutes(5, 600)
    yield ordered(t, case)
    t.wait_minutes(1, 5)
    yield t.end(stand(case, "ended", appointment="none", note="none", closure="ended"))


def missed_the_old_time(t: Teller) -> Script:
    """The no-show of a time that was given up long ago is reported after another time was booked: nothing moves."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    first = new_slot(t, case, 3, 5)
    yield booked(t, case, first)
    t.wait(HOUR, DAY)
    second = new_slot(t, case, 9, 12)
    yield booked(t, case, second)
    t.wait_until(first.starts_at + HOUR, after=60)
    yield missed(t, case, first, Expect(word="no-op", events=expected(case, PatientMissed).events))
    yield from came(t, case, second)
    yield from final_note(t, case, second)
    yield t.end(closed(case, appointment="kept"))


def moved_under_a_new_number(t: Teller) -> Script:
    """The office moves the appointment under a new number that only points at the old one."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    first = new_slot(t, case, 5, 9)
    yield booked(t, case, first)
    t.wait(HOUR, 2 * DAY)
    second = replace(new_slot(t, case, 9, 12), parent=first.number, placer=NOTHING)
    yield booked(t, case, second, expected(case, AppointmentBooked, level=2), trigger="S13")
    second = replace(second, parent=NOTHING, placer=case.placer)
    yield from came(t, case, second)
    yield from final_note(t, case, second)
    yield t.end(closed(case, appointment="kept"))


def charged_for_the_visit(t: Teller) -> Script:
    """Nobody says that the patient came, but the visit was charged."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 3, 6)
    yield booked(t, case, slot)
    t.wait_until(slot.starts_at + DAY, after=300)
    t.wait(HOUR, 2 * DAY)
    yield charged(t, case, slot.starts_at, f"C{t.number}", expected(case, PatientAttended, level=3))
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def charge_is_credited(t: Teller) -> Script:
    """The charge was an error and is credited: that the patient came is no longer known."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 3, 6)
    yield booked(t, case, slot)
    t.wait_until(slot.starts_at + DAY, after=300)
    undone = Expect(word="no-op", level=3, first="applied", events=expected(case, PatientAttended).events)
    yield charged(t, case, slot.starts_at, f"C{t.number}", undone)
    t.wait(HOUR, DAY)
    back = Expect(level=None, events=(Caused(case.name, EvidenceUndone.__name__),))
    yield charged(t, case, slot.starts_at, f"C{t.number}", back, kind="CD")
    t.wait_minutes(5, 50)
    yield t.end(still_open(case, "scheduled", dispatch="accepted", appointment="passed"))


def registered_and_taken_back(t: Teller) -> Script:
    """The patient was registered by mistake, the registration is cancelled, and then nobody came."""
    case = t.case(t.office("speaks", "books"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 3, 6)
    yield booked(t, case, slot)
    t.wait_until(slot.starts_at, before=30, after=10)
    seen = expected(case, PatientUpdated, PatientAttended).events
    taken = Expect(word="no-op", level=3, first="applied", events=seen)
    yield admitted(t, "A04", case.person, taken, npi=case.office.npi)
    t.wait_minutes(5, 40)
    back = Expect(level=None, events=(Caused(case.name, EvidenceUndone.__name__),))
    yield admitted(t, "A11", case.person, back)
    t.wait_until(slot.starts_at + 3 * HOUR, after=100)
    yield missed(t, case, slot)
    t.wait_minutes(5, 50)
    yield t.end(still_open(case, t.site.unbooked, dispatch="accepted", appointment="no-show"))


def same_note_by_two_ways(t: Teller) -> Script:
    """The note comes as a document and, word for word, as a result: the second changes nothing."""
    case = t.case(next(one for one in t.site.able("speaks", "books", "notes") if len(one.notes) > 1))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    t.wait(HOUR, DAY)
    letter = replace(new_letter(t, case, slot.starts_at), shape="lines")
    ways = [as_document, as_result]
    t.chance.shuffle(ways)
    yield ways[0](t, case, letter)
    t.wait_minutes(1, 3000)
    yield ways[1](t, case, letter, "final", Expect(word="no-op"))
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="kept"))


def two_orders_in_one_result(t: Teller) -> Script:
    """One result message carries the notes of two orders: each goes to its own."""
    office = t.chance.choice([one for one in t.site.able("speaks", "confirms", "notes", "free") if "ORU" in one.notes])
    first = t.case(office)
    yield ordered(t, first)
    t.wait(16 * DAY, 20 * DAY)  # beyond the days in which it would be a duplicate
    second = t.case(office, who=first.person, name="b")
    yield ordered(t, second)
    t.wait(2 * DAY, 4 * DAY)
    letters = [new_letter(t, one, t.now - HOUR) for one in (first, second)]
    both = Expect(events=(Caused("a", ReportReceived.__name__), Caused("b", ReportReceived.__name__)))
    write = partial(results, letters=letters, state="final")
    yield t.line(author(t, first), "ORU^R01", write, both, who=first.person)
    t.wait_minutes(1, 5)
    yield t.end(closed(first, appointment="none"), closed(second, appointment="none"))


def booked_by_the_ordering_side(t: Teller) -> Script:
    """The ordering side's own scheduling system books for the office and says how the visit went."""
    case = t.case(t.office("free"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    ehr = t.site.ehr
    slot = slot_at(case, t.slot(2, 6), ehr)
    yield scheduled(t, case, slot, "S12", "booked", expected(case, AppointmentBooked), sender=ehr)
    t.wait_until(slot.starts_at, before=-10, after=60)
    yield scheduled(t, case, slot, "S26", "no-show", expected(case, PatientMissed), sender=ehr)
    t.wait(HOUR, DAY)
    again = slot_at(case, t.slot(2, 6), ehr)
    yield scheduled(t, case, again, "S12", "", expected(case, AppointmentBooked), sender=ehr)
    t.wait(HOUR, DAY)
    yield t.end(still_open(case, "scheduled", dispatch="accepted", appointment="booked"))


def announced_document(t: Teller) -> Script:
    """A notice says that a document exists; the document itself comes later, and only that closes."""
    case = t.case(t.chance.choice([one for one in t.site.able("speaks", "books", "notes") if "MDM" in one.notes]))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    t.wait(HOUR, DAY)
    letter = new_letter(t, case, slot.starts_at)
    said = Expect(word="no-op", level=1)
    yield t.line(author(t, case), "MDM^T01", partial(notice, letter=letter), said, who=case.person)
    t.wait(HOUR, 2 * DAY)
    yield as_document(t, case, replace(letter, written_at=t.now))
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="kept"))


def unroutable(t: Teller) -> Script:
    """An order to a provider nobody knows: a person is asked, nothing is guessed."""
    case = t.case(t.office("free"))
    known, unknown = case.office.npi, "1999999984"
    placed = {path: unknown if value == known else value for path, value in case.office.placed.items()}
    case.office = replace(case.office, npi=unknown, placed=placed)
    yield ordered(t, case, for_a_person(-1))
    t.wait_minutes(1, 5)
    yield t.end()


def changed_after_the_note(t: Teller) -> Script:
    """The order is changed when the loop is closed already: recorded, and nothing goes out again."""
    case = t.case(t.office("speaks", "notes"))
    yield ordered(t, case)
    t.wait(2 * DAY, 6 * DAY)
    yield note(t, case, new_letter(t, case, t.now - HOUR))
    t.wait(HOUR, 3 * DAY)
    yield changed(t, case)
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="none"))
