"""Plots about notes: preliminary, corrected, taken back, early, without a number, about somebody else."""

from __future__ import annotations

from referral_engine.base.values import replace
from referral_engine.loop.events import AppointmentBooked, ReportReceived
from referral_engine.stories.people import twin_of
from referral_engine.stories.plots_usual import DAY, HOUR, came, final_note
from referral_engine.stories.sayings import (
    NOTHING,
    as_document,
    as_result,
    booked,
    expected,
    for_a_person,
    new_letter,
    new_slot,
    note,
    ordered,
    taken_back,
)
from referral_engine.stories.script import Expect, Script
from referral_engine.stories.teller import Teller, closed, still_open


def preliminary_final_corrected(t: Teller) -> Script:
    """A first reading, the finished note, and a correction after the loop was closed."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    t.wait(HOUR, DAY)
    letter = new_letter(t, case, slot.starts_at)
    how = t.chance.choice(case.office.notes)
    yield (as_document if how == "MDM" else as_result)(t, case, letter, "interim")
    t.wait(HOUR, 2 * DAY)
    yield t.so_far(still_open(case, "attended", dispatch="accepted", appointment="kept", note="interim"))
    t.wait_minutes(1, 5)
    letter = replace(letter, written_at=t.now, text="FINDINGS: made up, and now finished.")
    yield (as_document if how == "MDM" else as_result)(t, case, letter, "final")
    t.wait(HOUR, 6 * DAY)
    yield t.so_far(closed(case, appointment="kept"))
    t.wait_minutes(1, 5)
    letter = replace(letter, written_at=t.now, text="FINDINGS: made up, and now right.")
    if how == "MDM":
        trigger = t.chance.choice(("T06", "T08", "T10"))
        next_number = (f"{letter.number[0]}-2", letter.number[1])
        parent = letter.number if trigger != "T08" else NOTHING
        number = letter.number if trigger == "T08" else next_number
        yield as_document(t, case, replace(letter, number=number), "corrected", trigger=trigger, parent=parent)
    else:
        yield as_result(t, case, letter, "corrected")
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="kept", note="corrected"))


def note_of_another_patient(t: Teller) -> Script:
    """A note closed the loop, was about somebody else and is taken back: the loop opens, the right one closes it."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    t.wait(HOUR, 2 * DAY)
    wrong = new_letter(t, case, slot.starts_at, "FINDINGS: made up, and of somebody else.")
    how = t.chance.choice(case.office.notes)
    yield (as_document if how == "MDM" else as_result)(t, case, wrong)
    t.wait(HOUR, 3 * DAY)
    yield t.so_far(closed(case, appointment="kept"))
    t.wait_minutes(1, 5)
    yield taken_back(t, case, wrong, by=how)
    t.wait(HOUR, 2 * DAY)
    yield t.so_far(still_open(case, "attended", dispatch="accepted", appointment="kept", note="retracted"))
    t.wait_minutes(1, 5)
    yield note(t, case, new_letter(t, case, slot.starts_at))
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="kept"))


def taken_back_and_nothing_since(t: Teller) -> Script:
    """The wrong note is out again, and the right one has not come: the loop is open."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    t.wait(HOUR, DAY)
    wrong = new_letter(t, case, slot.starts_at)
    how = t.chance.choice(case.office.notes)
    yield (as_document if how == "MDM" else as_result)(t, case, wrong)
    t.wait(HOUR, DAY)
    yield taken_back(t, case, wrong, by=how)
    t.wait_minutes(5, 50)
    yield t.end(still_open(case, "attended", dispatch="accepted", appointment="kept", note="retracted"))


def wrong_patient_of_nothing(t: Teller) -> Script:
    """A note we never had is taken back for the wrong patient: nothing changes, a person looks."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 4, 9)
    yield booked(t, case, slot)
    t.wait(HOUR, DAY)
    yield taken_back(t, case, new_letter(t, case, t.now), for_a_person(0))
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def order_comes_late(t: Teller) -> Script:
    """The office's booking or even its note is here before the order: it waits, and finds its order by itself."""
    case = t.case(t.office("speaks", "books", "notes", "free"))
    slot = new_slot(t, case, 3, 9)
    early = Expect(events=expected(case, AppointmentBooked).events, first="no-op")
    yield booked(t, case, slot, early)
    t.wait_minutes(10, 60 * 40)
    yield ordered(t, case)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def note_before_its_order(t: Teller) -> Script:
    """The patient was squeezed in by telephone: the note comes first and closes the loop the moment it is ordered."""
    case = t.case(t.office("speaks", "notes", "free"))
    letter = new_letter(t, case, t.now - HOUR)
    early = Expect(events=expected(case, ReportReceived).events, first="no-op")
    yield note(t, case, letter, "final", early)
    t.wait_minutes(10, 60 * 40)
    yield ordered(t, case)
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="none"))


