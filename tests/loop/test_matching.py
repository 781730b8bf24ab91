"""Which referral a message means: levels 0 to 6, and near misses that must never attach."""

from __future__ import annotations

from datetime import datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.loop.matching import (
    NUMBERS,
    About,
    Candidate,
    Evidence,
    Level,
    Match,
    corroborates,
    grade,
    same_number,
    shares_its_number,
)
from referral_engine.loop.referral import Document, Finality, Identifier, Patient, PatientId, Referral
from referral_engine.loop.states import Closure
from tests.builders import CARDIOLOGIST, CHANNEL, ORDERED_AT, a_patient, a_referral, an_order, mrn, number
from tests.loop.reading import DAY

GRETA = a_patient()
TWIN = a_patient(ids=(mrn("MR100235"),), given="Gerda")
FATHER = a_patient(ids=(mrn("MR1"),), given="Hans", born_on="19400101", sex="M")
SON = a_patient(ids=(mrn("MR2"),), given="Hans", born_on="19680202", sex="M")
SWAPPED = a_patient(ids=(mrn("MR100324"),))
ELSEWHERE = a_patient(ids=(mrn("MR100234", "LAKESIDE"),), family="Other", given="Otto", born_on="19900101", sex="M")
REFERRAL = a_referral(patient=GRETA)
OTHER = a_referral(id="A-0002", patient=GRETA, order=an_order(placer=number("RO-5002", "EHR"), specialty="orthopedics"))
VISIT = ORDERED_AT + 9 * DAY


def evidence(patient: Patient = GRETA, about: About = About.APPOINTMENT, **named: object) -> Evidence:
    return Evidence(about=about, patient=patient, **{"happened_at": VISIT, **named})  # type: ignore[arg-type]  # the test names what matters


def pointing(referral: Referral = REFERRAL, by: str = "patient") -> Candidate:
    return Candidate(referral=referral, by=by, npi=CARDIOLOGIST)


def grade_one(
    found: Evidence,
    *candidates: Candidate,
    party: str = CHANNEL,
    notes: bool = False,
    merged: tuple[PatientId, ...] = (),
) -> Match:
    return grade(found, candidates, party, notes_may_be_provisional=notes, merged=merged, now=ORDERED_AT + DAY)


# ------------------------------------------------------------------------------------------------ level 1 and 2


@pytest.mark.parametrize("by", ["placer", "referral"])
def test_our_number_and_the_record_number_are_exact(by: str) -> None:
    match = grade_one(evidence(), pointing(by=by))

    assert (match.level, match.referral, match.candidates) == (Level.EXACT, "A-0001", ("A-0001",))
    assert match.reason == f"{by} number and record number"


def test_our_number_and_all_four_demographics_are_exact() -> None:
    match = grade_one(evidence(replace(GRETA, ids=())), pointing(by="placer"))

    assert (match.level, match.referral) == (Level.EXACT, "A-0001")
    assert match.reason == "placer number and name, birth date and sex"


@pytest.mark.parametrize("by", ["filler", "appointment", "document", "visit", "charge"])
def test_a_number_learned_earlier_is_linked(by: str) -> None:
    match = grade_one(evidence(), pointing(by=by))

    assert (match.level, match.referral) == (Level.LINKED, "A-0001")


def test_case_and_blanks_of_a_name_do_not_matter() -> None:
    written_otherwise = replace(GRETA, ids=(), family=Phi("TESTING "), given=Phi("greta"))

    assert grade_one(evidence(written_otherwise), pointing(by="placer")).level is Level.EXACT


def test_a_married_name_with_the_same_record_number_and_birth_date_is_the_same_patient() -> None:
    assert grade_one(evidence(replace(GRETA, family=Phi("Married"))), pointing(by="placer")).level is Level.EXACT


# ------------------------------------------------------------------------------------------------ level 0


@pytest.mark.parametrize("another", [TWIN, FATHER, SWAPPED, ELSEWHERE], ids=["twin", "other", "swapped", "elsewhere"])
def test_our_number_with_another_patient_stops(another: Patient) -> None:
    match = grade_one(evidence(another), pointing(by="placer"))

    assert (match.level, match.referral) == (Level.STOP, "")
    assert match.reason == "placer number matches, but the patient is another"
    assert match.candidates == ("A-0001",)


