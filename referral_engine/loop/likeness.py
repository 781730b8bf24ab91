"""Whether two descriptions are the same person: numbers, name, birth date, sex; two patients in, a word out."""

from __future__ import annotations

from referral_engine.loop.referral import Patient


def corroborates(one: Patient, other: Patient) -> str:
    """Why two descriptions are the same person: a record number with authority, or all four demographics; "" if not."""
    if other_number(one, other):
        return ""
    if same_number(one, other):
        return "" if disagrees(one, other) else "record number"
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


def may_be_a_twin(one: Patient, other: Patient) -> bool:
    """Whether the given names are two people's though the rest fits: "Jo" and "Joanna" are not, "Ann" and "Eva" are."""
    return bool(one.given) and bool(other.given) and not one.given.begins_like(other.given)


def alike(one: Patient, other: Patient) -> bool:
    """Whether family name and birth date agree and nothing says they are two people: given name, sex, record number."""
    other_sex = bool(one.sex) and bool(other.sex) and not one.sex.agrees(other.sex)
    same = one.family.agrees(other.family) and one.born_on.agrees(other.born_on)
    return same and not other_sex and not may_be_a_twin(one, other) and not other_number(one, other)
