"""Seeded near misses: an open referral, and a message that all but belongs to it, through the real door.

Every case has its own patients and numbers. `truth` says which of its referrals the message belongs to, "" for none of
them: the engine may leave such a message to a person or let it wait, and must never let it change a referral.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tests.matching.making import GIVENS, HEART, NORTHSIDE, SCANNER, Maker, swapped


@dataclass(slots=True, kw_only=True)
class Case:
    """One near miss, or one message that does belong."""

    kind: str
    orders: list[bytes]
    message: bytes
    before: list[bytes] = field(default_factory=list)  # messages that belong, and were received before
    truth: int = -1  # which of the orders, from 0; -1: none of them


# ------------------------------------------------------------------------------------------------ what does not belong


def twins(make: Maker) -> Case:
    """The other twin's message, with or without the first twin's order number, record number or none."""
    one = make.person()
    other = make.without_number(make.twin(one))
    orders = [make.order(one, make.placer())]
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    return Case(kind="twins", orders=orders, message=make.evidence(other, placer))


def twins_both_referred(make: Maker) -> Case:
    """The other twin's message, which may only ever reach the other twin's referral."""
    one = make.person()
    other = make.twin(one)
    orders = [make.order(one, make.placer()), make.order(other, make.placer(1))]
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    message = make.evidence(make.without_number(other), placer)
    return Case(kind="twins, both referred", orders=orders, message=message, truth=1)


def twins_number_mistyped(make: Maker) -> Case:
    """The other twin's message under the first twin's record number."""
    one = make.person()
    other = replace(make.twin(one), mrn=one.mrn)
    return Case(
        kind="twin under the twin's record number", orders=[make.order(one, make.placer())],
        message=make.evidence(other),
    )  # fmt: skip


def twins_number_beside_her_own(make: Maker) -> Case:
    """One twin was registered with the other's record number beside her own."""
    one = make.person()
    other = make.twin(one)
    orders = [make.order(replace(one, also=other.mrn), make.placer())]
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    return Case(kind="twin's number beside her own", orders=orders, message=make.evidence(other, placer))


def mother_and_baby(make: Maker) -> Case:
    """The mother's record number stands beside the newborn's."""
    mother = make.person(sex="F", given=make.random.choice(GIVENS["F"]))
    sex = make.random.choice("FM")
    baby = replace(
        mother, mrn=make.mrn(4), also=mother.mrn, given="BABY GIRL" if sex == "F" else "BABY BOY", sex=sex,
        born_on="20260226",
    )  # fmt: skip
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    about = make.random.choice([baby, replace(baby, mrn=mother.mrn, also="")])
    message = make.evidence(about, placer)
    return Case(kind="mother and baby", orders=[make.order(mother, make.placer())], message=message)


def father_and_son(make: Maker) -> Case:
    """The same name, a generation apart."""
    father = make.person(sex="M", given=make.random.choice(GIVENS["M"]))
    son = replace(father, mrn=make.mrn(3), born_on=f"{int(father.born_on[:4]) + 28}{father.born_on[4:]}")
    son = make.without_number(son)
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    return Case(kind="father and son", orders=[make.order(father, make.placer())], message=make.evidence(son, placer))


def namesakes(make: Maker) -> Case:
    """Everything the same but the record number."""
    one = make.person()
    other = replace(one, mrn=make.random.choice([make.mrn(1), make.mrn(9), swapped(one.mrn, make.random)]))
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    return Case(
        kind="same name and birthday", orders=[make.order(one, make.placer())], message=make.evidence(other, placer)
    )


def namesake_without_number(make: Maker) -> Case:
    """Name, birth date and sex, and nothing else: whose it is nobody can say."""
    one = make.person()
    other = make.random.choice([replace(one, mrn=""), replace(one, authority="LAKESIDE"), replace(one, authority="")])
    return Case(kind="demographics only", orders=[make.order(one, make.placer())], message=make.evidence(other))