@pytest.mark.parametrize("missing", ["family", "given", "born_on", "sex"])
def test_our_number_with_a_patient_nothing_confirms_stops(missing: str) -> None:
    vague = replace(GRETA, ids=(), **{missing: Phi("")})  # type: ignore[arg-type]  # one of its fields

    match = grade_one(evidence(vague), pointing(by="placer"))

    assert (match.level, match.referral) == (Level.STOP, "")
    assert match.reason == "placer number matches, but nothing of the patient confirms it"


def test_numbers_of_two_referrals_in_one_message_stop() -> None:
    match = grade_one(evidence(), pointing(by="placer"), pointing(OTHER, by="filler"))

    assert (match.level, match.referral, match.candidates) == (Level.STOP, "", ("A-0001", "A-0002"))


def test_a_record_number_whose_name_and_birth_date_disagree_stops() -> None:
    reused = replace(GRETA, family=Phi("Other"), born_on=Phi("19900101"))

    for found in (pointing(), pointing(by="placer")):
        assert grade_one(evidence(reused), found).level is Level.STOP


def test_a_document_older_than_the_order_stops() -> None:
    for days, level in ((2, Level.STOP), (0, Level.EXACT)):
        old = evidence(about=About.REPORT, happened_at=ORDERED_AT - days * DAY)
        assert grade_one(old, pointing(by="placer")).level is level


def test_a_document_of_the_minute_before_the_order_may_be_a_wrong_clock() -> None:
    near = evidence(about=About.REPORT, happened_at=ORDERED_AT - timedelta(minutes=1))

    assert grade_one(near, pointing(by="placer")).level is Level.EXACT


def test_wrong_patient_stops_unless_it_takes_back_a_document_that_was_filed_here() -> None:
    filed = Document(document=number("DOC-1"), finality=Finality.FINAL, at=VISIT, message=9)
    wrong = evidence(about=About.REPORT, wrong_patient=True, retracts=True, document=number("DOC-1"))

    stopped = grade_one(wrong, pointing(by="placer"))
    taken_back = grade_one(wrong, pointing(replace(REFERRAL, documents=(filed,)), by="placer"))

    assert (stopped.level, stopped.reason) == (Level.STOP, "placer number matches, but it says wrong patient")
    assert taken_back.level is Level.EXACT


def test_a_channel_that_is_no_party_of_the_referral_stops() -> None:
    match = grade_one(evidence(), pointing(by="placer"), party="lakeside-orthopedics")

    assert (match.level, match.reason) == (
        Level.STOP,
        "placer number matches, but the sender is no party of that referral",
    )


@pytest.mark.parametrize("party", ["ehr", "scanner", CHANNEL])
def test_the_ehr_the_scanner_and_the_referrals_own_office_are_parties(party: str) -> None:
    assert grade_one(evidence(), pointing(by="placer"), party=party).level is Level.EXACT


def test_a_message_that_contradicts_itself_stops_whatever_its_numbers_say() -> None:
    contradicting = evidence(about=About.REPORT, conflict="the document inside names another patient")

    for found, begins in ((pointing(by="placer"), "placer number matches"), (pointing(), "the record number agrees")):
        match = grade_one(contradicting, found, notes=True)
        assert (match.level, match.referral) == (Level.STOP, "")
        assert match.reason == f"{begins}, but the document inside names another patient"


def test_a_wrong_patient_mark_stops_on_a_record_number_too() -> None:
    match = grade_one(evidence(about=About.REPORT, wrong_patient=True), pointing(), notes=True)

    assert (match.level, match.reason) == (Level.STOP, "the record number agrees, but it says wrong patient")


def test_a_record_number_that_two_patients_share_stops() -> None:
    unnamed = evidence(replace(GRETA, family=Phi(""), born_on=Phi("")))
    namesake = a_referral(id="A-0003", patient=replace(FATHER, ids=GRETA.ids))

    match = grade_one(unnamed, pointing(), pointing(namesake))

    assert (match.level, match.reason) == (Level.STOP, "two patients share the record number")
    assert set(match.candidates) == {"A-0001", "A-0003"}
    assert shares_its_number(GRETA, REFERRAL, [pointing(namesake)])
    assert not shares_its_number(GRETA, REFERRAL, [pointing(), pointing(OTHER)])


def test_one_number_that_agrees_does_not_outweigh_another_that_does_not() -> None:
    both = replace(GRETA, ids=(mrn("MR100234"), mrn("E7", "ENTERPRISE")))
    other = replace(GRETA, ids=(mrn("MR100235"), mrn("E7", "ENTERPRISE")))

    for by, reason in (
        ("patient", "one record number agrees, another does not"),
        ("placer", "placer number matches, but the patient is another"),
    ):
        match = grade_one(evidence(other), pointing(a_referral(patient=both), by=by))
        assert (match.level, match.reason) == (Level.STOP, reason)


