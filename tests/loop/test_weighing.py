"""What each candidate is weighed by: parts without values, a score of small numbers, the best first."""

from __future__ import annotations

from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.loop.evidence import About, Candidate, Evidence, Verdict, Weighed
from referral_engine.loop.matching import grade
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import Closure
from referral_engine.loop.weighing import POINTS, WEIGHED_MAX, weigh
from tests.builders import CARDIOLOGIST, CHANNEL, ORDERED_AT, a_patient, a_referral, an_order, mrn, number
from tests.loop.reading import DAY

GRETA = a_patient()
REFERRAL = a_referral(patient=GRETA)
SAID = Evidence(
    about=About.APPOINTMENT, patient=GRETA, placer=number("RO-5001", "EHR"), happened_at=ORDERED_AT + 9 * DAY
)


def pointing(referral: Referral = REFERRAL, by: str = "placer", *also: str) -> Candidate:
    return Candidate(referral=referral, by=by, also=also, npi=CARDIOLOGIST)


def parts(weighed: Weighed) -> dict[str, str]:
    return {part.name: part.verdict.value for part in weighed.parts}


def test_everything_that_was_compared_is_a_part_and_the_score_is_their_sum() -> None:
    (weighed,) = weigh(SAID, [pointing()], CHANNEL)

    assert parts(weighed) == {
        "placer number": "agrees",
        "record number": "agrees",
        "family name": "agrees",
        "given name": "agrees",
        "birth date": "agrees",
        "sex": "agrees",
        "office": "agrees",
        "specialty": "missing",
        "window": "agrees",
        "still open": "agrees",
    }
    assert weighed.score == sum(part.points for part in weighed.parts) > 0
    assert all(part.points == 0 for part in weighed.parts if part.verdict is Verdict.MISSING)


def test_what_differs_counts_against_and_no_part_holds_a_value() -> None:
    twin = a_patient(ids=(mrn("MR100235"),), given="Gerda")
    said = replace(SAID, patient=twin, placer=number("RO-9", "EHR"), filler=number("F-1"))

    (weighed,) = weigh(said, [pointing(by="patient")], CHANNEL)

    found = parts(weighed)
    assert (found["placer number"], found["record number"], found["given name"]) == ("differs",) * 3
    assert found["filler number"] == "missing"
    assert weighed.score < 0
    for value in ("MR100235", "Gerda", "RO-9", "F-1", "19580312"):
        assert value not in repr(weighed)


def test_every_number_that_leads_to_a_candidate_is_a_part() -> None:
    said = replace(SAID, filler=number("F-1"), appointment=number("A-1"))

    (weighed,) = weigh(said, [pointing(REFERRAL, "placer", "filler", "appointment")], CHANNEL)

    assert [name for name, verdict in parts(weighed).items() if name.endswith("number") and verdict == "agrees"] == [
        "placer number", "filler number", "appointment number", "record number",
    ]  # fmt: skip


def test_candidates_are_ranked_by_score_and_then_by_the_newest_order() -> None:
    older = a_referral(id="A-0002", patient=GRETA, order=an_order(ordered_at=ORDERED_AT - DAY))
    newer = a_referral(id="A-0003", patient=GRETA, order=an_order(ordered_at=ORDERED_AT + DAY))
    closed = replace(a_referral(id="A-0004", patient=GRETA), closure=Closure.CLOSED)
    said = replace(SAID, placer=number(""))

    weighed = weigh(said, [pointing(one, "patient") for one in (closed, older, REFERRAL, newer)], CHANNEL)

    assert [one.referral for one in weighed] == ["A-0003", "A-0001", "A-0002", "A-0004"]
    several = grade(said, [pointing(one, "patient") for one in (older, newer, REFERRAL)], CHANNEL)
    assert several.candidates == ("A-0003", "A-0001", "A-0002")


def test_no_more_candidates_are_weighed_than_a_person_can_look_at() -> None:
    many = [pointing(a_referral(id=f"A-{at:04}", patient=GRETA), "patient") for at in range(60)]

    assert len(weigh(SAID, many, CHANNEL)) == WEIGHED_MAX


def test_nothing_weighs_more_against_than_another_record_number() -> None:
    assert min(points for pair in POINTS.values() for points in pair) == POINTS["record number"][1]
    assert all(agrees > 0 >= differs for agrees, differs in POINTS.values())


def test_a_name_written_shorter_is_still_a_part_that_differs() -> None:
    (weighed,) = weigh(replace(SAID, patient=replace(GRETA, given=Phi("G"))), [pointing()], CHANNEL)

    assert parts(weighed)["given name"] == "differs"
