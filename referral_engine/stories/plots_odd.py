"""Plots of a bad week: merges, races, duplicates, resends, strangers' numbers, things that come late."""

from __future__ import annotations

from referral_engine.base.values import replace
from referral_engine.loop.events import (
    AppointmentBooked,
    PatientAttended,
    PatientsMerged,
    PatientUpdated,
)
from referral_engine.stories.people import RECORD_NUMBERS_FROM, Person
from referral_engine.stories.plots_usual import DAY, HOUR, came, final_note
from referral_engine.stories.sayings import (
    NOTHING,
    admitted,
    arrived,
    booked,
    cancel_asked,
    cancel_confirmed,
    changed,
    expected,
    for_a_person,
    missed,
    new_letter,
    new_slot,
    note,
    ordered,
)
from referral_engine.stories.script import Expect, Line, Script
from referral_engine.stories.teller import Case, Teller, closed, ended, stand, still_open


def merged_in_the_middle(t: Teller) -> Script:
    """The patient's number is retired into another between booking and visit; what follows comes under the new one."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 3, 8)
    yield booked(t, case, slot)
    t.wait(HOUR, DAY)
    yield merged(t, case)
    slot = replace(slot, person=case.person)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def merged_twice(t: Teller) -> Script:
    """A chain: the number that survived is retired in its turn, and an office still writes under the oldest."""
    case = t.case(t.office("speaks", "books", "notes"))
    oldest = case.person
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    yield merged(t, case)
    t.wait(HOUR, DAY)
    yield merged(t, case)
    t.wait(HOUR, DAY)
    slot = replace(new_slot(t, case, 2, 8), person=oldest)
    yield booked(t, case, slot)
    slot = replace(slot, person=case.person)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def merged_then_without_a_number(t: Teller) -> Script:
    """After a merge the booking comes under the surviving number and names no order: still the one open referral."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    yield merged(t, case)
    t.wait(HOUR, DAY)
    slot = replace(new_slot(t, case, 2, 8), placer=NOTHING)
    yield booked(t, case, slot, expected(case, AppointmentBooked, level=3))
    slot = replace(slot, placer=case.placer)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def outcome_beats_cancel(t: Teller) -> Script:
    """A cancel is asked for, and the note comes all the same: the loop closes."""
    case = t.case(t.office("speaks", "notes"))
    yield ordered(t, case)
    t.wait(DAY, 4 * DAY)
    yield cancel_asked(t, case)
    t.wait(HOUR, 2 * DAY)
    yield t.so_far(stand(case, t.site.unbooked, dispatch="received", note="none", closure="cancel-requested"))
    t.wait_minutes(1, 5)
    yield note(t, case, new_letter(t, case, t.now - HOUR))
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="none"))