@pytest.mark.parametrize(
    ("visit", "level"),
    [(ORDERED_AT + 4 * DAY, Level.EXACT), (ORDERED_AT + 7 * DAY, Level.STOP)],
    ids=["the day after", "days after"],
)
def test_a_visit_after_the_patients_death_stops(visit: datetime, level: Level) -> None:
    dead = a_referral(patient=replace(GRETA, deceased=True, died_on=Phi(f"{ORDERED_AT + 3 * DAY:%Y%m%d}")))

    assert grade_one(evidence(happened_at=visit), pointing(dead, by="placer")).level is level
    assert grade_one(evidence(happened_at=visit), pointing(dead)).level in (level, Level.SINGLE)


def test_a_booking_for_somebody_known_to_be_dead_stops_and_a_note_of_earlier_does_not() -> None:
    dead = a_referral(patient=replace(GRETA, deceased=True))  # nobody said when
    note = evidence(about=About.REPORT, happened_at=ORDERED_AT)

    booking = grade_one(evidence(), pointing(dead, by="placer"))

    assert (booking.level, booking.reason) == (Level.STOP, "placer number matches, but the patient had died before")
    assert grade_one(note, pointing(dead, by="placer")).level is Level.EXACT


def test_a_visit_older_than_the_order_stops() -> None:
    for days, level in ((2, Level.STOP), (1, Level.EXACT)):
        old = evidence(happened_at=ORDERED_AT - days * DAY)
        assert grade_one(old, pointing(by="placer")).level is level


def test_a_message_of_anothers_office_is_a_matter_of_security() -> None:  # F-H01
    match = grade_one(evidence(), pointing(by="placer"), party="lakeside-orthopedics")

    assert match.security
    assert not grade_one(evidence(TWIN), pointing(by="placer")).security


# ------------------------------------------------------------------------------------------------ numbers and doubts


def test_a_visits_number_links_only_what_fits_office_and_date() -> None:
    for about, provider, level in (("office", CARDIOLOGIST, Level.LINKED), ("other", "1999999984", Level.UNSURE)):
        match = grade_one(evidence(provider=provider), pointing(by="visit"), party="ehr")
        assert match.level is level, about


def test_a_linked_number_does_not_outweigh_the_name_of_another_order() -> None:
    for placer, level in (
        (number("RO-9", "EHR"), Level.UNSURE),
        (number("RO-9"), Level.UNSURE),
        (number("RO-9", "CENTRICITY"), Level.LINKED),  # the office's own number
        (number("RO-5001"), Level.LINKED),
        (number("A-0001"), Level.LINKED),  # our own id
    ):
        match = grade_one(evidence(placer=placer), pointing(by="filler"))
        assert match.level is level, placer


def test_an_appointment_number_given_out_again_does_not_hide_the_order_the_message_names() -> None:
    closed = replace(OTHER, patient=FATHER, closure=Closure.CLOSED)

    match = grade_one(evidence(), pointing(by="placer"), pointing(closed, by="appointment"))

    assert (match.level, match.referral) == (Level.EXACT, "A-0001")


def test_one_number_of_two_referrals_of_the_patient_is_a_choice_for_a_person() -> None:
    match = grade_one(evidence(), pointing(by="visit"), pointing(OTHER, by="visit"))

    assert (match.level, match.referral) == (Level.SEVERAL, "")
    assert match.reason == "its visit number belongs to 2 referrals of the patient"


def test_a_document_taken_back_is_that_of_the_referral_that_holds_it() -> None:  # F-H07
    filed = Document(document=number("DOC-1"), finality=Finality.FINAL, at=VISIT, message=9)
    holder = replace(OTHER, documents=(filed,), closure=Closure.CLOSED)
    back = evidence(about=About.REPORT, wrong_patient=True, retracts=True, document=number("DOC-1"))

    match = grade_one(back, pointing(by="placer"), pointing(holder, by="document"))

    assert (match.level, match.referral) == (Level.LINKED, "A-0002")


def test_an_order_number_of_a_referral_that_is_over_for_long_is_looked_at() -> None:  # F-H03
    closed = replace(REFERRAL, closure=Closure.CLOSED)
    for days, level in ((30, Level.EXACT), (500, Level.UNSURE)):
        late = evidence(about=About.REPORT, happened_at=ORDERED_AT + days * DAY)
        assert grade_one(late, pointing(closed, by="placer")).level is level


# ------------------------------------------------------------------------------------------------ level 3


