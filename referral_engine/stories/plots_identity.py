"""Plots about who the patient is: numbers that are retired early, linked, missing, or another hospital's."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from referral_engine.base.values import replace
from referral_engine.loop.events import AppointmentBooked, PatientsMerged
from referral_engine.stories.people import RECORD_NUMBERS_FROM, twin_of
from referral_engine.stories.plots_usual import DAY, HOUR, came, final_note
from referral_engine.stories.sayings import (
    NOTHING,
    admitted,
    booked,
    expected,
    for_a_person,
    new_letter,
    new_slot,
    note,
    ordered,
)
from referral_engine.stories.script import Expect, Script
from referral_engine.stories.teller import Teller, closed, still_open
from referral_engine.stories.visits import linked

FORGOTTEN_AFTER = timedelta(hours=73)  # unclaimed evidence is a person's question 72 hours after it came


def merged_before_anybody_knew(t: Teller) -> Script:
    """The number was retired before the first order came; the order still bears it, the office writes under the new."""
    case = t.case(t.office("speaks", "books", "notes"))
    retired = case.person
    survivor = replace(retired, record=str(RECORD_NUMBERS_FROM + t.spare()))
    unknown = Expect(word="no-op", level=None)
    yield admitted(t, "A40", survivor, unknown, retired=retired.record, structure="ADT_A39")
    t.wait(HOUR, 20 * DAY)
    case.ordered_at = t.now
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    case.person = survivor
    slot = new_slot(t, case, 2, 6)
    if t.chance.random() < 0.5:
        yield booked(t, case, replace(slot, placer=NOTHING), expected(case, AppointmentBooked, level=3))
    else:
        yield booked(t, case, slot)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def linked_records(t: Teller) -> Script:
    """Two records are linked and both go on; what comes under the other one is this patient's too."""
    case = t.case(t.office("speaks", "books", "notes"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    other = replace(case.person, record=str(RECORD_NUMBERS_FROM + t.spare()))
    told = Expect(level=None, events=expected(case, PatientsMerged).events)
    yield t.line(t.site.ehr, "ADT^A24", partial(linked, one=case.person, other=other), told, who=other)
    t.wait(HOUR, DAY)
    case.person = other
    slot = new_slot(t, case, 2, 6)
    yield booked(t, case, slot)
    yield from came(t, case, slot)
    yield from final_note(t, case, slot)
    yield t.end(closed(case, appointment="kept"))


def letter_with_a_name_only(t: Teller) -> Script:
    """A note with a name and a birth date and no number at all: a person decides, whoever it fits."""
    case = t.case(t.office("speaks", "notes"))
    yield ordered(t, case)
    t.wait(DAY, 3 * DAY)
    letter = replace(new_letter(t, case, t.now - HOUR), placer=NOTHING, numberless=True)
    yield note(t, case, letter, "final", for_a_person(5))
    t.wait(DAY, 2 * DAY)
    yield note(t, case, new_letter(t, case, t.now - HOUR))
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="none"))


def number_of_another_hospital(t: Teller) -> Script:
    """The same patient under another hospital's number, and no order number: demographics only, a person decides."""
    case = t.case(t.office("speaks", "notes"))
    yield ordered(t, case)
    t.wait(DAY, 3 * DAY)
    elsewhere = replace(case.person, authority="ELSEWHERE")
    letter = replace(new_letter(t, case, t.now - HOUR), placer=NOTHING, person=elsewhere)
    yield note(t, case, letter, "final", for_a_person(5))
    t.wait(DAY, 2 * DAY)
    yield note(t, case, new_letter(t, case, t.now - HOUR))
    t.wait_minutes(1, 5)
    yield t.end(closed(case, appointment="none"))


def letter_of_the_twin(t: Teller) -> Script:
    """The twin, whom nobody referred, has a letter: it fits nobody, waits its time, and then a person is asked."""
    case = t.case(t.office("speaks", "notes", "confirms"))
    yield ordered(t, case)
    t.wait(HOUR, DAY)
    twin = twin_of(case.person, t.spare())
    letter = replace(new_letter(t, case, t.now - HOUR), person=twin, placer=NOTHING)
    unclaimed = Expect(word="needs-human", level=6, first="no-op")
    yield note(t, case, letter, "final", unclaimed)
    t.wait_until(t.now + FORGOTTEN_AFTER, after=200)
    yield t.end(still_open(case, t.site.unbooked, dispatch="received"))