def record_number_swapped(make: Maker) -> Case:
    """Somebody whose record number is this one's but for two digits."""
    one = make.person()
    other = replace(make.stranger(one), mrn=swapped(one.mrn, make.random))
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    return Case(
        kind="swapped record number", orders=[make.order(one, make.placer())], message=make.evidence(other, placer)
    )


def record_number_of_another(make: Maker) -> Case:
    """Somebody else, under this one's record number: mistyped, or given out twice."""
    one = make.person()
    other = replace(make.stranger(one), mrn=one.mrn)
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    return Case(
        kind="record number of another", orders=[make.order(one, make.placer())], message=make.evidence(other, placer)
    )


def order_number_swapped(make: Maker) -> Case:
    """Another order of the same patient, or of another, whose number is this one's but for two digits."""
    one = make.person()
    about = make.random.choice([one, make.stranger(one)])
    placer = swapped(make.placer(), make.random)
    return Case(
        kind="swapped order number", orders=[make.order(one, make.placer())], message=make.evidence(about, placer)
    )


def order_number_of_another(make: Maker) -> Case:
    """Somebody else's message with this order's number."""
    one = make.person()
    other = make.without_number(make.stranger(one))
    return Case(
        kind="order number of another",
        orders=[make.order(one, make.placer())],
        message=make.evidence(other, make.placer()),
    )


def birth_date_swapped(make: Maker) -> Case:
    """The same name, and two digits of the birth date in each other's place."""
    one = make.person()
    other = make.without_number(replace(one, mrn=make.mrn(2), born_on=swapped(one.born_on, make.random)))
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    return Case(
        kind="swapped birth date", orders=[make.order(one, make.placer())], message=make.evidence(other, placer)
    )


def another_authority(make: Maker) -> Case:
    """The same digits, given by another hospital, to another person."""
    one = make.person()
    other = replace(make.stranger(one), mrn=one.mrn, authority=make.random.choice(["LAKESIDE", "HEARTGRP", ""]))
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    return Case(
        kind="same digits elsewhere", orders=[make.order(one, make.placer())], message=make.evidence(other, placer)
    )


def names_alike(make: Maker) -> Case:
    """A hyphenated name, or given and family name in each other's place, and no number to tell by."""
    one = make.person()
    family, given = make.random.choice(
        [(f"{one.family}-Jones", one.given), (one.given, one.family), (one.family[:4], one.given)]
    )
    other = replace(one, mrn="", family=family, given=given)
    placer = make.random.choice(["", make.placer(), make.placer(5)])
    return Case(
        kind="hyphenated and swapped names",
        orders=[make.order(one, make.placer())],
        message=make.evidence(other, placer),
    )


def order_number_reused(make: Maker) -> Case:
    """The number was given out again, to another patient."""
    one = make.person()
    other = make.stranger(one)
    orders = [make.order(one, make.placer()), make.order(other, make.placer(), day="20260303")]
    return Case(kind="order number reused", orders=orders, message=make.evidence(other, make.placer()))


def order_number_written_otherwise(make: Maker) -> Case:
    """Leading zeros, a prefix, a suffix: another order of the same patient, as far as anybody can know."""
    one = make.person()
    digits = f"{9_000_000 + make.number * 10}"
    placer, other = make.random.choice([
        (f"00{digits}", digits), (digits, f"00{digits}"), (digits, f"{digits}1"), (f"{digits}1", digits),
        (digits, f"P-{digits}"), (digits, f"{digits}-0175"), (digits, f" {digits}"),
    ])  # fmt: skip
    about = make.random.choice([one, one, make.stranger(one)])
    return Case(kind="zeros and prefixes", orders=[make.order(one, placer)], message=make.evidence(about, other))


def wrong_channel(make: Maker) -> Case:
    """An office that is no party of the referral speaks of it, with everything right."""
    one = make.person()
    placer = make.random.choice(["", make.placer()])
    return Case(
        kind="wrong channel", orders=[make.order(one, make.placer())], message=make.evidence(one, placer, NORTHSIDE)
    )