def test_a_single_open_referral_takes_an_appointment_provisionally() -> None:
    match = grade_one(evidence(), pointing())

    assert (match.level, match.referral, match.provisional) == (Level.SINGLE, "A-0001", True)
    assert match.reason == "record number, birth date, office and date fit, and only this open referral does"


def test_a_single_open_referral_sends_a_note_to_review_unless_the_file_allows_it() -> None:
    report = evidence(about=About.REPORT)

    review = grade_one(report, pointing())
    allowed = grade_one(report, pointing(), notes=True)

    assert (review.level, review.referral, review.candidates) == (Level.SINGLE, "", ("A-0001",))
    assert (allowed.level, allowed.referral, allowed.provisional) == (Level.SINGLE, "A-0001", True)


def test_an_answer_to_an_order_without_its_number_is_reviewed_whatever_the_file_allows() -> None:
    assert grade_one(evidence(about=About.ORDER), pointing(), notes=True).referral == ""


@pytest.mark.parametrize("named", [{"wrong_patient": True}, {"retracts": True}])
def test_nothing_is_taken_back_on_a_record_number_alone(named: dict[str, bool]) -> None:
    assert grade_one(evidence(about=About.REPORT, **named), pointing(), notes=True).referral == ""


@pytest.mark.parametrize(
    "named",
    [
        {"specialty": "orthopedics"},
        {"happened_at": ORDERED_AT - 2 * DAY},
        {"happened_at": ORDERED_AT + 401 * DAY},
    ],
    ids=["another specialty", "before the order", "long after"],
)
def test_what_does_not_fit_the_referral_is_parked(named: dict[str, object]) -> None:
    match = grade_one(evidence(**named), pointing())

    assert (match.level, match.referral) == (Level.NOTHING, "")
    assert match.reason == "the patient is known, no open referral fits"


def test_an_office_that_speaks_for_itself_fits_whichever_of_its_clinicians_it_names() -> None:
    colleague = evidence(provider="1999999984")

    assert grade_one(colleague, pointing()).level is Level.SINGLE
    for anyone in ("ehr", "scanner"):
        assert grade_one(colleague, pointing(), party=anyone).level is Level.NOTHING


def test_a_referral_that_is_over_or_anothers_is_no_candidate() -> None:
    closed = replace(REFERRAL, closure=Closure.CLOSED)

    assert grade_one(evidence(), pointing(closed)).level is Level.NOTHING
    assert grade_one(evidence(), pointing(), party="lakeside-orthopedics").level is Level.NOTHING


def test_the_ehr_must_say_which_office_it_speaks_of() -> None:
    assert grade_one(evidence(), pointing(), party="ehr").level is Level.NOTHING
    assert grade_one(evidence(specialty="cardiology"), pointing(), party="ehr").level is Level.SINGLE


def test_a_document_of_a_kind_that_closes_nothing_is_not_filed_on_a_record_number() -> None:
    lab = evidence(about=About.REPORT, may_close=False)

    assert grade_one(lab, pointing(), notes=True).referral == ""
    assert grade_one(lab, pointing(by="placer")).referral == "A-0001"


def test_a_twin_under_the_other_twins_record_number_is_for_a_person() -> None:
    for given_name, level in (("Gerda", Level.UNSURE), ("G", Level.SINGLE), ("Greta Maria", Level.SINGLE)):
        match = grade_one(evidence(replace(GRETA, given=Phi(given_name))), pointing())
        assert match.level is level, given_name


def test_a_booking_that_names_another_order_is_not_the_only_open_referrals() -> None:
    match = grade_one(evidence(placer=number("RO-9", "EHR")), pointing())

    assert (match.level, match.referral) == (Level.UNSURE, "")


def test_a_scanned_letter_that_names_no_office_is_for_a_person() -> None:  # H125
    letter = evidence(about=About.REPORT)

    match = grade_one(letter, pointing(), party="scanner")

    assert (match.level, match.candidates) == (Level.UNSURE, ("A-0001",))
    assert grade_one(letter, pointing(), party="ehr").level is Level.NOTHING


# ------------------------------------------------------------------------------------------------ merged numbers


def test_a_number_that_a_merge_made_the_same_persons_corroborates() -> None:  # H128
    retired = evidence(replace(GRETA, ids=(mrn("MR100999"),)))

    assert grade_one(retired, pointing(by="placer")).level is Level.STOP
    for by, level in (("placer", Level.EXACT), ("patient", Level.SINGLE)):
        match = grade_one(retired, pointing(by=by), merged=(mrn("MR100234"),))
        assert match.level is level
        assert "record number (merged)" in {part.name for part in match.weighed[0].parts}


