"""Whether two descriptions are the same person: numbers, name, birth date, sex; two patients in, a word out."""

from __future__ import annotations

from referral_engine.loop.referral import Patient


def corroborates(one: Patient, other: Patient) -> str:
    """Why two descriptions are the same person: a record number with authority, or all four demographics; "" if not.

    A number in common beside one that the other has not, and another given name: a twin's number, or a mother's.
    """
    if other_number(one, other):
        return ""
    if same_number(one, other):
        return (
            ""
            if disagrees(one, other) or (may_be_a_twin(one, other) and _number_beside(one, other))
            else "record number"
        )
    return "name, birth date and sex" if same_demographics(one, other) else ""


def same_number(one: Patient, other: Patient) -> bool:
    """Whether they share a record number of the same, named authority."""
    return any(mine.authority and mine in other.ids for mine in one.ids)


def other_number(one: Patient, other: Patient) -> bool:
    """Whether an authority gave the two different record numbers, and none in common."""
    for mine in one.ids:
        if not mine.authority or mine in other.ids:
            continue
        whose = mine.authority
        if not any(known.authority == whose for known in other.ids):
            continue
        if not any(same.authority == whose and same in other.ids for same in one.ids):
            return True
    return False


def _number_beside(one: Patient, other: Patient) -> bool:
    """Whether one of the two has a further number of an authority that gave them one in common."""
    shared = {mine.authority for mine in one.ids if mine.authority and mine in other.ids}
    return any(known.authority in shared for known in {*one.ids} ^ {*other.ids})


def same_demographics(one: Patient, other: Patient) -> bool:
    """Whether family name, given name, birth date and sex are known on both sides and agree."""
    return (
        one.family.agrees(other.family)
        and one.given.agrees(other.given)
        and one.born_on.agrees(other.born_on)
        and one.sex.agrees(other.sex)
    )


def disagrees(one: Patient, other: Patient) -> bool:
    """Whether name and birth date are both known on both sides and both differ."""
    names_known = bool(one.family) and bool(other.family)
    dates_known = bool(one.born_on) and bool(other.born_on)
    other_name = names_known and not (one.family.agrees(other.family) and one.given.agrees(other.given))
    other_date = dates_known and not one.born_on.agrees(other.born_on)
    return other_name and other_date


def are_two(one: Patient, other: Patient, said: Patient) -> bool:
    """Whether two patients who both have a number of the message's patient are two people all the same.

    said: the message's patient, with the numbers that merges made theirs: two of those are one person's.
    """
    if disagrees(one, other):
        return True
    mine, theirs = ([known for known in patient.ids if known in said.ids] for patient in (one, other))
    joined = any(a != b and a.authority == b.authority for a in mine for b in theirs)
    return other_number(one, other) and not joined


def may_be_a_twin(one: Patient, other: Patient) -> bool:
    """Whether the given names are two people's though the rest fits: "Jo" and "Joanna" are not, "Ann" and "Eva" are."""
    return bool(one.given) and bool(other.given) and not one.given.begins_like(other.given)


def alike(one: Patient, other: Patient) -> bool:
    """Whether family name and birth date agree and nothing says they are two people: given name, sex, record number."""
    other_sex = bool(one.sex) and bool(other.sex) and not one.sex.agrees(other.sex)
    same = one.family.agrees(other.family) and one.born_on.agrees(other.born_on)
    return same and not other_sex and not may_be_a_twin(one, other) and not other_number(one, other)
