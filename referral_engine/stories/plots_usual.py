"""Plots of an ordinary week: the straight loop, the hold, the visit that moves, the decline, the cancel."""

from __future__ import annotations

from datetime import timedelta

from referral_engine.base.values import replace
from referral_engine.loop.events import AppointmentBooked, PatientAttended
from referral_engine.stories.sayings import (
    accepted,
    arrived,
    booked,
    cancel_asked,
    cancel_confirmed,
    changed,
    checked_out,
    declined,
    expected,
    missed,
    new_letter,
    new_slot,
    note,
    ordered,
    scheduled,
    slot_at,
    unbooked,
    voided,
)
from referral_engine.stories.script import Script
from referral_engine.stories.teller import Case, Teller, closed, ended, stand, still_open
from referral_engine.stories.visits import Slot

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def straight(t: Teller) -> Script:
    """Order, acceptance, booking, visit, final note: most loops."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    yield from taken(t, case)
    slot = new_slot(t, case, 3, 15)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def nobody_says_who_came(t: Teller) -> Script:
    """The office books and later writes; that the patient came is never said, and the visit's time simply passes."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, 2 * DAY)
    slot = new_slot(t, case, 2, 10)
    yield booked(t, case, slot)
    t.wait_until(slot.starts_at + 3 * HOUR, after=90)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="passed"))


def letter_from_the_scanner(t: Teller) -> Script:
    """An office that only faxes: nothing is heard until its letter is scanned."""
    case = t.case(next(one for one in t.site.able("free") if one.sender is None))
    yield ordered(t, case)
    t.wait(8 * DAY, 25 * DAY)
    yield note(t, case, new_letter(t, case, t.now - 2 * DAY))
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="none"))


def held_then_authorized(t: Teller) -> Script:
    """The packet waits for the payer; the number comes in a changed order, and the loop goes its way."""
    case = t.case(t.office("speaks", "books", "notes", "held"), held=True)
    yield ordered(t, case)
    t.wait(DAY, 5 * DAY)
    yield t.so_far(stand(case, "held", authorization="required", dispatch="held", closure="open"))
    t.wait_minutes(1, 5)
    yield changed(t, case, authorization=f"AUTH{t.number}")
    yield from taken(t, case)
    slot = new_slot(t, case, 2, 10)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def cancelled_while_held(t: Teller) -> Script:
    """Nothing has left yet, so the cancel needs nobody's agreement."""
    case = t.case(t.office("held"), held=True)
    yield ordered(t, case)
    t.wait(2 * HOUR, 3 * DAY)
    yield cancel_asked(t, case)
    yield t.end(ended(case, dispatch="held", authorization="required"))


def missed_rebooked_kept(t: Teller) -> Script:
    """The patient does not come, gets another time, and comes."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, 2 * DAY)
    first = new_slot(t, case, 2, 8)
    yield booked(t, case, first)
    t.wait_until(first.starts_at, before=-20, after=180)
    yield missed(t, case, first)
    t.wait(HOUR, 4 * DAY)
    yield t.so_far(still_open(case, t.site.unbooked, dispatch="accepted", appointment="no-show"))
    t.wait_minutes(1, 5)
    second = new_slot(t, case, 2, 8)
    yield booked(t, case, second)
    yield from came(t, case, second)
    yield from final_note(t, case, second)
    yield t.end(closed(case, appointment="kept"))


def missed_and_waiting(t: Teller) -> Script:
    """The patient does not come, and so far nothing follows."""
    case = t.case(t.office("speaks", "books"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 1, 5)
    yield booked(t, case, slot)
    t.wait_until(slot.starts_at, before=-20, after=100)
    yield missed(t, case, slot)
    t.wait(DAY, 2 * DAY)
    yield t.end(still_open(case, t.site.unbooked, dispatch="accepted", appointment="no-show"))


def cancelled_and_rebooked(t: Teller) -> Script:
    """The patient gives the time up beforehand and takes another."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    first = new_slot(t, case, 5, 12)
    yield booked(t, case, first)
    t.wait(HOUR, 2 * DAY)
    yield unbooked(t, case, first)
    t.wait(HOUR, 2 * DAY)
    yield t.so_far(still_open(case, t.site.unbooked, dispatch="accepted", appointment="cancelled"))
    t.wait_minutes(1, 5)
    second = new_slot(t, case, 3, 9)
    yield booked(t, case, second)
    yield from came(t, case, second)
    yield from final_note(t, case, second)
    yield t.end(closed(case, appointment="kept"))