def several(make: Maker) -> Case:
    """Two open referrals of one patient, for one office: which is meant nobody says."""
    one = make.person()
    heart, again = HEART, (HEART[0], "REFEP^Referral to electrophysiology^99SPR", HEART[2])
    orders = [make.order(one, make.placer(), heart, day="20260102"), make.order(one, make.placer(1), again)]
    return Case(kind="two open referrals", orders=orders, message=make.evidence(one))


def older_than_the_order(make: Maker) -> Case:
    """A note of last year, with the number of this year's order."""
    one = make.person()
    message = make.note(one, make.random.choice(["", make.placer()]), dated="20250310")
    return Case(kind="older than the order", orders=[make.order(one, make.placer())], message=message)


def wrong_patient(make: Maker) -> Case:
    """OBX-11 W for a document nobody filed here."""
    one = make.person()
    message = make.note(one, make.random.choice(["", make.placer()]), status="W")
    return Case(kind="says wrong patient", orders=[make.order(one, make.placer())], message=message)


def appointment_number_reused(make: Maker) -> Case:
    """The office gives an appointment number out again, to somebody else."""
    one = make.person()
    number = f"A{make.number}"
    other = make.without_number(make.random.choice([make.stranger(one), make.twin(one)]))
    return Case(
        kind="appointment number reused", orders=[make.order(one, make.placer())],
        before=[make.booking(one, make.placer(), appointment=number)],
        message=make.booking(other, make.random.choice(["", make.placer(5)]), appointment=number, trigger="S15"),
    )  # fmt: skip


def scanned_letter(make: Maker) -> Case:
    """A letter that the scanning station files under a patient, without the order: a person reads it."""
    one = make.person()
    about = make.random.choice([one, make.twin(one)])
    office = make.random.choice([SCANNER, (SCANNER[0], "", HEART[2])])
    return Case(kind="scanned letter", orders=[make.order(one, make.placer())], message=make.note(about, "", office))


# ------------------------------------------------------------------------------------------------ what does belong


def by_the_order(make: Maker) -> Case:
    """Order number and patient."""
    one = make.person()
    about = make.random.choice([one, replace(one, mrn=""), replace(one, mrn=f"HG{one.mrn}", authority="HEARTGRP")])
    return Case(
        kind="+ order number",
        orders=[make.order(one, make.placer())],
        message=make.evidence(about, make.placer()),
        truth=0,
    )


def by_the_appointment(make: Maker) -> Case:
    """The number of an appointment that was booked under the order."""
    one = make.person()
    number = f"A{make.number}"
    return Case(
        kind="+ appointment number", orders=[make.order(one, make.placer())], truth=0,
        before=[make.booking(one, make.placer(), appointment=number)],
        message=make.booking(one, appointment=number, trigger="S15"),
    )  # fmt: skip


def by_the_patient(make: Maker) -> Case:
    """A booking of the only open referral of the patient at that office."""
    one = make.person()
    return Case(kind="+ record number", orders=[make.order(one, make.placer())], message=make.booking(one), truth=0)


def of_the_other_twin(make: Maker) -> Case:
    """Both twins are referred; the message has one's order and numbers."""
    one = make.person()
    other = make.twin(one)
    orders = [make.order(one, make.placer()), make.order(other, make.placer(1))]
    return Case(kind="+ one of two twins", orders=orders, message=make.evidence(other, make.placer(1)), truth=1)


KINDS: Final[Sequence[Callable[[Maker], Case]]] = (
    twins, twins, twins_both_referred, twins_number_mistyped,
    twins_number_beside_her_own, mother_and_baby, father_and_son, namesakes, namesake_without_number, record_number_swapped,
    record_number_of_another, order_number_swapped, order_number_of_another, birth_date_swapped, another_authority,
    names_alike, order_number_reused, order_number_written_otherwise, wrong_channel, several, older_than_the_order,
    wrong_patient, appointment_number_reused, scanned_letter,
    by_the_order, by_the_order, by_the_appointment, by_the_patient, of_the_other_twin,
)  # fmt: skip
SURE: Final = ("+ order number", "+ appointment number", "+ record number", "+ one of two twins")


def next_case(make: Maker) -> Case:
    """The next case of a seed."""
    make.next()
    return make.random.choice(KINDS)(make)