# ------------------------------------------------------------------------------------------------ levels 4, 5 and 6


def test_two_open_referrals_that_fit_are_reviewed() -> None:
    match = grade_one(evidence(), pointing(), pointing(OTHER))

    assert (match.level, match.referral) == (Level.SEVERAL, "")
    assert match.candidates == ("A-0001", "A-0002")
    assert match.reason == "2 open referrals fit"


def test_a_specialty_decides_between_two() -> None:
    assert grade_one(evidence(specialty="cardiology"), pointing(), pointing(OTHER)).referral == "A-0001"


def test_a_record_number_without_the_birth_date_is_unsure() -> None:
    for born_on in ("", "19580321"):
        match = grade_one(evidence(replace(GRETA, born_on=Phi(born_on))), pointing())
        assert (match.level, match.referral) == (Level.UNSURE, "")


def test_demographics_only_are_reviewed_never_applied() -> None:
    match = grade_one(evidence(replace(GRETA, ids=())), pointing(), notes=True)

    assert (match.level, match.referral, match.candidates) == (Level.UNSURE, "", ("A-0001",))
    assert match.reason == "name and birth date only, no number confirms them"


def test_nothing_at_all_is_parked() -> None:
    for candidates in ((), (pointing(a_referral(patient=FATHER)),)):
        match = grade_one(evidence(), *candidates)
        assert (match.level, match.referral, match.candidates) == (Level.NOTHING, "", ())


# ------------------------------------------------------------------------------------------------ near misses


@pytest.mark.parametrize(
    ("one", "other"),
    [(GRETA, TWIN), (FATHER, SON), (GRETA, SWAPPED), (GRETA, ELSEWHERE)],
    ids=["twins", "father and son", "swapped digits", "same digits elsewhere"],
)
def test_people_who_look_alike_are_not_the_same(one: Patient, other: Patient) -> None:
    assert not same_number(one, other)
    assert corroborates(one, other) == ""
    for by in (*NUMBERS, "patient", "person"):
        assert (
            grade_one(evidence(other, About.REPORT), pointing(a_referral(patient=one), by=by), notes=True).referral
            == ""
        )


def test_a_record_number_without_an_authority_is_nobodys() -> None:
    bare = replace(GRETA, ids=(mrn("MR100234", ""),))

    assert not same_number(bare, bare)


def test_numbers_compare_as_exact_text() -> None:
    for almost in ("MR0100234", "mr100234", "MR100234 ", "100234"):
        assert not same_number(GRETA, replace(GRETA, ids=(mrn(almost),)))


@st.composite
def near_misses(draw: st.DrawFn) -> Patient:
    """Another person, as like Greta as chance makes them: a record number of their own, and one real difference."""
    digits = draw(st.permutations("100234").map("".join).filter(lambda text: text != "100234"))
    ids = draw(st.sampled_from([(mrn(f"MR{digits}"),), (mrn("MR100234", "LAKESIDE"),), (), (mrn("MR100234", ""),)]))
    different = draw(
        st.sampled_from([{"given": "Gerda"}, {"born_on": "19580321"}, {"sex": "M"}, {"family": "Testing-Jones"}])
    )
    lost = draw(st.sampled_from([{}, {"sex": ""}, {"born_on": ""}, {"given": ""}]))
    return a_patient(**{"ids": ids, **lost, **different})  # type: ignore[arg-type]  # fields of a patient


@given(near_misses(), st.sampled_from(About), st.sampled_from(["ehr", "scanner", CHANNEL, "elsewhere"]), st.booleans(),
       st.lists(st.sampled_from([*NUMBERS, "patient", "person"]), min_size=1))  # fmt: skip
def test_a_near_miss_is_never_attached(other: Patient, about: About, party: str, notes: bool, by: list[str]) -> None:
    said = evidence(other, about, specialty="cardiology", provider=CARDIOLOGIST)

    match = grade(said, [pointing(by=one) for one in by], party, notes_may_be_provisional=notes)

    assert match.referral == ""
    assert not match.provisional
    assert match.reason


@given(st.text(alphabet="0129-^ ", min_size=1, max_size=6))
def test_an_identifier_is_its_text_and_its_authority(value: str) -> None:
    assert Identifier(value=value, authority="A") != Identifier(value=value, authority="B")
    assert Identifier(value=value) != Identifier(value=value + " ")
    assert bool(Identifier(value=value))
    assert not Identifier(authority="A")