def moved(t: Teller) -> Script:
    """The office moves the appointment, which keeps its number."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 5, 9)
    yield booked(t, case, slot)
    t.wait(HOUR, 2 * DAY)
    later = replace(slot_at(case, t.slot(10, 14)), number=slot.number)
    yield booked(t, case, later, trigger="S13")
    yield from came(t, case, later)
    yield from final_note(t, case, later)
    yield t.end(closed(case, appointment="kept"))


def booked_by_mistake(t: Teller) -> Script:
    """The booking was an error and is deleted; the right one follows."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    wrong = new_slot(t, case, 3, 9)
    yield booked(t, case, wrong)
    t.wait_minutes(2, 200)
    yield voided(t, case, wrong)
    t.wait_minutes(2, 30)
    yield t.so_far(still_open(case, t.site.unbooked, dispatch="accepted"))
    t.wait_minutes(1, 5)
    right = new_slot(t, case, 3, 9)
    yield booked(t, case, right)
    yield from came(t, case, right)
    yield from final_note(t, case, right)
    yield t.end(closed(case, appointment="kept"))


def walk_in(t: Teller) -> Script:
    """Nobody booked: the patient stands at the desk, and is seen at once."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(3 * HOUR, 6 * DAY)
    slot = slot_at(case, t.now.replace(second=0, microsecond=0))
    came_in = expected(case, AppointmentBooked, PatientAttended)
    yield scheduled(t, case, slot, t.chance.choice(("S12", "S14")), "arrived", came_in)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def declined_at_once(t: Teller) -> Script:
    """The office says no."""
    case = t.case(t.office("speaks", "confirms"))
    yield ordered(t, case)
    t.wait(HOUR, 3 * DAY)
    yield declined(t, case)
    yield t.end(ended(case, dispatch="declined"))


def declined_after_acceptance(t: Teller) -> Script:
    """The office took the patient and then says no, sometimes with a time given already.  Legal at any point."""
    case = t.case(t.office("speaks", "confirms", "books"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    yield accepted(t, case)
    appointment = "none"
    if t.chance.random() < 0.5:
        t.wait(HOUR, DAY)
        yield booked(t, case, new_slot(t, case, 6, 12))
        appointment = "booked"
    t.wait(HOUR, 2 * DAY)
    yield declined(t, case)
    yield t.end(ended(case, dispatch="declined", appointment=appointment))


def declined_after_the_visit(t: Teller) -> Script:
    """The patient was seen, and the office hands the referral back."""
    case = t.case(t.office("speaks", "confirms", "books"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    t.wait(HOUR, 3 * DAY)
    yield declined(t, case)
    yield t.end(ended(case, dispatch="declined", appointment="kept"))


def cancel_agreed(t: Teller) -> Script:
    """The ordering side cancels, the office agrees."""
    case = t.case(t.office("speaks", "confirms"))
    yield ordered(t, case)
    t.wait(HOUR, 3 * DAY)
    yield cancel_asked(t, case)
    t.wait(HOUR, 2 * DAY)
    yield t.so_far(stand(case, t.site.unbooked, dispatch="received", closure="cancel-requested"))
    t.wait_minutes(1, 5)
    yield cancel_confirmed(t, case)
    yield t.end(ended(case, dispatch="received"))


def waiting_for_a_time(t: Teller) -> Script:
    """The office took the patient; so far nobody has booked."""
    case = t.case(t.office("speaks", "confirms"))
    yield ordered(t, case)
    t.wait(HOUR, 2 * DAY)
    yield accepted(t, case)
    t.wait(DAY, 4 * DAY)
    yield t.end(still_open(case, t.site.unbooked, dispatch="accepted"))


def taken(t: Teller, case: Case) -> Script:
    """The office says yes, if it is one that says so."""
    t.wait(HOUR, 2 * DAY)
    if case.office.confirms:
        yield accepted(t, case)
        t.wait(HOUR, DAY)


def came(t: Teller, case: Case, slot: Slot) -> Script:
    """The patient came, and the office says so on arrival, afterwards, or both times."""
    how = t.chance.randrange(3)
    if how != 1:
        t.wait_until(slot.starts_at, before=20, after=10)
        yield arrived(t, case, slot)
    if how != 0:
        t.wait_until(slot.starts_at + HOUR, before=10, after=50)
        yield checked_out(t, case, slot)


def final_note(t: Teller, case: Case, slot: Slot) -> Script:
    """The note, some days after the visit; the ordering side takes it at once."""
    t.wait(HOUR, 5 * DAY)
    yield t.so_far(stand(case, closure="open"))
    t.wait_minutes(1, 5)
    yield note(t, case, new_letter(t, case, slot.starts_at))
    t.wait_minutes(1, 5)