def cancel_after_the_note(t: Teller) -> Script:
    """The cancel comes after the note: too late, and the sender hears so."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 5)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    t.wait(HOUR, 2 * DAY)
    yield cancel_asked(t, case)
    yield t.end(closed(case, appointment="kept"))


def cancel_of_what_is_booked(t: Teller) -> Script:
    """Booked already when the cancel comes, and the office agrees."""
    case = t.case(t.office("speaks", "confirms", "books"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    yield booked(t, case, new_slot(t, case, 8, 12))
    t.wait(HOUR, DAY)
    yield cancel_asked(t, case)
    t.wait(HOUR, DAY)
    yield cancel_confirmed(t, case)
    yield t.end(ended(case, dispatch="accepted", appointment="booked"))


def order_changes(t: Teller) -> Script:
    """The same order number with other words is a change, not a duplicate."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, 2 * DAY)
    yield changed(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def ordered_twice(t: Teller) -> Script:
    """The same patient and specialty inside 14 days under a new number: linked to the first, no second packet."""
    first = t.case(t.office("speaks", "books", "notes", "free"))
    yield ordered(t, first)
    t.wait(HOUR, 5 * DAY)
    second = t.case(first.office, who=first.person, name="b")
    second.code = first.code
    yield ordered(t, second)
    t.wait(HOUR, DAY)
    slot = new_slot(t, first, 2, 6)
    if t.chance.random() < 0.5:  # the office has the second number from the patient's paper
        slot = replace(slot, placer=second.placer)
    yield booked(t, first, slot)
    yield from came(t, first, slot)
    yield from final_note(t, first, slot)
    yield t.end(closed(first, appointment="kept"), ended(second, dispatch="held"))


def sent_again(t: Teller) -> Script:
    """The sender forgot that it had an answer: the same bytes, minutes or days later."""
    case = t.case(t.office("speaks", "books", "notes"))
    order = ordered(t, case)
    yield order
    t.wait_minutes(1, 10)
    yield t.again(order)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    booking = booked(t, case, slot)
    yield booking
    t.wait(HOUR, DAY)
    yield t.again(booking)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.again(order)
    yield t.end(closed(case, appointment="kept"))


def control_id_used_again(t: Teller) -> Script:
    """The sender counts from the beginning after a restart: another message under a control id we know is no copy."""
    case = t.case(t.office("speaks", "books", "notes"))
    control = f"MSG{t.number:05}"
    yield ordered(t, case, control=control)
    t.wait(HOUR, 2 * DAY)
    yield changed(t, case, control=control)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def booked_without_a_number(t: Teller) -> Script:
    """The office's scheduling system knows no order numbers: the one open referral of the patient, provisionally."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = replace(new_slot(t, case, 2, 6), placer=NOTHING)
    yield booked(t, case, slot, expected(case, AppointmentBooked, level=3))
    t.wait_until(slot.starts_at, before=20, after=10)  # its own number is known by now
    yield arrived(t, case, slot, expected(case, AppointmentBooked, PatientAttended, level=2))
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def late_no_show(t: Teller) -> Script:
    """A no-show is reported after the patient was seen and the loop closed: kept for a person, and nothing moves."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    t.wait(HOUR, 3 * DAY)
    yield missed(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def no_show_and_yet_a_note(t: Teller) -> Script:
    """Recorded as a no-show, and then the note: seen as a walk-in.  The note is taken."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    t.wait_until(slot.starts_at, before=-20, after=90)
    yield missed(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="no-show"))


def registered_at_the_door(t: Teller) -> Script:
    """The ordering side's own registration proves the visit, for it names the office's clinician and the day."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    t.wait_until(slot.starts_at, before=30, after=20)
    seen = Expect(level=3, events=expected(case, PatientUpdated, PatientAttended).events)
    yield admitted(t, t.chance.choice(("A04", "A10")), case.person, seen, npi=case.office.npi)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def new_telephone(t: Teller) -> Script:
    """The patient's telephone changes while everybody waits."""
    case = t.case(t.office("speaks", "confirms"))
    yield ordered(t, case)
    t.wait(HOUR, 3 * DAY)
    case.person = replace(case.person, phone="5559999")
    trigger = t.chance.choice(("A08", "A31"))
    told = Expect(level=None, events=expected(case, PatientUpdated).events)
    yield admitted(t, trigger, case.person, told)
    t.wait(HOUR, DAY)
    yield t.end(still_open(case, t.site.unbooked, dispatch="received"))


def order_number_of_another(t: Teller) -> Script:
    """A new order bears the number of another patient's: nothing is sent, a person looks."""
    case = t.case(t.office("speaks", "confirms", "free"))
    yield ordered(t, case)
    t.wait(DAY, 4 * DAY)
    other = of_another(case, t.somebody())
    yield ordered(t, other, for_a_person(0))
    t.wait_minutes(5, 50)
    yield t.end(still_open(case, t.site.unbooked, dispatch="received"))


def another_office_speaks(t: Teller) -> Script:
    """An office that is no party of a referral books for it: nothing changes, a person looks."""
    case = t.case(t.office("speaks", "books", "confirms", "free"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    stranger = next(one for one in t.site.able("speaks", "books") if one.name != case.office.name)
    theirs = t.case(stranger, who=case.person)
    theirs.placer = case.placer
    yield booked(t, theirs, new_slot(t, theirs, 3, 9), for_a_person(0))
    t.wait_minutes(5, 50)
    yield t.end(still_open(case, t.site.unbooked, dispatch="received"))


def merged(t: Teller, case: Case) -> Line:
    """The patient's number is retired into a new one; the case goes on under that."""
    survivor = replace(case.person, record=str(RECORD_NUMBERS_FROM + t.spare()))
    retired, case.person = case.person.record, survivor
    told = Expect(level=None, events=expected(case, PatientsMerged).events)
    return admitted(t, "A40", survivor, told, retired=retired, structure="ADT_A39")


def of_another(case: Case, who: Person) -> Case:
    """The same order of somebody else."""
    return replace(case, person=who)