def same_note_again(t: Teller) -> Script:
    """The same bytes come again after days, the same note under a new control id, and both change nothing."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    first = booked(t, case, slot)
    yield first
    yield from came(t, case, slot)
    t.wait(HOUR, 4 * DAY)
    last = note(t, case, new_letter(t, case, slot.starts_at))
    yield last
    t.wait(HOUR, 6 * DAY)
    yield t.again(t.chance.choice((first, last)))
    t.wait_minutes(1, 500)
    yield t.again(last)
    yield t.end(closed(case, appointment="kept"))


def note_without_a_number(t: Teller) -> Script:
    """A note that names the patient but no order fits one open referral only: a person decides, nothing closes."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 1, 5)
    yield booked(t, case, slot)
    t.wait_until(slot.starts_at + HOUR, after=10)
    t.wait(HOUR, DAY)
    letter = replace(new_letter(t, case, slot.starts_at), placer=NOTHING)
    yield note(t, case, letter, "final", for_a_person(3))
    t.wait_minutes(180, 600)
    yield t.end(still_open(case, "scheduled", dispatch="accepted", appointment="passed"))


def known_by_its_own_number(t: Teller) -> Script:
    """The preliminary note named the order; the final one names only itself, and that is enough."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    t.wait(HOUR, DAY)
    letter = new_letter(t, case, slot.starts_at)
    how = t.chance.choice(case.office.notes)
    say = as_document if how == "MDM" else as_result
    yield say(t, case, letter, "interim")
    t.wait(HOUR, 2 * DAY)
    final = replace(letter, placer=NOTHING, written_at=t.now, text="FINDINGS: made up, and now finished.")
    yield say(t, case, final, "final", expected(case, ReportReceived, level=2))
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="kept"))


def two_open_referrals(t: Teller) -> Script:
    """Two open referrals of one patient to one office: a note without a number may mean either: a person decides."""
    first = t.case(t.office("speaks", "confirms", "notes", "free"))
    yield ordered(t, first)
    t.wait(16 * DAY, 20 * DAY)  # beyond the days in which it would be a duplicate
    second = t.case(first.office, who=first.person, name="b")
    yield ordered(t, second)
    t.wait(2 * DAY, 4 * DAY)
    letter = replace(new_letter(t, second, t.now - HOUR), placer=NOTHING)
    yield note(t, second, letter, "final", for_a_person(4))
    t.wait_minutes(20, 60)
    yield t.end(
        still_open(first, t.site.unbooked, dispatch="received"),
        still_open(second, t.site.unbooked, dispatch="received"),
    )


def the_other_twin(t: Teller) -> Script:
    """The twin's note names this twin's order, with the twin's own record number: it stops, and a person looks."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    t.wait(HOUR, DAY)
    twin = twin_of(case.person, t.spare())
    letter = replace(new_letter(t, case, slot.starts_at), person=twin)
    yield note(t, case, letter, "final", for_a_person(0))
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def several_groups(t: Teller) -> Script:
    """A result in several groups of one order is one note."""
    case = t.case(next(one for one in t.site.able("speaks", "books", "notes") if "ORU" in one.notes))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    t.wait(HOUR, 2 * DAY)
    letter = replace(new_letter(t, case, slot.starts_at), shape="lines", groups=2 + t.chance.randrange(2))
    yield as_result(t, case, letter)
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="kept"))


def order_number_mistyped(t: Teller) -> Script:
    """Somebody else's note bears this order's number: it stops, and the right note is taken all the same."""
    case = t.case(t.office("speaks", "notes"))
    yield ordered(t, case)
    t.wait(DAY, 3 * DAY)
    yield note(t, case, replace(new_letter(t, case, t.now - HOUR), person=t.somebody()), "final", for_a_person(0))
    t.wait(DAY, 2 * DAY)
    yield note(t, case, new_letter(t, case, t.now - HOUR))
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="none"))
